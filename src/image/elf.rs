//! ELF shared objects (System V ABI, chapters 4 and 5; the GNU extensions of the gABI).

mod symbols;

use super::{Array, Image, Lifecycle, Patch, Section, SectionKind, Target};
use crate::error::Error;
use core::ops::Range;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::dynamic::{self, Dyn};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{self, ProgramHeader};
use goblin::elf::section_header::{self, SectionHeader};
use goblin::elf::{Elf, Sym};
pub(super) use symbols::{regions, symbols};

/// The sections that are carried from version to version: tagged variables and zero-initialised ones.
const STATE_SECTIONS: [(&str, SectionKind); 3] =
    [(".state", SectionKind::Tagged), ("cr_state", SectionKind::Tagged), (".bss", SectionKind::Zero)];

/// Added to the tags of constructors in the copy of a file. The sum lies in the range that is
/// reserved for systems (DT_LOOS..DT_HIOS) and means nothing to any dynamic loader, which skips the entry.
const HIDDEN_TAG: u64 = 0x6372_0000;

pub(super) fn precheck(head: &[u8], len: u64, target: Target) -> Result<(), Error> {
    let (header, ctx) = check_header(head, len, target)?;
    let table = table_end(header.e_phoff, header.e_phnum, header.e_phentsize)?;
    check_end("program header table", table, len)?;
    if header.e_shoff != 0 {
        let table = table_end(header.e_shoff, header.e_shnum, header.e_shentsize)?;
        check_end("section table", table, len)?;
    }
    // Linkers put the program headers right behind the file header. If not, the full check sees them.
    if table <= head.len() as u64 {
        let segments = program_headers(head, &header, ctx)?;
        check_segments(&segments, len, target)?;
    }
    Ok(())
}

pub(super) fn parse(bytes: &[u8], target: Target, entry: &str) -> Result<Image, Error> {
    let len = bytes.len() as u64;
    precheck(bytes, len, target)?;
    check_symbol_hash(bytes, target)?;
    let elf = Elf::parse(bytes).map_err(|error| Error::Format(error.to_string()))?;
    check_segments(&elf.program_headers, len, target)?;
    check_sections(&elf.section_headers, len)?;
    let segments = Segments(&elf.program_headers);
    segments.check_notes()?;

    let dynamic = elf.dynamic.as_ref().ok_or_else(|| Error::Format("no dynamic section".into()))?;
    if dynamic.info.flags_1 & dynamic::DF_1_PIE != 0 {
        return Err(Error::Format("it is an executable".into()));
    }
    check_dynamic(&dynamic.dyns, &segments)?;
    let exported = |symbol: &Sym| {
        symbol.st_shndx != section_header::SHN_UNDEF as usize && elf.dynstrtab.get_at(symbol.st_name) == Some(entry)
    };
    if !elf.dynsyms.iter().any(|symbol| exported(&symbol)) {
        return Err(Error::NoEntry(entry.to_owned()));
    }

    let table = segments.dynamic()?;
    let lifecycle = lifecycle(&dynamic.dyns, &segments, table, if elf.is_64 { 8 } else { 4 })?;
    let patches = hide_constructors(&dynamic.dyns, table, target);
    let state = state_sections(&elf, &segments);
    let registrars = Some(registrars(&elf, &segments));
    Ok(Image { state, extent: segments.extent(), lifecycle, registrars, patches, ..Image::default() })
}

/// The file header: an ELF shared object for this machine?
fn check_header(head: &[u8], len: u64, target: Target) -> Result<(Header, Ctx), Error> {
    if !head.starts_with(header::ELFMAG) {
        // A file that has been filled up to less than the magic number may still become one.
        return if header::ELFMAG.starts_with(head) {
            Err(Error::Truncated { what: "header", need: header::ELFMAG.len() as u64, len })
        } else {
            Err(Error::Format("it does not start with an ELF header".into()))
        };
    }
    let size = if target.wide { header::header64::SIZEOF_EHDR } else { header::header32::SIZEOF_EHDR };
    check_end("header", size as u64, len)?;
    let class = if target.wide { header::ELFCLASS64 } else { header::ELFCLASS32 };
    let data = if target.little { header::ELFDATA2LSB } else { header::ELFDATA2MSB };
    if head.get(header::EI_CLASS) != Some(&class) {
        return Err(architecture(if target.wide { "a 32-bit machine" } else { "a 64-bit machine" }, target));
    }
    if head.get(header::EI_DATA) != Some(&data) {
        return Err(architecture("a machine of the other byte order", target));
    }
    let header = Elf::parse_header(head).map_err(|error| Error::Format(error.to_string()))?;
    if header.e_machine != target.machine {
        return Err(architecture(header::machine_to_str(header.e_machine), target));
    }
    if header.e_type != header::ET_DYN {
        return Err(Error::Format(format!("its ELF type is {}", header::et_to_str(header.e_type))));
    }
    let container = if target.wide { Container::Big } else { Container::Little };
    let endian = if target.little { Endian::Little } else { Endian::Big };
    Ok((header, Ctx::new(container, endian)))
}

