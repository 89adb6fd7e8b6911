//! The version in memory: brought up, taken down, and its state.

use super::Plugin;
use super::report::fault_error;
use crate::abi::{cr_event_type, cr_internal, cr_mode};
use crate::context::Context;
use crate::error::Error;
use crate::guard::Fault;
use crate::image::{self, Image, Target};
use crate::loaded::Loaded;
use crate::sys;
use core::ptr::null_mut;
use memmap2::Mmap;
use std::ffi::CString;
use std::fs::File;
use std::path::Path;
use std::rc::Rc;

impl Plugin {
    /// Maps an image, runs its constructors and restores the state.
    pub(super) fn bring_up(
        &self,
        context: Context,
        number: u32,
        path: &Path,
        image: &Rc<Image>,
        restore: bool,
    ) -> Result<(), Error> {
        let mut loaded = Loaded::open(number, path, &self.path, image, &self.main_func, self.guarded)?;
        let constructed = self.inside(|| loaded.construct());
        if let Err(fault) = constructed {
            self.close_loaded(context, loaded);
            return Err(fault_error(fault, "a constructor", number));
        }
        if restore {
            // SAFETY: the image is loaded there with these sections, and none of its code is running.
            unsafe { self.snapshot.borrow().restore(loaded.base(), &image.state) };
        }
        self.show_handle(Some(&loaded));
        self.entry.set(Some(loaded.entry()));
        self.symbols.borrow().follow(|name| loaded.symbol(name));
        self.loaded.replace(Some(loaded));
        if restore {
            self.event(context, cr_event_type::CR_EVENT_STATE_CARRIED, number, || "state carried".into());
        }
        Ok(())
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
        let number = loaded.number();
        let path = loaded.path().to_owned();
        let closed = self.inside(|| loaded.close(self.keep_generations > 0));
        let wanted = closed.image.is_some();
        if let Some(image) = closed.image {
            let mut generations = self.generations.borrow_mut();
            generations.push_back(image);
            if generations.len() > self.keep_generations {
                generations.pop_front();
            }
        }
        if closed.mapped {
            self.versions.borrow_mut().mark_mapped(number);
        }
        if closed.mapped && !wanted {
            let text = || format!("version {number} stays mapped: {}", reason(&path));
            self.info(text);
            self.event(context, cr_event_type::CR_EVENT_STILL_MAPPED, number, text);
        }
        if let Some(fault) = closed.fault {
            self.info(|| fault_error(fault, "a destructor", number).to_string());
        }
        closed.fault
    }

    /// Makes room for the state of the version in memory.
    pub(super) fn reserve_state(&self) -> Result<(), Error> {
        match &*self.loaded.borrow() {
            Some(loaded) if self.mode != cr_mode::CR_DISABLE => {
                self.snapshot.borrow_mut().reserve(&loaded.image().state)
            }
            _ => Ok(()),
        }
    }

    /// Saves the state of the version in memory, for which room was made.
    pub(super) fn save_state(&self) {
        if let Some(loaded) = &*self.loaded.borrow()
            && self.mode != cr_mode::CR_DISABLE
        {
            // SAFETY: the image is loaded there with these sections, and none of its code is running on this thread.
            unsafe { self.snapshot.borrow_mut().save(loaded.base(), &loaded.image().state) };
        }
    }

    /// Is there a state to restore into this image? One that does not fit is an error, or, if `lenient`, dropped.
    pub(super) fn state_fits(&self, image: &Image, lenient: bool) -> Result<bool, Error> {
        if self.mode == cr_mode::CR_DISABLE || self.snapshot.borrow().is_empty() {
            return Ok(false);
        }
        match self.snapshot.borrow().check(&image.state, self.mode) {
            Ok(()) => Ok(true),
            Err(error) if lenient => {
                self.info(|| format!("{error}: initial values are used"));
                Ok(false)
            }
            Err(error) => Err(error),
        }
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
fn reason(path: &Path) -> String {
    let reasons = map(path).map(|bytes| image::reasons_to_stay(&bytes, Target::native())).unwrap_or_default();
    if reasons.is_empty() {
        return "something else holds it, such as a running thread of its own that has opened it once more".into();
    }
    let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    texts.join(", or ")
}

fn map(path: &Path) -> std::io::Result<Mmap> {
    // SAFETY: our own copy; a program that shortens it would break the guest anyway.
    unsafe { Mmap::map(&File::open(path)?) }
}
