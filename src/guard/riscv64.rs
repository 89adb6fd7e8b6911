//! The guarded call on 64-bit RISC-V with double-precision floating point (RV64GC), LP64D calling convention.

use super::Thread;
use core::arch::{asm, global_asm};

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

/// Makes a frame of 224 bytes and saves there the return address and all callee-saved registers. 24 bytes at its lower
/// end are left for the caller.
macro_rules! save {
    () => {
        concat!(
            "addi sp, sp, -224\n",
            ".cfi_def_cfa_offset 224\n",
            "sd ra, 216(sp)\n",
            ".cfi_offset ra, -8\n",
            ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n",
            "sd s\\n, 208 - 8 * \\n(sp)\n", // s0 is the frame pointer of the caller
            ".cfi_offset s\\n, -16 - 8 * \\n\n",
            "fsd fs\\n, 112 - 8 * \\n(sp)\n", // those of the floating-point unit
            ".cfi_offset fs\\n, -112 - 8 * \\n\n",
            ".endr"
        )
    };
}

/// Brings them back. The frame stays.
macro_rules! restore {
    () => {
        concat!(
            ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n",
            "ld s\\n, 208 - 8 * \\n(sp)\n",
            "fld fs\\n, 112 - 8 * \\n(sp)\n",
            ".endr\n",
            "ld ra, 216(sp)"
        )
    };
}

// enter(a0: stack, a1: function, a2: a, a3: b, a4: c) -> a0
//
// All callee-saved registers are on the stack: ra, s0 to s11, fs0 to fs11, and the control word of the floating-point
// unit. An abandoned call needs only the stack pointer to restore everything.
global_asm!(
    ".option push",
    ".option arch, +d", // the assembler does not ask what the compiler was told
    function!("cr_guard_enter"),
    save!(),
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
    restore!(),
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
