//! What a host may ask for besides updates: reload, rollback, unload, symbols, calls of any function.

use super::{NONE, Plugin, STEP_FAILED};
use crate::abi::{cr_crash, cr_op};
use crate::context::Context;
use crate::loaded::Loaded;
use crate::symbol::cr_symbol;
use core::ffi::{CStr, c_int, c_void};
use core::ptr::null_mut;

/// Any function of the guest but the entry point.
pub(crate) type GuestFunction = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// What calls of the guest ask for that can only be done when they have returned.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) reload: bool,
    pub(super) close: bool,
}

impl Plugin {
    /// Have the calls of the guest asked for something, and have they all returned?
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.get() != Asked::default() && !self.is_inside()
    }

    /// Does what the calls of the guest have asked for; true if the plugin is to be closed.
    ///
    /// If the reload fails, or a failure is in its way, the next update deals with that.
    pub(crate) fn answer_to_asked(&self, context: Context) -> bool {
        let asked = self.asked.take();
        if asked.reload && !asked.close && (context.failure() == NONE || self.notice.get()) {
            self.reload(context);
        }
        asked.close || self.asked.get().close
    }

    /// `cr_plugin_reload`; the outcome is in `failure`.
    pub(crate) fn reload(&self, context: Context) {
        self.trace("cr_plugin_reload");
        if self.is_inside() {
            self.asked.set(Asked { reload: true, ..self.asked.get() });
        } else if self.changed() || self.requested.get() {
            let _ = self.load(context, true);
        }
    }

    /// `cr_plugin_rollback`.
    pub(crate) fn rollback(&self, context: Context) -> bool {
        if self.is_inside() {
            return false;
        }
        // After a failure the version to go back to is set already. Else it is the last one that worked, unless the
        // host has set another, as it had to in the original.
        let well = context.failure() == NONE || self.notice.get();
        let running = self.loaded.borrow().as_ref().map(Loaded::number);
        if well && running == Some(context.version()) && context.last_working_version() > 0 {
            context.set_version(context.last_working_version());
        }
        self.roll_back(context).is_ok()
    }

    /// `cr_plugin_unload`; `tell` is the operation to announce it with.
    pub(crate) fn unload_now(&self, context: Context, tell: Option<cr_op>) -> c_int {
        self.trace("cr_plugin_unload");
        if self.is_inside() || self.entry.get().is_none() {
            return 0;
        }
        let mut result = 0;
        if let Some(operation) = tell {
            let room = self.reserve_state();
            result = self.call(context, operation).unwrap_or(STEP_FAILED);
            if result >= 0 && room.is_ok() {
                self.save_state();
            }
        }
        self.unload(context);
        result
    }

    /// `cr_plugin_request_reload`.
    pub(crate) fn request_reload(&self) {
        self.requested.set(true);
    }

    /// `cr_plugin_symbol`.
    pub(crate) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        self.loaded.borrow().as_ref()?.symbol(name)
    }

    /// `cr_plugin_get_symbol`.
    pub(crate) fn get_symbol(&self, name: &CStr) -> cr_symbol {
        let address = self.symbol(name).unwrap_or(null_mut());
        cr_symbol(self.symbols.borrow_mut().add(name, address))
    }

    /// `cr_plugin_call`. `None`: it crashed, or there is no version in good order to call.
    #[inline]
    pub(crate) fn call_other(
        &self,
        context: Context,
        function: GuestFunction,
        arg: *mut c_void,
    ) -> Option<*mut c_void> {
        if self.entry.get().is_none() || (context.failure() != NONE && !self.notice.get()) {
            return None;
        }
        // SAFETY: the host passed a function of the version that is loaded; nothing unloads it while `inside` counts.
        self.call_inside(context, "a guarded call", || unsafe { self.guard().call_other(function, arg) })
    }

    /// `cr_plugin_crash`.
    pub(crate) fn crash(&self) -> Option<*const cr_crash> {
        let crash = self.crash.borrow();
        // SAFETY: nothing of the guest runs before the record is made.
        let saved = unsafe { self.capture.as_deref()?.saved() };
        Some(crash.as_ref()?.record(saved))
    }
}
