//! The numbered copies on disk: made, named, swept and removed.
//!
//! A version is never loaded from the guest's own file, which the linker will overwrite, but from a copy beside it
//! (or in the temporary path): `<base><N><ext>`, or `<base><N>.<pid><ext>` if that name is taken. A file that is
//! not ours is never opened for writing and never removed.

mod own_file;
mod pdb;

use crate::error::Error;
use crate::image::{Image, Patch};
use crate::sys::{self, Library};
use core::cell::Cell;
use memmap2::Mmap;
use own_file::OwnFile;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How many copies of former versions stay, to roll back to. The original keeps them all.
const KEEP: usize = 8;

/// A name with a process number below this is left alone at the sweep: it may be somebody's `libfoo1.2.so`, and
/// the first numbers of a system belong to services that live as long as it does.
const LEAST_SWEPT_PROCESS: u32 = 100;

/// What a version's copy is made of.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    /// An open file, which is at its beginning.
    Of(&'a File),
    Bytes(&'a [u8]),
}

/// A version's copy that is being made. Dropped, it is removed.
pub(crate) struct Draft {
    copy: Version,
    file: File,
    /// The guest's own file, and the PDB that is copied if it is not to be looked for.
    original: PathBuf,
    pdb: Option<PathBuf>,
}

/// A version's copy on disk. Dropped, it is removed.
pub(crate) struct Version {
    number: u32,
    file: OwnFile,
    pdb: Option<OwnFile>,
    image: Rc<Image>,
    /// An image that was loaded from it is still in memory, though it was unloaded.
    mapped: Cell<bool>,
}

/// All copies of one plugin.
pub(crate) struct Versions {
    original: PathBuf,
    directory: Option<PathBuf>,
    copies: Vec<Rc<Version>>,
    /// No longer wanted, but a crash record may still be made of it, or it is still mapped: Windows does not remove such
    /// files.
    unwanted: Vec<Rc<Version>>,
    /// The file of one that is no longer wanted: the next version's content goes into it, under its own name. On most file
    /// systems that is far cheaper than to remove one file and make another.
    spare: Cell<Option<OwnFile>>,
}

impl Versions {
    pub(crate) fn new(original: PathBuf, directory: Option<PathBuf>) -> Self {
        let versions =
            Versions { original, directory, copies: Vec::new(), unwanted: Vec::new(), spare: Cell::default() };
        versions.sweep();
        // From now on it must be known whether the process has children.
        sys::may_reuse_files();
        versions
    }

    /// From now on copies are made here; `None` stands for the guest's own directory.
    pub(crate) fn set_directory(&mut self, directory: Option<PathBuf>) {
        self.directory = directory;
        // It may be on another file system.
        self.spare.take();
        self.sweep();
    }

    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// A file for the version `number`.
    pub(crate) fn draft(&self, number: u32, content: Content<'_>, permissions: u32) -> Result<Draft, Error> {
        let (own, file) = self.create(number, content, permissions)?;
        let copy = Version { number, file: own, pdb: None, image: Rc::default(), mapped: Cell::new(false) };
        Ok(Draft { copy, file, original: self.original.clone(), pdb: None })
    }

    /// A new file under the first name that is free.
    fn create(&self, number: u32, content: Content<'_>, permissions: u32) -> Result<(OwnFile, File), Error> {
        let suffix = |attempt: u32| match attempt {
            0 => String::new(),
            1 => format!(".{}", std::process::id()),
            _ => format!(".{}-{}", std::process::id(), attempt - 1),
        };
        let mut path = PathBuf::new();
        for attempt in 0..1000 {
            path = self.name(&format!("{number}{}", suffix(attempt)));
            // The dynamic loader knows images by name, and would give that one again.
            if Library::is_mapped(&path) {
                continue;
            }
            if let Some(spare) = self.spare.take() {
                if let Some(made) = spare.reuse(&path, content, permissions) {
                    return Ok(made);
                }
                if let Content::Of(mut source) = content {
                    source.rewind().map_err(|source| Error::Read { path: self.original.clone(), source })?;
                }
            }
            let file = match content {
                Content::Of(source) => sys::copy_new(source, &path, permissions),
                Content::Bytes(bytes) => sys::write_new(bytes, &path, permissions),
            };
            match file.and_then(|file| Ok((OwnFile::new(path.clone(), &file, permissions)?, file))) {
                Ok(made) => return Ok(made),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Copy { path, source }),
            }
        }
        Err(Error::Copy { path, source: io::ErrorKind::AlreadyExists.into() })
    }

    /// `<base><middle><ext>` in the directory of the copies.
    fn name(&self, middle: &str) -> PathBuf {
        let (base, extension) = self.split();
        let mut name = OsString::from(base);
        name.push(middle);
        name.push(extension);
        self.place().join(name)
    }

    fn place(&self) -> &Path {
        self.directory.as_deref().or(self.original.parent()).unwrap_or(Path::new(""))
    }

    /// The file's name before and from its last dot.
    fn split(&self) -> (&OsStr, OsString) {
        split(self.original.file_name().unwrap_or_default())
    }

    /// Removes what processes that no longer live have left under names with their number.
    fn sweep(&self) {
        let (base, extension) = self.split();
        let place = self.place();
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
        let Ok(entries) = fs::read_dir(place) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let mut extensions = [extension.as_encoded_bytes(), b".pdb"].into_iter();
            let owner = extensions.find_map(|end| owner(name.as_encoded_bytes(), base.as_encoded_bytes(), end));
            let stale = owner.is_some_and(|process| process >= LEAST_SWEPT_PROCESS && !sys::is_alive(process));
            if stale && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                // If it cannot be removed it stays as it is; nothing depends on it.
                let _ = sys::remove(&entry.path());
            }
        }
    }

    /// Takes the copy of a new version that replaces the version `replaced`.
    ///
    /// If the new one fails, rollbacks go down from `replaced`; if it works, the next ones go down from the new
    /// one. The last [`KEEP`] of both ways stay, older copies go.
    pub(crate) fn keep(&mut self, version: Rc<Version>, replaced: u32) {
        self.discard(|copy| copy.number == version.number);
        self.copies.sort_by_key(|copy| core::cmp::Reverse(copy.number));
        let mut from_new = 0;
        let mut from_replaced = 0;
        self.discard(|copy| {
            from_new += 1;
            from_replaced += usize::from(copy.number <= replaced);
            from_new > KEEP && (copy.number > replaced || from_replaced > KEEP)
        });
        self.copies.push(version);
    }

    /// Removes copies, and those from before that could not be removed then.
    fn discard(&mut self, is_unwanted: impl FnMut(&mut Rc<Version>) -> bool) {
        self.unwanted.extend(self.copies.extract_if(.., is_unwanted));
        if sys::may_reuse_files() {
            let is_free = |copy: &mut Rc<Version>| Rc::strong_count(copy) == 1 && !copy.mapped.get();
            let free = self.unwanted.extract_if(.., is_free).filter_map(Rc::into_inner).last();
            self.spare.set(free.map(|version| version.file));
        }
        self.unwanted.retain(|copy| Rc::strong_count(copy) > 1 || !copy.remove());
    }

    /// This version. Its file may be gone.
    pub(crate) fn get(&self, number: u32) -> Option<Rc<Version>> {
        self.copies.iter().find(|copy| copy.number == number).map(Rc::clone)
    }

    /// This version, or the last one before it. Its file may be gone.
    pub(crate) fn last(&self, number: u32) -> Option<Rc<Version>> {
        let candidates = self.copies.iter().filter(|copy| copy.number <= number);
        candidates.max_by_key(|copy| copy.number).map(Rc::clone)
    }

    /// This version, or the last one before it that is left, to load it again.
    ///
    /// A version whose image is still mapped gets a file of its own: loading the old one again would give the used
    /// image instead of a fresh one.
    pub(crate) fn fresh(&mut self, number: u32) -> Result<Option<Rc<Version>>, Error> {
        let candidates = self.copies.iter().filter(|copy| copy.number <= number && copy.file.is_intact());
        let Some(copy) = candidates.max_by_key(|copy| copy.number) else { return Ok(None) };
        if !copy.mapped.get() {
            return Ok(Some(Rc::clone(copy)));
        }
        let (number, image) = (copy.number, Rc::clone(&copy.image));
        let unreadable = |source| Error::Read { path: copy.path().to_owned(), source };
        let source = File::open(copy.path()).map_err(unreadable)?;
        let permissions = sys::identity(&source, None).map_err(unreadable)?.permissions;
        let mut draft = self.draft(number, Content::Of(&source), permissions)?;
        // The linker's PDB may be that of another version by now.
        draft.pdb = copy.pdb.as_ref().map(|pdb| pdb.path().to_owned());
        let version = Rc::new(draft.finish(Rc::clone(&image))?);
        self.discard(|copy| copy.number == number);
        self.copies.push(Rc::clone(&version));
        Ok(Some(version))
    }
}

