//! What the tests of the guard do in assembly on x86-64.

use core::arch::global_asm;

/// What a call must keep, in the order of `fill_and_call`: rbx, rbp, r12 to r15; the control words of SSE and x87
/// (both round towards zero); the direction flag, clear; the tags of the x87 registers, all empty.
pub(super) const KEPT: [usize; 10] =
    [0x0b0b_0b0b, 0x0505_0505, 0x1212_1212, 0x1313_1313, 0x1414_1414, 0x1515_1515, 0x7f80, 0x0f7f, 0, 0xffff];

// fill_and_call(rdi: registers, rsi: target, rdx: arguments) -> eax
global_asm!(
    function!("cr_test_fill_and_call"),
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "push rbx",
    ".cfi_def_cfa_offset 24",
    ".cfi_offset rbx, -24",
    "push r12",
    ".cfi_def_cfa_offset 32",
    ".cfi_offset r12, -32",
    "push r13",
    ".cfi_def_cfa_offset 40",
    ".cfi_offset r13, -40",
    "push r14",
    ".cfi_def_cfa_offset 48",
    ".cfi_offset r14, -48",
    "push r15",
    ".cfi_def_cfa_offset 56",
    ".cfi_offset r15, -56",
    "push rdi", // the registers, for after the call
    ".cfi_def_cfa_offset 64",
    "sub rsp, 32", // room for the control words of the caller, and for fnstenv
    ".cfi_def_cfa_offset 96",
    "stmxcsr [rsp]",
    "fnstcw [rsp + 4]",
    "mov rax, rsi", // the target
    "mov rbx, [rdi]",
    "mov rbp, [rdi + 8]",
    "mov r12, [rdi + 16]",
    "mov r13, [rdi + 24]",
    "mov r14, [rdi + 32]",
    "mov r15, [rdi + 40]",
    "ldmxcsr [rdi + 48]",
    "fldcw [rdi + 56]",
    "mov rdi, [rdx]", // its arguments
    "mov rsi, [rdx + 8]",
    "mov rcx, [rdx + 24]",
    "mov r8, [rdx + 32]",
    "mov rdx, [rdx + 16]",
    "call rax",
    "mov rdi, [rsp + 32]", // the registers
    "mov [rdi], rbx",      // what they are now
    "mov [rdi + 8], rbp",
    "mov [rdi + 16], r12",
    "mov [rdi + 24], r13",
    "mov [rdi + 32], r14",
    "mov [rdi + 40], r15",
    "stmxcsr [rdi + 48]",
    "fnstcw [rdi + 56]",
    "pushfq",
    "pop rcx",
    "and rcx, 0x400", // the direction flag
    "mov [rdi + 64], rcx",
    "ldmxcsr [rsp]",
    "mov r8d, [rsp + 4]",
    "fnstenv [rsp]",
    "movzx ecx, word ptr [rsp + 8]", // the tags
    "mov [rdi + 72], rcx",
    "mov [rsp + 4], r8d",
    "fldcw [rsp + 4]",
    "cld",
    "add rsp, 40",
    ".cfi_def_cfa_offset 56",
    "pop r15",
    ".cfi_def_cfa_offset 48",
    "pop r14",
    ".cfi_def_cfa_offset 40",
    "pop r13",
    ".cfi_def_cfa_offset 32",
    "pop r12",
    ".cfi_def_cfa_offset 24",
    "pop rbx",
    ".cfi_def_cfa_offset 16",
    "pop rbp",
    ".cfi_def_cfa_offset 8",
    "ret",
    end!("cr_test_fill_and_call"),
);

// spoil(rdi: what to do then), a guest: leaves nothing in the registers that was there, and does not say so in its
// unwind table. So whoever called it gets back only what the guard has kept.
global_asm!(
    function!("cr_test_spoil"),
    "sub rsp, 8",
    ".cfi_def_cfa_offset 16",
    "mov rax, rdi",
    "mov rbx, -1",
    "mov r12, -2",
    "mov r13, -3",
    "mov r14, -4",
    "mov r15, -5",
    "test rax, rax",
    "jz 2f",
    "call rax", // which does not return
    "2:",
    "mov rbp, -6", // not above: unwinding goes by the frame pointer
    "fld1",        // an x87 register in use
    "push 0x1f00",
    "ldmxcsr [rsp]", // other control words
    "fnclex",
    "push 0x037e",
    "fldcw [rsp]",
    "std",
    "xor esp, esp", // and no stack
    "ud2",
    end!("cr_test_spoil"),
);
