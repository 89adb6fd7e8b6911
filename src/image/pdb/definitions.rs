//! Types that are only declared: what they are elsewhere in the PDB.

use super::super::debug::{Mixer, Numbers, Unknown};
use super::build::Builder;
use super::records::Named;
use std::hash::Hasher;

/// Where types are defined, by a hash of their names. None: there are several that differ.
pub(super) type Definitions = Numbers<Option<u32>>;

impl Builder<'_, '_> {
    /// The number of the definition of a type that is only declared.
    pub(super) fn definition(&self, declared: &Named<'_>) -> Result<Option<u32>, Unknown> {
        let definitions = match self.definitions.get() {
            Some(definitions) => definitions,
            None => {
                let all = self.all_definitions()?;
                self.definitions.get_or_init(|| all)
            }
        };
        let found = definitions.get(&hash(declared.key())).copied().flatten();
        // Two names may have one hash.
        let is_it = |index: &u32| {
            let other = self.records.get(*index).and_then(|record| record.named());
            other.is_some_and(|other| other.key() == declared.key())
        };
        Ok(found.filter(is_it))
    }

    fn all_definitions(&self) -> Result<Definitions, Unknown> {
        let mut all = Definitions::default();
        for index in self.records.all() {
            let record = self.records.get(index);
            let Some(named) = record.and_then(|record| record.named()).filter(|named| !named.is_forward()) else {
                continue;
            };
            self.spend(1)?;
            let known = all.entry(hash(named.key())).or_insert(Some(index));
            let other = known.and_then(|other| self.records.get(other)?.named());
            if other.is_none_or(|other| other.size != named.size || other.key() != named.key()) {
                *known = None;
            }
        }
        Ok(all)
    }
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = Mixer::default();
    hasher.write(name);
    hasher.finish()
}