/// A name before and from its last dot.
fn split(name: &OsStr) -> (&OsStr, OsString) {
    let bytes = name.as_encoded_bytes();
    let dot = bytes.iter().rposition(|byte| *byte == b'.').unwrap_or(bytes.len());
    let (base, extension) = bytes.split_at(dot);
    // SAFETY: split right before an ASCII character, or at the end.
    let base = unsafe { OsStr::from_encoded_bytes_unchecked(base) };
    // SAFETY: as above.
    let extension = unsafe { OsStr::from_encoded_bytes_unchecked(extension) };
    (base, extension.to_owned())
}

impl Draft {
    /// The open copy.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Writes the changes that the image asks for, and makes the copy a version.
    pub(crate) fn finish(self, image: Rc<Image>) -> Result<Version, Error> {
        self.write(&image.patches)?;
        self.finish_unchanged(image)
    }

    /// Makes the copy, which has the changes, a version. It gets a PDB of its own, if the image has one.
    pub(crate) fn finish_unchanged(mut self, image: Rc<Image>) -> Result<Version, Error> {
        if let Some(record) = &image.pdb
            && let Some(source) = self.pdb.take().or_else(|| pdb::locate(record, &self.original))
            && let Some((pdb, renamed)) = pdb::copy(record, &source, self.copy.path(), self.copy.number)
        {
            self.copy.pdb = Some(pdb);
            self.write(&[renamed])?;
        }
        self.copy.image = image;
        Ok(self.copy)
    }

