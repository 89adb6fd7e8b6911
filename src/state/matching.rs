//! Which variable of the old version is which of the new one.
//!
//! By name, then by source file, then by the function and block that debug information tells. Where that leaves a choice
//! nothing is matched: a value in the wrong variable is worse than an initial one.

use super::names::{self, Key, Order};
use super::side::Side;
use crate::image::debug::{Mixer, Scope, is_merged};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

/// A map by the names of an image, which are no attack.
type Quick<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

/// What became of each variable, by its index.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// For each old one, its new one.
    pub(super) new_of: Vec<Fate>,
    /// For each new one, whether there is an old one.
    pub(super) claims: Vec<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Is(u32),
    /// It is not there any more.
    Gone,
    /// Several could be it.
    Ambiguous,
    /// It belongs to the compiler's or language's run-time.
    Runtime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is new.
    Free,
    /// It is one that was there, or it is none of the programmer's.
    Taken,
    /// It may be one of several.
    Doubtful,
}

/// What is looked up when names leave it open which variable is which.
pub(super) trait Evidence {
    /// Are both images seen to be the same?
    fn is_same_image(&self) -> bool;

    /// The scopes of those of these variables of the old version, and of the new one, of which they are known, by index.
    fn scopes(&self, of_old: &[u32], of_new: &[u32]) -> [HashMap<u32, Scope>; 2];
}

/// What the source says of a variable that was called otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rename<'a> {
    pub(super) new: &'a str,
    pub(super) old: &'a str,
}

/// What an optimiser adds to the name for the first part into which it has split a variable.
const FIRST: &str = ".0";

/// The names of a version's variables.
type Keys<'k> = &'k [Option<(Key<'k>, Order)>];

/// A variable, and the number of its name.
#[derive(Clone, Copy)]
struct Named {
    group: u32,
    is_new: bool,
    index: u32,
}

/// The variables that have a name, and it.
fn named<'k>(keys: Keys<'k>) -> impl Iterator<Item = (u32, &'k Key<'k>)> {
    (0..).zip(keys).filter_map(|(index, key)| Some((index, &key.as_ref()?.0)))
}

/// How many variables of each version have one name, and the last of them.
struct Namesakes {
    old: (u32, u32),
    new: (u32, u32),
    nameless: bool,
}

/// One variable of a group that has the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    group: u32,
    file: u32,
    is_new: bool,
    order: Order,
    index: u32,
    /// It is declared in a function that its name does not tell.
    nameless: bool,
}

impl Item {
    /// Its name tells it from others by a number, which is another one when they change places.
    fn is_numbered(&self) -> bool {
        self.order != (0, 0)
    }
}

/// The two versions, and what debug information says of the scopes of some of their variables.
struct Context<'c, 'a> {
    old: &'c Side<'a>,
    new: &'c Side<'a>,
    scopes: [HashMap<u32, Scope>; 2],
}

impl Matching {
    /// Nothing has changed but code: each is itself.
    fn identity(keys: Keys<'_>) -> Matching {
        let fate = |(index, key): (u32, &Option<_>)| if key.is_some() { Fate::Is(index) } else { Fate::Runtime };
        Matching { new_of: (0..).zip(keys).map(fate).collect(), claims: vec![Claim::Taken; keys.len()] }
    }

    /// The state goes back to where it came from.
    pub(super) fn same(side: &Side<'_>) -> Matching {
        Matching::identity(&side.keys())
    }

