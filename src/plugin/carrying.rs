//! The state of the guest on its way from one version to another.

use super::Plugin;
use crate::abi::{cr_mode, cr_state_report};
use crate::context::Context;
use crate::error::Error;
use crate::image::{self, Image, Source, Target};
use crate::loaded::Loaded;
use crate::state::{self, Destination, Live, Migration, Plan, Report, Snapshot};
use crate::versions::Version;
use core::cell::OnceCell;
use memmap2::Mmap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The copies of the version that the state is of and of the one that it goes into.
pub(super) struct Files {
    old: Copy,
    new: Copy,
    /// The file that they are copies of, beside which is what belongs to it.
    original: PathBuf,
}

/// A version's file, in memory from when it is asked for. One that cannot be read any more says nothing.
struct Copy {
    version: Option<Rc<Version>>,
    bytes: OnceCell<Option<Mmap>>,
}

impl Copy {
    fn of(version: Option<Rc<Version>>) -> Copy {
        Copy { version, bytes: OnceCell::new() }
    }

    fn source<'s>(&'s self, original: &'s Path) -> Option<Source<'s>> {
        let version = self.version.as_ref()?;
        let bytes = self.bytes.get_or_init(|| version.map()).as_ref()?;
        Some(Source { bytes: image::own(bytes, Target::native()), path: original, pdb: version.pdb() })
    }
}

impl state::Files for Files {
    fn old_file(&self) -> Option<Source<'_>> {
        self.old.source(&self.original)
    }

    fn new_file(&self) -> Option<Source<'_>> {
        self.new.source(&self.original)
    }
}

impl Plugin {
    /// Makes room for the state of the version in memory.
    pub(super) fn reserve_state(&self) -> Result<(), Error> {
        match &*self.loaded.borrow() {
            Some(loaded) if self.mode != cr_mode::CR_DISABLE => {
                self.snapshot.borrow_mut().reserve(&loaded.image().state, self.state_only)
            }
            _ => Ok(()),
        }
    }

    /// Saves the state of the version in memory, for which room was made.
    pub(super) fn save_state(&self) {
        if let Some(loaded) = &*self.loaded.borrow()
            && self.mode != cr_mode::CR_DISABLE
        {
            let live = Live {
                version: loaded.number(),
                image: Rc::clone(loaded.image()),
                base: loaded.base(),
                destructible: loaded.destructible(),
                tagged_only: self.state_only,
            };
            // SAFETY: the image is loaded there with these sections, and none of its code is running on this thread.
            unsafe { self.snapshot.borrow_mut().save(live) };
        }
    }

    /// What a plan for this version may ask for.
    pub(super) fn files(&self, version: &Rc<Version>) -> Files {
        let old = self.snapshot.borrow().version().and_then(|old| self.versions.borrow().get(old));
        Files { old: Copy::of(old), new: Copy::of(Some(Rc::clone(version))), original: self.path.clone() }
    }

    /// How the saved state goes into this image, if there is one. A state that does not fit is an error, or, if
    /// `lenient`, dropped.
    pub(super) fn plan<'a>(
        &self,
        snapshot: &'a Snapshot,
        files: &'a Files,
        version: u32,
        image: &'a Rc<Image>,
        lenient: bool,
    ) -> Result<Option<Plan<'a>>, Error> {
        self.report.take();
        if self.mode == cr_mode::CR_DISABLE {
            return Ok(None);
        }
        let to = Destination { version, image, files, mode: self.mode, tagged_only: self.state_only };
        let plan = (!snapshot.is_empty()).then(|| Plan::new(snapshot, to)).transpose();
        state::foresee(snapshot, &to);
        match plan {
            Ok(plan) => Ok(plan),
            Err(error) if lenient => {
                self.info(|| format!("{error}: initial values are used"));
                Ok(None)
            }
            Err(error) => {
                self.keep_report(state::refusal(snapshot.version().unwrap_or(0), version, &error));
                Err(error)
            }
        }
    }

    /// Puts the state into the version in memory, whose constructors have run.
    pub(super) fn carry(&self, plan: &mut Plan<'_>, loaded: &Loaded) {
        let destructible = loaded.destructible().map(|mut objects| {
            objects.sort_unstable();
            objects
        });
        let place = state::Place { base: loaded.base(), destructible: destructible.as_deref() };
        // SAFETY: the image is loaded there with these sections, and none of its code is running.
        unsafe { plan.carry_out(&place) };
        self.keep_report(plan.take_report());
    }

    fn keep_report(&self, report: Report) {
        if self.log.is_some() {
            for line in report.lines() {
                self.info(|| line);
            }
        }
        self.report.replace(Some(report));
    }

    /// The guest may have something to do with its old state that only it can. None: it crashed.
    pub(super) fn migrate(&self, context: Context, plan: Option<&Plan<'_>>) -> Option<()> {
        let Some(plan) = plan.filter(|plan| !plan.is_for_the_same_image()) else { return Some(()) };
        let Some(function) = self.symbol(c"cr_migrate") else { return Some(()) };
        let base = self.loaded.borrow().as_ref().map_or(0, Loaded::base);
        let migration = Migration::new(plan, base);
        self.call_inside(context, "cr_migrate", || {
            // SAFETY: the contract with guests: what is exported under this name has this type. The version is loaded
            // as long as `entry` is set, and nothing unloads it while `inside` counts.
            unsafe { self.guard().call_migrate(function, context.as_ptr(), migration.raw()) }
        })
    }

    /// `cr_plugin_state_report`.
    pub(crate) fn state_report(&self) -> *const cr_state_report {
        self.report.borrow().as_ref().map_or(core::ptr::null(), |report| &raw const *report.shown())
    }
}
