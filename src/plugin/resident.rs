//! The version in memory: brought up, taken down, and its state.

use super::Plugin;
use super::report::fault_error;
use crate::abi::{cr_event_type, cr_internal};
use crate::context::Context;
use crate::error::Error;
use crate::guard::Fault;
use crate::image::{self, Target};
use crate::loaded::Loaded;
use crate::state::Plan;
use crate::sys;
use crate::versions::Version;
use core::ptr::null_mut;
use std::ffi::CString;
use std::rc::Rc;

/// Where a fault was that comes up when a version is unloaded.
pub(super) const DESTRUCTOR: &str = "a destructor";

impl Plugin {
    /// Maps an image, runs its constructors and moves the state into it.
    pub(super) fn bring_up<'a>(
        &self,
        context: Context,
        version: &Rc<Version>,
        mut plan: Option<Plan<'a>>,
    ) -> Result<Option<Plan<'a>>, Error> {
        let number = version.number();
        let mut loaded = Loaded::open(version, &self.path, &self.main_func, self.guard())?;
        let constructed = {
            let _inside = self.inside();
            loaded.construct()
        };
        if let Err(fault) = constructed {
            const PLACE: &str = "a constructor";
            self.note_crash(fault, PLACE, number, loaded.guest());
            loaded.keep_first();
            self.close_loaded(context, loaded);
            return Err(fault_error(fault, PLACE, number));
        }
        if let Some(plan) = &mut plan {
            self.carry(plan, &loaded);
        }
        self.show_handle(Some(&loaded));
        self.entry.set(Some(loaded.entry()));
        self.symbols.borrow().follow(|name| loaded.symbol(name));
        self.loaded.replace(Some(loaded));
        if plan.is_some() {
            self.event(context, cr_event_type::CR_EVENT_STATE_CARRIED, number, || "state carried".into());
        }
        Ok(plan)
    }

    /// Unloads the version in memory, if there is one, and returns the fault of a destructor.
    pub(super) fn unload(&self, context: Context) -> Option<Fault> {
        let number = self.loaded.borrow().as_ref()?.number();
        let text = || format!("version {number} is unloaded");
        self.event(context, cr_event_type::CR_EVENT_BEFORE_UNLOAD, number, text);
        self.entry.set(None);
        self.show_handle(None);
        self.symbols.borrow().follow(|_| None);
        let loaded = self.loaded.take()?;
        let fault = self.close_loaded(context, loaded);
        self.event(context, cr_event_type::CR_EVENT_AFTER_UNLOAD, number, text);
        fault
    }

    pub(super) fn close_loaded(&self, context: Context, loaded: Loaded) -> Option<Fault> {
        let (number, guest) = (loaded.number(), loaded.guest());
        let closed = {
            let _inside = self.inside();
            loaded.close(self.keep_generations > 0)
        };
        let wanted = closed.image.is_some();
        if let Some(image) = closed.image {
            let mut generations = self.generations.borrow_mut();
            generations.push_back(image);
            if generations.len() > self.keep_generations {
                generations.pop_front();
            }
        }
        if closed.mapped {
            guest.version.mark_mapped();
        }
        if closed.mapped && !wanted {
            let text = || format!("version {number} stays mapped: {}", reason(&guest.version));
            self.info(text);
            self.event(context, cr_event_type::CR_EVENT_STILL_MAPPED, number, text);
        }
        if let Some(fault) = closed.fault {
            self.info(|| fault_error(fault, DESTRUCTOR, number).to_string());
            self.note_crash(fault, DESTRUCTOR, number, guest);
        }
        closed.fault
    }

    pub(super) fn show_handle(&self, loaded: Option<&Loaded>) {
        let handle = loaded.map_or(null_mut(), Loaded::handle);
        self.head.set(cr_internal { handle, ..self.head.get() });
    }

    pub(super) fn show_temporary_path(&self) {
        let text = match self.versions.borrow().directory() {
            Some(directory) => sys::c_path(&directory.join("")), // with a separator at its end
            None => CString::default(),
        };
        self.temppath.replace(text);
        let temppath = self.temppath.borrow().as_ptr();
        self.head.set(cr_internal { temppath, ..self.head.get() });
    }
}

/// Why is the image of this file still mapped? As far as the file tells; who else has opened it, nobody does.
fn reason(version: &Version) -> String {
    let reasons = version.map().map(|bytes| image::reasons_to_stay(&bytes, Target::native())).unwrap_or_default();
    if reasons.is_empty() {
        return "something else holds it, such as a running thread of its own that has opened it once more".into();
    }
    let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    texts.join(", or ")
}
