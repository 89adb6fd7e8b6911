//! The life of a plugin: open, update, reload, roll back, close.
//!
//! The public fields of `cr_plugin` (version, failure, ...) are the state of the machine below, as in the original:
//! host and guest may write them, and the host may move the struct. What the library knows beyond them is in
//! [`Plugin`]. While guest code runs nothing of it is borrowed that a call of the guest, which has the same pointer,
//! could change: what would, is put off while `inside` counts.

mod carrying;
mod report;
mod request;
mod resident;

pub(crate) use report::c_text;
use report::fault_error;
use request::Asked;
use resident::DESTRUCTOR;

use crate::abi::{cr_answer, cr_event_type, cr_failure, cr_internal, cr_mode, cr_op};
use crate::candidate::{Candidate, Rejection};
use crate::context::Context;
use crate::crash::Crash;
use crate::error::Error;
use crate::event::Listener;
use crate::guard::Capture;
use crate::image::Expected;
use crate::loaded::{Entry, Loaded};
use crate::options::{self, Log, Options};
use crate::state::{Plan, Report, Snapshot};
use crate::symbol::Symbols;
use crate::sys::{self, FileId, FileKind, Library, fault, limit};
use crate::versions::Versions;
use crate::watch::{Seen, Watch};
use core::cell::{Cell, RefCell};
use core::ffi::{CStr, c_char, c_int};
use core::ptr::null_mut;
use std::collections::VecDeque;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// What `cr_plugin_update` returns after a failure in a step, and after one in a load or unload.
const STEP_FAILED: c_int = -1;
pub(crate) const LOAD_FAILED: c_int = -2;

const NONE: u32 = cr_failure::CR_NONE as u32;

/// What `cr_plugin.p` points to.
#[repr(C)]
pub(crate) struct Plugin {
    /// What hosts may look at. It is the first field.
    head: Cell<cr_internal>,
    fullname: CString,
    temppath: RefCell<CString>,
    path: PathBuf,
    mode: cr_mode,
    main_func: CString,
    log: Option<Log>,
    watch: RefCell<Watch>,
    versions: RefCell<Versions>,
    snapshot: RefCell<Snapshot>,
    /// What became of the state at the last reload.
    report: RefCell<Option<Report>>,
    state_only: bool,
    /// The version in memory, and its entry point within reach of the shortest path.
    loaded: RefCell<Option<Loaded>>,
    entry: Cell<Option<Entry>>,
    /// The failure that was reported last was only a notice: the version in memory is untouched.
    notice: Cell<bool>,
    /// A rollback has failed: no good version is in memory, so a new file is better than another try.
    down: Cell<bool>,
    /// The destructors of the version in memory have faulted when it was unloaded before.
    faulty_destructors: Cell<Option<u32>>,
    /// How many calls of the guest are under way, and what they have asked for.
    inside: Cell<u32>,
    asked: Cell<Asked>,
    error: RefCell<CString>,
    listener: Option<Listener>,
    /// What the host wants after the last crash.
    after_crash: Cell<cr_answer>,
    recover_forward: bool,
    build_lock: Option<CString>,
    /// A reload was asked for, whether the file has changed or not.
    requested: Cell<bool>,
    symbols: RefCell<Symbols>,
    /// Images of former versions that are to stay mapped, the oldest first, and how many of them.
    generations: RefCell<VecDeque<Library>>,
    keep_generations: usize,
    /// What the last crash has left, and what was noted of it. None: guest code is not guarded.
    capture: Option<Box<Capture>>,
    crash: RefCell<Option<Crash>>,
    /// How long a step may take, and what interrupts it.
    hang: Option<(limit::Hook, Duration)>,
    _hook: Option<fault::Hook>,
}

