//! The machine state of a thread that a signal has interrupted, as the kernel saved it.
//!
//! For each processor: the registers that matter, what a fault has tried to do, and how the thread is made to go on at another place. What the
//! handler leaves in the saved state is what the thread goes on with.

use crate::guard::{Access, Landing, Registers};

/// How far below the stack pointer one instruction may reach, before the stack pointer follows.
pub(super) const REACH: usize = arch::REACH;

pub(super) use arch::{Machine, access, registers, resume};

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

/// What a page fault was about, by the number of the trap and its error code (Intel SDM, volume 3, 4.7).
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
fn x86_access(trap: u64, code: u64) -> Access {
    const PAGE_FAULT: u64 = 14;
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    match code {
        _ if trap != PAGE_FAULT => Access::Unknown,
        code if code & FETCH != 0 => Access::Execute,
        code if code & WRITE != 0 => Access::Write,
        _ => Access::Read,
    }
}

/// What an abort was about, by the exception syndrome (Arm ARM, ESR_EL1).
#[cfg(target_arch = "aarch64")]
#[allow(dead_code)] // not every system tells it
fn arm_access(syndrome: u64) -> Access {
    /// The kinds of exceptions (bits 26 to 31): of an instruction's fetch, and of data.
    const FETCH: u64 = 0x20;
    const DATA: u64 = 0x24;
    const WRITE: u64 = 1 << 6;
    match syndrome >> 26 {
        FETCH => Access::Execute,
        DATA if syndrome & WRITE != 0 => Access::Write,
        DATA => Access::Read,
        _ => Access::Unknown,
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), any(target_arch = "x86_64", target_arch = "x86")))]
mod arch {
    use super::{Access, Landing, Registers};
    use libc::greg_t;
    #[cfg(target_arch = "x86")]
    use libc::{REG_EBP as FRAME, REG_EIP as INSTRUCTION, REG_ESP as STACK};
    #[cfg(target_arch = "x86_64")]
    use libc::{REG_RBP as FRAME, REG_RIP as INSTRUCTION, REG_RSP as STACK};

    /// The red zone of 128 bytes (of the 64-bit ABI), and what a call pushes.
    pub(super) const REACH: usize = 256;

    pub(in super::super) use libc::mcontext_t as Machine;

    pub(in super::super) fn registers(machine: &Machine) -> Registers {
        let get = |register: libc::c_int| machine.gregs.get(register as usize).map_or(0, |value| *value as usize);
        Registers { instruction: get(INSTRUCTION), stack: get(STACK), frame: get(FRAME), ..Registers::default() }
    }

