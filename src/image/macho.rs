//! Mach-O images (Apple's `mach-o/loader.h` and `mach-o/fat.h`; the numbers in the comments are offsets in them).
//!
//! As with PE, the tables are read here, each through a bounds check, and of goblin only constants and names are used:
//! its reader of whole images follows many tables that are of no interest, some without an end.

mod commands;
mod exports;
mod symbols;

use super::{Image, Section, SectionKind, Target};
use crate::error::Error;
use commands::{Command, Segment};
use core::ops::Range;
use goblin::mach::constants::cputype::{
    CPU_SUBTYPE_ARM64_E, CPU_SUBTYPE_MASK, CPU_TYPE_ARM64, get_arch_name_from_types,
};
use goblin::mach::fat::FAT_MAGIC;
use goblin::mach::header::{
    MH_BUNDLE, MH_CIGAM, MH_CIGAM_64, MH_DYLIB, MH_EXECUTE, MH_MAGIC, MH_MAGIC_64, filetype_to_str,
};
pub(super) use symbols::{regions, symbols};

/// The sections that are carried from version to version: tagged variables and zero-initialised ones. Which segment
/// they are in is the linker's affair, as long as it stays writable.
const TAGGED: [&[u8]; 2] = [b"__state", b"cr_state"];
const ZERO: [&[u8]; 2] = [b"__bss", b"__common"];

/// Made read-only by the dynamic loader when all is bound; never written to.
const CONSTANT_SEGMENT: &[u8] = b"__DATA_CONST";

/// A universal file whose slices may lie beyond 4 GB.
const FAT_MAGIC_64: u32 = 0xcafe_babf;
/// The system reads the list of slices from the first page.
const FAT_TABLE: u64 = 4096;

pub(super) fn precheck(head: &[u8], len: u64, target: Target) -> Result<(), Error> {
    let slice = slice(head, len, target)?;
    // A slice begins at a page, mostly behind the head; then the full check sees it.
    let Some(head) = usize::try_from(slice.start).ok().and_then(|start| head.get(start..)) else { return Ok(()) };
    if head.is_empty() {
        return Ok(());
    }
    let check = || {
        let header = Header::read(head, slice.end - slice.start, target)?;
        header.check_library()?;
        if header.commands_end() > head.len() as u64 {
            return Ok(());
        }
        let commands = commands::read(head, &header, target)?;
        check_layout(&commands, slice.end - slice.start, target).map(|_| ())
    };
    check().map_err(|error| in_slice(error, &slice, len))
}

pub(super) fn parse(bytes: &[u8], target: Target, entry: &str) -> Result<Image, Error> {
    let View { bytes, commands, segments } = view(bytes, target, Header::check_library)?;
    // The C name of a function has an underscore in front of it.
    let address = exports::find(bytes, &commands, &segments, target, &format!("_{entry}"))?;
    if !address.is_some_and(|address| segments.iter().any(|segment| segment.code && segment.covers(address, 1))) {
        return Err(Error::NoEntry(entry.to_owned()));
    }
    // Constructors and destructors stay the dynamic loader's: to take them out of its sight, the file would have to
    // be changed, which its signature does not allow.
    let extent = segments.first().map_or(0, |first| first.address)..segments.last().map_or(0, Segment::end);
    let state = state_sections(&segments);
    Ok(Image { state, extent, ..Image::default() })
}

/// The part of a file that is for this machine.
pub(super) fn own(bytes: &[u8], target: Target) -> Option<&[u8]> {
    part(bytes, &slice(bytes, bytes.len() as u64, target).ok()?)
}

/// An image whose layout makes sense.
struct View<'a> {
    /// The whole of it: a thin file, or a slice.
    bytes: &'a [u8],
    commands: Vec<Command<'a>>,
    segments: Vec<Segment>,
}

