//! What the symbols of an image name: the variables that are carried, and what their pointers may point to.
//!
//! None of it is needed to load an image.

use super::{Format, Target, elf, macho, pe};
use crate::error::Error;
use std::borrow::Cow;
use std::path::Path;

/// A file to read symbols from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The content of the copy that was loaded.
    pub(crate) bytes: &'a [u8],
    /// The file that it is a copy of: what belongs to it may lie beside that.
    pub(crate) path: &'a Path,
    /// The copy of its PDB that was made with it, if there is one: the linker's is mostly that of another version by now.
    pub(crate) pdb: Option<&'a Path>,
}

const LARGE: usize = 16 << 20;

impl<'a> Source<'a> {
    /// Are both the same, byte for byte? Of large files that is not looked into: it takes longer than to read what is asked
    /// for in the second one, most of which is where it was in the first.
    pub(crate) fn is_same(&self, other: &Source<'_>) -> bool {
        self.bytes.len() <= LARGE && self.bytes == other.bytes
    }

    /// A file as the linker has written it.
    pub(crate) fn original(bytes: &'a [u8], path: &'a Path) -> Source<'a> {
        Source { bytes, path, pdb: None }
    }
}

/// What is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Function,
    /// A variable or constant, a virtual table or the like.
    Object,
    /// A thread's own variable; its address is a place in the thread's block.
    ThreadLocal,
}

/// What is known of a symbol before its names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// As in the file; the load bias is added later.
    pub(crate) address: u64,
    /// In bytes. Where the format does not say it, the distance to what comes next, which may be too much by padding.
    pub(crate) size: u64,
    /// Known in one source file only: static, or in an unnamed namespace.
    pub(crate) local: bool,
}

/// A symbol of the image: what is there, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub(crate) place: Place,
    /// As the linker knows it, mangled, with what compilers add to it.
    pub(crate) name: Cow<'a, str>,
    /// The source file of a local symbol, as the compiler was told it, if the format says it.
    pub(crate) file: Option<Cow<'a, str>>,
}

/// A variable: a symbol in one of the sections that are carried.
pub(crate) type Variable<'a> = Symbol<'a>;

/// A section, as what pointers point into is judged by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) address: u64,
    pub(crate) size: u64,
    /// Its content in the file, before relocation; empty if it has none there.
    pub(crate) bytes: &'a [u8],
    pub(crate) writable: bool,
    pub(crate) code: bool,
    /// It holds strings that end in a zero, and nothing else.
    pub(crate) strings: bool,
}

/// Hands over the functions and objects of the image that have a size and are `wanted`, in the order of its table.
///
/// False: the image is stripped, at most what it exports is known.
pub(crate) fn symbols<'a>(
    source: Source<'a>,
    target: Target,
    wanted: &mut dyn FnMut(&Place) -> bool,
    found: &mut dyn FnMut(Symbol<'a>),
) -> Result<bool, Error> {
    match target.met() {
        Format::Elf => elf::File::read(source.bytes, target)?.symbols(wanted, found),
        Format::MachO => macho::symbols(source.bytes, target, wanted, found),
        Format::Pe => pe::symbols(source, target, wanted, found),
    }
}

/// The sections that are in memory while the image is loaded.
pub(crate) fn regions(source: Source<'_>, target: Target) -> Result<Vec<Region<'_>>, Error> {
    match target.met() {
        Format::Elf => Ok(elf::File::read(source.bytes, target)?.regions()),
        Format::MachO => macho::regions(source.bytes, target),
        Format::Pe => pe::regions(source.bytes, target),
    }
}
