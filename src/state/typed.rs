//! What debug information says of the variables that are carried.

use super::convert::{self, Note, Sides};
use super::matching::{Fate, Matching};
use super::side::Side;
use super::snapshot::WORD;
use crate::image::debug::{self, Found, Wanted};
use crate::image::types::TypeId;
use crate::image::{Source, Variable};

fn as_wanted<'v>(variable: &'v Variable<'_>) -> Wanted<'v> {
    Wanted { address: variable.place.address, symbol: &variable.name }
}

/// The types of both images, and those of each pair of variables.
pub(super) struct Typed {
    old: Found,
    new: Found,
    /// By the index of the old variable.
    pairs: Vec<Option<Pair>>,
}

/// The type that a variable had and the one that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    old: TypeId,
    new: TypeId,
}

impl Typed {
    /// None: one of the images has no debug information, or none that can be read. Variables move as they are then.
    pub(super) fn read(
        (old, old_side): (Source<'_>, &Side<'_>),
        (new, new_side): (Source<'_>, &Side<'_>),
        matching: &Matching,
    ) -> Option<Typed> {
        let pair = |(index, fate): (usize, &Fate)| match fate {
            Fate::Is(new) => Some((index, old_side.get(index as u32)?, new_side.get(*new)?)),
            _ => None,
        };
        let matched: Vec<_> = matching.new_of.iter().enumerate().filter_map(pair).collect();
        let of_new: Vec<Wanted<'_>> = matched.iter().map(|(_, _, new)| as_wanted(new)).collect();
        let new = debug::variable_types(new, &of_new).ok()?;
        let of_old: Vec<Wanted<'_>> = matched.iter().map(|(_, old, _)| as_wanted(old)).collect();
        let old = debug::variable_types(old, &of_old).ok()?;
        let mut pairs = vec![None; matching.new_of.len()];
        for (((index, ..), old), new) in matched.iter().zip(&old.of).zip(&new.of) {
            if let (Some(pair), Some(old), Some(new)) = (pairs.get_mut(*index), old, new) {
                *pair = Some(Pair { old: *old, new: *new });
            }
        }
        Some(Typed { old, new, pairs })
    }

    /// The types of this variable of the old version and of the new one, if both are known.
    pub(super) fn get(&self, old: u32) -> Option<Pair> {
        *self.pairs.get(old as usize)?
    }

    pub(super) fn has_changed(&self, pair: Pair) -> bool {
        self.old.types.signature(pair.old) != self.new.types.signature(pair.new)
    }

    /// May the bytes of one become those of the other?
    pub(super) fn is_trivial(&self, pair: Pair) -> bool {
        self.old.types.is_trivial(pair.old) && self.new.types.is_trivial(pair.new)
    }

    /// May a word at this offset of the old variable be a pointer?
    pub(super) fn may_be_pointer(&self, pair: Pair, offset: u64) -> bool {
        self.old.types.may_be_pointer(pair.old, offset, WORD)
    }

    /// What the types are called.
    pub(super) fn names(&self, pair: Pair) -> (&str, &str) {
        let (old, new) = (self.old.types.get(pair.old), self.new.types.get(pair.new));
        (old.map_or("", |ty| &ty.name), new.map_or("", |ty| &ty.name))
    }

    /// Converts the value of the variable `name`. False: the types make no sense, and `to` may hold anything.
    pub(super) fn convert(
        &self,
        pair: Pair,
        name: &str,
        from: &[u8],
        to: &mut [u8],
        report: &mut dyn FnMut(Note),
    ) -> bool {
        let sides = Sides { old: &self.old.types, new: &self.new.types };
        convert::convert(sides, name, (pair.old, from), (pair.new, to), report)
    }
}
