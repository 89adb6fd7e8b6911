//! The guarded call on 64-bit ARM, Windows calling convention.

use super::Thread;
use crate::sys::fault::{on_exception, on_landing};
use core::arch::{asm, global_asm};

/// This thread's block.
#[inline(always)]
pub(super) fn thread() -> *mut Thread {
    let thread: *mut Thread;
    // SAFETY: reads the thread's table of blocks, which the thread's environment block (in x18) holds at 0x58, at the
    // index that the loader has given to this module (PE format, "The .tls Section"), and the block's place in the
    // module's part.
    unsafe {
        asm!(
            "adrp {index}, _tls_index",                         // the page of the module's number
            "ldr {index:w}, [{index}, :lo12:_tls_index]",       // the module's number
            "ldr {thread}, [x18, #0x58]",                       // the table of blocks, one for each module
            "ldr {thread}, [{thread}, {index}, lsl #3]",        // this module's
            "add {thread}, {thread}, :secrel_hi12:cr_guard_thread", // our part of it
            "add {thread}, {thread}, :secrel_lo12:cr_guard_thread",
            thread = out(reg) thread,
            index = out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    thread
}

// enter(x0: stack, x1: function, x2: a, x3: b, x4: c) -> x0
//
// All callee-saved registers are on the stack: x19 to x30, of v8 to v15 the low halves, and the control word of the
// floating-point unit. An abandoned call needs only the stack pointer to restore everything. x18 is the system's.
global_asm!(
    function!("cr_guard_enter"),
    ".seh_handler {handler}, @except", // asked when an exception passes; not while unwinding
    "stp x29, x30, [sp, #-176]!",      // frame pointer and return address; room for all
    ".seh_save_fplr_x 176",
    "mov x29, sp", // a frame pointer, for profilers
    ".seh_set_fp",
    "stp x19, x20, [sp, #16]", // the other callee-saved registers
    ".seh_save_regp x19, 16",
    "stp x21, x22, [sp, #32]",
    ".seh_save_regp x21, 32",
    "stp x23, x24, [sp, #48]",
    ".seh_save_regp x23, 48",
    "stp x25, x26, [sp, #64]",
    ".seh_save_regp x25, 64",
    "stp x27, x28, [sp, #80]",
    ".seh_save_regp x27, 80",
    "stp d8, d9, [sp, #96]", // and those of the floating-point unit
    ".seh_save_fregp d8, 96",
    "stp d10, d11, [sp, #112]",
    ".seh_save_fregp d10, 112",
    "stp d12, d13, [sp, #128]",
    ".seh_save_fregp d12, 128",
    "stp d14, d15, [sp, #144]",
    ".seh_save_fregp d14, 144",
    ".seh_endprologue",
    "mrs x9, fpcr",       // rounding mode and traps
    "str x9, [sp, #160]", // for an abandoned call: a function that returns has kept them
    "str x29, [x0]",      // *stack: from here on the call can be abandoned; x29 is the stack pointer
    "mov x9, x1",         // the function
    "mov x0, x2",         // its first argument
    "mov x1, x3",         // its second
    "mov x2, x4",         // its third
    "blr x9",             // the guest
    "nop",                // an exception's return address must lie inside the body, not in what follows
    "2:",                 // common way out; x0 is the result
    ".seh_startepilogue",
    "ldp d14, d15, [sp, #144]",
    ".seh_save_fregp d14, 144",
    "ldp d12, d13, [sp, #128]",
    ".seh_save_fregp d12, 128",
    "ldp d10, d11, [sp, #112]",
    ".seh_save_fregp d10, 112",
    "ldp d8, d9, [sp, #96]",
    ".seh_save_fregp d8, 96",
    "ldp x27, x28, [sp, #80]",
    ".seh_save_regp x27, 80",
    "ldp x25, x26, [sp, #64]",
    ".seh_save_regp x25, 64",
    "ldp x23, x24, [sp, #48]",
    ".seh_save_regp x23, 48",
    "ldp x21, x22, [sp, #32]",
    ".seh_save_regp x21, 32",
    "ldp x19, x20, [sp, #16]",
    ".seh_save_regp x19, 16",
    "ldp x29, x30, [sp], #176", // gives the room back
    ".seh_save_fplr_x 176",
    ".seh_endepilogue",
    "ret",
    // The fault hook has set pc to here, sp to frame.stack, and x0 to 1 if the stack has run out.
    place!("cr_guard_landing"),
    "mov x29, sp",        // the frame pointer, so that the unwind codes above hold here too
    "ldr x9, [sp, #160]", // the caller's control word
    "msr fpcr, x9",
    "bl {landed}",        // mends the stack; x0 is its argument
    "mov w0, #-1",        // a result; the caller looks at frame.fault first
    "b 2b",
    end!("cr_guard_enter"),
    handler = sym on_exception,
    landed = sym on_landing,
);
