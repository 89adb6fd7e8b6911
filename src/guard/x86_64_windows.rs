//! The guarded call on x86-64, Windows calling convention.

use super::Thread;
use crate::sys::fault::{on_exception, on_landing};
use core::arch::{asm, global_asm};

/// This thread's block.
#[inline(always)]
pub(super) fn thread() -> *mut Thread {
    let thread: *mut Thread;
    // SAFETY: reads the thread's table of blocks, which the thread's environment block holds at 0x58, at the index that
    // the loader has given to this module (PE format, "The .tls Section"), and the block's place in the module's part.
    unsafe {
        asm!(
            "mov {index:e}, dword ptr [rip + _tls_index]",    // the module's number
            "mov {thread}, qword ptr gs:[0x58]",              // the table of blocks, one for each module
            "mov {thread}, qword ptr [{thread} + 8*{index}]", // this module's
            "lea {thread}, [{thread} + cr_guard_thread@SECREL32]", // our part of it
            thread = out(reg) thread,
            index = out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    thread
}

// enter(rcx: stack, rdx: function, r8: a, r9: b, [rsp + 40]: c) -> rax
//
// All registers that the convention preserves are on the stack, and the control words of the two floating-point units.
// An abandoned call needs only the stack pointer to restore everything.
//
// The stack, from its pointer upwards: 32 bytes for the callee's use, xmm6 to xmm15 from 32 on, the control words at
// 192 and 196, at 200 the eight pushed registers, at 264 the return address, at 304 the fifth argument.
global_asm!(
    function!("cr_guard_enter"),
    ".seh_handler {handler}, @except", // asked when an exception passes; not while unwinding
    "push rbp", // the registers that a function must keep
    ".seh_pushreg rbp",
    "push rbx",
    ".seh_pushreg rbx",
    "push rdi",
    ".seh_pushreg rdi",
    "push rsi",
    ".seh_pushreg rsi",
    "push r12",
    ".seh_pushreg r12",
    "push r13",
    ".seh_pushreg r13",
    "push r14",
    ".seh_pushreg r14",
    "push r15",
    ".seh_pushreg r15",
    "sub rsp, 200", // the stack is 16-byte aligned again
    ".seh_stackalloc 200",
    "movaps [rsp + 32], xmm6", // the vector registers that a function must keep
    ".seh_savexmm xmm6, 32",
    "movaps [rsp + 48], xmm7",
    ".seh_savexmm xmm7, 48",
    "movaps [rsp + 64], xmm8",
    ".seh_savexmm xmm8, 64",
    "movaps [rsp + 80], xmm9",
    ".seh_savexmm xmm9, 80",
    "movaps [rsp + 96], xmm10",
    ".seh_savexmm xmm10, 96",
    "movaps [rsp + 112], xmm11",
    ".seh_savexmm xmm11, 112",
    "movaps [rsp + 128], xmm12",
    ".seh_savexmm xmm12, 128",
    "movaps [rsp + 144], xmm13",
    ".seh_savexmm xmm13, 144",
    "movaps [rsp + 160], xmm14",
    ".seh_savexmm xmm14, 160",
    "movaps [rsp + 176], xmm15",
    ".seh_savexmm xmm15, 176",
    ".seh_endprologue",
    "stmxcsr [rsp + 192]",  // rounding and exception masks of SSE
    "fnstcw [rsp + 196]",   // the same of the x87
    "mov [rcx], rsp",       // *stack: from here on the call can be abandoned
    "mov rax, rdx",         // the function
    "mov rcx, r8",          // its first argument
    "mov rdx, r9",          // its second
    "mov r8, [rsp + 304]",  // its third
    "call rax",             // the guest
    "nop",                  // an exception's return address must lie inside the body, not in what follows
    "2:",                   // common way out; eax is the result
    "movaps xmm6, [rsp + 32]",
    "movaps xmm7, [rsp + 48]",
    "movaps xmm8, [rsp + 64]",
    "movaps xmm9, [rsp + 80]",
    "movaps xmm10, [rsp + 96]",
    "movaps xmm11, [rsp + 112]",
    "movaps xmm12, [rsp + 128]",
    "movaps xmm13, [rsp + 144]",
    "movaps xmm14, [rsp + 160]",
    "movaps xmm15, [rsp + 176]",
    "add rsp, 200", // the epilogue, in the form that unwinders recognise
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rsi",
    "pop rdi",
    "pop rbx",
    "pop rbp",
    "ret",
    // The fault hook has set rip to here, rsp to frame.stack, and eax to 1 if the stack has run out.
    place!("cr_guard_landing"),
    "cld",                   // the convention wants the direction flag clear
    "fninit",                // an empty x87 stack, also after MMX code
    "fldcw [rsp + 196]",     // the caller's control words
    "ldmxcsr [rsp + 192]",
    "mov ecx, eax",          // its first argument
    "call {landed}",         // mends the stack
    "mov eax, -1",           // a result; the caller looks at frame.fault first
    "jmp 2b",
    end!("cr_guard_enter"),
    handler = sym on_exception,
    landed = sym on_landing,
);
