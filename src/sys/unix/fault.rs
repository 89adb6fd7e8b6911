//! Faults as POSIX signals: the handler, and what was there before it.

use super::{context, stack};
use crate::abi::cr_failure;
use crate::guard::{self, Access, Fault, Registers, Thread};
use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;

/// The signals that a fault of a guest raises, with their names and values for `cr_plugin.failure`.
const SIGNALS: [(c_int, &str, u32); 6] = [
    (libc::SIGSEGV, "SIGSEGV", cr_failure::CR_SEGFAULT as u32),
    (libc::SIGBUS, "SIGBUS", cr_failure::CR_MISALIGN as u32),
    (libc::SIGILL, "SIGILL", cr_failure::CR_ILLEGAL as u32),
    (libc::SIGABRT, "SIGABRT", cr_failure::CR_ABORT as u32),
    (libc::SIGFPE, "SIGFPE", cr_failure::CR_OTHER as u32 + libc::SIGFPE as u32),
    (libc::SIGTRAP, "SIGTRAP", cr_failure::CR_OTHER as u32 + libc::SIGTRAP as u32),
];

/// The value for `cr_plugin.failure`.
pub(crate) fn failure(fault: Fault) -> u32 {
    if fault.overflow {
        return cr_failure::CR_STACKOVERFLOW as u32;
    }
    let known = SIGNALS.iter().find(|(signal, ..)| *signal as u32 == fault.code);
    known.map_or(cr_failure::CR_OTHER as u32 + fault.code, |(.., failure)| *failure)
}

/// The fault in words.
pub(crate) fn describe(fault: Fault) -> String {
    let name = SIGNALS.iter().find(|(signal, ..)| *signal as u32 == fault.code).map_or("signal", |(_, name, _)| name);
    match (fault.address, fault.code as c_int) {
        (None, libc::SIGALRM) => "no end within the time limit (SIGALRM)".to_owned(),
        (Some(address), _) if fault.overflow => format!("stack overflow ({name} at address {address:#x})"),
        (Some(address), libc::SIGSEGV | libc::SIGBUS) => format!("{name} at address {address:#x}"),
        _ => name.to_owned(),
    }
}

/// Prepares a thread for its first guarded call.
pub(crate) fn prepare_thread(thread: &mut Thread) {
    // Not zero in any case: that would mean "not prepared".
    let (low, high) = stack::bounds().unwrap_or((1, 1));
    stack::provide_alternate();
    thread.stack_low = low;
    thread.stack_high = high;
}

/// Keeps the handlers installed; one for each open plugin.
pub(crate) struct Hook(());

/// How many hooks there are.
static HOOKS: Mutex<usize> = Mutex::new(0);

impl Hook {
    pub(crate) fn new() -> Hook {
        // A poisoned lock still counts right: nothing below panics.
        let mut hooks = HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *hooks == 0 {
            install();
        }
        *hooks += 1;
        Hook(())
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let mut hooks = HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *hooks -= 1;
        if *hooks == 0 {
            restore();
        }
    }
}

/// A signal's action before ours, in a form that the handler can read without a lock. It is written while our
/// handler is not installed.
struct Previous {
    handler: AtomicUsize,
    flags: AtomicI32,
    mask: AtomicU64,
}

/// The part of a signal set that is kept: the first 64 signals, or all that the system has.
const MASK: usize = if size_of::<libc::sigset_t>() < 8 { size_of::<libc::sigset_t>() } else { 8 };

static PREVIOUS: [Previous; SIGNALS.len()] = [const {
    Previous { handler: AtomicUsize::new(libc::SIG_DFL), flags: AtomicI32::new(0), mask: AtomicU64::new(0) }
}; SIGNALS.len()];

impl Previous {
    fn set(&self, action: &libc::sigaction) {
        self.handler.store(action.sa_sigaction, Ordering::Release);
        self.flags.store(action.sa_flags, Ordering::Release);
        let mut mask = 0;
        let set = (&raw const action.sa_mask).cast::<u8>();
        // SAFETY: a signal set is plain words, and both have so many bytes.
        unsafe { set.copy_to_nonoverlapping((&raw mut mask).cast(), MASK) };
        self.mask.store(mask, Ordering::Release);
    }

    fn get(&self) -> libc::sigaction {
        let mut action = empty_action();
        action.sa_sigaction = self.handler.load(Ordering::Acquire);
        action.sa_flags = self.flags.load(Ordering::Acquire);
        let mask = self.mask.load(Ordering::Acquire);
        let set = (&raw mut action.sa_mask).cast::<u8>();
        // SAFETY: as in `set`.
        unsafe { set.copy_from_nonoverlapping((&raw const mask).cast(), MASK) };
        action
    }
}

fn empty_action() -> libc::sigaction {
    // SAFETY: all zeros is the default action without flags.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn our_action() -> libc::sigaction {
    let mut action = empty_action();
    action.sa_sigaction = on_signal as *const () as usize;
    // ONSTACK: an overflow leaves no room elsewhere. NODEFER: the handler of before may never return, and the
    // signal must not stay blocked then. RESTART: a signal sent by someone is passed on, system calls go on.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | libc::SA_RESTART;
    action
}