    pub(in super::super) fn access(machine: &Machine) -> Access {
        let get = |register: libc::c_int| machine.gregs.get(register as usize).map_or(0, |value| *value as u64);
        super::x86_access(get(libc::REG_TRAPNO), get(libc::REG_ERR))
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
    use super::{Access, Landing, Registers};

    /// There is no red zone, but a store that moves the stack pointer by up to 1024 bytes (a pair of vectors) leaves
    /// it where it was when it faults.
    pub(super) const REACH: usize = 1024;

    pub(in super::super) use libc::mcontext_t as Machine;

    pub(in super::super) fn registers(machine: &Machine) -> Registers {
        Registers {
            instruction: machine.pc as usize,
            stack: machine.sp as usize,
            frame: machine.regs[29] as usize, // x29, of 31
            link: machine.regs[30] as usize,
            ..Registers::default()
        }
    }

    pub(in super::super) fn access(machine: &Machine) -> Access {
        syndrome(machine).map_or(Access::Unknown, super::arm_access)
    }

    /// Linux puts the exception syndrome into one of the records behind the registers (arch/arm64/include/uapi/asm/sigcontext.h).
    fn syndrome(machine: &Machine) -> Option<u64> {
        const MAGIC: u32 = 0x4553_5201;
        /// Behind the last register, at a multiple of 16.
        const RECORDS: usize = 288;
        let mut at = RECORDS;
        while at + 2 * size_of::<u64>() <= size_of::<Machine>() {
            let record = (&raw const *machine).wrapping_byte_add(at);
            // SAFETY: a record begins with two words, and lies in the kernel's room for them.
            let [magic, size] = unsafe { record.cast::<[u32; 2]>().read() };
            if magic == MAGIC {
                // SAFETY: as above; this record goes on with the syndrome.
                return Some(unsafe { record.wrapping_byte_add(8).cast::<u64>().read() });
            }
            if magic == 0 || size == 0 {
                return None;
            }
            at += size as usize;
        }
        None
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
    use super::{Access, Landing, Registers};
    pub(in super::super) use libc::mcontext_t as Machine;

    /// There is no red zone, and no instruction moves the stack pointer and stores.
    pub(super) const REACH: usize = 256;

    /// The places of the saved registers: 0 is the program counter, the others are x1 to x31.
    const PROGRAM_COUNTER: usize = 0;
    const LINK: usize = 1;
    const STACK: usize = 2;
    const FRAME: usize = 8;

    pub(in super::super) fn registers(machine: &Machine) -> Registers {
        let get = |register: usize| machine.__gregs.get(register).map_or(0, |value| *value as usize);
        Registers {
            instruction: get(PROGRAM_COUNTER),
            stack: get(STACK),
            frame: get(FRAME),
            link: get(LINK),
            ..Registers::default()
        }
    }

    /// Linux does not tell.
    pub(in super::super) fn access(_machine: &Machine) -> Access {
        Access::Unknown
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
    use super::{Access, Landing, Registers};
    pub(in super::super) use libc::__darwin_mcontext64 as Machine;

    /// The red zone of 128 bytes, and what a call pushes.
    pub(super) const REACH: usize = 256;

    pub(in super::super) fn registers(machine: &Machine) -> Registers {
        let state = &machine.__ss;
        let [instruction, stack, frame] = [state.__rip, state.__rsp, state.__rbp].map(|register| register as usize);
        Registers { instruction, stack, frame, ..Registers::default() }
    }

    pub(in super::super) fn access(machine: &Machine) -> Access {
        super::x86_access(machine.__es.__trapno.into(), machine.__es.__err.into())
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
    use super::{Access, Landing, Registers};
    pub(in super::super) use libc::__darwin_mcontext64 as Machine;

    /// Apple's red zone has 128 bytes; a store that moves the stack pointer reaches further, as on Linux.
    pub(super) const REACH: usize = 1024;

    pub(in super::super) fn registers(machine: &Machine) -> Registers {
        let state = &machine.__ss;
        let [instruction, stack, frame, link] =
            [state.__pc, state.__sp, state.__fp, state.__lr].map(|register| register as usize);
        Registers { instruction, stack, frame, link, ..Registers::default() }
    }

    pub(in super::super) fn access(machine: &Machine) -> Access {
        super::arm_access(machine.__es.__esr.into())
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
    use super::{Access, Landing, Registers};
    pub(in super::super) use libc::mcontext_t as Machine;

    /// The red zone of 128 bytes, and what a call pushes.
    pub(super) const REACH: usize = 256;

    pub(in super::super) fn registers(machine: &Machine) -> Registers {
        let [instruction, stack, frame] =
            [machine.mc_rip, machine.mc_rsp, machine.mc_rbp].map(|register| register as usize);
        Registers { instruction, stack, frame, ..Registers::default() }
    }

    pub(in super::super) fn access(machine: &Machine) -> Access {
        super::x86_access(u64::from(machine.mc_trapno), machine.mc_err as u64)
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
    use super::{Access, Landing, Registers};
    pub(in super::super) use libc::mcontext_t as Machine;

    /// A store that moves the stack pointer by up to 1024 bytes, as on Linux.
    pub(super) const REACH: usize = 1024;

    pub(in super::super) fn registers(machine: &Machine) -> Registers {
        let state = &machine.mc_gpregs;
        Registers {
            instruction: state.gp_elr as usize,
            stack: state.gp_sp as usize,
            frame: state.gp_x[29] as usize, // of 30
            link: state.gp_lr as usize,
            ..Registers::default()
        }
    }

    /// The system does not tell.
    pub(in super::super) fn access(_machine: &Machine) -> Access {
        Access::Unknown
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
