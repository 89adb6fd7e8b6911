//! Records become types.

use super::super::debug::Unknown;
use super::super::types::{Kind, MAX_DEPTH, Member, Nonsense, Place, Role, Type, TypeId, Types};
use super::definitions::Definitions;
use super::records::{Cursor, FIRST, Field, Fields, Named, Record, Records, damaged, is_made, leaf, methods};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// So many records are looked at for an image's variables: more than the largest programs have.
const MAX_WORK: u64 = 1 << 26;

/// Makes types of records.
pub(super) struct Builder<'r, 's> {
    pub(super) records: &'r Records<'s>,
    /// How wide a pointer is.
    word: u64,
    memo: RefCell<HashMap<u32, Memo>>,
    pub(super) definitions: OnceCell<Definitions>,
    work: Cell<u64>,
}

/// What is known of a record's type.
#[derive(Clone, Copy)]
enum Memo {
    /// It is being made: whoever asks is a part of it.
    Open,
    Made(TypeId),
    Failed,
}

/// What the members of a struct tell of it beside themselves.
#[derive(Default)]
struct Shape {
    members: Vec<Member>,
    virtual_base: bool,
    /// It has a destructor or copy constructor of its own.
    special: bool,
}

/// What a pointer's attributes say it is.
const MEMBER: u32 = 2;
const MEMBER_FUNCTION: u32 = 3;
const REFERENCES: [u32; 2] = [1, 4];

impl<'r, 's> Builder<'r, 's> {
    pub(super) fn new(records: &'r Records<'s>, word: u64) -> Builder<'r, 's> {
        let (memo, definitions, work) = (RefCell::default(), OnceCell::new(), Cell::new(MAX_WORK));
        Builder { records, word, memo, definitions, work }
    }

    /// Counts what is read, and ends it when it is too much.
    pub(super) fn spend(&self, records: u64) -> Result<(), Unknown> {
        self.work.set(self.work.get().checked_sub(records).ok_or(Nonsense("it never ends"))?);
        Ok(())
    }

    pub(super) fn type_of(&self, index: u32, types: &mut Types, depth: u32) -> Result<TypeId, Unknown> {
        if depth > MAX_DEPTH {
            return Err(Nonsense("it is nested too deeply").into());
        }
        match self.memo.borrow().get(&index) {
            Some(Memo::Made(id)) => return Ok(*id),
            Some(Memo::Open) => return Err(Nonsense("it is a part of itself").into()),
            Some(Memo::Failed) => return Err(Nonsense("a part of it makes no sense").into()),
            None => {}
        }
        let note = |memo| self.memo.borrow_mut().insert(index, memo);
        note(Memo::Open);
        let made = if index < FIRST { self.simple(index, types) } else { self.make(index, types, depth) };
        note(made.as_ref().map_or(Memo::Failed, |id| Memo::Made(*id)));
        made
    }

