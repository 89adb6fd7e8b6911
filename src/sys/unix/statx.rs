//! What `stat` says, with times of 64 bits where those of `stat` have 32 and end in 2038.

use super::{FileId, FileKind, FileStatus};
use core::ffi::{CStr, c_int};
use core::mem::MaybeUninit;
use std::io;

/// Looks at a path, seen from the open `directory`; `None` if this kernel cannot (before Linux 4.11).
pub(super) fn look(directory: c_int, path: &CStr, flags: c_int) -> Option<io::Result<FileStatus>> {
    let mut answer = MaybeUninit::uninit();
    let (path, mask) = (path.as_ptr(), libc::STATX_BASIC_STATS);
    // SAFETY: a string and room for the answer.
    if unsafe { libc::statx(directory, path, flags, mask, answer.as_mut_ptr()) } != 0 {
        let error = io::Error::last_os_error();
        // Filters of system calls that do not know it answer with the second one.
        return (!matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))).then_some(Err(error));
    }
    // SAFETY: the call succeeded and has filled it.
    let answer = unsafe { answer.assume_init() };
    let kind = match libc::mode_t::from(answer.stx_mode) & libc::S_IFMT {
        libc::S_IFREG => FileKind::Regular,
        libc::S_IFDIR => FileKind::Directory,
        _ => FileKind::Other,
    };
    let id = FileId {
        device: u64::from(answer.stx_dev_major) << 32 | u64::from(answer.stx_dev_minor),
        inode: answer.stx_ino,
        size: answer.stx_size,
        modified: (answer.stx_mtime.tv_sec, answer.stx_mtime.tv_nsec.into()),
    };
    let permissions = u32::from(answer.stx_mode) & 0o777;
    Some(Ok(FileStatus { id, kind, permissions, links: answer.stx_nlink.into() }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)] // a test may

    use super::look;
    use crate::sys::{c_path, stat};
    use std::time::{Duration, SystemTime};

    #[test]
    fn times_after_2038_are_told_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = c_path(file.path());
        let seconds = (1_u64 << 33) + 7;
        file.as_file().set_modified(SystemTime::UNIX_EPOCH + Duration::new(seconds, 9)).unwrap();
        let status = look(libc::AT_FDCWD, &path, 0).expect("statx").unwrap();
        assert_eq!(status.id.modified, (seconds as i64, 9));
        assert_eq!(stat(&path, None).unwrap(), status);
    }
}
