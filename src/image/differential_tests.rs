//! What is read of an image, compared with what the crate `object`, which reads all formats by code of its own, finds in
//! the same file: sections, addresses, symbols, exports, needed libraries, extent and completeness.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may

use super::{Expected, Format, Image, Kind, Region, Source, Symbol, Target, regions, symbols};
use crate::error::Error;
use object::LittleEndian as LE;
use object::read::coff::SectionTable;
use object::read::elf::ElfFile;
use object::{
    Architecture, BinaryFormat, ExportTarget, NameOrOrdinal, Object, ObjectSection, ObjectSegment, ObjectSymbol,
    SectionFlags, SectionKind, SymbolFlags, SymbolKind, elf, macho, pe,
};
use std::collections::BTreeSet;
use std::path::Path;

/// Compares everything. The image exports `cr_main`; `what` is said when something differs.
pub(super) fn compare(target: Target, bytes: &[u8], what: &str) {
    let file = object::File::parse(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    let image = parse(bytes, target, "cr_main").unwrap_or_else(|error| panic!("{what}: {error}"));
    let theirs = Theirs { file: &file, base: file.relative_address_base() };
    assert_eq!(theirs.state(), ours(&image), "{what}: sections that are carried");
    assert_eq!(theirs.extent(bytes), image.extent, "{what}: extent");
    theirs.compare_regions(target, bytes, what);
    theirs.compare_symbols(target, bytes, what);
    theirs.compare_exports(target, bytes, what);
    if target.format == Format::Pe {
        let libraries = file.import_libraries().unwrap().map(|library| text(library.unwrap().name()));
        assert_eq!(image.needed, libraries.collect::<Vec<_>>(), "{what}: libraries");
        let entry = file.entry() - theirs.base;
        assert_eq!(image.lifecycle.dll_main.unwrap_or(0), entry, "{what}: entry point");
    }
    theirs.compare_completeness(target, bytes, what);
}

fn parse(bytes: &[u8], target: Target, entry: &str) -> Result<Image, Error> {
    super::parse(source(bytes), target, Expected { entry, listed: true })
}

fn source(bytes: &[u8]) -> Source<'_> {
    Source::original(bytes, Path::new("guest"))
}

type Found = (String, u64, u64);

