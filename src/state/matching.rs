//! Which variable of the old version is which of the new one.
//!
//! By name, then by source file, then by the order that the compiler gave to those of one name. Where that leaves a
//! choice nothing is matched: a value in the wrong variable is worse than an initial one.

use super::names::{self, Key, Order};
use super::side::Side;
use std::borrow::Cow;
use std::collections::HashMap;

/// What became of each variable, by its index.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// For each old one, its new one.
    pub(super) new_of: Vec<Fate>,
    /// For each new one, whether it has an old one, or is none of the programmer's.
    pub(super) taken: Vec<bool>,
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

/// What the source says of a variable that was called otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rename<'a> {
    pub(super) new: &'a str,
    pub(super) old: &'a str,
}

/// One variable of a group that has the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    group: u32,
    file: u32,
    is_new: bool,
    order: Order,
    index: u32,
}

impl Matching {
    /// Nothing has changed but code: each is itself.
    fn identity(keys: &[Option<(Key<'_>, Order)>]) -> Matching {
        let fate = |(index, key): (u32, &Option<_>)| if key.is_some() { Fate::Is(index) } else { Fate::Runtime };
        Matching { new_of: (0..).zip(keys).map(fate).collect(), taken: vec![true; keys.len()] }
    }

    pub(super) fn of(old: &Side<'_>, new: &Side<'_>, renames: &[Rename<'_>]) -> Matching {
        let old_keys = old.keys();
        if renames.is_empty() && old.variables == new.variables {
            return Matching::identity(&old_keys);
        }
        let new_keys = new.keys();
        let fate = |key: &Option<_>| if key.is_some() { Fate::Gone } else { Fate::Runtime };
        let mut matching = Matching {
            new_of: old_keys.iter().map(fate).collect(),
            taken: new_keys.iter().map(Option::is_none).collect(),
        };
        matching.by_rename(old, new, renames);
        for group in items(old, new, &old_keys, &new_keys).chunk_by(|a, b| a.group == b.group) {
            matching.by_group(group);
        }
        matching.by_plain_name(&old_keys, &new_keys);
        matching
    }

    fn is_open(&self, old: u32) -> bool {
        matches!(self.new_of.get(old as usize), Some(Fate::Gone | Fate::Ambiguous))
    }

    fn is_free(&self, new: u32) -> bool {
        self.taken.get(new as usize) == Some(&false)
    }

    fn join(&mut self, old: u32, new: u32) {
        if let (Some(fate), Some(taken)) = (self.new_of.get_mut(old as usize), self.taken.get_mut(new as usize)) {
            *fate = Fate::Is(new);
            *taken = true;
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

    /// The variables of one name.
    fn by_group(&mut self, group: &[Item]) {
        let mut ambiguous = false;
        for file in group.chunk_by(|a, b| a.file == b.file) {
            let (old, new) = self.open(file);
            if old.len() == new.len() {
                for (old, new) in old.into_iter().zip(new) {
                    self.join(old, new);
                }
            } else {
                ambiguous |= !old.is_empty() && !new.is_empty();
            }
        }
        // Moved to another file, if that cannot be another one.
        let (old, new) = self.open(group);
        match (&old[..], &new[..]) {
            ([old], [new]) if !ambiguous => self.join(*old, *new),
            ([], _) | (_, []) => {}
            _ => {
                for old in old {
                    if let Some(fate) = self.new_of.get_mut(old as usize) {
                        *fate = Fate::Ambiguous;
                    }
                }
            }
        }
    }

    /// Those of the items that are not matched yet.
    fn open(&self, items: &[Item]) -> (Vec<u32>, Vec<u32>) {
        let old = items.iter().filter(|item| !item.is_new && self.is_open(item.index)).map(|item| item.index);
        let new = items.iter().filter(|item| item.is_new && self.is_free(item.index)).map(|item| item.index);
        (old.collect(), new.collect())
    }

    /// What is left may have become static or global, or its function takes something else now.
    fn by_plain_name(&mut self, old_keys: &[Option<(Key<'_>, Order)>], new_keys: &[Option<(Key<'_>, Order)>]) {
        let open = |(index, fate): (u32, &Fate)| (*fate == Fate::Gone).then_some(index);
        let left: Vec<u32> = (0..).zip(&self.new_of).filter_map(open).collect();
        if left.is_empty() {
            return;
        }
        let name = |keys: &[Option<(Key<'_>, Order)>], index: u32| {
            let (key, _) = keys.get(index as usize)?.as_ref()?;
            Some(names::plain(&key.base).unwrap_or_else(|| key.base.as_ref().to_owned()))
        };
        let mut found: HashMap<String, (Vec<u32>, Vec<u32>)> = HashMap::new();
        for index in left {
            if let Some(name) = name(old_keys, index) {
                found.entry(name).or_default().0.push(index);
            }
        }
        for index in (0..).zip(&self.taken).filter_map(|(index, taken)| (!taken).then_some(index)) {
            if let Some(name) = name(new_keys, index)
                && let Some(entry) = found.get_mut(&name)
            {
                entry.1.push(index);
            }
        }
        for (old, new) in found.into_values() {
            if let ([old], [new]) = (&old[..], &new[..]) {
                self.join(*old, *new);
            }
        }
    }
}

/// All variables, those of one name together, and of these those of one file.
fn items(
    old: &Side<'_>,
    new: &Side<'_>,
    old_keys: &[Option<(Key<'_>, Order)>],
    new_keys: &[Option<(Key<'_>, Order)>],
) -> Vec<Item> {
    let mut groups: HashMap<&Key<'_>, u32> = HashMap::with_capacity(old_keys.len() + new_keys.len());
    let mut files: HashMap<&str, u32> = HashMap::new();
    let mut items = Vec::with_capacity(old_keys.len() + new_keys.len());
    for (side, keys, is_new) in [(old, old_keys, false), (new, new_keys, true)] {
        for ((index, key), variable) in (0..).zip(keys).zip(&side.variables) {
            let Some((key, order)) = key else { continue };
            let count = groups.len() as u32;
            let group = *groups.entry(key).or_insert(count);
            let count = files.len() as u32 + 1;
            // 0 stands for none: global variables, and those that link-time optimisation has mixed.
            let file = variable.file.as_deref().filter(|file| is_source(file));
            let file = file.map_or(0, |file| *files.entry(file).or_insert(count));
            items.push(Item { group, file, is_new, order: *order, index });
        }
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
