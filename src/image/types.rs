//! Types of variables as debug information describes them, in a form that knows neither DWARF nor PDB.
//!
//! A type is added after the types it is made of, so the graph has no cycle and its depth is known. What a pointer
//! points to is not part of it: it is not moved with the variable.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// A type in its [`Types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TypeId(u32);

/// A type: what it is called in messages, how large it is, and what it is made of.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) kind: Kind,
    /// Its bytes may be moved. Not so for a C++ class with a destructor or a copy constructor that does something, or a
    /// Rust type that needs drop. [`Types::add`] looks at the parts.
    pub(crate) trivial: bool,
}

#[derive(Debug, Clone, Hash)]
pub(crate) enum Kind {
    Integer {
        signed: bool,
    },
    Bool,
    Float,
    Enum {
        signed: bool,
        names: Vec<(String, i128)>,
    },
    Struct(Vec<Member>),
    /// Also an enum with data (Rust), whose members then have the names and tags of the variants.
    Union(Vec<Member>),
    /// One dimension; an array of several is an array of arrays.
    Array {
        element: TypeId,
        count: u64,
    },
    /// A pointer, a reference or a function pointer. Its name tells to what.
    Pointer,
    /// A pointer to a member of a class: a number that stands for it as long as this layout of the class is the same.
    MemberPointer {
        layout: u64,
    },
    /// Known by its size only.
    Opaque,
}

/// A field, or a base class.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Member {
    /// Empty for an anonymous struct or union.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) ty: TypeId,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Field,
    Base,
    /// The pointer to a table of virtual functions: the constructor of the new image has set it.
    Vtable,
}

/// Where in the struct: bytes from its start, or for a bit-field bits from its start and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Bytes(u64),
    Bits { start: u64, count: u32 },
}

