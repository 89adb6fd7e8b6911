//! This process, as opposed to the children that it forks, and its threads.

use core::mem::MaybeUninit;
use core::ptr::null_mut;
#[cfg(any(target_os = "linux", target_os = "android"))]
use core::sync::atomic::{AtomicU8, Ordering};
use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that leaves all signals to the threads of the host.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: room for a set, which it fills.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: a set that was filled, and room for another. A thread inherits the mask of the one that starts it.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let thread = Builder::new().name(name.to_owned()).spawn(run);
    // SAFETY: the mask from before; the call above has filled it.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    thread
}

/// Tells a process from the children that it forks: a byte in a page that the kernel empties in them.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) struct Process(*mut AtomicU8);

// SAFETY: an atomic byte that lives as long as the value.
#[cfg(any(target_os = "linux", target_os = "android"))]
unsafe impl Send for Process {}
// SAFETY: as above.
#[cfg(any(target_os = "linux", target_os = "android"))]
unsafe impl Sync for Process {}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Process {
    /// This one. `None`: the system cannot tell them apart.
    pub(crate) fn new() -> Option<Process> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping wherever the system likes.
        let page = unsafe { libc::mmap(null_mut(), 1, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        let process = Process(page.cast());
        // SAFETY: our own page. Linux before 4.14 refuses it.
        let wiped = unsafe { libc::madvise(page, 1, libc::MADV_WIPEONFORK) } == 0;
        process.byte().store(1, Ordering::Relaxed);
        wiped.then_some(process)
    }

    fn byte(&self) -> &AtomicU8 {
        // SAFETY: the first byte of our page, zero or what was stored there.
        unsafe { &*self.0 }
    }

    /// Is it the running one? No system call.
    #[inline]
    pub(crate) fn is_same(&self) -> bool {
        self.byte().load(Ordering::Relaxed) != 0
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: our own mapping.
        unsafe { libc::munmap(self.0.cast(), 1) };
    }
}

/// Tells a process from the children that it forks: its number.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) struct Process(u32);

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Process {
    /// This one.
    pub(crate) fn new() -> Option<Process> {
        Some(Process(std::process::id()))
    }

    /// Is it the running one?
    pub(crate) fn is_same(&self) -> bool {
        self.0 == std::process::id()
    }
}
