//! The machine state of a thread that a signal has interrupted, as the kernel saved it.
//!
//! For each processor: where its stack pointer is, and how the thread is made to go on at another place. What the
//! handler leaves in the saved state is what the thread goes on with.

use crate::guard::Landing;

/// How far below the stack pointer one instruction may reach, before the stack pointer follows.
pub(super) const REACH: usize = arch::REACH;

pub(super) use arch::{resume, stack_pointer};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "x86")))]
mod arch {
    use super::Landing;
    use libc::greg_t;
    #[cfg(target_arch = "x86")]
    use libc::{REG_EIP as INSTRUCTION, REG_ESP as STACK};
    #[cfg(target_arch = "x86_64")]
    use libc::{REG_RIP as INSTRUCTION, REG_RSP as STACK};

    /// The red zone of 128 bytes (of the 64-bit ABI), and what a call pushes.
    pub(super) const REACH: usize = 256;

    pub(in super::super) fn stack_pointer(machine: &libc::mcontext_t) -> usize {
        machine.gregs.get(STACK as usize).map_or(0, |value| *value as usize)
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut libc::mcontext_t, landing: &Landing) {
        // Flags that must not reach our code: trap (8), direction (10), alignment check (18).
        const UNWANTED: greg_t = 1 << 8 | 1 << 10 | 1 << 18;
        let registers = &mut machine.gregs;
        let mut set = |register: libc::c_int, value: greg_t| {
            if let Some(slot) = registers.get_mut(register as usize) {
                *slot = value;
            }
        };
        set(INSTRUCTION, landing.instruction as greg_t);
        set(STACK, landing.stack as greg_t);
        if let Some(flags) = registers.get_mut(libc::REG_EFL as usize) {
            *flags &= !UNWANTED;
        }
    }
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
mod arch {
    use super::Landing;

    /// There is no red zone, but a store that moves the stack pointer by up to 1024 bytes (a pair of vectors) leaves
    /// it where it was when it faults.
    pub(super) const REACH: usize = 1024;

    pub(in super::super) fn stack_pointer(machine: &libc::mcontext_t) -> usize {
        machine.sp as usize
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut libc::mcontext_t, landing: &Landing) {
        // State that must not reach our code: the kind of the branch that is under way (bits 10 and 11; the guest
        // may have faulted at the target of one), single step (21), no checks of memory tags (25).
        const UNWANTED: u64 = 0b11 << 10 | 1 << 21 | 1 << 25;
        machine.pc = landing.instruction as u64;
        machine.sp = landing.stack as u64;
        machine.pstate &= !UNWANTED;
    }
}
