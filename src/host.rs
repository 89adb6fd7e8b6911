//! For hosts in Rust: a plugin that closes itself.

mod crash;
mod event;

pub use crash::{Access, Crash, Frame};
pub use event::{Answer, Event, EventKind, OnEvent};

use crate::abi::{cr_log_level, cr_mode, cr_options, cr_plugin, cr_state_report};
use crate::capi;
use crate::error::Error;
use core::ffi::{CStr, c_char, c_void};
use core::fmt;
use std::ffi::CString;
use std::path::Path;
use std::time::Duration;

/// How strictly the carried state must agree; see [`cr_mode`].
pub use crate::abi::cr_mode as Mode;

/// What became of a variable at a reload; see [`StateKind`](crate::abi::cr_entry_kind).
pub use crate::abi::cr_entry_kind as StateKind;

/// A log function: what the message is about, and the message.
pub type Log = fn(cr_log_level, &str);

/// How a plugin is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// How strictly the carried state must agree. `CR_UNSAFE` unless set.
    pub mode: Mode,
    /// The name of the guest's entry point; `cr_main` unless set.
    pub main_func: CString,
    /// An existing directory for the numbered copies; the guest's own unless set.
    pub temporary_path: Option<CString>,
    /// Called with each message, on the thread that uses the plugin.
    pub log: Option<Log>,
    /// Any of [`cr_option_flag`](crate::abi::cr_option_flag), or 0.
    pub flags: u32,
    /// So many images stay mapped after their unload, so that pointers into them stay valid.
    pub keep_generations: u32,
    /// While a file of this name exists, no reload happens. The guest's name and `.building` unless set; empty: none.
    pub build_lock: Option<CString>,
    /// Called with each event.
    pub on_event: Option<OnEvent>,
    /// How long a step may take with `CR_GUARD_HANG`, up to the millisecond; a second unless set.
    pub hang_limit: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: cr_mode::CR_UNSAFE,
            main_func: c"cr_main".to_owned(),
            temporary_path: None,
            log: None,
            flags: 0,
            keep_generations: 0,
            build_lock: None,
            on_event: None,
            hang_limit: None,
        }
    }
}

/// An update in which the guest did not come to a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the C function returns: -1 for the step, -2 for a load or unload, or the guest's own negative value.
    pub value: i32,
    /// The value of `cr_plugin.failure`, see [`cr_failure`](crate::abi::cr_failure).
    pub failure: u32,
    /// What happened, in words.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (update returned {}, failure {})", self.text, self.value, self.failure)
    }
}

impl std::error::Error for Failure {}

/// A guest in the hands of this program. Dropped, it is closed: `CR_CLOSE`, and its copies are deleted.
pub struct Plugin {
    // On the heap: the guest may keep the address that it is called with.
    context: Box<cr_plugin>,
    // Keep the functions alive that the C options point to.
    _log: Option<Box<Log>>,
    _on_event: Option<Box<OnEvent>>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.context.fmt(f)
    }
}

impl Plugin {
    /// Opens the guest at `path` with the default options. The first update loads it.
    ///
    /// # Errors
    /// The file is not there, or is no regular file.
    ///
    /// # Safety
    /// Code from the file will run in this process: its entry point must have the type that
    /// [`guest_main!`](crate::guest_main) gives it, and it must keep to Rust's rules for the memory that it shares
    /// with the host.
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Plugin, Error> {
        // SAFETY: the caller's promise.
        unsafe { Plugin::open_with(path, &Options::default()) }
    }

    /// Opens the guest at `path`.
    ///
    /// # Errors
    /// The file is not there, or is no regular file; an option makes no sense.
    ///
    /// # Safety
    /// As [`Plugin::open`].
    pub unsafe fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Plugin, Error> {
        let log = options.log.map(Box::new);
        let on_event = options.on_event.clone().map(Box::new);
        let raw = cr_options {
            size: size_of::<cr_options>(),
            mode: options.mode as u32,
            main_func: options.main_func.as_ptr(),
            temporary_path: options.temporary_path.as_ref().map_or(core::ptr::null(), |path| path.as_ptr()),
            log: log.as_ref().map(|_| write_log as _),
            log_data: log.as_ref().map_or(core::ptr::null_mut(), |log| (&raw const **log).cast_mut().cast()),
            malloc_func: None,
            realloc_func: None,
            free_func: None,
            flags: options.flags,
            keep_generations: options.keep_generations,
            build_lock: options.build_lock.as_ref().map_or(core::ptr::null(), |name| name.as_ptr()),
            on_event: on_event.as_ref().map(|_| event::tell as _),
            event_data: on_event.as_ref().map_or(core::ptr::null_mut(), |on_event| on_event.data()),
            // 0 stands for the default; no limit is as long as one that nobody reaches.
            hang_limit_ms: options.hang_limit.map_or(0, |limit| limit.as_millis().clamp(1, u32::MAX.into()) as u32),
        };
        let path = crate::sys::c_path(path.as_ref());
        let mut context = Box::new(cr_plugin {
            p: core::ptr::null_mut(),
            userdata: core::ptr::null_mut(),
            version: 0,
            failure: 0,
            next_version: 0,
            last_working_version: 0,
        });
        // SAFETY: valid arguments; both functions live as long as the plugin.
        unsafe { capi::open(&raw mut *context, path.as_ptr(), &raw const raw) }?;
        Ok(Plugin { context, _log: log, _on_event: on_event })
    }