fn current_action(signal: c_int) -> libc::sigaction {
    let mut action = empty_action();
    // SAFETY: only asks, and there is room for the answer.
    unsafe { libc::sigaction(signal, null(), &raw mut action) };
    action
}

fn set_action(signal: c_int, action: &libc::sigaction) {
    // SAFETY: either our own handler or an action that the system gave us.
    unsafe { libc::sigaction(signal, action, null_mut()) };
}

fn install() {
    let ours = our_action();
    for ((signal, ..), previous) in SIGNALS.iter().zip(&PREVIOUS) {
        let before = current_action(*signal);
        // Someone may have put back what they found; ours must not precede itself.
        if before.sa_sigaction != ours.sa_sigaction {
            previous.set(&before);
        }
        set_action(*signal, &ours);
    }
}

fn restore() {
    for ((signal, ..), previous) in SIGNALS.iter().zip(&PREVIOUS) {
        // A handler installed after ours stays, and may go on calling ours.
        if current_action(*signal).sa_sigaction == our_action().sa_sigaction {
            set_action(*signal, &previous.get());
        }
    }
}

/// The handler. It allocates nothing and takes no lock.
unsafe extern "C-unwind" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, saved: *mut c_void) {
    // SAFETY: the kernel passes the signal's description.
    let description = unsafe { &*info };
    // SAFETY: the kernel's argument, which only this handler uses.
    let machine = unsafe { context::machine(saved) };
    let registers = context::registers(machine);
    let landing = if is_own(description) {
        let access = context::access(machine);
        guard::armed(&registers, |thread| classify(signal, description, &registers, access, thread))
    } else {
        None
    };
    match landing {
        // The kernel restores the signal mask and leaves the alternate stack when we return.
        Some(landing) => context::resume(machine, &landing),
        // SAFETY: the kernel's own arguments.
        None => unsafe { pass_on(signal, info, saved) },
    }
}

/// Does the signal come from the running code itself: from the processor, or raised by this process?
///
/// One that another process sends is addressed to the host, wherever it arrives.
fn is_own(info: &libc::siginfo_t) -> bool {
    if info.si_code > 0 && !SENT.contains(&info.si_code) {
        return true;
    }
    if !SENT.contains(&info.si_code) && !SENDER_MAY_BE_UNKNOWN {
        return false;
    }
    // SAFETY: with these codes the sender is set, or 0.
    let sender = unsafe { info.si_pid() };
    // SAFETY: only asks.
    sender == unsafe { libc::getpid() } || sender == 0 && SENDER_MAY_BE_UNKNOWN
}

/// What `si_code` is for signals that a process has sent (`kill`, `raise`, `pthread_kill`, `sigqueue`).
#[cfg(any(target_os = "linux", target_os = "android"))]
const SENT: [c_int; 3] = [libc::SI_USER, libc::SI_TKILL, libc::SI_QUEUE];
/// SI_USER, SI_QUEUE and SI_LWP of FreeBSD (sys/signal.h).
#[cfg(target_os = "freebsd")]
const SENT: [c_int; 3] = [0x10001, 0x10002, 0x10007];
/// SI_USER and SI_QUEUE of Apple's systems (sys/signal.h).
#[cfg(target_vendor = "apple")]
const SENT: [c_int; 2] = [0x10001, 0x10002];

/// Apple's kernel leaves code and sender of some raised signals 0.
const SENDER_MAY_BE_UNKNOWN: bool = cfg!(target_vendor = "apple");

fn classify(signal: c_int, info: &libc::siginfo_t, registers: &Registers, access: Access, thread: &Thread) -> Fault {
    // Raised signals have no address, and neither has what the kernel cannot explain (a general protection fault).
    let by_processor = info.si_code > 0 && info.si_code != SI_KERNEL && !SENT.contains(&info.si_code);
    // SAFETY: a signal of the processor, which has an address.
    let address = by_processor.then(|| unsafe { info.si_addr() }.addr());
    // The page below a stack is mapped, without access. Where that is a SIGBUS, its codes mean other things.
    let on_memory = signal == libc::SIGSEGV && matches!(info.si_code, SEGV_MAPERR | SEGV_ACCERR)
        || signal == libc::SIGBUS && cfg!(any(target_vendor = "apple", target_os = "freebsd"));
    let overflow = on_memory && address.is_some_and(|address| beyond_stack(address, registers.stack, thread));
    let access = match address {
        Some(address) if on_memory && address == registers.instruction => Access::Execute,
        Some(_) if on_memory || signal == libc::SIGBUS => access,
        _ => Access::Unknown,
    };
    Fault { code: signal as u32, address, access, overflow }
}

/// Copies memory that may not be there; false if it is not. For the fault hook and what it has saved.
///
/// # Safety
/// There is room for `len` bytes at `to`.
pub(crate) unsafe fn read_memory(to: *mut u8, from: usize, len: usize) -> bool {
    unsafe extern "C-unwind" fn copy(to: *mut c_void, len: usize, from: *mut c_void) -> usize {
        // SAFETY: room for them, by the caller's promise; if they are not there the guard ends the call.
        unsafe { core::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), len) };
        0
    }
    // A fault in it comes to the handler again, which may be running already: its signals are not blocked in it.
    // SAFETY: the function holds nothing when it is abandoned.
    unsafe { guard::call(copy, to.cast(), len, from as *mut c_void, null()) }.is_ok()
}

