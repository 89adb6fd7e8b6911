//! The images that are mapped into the process.

use crate::sys::Module;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::GetModuleFileNameW;
use windows_sys::Win32::System::ProcessStatus::{K32EnumProcessModules, K32GetModuleInformation, MODULEINFO};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// No process has so many.
const MOST: usize = 4096;

/// All of them, with those that belong to the system.
pub(crate) fn modules() -> Vec<Module> {
    let mut handles: Vec<HMODULE> = vec![null_mut(); MOST];
    let room = size_of_val(handles.as_slice()) as u32;
    let mut needed = 0;
    // SAFETY: only names this process.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: room for as many handles as it is told.
    if unsafe { K32EnumProcessModules(process, handles.as_mut_ptr(), room, &raw mut needed) } == 0 {
        return Vec::new();
    }
    handles.truncate(needed as usize / size_of::<HMODULE>());
    handles.into_iter().filter_map(module).collect()
}

fn module(handle: HMODULE) -> Option<Module> {
    let mut information = MaybeUninit::<MODULEINFO>::uninit();
    // SAFETY: only names this process.
    let process = unsafe { GetCurrentProcess() };
    let room = size_of::<MODULEINFO>() as u32;
    // SAFETY: room for the answer; a module that has gone meanwhile is refused.
    if unsafe { K32GetModuleInformation(process, handle, information.as_mut_ptr(), room) } == 0 {
        return None;
    }
    // SAFETY: the call succeeded and has filled it.
    let size = unsafe { information.assume_init() }.SizeOfImage as usize;
    let mut name = vec![0u16; 32 * 1024];
    // SAFETY: room for as many units as it is told.
    let length = unsafe { GetModuleFileNameW(handle, name.as_mut_ptr(), name.len() as u32) } as usize;
    let path = PathBuf::from(OsString::from_wide(name.get(..length)?));
    let base = handle.addr();
    Some(Module { path: path.clone(), file: path, base, extent: base..base.saturating_add(size) })
}