    pub(super) fn of(old: &Side<'_>, new: &Side<'_>, renames: &[Rename<'_>], evidence: &dyn Evidence) -> Matching {
        let old_keys = old.keys();
        if renames.is_empty()
            && old.variables == new.variables
            && (!has_doubtful(old, &old_keys) || evidence.is_same_image())
        {
            return Matching::identity(&old_keys);
        }
        let new_keys = new.keys();
        let fate = |key: &Option<_>| if key.is_some() { Fate::Gone } else { Fate::Runtime };
        let claim = |key: &Option<_>| if key.is_some() { Claim::Free } else { Claim::Taken };
        let mut matching =
            Matching { new_of: old_keys.iter().map(fate).collect(), claims: new_keys.iter().map(claim).collect() };
        matching.by_rename(old, new, renames);
        matching.by_alias(old, new);
        let left = matching.by_unique_name(&old_keys, &new_keys);
        let items = items([old, new], [&old_keys, &new_keys], &left);
        let groups = || items.chunk_by(|a, b| a.group == b.group);
        let doubtful = |is_new: bool| -> Vec<u32> {
            let groups = groups().filter(|group| is_doubtful(group)).flatten();
            groups.filter(|item| item.is_new == is_new).map(|item| item.index).collect()
        };
        let (of_old, of_new) = (doubtful(false), doubtful(true));
        let nothing = of_old.is_empty() || of_new.is_empty();
        let scopes = if nothing { Default::default() } else { evidence.scopes(&of_old, &of_new) };
        let context = Context { old, new, scopes };
        for group in groups() {
            matching.by_group(group, &context);
        }
        matching.by_plain_name([old, new], [&old_keys, &new_keys]);
        matching
    }

    fn is_open(&self, old: u32) -> bool {
        matches!(self.new_of.get(old as usize), Some(Fate::Gone | Fate::Ambiguous))
    }

    fn is_free(&self, new: u32) -> bool {
        self.claims.get(new as usize) == Some(&Claim::Free)
    }

    fn join(&mut self, old: u32, new: u32) {
        if let (Some(fate), Some(claim)) = (self.new_of.get_mut(old as usize), self.claims.get_mut(new as usize)) {
            *fate = Fate::Is(new);
            *claim = Claim::Taken;
        }
    }

    /// What the source of the new version says comes first. The names are those that people write.
    fn by_rename(&mut self, old: &Side<'_>, new: &Side<'_>, renames: &[Rename<'_>]) {
        if renames.is_empty() {
            return;
        }
        let (old_names, new_names) = (by_readable_name(old), by_readable_name(new));
        for rename in renames {
            let only = |names: &HashMap<Cow<'_, str>, Vec<u32>>, name: &str| match names.get(name).map(Vec::as_slice) {
                Some([only]) => Some(*only),
                _ => None,
            };
            let pair = only(&old_names, rename.old).zip(only(&new_names, rename.new));
            let Some((before, after)) = pair else { continue };
            // The old name may be in use again, for another variable: its own rename says so, or it is new.
            if self.is_open(before) && self.is_free(after) {
                self.join(before, after);
            }
        }
    }

    /// Matches the variables whose name is that of one in each version: most of them. Returns those of the names that
    /// both versions have otherwise.
    fn by_unique_name(&mut self, old_keys: Keys<'_>, new_keys: Keys<'_>) -> Vec<Named> {
        let mut numbers: Quick<&Key<'_>, u32> = Quick::with_capacity_and_hasher(old_keys.len(), Default::default());
        let mut groups: Vec<Namesakes> = Vec::with_capacity(old_keys.len());
        for (index, key) in named(old_keys) {
            let number = *numbers.entry(key).or_insert(groups.len() as u32);
            match groups.get_mut(number as usize) {
                Some(group) => group.old = (group.old.0 + 1, index),
                None => groups.push(Namesakes { old: (1, index), new: (0, 0), nameless: key.is_nameless() }),
            }
        }
        for (index, key) in named(new_keys) {
            let number = numbers.get(key);
            if let Some(group) = number.and_then(|number| groups.get_mut(*number as usize)) {
                group.new = (group.new.0 + 1, index);
            }
        }
        let mut is_left = |group: &Namesakes| match (group.old, group.new) {
            (_, (0, _)) => false,
            ((1, old), (1, new)) if !group.nameless => {
                if self.is_open(old) && self.is_free(new) {
                    self.join(old, new);
                }
                false
            }
            _ => true,
        };
        let left: Vec<bool> = groups.iter().map(&mut is_left).collect();
        if !left.contains(&true) {
            return Vec::new();
        }
        let both = named(old_keys).map(|one| (false, one)).chain(named(new_keys).map(|one| (true, one)));
        let one = |(is_new, (index, key))| {
            let group = *numbers.get(key)?;
            (left.get(group as usize) == Some(&true)).then_some(Named { group, is_new, index })
        };
        both.filter_map(one).collect()
    }

    /// The variables of one name.
    fn by_group(&mut self, group: &[Item], context: &Context<'_, '_>) {
        let mut ambiguous = false;
        for file in group.chunk_by(|a, b| a.file == b.file) {
            let by_scope = if is_doubtful(file) { self.by_scope(file, &context.scopes) } else { None };
            ambiguous |= by_scope.unwrap_or_else(|| self.by_order(file, context));
        }
        // Moved to another file, if that cannot be another one.
        let (old, new) = self.open(group);
        let [before, after] = &context.scopes;
        let elsewhere = |old: &u32, new: &u32| {
            before.get(old).zip(after.get(new)).is_some_and(|(before, after)| before.function != after.function)
        };
        match (&old[..], &new[..]) {
            ([old], [new]) if !ambiguous && elsewhere(old, new) => {}
            ([old], [new]) if !ambiguous => self.join(*old, *new),
            ([], _) | (_, []) => {}
            _ => self.doubt(&old, &new),
        }
    }

    /// Those of one name and file, where nothing is known but their names. True: there is doubt.
    fn by_order(&mut self, items: &[Item], context: &Context<'_, '_>) -> bool {
        let (old, new) = self.open(items);
        if old.iter().any(|index| context.old.get(*index).is_some_and(|variable| is_merged(&variable.name))) {
            self.doubt(&old, &new);
            return !new.is_empty();
        }
        if let ([old], [new]) = (&old[..], &new[..]) {
            self.join(*old, *new);
            return false;
        }
        let name = |side: &Side<'_>, index: &u32| side.get(*index).map(|variable| variable.name.to_string());
        if items.iter().all(|item| !item.is_numbered()) {
            // In Rust the hash is a part of the name.
            let only = |all: &[u32], side: &Side<'_>| {
                let mut names: HashMap<String, Option<u32>> = HashMap::new();
                for index in all {
                    let other = names.entry(name(side, index).unwrap_or_default());
                    other.and_modify(|other| *other = None).or_insert(Some(*index));
                }
                names
            };
            let after = only(&new, context.new);
            for (name, old) in only(&old, context.old) {
                if let (Some(old), Some(Some(new))) = (old, after.get(&name)) {
                    self.join(old, *new);
                }
            }
            let (old, new) = self.open(items);
            let is_rust = |index: &u32| context.old.get(*index).is_some_and(|variable| names::is_rust(&variable.name));
            // Two files of one name, which the linker gets in the order that it got them in. (Several global variables of
            // one name have got it by `.symver`.)
            let is_static = |index: &u32| context.old.get(*index).is_some_and(|variable| variable.place.local);
            if old.len() == new.len() && old.iter().all(is_static) && !old.iter().any(is_rust) {
                old.iter().zip(new).for_each(|(old, new)| self.join(*old, new));
            }
        }
        let (old, new) = self.open(items);
        !old.is_empty() && !new.is_empty()
    }

