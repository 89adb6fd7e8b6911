//! Has the file changed?

use crate::sys::{self, FileId, FileKind};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// When a file that was refused is tried once more, although it has not changed: linkers that write through a mapping
/// go on for a while after the system has noted the last change.
const SETTLED: Duration = Duration::from_secs(1);

/// Watches the guest's file by its identity: device, inode, size and modification time in nanoseconds.
pub(crate) struct Watch {
    path: CString,
    /// The file that was last tried, whether it could be loaded or not.
    tried: Option<FileId>,
    /// When it is tried once more.
    again: Option<Instant>,
}

/// What is at the path now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The file that was tried last, a missing one, or an empty one that is yet to be filled.
    Nothing,
    /// Something else.
    Changed(FileId),
}

impl Watch {
    pub(crate) fn new(path: CString) -> Self {
        Watch { path, tried: None, again: None }
    }

    /// One system call.
    pub(crate) fn look(&self) -> Seen {
        match sys::stat(&self.path) {
            Ok(file) if file.kind == FileKind::Regular && file.id.size == 0 => Seen::Nothing,
            Ok(file) if self.tried == Some(file.id) && self.again.is_none_or(|again| Instant::now() < again) => {
                Seen::Nothing
            }
            Ok(file) => Seen::Changed(file.id),
            Err(_) => Seen::Nothing,
        }
    }

    /// From now on this file is no news.
    pub(crate) fn tried(&mut self, id: FileId) {
        self.tried = Some(id);
        self.again = None;
    }

    /// The same for a file that was refused. False if it was refused before and is still the same.
    pub(crate) fn refused(&mut self, id: FileId) -> bool {
        let first = self.tried != Some(id);
        self.tried(id);
        self.again = first.then(|| Instant::now() + SETTLED);
        first
    }
}
