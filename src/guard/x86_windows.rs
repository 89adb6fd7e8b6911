//! The guarded call on 32-bit x86, Windows: the C calling convention, and a handler for exceptions in a chain.
//!
//! No table tells of handlers there. A function that has one puts a record on its stack, in front of those of the
//! thread, whose beginning the thread's environment block holds at 0, and takes it out at its end. The system asks them
//! from the innermost outwards.

use super::Thread;
use crate::sys::fault::{on_exception, on_landing};
use core::arch::{asm, global_asm};

/// This thread's block.
#[inline(always)]
pub(super) fn thread() -> *mut Thread {
    let thread: *mut Thread;
    // SAFETY: reads the thread's table of blocks, which the thread's environment block holds at 0x2c, at the index that
    // the loader has given to this module (PE format, "The .tls Section"), and the block's place in the module's part.
    unsafe {
        asm!(
            "mov {index}, dword ptr [__tls_index]",           // the module's number
            "mov {thread}, dword ptr fs:[0x2c]",              // the table of blocks, one for each module
            "mov {thread}, dword ptr [{thread} + 4*{index}]", // this module's
            "lea {thread}, [{thread} + _cr_guard_thread@SECREL32]", // our part of it
            thread = out(reg) thread,
            index = out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    thread
}

/// The chain of handlers as it was before a call.
///
/// Exceptions of C++ and panics find their way by DWARF's tables, which know nothing of the chain: whoever is passed has
/// to take out its own records. Microsoft's compilers have exceptions of another kind, with which the system does that.
#[cfg(target_env = "gnu")]
pub(super) struct Chain(usize);

#[cfg(target_env = "gnu")]
impl Chain {
    #[inline(always)]
    pub(super) fn new() -> Chain {
        let first;
        // SAFETY: reads the first word of the thread's environment block.
        unsafe { asm!("mov {}, dword ptr fs:[0]", out(reg) first, options(readonly, nostack, preserves_flags)) };
        Chain(first)
    }
}

#[cfg(target_env = "gnu")]
impl Drop for Chain {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the record of a caller, or the end of the chain. Those in front of it have been left.
        unsafe { asm!("mov dword ptr fs:[0], {}", in(reg) self.0, options(nostack, preserves_flags)) };
    }
}

// enter([esp + 4]: stack, function, a, b, c) -> eax
//
// All callee-saved registers are on the stack, below them the record of the handler, and the control words of the two
// floating-point units, which are callee-saved too. An abandoned call needs only the stack pointer to restore
// everything. (Rust's i686 has SSE2.)
//
// From the frame pointer downwards: ebx, esi, edi, at -16 the handler, at -20 the record before, at -24 and -28 the
// control words. `sys::windows::machine` knows how far the record is from what is noted.
global_asm!(
    function!("cr_guard_enter"),
    "push ebp", // the frame pointer of the caller
    ".cfi_def_cfa_offset 8",
    ".cfi_offset ebp, -8",
    "mov ebp, esp", // a frame pointer, for our arguments and for the unwinder
    ".cfi_def_cfa_register ebp",
    "push ebx", // the other callee-saved registers
    ".cfi_offset ebx, -12",
    "push esi",
    ".cfi_offset esi, -16",
    "push edi",
    ".cfi_offset edi, -20",
    "mov eax, offset {handler}",
    "push eax",                // the record: asked when there is an exception
    "push dword ptr fs:[0]",   // those of the callers come after it
    "mov dword ptr fs:[0], esp",
    "sub esp, 8",
    "fnstcw [esp + 4]",        // rounding and exception masks of the x87
    "stmxcsr [esp]",           // the same of SSE
    "mov eax, [ebp + 8]",
    "mov [eax], esp",          // *stack: from here on the call can be abandoned
    "and esp, -16",            // the guest's compiler may want it so; Windows does not promise it
    "sub esp, 4",
    "push dword ptr [ebp + 24]", // the guest's third argument
    "push dword ptr [ebp + 20]", // its second
    "push dword ptr [ebp + 16]", // its first
    "call dword ptr [ebp + 12]", // the guest; it may take its arguments from the stack, as DllMain does
    "2:",                        // common way out; eax is the result
    "mov ecx, [ebp - 20]",
    "mov dword ptr fs:[0], ecx", // the handler is not asked any more
    "lea esp, [ebp - 12]",       // a function that returns has kept the control words
    "pop edi",
    "pop esi",
    "pop ebx",
    "pop ebp",
    ".cfi_remember_state",
    ".cfi_def_cfa esp, 4",
    "ret",
    ".cfi_restore_state",
    // The fault hook has set eip to here, esp to frame.stack, and eax to 1 if the stack has run out.
    place!("cr_guard_landing"),
    "cld",              // the convention wants the direction flag clear
    "fninit",           // an empty x87 stack, also after MMX code
    "fldcw [esp + 4]",  // the caller's control words
    "ldmxcsr [esp]",
    "lea ebp, [esp + 28]", // the frame pointer, so that the unwind table above holds here too
    "push eax",            // its first argument
    "call {landed}",       // mends the stack
    "mov eax, -1",         // a result; the caller looks at frame.fault first
    "jmp 2b",
    end!("cr_guard_enter"),
    handler = sym on_exception,
    landed = sym on_landing,
);

// Microsoft's linker makes a list of all handlers of an image (/SAFESEH), and the system asks no other.
#[cfg(target_env = "msvc")]
global_asm!(".safeseh {handler}", handler = sym on_exception);
