//! The plan carried out: bytes into the new image, where they belong.

use super::convert::{Note, What};
use super::matching::{Claim, Fate};
use super::names;
use super::plan::{Plan, Variables};
use super::pointers;
use super::report::Report;
use super::snapshot::{Origin, Snapshot};
use super::typed::{Pair, Typed};
use crate::abi::cr_entry_kind::{
    CR_ENTRY_CARRIED, CR_ENTRY_CONVERTED, CR_ENTRY_DANGLING, CR_ENTRY_DROPPED, CR_ENTRY_INITIALISED,
    CR_ENTRY_REDIRECTED,
};
use crate::image::debug::is_merged;
use crate::image::types::Word;
use crate::image::{Section, Variable};
use core::ffi::CStr;

/// The image that the state goes into, in memory, its constructors have run.
pub(crate) struct Loaded<'a> {
    pub(crate) base: usize,
    /// Objects of it that have destructors, if that is known.
    pub(crate) destructible: Option<&'a [u64]>,
}

impl Plan<'_> {
    /// Writes the state into the new image.
    ///
    /// # Safety
    /// The image that the plan was made for is loaded at `to.base`, and nothing uses its state meanwhile.
    pub(crate) unsafe fn carry_out(&mut self, to: &Loaded<'_>) {
        let Plan { snapshot, origin, variables, report, sections, .. } = self;
        match variables {
            None => {
                // SAFETY: the caller's promise.
                unsafe { snapshot.restore(to.base, sections) };
                for (old, new) in snapshot.pairs(sections) {
                    let reason = c"an image is stripped: the section is moved as a whole";
                    report.add(CR_ENTRY_CARRIED, &old.name, (old.size, new.size), reason);
                }
            }
            Some(variables) => {
                let mut carrier = Carrier { snapshot, origin, variables, report, sections, to };
                // SAFETY: the caller's promise.
                unsafe { carrier.run() };
            }
        }
    }
}

/// Why a variable is not carried that nothing but its name tells from others.
const SEVERAL: &CStr = c"several variables have its name, and which of them it is cannot be told";

/// Why several are not carried, see [`is_merged`].
const TOGETHER: &CStr =
    c"the compiler has put several variables into one, and which they are has changed or cannot be told";

struct Carrier<'c, 'a> {
    snapshot: &'c Snapshot,
    origin: &'c Origin,
    variables: &'c Variables<'a>,
    report: &'c mut Report,
    sections: &'c [Section],
    to: &'c Loaded<'c>,
}

