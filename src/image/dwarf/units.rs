//! The units of debug information, read when something in them is asked for.

use super::super::debug::Unknown;
use super::super::types::Nonsense;
use super::build::Memos;
use super::find::Forms;
use super::{Reader, declared};
use gimli::{
    Abbreviations, AttributeValue, DebugInfoOffset, DebugTypeSignature, Dwarf, DwoId, Section, SectionId, Unit,
    UnitHeader,
};
use gimli::{DebuggingInformationEntry, UnitOffset, UnitSectionOffset, UnitType, constants as c};
use memchr::memmem;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// How many entries are read at most: those of the largest programs' variables are far fewer, and more than this takes
/// about a second. Damaged files can ask for any number.
const MAX_WORK: u64 = 1 << 23;

/// A unit, as whoever reads in it holds it.
pub(super) type Handle<'a> = Rc<Unit<Reader<'a>>>;

/// Where an entry is.
pub(super) type Spot<'a> = (Handle<'a>, UnitOffset);

/// The units that hold one type each, and where it is in them.
type TypeUnits<'a> = HashMap<DebugTypeSignature, (UnitHeader<Reader<'a>>, UnitOffset)>;

/// Makes types of entries.
pub(in super::super) struct Builder<'a, 'd> {
    pub(super) dwarf: &'d Dwarf<Reader<'a>>,
    /// May the place of a variable be given as one in another variable?
    pub(super) merges: bool,
    pub(super) memo: RefCell<Memos>,
    work: Cell<u64>,
    units: RefCell<HashMap<(SectionId, UnitSectionOffset), Handle<'a>>>,
    /// Tables that several units may share, by their offset.
    abbreviations: RefCell<HashMap<usize, Arc<Abbreviations>>>,
    /// By the same offset.
    pub(super) forms: RefCell<HashMap<usize, Rc<Forms>>>,
    starts: OnceCell<Rc<[DebugInfoOffset]>>,
    type_units: OnceCell<TypeUnits<'a>>,
    pub(super) definitions: OnceCell<declared::Definitions<'a>>,
    /// Names of types that are dropped, up to the end of the string.
    dropped: OnceCell<Vec<&'a [u8]>>,
}

impl<'a, 'd> Builder<'a, 'd> {
    pub(super) fn new(dwarf: &'d Dwarf<Reader<'a>>) -> Self {
        Builder {
            dwarf,
            merges: false,
            memo: RefCell::default(),
            work: Cell::new(MAX_WORK),
            units: RefCell::default(),
            abbreviations: RefCell::default(),
            forms: RefCell::default(),
            starts: OnceCell::new(),
            type_units: OnceCell::new(),
            definitions: OnceCell::new(),
            dropped: OnceCell::new(),
        }
    }

    /// Counts what is read, and ends it when it is too much.
    pub(super) fn spend(&self, entries: u64) -> Result<(), Unknown> {
        self.work.set(self.work.get().checked_sub(entries).ok_or(Nonsense("it never ends"))?);
        Ok(())
    }

    /// The width of an address, in bytes.
    pub(super) fn address_size(&self) -> u8 {
        let first = self.dwarf.units().next();
        first.ok().flatten().map_or(8, |header| header.address_size()).clamp(1, 8)
    }

    /// Where each unit of .debug_info begins.
    pub(super) fn unit_offsets(&self) -> Result<Rc<[DebugInfoOffset]>, Unknown> {
        if let Some(starts) = self.starts.get() {
            return Ok(starts.clone());
        }
        let mut starts = Vec::new();
        let mut units = self.dwarf.units();
        while let Some(header) = units.next()? {
            self.spend(1)?;
            starts.extend(header.debug_info_offset());
        }
        Ok(self.starts.get_or_init(|| starts.into()).clone())
    }

