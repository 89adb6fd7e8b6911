//! How the saved state goes into another image: worked out while the old one is still the better choice.

use super::matching::{Evidence, Fate, Matching};
use super::pointers::{self, Goal, Images};
use super::renames;
use super::report::Report;
use super::side::Side;
use super::snapshot::{Origin, Snapshot};
use super::typed::{Typed, Whose};
use crate::abi::{cr_entry_kind, cr_mode};
use crate::error::Error;
use crate::image::debug::{self, Scope};
use crate::image::{Image, Section, SectionKind, Source, Target, Variable};
use std::collections::HashMap;
use std::rc::Rc;

/// The image that the state is to go into, and the rules.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) version: u32,
    pub(crate) image: &'a Rc<Image>,
    /// Its file, and that of the image that the state is of.
    pub(crate) files: &'a dyn Files,
    pub(crate) mode: cr_mode,
    /// Only what is tagged is state.
    pub(crate) tagged_only: bool,
}

/// The copies of two versions. They are opened when something of them is asked for; None: that cannot be done any more.
pub(crate) trait Files {
    fn old_file(&self) -> Option<Source<'_>>;
    fn new_file(&self) -> Option<Source<'_>>;

    /// The machine that both are for.
    fn target(&self) -> Target {
        Target::native()
    }
}

/// What is to be done, and what is said of it.
pub(crate) struct Plan<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) origin: &'a Origin,
    /// None: whole sections are moved, one of the images is stripped.
    pub(super) variables: Option<Variables<'a>>,
    pub(super) report: Report,
    pub(super) sections: Vec<Section>,
    version: u32,
    same: bool,
}

/// Variable by variable.
pub(super) struct Variables<'a> {
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    pub(super) matching: Matching,
    /// None: one of the images has no debug information.
    pub(super) types: Option<Typed>,
    /// Where pointers into the old image go. None: they stay as they are.
    pub(super) goals: Option<HashMap<u64, Goal>>,
    /// It is the very image that the state is of.
    pub(super) same: bool,
}

impl<'a> Plan<'a> {
    /// Makes a plan for a snapshot that is not empty. The error says which variable does not fit under the mode.
    pub(crate) fn new(snapshot: &'a Snapshot, to: Destination<'a>) -> Result<Plan<'a>, Error> {
        let origin = snapshot.origin().ok_or(Error::Internal("there is no state to move"))?;
        let sections: Vec<Section> = to.image.state.iter().filter(|s| is_carried(s, to.tagged_only)).cloned().collect();
        let same = Rc::ptr_eq(&origin.image, to.image);
        let variables = match sides(origin, &to) {
            Some((old, new)) => Some(Variables::new(old, new, same, snapshot, &to)?),
            None => {
                if !same {
                    snapshot.check(&sections, to.mode)?;
                }
                None
            }
        };
        let mut report = Report::new(origin.version, to.version, variables.is_some());
        let damage = variables.as_ref().and_then(|variables| variables.types.as_ref()?.damage());
        if let Some(damage) = damage {
            report.explain(cr_entry_kind::CR_ENTRY_DROPPED, "debug information", (0, 0), &damage);
        }
        Ok(Plan { snapshot, origin, variables, report, sections, version: to.version, same })
    }
}

/// Reads what the next plan will ask of this image, if the next build overwrites the files that it is read from.
pub(crate) fn foresee(snapshot: &Snapshot, to: &Destination<'_>) {
    let is_debug = to.image.listing.as_ref().is_some_and(|listing| listing.debug);
    if is_debug
        && to.files.new_file().is_some_and(debug::is_overwritten)
        && let Some(side) = side(to.image, to.tagged_only)
    {
        snapshot.types.foresee(Whose { image: to.image, file: &|| to.files.new_file(), side: &side });
    }
}

fn is_carried(section: &Section, tagged_only: bool) -> bool {
    !tagged_only || section.kind == SectionKind::Tagged
}

/// The variables of both images. None if one of them does not say, or says nonsense.
fn sides<'a>(origin: &'a Origin, to: &Destination<'a>) -> Option<(Side<'a>, Side<'a>)> {
    Some((side(&origin.image, to.tagged_only)?, side(to.image, to.tagged_only)?))
}