fn architecture(found: &str, target: Target) -> Error {
    let need = format!("{} with {} bits", header::machine_to_str(target.machine), if target.wide { 64 } else { 32 });
    Error::Architecture { found: found.to_owned(), need }
}

fn program_headers(bytes: &[u8], header: &Header, ctx: Ctx) -> Result<Vec<ProgramHeader>, Error> {
    let offset = usize::try_from(header.e_phoff).map_err(|_| nonsense("program header offset"))?;
    ProgramHeader::parse(bytes, offset, usize::from(header.e_phnum), ctx)
        .map_err(|error| Error::Format(error.to_string()))
}

fn table_end(offset: u64, count: u16, entry: u16) -> Result<u64, Error> {
    // An extended section count (more than 65279) stands in the first entry, which must be there at least.
    let size = u64::from(count.max(1)) * u64::from(entry);
    offset.checked_add(size).ok_or_else(|| nonsense("table offset"))
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

/// The hash table, by which goblin finds the number of symbols, makes sense: its sums are made in words of this
/// machine, which a table in a damaged file overflows where they have 32 bits.
fn check_symbol_hash(bytes: &[u8], target: Target) -> Result<(), Error> {
    let len = bytes.len() as u64;
    let (header, ctx) = check_header(bytes, len, target)?;
    let segments = program_headers(bytes, &header, ctx)?;
    let dynamic = dynamic::Dynamic::parse(bytes, &segments, ctx).map_err(|error| Error::Format(error.to_string()))?;
    let Some(place) = dynamic.and_then(|dynamic| dynamic.info.gnu_hash) else { return Ok(()) };
    let word = |offset: u64| -> Result<u64, Error> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let word = bytes.get(offset..).and_then(|rest| rest.first_chunk()).ok_or_else(|| nonsense("symbol hash"))?;
        Ok(if target.little { u32::from_le_bytes(*word) } else { u32::from_be_bytes(*word) }.into())
    };
    let (buckets, first, bloom) = (word(place)?, word(place + 4)?, word(place + 8)?);
    let start = place + 16 + bloom * if target.wide { 8 } else { 4 };
    let chains = start + 4 * buckets;
    if chains > len {
        return Err(nonsense("symbol hash"));
    }
    for bucket in 0..buckets {
        let chain = word(start + 4 * bucket)?;
        // 0: an empty bucket
        if chain != 0 && (chain < first || chains + 4 * (chain - first) > len) {
            return Err(nonsense("symbol hash"));
        }
    }
    Ok(())
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
fn registrars(elf: &Elf<'_>, segments: &Segments<'_>) -> Vec<u64> {
    let name = |symbol: &Sym| elf.dynstrtab.get_at(symbol.st_name) == Some("__cxa_atexit");
    let Some(number) = elf.dynsyms.iter().position(|symbol| name(&symbol)) else { return Vec::new() };
    let word = if elf.is_64 { 8 } else { 4 };
    // The relative ones, which name no symbol and may be hundreds of thousands, come first.
    let relative = elf.dynamic.as_ref().map_or(0, |dynamic| dynamic.info.relacount);
    let data = elf.dynrelas.iter().skip(relative).chain(elf.dynrels.iter());
    let slots = data.chain(elf.pltrelocs.iter()).filter(|relocation| relocation.r_sym == number);
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

fn state_sections(elf: &Elf<'_>, segments: &Segments<'_>) -> Vec<Section> {
    let mut found = Vec::new();
    for section in &elf.section_headers {
        let Some(name) = elf.shdr_strtab.get_at(section.sh_name) else { continue };
        let flags = u64::from(section_header::SHF_ALLOC | section_header::SHF_WRITE);
        let plain = section.sh_flags & flags == flags && section.sh_flags & u64::from(section_header::SHF_TLS) == 0;
        let Some((_, kind)) = STATE_SECTIONS.iter().find(|(carried, _)| *carried == name) else { continue };
        if plain && section.sh_size > 0 && segments.writable(section.sh_addr, section.sh_size) {
            found.push(Section {
                name: name.to_owned(),
                kind: *kind,
                address: section.sh_addr,
                size: section.sh_size,
                runtime: false,
            });
        }
    }
    found
}
