//! The COFF symbol table of a PE image ("COFF Symbol Table"), which MinGW's linkers leave in it. Microsoft's do not: theirs
//! are in the PDB.
//!
//! It has no sizes: they are the distances to what comes next.

use super::{Headers, Row, nonsense, u16_at, u32_at};
use crate::error::Error;
use crate::image::Target;
use crate::image::pdb::{self, Within};
use crate::image::symbols::{Kind, Place, Region, Source, Symbol};
use goblin::pe::header::COFF_MACHINE_X86;
use goblin::pe::section_table::{IMAGE_SCN_MEM_DISCARDABLE, IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE};
use goblin::pe::symbol::{
    COFF_SYMBOL_SIZE, IMAGE_SYM_CLASS_EXTERNAL, IMAGE_SYM_CLASS_FILE, IMAGE_SYM_CLASS_STATIC, IMAGE_SYM_DTYPE_FUNCTION,
    IMAGE_SYM_DTYPE_SHIFT,
};
use std::borrow::Cow;

/// The compilers' section for thread-local variables.
const THREAD_LOCAL: &[u8] = b".tls";

pub(in crate::image) fn symbols<'a>(
    source: Source<'a>,
    target: Target,
    wanted: &mut dyn FnMut(&Place) -> bool,
    found: &mut dyn FnMut(Symbol<'a>),
) -> Result<bool, Error> {
    let table = Table::read(source.bytes, target)?;
    if table.rows.is_empty() {
        return pdb::symbols(source, &|address| table.within(address), wanted, found);
    }
    let mut starts: Vec<u64> = table.entries().filter_map(|entry| table.address(&entry)).collect();
    starts.sort_unstable();
    starts.dedup();
    let mut file = None;
    for entry in table.entries() {
        if entry.class == IMAGE_SYM_CLASS_FILE {
            file = Some(fixed_text(entry.more));
            continue;
        }
        let (Some(address), Some(section)) = (table.address(&entry), table.section(&entry)) else { continue };
        let local = entry.class == IMAGE_SYM_CLASS_STATIC;
        // Static ones without a type and with more about them are the sections of the object files.
        let is_section = local && !entry.more.is_empty() && !entry.is_function();
        if !(entry.class == IMAGE_SYM_CLASS_EXTERNAL || local) || is_section {
            continue;
        }
        let next = starts.get(starts.partition_point(|start| *start <= address)).copied();
        let end = next.map_or(section.end(), |next| next.min(section.end()));
        let place = Place { kind: entry.kind(section), address, size: end.saturating_sub(address), local };
        if place.size == 0 || !wanted(&place) {
            continue;
        }
        let name = table.name(&entry).ok_or_else(|| nonsense("symbol names"))?;
        let file = file.clone().filter(|file| local && !file.is_empty());
        found(Symbol { place, name, file });
    }
    Ok(true)
}

pub(in crate::image) fn regions(bytes: &[u8], target: Target) -> Result<Vec<Region<'_>>, Error> {
    let table = Table::read(bytes, target)?;
    let has = |row: &Row, flag: u32| row.flags & flag != 0;
    let loaded = table.sections.iter().filter(|row| !has(row, IMAGE_SCN_MEM_DISCARDABLE) && row.memory_size() > 0);
    let region = |row: &Row| {
        let size = row.file_size.min(row.memory_size()) as usize;
        let content = bytes.get(row.offset as usize..).and_then(|rest| rest.get(..size));
        Region {
            name: table.section_name(row).into(),
            address: row.address.into(),
            size: row.memory_size().into(),
            bytes: content.filter(|_| row.offset != 0).unwrap_or_default(),
            writable: has(row, IMAGE_SCN_MEM_WRITE),
            code: has(row, IMAGE_SCN_MEM_EXECUTE),
            strings: false, // constants of all kinds share a section
        }
    };
    Ok(loaded.map(region).collect())
}

struct Table<'a> {
    sections: Vec<Row>,
    rows: &'a [u8],
    names: &'a [u8],
    /// What names in C begin with.
    prefix: &'static str,
}

/// A symbol, with the rows behind it that say more about it.
struct Entry<'a> {
    row: &'a [u8],
    class: u8,
    more: &'a [u8],
}

