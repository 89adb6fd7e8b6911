//! Where the entries of variables are.
//!
//! A variable's location is a small expression: its length, the operation "address", and the address itself, or its
//! number in a table. Those bytes are searched for; an entry around them that reads as one of a variable of that name is
//! it. What is left in doubt is settled by walking through the unit.

use super::super::debug::{Hints, Numbers, Unknown, Wanted};
use super::Reader;
use super::locations::{ByAddress, Hit, address_of, addresses, by_address, direct, in_another, little, through_table};
use super::scope::sibling;
use super::units::{Builder, Handle};
use core::ops::Range;
use gimli::{
    AttributeSpecification, AttributeValue, DebugInfoOffset, DebuggingInformationEntry, DwTag, DwoId, EntriesRaw,
};
use gimli::{Section as _, UnitOffset, UnitType, constants as c};
use memchr::memmem;
use std::rc::Rc;

/// The entry of a variable, one of those that are wanted.
pub(super) struct Place<'a> {
    pub(super) unit: Handle<'a>,
    pub(super) entry: UnitOffset,
    pub(super) says: Says<'a>,
    pub(super) wanted: usize,
    /// Where its location is in the unit.
    at: usize,
}

/// What matters of the entry of a variable.
#[derive(Clone, Copy, Default)]
pub(super) struct Says<'a> {
    pub(super) ty: Option<AttributeValue<Reader<'a>>>,
    /// See [`origin`].
    pub(super) origin: Option<AttributeValue<Reader<'a>>>,
    /// Where its location is in the unit, if that is an expression.
    location: Option<usize>,
}

impl<'a> Says<'a> {
    /// Reads the rest of an entry.
    fn read(
        raw: &mut EntriesRaw<'_, Reader<'a>>,
        attributes: &[AttributeSpecification],
    ) -> Result<Says<'a>, gimli::Error> {
        let mut says = Says::default();
        let mut rest = attributes;
        while let Some((before, [own, behind @ ..])) = next_that_matters(rest) {
            raw.skip_attributes(before)?;
            let at = raw.next_offset().0;
            let is_expression = matches!(own.form(), c::DW_FORM_exprloc | c::DW_FORM_block1);
            rest = behind;
            if own.name() == c::DW_AT_location {
                says.location = Some(at).filter(|_| is_expression);
                raw.skip_attributes(std::slice::from_ref(own))?;
                continue;
            }
            let value = raw.read_attribute(*own)?.value();
            match own.name() {
                c::DW_AT_type => says.ty = Some(value),
                c::DW_AT_specification => says.origin = Some(value),
                _ => says.origin = says.origin.or(Some(value)),
            }
        }
        raw.skip_attributes(rest)?;
        Ok(says)
    }
}

/// The attributes in front of the next one that is read of a variable, and those from it on.
fn next_that_matters(
    attributes: &[AttributeSpecification],
) -> Option<(&[AttributeSpecification], &[AttributeSpecification])> {
    let matters = [c::DW_AT_location, c::DW_AT_type, c::DW_AT_specification, c::DW_AT_abstract_origin];
    attributes.split_at_checked(attributes.iter().position(|one| matters.contains(&one.name()))?)
}

/// A unit whose entries are in another file.
pub(super) struct Split {
    pub(super) name: String,
    pub(super) directory: String,
    pub(super) id: DwoId,
    /// The variables whose addresses are in its table, by their number there.
    pub(super) indices: Numbers<usize>,
}

/// A unit that has a variable in so many bytes is read from its beginning: that is sooner done than a search around each.
const DENSE: usize = 256;

/// Where the location is in entries of variables: so many bytes from the beginning.
#[derive(Default)]
pub(super) struct Forms {
    distances: Vec<usize>,
    /// There are others, where it depends on what is before it.
    open: bool,
}

/// No table has more forms of entries that matter.
const MAX_FORMS: u64 = 1 << 12;

/// No entry of a variable is longer: a dozen attributes of a few bytes.
const LONGEST_ENTRY: usize = 128;