/// `check` may refuse it for what it is.
fn view(bytes: &[u8], target: Target, check: fn(&Header) -> Result<(), Error>) -> Result<View<'_>, Error> {
    let len = bytes.len() as u64;
    let slice = slice(bytes, len, target)?;
    let bytes = part(bytes, &slice).ok_or_else(|| nonsense("universal header"))?;
    let read = || {
        let header = Header::read(bytes, bytes.len() as u64, target)?;
        check(&header)?;
        let commands = commands::read(bytes, &header, target)?;
        let segments = check_layout(&commands, bytes.len() as u64, target)?;
        Ok(View { bytes, commands, segments })
    };
    read().map_err(|error| in_slice(error, &slice, len))
}

fn check_end(what: &'static str, need: u64, len: u64) -> Result<(), Error> {
    if need > len { Err(Error::Truncated { what, need, len }) } else { Ok(()) }
}

fn nonsense(what: &str) -> Error {
    Error::Format(format!("its {what} makes no sense"))
}

fn part<'a>(bytes: &'a [u8], range: &Range<u64>) -> Option<&'a [u8]> {
    bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// What is too short in a slice is not the file, which has all of the slice: the list of slices lies.
fn in_slice(error: Error, slice: &Range<u64>, len: u64) -> Error {
    match error {
        Error::Truncated { what, need, .. } if *slice != (0..len) => {
            let size = slice.end - slice.start;
            Error::Format(format!("its universal header cuts the image off at {size}, whose {what} needs {need}"))
        }
        error => error,
    }
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

fn big_long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_be_bytes(*word))
}

/// The part of the file that is for this machine: all of it, or one slice of a universal file.
fn slice(head: &[u8], len: u64, target: Target) -> Result<Range<u64>, Error> {
    const MAGICS: [u32; 6] = [MH_MAGIC, MH_CIGAM, MH_MAGIC_64, MH_CIGAM_64, FAT_MAGIC, FAT_MAGIC_64];
    let Some(magic) = big(head, 0) else {
        // A file that has been filled up to less than the magic number may still become one.
        return if MAGICS.iter().any(|magic| magic.to_be_bytes().starts_with(head)) {
            Err(Error::Truncated { what: "header", need: 4, len })
        } else {
            Err(no_header())
        };
    };
    match magic {
        FAT_MAGIC => universal(head, len, target, false),
        FAT_MAGIC_64 => universal(head, len, target, true),
        magic if MAGICS.contains(&magic) => Ok(0..len),
        _ => Err(no_header()),
    }
}

fn no_header() -> Error {
    Error::Format("it does not start with a Mach-O header".into())
}

/// The slice for this machine. The list is always in big-endian order.
fn universal(head: &[u8], len: u64, target: Target, wide: bool) -> Result<Range<u64>, Error> {
    let bad = || nonsense("universal header");
    check_end("universal header", 8, len)?;
    let row_size = if wide { 32 } else { 20 };
    let end = 8 + u64::from(big(head, 4).ok_or_else(bad)?) * row_size;
    // Java's classes begin in the same way; read so, they have too many.
    if end > FAT_TABLE {
        return Err(bad());
    }
    check_end("universal header", end, len)?;
    let rows = part(head, &(8..end)).ok_or_else(bad)?;
    let mut taken = Vec::new();
    let mut found = Vec::new();
    let mut names = Vec::new();
    for row in rows.chunks_exact(row_size as usize) {
        // cputype 0, cpusubtype 4, offset 8, size 12 or 16, align 16 or 24
        let offset = if wide { big_long(row, 8) } else { big(row, 8).map(u64::from) };
        let size = if wide { big_long(row, 16) } else { big(row, 12).map(u64::from) };
        let align = big(row, if wide { 24 } else { 16 });
        let (Some(cpu), Some(kind), Some(offset), Some(size), Some(align)) =
            (big(row, 0), big(row, 4), offset, size, align)
        else {
            return Err(bad());
        };
        let slice = offset..offset.checked_add(size).ok_or_else(bad)?;
        if offset < end || align > 31 || offset % (1 << align) != 0 {
            return Err(bad());
        }
        check_end("slices", slice.end, len)?;
        if is_for(cpu, kind, target) {
            found.push(slice.clone());
        }
        names.push(machine_name(cpu, kind));
        taken.push(slice);
    }
    if !are_apart(&mut taken) {
        return Err(bad());
    }
    match &found[..] {
        [slice] => Ok(slice.clone()),
        [] => Err(architecture(&names.join(" and "), target)),
        // Which of them the system takes depends on the processor's model.
        _ => Err(Error::Format("it has more than one image for this machine".into())),
    }
}

