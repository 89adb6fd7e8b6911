//! The dynamic loader.

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

/// The head of glibc's, musl's and the BSDs' `struct link_map` (link.h).
#[repr(C)]
struct LinkMap {
    /// What is added to the addresses in the file.
    base: usize,
}

impl Library {
    /// Loads an image; all symbols are resolved at once and stay its own.
    ///
    /// Its constructors have been taken out of the loader's sight (see `image`), so no guest code runs, save for
    /// resolvers of indirect functions. Where the libraries that it needs are looked for is written in the image
    /// itself; the file that it is a copy of has no part in it.
    pub(crate) fn open(path: &Path, _original: &Path) -> Result<Library, Error> {
        // SAFETY: the image has been checked, and its constructors are hidden; those of the libraries that it
        // needs are run by the loader as in any program.
        let library = unsafe { dl::Library::open(Some(path), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        let handle = library.map_err(|error| Error::Load(load_text(&error)))?.into_raw();
        let mut map: *mut LinkMap = null_mut();
        // SAFETY: a handle from dlopen, and room for a pointer.
        let found = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
        // SAFETY: on success the link map lives as long as the image is loaded.
        match unsafe { map.as_ref() } {
            Some(map) if found == 0 => Ok(Library { handle, base: map.base }),
            _ => {
                drop(Library { handle, base: 0 });
                Err(Error::Internal("the dynamic loader does not tell where the image is"))
            }
        }
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

    /// Is the image of this file still mapped?
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
fn load_text(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { desc } => desc_text(desc),
        other => other.to_string(),
    }
}

fn desc_text(desc: &dyn core::fmt::Debug) -> String {
    format!("{desc:?}").trim_matches('"').to_owned()
}

/// What the dynamic loader passes to constructors on glibc: the program's arguments and its environment.
pub(crate) fn lifecycle_arguments() -> (c_int, *mut c_void, *mut c_void) {
    (ARGC.load(Ordering::Relaxed), ARGV.load(Ordering::Relaxed).cast(), environment())
}

fn environment() -> *mut c_void {
    unsafe extern "C" {
        static environ: *mut *mut c_char;
    }
    // SAFETY: the C library sets it before any code of ours runs; only the pointer is read.
    unsafe { environ.cast() }
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
