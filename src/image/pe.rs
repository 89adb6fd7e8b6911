//! PE images (Microsoft's "PE Format"; the numbers in the comments are its offsets).
//!
//! The tables are read here, each through a bounds check. Of goblin only constants and names are used: its reader of
//! whole images follows many tables that are of no interest, and refuses images that Windows loads.

mod exports;
mod symbols;
mod tables;

pub(super) use exports::function_at;
pub(super) use symbols::{regions, symbols};

use super::pdb::{self, Pdb};
use super::{Image, Lifecycle, Patch, Section, SectionKind, Target};
use crate::error::Error;
use goblin::pe::header::{COFF_MACHINE_UNKNOWN, machine_to_str};
use goblin::pe::optional_header::{MAGIC_32, MAGIC_64};
use goblin::pe::section_table::{
    IMAGE_SCN_CNT_UNINITIALIZED_DATA, IMAGE_SCN_MEM_DISCARDABLE, IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE,
};

/// The sections that are carried from version to version: tagged variables and zero-initialised ones. Microsoft's
/// linker has no section for the latter, it makes them the end of `.data`.
const STATE_SECTIONS: [&[u8]; 3] = [b".state", b"cr_state", ZERO];
const ZERO: &[u8] = b".bss";

/// The data directories that are looked at, by their numbers.
const EXPORTS: usize = 0;
const IMPORTS: usize = 1;
const EXCEPTIONS: usize = 3;
const CERTIFICATES: usize = 4;
const RELOCATIONS: usize = 5;
const DEBUG: usize = 6;
const TLS: usize = 9;
const MANAGED: usize = 14;

const IMAGE_FILE_EXECUTABLE_IMAGE: u16 = 0x2;
const IMAGE_FILE_DLL: u16 = 0x2000;

pub(super) fn precheck(head: &[u8], len: u64, target: Target) -> Result<(), Error> {
    let Some(headers) = Headers::read(head, len, Some(target))? else { return Ok(()) };
    // The section table is right behind the headers. If it is not in the head, the full check sees it.
    match headers.sections(head) {
        Some(sections) => check_sections(&sections, &headers, len),
        None => Ok(()),
    }
}

pub(super) fn parse(bytes: &[u8], target: Target, entry: &str) -> Result<Image, Error> {
    let len = bytes.len() as u64;
    let headers = Headers::read(bytes, len, Some(target))?.ok_or_else(|| nonsense("header"))?;
    let sections = headers.sections(bytes).ok_or_else(|| nonsense("section table"))?;
    check_sections(&sections, &headers, len)?;
    check_symbols(&headers, &sections, bytes, len)?;
    if headers.directory(bytes, MANAGED).is_some() {
        return Err(Error::Format("it is a managed (.NET) image".into()));
    }
    let view = View { bytes, headers: &headers, sections: &sections };
    for directory in [EXPORTS, IMPORTS, RELOCATIONS, TLS] {
        if let Some((address, size)) = headers.directory(bytes, directory)
            && !view.is_inside(address, size)
        {
            return Err(nonsense("data directory"));
        }
    }
    let needed = tables::imports(&view)?;
    tables::thread_local(&view)?;
    tables::relocations(&view)?;
    exports::check(&view, entry)?;
    let (lifecycle, patches) = take_entry(&view)?;
    let extent = 0..headers.image_size.into();
    Ok(Image {
        state: state_sections(&sections),
        extent,
        lifecycle,
        needed,
        // A signed image must not be changed.
        pdb: record(&view).filter(|_| headers.directory(bytes, CERTIFICATES).is_none()),
        patches,
        ..Image::default()
    })
}

fn check_end(what: &'static str, need: u64, len: u64) -> Result<(), Error> {
    if need > len { Err(Error::Truncated { what, need, len }) } else { Ok(()) }
}

