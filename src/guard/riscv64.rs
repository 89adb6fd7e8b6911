//! The guarded call on 64-bit RISC-V with double-precision floating point (RV64GC), LP64D calling convention.

use super::{Function, Thread};
use core::arch::{asm, global_asm};
use core::ffi::c_void;

unsafe extern "C-unwind" {
    /// Calls `function(a, b, c)` and notes in `stack` where the call can be abandoned. Returns once.
    #[link_name = "cr_guard_enter"]
    pub(super) fn enter(stack: *mut usize, function: Function, a: *mut c_void, b: usize, c: *mut c_void) -> usize;

    /// Not a function: the place inside `enter` where an abandoned call goes on.
    static cr_guard_landing: u8;
}

/// The instruction at which an abandoned call goes on, with `frame.stack` as the stack pointer.
pub(super) fn landing() -> usize {
    (&raw const cr_guard_landing).addr()
}

/// This thread's block.
#[inline(always)]
pub(super) fn thread() -> *mut Thread {
    let thread: *mut Thread;
    // SAFETY: reads the offset of the block (set by the dynamic loader) and the thread pointer (RISC-V ELF psABI,
    // "Initial Exec").
    unsafe {
        asm!(
            "la.tls.ie {thread}, cr_guard_thread", // offset from the thread pointer
            "add {thread}, {thread}, tp",          // plus the thread pointer
            thread = out(reg) thread,
            options(pure, readonly, nostack),
        );
    }
    thread
}

global_asm!(thread_block!("24", "3"));

// enter(a0: stack, a1: function, a2: a, a3: b, a4: c) -> a0
//
// All callee-saved registers are on the stack: ra, s0 to s11, fs0 to fs11, and the control word of the floating-point
// unit. An abandoned call needs only the stack pointer to restore everything.
global_asm!(
    ".option push",
    ".option arch, +d", // the assembler does not ask what the compiler was told
    function!("cr_guard_enter"),
    "addi sp, sp, -224", // room for all
    ".cfi_def_cfa_offset 224",
    "sd ra, 216(sp)", // the return address
    ".cfi_offset ra, -8",
    "sd s0, 208(sp)", // the frame pointer of the caller
    ".cfi_offset s0, -16",
    "sd s1, 200(sp)", // the other callee-saved registers
    ".cfi_offset s1, -24",
    "sd s2, 192(sp)",
    ".cfi_offset s2, -32",
    "sd s3, 184(sp)",
    ".cfi_offset s3, -40",
    "sd s4, 176(sp)",
    ".cfi_offset s4, -48",
    "sd s5, 168(sp)",
    ".cfi_offset s5, -56",
    "sd s6, 160(sp)",
    ".cfi_offset s6, -64",
    "sd s7, 152(sp)",
    ".cfi_offset s7, -72",
    "sd s8, 144(sp)",
    ".cfi_offset s8, -80",
    "sd s9, 136(sp)",
    ".cfi_offset s9, -88",
    "sd s10, 128(sp)",
    ".cfi_offset s10, -96",
    "sd s11, 120(sp)",
    ".cfi_offset s11, -104",
    "fsd fs0, 112(sp)", // and those of the floating-point unit
    ".cfi_offset fs0, -112",
    "fsd fs1, 104(sp)",
    ".cfi_offset fs1, -120",
    "fsd fs2, 96(sp)",
    ".cfi_offset fs2, -128",
    "fsd fs3, 88(sp)",
    ".cfi_offset fs3, -136",
    "fsd fs4, 80(sp)",
    ".cfi_offset fs4, -144",
    "fsd fs5, 72(sp)",
    ".cfi_offset fs5, -152",
    "fsd fs6, 64(sp)",
    ".cfi_offset fs6, -160",
    "fsd fs7, 56(sp)",
    ".cfi_offset fs7, -168",
    "fsd fs8, 48(sp)",
    ".cfi_offset fs8, -176",
    "fsd fs9, 40(sp)",
    ".cfi_offset fs9, -184",
    "fsd fs10, 32(sp)",
    ".cfi_offset fs10, -192",
    "fsd fs11, 24(sp)",
    ".cfi_offset fs11, -200",
    "frcsr t0", // rounding mode and flags
    "sd t0, 16(sp)",
    "addi s0, sp, 224", // a frame pointer, for profilers
    "sd sp, 0(a0)",     // *stack: from here on the call can be abandoned
    "mv t0, a1",        // the function
    "mv a0, a2",        // its first argument
    "mv a1, a3",        // its second
    "mv a2, a4",        // its third
    "jalr t0",          // the guest
    "2:",               // common way out; a0 is the result
    "fld fs11, 24(sp)",
    "fld fs10, 32(sp)",
    "fld fs9, 40(sp)",
    "fld fs8, 48(sp)",
    "fld fs7, 56(sp)",
    "fld fs6, 64(sp)",
    "fld fs5, 72(sp)",
    "fld fs4, 80(sp)",
    "fld fs3, 88(sp)",
    "fld fs2, 96(sp)",
    "fld fs1, 104(sp)",
    "fld fs0, 112(sp)",
    "ld s11, 120(sp)",
    "ld s10, 128(sp)",
    "ld s9, 136(sp)",
    "ld s8, 144(sp)",
    "ld s7, 152(sp)",
    "ld s6, 160(sp)",
    "ld s5, 168(sp)",
    "ld s4, 176(sp)",
    "ld s3, 184(sp)",
    "ld s2, 192(sp)",
    "ld s1, 200(sp)",
    "ld s0, 208(sp)",
    "ld ra, 216(sp)",
    ".cfi_remember_state",
    "addi sp, sp, 224", // gives the room back
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_restore_state",
    // The fault hook has set pc to here and sp to frame.stack; all other registers are the guest's.
    place!("cr_guard_landing"),
    "ld t0, 16(sp)", // the caller's control word
    "fscsr t0",
    "li a0, -1", // a result; the caller looks at frame.fault first
    "j 2b",
    end!("cr_guard_enter"),
    ".option pop",
);