fn ours(image: &Image) -> Vec<Found> {
    image.state.iter().map(|section| (section.name.clone(), section.address, section.size)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `object` says, in our words.
struct Theirs<'f, 'a> {
    file: &'f object::File<'a>,
    /// The address that a PE image is linked for; ours are counted from it.
    base: u64,
}

impl<'a> Theirs<'_, 'a> {
    fn name(&self, section: &impl ObjectSection<'a>) -> String {
        let name = section.name().unwrap();
        match section.segment_name().unwrap() {
            Some(segment) if self.file.format() == BinaryFormat::MachO => format!("{segment},{name}"),
            _ => name.to_owned(),
        }
    }

    fn state(&self) -> Vec<Found> {
        let names: &[&str] = match self.file.format() {
            BinaryFormat::MachO => &["__DATA,__state", "__DATA,cr_state", "__DATA,__bss", "__DATA,__common"],
            _ => &[".state", "cr_state", ".bss"],
        };
        let sections = self.file.sections().filter(|section| section.size() > 0);
        let found = sections.map(|section| (self.name(&section), section.address() - self.base, section.size()));
        found.filter(|(name, ..)| names.contains(&&**name)).collect()
    }

    fn extent(&self, bytes: &[u8]) -> core::ops::Range<u64> {
        if let object::File::Pe32(_) | object::File::Pe64(_) = self.file {
            let field = u32::from_le_bytes(bytes[0x3c..0x40].try_into().unwrap()) as usize + 24 + 56;
            return 0..u32::from_le_bytes(bytes[field..field + 4].try_into().unwrap()).into();
        }
        let ends = |segment: object::Segment<'_, '_>| (segment.address(), segment.address() + segment.size());
        let all: Vec<_> = self.file.segments().map(ends).filter(|(start, end)| start != end).collect();
        all.iter().map(|(start, _)| *start).min().unwrap()..all.iter().map(|(_, end)| *end).max().unwrap()
    }

    fn compare_regions(&self, target: Target, bytes: &[u8], what: &str) {
        let ours = regions(source(bytes), target).unwrap();
        let of = |region: Region<'_>| (region.name.into_owned(), region.address, region.size, region.bytes.to_vec());
        let rights = ours.iter().map(|region| (region.writable, region.code)).collect::<Vec<_>>();
        let loaded: Vec<_> = self.file.sections().filter(|section| section.size() > 0 && is_loaded(section)).collect();
        let theirs = loaded.iter().map(|section| {
            let content = section.data().unwrap().to_vec();
            (self.name(section), section.address() - self.base, section.size(), content)
        });
        assert_eq!(ours.into_iter().map(of).collect::<Vec<_>>(), theirs.collect::<Vec<_>>(), "{what}: regions");
        assert_eq!(rights, loaded.iter().map(rights_of).collect::<Vec<_>>(), "{what}: rights");
    }

    fn compare_symbols(&self, target: Target, bytes: &[u8], what: &str) {
        let mut ours = BTreeSet::new();
        let mut keep = |symbol: Symbol<'_>| {
            let Symbol { place, name, .. } = symbol;
            ours.insert((name.into_owned(), place.address, place.size, format!("{:?}", place.kind), place.local));
        };
        let known = symbols(source(bytes), target, &mut |_| true, &mut keep).unwrap();
        let placed: Vec<_> = self.file.symbols().filter(|symbol| self.is_placed(symbol)).collect();
        // The other formats say no sizes: a symbol ends where the next one begins, or its section.
        let mut starts: Vec<u64> =
            self.file.symbols().filter(|s| s.section_index().is_some()).map(|s| s.address()).collect();
        starts.sort_unstable();
        // The linker makes hidden symbols local, and notes that they were not.
        let is_local = |symbol: &object::Symbol<'_, '_>| match symbol.flags() {
            SymbolFlags::MachO { n_type, .. } => !n_type.intersects(macho::N_EXT | macho::N_PEXT),
            _ => symbol.is_local(),
        };
        let theirs = placed.iter().filter_map(|symbol| {
            let section = self.file.section_by_index(symbol.section_index().unwrap()).unwrap();
            let end = section.address() + section.size();
            let next = starts.iter().copied().find(|start| *start > symbol.address()).unwrap_or(end).min(end);
            let elf = self.file.format() == BinaryFormat::Elf;
            let size = if elf { symbol.size() } else { next.saturating_sub(symbol.address()) };
            let kind = match symbol.kind() {
                SymbolKind::Tls => Kind::ThreadLocal,
                SymbolKind::Text => Kind::Function,
                _ if elf => Kind::Object,
                _ => kind_of(&section),
            };
            let name = symbol.name().unwrap();
            let name = match (self.file.format(), self.file.architecture()) {
                (BinaryFormat::MachO, _) => name.strip_prefix('_')?,
                (BinaryFormat::Pe | BinaryFormat::Coff, Architecture::I386) => name.strip_prefix('_').unwrap_or(name),
                _ => name,
            };
            let address = symbol.address() - self.base;
            (size > 0).then(|| (name.to_owned(), address, size, format!("{kind:?}"), is_local(symbol)))
        });
        assert_eq!(ours, theirs.collect(), "{what}: symbols");
        let all_are_exported = self.file.format() == BinaryFormat::MachO && !placed.iter().any(|s| s.is_local());
        assert_eq!(known, !placed.is_empty() && !all_are_exported, "{what}: is it stripped?");
    }

    fn is_placed(&self, symbol: &object::Symbol<'a, '_>) -> bool {
        let no_symbol = matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section);
        let untyped = self.file.format() == BinaryFormat::Elf && symbol.kind() == SymbolKind::Unknown;
        symbol.section_index().is_some() && !no_symbol && !untyped
    }

    /// Exactly the exported functions are entry points.
    fn compare_exports(&self, target: Target, bytes: &[u8], what: &str) {
        let exports = self.file.exports().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        assert!(!exports.is_empty(), "{what}");
        for export in exports {
            let NameOrOrdinal::Name(name) = export.name() else { panic!("{what}: {export:?}") };
            let ExportTarget::Address { address } = export.target() else { continue };
            let name = text(name);
            let name = if target.format == Format::MachO { &name[1..] } else { &name };
            let inside = |section: &object::Section<'_, '_>| {
                (section.address()..section.address() + section.size()).contains(&address)
            };
            // Linkers export the ends of sections, too.
            let is_code = self.file.sections().find(inside).is_some_and(|section| rights_of(&section).1);
            assert_eq!(parse(bytes, target, name).is_ok(), is_code, "{what}: {name}");
            let none = format!("{name}_no");
            assert!(matches!(parse(bytes, target, &none), Err(Error::NoEntry(missing)) if missing == none), "{what}");
        }
    }

    /// The file is complete with the last byte that a header speaks of, and not before.
    fn compare_completeness(&self, target: Target, bytes: &[u8], what: &str) {
        let sections = self.file.sections().filter_map(|section| section.file_range());
        let segments = self.file.segments().map(|segment| segment.file_range());
        let mut end = sections.chain(segments).map(|(offset, size)| offset + size).max().unwrap();
        end = end.max(self.end_of_tables(bytes));
        let cut = |len: u64| parse(&bytes[..len as usize], target, "cr_main");
        assert!(cut(end).is_ok(), "{what}: {end} of {}", bytes.len());
        for len in [end - 1, end / 2, end / 3, 4096.min(end - 1), 65, 63] {
            assert!(matches!(cut(len), Err(Error::Truncated { .. })), "{what}: {len} of {end}");
        }
    }

    /// Where the tables end that belong to no section.
    fn end_of_tables(&self, bytes: &[u8]) -> u64 {
        match self.file {
            object::File::Pe32(file) => end_of_rows(file.section_table()).max(end_of_names(bytes)),
            object::File::Pe64(file) => end_of_rows(file.section_table()).max(end_of_names(bytes)),
            object::File::Elf64(file) => end_of_section_table(file),
            object::File::Elf32(file) => end_of_section_table(file),
            _ => 0,
        }
    }
}

