//! The symbol table of an ELF image (gABI, chapter 4).
//!
//! Of large programs it is megabytes, of which a few variables are wanted: it is read in place, through bounds checks.

use super::file::{File, SHN_XINDEX, text};
use super::nonsense;
use crate::error::Error;
use crate::image::listing::{Listing, RENAMED};
use crate::image::symbols::{Kind, Place, Region, Symbol};
use crate::image::{Section, Target};
use goblin::elf::section_header::{self, SectionHeader};
use goblin::elf::sym;
use std::borrow::Cow;

/// STB_GNU_UNIQUE is global, too.
const LOCAL: u8 = sym::STB_LOCAL;

/// The first of the section numbers that stand for something else.
const SHN_LORESERVE: u16 = section_header::SHN_LORESERVE as u16;

impl<'a> File<'a> {
    pub(in crate::image) fn symbols(
        &self,
        wanted: &mut dyn FnMut(&Place) -> bool,
        found: &mut dyn FnMut(Symbol<'a>),
    ) -> Result<bool, Error> {
        let target = self.target;
        let Some(table) = self.sections.iter().find(|section| section.sh_type == section_header::SHT_SYMTAB) else {
            return Ok(false);
        };
        let names = self.sections.get(table.sh_link as usize).and_then(|section| self.content(section));
        let names = names.ok_or_else(|| nonsense("symbol names"))?;
        let rows = self.content(table).ok_or_else(|| nonsense("symbol table"))?;
        let mut reader = Reader { names, file: None, wanted, found };
        // The two classes have the fields in another order.
        if target.wide {
            for row in rows.as_chunks::<{ sym::sym64::SIZEOF_SYM }>().0 {
                let [n0, n1, n2, n3, info, _, s0, s1, rest @ ..] = row;
                let Some((value, size)) = rest.first_chunk().zip(rest.last_chunk()) else { continue };
                let (value, size) =
                    (native(*value, u64::from_le_bytes, target), native(*size, u64::from_le_bytes, target));
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

    pub(in crate::image) fn regions(&self) -> Vec<Region<'a>> {
        let has = |section: &SectionHeader, flag: u32| section.sh_flags & u64::from(flag) != 0;
        let loaded = self.sections.iter().filter(|section| {
            has(section, section_header::SHF_ALLOC) && !has(section, section_header::SHF_TLS) && section.sh_size > 0
        });
        let region = |section: &SectionHeader| Region {
            name: String::from_utf8_lossy(self.section_name(section)),
            address: section.sh_addr,
            size: section.sh_size,
            bytes: self.content(section).unwrap_or_default(),
            writable: has(section, section_header::SHF_WRITE),
            code: has(section, section_header::SHF_EXECINSTR),
            strings: has(section, section_header::SHF_STRINGS),
        };
        loaded.map(region).collect()
    }

    /// Its variables in these sections. None: it is stripped, or its symbols make no sense: they are no reason not to
    /// load it.
    pub(in crate::image) fn list(&self, sections: &[Section]) -> Option<Listing> {
        let mut listing = Listing::of(sections, |wanted, found| self.symbols(wanted, found)).ok().flatten()?;
        for section in &self.sections {
            let name = self.section_name(section);
            if name == RENAMED.as_bytes() {
                listing.renamed.extend_from_slice(self.content(section).unwrap_or_default());
            }
            // Debuggers look for a separate file by the build-id as well. Whoever puts one there names it here, too.
            let debug = [&b".debug_"[..], b".zdebug_", b".gnu_debuglink"];
            listing.debug |= debug.iter().any(|one| name.starts_with(one));
        }
        Some(listing)
    }
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
        let text = |at: u32| text(self.names, at as usize).map(readable);
        let name = text(row.name).ok_or_else(|| nonsense("symbol names"))?;
        // A label of the assembler's, which linkers leave out unless they keep relocations: compilers number them anew.
        if name.starts_with(".L") {
            return Ok(());
        }
        let file = self.file.filter(|_| local).and_then(text);
        (self.found)(Symbol { place, name, file: file.filter(|file| !file.is_empty()) });
        Ok(())
    }
}

/// As `String::from_utf8_lossy`, and quicker for what is no text but very seldom.
fn readable(bytes: &[u8]) -> Cow<'_, str> {
    core::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A number in the image's byte order.
#[inline]
fn native<const SIZE: usize, T>(mut bytes: [u8; SIZE], from_little: fn([u8; SIZE]) -> T, target: Target) -> T {
    if !target.little {
        bytes.reverse();
    }
    from_little(bytes)
}