impl Plugin {
    /// Looks whether the file is there and prepares everything for the first update.
    pub(crate) fn open(path: &CStr, options: Options) -> Result<Box<Plugin>, Error> {
        let path = options::absolute(Path::new(&sys::os_str(path)));
        let fullname = sys::c_path(&path);
        let status = sys::stat(&fullname, None).map_err(|source| Error::Missing { path: path.clone(), source })?;
        if status.kind != FileKind::Regular {
            return Err(Error::NotAFile(path));
        }
        let build_lock = options.build_lock.path(&path).map(|path| sys::c_path(&path));
        let head = cr_internal { fullname: fullname.as_ptr(), temppath: c"".as_ptr(), handle: null_mut() };
        let plugin = Box::new(Plugin {
            head: Cell::new(head),
            watch: RefCell::new(Watch::new(fullname.clone(), options.watch)),
            fullname,
            temppath: RefCell::default(),
            versions: RefCell::new(Versions::new(path.clone(), options.temporary_path)),
            path,
            mode: options.mode,
            main_func: options.main_func,
            log: options.log,
            snapshot: RefCell::new(Snapshot::new(options.allocator)),
            report: RefCell::default(),
            state_only: options.state_only,
            loaded: RefCell::new(None),
            entry: Cell::new(None),
            notice: Cell::new(false),
            down: Cell::new(false),
            faulty_destructors: Cell::new(None),
            inside: Cell::new(0),
            asked: Cell::default(),
            error: RefCell::default(),
            listener: options.listener,
            after_crash: Cell::new(cr_answer::CR_GO_ON),
            recover_forward: options.recover_forward,
            build_lock,
            requested: Cell::new(false),
            symbols: RefCell::default(),
            generations: RefCell::default(),
            keep_generations: options.keep_generations,
            capture: options.guarded.then(Capture::new),
            crash: RefCell::default(),
            hang: options.hang_limit.map(|limit| Ok::<_, Error>((limit::Hook::new()?, limit))).transpose()?,
            _hook: options.guarded.then(fault::Hook::new),
        });
        plugin.show_temporary_path();
        plugin.trace("cr_plugin_open");
        Ok(plugin)
    }

    /// `cr_plugin_update`.
    #[inline]
    pub(crate) fn update(&self, context: Context, check: bool) -> c_int {
        // If the guest of this very plugin is calling, what it stands on is not taken away under its feet.
        let ready = if self.is_inside() { Ok(()) } else { self.make_ready(context, check) };
        match ready {
            Ok(()) => self.step(context),
            Err(failed) => failed,
        }
    }

    /// `cr_plugin_close`; what is left to do is to drop the plugin. False, and put off, while the guest is calling.
    pub(crate) fn close(&self, context: Context) -> bool {
        if self.is_inside() {
            self.asked.set(Asked { close: true, ..self.asked.get() });
            return false;
        }
        self.trace("cr_plugin_close");
        self.call(context, cr_op::CR_CLOSE);
        self.unload(context);
        // Before their files: those that are mapped may not be removed.
        self.generations.take();
        self.event(context, cr_event_type::CR_EVENT_CLOSED, context.version(), || "closed".into());
        true
    }

    /// `cr_set_temporary_path`.
    pub(crate) fn set_temporary_path(&self, path: &CStr) {
        self.versions.borrow_mut().set_directory(options::directory(path));
        self.show_temporary_path();
    }

    /// The text of the last failure; valid until the next one.
    pub(crate) fn error_text(&self) -> *const c_char {
        self.error.borrow().as_ptr()
    }

    /// Is a call of the guest under way?
    #[inline]
    fn is_inside(&self) -> bool {
        self.inside.get() > 0
    }

    /// Is there another file than the one that was last tried?
    pub(crate) fn changed(&self) -> bool {
        matches!(self.watch.borrow().look(), Seen::Changed(_))
    }

    /// Brings the plugin to the point where a step can be made: undoes a failure, or loads a new file.
    /// The error is what update returns.
    #[inline]
    fn make_ready(&self, context: Context, check: bool) -> Result<(), c_int> {
        let notice = self.notice.take();
        if context.failure() != NONE {
            if !notice {
                return self.recover(context, check);
            }
            context.set_failure(NONE);
        }
        if self.entry.get().is_none() || (check && self.changed()) || self.requested.get() {
            self.load(context, true)
        } else {
            Ok(())
        }
    }

    fn step(&self, context: Context) -> c_int {
        match self.call(context, cr_op::CR_STEP) {
            Some(value) if value < 0 => {
                self.user_failure(context, value, cr_op::CR_STEP);
                value
            }
            Some(value) => value,
            None => STEP_FAILED,
        }
    }

    /// After a failure: the version that `context.version` names is loaded again. Once that has failed, a new file
    /// goes first.
    fn recover(&self, context: Context, check: bool) -> Result<(), c_int> {
        let news = (check && self.changed()) || self.requested.get();
        match self.after_crash.get() {
            cr_answer::CR_RETRY => {
                self.after_crash.set(cr_answer::CR_GO_ON);
                self.load_now(context, false)
            }
            cr_answer::CR_STOP if news => self.load(context, false),
            cr_answer::CR_STOP => {
                self.unload(context);
                Err(LOAD_FAILED)
            }
            _ if news && self.down.get() => self.load(context, false),
            _ => self.roll_back(context),
        }
    }