/// Does this machine run images of this kind? Those for arm64e have signed pointers, which our programs cannot pass.
fn is_for(cpu: u32, kind: u32, target: Target) -> bool {
    let kind = kind & !CPU_SUBTYPE_MASK;
    cpu == target.mach_cpu && !(cpu == CPU_TYPE_ARM64 && kind == CPU_SUBTYPE_ARM64_E)
}

fn machine_name(cpu: u32, kind: u32) -> String {
    let name = get_arch_name_from_types(cpu, kind & !CPU_SUBTYPE_MASK);
    name.map_or_else(|| format!("CPU type {cpu:#x}"), str::to_owned)
}

fn architecture(found: &str, target: Target) -> Error {
    let name = machine_name(target.mach_cpu, if target.mach_cpu == CPU_TYPE_ARM64 { 0 } else { 3 });
    let need = format!("{name} with {} bits", if target.wide { 64 } else { 32 });
    Error::Architecture { found: found.to_owned(), need }
}

/// Does no range reach into another? Sorts them.
fn are_apart(ranges: &mut Vec<Range<u64>>) -> bool {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.windows(2).all(|pair| matches!(pair, [first, second] if first.end <= second.start))
}

/// The numbers of an image in its byte order.
#[derive(Clone, Copy)]
struct Numbers {
    little: bool,
}

impl Numbers {
    fn word(self, bytes: &[u8], at: usize) -> Option<u32> {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) })
    }

    fn long(self, bytes: &[u8], at: usize) -> Option<u64> {
        let long = *bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u64::from_le_bytes(long) } else { u64::from_be_bytes(long) })
    }
}

/// What the file header says.
struct Header {
    kind: u32,
    /// Where the load commands begin, how many they are and how many bytes.
    commands: u64,
    count: u32,
    size: u32,
}

impl Header {
    fn read(head: &[u8], len: u64, target: Target) -> Result<Header, Error> {
        let bad = || nonsense("header");
        check_end("header", 4, len)?;
        let (wide, little) = match big(head, 0) {
            Some(MH_MAGIC) => (false, false),
            Some(MH_CIGAM) => (false, true),
            Some(MH_MAGIC_64) => (true, false),
            Some(MH_CIGAM_64) => (true, true),
            _ => return Err(no_header()),
        };
        let size: u64 = if wide { 32 } else { 28 };
        check_end("header", size, len)?;
        if little != target.little {
            return Err(architecture("a machine of the other byte order", target));
        }
        // cputype 4, cpusubtype 8, filetype 12, ncmds 16, sizeofcmds 20
        let word = |at: usize| Numbers { little }.word(head, at).ok_or_else(bad);
        let (cpu, kind) = (word(4)?, word(8)?);
        if !is_for(cpu, kind, target) {
            return Err(architecture(&machine_name(cpu, kind), target));
        }
        if wide != target.wide {
            return Err(architecture(if wide { "a 64-bit machine" } else { "a 32-bit machine" }, target));
        }
        let header = Header { kind: word(12)?, commands: size, count: word(16)?, size: word(20)? };
        check_end("load commands", header.commands_end(), len)?;
        Ok(header)
    }

