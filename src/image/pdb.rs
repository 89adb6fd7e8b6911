//! The CodeView record of a PE image: where it says that its debug information is, a PDB file.
//!
//! A debugger opens the PDB that the record of a loaded image names, and keeps it open, so the linker could not write
//! the next one. The copies of a guest therefore get a PDB of their own, and the name of it.
//!
//! What is in it is read by the modules below this one: symbols, the types of variables, and the lines
//! of functions.

mod build;
mod definitions;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod lines;
#[cfg(all(test, target_os = "linux"))] // they run compilers of this system
mod lines_tests;
#[cfg(all(test, target_os = "linux"))] // as above
pub(crate) mod real_tests;
mod records;
mod scope;
mod symbols;
mod types;

use super::Patch;
pub(crate) use lines::Lines;
use std::path::{Path, PathBuf};
pub(super) use symbols::{Within, symbols};
pub(super) use types::variables;

/// IMAGE_DEBUG_TYPE_CODEVIEW, and the size of a row of the table.
const CODEVIEW: u32 = 2;
const ROW: usize = 28;

/// How much is in front of the path: the signature with a GUID and an age, or, in older records, with an offset, a
/// time and an age.
const RSDS: (&[u8], usize) = (b"RSDS", 24);
const NB10: (&[u8], usize) = (b"NB10", 16);

/// The PDB of an image, as its record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pdb {
    /// The path that the linker has written.
    pub(crate) path: String,
    /// Which PDB it is.
    id: Id,
    /// Where the path is in the file, and how many bytes there are for it, with the NUL at its end.
    offset: u64,
    room: usize,
}

/// What a PDB has in common with its image only. Each time it is written without being made anew it is a year older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Guid { guid: [u8; 16], age: u32 },
    Time { time: u32, age: u32 },
}

impl Id {
    /// `record` is what follows the signature.
    fn read(signature: &[u8], record: &[u8]) -> Option<Id> {
        let word = |at: usize| Some(u32::from_le_bytes(*record.get(at..)?.first_chunk()?));
        Some(if signature == RSDS.0 {
            Id::Guid { guid: *record.first_chunk()?, age: word(16)? }
        } else {
            Id::Time { time: word(4)?, age: word(8)? }
        })
    }
}

/// Looks for the record: `table` is the debug directory, `bytes` the whole file. What makes no sense is no record:
/// nothing of it is ever loaded.
pub(super) fn find(table: &[u8], bytes: &[u8]) -> Option<Pdb> {
    table.chunks_exact(ROW).find_map(|row| {
        let word = |at: usize| Some(u32::from_le_bytes(*row.get(at..)?.first_chunk()?));
        let (size, offset) = (word(16)? as usize, word(24)? as usize);
        if word(12)? != CODEVIEW || offset == 0 {
            return None;
        }
        let record = bytes.get(offset..offset.checked_add(size)?)?;
        let (signature, head) = [RSDS, NB10].into_iter().find(|(signature, _)| record.starts_with(signature))?;
        let id = Id::read(signature, record.get(signature.len()..)?)?;
        let place = record.get(head..)?;
        let path = place.get(..place.iter().position(|byte| *byte == 0)?)?;
        let path = std::str::from_utf8(path).ok().filter(|path| !path.is_empty())?;
        Some(Pdb { path: path.to_owned(), id, offset: (offset + head) as u64, room: place.len() })
    })
}

impl Pdb {
    /// The last part of the path; linkers write both kinds of separators.
    pub(crate) fn file_name(&self) -> &str {
        self.path.rsplit(['\\', '/']).next().unwrap_or_default()
    }

    /// Where it may be, if `original` is the file that the linker has written: at its path, or beside the image.
    pub(crate) fn places(&self, original: &Path) -> [PathBuf; 2] {
        let folder = original.parent().unwrap_or(Path::new(""));
        // Joined, an absolute path is itself.
        [folder.join(&self.path), folder.join(self.file_name())]
    }