fn nonsense(what: &str) -> Error {
    Error::Format(format!("its {what} makes no sense"))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// What the file, COFF and optional headers say.
struct Headers {
    /// Where the optional header and the section table begin.
    optional: usize,
    table: usize,
    sections: u16,
    wide: bool,
    symbols: u64,
    symbol_count: u64,
    entry: u32,
    /// The address that it was linked for.
    base: u64,
    image_size: u32,
    headers_size: u32,
    directories: usize,
}

impl Headers {
    /// Checks and reads the headers; `None` if they lie beyond `head`, though within the file. Without a target they may be
    /// those of any machine.
    fn read(head: &[u8], len: u64, target: Option<Target>) -> Result<Option<Headers>, Error> {
        if !head.starts_with(b"MZ") {
            // A file that has been filled up to less than the magic number may still become one.
            return if head.len() < 2 && b"MZ".starts_with(head) {
                Err(Error::Truncated { what: "header", need: 64, len })
            } else {
                Err(Error::Format("it does not start with the header of a PE image".into()))
            };
        }
        check_end("header", 64, len)?;
        let coff = u64::from(u32_at(head, 0x3c).ok_or_else(|| nonsense("header"))?);
        check_end("header", coff + 24, len)?;
        let at = coff as usize;
        if at + 24 > head.len() {
            return Ok(None);
        }
        if head.get(at..at + 4) != Some(b"PE\0\0") {
            return Err(Error::Format("it has no PE signature".into()));
        }
        let Some(headers) = Headers::fields(head, at, len, target)? else { return Ok(None) };
        Ok(Some(headers))
    }

    fn fields(head: &[u8], at: usize, len: u64, target: Option<Target>) -> Result<Option<Headers>, Error> {
        let half = |offset: usize| u16_at(head, at + 4 + offset);
        let word = |offset: usize| u32_at(head, at + 4 + offset);
        let (Some(machine), Some(sections), Some(symbols), Some(symbol_count), Some(size), Some(flags)) =
            (half(0), half(2), word(8), word(12), half(16), half(18))
        else {
            return Ok(None);
        };
        if let Some(target) = target
            && (machine != target.pe_machine || machine == COFF_MACHINE_UNKNOWN)
        {
            let need = format!("{} with {} bits", machine_to_str(target.pe_machine), if target.wide { 64 } else { 32 });
            return Err(Error::Architecture { found: machine_to_str(machine).to_owned(), need });
        }
        if flags & IMAGE_FILE_EXECUTABLE_IMAGE == 0 || flags & IMAGE_FILE_DLL == 0 {
            return Err(Error::Format("it is an executable or an object file".into()));
        }
        let optional = at + 24;
        let table = optional + usize::from(size);
        let end = table as u64 + 40 * u64::from(sections);
        check_end("section table", end, len)?;
        if end > head.len() as u64 {
            return Ok(None);
        }
        let word = |offset: usize| u32_at(head, optional + offset);
        let (magic, wide) = match u16_at(head, optional) {
            Some(MAGIC_64) => (MAGIC_64, true),
            Some(MAGIC_32) => (MAGIC_32, false),
            _ => return Err(nonsense("optional header")),
        };
        if let Some(target) = target.filter(|target| wide != target.wide) {
            let found = format!("a {}-bit machine", if magic == MAGIC_64 { 64 } else { 32 });
            return Err(Error::Architecture { found, need: format!("{} bits", if target.wide { 64 } else { 32 }) });
        }
        let directories = if wide { 112 } else { 96 };
        // Fields beyond the optional header's size would be read from the section table.
        if usize::from(size) < directories {
            return Err(nonsense("optional header"));
        }
        let (Some(entry), Some(base), Some(image_size), Some(headers_size), Some(count)) =
            (word(16), word(if wide { 24 } else { 28 }), word(56), word(60), word(directories - 4))
        else {
            return Err(nonsense("optional header"));
        };
        let base = u64::from(if wide { word(28).unwrap_or(0) } else { 0 }) << 32 | u64::from(base);
        if !base.is_multiple_of(0x1_0000) {
            return Err(nonsense("optional header"));
        }
        let directories_end = directories as u64 + 8 * u64::from(count);
        if directories_end > u64::from(size) || u64::from(headers_size) < end || headers_size > image_size {
            return Err(nonsense("optional header"));
        }
        check_end("headers", headers_size.into(), len)?;
        Ok(Some(Headers {
            optional,
            table,
            sections,
            wide,
            symbols: symbols.into(),
            symbol_count: symbol_count.into(),
            entry,
            base,
            image_size,
            headers_size,
            directories: count.min(16) as usize,
        }))
    }

    fn sections(&self, bytes: &[u8]) -> Option<Vec<Row>> {
        let table = bytes.get(self.table..self.table + 40 * usize::from(self.sections))?;
        table.chunks_exact(40).map(Row::read).collect()
    }

    /// Where a data directory is, and how large: addresses in the image, save for the certificates.
    fn directory(&self, bytes: &[u8], number: usize) -> Option<(u32, u32)> {
        if number >= self.directories {
            return None;
        }
        let at = self.optional + if self.wide { 112 } else { 96 } + 8 * number;
        let (address, size) = (u32_at(bytes, at)?, u32_at(bytes, at + 4)?);
        (address != 0 && size != 0).then_some((address, size))
    }
}

/// A row of the section table.
struct Row {
    name: [u8; 8],
    size: u32,
    address: u32,
    file_size: u32,
    offset: u32,
    flags: u32,
}

impl Row {
    fn read(bytes: &[u8]) -> Option<Row> {
        Some(Row {
            name: *bytes.first_chunk()?,
            size: u32_at(bytes, 8)?,
            address: u32_at(bytes, 12)?,
            file_size: u32_at(bytes, 16)?,
            offset: u32_at(bytes, 20)?,
            flags: u32_at(bytes, 36)?,
        })
    }

    fn name(&self) -> &[u8] {
        self.name.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The size in memory; linkers of old leave it out.
    fn memory_size(&self) -> u32 {
        if self.size == 0 { self.file_size } else { self.size }
    }

    fn end(&self) -> u64 {
        u64::from(self.address) + u64::from(self.memory_size())
    }
}

/// The sections are in the file, in order, apart and inside the image.
fn check_sections(sections: &[Row], headers: &Headers, len: u64) -> Result<(), Error> {
    let mut end_of_last = u64::from(headers.headers_size);
    for row in sections {
        if row.offset != 0 {
            check_end("sections", u64::from(row.offset) + u64::from(row.file_size), len)?;
        }
        if u64::from(row.address) < end_of_last || row.end() > u64::from(headers.image_size) {
            return Err(nonsense("section table"));
        }
        end_of_last = row.end();
    }
    if sections.is_empty() { Err(Error::Format("no section to load".into())) } else { Ok(()) }
}

/// What linkers write last: the symbols with their names, and the signatures. Nothing of it is loaded, but where it is
/// missing more may be.
fn check_symbols(headers: &Headers, sections: &[Row], bytes: &[u8], len: u64) -> Result<(), Error> {
    // Names of sections that are too long for their field, such as "/4", are among those of the symbols.
    let is_named = headers.symbol_count != 0 || sections.iter().any(|row| row.name().starts_with(b"/"));
    if headers.symbols != 0 && is_named {
        let names = headers.symbols + 18 * headers.symbol_count;
        check_end("symbol table", names + 4, len)?;
        let size = u32_at(bytes, names as usize).ok_or_else(|| nonsense("symbol table"))?;
        check_end("symbol names", names + u64::from(size), len)?;
    }
    if let Some((offset, size)) = headers.directory(bytes, CERTIFICATES) {
        check_end("signature", u64::from(offset) + u64::from(size), len)?;
    }
    Ok(())
}

/// The file as the loader will lay it out.
struct View<'a> {
    bytes: &'a [u8],
    headers: &'a Headers,
    sections: &'a [Row],
}

impl<'a> View<'a> {
    fn is_inside(&self, address: u32, size: u32) -> bool {
        u64::from(address) + u64::from(size) <= u64::from(self.headers.image_size)
    }

    fn section(&self, address: u32) -> Option<&Row> {
        self.sections.iter().find(|row| row.address <= address && u64::from(address) < row.end())
    }

    fn is_code(&self, address: u32) -> bool {
        self.section(address).is_some_and(|row| row.flags & IMAGE_SCN_MEM_EXECUTE != 0)
    }

    /// The bytes from this address to the end of its section, as far as the file has them.
    fn at(&self, address: u32) -> Option<&'a [u8]> {
        let row = self.section(address)?;
        let within = address - row.address;
        let end = row.file_size.min(row.memory_size());
        let start = u64::from(row.offset) + u64::from(within.min(end));
        self.bytes.get(start as usize..(u64::from(row.offset) + u64::from(end)) as usize)
    }

    fn u32(&self, address: u32) -> Option<u32> {
        u32_at(self.at(address)?, 0)
    }

    fn u16(&self, address: u32) -> Option<u16> {
        u16_at(self.at(address)?, 0)
    }

    /// A string that ends in its section.
    fn text(&self, address: u32) -> Option<&'a [u8]> {
        let bytes = self.at(address)?;
        bytes.get(..bytes.iter().position(|byte| *byte == 0)?)
    }
}

