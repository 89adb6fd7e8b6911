//! The value of a variable whose type has changed, field by field.
//!
//! Fields are found by name. The destination holds the initial value that the new image gives; what has no old value
//! or cannot be converted keeps it, and a note says so. Bytes are little-endian.

use super::fields::{Lookup, fields};
use super::floats::Form;
use crate::image::types::{Kind, Member, Place, Role, Type, TypeId, Types};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// What became of a part of a variable that was not simply taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// Which part: `player.inventory[3].weight`.
    pub(crate) path: String,
    pub(crate) what: What,
    /// The reason, for people.
    pub(crate) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It is new, or its old value does not fit: it has the initial value of the new image.
    Initialised,
    /// The new image has no place for it.
    Dropped,
}

/// A variable has so many notes at most; then one says how many more there were.
const MAX_NOTES: usize = 32;

/// The types of the two images.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) old: &'a Types,
    pub(crate) new: &'a Types,
}

/// Converts the value `from` of type `old` into `to`, which has type `new` and holds its initial value.
///
/// False if the types say something absurd; then `to` may hold anything between the two.
pub(crate) fn convert(
    sides: Sides<'_>,
    name: &str,
    (old, from): (TypeId, &[u8]),
    (new, to): (TypeId, &mut [u8]),
    report: &mut dyn FnMut(Note),
) -> bool {
    // A byte is part of a few nested structs, or holds eight bit-fields.
    let work = (1 << 16) + 16 * (from.len() + to.len());
    let mut converter = Converter { sides, pairs: HashMap::new(), notes: 0, more: 0, work, report };
    let path = Path { above: None, step: Step::Field(name) };
    let mut sound = converter.value(path, (old, from), (new, to)).is_some();
    if let (Some(before), Some(after)) = (sides.old.open_end(old), sides.new.open_end(new)) {
        sound = sound && converter.open_end(path, (before, from), (after, to)).is_some();
    }
    if converter.more > 0 {
        let why = format!("{} more parts of it are not as they were", converter.more);
        (converter.report)(Note { path: name.to_owned(), what: What::Initialised, why });
    }
    sound
}

/// The way to a part, which becomes a text only if there is something to say.
#[derive(Clone, Copy)]
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(u64),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(out)?;
        }
        match self.step {
            Step::Field("") => Ok(()), // anonymous
            Step::Field(name) if self.above.is_some() => write!(out, ".{name}"),
            Step::Field(name) => out.write_str(name),
            Step::Index(index) => write!(out, "[{index}]"),
        }
    }
}

/// Which field of the old struct goes to which of the new one.
type Pairs = Rc<[(Member, Member)]>;

/// An array without a length: its name, its element, and where it begins.
type End<'a> = (&'a str, TypeId, u64);

struct Converter<'a, 'r> {
    sides: Sides<'a>,
    /// Found once for two structs, which may be the elements of a long array.
    pairs: HashMap<(TypeId, TypeId), Pairs>,
    notes: usize,
    more: usize,
    /// How many more parts may be looked at. Types of a damaged file can describe more than their bytes can hold.
    work: usize,
    report: &'r mut dyn FnMut(Note),
}

