//! The guard's block of a thread, where a library has no thread-local memory that is there from a thread's start: on
//! Apple's systems and on Android it is made at the first use, which a signal handler must not do.
//!
//! So it is allocated by whoever calls a guest first, and found again through a key, which is an access to memory and
//! no more.

use crate::guard::Thread;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Once;

/// The key and one, so that 0 means "none yet".
static KEY: AtomicUsize = AtomicUsize::new(0);

/// The block of this thread, if it has one. Allocates nothing and takes no lock.
#[inline]
pub(crate) fn existing() -> *mut Thread {
    match KEY.load(Ordering::Acquire) {
        0 => null_mut(),
        // SAFETY: a key that was made below and is never deleted.
        key => unsafe { libc::pthread_getspecific((key - 1) as libc::pthread_key_t) }.cast(),
    }
}

/// The block of this thread.
#[inline]
pub(crate) fn thread() -> *mut Thread {
    let thread = existing();
    if thread.is_null() { create() } else { thread }
}

#[cold]
fn create() -> *mut Thread {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut key = 0;
        // SAFETY: room for the key, and a function that frees what is stored under it.
        if unsafe { libc::pthread_key_create(&raw mut key, Some(free)) } == 0 {
            KEY.store(key as usize + 1, Ordering::Release);
        }
    });
    if let Some(key) = KEY.load(Ordering::Acquire).checked_sub(1) {
        let thread = Box::into_raw(Box::new(Thread::new()));
        // SAFETY: a key that was made above.
        if unsafe { libc::pthread_setspecific(key as libc::pthread_key_t, thread.cast()) } == 0 {
            return thread;
        }
        // SAFETY: made above and known to nobody.
        drop(unsafe { Box::from_raw(thread) });
    }
    // The process has no key left, or no memory: calls are made, but their faults are not found by the handler.
    thread_local! {
        static UNKNOWN: UnsafeCell<Thread> = const { UnsafeCell::new(Thread::new()) };
    }
    UNKNOWN.with(UnsafeCell::get)
}

/// Called when the thread ends.
unsafe extern "C" fn free(thread: *mut c_void) {
    // SAFETY: stored by `create` on this thread, which no longer calls guests.
    drop(unsafe { Box::from_raw(thread.cast::<Thread>()) });
}
