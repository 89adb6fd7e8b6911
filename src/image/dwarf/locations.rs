//! Locations of variables, as they stand in debug information: what is searched for.
//!
//! One is an expression, with its length in front: an address, or its number in a table; and sometimes how far behind it
//! the variable is, which the compiler has then put into one with others.

use super::super::debug::{Numbers, Wanted};
use super::Reader;
use gimli::{Unit, constants as c};
use memchr::memmem;
use std::cell::OnceCell;

/// A location in a section: the offset of its length, and whose it may be.
pub(super) struct Hit {
    pub(super) offset: usize,
    pub(super) wanted: usize,
}

/// The variables that are wanted, by address: put in order when one is asked for, which in most split units is never.
pub(super) struct ByAddress<'w> {
    wanted: &'w [Wanted<'w>],
    of: OnceCell<Numbers<usize>>,
}

impl<'w> ByAddress<'w> {
    pub(super) fn new(wanted: &'w [Wanted<'w>]) -> Self {
        ByAddress { wanted, of: OnceCell::new() }
    }

    pub(super) fn get(&self, address: u64) -> Option<usize> {
        self.of.get_or_init(|| by_address(self.wanted)).get(&address).copied()
    }

    /// The one that is so many bytes behind this one.
    fn behind(&self, first: usize, distance: u64) -> Option<usize> {
        self.get(self.wanted.get(first)?.address.checked_add(distance)?)
    }
}

pub(super) fn by_address(wanted: &[Wanted<'_>]) -> Numbers<usize> {
    wanted.iter().map(|one| one.address).zip(0..).collect()
}

/// How a location begins that holds an address: its length, and what it is.
fn location_of(address_size: u8) -> [u8; 2] {
    [address_size + 1, c::DW_OP_addr.0]
}

/// Locations that hold an address, in a part of the section that begins at `start`.
pub(super) fn direct(info: &[u8], start: usize, by_address: &Numbers<usize>, address_size: u8) -> Vec<Hit> {
    let width = usize::from(address_size);
    let (Some(low), Some(high)) = (by_address.keys().min(), by_address.keys().max()) else { return Vec::new() };
    let pattern = location_of(address_size);
    let hit = |offset: usize| {
        let address = little(info.get(offset + 2..offset + 2 + width)?)?;
        if address < *low || address > *high {
            return None;
        }
        by_address.get(&address).map(|wanted| Hit { offset: start + offset, wanted: *wanted })
    };
    memmem::find_iter(info, &pattern).filter_map(hit).collect()
}

/// The same, where it is an address and how far behind it: that of a variable which the compiler has put into one with
/// others.
pub(super) fn in_another(info: &[u8], start: usize, by_address: &Numbers<usize>, address_size: u8) -> Vec<Hit> {
    // The distance has seven bits in a byte; nobody makes more than a page of such variables.
    let find = |bytes: u8| {
        let [length, operation] = location_of(address_size);
        let hit = move |offset: usize| {
            let address = address_of(info.get(offset..)?, address_size)?;
            by_address.get(&address).map(|wanted| Hit { offset: start + offset, wanted: *wanted })
        };
        let pattern = [length + 1 + bytes, operation];
        memmem::Finder::new(&pattern).find_iter(info).filter_map(hit).collect::<Vec<Hit>>()
    };
    let mut hits: Vec<Hit> = [1, 2].into_iter().flat_map(find).collect();
    hits.sort_unstable_by_key(|hit| hit.offset);
    hits
}

/// The address that a location says which is at the beginning of these bytes.
pub(super) fn address_of(bytes: &[u8], address_size: u8) -> Option<u64> {
    let (length, rest) = bytes.split_first()?;
    let (operation, rest) = rest.get(..usize::from(*length))?.split_first()?;
    let (address, rest) = rest.split_at_checked(usize::from(address_size))?;
    let address = little(address).filter(|_| *operation == c::DW_OP_addr.0)?;
    if rest.is_empty() { Some(address) } else { address.checked_add(distance(rest)?) }
}

/// What an operation adds to an address, if that is all there is.
fn distance(operation: &[u8]) -> Option<u64> {
    let (plus, number) = operation.split_first()?;
    let mut number = Reader::new(number, gimli::LittleEndian);
    let distance = gimli::leb128::read::unsigned(&mut number).ok()?;
    (*plus == c::DW_OP_plus_uconst.0 && number.is_empty()).then_some(distance)
}

/// Locations in a unit that hold the number of an address, and perhaps how far behind it.
pub(super) fn through_table(
    info: &[u8],
    unit: &Unit<Reader<'_>>,
    indices: &Numbers<usize>,
    wanted: &ByAddress<'_>,
) -> Vec<Hit> {
    let start = unit.debug_info_offset().map_or(0, |offset| offset.0);
    let bytes = info.get(start..start.saturating_add(unit.length_including_self())).unwrap_or_default();
    let hit = |at: usize| {
        let length_at = at.checked_sub(1)?;
        let length = usize::from(*bytes.get(length_at)?);
        let mut rest = Reader::new(bytes.get(at + 1..at + length)?, gimli::LittleEndian);
        let first = *indices.get(&gimli::leb128::read::unsigned(&mut rest).ok()?)?;
        let wanted = if rest.is_empty() { first } else { wanted.behind(first, distance(rest.slice())?)? };
        Some(Hit { offset: start + length_at, wanted })
    };
    memchr::memchr2_iter(c::DW_OP_addrx.0, c::DW_OP_GNU_addr_index.0, bytes).filter_map(hit).collect()
}

/// Where a unit's addresses are in the table of all.
pub(super) fn addresses(table: &[u8], unit: &Unit<Reader<'_>>) -> (usize, usize) {
    let base = unit.addr_base.0;
    (base, base.saturating_add(table_len(table, unit)))
}

/// How long a unit's table of addresses is, in bytes from its base.
fn table_len(table: &[u8], unit: &Unit<Reader<'_>>) -> usize {
    if unit.version() < 5 {
        return table.len(); // it has no header; its numbers are confirmed by the entries
    }
    // The base lies behind the header: the length of what follows (4 bytes), and 4 bytes that it counts.
    let header = unit.addr_base.0.checked_sub(8).and_then(|start| table.get(start..start + 4));
    header.and_then(little).map_or(0, |length| (length as usize).saturating_sub(4))
}

pub(super) fn little(bytes: &[u8]) -> Option<u64> {
    if let Ok(word) = bytes.try_into() {
        return Some(u64::from_le_bytes(word));
    }
    (bytes.len() < 8).then(|| bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