impl<'a> Converter<'a, '_> {
    fn note(&mut self, path: Path<'_>, what: What, why: impl FnOnce() -> String) {
        self.notes += 1;
        if self.notes > MAX_NOTES {
            self.more += 1;
        } else {
            (self.report)(Note { path: path.to_string(), what, why: why() });
        }
    }

    /// None: the types say something absurd.
    fn value(&mut self, path: Path<'_>, (old, from): (TypeId, &[u8]), (new, to): (TypeId, &mut [u8])) -> Option<()> {
        self.work = self.work.checked_sub(1)?;
        let (old_type, new_type) = (self.sides.old.get(old)?, self.sides.new.get(new)?);
        let from = from.get(..usize::try_from(old_type.size).ok()?)?;
        let to = to.get_mut(..usize::try_from(new_type.size).ok()?)?;
        if self.sides.old.signature(old) == self.sides.new.signature(new) {
            to.copy_from_slice(from);
            return Some(());
        }
        match (&old_type.kind, &new_type.kind) {
            (Kind::Struct(_), Kind::Struct(_)) => {
                for (before, after) in self.pairs(path, old, new)?.iter() {
                    let path = Path { above: Some(&path), step: Step::Field(&after.name) };
                    self.member(path, (before, from), (after, to))?;
                }
            }
            (Kind::Union(before), Kind::Union(after)) => match self.lost_view(before, after) {
                None => to.get_mut(..from.len())?.copy_from_slice(from),
                Some(lost) => {
                    let why = || format!("which member of the union is in use is not known, and {lost} has changed");
                    self.note(path, What::Initialised, why);
                }
            },
            (&Kind::Array { element: before, count: had }, &Kind::Array { element: after, count: has }) => {
                let size = |types: &Types, id| usize::try_from(types.get(id)?.size).ok();
                let (old_size, new_size) = (size(self.sides.old, before)?, size(self.sides.new, after)?);
                if had > has {
                    self.note(path, What::Dropped, || format!("only {has} of its {had} elements have a place"));
                }
                if old_size == 0 || new_size == 0 {
                    return Some(());
                }
                if self.sides.old.signature(before) == self.sides.new.signature(after)
                    || is_text(self.sides.old.get(before)?, self.sides.new.get(after)?)
                {
                    let size = from.len().min(to.len());
                    to.get_mut(..size)?.copy_from_slice(from.get(..size)?);
                    return Some(());
                }
                let elements = from.chunks_exact(old_size).zip(to.chunks_exact_mut(new_size));
                for (index, (from, to)) in (0..had.min(has)).zip(elements) {
                    let path = Path { above: Some(&path), step: Step::Index(index) };
                    self.value(path, (before, from), (after, to))?;
                }
            }
            _ => {
                let old_bits = (old_type, Bits::whole(old_type));
                let new_bits = (new_type, Bits::whole(new_type));
                self.scalar(path, (old_bits, from), (new_bits, to));
            }
        }
        Some(())
    }

    /// The elements of an array without a length at the end of a variable: as many as it has room for.
    fn open_end(
        &mut self,
        path: Path<'_>,
        ((old_name, old, old_start), from): (End<'_>, &[u8]),
        ((new_name, new, new_start), to): (End<'_>, &mut [u8]),
    ) -> Option<()> {
        let path = Path { above: Some(&path), step: Step::Field(new_name) };
        if old_name != new_name {
            self.note(path, What::Initialised, || "it is new".into());
            return Some(());
        }
        let size = |types: &Types, id| Some(usize::try_from(types.get(id)?.size).ok()?.max(1));
        let (old_size, new_size) = (size(self.sides.old, old)?, size(self.sides.new, new)?);
        let from = from.get(usize::try_from(old_start).ok()?..)?.chunks_exact(old_size);
        let to = to.get_mut(usize::try_from(new_start).ok()?..)?.chunks_exact_mut(new_size);
        if from.len() > to.len() {
            let (had, has) = (from.len(), to.len());
            self.note(path, What::Dropped, || format!("only {has} of its {had} elements have a place"));
        }
        for (index, (from, to)) in (0..).zip(from.zip(to)) {
            self.value(Path { above: Some(&path), step: Step::Index(index) }, (old, from), (new, to))?;
        }
        Some(())
    }

    fn member(&mut self, path: Path<'_>, (old, from): (&Member, &[u8]), (new, to): (&Member, &mut [u8])) -> Option<()> {
        if let (Place::Bytes(before), Place::Bytes(after)) = (old.place, new.place) {
            let from = from.get(usize::try_from(before).ok()?..)?;
            let to = to.get_mut(usize::try_from(after).ok()?..)?;
            return self.value(path, (old.ty, from), (new.ty, to));
        }
        self.work = self.work.checked_sub(1)?;
        let (old_type, new_type) = (self.sides.old.get(old.ty)?, self.sides.new.get(new.ty)?);
        let old_bits = (old_type, Bits::of(old, old_type));
        let new_bits = (new_type, Bits::of(new, new_type));
        self.scalar(path, (old_bits, from), (new_bits, to));
        Some(())
    }

    /// The fields that both have, and notes on those that only one has.
    fn pairs(&mut self, path: Path<'_>, old: TypeId, new: TypeId) -> Option<Pairs> {
        if let Some(pairs) = self.pairs.get(&(old, new)) {
            return Some(pairs.clone());
        }
        let Sides { old: old_types, new: new_types } = self.sides;
        let (Kind::Struct(before), Kind::Struct(after)) = (&old_types.get(old)?.kind, &new_types.get(new)?.kind) else {
            return None;
        };
        let (before, after) = (fields(old_types, before), fields(new_types, after));
        let lookup = Lookup::new(old_types, &before, &after);
        let mut left: Vec<Option<&Member>> = before.iter().map(Some).collect();
        let mut pairs = Vec::new();
        for member in after.iter() {
            let found = lookup.find(new_types, member).and_then(|index| left.get_mut(index)?.take());
            match found {
                _ if member.role == Role::Vtable => {}
                Some(found) => pairs.push((found.clone(), member.clone())),
                None => {
                    let path = Path { above: Some(&path), step: Step::Field(&member.name) };
                    self.note(path, What::Initialised, || "it is new".into());
                }
            }
        }
        for member in left.into_iter().flatten().filter(|member| member.role != Role::Vtable) {
            let path = Path { above: Some(&path), step: Step::Field(&member.name) };
            self.note(path, What::Dropped, || "it is no longer there".into());
        }
        let pairs: Pairs = pairs.into();
        self.pairs.insert((old, new), pairs.clone());
        Some(pairs)
    }

    /// A member of the old union that the new one does not have, or has in another form. If there is none, the bytes
    /// mean the same in both, whichever member is in use.
    fn lost_view<'m>(&self, before: &'m [Member], after: &[Member]) -> Option<&'m str> {
        let after: HashMap<_, _> = keys(after).into_iter().zip(after).collect();
        let kept = |key: &(&str, Role, usize), member: &Member| {
            after.get(key).is_some_and(|found| {
                found.place == member.place && self.sides.old.signature(member.ty) == self.sides.new.signature(found.ty)
            })
        };
        let lost = keys(before).into_iter().zip(before).find(|(key, member)| !kept(key, member));
        lost.map(|(_, member)| if member.name.is_empty() { "an unnamed one" } else { &*member.name })
    }

    fn scalar(&mut self, path: Path<'_>, (old, from): (Scalar<'_>, &[u8]), (new, to): (Scalar<'_>, &mut [u8])) {
        if let Err(why) = scalar(old, from, new, to) {
            self.note(path, What::Initialised, || why);
        }
    }
}