/// Why a type was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its type makes no sense: {0}")]
pub(crate) struct Nonsense(pub(crate) &'static str);

/// No sound type is nested deeper: std::tuple of a hundred elements has a depth of about 200.
pub(crate) const MAX_DEPTH: u32 = 256;

/// More than all variables of a large program have. Each is one entry of debug information at least.
const MAX_TYPES: usize = 1 << 20;

/// What a process has on the machines that are supported.
const MAX_SIZE: u64 = 1 << 47;

/// The types of an image's variables.
#[derive(Debug, Default)]
pub(crate) struct Types {
    list: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    ty: Type,
    signature: u64,
    depth: u32,
}

impl Types {
    /// Adds a type whose parts have been added.
    pub(crate) fn add(&mut self, mut ty: Type) -> Result<TypeId, Nonsense> {
        if ty.size > MAX_SIZE {
            return Err(Nonsense("it is too large"));
        }
        let mut depth = 0;
        let mut hasher = DefaultHasher::new();
        ty.size.hash(&mut hasher);
        core::mem::discriminant(&ty.kind).hash(&mut hasher);
        match &ty.kind {
            Kind::Integer { signed } => signed.hash(&mut hasher),
            Kind::MemberPointer { layout } => layout.hash(&mut hasher),
            Kind::Enum { signed, names } => (signed, names).hash(&mut hasher),
            // Of one width there are several forms, which the names tell.
            Kind::Float => ["128", "bf16"].map(|form| ty.name.contains(form)).hash(&mut hasher),
            Kind::Bool | Kind::Pointer | Kind::Opaque => {}
            Kind::Array { element, count } => {
                let part = self.entry(*element)?;
                if part.ty.size.checked_mul(*count) != Some(ty.size) {
                    return Err(Nonsense("an array's size is not that of its elements"));
                }
                (part.signature, count).hash(&mut hasher);
                depth = part.depth;
                ty.trivial &= part.ty.trivial;
            }
            Kind::Struct(members) | Kind::Union(members) => {
                for member in members {
                    let part = self.entry(member.ty)?;
                    let end = match member.place {
                        Place::Bytes(offset) => offset.checked_add(part.ty.size),
                        Place::Bits { start, count } => start.checked_add(u64::from(count)).map(|end| end.div_ceil(8)),
                    };
                    // An empty base may lie at the end.
                    if end.is_none_or(|end| end > ty.size && part.ty.size > 0) {
                        return Err(Nonsense("a field lies outside of its struct"));
                    }
                    (&member.name, member.role, member.place, part.signature).hash(&mut hasher);
                    depth = depth.max(part.depth);
                    ty.trivial &= part.ty.trivial;
                }
            }
        }
        if depth >= MAX_DEPTH {
            return Err(Nonsense("it is nested too deeply"));
        }
        if self.list.len() >= MAX_TYPES {
            return Err(Nonsense("there are too many types"));
        }
        let id = TypeId(self.list.len() as u32);
        self.list.push(Entry { ty, signature: hasher.finish(), depth: depth + 1 });
        Ok(id)
    }

    fn entry(&self, id: TypeId) -> Result<&Entry, Nonsense> {
        self.list.get(id.0 as usize).ok_or(Nonsense("a part of it is not known"))
    }

    pub(crate) fn get(&self, id: TypeId) -> Option<&Type> {
        self.list.get(id.0 as usize).map(|entry| &entry.ty)
    }

    /// Equal for types of the same layout with the same names of fields and enumerators, in any image. A value of one is
    /// a value of the other, byte for byte.
    pub(crate) fn signature(&self, id: TypeId) -> Option<u64> {
        self.list.get(id.0 as usize).map(|entry| entry.signature)
    }

    /// How large a variable of this type is. None: an array without a length at its end may make it larger.
    pub(crate) fn whole_size(&self, id: TypeId) -> Option<u64> {
        let ty = self.get(id)?;
        let last = match &ty.kind {
            Kind::Struct(members) => members.last().and_then(|member| self.get(member.ty)),
            _ => Some(ty),
        };
        let is_open = last.is_some_and(|last| matches!(last.kind, Kind::Array { count: 0, .. }));
        (!is_open && ty.size > 0).then_some(ty.size)
    }

    /// The array without a length at the end of a struct: its name, its element, and where it begins.
    pub(crate) fn open_end(&self, id: TypeId) -> Option<(&str, TypeId, u64)> {
        let Kind::Struct(members) = &self.get(id)?.kind else { return None };
        let last = members.last()?;
        match (&self.get(last.ty)?.kind, last.place) {
            (Kind::Array { element, count: 0 }, Place::Bytes(start)) => Some((&last.name, *element, start)),
            _ => None,
        }
    }

    /// May its bytes be moved to another place?
    pub(crate) fn is_trivial(&self, id: TypeId) -> bool {
        self.get(id).is_none_or(|ty| ty.trivial)
    }

    /// May the `width` bytes at `offset` hold an address?
    pub(crate) fn word_at(&self, id: TypeId, offset: u64, width: u64) -> Word {
        let Some(ty) = self.get(id) else { return Word::Pointer };
        if offset.checked_add(width).is_none_or(|end| end > ty.size) {
            return Word::Other;
        }
        match &ty.kind {
            Kind::Pointer | Kind::Integer { .. } if offset == 0 && ty.size == width => Word::Pointer,
            Kind::Opaque | Kind::MemberPointer { .. } => Word::Pointer,
            Kind::Pointer | Kind::Integer { .. } | Kind::Bool | Kind::Float | Kind::Enum { .. } => Word::Other,
            Kind::Array { element, .. } => match self.get(*element) {
                // std::byte is an enum.
                Some(Type { size: 1, kind: Kind::Integer { .. } | Kind::Enum { .. }, .. }) => Word::Raw,
                Some(Type { size: 1.., .. }) => self.word_at(*element, offset % self.size(*element), width),
                _ => Word::Other,
            },
            Kind::Struct(members) | Kind::Union(members) => {
                let word = |member: &Member| match member.place {
                    Place::Bytes(start) if start <= offset => self.word_at(member.ty, offset - start, width),
                    _ => Word::Other,
                };
                members.iter().map(word).max().unwrap_or(Word::Other)
            }
        }
    }

    /// What the pointer at `offset` points to, by name.
    pub(crate) fn pointee(&self, id: TypeId, offset: u64) -> Option<&str> {
        let ty = self.get(id)?;
        match &ty.kind {
            Kind::Pointer => {
                let rust = ["*mut ", "*const ", "&mut ", "&"].iter().find_map(|prefix| ty.name.strip_prefix(prefix));
                let name = rust.map(|path| path.rsplit("::").next().unwrap_or(path));
                Some(name.unwrap_or_else(|| ty.name.strip_suffix(['*', '&']).unwrap_or(&ty.name).trim_end()))
            }
            Kind::Array { element, .. } => self.pointee(*element, offset % self.size(*element)),
            Kind::Struct(members) | Kind::Union(members) => members.iter().find_map(|member| match member.place {
                Place::Bytes(start) if start <= offset && offset - start < self.size(member.ty) => {
                    self.pointee(member.ty, offset - start)
                }
                _ => None,
            }),
            _ => None,
        }
    }

    fn size(&self, id: TypeId) -> u64 {
        self.get(id).map_or(1, |ty| ty.size.max(1))
    }
}

/// What as many bytes as an address has may be, in the order of what outweighs what in a union.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// No address.
    Other,
    /// Bytes of an array of bytes: of a text, or of an object that has been placed there.
    Raw,
    /// A pointer, an integer as wide as one, or something unknown.
    Pointer,
}

/// The types of Rust's standard library that own what they point to, and of which the others are made.
const OWNERS: [&str; 14] = [
    "Arc",
    "BTreeMap",
    "Box",
    "CString",
    "JoinInner",
    "LinkedList",
    "OwnedFd",
    "OwnedHandle",
    "RawTable",
    "RawTableInner",
    "RawVec",
    "RawVecInner",
    "Rc",
    "Weak",
];

/// Is it one of them, by its name?
pub(crate) fn is_owner(name: &str) -> bool {
    let path = name.split('<').next().unwrap_or(name);
    !path.starts_with(['&', '*']) && path.rsplit("::").next().is_some_and(|last| OWNERS.contains(&last))
}
