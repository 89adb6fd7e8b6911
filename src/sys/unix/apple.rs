//! What only Apple's systems have.

use super::c_path;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use goblin::mach::header::Header64;
use goblin::mach::load_command::{LC_SEGMENT_64, LoadCommandHeader, SegmentCommand64};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Creates `path`, which is not there yet, as a copy of the open file, sharing its blocks; `None` if the file system
/// cannot.
///
/// The copy is whole as soon as it has a name. It must never be written to afterwards: the kernel remembers signatures
/// by file, and ends processes whose pages do not match.
pub(super) fn clone_new(source: &File, path: &Path) -> Option<io::Result<File>> {
    // clonefile.h: the copy belongs to whoever makes it.
    const CLONE_NOOWNERCOPY: u32 = 2;
    let name = c_path(path);
    // SAFETY: an open descriptor and a string; an absolute path needs no directory.
    let done = unsafe { libc::fclonefileat(source.as_raw_fd(), libc::AT_FDCWD, name.as_ptr(), CLONE_NOOWNERCOPY) };
    if done == 0 {
        return Some(File::open(path));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOTSUP | libc::EXDEV | libc::EINVAL) => None,
        _ => Some(Err(error)),
    }
}

/// Copies the content of an open file into another, as fast as the system can, and its attributes, as a clone has them:
/// what is quarantined stays so.
pub(crate) fn copy(source: &File, target: &File) -> io::Result<()> {
    const WHAT: libc::copyfile_flags_t = libc::COPYFILE_DATA | libc::COPYFILE_XATTR;
    // SAFETY: two open descriptors, and no state of the copying is kept.
    let done = unsafe { libc::fcopyfile(source.as_raw_fd(), target.as_raw_fd(), null_mut(), WHAT) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Does the system ask its user before this file is run?
pub(super) fn is_quarantined(path: &Path) -> bool {
    const NAME: &CStr = c"com.apple.quarantine";
    const NO_FLAGS: c_int = 0;
    let path = c_path(path);
    // SAFETY: two strings; without room for it the value's size is told, or -1 if there is none.
    let size = unsafe { libc::getxattr(path.as_ptr(), NAME.as_ptr(), null_mut(), 0, 0, NO_FLAGS) };
    size >= 0
}

/// The segments of an image, by the load commands behind its header.
///
/// # Safety
/// The image is mapped, and stays so while they are used.
pub(super) unsafe fn segments<'a>(header: *const c_void) -> impl Iterator<Item = &'a SegmentCommand64> {
    // SAFETY: the caller's promise.
    let count = unsafe { &*header.cast::<Header64>() }.ncmds;
    let mut next = header.wrapping_byte_add(size_of::<Header64>());
    let commands = (0..count).map(move |_| {
        // SAFETY: the loader has mapped and checked the load commands, of which there are so many.
        let command = unsafe { &*next.cast::<LoadCommandHeader>() };
        let place = next;
        next = next.wrapping_byte_add(command.cmdsize as usize);
        (command.cmd, place)
    });
    // SAFETY: a command of this kind is a segment's.
    commands.filter(|(kind, _)| *kind == LC_SEGMENT_64).map(|(_, place)| unsafe { &*place.cast() })
}