/// What tells the members of a union apart: the name, and for those without one their order.
fn keys(members: &[Member]) -> Vec<(&str, Role, usize)> {
    let mut unnamed = 0..;
    let nth = |member: &Member| if member.name.is_empty() { unnamed.next().unwrap_or(0) } else { 0 };
    let nth: Vec<usize> = members.iter().map(nth).collect();
    members.iter().zip(nth).map(|(member, nth)| (&*member.name, member.role, nth)).collect()
}

/// A scalar type, and where its value lies.
type Scalar<'a> = (&'a Type, Bits);

/// Where a number lies in the bytes that are looked at.
#[derive(Clone, Copy)]
struct Bits {
    start: u64,
    count: u64,
}

impl Bits {
    fn whole(ty: &Type) -> Bits {
        Bits { start: 0, count: ty.size.saturating_mul(8) }
    }

    fn of(member: &Member, ty: &Type) -> Bits {
        match member.place {
            Place::Bytes(offset) => Bits { start: offset.saturating_mul(8), count: ty.size.saturating_mul(8) },
            Place::Bits { start, count } => Bits { start, count: count.into() },
        }
    }

    /// The number without its sign; None if it is wider than any integer, or lies outside.
    fn read(self, bytes: &[u8]) -> Option<u128> {
        if self.count > 128 {
            return None;
        }
        let mut value = 0;
        if let Some(range) = self.bytes() {
            for (nth, byte) in bytes.get(range)?.iter().enumerate() {
                value |= u128::from(*byte) << (8 * nth);
            }
            return Some(value);
        }
        for (nth, (byte, bit)) in self.bits().enumerate() {
            value |= u128::from(bytes.get(byte)? >> bit & 1) << nth;
        }
        Some(value)
    }