/// In the file, a section of PE is filled up to more than it has in memory.
fn end_of_rows(table: SectionTable<'_>) -> u64 {
    let range = |row: &pe::ImageSectionHeader| (row.pointer_to_raw_data.get(LE), row.size_of_raw_data.get(LE));
    table.iter().map(range).map(|(offset, size)| u64::from(offset) + u64::from(size)).max().unwrap()
}

/// The names of symbols are behind the symbols, and begin with their size.
fn end_of_names(bytes: &[u8]) -> u64 {
    let word = |at: u64| u64::from(u32::from_le_bytes(bytes[at as usize..at as usize + 4].try_into().unwrap()));
    let coff = word(0x3c) + 4;
    let names = word(coff + 8) + 18 * word(coff + 12);
    if word(coff + 8) == 0 { 0 } else { names + word(names) }
}

fn end_of_section_table<H: object::read::elf::FileHeader>(file: &ElfFile<'_, H>) -> u64 {
    let (header, endian) = (file.elf_header(), file.endian());
    header.e_shoff(endian).into() + u64::from(header.e_shnum(endian)) * u64::from(header.e_shentsize(endian))
}

fn is_loaded<'a>(section: &impl ObjectSection<'a>) -> bool {
    match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => sh_flags.contains(elf::SHF_ALLOC) && !sh_flags.contains(elf::SHF_TLS),
        SectionFlags::Coff { characteristics } => !characteristics.contains(pe::IMAGE_SCN_MEM_DISCARDABLE),
        SectionFlags::MachO { flags, .. } => {
            ![macho::S_THREAD_LOCAL_REGULAR, macho::S_THREAD_LOCAL_ZEROFILL].contains(&flags.typ())
        }
        other => panic!("{other:?}"),
    }
}

/// Writable, and code?
fn rights_of<'a>(section: &impl ObjectSection<'a>) -> (bool, bool) {
    match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => {
            (sh_flags.contains(elf::SHF_WRITE), sh_flags.contains(elf::SHF_EXECINSTR))
        }
        SectionFlags::Coff { characteristics } => {
            (characteristics.contains(pe::IMAGE_SCN_MEM_WRITE), characteristics.contains(pe::IMAGE_SCN_MEM_EXECUTE))
        }
        SectionFlags::MachO { flags, .. } => {
            let code = macho::S_ATTR_PURE_INSTRUCTIONS | macho::S_ATTR_SOME_INSTRUCTIONS;
            (section.segment_name().unwrap() == Some("__DATA"), flags.intersects(code))
        }
        other => panic!("{other:?}"),
    }
}

/// Of a symbol in this section, where symbols have no kind of their own.
fn kind_of<'a>(section: &impl ObjectSection<'a>) -> Kind {
    if rights_of(section).1 {
        Kind::Function
    } else if matches!(section.kind(), SectionKind::Tls | SectionKind::UninitializedTls | SectionKind::TlsVariables)
        || section.name() == Ok(".tls")
    {
        Kind::ThreadLocal
    } else {
        Kind::Object
    }
}