    /// Is a unit of this number there?
    pub(super) fn has_unit(&self, id: DwoId) -> Result<bool, Unknown> {
        for start in self.unit_offsets()?.iter() {
            if self.unit_at(*start)?.dwo_id == Some(id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn unit_at(&self, start: DebugInfoOffset) -> Result<Handle<'a>, Unknown> {
        if let Some(unit) = self.units.borrow().get(&(SectionId::DebugInfo, UnitSectionOffset(start.0))) {
            return Ok(unit.clone());
        }
        self.unit(self.dwarf.unit_header(start)?)
    }

    fn unit(&self, header: UnitHeader<Reader<'a>>) -> Result<Handle<'a>, Unknown> {
        let table = header.debug_abbrev_offset().0;
        let known = self.abbreviations.borrow().get(&table).cloned();
        let abbreviations = match known {
            Some(known) => known,
            None => self.dwarf.abbreviations(&header)?,
        };
        self.spend(8)?;
        self.abbreviations.borrow_mut().insert(table, abbreviations.clone());
        let key = (header.section(), header.offset());
        let unit = Rc::new(Unit::new_with_abbreviations(self.dwarf, header, abbreviations)?);
        self.units.borrow_mut().insert(key, unit.clone());
        Ok(unit)
    }

    /// The entry that an attribute refers to.
    pub(super) fn referred(
        &self,
        unit: &Handle<'a>,
        reference: AttributeValue<Reader<'a>>,
    ) -> Result<Spot<'a>, Unknown> {
        match reference {
            AttributeValue::UnitRef(offset) => Ok((unit.clone(), offset)),
            AttributeValue::DebugInfoRef(offset) => {
                let starts = self.unit_offsets()?;
                let next = starts.partition_point(|start| start.0 <= offset.0);
                let start = next.checked_sub(1).and_then(|index| starts.get(index)).ok_or(LOST)?;
                let unit = self.unit_at(*start)?;
                let offset = offset.to_unit_offset(&unit).ok_or(LOST)?;
                Ok((unit, offset))
            }
            AttributeValue::DebugTypesRef(signature) => self.type_unit(signature),
            _ => Err(LOST),
        }
    }

    /// The type of a signature, in a unit of its own.
    pub(super) fn type_unit(&self, signature: DebugTypeSignature) -> Result<Spot<'a>, Unknown> {
        let (header, offset) = self.type_units()?.get(&signature).copied().ok_or(LOST)?;
        let known = self.units.borrow().get(&(header.section(), header.offset())).cloned();
        let unit = match known {
            Some(unit) => unit,
            None => self.unit(header)?,
        };
        Ok((unit, offset))
    }

    /// The units that hold one type each, in either section.
    pub(super) fn type_units(&self) -> Result<&TypeUnits<'a>, Unknown> {
        if let Some(units) = self.type_units.get() {
            return Ok(units);
        }
        let mut found = HashMap::new();
        let mut note = |header: UnitHeader<Reader<'a>>| {
            if let UnitType::Type { type_signature, type_offset }
            | UnitType::SplitType { type_signature, type_offset } = header.type_()
            {
                found.insert(type_signature, (header, type_offset));
            }
        };
        let mut units = self.dwarf.units();
        while let Some(header) = units.next()? {
            self.spend(1)?;
            note(header);
        }
        let mut units = self.dwarf.type_units();
        while let Some(header) = units.next()? {
            self.spend(1)?;
            note(header);
        }
        Ok(self.type_units.get_or_init(|| found))
    }

    pub(super) fn is_rust(&self, unit: &Handle<'a>) -> bool {
        let root: Option<DebuggingInformationEntry<Reader<'a>>> = unit.entry(unit.root_offset()).ok();
        let language = root.and_then(|root| root.attr_value(c::DW_AT_language));
        matches!(language, Some(AttributeValue::Language(c::DW_LANG_Rust)))
    }

    /// Does the code drop values of a type of this name (Rust)? The function that does is called after the type.
    pub(super) fn is_dropped(&self, name: &str) -> bool {
        let dropped = self.dropped.get_or_init(|| {
            let strings = self.dwarf.debug_str.reader().slice();
            let argument = |at: usize| strings.get(at + DROP.len()..)?.split(|byte| matches!(byte, 0)).next();
            memmem::find_iter(strings, DROP).filter_map(argument).collect()
        });
        let is_it = |argument: &&[u8]| {
            let path = argument.strip_suffix(b">").and_then(|path| path.strip_suffix(name.as_bytes()));
            path.is_some_and(|path| path.is_empty() || path.ends_with(b"::"))
        };
        !name.is_empty() && dropped.iter().any(is_it)
    }
}

/// How the name of the function begins.
const DROP: &[u8] = b"drop_in_place<";

const LOST: Unknown = Unknown::Type(Nonsense("a part of it is not there"));
