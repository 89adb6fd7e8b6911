//! Telling of changes: here by what one call tells of a file.
//!
//! Notifications of directories are not used, for they hold the directory: it could not be renamed or removed.

use super::loader::prefixed;
use super::os_str;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::os::windows::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_REPARSE_POINT, GetFileAttributesExW, GetFileExInfoStandard, WIN32_FILE_ATTRIBUTE_DATA,
};

/// The file at a path as it was: times, size and attributes. They are told without opening it.
///
/// Its index is not among them. Another file in its place is missed if its times of creation and modification and its
/// size are the same.
pub(crate) struct Subscription {
    path: Vec<u16>,
    before: Entry,
}

#[derive(PartialEq, Eq)]
struct Entry {
    attributes: u32,
    created: (u32, u32),
    modified: (u32, u32),
    size: (u32, u32),
}

impl Subscription {
    /// `None` if there is nothing at the path, or a link, of which the call would tell instead of the file.
    pub(crate) fn new(path: &CStr) -> Option<Subscription> {
        let path = prefixed(Path::new(&os_str(path)));
        let path: Vec<u16> = path.encode_wide().chain([0]).collect();
        let before = entry(&path)?;
        (before.attributes & FILE_ATTRIBUTE_REPARSE_POINT == 0).then_some(Subscription { path, before })
    }

    /// Is the file the same? If it is not there, it is not.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        entry(&self.path).is_some_and(|now| now == self.before)
    }

    /// Nothing wakes the caller: it sleeps, for a moment only.
    pub(crate) fn wait(&self, limit: Duration) {
        std::thread::sleep(limit.min(Duration::from_millis(4)));
    }
}

fn entry(path: &[u16]) -> Option<Entry> {
    let mut found = MaybeUninit::<WIN32_FILE_ATTRIBUTE_DATA>::uninit();
    // SAFETY: a string that ends in NUL, and room for the answer.
    if unsafe { GetFileAttributesExW(path.as_ptr(), GetFileExInfoStandard, found.as_mut_ptr().cast()) } == 0 {
        return None;
    }
    // SAFETY: the call succeeded and has filled it.
    let found = unsafe { found.assume_init() };
    Some(Entry {
        attributes: found.dwFileAttributes,
        created: (found.ftCreationTime.dwHighDateTime, found.ftCreationTime.dwLowDateTime),
        modified: (found.ftLastWriteTime.dwHighDateTime, found.ftLastWriteTime.dwLowDateTime),
        size: (found.nFileSizeHigh, found.nFileSizeLow),
    })
}
