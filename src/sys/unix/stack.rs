//! Stacks of threads: their bounds, and the alternate stack that signal handlers run on.

use super::page_size;
use core::cell::RefCell;
use core::mem::MaybeUninit;
use core::ptr::null_mut;

/// Large enough for the handler that was there before us, too: crash reporters print and symbolise on it.
/// Only the pages that are used cost memory.
const ALTERNATE: usize = 256 * 1024;

#[cfg(not(target_os = "freebsd"))]
const NO_RESERVE: libc::c_int = libc::MAP_NORESERVE;
/// Memory is never set aside there.
#[cfg(target_os = "freebsd")]
const NO_RESERVE: libc::c_int = 0;

/// The bounds of the calling thread's stack, low and high; `None` if the system does not tell.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn bounds() -> Option<(usize, usize)> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: only asks.
    let this = unsafe { libc::pthread_self() };
    #[cfg(target_os = "freebsd")]
    // SAFETY: room for attributes, which must be initialised there.
    if unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    #[cfg(target_os = "freebsd")]
    use libc::pthread_attr_get_np as ask;
    #[cfg(not(target_os = "freebsd"))]
    use libc::pthread_getattr_np as ask;
    // SAFETY: room for the answer, about a thread that lives.
    if unsafe { ask(this, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let mut start = null_mut();
    let mut size = 0;
    // SAFETY: the call above has filled the attributes.
    let found = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut size) } == 0;
    // SAFETY: as above; this frees what they hold.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    found.then(|| (start.addr(), start.addr().saturating_add(size)))
}

/// The bounds of the calling thread's stack, low and high; `None` if the system does not tell.
#[cfg(target_vendor = "apple")]
pub(super) fn bounds() -> Option<(usize, usize)> {
    // SAFETY: only asks.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: a thread that lives; the answer is the end, where the stack begins.
    let high = unsafe { libc::pthread_get_stackaddr_np(this) }.addr();
    // SAFETY: as above.
    let size = unsafe { libc::pthread_get_stacksize_np(this) };
    Some((high.checked_sub(size)?, high))
}

/// An alternate signal stack with a guard page below it, freed with its thread.
struct AlternateStack {
    mapping: *mut libc::c_void,
    length: usize,
    /// What the thread had before.
    before: libc::stack_t,
}

thread_local! {
    static OWN: RefCell<Option<AlternateStack>> = const { RefCell::new(None) };
}

/// Sees to it that the calling thread has an alternate stack that is large enough.
///
/// Without one a stack overflow could not be handled: there would be no place for the handler. If it cannot be
/// made, the other faults are still recovered.
pub(super) fn provide_alternate() {
    // It fails when the thread is ending and has freed its locals: then it goes without.
    let _ = OWN.try_with(|own| {
        if own.borrow().is_none() {
            *own.borrow_mut() = AlternateStack::install();
        }
    });
}

impl AlternateStack {
    fn install() -> Option<Self> {
        let before = current()?;
        if before.ss_flags & libc::SS_DISABLE == 0 && before.ss_size >= ALTERNATE / 4 {
            return None; // the host's own will do
        }
        let page = page_size();
        let length = ALTERNATE + page;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | NO_RESERVE;
        // SAFETY: a new mapping wherever the system likes.
        let mapping = unsafe { libc::mmap(null_mut(), length, protection, flags, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return None;
        }
        let own = AlternateStack { mapping, length, before };
        // SAFETY: the first page of our own mapping. If it fails there is no guard page, which is still a stack.
        unsafe { libc::mprotect(mapping, page, libc::PROT_NONE) };
        let stack = libc::stack_t { ss_sp: own.start(), ss_flags: 0, ss_size: ALTERNATE };
        // SAFETY: memory of that size, which lives until the thread ends.
        let installed = unsafe { libc::sigaltstack(&raw const stack, null_mut()) } == 0;
        // If it was refused, dropping `own` frees the memory.
        installed.then_some(own)
    }

    fn start(&self) -> *mut libc::c_void {
        self.mapping.wrapping_byte_add(self.length - ALTERNATE)
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        if current().is_some_and(|stack| stack.ss_sp == self.start() && stack.ss_flags & libc::SS_DISABLE == 0) {
            // SAFETY: what the thread had before, or none; ours is not in use, as we are not in a handler.
            unsafe { libc::sigaltstack(&raw const self.before, null_mut()) };
        }
        // SAFETY: our own mapping, which the system no longer knows as a stack.
        unsafe { libc::munmap(self.mapping, self.length) };
    }
}

fn current() -> Option<libc::stack_t> {
    let mut stack = MaybeUninit::uninit();
    // SAFETY: room for the answer.
    if unsafe { libc::sigaltstack(core::ptr::null(), stack.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded and has filled it.
    Some(unsafe { stack.assume_init() })
}
