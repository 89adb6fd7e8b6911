//! A file of ours that is made another one, which costs less than to remove it and to make a new one.

use super::{FileNumber, c_path, identity};
use core::sync::atomic::{AtomicBool, Ordering};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Once;

/// A child has been forked, in which what is unmapped here may be mapped for ever.
static FORKED: AtomicBool = AtomicBool::new(false);

extern "C" fn forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// May files whose images are not mapped any more be written to? It must be asked before the first image is loaded.
pub(crate) fn may_reuse_files() -> bool {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a function that may be called at any time, in the parent and in the child. The C library forgets it
        // when this library is unloaded.
        if unsafe { libc::pthread_atfork(None, Some(forked), Some(forked)) } != 0 {
            forked();
        }
    });
    !FORKED.load(Ordering::Relaxed)
}

/// Gives the file the name `new`, which must be free, and opens it to be written, if it is still the one that is meant;
/// its size. None: it is not, somebody else has a name for it, too, or this file system cannot do that.
pub(crate) fn take_over(old: &Path, new: &Path, is_it: impl FnOnce(FileNumber) -> bool) -> Option<(File, u64)> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(old).ok()?;
    let status = identity(&file, None).ok()?;
    if !is_it((status.id.device, status.id.inode)) || status.links != 1 {
        return None;
    }
    let (from, to) = (c_path(old), c_path(new));
    let here = libc::AT_FDCWD;
    // SAFETY: two strings. (musl has no function for it.)
    let renamed =
        unsafe { libc::syscall(libc::SYS_renameat2, here, from.as_ptr(), here, to.as_ptr(), libc::RENAME_NOREPLACE) };
    (renamed == 0).then_some((file, status.id.size))
}
