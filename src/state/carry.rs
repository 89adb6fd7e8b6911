//! The plan carried out: bytes into the new image, where they belong.

use super::matching::Fate;
use super::names;
use super::plan::{Plan, Variables};
use super::pointers::{self, Goal};
use super::report::Report;
use super::snapshot::{Origin, Snapshot, WORD};
use crate::abi::cr_entry_kind::{
    CR_ENTRY_CARRIED, CR_ENTRY_CONVERTED, CR_ENTRY_DANGLING, CR_ENTRY_DROPPED, CR_ENTRY_INITIALISED,
    CR_ENTRY_REDIRECTED,
};
use crate::image::Variable;

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
                let mut carrier = Carrier { snapshot, origin, variables, report, to };
                // SAFETY: the caller's promise.
                unsafe { carrier.run() };
            }
        }
    }
}

struct Carrier<'c, 'a> {
    snapshot: &'c Snapshot,
    origin: &'c Origin,
    variables: &'c Variables<'a>,
    report: &'c mut Report,
    to: &'c Loaded<'c>,
}

impl Carrier<'_, '_> {
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
                Fate::Gone => self.report.add(CR_ENTRY_DROPPED, &old.name, sizes, c""),
                Fate::Ambiguous => {
                    let reason = c"several variables have its name, and which of them it is now cannot be told";
                    self.report.add(CR_ENTRY_DROPPED, &old.name, sizes, reason);
                }
            }
        }
        for (new, taken) in variables.new.variables.iter().zip(&variables.matching.taken) {
            if !taken {
                self.report.add(CR_ENTRY_INITIALISED, &new.name, (0, new.place.size), c"it is new");
            }
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
        let at = self.to.base.wrapping_add(new.place.address as usize) as *mut u8;
        let tagged = self.variables.is_tagged(old_index, new_index);
        let object = self.is_object(old, new);
        if !tagged {
            if object == Some(true) {
                let reason = c"it is an object whose destructor has run; CR_STATE would keep its bytes";
                return self.report.add(CR_ENTRY_INITIALISED, &new.name, sizes, reason);
            }
            // SAFETY: it lies in a section of the image, which is mapped (the caller's promise).
            let initial = unsafe { core::slice::from_raw_parts(at, new.place.size as usize) };
            if object.is_none() && initial.iter().any(|byte| *byte != 0) {
                let reason = c"a constructor has set it";
                return self.report.add(CR_ENTRY_INITIALISED, &new.name, sizes, reason);
            }
        }
        let size = bytes.len().min(new.place.size as usize);
        // SAFETY: both sides have as many bytes, and nothing uses the new ones (the caller's promise).
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at, size) };
        if old.place.size > new.place.size {
            self.report.add(CR_ENTRY_CONVERTED, &new.name, sizes, c"its end is cut off: it is smaller now");
        } else if old.place.size < new.place.size {
            self.report.add(CR_ENTRY_CONVERTED, &new.name, sizes, c"it is larger now: its end has its initial value");
        } else if object == Some(true) {
            let reason = c"its destructor has run, but it is tagged: its bytes were kept";
            self.report.add(CR_ENTRY_CARRIED, &new.name, sizes, reason);
        } else {
            self.report.add(CR_ENTRY_CARRIED, &new.name, sizes, c"");
        }
        // SAFETY: the caller's promise.
        unsafe { self.guard(old, new) };
        // SAFETY: the caller's promise, and `size` bytes of it have been written.
        unsafe { self.pointers(old, new, size as u64) };
    }

    /// Has it a destructor? None: that cannot be seen.
    fn is_object(&self, old: &Variable<'_>, new: &Variable<'_>) -> Option<bool> {
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

    /// Makes the pointers that have been copied point to where they belong now.
    ///
    /// # Safety
    /// As [`Plan::carry_out`].
    unsafe fn pointers(&mut self, old: &Variable<'_>, new: &Variable<'_>, size: u64) {
        let Some(goals) = &self.variables.goals else { return };
        let mut redirected = Tally::default();
        let mut dangling = Tally::default();
        for pointer in pointers::within(&self.origin.pointers, old.place.address, size) {
            if pointer.at + WORD > old.place.address + size {
                break;
            }
            let was = self.origin.base.wrapping_add(pointer.to as usize);
            match goals.get(&pointer.to) {
                Some(Goal::Found { address, what }) => {
                    let goal = self.to.base.wrapping_add(*address as usize);
                    if goal != was {
                        let place = new.place.address + (pointer.at - old.place.address);
                        let at = self.to.base.wrapping_add(place as usize) as *mut usize;
                        // SAFETY: a word of what has been written; it may not be aligned any more.
                        unsafe { at.write_unaligned(goal) };
                        redirected.note(what);
                    }
                }
                Some(Goal::Lost { what }) => dangling.note(what),
                None => {}
            }
        }
        let sizes = (old.place.size, new.place.size);
        if !self.variables.same {
            redirected.tell(self.report, CR_ENTRY_REDIRECTED, &new.name, sizes);
        }
        dangling.tell(self.report, CR_ENTRY_DANGLING, &new.name, sizes);
    }
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
