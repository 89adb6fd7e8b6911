//! Events: what the host is told, and what it answers.

use crate::abi::{cr_answer, cr_event, cr_event_type, cr_plugin, cr_state_report};
use core::ffi::c_void;
use std::ffi::CString;

/// The host's event function with its data.
#[derive(Clone, Copy)]
pub(crate) struct Listener {
    pub(crate) function:
        unsafe extern "C-unwind" fn(*mut cr_plugin, *const cr_event, *mut c_void) -> crate::abi::cr_answer_value,
    pub(crate) data: *mut c_void,
}

/// One event, before it is put into the form that C sees.
pub(crate) struct Event {
    pub(crate) kind: cr_event_type,
    pub(crate) version: u32,
    pub(crate) failure: u32,
    pub(crate) text: String,
    /// What became of the state, if that is what it is about.
    pub(crate) state: *const cr_state_report,
}

impl Listener {
    /// Tells the host. What it answers counts only where the event has such a choice.
    pub(crate) fn tell(&self, ctx: *mut cr_plugin, event: &Event) -> cr_answer {
        let text = CString::new(event.text.as_str()).unwrap_or_default();
        let raw = cr_event {
            size: size_of::<cr_event>(),
            kind: event.kind as u32,
            version: event.version,
            failure: event.failure,
            text: text.as_ptr(),
            state: event.state,
        };
        // SAFETY: the host promised a function that is valid while the plugin is open.
        let answer = unsafe { (self.function)(ctx, &raw const raw, self.data) };
        let choices: &[cr_answer] = match event.kind {
            cr_event_type::CR_EVENT_CHANGED => &[cr_answer::CR_DEFER, cr_answer::CR_SKIP],
            cr_event_type::CR_EVENT_CRASH => &[cr_answer::CR_RETRY, cr_answer::CR_STOP],
            _ => &[],
        };
        choices.iter().copied().find(|choice| *choice as u32 == answer).unwrap_or(cr_answer::CR_GO_ON)
    }
}