    /// Those of one name and file, by the unit, function and block in which they are declared; those of functions that the
    /// other version does not have are left alone. True: there is doubt. None: the scope of some is not known.
    fn by_scope(&mut self, items: &[Item], [before, after]: &[HashMap<u32, Scope>; 2]) -> Option<bool> {
        let (old, new) = self.open(items);
        let of = |scopes: &HashMap<u32, Scope>, all: &[u32]| -> Option<Vec<(Scope, u32)>> {
            let mut all: Vec<_> = all.iter().map(|index| Some((*scopes.get(index)?, *index))).collect::<Option<_>>()?;
            all.sort_unstable();
            Some(all)
        };
        let (mut old, mut new) = (of(before, &old)?, of(after, &new)?);
        // The last one is for a function whose file is called otherwise now.
        let exact: fn(&Scope) -> [u64; 3] = |scope| [scope.unit, scope.function, scope.block];
        let function: fn(&Scope) -> [u64; 3] = |scope| [scope.unit, scope.function, 0];
        let anywhere: fn(&Scope) -> [u64; 3] = |scope| [0, scope.function, 0];
        for part in [exact, function, anywhere] {
            old.sort_by_key(|(scope, _)| part(scope));
            new.sort_by_key(|(scope, _)| part(scope));
            for old in old.chunk_by(|(one, _), (other, _)| part(one) == part(other)) {
                let Some((scope, _)) = old.first() else { continue };
                let start = new.partition_point(|(other, _)| part(other) < part(scope));
                let end = new.partition_point(|(other, _)| part(other) <= part(scope));
                let new = new.get(start..end).unwrap_or_default();
                // Those of blocks that are alike are in the order of the source. If there are no blocks, or the file has
                // another name, that is not sure.
                let sure = old.len() == 1 || (scope.block != 0 && part(scope) != anywhere(scope));
                if old.len() == new.len() && sure {
                    for ((_, old), (_, new)) in old.iter().zip(new) {
                        self.join(*old, *new);
                    }
                }
            }
            old.retain(|(_, index)| self.is_open(*index));
            new.retain(|(_, index)| self.is_free(*index));
        }
        // More or fewer of one function.
        let functions = |all: &[(Scope, u32)], others: &[(Scope, u32)]| -> Vec<u32> {
            let has = |scope: &Scope| others.iter().any(|(other, _)| other.function == scope.function);
            all.iter().filter(|(scope, _)| has(scope)).map(|(_, index)| *index).collect()
        };
        let (old, new) = (functions(&old, &new), functions(&new, &old));
        self.doubt(&old, &new);
        Some(!old.is_empty())
    }

