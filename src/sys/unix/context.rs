//! The machine state of a thread that a signal has interrupted, as the kernel saved it.
//!
//! For each processor: where its stack pointer is, and how the thread is made to go on at another place. What the
//! handler leaves in the saved state is what the thread goes on with.

use crate::guard::Landing;

/// How far below the stack pointer one instruction may reach, before the stack pointer follows.
pub(super) const REACH: usize = arch::REACH;

pub(super) use arch::{Machine, resume, stack_pointer};

/// The saved state, in what the kernel passes to a handler.
///
/// # Safety
/// `saved` is the third argument of a signal handler, which has not returned yet, and nothing else refers to it.
pub(super) unsafe fn machine<'a>(saved: *mut core::ffi::c_void) -> &'a mut Machine {
    // SAFETY: the kernel passes the saved context of the interrupted code.
    let context = unsafe { &mut *saved.cast::<libc::ucontext_t>() };
    #[cfg(target_vendor = "apple")]
    // SAFETY: there the context points to the state, beside it on the handler's stack.
    return unsafe { &mut *context.uc_mcontext };
    #[cfg(not(target_vendor = "apple"))]
    return &mut context.uc_mcontext;
}

#[cfg(all(any(target_os = "linux", target_os = "android"), any(target_arch = "x86_64", target_arch = "x86")))]
mod arch {
    use super::Landing;
    use libc::greg_t;
    #[cfg(target_arch = "x86")]
    use libc::{REG_EIP as INSTRUCTION, REG_ESP as STACK};
    #[cfg(target_arch = "x86_64")]
    use libc::{REG_RIP as INSTRUCTION, REG_RSP as STACK};

    /// The red zone of 128 bytes (of the 64-bit ABI), and what a call pushes.
    pub(super) const REACH: usize = 256;

    pub(in super::super) use libc::mcontext_t as Machine;

    pub(in super::super) fn stack_pointer(machine: &Machine) -> usize {
        machine.gregs.get(STACK as usize).map_or(0, |value| *value as usize)
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut Machine, landing: &Landing) {
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

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "aarch64"))]
mod arch {
    use super::Landing;

    /// There is no red zone, but a store that moves the stack pointer by up to 1024 bytes (a pair of vectors) leaves
    /// it where it was when it faults.
    pub(super) const REACH: usize = 1024;

    pub(in super::super) use libc::mcontext_t as Machine;

    pub(in super::super) fn stack_pointer(machine: &Machine) -> usize {
        machine.sp as usize
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut Machine, landing: &Landing) {
        // State that must not reach our code: the kind of the branch that is under way (bits 10 and 11; the guest
        // may have faulted at the target of one), single step (21), no checks of memory tags (25).
        const UNWANTED: u64 = 0b11 << 10 | 1 << 21 | 1 << 25;
        machine.pc = landing.instruction as u64;
        machine.sp = landing.stack as u64;
        machine.pstate &= !UNWANTED;
    }
}

#[cfg(all(target_os = "linux", target_arch = "riscv64"))]
mod arch {
    use super::Landing;
    pub(in super::super) use libc::mcontext_t as Machine;

    /// There is no red zone, and no instruction moves the stack pointer and stores.
    pub(super) const REACH: usize = 256;

    /// The places of the saved registers: 0 is the program counter, the others are x1 to x31.
    const PROGRAM_COUNTER: usize = 0;
    const STACK: usize = 2;

    pub(in super::super) fn stack_pointer(machine: &Machine) -> usize {
        machine.__gregs.get(STACK).map_or(0, |value| *value as usize)
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut Machine, landing: &Landing) {
        for (register, value) in [(PROGRAM_COUNTER, landing.instruction), (STACK, landing.stack)] {
            if let Some(slot) = machine.__gregs.get_mut(register) {
                *slot = value as libc::c_ulong;
            }
        }
    }
}

#[cfg(all(target_vendor = "apple", target_arch = "x86_64"))]
mod arch {
    use super::Landing;
    pub(in super::super) use libc::__darwin_mcontext64 as Machine;

    /// The red zone of 128 bytes, and what a call pushes.
    pub(super) const REACH: usize = 256;

    pub(in super::super) fn stack_pointer(machine: &Machine) -> usize {
        machine.__ss.__rsp as usize
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut Machine, landing: &Landing) {
        // As on Linux: trap (8), direction (10), alignment check (18).
        const UNWANTED: u64 = 1 << 8 | 1 << 10 | 1 << 18;
        machine.__ss.__rip = landing.instruction as u64;
        machine.__ss.__rsp = landing.stack as u64;
        machine.__ss.__rflags &= !UNWANTED;
    }
}

#[cfg(all(target_vendor = "apple", target_arch = "aarch64"))]
mod arch {
    use super::Landing;
    pub(in super::super) use libc::__darwin_mcontext64 as Machine;

    /// Apple's red zone has 128 bytes; a store that moves the stack pointer reaches further, as on Linux.
    pub(super) const REACH: usize = 1024;

    pub(in super::super) fn stack_pointer(machine: &Machine) -> usize {
        machine.__ss.__sp as usize
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut Machine, landing: &Landing) {
        // As on Linux: the kind of a branch under way (10, 11), single step (21).
        const UNWANTED: u32 = 0b11 << 10 | 1 << 21;
        machine.__ss.__pc = landing.instruction as u64;
        machine.__ss.__sp = landing.stack as u64;
        machine.__ss.__cpsr &= !UNWANTED;
    }
}

#[cfg(all(target_os = "freebsd", target_arch = "x86_64"))]
mod arch {
    use super::Landing;
    pub(in super::super) use libc::mcontext_t as Machine;

    /// The red zone of 128 bytes, and what a call pushes.
    pub(super) const REACH: usize = 256;

    pub(in super::super) fn stack_pointer(machine: &Machine) -> usize {
        machine.mc_rsp as usize
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut Machine, landing: &Landing) {
        // As on Linux: trap (8), direction (10), alignment check (18).
        const UNWANTED: libc::register_t = 1 << 8 | 1 << 10 | 1 << 18;
        machine.mc_rip = landing.instruction as libc::register_t;
        machine.mc_rsp = landing.stack as libc::register_t;
        machine.mc_rflags &= !UNWANTED;
    }
}

#[cfg(all(target_os = "freebsd", target_arch = "aarch64"))]
mod arch {
    use super::Landing;
    pub(in super::super) use libc::mcontext_t as Machine;

    /// A store that moves the stack pointer by up to 1024 bytes, as on Linux.
    pub(super) const REACH: usize = 1024;

    pub(in super::super) fn stack_pointer(machine: &Machine) -> usize {
        machine.mc_gpregs.gp_sp as usize
    }

    /// Lets the interrupted thread go on at the landing place, in the guarded call that is on its stack.
    pub(in super::super) fn resume(machine: &mut Machine, landing: &Landing) {
        // As on Linux: the kind of a branch under way (10, 11), single step (21).
        const UNWANTED: u64 = 0b11 << 10 | 1 << 21;
        machine.mc_gpregs.gp_elr = landing.instruction as libc::register_t;
        machine.mc_gpregs.gp_sp = landing.stack as libc::register_t;
        machine.mc_gpregs.gp_spsr &= !UNWANTED;
    }
}
