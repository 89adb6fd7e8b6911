//! A new file, checked and copied before anything happens to the running version.

use crate::error::Error;
use crate::image::{self, Image, Target};
use crate::sys::{self, FileId, FileKind};
use crate::versions::{Draft, Version, Versions};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::rc::Rc;

/// A file that can be loaded, as far as can be known without loading it.
pub(crate) struct Candidate {
    pub(crate) id: FileId,
    pub(crate) version: Version,
}

/// A file that cannot be loaded: which, if it was there, and why.
pub(crate) struct Rejection {
    pub(crate) id: Option<FileId>,
    pub(crate) error: Error,
}

impl Candidate {
    /// Checks the file at `path`, copies it as the version `number` and checks the copy, which is what is loaded.
    pub(crate) fn new(path: &Path, versions: &Versions, number: u32, entry: &str) -> Result<Candidate, Rejection> {
        let seen = sys::stat(&sys::c_path(path))
            .map_err(|source| Rejection { id: None, error: Error::Missing { path: path.to_owned(), source } })?;
        let reject = |error| Rejection { id: Some(seen.id), error };
        if seen.kind != FileKind::Regular {
            return Err(reject(Error::NotAFile(path.to_owned())));
        }
        if seen.id.size == 0 {
            return Err(reject(Error::Empty(path.to_owned())));
        }
        let unreadable = |source| {
            let locked = sys::is_locked(&source);
            reject(if locked {
                Error::Unsettled(path.to_owned())
            } else {
                Error::Read { path: path.to_owned(), source }
            })
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let status = sys::identity(&file).map_err(unreadable)?;
        let reject = |error| Rejection { id: Some(status.id), error };
        let mut head = Vec::with_capacity(image::HEAD);
        (&file).take(image::HEAD as u64).read_to_end(&mut head).map_err(unreadable)?;
        image::precheck(&head, status.id.size, Target::native()).map_err(reject)?;

        file.rewind().map_err(unreadable)?;
        let draft = versions.draft(number, &file, status.permissions).map_err(reject)?;
        if sys::identity(&file).map_err(unreadable)?.id != status.id {
            return Err(reject(Error::Unsettled(path.to_owned())));
        }
        let image = examine(&draft, path, entry).map_err(reject)?;
        let version = draft.finish(Rc::new(image)).map_err(reject)?;
        Ok(Candidate { id: status.id, version })
    }
}

/// Parses the copy, which nobody else writes to.
fn examine(draft: &Draft, path: &Path, entry: &str) -> Result<Image, Error> {
    // SAFETY: the file was created by us, exclusively; a program that shortens it would break the guest anyway.
    let bytes =
        unsafe { memmap2::Mmap::map(draft.file()) }.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    image::parse(&bytes, Target::native(), entry)
}
