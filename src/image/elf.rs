//! ELF shared objects (System V ABI, chapters 4 and 5; the GNU extensions of the gABI).

mod file;
mod symbols;

use super::{Array, Expected, Image, Lifecycle, Patch, Section, SectionKind, Target};
use crate::error::Error;
use core::ops::Range;
pub(super) use file::File;
use file::{DynamicTable, Head};
use goblin::elf::Sym;
use goblin::elf::dynamic::{self, Dyn};
use goblin::elf::program_header::{self, ProgramHeader};
use goblin::elf::section_header::{self, SectionHeader};

/// The sections that are carried from version to version: tagged variables and zero-initialised ones.
const STATE_SECTIONS: [(&str, SectionKind); 3] =
    [(".state", SectionKind::Tagged), ("cr_state", SectionKind::Tagged), (".bss", SectionKind::Zero)];

/// Added to the tags of constructors in the copy of a file. The sum lies in the range that is
/// reserved for systems (DT_LOOS..DT_HIOS) and means nothing to any dynamic loader, which skips the entry.
const HIDDEN_TAG: u64 = 0x6372_0000;

pub(super) fn precheck(head: &[u8], len: u64, target: Target) -> Result<(), Error> {
    // Linkers put the program headers right behind the file header. If not, the full check sees them.
    let Head { segments, .. } = Head::read(head, len, target)?;
    segments.map_or(Ok(()), |segments| check_segments(&segments, len, target))
}

pub(super) fn parse(bytes: &[u8], target: Target, expected: Expected<'_>) -> Result<Image, Error> {
    let len = bytes.len() as u64;
    let file = File::read(bytes, target)?;
    check_segments(&file.segments, len, target)?;
    check_sections(&file.sections, len)?;
    let segments = Segments(&file.segments);
    segments.check_notes()?;

    let dynamic = file.dynamic.as_ref().ok_or_else(|| Error::Format("no dynamic section".into()))?;
    if dynamic.info.flags_1 & dynamic::DF_1_PIE != 0 {
        return Err(Error::Format("it is an executable".into()));
    }
    check_dynamic(&dynamic.dyns, &segments)?;
    let linked = file.dynamic_table()?.ok_or(Error::Internal("the dynamic section has gone"))?;
    let is_entry = |symbol: &Sym| {
        symbol.st_shndx != section_header::SHN_UNDEF as usize && linked.name(symbol) == expected.entry.as_bytes()
    };
    let Some(entry) = linked.symbols.iter().find(is_entry) else {
        return Err(Error::NoEntry(expected.entry.to_owned()));
    };
    if !segments.executable(entry.st_value) {
        return Err(Error::Format(format!("its {} is not a function", expected.entry)));
    }

    let table = segments.dynamic()?;
    let lifecycle = lifecycle(&dynamic.dyns, &segments, table, if target.wide { 8 } else { 4 })?;
    let patches = hide_constructors(&dynamic.dyns, table, target);
    let state = state_sections(&file, &segments);
    let registrars = Some(registrars(&linked, &segments, if target.wide { 8 } else { 4 }));
    let listing = if expected.listed { file.list(&state) } else { None };
    Ok(Image { state, extent: segments.extent(), lifecycle, registrars, listing, patches, ..Image::default() })
}

fn check_end(what: &'static str, need: u64, len: u64) -> Result<(), Error> {
    if need > len { Err(Error::Truncated { what, need, len }) } else { Ok(()) }
}

fn nonsense(what: &str) -> Error {
    Error::Format(format!("its {what} makes no sense"))
}

/// The segments are in the file, in order, apart, and can be mapped: the kernel and the dynamic loader take much
/// of this on trust and would die of it.
fn check_segments(segments: &[ProgramHeader], len: u64, target: Target) -> Result<(), Error> {
    // What a process has on the machines that are supported.
    let address_bits = if target.wide { 47 } else { 32 };
    let mut end_of_last = 0;
    let mut loads = 0;
    for segment in segments {
        if !matches!(segment.p_type, program_header::PT_LOAD | program_header::PT_DYNAMIC) {
            continue;
        }
        let end = segment.p_offset.checked_add(segment.p_filesz).ok_or_else(|| nonsense("segment size"))?;
        check_end("segments", end, len)?;
        if segment.p_type != program_header::PT_LOAD {
            continue;
        }
        loads += 1;
        let memory_end = segment.p_vaddr.checked_add(segment.p_memsz).ok_or_else(|| nonsense("segment size"))?;
        let page = segment.p_align.max(1);
        let aligned = page.is_power_of_two() && segment.p_vaddr % page == segment.p_offset % page;
        let apart = end_of_last <= segment.p_vaddr && memory_end >> address_bits == 0;
        if segment.p_filesz > segment.p_memsz || !aligned || !apart {
            return Err(nonsense("segment table"));
        }
        end_of_last = memory_end;
    }
    if loads == 0 { Err(Error::Format("no segment to load".into())) } else { Ok(()) }
}