    /// It cannot be told which of these is which.
    fn doubt(&mut self, old: &[u32], new: &[u32]) {
        for old in old {
            if let Some(fate) = self.new_of.get_mut(*old as usize) {
                *fate = Fate::Ambiguous;
            }
        }
        for new in new {
            if let Some(claim) = self.claims.get_mut(*new as usize) {
                *claim = Claim::Doubtful;
            }
        }
    }

    /// Those of the items that are not matched yet.
    fn open(&self, items: &[Item]) -> (Vec<u32>, Vec<u32>) {
        let old = items.iter().filter(|item| !item.is_new && self.is_open(item.index)).map(|item| item.index);
        let new = items.iter().filter(|item| item.is_new && self.is_free(item.index)).map(|item| item.index);
        (old.collect(), new.collect())
    }

    /// Of a variable with several names (aliases), the other version may have another one only, or first. One that no other
    /// variable has is enough.
    fn by_alias(&mut self, old: &Side<'_>, new: &Side<'_>) {
        if old.aliases.is_empty() && new.aliases.is_empty() {
            return;
        }
        let (before, after) = (owners(old), owners(new));
        let aliased = |side: &Side<'_>| side.aliases.iter().map(|(index, _)| *index).collect::<HashSet<u32>>();
        let (old_aliased, new_aliased) = (aliased(old), aliased(new));
        for (name, old) in all_names(old) {
            if let (Some(Some(_)), Some(Some(new))) = (before.get(name), after.get(name))
                && (old_aliased.contains(&old) || new_aliased.contains(new))
                && self.is_open(old)
                && self.is_free(*new)
            {
                self.join(old, *new);
            }
        }
    }

    /// What is left may have become static or global, or its function takes something else now, or an optimiser sees all
    /// uses of it now: it then calls the first part of it by a number, which is all of it if it is as large.
    fn by_plain_name(&mut self, [old, new]: [&Side<'_>; 2], [old_keys, new_keys]: [Keys<'_>; 2]) {
        let open = |(index, fate): (u32, &Fate)| (*fate == Fate::Gone).then_some(index);
        let left: Vec<u32> = (0..).zip(&self.new_of).filter_map(open).collect();
        if left.is_empty() {
            return;
        }
        fn key<'k>(keys: Keys<'k>, index: u32) -> Option<&'k Key<'k>> {
            keys.get(index as usize)?.as_ref().map(|(key, _)| key)
        }
        let name = |keys: Keys<'_>, index: u32| {
            let base = &key(keys, index)?.base;
            let base = base.strip_suffix(FIRST).unwrap_or(base);
            Some(names::plain(base).unwrap_or_else(|| base.to_owned()))
        };
        let size = |side: &Side<'_>, index: u32| side.get(index).map(|variable| variable.place.size);
        let is_as_large = |before: u32, after: u32| size(old, before) == size(new, after);
        let mut found: HashMap<String, (Vec<u32>, Vec<u32>)> = HashMap::new();
        for index in left {
            if let Some(name) = name(old_keys, index) {
                found.entry(name).or_default().0.push(index);
            }
        }
        for index in (0..).zip(&self.claims).filter_map(|(index, claim)| (*claim == Claim::Free).then_some(index)) {
            if let Some(name) = name(new_keys, index)
                && let Some(entry) = found.get_mut(&name)
            {
                entry.1.push(index);
            }
        }
        for (old, new) in found.into_values() {
            let ([old], [new]) = (&old[..], &new[..]) else { continue };
            let (Some(before), Some(after)) = (key(old_keys, *old), key(new_keys, *new)) else { continue };
            // Those of two functions have been told apart.
            let is_apart = before.inner && after.inner;
            let is_part = |key: &Key<'_>| key.base.ends_with(FIRST);
            if !is_apart && (is_part(before) == is_part(after) || is_as_large(*old, *new)) {
                self.join(*old, *new);
            }
        }
    }
}