    fn write(self, bytes: &mut [u8], value: u128) -> Option<()> {
        let end = usize::try_from(self.start.checked_add(self.count)?.div_ceil(8)).ok()?;
        if self.count > 128 || end > bytes.len() {
            return None;
        }
        if let Some(range) = self.bytes() {
            for (byte, value) in bytes.get_mut(range)?.iter_mut().zip(value.to_le_bytes()) {
                *byte = value;
            }
            return Some(());
        }
        for (nth, (byte, bit)) in self.bits().enumerate() {
            let byte = bytes.get_mut(byte)?;
            *byte = *byte & !(1 << bit) | ((value >> nth & 1) as u8) << bit;
        }
        Some(())
    }

    /// The bytes, if it is whole bytes.
    fn bytes(self) -> Option<core::ops::Range<usize>> {
        let whole = self.start.is_multiple_of(8) && self.count.is_multiple_of(8);
        let end = self.start.checked_add(self.count)? / 8;
        whole.then_some(usize::try_from(self.start / 8).ok()?..usize::try_from(end).ok()?)
    }

    /// The byte and the bit in it, of each.
    fn bits(self) -> impl Iterator<Item = (usize, u32)> {
        (self.start..self.start.saturating_add(self.count)).map(|bit| ((bit / 8) as usize, (bit % 8) as u32))
    }
}

/// A value that can become another type's.
enum Number {
    Integer(i128),
    Float {
        value: f64,
        /// It has not been rounded.
        exact: bool,
    },
}

/// Converts one number; the error is the reason why it was not.
fn scalar((old, old_bits): Scalar<'_>, from: &[u8], (new, new_bits): Scalar<'_>, to: &mut [u8]) -> Result<(), String> {
    let unlike = || format!("{} cannot become {}", called(old), called(new));
    let raw = old_bits.read(from).ok_or_else(unlike)?;
    if matches!((&old.kind, &new.kind), (Kind::Float, Kind::Float))
        && Form::of(old).is_some_and(|form| Form::of(new) == Some(form))
    {
        // Where `long double` is as wide as `_Float128`, it is the same.
        return new_bits.write(to, raw).ok_or_else(unlike);
    }
    let signed_value = |signed: bool| {
        let unused = 128 - old_bits.count.min(128) as u32;
        let value = (raw << unused.min(127)) as i128;
        let value = if signed { value >> unused.min(127) } else { raw as i128 };
        Number::Integer(if unused == 128 { 0 } else { value })
    };
    let number = match &old.kind {
        Kind::Integer { signed } | Kind::Enum { signed, .. } => signed_value(*signed),
        Kind::Bool => signed_value(false),
        Kind::Float => {
            let read = Form::of(old).ok_or_else(unlike)?.read(raw);
            let (value, exact) = read.ok_or_else(|| format!("it is too large for {}", called(new)))?;
            Number::Float { value, exact }
        }
        // An address is not a number to do sums with.
        Kind::Pointer if matches!(new.kind, Kind::Pointer) || is_address(new, old.size) => signed_value(false),
        _ => return Err(unlike()),
    };
    let text = match &number {
        Number::Integer(value) => value.to_string(),
        Number::Float { value, .. } => value.to_string(),
    };
    let no_room = || format!("{text} does not fit into {}", called(new));
    let fitting = |value: i128, signed: bool| {
        let bits = new_bits.count.min(127) as u32;
        let (low, high) = if signed && bits > 0 {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, if new_bits.count > 127 { i128::MAX } else { (1i128 << bits) - 1 })
        };
        if (low..=high).contains(&value) { Ok(value as u128) } else { Err(no_room()) }
    };
    let whole = |number: &Number| match *number {
        Number::Integer(value) => Ok(value),
        // Exact below 2^63, which is as far as numbers go that are meant to be counted.
        Number::Float { value, exact: true } if value.fract() == 0.0 && value.abs() < 9.3e18 => Ok(value as i128),
        Number::Float { .. } => Err(no_room()),
    };
    let value = match &new.kind {
        Kind::Integer { signed } if is_address(new, old.size) && matches!(old.kind, Kind::Pointer) => {
            if *signed {
                raw
            } else {
                fitting(whole(&number)?, false)?
            }
        }
        Kind::Integer { signed } => fitting(whole(&number)?, *signed)?,
        Kind::Bool => match whole(&number)? {
            value @ (0 | 1) => value as u128,
            _ => return Err(no_room()),
        },
        Kind::Enum { signed, names } => {
            let value = match &old.kind {
                Kind::Enum { names: before, .. } => enumerator(whole(&number)?, before, names)?,
                _ => whole(&number)?,
            };
            fitting(value, *signed)?
        }
        Kind::Float => float(&number, Form::of(new).ok_or_else(unlike)?).ok_or_else(no_room)?,
        Kind::Pointer if matches!(old.kind, Kind::Pointer) || is_address(old, new.size) => raw,
        _ => return Err(unlike()),
    };
    new_bits.write(to, value).ok_or_else(unlike)
}

