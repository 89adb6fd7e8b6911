//! Which objects of an image have destructors.
//!
//! Compilers have a constructed object with static storage registered by `__cxa_atexit`. The image calls it through a
//! slot of its own, in which a function of ours is put: it notes the object, whose bytes are worth nothing once the
//! image has been unloaded, and passes the call on.

use super::write_protected;
use core::ffi::{c_int, c_void};
use core::ops::Range;
use std::sync::{Mutex, MutexGuard, TryLockError};

type Destructor = unsafe extern "C" fn(*mut c_void);

unsafe extern "C" {
    /// Of the C library (Itanium C++ ABI, 3.3.6.3): calls `destructor(object)` when the image of `handle` goes.
    fn __cxa_atexit(destructor: Destructor, object: *mut c_void, handle: *mut c_void) -> c_int;
}

/// The images that are watched, and their objects.
static IMAGES: Mutex<Vec<Image>> = Mutex::new(Vec::new());

struct Image {
    extent: Range<usize>,
    objects: Vec<usize>,
    /// Something was registered without saying what it is for: an array, or a function for the end.
    unknown: bool,
}

/// Notes the objects of an image until it is dropped.
pub(crate) struct Destructors {
    extent: Range<usize>,
}

impl Destructors {
    /// `slots` are the words in the image through which it calls `__cxa_atexit`.
    ///
    /// # Safety
    /// The image is mapped there and relocated, none of its code runs, and the slots are words of it.
    pub(crate) unsafe fn watch(extent: Range<usize>, slots: impl Iterator<Item = usize>) -> Destructors {
        let image = Image { extent: extent.clone(), objects: Vec::new(), unknown: false };
        if let Some(mut images) = images() {
            images.push(image);
        }
        for slot in slots {
            // SAFETY: the caller's promise.
            unsafe { write_protected(&[(slot as *mut usize, note as *const () as usize)]) };
        }
        Destructors { extent }
    }

    /// Where the objects are that have registered a destructor so far, and whether there may be others.
    pub(crate) fn objects(&self) -> (Vec<usize>, bool) {
        let Some(images) = images() else { return (Vec::new(), true) };
        let image = images.iter().find(|image| image.extent == self.extent);
        image.map_or((Vec::new(), true), |image| (image.objects.clone(), image.unknown))
    }
}

impl Drop for Destructors {
    fn drop(&mut self) {
        if let Some(mut images) = images() {
            images.retain(|image| image.extent != self.extent);
        }
    }
}

/// The list, unless a guest that crashed in the middle of a call has left it locked.
fn images() -> Option<MutexGuard<'static, Vec<Image>>> {
    /// Others hold it for a few instructions only.
    const ATTEMPTS: usize = 10_000;
    for _ in 0..ATTEMPTS {
        match IMAGES.try_lock() {
            Ok(images) => return Some(images),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

/// Called by guests in place of `__cxa_atexit`.
unsafe extern "C" fn note(destructor: Destructor, object: *mut c_void, handle: *mut c_void) -> c_int {
    if let Some(mut images) = images()
        && let Some(image) = images.iter_mut().find(|image| image.extent.contains(&handle.addr()))
    {
        if image.extent.contains(&object.addr()) {
            image.objects.push(object.addr());
        } else {
            image.unknown = true;
        }
    }
    // SAFETY: the guest's own call, passed on as it is.
    unsafe { __cxa_atexit(destructor, object, handle) }
}