    /// Runs the guest once; see [`cr_plugin_update`](crate::capi::cr_plugin_update). Returns what it returned.
    ///
    /// # Errors
    /// The guest crashed or returned a negative value, or a load failed. The next update deals with it.
    pub fn update(&mut self, reload_check: bool) -> Result<i32, Failure> {
        // SAFETY: an open plugin, used by this thread alone.
        let value = unsafe { capi::cr_plugin_update(&raw mut *self.context, reload_check) };
        if value >= 0 {
            return Ok(value);
        }
        // SAFETY: as above.
        let text = unsafe { capi::cr_plugin_error(&raw const *self.context) };
        // SAFETY: never NULL, and valid until the next call.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
        Err(Failure { value, failure: self.context.failure, text })
    }

    /// The version that runs; 0 before the first update and when there is none.
    pub fn version(&self) -> u32 {
        self.context.version
    }

    /// The last failure as in `cr_plugin.failure`, 0 if there is none.
    pub fn failure(&self) -> u32 {
        self.context.failure
    }

    /// What became of the state at the last reload or rollback; `None` if none was moved.
    pub fn state_report(&self) -> Option<StateReport<'_>> {
        // SAFETY: an open plugin, used by this thread alone; whatever changes the report needs it exclusively.
        let report = unsafe { capi::cr_plugin_state_report(&raw const *self.context) };
        // SAFETY: NULL, or valid until the next reload, rollback or close.
        unsafe { report.as_ref() }.map(StateReport)
    }

    /// How the guest has crashed the last time; see [`cr_plugin_crash`](crate::capi::cr_plugin_crash). `None` if it has
    /// not.
    pub fn crash(&self) -> Option<Crash<'_>> {
        // SAFETY: an open plugin, used by this thread alone.
        let crash = unsafe { capi::cr_plugin_crash(&raw const *self.context) };
        // SAFETY: NULL, or valid until the next crash or close, for which the plugin is needed exclusively.
        unsafe { crash.as_ref() }.map(Crash)
    }

    /// The struct that the guest gets, for the C interface and its other fields.
    pub fn as_raw(&mut self) -> *mut cr_plugin {
        &raw mut *self.context
    }

    /// A pointer for the guest; the library never touches it.
    pub fn set_userdata(&mut self, userdata: *mut c_void) {
        self.context.userdata = userdata;
    }
}

/// What became of the state when it was last moved from one version into another.
#[derive(Clone, Copy)]
pub struct StateReport<'p>(&'p cr_state_report);

/// What became of one variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateEntry<'p> {
    /// What became of it.
    pub kind: StateKind,
    /// The variable as people write it.
    pub name: &'p str,
    /// The name in the image.
    pub symbol: &'p str,
    /// Why, in words; empty if there is nothing to say.
    pub reason: &'p str,
    /// Its size in bytes in the old version; 0 if it did not have it.
    pub old_size: usize,
    /// And in the new one.
    pub new_size: usize,
}

impl<'p> StateReport<'p> {
    /// The version that the state came from, and the one that it went into.
    pub fn versions(&self) -> (u32, u32) {
        (self.0.old_version, self.0.new_version)
    }

    /// Were variables matched by name? If not, the entries are whole sections.
    pub fn by_variable(&self) -> bool {
        self.0.by_variable
    }

    /// The entries, in the order of the variables in memory.
    pub fn entries(&self) -> impl Iterator<Item = StateEntry<'p>> + use<'p> {
        let entries = if self.0.count == 0 {
            &[]
        } else {
            // SAFETY: the library made so many, and they are valid as long as the report.
            unsafe { core::slice::from_raw_parts(self.0.entries, self.0.count) }
        };
        entries.iter().map(|entry| StateEntry {
            kind: StateKind::ALL
                .into_iter()
                .find(|kind| *kind as u32 == entry.kind)
                .unwrap_or(StateKind::CR_ENTRY_CARRIED),
            name: report_text(entry.name),
            symbol: report_text(entry.symbol),
            reason: report_text(entry.reason),
            old_size: entry.old_size,
            new_size: entry.new_size,
        })
    }
}

impl fmt::Debug for StateReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

/// A text of a report, which the library made of Rust strings.
fn report_text<'p>(text: *const c_char) -> &'p str {
    // SAFETY: never NULL in an entry, and valid as long as the report, whose lifetime the caller gives.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // SAFETY: an open plugin, used by this thread alone.
        unsafe { capi::cr_plugin_close(&raw mut *self.context) }
    }
}

unsafe extern "C-unwind" fn write_log(data: *mut c_void, level: u32, message: *const c_char) {
    // SAFETY: `open_with` passed the address of this box, which lives as long as the plugin.
    let log = unsafe { *data.cast::<Log>() };
    // SAFETY: the library passes a string.
    let message = unsafe { CStr::from_ptr(message) };
    let level = match level {
        0 => cr_log_level::CR_LOG_LEVEL_ERROR,
        1 => cr_log_level::CR_LOG_LEVEL_INFO,
        _ => cr_log_level::CR_LOG_LEVEL_TRACE,
    };
    log(level, &message.to_string_lossy());
}
