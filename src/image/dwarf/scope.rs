//! Where a variable is declared: in which function and block of the source.
//!
//! Entries do not say what they are in, so the unit is read from its beginning; functions that do not matter are passed
//! over where their entry says where the next one is, as gcc's do.

use super::super::debug::{Found, Scope, Unknown, Wanted};
use super::find::{Place, origin};
use super::units::{Builder, Handle};
use gimli::{Abbreviation, AttributeValue, EntriesRaw, UnitOffset, constants as c};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// A declaration, and whose it is.
struct Target<'a> {
    unit: Handle<'a>,
    entry: UnitOffset,
    wanted: usize,
}

impl<'a> Builder<'a, '_> {
    /// Finds the scopes of the entries that were found.
    pub(super) fn scopes(&self, places: &[Place<'a>], wanted: &[Wanted<'_>], found: &mut Found) {
        let target = |place: &Place<'a>| {
            let (unit, entry) = self.declaration(&place.unit, place.entry, 0).ok()?;
            Some(Target { unit, entry, wanted: place.wanted })
        };
        let mut targets: Vec<Target<'a>> = places.iter().filter_map(target).collect();
        targets.sort_by_key(|target| (Rc::as_ptr(&target.unit) as usize, target.entry.0));
        for of_unit in targets.chunk_by(|one, other| Rc::ptr_eq(&one.unit, &other.unit)) {
            let note = &mut |wanted: usize, scope: Scope| {
                if let Some(slot) = found.scopes.get_mut(wanted) {
                    // Of an entry and its instances it is the one of the declaration, which comes last or is the same.
                    *slot = Some(scope);
                }
            };
            // A unit that makes no sense leaves its variables without a scope.
            self.scopes_in(of_unit, wanted, note).unwrap_or(());
        }
    }

    /// The entry that an instance is of: where the source has it.
    fn declaration(&self, unit: &Handle<'a>, at: UnitOffset, depth: u32) -> Result<(Handle<'a>, UnitOffset), Unknown> {
        match origin(&unit.entry(at)?).filter(|_| depth < 8) {
            Some(origin) => {
                let (unit, at) = self.referred(unit, origin)?;
                self.declaration(&unit, at, depth + 1)
            }
            None => Ok((unit.clone(), at)),
        }
    }

    fn scopes_in(
        &self,
        targets: &[Target<'a>],
        wanted: &[Wanted<'_>],
        note: &mut dyn FnMut(usize, Scope),
    ) -> Result<(), Unknown> {
        let Some(first) = targets.first() else { return Ok(()) };
        let unit = &first.unit;
        let name = unit.name.map(|name| name.slice());
        let mut raw = unit.entries_raw(None)?;
        let mut left = targets.iter().peekable();
        let mut above: Vec<UnitOffset> = Vec::new();
        // `raw` counts from the entry with which it begins.
        let mut level = 0;
        while let Some(target) = left.peek()
            && !raw.is_empty()
        {
            self.spend(1)?;
            let depth = level + raw.next_depth();
            let at = raw.next_offset();
            let Some(abbreviation) = raw.read_abbreviation()? else { continue };
            above.truncate(usize::try_from(depth).unwrap_or(0));
            if target.entry < at {
                left.next(); // no entry begins there
            } else if target.entry == at {
                if wanted.get(target.wanted).is_some() {
                    let (function, block) = self.enclosing(unit, &above, at)?;
                    note(target.wanted, Scope { unit: hash(&name), function, block, nth: at.0 as u64 });
                }
                left.next();
            }
            above.push(at);
            let next = sibling(&mut raw, abbreviation)?;
            let goal = left.peek().map(|target| target.entry);
            if let Some(next) = next.filter(|next| *next > at && goal.is_some_and(|goal| *next <= goal)) {
                raw = unit.entries_raw(Some(next))?;
                level = depth;
            }
        }
        Ok(())
    }

    /// The innermost function of these entries, and the block in it: what is declared there beside the variable at `own`.
    fn enclosing(&self, unit: &Handle<'a>, above: &[UnitOffset], own: UnitOffset) -> Result<(u64, u64), Unknown> {
        let mut blocks = Vec::new();
        for at in above.iter().rev() {
            let entry = unit.entry(*at)?;
            match entry.tag() {
                c::DW_TAG_subprogram | c::DW_TAG_inlined_subroutine => {
                    let function = self.function_name(unit, *at, 0)?;
                    if function == LAMBDA || function.is_empty() {
                        blocks.push(*at);
                    }
                    return Ok((hash(&function), self.block(unit, &blocks, own)?));
                }
                c::DW_TAG_lexical_block => blocks.push(*at),
                _ => {}
            }
        }
        Ok((0, 0))
    }

    /// The blocks that a variable is in, by the names and types of what is in each. 0: that says nothing.
    fn block(&self, unit: &Handle<'a>, blocks: &[UnitOffset], own: UnitOffset) -> Result<u64, Unknown> {
        let Some(innermost) = blocks.first() else { return Ok(0) };
        let own = self.described(unit, own)?;
        // clang puts the variables of all blocks into that of the function.
        if self.declared_in(unit, *innermost)?.iter().filter(|(name, _)| *name == own.0).count() > 1 {
            return Ok(0);
        }
        let declared = blocks.iter().map(|block| self.declared_in(unit, *block)).collect::<Result<Vec<_>, _>>()?;
        Ok(hash(&(own, declared)))
    }

    fn declared_in(&self, unit: &Handle<'a>, block: UnitOffset) -> Result<Vec<(String, String)>, Unknown> {
        let mut variables = Vec::new();
        self.children(unit, block, &mut |child, level| {
            if child.tag() == c::DW_TAG_variable && level == 1 {
                variables.push(child.offset());
            }
            Ok(())
        })?;
        variables.into_iter().map(|variable| self.described(unit, variable)).collect()
    }

    /// A variable's name, and that of its type, as far as it has one.
    fn described(&self, unit: &Handle<'a>, variable: UnitOffset) -> Result<(String, String), Unknown> {
        let (unit, at) = self.declaration(unit, variable, 0)?;
        let entry = unit.entry(at)?;
        let ty = match entry.attr_value(c::DW_AT_type) {
            Some(ty) => {
                let (unit, at) = self.referred(&unit, ty)?;
                self.text(&unit, &unit.entry(at)?, c::DW_AT_name)
            }
            None => String::new(),
        };
        Ok((self.text(&unit, &entry, c::DW_AT_name), ty))
    }

    fn function_name(&self, unit: &Handle<'a>, at: UnitOffset, depth: u32) -> Result<String, Unknown> {
        let entry = unit.entry(at)?;
        let name = self.text(unit, &entry, c::DW_AT_name);
        if !name.is_empty() {
            return Ok(name);
        }
        match origin(&entry).filter(|_| depth < 8) {
            Some(origin) => {
                let (unit, at) = self.referred(unit, origin)?;
                self.function_name(&unit, at, depth + 1)
            }
            None => Ok(String::new()),
        }
    }
}

/// Reads the rest of an entry: where the next one on its level begins, if it says so.
pub(super) fn sibling<'a>(
    raw: &mut EntriesRaw<'_, super::Reader<'a>>,
    abbreviation: &Abbreviation,
) -> Result<Option<UnitOffset>, Unknown> {
    let attributes = abbreviation.attributes();
    let Some(index) = attributes.iter().position(|one| one.name() == c::DW_AT_sibling) else {
        raw.skip_attributes(attributes)?;
        return Ok(None);
    };
    let (before, rest) = attributes.split_at_checked(index).unwrap_or_default();
    raw.skip_attributes(before)?;
    let Some((own, behind)) = rest.split_first() else { return Ok(None) };
    let value = raw.read_attribute(*own)?.value();
    raw.skip_attributes(behind)?;
    Ok(match value {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    })
}

/// What the function of a lambda is called. Its symbol has a number, which changes with the lambdas in front of it. One
/// that clang has made a part of others has no name, if it has variables.
const LAMBDA: &str = "operator()";

/// The same in each build of the library, and for both images.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
