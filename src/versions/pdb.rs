//! The PDB of a version: a copy beside that of the image, and its name in the copy of the image.
//!
//! A debugger holds the PDB of every image that is loaded. If all versions had the same, the linker could not write the
//! next one.

use super::own_file::OwnFile;
use crate::image::{Patch, Pdb};
use crate::sys;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Copies the PDB at `source` as that of the version `number`, whose image is at `image`, and returns the change that
/// names it there.
///
/// `None`, and nothing is changed, if there is no PDB, if the linker holds it too long, or if no name fits into the
/// image: debuggers then use the linker's, or none.
pub(super) fn copy(pdb: &Pdb, source: &Path, image: &Path, number: u32) -> Option<(OwnFile, Patch)> {
    let source = open(source).ok()?;
    let stem = image.file_stem()?.to_str()?;
    let process = std::process::id();
    for wanted in [format!("{stem}.pdb"), format!("{stem}.{process}.pdb")] {
        let name = pdb.fitting(&wanted, number)?;
        let patch = pdb.renamed(&name)?;
        let path = image.with_file_name(name);
        match sys::copy_new(&source, &path, 0o600) {
            Ok(file) => return Some((OwnFile::new(path, &file, 0).ok()?, patch)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => return None,
        }
    }
    None
}

/// Where the PDB of the guest at `original` is.
pub(super) fn locate(pdb: &Pdb, original: &Path) -> Option<PathBuf> {
    pdb.places(original).into_iter().find(|place| place.is_file())
}

/// Opens the file; a linker that is just writing it is waited for, for a moment.
fn open(path: &Path) -> io::Result<File> {
    for _ in 0..4 {
        match File::open(path) {
            Err(error) if sys::is_locked(&error) => std::thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
    File::open(path)
}
