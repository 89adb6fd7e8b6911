//! The symbol table of a Mach-O image (`mach-o/nlist.h`, `mach-o/stab.h`).
//!
//! It has no sizes: a symbol ends where the next one begins, or its section. With debug information there is a second
//! kind of rows in it, "stabs", which tell the source files.

use super::commands::{Command, Section, Segment, text};
use super::{CONSTANT_SEGMENT, Numbers, View, nonsense, part};
use crate::error::Error;
use crate::image::Target;
use crate::image::symbols::{Kind, Place, Region, Symbol};
use core::ops::Range;
use goblin::mach::constants::{
    S_ATTR_PURE_INSTRUCTIONS, S_ATTR_SOME_INSTRUCTIONS, S_CSTRING_LITERALS, S_THREAD_LOCAL_REGULAR,
    S_THREAD_LOCAL_VARIABLES, S_THREAD_LOCAL_ZEROFILL,
};
use goblin::mach::load_command as lc;
use goblin::mach::symbols::{N_EXT, N_FUN, N_PEXT, N_SECT, N_SO, N_STAB, N_STSYM, N_TYPE};
use std::borrow::Cow;

pub(in crate::image) fn symbols<'a>(
    bytes: &'a [u8],
    target: Target,
    wanted: &mut dyn FnMut(&Place) -> bool,
    found: &mut dyn FnMut(Symbol<'a>),
) -> Result<bool, Error> {
    let view = super::view(bytes, target, |_| Ok(()))?;
    let Some(command) = view.commands.iter().find(|command| command.kind == lc::LC_SYMTAB) else { return Ok(false) };
    let table = Table::read(&view, command, target).ok_or_else(|| nonsense("symbol table"))?;
    let sections: Vec<&Section> = view.segments.iter().flat_map(|segment| &segment.sections).collect();
    let rows = || table.rows().filter_map(|row| Some((row, *sections.get(row.placed_in()?)?)));

    // Where symbols begin, and what the stabs say of addresses.
    let mut starts: Vec<u64> = rows().map(|(row, _)| row.value).collect();
    starts.sort_unstable();
    let files = table.files();
    let mut stripped = true;
    for (row, section) in rows() {
        let local = row.kind & (N_EXT | N_PEXT) == 0;
        stripped &= row.kind & N_EXT != 0;
        let end = section.address.saturating_add(section.size);
        let next = starts.get(starts.partition_point(|start| *start <= row.value)).map_or(end, |next| end.min(*next));
        let place = Place { kind: kind(section), address: row.value, size: next.saturating_sub(row.value), local };
        if place.size == 0 || row.value < section.address || !wanted(&place) {
            continue;
        }
        // Names in C begin with an underscore here; without one it is a label of the compiler's.
        let name = text(table.names, row.name).ok_or_else(|| nonsense("symbol names"))?;
        let Some(name) = name.strip_prefix(b"_") else { continue };
        let file = files.binary_search_by_key(&row.value, |(address, _)| *address).ok().filter(|_| local);
        let file = file.and_then(|index| text(table.names, files.get(index)?.1)).map(String::from_utf8_lossy);
        found(Symbol { place, name: String::from_utf8_lossy(name), file });
    }
    Ok(!stripped)
}

pub(in crate::image) fn regions(bytes: &[u8], target: Target) -> Result<Vec<Region<'_>>, Error> {
    let view = super::view(bytes, target, |_| Ok(()))?;
    let all = view.segments.iter().flat_map(|segment| segment.sections.iter().map(move |section| (segment, section)));
    // What threads get copies of is not used itself.
    let templates = [S_THREAD_LOCAL_REGULAR, S_THREAD_LOCAL_ZEROFILL];
    let loaded = all.filter(|(_, section)| section.size > 0 && !templates.contains(&section.kind()));
    let region = |(segment, section): (&Segment, &Section)| Region {
        name: Cow::Owned(super::full_name(segment, section)),
        address: section.address,
        size: section.size,
        bytes: section.content(view.bytes),
        writable: segment.writable && !segment.read_only && segment.name() != CONSTANT_SEGMENT,
        code: kind(section) == Kind::Function,
        strings: section.kind() == S_CSTRING_LITERALS,
    };
    Ok(loaded.map(region).collect())
}

fn kind(section: &Section) -> Kind {
    let own = [S_THREAD_LOCAL_REGULAR, S_THREAD_LOCAL_ZEROFILL, S_THREAD_LOCAL_VARIABLES];
    if section.flags & (S_ATTR_PURE_INSTRUCTIONS | S_ATTR_SOME_INSTRUCTIONS) != 0 {
        Kind::Function
    } else if own.contains(&section.kind()) {
        Kind::ThreadLocal
    } else {
        Kind::Object
    }
}

struct Table<'a> {
    rows: &'a [u8],
    names: &'a [u8],
    target: Target,
}

/// A row: n_strx 0, n_type 4, n_sect 5, n_desc 6, n_value 8.
#[derive(Clone, Copy)]
struct Row {
    name: u32,
    kind: u8,
    section: u8,
    value: u64,
}

impl Row {
    /// The number of the section that it is a symbol in, counted from 0.
    fn placed_in(&self) -> Option<usize> {
        let placed = self.kind & N_STAB == 0 && self.kind & N_TYPE == N_SECT;
        usize::from(self.section).checked_sub(1).filter(|_| placed)
    }
}

impl<'a> Table<'a> {
    fn read(view: &View<'a>, command: &Command<'_>, target: Target) -> Option<Table<'a>> {
        let [rows, names]: [Range<u64>; 2] = command.link_data(target)?.try_into().ok()?;
        Some(Table { rows: part(view.bytes, &rows)?, names: part(view.bytes, &names)?, target })
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        let (wide, numbers) = (self.target.wide, Numbers { little: self.target.little });
        self.rows.chunks_exact(if wide { 16 } else { 12 }).filter_map(move |row| {
            let value = if wide { numbers.long(row, 8)? } else { numbers.word(row, 8)?.into() };
            Some(Row { name: numbers.word(row, 0)?, kind: *row.get(4)?, section: *row.get(5)?, value })
        })
    }

    /// The places of static variables and functions, in order, and where the names of their source files stand.
    ///
    /// The stabs of a source file begin with its directory and its name, and end with one without a name.
    fn files(&self) -> Vec<(u64, u32)> {
        let mut files = Vec::new();
        let mut file = 0;
        for row in self.rows() {
            match row.kind {
                N_SO => file = row.name,
                N_STSYM | N_FUN if row.section != 0 && file != 0 => files.push((row.value, file)),
                _ => {}
            }
        }
        files.sort_unstable();
        files
    }
}