fn check_sections(sections: &[SectionHeader], len: u64) -> Result<(), Error> {
    for section in sections {
        if section.sh_type == section_header::SHT_NOBITS || section.sh_type == section_header::SHT_NULL {
            continue;
        }
        let end = section.sh_offset.checked_add(section.sh_size).ok_or_else(|| nonsense("section size"))?;
        check_end("sections", end, len)?;
    }
    Ok(())
}

/// The memory that the image will have, by address.
struct Segments<'a>(&'a [ProgramHeader]);

impl Segments<'_> {
    fn covers(&self, address: u64, size: u64, accept: impl Fn(&ProgramHeader) -> bool) -> bool {
        let Some(end) = address.checked_add(size) else { return false };
        self.0.iter().any(|segment| {
            accept(segment)
                && segment.p_vaddr <= address
                && segment.p_vaddr.checked_add(segment.p_memsz).is_some_and(|segment_end| end <= segment_end)
        })
    }

    /// From the first to the last address.
    fn extent(&self) -> Range<u64> {
        let loads = || self.0.iter().filter(|segment| segment.p_type == program_header::PT_LOAD);
        let start = loads().map(|segment| segment.p_vaddr).min().unwrap_or(0);
        let end = loads().map(|segment| segment.p_vaddr.saturating_add(segment.p_memsz)).max().unwrap_or(start);
        start..end
    }

    fn dynamic(&self) -> Result<&ProgramHeader, Error> {
        let dynamic = self.0.iter().find(|segment| segment.p_type == program_header::PT_DYNAMIC);
        let dynamic = dynamic.ok_or_else(|| Error::Format("no dynamic segment".into()))?;
        if self.loaded(dynamic.p_vaddr, dynamic.p_filesz) { Ok(dynamic) } else { Err(nonsense("dynamic segment")) }
    }

    /// The dynamic loader reads the notes where the image is mapped, without a look.
    fn check_notes(&self) -> Result<(), Error> {
        let notes = [program_header::PT_NOTE, program_header::PT_GNU_PROPERTY];
        let lost = |s: &&ProgramHeader| notes.contains(&s.p_type) && !self.loaded(s.p_vaddr, s.p_memsz);
        if self.0.iter().any(|segment| lost(&segment)) { Err(nonsense("note segment")) } else { Ok(()) }
    }

    fn loaded(&self, address: u64, size: u64) -> bool {
        self.covers(address, size, |segment| segment.p_type == program_header::PT_LOAD)
    }

    fn executable(&self, address: u64) -> bool {
        self.covers(address, 1, |segment| segment.p_type == program_header::PT_LOAD && segment.is_executable())
    }

    /// Writable while the program runs: in a writable segment, and not made read-only after relocation.
    fn writable(&self, address: u64, size: u64) -> bool {
        self.covers(address, size, |s| s.p_type == program_header::PT_LOAD && s.is_write())
            && !self.covers(address, size, |s| s.p_type == program_header::PT_GNU_RELRO)
    }
}

/// The tables that the dynamic loader follows without a look are in the image.
fn check_dynamic(entries: &[Dyn], segments: &Segments<'_>) -> Result<(), Error> {
    let value = |tag: u64| entries.iter().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val);
    let tables = [
        (dynamic::DT_STRTAB, Some(dynamic::DT_STRSZ)),
        (dynamic::DT_SYMTAB, None),
        (dynamic::DT_RELA, Some(dynamic::DT_RELASZ)),
        (dynamic::DT_REL, Some(dynamic::DT_RELSZ)),
        (dynamic::DT_JMPREL, Some(dynamic::DT_PLTRELSZ)),
        (dynamic::DT_HASH, None),
        (dynamic::DT_GNU_HASH, None),
        (dynamic::DT_VERSYM, None),
        (dynamic::DT_VERNEED, None),
        (dynamic::DT_VERDEF, None),
    ];
    for (table, size) in tables {
        let Some(address) = value(table) else { continue };
        let size = size.and_then(value).unwrap_or(0);
        if !segments.loaded(address, size) {
            return Err(nonsense("dynamic section"));
        }
    }
    if value(dynamic::DT_STRTAB).is_none() || value(dynamic::DT_SYMTAB).is_none() {
        return Err(nonsense("dynamic section"));
    }
    Ok(())
}