/// Are the elements of these arrays letters? They are bytes, whether a letter has a sign or not.
fn is_text(old: &Type, new: &Type) -> bool {
    let is_byte = |ty: &Type| match &ty.kind {
        Kind::Integer { .. } => ty.size == 1,
        Kind::Enum { names, .. } => ty.size == 1 && names.is_empty(), // std::byte
        _ => false,
    };
    is_byte(old) && is_byte(new) && [old, new].iter().any(|ty| matches!(&*ty.name, "char" | "char8_t"))
}

/// An integer as wide as a pointer.
fn is_address(ty: &Type, width: u64) -> bool {
    matches!(ty.kind, Kind::Integer { .. }) && ty.size == width
}

/// The bits of a number as a float: of an integer only if they say exactly the same.
fn float(number: &Number, form: Form) -> Option<u128> {
    match *number {
        Number::Float { value, .. } => form.write(value),
        Number::Integer(value) => {
            let float = value as f64;
            let exact = float as i128 == value && (form != Form::Single || f64::from(float as f32) == float);
            exact.then(|| form.write(float))?
        }
    }
}

/// The value of the enumerator that is called the same in the new type.
fn enumerator(value: i128, old: &[(String, i128)], new: &[(String, i128)]) -> Result<i128, String> {
    let lookup = |name: &str| new.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
    let mut names = old.iter().filter(|(_, number)| *number == value).map(|(name, _)| name).peekable();
    let Some(&first) = names.peek() else {
        // A number without a name: a combination of flags, or none of the enum's business.
        let kept = || old.iter().all(|(name, number)| lookup(name) == Some(*number));
        return match new.iter().find(|(_, number)| *number == value) {
            Some((name, _)) if !kept() => Err(format!("{value} had no name and is now called {name}")),
            _ => Ok(value),
        };
    };
    names.find_map(|name| lookup(name)).ok_or_else(|| format!("it was {first}, which is no longer there"))
}

/// What a type is called in a note.
fn called(ty: &Type) -> String {
    let kind = match &ty.kind {
        Kind::Struct(_) => "a struct",
        Kind::Union(_) => "a union",
        Kind::Array { .. } => "an array",
        Kind::Pointer => "a pointer",
        _ => "something",
    };
    if ty.name.is_empty() { format!("{kind} of {} bytes", ty.size) } else { ty.name.clone() }
}
