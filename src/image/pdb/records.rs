//! The records of the TPI stream ("CodeView Type Records"), each of which is a type or a list that types share.
//!
//! pdb2 has a reader of them, too, but a damaged record makes it ask for gigabytes of memory, or run out of stack.

use super::super::debug::Unknown;
use pdb2::StreamIndex;
use std::ops::Deref;

/// Kinds of records that stand alone.
pub(super) mod leaf {
    pub(in super::super) const MODIFIER: u16 = 0x1001;
    pub(in super::super) const POINTER: u16 = 0x1002;
    pub(in super::super) const PROCEDURE: u16 = 0x1008;
    pub(in super::super) const MFUNCTION: u16 = 0x1009;
    pub(in super::super) const ARGLIST: u16 = 0x1201;
    pub(in super::super) const FIELDLIST: u16 = 0x1203;
    pub(in super::super) const BITFIELD: u16 = 0x1205;
    pub(in super::super) const METHODLIST: u16 = 0x1206;
    pub(in super::super) const ARRAY: u16 = 0x1503;
    pub(in super::super) const CLASS: u16 = 0x1504;
    pub(in super::super) const STRUCTURE: u16 = 0x1505;
    pub(in super::super) const UNION: u16 = 0x1506;
    pub(in super::super) const ENUM: u16 = 0x1507;
    pub(in super::super) const ALIAS: u16 = 0x150a;
    pub(in super::super) const INTERFACE: u16 = 0x1519;
    /// With wider properties, of newer compilers.
    pub(in super::super) const CLASS2: u16 = 0x1608;
    pub(in super::super) const STRUCTURE2: u16 = 0x1609;
    pub(in super::super) const UNION2: u16 = 0x160a;
    pub(in super::super) const INTERFACE2: u16 = 0x160b;
    /// Of the other stream: functions, members, and texts.
    pub(in super::super) const FUNC_ID: u16 = 0x1601;
    pub(in super::super) const MFUNC_ID: u16 = 0x1602;
    pub(in super::super) const STRING_ID: u16 = 0x1605;
}

/// What a list of fields consists of.
mod part {
    pub(super) const BCLASS: u16 = 0x1400;
    pub(super) const VBCLASS: u16 = 0x1401;
    pub(super) const IVBCLASS: u16 = 0x1402;
    pub(super) const INDEX: u16 = 0x1404;
    pub(super) const VFUNCTAB: u16 = 0x1409;
    pub(super) const FRIENDCLS: u16 = 0x140a;
    pub(super) const VFUNCOFF: u16 = 0x140c;
    pub(super) const ENUMERATE: u16 = 0x1502;
    pub(super) const FRIENDFCN: u16 = 0x150c;
    pub(super) const MEMBER: u16 = 0x150d;
    pub(super) const STMEMBER: u16 = 0x150e;
    pub(super) const METHOD: u16 = 0x150f;
    pub(super) const NESTTYPE: u16 = 0x1510;
    pub(super) const ONEMETHOD: u16 = 0x1511;
    pub(super) const NESTTYPEEX: u16 = 0x1512;
    pub(super) const BINTERFACE: u16 = 0x151a;
}

/// Bits of a type's properties.
const HAS_CONSTRUCTOR: u16 = 1 << 1;
const IS_FORWARD: u16 = 1 << 7;
const HAS_UNIQUE_NAME: u16 = 1 << 9;

/// Numbers below this are the types that the compiler knows by itself.
pub(super) const FIRST: u32 = 0x1000;

const TPI: StreamIndex = StreamIndex(2);
/// The stream of what is no type but is named like one, in the same form.
const IPI: StreamIndex = StreamIndex(4);

type Pdb<'s, S> = pdb2::PDB<'s, S>;

/// The stream, and where each of its records begins.
pub(super) struct Records<'s> {
    bytes: Box<dyn Deref<Target = [u8]> + 's>,
    starts: Vec<u32>,
}

/// A record: its kind, and what follows.
#[derive(Clone, Copy)]
pub(super) struct Record<'r> {
    pub(super) kind: u16,
    pub(super) bytes: Cursor<'r>,
}

pub(super) fn damaged(what: &str) -> Unknown {
    Unknown::Damaged(format!("a {what} in its PDB makes no sense"))
}

