//! An ELF file as far as it is read: its headers once, the tables behind them in place.

use super::{check_end, nonsense};
use crate::error::Error;
use crate::image::Target;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::dynamic::{self, Dynamic};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::reloc::{Reloc, RelocSection};
use goblin::elf::section_header::{self, SectionHeader};
use goblin::elf::sym::{Sym, Symtab};

/// The section's number did not fit and is in a table of its own.
pub(super) const SHN_XINDEX: u16 = section_header::SHN_XINDEX as u16;

/// A file whose headers are for this machine and lie inside of it.
pub(in crate::image) struct File<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) target: Target,
    pub(super) segments: Vec<ProgramHeader>,
    pub(super) sections: Vec<SectionHeader>,
    pub(super) dynamic: Option<Dynamic>,
    ctx: Ctx,
    section_names: &'a [u8],
}

impl<'a> File<'a> {
    pub(in crate::image) fn read(bytes: &'a [u8], target: Target) -> Result<File<'a>, Error> {
        let Head { header, ctx, segments } = Head::read(bytes, bytes.len() as u64, target)?;
        let segments = segments.ok_or_else(|| nonsense("program header offset"))?;
        let offset = usize::try_from(header.e_shoff).map_err(|_| nonsense("section table"))?;
        let sections = SectionHeader::parse(bytes, offset, usize::from(header.e_shnum), ctx).map_err(malformed)?;
        let dynamic = Dynamic::parse(bytes, &segments, ctx).map_err(malformed)?;
        // The number of the section with their names, if it did not fit, is in the first entry.
        let names = match header.e_shstrndx {
            SHN_XINDEX => sections.first().map_or(0, |first| first.sh_link),
            number => u32::from(number),
        };
        let mut file = File { bytes, target, segments, sections, dynamic, ctx, section_names: &[] };
        let names = file.sections.get(names as usize).and_then(|section| file.content(section));
        file.section_names = names.unwrap_or_default();
        Ok(file)
    }

    /// Must the dynamic loader never unmap it (DF_1_NODELETE)?
    pub(in crate::image) fn is_marked_to_stay(&self) -> bool {
        self.dynamic.as_ref().is_some_and(|dynamic| dynamic.info.flags_1 & dynamic::DF_1_NODELETE != 0)
    }

    pub(super) fn section_name(&self, section: &SectionHeader) -> &'a [u8] {
        text(self.section_names, section.sh_name).unwrap_or_default()
    }

    /// A section's bytes in the file.
    pub(super) fn content(&self, section: &SectionHeader) -> Option<&'a [u8]> {
        if section.sh_type == section_header::SHT_NOBITS {
            return None;
        }
        let end = section.sh_offset.checked_add(section.sh_size)?;
        self.bytes.get(usize::try_from(section.sh_offset).ok()?..usize::try_from(end).ok()?)
    }

    /// What the dynamic loader links by. None: there is no dynamic section.
    pub(in crate::image) fn dynamic_table(&self) -> Result<Option<DynamicTable<'a>>, Error> {
        let Some(Dynamic { info, .. }) = &self.dynamic else { return Ok(None) };
        let relocations =
            |offset, size, is_rela| RelocSection::parse(self.bytes, offset, size, is_rela, self.ctx).map_err(malformed);
        let tables = [
            relocations(info.rela, info.relasz, true)?,
            relocations(info.rel, info.relsz, false)?,
            relocations(info.jmprel, info.pltrelsz, info.pltrel == dynamic::DT_RELA)?,
        ];
        let mut table = DynamicTable { symbols: Symtab::default(), names: &[], tables, relative: info.relacount };
        // Neither of them tells how long the table of symbols is, but all that they name must be in it.
        let named = table.relocations().map(|relocation| relocation.r_sym).max().filter(|last| *last != 0);
        let count = self.hashed_symbols()?.max(named.map_or(0, |last| last.saturating_add(1)));
        table.symbols = Symtab::parse(self.bytes, info.symtab, count, self.ctx).map_err(malformed)?;
        let end = info.strtab.saturating_add(info.strsz);
        table.names = self.bytes.get(info.strtab..end).ok_or_else(|| nonsense("dynamic string table"))?;
        Ok(Some(table))
    }

    /// The number of symbols, as far as the hash tables tell it (System V gABI, chapter 5; GNU: the bucket with the
    /// highest number, and what follows it in its chain up to the one that is marked as the last).
    fn hashed_symbols(&self) -> Result<usize, Error> {
        let Some(Dynamic { info, .. }) = &self.dynamic else { return Ok(0) };
        let word = |offset: u64| -> Result<u64, Error> {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let word = self.bytes.get(offset..).and_then(|rest| rest.first_chunk());
            let word = *word.ok_or_else(|| nonsense("symbol hash"))?;
            Ok(if self.target.little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) }.into())
        };
        let Some(place) = info.gnu_hash else {
            // The second word is the number of chains, one for each symbol.
            return info.hash.map_or(Ok(0), |place| Ok(word(place.saturating_add(4))? as usize));
        };
        let len = self.bytes.len() as u64;
        check_end("symbol hash", place.saturating_add(16), len)?;
        let (buckets, first, bloom) = (word(place)?, word(place + 4)?, word(place + 8)?);
        let start = place + 16 + bloom * if self.target.wide { 8 } else { 4 };
        let chains = start + 4 * buckets;
        if chains > len {
            return Err(nonsense("symbol hash"));
        }
        let mut last = 0;
        for bucket in 0..buckets {
            let chain = word(start + 4 * bucket)?;
            // 0: an empty bucket
            if chain != 0 && (chain < first || chains + 4 * (chain - first) > len) {
                return Err(nonsense("symbol hash"));
            }
            last = last.max(chain);
        }
        if last == 0 {
            return Ok(0);
        }
        while word(chains + 4 * (last - first))? & 1 == 0 {
            last += 1;
        }
        Ok(last as usize + 1)
    }
}

