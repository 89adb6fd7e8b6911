//! What the tests of the guard do in assembly on 32-bit x86.

use core::arch::global_asm;

/// What a call must keep, in the order of `fill_and_call`: ebx, esi, edi, ebp; the control words of SSE and x87 (both
/// round towards zero); the direction flag, clear; the tags of the x87 registers, all empty.
pub(super) const KEPT: [usize; 8] = [0x0b0b_0b0b, 0x0606_0606, 0x0707_0707, 0x0505_0505, 0x7f80, 0x0f7f, 0, 0xffff];

// fill_and_call([esp + 4]: registers, target, arguments) -> eax
global_asm!(
    function!("cr_test_fill_and_call"),
    "push ebp",
    ".cfi_adjust_cfa_offset 4",
    "push ebx",
    ".cfi_adjust_cfa_offset 4",
    "push esi",
    ".cfi_adjust_cfa_offset 4",
    "push edi",
    ".cfi_adjust_cfa_offset 4",
    "sub esp, 60", // 20 for the arguments, control words of the caller at 24 and 28, 28 for fnstenv
    ".cfi_adjust_cfa_offset 60",
    "stmxcsr [esp + 24]",
    "fnstcw [esp + 28]",
    "mov ecx, [esp + 88]", // the arguments
    "mov eax, [ecx]",
    "mov [esp], eax",
    "mov eax, [ecx + 4]",
    "mov [esp + 4], eax",
    "mov eax, [ecx + 8]",
    "mov [esp + 8], eax",
    "mov eax, [ecx + 12]",
    "mov [esp + 12], eax",
    "mov eax, [ecx + 16]",
    "mov [esp + 16], eax",
    "mov edx, [esp + 80]", // the registers
    "mov ebx, [edx]",
    "mov esi, [edx + 4]",
    "mov edi, [edx + 8]",
    "mov ebp, [edx + 12]",
    "ldmxcsr [edx + 16]",
    "fldcw [edx + 20]",
    "call dword ptr [esp + 84]", // the target
    "mov edx, [esp + 80]",
    "mov [edx], ebx", // what they are now
    "mov [edx + 4], esi",
    "mov [edx + 8], edi",
    "mov [edx + 12], ebp",
    "stmxcsr [edx + 16]",
    "fnstcw [edx + 20]",
    "pushfd",
    "pop ecx",
    "and ecx, 0x400", // the direction flag
    "mov [edx + 24], ecx",
    "fnstenv [esp + 32]",
    "movzx ecx, word ptr [esp + 40]", // the tags
    "mov [edx + 28], ecx",
    "ldmxcsr [esp + 24]",
    "fldcw [esp + 28]",
    "cld",
    "add esp, 60",
    ".cfi_adjust_cfa_offset -60",
    "pop edi",
    ".cfi_adjust_cfa_offset -4",
    "pop esi",
    ".cfi_adjust_cfa_offset -4",
    "pop ebx",
    ".cfi_adjust_cfa_offset -4",
    "pop ebp",
    ".cfi_adjust_cfa_offset -4",
    "ret",
    end!("cr_test_fill_and_call"),
);

/// Takes the stack away, where a fault does not need one to be told of.
#[cfg(not(windows))]
macro_rules! no_stack {
    () => {
        "xor esp, esp"
    };
}

#[cfg(windows)]
macro_rules! no_stack {
    () => {
        ""
    };
}

// spoil([esp + 4]: what to do then), a guest: leaves nothing in the registers that was there, and does not say so in
// its unwind table. So whoever called it gets back only what the guard has kept.
global_asm!(
    function!("cr_test_spoil"),
    "sub esp, 12",
    ".cfi_adjust_cfa_offset 12",
    "mov eax, [esp + 16]",
    "mov ebx, -1",
    "mov esi, -2",
    "mov edi, -3",
    "test eax, eax",
    "jz 2f",
    "call eax", // which does not return
    "2:",
    "mov ebp, -4", // not above: unwinding goes by the frame pointer
    "fld1",        // an x87 register in use
    "push 0x1f00",
    "ldmxcsr [esp]", // other control words
    "fnclex",
    "push 0x037e",
    "fldcw [esp]",
    "std",
    no_stack!(),
    "ud2",
    end!("cr_test_spoil"),
);

#[cfg(windows)]
mod chain {
    use crate::guard::call;
    use crate::guard::tests::{crash, spoil};
    use crate::sys::fault::Hook;
    use core::arch::asm;
    use core::ffi::c_void;
    use core::ptr::{null, null_mut};
    use std::panic::{catch_unwind, resume_unwind};

    /// The thread's first record of a handler.
    fn first() -> usize {
        let first;
        // SAFETY: reads the first word of the thread's environment block.
        unsafe { asm!("mov {}, dword ptr fs:[0]", out(reg) first, options(readonly, nostack)) };
        first
    }

    unsafe extern "C-unwind" fn ask(_: *mut c_void, _: usize, _: *mut c_void) -> usize {
        first()
    }

    unsafe extern "C-unwind" fn throw(_: *mut c_void, _: usize, _: *mut c_void) -> usize {
        resume_unwind(Box::new(()))
    }

    /// As DllMain does.
    unsafe extern "system-unwind" fn take_arguments(_: *mut c_void, _: usize, _: *mut c_void) -> usize {
        7
    }

    #[test]
    fn the_handler_is_in_the_chain_during_the_call_only() {
        let _hook = Hook::new();
        let before = first();
        // SAFETY: guests of this file.
        let call = |function| unsafe { call(function, null_mut(), 0, null_mut(), null()) };
        assert_ne!(call(ask), Ok(before));
        assert_eq!(first(), before, "behind a call that has returned");
        crash(spoil, null_mut());
        assert_eq!(first(), before, "behind one that was abandoned");
        assert!(catch_unwind(|| call(throw)).is_err());
        assert_eq!(first(), before, "behind one that an exception has passed");
    }

    #[test]
    fn a_function_may_take_its_arguments_from_the_stack() {
        let function = take_arguments as *const c_void;
        // SAFETY: the guard does not mind.
        let function = unsafe { core::mem::transmute::<*const c_void, crate::guard::Function>(function) };
        // SAFETY: a function that does nothing.
        assert_eq!(unsafe { call(function, null_mut(), 0, null_mut(), null()) }, Ok(7));
    }
}
