//! Calls of the guest, and what the host learns of them and of everything else: failures, events, messages.

use super::{LOAD_FAILED, NONE, Plugin};
use crate::abi::{cr_answer, cr_event_type, cr_log_level, cr_op};
use crate::context::Context;
use crate::crash::{Crash, Guest};
use crate::error::Error;
use crate::event::Event;
use crate::guard::Fault;
use crate::loaded::{Entry, Guard, REFUSED};
use crate::sys::{fault, limit};
use core::cell::Cell;
use core::ffi::c_int;
use core::ptr::null;
use std::ffi::CString;

/// A call into the guest is under way. The count is right also when an exception passes.
pub(super) struct Inside<'a> {
    count: &'a Cell<u32>,
    before: u32,
}

impl Drop for Inside<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.count.set(self.before);
    }
}

impl Plugin {
    /// Calls the entry point. `None`: it faulted, `failure` and the error text are set and the version is the one
    /// to go back to; or there is none.
    #[inline(always)] // into the step, which is what most updates are
    pub(super) fn call(&self, context: Context, operation: cr_op) -> Option<c_int> {
        let entry = self.entry.get()?;
        if self.hang.is_some() && matches!(operation, cr_op::CR_STEP) {
            return self.call_in_time(context, entry);
        }
        // SAFETY: the version is loaded as long as `entry` is set, and nothing unloads it while `inside` counts.
        self.call_inside(context, name(operation), || unsafe { self.guard().call(entry, context.as_ptr(), operation) })
    }

    /// The same for a step that has a time limit.
    #[cold]
    fn call_in_time(&self, context: Context, entry: Entry) -> Option<c_int> {
        let (_limit, guard) = (self.limit(), self.guard());
        // SAFETY: as above.
        self.call_inside(context, name(cr_op::CR_STEP), || unsafe {
            guard.call(entry, context.as_ptr(), cr_op::CR_STEP)
        })
    }

    /// How guest code is called.
    #[inline(always)]
    pub(super) fn guard(&self) -> Guard {
        self.capture.as_deref().map_or(Guard::Off, |capture| Guard::On(&raw const *capture))
    }

    /// The time limit of a step, which begins now.
    fn limit(&self) -> Option<limit::Limit> {
        let (hook, time) = self.hang.as_ref()?;
        let capture = self.capture.as_deref()?;
        let extent = self.loaded.borrow().as_ref()?.extent();
        capture.set_interruptible(extent);
        hook.start(*time, capture)
    }

    /// Makes a call of the guest; a fault in it is a crash of the plugin.
    #[inline(always)]
    pub(super) fn call_inside<T>(
        &self,
        context: Context,
        place: &'static str,
        call: impl FnOnce() -> Result<T, Fault>,
    ) -> Option<T> {
        let inside = self.inside();
        let result = call();
        drop(inside);
        result.map_err(|fault| self.crashed(context, fault, place)).ok()
    }

    /// The guest has crashed in a call: the version to go back to is the last one that worked.
    #[cold]
    fn crashed(&self, context: Context, fault: Fault, place: &'static str) {
        let number = context.version();
        if let Some(loaded) = &*self.loaded.borrow() {
            self.note_crash(fault, place, number, loaded.guest());
        }
        context.set_version(context.last_working_version());
        self.report(context, number, &fault_error(fault, place, number));
    }

    /// Keeps what a crash record is made of, until the next crash.
    pub(super) fn note_crash(&self, fault: Fault, place: &'static str, number: u32, guest: Guest) {
        if fault != REFUSED {
            self.crash.replace(Some(Crash::new(fault, place, number, guest)));
        }
    }

    /// Records what is wrong with the version `number`, a crash or a file that cannot be used, and tells the host.
    pub(super) fn report(&self, context: Context, number: u32, error: &Error) -> c_int {
        let failed = self.fail(context, error);
        if let Error::Fault { .. } = error {
            let answer = self.event(context, cr_event_type::CR_EVENT_CRASH, number, || error.to_string());
            self.after_crash.set(answer);
        } else {
            self.event(context, cr_event_type::CR_EVENT_REJECTED, number, || error.to_string());
        }
        failed
    }

    /// Counts a call into the guest that begins now, until the result is dropped.
    #[inline(always)]
    pub(super) fn inside(&self) -> Inside<'_> {
        let before = self.inside.get();
        self.inside.set(before + 1);
        Inside { count: &self.inside, before }
    }

    #[cold]
    pub(super) fn user_failure(&self, context: Context, value: c_int, operation: cr_op) {
        // A failure that is being recovered from, or that the guest has set itself, stays.
        if context.failure() == NONE {
            let error = Error::User { value, place: name(operation), version: context.version() };
            self.fail(context, &error);
            self.event(context, cr_event_type::CR_EVENT_USER_FAILURE, context.version(), || error.to_string());
        }
    }

    /// Records a failure and returns what update returns for it.
    pub(super) fn fail(&self, context: Context, error: &Error) -> c_int {
        context.set_failure(error.failure());
        let text = error.to_string();
        self.error.replace(c_text(&text));
        if let Some(log) = self.log {
            log.write(cr_log_level::CR_LOG_LEVEL_ERROR, &text);
        }
        LOAD_FAILED
    }

    /// Tells the host, if it wants to know, and returns its answer. It may call in, as the guest may.
    #[inline]
    pub(super) fn event(
        &self,
        context: Context,
        kind: cr_event_type,
        version: u32,
        text: impl FnOnce() -> String,
    ) -> cr_answer {
        let Some(listener) = self.listener else { return cr_answer::CR_GO_ON };
        let is_about_state = kind == cr_event_type::CR_EVENT_STATE_CARRIED;
        let state = if is_about_state { self.state_report() } else { null() };
        let event = Event { kind, version, failure: context.failure(), text: text(), state };
        let _inside = self.inside();
        listener.tell(context.as_ptr(), &event)
    }

    pub(super) fn info(&self, text: impl FnOnce() -> String) {
        if let Some(log) = self.log {
            log.write(cr_log_level::CR_LOG_LEVEL_INFO, &text());
        }
    }

    pub(super) fn trace(&self, function: &str) {
        if let Some(log) = self.log {
            log.write(cr_log_level::CR_LOG_LEVEL_TRACE, function);
        }
    }
}

pub(super) fn fault_error(fault: Fault, place: &'static str, version: u32) -> Error {
    Error::Fault { what: fault::describe(fault), place, version, failure: fault::failure(fault) }
}

fn name(operation: cr_op) -> &'static str {
    match operation {
        cr_op::CR_LOAD => "CR_LOAD",
        cr_op::CR_STEP => "CR_STEP",
        cr_op::CR_UNLOAD => "CR_UNLOAD",
        cr_op::CR_CLOSE => "CR_CLOSE",
    }
}

/// As a C string. Error texts have no NUL; one that had would come out empty.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
