//! The load commands: a list of records of several kinds, each with its size.

use super::{Header, Numbers, nonsense, part};
use crate::error::Error;
use crate::image::Target;
use core::ops::Range;
use goblin::mach::constants::{
    S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL, S_ZEROFILL, SECTION_TYPE, VM_PROT_EXECUTE, VM_PROT_WRITE,
};
use goblin::mach::load_command as lc;

/// A flag of segments: they are made read-only when all is bound.
const SG_READ_ONLY: u32 = 0x10;

/// A record, with its number and size in front.
pub(super) struct Command<'a> {
    pub(super) kind: u32,
    pub(super) bytes: &'a [u8],
}

/// A part of the image in memory and in the file.
pub(super) struct Segment {
    name: [u8; 16],
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) file_size: u64,
    pub(super) writable: bool,
    pub(super) code: bool,
    /// Made read-only when all is bound.
    pub(super) read_only: bool,
    pub(super) sections: Vec<Section>,
}

pub(super) struct Section {
    name: [u8; 16],
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) flags: u32,
}

impl Segment {
    pub(super) fn name(&self) -> &[u8] {
        name(&self.name)
    }

    pub(super) fn file_range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.file_size)
    }

    pub(super) fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    pub(super) fn covers(&self, address: u64, size: u64) -> bool {
        self.address <= address && address.checked_add(size).is_some_and(|last| last <= self.end())
    }
}

impl Section {
    pub(super) fn name(&self) -> &[u8] {
        name(&self.name)
    }

    pub(super) fn kind(&self) -> u32 {
        self.flags & SECTION_TYPE
    }

    /// Has it no place in the file, as it begins as zeros?
    pub(super) fn is_zero(&self) -> bool {
        [S_ZEROFILL, S_GB_ZEROFILL, S_THREAD_LOCAL_ZEROFILL].contains(&self.kind())
    }

    /// Its bytes in the file, if it has any there.
    pub(super) fn content<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let range = if self.is_zero() { 0..0 } else { self.offset..self.offset.saturating_add(self.size) };
        part(bytes, &range).unwrap_or_default()
    }
}

/// Sixteen bytes, filled up with zeros.
fn name(bytes: &[u8; 16]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The records, each within the size that the header gives all of them.
pub(super) fn read<'a>(bytes: &'a [u8], header: &Header, target: Target) -> Result<Vec<Command<'a>>, Error> {
    let bad = || nonsense("list of load commands");
    let mut rest = part(bytes, &(header.commands..header.commands_end())).ok_or_else(bad)?;
    let numbers = Numbers { little: target.little };
    let mut commands = Vec::new();
    for _ in 0..header.count {
        let (Some(kind), Some(size)) = (numbers.word(rest, 0), numbers.word(rest, 4)) else { return Err(bad()) };
        // The smallest has nothing but its number and size; without a lower limit this might not end.
        if size < 8 || size % 4 != 0 {
            return Err(bad());
        }
        let (bytes, behind) = rest.split_at_checked(size as usize).ok_or_else(bad)?;
        let command = Command { kind, bytes };
        command.check(numbers)?;
        commands.push(command);
        rest = behind;
    }
    let only_once = [lc::LC_SYMTAB, lc::LC_DYSYMTAB, lc::LC_CODE_SIGNATURE, lc::LC_DYLD_EXPORTS_TRIE];
    for kind in only_once {
        if commands.iter().filter(|command| command.kind == kind).count() > 1 {
            return Err(bad());
        }
    }
    Ok(commands)
}

