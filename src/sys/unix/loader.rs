//! The dynamic loader.

use super::bias::bias;
use crate::error::Error;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use libloading::os::unix as dl;
use std::path::Path;

/// An image that the dynamic loader has mapped.
pub(crate) struct Library {
    handle: *mut c_void,
    base: usize,
}

impl Library {
    /// Loads an image; all symbols are resolved at once and stay its own.
    ///
    /// Its constructors have been taken out of the loader's sight (see `image`), so no guest code runs, save for
    /// resolvers of indirect functions. Where the libraries that it needs are looked for is written in the image
    /// itself; the file that it is a copy of has no part in it. `entry` is an exported function.
    ///
    /// On Apple's systems constructors stay the loader's, and run now.
    pub(crate) fn open(path: &Path, _original: &Path, entry: &CStr, _needed: &[String]) -> Result<Library, Error> {
        // SAFETY: the image has been checked, and its constructors are hidden; those of the libraries that it
        // needs are run by the loader as in any program.
        let library = unsafe { dl::Library::open(Some(path), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        let handle = library.map_err(|error| Error::Load(load_text(&error, path)))?.into_raw();
        // From here on dropping it gives the image back.
        let mut library = Library { handle, base: 0 };
        let Some(entry) = library.symbol(entry) else {
            return Err(Error::NoEntry(entry.to_string_lossy().into_owned()));
        };
        library.base =
            bias(handle, entry).ok_or(Error::Internal("the dynamic loader does not tell where the image is"))?;
        Ok(library)
    }

    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle
    }

    /// What is added to the addresses in the file.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// The address of an exported symbol.
    pub(crate) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: a handle from dlopen and a string.
        let address = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    }

    /// Is the image of this file, which was at this address, still mapped? Other systems are quicker to ask for that.
    pub(crate) fn is_still_mapped(path: &Path, _base: usize) -> bool {
        Library::is_mapped(path)
    }

    /// Is the image of this file still mapped? The dynamic loader knows images by the names that they were loaded by.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_mapped(path: &Path) -> bool {
        /// Compares one name; what is not 0 ends the search.
        unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, wanted: *mut c_void) -> c_int {
            // SAFETY: what `is_mapped` has passed.
            let wanted = unsafe { &*wanted.cast::<std::ffi::CString>() };
            // SAFETY: the loader's description of an image, valid during the call.
            let name = unsafe { (*info).dlpi_name };
            // SAFETY: a string if it is there.
            c_int::from(!name.is_null() && unsafe { CStr::from_ptr(name) } == wanted.as_c_str())
        }
        let mut wanted = super::c_path(path);
        // SAFETY: a function that calls nothing, and what it takes.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut wanted).cast()) != 0 }
    }

    /// Is the image of this file still mapped?
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn is_mapped(path: &Path) -> bool {
        // SAFETY: RTLD_NOLOAD loads nothing.
        match unsafe { dl::Library::open(Some(path), libc::RTLD_LAZY | libc::RTLD_NOLOAD) } {
            Ok(library) => {
                let _ = library.close();
                true
            }
            Err(_) => false,
        }
    }
}

impl Drop for Library {
    /// Gives the image back to the loader, which unmaps it if nothing else holds it.
    fn drop(&mut self) {
        // SAFETY: a handle from dlopen, given up here.
        let library = unsafe { dl::Library::from_raw(self.handle) };
        // It fails only for what is no handle.
        let _ = library.close();
    }
}

/// The loader's text without libloading's frame around it.
fn load_text(error: &libloading::Error, _path: &Path) -> String {
    let text = match error {
        libloading::Error::DlOpen { desc } => desc_text(desc),
        other => other.to_string(),
    };
    #[cfg(target_vendor = "apple")]
    if super::apple::is_quarantined(_path) {
        // The mark is not ours to take off: it is the system's question whether its user trusts the file.
        return format!("{text} (the file is quarantined; if you trust it: xattr -d com.apple.quarantine <file>)");
    }
    text
}

fn desc_text(desc: &dyn core::fmt::Debug) -> String {
    format!("{desc:?}").trim_matches('"').to_owned()
}

/// What the dynamic loader passes to constructors on glibc: the program's arguments and its environment.
pub(crate) fn lifecycle_arguments() -> (c_int, *mut c_void, *mut c_void) {
    (ARGC.load(Ordering::Relaxed), ARGV.load(Ordering::Relaxed).cast(), environment())
}

#[cfg(not(target_vendor = "apple"))]
fn environment() -> *mut c_void {
    unsafe extern "C" {
        static environ: *mut *mut c_char;
    }
    // SAFETY: the C library sets it before any code of ours runs; only the pointer is read.
    unsafe { environ.cast() }
}

/// A library there has no such variable, and nothing of ours calls constructors.
#[cfg(target_vendor = "apple")]
fn environment() -> *mut c_void {
    null_mut()
}

static ARGC: AtomicI32 = AtomicI32::new(0);
static ARGV: AtomicPtr<*mut c_char> = AtomicPtr::new(null_mut());

/// glibc calls it with the program's arguments, both in a program and in a shared library; they can be had in no
/// other way. Other C libraries pass nothing, and so do we there.
#[cfg(target_env = "gnu")]
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_ARGUMENTS: unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = {
    unsafe extern "C" fn note(argc: c_int, argv: *mut *mut c_char, _environment: *mut *mut c_char) {
        ARGC.store(argc, Ordering::Relaxed);
        ARGV.store(argv, Ordering::Relaxed);
    }
    note
};
