//! The variables of one version, ready to be matched with those of another.

use super::names::{self, Key, Order};
use crate::image::{Image, Kind, Place, Section, SectionKind, Variable};
use std::borrow::Cow;
use std::collections::HashMap;

/// What one image has to carry, or a place for.
#[derive(Default)]
pub(super) struct Side<'a> {
    /// In the order of their addresses; those of the run-time are left out.
    pub(super) variables: Vec<Variable<'a>>,
    /// Other names of them (aliases, and what has a version by `.symver`), by their index.
    pub(super) aliases: Vec<(u32, Cow<'a, str>)>,
    /// The section of each.
    pub(super) kinds: Vec<SectionKind>,
    /// Guards of variables that are constructed when they are used first: address and size, by the variable's name.
    pub(super) guards: HashMap<String, (u64, u64)>,
    pub(super) thread_locals: Vec<Variable<'a>>,
}

impl<'a> Side<'a> {
    /// The variables of an image in these sections, which are some of its own. `None`: it is stripped.
    pub(super) fn of(image: &'a Image, sections: &[Section]) -> Option<Side<'a>> {
        let section = |place: &Place| {
            let within = |s: &&Section| s.address <= place.address && place.address - s.address < s.size;
            sections.iter().find(within)
        };
        let listing = image.listing.as_ref()?;
        let variables = listing.variables();
        let mut side = Side::default();
        side.variables.reserve(variables.len());
        side.kinds.reserve(variables.len());
        for variable in variables {
            let place = variable.place;
            if place.kind == Kind::ThreadLocal {
                side.thread_locals.push(variable);
                continue;
            }
            let Some(section) = section(&place) else { continue };
            if let Some(constructed) = names::guarded(&variable.name) {
                side.guards.insert(constructed, (place.address, place.size));
            } else if side.variables.last().is_none_or(|last| last.place.address != place.address) {
                side.kinds.push(section.kind);
                side.variables.push(variable);
            } else if !place.local || !listing.padded {
                // Where sizes are not known, labels of the compiler look like static variables.
                side.aliases.push(((side.variables.len() - 1) as u32, variable.name));
            }
        }
        Some(side)
    }

    pub(super) fn kind(&self, index: u32) -> SectionKind {
        self.kinds.get(index as usize).copied().unwrap_or(SectionKind::Zero)
    }

    pub(super) fn get(&self, index: u32) -> Option<&Variable<'a>> {
        self.variables.get(index as usize)
    }

    /// It is no larger than this.
    pub(super) fn trim(&mut self, index: u32, size: u64) {
        if let Some(variable) = self.variables.get_mut(index as usize) {
            variable.place.size = variable.place.size.min(size);
        }
    }

    /// The names by which they are matched. The run-time's variables have none.
    pub(super) fn keys(&self) -> Vec<Option<(Key<'_>, Order)>> {
        let key = |variable| {
            let (key, order) = names::key(variable_name(variable));
            (!names::is_runtime(variable, &key.base)).then_some((key, order))
        };
        self.variables.iter().map(key).collect()
    }
}

fn variable_name<'v>(variable: &'v Variable<'_>) -> &'v str {
    &variable.name
}
