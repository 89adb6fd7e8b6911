//! What is in a binary: read before the dynamic loader sees it, and never trusted.
//!
//! The parsers work on bytes, know nothing of the running process, and are the same on every host.

pub(crate) mod debug;
#[cfg(all(test, unix))] // they run compilers of this system
mod differential_tests;
mod dwarf;
mod elf;
mod exports;
mod listing;
mod macho;
#[cfg(all(test, unix))] // they run compilers of this system
pub(crate) mod macho_tests;
pub(crate) mod pdb;
mod pe;
#[cfg(all(test, unix))] // they run compilers of this system
mod pe_tests;
mod stay;
mod symbols;
// These build ELF images with the compiler of this system.
#[cfg(all(test, target_os = "linux"))]
pub(crate) mod tests;
pub(crate) mod types;

use crate::error::Error;
use core::ops::Range;
pub(crate) use exports::exported_function;
pub(crate) use listing::Listing;
pub(crate) use pdb::{Lines, Pdb};
pub(crate) use stay::reasons_to_stay;
pub(crate) use symbols::{Kind, Place, Region, Source, Symbol, Variable, regions, symbols};

/// What the plugin needs to know of a shared library.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// The sections whose content is carried from version to version, in the order of the file.
    pub(crate) state: Vec<Section>,
    /// What it covers in memory; addresses are those in the file.
    pub(crate) extent: Range<u64>,
    /// The functions that run when the image is loaded and unloaded.
    pub(crate) lifecycle: Lifecycle,
    /// The words through which it calls `__cxa_atexit`. None: the format does not say.
    pub(crate) registrars: Option<Vec<u64>>,
    /// The names of the libraries that it needs, if the dynamic loader does not tell which of them is missing.
    pub(crate) needed: Vec<String>,
    /// Where it says that its debug information is, if it says so and may be changed.
    pub(crate) pdb: Option<Pdb>,
    /// Its variables. None: it is stripped, or they were not asked for.
    pub(crate) listing: Option<Listing>,
    /// Changes that take the constructors out of the dynamic loader's sight, for the copy of the file.
    pub(crate) patches: Vec<Patch>,
}

impl Image {
    /// Makes the changes of `patches` in the content of the file.
    pub(crate) fn change(&self, content: &mut [u8]) -> Result<(), Error> {
        for Patch { offset, bytes } in &self.patches {
            let start = usize::try_from(*offset).unwrap_or(usize::MAX);
            let place = content.get_mut(start..).and_then(|rest| rest.get_mut(..bytes.len()));
            place.ok_or(Error::Internal("a change lies outside of the file"))?.copy_from_slice(bytes);
        }
        Ok(())
    }
}

/// A part of the image in memory. Addresses are those in the file; the load bias is added later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) kind: SectionKind,
    pub(crate) address: u64,
    pub(crate) size: u64,
    /// Variables of the C runtime lie in it, too, which are not the guest's state.
    pub(crate) runtime: bool,
}

/// Why a section is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionKind {
    /// The programmer has said so, with `CR_STATE`, of each variable in it.
    Tagged,
    /// It holds what begins as zero.
    Zero,
}

/// Constructors and destructors, as addresses in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    /// Called first, before the array (DT_INIT).
    pub(crate) init: Option<u64>,
    /// Function pointers, called in order (DT_INIT_ARRAY).
    pub(crate) init_array: Option<Array>,
    /// Function pointers, called in reverse order (DT_FINI_ARRAY).
    pub(crate) fini_array: Option<Array>,
    /// Called last, after the array (DT_FINI).
    pub(crate) fini: Option<u64>,
    /// Where the loaded image tells the dynamic loader the length of `fini_array`, and the place of `fini`.
    pub(crate) fini_array_size_entry: Option<u64>,
    pub(crate) fini_entry: Option<u64>,
    /// The one function for everything in a PE image; it is told what to do.
    pub(crate) dll_main: Option<u64>,
}

/// An array of function pointers in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Array {
    pub(crate) address: u64,
    pub(crate) count: u64,
}

/// A function, and where in its source.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: u32,
}

/// Bytes to write into the copy of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The form of a binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Elf,
    MachO,
    Pe,
}