    /// Is the reload put off, by the host's answer or by a build that is under way?
    fn is_put_off(&self, context: Context) -> bool {
        if self.build_lock.as_deref().is_some_and(|lock| sys::stat(lock, None).is_ok()) {
            return true;
        }
        let text = || format!("{} has changed", self.path.display());
        match self.event(context, cr_event_type::CR_EVENT_CHANGED, context.next_version(), text) {
            cr_answer::CR_DEFER => true,
            cr_answer::CR_SKIP => {
                self.requested.set(false);
                if let Ok(file) = sys::stat(&self.fullname, None) {
                    self.watch.borrow_mut().tried(file.id);
                }
                true
            }
            _ => false,
        }
    }

    /// Loads the file anew, unless that is put off. The running version is told (`CR_UNLOAD`), and its state saved, if
    /// `tell`.
    fn load(&self, context: Context, tell: bool) -> Result<(), c_int> {
        let first = context.next_version() <= 1;
        if !first && self.is_put_off(context) {
            let running = tell && self.entry.get().is_some();
            return if running { Ok(()) } else { Err(LOAD_FAILED) };
        }
        self.load_now(context, tell)
    }

    fn load_now(&self, context: Context, tell: bool) -> Result<(), c_int> {
        self.requested.set(false);
        let number = context.next_version();
        // Nothing of the guest runs in here. A panic would be a bug of a parser; the running version goes on.
        let candidate = catch_unwind(AssertUnwindSafe(|| {
            let entry = self.main_func.to_string_lossy();
            let expected = Expected { entry: &entry, listed: self.mode != cr_mode::CR_DISABLE };
            Candidate::new(&self.path, self.watch.borrow().last_seen(), &self.versions.borrow(), number, expected)
        }));
        let unexpected = Rejection { id: None, error: Error::Internal("a panic while the image was examined") };
        let Candidate { id, version } = match candidate.unwrap_or(Err(unexpected)) {
            Ok(candidate) => candidate,
            Err(rejection) => return self.reject(context, rejection),
        };
        let running = self.entry.get().is_some();
        if running && tell {
            if let Err(error) = self.reserve_state() {
                return self.reject(context, Rejection { id: Some(id), error });
            }
            self.take_leave(context, id)?;
        }
        let version = Rc::new(version);
        // Before the old image goes: nothing may take its place but the new one, which then mostly has its address.
        // With nothing to go back to, a state that does not fit is no reason to refuse the file.
        let snapshot = self.snapshot.borrow();
        let files = self.files(&version);
        let image = Rc::clone(version.image());
        let plan = self.plan(&snapshot, &files, number, &image, context.version() == 0);
        if running && tell {
            self.dismiss(context)?;
        } else {
            self.unload(context);
        }
        self.watch.borrow_mut().tried(id);
        self.down.set(false);
        self.after_crash.set(cr_answer::CR_GO_ON);
        context.set_last_working_version(context.version());
        context.set_next_version(number.wrapping_add(1));
        let plan = plan.and_then(|plan| self.bring_up(context, &version, plan));
        let plan = plan.map_err(|error| self.report(context, number, &error))?;
        self.versions.borrow_mut().keep(version, context.last_working_version());
        self.begin(context, number, !tell, plan.as_ref())
    }

