//! Random sets of variables, and random edits of them: what must hold whatever they are.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use super::matching::{Evidence, Fate, Matching, Rename};
use super::side::Side;
use crate::image::debug::Scope;
use crate::image::{Kind, Place, SectionKind, Symbol};
use std::collections::{HashMap, HashSet};

/// A variable of the source: what it is called, the file it is in, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source {
    name: usize,
    file: usize,
    function: usize,
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

/// What a compiler and a linker make of it: those of one name in a file get numbers, all get addresses. What the
/// functions are in whose order the numbers are is not seen.
fn compile(sources: &[Source], random: &mut Random) -> (Side<'static>, Vec<Source>) {
    let mut seen: HashMap<(usize, usize), usize> = HashMap::new();
    let mut all: Vec<(Source, String)> = Vec::new();
    let mut sources = sources.to_vec();
    random.shuffle(&mut sources);
    for source in &sources {
        let nth = seen.entry((source.name, source.file)).or_default();
        let name = format!("v{}.{nth}", source.name);
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

fn is_in(one: &Source) -> (usize, usize, usize) {
    (one.name, one.file, one.function)
}

/// Debug information of both versions, or of none.
struct Known<'k>(Option<[&'k [Source]; 2]>);

impl Evidence for Known<'_> {
    fn is_same_image(&self) -> bool {
        false
    }

    fn scopes(&self, of_old: &[u32], of_new: &[u32]) -> [HashMap<u32, Scope>; 2] {
        let scope = |source: Source| Scope {
            unit: source.file as u64,
            function: 1 + source.function as u64,
            block: 0,
            nth: source.id as u64,
        };
        let Some([old, new]) = self.0 else { return Default::default() };
        [(old, of_old), (new, of_new)]
            .map(|(order, of)| of.iter().map(|index| (*index, scope(order[*index as usize]))).collect())
    }
}

#[test]
fn what_cannot_be_mistaken_is_matched_and_nothing_is_matched_twice() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut matched, mut ambiguous) = (0, 0);
    for round in 0..4000 {
        let with_scopes = round % 2 == 0;
        let mut ids = 0..;
        let mut make = |random: &mut Random| {
            let [name, file, function] = [12, 3, 4].map(|end| random.below(end));
            Source { name, file, function, id: ids.next().unwrap() }
        };
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
        let evidence = Known(with_scopes.then_some([&old_order, &new_order]));
        let matching = Matching::of(&old_side, &new_side, &[], &evidence);

        let mut taken = HashSet::new();
        for (source, fate) in old_order.iter().zip(&matching.new_of) {
            let count = |list: &[Source], like: &dyn Fn(&Source) -> bool| list.iter().filter(|one| like(one)).count();
            let alone = |like: &dyn Fn(&Source) -> bool| count(&old, like) == 1 && count(&new, like) == 1;
            let survivor = new.iter().find(|other| other.id == source.id);
            match fate {
                Fate::Is(index) => {
                    matched += 1;
                    assert!(taken.insert(*index), "round {round}: one new variable for two old ones");
                    let found = new_order[*index as usize];
                    assert_eq!(found.name, source.name, "round {round}");
                    // If it is another one, nothing that can be seen tells them apart.
                    let bucket = |list: &[Source], one: Source| {
                        count(list, &|other| (other.name, other.file) == (one.name, one.file))
                    };
                    let single = bucket(&old, *source) == 1 && bucket(&new, found) == 1;
                    let alike = with_scopes && found.function == source.function;
                    assert!(found.id == source.id || single || alike, "round {round}: {source:?} is {found:?}");
                }
                Fate::Ambiguous => ambiguous += 1,
                Fate::Gone | Fate::Runtime => {}
            }
            let is_itself = || matches!(fate, Fate::Is(index) if new_order[*index as usize].id == source.id);
            if survivor.is_some() && alone(&|other| other.name == source.name) {
                assert!(is_itself(), "round {round}: {source:?} is the only one of its name, and is {fate:?}");
            }
            if survivor == Some(source) && with_scopes && alone(&|other| is_in(other) == is_in(source)) {
                assert!(is_itself(), "round {round}: {source:?} is where it was, and is {fate:?}");
            }
            if survivor == Some(source) && alone(&|other| (other.name, other.file) == (source.name, source.file)) {
                assert!(is_itself(), "round {round}: {source:?} is where it was, and is {fate:?}");
            }
        }
    }
    assert!(matched > 20_000 && ambiguous > 200, "{matched} matched, {ambiguous} ambiguous");
}

#[test]
fn renames_come_first() {
    let mut random = Random(1);
    let one = |name, id| Source { name, file: 0, function: 0, id };
    let (old, order) = compile(&[one(1, 0), one(2, 1)], &mut random);
    // The names are exchanged.
    let renames = [Rename { new: "v1", old: "v2" }, Rename { new: "v2", old: "v1" }, Rename { new: "v3", old: "v4" }];
    let matching = Matching::of(&old, &old, &renames, &Known(None));
    let other = matching.new_of.iter().map(|fate| match fate {
        Fate::Is(index) => order[*index as usize].id,
        _ => usize::MAX,
    });
    assert!(order.iter().zip(other).all(|(source, other)| source.id == 1 - other));
}

/// What debug information says of the one variable that each version has: what is in it, by a number.
struct Forms(Option<[u64; 2]>);

impl Evidence for Forms {
    fn is_same_image(&self) -> bool {
        false
    }

    fn scopes(&self, of_old: &[u32], of_new: &[u32]) -> [HashMap<u32, Scope>; 2] {
        let form = |function| Scope { unit: 0, function, block: 0, nth: 0 };
        let Some([old, new]) = self.0 else { return Default::default() };
        [(of_old, old), (of_new, new)].map(|(of, number)| of.iter().map(|index| (*index, form(number))).collect())
    }
}

#[test]
fn variables_that_the_compiler_has_put_into_one_stay_together_or_begin_anew() {
    let side = |name: &str, address: u64| {
        let mut side = Side::default();
        let place = Place { kind: Kind::Object, address, size: 16, local: true };
        side.variables.push(Symbol { place, name: name.to_owned().into(), file: Some("guest.c".into()) });
        side.kinds.push(SectionKind::Zero);
        side
    };
    for (new, address) in [("_MergedGlobals", 16), ("_MergedGlobals", 32), ("_MergedGlobals.1", 16)] {
        let fate = |forms| {
            let (old, new) = (side("_MergedGlobals", 16), side(new, address));
            Matching::of(&old, &new, &[], &Forms(forms)).new_of[0]
        };
        assert_eq!(fate(Some([7, 7])), Fate::Is(0), "{new}");
        assert_eq!(fate(Some([7, 8])), Fate::Gone, "{new}");
        assert_eq!(fate(None), Fate::Ambiguous, "{new}");
    }
}