impl Format {
    /// What the dynamic loader of this system takes.
    const NATIVE: Format = if cfg!(target_os = "windows") {
        Format::Pe
    } else if cfg!(target_vendor = "apple") {
        Format::MachO
    } else {
        Format::Elf
    };

    /// Can an image be of this format? Only in tests of others than the native one, whose readers the compiler leaves
    /// out of what is shipped, as it sees that they are not called.
    const fn is_met(self) -> bool {
        cfg!(any(test, fuzzing)) || self as u8 == Format::NATIVE as u8
    }
}

/// The machine that images must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// The format that its dynamic loader takes.
    pub(crate) format: Format,
    /// The ELF machine number.
    pub(crate) machine: u16,
    /// The PE machine number.
    pub(crate) pe_machine: u16,
    /// The Mach-O processor type.
    pub(crate) mach_cpu: u32,
    /// 64-bit?
    pub(crate) wide: bool,
    /// Least significant byte first?
    pub(crate) little: bool,
}

impl Target {
    /// The format of an image that can be met, see [`Format::is_met`].
    const fn met(self) -> Format {
        if self.format.is_met() { self.format } else { Format::NATIVE }
    }

    /// The machine that this program runs on.
    pub(crate) const fn native() -> Target {
        use goblin::elf::header as h;
        let machine = if cfg!(target_arch = "x86_64") {
            h::EM_X86_64
        } else if cfg!(target_arch = "aarch64") {
            h::EM_AARCH64
        } else if cfg!(target_arch = "x86") {
            h::EM_386
        } else if cfg!(target_arch = "riscv64") {
            h::EM_RISCV
        } else {
            h::EM_NONE
        };
        use goblin::pe::header as p;
        let pe_machine = if cfg!(target_arch = "x86_64") {
            p::COFF_MACHINE_X86_64
        } else if cfg!(target_arch = "aarch64") {
            p::COFF_MACHINE_ARM64
        } else if cfg!(target_arch = "x86") {
            p::COFF_MACHINE_X86
        } else {
            p::COFF_MACHINE_UNKNOWN
        };
        use goblin::mach::constants::cputype as c;
        let mach_cpu = if cfg!(target_arch = "x86_64") {
            c::CPU_TYPE_X86_64
        } else if cfg!(target_arch = "aarch64") {
            c::CPU_TYPE_ARM64
        } else {
            c::CPU_TYPE_ANY
        };
        let wide = cfg!(target_pointer_width = "64");
        Target { format: Format::NATIVE, machine, pe_machine, mach_cpu, wide, little: cfg!(target_endian = "little") }
    }
}

/// As much of a file's beginning as [`precheck`] wants to see.
pub(crate) const HEAD: usize = 4096;

/// Is the file as long as its headers say, and for this machine? `head` is its beginning, `len` its length.
///
/// This is the cheap question, asked of the original before it is copied.
pub(crate) fn precheck(head: &[u8], len: u64, target: Target) -> Result<(), Error> {
    match target.met() {
        Format::Elf => elf::precheck(head, len, target),
        Format::MachO => macho::precheck(head, len, target),
        Format::Pe => pe::precheck(head, len, target),
    }
}

/// The image in a file: of a universal one, the part for this machine.
pub(crate) fn own(bytes: &[u8], target: Target) -> &[u8] {
    match target.met() {
        Format::MachO => macho::own(bytes, target).unwrap_or(bytes),
        Format::Elf | Format::Pe => bytes,
    }
}

/// What the plugin wants of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The function that it must export.
    pub(crate) entry: &'a str,
    /// Its variables are to be listed: state is carried.
    pub(crate) listed: bool,
}

/// Reads a whole image.
pub(crate) fn parse(source: Source<'_>, target: Target, expected: Expected<'_>) -> Result<Image, Error> {
    let mut image = match target.met() {
        Format::Elf => return elf::parse(source.bytes, target, expected),
        Format::MachO => macho::parse(source.bytes, target, expected.entry)?,
        Format::Pe => pe::parse(source.bytes, target, expected.entry)?,
    };
    if expected.listed {
        // Symbols that make no sense are no reason not to load it.
        image.listing = listing::list(source, target, &image.state).ok().flatten();
    }
    Ok(image)
}
