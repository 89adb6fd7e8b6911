//! Any bytes as a PDB.

use super::super::debug::{Asked, Hints, Wanted, What};
use super::super::symbols::{Kind, Source};
use super::file::File;
use super::symbols::{Within, list};
use super::types::in_file;
use std::io::Cursor;
use std::path::Path;

/// Reads all that there is of it; tells how many types were found.
pub(crate) fn all(bytes: &[u8]) -> usize {
    let open = || File::read(Box::new(Cursor::new(bytes.to_vec())), bytes.len() as u64).ok();
    let Some(file) = open() else { return 0 };
    let mut symbols = Vec::new();
    let within = |_| Some(Within { end: u64::MAX, kind: Kind::Object });
    let _ = list(file, &within, &mut |_| true, &mut |symbol| symbols.push(symbol));
    let wanted: Vec<Wanted<'_>> = symbols.iter().map(Wanted::new).collect();
    let asked = |what| Asked {
        source: Source::original(&[], Path::new("")),
        wanted: &wanted,
        before: NONE.get_or_init(Hints::default),
        what,
    };
    let read = |what| open().and_then(|file| in_file(file, &asked(what)).ok());
    read(What::Scopes);
    read(What::Types).map_or(0, |found| found.of.iter().flatten().count())
}

static NONE: std::sync::OnceLock<Hints> = std::sync::OnceLock::new();
