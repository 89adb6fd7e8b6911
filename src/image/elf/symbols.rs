//! The symbol table of an ELF image (gABI, chapter 4).
//!
//! Of large programs it is megabytes, of which a few variables are wanted: it is read in place, through bounds checks.

use super::{check_header, nonsense};
use crate::error::Error;
use crate::image::Target;
use crate::image::symbols::{Kind, Place, Region, Symbol};
use goblin::container::Ctx;
use goblin::elf::header::Header;
use goblin::elf::section_header::{self, SectionHeader};
use goblin::elf::sym;
use std::borrow::Cow;

/// STB_GNU_UNIQUE is global, too.
const LOCAL: u8 = sym::STB_LOCAL;

/// The first of the section numbers that stand for something else.
const SHN_LORESERVE: u16 = section_header::SHN_LORESERVE as u16;
/// The section's number did not fit and is in a table of its own.
const SHN_XINDEX: u16 = section_header::SHN_XINDEX as u16;

pub(in crate::image) fn symbols<'a>(
    bytes: &'a [u8],
    target: Target,
    wanted: &mut dyn FnMut(&Place) -> bool,
    found: &mut dyn FnMut(Symbol<'a>),
) -> Result<bool, Error> {
    let (header, ctx) = check_header(bytes, bytes.len() as u64, target)?;
    let sections = sections(bytes, &header, ctx)?;
    let Some(table) = sections.iter().find(|section| section.sh_type == section_header::SHT_SYMTAB) else {
        return Ok(false);
    };
    let names = sections.get(table.sh_link as usize).and_then(|section| content(bytes, section));
    let names = names.ok_or_else(|| nonsense("symbol names"))?;
    let rows = content(bytes, table).ok_or_else(|| nonsense("symbol table"))?;
    let mut reader = Reader { names, file: None, wanted, found };
    // The two classes have the fields in another order.
    if target.wide {
        for row in rows.as_chunks::<{ sym::sym64::SIZEOF_SYM }>().0 {
            let [n0, n1, n2, n3, info, _, s0, s1, rest @ ..] = row;
            let Some((value, size)) = rest.first_chunk().zip(rest.last_chunk()) else { continue };
            let (value, size) = (native(*value, u64::from_le_bytes, target), native(*size, u64::from_le_bytes, target));
            let name = native([*n0, *n1, *n2, *n3], u32::from_le_bytes, target);
            reader.row(&Row {
                name,
                info: *info,
                section: native([*s0, *s1], u16::from_le_bytes, target),
                value,
                size,
            })?;
        }
    } else {
        for row in rows.as_chunks::<{ sym::sym32::SIZEOF_SYM }>().0 {
            let [n0, n1, n2, n3, v0, v1, v2, v3, z0, z1, z2, z3, info, _, s0, s1] = *row;
            let word = |bytes| native(bytes, u32::from_le_bytes, target);
            let (value, size) = (word([v0, v1, v2, v3]).into(), word([z0, z1, z2, z3]).into());
            let section = native([s0, s1], u16::from_le_bytes, target);
            reader.row(&Row { name: word([n0, n1, n2, n3]), info, section, value, size })?;
        }
    }
    Ok(true)
}

/// A row of the table.
struct Row {
    name: u32,
    info: u8,
    section: u16,
    value: u64,
    size: u64,
}

struct Reader<'r, 'a> {
    names: &'a [u8],
    /// The file that local symbols are of, until the next one is named.
    file: Option<u32>,
    wanted: &'r mut dyn FnMut(&Place) -> bool,
    found: &'r mut dyn FnMut(Symbol<'a>),
}

impl Reader<'_, '_> {
    #[inline]
    fn row(&mut self, row: &Row) -> Result<(), Error> {
        let kind = match sym::st_type(row.info) {
            sym::STT_FUNC | sym::STT_GNU_IFUNC => Kind::Function,
            sym::STT_OBJECT | sym::STT_COMMON => Kind::Object,
            sym::STT_TLS => Kind::ThreadLocal,
            sym::STT_FILE => {
                self.file = Some(row.name);
                return Ok(());
            }
            _ => return Ok(()),
        };
        // Absolute values have no place in the image; other reserved numbers are no sections either.
        let placed = row.section != 0 && (row.section < SHN_LORESERVE || row.section == SHN_XINDEX);
        let local = sym::st_bind(row.info) == LOCAL;
        let place = Place { kind, address: row.value, size: row.size, local };
        if row.size == 0 || !placed || place.address.checked_add(place.size).is_none() || !(self.wanted)(&place) {
            return Ok(());
        }
        let name = text(self.names, row.name).ok_or_else(|| nonsense("symbol names"))?;
        let file = self.file.filter(|_| local).and_then(|file| text(self.names, file));
        (self.found)(Symbol { place, name, file: file.filter(|file| !file.is_empty()) });
        Ok(())
    }
}

/// A number in the image's byte order.
#[inline]
fn native<const SIZE: usize, T>(mut bytes: [u8; SIZE], from_little: fn([u8; SIZE]) -> T, target: Target) -> T {
    if !target.little {
        bytes.reverse();
    }
    from_little(bytes)
}

pub(in crate::image) fn regions(bytes: &[u8], target: Target) -> Result<Vec<Region<'_>>, Error> {
    let (header, ctx) = check_header(bytes, bytes.len() as u64, target)?;
    let sections = sections(bytes, &header, ctx)?;
    // Its number, if it did not fit, is in the first entry.
    let names = match header.e_shstrndx {
        SHN_XINDEX => sections.first().map_or(0, |first| first.sh_link),
        number => u32::from(number),
    };
    let names = sections.get(names as usize).and_then(|section| content(bytes, section)).unwrap_or_default();
    let has = |section: &SectionHeader, flag: u32| section.sh_flags & u64::from(flag) != 0;
    let loaded = sections.iter().filter(|section| {
        has(section, section_header::SHF_ALLOC) && !has(section, section_header::SHF_TLS) && section.sh_size > 0
    });
    let region = |section: &SectionHeader| Region {
        name: u32::try_from(section.sh_name).ok().and_then(|name| text(names, name)).unwrap_or_default(),
        address: section.sh_addr,
        size: section.sh_size,
        bytes: content(bytes, section).unwrap_or_default(),
        writable: has(section, section_header::SHF_WRITE),
        code: has(section, section_header::SHF_EXECINSTR),
        strings: has(section, section_header::SHF_STRINGS),
    };
    Ok(loaded.map(region).collect())
}

fn sections(bytes: &[u8], header: &Header, ctx: Ctx) -> Result<Vec<SectionHeader>, Error> {
    let offset = usize::try_from(header.e_shoff).map_err(|_| nonsense("section table"))?;
    SectionHeader::parse(bytes, offset, usize::from(header.e_shnum), ctx)
        .map_err(|error| Error::Format(error.to_string()))
}

/// A section's bytes in the file.
fn content<'a>(bytes: &'a [u8], section: &SectionHeader) -> Option<&'a [u8]> {
    if section.sh_type == section_header::SHT_NOBITS {
        return None;
    }
    let end = section.sh_offset.checked_add(section.sh_size)?;
    bytes.get(usize::try_from(section.sh_offset).ok()?..usize::try_from(end).ok()?)
}

/// The string that begins here and ends in the table.
fn text(names: &[u8], at: u32) -> Option<Cow<'_, str>> {
    let rest = names.get(at as usize..)?;
    rest.get(..rest.iter().position(|byte| *byte == 0)?).map(String::from_utf8_lossy)
}