/// The hint for a variable whose entry names its address by a place in a table.
const THROUGH_TABLE: (u32, u32) = (u32::MAX, u32::MAX);

impl<'a> Builder<'a, '_> {
    /// Finds the variables' entries, and the units that have theirs in another file.
    pub(super) fn places(
        &self,
        wanted: &[Wanted<'_>],
        before: &Hints,
        split: &mut Vec<Split>,
    ) -> Result<(Vec<Place<'a>>, Hints), Unknown> {
        let info = self.dwarf.debug_info.reader().slice();
        let mut places = Vec::with_capacity(wanted.len());
        let mut left = by_address(wanted);
        // Where all is about these variables, it is sooner read than looked up what was known.
        let is_sparse = info.len() / wanted.len().max(1) >= DENSE;
        if is_sparse {
            self.where_they_were(wanted, before, &mut left, &mut places)?;
        }
        self.within(0..info.len(), wanted, &mut left, &mut places)?;
        let mut hints = if is_sparse { self.hints(wanted, &places)? } else { Hints::default() };
        let table = self.dwarf.debug_addr.reader().slice();
        if table.is_empty() {
            return Ok((places, hints));
        }

        // The places of the wanted addresses in the table of all units.
        let width = usize::from(self.address_size());
        let all = ByAddress::new(wanted);
        let number = |(nth, bytes): (usize, &[u8])| Some((nth * 4, all.get(little(bytes.get(..width)?)?)?));
        let known: Vec<(usize, usize)> = table.windows(width).step_by(4).enumerate().filter_map(number).collect();
        if known.is_empty() {
            return Ok((places, hints));
        }
        for start in self.unit_offsets()?.iter() {
            let unit = self.unit_at(*start)?;
            let (base, end) = addresses(table, &unit);
            let (first, last) =
                (known.partition_point(|(at, _)| *at < base), known.partition_point(|(at, _)| *at < end));
            let mine = known.get(first..last).unwrap_or_default();
            let indices: Numbers<usize> =
                mine.iter().map(|(at, wanted)| (((at - base) / width) as u64, *wanted)).collect();
            if indices.is_empty() {
                continue;
            }
            if let Some(name) = unit.dwo_name()?
                && let Some(id) = unit.dwo_id
            {
                let text = |value| self.dwarf.attr_string(&unit, value).map(|text| text.to_string_lossy().into_owned());
                let directory = unit.comp_dir.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
                split.push(Split { name: text(name)?, directory, id, indices });
                continue;
            }
            let hits = through_table(info, &unit, &indices, &all);
            self.resolve(&hits, wanted, &mut places)?;
        }
        for place in &places {
            let hint = wanted.get(place.wanted).and_then(|one| hints.of.get_mut(&Hints::key(one.symbol)));
            if let Some(hint @ None) = hint {
                *hint = Some(THROUGH_TABLE);
            }
        }
        Ok((places, hints))
    }

    /// Looks for variables where they were in the image before, and in the units that have changed. Mostly that is all:
    /// an edit changes a few units, and the others are the same but for addresses.
    fn where_they_were(
        &self,
        wanted: &[Wanted<'_>],
        hints: &Hints,
        left: &mut Numbers<usize>,
        places: &mut Vec<Place<'a>>,
    ) -> Result<(), Unknown> {
        let starts = self.unit_offsets()?;
        let units = self.unit_ranges(&starts);
        if hints.lengths.len() != units.len() {
            return Ok(());
        }
        // Of each unit, how many it had.
        let mut counts = vec![0; units.len()];
        let mut hits = Vec::new();
        left.retain(|_, index| match wanted.get(*index).and_then(|one| hints.of.get(&Hints::key(one.symbol))) {
            // It was not described, or it was found by the table.
            Some(None | Some(THROUGH_TABLE)) => false,
            Some(Some((at, offset))) => {
                if let (Some(unit), Some(count)) = (units.get(*at as usize), counts.get_mut(*at as usize)) {
                    *count += 1;
                    hits.push((*at, Hit { offset: unit.start.saturating_add(*offset as usize), wanted: *index }));
                }
                true
            }
            None => true,
        });
        let info = self.dwarf.debug_info.reader().slice();
        let width = self.address_size();
        let is_there = |(unit, hit): (u32, Hit)| {
            // Of dense units all will be read.
            let (range, count) = units.get(unit as usize).zip(counts.get(unit as usize))?;
            if range.len().checked_div(*count)? < DENSE {
                return None;
            };
            let is = wanted.get(hit.wanted)?.address;
            (address_of(info.get(hit.offset..)?, width) == Some(is)).then_some(hit)
        };
        let mut hits: Vec<Hit> = hits.into_iter().filter_map(is_there).collect();
        hits.sort_unstable_by_key(|hit| hit.offset);
        self.resolve(&hits, wanted, places)?;
        forget_found(left, wanted, places);
        for ((unit, length), count) in units.into_iter().zip(&hints.lengths).zip(counts) {
            if unit.len() != *length || count > 0 {
                self.within(unit, wanted, left, places)?;
            }
        }
        Ok(())
    }

    /// Looks for variables in a part of the section, and takes those that are found from `left`.
    fn within(
        &self,
        part: Range<usize>,
        wanted: &[Wanted<'_>],
        left: &mut Numbers<usize>,
        places: &mut Vec<Place<'a>>,
    ) -> Result<(), Unknown> {
        if left.is_empty() {
            return Ok(());
        }
        let bytes = self.dwarf.debug_info.reader().slice().get(part.clone()).unwrap_or_default();
        let mut resolve = |hits: &[Hit], left: &mut Numbers<usize>| {
            let known = places.len();
            self.resolve(hits, wanted, places)?;
            forget_found(left, wanted, places.get(known..).unwrap_or_default());
            Ok::<(), Unknown>(())
        };
        resolve(&direct(bytes, part.start, left, self.address_size()), left)?;
        if self.merges && !left.is_empty() {
            resolve(&in_another(bytes, part.start, left, self.address_size()), left)?;
        }
        Ok(())
    }

    fn unit_ranges(&self, starts: &[DebugInfoOffset]) -> Vec<Range<usize>> {
        let len = self.dwarf.debug_info.reader().slice().len();
        let ends = starts.iter().skip(1).map(|start| start.0).chain([len]);
        starts.iter().zip(ends).map(|(start, end)| start.0..end).collect()
    }

    /// What the image after this one can be helped with.
    fn hints(&self, wanted: &[Wanted<'_>], places: &[Place<'a>]) -> Result<Hints, Unknown> {
        let starts = self.unit_offsets()?;
        let mut spots = vec![None; wanted.len()];
        for place in places {
            let unit = place.unit.debug_info_offset().and_then(|start| starts.binary_search(&start).ok());
            if let (Some(unit), Some(spot)) = (unit, spots.get_mut(place.wanted)) {
                *spot = Some((unit as u32, place.at as u32));
            }
        }
        let mut of = Numbers::with_capacity_and_hasher(wanted.len(), Default::default());
        for (one, spot) in wanted.iter().zip(spots) {
            // Of several that are called alike, one is a help.
            let known = of.entry(Hints::key(one.symbol)).or_insert(spot);
            *known = spot.or(*known);
        }
        let lengths = self.unit_ranges(&starts).iter().map(Range::len).collect();
        Ok(Hints { lengths, of })
    }

    /// Finds the entries of variables in a split unit, which tells addresses by their number.
    pub(super) fn indexed(&self, indices: &Numbers<usize>, wanted: &[Wanted<'_>]) -> Result<Vec<Place<'a>>, Unknown> {
        let mut places = Vec::new();
        let all = ByAddress::new(wanted);
        let info = self.dwarf.debug_info.reader().slice();
        for start in self.unit_offsets()?.iter() {
            let unit = self.unit_at(*start)?;
            if !matches!(unit.type_(), UnitType::Type { .. } | UnitType::SplitType { .. }) {
                let hits = through_table(info, &unit, indices, &all);
                self.resolve(&hits, wanted, &mut places)?;
            }
        }
        Ok(places)
    }

    /// Turns locations, which are in order, into entries.
    fn resolve(&self, hits: &[Hit], wanted: &[Wanted<'_>], places: &mut Vec<Place<'a>>) -> Result<(), Unknown> {
        let starts = self.unit_offsets()?;
        let unit_of = |hit: &Hit| starts.partition_point(|start| start.0 <= hit.offset).checked_sub(1);
        for of_unit in hits.chunk_by(|one, other| unit_of(one) == unit_of(other)) {
            let start = of_unit.first().and_then(unit_of).and_then(|index| starts.get(index));
            let Some(start) = start else { continue };
            let length = self.unit_at(*start)?.length_including_self();
            if length / of_unit.len() < DENSE {
                let known = places.len();
                let all: Vec<&Hit> = of_unit.iter().collect();
                if self.walk(*start, &all, places).is_ok() {
                    continue;
                }
                places.truncate(known);
            }
            self.resolve_each(*start, of_unit, wanted, places)?;
        }
        Ok(())
    }

    /// The same for the locations of a unit, without reading all of it.
    fn resolve_each(
        &self,
        start: DebugInfoOffset,
        hits: &[Hit],
        wanted: &[Wanted<'_>],
        places: &mut Vec<Place<'a>>,
    ) -> Result<(), Unknown> {
        let mut doubtful: Vec<&Hit> = Vec::new();
        let unit = self.unit_at(start)?;
        for hit in hits {
            let unit = unit.clone();
            let Some(symbol) = wanted.get(hit.wanted).map(|one| one.symbol) else { continue };
            let around = self.entries_around(&unit, hit.offset - start.0);
            let mut called = around.iter().filter(|(entry, _)| self.is_called(&unit, *entry, symbol, 0));
            match (called.next().copied(), called.next()) {
                (Some((entry, says)), None) => {
                    places.push(Place { unit, entry, says, wanted: hit.wanted, at: hit.offset - start.0 });
                }
                // Other bytes that happen to look like it.
                (None, _) if around.is_empty() => {}
                // One that is called otherwise may have several symbols.
                _ => doubtful.push(hit),
            }
        }
        if doubtful.is_empty() { Ok(()) } else { self.walk(start, &doubtful, places) }
    }

    /// What reads as entries of variables whose location is at `offset` in the unit.
    fn entries_around(&self, unit: &Handle<'a>, offset: usize) -> Vec<(UnitOffset, Says<'a>)> {
        let earliest = unit.root_offset().0;
        let entry = |start: usize| {
            let start = UnitOffset(start);
            let mut raw = if start.0 >= earliest { unit.entries_raw(Some(start)).ok()? } else { return None };
            let abbreviation = raw.read_abbreviation().ok()??;
            if !may_have_location(abbreviation.tag()) {
                return None;
            }
            let says = Says::read(&mut raw, abbreviation.attributes()).ok()?;
            (says.location == Some(offset)).then_some((start, says))
        };
        let forms = self.forms(unit);
        let distances = forms.distances.iter().filter_map(|distance| offset.checked_sub(*distance));
        let mut found: Vec<_> = distances.filter_map(entry).collect();
        if found.is_empty() && forms.open {
            let earliest = offset.saturating_sub(LONGEST_ENTRY).max(earliest);
            found = (earliest..offset).filter_map(entry).collect();
        }
        found
    }

    /// How entries of variables look in this unit.
    fn forms(&self, unit: &Handle<'a>) -> Rc<Forms> {
        let table = unit.debug_abbrev_offset().0;
        if let Some(forms) = self.forms.borrow().get(&table) {
            return forms.clone();
        }
        let mut forms = Forms::default();
        // They are numbered from 1 on, without gaps, by everybody.
        for (code, abbreviation) in (1..MAX_FORMS).map_while(|code| Some((code, unit.abbreviations.get(code)?))) {
            let attributes = abbreviation.attributes();
            let location = attributes.iter().position(|attribute| attribute.name() == c::DW_AT_location);
            let Some(before) =
                location.filter(|_| may_have_location(abbreviation.tag())).and_then(|at| attributes.get(..at))
            else {
                continue;
            };
            // Of the code, seven bits are in a byte.
            let length = 1 + code.ilog2() as usize / 7;
            match before.iter().try_fold(length, |sum, attribute| Some(sum + attribute.size(&unit.header)?)) {
                Some(distance) => forms.distances.push(distance),
                None => forms.open = true,
            }
        }
        forms.distances.sort_unstable();
        forms.distances.dedup();
        let forms = Rc::new(forms);
        self.forms.borrow_mut().insert(table, forms.clone());
        forms
    }

    /// Is the name of the entry, or of what it defines, part of this symbol?
    fn is_called(&self, unit: &Handle<'a>, entry: UnitOffset, symbol: &str, depth: u32) -> bool {
        let Ok(entry) = unit.entry(entry) else { return false };
        let name = entry.attr_value(c::DW_AT_name).and_then(|name| self.dwarf.attr_string(unit, name).ok());
        if let Some(name) = name {
            let name = name.slice();
            return !name.is_empty() && (symbol.as_bytes() == name || memmem::find(symbol.as_bytes(), name).is_some());
        }
        let origin = origin(&entry).filter(|_| depth < 4);
        let origin = origin.and_then(|origin| self.referred(unit, origin).ok());
        origin.is_some_and(|(unit, entry)| self.is_called(&unit, entry, symbol, depth + 1))
    }

    /// Finds the entries of these locations by reading the unit from its beginning.
    fn walk(&self, start: DebugInfoOffset, hits: &[&Hit], places: &mut Vec<Place<'a>>) -> Result<(), Unknown> {
        let unit = self.unit_at(start)?;
        let mut raw = unit.entries_raw(None)?;
        let mut left = hits.iter().map(|hit| (hit.offset - start.0, hit.wanted)).peekable();
        while left.peek().is_some() && !raw.is_empty() {
            self.spend(1)?;
            let entry = raw.next_offset();
            let Some(abbreviation) = raw.read_abbreviation()? else { continue };
            // Other bytes that happen to look like a location.
            while left.next_if(|(offset, _)| *offset < entry.0).is_some() {}
            if !may_have_location(abbreviation.tag()) {
                let next = sibling(&mut raw, abbreviation)?;
                let goal = left.peek().map(|(offset, _)| *offset);
                if let Some(next) = next.filter(|next| next.0 > entry.0 && goal.is_some_and(|goal| next.0 <= goal)) {
                    raw = unit.entries_raw(Some(next))?;
                }
                continue;
            }
            let says = Says::read(&mut raw, abbreviation.attributes())?;
            let Some(location) = says.location else { continue };
            while left.next_if(|(offset, _)| *offset < location).is_some() {}
            if let Some((at, wanted)) = left.next_if(|(offset, _)| *offset == location) {
                places.push(Place { unit: unit.clone(), entry, says, wanted, at });
            }
        }
        Ok(())
    }
}

/// Takes the variables out that have been found.
fn forget_found(left: &mut Numbers<usize>, wanted: &[Wanted<'_>], places: &[Place<'_>]) {
    for place in places {
        if let Some(one) = wanted.get(place.wanted) {
            left.remove(&one.address);
        }
    }
}

pub(super) fn may_have_location(tag: DwTag) -> bool {
    matches!(tag, c::DW_TAG_variable | c::DW_TAG_member)
}

/// The entry that this one defines or is an instance of, and that says the rest.
pub(super) fn origin<'a>(entry: &DebuggingInformationEntry<Reader<'a>>) -> Option<AttributeValue<Reader<'a>>> {
    entry.attr_value(c::DW_AT_specification).or_else(|| entry.attr_value(c::DW_AT_abstract_origin))
}
