//! What debug information says of the variables that are carried.

use super::convert::{self, Note, Sides};
use super::follow;
use super::matching::{self, Fate, Matching};
use super::side::Side;
use super::snapshot::WORD;
use crate::image::debug::{Known, Scope, Wanted};
use crate::image::types::{TypeId, Word};
use crate::image::{Image, Source};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// An image, its file, and its variables.
#[derive(Clone, Copy)]
pub(super) struct Whose<'s, 'a> {
    pub(super) image: &'s Rc<Image>,
    pub(super) file: &'s dyn Fn() -> Option<Source<'s>>,
    pub(super) side: &'s Side<'a>,
}

/// The types of the two images that were asked about last: the new one of a reload is the old one of the next.
#[derive(Default)]
pub(super) struct Memory(RefCell<Vec<(Rc<Image>, Rc<Known>)>>);

impl Memory {
    pub(super) fn known(&self, Whose { image, file, side }: Whose<'_, '_>) -> Rc<Known> {
        if !image.listing.as_ref().is_some_and(|listing| listing.debug) {
            return Rc::default();
        }
        let mut all = self.0.borrow_mut();
        let found = all.iter().position(|(other, _)| Rc::ptr_eq(other, image)).map(|index| all.remove(index));
        let one = found.unwrap_or_else(|| {
            let wanted: Vec<Wanted<'_>> = side.variables.iter().map(Wanted::new).collect();
            let before = all.last().map(|(_, known)| &**known);
            let known = file().map(|source| Known::read(source, &wanted, before)).unwrap_or_default();
            (image.clone(), Rc::new(known))
        });
        let known = one.1.clone();
        all.push(one);
        if all.len() > 2 {
            all.remove(0);
        }
        known
    }

    /// Reads what may be asked of an image when what that is read from has been overwritten.
    pub(super) fn foresee(&self, whose: Whose<'_, '_>) {
        self.known(whose);
        self.scopes(whose, &matching::suspects(whose.side));
    }

    /// What is known of the image that comes after another one; if it is seen to be the same, that is known already.
    pub(super) fn known_after(&self, old: Whose<'_, '_>, before: &Rc<Known>, new: Whose<'_, '_>) -> Rc<Known> {
        let is_known = self.0.borrow().iter().any(|(image, _)| Rc::ptr_eq(image, new.image));
        let is_same = || (old.file)().zip((new.file)()).is_some_and(|(old, new)| old.is_same(&new));
        if !is_known && is_same() {
            let mut all = self.0.borrow_mut();
            all.push((new.image.clone(), before.clone()));
            let extra = all.len().saturating_sub(2);
            all.drain(..extra);
        }
        self.known(new)
    }

    /// In which scopes of the source these variables are declared, as far as debug information says.
    pub(super) fn scopes(&self, whose: Whose<'_, '_>, of: &[u32]) -> HashMap<u32, Scope> {
        let known = self.known(whose);
        if known.is_silent() {
            return HashMap::new();
        }
        let variable = |index: &u32| Some((*index, Wanted::new(whose.side.get(*index)?)));
        let wanted: Vec<(u32, Wanted<'_>)> = of.iter().filter_map(variable).collect();
        (whose.file)().map(|source| known.scopes(source, &wanted)).unwrap_or_default()
    }
}

/// The types of both images, and those of each pair of variables.
pub(super) struct Typed {
    old: Rc<Known>,
    new: Rc<Known>,
    /// By the index of the old variable.
    pairs: Vec<Option<Pair>>,
    others: OnceCell<Others>,
}

/// Types of things that are not carried, but are pointed to: tables, above all.
struct Others {
    old: Known,
    new: Known,
    pairs: Vec<Pair>,
}

/// Something that is in both images and has another type in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// A variable that is carried, by its index in the old version.
    Variable(u32),
    /// One of those that are not.
    Other(u32),
}

/// The type that a variable had and the one that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    old: TypeId,
    new: TypeId,
}