fn side(image: &Image, tagged_only: bool) -> Option<Side<'_>> {
    let sections: Vec<Section> = image.state.iter().filter(|s| is_carried(s, tagged_only)).cloned().collect();
    Side::of(image, &sections)
}

impl<'a> Variables<'a> {
    fn new(
        old: Side<'a>,
        new: Side<'a>,
        same: bool,
        snapshot: &Snapshot,
        to: &Destination<'a>,
    ) -> Result<Variables<'a>, Error> {
        let matching = if same {
            Matching::same(&old)
        } else {
            let renamed = to.image.listing.as_ref().map_or(&[][..], |listing| &listing.renamed);
            let evidence = FromFiles { snapshot, to, old: &old, new: &new };
            Matching::of(&old, &new, &renames::parse(renamed), &evidence)
        };
        let mut variables = Variables { old, new, matching, types: None, goals: None, same };
        if !same {
            variables.types = variables.read_types(snapshot, to);
            if to.image.listing.as_ref().is_some_and(|listing| listing.padded) {
                variables.trim();
            }
            variables.check(snapshot, to.mode)?;
        }
        if to.mode != cr_mode::CR_SAFEST {
            variables.goals = variables.resolve(snapshot, to);
        }
        Ok(variables)
    }

    fn read_types(&self, snapshot: &Snapshot, to: &Destination<'a>) -> Option<Typed> {
        let files = (|| to.files.old_file(), || to.files.new_file());
        let old = Whose { image: &snapshot.origin()?.image, file: &files.0, side: &self.old };
        let new = Whose { image: to.image, file: &files.1, side: &self.new };
        Typed::read(&snapshot.types, old, new, &self.matching)
    }

    /// Takes the padding off that counts as a part of variables where only their addresses are known.
    fn trim(&mut self) {
        let Some(types) = &self.types else { return };
        for (index, fate) in (0..).zip(&self.matching.new_of) {
            if let (Fate::Is(new), Some((had, has))) = (fate, types.sizes(index)) {
                self.old.trim(index, had);
                self.new.trim(*new, has);
            }
        }
    }

    /// The pairs that are moved.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u32, &Variable<'a>, u32, &Variable<'a>)> {
        (0..).zip(&self.old.variables).zip(&self.matching.new_of).filter_map(|((index, old), fate)| match fate {
            Fate::Is(new) => self.new.get(*new).map(|variable| (index, old, *new, variable)),
            _ => None,
        })
    }

    /// Has the programmer said, in one of the versions, that it is state?
    pub(super) fn is_tagged(&self, old: u32, new: u32) -> bool {
        self.old.kind(old) == SectionKind::Tagged || self.new.kind(new) == SectionKind::Tagged
    }

    /// Is the state right for the mode? Zero-initialised memory that is still zero is no state.
    fn check(&self, snapshot: &Snapshot, mode: cr_mode) -> Result<(), Error> {
        let mode_name = match mode {
            cr_mode::CR_SAFEST => "CR_SAFEST",
            cr_mode::CR_SAFE => "CR_SAFE",
            cr_mode::CR_UNSAFE | cr_mode::CR_DISABLE => return Ok(()),
        };
        let safest = mode == cr_mode::CR_SAFEST;
        for ((index, old), fate) in (0..).zip(&self.old.variables).zip(&self.matching.new_of) {
            let reason = match fate {
                Fate::Runtime => continue,
                Fate::Is(new) => match self.new.get(*new) {
                    Some(new) if new.place.size != old.place.size => {
                        format!("was {} bytes, is {}", old.place.size, new.place.size)
                    }
                    Some(new) => match self.other_type(index) {
                        Some((was, is)) if was == is => format!("has a type {is} that is another one now"),
                        Some((was, is)) => format!("has another type: {was} is now {is}"),
                        None if safest && new.place.address != old.place.address => {
                            format!("was at {:#x}, is at {:#x}", old.place.address, new.place.address)
                        }
                        None => continue,
                    },
                    None => continue,
                },
                Fate::Gone if safest => "is not there any more".to_owned(),
                Fate::Ambiguous if safest => "is one of several that it could be now".to_owned(),
                Fate::Gone | Fate::Ambiguous => continue,
            };
            let bytes = snapshot.bytes(old.place.address, old.place.size).unwrap_or_default();
            if self.old.kind(index) == SectionKind::Tagged || bytes.iter().any(|byte| *byte != 0) {
                let name = super::names::readable(&old.name).into_owned();
                return Err(Error::State { mode: mode_name, name, reason });
            }
        }
        Ok(())
    }

    /// What the type of a variable was called and is, if it is not the same any more.
    fn other_type(&self, old: u32) -> Option<(&str, &str)> {
        let types = self.types.as_ref()?;
        let pair = types.get(old)?;
        types.has_changed(pair).then(|| types.names(pair))
    }

    /// Where the pointers in the variables that are carried go.
    fn resolve(&self, snapshot: &Snapshot, to: &Destination<'a>) -> Option<HashMap<u64, Goal>> {
        let origin = snapshot.origin()?;
        if self.same {
            let stays = |to: u64| Goal::found(to, String::new());
            return Some(origin.pointers.iter().map(|pointer| (pointer.to, stays(pointer.to))).collect());
        }
        let mut targets = Vec::new();
        let mut texts = HashMap::new();
        for (_, old, _, _) in self.pairs() {
            for pointer in pointers::within(&origin.pointers, old.place.address, old.place.size) {
                targets.push(pointer.to);
                if super::names::is_rust(&old.name) {
                    let length = snapshot.word(pointer.at + super::snapshot::WORD);
                    texts.entry(pointer.to).or_insert(length);
                }
            }
        }
        targets.sort_unstable();
        targets.dedup();
        if targets.is_empty() {
            return None;
        }
        let images = Images {
            files: to.files,
            target: to.files.target(),
            old_side: &self.old,
            new_side: &self.new,
            matching: &self.matching,
            types: self.types.as_ref(),
        };
        Some(pointers::resolve(&images, &targets, &|to| *texts.get(&to)?))
    }
}

