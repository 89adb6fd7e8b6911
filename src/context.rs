//! The caller's `cr_plugin`, which the guest and the host write to as well.

use crate::abi::cr_plugin;
use core::ffi::c_void;

/// The fields of the caller's struct. Each access is a separate read or write, as the guest has the same pointer.
#[derive(Clone, Copy)]
pub(crate) struct Context(*mut cr_plugin);

macro_rules! field {
    ($get:ident, $set:ident, $type:ty) => {
        #[inline]
        pub(crate) fn $get(self) -> $type {
            // SAFETY: the promise made to `new`.
            unsafe { (*self.0).$get }
        }
        #[inline]
        pub(crate) fn $set(self, value: $type) {
            // SAFETY: as above.
            unsafe { (*self.0).$get = value }
        }
    };
}

impl Context {
    /// # Safety
    /// `ctx` points to a `cr_plugin` that no other thread uses while this value does.
    pub(crate) unsafe fn new(ctx: *mut cr_plugin) -> Context {
        Context(ctx)
    }

    pub(crate) fn as_ptr(self) -> *mut cr_plugin {
        self.0
    }

    field!(p, set_p, *mut c_void);
    field!(version, set_version, u32);
    field!(failure, set_failure, u32);
    field!(next_version, set_next_version, u32);
    field!(last_working_version, set_last_working_version, u32);
}