    fn check_library(&self) -> Result<(), Error> {
        match self.kind {
            MH_DYLIB | MH_BUNDLE => Ok(()),
            MH_EXECUTE => Err(Error::Format("it is an executable".into())),
            other => Err(Error::Format(format!("its Mach-O type is {}", filetype_to_str(other)))),
        }
    }

    fn commands_end(&self) -> u64 {
        self.commands + u64::from(self.size)
    }
}

/// The segments, and all that the commands point to, are in the file, in order, apart, and can be mapped.
fn check_layout(commands: &[Command<'_>], len: u64, target: Target) -> Result<Vec<Segment>, Error> {
    let segments = commands::segments(commands, target)?;
    let bad = || nonsense("segment table");
    // What a process has on the machines that are supported.
    let address_bits = if target.wide { 47 } else { 32 };
    let mut end_of_last = 0;
    for segment in &segments {
        let end = segment.offset.checked_add(segment.file_size).ok_or_else(bad)?;
        check_end("segments", end, len)?;
        let memory_end = segment.address.checked_add(segment.size).ok_or_else(bad)?;
        let aligned = (segment.address | segment.offset) % 4096 == 0;
        let apart = end_of_last <= segment.address && memory_end >> address_bits == 0;
        if segment.file_size > segment.size || !aligned || !apart || !segment.sections.iter().all(|s| fits(s, segment))
        {
            return Err(bad());
        }
        end_of_last = memory_end;
    }
    let mut in_file: Vec<_> = segments.iter().map(Segment::file_range).collect();
    // The header is in the first segment that has a place in the file: the load bias is told by it.
    if !are_apart(&mut in_file) || in_file.first().is_none_or(|first| first.start != 0) {
        return Err(bad());
    }
    check_link_data(commands, &segments, len, target)?;
    Ok(segments)
}

/// Is the section in its segment?
fn fits(section: &commands::Section, segment: &Segment) -> bool {
    let in_file = || {
        let end = section.offset.checked_add(section.size);
        section.offset >= segment.offset && end.is_some_and(|end| end <= segment.offset + segment.file_size)
    };
    section.size == 0 || segment.covers(section.address, section.size) && (section.is_zero() || in_file())
}

/// Symbols, fixups, exports and signature are in the part of the file that is for them, and apart.
fn check_link_data(commands: &[Command<'_>], segments: &[Segment], len: u64, target: Target) -> Result<(), Error> {
    let mut taken = Vec::new();
    for command in commands {
        for range in command.link_data(target).ok_or_else(|| nonsense("load command"))? {
            check_end("link edit data", range.end, len)?;
            let holds = |segment: &Segment| {
                let file = segment.file_range();
                !segment.writable && file.start <= range.start && range.end <= file.end
            };
            if !range.is_empty() && !segments.iter().any(holds) {
                return Err(nonsense("link edit data"));
            }
            taken.push(range);
        }
    }
    if are_apart(&mut taken) { Ok(()) } else { Err(nonsense("link edit data")) }
}

fn state_sections(segments: &[Segment]) -> Vec<Section> {
    let writable = segments.iter().filter(|s| s.writable && !s.read_only && s.name() != CONSTANT_SEGMENT);
    let sections = writable.flat_map(|segment| segment.sections.iter().map(move |section| (segment, section)));
    let state = |(segment, section): (&Segment, &commands::Section)| {
        let kind = match section.name() {
            name if TAGGED.contains(&name) => SectionKind::Tagged,
            name if ZERO.contains(&name) => SectionKind::Zero,
            _ => return None,
        };
        let name = full_name(segment, section);
        Some(Section { name, kind, address: section.address, size: section.size, runtime: false })
    };
    sections.filter(|(_, section)| section.size > 0).filter_map(state).collect()
}

/// As people write it: `__DATA,__state`.
fn full_name(segment: &Segment, section: &commands::Section) -> String {
    format!("{},{}", String::from_utf8_lossy(segment.name()), String::from_utf8_lossy(section.name()))
}