impl Typed {
    /// None: there is no debug information. Variables move as they are then.
    pub(super) fn read(memory: &Memory, old: Whose<'_, '_>, new: Whose<'_, '_>, matching: &Matching) -> Option<Typed> {
        let before = memory.known(old);
        if before.is_silent() && before.damage.is_none() {
            return None;
        }
        let after = memory.known_after(old, &before, new);
        let pair = |(index, fate): (u32, &Fate)| match fate {
            Fate::Is(other) => Some(Pair { old: before.type_of(index)?, new: after.type_of(*other)? }),
            _ => None,
        };
        let pairs = (0..).zip(&matching.new_of).map(pair).collect();
        Some(Typed { old: before, new: after, pairs, others: OnceCell::new() })
    }

    /// Why debug information that is there cannot be used.
    pub(super) fn damage(&self) -> Option<String> {
        let text = |which: &str, known: &Known| {
            let why = known.damage.as_ref()?;
            Some(format!("the {which} image: {why}; variables keep their bytes, whatever their types are"))
        };
        text("old", &self.old).or_else(|| text("new", &self.new))
    }

    /// The types of this variable of the old version and of the new one, if both are known.
    pub(super) fn get(&self, old: u32) -> Option<Pair> {
        *self.pairs.get(old as usize)?
    }

    /// Is a variable of the old version, or the one that it is in the new one, not kept as its type says, and not in the
    /// same way in both?
    pub(super) fn is_other_form(&self, old: u64, new: u64) -> bool {
        self.old.other_forms.get(&old) != self.new.other_forms.get(&new)
    }

    /// How large the types of this variable are; None: that is not known, or one may be larger.
    pub(super) fn sizes(&self, old: u32) -> Option<(u64, u64)> {
        let pair = self.get(old)?;
        self.old.types.whole_size(pair.old).zip(self.new.types.whole_size(pair.new))
    }

    pub(super) fn has_changed(&self, pair: Pair) -> bool {
        self.old.types.signature(pair.old) != self.new.types.signature(pair.new)
    }

    /// Has this variable of the old version another type in the new one?
    pub(super) fn is_converted(&self, old: u32) -> bool {
        self.get(old).is_some_and(|pair| self.has_changed(pair))
    }

    /// Looks up the types of things that are not carried, once. Of each pair, which one it is, if they are known and differ.
    pub(super) fn look_up(
        &self,
        (old_file, new_file): (Source<'_>, Source<'_>),
        things: &[(Wanted<'_>, Wanted<'_>)],
    ) -> Vec<Option<Thing>> {
        let (before, after): (Vec<_>, Vec<_>) = things.iter().copied().unzip();
        let (old, new) = (Known::read(old_file, &before, None), Known::read(new_file, &after, None));
        let mut pairs = Vec::new();
        let mut thing = |index: u32| {
            let pair = Pair { old: old.type_of(index)?, new: new.type_of(index)? };
            let differs = old.types.signature(pair.old) != new.types.signature(pair.new);
            differs.then(|| {
                pairs.push(pair);
                Thing::Other(pairs.len() as u32 - 1)
            })
        };
        let found = (0..).zip(things).map(|(index, _)| thing(index)).collect();
        self.others.get_or_init(|| Others { old, new, pairs });
        found
    }

    /// Where what was `offset` bytes in this thing is in the new one, for the pointer `by`: the types of the variable
    /// that it is in, and how far in. None: it is not there any more.
    pub(super) fn follow(&self, thing: Thing, offset: u64, by: Option<(Pair, u64)>) -> Option<u64> {
        let (sides, pair) = match thing {
            Thing::Variable(old) => (Sides { old: &self.old.types, new: &self.new.types }, self.get(old)?),
            Thing::Other(nth) => {
                let others = self.others.get()?;
                (Sides { old: &others.old.types, new: &others.new.types }, *others.pairs.get(nth as usize)?)
            }
        };
        let pointee = by.and_then(|(pair, at)| self.old.types.pointee(pair.old, at));
        follow::follow(sides, (pair.old, pair.new), offset, pointee)
    }

    /// May the bytes of one become those of the other?
    pub(super) fn is_trivial(&self, pair: Pair) -> bool {
        self.old.types.is_trivial(pair.old) && self.new.types.is_trivial(pair.new)
    }

    /// May a word at this offset of the old variable be a pointer?
    pub(super) fn word_at(&self, pair: Pair, offset: u64) -> Word {
        self.old.types.word_at(pair.old, offset, WORD)
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
