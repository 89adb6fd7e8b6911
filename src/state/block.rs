//! Memory for the carried state, from the host's allocator.

use crate::error::Error;
use core::ffi::c_void;
use core::ptr::NonNull;

/// The host's allocation functions; by default those of the C library.
#[derive(Clone, Copy)]
pub(crate) struct Allocator {
    pub(crate) malloc: unsafe extern "C-unwind" fn(usize) -> *mut c_void,
    pub(crate) realloc: unsafe extern "C-unwind" fn(*mut c_void, usize) -> *mut c_void,
    pub(crate) free: unsafe extern "C-unwind" fn(*mut c_void),
}

impl Default for Allocator {
    fn default() -> Self {
        unsafe extern "C-unwind" fn malloc(size: usize) -> *mut c_void {
            // SAFETY: any size is allowed.
            unsafe { libc::malloc(size) }
        }
        unsafe extern "C-unwind" fn realloc(ptr: *mut c_void, size: usize) -> *mut c_void {
            // SAFETY: `ptr` came from `malloc` above.
            unsafe { libc::realloc(ptr, size) }
        }
        unsafe extern "C-unwind" fn free(ptr: *mut c_void) {
            // SAFETY: `ptr` came from `malloc` or `realloc` above.
            unsafe { libc::free(ptr) }
        }
        Allocator { malloc, realloc, free }
    }
}

/// A piece of the host's memory.
pub(crate) struct Block {
    allocator: Allocator,
    start: NonNull<u8>,
    capacity: usize,
}

impl Block {
    pub(crate) fn new(allocator: Allocator, size: usize) -> Result<Self, Error> {
        // SAFETY: the host promised an allocator that takes any size. Zero may give NULL, so it is not asked for.
        let start = unsafe { (allocator.malloc)(size.max(1)) };
        let start = NonNull::new(start.cast()).ok_or(Error::Memory(size))?;
        Ok(Block { allocator, start, capacity: size })
    }

    /// At least `size` bytes; the content stays, also when there is no memory.
    pub(crate) fn grow(&mut self, size: usize) -> Result<(), Error> {
        if size <= self.capacity {
            return Ok(());
        }
        // SAFETY: the block came from this allocator and is given up only if a new one is returned.
        let start = unsafe { (self.allocator.realloc)(self.start.as_ptr().cast(), size) };
        self.start = NonNull::new(start.cast()).ok_or(Error::Memory(size))?;
        self.capacity = size;
        Ok(())
    }

    /// Takes `size` bytes from `from` to the place `at`, as far as there is room, and returns them.
    ///
    /// # Safety
    /// `from` is readable for `size` bytes.
    pub(crate) unsafe fn fill(&mut self, from: *const u8, at: usize, size: usize) -> &[u8] {
        let at = at.min(self.capacity);
        let size = size.min(self.capacity - at);
        let to = self.start.as_ptr().wrapping_add(at);
        // SAFETY: both sides have that many bytes, and the block is the library's alone.
        unsafe { core::ptr::copy_nonoverlapping(from, to, size) };
        // SAFETY: they have just been initialised.
        unsafe { core::slice::from_raw_parts(to, size) }
    }

    /// Writes `size` bytes to `to`, at most the capacity.
    ///
    /// # Safety
    /// `to` is writable for `size` bytes, and `fill` has set as many.
    pub(crate) unsafe fn pour(&self, to: *mut u8, size: usize) {
        // SAFETY: both sides have that many bytes, and the block is the library's alone.
        unsafe { core::ptr::copy_nonoverlapping(self.start.as_ptr(), to, size.min(self.capacity)) }
    }

    /// The same, but leaves the numbers alone that are not zero any more: what the C runtime of the new image has set up
    /// for itself must not be replaced by what the old one, which is gone, had.
    ///
    /// # Safety
    /// As `pour`.
    pub(crate) unsafe fn pour_into_zeros(&self, to: *mut u8, size: usize) {
        // No larger: a variable of the guest may lie right behind one of the runtime.
        const WORD: usize = size_of::<u32>();
        let size = size.min(self.capacity);
        // SAFETY: `fill` initialised as many bytes.
        let from = unsafe { core::slice::from_raw_parts(self.start.as_ptr(), size) };
        // SAFETY: the caller's promise, and nobody else uses them meanwhile.
        let to = unsafe { core::slice::from_raw_parts_mut(to, size) };
        for (old, new) in from.chunks(WORD).zip(to.chunks_mut(WORD)) {
            if new.iter().all(|byte| *byte == 0) {
                new.copy_from_slice(old);
            }
        }
    }

    /// The first `size` bytes, at most the capacity, which `fill` has set.
    pub(crate) fn bytes(&self, size: usize) -> &[u8] {
        // SAFETY: at most the capacity, and `fill` initialised it.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), size.min(self.capacity)) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block came from this allocator and is not used again.
        unsafe { (self.allocator.free)(self.start.as_ptr().cast()) }
    }
}
