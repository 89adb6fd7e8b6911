//! The fields of a struct as its source speaks of them: those of an unnamed struct in it are its own.

use crate::image::types::{Kind, MAX_DEPTH, Member, Place, Role, TypeId, Types};
use std::borrow::Cow;
use std::collections::HashMap;

/// No struct that people write has more.
const MAX_FIELDS: usize = 1 << 16;

/// The fields and base classes, with their places in the whole. What is left without a name is unions.
pub(super) fn fields<'t>(types: &'t Types, members: &'t [Member]) -> Cow<'t, [Member]> {
    if !members.iter().any(|member| unnamed(types, member).is_some()) {
        return Cow::Borrowed(members);
    }
    let mut all = Vec::new();
    add(types, members, 0, &mut all, 0);
    Cow::Owned(all)
}

fn add(types: &Types, members: &[Member], start: u64, all: &mut Vec<Member>, depth: u32) {
    for member in members {
        match (unnamed(types, member), member.place) {
            (Some(inner), Place::Bytes(offset)) if depth < MAX_DEPTH && all.len() < MAX_FIELDS => {
                add(types, inner, start.saturating_add(offset), all, depth + 1);
            }
            _ => all.push(Member { place: moved(member.place, start), ..member.clone() }),
        }
    }
}

/// The fields of a struct that has no name in the one around it.
fn unnamed<'t>(types: &'t Types, member: &Member) -> Option<&'t [Member]> {
    match &types.get(member.ty)?.kind {
        Kind::Struct(inner) if member.name.is_empty() && member.role == Role::Field => Some(inner),
        _ => None,
    }
}

fn moved(place: Place, by: u64) -> Place {
    match place {
        Place::Bytes(offset) => Place::Bytes(offset.saturating_add(by)),
        Place::Bits { start, count } => Place::Bits { start: start.saturating_add(by.saturating_mul(8)), count },
    }
}

/// The fields of one version, to be found by those of the other.
pub(super) struct Lookup<'m> {
    named: HashMap<(&'m str, Role), usize>,
    /// Base classes of a template, by its name: the arguments may be others if there is one of it in both versions.
    templates: HashMap<&'m str, usize>,
    /// Unions, with the names of what is in them.
    unnamed: Vec<(usize, Vec<&'m str>)>,
}

impl<'m> Lookup<'m> {
    /// `others` are the fields of the other version, which are looked for.
    pub(super) fn new(types: &'m Types, fields: &'m [Member], others: &[Member]) -> Lookup<'m> {
        let is_alone = |name: &str, all: &[Member]| all.iter().filter(|one| template(one) == Some(name)).count() == 1;
        let template = |(index, field): (usize, &'m Member)| {
            let name = template(field)?;
            (is_alone(name, fields) && is_alone(name, others)).then_some((name, index))
        };
        let templates = fields.iter().enumerate().filter_map(template).collect();
        let mut lookup = Lookup { named: HashMap::with_capacity(fields.len()), templates, unnamed: Vec::new() };
        for (index, field) in fields.iter().enumerate() {
            if field.name.is_empty() && field.role == Role::Field {
                lookup.unnamed.push((index, names(types, field.ty)));
            } else {
                lookup.named.entry((&field.name, field.role)).or_insert(index);
            }
        }
        lookup
    }

    /// The number of the field that this one of the other version is: it has its name, or is an unnamed union that has one of
    /// its members.
    pub(super) fn find(&self, types: &Types, field: &Member) -> Option<usize> {
        if !field.name.is_empty() || field.role != Role::Field {
            let named = self.named.get(&(&*field.name, field.role));
            return named.or_else(|| self.templates.get(template(field)?)).copied();
        }
        let members = names(types, field.ty);
        let common = |other: &&(usize, Vec<&str>)| other.1.iter().any(|name| members.contains(name));
        self.unnamed.iter().find(common).map(|(index, _)| *index)
    }
}

/// What the template of a base class is called.
fn template(member: &Member) -> Option<&str> {
    let (name, _) = member.name.split_once('<').filter(|_| member.role == Role::Base)?;
    Some(name)
}

/// The names of what is in a type, and in what has no name in it.
fn names(types: &Types, ty: TypeId) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = vec![ty];
    while let Some(ty) = open.pop() {
        let Some(Kind::Struct(members) | Kind::Union(members)) = types.get(ty).map(|ty| &ty.kind) else { continue };
        for member in members {
            if !member.name.is_empty() {
                found.push(&*member.name);
            } else if open.len() + found.len() < MAX_FIELDS {
                open.push(member.ty);
            }
        }
    }
    found
}
