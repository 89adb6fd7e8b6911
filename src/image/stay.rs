//! What in an image keeps the dynamic loader from unmapping it.

use super::elf::File;
use super::{Format, Target};
use core::fmt;
use goblin::elf::section_header::SHN_UNDEF;

/// STB_GNU_UNIQUE: the symbol is one for the whole process (the GNU extensions of the gABI).
const UNIQUE: u8 = 10;

/// Registers the destructor of a thread_local object: in the C++ runtime, and in the C library below it.
const THREAD_EXIT: [&[u8]; 2] = [b"__cxa_thread_atexit", b"__cxa_thread_atexit_impl"];

/// A reason that the image itself gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It says so (DF_1_NODELETE).
    Marked,
    /// A symbol that is unique in the process.
    Unique(String),
    /// Objects of threads that are yet to be destructed.
    ThreadLocals,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Marked => write!(f, "it is linked with -z nodelete"),
            Reason::Unique(symbol) => write!(f, "its symbol {symbol} is unique in the process (-fno-gnu-unique)"),
            Reason::ThreadLocals => write!(f, "a thread still has thread_local objects of it to destruct"),
        }
    }
}

/// The reasons that a file gives for an image which was found to stay.
pub(crate) fn reasons_to_stay(bytes: &[u8], target: Target) -> Vec<Reason> {
    match target.met() {
        Format::Elf => of_elf(bytes, target).unwrap_or_default(),
        Format::MachO | Format::Pe => Vec::new(),
    }
}

fn of_elf(bytes: &[u8], target: Target) -> Option<Vec<Reason>> {
    let file = File::read(bytes, target).ok()?;
    let linked = file.dynamic_table().ok()??;
    let mut reasons = Vec::new();
    if file.is_marked_to_stay() {
        reasons.push(Reason::Marked);
    }
    let defined = |section: usize| section != SHN_UNDEF as usize;
    let unique = linked.symbols.iter().find(|symbol| symbol.st_bind() == UNIQUE && defined(symbol.st_shndx));
    reasons.extend(unique.map(|symbol| Reason::Unique(String::from_utf8_lossy(linked.name(&symbol)).into_owned())));
    if linked.symbols.iter().any(|symbol| !defined(symbol.st_shndx) && THREAD_EXIT.contains(&linked.name(&symbol))) {
        reasons.push(Reason::ThreadLocals);
    }
    Some(reasons)
}