/// siginfo_t.si_code of SIGSEGV (POSIX, signal.h), the same on all systems.
const SEGV_MAPERR: c_int = 1;
const SEGV_ACCERR: c_int = 2;
/// Sent by the kernel for a reason of its own (Linux, asm-generic/siginfo.h).
const SI_KERNEL: c_int = 0x80;

/// Is this address a part of the stack that could not be had?
fn beyond_stack(address: usize, stack_pointer: usize, thread: &Thread) -> bool {
    let lowest = stack_pointer.saturating_sub(context::REACH);
    // With one huge frame the stack pointer may be far below its stack.
    let reach = 1 << 30;
    let on_own_stack = stack_pointer < thread.stack_high && stack_pointer > thread.stack_low.saturating_sub(reach);
    // All of a thread's own stack above the stack pointer is mapped, unless it has run out. Of other stacks
    // (coroutines) we know nothing but the stack pointer.
    let highest = if on_own_stack { thread.stack_high } else { stack_pointer.saturating_add(4096) };
    (lowest..highest).contains(&address)
}

/// # Safety
/// The kernel's arguments of a signal handler.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, saved: *mut c_void) {
    let index = SIGNALS.iter().position(|(known, ..)| *known == signal);
    let Some(previous) = index.and_then(|index| PREVIOUS.get(index)) else { return };
    let action = previous.get();
    // SAFETY: the caller's promise.
    let code = unsafe { (*info).si_code };
    // By a process, not by an instruction.
    let raised = code <= 0 || SENT.contains(&code);
    match action.sa_sigaction {
        libc::SIG_IGN if raised => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            set_action(signal, &action);
            // The faulting instruction is executed again and meets the default action: the process dies as if we
            // were not here, with the core of the true place. Where nothing is executed again (a signal that was
            // sent, a breakpoint instruction, which is past), the same signal is sent again.
            if raised || signal == libc::SIGTRAP {
                // SAFETY: the caller's promise.
                unsafe { send_again(signal, info) };
            }
        }
        // SAFETY: a handler that the host installed for this signal, with what the kernel passed.
        handler => unsafe { call_previous(handler, &action, previous, signal, info, saved) },
    }
}

/// Sends a signal with its description to this thread, to arrive when the handler returns.
///
/// # Safety
/// `info` is the kernel's.
unsafe fn send_again(signal: c_int, info: *mut libc::siginfo_t) {
    let mut only = empty_set();
    // SAFETY: an initialised set and a signal that exists.
    unsafe { libc::sigaddset(&raw mut only, signal) };
    // SAFETY: an initialised set. Blocked now; returning from the handler restores the mask.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const only, null_mut()) };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the caller's promise.
    unsafe {
        queue(signal, info)
    };
    // Elsewhere the description cannot be sent along.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    // SAFETY: a signal that exists, to this thread.
    unsafe {
        let _ = info;
        libc::pthread_kill(libc::pthread_self(), signal)
    };
}

/// # Safety
/// As above.
#[cfg(any(target_os = "linux", target_os = "android"))]
unsafe fn queue(signal: c_int, info: *mut libc::siginfo_t) {
    // SAFETY: only asks.
    let process = unsafe { libc::getpid() };
    // SAFETY: only asks.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: a process may send itself any description (rt_tgsigqueueinfo(2)).
    unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, info) };
}

/// Calls the handler of before, with the mask that it asked for.
///
/// # Safety
/// `handler` is a handler that was installed with `action`; the rest are the kernel's arguments.
unsafe fn call_previous(
    handler: usize,
    action: &libc::sigaction,
    previous: &Previous,
    signal: c_int,
    info: *mut libc::siginfo_t,
    saved: *mut c_void,
) {
    if action.sa_flags & libc::SA_RESETHAND != 0 {
        previous.handler.store(libc::SIG_DFL, Ordering::Release);
    }
    let mut mask = action.sa_mask;
    if action.sa_flags & libc::SA_NODEFER == 0 {
        // SAFETY: an initialised set and a signal that exists.
        unsafe { libc::sigaddset(&raw mut mask, signal) };
    }
    let mut before = empty_set();
    // SAFETY: two initialised sets.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, &raw mut before) };
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = unsafe extern "C-unwind" fn(c_int, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: with this flag it is such a function.
        let handler = unsafe { transmute::<usize, Handler>(handler) };
        // SAFETY: the kernel's arguments.
        unsafe { handler(signal, info, saved) };
    } else {
        // SAFETY: without the flag it is such a function.
        let handler = unsafe { transmute::<usize, unsafe extern "C-unwind" fn(c_int)>(handler) };
        // SAFETY: the kernel's argument.
        unsafe { handler(signal) };
    }
    // SAFETY: an initialised set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, null_mut()) };
}

fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: room for a set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: zeroed and then set by the call.
    unsafe { set.assume_init() }
}
