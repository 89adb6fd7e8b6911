//! The dynamic loader.

use super::runtime;
use crate::error::Error;
use core::ffi::{CStr, c_int, c_void};
use core::ptr::null_mut;
use libloading::os::windows as dl;
use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use windows_sys::Win32::Foundation::{ERROR_BAD_EXE_FORMAT, ERROR_MOD_NOT_FOUND, ERROR_PROC_NOT_FOUND, HMODULE};
use windows_sys::Win32::System::LibraryLoader as kernel;

/// An image that the dynamic loader has mapped.
pub(crate) struct Library {
    handle: HMODULE,
}

impl Library {
    /// Loads an image with all that it needs.
    ///
    /// Its entry point (DllMain, which runs the constructors) has been taken out of the loader's sight (see `image`),
    /// so no code of the guest runs, save for callbacks of thread-local storage. A fault in one of those is the
    /// loader's, which catches it.
    ///
    /// The libraries that it needs are looked for beside the image, beside the `original` that it is a copy of, and
    /// then where programs look.
    pub(crate) fn open(path: &Path, original: &Path, _entry: &CStr, needed: &[String]) -> Result<Library, Error> {
        let all_loaded = needed.iter().all(|name| is_loaded(name));
        let _beside = (path.parent() != original.parent()).then(|| original.parent().map(SearchPath::with));
        // SAFETY: the image has been checked, and its constructors are hidden; those of the libraries that it needs
        // are run by the loader as in any program.
        let library = unsafe { dl::Library::load_with_flags(long(path), dl::LOAD_WITH_ALTERED_SEARCH_PATH) };
        let missing = |name: &&String| {
            let beside = |place: &Path| place.with_file_name(name.as_str()).exists();
            !beside(path) && !beside(original) && !is_found(name)
        };
        let handle = library.map_err(|error| Error::Load(load_text(&error, needed.iter().find(missing))))?.into_raw();
        if !all_loaded {
            // It may have brought a C runtime of its own.
            runtime::hook();
        }
        Ok(Library { handle: handle as HMODULE })
    }

    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle
    }

    /// What is added to the addresses in the file, which are relative to the image.
    pub(crate) fn base(&self) -> usize {
        self.handle.addr()
    }

    /// The address of an exported symbol.
    pub(crate) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: a handle from the loader and a string.
        let address = unsafe { kernel::GetProcAddress(self.handle, name.as_ptr().cast()) };
        address.map(|function| function as *mut c_void)
    }

    /// Is the image of this file, which was at this address, still mapped? Mostly there is none at all, and to know that
    /// takes no file.
    pub(crate) fn is_still_mapped(path: &Path, base: usize) -> bool {
        let mut handle = null_mut();
        let flags =
            kernel::GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT | kernel::GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
        let address = core::ptr::without_provenance(base);
        // SAFETY: an address, which is only compared with those of images, and room for the answer, which is not used.
        let some = unsafe { kernel::GetModuleHandleExW(flags, address, &raw mut handle) } != 0;
        some && Library::is_mapped(path)
    }

    /// Is the image of this file mapped?
    pub(crate) fn is_mapped(path: &Path) -> bool {
        let name: Vec<u16> = long(path).encode_wide().chain([0]).collect();
        let mut handle = null_mut();
        let flags = kernel::GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
        // SAFETY: a string, and room for the answer, which is not used.
        unsafe { kernel::GetModuleHandleExW(flags, name.as_ptr(), &raw mut handle) != 0 }
    }
}

impl Drop for Library {
    /// Gives the image back to the loader, which unmaps it if nothing else holds it.
    fn drop(&mut self) {
        // SAFETY: a handle from the loader, given up here.
        let library = unsafe { dl::Library::from_raw(self.handle as _) };
        // It fails only for what is no handle.
        let _ = library.close();
    }
}

/// The path as the loader takes it at any length. Only absolute paths get here.
fn long(path: &Path) -> OsString {
    let mut result = prefixed(path);
    if path.extension().is_none() {
        // Or the loader would add one.
        result.push(".");
    }
    result
}

