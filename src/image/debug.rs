//! The types of variables, from the debug information of an image: DWARF in it or beside it.

use super::symbols::{Source, Symbol};
use super::types::{Nonsense, TypeId, Types};
use super::{Format, dwarf, pdb};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A map by addresses and the like. The numbers of an image are no attack: mixing them a little is enough.
pub(crate) type Numbers<T> = HashMap<u64, T, BuildHasherDefault<Mixer>>;

/// The hash of a number, or of a name.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            self.write_u64(rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing; the map looks at both ends of the hash.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A variable whose type is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// As in the file.
    pub(crate) address: u64,
    /// In bytes.
    pub(crate) size: u64,
    /// Its symbol, by which a doubtful find is confirmed.
    pub(crate) symbol: &'a str,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(variable: &'a Symbol<'_>) -> Wanted<'a> {
        Wanted { address: variable.place.address, size: variable.place.size, symbol: &variable.name }
    }
}

/// What clang and rustc call static variables that they have put into one, with `-O3` for ARM. Which they are is known by
/// debug information alone: on macOS. (In ELF images each keeps a symbol, and this one has none.)
pub(crate) const MERGED: &str = "_MergedGlobals";

/// Is it the symbol of several variables? The second one in a file has a number.
pub(crate) fn is_merged(symbol: &str) -> bool {
    symbol.strip_prefix(MERGED).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What is to be found out, and in which image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) source: Source<'a>,
    pub(super) wanted: &'a [Wanted<'a>],
    pub(super) before: &'a Hints,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Types,
    Scopes,
}

/// Where the source declares a variable, as far as it tells apart those of one name. The texts are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    /// The source file that is compiled.
    pub(crate) unit: u64,
    /// The function that it is in; 0 for none.
    pub(crate) function: u64,
    /// The blocks that it is in there, by what else is declared in them.
    pub(crate) block: u64,
    /// Grows in the order of the source.
    pub(crate) nth: u64,
}

/// What was found: the type of each variable, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) types: Types,
    pub(crate) of: Vec<Option<TypeId>>,
    /// Variables that the compiler does not keep as their type says, by address; equal numbers stand for one form.
    pub(super) other_forms: Numbers<u64>,
    /// The same for scopes, when they are asked for.
    pub(super) scopes: Vec<Option<Scope>>,
    /// A part of the debug information that is not there.
    pub(super) damage: Option<String>,
    /// A help for the image after this one.
    pub(crate) hints: Hints,
}

impl Found {
    /// They are to be looked for in the next image, too.
    pub(super) fn forget_other_forms(&mut self, wanted: &[Wanted<'_>]) {
        for one in wanted.iter().filter(|one| self.other_forms.contains_key(&one.address)) {
            self.hints.of.remove(&Hints::key(one.symbol));
        }
    }

    /// A variable that is smaller than its type is not of it.
    fn check_sizes(&mut self, wanted: &[Wanted<'_>]) {
        for (one, slot) in wanted.iter().zip(&mut self.of) {
            let ty = slot.and_then(|id| Some((self.types.get(id)?.size, self.types.signature(id)?)));
            if let Some((size, signature)) = ty.filter(|(size, _)| *size > one.size) {
                let mut form = DefaultHasher::new();
                (one.size, size, signature).hash(&mut form);
                self.other_forms.insert(one.address, form.finish());
                *slot = None;
            }
        }
    }
}

/// Where variables were described in an image: the next one mostly has them there, too.
#[derive(Debug, Default, Clone)]
pub(crate) struct Hints {
    /// How long each unit of debug information is.
    pub(super) lengths: Vec<usize>,
    /// By the symbol's hash: the number of the unit and the place in it. None: it was looked for, and not found that way.
    pub(super) of: Numbers<Option<(u32, u32)>>,
}

impl Hints {
    /// What is found by it is compared with what is there, so two symbols may have one.
    pub(super) fn key(symbol: &str) -> u64 {
        let mut hasher = Mixer::default();
        hasher.write(symbol.as_bytes());
        hasher.finish()
    }
}

/// Why no types are known. The variables are then moved as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("it has no debug information")]
    Absent,
    #[error("its debug information cannot be read: {0}")]
    Damaged(String),
    #[error("{0}")]
    Type(#[from] Nonsense),
}

impl From<gimli::Error> for Unknown {
    fn from(error: gimli::Error) -> Self {
        Unknown::Damaged(error.to_string())
    }
}

impl From<object::Error> for Unknown {
    fn from(error: object::Error) -> Self {
        Unknown::Damaged(error.to_string())
    }
}

/// Looks the types of variables up. A variable that the debug information does not describe, or describes in a way that
/// makes no sense, has none.
pub(crate) fn variable_types(source: Source<'_>, wanted: &[Wanted<'_>], before: &Hints) -> Result<Found, Unknown> {
    variables(&Asked { source, wanted, before, what: What::Types })
}

/// Will the next build overwrite the debug information, or a part of it? It is in files beside the image, of which there
/// are no copies. (A version has a copy of its PDB.)
pub(crate) fn is_overwritten(source: Source<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(|| dwarf::is_apart(source))).unwrap_or(false)
}

