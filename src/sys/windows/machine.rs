//! The registers of a thread, by the names that each processor has for them.

use crate::guard::{Landing, Registers};
use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT;

/// The system stores vector registers with instructions that want it so; the binding does not know.
#[derive(Default)]
#[repr(align(16))]
pub(super) struct Aligned(pub(super) CONTEXT);

#[cfg(target_arch = "x86_64")]
mod processor {
    use super::{CONTEXT, Landing, Registers};
    use core::arch::asm;
    pub(in super::super) use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT_FULL_AMD64 as FULL;

    /// What the handler of the guarded call gets for its frame, seen from the stack pointer that the call has noted: the
    /// stack pointer in the body of the function.
    pub(in super::super) const ESTABLISHER: usize = 0;

    pub(in super::super) fn registers(machine: &CONTEXT) -> Registers {
        let numbered = [
            machine.Rax,
            machine.Rcx,
            machine.Rdx,
            machine.Rbx,
            machine.Rsp,
            machine.Rbp,
            machine.Rsi,
            machine.Rdi,
            machine.R8,
            machine.R9,
            machine.R10,
            machine.R11,
            machine.R12,
            machine.R13,
            machine.R14,
            machine.R15,
        ];
        Registers {
            instruction: machine.Rip as usize,
            stack: machine.Rsp as usize,
            frame: machine.Rbp as usize,
            numbered: numbered.map(|register| register as usize),
            ..Registers::default()
        }
    }

    pub(in super::super) fn go_on_at(machine: &mut CONTEXT, landing: &Landing, overflow: bool) {
        machine.Rip = landing.instruction as u64;
        machine.Rsp = landing.stack as u64;
        machine.Rax = overflow.into();
    }

    pub(in super::super) unsafe fn leave(landing: &Landing) -> ! {
        // SAFETY: the landing place wants nothing but the stack pointer, and in eax that the stack has not run out.
        unsafe {
            asm!(
                "mov rsp, {stack}",   // the stack of the call
                "jmp {instruction}",  // the landing place
                stack = in(reg) landing.stack,
                instruction = in(reg) landing.instruction,
                in("eax") 0,
                options(noreturn),
            );
        }
    }
}

#[cfg(target_arch = "x86")]
mod processor {
    use super::{CONTEXT, Landing, Registers};
    use core::arch::asm;
    pub(in super::super) use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT_FULL_X86 as FULL;

    /// What the handler of the guarded call gets for its frame, seen from the stack pointer that the call has noted: its
    /// record in the chain of handlers, which is this many bytes above.
    pub(in super::super) const ESTABLISHER: usize = 8;

    pub(in super::super) fn registers(machine: &CONTEXT) -> Registers {
        let [instruction, stack, frame] = [machine.Eip, machine.Esp, machine.Ebp].map(|register| register as usize);
        Registers { instruction, stack, frame, ..Registers::default() }
    }

    pub(in super::super) fn go_on_at(machine: &mut CONTEXT, landing: &Landing, overflow: bool) {
        machine.Eip = landing.instruction as u32;
        machine.Esp = landing.stack as u32;
        machine.Eax = overflow.into();
    }

    pub(in super::super) unsafe fn leave(landing: &Landing) -> ! {
        // SAFETY: the landing place wants nothing but the stack pointer, and in eax that the stack has not run out.
        unsafe {
            asm!(
                "mov esp, {stack}",   // the stack of the call
                "jmp {instruction}",  // the landing place
                stack = in(reg) landing.stack,
                instruction = in(reg) landing.instruction,
                in("eax") 0,
                options(noreturn),
            );
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod processor {
    use super::{CONTEXT, Landing, Registers};
    use core::arch::asm;
    pub(in super::super) use windows_sys::Win32::System::Diagnostics::Debug::CONTEXT_FULL_ARM64 as FULL;

    /// What the handler of the guarded call gets for its frame, seen from the stack pointer that the call has noted: the
    /// stack pointer of the caller, which is this many bytes above.
    pub(in super::super) const ESTABLISHER: usize = 176;

    pub(in super::super) fn registers(machine: &CONTEXT) -> Registers {
        // SAFETY: all bits are numbers in either form of the registers.
        let named = unsafe { machine.Anonymous.Anonymous };
        Registers {
            instruction: machine.Pc as usize,
            stack: machine.Sp as usize,
            frame: named.Fp as usize,
            link: named.Lr as usize,
            ..Registers::default()
        }
    }

    pub(in super::super) fn go_on_at(machine: &mut CONTEXT, landing: &Landing, overflow: bool) {
        machine.Pc = landing.instruction as u64;
        machine.Sp = landing.stack as u64;
        machine.Anonymous.Anonymous.X0 = overflow.into();
    }

    pub(in super::super) unsafe fn leave(landing: &Landing) -> ! {
        // SAFETY: the landing place wants nothing but the stack pointer, and in x0 that the stack has not run out.
        unsafe {
            asm!(
                "mov sp, {stack}",   // the stack of the call
                "br {instruction}",  // the landing place
                stack = in(reg) landing.stack,
                instruction = in(reg) landing.instruction,
                in("x0") 0,
                options(noreturn),
            );
        }
    }
}

pub(super) use processor::{ESTABLISHER, FULL};

/// What a backtrace begins with.
pub(super) fn registers(machine: &CONTEXT) -> Registers {
    processor::registers(machine)
}

/// Lets the thread go on at the landing place; `overflow` tells it whether the stack has run out.
pub(super) fn go_on_at(machine: &mut CONTEXT, landing: &Landing, overflow: bool) {
    processor::go_on_at(machine, landing, overflow);
}

/// Abandons the guarded call that has this landing place, at once: nothing in between is unwound.
///
/// # Safety
/// The call is one of this thread's, in progress.
pub(super) unsafe fn leave(landing: &Landing) -> ! {
    // SAFETY: the caller's promise.
    unsafe { processor::leave(landing) }
}