    fn record(&self, index: u32) -> Result<Record<'r>, Unknown> {
        self.spend(1)?;
        self.records.get(index).ok_or_else(|| damaged("number of a type"))
    }

    /// A type that needs no record.
    fn simple(&self, index: u32, types: &mut Types) -> Result<TypeId, Unknown> {
        let name = simple_name(index);
        if let Some(size) = pointer_size(index, self.word) {
            let name = format!("{name} *");
            return Ok(types.add(Type { name, size, kind: Kind::Pointer, trivial: true })?);
        }
        let (size, kind) = simple(index).ok_or(Nonsense("it is of a kind that no variable has"))?;
        Ok(types.add(Type { name: name.to_owned(), size, kind, trivial: true })?)
    }

    fn make(&self, index: u32, types: &mut Types, depth: u32) -> Result<TypeId, Unknown> {
        let record = self.record(index)?;
        let mut bytes = record.bytes;
        let mut word = || bytes.u32().ok_or_else(|| damaged("type"));
        match record.kind {
            leaf::MODIFIER | leaf::ALIAS => self.type_of(word()?, types, depth + 1),
            leaf::POINTER => self.pointer(index, (word()?, word()?, bytes), types),
            leaf::ARRAY => {
                let (element, _counted_by) = (word()?, word()?);
                let size = bytes.size().ok_or_else(|| damaged("array"))?;
                let element = self.type_of(element, types, depth + 1)?;
                // Without a length: the last member of a struct, of which nothing is in a variable.
                let count = types.get(element).and_then(|ty| size.checked_div(ty.size)).unwrap_or(0);
                let kind = Kind::Array { element, count };
                Ok(types.add(Type { name: String::new(), size, kind, trivial: true })?)
            }
            _ => {
                let named = record.named().ok_or(Nonsense("it is of a kind that no variable has"))?;
                if named.is_forward() {
                    let definition = self.definition(&named)?;
                    let definition = definition.ok_or(Nonsense("it is declared but not defined"))?;
                    return self.type_of(definition, types, depth + 1);
                }
                match record.kind {
                    leaf::ENUM => self.enumeration(&named, types, depth),
                    leaf::UNION | leaf::UNION2 => self.aggregate(&named, true, types, depth),
                    _ => self.aggregate(&named, false, types, depth),
                }
            }
        }
    }

    fn pointer(
        &self,
        index: u32,
        (to, attributes, mut behind): (u32, u32, Cursor<'r>),
        types: &mut Types,
    ) -> Result<TypeId, Unknown> {
        let mode = attributes >> 5 & 7;
        let by_kind = if attributes & 0x1f == 0xc { 8 } else { 4 };
        let size = match u64::from(attributes >> 13 & 0x3f) {
            0 => by_kind,
            size => size,
        };
        if matches!(mode, MEMBER | MEMBER_FUNCTION) {
            let class = behind.u32().ok_or_else(|| damaged("pointer to a member"))?;
            let kind = Kind::MemberPointer { layout: self.class_layout(class, mode == MEMBER_FUNCTION)? };
            return Ok(types.add(Type { name: self.name_of(index), size, kind, trivial: true })?);
        }
        let mark = if REFERENCES.contains(&mode) { "&" } else { "*" };
        let to = self.name_of(to);
        let name = if to.is_empty() { to } else { format!("{to} {mark}") };
        Ok(types.add(Type { name, size, kind: Kind::Pointer, trivial: true })?)
    }

    fn enumeration(&self, named: &Named<'r>, types: &mut Types, depth: u32) -> Result<TypeId, Unknown> {
        let below = self.type_of(named.below, types, depth + 1)?;
        let (size, signed) = match types.get(below) {
            Some(Type { size, kind: Kind::Integer { signed }, .. }) => (*size, *signed),
            Some(Type { size, kind: Kind::Bool, .. }) => (*size, false),
            _ => return Err(Nonsense("its enumerators are no numbers").into()),
        };
        let mut names = Vec::new();
        self.fields(named.fields, &mut |field| {
            if let Field::Enumerator { value, name } = field {
                names.push((text(name), folded(value, size, signed)));
            }
            Ok(())
        })?;
        Ok(types.add(Type { name: text(named.name), size, kind: Kind::Enum { signed, names }, trivial: true })?)
    }

    fn aggregate(&self, named: &Named<'r>, union: bool, types: &mut Types, depth: u32) -> Result<TypeId, Unknown> {
        let mut shape = Shape::default();
        self.fields(named.fields, &mut |field| self.field(field, named, &mut shape, types, depth))?;
        let Shape { members, virtual_base, special } = shape;
        let name = text(named.name);
        let has_table = members.iter().any(|member| member.role == Role::Vtable);
        let trivial = !virtual_base && !has_table && !special && !is_owner_of_rust(&name);
        let kind = match (virtual_base, union) {
            (true, _) => Kind::Opaque, // where it is, the object says
            (_, true) => Kind::Union(members),
            _ => Kind::Struct(nested(members, types)?),
        };
        Ok(types.add(Type { name, size: named.size, kind, trivial })?)
    }

    fn field(
        &self,
        field: Field<'r>,
        class: &Named<'r>,
        shape: &mut Shape,
        types: &mut Types,
        depth: u32,
    ) -> Result<(), Unknown> {
        match field {
            Field::Member { ty, offset, name } => {
                let (ty, place) = self.member(ty, offset, types, depth)?;
                shape.members.push(Member { name: text(name), role: Role::Field, ty, place });
            }
            Field::Base { ty, offset } => {
                let ty = self.type_of(ty, types, depth + 1)?;
                let name = types.get(ty).map(|ty| ty.name.clone()).unwrap_or_default();
                shape.members.push(Member { name, role: Role::Base, ty, place: Place::Bytes(offset) });
            }
            Field::VirtualBase => shape.virtual_base = true,
            Field::Table { ty } => {
                let ty = self.type_of(ty, types, depth + 1)?;
                let place = Place::Bytes(0); // of the class that has it first
                shape.members.push(Member { name: "_vptr".into(), role: Role::Vtable, ty, place });
            }
            Field::Method { attributes, ty, name, .. } if class.may_be_special() => {
                shape.special |= self.is_special(attributes, ty, name, class)?;
            }
            Field::Methods { list, name } if class.may_be_special() => {
                let record = self.record(list)?;
                if record.kind == leaf::METHODLIST {
                    for (attributes, ty) in methods(record) {
                        shape.special |= self.is_special(attributes, ty, name, class)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn member(&self, ty: u32, offset: u64, types: &mut Types, depth: u32) -> Result<(TypeId, Place), Unknown> {
        let record = if ty < FIRST { None } else { Some(self.record(ty)?) };
        let Some(mut bits) = record.filter(|record| record.kind == leaf::BITFIELD).map(|record| record.bytes) else {
            return Ok((self.type_of(ty, types, depth + 1)?, Place::Bytes(offset)));
        };
        let (Some(ty), Some(count), Some(first)) = (bits.u32(), bits.u8(), bits.u8()) else {
            return Err(damaged("bit-field"));
        };
        let start = offset.checked_mul(8).and_then(|start| start.checked_add(first.into()));
        let start = start.ok_or(Nonsense("a bit-field's place is not known"))?;
        Ok((self.type_of(ty, types, depth + 1)?, Place::Bits { start, count: count.into() }))
    }

    /// Is a member function the destructor or the copy constructor, and not one that the compiler has made?
    fn is_special(&self, attributes: u16, ty: u32, name: &[u8], class: &Named<'r>) -> Result<bool, Unknown> {
        if is_made(attributes) || name.starts_with(b"~") {
            return Ok(!is_made(attributes));
        }
        let own = class.name.split(|byte| *byte == b'<').next().unwrap_or_default();
        let own = own.iter().rposition(|byte| *byte == b':').map_or(own, |colon| own.get(colon + 1..).unwrap_or(own));
        let function = self.record(ty)?;
        if name != own || function.kind != leaf::MFUNCTION {
            return Ok(false);
        }
        let mut bytes = function.bytes;
        bytes.skip(16); // what it returns, the class, `this`, how it is called, and the number of parameters
        let list = bytes.u32().ok_or_else(|| damaged("function"))?;
        let [parameter] = self.parameters(list)?[..] else { return Ok(false) };
        // A reference to it, or to const of it.
        let is_it = |name: String| [" &", " &&"].iter().any(|end| name.strip_suffix(end) == Some(&text(class.name)));
        Ok(parameter >= FIRST && is_it(self.name_of(parameter)))
    }

    /// The types of a function's parameters.
    pub(super) fn parameters(&self, list: u32) -> Result<Vec<u32>, Unknown> {
        let record = self.record(list)?;
        let mut bytes = record.bytes;
        let count =
            bytes.u32().filter(|_| record.kind == leaf::ARGLIST).ok_or_else(|| damaged("list of parameters"))?;
        Ok(std::iter::from_fn(|| bytes.u32()).take(count as usize).collect())
    }

    /// What the numbers of pointers to members of a class depend on: the places of its fields, or of its virtual
    /// functions.
    fn class_layout(&self, class: u32, functions: bool) -> Result<u64, Unknown> {
        let Some(mut named) = self.record(class)?.named() else { return Ok(0) };
        if named.is_forward() {
            let Some(definition) = self.definition(&named)? else { return Ok(0) };
            named = self.record(definition)?.named().unwrap_or(named);
        }
        let mut hasher = DefaultHasher::new();
        self.fields(named.fields, &mut |field| {
            match field {
                Field::Member { offset, name, .. } if !functions => (name, offset).hash(&mut hasher),
                Field::Base { ty, offset } => (self.name_of(ty), offset).hash(&mut hasher),
                Field::Method { name, slot: Some(slot), .. } if functions => (name, slot).hash(&mut hasher),
                _ => {}
            }
            Ok(())
        })?;
        Ok(hasher.finish())
    }

    /// Calls for each part of a list, which may consist of several records.
    fn fields(&self, list: u32, visit: &mut dyn FnMut(Field<'r>) -> Result<(), Unknown>) -> Result<(), Unknown> {
        let mut next = (list != 0).then_some(list);
        while let Some(list) = next.take() {
            let record = self.record(list)?;
            if record.kind != leaf::FIELDLIST {
                return Err(damaged("list of fields"));
            }
            let mut fields = Fields(record.bytes);
            while let Some(field) = fields.next() {
                self.spend(1)?;
                match field? {
                    Field::More(list) => next = Some(list),
                    field => visit(field)?,
                }
            }
        }
        Ok(())
    }

    /// What a type is called. Empty if it has no name.
    pub(super) fn name_of(&self, index: u32) -> String {
        let mut index = index;
        let mut marks = String::new();
        // Through qualifiers and pointers.
        for _ in 0..16 {
            if index < FIRST {
                let star = if pointer_size(index, self.word).is_some() { " *" } else { "" };
                return format!("{}{star}{marks}", simple_name(index));
            }
            let Some(record) = self.records.get(index) else { break };
            let mut bytes = record.bytes;
            let Some(next) = bytes.u32() else { break };
            match record.kind {
                leaf::MODIFIER | leaf::ALIAS => {}
                leaf::POINTER => {
                    let mode = bytes.u32().map_or(0, |attributes| attributes >> 5 & 7);
                    marks.insert_str(0, if REFERENCES.contains(&mode) { " &" } else { " *" });
                }
                _ => {
                    let name = record.named().map(|named| text(named.name)).filter(|name| !name.is_empty());
                    return name.map(|name| name + &marks).unwrap_or_default();
                }
            }
            index = next;
        }
        String::new()
    }
}

pub(super) fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The members of unnamed unions stand in the list like others: those that share their place become a union again.
fn nested(members: Vec<Member>, types: &mut Types) -> Result<Vec<Member>, Unknown> {
    let range = |types: &Types, member: &Member| match member.place {
        _ if member.role != Role::Field => None,
        Place::Bits { start, count } => Some((start, start.checked_add(count.into())?)),
        Place::Bytes(offset) => {
            let ty = types.get(member.ty)?;
            // An empty class may share the place of another member.
            let empty = matches!(&ty.kind, Kind::Struct(members) if members.is_empty());
            let (start, size) = (offset.checked_mul(8)?, ty.size.checked_mul(8)?);
            Some((start, start.checked_add(size)?)).filter(|_| !empty && size > 0)
        }
    };
    let mut placed: Vec<(Option<(u64, u64)>, Member)> = Vec::with_capacity(members.len());
    placed.extend(members.into_iter().map(|member| (range(types, &member), member)));
    placed.sort_by_key(|(range, _)| range.map(|(start, _)| start)); // those without a place come first
    let mut result = Vec::with_capacity(placed.len());
    let mut rest = placed.as_slice();
    while let Some(((place, first), behind)) = rest.split_first() {
        let Some((start, mut end)) = *place else {
            result.push(first.clone());
            rest = behind;
            continue;
        };
        let shared = behind.iter().take_while(|(place, _)| {
            let inside = place.filter(|(start, _)| *start < end);
            end = inside.map_or(end, |(_, other)| end.max(other));
            inside.is_some()
        });
        let (group, next) = rest.split_at_checked(1 + shared.count()).unwrap_or_default();
        rest = next;
        let [(_, _), _, ..] = group else {
            result.push(first.clone());
            continue;
        };
        let base = start / 8;
        let moved = |member: &Member| {
            let place = match member.place {
                Place::Bytes(offset) => Place::Bytes(offset - base),
                Place::Bits { start, count } => Place::Bits { start: start - base * 8, count },
            };
            Member { place, ..member.clone() }
        };
        let kind = Kind::Union(group.iter().map(|(_, member)| moved(member)).collect());
        let ty = types.add(Type { name: String::new(), size: end.div_ceil(8) - base, kind, trivial: true })?;
        result.push(Member { name: String::new(), role: Role::Field, ty, place: Place::Bytes(base) });
    }
    Ok(result)
}

/// A value as a number of this size: some compilers write the bytes of a negative one.
fn folded(value: i128, size: u64, signed: bool) -> i128 {
    let unused = 128_u32.saturating_sub(8 * u32::try_from(size).unwrap_or(16));
    let high = value.checked_shl(unused).unwrap_or(value);
    if signed { high >> unused } else { ((high as u128) >> unused) as i128 }
}

/// How large a pointer to a simple type is; None: it is that type itself.
fn pointer_size(index: u32, word: u64) -> Option<u64> {
    match index >> 8 & 0xf {
        0 => None,
        4 | 5 => Some(4),
        6 => Some(8),
        // Kinds of 16-bit machines; clang writes one of them for nullptr.
        _ => Some(word),
    }
}

fn simple(index: u32) -> Option<(u64, Kind)> {
    let signed = |size| Some((size, Kind::Integer { signed: true }));
    let unsigned = |size| Some((size, Kind::Integer { signed: false }));
    match index & 0xff {
        0x10 | 0x68 | 0x70 => signed(1),
        0x20 | 0x69 | 0x7c => unsigned(1),
        0x11 | 0x72 => signed(2),
        0x21 | 0x73 | 0x71 | 0x7a => unsigned(2),
        0x08 | 0x12 | 0x74 => signed(4),
        0x22 | 0x75 | 0x7b => unsigned(4),
        0x13 | 0x76 => signed(8),
        0x23 | 0x77 => unsigned(8),
        0x14 | 0x78 => signed(16),
        0x24 | 0x79 => unsigned(16),
        0x30 => Some((1, Kind::Bool)),
        0x31 => Some((2, Kind::Bool)),
        0x32 => Some((4, Kind::Bool)),
        0x33 => Some((8, Kind::Bool)),
        0x46 => Some((2, Kind::Float)),
        0x40 | 0x45 => Some((4, Kind::Float)),
        0x41 => Some((8, Kind::Float)),
        0x42 => Some((10, Kind::Opaque)),
        0x43 => Some((16, Kind::Opaque)),
        0x50 => Some((8, Kind::Opaque)), // complex numbers
        0x51 => Some((16, Kind::Opaque)),
        _ => None,
    }
}

fn simple_name(index: u32) -> &'static str {
    match index & 0xff {
        0x03 => "void",
        0x08 => "HRESULT",
        0x10 | 0x68 => "signed char",
        0x20 | 0x69 => "unsigned char",
        0x70 => "char",
        0x7c => "char8_t",
        0x11 | 0x72 => "short",
        0x21 | 0x73 => "unsigned short",
        0x71 => "wchar_t",
        0x7a => "char16_t",
        0x7b => "char32_t",
        0x12 => "long",
        0x22 => "unsigned long",
        0x74 => "int",
        0x75 => "unsigned int",
        0x13 | 0x76 => "long long",
        0x23 | 0x77 => "unsigned long long",
        0x14 | 0x78 => "__int128",
        0x24 | 0x79 => "unsigned __int128",
        0x30..=0x33 => "bool",
        0x40 | 0x45 => "float",
        0x41 => "double",
        0x42 | 0x43 => "long double",
        0x46 => "_Float16",
        _ => "",
    }
}

/// A type of Rust's standard library that owns what it points to.
fn is_owner_of_rust(name: &str) -> bool {
    ["alloc::", "std::", "hashbrown::"].iter().any(|root| name.starts_with(root)) && super::super::types::is_owner(name)
}
