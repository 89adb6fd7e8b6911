//! Entries become types.

use super::super::debug::{Found, Mixer, Unknown, Wanted, is_merged};
use super::super::types::{Kind, MAX_DEPTH, Member, Nonsense, Place as At, Role, Type, TypeId, Types, is_owner};
use super::find::{self, Place};
use super::{Entry, Reader};
use gimli::{AttributeValue, SectionId, UnitOffset, UnitSectionOffset, constants as c};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::units::{Builder, Handle};

/// What is known of an entry's type.
#[derive(Clone, Copy)]
pub(super) enum Memo {
    /// It is being made: whoever asks is a part of it.
    Open,
    Made(TypeId),
    Failed(Nonsense),
}

const UNDEFINED: Nonsense = Nonsense("it is declared but not defined");
const INCOMPLETE: Unknown = Unknown::Type(UNDEFINED);

/// A part of a class of which no more is known than where it begins: clang leaves the definition of a base class, say, to
/// a unit that there may be none of.
struct Gap {
    /// Its place among the members.
    index: usize,
    name: String,
    role: Role,
    start: u64,
}

impl<'a> Builder<'a, '_> {
    /// Makes the types of the entries that were found.
    pub(super) fn build(&self, places: &[Place<'a>], wanted: &[Wanted<'_>], found: &mut Found) {
        for place in places {
            // An entry that is at the address of several variables is that of the first of them.
            if wanted.get(place.wanted).is_some_and(|one| !is_merged(one.symbol))
                && let Ok(id) = self.of_variable(&place.unit, place.says.ty, place.says.origin, &mut found.types, 0)
                && let Some(slot) = found.of.get_mut(place.wanted)
            {
                *slot = Some(id);
            }
        }
    }

    pub(super) fn of_variable(
        &self,
        unit: &Handle<'a>,
        ty: Option<AttributeValue<Reader<'a>>>,
        origin: Option<AttributeValue<Reader<'a>>>,
        types: &mut Types,
        depth: u32,
    ) -> Result<TypeId, Unknown> {
        if let Some(ty) = ty {
            return self.referred_type(unit, ty, types, 0);
        }
        // The declaration in a class or namespace, or the one from which link-time optimisation made this one.
        let origin = origin.filter(|_| depth < 8).ok_or(INCOMPLETE)?;
        let (unit, entry) = self.referred(unit, origin)?;
        let entry = unit.entry(entry)?;
        self.of_variable(&unit, entry.attr_value(c::DW_AT_type), find::origin(&entry), types, depth + 1)
    }

    /// The type that an attribute of an entry refers to.
    fn referred_type(
        &self,
        unit: &Handle<'a>,
        reference: AttributeValue<Reader<'a>>,
        types: &mut Types,
        depth: u32,
    ) -> Result<TypeId, Unknown> {
        let (unit, offset) = self.referred(unit, reference)?;
        self.type_at(&unit, offset, types, depth)
    }

    pub(super) fn type_at(
        &self,
        unit: &Handle<'a>,
        offset: UnitOffset,
        types: &mut Types,
        depth: u32,
    ) -> Result<TypeId, Unknown> {
        if depth > MAX_DEPTH {
            return Err(Nonsense("it is nested too deeply").into());
        }
        let key = (unit.section(), offset.to_unit_section_offset(unit));
        match self.memo.borrow().get(&key) {
            Some(Memo::Made(id)) => return Ok(*id),
            Some(Memo::Open) => return Err(Nonsense("it is a part of itself").into()),
            Some(Memo::Failed(why)) => return Err((*why).into()),
            None => {}
        }
        let note = |memo| self.memo.borrow_mut().insert(key, memo);
        note(Memo::Open);
        let made = self.make(unit, offset, types, depth);
        note(match &made {
            Ok(id) => Memo::Made(*id),
            Err(Unknown::Type(why)) => Memo::Failed(*why),
            Err(_) => Memo::Failed(Nonsense("a part of it makes no sense")),
        });
        made
    }

    fn make(&self, unit: &Handle<'a>, offset: UnitOffset, types: &mut Types, depth: u32) -> Result<TypeId, Unknown> {
        self.spend(1)?;
        let entry = unit.entry(offset)?;
        let name = self.text(unit, &entry, c::DW_AT_name);
        let size = || entry.attr(c::DW_AT_byte_size).and_then(|size| size.udata_value());
        let word = u64::from(unit.address_size());
        let part = |types: &mut Types| {
            let ty = entry.attr_value(c::DW_AT_type).ok_or(INCOMPLETE)?;
            self.referred_type(unit, ty, types, depth + 1)
        };
        let (size, kind) = match entry.tag() {
            c::DW_TAG_typedef
            | c::DW_TAG_const_type
            | c::DW_TAG_volatile_type
            | c::DW_TAG_restrict_type
            | c::DW_TAG_atomic_type
            | c::DW_TAG_immutable_type
            | c::DW_TAG_packed_type
            | c::DW_TAG_shared_type => return part(types),
            c::DW_TAG_base_type => (size().ok_or(INCOMPLETE)?, base(&entry)),
            c::DW_TAG_pointer_type | c::DW_TAG_reference_type | c::DW_TAG_rvalue_reference_type => {
                // Rust says of a Box of something that it is a pointer of that name.
                let trivial = !is_owner(&name);
                let size = size().unwrap_or(word);
                let name = if name.is_empty() { self.pointer_name(unit, &entry)? } else { name };
                return Ok(types.add(Type { name, size, kind: Kind::Pointer, trivial })?);
            }
            // Of a member function it is two words.
            c::DW_TAG_ptr_to_member_type => {
                (size().unwrap_or(2 * word), Kind::MemberPointer { layout: self.class_layout(unit, &entry)? })
            }
            c::DW_TAG_unspecified_type => (word, Kind::Opaque), // that of nullptr
            c::DW_TAG_enumeration_type => match size() {
                Some(size) if entry.attr(c::DW_AT_declaration).is_none() => (size, self.enumeration(unit, &entry)?),
                _ => return self.defined_elsewhere(unit, &entry, types, depth),
            },
            c::DW_TAG_structure_type | c::DW_TAG_class_type | c::DW_TAG_union_type | c::DW_TAG_interface_type => {
                if entry.attr(c::DW_AT_declaration).is_some() {
                    return self.defined_elsewhere(unit, &entry, types, depth);
                }
                return self.aggregate(unit, &entry, name, size().unwrap_or(0), types, depth);
            }
            c::DW_TAG_array_type => {
                let element = part(types)?;
                return self.array(unit, &entry, element, types);
            }
            _ => return Err(Nonsense("it is of a kind that no variable has").into()),
        };
        Ok(types.add(Type { name, size, kind, trivial: true })?)
    }

    /// A type that is only declared here: its definition by signature, or by name.
    fn defined_elsewhere(
        &self,
        unit: &Handle<'a>,
        entry: &Entry<'a>,
        types: &mut Types,
        depth: u32,
    ) -> Result<TypeId, Unknown> {
        if let Some(signature) = entry.attr_value(c::DW_AT_signature) {
            return self.referred_type(unit, signature, types, depth + 1);
        }
        let (unit, offset) = self.definition(unit, entry)?.ok_or(INCOMPLETE)?;
        self.type_at(&unit, offset, types, depth + 1)
    }

    fn enumeration(&self, unit: &Handle<'a>, entry: &Entry<'a>) -> Result<Kind, Unknown> {
        let mut names = Vec::new();
        self.children(unit, entry.offset(), &mut |child, level| {
            if child.tag() == c::DW_TAG_enumerator && level == 1 {
                let value = child.attr_value(c::DW_AT_const_value).and_then(number).ok_or(INCOMPLETE)?;
                names.push((self.text(unit, child, c::DW_AT_name), value));
            }
            Ok(())
        })?;
        let encoding = entry.attr_value(c::DW_AT_encoding);
        let below = match entry.attr_value(c::DW_AT_type).map(|ty| self.referred(unit, ty)).transpose()? {
            Some((unit, offset)) => unit.entry(offset)?.attr_value(c::DW_AT_encoding),
            None => None,
        };
        let signed = match encoding.or(below) {
            Some(AttributeValue::Encoding(c::DW_ATE_signed | c::DW_ATE_signed_char)) => true,
            Some(AttributeValue::Encoding(_)) => false,
            _ => names.iter().any(|(_, value)| *value < 0),
        };
        Ok(Kind::Enum { signed, names })
    }

    fn aggregate(
        &self,
        unit: &Handle<'a>,
        entry: &Entry<'a>,
        name: String,
        size: u64,
        types: &mut Types,
        depth: u32,
    ) -> Result<TypeId, Unknown> {
        let mut members: Vec<Member> = Vec::new();
        let mut gaps = Vec::new();
        let mut union = entry.tag() == c::DW_TAG_union_type;
        let mut special = false;
        let mut virtual_base = false;
        // The entry of the first level that those of the second are in.
        let mut within = c::DW_TAG_null;
        // The value of the tag that the members which follow go with (Rust).
        let mut variant = None;
        self.children(unit, entry.offset(), &mut |child, level| {
            if level == 1 {
                within = child.tag();
            }
            match (child.tag(), level) {
                (c::DW_TAG_member, 1) => match self.member(unit, child, size, types, depth) {
                    Err(Unknown::Type(UNDEFINED)) => gaps.push(self.gap(unit, child, members.len())?),
                    member => members.extend(member?),
                },
                (c::DW_TAG_inheritance, 1) if child.attr(c::DW_AT_virtuality).is_some() => virtual_base = true,
                (c::DW_TAG_inheritance, 1) => match self.member(unit, child, size, types, depth) {
                    Err(Unknown::Type(UNDEFINED)) => gaps.push(self.gap(unit, child, members.len())?),
                    base => members.extend(base?.map(|base| {
                        let name = types.get(base.ty).map(|ty| ty.name.clone()).unwrap_or_default();
                        Member { name, role: Role::Base, ..base }
                    })),
                },
                (c::DW_TAG_subprogram, 1) => special |= self.is_special(unit, child, entry, &name)?,
                (c::DW_TAG_variant_part, 1) => union = true,
                _ if level > 1 && within != c::DW_TAG_variant_part => {}
                (c::DW_TAG_member, 2) => members.extend(self.member(unit, child, size, types, depth)?),
                (c::DW_TAG_variant, 2) => {
                    variant = Some(child.attr_value(c::DW_AT_discr_value).and_then(number));
                }
                (c::DW_TAG_member, 3) if let Some(tag) = variant => {
                    let member = self.member(unit, child, size, types, depth)?;
                    let tag = tag.map_or("*".to_owned(), |tag| tag.to_string());
                    members.extend(member.map(|member| Member { name: format!("{}={tag}", member.name), ..member }));
                }
                _ => {}
            }
            Ok(())
        })?;
        let filled = !gaps.is_empty();
        if filled && !union {
            fill(gaps, &mut members, size, types)?;
        } else if filled {
            return Err(INCOMPLETE);
        }
        let passed = entry.attr_value(c::DW_AT_calling_convention);
        let trivial = match passed {
            // The compiler knows: how a value is passed depends on its copy constructor and destructor.
            Some(AttributeValue::CallingConvention(c::DW_CC_pass_by_reference)) => false,
            Some(AttributeValue::CallingConvention(c::DW_CC_pass_by_value)) => true,
            _ => !special && !filled && !(self.is_rust(unit) && (is_owner(&name) || self.is_dropped(&name))),
        };
        let has_table = members.iter().any(|member| member.role == Role::Vtable);
        let trivial = trivial && !virtual_base && !has_table;
        let kind = match (virtual_base, union) {
            (true, _) => Kind::Opaque, // where it is, the object says
            (_, true) => Kind::Union(members),
            _ => Kind::Struct(members),
        };
        Ok(types.add(Type { name, size, kind, trivial })?)
    }

    /// A field or base class whose type is not defined.
    fn gap(&self, unit: &Handle<'a>, entry: &Entry<'a>, index: usize) -> Result<Gap, Unknown> {
        if entry.attr(c::DW_AT_bit_size).is_some() {
            return Err(INCOMPLETE);
        }
        let role = if entry.tag() == c::DW_TAG_inheritance { Role::Base } else { Role::Field };
        let name = match role {
            Role::Base => self.pointer_name(unit, entry)?.trim_end_matches([' ', '&']).to_owned(),
            _ => self.text(unit, entry, c::DW_AT_name),
        };
        Ok(Gap { index, name, role, start: place_of(entry)? })
    }

    /// Is a member function the destructor or the copy constructor, and not one that the compiler has made?
    fn is_special(
        &self,
        unit: &Handle<'a>,
        function: &Entry<'a>,
        class: &Entry<'a>,
        name: &str,
    ) -> Result<bool, Unknown> {
        let defaulted = function.attr(c::DW_AT_defaulted).and_then(|value| value.udata_value());
        if function.attr(c::DW_AT_artificial).is_some() || defaulted == Some(c::DW_DEFAULTED_in_class.0.into()) {
            return Ok(false);
        }
        let called = self.text(unit, function, c::DW_AT_name);
        if called.starts_with('~') || called != name.split('<').next().unwrap_or_default() {
            return Ok(called.starts_with('~'));
        }
        let mut parameters = Vec::new();
        self.children(unit, function.offset(), &mut |child, level| {
            if child.tag() == c::DW_TAG_formal_parameter && level == 1 && child.attr(c::DW_AT_artificial).is_none() {
                parameters.extend(child.attr_value(c::DW_AT_type));
            }
            Ok(())
        })?;
        let [AttributeValue::UnitRef(mut offset)] = parameters[..] else { return Ok(false) };
        // A reference to const of it, at most.
        for _ in 0..3 {
            if offset == class.offset() {
                return Ok(true);
            }
            match unit.entry(offset)?.attr_value(c::DW_AT_type) {
                Some(AttributeValue::UnitRef(next)) => offset = next,
                _ => return Ok(false),
            }
        }
        Ok(offset == class.offset())
    }

    /// A field; None if it is static or of no size that is known.
    fn member(
        &self,
        unit: &Handle<'a>,
        entry: &Entry<'a>,
        outer: u64,
        types: &mut Types,
        depth: u32,
    ) -> Result<Option<Member>, Unknown> {
        if entry.attr(c::DW_AT_external).is_some() || entry.attr(c::DW_AT_declaration).is_some() {
            return Ok(None);
        }
        let name = self.text(unit, entry, c::DW_AT_name);
        let reference = entry.attr_value(c::DW_AT_type).ok_or(INCOMPLETE)?;
        let ty = self.referred_type(unit, reference, types, depth + 1)?;
        let value = |name| entry.attr(name).and_then(|value| value.udata_value());
        let offset = place_of(entry)?;
        let size = types.get(ty).map_or(0, |ty| ty.size);
        let place = match value(c::DW_AT_bit_size) {
            None => At::Bytes(offset),
            Some(count) => {
                let count = u32::try_from(count).map_err(|_| Nonsense("a bit-field is too wide"))?;
                let start = match (value(c::DW_AT_data_bit_offset), value(c::DW_AT_bit_offset)) {
                    (Some(start), _) => offset.checked_mul(8).and_then(|bits| bits.checked_add(start)),
                    // Counted from the other end of the unit that holds it.
                    (None, Some(from_end)) => {
                        let unit = value(c::DW_AT_byte_size).unwrap_or(size);
                        let end = offset.checked_add(unit).and_then(|end| end.checked_mul(8));
                        end.and_then(|end| end.checked_sub(from_end)?.checked_sub(count.into()))
                    }
                    (None, None) => offset.checked_mul(8),
                };
                At::Bits { start: start.ok_or(Nonsense("a bit-field's place is not known"))?, count }
            }
        };
        // An array without a length at the end, and an empty class that shares its place.
        let inside = !matches!(place, At::Bytes(offset) if offset > outer);
        // gcc and clang add the class in ways of their own.
        let table = name.starts_with("_vptr") && entry.attr(c::DW_AT_artificial).is_some();
        let (name, role) = if table { ("_vptr".into(), Role::Vtable) } else { (name, Role::Field) };
        Ok(inside.then_some(Member { name, role, ty, place }))
    }

    /// An array of arrays, one for each dimension, the last one innermost.
    fn array(
        &self,
        unit: &Handle<'a>,
        entry: &Entry<'a>,
        mut element: TypeId,
        types: &mut Types,
    ) -> Result<TypeId, Unknown> {
        if entry.attr(c::DW_AT_byte_stride).is_some() || entry.attr(c::DW_AT_bit_stride).is_some() {
            return Err(Nonsense("its elements are not one behind the other").into());
        }
        let mut counts = Vec::new();
        self.children(unit, entry.offset(), &mut |child, level| {
            if child.tag() == c::DW_TAG_subrange_type && level == 1 {
                let value = |name| child.attr_value(name).and_then(number);
                let low = value(c::DW_AT_lower_bound).unwrap_or(0);
                let above = value(c::DW_AT_upper_bound).map(|high| high + 1 - low);
                // Without a bound: the last member of a struct, of which nothing is in a variable.
                let count = value(c::DW_AT_count).or(above).unwrap_or(0);
                counts.push(u64::try_from(count).unwrap_or(0));
            }
            Ok(())
        })?;
        for count in counts.into_iter().rev() {
            let size = types.get(element).and_then(|ty| ty.size.checked_mul(count));
            let size = size.ok_or(Nonsense("an array is too large"))?;
            let kind = Kind::Array { element, count };
            element = types.add(Type { name: String::new(), size, kind, trivial: true })?;
        }
        Ok(element)
    }

    /// Calls for each entry inside another, with its level: 1 for its children, 2 for theirs.
    pub(super) fn children(
        &self,
        unit: &Handle<'a>,
        parent: UnitOffset,
        visit: &mut dyn FnMut(&Entry<'a>, isize) -> Result<(), Unknown>,
    ) -> Result<(), Unknown> {
        let mut raw = unit.entries_raw(Some(parent))?;
        let mut entry = Entry::null();
        raw.read_entry(&mut entry)?;
        while raw.next_depth() > 0 {
            self.spend(1)?;
            let level = raw.next_depth();
            if raw.read_entry(&mut entry)? {
                visit(&entry, level)?;
            }
        }
        Ok(())
    }

    pub(super) fn text(&self, unit: &Handle<'a>, entry: &Entry<'a>, name: gimli::DwAt) -> String {
        let text = entry.attr_value(name).and_then(|value| self.dwarf.attr_string(unit, value).ok());
        text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Where a field or base class begins.
fn place_of(entry: &Entry<'_>) -> Result<u64, Unknown> {
    match entry.attr_value(c::DW_AT_data_member_location) {
        None => Ok(0),
        Some(location) => Ok(offset_of(location).ok_or(Nonsense("a field's place is not known"))?),
    }
}

/// Gives the parts that are not known the bytes up to what is.
fn fill(gaps: Vec<Gap>, members: &mut Vec<Member>, size: u64, types: &mut Types) -> Result<(), Unknown> {
    let start = |member: &Member| match member.place {
        At::Bytes(start) => start,
        At::Bits { start, .. } => start / 8,
    };
    let starts: Vec<u64> = members.iter().map(start).chain(gaps.iter().map(|gap| gap.start)).chain([size]).collect();
    for Gap { index, name, role, start } in gaps.into_iter().rev() {
        let end = starts.iter().copied().filter(|other| *other > start).min().unwrap_or(start);
        let ty = Type { name: name.clone(), size: end - start, kind: Kind::Opaque, trivial: true };
        let member = Member { name, role, ty: types.add(ty)?, place: At::Bytes(start) };
        members.insert(index.min(members.len()), member);
    }
    Ok(())
}

/// Types that have been made, and those that have failed, by their entries.
pub(super) type Memos = HashMap<(SectionId, UnitSectionOffset), Memo, BuildHasherDefault<Mixer>>;

fn base(entry: &Entry<'_>) -> Kind {
    match entry.attr_value(c::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => match encoding {
            c::DW_ATE_boolean => Kind::Bool,
            c::DW_ATE_float => Kind::Float,
            c::DW_ATE_signed | c::DW_ATE_signed_char => Kind::Integer { signed: true },
            c::DW_ATE_unsigned | c::DW_ATE_unsigned_char | c::DW_ATE_UTF | c::DW_ATE_address => {
                Kind::Integer { signed: false }
            }
            _ => Kind::Opaque,
        },
        _ => Kind::Opaque,
    }
}

fn number(value: AttributeValue<Reader<'_>>) -> Option<i128> {
    Some(match value {
        AttributeValue::Data1(value) => value.into(),
        AttributeValue::Data2(value) => value.into(),
        AttributeValue::Data4(value) => value.into(),
        AttributeValue::Data8(value) | AttributeValue::Udata(value) => value.into(),
        AttributeValue::Sdata(value) => value.into(),
        AttributeValue::Data16(value) => i128::try_from(value).ok()?,
        _ => return None,
    })
}

/// A member's offset: a number, or the expression that adds it (DWARF 2).
fn offset_of(location: AttributeValue<Reader<'_>>) -> Option<u64> {
    if let AttributeValue::Exprloc(expression) = location {
        let (operation, rest) = expression.0.slice().split_first()?;
        if *operation != c::DW_OP_plus_uconst.0 {
            return None;
        }
        return gimli::leb128::read::unsigned(&mut Reader::new(rest, gimli::LittleEndian)).ok();
    }
    number(location).and_then(|value| value.try_into().ok())
}