/// The names of the variables that numbers do not make, first those by which they are listed.
fn all_names<'s>(side: &'s Side<'_>) -> impl Iterator<Item = (&'s str, u32)> {
    let first = (0..).zip(&side.variables).map(|(index, variable)| (&*variable.name, index));
    let names = first.chain(side.aliases.iter().map(|(index, name)| (&**name, *index)));
    names.filter(|(name, _)| {
        let (key, order) = names::key(name);
        order == (0, 0) && !key.is_nameless()
    })
}

/// The variable of each of these names; None if there are several.
fn owners<'s>(side: &'s Side<'_>) -> Quick<&'s str, Option<u32>> {
    let mut owners = Quick::default();
    for (name, index) in all_names(side) {
        owners.entry(name).and_modify(|owner| *owner = None).or_insert(Some(index));
    }
    owners
}

/// Are there several that have this name in one file?
fn is_doubtful(group: &[Item]) -> bool {
    let several = |file: &[Item]| {
        let new = file.iter().filter(|item| item.is_new).count();
        new > 1 || file.len() - new > 1 || (new == 1 && file.len() == 2 && file.iter().any(|item| item.nameless))
    };
    group.chunk_by(|a, b| a.file == b.file).any(several)
}

/// The same of one version, as far as numbers tell them from each other.
fn has_doubtful(side: &Side<'_>, keys: Keys<'_>) -> bool {
    let numbered = |key: &Option<(_, Order)>| key.as_ref().is_some_and(|(_, order)| *order != (0, 0));
    let suspects: HashSet<_> = keys.iter().filter(|key| numbered(key)).flatten().map(|(key, _)| key).collect();
    let mut seen = HashSet::new();
    suspects.iter().any(|key| key.is_nameless())
        || (!suspects.is_empty()
            && keys.iter().zip(&side.variables).any(|(key, variable)| match key {
                Some((key, _)) if suspects.contains(key) => !seen.insert((key, &variable.file)),
                _ => false,
            }))
}

/// The variables of a version whose scopes may be asked for: numbers tell them from others, or may do so after an edit.
pub(super) fn suspects(side: &Side<'_>) -> Vec<u32> {
    let keys = side.keys();
    let numbered = |key: &&(Key<'_>, Order)| key.1 != (0, 0) || key.0.is_nameless();
    let names: HashSet<&Key<'_>> = keys.iter().flatten().filter(numbered).map(|(key, _)| key).collect();
    let is_one = |key: &Option<(Key<'_>, Order)>| key.as_ref().is_some_and(|(key, _)| names.contains(key));
    (0..).zip(&keys).filter(|(_, key)| is_one(key)).map(|(index, _)| index).collect()
}

/// Those of one name together, and of these those of one file.
fn items(sides: [&Side<'_>; 2], keys: [Keys<'_>; 2], named: &[Named]) -> Vec<Item> {
    let mut files: Quick<&str, u32> = Quick::default();
    let mut items = Vec::with_capacity(named.len());
    for Named { group, is_new, index } in named.iter().copied() {
        let ([old, new], [old_keys, new_keys]) = (&sides, &keys);
        let (side, keys) = if is_new { (new, new_keys) } else { (old, old_keys) };
        let (Some(variable), Some(Some((key, order)))) = (side.get(index), keys.get(index as usize)) else { continue };
        let count = files.len() as u32 + 1;
        // 0 stands for none: global variables, and those that link-time optimisation has mixed.
        let file = variable.file.as_deref().filter(|file| is_source(file));
        let file = file.map_or(0, |file| *files.entry(file).or_insert(count));
        items.push(Item { group, file, is_new, order: *order, index, nameless: key.is_nameless() });
    }
    items.sort_unstable();
    items
}

/// Link-time optimisation makes up files, whose names change.
fn is_source(file: &str) -> bool {
    !file.contains(".ltrans") && file != "ld-temp.o" && file != "<artificial>"
}

/// The variables by what people call them.
pub(super) fn by_readable_name<'s>(side: &'s Side<'_>) -> HashMap<Cow<'s, str>, Vec<u32>> {
    let mut names: HashMap<_, Vec<u32>> = HashMap::new();
    for (index, variable) in (0..).zip(&side.variables) {
        let base = names::key(&variable.name).0.base.into_owned();
        let name = names::plain(&base).unwrap_or(base);
        names.entry(name.into()).or_default().push(index);
    }
    names
}
