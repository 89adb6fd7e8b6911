//! A time limit for calls of a guest: a timer of the system, whose thread looks where the call is, and interrupts it.

use super::fault::timeout;
use super::machine::{Aligned, FULL, go_on_at, registers};
use crate::error::Error;
use crate::guard::{self, Capture, Thread};
use core::ffi::c_void;
use core::ptr::null_mut;
use std::time::Duration;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::Debug::{GetThreadContext, SetThreadContext};
use windows_sys::Win32::System::Threading::{
    CreateTimerQueueTimer, DeleteTimerQueueTimer, GetCurrentThreadId, OpenThread, ResumeThread, SuspendThread,
    THREAD_GET_CONTEXT, THREAD_SET_CONTEXT, THREAD_SUSPEND_RESUME, WT_EXECUTEDEFAULT,
};

/// After its time a call is tried to be interrupted in these intervals, in milliseconds, until it is in code of the
/// guest.
const AGAIN: u32 = 5;

/// One for each open plugin with a time limit. There is nothing to keep.
pub(crate) struct Hook(());

impl Hook {
    pub(crate) fn new() -> Result<Hook, Error> {
        Ok(Hook(()))
    }

    /// Begins the time of a call that this thread is about to make, until the result is dropped. `None`: the system has
    /// no timer to spare, and the call goes without.
    pub(crate) fn start(&self, limit: Duration, capture: *const Capture) -> Option<Limit> {
        let rights = THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_SET_CONTEXT;
        // SAFETY: only asks.
        let number = unsafe { GetCurrentThreadId() };
        // SAFETY: the number of a thread that lives.
        let thread = unsafe { OpenThread(rights, 0, number) };
        if thread.is_null() {
            return None;
        }
        let call = Box::into_raw(Box::new(Call { thread, block: guard::this_thread(), capture }));
        let mut limit = Limit { timer: null_mut(), call, time: limit.as_millis().min(u32::MAX.into()) as u32 };
        limit.arm().then_some(limit)
    }
}

/// The call that may be interrupted, as the timer's thread sees it.
struct Call {
    thread: HANDLE,
    block: *mut Thread,
    capture: *const Capture,
}

/// The time of a call in progress. It belongs to the thread that makes the call.
pub(crate) struct Limit {
    timer: HANDLE,
    call: *mut Call,
    time: u32,
}

impl Limit {
    fn arm(&mut self) -> bool {
        let (timer, data) = (&raw mut self.timer, self.call.cast_const().cast());
        // SAFETY: room for the timer, a function of the right type, and what it gets, which outlives the timer.
        let made = unsafe {
            CreateTimerQueueTimer(timer, null_mut(), Some(on_time), data, self.time, AGAIN, WT_EXECUTEDEFAULT)
        };
        made != 0
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if !self.timer.is_null() {
            // SAFETY: the timer from above. It waits until `on_time` has returned, if it runs, and it is not called
            // again.
            unsafe { DeleteTimerQueueTimer(null_mut(), self.timer, INVALID_HANDLE_VALUE) };
        }
        // SAFETY: made from a box, and now nobody else has it.
        let call = unsafe { Box::from_raw(self.call) };
        // SAFETY: a handle of our own.
        unsafe { CloseHandle(call.thread) };
    }
}

/// Called by a thread of the system. While the other one is suspended, which may hold any lock, it allocates nothing and
/// takes none.
unsafe extern "system" fn on_time(data: *mut c_void, _fired: bool) {
    // SAFETY: `start` passed it, and `drop` waits for this function.
    let call = unsafe { &*data.cast::<Call>() };
    let mut machine = Aligned::default();
    machine.0.ContextFlags = FULL;
    // SAFETY: a handle with this right.
    if unsafe { SuspendThread(call.thread) } == u32::MAX {
        return;
    }
    // It has stopped when this returns.
    // SAFETY: room for the registers.
    if unsafe { GetThreadContext(call.thread, &raw mut machine.0) } != 0 {
        // SAFETY: the block of a thread that is suspended.
        let landing = unsafe { guard::interrupt(call.block, call.capture, &registers(&machine.0), timeout()) };
        if let Some(landing) = landing {
            go_on_at(&mut machine.0, &landing, false);
            // SAFETY: the landing place wants nothing else.
            unsafe { SetThreadContext(call.thread, &raw const machine.0) };
        }
    }
    // SAFETY: suspended above.
    unsafe { ResumeThread(call.thread) };
}
