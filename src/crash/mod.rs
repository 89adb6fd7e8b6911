//! How a guest has crashed.
//!
//! When it happens little is noted, for the plugin is to go on soon: the fault, the registers and the stack (`guard`),
//! and which image was in memory where. The record is made of it when somebody asks: the stack is unwound from its copy,
//! and the frames are looked up in the files of the images. None of that can be reached from an update, so that a host
//! which never asks does not carry it.

mod record;
mod symbols;
mod text;
mod unwind;

pub(crate) use record::text;
pub(crate) use text::{describe, write};

use crate::abi::cr_crash;
use crate::guard::{Fault, Saved};
use crate::sys::{self, Module, fault};
use crate::versions::Version;
use core::cell::OnceCell;
use record::Record;
use std::rc::Rc;

/// A crash as it was noted, and its record once somebody has asked for it.
pub(crate) struct Crash {
    fault: Fault,
    place: &'static str,
    version: u32,
    thread: u64,
    guest: Guest,
    record: OnceCell<Record>,
}

/// The image that crashed. Its file stays as long as this does.
pub(crate) struct Guest {
    pub(crate) version: Rc<Version>,
    pub(crate) base: usize,
}

impl Crash {
    /// Notes a crash on this thread.
    pub(crate) fn new(fault: Fault, place: &'static str, version: u32, guest: Guest) -> Crash {
        Crash { fault, place, version, thread: sys::thread_id(), guest, record: OnceCell::new() }
    }

    /// The record; `saved` is what the fault hook has left.
    pub(crate) fn record(&self, saved: &Saved) -> *const cr_crash {
        self.record.get_or_init(|| Record::new(self, saved)).as_ptr()
    }

    fn what(&self) -> String {
        fault::describe(self.fault)
    }

    /// The guest as one of the images in memory, where it may no longer be.
    fn module(&self) -> Module {
        let path = self.guest.version.path().to_owned();
        let extent = &self.guest.version.image().extent;
        let place = |address: u64| self.guest.base.wrapping_add(address as usize);
        Module { file: path.clone(), path, base: self.guest.base, extent: place(extent.start)..place(extent.end) }
    }
}
