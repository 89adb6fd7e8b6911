//! A time limit for calls of a guest: a timer of the calling thread, whose signal interrupts the call.
//!
//! The signal is one of the real-time signals that nobody uses, so that the host's own alarms are its own. It goes to the
//! thread that makes the call and to no other.

use super::context;
use crate::error::Error;
use crate::guard::{self, Capture, Fault};
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::{null, null_mut};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

/// After its time a call is tried to be interrupted in these intervals, until it is in code of the guest.
const AGAIN: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// How many hooks there are, and the signal.
static HOOKS: Mutex<(usize, c_int)> = Mutex::new((0, 0));

/// Keeps the handler of the signal installed; one for each open plugin with a time limit.
pub(crate) struct Hook {
    signal: c_int,
}

impl Hook {
    pub(crate) fn new() -> Result<Hook, Error> {
        // A poisoned lock still counts right: nothing below panics.
        let mut hooks = HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (count, signal) = &mut *hooks;
        if *count == 0 {
            *signal = install()?;
        }
        *count += 1;
        Ok(Hook { signal: *signal })
    }

    /// Begins the time of a call that this thread is about to make, until the result is dropped. `None`: the system has
    /// no timer to spare, and the call goes without.
    pub(crate) fn start(&self, limit: Duration, capture: *const Capture) -> Option<Limit> {
        let timer = new_timer(self.signal, capture)?;
        let was_blocked = self.unblock();
        let limit_of_call = Limit { hook: self.signal, timer, was_blocked };
        let value = libc::timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as libc::c_long };
        let time = libc::itimerspec { it_interval: AGAIN, it_value: value };
        // SAFETY: a timer of our own.
        unsafe { libc::timer_settime(timer, 0, &raw const time, null_mut()) };
        Some(limit_of_call)
    }

    fn unblock(&self) -> bool {
        unblock(self.signal)
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let mut hooks = HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        hooks.0 -= 1;
        if hooks.0 == 0 && handler_of(self.signal) == handler() {
            let mut default: libc::sigaction = zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            // SAFETY: the default action.
            unsafe { libc::sigaction(self.signal, &raw const default, null_mut()) };
        }
    }
}

/// The time of a call in progress. It belongs to the thread that makes the call.
pub(crate) struct Limit {
    hook: c_int,
    timer: libc::timer_t,
    was_blocked: bool,
}

impl Drop for Limit {
    fn drop(&mut self) {
        // A signal that is still to come, because the guest has blocked it, comes now and finds no call.
        unblock(self.hook);
        // SAFETY: a timer of our own, not used any more.
        unsafe { libc::timer_delete(self.timer) };
        if self.was_blocked {
            change_mask(libc::SIG_BLOCK, self.hook);
        }
    }
}

/// A timer that will send this signal to this thread, with this value.
fn new_timer(signal: c_int, value: *const Capture) -> Option<libc::timer_t> {
    let mut event: libc::sigevent = zeroed();
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event.sigev_value.sival_ptr = value.cast_mut().cast();
    // SAFETY: only asks.
    event.sigev_notify_thread_id = unsafe { libc::syscall(libc::SYS_gettid) } as c_int;
    let mut timer = MaybeUninit::uninit();
    // SAFETY: a description, and room for the timer.
    let result = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()) };
    // SAFETY: the call has filled it if it succeeded.
    (result == 0).then(|| unsafe { timer.assume_init() })
}

/// Can a timer send it? Under an emulator there may be fewer signals than the processor's programs count on.
fn can_be_sent(signal: c_int) -> bool {
    let Some(timer) = new_timer(signal, null()) else { return false };
    // SAFETY: our own timer, which was never started.
    unsafe { libc::timer_delete(timer) };
    true
}

/// Takes the last real-time signal that has no handler.
fn install() -> Result<c_int, Error> {
    // The very last one is taken by debugging tools.
    let mut signals = (libc::SIGRTMIN()..libc::SIGRTMAX()).rev();
    let free = signals.find(|signal| handler_of(*signal) == libc::SIG_DFL && can_be_sent(*signal));
    let signal =
        free.ok_or_else(|| Error::Option("flags has CR_GUARD_HANG, but no real-time signal is free".into()))?;
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = handler();
    // ONSTACK: little of the guest's may be left. RESTART: its system calls go on when it cannot be interrupted yet.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: a handler of the right type.
    if unsafe { libc::sigaction(signal, &raw const action, null_mut()) } == 0 {
        Ok(signal)
    } else {
        Err(Error::Option(format!("flags has CR_GUARD_HANG: {}", io::Error::last_os_error())))
    }
}

fn handler() -> usize {
    on_time as *const () as usize
}

fn handler_of(signal: c_int) -> usize {
    let mut action: libc::sigaction = zeroed();
    // SAFETY: only asks, and there is room for the answer.
    unsafe { libc::sigaction(signal, null(), &raw mut action) };
    action.sa_sigaction
}

/// Lets the signal through on this thread; was it blocked?
fn unblock(signal: c_int) -> bool {
    let before = change_mask(libc::SIG_UNBLOCK, signal);
    // SAFETY: an initialised set and a signal that exists.
    unsafe { libc::sigismember(&raw const before, signal) == 1 }
}

/// Changes the mask of this thread by one signal; the mask from before.
fn change_mask(how: c_int, signal: c_int) -> libc::sigset_t {
    let mut only: libc::sigset_t = zeroed();
    // SAFETY: a set, and a signal that exists.
    unsafe { libc::sigaddset(&raw mut only, signal) };
    let mut before: libc::sigset_t = zeroed();
    // SAFETY: two sets.
    unsafe { libc::pthread_sigmask(how, &raw const only, &raw mut before) };
    before
}

/// What the kernel tells of a timer's signal (siginfo.h).
#[repr(C)]
struct TimerSignal {
    number: c_int,
    error: c_int,
    code: c_int,
    timer: Timer,
}

#[repr(C)]
struct Timer {
    id: c_int,
    overrun: c_int,
    value: *mut c_void,
}

/// The handler. It allocates nothing and takes no lock.
unsafe extern "C-unwind" fn on_time(_signal: c_int, info: *mut libc::siginfo_t, saved: *mut c_void) {
    // SAFETY: the kernel passes the signal's description, which is longer than this.
    let signal = unsafe { &*info.cast::<TimerSignal>() };
    // SAFETY: the kernel's argument, which only this handler uses.
    let machine = unsafe { context::machine(saved) };
    if signal.code != libc::SI_TIMER {
        return; // somebody else's, who has come later; the signal had no action before
    }
    let fault = Fault { code: libc::SIGALRM as u32, ..Fault::default() };
    let registers = context::registers(machine);
    // SAFETY: this thread, which is stopped in this handler.
    let landing = unsafe { guard::interrupt(guard::this_thread(), signal.timer.value.cast(), &registers, fault) };
    if let Some(landing) = landing {
        context::resume(machine, &landing);
    }
}

fn zeroed<T: Plain>() -> T {
    // SAFETY: what `Plain` promises.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// # Safety
/// A structure of the C library for which all zeros are valid.
unsafe trait Plain {}
// SAFETY: no notification.
unsafe impl Plain for libc::sigevent {}
// SAFETY: the default action without flags.
unsafe impl Plain for libc::sigaction {}
// SAFETY: no signals.
unsafe impl Plain for libc::sigset_t {}
