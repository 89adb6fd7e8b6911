//! What a host is told.

use super::StateReport;
use crate::abi::{cr_answer, cr_answer_value, cr_event, cr_event_type, cr_plugin};
use core::ffi::{CStr, c_void};
use core::fmt;
use std::rc::Rc;

/// What an event is about; see [`cr_event_type`].
pub use crate::abi::cr_event_type as EventKind;

/// What the host answers; see [`cr_answer`]. It counts for `CR_EVENT_CHANGED` and `CR_EVENT_CRASH`.
pub use crate::abi::cr_answer as Answer;

/// Something has happened, or is about to.
#[derive(Debug, Clone, Copy)]
pub struct Event<'e> {
    /// What it is.
    pub kind: EventKind,
    /// The version that it is about.
    pub version: u32,
    /// What went wrong, see [`cr_failure`](crate::abi::cr_failure), or 0.
    pub failure: u32,
    /// The event in words.
    pub text: &'e str,
    /// With `CR_EVENT_STATE_CARRIED`: what became of the state.
    pub state: Option<StateReport<'e>>,
}

/// A function that is called with each event, on the thread that uses the plugin.
///
/// It cannot reach the [`Plugin`](super::Plugin) that it is about, which is being updated or closed. What it wants of it,
/// it notes, and the host does afterwards. A panic in it passes through the library to the host.
#[derive(Clone)]
pub struct OnEvent(Rc<Function>);

type Function = dyn Fn(&Event<'_>) -> Answer;

impl OnEvent {
    /// Calls this function.
    pub fn new(function: impl Fn(&Event<'_>) -> Answer + 'static) -> OnEvent {
        OnEvent(Rc::new(function))
    }

    /// What [`tell`] gets: the address of this, which must not move.
    pub(super) fn data(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
    }
}

impl fmt::Debug for OnEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnEvent")
    }
}

pub(super) unsafe extern "C-unwind" fn tell(
    _: *mut cr_plugin,
    event: *const cr_event,
    data: *mut c_void,
) -> cr_answer_value {
    // SAFETY: `open_with` passed the address of this box, which lives as long as the plugin.
    let on_event = unsafe { &*data.cast::<OnEvent>() };
    // SAFETY: the library passes an event, valid during the call.
    let raw = unsafe { &*event };
    // SAFETY: never NULL, and valid during the call.
    let text = unsafe { CStr::from_ptr(raw.text) }.to_string_lossy();
    // SAFETY: NULL, or valid until the next reload.
    let state = unsafe { raw.state.as_ref() }.map(StateReport);
    let Some(kind) = cr_event_type::ALL.into_iter().find(|kind| *kind as u32 == raw.kind) else {
        return cr_answer::CR_GO_ON as cr_answer_value;
    };
    let event = Event { kind, version: raw.version, failure: raw.failure, text: &text, state };
    (on_event.0)(&event) as cr_answer_value
}