impl<'c> Carrier<'c, '_> {
    /// # Safety
    /// As [`Plan::carry_out`].
    unsafe fn run(&mut self) {
        let variables = self.variables;
        for ((index, old), fate) in (0..).zip(&variables.old.variables).zip(&variables.matching.new_of) {
            let sizes = (old.place.size, 0);
            match fate {
                Fate::Runtime => {}
                Fate::Is(new_index) => {
                    if let Some(new) = variables.new.get(*new_index) {
                        // SAFETY: the caller's promise.
                        unsafe { self.variable(index, old, *new_index, new) };
                    }
                }
                Fate::Gone | Fate::Ambiguous if is_merged(&old.name) => {
                    self.report.add(CR_ENTRY_DROPPED, &old.name, sizes, TOGETHER);
                }
                Fate::Gone => self.report.add(CR_ENTRY_DROPPED, &old.name, sizes, c""),
                Fate::Ambiguous => self.report.add(CR_ENTRY_DROPPED, &old.name, sizes, SEVERAL),
            }
        }
        for (new, claim) in variables.new.variables.iter().zip(&variables.matching.claims) {
            let reason = match claim {
                Claim::Taken => continue,
                _ if is_merged(&new.name) => TOGETHER,
                Claim::Free => c"it is new",
                Claim::Doubtful => SEVERAL,
            };
            self.report.add(CR_ENTRY_INITIALISED, &new.name, (0, new.place.size), reason);
        }
        for new in &variables.new.thread_locals {
            if !names::is_runtime_name(&new.name) {
                let reason = c"it is thread-local: each version begins anew";
                self.report.add(CR_ENTRY_INITIALISED, &new.name, (0, new.place.size), reason);
            }
        }
    }

    /// # Safety
    /// As [`Plan::carry_out`].
    unsafe fn variable(&mut self, old_index: u32, old: &Variable<'_>, new_index: u32, new: &Variable<'_>) {
        let sizes = (old.place.size, new.place.size);
        // What is not among the saved sections is not state.
        let Some(bytes) = self.snapshot.bytes(old.place.address, old.place.size) else { return };
        let types = self.variables.types.as_ref();
        if types.is_some_and(|types| types.is_other_form(old.place.address, new.place.address)) {
            let reason = c"the compiler keeps it in a form of its own, which has changed";
            return self.report.add(CR_ENTRY_INITIALISED, &new.name, sizes, reason);
        }
        let at = self.to.base.wrapping_add(new.place.address as usize) as *mut u8;
        let tagged = self.variables.is_tagged(old_index, new_index);
        let pair = types.and_then(|types| Some((types, types.get(old_index)?)));
        let object = self.is_object(old, new, pair);
        // SAFETY: it lies in a section of the image, which is mapped, and nobody else uses it (the caller's promise).
        let initial = unsafe { core::slice::from_raw_parts_mut(at, new.place.size as usize) };
        if !tagged {
            if object == Some(true) {
                let reason = c"it is an object, not only bytes; CR_STATE would keep them";
                return self.report.add(CR_ENTRY_INITIALISED, &new.name, sizes, reason);
            }
            // Among the C runtime's own, some are plain bytes, but of what the old image has given back by now.
            let bytes_only = object.is_some() && !self.is_among_the_runtimes(new);
            if !bytes_only && initial.iter().any(|byte| *byte != 0) {
                let reason = c"a constructor has set it";
                return self.report.add(CR_ENTRY_INITIALISED, &new.name, sizes, reason);
            }
        }
        if let Some((types, pair)) = pair.filter(|(types, pair)| types.has_changed(*pair))
            && self.convert((old, bytes), (new, initial), types, pair)
        {
            // SAFETY: the caller's promise.
            return unsafe { self.guard(old, new) };
        }
        copy(bytes, initial);
        if old.place.size > new.place.size {
            self.report.add(CR_ENTRY_CONVERTED, &new.name, sizes, c"its end is cut off: it is smaller now");
        } else if old.place.size < new.place.size {
            self.report.add(CR_ENTRY_CONVERTED, &new.name, sizes, c"it is larger now: its end has its initial value");
        } else if object == Some(true) {
            let reason = c"it is an object, but tagged: its bytes were kept";
            self.report.add(CR_ENTRY_CARRIED, &new.name, sizes, reason);
        } else {
            self.report.add(CR_ENTRY_CARRIED, &new.name, sizes, c"");
        }
        // SAFETY: the caller's promise.
        unsafe { self.guard(old, new) };
        self.redirect(old, new, pair, initial);
    }

    /// Converts the value of a variable whose type has changed. False: the types make no sense, nothing is done.
    fn convert(
        &mut self,
        (old, bytes): (&Variable<'_>, &[u8]),
        (new, to): (&Variable<'_>, &mut [u8]),
        types: &Typed,
        pair: Pair,
    ) -> bool {
        let initial = to.to_vec();
        let mut from = bytes.to_vec();
        let name = names::readable(&new.name);
        let mut notes = Vec::new();
        let tallies = self.point(old, Some((types, pair)), &mut from);
        if !types.convert(pair, &name, &from, to, &mut |note| notes.push(note)) {
            to.copy_from_slice(&initial);
            return false;
        }
        let nothing = |note: &Note| note.what == What::Initialised && note.path == name;
        let kind =
            if matches!(&notes[..], [only] if nothing(only)) { CR_ENTRY_INITIALISED } else { CR_ENTRY_CONVERTED };
        let told = |note: &Note| {
            if note.path == name { note.why.clone() } else { format!("{}: {}", note.path, note.why) }
        };
        let reason = notes.iter().map(told).collect::<Vec<_>>().join("; ");
        self.report.explain(kind, &new.name, (old.place.size, new.place.size), &reason);
        self.tell(old, new, tallies);
        true
    }

    /// Does it lie where variables of the C runtime do, too?
    fn is_among_the_runtimes(&self, new: &Variable<'_>) -> bool {
        let address = new.place.address;
        let has = |section: &Section| section.address <= address && address - section.address < section.size;
        self.sections.iter().any(|section| section.runtime && has(section))
    }

    /// Is it more than its bytes: has it a destructor, or a type that cannot be copied? None: that cannot be seen.
    fn is_object(&self, old: &Variable<'_>, new: &Variable<'_>, types: Option<(&Typed, Pair)>) -> Option<bool> {
        let trivial = types.map(|(types, pair)| types.is_trivial(pair));
        if trivial == Some(false) {
            return Some(true);
        }
        let registered = self.has_destructor(old, new);
        if registered == Some(true) { registered } else { registered.or(trivial.map(|trivial| !trivial)) }
    }

    /// Has it registered a destructor? None: that is not known.
    fn has_destructor(&self, old: &Variable<'_>, new: &Variable<'_>) -> Option<bool> {
        let before = self.origin.destructed.as_deref()?;
        let after = self.to.destructible?;
        // Those of its members and elements are registered with their own addresses by some compilers.
        let has = |objects: &[u64], variable: &Variable<'_>| {
            let place = variable.place;
            let at = objects.partition_point(|object| *object < place.address);
            objects.get(at).is_some_and(|object| object - place.address < place.size)
        };
        Some(has(before, old) || has(after, new))
    }

    /// A variable that keeps its value is not to be constructed again when it is used next.
    ///
    /// # Safety
    /// As [`Plan::carry_out`].
    unsafe fn guard(&mut self, old: &Variable<'_>, new: &Variable<'_>) {
        let Variables { old: before, new: after, .. } = self.variables;
        if before.guards.is_empty() {
            return;
        }
        let (Some((from, old_size)), Some((to, new_size))) =
            (before.guards.get(&*old.name), after.guards.get(&*new.name))
        else {
            return;
        };
        if let Some(bytes) = self.snapshot.bytes(*from, (*old_size).min(*new_size)) {
            let at = self.to.base.wrapping_add(*to as usize) as *mut u8;
            // SAFETY: the guard lies in a section of the image, and is as large.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        }
    }

    /// Makes the pointers that have been copied to `to` point to where they belong now.
    fn redirect(&mut self, old: &Variable<'_>, new: &Variable<'_>, types: Option<(&Typed, Pair)>, to: &mut [u8]) {
        let size = to.len().min(old.place.size as usize);
        let tallies = self.point(old, types, to.get_mut(..size).unwrap_or_default());
        self.tell(old, new, tallies);
    }

    /// The same in a copy of the old bytes, or of the first of them.
    fn point(&self, old: &Variable<'_>, types: Option<(&Typed, Pair)>, bytes: &mut [u8]) -> Tallies<'c> {
        let mut tallies = Tallies::default();
        let Some(goals) = &self.variables.goals else { return tallies };
        for pointer in pointers::within(&self.origin.pointers, old.place.address, bytes.len() as u64) {
            let offset = pointer.at - old.place.address;
            let word = types.map_or(Word::Pointer, |(types, pair)| types.word_at(pair, offset));
            let Some(goal) = goals.get(&pointer.to).filter(|_| word != Word::Other) else { continue };
            let was = self.origin.base.wrapping_add(pointer.to as usize);
            let within = match (goal.inside, &self.variables.types) {
                (Some((thing, inside)), Some(all)) => all.follow(thing, inside, types.map(|(_, pair)| (pair, offset))),
                _ => Some(0),
            };
            let is = goal.address.zip(within);
            let is = is.map(|(address, within)| self.to.base.wrapping_add(address.wrapping_add(within) as usize));
            // Bytes that may be anything are only changed where it is plain what they are.
            if is.is_none() || (is != Some(was) && word == Word::Raw && !goal.landmark) {
                tallies.dangling.note(&goal.what);
            } else if let Some(is) = is.filter(|is| *is != was)
                && let Some(word) = bytes.get_mut(offset as usize..).and_then(|rest| rest.first_chunk_mut())
            {
                *word = is.to_ne_bytes();
                tallies.redirected.note(&goal.what);
            }
        }
        tallies
    }

    fn tell(&mut self, old: &Variable<'_>, new: &Variable<'_>, tallies: Tallies<'_>) {
        let sizes = (old.place.size, new.place.size);
        if !self.variables.same {
            tallies.redirected.tell(self.report, CR_ENTRY_REDIRECTED, &new.name, sizes);
        }
        tallies.dangling.tell(self.report, CR_ENTRY_DANGLING, &new.name, sizes);
    }
}

/// Copies as much as both have. Whole pages of zeros that are zero already are left alone: they need not exist.
fn copy(from: &[u8], to: &mut [u8]) {
    const PAGE: usize = 4096;
    for (from, to) in from.chunks(PAGE).zip(to.chunks_mut(PAGE)) {
        let size = from.len().min(to.len());
        let (Some(from), Some(to)) = (from.get(..size), to.get_mut(..size)) else { return };
        if size < PAGE || !is_zero(from) || !is_zero(to) {
            to.copy_from_slice(from);
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| *word == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}

/// The pointers of a variable.
#[derive(Default)]
struct Tallies<'g> {
    redirected: Tally<'g>,
    dangling: Tally<'g>,
}

/// So many pointers of a variable, and what the first one points to.
#[derive(Default)]
struct Tally<'g> {
    count: usize,
    first: Option<&'g str>,
}

impl<'g> Tally<'g> {
    fn note(&mut self, what: &'g str) {
        self.count += 1;
        self.first.get_or_insert(what);
    }

    fn tell(&self, report: &mut Report, kind: crate::abi::cr_entry_kind, symbol: &str, sizes: (u64, u64)) {
        let Some(first) = self.first else { return };
        let reason = match self.count {
            1 => format!("to {first}"),
            count => format!("{count}, the first to {first}"),
        };
        report.explain(kind, symbol, sizes, &reason);
    }
}
