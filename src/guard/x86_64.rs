//! The guarded call on x86-64, System V calling convention.

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
    // SAFETY: reads the offset of the block (set by the dynamic loader) and the thread pointer, which on Linux
    // x86-64 is stored at fs:0 (ELF Handling For Thread-Local Storage, 3.4.2 and 4.3.2, "initial exec").
    unsafe {
        asm!(
            "mov {thread}, qword ptr [rip + cr_guard_thread@GOTTPOFF]", // offset from the thread pointer
            "add {thread}, qword ptr fs:[0]",                           // plus the thread pointer
            thread = out(reg) thread,
            options(pure, readonly, nostack),
        );
    }
    thread
}

// enter(rdi: stack, rsi: function, rdx: a, rcx: b, r8: c) -> rax
//
// All callee-saved registers are on the stack, below them the control words of the two floating-point units, which
// are callee-saved too. An abandoned call needs only the stack pointer to restore everything.
global_asm!(
    function!("cr_guard_enter"),
    "push rbp", // the frame pointer of the caller
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp", // a frame pointer, for profilers and for the unwinder
    ".cfi_def_cfa_register rbp",
    "push rbx", // the other callee-saved registers
    ".cfi_offset rbx, -24",
    "push r12",
    ".cfi_offset r12, -32",
    "push r13",
    ".cfi_offset r13, -40",
    "push r14",
    ".cfi_offset r14, -48",
    "push r15",
    ".cfi_offset r15, -56",
    "sub rsp, 8",       // room for the control words; the stack is 16-byte aligned again
    "stmxcsr [rsp]",    // rounding and exception masks of SSE
    "fnstcw [rsp + 4]", // the same of the x87
    "mov [rdi], rsp",   // *stack: from here on the call can be abandoned
    "mov rax, rsi",     // the function
    "mov rdi, rdx",     // its first argument
    "mov rsi, rcx",     // its second
    "mov rdx, r8",      // its third
    "call rax",         // the guest
    "2:",               // common way out; rax is the result
    "add rsp, 8",       // the control words: a function that returns has kept them
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    ".cfi_remember_state",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_restore_state",
    // The fault hook has set rip to here and rsp to frame.stack; all other registers are the guest's.
    place!("cr_guard_landing"),
    "cld",             // the convention wants the direction flag clear
    "fninit",          // an empty x87 stack, also after MMX code
    "fldcw [rsp + 4]", // the caller's control words
    "ldmxcsr [rsp]",
    "lea rbp, [rsp + 48]", // the frame pointer, so that the unwind table above holds here too
    "mov eax, -1",         // a result; the caller looks at frame.fault first
    "jmp 2b",
    end!("cr_guard_enter"),
);