    fn write(&self, patches: &[Patch]) -> Result<(), Error> {
        let fail = |source| Error::Copy { path: self.copy.path().to_owned(), source };
        patches.iter().try_for_each(|Patch { offset, bytes }| sys::write_at(&self.file, bytes, *offset).map_err(fail))
    }
}

impl Version {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The image that was loaded from it stayed mapped when it was unloaded.
    pub(crate) fn mark_mapped(&self) {
        self.mapped.set(true);
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The copy of its PDB.
    pub(crate) fn pdb(&self) -> Option<&Path> {
        self.pdb.as_ref().map(OwnFile::path)
    }

    /// What is in its file, if that is still there.
    pub(crate) fn map(&self) -> Option<Mmap> {
        let file = self.file.open()?;
        // SAFETY: the file was created by us, exclusively; a program that shortens it would break the guest anyway.
        unsafe { sys::map(&file) }.ok()
    }

    pub(crate) fn image(&self) -> &Rc<Image> {
        &self.image
    }

    /// Are the files that were made gone?
    fn remove(&self) -> bool {
        let removed = self.file.remove();
        self.pdb.as_ref().is_none_or(OwnFile::remove) && removed
    }
}

/// The process number in `<base><N>.<pid><ext>` or `<base><N>.<pid>-<again><ext>`.
fn owner(name: &[u8], base: &[u8], extension: &[u8]) -> Option<u32> {
    let middle = name.strip_prefix(base)?.strip_suffix(extension)?;
    let (number, process) = std::str::from_utf8(middle).ok()?.split_once('.')?;
    let process = match process.split_once('-') {
        Some((process, again)) => {
            plain_number(again)?;
            process
        }
        None => process,
    };
    plain_number(number)?;
    plain_number(process)
}

/// A number as we write it: digits without a leading zero.
fn plain_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn only_names_that_we_write_have_an_owner() {
        let owner = |name: &str| owner(name.as_bytes(), b"libgame", b".so");
        assert_eq!(owner("libgame12.3456.so"), Some(3456));
        assert_eq!(owner("libgame12.3456-7.so"), Some(3456));
        for foreign in ["libgame.so", "libgame1.so", "libgame.3456.so", "libgame1.03456.so", "libgame1.3456.so.bak"] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
        for foreign in ["libgame1.34x.so", "libgame1.3.4.so", "libgame1.34-.so", "libgame1.-3.so", "mylibgame1.34.so"] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }
}