    /// A name for the PDB of the version `number` that there is room for: `wanted`, or else the present one, cut in
    /// front of the number. Without a directory: debuggers look beside the image.
    pub(crate) fn fitting(&self, wanted: &str, number: u32) -> Option<String> {
        let fits = |name: &str| name.len() < self.room;
        if fits(wanted) {
            return Some(wanted.to_owned());
        }
        let name = self.file_name();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let rest = format!("{number}.pdb");
        // The number alone might meet that of another guest.
        let lengths = (1..=stem.len()).rev().filter(|length| stem.is_char_boundary(*length));
        let names = lengths.filter_map(|length| Some(format!("{}{rest}", stem.get(..length)?)));
        names.into_iter().find(|name| fits(name))
    }

    /// The change that writes this name into the record, and zeros behind it.
    pub(crate) fn renamed(&self, name: &str) -> Option<Patch> {
        let mut bytes = name.as_bytes().to_vec();
        if bytes.len() >= self.room || bytes.contains(&0) {
            return None;
        }
        bytes.resize(self.room, 0);
        Some(Patch { offset: self.offset, bytes })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may fail
mod tests {
    use super::*;

    /// A file that is nothing but a debug directory with one row and its record.
    fn file(signature: &[u8], head: usize, path: &[u8]) -> Vec<u8> {
        let mut record = signature.to_vec();
        record.resize(head, 7);
        record.extend_from_slice(path);
        let mut bytes = vec![0; ROW];
        bytes[12..16].copy_from_slice(&CODEVIEW.to_le_bytes());
        bytes[16..20].copy_from_slice(&(record.len() as u32).to_le_bytes());
        bytes[24..28].copy_from_slice(&(ROW as u32).to_le_bytes());
        bytes.extend_from_slice(&record);
        bytes
    }

    fn found(bytes: &[u8]) -> Option<Pdb> {
        find(&bytes[..ROW], bytes)
    }

    #[test]
    fn both_kinds_of_records_are_found() {
        for (signature, head) in [RSDS, NB10] {
            let pdb = found(&file(signature, head, b"C:\\out/dir\\game.pdb\0")).unwrap();
            assert_eq!(pdb.path, "C:\\out/dir\\game.pdb");
            assert_eq!(pdb.file_name(), "game.pdb");
            assert_eq!((pdb.offset, pdb.room), ((ROW + head) as u64, 20));
        }
    }

    #[test]
    fn names_are_padded_or_cut_in_front_of_the_number() {
        let pdb = found(&file(b"RSDS", 24, b"game.pdb\0")).unwrap();
        assert_eq!(pdb.fitting("g1.pdb", 1).unwrap(), "g1.pdb");
        assert_eq!(pdb.renamed("g1.pdb").unwrap().bytes, b"g1.pdb\0\0\0");
        assert_eq!(pdb.fitting("game12.pdb", 12).unwrap(), "ga12.pdb");
        assert_eq!(pdb.renamed("ga12.pdb").unwrap().bytes, b"ga12.pdb\0");
        assert_eq!(pdb.fitting("game12345.pdb", 12345), None);
        assert_eq!(pdb.renamed("game12.pdb"), None);
        let pdb = found(&file(b"RSDS", 24, "h\u{e9}.pdb\0".as_bytes())).unwrap();
        assert_eq!(pdb.fitting("h\u{e9}12.pdb", 12).unwrap(), "h12.pdb");
    }

    #[test]
    fn bad_records_are_none() {
        let whole = file(b"RSDS", 24, b"game.pdb\0");
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert_eq!(find(&cut[..length.min(ROW)], cut), None, "{length}");
        }
        assert_eq!(found(&file(b"RSDS", 24, b"game.pdb")), None); // no end
        assert_eq!(found(&file(b"RSDS", 24, b"\0")), None);
        assert_eq!(found(&file(b"RSDS", 24, b"g\xff.pdb\0")), None);
        assert_eq!(found(&file(b"MTOC", 24, b"game.pdb\0")), None);
        for field in [16, 24] {
            let mut bytes = whole.clone();
            bytes[field..field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            assert_eq!(found(&bytes), None);
        }
    }
}
