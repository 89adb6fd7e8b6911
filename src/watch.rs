//! Has the file changed?

use crate::sys::{self, FileId, FileKind};
use std::ffi::CString;

/// Watches the guest's file by its identity: device, inode, size and modification time in nanoseconds.
pub(crate) struct Watch {
    path: CString,
    /// The file that was last tried, whether it could be loaded or not.
    tried: Option<FileId>,
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
        Watch { path, tried: None }
    }

    /// One system call.
    pub(crate) fn look(&self) -> Seen {
        match sys::stat(&self.path) {
            Ok(file) if file.kind == FileKind::Regular && file.id.size == 0 => Seen::Nothing,
            Ok(file) if self.tried == Some(file.id) => Seen::Nothing,
            Ok(file) => Seen::Changed(file.id),
            Err(_) => Seen::Nothing,
        }
    }

    /// From now on this file is no news.
    pub(crate) fn tried(&mut self, id: FileId) {
        self.tried = Some(id);
    }
}