/// The path with the prefix that makes it be taken as it is, if it is too long without.
pub(super) fn prefixed(path: &Path) -> OsString {
    // What the functions of the system take without the prefix, less room for a file's name in a directory.
    const SHORT: usize = 247;
    let text = path.as_os_str();
    let bytes = text.as_encoded_bytes();
    if text.len() <= SHORT || bytes.starts_with(br"\\?\") || bytes.starts_with(br"\\.\") {
        return text.to_owned();
    }
    // Behind the prefix nothing is interpreted, so the separators must be right.
    let plain: PathBuf = path.components().collect();
    let mut result = OsString::from(if bytes.starts_with(br"\\") { r"\\?\UNC" } else { r"\\?\" });
    let wide: Vec<u16> = plain.as_os_str().encode_wide().skip(usize::from(bytes.starts_with(br"\\"))).collect();
    result.push(OsString::from_wide(&wide));
    result
}

/// A directory in which the loader looks, too, while this lives.
struct SearchPath {
    before: Vec<u16>,
    _only: std::sync::MutexGuard<'static, ()>,
}

impl SearchPath {
    fn with(directory: &Path) -> SearchPath {
        /// There is one such directory for the whole process.
        static ONLY: Mutex<()> = Mutex::new(());
        let only = ONLY.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: asks for the length, which counts the NUL, or 0.
        let length = unsafe { kernel::GetDllDirectoryW(0, null_mut()) };
        let mut before = vec![0; length as usize + 1];
        // SAFETY: room for as many units as the length says.
        unsafe { kernel::GetDllDirectoryW(length + 1, before.as_mut_ptr()) };
        let directory: Vec<u16> = directory.as_os_str().encode_wide().chain([0]).collect();
        // SAFETY: a string. If it fails, the loader looks where it always does.
        unsafe { kernel::SetDllDirectoryW(directory.as_ptr()) };
        SearchPath { before, _only: only }
    }
}

impl Drop for SearchPath {
    fn drop(&mut self) {
        // NULL is the normal order; an empty string would take the current directory out of it.
        let before = if self.before.first() == Some(&0) { core::ptr::null() } else { self.before.as_ptr() };
        // SAFETY: NULL or the string that the system gave us.
        unsafe { kernel::SetDllDirectoryW(before) };
    }
}

/// Is there a library of this name in the process?
fn is_loaded(name: &str) -> bool {
    dl::Library::open_already_loaded(name).is_ok()
}

/// Is there a library of this name where programs look?
fn is_found(name: &str) -> bool {
    // SAFETY: as a file with data: nothing of it runs.
    unsafe { dl::Library::load_with_flags(name, dl::LOAD_LIBRARY_AS_DATAFILE) }.is_ok()
}

/// The loader's reason in words. It does not tell which library or function is meant; `missing` is one that is not
/// there.
fn load_text(error: &libloading::Error, missing: Option<&String>) -> String {
    let source = match error {
        libloading::Error::LoadLibraryExW { source } => source,
        other => return other.to_string(),
    };
    // The system's own error is inside, behind libloading's type.
    let inner = std::error::Error::source(error).and_then(|inner| inner.downcast_ref::<io::Error>());
    let text = inner.map_or_else(|| format!("{source:?}"), ToString::to_string);
    let code = inner.and_then(io::Error::raw_os_error).unwrap_or(0);
    let more = match code.cast_unsigned() {
        ERROR_MOD_NOT_FOUND if let Some(name) = missing => &*format!(" (it needs {name}, which is missing)"),
        ERROR_MOD_NOT_FOUND => " (a library that it needs is missing)",
        ERROR_PROC_NOT_FOUND => " (a library that it needs lacks a function)",
        ERROR_BAD_EXE_FORMAT => " (it, or a library that it needs, is no image for this machine)",
        _ => "",
    };
    format!("the dynamic loader refuses it: {text}{more}")
}

/// What the loader passes to DllMain besides the operation: the image, and NULL for one that is loaded dynamically.
pub(crate) fn lifecycle_arguments() -> (c_int, *mut c_void, *mut c_void) {
    (0, null_mut(), null_mut())
}