/// Takes the entry point (DllMain and the start of the C runtime) out of the loader's sight.
///
/// It would call it holding its lock, and a frame of the loader cannot be abandoned when it crashes. So it is called
/// by us, under the guard, right after loading and right before unloading. It is not told of threads: guests that need
/// to be have thread-local storage, whose callbacks stay the loader's. A signed image must not be changed; there the
/// entry point stays the loader's, too.
fn take_entry(view: &View<'_>) -> Result<(Lifecycle, Vec<Patch>), Error> {
    let entry = view.headers.entry;
    if entry == 0 {
        return Ok(Default::default());
    }
    if !view.is_code(entry) {
        return Err(nonsense("entry point"));
    }
    if view.headers.directory(view.bytes, CERTIFICATES).is_some() {
        return Ok(Default::default());
    }
    let lifecycle = Lifecycle { dll_main: Some(entry.into()), ..Lifecycle::default() };
    Ok((lifecycle, vec![Patch { offset: view.headers.optional as u64 + 16, bytes: vec![0; 4] }]))
}

/// The record of the PDB of an image for any machine.
pub(super) fn debug_record(bytes: &[u8]) -> Option<Pdb> {
    let headers = Headers::read(bytes, bytes.len() as u64, None).ok()??;
    let sections = headers.sections(bytes)?;
    record(&View { bytes, headers: &headers, sections: &sections })
}

/// Nothing depends on the record, so one that makes no sense is none.
fn record(view: &View<'_>) -> Option<Pdb> {
    let (table, size) = view.headers.directory(view.bytes, DEBUG)?;
    pdb::find(view.at(table)?.get(..size as usize)?, view.bytes)
}

fn state_sections(sections: &[Row]) -> Vec<Section> {
    let carried = |row: &&Row| {
        STATE_SECTIONS.contains(&row.name())
            && row.flags & IMAGE_SCN_MEM_WRITE != 0
            && row.flags & IMAGE_SCN_MEM_DISCARDABLE == 0
            && row.memory_size() > 0
    };
    let section = |row: &Row| Section {
        name: String::from_utf8_lossy(row.name()).into_owned(),
        kind: if row.name() == ZERO { SectionKind::Zero } else { SectionKind::Tagged },
        address: row.address.into(),
        size: row.memory_size().into(),
        // MinGW links its C runtime into each image.
        runtime: row.name() == ZERO && row.flags & IMAGE_SCN_CNT_UNINITIALIZED_DATA != 0,
    };
    sections.iter().filter(carried).map(section).collect()
}
