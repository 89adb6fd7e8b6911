//! The guarded call on 32-bit x86, the C calling convention of the System V ABI.

use super::Thread;
use core::arch::global_asm;
use core::ffi::c_void;

unsafe extern "C-unwind" {
    /// The address of the thread's block.
    safe fn cr_guard_thread_address() -> *mut c_void;
}

/// This thread's block.
#[inline(always)]
pub(super) fn thread() -> *mut Thread {
    cr_guard_thread_address().cast()
}

// thread_address() -> eax
//
// ELF Handling For Thread-Local Storage, 3.4.2 and 4.2.2, "initial exec" for code that may lie anywhere. There is no
// addressing relative to the instruction on this processor, so the place of the global offset table is computed.
global_asm!(
    function!("cr_guard_thread_address"),
    "calll 2f", // pushes the address of the next instruction
    ".cfi_adjust_cfa_offset 4",
    "2:",
    "popl %eax",
    ".cfi_adjust_cfa_offset -4",
    "3:",
    "addl $_GLOBAL_OFFSET_TABLE_+(3b-2b), %eax",  // the global offset table
    "movl cr_guard_thread@GOTNTPOFF(%eax), %eax", // offset from the thread pointer
    "addl %gs:0, %eax",                           // plus the thread pointer
    "retl",
    end!("cr_guard_thread_address"),
    options(att_syntax), // only there the table has a name
);

// enter([esp + 4]: stack, function, a, b, c) -> eax
//
// All callee-saved registers are on the stack, below them the control words of the two floating-point units, which
// are callee-saved too, and the arguments of the guest. An abandoned call needs only the stack pointer to restore
// everything. (Rust's i686 has SSE2.)
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
    "sub esp, 28",        // room for arguments and control words; the stack is 16-byte aligned now
    "stmxcsr [esp + 16]", // rounding and exception masks of SSE
    "fnstcw [esp + 20]",  // the same of the x87
    "mov eax, [ebp + 8]",
    "mov [eax], esp",      // *stack: from here on the call can be abandoned
    "mov eax, [ebp + 16]", // the guest's first argument
    "mov [esp], eax",
    "mov eax, [ebp + 20]", // its second
    "mov [esp + 4], eax",
    "mov eax, [ebp + 24]", // its third
    "mov [esp + 8], eax",
    "call dword ptr [ebp + 12]", // the guest
    "2:",                        // common way out; eax is the result
    "add esp, 28",               // arguments and control words: a function that returns has kept the latter
    "pop edi",
    "pop esi",
    "pop ebx",
    "pop ebp",
    ".cfi_remember_state",
    ".cfi_def_cfa esp, 4",
    "ret",
    ".cfi_restore_state",
    // The fault hook has set eip to here and esp to frame.stack; all other registers are the guest's.
    place!("cr_guard_landing"),
    "cld",              // the convention wants the direction flag clear
    "fninit",           // an empty x87 stack, also after MMX code
    "fldcw [esp + 20]", // the caller's control words
    "ldmxcsr [esp + 16]",
    "lea ebp, [esp + 40]", // the frame pointer, so that the unwind table above holds here too
    "mov eax, -1",         // a result; the caller looks at frame.fault first
    "jmp 2b",
    end!("cr_guard_enter"),
);