impl<'s> Records<'s> {
    pub(super) fn types<S: pdb2::Source<'s> + Send + 's>(pdb: &mut Pdb<'s, S>) -> Result<Records<'s>, Unknown> {
        Records::of(pdb, TPI)
    }

    pub(super) fn ids<S: pdb2::Source<'s> + Send + 's>(pdb: &mut Pdb<'s, S>) -> Result<Records<'s>, Unknown> {
        Records::of(pdb, IPI)
    }

    fn of<S: pdb2::Source<'s> + Send + 's>(pdb: &mut Pdb<'s, S>, stream: StreamIndex) -> Result<Records<'s>, Unknown> {
        let bytes = Box::new(pdb.raw_stream(stream)?.ok_or(Unknown::Absent)?);
        let mut head = Cursor(&bytes);
        let (_version, header, first) = (head.u32(), head.u32(), head.u32());
        if first != Some(FIRST) {
            return Err(damaged("header of types"));
        }
        let mut at = header.map(|header| header as usize).unwrap_or(usize::MAX);
        let mut starts = Vec::new();
        while let Some(length) = bytes.get(at..).and_then(|rest| Cursor(rest).u16()) {
            starts.push(u32::try_from(at).unwrap_or(u32::MAX));
            at += 2 + usize::from(length);
        }
        Ok(Records { bytes, starts })
    }

    pub(super) fn get(&self, index: u32) -> Option<Record<'_>> {
        let start = *self.starts.get(index.checked_sub(FIRST)? as usize)?;
        let mut rest = Cursor(self.bytes.get(start as usize..)?);
        let length = rest.u16()?;
        let mut bytes = Cursor(rest.0.get(..usize::from(length))?);
        Some(Record { kind: bytes.u16()?, bytes })
    }

    /// The numbers of all records.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        FIRST..FIRST.saturating_add(u32::try_from(self.starts.len()).unwrap_or(0))
    }
}

/// A class, struct, interface, union or enumeration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'r> {
    properties: u16,
    /// The list of its fields or enumerators.
    pub(super) fields: u32,
    /// In bytes; of an enumeration it is that of the type below.
    pub(super) size: u64,
    /// The type of number that an enumeration is.
    pub(super) below: u32,
    pub(super) name: &'r [u8],
    pub(super) unique: Option<&'r [u8]>,
}

impl<'r> Named<'r> {
    /// It is only declared.
    pub(super) fn is_forward(&self) -> bool {
        self.properties & IS_FORWARD != 0
    }

    /// It may have a constructor, a destructor, or something else that is not trivial.
    pub(super) fn may_be_special(&self) -> bool {
        self.properties & HAS_CONSTRUCTOR != 0
    }

    /// By which declaration and definition find each other.
    pub(super) fn key(&self) -> &'r [u8] {
        self.unique.unwrap_or(self.name)
    }
}

impl<'r> Record<'r> {
    pub(super) fn named(&self) -> Option<Named<'r>> {
        let mut bytes = self.bytes;
        let (mut below, mut size) = (0, 0);
        let (properties, fields);
        match self.kind {
            leaf::CLASS | leaf::STRUCTURE | leaf::INTERFACE => {
                bytes.u16()?; // how many fields
                (properties, fields) = (bytes.u16()?, bytes.u32()?);
                bytes.skip(8)?; // what it is derived from, and the shape of its table
                size = bytes.size()?;
            }
            leaf::UNION => {
                bytes.u16()?;
                (properties, fields) = (bytes.u16()?, bytes.u32()?);
                size = bytes.size()?;
            }
            leaf::CLASS2 | leaf::STRUCTURE2 | leaf::INTERFACE2 => {
                (properties, fields) = (bytes.u32()? as u16, bytes.u32()?);
                bytes.skip(10)?;
                size = bytes.size()?;
            }
            leaf::UNION2 => {
                (properties, fields) = (bytes.u32()? as u16, bytes.u32()?);
                bytes.u16()?;
                size = bytes.size()?;
            }
            leaf::ENUM => {
                bytes.u16()?;
                properties = bytes.u16()?;
                (below, fields) = (bytes.u32()?, bytes.u32()?);
            }
            _ => return None,
        }
        let name = bytes.text()?;
        let unique = if properties & HAS_UNIQUE_NAME == 0 { None } else { bytes.text() };
        Some(Named { properties, fields, size, below, name, unique: unique.filter(|name| !name.is_empty()) })
    }
}

/// A part of a list of fields.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'r> {
    Member {
        ty: u32,
        offset: u64,
        name: &'r [u8],
    },
    Base {
        ty: u32,
        offset: u64,
    },
    VirtualBase,
    /// The pointer to the table of virtual functions.
    Table {
        ty: u32,
    },
    Method {
        attributes: u16,
        ty: u32,
        name: &'r [u8],
        /// Its place in the table, if it is the first of its name in it.
        slot: Option<u32>,
    },
    /// Several of one name.
    Methods {
        list: u32,
        name: &'r [u8],
    },
    Enumerator {
        value: i128,
        name: &'r [u8],
    },
    /// The list goes on in another record.
    More(u32),
    /// Nothing that a variable consists of.
    Other,
}