/// The dynamic section's symbols and relocations.
pub(in crate::image) struct DynamicTable<'a> {
    pub(in crate::image) symbols: Symtab<'a>,
    names: &'a [u8],
    tables: [RelocSection<'a>; 3],
    relative: usize,
}

impl<'a> DynamicTable<'a> {
    /// All but the relative ones of the first table, which name no symbol and may be hundreds of thousands.
    pub(super) fn relocations(&self) -> impl Iterator<Item = Reloc> {
        let [first, second, third] = &self.tables;
        first.iter().skip(self.relative).chain(second.iter()).chain(third.iter())
    }

    pub(in crate::image) fn name(&self, symbol: &Sym) -> &'a [u8] {
        text(self.names, symbol.st_name).unwrap_or_default()
    }
}

/// The beginning of a file that is so long: an ELF shared object for this machine, and its tables are in the file.
pub(super) struct Head {
    header: Header,
    ctx: Ctx,
    /// None: they are further behind.
    pub(super) segments: Option<Vec<ProgramHeader>>,
}

impl Head {
    pub(super) fn read(head: &[u8], len: u64, target: Target) -> Result<Head, Error> {
        let (header, ctx) = check_header(head, len, target)?;
        let table = table_end(header.e_phoff, header.e_phnum, header.e_phentsize)?;
        check_end("program header table", table, len)?;
        if header.e_shoff != 0 {
            let table = table_end(header.e_shoff, header.e_shnum, header.e_shentsize)?;
            check_end("section table", table, len)?;
        }
        let is_there = table <= head.len() as u64;
        let segments = is_there.then(|| program_headers(head, &header, ctx)).transpose()?;
        Ok(Head { header, ctx, segments })
    }
}

fn table_end(offset: u64, count: u16, entry: u16) -> Result<u64, Error> {
    // An extended section count (more than 65279) stands in the first entry, which must be there at least.
    let size = u64::from(count.max(1)) * u64::from(entry);
    offset.checked_add(size).ok_or_else(|| nonsense("table offset"))
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
    let header = Elf::parse_header(head).map_err(malformed)?;
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
    ProgramHeader::parse(bytes, offset, usize::from(header.e_phnum), ctx).map_err(malformed)
}

fn malformed(error: goblin::error::Error) -> Error {
    Error::Format(error.to_string())
}

/// The string that begins here and ends in the table.
pub(super) fn text(names: &[u8], at: usize) -> Option<&[u8]> {
    let rest = names.get(at..)?;
    rest.get(..memchr::memchr(0, rest)?)
}
