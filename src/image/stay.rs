//! What in an image keeps the dynamic loader from unmapping it.

use super::{Format, Target};
use core::fmt;
use goblin::elf::Elf;
use goblin::elf::dynamic;
use goblin::elf::section_header::SHN_UNDEF;

/// STB_GNU_UNIQUE: the symbol is one for the whole process (the GNU extensions of the gABI).
const UNIQUE: u8 = 10;

/// Registers the destructor of a thread_local object: in the C++ runtime, and in the C library below it.
const THREAD_EXIT: [&str; 2] = ["__cxa_thread_atexit", "__cxa_thread_atexit_impl"];

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
    match (target.format, Elf::parse(bytes)) {
        (Format::Elf, Ok(elf)) => of_elf(&elf),
        _ => Vec::new(),
    }
}

fn of_elf(elf: &Elf<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.info.flags_1 & dynamic::DF_1_NODELETE != 0) {
        reasons.push(Reason::Marked);
    }
    let name = |index| elf.dynstrtab.get_at(index).unwrap_or_default();
    let defined = |section: usize| section != SHN_UNDEF as usize;
    let unique = elf.dynsyms.iter().find(|symbol| symbol.st_bind() == UNIQUE && defined(symbol.st_shndx));
    reasons.extend(unique.map(|symbol| Reason::Unique(name(symbol.st_name).to_owned())));
    if elf.dynsyms.iter().any(|symbol| !defined(symbol.st_shndx) && THREAD_EXIT.contains(&name(symbol.st_name))) {
        reasons.push(Reason::ThreadLocals);
    }
    reasons
}