/// The compiler has made the function.
pub(super) fn is_made(attributes: u16) -> bool {
    attributes & (1 << 8) != 0
}

fn is_first_virtual(attributes: u16) -> bool {
    matches!(attributes >> 2 & 7, 4 | 6)
}

/// A list of fields, from its record.
pub(super) struct Fields<'r>(pub(super) Cursor<'r>);

impl<'r> Fields<'r> {
    /// None at its end; an error if it makes no sense.
    pub(super) fn next(&mut self) -> Option<Result<Field<'r>, Unknown>> {
        // Filled up to whole words by bytes that no part begins with.
        while self.0.0.first().is_some_and(|byte| *byte >= 0xf0) {
            self.0.skip(1)?;
        }
        if self.0.0.is_empty() {
            return None;
        }
        Some(self.field().ok_or_else(|| damaged("list of fields")))
    }

    fn field(&mut self) -> Option<Field<'r>> {
        let bytes = &mut self.0;
        let kind = bytes.u16()?;
        // Attributes, or nothing.
        let attributes = bytes.u16()?;
        Some(match kind {
            part::MEMBER => Field::Member { ty: bytes.u32()?, offset: bytes.size()?, name: bytes.text()? },
            part::BCLASS | part::BINTERFACE => Field::Base { ty: bytes.u32()?, offset: bytes.size()? },
            part::VBCLASS | part::IVBCLASS => {
                bytes.skip(8)?;
                bytes.number()?;
                bytes.number()?;
                Field::VirtualBase
            }
            part::VFUNCTAB => Field::Table { ty: bytes.u32()? },
            part::ONEMETHOD => {
                let ty = bytes.u32()?;
                let slot = if is_first_virtual(attributes) { Some(bytes.u32()?) } else { None };
                Field::Method { attributes, ty, slot, name: bytes.text()? }
            }
            part::METHOD => Field::Methods { list: bytes.u32()?, name: bytes.text()? },
            part::ENUMERATE => Field::Enumerator { value: bytes.number()?, name: bytes.text()? },
            part::INDEX => Field::More(bytes.u32()?),
            part::STMEMBER | part::NESTTYPE | part::NESTTYPEEX | part::FRIENDFCN => {
                bytes.u32()?;
                bytes.text()?;
                Field::Other
            }
            part::FRIENDCLS => {
                bytes.u32()?;
                Field::Other
            }
            part::VFUNCOFF => {
                bytes.skip(8)?;
                Field::Other
            }
            _ => return None,
        })
    }
}

/// A function of several of one name: attributes and type.
pub(super) fn methods(record: Record<'_>) -> impl Iterator<Item = (u16, u32)> {
    let mut bytes = record.bytes;
    std::iter::from_fn(move || {
        let attributes = bytes.u16()?;
        bytes.u16()?;
        let ty = bytes.u32()?;
        if is_first_virtual(attributes) {
            bytes.u32()?;
        }
        Some((attributes, ty))
    })
}

/// What is left of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'r>(pub(super) &'r [u8]);

impl<'r> Cursor<'r> {
    pub(super) fn skip(&mut self, count: usize) -> Option<&'r [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A text that ends in a zero.
    pub(super) fn text(&mut self) -> Option<&'r [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.skip(end)?;
        self.skip(1)?;
        Some(text)
    }

    /// A number of any width: one that is small, or a kind and what follows it.
    pub(super) fn number(&mut self) -> Option<i128> {
        Some(match self.u16()? {
            small @ ..0x8000 => small.into(),
            0x8000 => i8::from_le_bytes(self.array()?).into(),
            0x8001 => i16::from_le_bytes(self.array()?).into(),
            0x8002 => self.u16()?.into(),
            0x8003 => i32::from_le_bytes(self.array()?).into(),
            0x8004 => self.u32()?.into(),
            0x8009 => i64::from_le_bytes(self.array()?).into(),
            0x800a => u64::from_le_bytes(self.array()?).into(),
            0x8017 => i128::from_le_bytes(self.array()?),
            0x8018 => i128::try_from(u128::from_le_bytes(self.array()?)).ok()?,
            _ => return None,
        })
    }

    /// A number that is a size or an offset.
    pub(super) fn size(&mut self) -> Option<u64> {
        self.number()?.try_into().ok()
    }
}
