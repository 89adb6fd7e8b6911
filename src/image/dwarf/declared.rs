//! Types that a unit only declares: clang leaves the definition of a C++ class to the unit that has its constructor.

use super::super::debug::Unknown;
use super::Reader;
use super::units::{Builder, Handle, Spot};
use gimli::{AttributeValue, DebuggingInformationEntry, UnitType, constants as c};
use std::collections::HashMap;

/// Where types are defined, and how large they are, by name.
pub(super) type Definitions<'a> = HashMap<String, Definition<'a>>;

/// A definition as entries refer to it, one of those that are alike; None if there are others of that name.
type Definition<'a> = Option<(AttributeValue<Reader<'a>>, Option<u64>)>;

/// Every entry of every unit has to be read to know all definitions; more of them than this are not read.
const MAX_BYTES: usize = 64 << 20;

impl<'a> Builder<'a, '_> {
    /// The definition of a type that is declared here.
    pub(super) fn definition(
        &self,
        unit: &Handle<'a>,
        entry: &DebuggingInformationEntry<Reader<'a>>,
    ) -> Result<Option<Spot<'a>>, Unknown> {
        let name = self.text(unit, entry, c::DW_AT_name);
        if name.is_empty() {
            return Ok(None);
        }
        let definitions = match self.definitions.get() {
            Some(definitions) => definitions,
            None => {
                let all = self.all_definitions()?;
                self.definitions.get_or_init(|| all)
            }
        };
        match definitions.get(&name) {
            Some(Some((reference, _))) => self.referred(unit, *reference).map(Some),
            _ => Ok(None),
        }
    }

    fn all_definitions(&self) -> Result<Definitions<'a>, Unknown> {
        let mut all = Definitions::new();
        let mut note = |name: String, entry: &DebuggingInformationEntry<Reader<'a>>, reference| {
            let size = entry.attr(c::DW_AT_byte_size).and_then(|size| size.udata_value());
            let known = all.entry(name).or_insert(Some((reference, size)));
            if known.is_none_or(|(_, other)| other != size) {
                *known = None;
            }
        };
        for signature in self.type_units()?.keys() {
            let reference = AttributeValue::DebugTypesRef(*signature);
            let (unit, offset) = self.type_unit(*signature)?;
            let entry = unit.entry(offset)?;
            note(self.text(&unit, &entry, c::DW_AT_name), &entry, reference);
        }
        let starts = self.unit_offsets()?;
        let mut left = MAX_BYTES;
        for start in starts.iter() {
            let unit = self.unit_at(*start)?;
            let Some(rest) = left.checked_sub(unit.length_including_self()) else { break };
            left = rest;
            if matches!(unit.type_(), UnitType::Type { .. } | UnitType::SplitType { .. }) {
                continue;
            }
            let mut raw = unit.entries_raw(None)?;
            while !raw.is_empty() {
                let offset = raw.next_offset();
                let Some(abbreviation) = raw.read_abbreviation()? else { continue };
                let tag = abbreviation.tag();
                let types = [c::DW_TAG_structure_type, c::DW_TAG_class_type, c::DW_TAG_union_type];
                if !types.contains(&tag) {
                    raw.skip_attributes(abbreviation.attributes())?;
                    continue;
                }
                self.spend(1)?;
                let entry = unit.entry(offset)?;
                raw.skip_attributes(abbreviation.attributes())?;
                if entry.attr(c::DW_AT_declaration).is_none() {
                    let reference = offset.to_debug_info_offset(&unit).map(AttributeValue::DebugInfoRef);
                    if let Some(reference) = reference {
                        note(self.text(&unit, &entry, c::DW_AT_name), &entry, reference);
                    }
                }
            }
        }
        Ok(all)
    }
}
