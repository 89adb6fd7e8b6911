//! Handles of the guest's symbols that follow it through reloads.

use core::cell;
use core::ffi::c_void;
use core::ptr::null_mut;
use std::ffi::{CStr, CString};
use std::rc::{Rc, Weak};

/// A handle of an exported symbol of the guest; see `cr_plugin_get_symbol`.
#[allow(non_camel_case_types)] // the name is part of the C header
pub struct cr_symbol(pub(crate) Rc<Cell>);

/// What a handle and the plugin share: the name, and where it is now.
pub(crate) struct Cell {
    name: CString,
    address: cell::Cell<*mut c_void>,
}

impl Cell {
    /// The address in the version in memory; NULL while there is none.
    pub(crate) fn get(&self) -> *mut c_void {
        self.address.get()
    }
}

/// The symbols that handles have been asked for. Handles may outlive it: they stay NULL then.
#[derive(Default)]
pub(crate) struct Symbols(Vec<Weak<Cell>>);

impl Symbols {
    /// A handle for this name, which is at this address now.
    pub(crate) fn add(&mut self, name: &CStr, address: *mut c_void) -> Rc<Cell> {
        self.0.retain(|symbol| symbol.strong_count() > 0);
        let symbol = Rc::new(Cell { name: name.to_owned(), address: cell::Cell::new(address) });
        self.0.push(Rc::downgrade(&symbol));
        symbol
    }

    /// Finds all of them anew.
    pub(crate) fn follow(&self, find: impl Fn(&CStr) -> Option<*mut c_void>) {
        for symbol in self.0.iter().filter_map(Weak::upgrade) {
            symbol.address.set(find(&symbol.name).unwrap_or(null_mut()));
        }
    }
}

impl Drop for Symbols {
    fn drop(&mut self) {
        self.follow(|_| None);
    }
}
