//! Random sets of variables, and random edits of them: what must hold whatever they are.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use super::matching::{Fate, Matching, Rename};
use super::side::Side;
use crate::image::{Kind, Place, SectionKind, Symbol};
use std::collections::{HashMap, HashSet};

/// A variable of the source: what it is called, the file it is in, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source {
    name: usize,
    file: usize,
    id: usize,
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

/// What a compiler and a linker make of it: those of one name in a file get numbers, and all get addresses.
fn compile(sources: &[Source], random: &mut Random) -> (Side<'static>, Vec<Source>) {
    let mut seen: HashMap<(usize, usize), usize> = HashMap::new();
    let mut all: Vec<(Source, String)> = Vec::new();
    for source in sources {
        let nth = seen.entry((source.name, source.file)).or_default();
        let many = sources.iter().filter(|other| (other.name, other.file) == (source.name, source.file)).count() > 1;
        let name = if many { format!("v{}.{nth}", source.name) } else { format!("v{}", source.name) };
        all.push((*source, name));
        *nth += 1;
    }
    random.shuffle(&mut all);
    let mut side = Side::default();
    for (index, (source, name)) in all.iter().enumerate() {
        let place = Place { kind: Kind::Object, address: 16 * index as u64, size: 4, local: true };
        let file = Some(format!("file{}.c", source.file).into());
        side.variables.push(Symbol { place, name: name.clone().into(), file });
        side.kinds.push(SectionKind::Zero);
    }
    (side, all.into_iter().map(|(source, _)| source).collect())
}

#[test]
fn what_cannot_be_mistaken_is_matched_and_nothing_is_matched_twice() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut matched, mut ambiguous) = (0, 0);
    for round in 0..2000 {
        let mut ids = 0..;
        let mut make =
            |random: &mut Random| Source { name: random.below(12), file: random.below(3), id: ids.next().unwrap() };
        let old: Vec<Source> = (0..random.below(20)).map(|_| make(&mut random)).collect();
        let mut new = old.clone();
        for _ in 0..random.below(4) {
            match random.below(3) {
                0 => new.push(make(&mut random)),
                1 if !new.is_empty() => {
                    new.remove(random.below(new.len()));
                }
                _ if !new.is_empty() => {
                    let moved = random.below(new.len());
                    new[moved].file = random.below(3);
                }
                _ => {}
            }
        }
        let (old_side, old_order) = compile(&old, &mut random);
        let (new_side, new_order) = compile(&new, &mut random);
        let matching = Matching::of(&old_side, &new_side, &[]);

        let mut taken = HashSet::new();
        for (source, fate) in old_order.iter().zip(&matching.new_of) {
            let of_name = |list: &[Source]| list.iter().filter(|other| other.name == source.name).count();
            let bucket = |list: &[Source]| -> Vec<usize> {
                let same = list.iter().filter(|other| (other.name, other.file) == (source.name, source.file));
                same.map(|other| other.id).collect()
            };
            let survivor = new.iter().find(|other| other.id == source.id);
            match fate {
                Fate::Is(index) => {
                    matched += 1;
                    assert!(taken.insert(*index), "round {round}: one new variable for two old ones");
                    assert_eq!(new_order[*index as usize].name, source.name, "round {round}");
                }
                Fate::Ambiguous => ambiguous += 1,
                Fate::Gone | Fate::Runtime => {}
            }
            let is_itself = || matches!(fate, Fate::Is(index) if new_order[*index as usize].id == source.id);
            if survivor.is_some() && of_name(&old) == 1 && of_name(&new) == 1 {
                assert!(is_itself(), "round {round}: {source:?} is the only one of its name, and is {fate:?}");
            }
            if bucket(&old) == bucket(&new) {
                assert!(is_itself(), "round {round}: {source:?} is where it was, and is {fate:?}");
            }
        }
    }
    assert!(matched > 10_000 && ambiguous > 100, "{matched} matched, {ambiguous} ambiguous");
}

#[test]
fn renames_come_first() {
    let mut random = Random(1);
    let (old, _) = compile(&[Source { name: 1, file: 0, id: 0 }, Source { name: 2, file: 0, id: 1 }], &mut random);
    // The names are exchanged.
    let renames = [Rename { new: "v1", old: "v2" }, Rename { new: "v2", old: "v1" }, Rename { new: "v3", old: "v4" }];
    let matching = Matching::of(&old, &old, &renames);
    assert_eq!(matching.new_of, [Fate::Is(1), Fate::Is(0)]);
}