fn lifecycle(entries: &[Dyn], segments: &Segments<'_>, table: &ProgramHeader, word: u64) -> Result<Lifecycle, Error> {
    let value = |tag: u64| entries.iter().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val);
    // The value's address: each entry is two words, the tag and the value.
    let place = |tag: u64| {
        let index = entries.iter().position(|entry| entry.d_tag == tag)?;
        Some(table.p_vaddr + (2 * index as u64 + 1) * word)
    };
    let function = |tag| match value(tag) {
        None | Some(0) => Ok(None),
        Some(address) if segments.loaded(address, 1) => Ok(Some(address)),
        Some(_) => Err(nonsense("initialisation function")),
    };
    let array = |tag, size_tag| match (value(tag), value(size_tag)) {
        (Some(address), Some(size)) if size >= word => {
            if segments.loaded(address, size) && address % word == 0 {
                Ok(Some(Array { address, count: size / word }))
            } else {
                Err(nonsense("initialisation array"))
            }
        }
        _ => Ok(None),
    };
    Ok(Lifecycle {
        init: function(dynamic::DT_INIT)?,
        init_array: array(dynamic::DT_INIT_ARRAY, dynamic::DT_INIT_ARRAYSZ)?,
        fini_array: array(dynamic::DT_FINI_ARRAY, dynamic::DT_FINI_ARRAYSZ)?,
        fini: function(dynamic::DT_FINI)?,
        fini_array_size_entry: place(dynamic::DT_FINI_ARRAYSZ),
        fini_entry: place(dynamic::DT_FINI),
        dll_main: None,
    })
}

/// The words that the dynamic loader fills with the address of the function which registers destructors.
fn registrars(linked: &DynamicTable<'_>, segments: &Segments<'_>, word: u64) -> Vec<u64> {
    let is_it = |symbol: &Sym| linked.name(symbol) == b"__cxa_atexit";
    let Some(number) = linked.symbols.iter().position(|symbol| is_it(&symbol)) else { return Vec::new() };
    let slots = linked.relocations().filter(|relocation| relocation.r_sym == number);
    let slots = slots.map(|relocation| relocation.r_offset);
    slots.filter(|slot| slot % word == 0 && segments.loaded(*slot, word)).collect()
}

/// Gives the entries for constructors tags that the dynamic loader skips.
///
/// It would run them holding its lock, and a frame of the loader cannot be abandoned when one of them crashes.
/// So they are run by us instead, under the guard, right after loading. (Destructors are dealt with in memory, see
/// `loaded`: if the plugin is never closed, the loader is to run them when the program ends.)
fn hide_constructors(entries: &[Dyn], table: &ProgramHeader, target: Target) -> Vec<Patch> {
    let tags = [dynamic::DT_INIT, dynamic::DT_INIT_ARRAY, dynamic::DT_INIT_ARRAYSZ];
    let entry_size: u64 = if target.wide { 16 } else { 8 };
    let encode = |tag: u64| match (target.wide, target.little) {
        (true, true) => tag.to_le_bytes().to_vec(),
        (true, false) => tag.to_be_bytes().to_vec(),
        (false, true) => (tag as u32).to_le_bytes().to_vec(),
        (false, false) => (tag as u32).to_be_bytes().to_vec(),
    };
    let hidden = (0u64..).zip(entries).filter(|(_, entry)| tags.contains(&entry.d_tag));
    let patch = |(index, entry): (u64, &Dyn)| Patch {
        offset: table.p_offset + index * entry_size,
        bytes: encode(entry.d_tag + HIDDEN_TAG),
    };
    hidden.map(patch).collect()
}

fn state_sections(file: &File<'_>, segments: &Segments<'_>) -> Vec<Section> {
    let mut found = Vec::new();
    let flags = u64::from(section_header::SHF_ALLOC | section_header::SHF_WRITE);
    let thread_local = u64::from(section_header::SHF_TLS);
    for section in file.sections.iter().filter(|section| section.sh_flags & (flags | thread_local) == flags) {
        let name = file.section_name(section);
        let Some((carried, kind)) = STATE_SECTIONS.iter().find(|(carried, _)| carried.as_bytes() == name) else {
            continue;
        };
        if section.sh_size > 0 && segments.writable(section.sh_addr, section.sh_size) {
            found.push(Section {
                name: (*carried).to_owned(),
                kind: *kind,
                address: section.sh_addr,
                size: section.sh_size,
                runtime: false,
            });
        }
    }
    found
}
