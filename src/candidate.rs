//! A new file, checked and copied before anything happens to the running version.

use crate::error::Error;
use crate::image::{self, Expected, Image, Source, Target};
use crate::sys::{self, FileId, FileKind};
use crate::versions::{Content, Draft, Version, Versions};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::rc::Rc;

/// Up to this size a file is read into memory, checked and changed there, and written out: that takes the fewest system
/// calls. A larger one is copied by the system, which may share the content instead, and its copy is looked into.
const SMALL: u64 = 256 * 1024;

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
    /// Checks the file at `path`, copies it as the version `number` and checks the copy, which is what is loaded. It is
    /// probably the one that was `seen` there.
    pub(crate) fn new(
        path: &Path,
        seen: Option<FileId>,
        versions: &Versions,
        number: u32,
        expected: Expected<'_>,
    ) -> Result<Candidate, Rejection> {
        let file = sys::open_existing(path).map_err(|error| Rejection::of_unopened(path, error))?;
        let status =
            sys::identity(&file, seen).map_err(|error| Rejection { id: None, error: unreadable(path, error) })?;
        let reject = |error| Rejection { id: Some(status.id), error };
        let unreadable = |error| reject(unreadable(path, error));
        if status.kind != FileKind::Regular {
            return Err(reject(Error::NotAFile(path.to_owned())));
        }
        if status.id.size == 0 {
            return Err(reject(Error::Empty(path.to_owned())));
        }
        let settled = || match sys::identity(&file, Some(status.id)) {
            Ok(now) if now.id == status.id => Ok(()),
            Ok(_) => Err(reject(Error::Unsettled(path.to_owned()))),
            Err(error) => Err(unreadable(error)),
        };
        let version = if status.id.size <= SMALL {
            let mut bytes = Vec::with_capacity(status.id.size as usize);
            (&file).take(status.id.size).read_to_end(&mut bytes).map_err(unreadable)?;
            settled()?;
            let image = image::parse(Source::original(&bytes, path), Target::native(), expected).map_err(reject)?;
            image.change(&mut bytes).map_err(reject)?;
            let draft = versions.draft(number, Content::Bytes(&bytes), status.permissions).map_err(reject)?;
            draft.finish_unchanged(Rc::new(image)).map_err(reject)?
        } else {
            let mut head = Vec::with_capacity(image::HEAD);
            (&file).take(image::HEAD as u64).read_to_end(&mut head).map_err(unreadable)?;
            image::precheck(&head, status.id.size, Target::native()).map_err(reject)?;
            (&file).rewind().map_err(unreadable)?;
            let draft = versions.draft(number, Content::Of(&file), status.permissions).map_err(reject)?;
            settled()?;
            let image = examine(&draft, path, expected).map_err(reject)?;
            draft.finish(Rc::new(image)).map_err(reject)?
        };
        Ok(Candidate { id: status.id, version })
    }
}

impl Rejection {
    /// The file could not be opened: is it there, and is it one?
    fn of_unopened(path: &Path, error: io::Error) -> Rejection {
        match sys::stat(&sys::c_path(path), None) {
            Err(source) => Rejection { id: None, error: Error::Missing { path: path.to_owned(), source } },
            Ok(seen) if seen.kind != FileKind::Regular => {
                Rejection { id: Some(seen.id), error: Error::NotAFile(path.to_owned()) }
            }
            Ok(seen) => Rejection { id: Some(seen.id), error: unreadable(path, error) },
        }
    }
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    if sys::is_locked(&source) {
        Error::Unsettled(path.to_owned())
    } else {
        Error::Read { path: path.to_owned(), source }
    }
}

/// Parses the copy, which nobody else writes to.
fn examine(draft: &Draft, path: &Path, expected: Expected<'_>) -> Result<Image, Error> {
    // SAFETY: the file was created by us, exclusively; a program that shortens it would break the guest anyway.
    let bytes = unsafe { sys::map(draft.file()) }.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    image::parse(Source::original(&bytes, path), Target::native(), expected)
}
