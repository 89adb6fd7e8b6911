//! Tables that the dynamic loader follows without a look.

use super::{IMPORTS, RELOCATIONS, TLS, View, nonsense, u16_at, u32_at};
use crate::error::Error;

/// The names and tables of the libraries that are needed; returns the names.
pub(super) fn imports(view: &View<'_>) -> Result<Vec<String>, Error> {
    let mut needed = Vec::new();
    let Some((table, _)) = view.headers.directory(view.bytes, IMPORTS) else { return Ok(needed) };
    let bad = || nonsense("import table");
    let mut address = table;
    loop {
        let row = view.at(address).and_then(|bytes| bytes.get(..20)).ok_or_else(bad)?;
        let (Some(lookup), Some(name), Some(slots)) = (u32_at(row, 0), u32_at(row, 12), u32_at(row, 16)) else {
            return Err(bad());
        };
        if name == 0 || slots == 0 {
            return Ok(needed);
        }
        needed.push(String::from_utf8_lossy(view.text(name).ok_or_else(bad)?).into_owned());
        lookup_table(view, if lookup == 0 { slots } else { lookup }, slots)?;
        address = address.checked_add(20).ok_or_else(bad)?;
    }
}

/// The functions of one library: names or numbers, up to a zero.
fn lookup_table(view: &View<'_>, lookup: u32, slots: u32) -> Result<(), Error> {
    let bad = || nonsense("import table");
    let word: u32 = if view.headers.wide { 8 } else { 4 };
    let entries = view.at(lookup).ok_or_else(bad)?.chunks_exact(word as usize);
    for (count, entry) in (0..).zip(entries) {
        let low = u32_at(entry, 0).ok_or_else(bad)?;
        let high = if view.headers.wide { u32_at(entry, 4).ok_or_else(bad)? } else { low & 0x8000_0000 };
        if low == 0 && high == 0 {
            // As many slots are filled, and the zero behind them is read.
            let size = (count + 1) * word;
            return if view.is_inside(slots, size) && view.section(slots).is_some() { Ok(()) } else { Err(bad()) };
        }
        let by_number = high & 0x8000_0000 != 0;
        if !by_number && (high != 0 || view.text(low.checked_add(2).ok_or_else(bad)?).is_none()) {
            return Err(bad());
        }
    }
    Err(bad())
}

/// The loader writes the module's number to where this table says, and copies and calls what it names. Its addresses are
/// those of an image that lies where it was linked for.
pub(super) fn thread_local(view: &View<'_>) -> Result<(), Error> {
    let Some((table, _)) = view.headers.directory(view.bytes, TLS) else { return Ok(()) };
    let bad = || nonsense("table of thread-local storage");
    let size: u32 = if view.headers.wide { 8 } else { 4 };
    for field in 0..4 {
        let at = table.checked_add(field * size).ok_or_else(bad)?;
        let low = view.u32(at).ok_or_else(bad)?;
        let high = if view.headers.wide { view.u32(at + 4).ok_or_else(bad)? } else { 0 };
        let address = u64::from(high) << 32 | u64::from(low);
        let within = address.checked_sub(view.headers.base);
        // Only the third is always there: the place of the number.
        if !(address == 0 && field != 2) && within.is_none_or(|within| within > view.headers.image_size.into()) {
            return Err(bad());
        }
    }
    Ok(())
}

/// Blocks of places to be changed when the image does not get the address that it was linked for.
pub(super) fn relocations(view: &View<'_>) -> Result<(), Error> {
    let Some((table, size)) = view.headers.directory(view.bytes, RELOCATIONS) else { return Ok(()) };
    let bad = || nonsense("relocation table");
    let mut rest = view.at(table).and_then(|bytes| bytes.get(..size as usize)).ok_or_else(bad)?;
    while rest.len() >= 8 {
        let (Some(page), Some(block)) = (u32_at(rest, 0), u32_at(rest, 4)) else { return Err(bad()) };
        if block == 0 {
            break; // padding
        }
        let (entries, behind) = rest.split_at_checked(block as usize).ok_or_else(bad)?;
        for entry in entries.get(8..).ok_or_else(bad)?.chunks_exact(2) {
            let entry = u16_at(entry, 0).ok_or_else(bad)?;
            let kind = entry >> 12;
            let place = u64::from(page) + u64::from(entry & 0xfff);
            // Kind 0 is padding; none writes more than 8 bytes.
            if kind != 0 && place + 8 > u64::from(view.headers.image_size).next_multiple_of(4096) {
                return Err(bad());
            }
        }
        rest = behind;
    }
    Ok(())
}