impl<'a> Table<'a> {
    fn read(bytes: &'a [u8], target: Target) -> Result<Table<'a>, Error> {
        let headers = Headers::read(bytes, bytes.len() as u64, Some(target))?.ok_or_else(|| nonsense("header"))?;
        let sections = headers.sections(bytes).ok_or_else(|| nonsense("section table"))?;
        let prefix = if target.pe_machine == COFF_MACHINE_X86 { "_" } else { "" };
        if headers.symbols == 0 || headers.symbol_count == 0 {
            return Ok(Table { sections, rows: &[], names: &[], prefix });
        }
        let rest = usize::try_from(headers.symbols).ok().and_then(|at| bytes.get(at..));
        // Of 64 bits: the product may be more than an address.
        let size = usize::try_from(headers.symbol_count * COFF_SYMBOL_SIZE as u64).ok();
        let table = rest.zip(size).and_then(|(rest, size)| rest.split_at_checked(size));
        let (rows, names) = table.ok_or_else(|| nonsense("symbol table"))?;
        Ok(Table { sections, rows, names, prefix })
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let mut rest = self.rows;
        std::iter::from_fn(move || {
            let (row, behind) = rest.split_at_checked(COFF_SYMBOL_SIZE)?;
            let count = usize::from(*row.get(17)?) * COFF_SYMBOL_SIZE;
            let (more, behind) = behind.split_at_checked(count)?;
            rest = behind;
            Some(Entry { row, class: *row.get(16)?, more })
        })
    }

    /// Numbers begin with 1; 0 and negative ones stand for something else.
    fn section(&self, entry: &Entry<'_>) -> Option<&Row> {
        let number = u16_at(entry.row, 12)?.cast_signed();
        self.sections.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    fn address(&self, entry: &Entry<'_>) -> Option<u64> {
        let section = self.section(entry)?;
        let address = u64::from(section.address) + u64::from(u32_at(entry.row, 8)?);
        (address < section.end()).then_some(address)
    }

    /// Where the section of an address ends, and what is in it.
    fn within(&self, address: u64) -> Option<Within> {
        let section = self.sections.iter().find(|row| (u64::from(row.address)..row.end()).contains(&address))?;
        Some(Within { end: section.end(), kind: kind_in(section) })
    }

    /// Up to eight bytes, or four zeros and a place in the table of names; as the source has it.
    fn name(&self, entry: &Entry<'a>) -> Option<Cow<'a, str>> {
        let whole = if u32_at(entry.row, 0)? != 0 { entry.row.get(..8)? } else { self.text(u32_at(entry.row, 4)?)? };
        Some(fixed_text(whole.strip_prefix(self.prefix.as_bytes()).unwrap_or(whole)))
    }

    /// What is at this place of the table of names.
    fn text(&self, place: u32) -> Option<&'a [u8]> {
        let rest = self.names.get(place as usize..)?;
        rest.get(..rest.iter().position(|byte| *byte == 0)?)
    }

    /// The name of a section. If it is too long for its field, that has a place in the table of names.
    fn section_name(&self, row: &Row) -> String {
        let whole = || {
            let place = core::str::from_utf8(row.name().strip_prefix(b"/")?).ok()?.parse().ok()?;
            self.text(place)
        };
        String::from_utf8_lossy(whole().unwrap_or(row.name())).into_owned()
    }
}

impl Entry<'_> {
    fn is_function(&self) -> bool {
        u16_at(self.row, 14).unwrap_or(0) >> IMAGE_SYM_DTYPE_SHIFT == IMAGE_SYM_DTYPE_FUNCTION
    }

    fn kind(&self, section: &Row) -> Kind {
        if self.is_function() { Kind::Function } else { kind_in(section) }
    }
}

/// What is in a section.
fn kind_in(section: &Row) -> Kind {
    if section.flags & IMAGE_SCN_MEM_EXECUTE != 0 {
        Kind::Function
    } else if section.name() == THREAD_LOCAL {
        Kind::ThreadLocal
    } else {
        Kind::Object
    }
}

/// A text in a field of fixed size, filled up with zeros.
fn fixed_text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}
