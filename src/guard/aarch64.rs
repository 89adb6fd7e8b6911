//! The guarded call on 64-bit ARM, AAPCS64 calling convention.
//!
//! Instructions that older processors do not know are written as `hint`s, which those skip, and which every
//! assembler takes.

#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
use super::Thread;
#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
use core::arch::asm;
use core::arch::global_asm;

/// This thread's block.
#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
#[inline(always)]
pub(super) fn thread() -> *mut Thread {
    let thread: *mut Thread;
    // SAFETY: reads the offset of the block (set by the dynamic loader) and the thread pointer (ELF for the Arm
    // 64-bit Architecture, "Initial Exec"; on Linux the thread pointer is in tpidr_el0).
    unsafe {
        asm!(
            "adrp {thread}, :gottprel:cr_guard_thread",                // the page of the offset's place
            "ldr {thread}, [{thread}, :gottprel_lo12:cr_guard_thread]", // offset from the thread pointer
            "mrs {pointer}, tpidr_el0",                                // the thread pointer
            "add {thread}, {thread}, {pointer}",
            thread = out(reg) thread,
            pointer = out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    thread
}

/// `paciasp`: signs the return address, where the processor can; also a place that may be called (BTI).
#[cfg(not(target_vendor = "apple"))]
macro_rules! sign {
    () => {
        "hint #25\n.cfi_negate_ra_state"
    };
}

/// `autiasp`: checks the signature.
#[cfg(not(target_vendor = "apple"))]
macro_rules! check {
    () => {
        "hint #29\n.cfi_negate_ra_state"
    };
}

/// On Apple's systems programs with signed addresses are of a kind of their own, `arm64e`, and unwinders look for
/// signatures only there.
#[cfg(target_vendor = "apple")]
macro_rules! sign {
    () => {
        ""
    };
}

#[cfg(target_vendor = "apple")]
macro_rules! check {
    () => {
        ""
    };
}

/// Makes a frame of 176 bytes and saves there the return address and all callee-saved registers. 16 bytes at its upper
/// end are left for the caller.
macro_rules! save {
    () => {
        concat!(
            "stp x29, x30, [sp, #-176]!\n", // frame pointer and return address; room for all
            ".cfi_def_cfa_offset 176\n",
            ".cfi_offset x29, -176\n",
            ".cfi_offset x30, -168\n",
            "stp x19, x20, [sp, #16]\n", // the other callee-saved registers
            ".cfi_offset x19, -160\n",
            ".cfi_offset x20, -152\n",
            "stp x21, x22, [sp, #32]\n",
            ".cfi_offset x21, -144\n",
            ".cfi_offset x22, -136\n",
            "stp x23, x24, [sp, #48]\n",
            ".cfi_offset x23, -128\n",
            ".cfi_offset x24, -120\n",
            "stp x25, x26, [sp, #64]\n",
            ".cfi_offset x25, -112\n",
            ".cfi_offset x26, -104\n",
            "stp x27, x28, [sp, #80]\n",
            ".cfi_offset x27, -96\n",
            ".cfi_offset x28, -88\n",
            "stp d8, d9, [sp, #96]\n", // and those of the floating-point unit
            ".cfi_offset d8, -80\n",
            ".cfi_offset d9, -72\n",
            "stp d10, d11, [sp, #112]\n",
            ".cfi_offset d10, -64\n",
            ".cfi_offset d11, -56\n",
            "stp d12, d13, [sp, #128]\n",
            ".cfi_offset d12, -48\n",
            ".cfi_offset d13, -40\n",
            "stp d14, d15, [sp, #144]\n",
            ".cfi_offset d14, -32\n",
            ".cfi_offset d15, -24"
        )
    };
}

/// Brings back all but the frame pointer and the return address. The frame stays.
macro_rules! restore {
    () => {
        concat!(
            "ldp d14, d15, [sp, #144]\n",
            "ldp d12, d13, [sp, #128]\n",
            "ldp d10, d11, [sp, #112]\n",
            "ldp d8, d9, [sp, #96]\n",
            "ldp x27, x28, [sp, #80]\n",
            "ldp x25, x26, [sp, #64]\n",
            "ldp x23, x24, [sp, #48]\n",
            "ldp x21, x22, [sp, #32]\n",
            "ldp x19, x20, [sp, #16]"
        )
    };
}

// enter(x0: stack, x1: function, x2: a, x3: b, x4: c) -> x0
//
// All callee-saved registers are on the stack: x19 to x30, of v8 to v15 the low halves, and the control word of the
// floating-point unit. An abandoned call needs only the stack pointer to restore everything.
global_asm!(
    function!("cr_guard_enter"),
    sign!(),
    save!(),
    "mov x29, sp", // a frame pointer, for profilers and for the unwinder
    ".cfi_def_cfa_register x29",
    "mrs x9, fpcr",       // rounding mode and traps
    "str x9, [sp, #160]", // for an abandoned call: a function that returns has kept them
    "str x29, [x0]",      // *stack: from here on the call can be abandoned; x29 is the stack pointer
    "mov x9, x1",         // the function
    "mov x0, x2",         // its first argument
    "mov x1, x3",         // its second
    "mov x2, x4",         // its third
    "blr x9",             // the guest
    "2:",                 // common way out; x0 is the result
    restore!(),
    ".cfi_remember_state",
    "ldp x29, x30, [sp], #176", // gives the room back
    ".cfi_def_cfa sp, 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    check!(), // the stack pointer is that of the beginning
    "ret",
    ".cfi_restore_state",
    // The fault hook has set pc to here and sp to frame.stack; all other registers are the guest's.
    place!("cr_guard_landing"),
    "hint #36",           // bti j: a place that may be jumped to, whatever the guest was about to do
    "mov x29, sp",        // the frame pointer, so that the unwind table above holds here too
    "ldr x9, [sp, #160]", // the caller's control word
    "msr fpcr, x9",
    "mov w0, #-1", // a result; the caller looks at frame.fault first
    "b 2b",
    end!("cr_guard_enter"),
);
