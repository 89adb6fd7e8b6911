//! A file that was made by us, and goes with its owner.

use super::{Content, split};
use crate::sys::{self, FileNumber};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Dropped, the file is removed. Another one that has taken its place is not ours.
pub(crate) struct OwnFile {
    path: PathBuf,
    number: FileNumber,
    /// What it was made with.
    permissions: u32,
}

impl OwnFile {
    /// The open file at this path, which was just made.
    pub(super) fn new(path: PathBuf, file: &File, permissions: u32) -> io::Result<OwnFile> {
        Ok(OwnFile { number: sys::number(file)?, path, permissions })
    }

    /// Gives it another name, which must be free, and another content; nobody has it mapped. None: that cannot be done,
    /// and it is removed.
    pub(super) fn reuse(mut self, path: &Path, content: Content<'_>, permissions: u32) -> Option<(OwnFile, File)> {
        if permissions != self.permissions || !sys::may_reuse_files() {
            return None;
        }
        let (file, size) = sys::take_over(&self.path, path, |found| found == self.number)?;
        path.clone_into(&mut self.path);
        let written = match content {
            Content::Of(source) => {
                sys::copy(source, &file).ok()?;
                sys::identity(source, None).ok()?.id.size
            }
            Content::Bytes(bytes) => {
                sys::write_at(&file, bytes, 0).ok()?;
                bytes.len() as u64
            }
        };
        if size > written {
            file.set_len(written).ok()?;
        }
        Some((self, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Is the file that was made still there?
    pub(super) fn is_intact(&self) -> bool {
        sys::number_at(&sys::c_path(&self.path)).is_ok_and(|found| found == self.number)
    }

    /// Opens the file that was made, to read it.
    pub(super) fn open(&self) -> Option<File> {
        let file = File::open(&self.path).ok()?;
        (sys::number(&file).ok()? == self.number).then_some(file)
    }

    /// False if it is still there, and ours.
    pub(super) fn remove(&self) -> bool {
        !self.is_intact() || sys::remove(&self.path).is_ok()
    }

    /// Gives it a name with the number of this process, under which it is swept when the process has ended.
    fn mark_stale(&self) {
        let process = format!(".{}", std::process::id());
        let (stem, extension) = split(self.path.file_name().unwrap_or_default());
        if stem.as_encoded_bytes().windows(process.len()).any(|part| part == process.as_bytes()) {
            return; // it has one
        }
        for again in 0..1000 {
            let mut name = stem.to_owned();
            name.push(&process);
            if again > 0 {
                name.push(format!("-{again}"));
            }
            name.push(&extension);
            let path = self.path.with_file_name(name);
            if !path.exists() {
                // If it cannot be renamed, there is nobody to tell and nothing to do.
                let _ = fs::rename(&self.path, path);
                return;
            }
        }
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // Windows removes no file that is mapped or held.
        if !self.remove() {
            self.mark_stale();
        }
    }
}