    /// Loads the version `context.version` again, with the state of the last good unload.
    fn roll_back(&self, context: Context) -> Result<(), c_int> {
        self.trace("cr_plugin_rollback");
        // Before the old image goes, as above. A state that does not fit an older version is no reason to stay down.
        let snapshot = self.snapshot.borrow();
        let expected = self.versions.borrow().last(context.version());
        let files = expected.as_ref().map(|expected| self.files(expected));
        let plan = match (&expected, &files) {
            (Some(expected), Some(files)) => self.plan(&snapshot, files, expected.number(), expected.image(), true),
            _ => Ok(None),
        };
        self.unload(context);
        self.down.set(true);
        let copy = self.versions.borrow_mut().fresh(context.version());
        let version = match copy {
            Ok(Some(version)) => version,
            Ok(None) => {
                context.set_version(0);
                // Said once; the text keeps the cause.
                if context.failure() == cr_failure::CR_INITIAL_FAILURE as u32 {
                    return Err(LOAD_FAILED);
                }
                let cause = self.error.borrow().to_string_lossy().into_owned();
                return Err(self.fail(context, &Error::Initial(cause)));
            }
            Err(error) => return Err(self.fail(context, &error)),
        };
        let number = version.number();
        context.set_version(number);
        self.event(context, cr_event_type::CR_EVENT_ROLLBACK, number, || format!("going back to version {number}"));
        // If this version fails too, the next rollback goes to the one before.
        context.set_last_working_version(number.saturating_sub(1));
        // Somebody may have deleted the copy that was meant.
        let others;
        let plan = if expected.as_ref().is_some_and(|expected| expected.number() == number) {
            plan
        } else {
            others = self.files(&version);
            self.plan(&snapshot, &others, number, version.image(), true)
        };
        match plan.and_then(|plan| self.bring_up(context, &version, plan)) {
            Ok(plan) => self.begin(context, number, true, plan.as_ref()),
            Err(error) => {
                context.set_version(context.last_working_version());
                Err(self.report(context, number, &error))
            }
        }
    }

    /// A version is in memory, with the state that was moved by `plan`: `cr_migrate` if it has one, and `CR_LOAD`. While
    /// they run, `failure` still tells what it recovers from, if it does.
    fn begin(&self, context: Context, number: u32, recovering: bool, plan: Option<&Plan<'_>>) -> Result<(), c_int> {
        context.set_version(number);
        self.migrate(context, plan).ok_or(LOAD_FAILED)?;
        match self.call(context, cr_op::CR_LOAD) {
            None => return Err(LOAD_FAILED),
            Some(value) if value < 0 => {
                self.user_failure(context, value, cr_op::CR_LOAD);
                return Err(LOAD_FAILED);
            }
            Some(_) => {}
        }
        self.down.set(false);
        if recovering {
            context.set_failure(NONE);
        }
        let text = || format!("loaded version {number} of {}", self.path.display());
        self.info(text);
        self.event(context, cr_event_type::CR_EVENT_LOADED, number, text);
        // The guest may have set it, in CR_UNLOAD or now.
        if context.failure() == NONE { Ok(()) } else { Err(LOAD_FAILED) }
    }

    /// The file cannot be loaded. A running version goes on with the next update; this one reports it, once for
    /// each state of the file.
    fn reject(&self, context: Context, Rejection { id, error }: Rejection) -> Result<(), c_int> {
        let running = self.entry.get().is_some() && !self.down.get();
        if error.is_passing() {
            // Tried again at each update. A file that is not there yet is no failure, and what has been said is
            // not said again.
            let quiet = error.is_absence() || *self.error.borrow() == c_text(&error.to_string());
            if running && quiet {
                return Ok(());
            }
            let failed = self.report(context, context.next_version(), &error);
            self.notice.set(running || context.version() == 0);
            return Err(failed);
        }
        let first = id.is_none_or(|id| self.watch.borrow_mut().refused(id));
        if running && !first {
            return Ok(());
        }
        let failed = self.report(context, context.next_version(), &error);
        self.notice.set(running);
        Err(failed)
    }

    /// Tells the running version that it is replaced, and saves its state, for which there is room. If it fails in that, it is
    /// unloaded. The new file counts as seen, whatever comes of it.
    fn take_leave(&self, context: Context, id: FileId) -> Result<(), c_int> {
        let result = self.call(context, cr_op::CR_UNLOAD);
        self.watch.borrow_mut().tried(id);
        match result {
            None => {
                if self.recover_forward && self.after_crash.get() == cr_answer::CR_GO_ON {
                    self.after_crash.set(cr_answer::CR_RETRY);
                }
                self.unload(context);
                Err(LOAD_FAILED)
            }
            Some(value) if value < 0 => {
                self.user_failure(context, value, cr_op::CR_UNLOAD);
                self.unload(context);
                Err(STEP_FAILED)
            }
            Some(_) => {
                self.save_state();
                Ok(())
            }
        }
    }

    /// Unloads the version that has taken its leave.
    fn dismiss(&self, context: Context) -> Result<(), c_int> {
        let number = context.version();
        match self.unload(context) {
            // The second time it is known, and does not stand in the way of the version that mends it.
            Some(fault) if self.faulty_destructors.replace(Some(number)) != Some(number) => {
                Err(self.report(context, number, &fault_error(fault, DESTRUCTOR, number)))
            }
            _ => Ok(()),
        }
    }
}