/// By DWARF, or else by the PDB of an image that has one.
fn variables(asked: &Asked<'_>) -> Result<Found, Unknown> {
    match dwarf::variables(asked) {
        Err(Unknown::Absent) if Format::Pe.is_met() => pdb::variables(asked),
        result => result,
    }
}

/// The types of an image's variables, and where they lie: read once, when they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) types: Types,
    /// In the order in which they were asked for; empty if there is no debug information.
    pub(crate) of: Vec<Option<TypeId>>,
    /// Variables that the compiler does not keep as their type says, and in which form.
    pub(crate) other_forms: Numbers<u64>,
    hints: Hints,
    /// Those that have been asked for, by the same order.
    scopes: RefCell<HashMap<u32, Option<Scope>>>,
    /// Debug information that is there but cannot be used: why.
    pub(crate) damage: Option<String>,
}

impl Known {
    /// Reads the types of these variables; `before` is what is known of the image before.
    pub(crate) fn read(source: Source<'_>, wanted: &[Wanted<'_>], before: Option<&Known>) -> Known {
        let hints = before.map(|before| &before.hints);
        // A panic would be a bug of a parser; the variables can be moved all the same.
        let found =
            catch_unwind(AssertUnwindSafe(|| variable_types(source, wanted, hints.unwrap_or(&Hints::default()))));
        match found.unwrap_or_else(|_| Err(Unknown::Damaged("a panic while it was read".into()))) {
            Ok(mut found) => {
                found.check_sizes(wanted);
                Known {
                    types: found.types,
                    of: found.of,
                    hints: found.hints,
                    other_forms: found.other_forms,
                    damage: found.damage,
                    ..Known::default()
                }
            }
            Err(Unknown::Absent) => Known::default(),
            Err(why) => Known { damage: Some(why.to_string()), ..Known::default() },
        }
    }

    /// Of none of them anything is known.
    pub(crate) fn is_silent(&self) -> bool {
        self.other_forms.is_empty() && self.of.iter().all(Option::is_none)
    }

    /// The type of one of the variables.
    pub(crate) fn type_of(&self, index: u32) -> Option<TypeId> {
        *self.of.get(index as usize)?
    }

    /// The scopes of some of the variables, which are looked up when they are asked for: mostly they are not.
    pub(crate) fn scopes(&self, source: Source<'_>, wanted: &[(u32, Wanted<'_>)]) -> HashMap<u32, Scope> {
        let mut known = self.scopes.borrow_mut();
        let is_open = |(index, _): &&(u32, Wanted<'_>)| self.type_of(*index).is_some() && !known.contains_key(index);
        let (indices, open): (Vec<u32>, Vec<Wanted<'_>>) = wanted.iter().filter(is_open).copied().unzip();
        if !open.is_empty() {
            let asked = Asked { source, wanted: &open, before: &self.hints, what: What::Scopes };
            let found = catch_unwind(AssertUnwindSafe(|| variables(&asked)));
            let scopes = found.ok().and_then(Result::ok).map(|found| found.scopes).unwrap_or_default();
            known.extend(indices.into_iter().zip(scopes.into_iter().chain(std::iter::repeat(None))));
        }
        // The parts into which a variable has been split are called by numbers, too.
        let part = |form: &u64| Scope { unit: 0, function: *form, block: 0, nth: 0 };
        let scope = |(index, one): &(u32, Wanted<'_>)| {
            let part = self.other_forms.get(&one.address).map(part);
            Some((*index, part.or_else(|| known.get(index).copied().flatten())?))
        };
        wanted.iter().filter_map(scope).collect()
    }
}
