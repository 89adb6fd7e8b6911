//! Where a part of a variable is when its type has changed: what pointed to it has to follow.

use super::convert::Sides;
use super::fields::{Lookup, fields};
use crate::image::types::{Kind, MAX_DEPTH, Member, Place, TypeId, Types};

/// The offset in the new type of what is at `offset` in the old one; `pointee` is what the pointer says it points to, if
/// that is known. None: it is not there any more.
pub(super) fn follow(
    sides: Sides<'_>,
    (old, new): (TypeId, TypeId),
    offset: u64,
    pointee: Option<&str>,
) -> Option<u64> {
    step(sides, (old, new), offset, pointee, 0)
}

fn step(sides: Sides<'_>, (old, new): (TypeId, TypeId), offset: u64, pointee: Option<&str>, depth: u32) -> Option<u64> {
    let (before, after) = (sides.old.get(old)?, sides.new.get(new)?);
    if offset >= before.size || depth > MAX_DEPTH {
        return None;
    }
    if sides.old.signature(old) == sides.new.signature(new) {
        return Some(offset);
    }
    match (&before.kind, &after.kind) {
        (Kind::Struct(_), Kind::Struct(_)) if offset == 0 && is_whole(sides.old, old, pointee) => Some(0),
        (Kind::Struct(had), Kind::Struct(has)) => {
            let inside = |member: &&Member| match member.place {
                Place::Bytes(start) => {
                    let size = sides.old.get(member.ty).map_or(0, |ty| ty.size);
                    start <= offset && offset - start < size
                }
                Place::Bits { .. } => false, // nothing points there
            };
            let (had, has) = (fields(sides.old, had), fields(sides.new, has));
            let from = had.iter().find(inside)?;
            let to = has.get(Lookup::new(sides.new, &has, &had).find(sides.old, from)?)?;
            let (Place::Bytes(was), Place::Bytes(is)) = (from.place, to.place) else { return None };
            is.checked_add(step(sides, (from.ty, to.ty), offset - was, pointee, depth + 1)?)
        }
        (Kind::Array { element: was, .. }, &Kind::Array { element: is, count }) => {
            let (old_size, new_size) = (sides.old.get(*was)?.size, sides.new.get(is)?.size);
            let (index, rest) = (offset.checked_div(old_size)?, offset.checked_rem(old_size)?);
            let inner = step(sides, (*was, is), rest, pointee, depth + 1)?;
            index.checked_mul(new_size)?.checked_add(inner).filter(|_| index < count)
        }
        (Kind::Union(_), Kind::Union(_)) => Some(offset).filter(|offset| *offset < after.size),
        _ => Some(0).filter(|_| offset == 0),
    }
}

/// Is it the struct that is pointed to, and not its first field? It is if nothing else is known.
fn is_whole(types: &Types, id: TypeId, pointee: Option<&str>) -> bool {
    let Some(pointee) = pointee.filter(|name| !name.is_empty()) else { return true };
    let mut inner = Some(id);
    for depth in 0..MAX_DEPTH {
        let Some(ty) = inner.and_then(|id| types.get(id)) else { return true };
        if ty.name == pointee {
            return depth == 0;
        }
        inner = match &ty.kind {
            Kind::Struct(members) => {
                members.iter().find(|member| member.place == Place::Bytes(0)).map(|member| member.ty)
            }
            Kind::Array { element, .. } => Some(*element),
            _ => None,
        };
    }
    true
}
