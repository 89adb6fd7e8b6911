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

/// All of them, with those that belong to the system.
#[cfg(target_vendor = "apple")]
pub(crate) fn modules() -> Vec<Module> {
    // SAFETY: only asks.
    let count = unsafe { dyld::_dyld_image_count() };
    (0..count).filter_map(dyld::module).collect()
}

/// What the dynamic loader tells of images (mach-o/dyld.h).
#[cfg(target_vendor = "apple")]
mod dyld {
    use crate::sys::Module;
    use crate::sys::unix::{apple, os_str};
    use core::ffi::{CStr, c_char, c_void};
    use goblin::mach::constants::VM_PROT_EXECUTE;
    use std::path::PathBuf;

    unsafe extern "C" {
        pub(super) fn _dyld_image_count() -> u32;
        fn _dyld_get_image_header(index: u32) -> *const c_void;
        fn _dyld_get_image_name(index: u32) -> *const c_char;
        fn _dyld_get_image_vmaddr_slide(index: u32) -> isize;
    }

    pub(super) fn module(index: u32) -> Option<Module> {
        // SAFETY: only asks; what has gone meanwhile is NULL.
        let header = unsafe { _dyld_get_image_header(index) };
        // SAFETY: as above.
        let name = unsafe { _dyld_get_image_name(index) };
        if header.is_null() || name.is_null() {
            return None;
        }
        // SAFETY: only asks.
        let base = unsafe { _dyld_get_image_vmaddr_slide(index) } as usize;
        // SAFETY: the loader's own string.
        let path = PathBuf::from(os_str(unsafe { CStr::from_ptr(name) }).into_owned());
        // SAFETY: an image that is mapped. Nobody unloads another one while a crash record is made of it.
        let segments = unsafe { apple::segments(header) };
        // Its code: of the system's libraries, which lie in a cache of them all, the rest is elsewhere.
        let code = segments.filter(|segment| segment.initprot & VM_PROT_EXECUTE != 0);
        let ranges = code.map(|segment| {
            let start = base.wrapping_add(segment.vmaddr as usize);
            start..start.wrapping_add(segment.vmsize as usize)
        });
        let extent = ranges.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))?;
        Some(Module { path: path.clone(), file: path, base, extent })
    }
}
