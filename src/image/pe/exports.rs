//! The functions that an image exports.

use super::{EXCEPTIONS, EXPORTS, Headers, View, nonsense, u32_at};
use crate::error::Error;
use crate::image::Target;
use gimli::{BaseAddresses, EhFrame, LittleEndian, UnwindSection as _};
use goblin::pe::header::{COFF_MACHINE_X86, COFF_MACHINE_X86_64};

/// The export table: names, for each the number of a function, and the functions' addresses.
struct Exports<'v, 'a> {
    view: &'v View<'a>,
    table: u32,
    size: u32,
    /// How many there are.
    functions: u32,
    names: u32,
    function_table: u32,
    name_table: u32,
    number_table: u32,
}

/// Of one that is there by its name.
struct Export<'a> {
    name: &'a [u8],
    address: u32,
}

impl<'v, 'a> Exports<'v, 'a> {
    /// `None`: it has no such table.
    fn read(view: &'v View<'a>) -> Result<Option<Self>, Error> {
        let Some((table, size)) = view.headers.directory(view.bytes, EXPORTS) else { return Ok(None) };
        let field = |offset: u32| table.checked_add(offset).and_then(|at| view.u32(at)).ok_or_else(bad);
        let (functions, names) = (field(20)?, field(24)?);
        // Each name takes a pointer of the file: more than the file has room for is nonsense, and would take long.
        if u64::from(names) * 4 > view.bytes.len() as u64 || u64::from(functions) * 4 > view.bytes.len() as u64 {
            return Err(bad());
        }
        let (function_table, name_table, number_table) = (field(28)?, field(32)?, field(36)?);
        Ok(Some(Exports { view, table, size, functions, names, function_table, name_table, number_table }))
    }

    fn get(&self, index: u32) -> Option<Export<'a>> {
        let item = |table: u32, index: u32, size: u32| table.checked_add(index.checked_mul(size)?);
        let name = self.view.text(self.view.u32(item(self.name_table, index, 4)?)?)?;
        let number = u32::from(self.view.u16(item(self.number_table, index, 2)?)?);
        if number >= self.functions {
            return None;
        }
        Some(Export { name, address: self.view.u32(item(self.function_table, number, 4)?)? })
    }

    /// Is it the name of another library's function? Its address is that of a text inside the table.
    fn is_forwarder(&self, export: &Export<'_>) -> bool {
        (self.table..self.table.saturating_add(self.size)).contains(&export.address)
    }
}

fn bad() -> Error {
    nonsense("export table")
}

/// Does the image export this function, and is it its own?
pub(super) fn check(view: &View<'_>, entry: &str) -> Result<(), Error> {
    let missing = || Error::NoEntry(entry.to_owned());
    let exports = Exports::read(view)?.ok_or_else(missing)?;
    let mut found = None;
    for index in 0..exports.names {
        let export = exports.get(index).ok_or_else(bad)?;
        if export.name == entry.as_bytes() {
            found = Some(export);
        }
    }
    let export = found.ok_or_else(missing)?;
    if exports.is_forwarder(&export) {
        return Err(Error::Format(format!("its {entry} is a forwarder to another library")));
    }
    if view.is_code(export.address) { Ok(()) } else { Err(Error::Format(format!("its {entry} is not a function"))) }
}

/// The exported function that this address is in.
///
/// Exports have no sizes. Where functions begin and end is told by the tables for exceptions, which name all but those
/// that neither change the stack nor call others.
pub(in crate::image) fn function_at(bytes: &[u8], target: Target, address: u64) -> Option<String> {
    let headers = Headers::read(bytes, bytes.len() as u64, Some(target)).ok()??;
    let sections = headers.sections(bytes)?;
    let view = View { bytes, headers: &headers, sections: &sections };
    let address = u32::try_from(address).ok()?;
    let begin = begin_of_function(&view, target, address)?;
    let exports = Exports::read(&view).ok()??;
    let export = (0..exports.names).filter_map(|index| exports.get(index)).find(|export| export.address == begin)?;
    Some(String::from_utf8_lossy(export.name).into_owned())
}

fn begin_of_function(view: &View<'_>, target: Target, address: u32) -> Option<u32> {
    /// Begin, end, and the place of how it is unwound; so on x86-64, where alone the end is there.
    const ROW: usize = 12;
    if target.pe_machine == COFF_MACHINE_X86 {
        return begin_by_dwarf(view, address);
    }
    if target.pe_machine != COFF_MACHINE_X86_64 {
        return None;
    }
    let (table, size) = view.headers.directory(view.bytes, EXCEPTIONS)?;
    let rows = view.at(table)?.get(..size as usize)?.chunks_exact(ROW);
    let mut functions = rows.filter_map(|row| Some((u32_at(row, 0)?, u32_at(row, 4)?)));
    functions.find(|(begin, end)| (*begin..*end).contains(&address)).map(|(begin, _)| begin)
}

/// As above on 32-bit x86, where only MinGW's images have tables. Microsoft's have none.
fn begin_by_dwarf(view: &View<'_>, address: u32) -> Option<u32> {
    // ".eh_frame" in eight letters. Where its whole name is known, so are the symbols.
    let row = view.sections.iter().find(|row| row.name() == b".eh_fram")?;
    let mut table = EhFrame::new(view.at(row.address)?, LittleEndian);
    table.set_address_size(4);
    let base = view.headers.base;
    let bases = BaseAddresses::default().set_eh_frame(base + u64::from(row.address));
    let place = base + u64::from(address);
    let function = table.fde_for_address(&bases, place, EhFrame::cie_from_offset).ok()?;
    u32::try_from(function.initial_address().checked_sub(base)?).ok()
}
