//! Variables that are not in memory as their type says.
//!
//! An optimiser makes a flag of a number that is only ever one of two, keeps the fields of a struct apart and drops
//! some, or puts several variables into one. The location is then an expression that puts the value together, and the
//! bytes at the symbol mean something else.

use super::super::debug::{Found, Numbers, Unknown, Wanted, is_merged};
use super::find::{may_have_location, origin};
use super::locations::{addresses, little};
use super::units::{Builder, Handle};
use super::{Entry, Expression};
use gimli::{AttributeValue, DebugInfoOffset, Operation, Section as _, UnitType, constants as c};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The variables in question, by address, or in a split unit by the number that stands for it.
#[derive(Clone, Copy)]
enum Open<'o> {
    ByAddress(&'o Numbers<usize>),
    ByIndex(&'o Numbers<usize>),
}

impl<'a> Builder<'a, '_> {
    /// Notes which of these variables, by address, are kept in another form, and in which.
    pub(super) fn other_forms(&self, open: &Numbers<usize>, wanted: &[Wanted<'_>], found: &mut Found) {
        // A unit that makes no sense says nothing.
        for start in self.suspects(open).unwrap_or_default() {
            self.other_forms_in(DebugInfoOffset(start), Open::ByAddress(open), wanted, found).unwrap_or(());
        }
    }

    /// The units that have one of these addresses somewhere.
    fn suspects(&self, open: &Numbers<usize>) -> Result<BTreeSet<usize>, Unknown> {
        let mut suspects = BTreeSet::new();
        let (Some(low), Some(high)) = (open.keys().min(), open.keys().max()) else { return Ok(suspects) };
        let is_open = |bytes: Option<&[u8]>| {
            bytes.and_then(little).is_some_and(|at| (*low..=*high).contains(&at) && open.contains_key(&at))
        };
        let width = usize::from(self.address_size());
        let starts = self.unit_offsets()?;
        let info = self.dwarf.debug_info.reader().slice();
        for at in memchr::memchr_iter(c::DW_OP_addr.0, info).filter(|at| is_open(info.get(at + 1..at + 1 + width))) {
            let next = starts.partition_point(|start| start.0 <= at);
            suspects.extend(next.checked_sub(1).and_then(|index| starts.get(index)).map(|start| start.0));
        }
        // Those of split units are asked for when their file is read.
        let table = self.dwarf.debug_addr.reader().slice();
        let places = table.windows(width).step_by(4).enumerate().filter(|(_, bytes)| is_open(Some(bytes)));
        let places: Vec<usize> = places.map(|(nth, _)| nth * 4).collect();
        for start in starts.iter().filter(|_| !places.is_empty()) {
            let unit = self.unit_at(*start)?;
            let (base, end) = addresses(table, &unit);
            let own = places.partition_point(|at| *at < base) < places.partition_point(|at| *at < end);
            if own && unit.dwo_id.is_none() {
                suspects.insert(start.0);
            }
        }
        Ok(suspects)
    }

    /// The same in all units of a split file.
    pub(super) fn other_forms_in_all(&self, indices: &Numbers<usize>, wanted: &[Wanted<'_>], found: &mut Found) {
        let starts = self.unit_offsets();
        for start in starts.iter().flat_map(|starts| starts.iter()).filter(|_| !indices.is_empty()) {
            self.other_forms_in(*start, Open::ByIndex(indices), wanted, found).unwrap_or(());
        }
    }

    fn other_forms_in(
        &self,
        start: DebugInfoOffset,
        open: Open<'_>,
        wanted: &[Wanted<'_>],
        found: &mut Found,
    ) -> Result<(), Unknown> {
        let unit = self.unit_at(start)?;
        if matches!(unit.type_(), UnitType::Type { .. } | UnitType::SplitType { .. }) {
            return Ok(());
        }
        let mut raw = unit.entries_raw(None)?;
        while !raw.is_empty() {
            self.spend(1)?;
            let at = raw.next_offset();
            let Some(abbreviation) = raw.read_abbreviation()? else { continue };
            let attributes = abbreviation.attributes();
            raw.skip_attributes(attributes)?;
            if may_have_location(abbreviation.tag())
                && attributes.iter().any(|attribute| attribute.name() == c::DW_AT_location)
            {
                let entry = unit.entry(at)?;
                if let Some(AttributeValue::Exprloc(expression)) = entry.attr_value(c::DW_AT_location) {
                    self.other_form(&unit, &entry, expression, (open, wanted), found).unwrap_or(());
                }
            }
        }
        Ok(())
    }

    fn other_form(
        &self,
        unit: &Handle<'a>,
        entry: &Entry<'a>,
        expression: Expression<'a>,
        (open, wanted): (Open<'_>, &[Wanted<'_>]),
        found: &mut Found,
    ) -> Result<(), Unknown> {
        let mut addresses = Vec::new();
        let mut form = DefaultHasher::new();
        let mut count = 0;
        let mut operations = expression.operations(unit.encoding());
        while let Some(operation) = operations.next()? {
            count += 1;
            let whose = match (operation, open) {
                (Operation::Address { address }, Open::ByAddress(open)) => open.get(&address),
                (Operation::AddressIndex { index }, Open::ByIndex(open)) => open.get(&(index.0 as u64)),
                (Operation::AddressIndex { index }, Open::ByAddress(open)) => {
                    open.get(&self.dwarf.address(unit, index)?)
                }
                (other, _) => {
                    format!("{other:?}").hash(&mut form);
                    continue;
                }
            };
            "address".hash(&mut form);
            addresses.extend(whose.map(|index| (*index, addresses.len())));
        }
        let symbol = |index: &usize| wanted.get(*index).map_or("", |one| one.symbol);
        let is_one_of_several = addresses.iter().any(|(index, _)| is_merged(symbol(index)));
        if addresses.is_empty() || (count < 2 && !is_one_of_several) {
            return Ok(());
        }
        if is_one_of_several {
            self.text(unit, entry, c::DW_AT_name).hash(&mut form);
        }
        if let Ok(ty) = self.of_variable(unit, entry.attr_value(c::DW_AT_type), origin(entry), &mut found.types, 0) {
            found.types.signature(ty).hash(&mut form);
        }
        for (index, nth) in addresses {
            let mut form = form.clone();
            nth.hash(&mut form);
            if let Some(one) = wanted.get(index) {
                // Of all that are in it, whatever their order.
                let sum = found.other_forms.entry(one.address).or_default();
                *sum = sum.wrapping_add(form.finish());
            }
        }
        Ok(())
    }
}