/// The segments and their sections.
pub(super) fn segments(commands: &[Command<'_>], target: Target) -> Result<Vec<Segment>, Error> {
    let (right, wrong) =
        if target.wide { (lc::LC_SEGMENT_64, lc::LC_SEGMENT) } else { (lc::LC_SEGMENT, lc::LC_SEGMENT_64) };
    let bad = || nonsense("segment table");
    if commands.iter().any(|command| command.kind == wrong) {
        return Err(bad());
    }
    let segments = commands.iter().filter(|command| command.kind == right);
    let found: Vec<_> = segments.map(|command| command.segment(target)).collect::<Option<_>>().ok_or_else(bad)?;
    if found.is_empty() { Err(Error::Format("no segment to load".into())) } else { Ok(found) }
}

impl Command<'_> {
    /// Names of libraries and of paths end in their record.
    fn check(&self, numbers: Numbers) -> Result<(), Error> {
        let fixed = match self.kind {
            lc::LC_LOAD_DYLIB
            | lc::LC_LOAD_WEAK_DYLIB
            | lc::LC_REEXPORT_DYLIB
            | lc::LC_LOAD_UPWARD_DYLIB
            | lc::LC_LAZY_LOAD_DYLIB
            | lc::LC_ID_DYLIB => 24,
            lc::LC_RPATH => 12,
            _ => return Ok(()),
        };
        let text = numbers.word(self.bytes, 8).filter(|at| *at >= fixed).and_then(|at| text(self.bytes, at));
        if text.is_some() { Ok(()) } else { Err(nonsense("load command")) }
    }

    fn segment(&self, target: Target) -> Option<Segment> {
        let numbers = Numbers { little: target.little };
        let word = |at: usize| numbers.word(self.bytes, at);
        let long = |at: usize| numbers.long(self.bytes, at);
        // segname 8; vmaddr, vmsize, fileoff, filesize from 24; then maxprot, initprot, nsects, flags
        let (places, behind) = if target.wide {
            ([long(24)?, long(32)?, long(40)?, long(48)?], 56)
        } else {
            ([word(24)?.into(), word(28)?.into(), word(32)?.into(), word(36)?.into()], 40)
        };
        let [address, size, offset, file_size] = places;
        let (protection, count, flags) = (word(behind + 4)?, word(behind + 8)?, word(behind + 12)?);
        let rows = self.bytes.get(behind + 16..)?;
        let row_size = if target.wide { 80 } else { 68 };
        let rows = rows.get(..(count as usize).checked_mul(row_size)?)?;
        Some(Segment {
            name: *self.bytes.get(8..)?.first_chunk()?,
            address,
            size,
            offset,
            file_size,
            writable: protection & VM_PROT_WRITE != 0,
            code: protection & VM_PROT_EXECUTE != 0,
            read_only: flags & SG_READ_ONLY != 0,
            sections: rows.chunks_exact(row_size).map(|row| section(row, target)).collect::<Option<_>>()?,
        })
    }

    /// What the command points to in the file; `None` if it is too short for its kind.
    pub(super) fn link_data(&self, target: Target) -> Option<Vec<Range<u64>>> {
        let numbers = Numbers { little: target.little };
        let word = |at: usize| numbers.word(self.bytes, at).map(u64::from);
        // A place at `at`, and behind it how many things of this size are there.
        let range = |at: usize, size: u64| {
            let start = word(at)?;
            Some(start..start.checked_add(word(at + 4)? * size)?)
        };
        match self.kind {
            lc::LC_SYMTAB => [range(8, if target.wide { 16 } else { 12 }), range(16, 1)].into_iter().collect(),
            // toc, modules, references, indirect symbols, external and local relocations
            lc::LC_DYSYMTAB => {
                let sizes = [(32, 8), (40, if target.wide { 56 } else { 52 }), (48, 4), (56, 4), (64, 8), (72, 8)];
                sizes.into_iter().map(|(at, size)| range(at, size)).collect()
            }
            // rebase, bind, weak_bind, lazy_bind, export
            lc::LC_DYLD_INFO | lc::LC_DYLD_INFO_ONLY => {
                [8, 16, 24, 32, 40].map(|at| range(at, 1)).into_iter().collect()
            }
            lc::LC_CODE_SIGNATURE
            | lc::LC_SEGMENT_SPLIT_INFO
            | lc::LC_FUNCTION_STARTS
            | lc::LC_DATA_IN_CODE
            | lc::LC_DYLIB_CODE_SIGN_DRS
            | lc::LC_LINKER_OPTIMIZATION_HINT
            | lc::LC_DYLD_EXPORTS_TRIE
            | lc::LC_DYLD_CHAINED_FIXUPS => range(8, 1).map(|range| vec![range]),
            _ => Some(Vec::new()),
        }
    }
}

fn section(row: &[u8], target: Target) -> Option<Section> {
    let numbers = Numbers { little: target.little };
    let word = |at: usize| numbers.word(row, at);
    let long = |at: usize| numbers.long(row, at);
    // sectname 0, segname 16; addr and size from 32; then offset, align, reloff, nreloc, flags
    let (address, size, behind) =
        if target.wide { (long(32)?, long(40)?, 48) } else { (word(32)?.into(), word(36)?.into(), 40) };
    let (offset, flags) = (word(behind)?.into(), word(behind + 16)?);
    Some(Section { name: *row.first_chunk()?, address, size, offset, flags })
}

/// The string that begins here and ends in these bytes.
pub(super) fn text(bytes: &[u8], at: u32) -> Option<&[u8]> {
    let rest = bytes.get(at as usize..)?;
    rest.get(..rest.iter().position(|byte| *byte == 0)?)
}