/// What the copies of both versions say of variables that have one name.
struct FromFiles<'f, 'a> {
    snapshot: &'f Snapshot,
    to: &'f Destination<'a>,
    old: &'f Side<'a>,
    new: &'f Side<'a>,
}

impl Evidence for FromFiles<'_, '_> {
    fn is_same_image(&self) -> bool {
        let files = self.to.files;
        files.old_file().zip(files.new_file()).is_some_and(|(old, new)| old.is_same(&new))
    }

    fn scopes(&self, of_old: &[u32], of_new: &[u32]) -> [HashMap<u32, Scope>; 2] {
        let Some(origin) = self.snapshot.origin() else { return Default::default() };
        let files = (|| self.to.files.old_file(), || self.to.files.new_file());
        let before = Whose { image: &origin.image, file: &files.0, side: self.old };
        let after = Whose { image: self.to.image, file: &files.1, side: self.new };
        [self.snapshot.types.scopes(before, of_old), self.snapshot.types.scopes(after, of_new)]
    }
}

impl Plan<'_> {
    /// The report, to be kept when the plan has been carried out.
    pub(crate) fn take_report(&mut self) -> Report {
        std::mem::take(&mut self.report)
    }

    /// The versions that the state is of and that it goes into.
    pub(super) fn versions(&self) -> (u32, u32) {
        (self.origin.version, self.version)
    }

    /// Does the state go back to where it came from?
    pub(crate) fn is_for_the_same_image(&self) -> bool {
        self.same
    }
}

/// Puts the entry of a refused variable into a report of its own.
pub(crate) fn refusal(old_version: u32, new_version: u32, error: &Error) -> Report {
    let mut report = Report::new(old_version, new_version, true);
    if let Error::State { name, reason, .. } = error {
        report.explain(cr_entry_kind::CR_ENTRY_REFUSED, name, (0, 0), reason);
    }
    report
}
