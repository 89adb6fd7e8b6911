//! The images that are mapped into the process.

use crate::sys::Module;
#[cfg(not(target_vendor = "apple"))]
use core::ffi::{c_int, c_void};

/// All of them, with those that belong to the system.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn modules() -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    // SAFETY: the function is called before this returns, with the pointer that it casts back.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut modules).cast()) };
    modules
}

#[cfg(not(target_vendor = "apple"))]
unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _size: usize, modules: *mut c_void) -> c_int {
    use std::ffi::CStr;
    // SAFETY: the loader passes a description that is valid during the call.
    let info = unsafe { &*info };
    // SAFETY: the pointer that `modules` passed, which nobody else uses meanwhile.
    let modules = unsafe { &mut *modules.cast::<Vec<Module>>() };
    // SAFETY: the loader's own string.
    let name = if info.dlpi_name.is_null() { c"" } else { unsafe { CStr::from_ptr(info.dlpi_name) } };
    // SAFETY: so many program headers lie there, in the image.
    let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let base = info.dlpi_addr as usize;
    let loads = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let start = loads.clone().map(|header| header.p_vaddr as usize).min().unwrap_or(0);
    let end = loads.map(|header| (header.p_vaddr as usize).saturating_add(header.p_memsz as usize)).max().unwrap_or(0);
    // The program itself has no name, and comes first.
    let (path, file) = if name.is_empty() && modules.is_empty() {
        let path = std::env::current_exe().unwrap_or_default();
        // The file that runs, also when a newer one has taken its name.
        let file = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { path.clone() };
        (path, file)
    } else {
        let path = std::path::PathBuf::from(super::os_str(name).into_owned());
        (path.clone(), path)
    };
    modules.push(Module { path, file, base, extent: base.wrapping_add(start)..base.wrapping_add(end) });
    0
}

/// Not asked yet: of a crash record's frames only those of the guest name their image.
#[cfg(target_vendor = "apple")]
pub(crate) fn modules() -> Vec<Module> {
    Vec::new()
}
