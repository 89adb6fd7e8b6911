//! How a plugin is opened: `struct cr_options`, checked and copied.

use crate::abi::{cr_log_level, cr_mode, cr_option_flag, cr_options};
use crate::error::Error;
use crate::event::Listener;
use crate::state::Allocator;
use crate::sys;
use core::ffi::{CStr, c_char, c_void};
use core::mem::{offset_of, size_of};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Milliseconds.
const DEFAULT_HANG_LIMIT: u32 = 1000;

/// A log function of the host with its data.
#[derive(Clone, Copy)]
pub(crate) struct Log {
    function: unsafe extern "C-unwind" fn(*mut c_void, u32, *const c_char),
    data: *mut c_void,
}

impl Log {
    /// Hands one message to the host. NUL bytes, which no message has, would end it early.
    pub(crate) fn write(&self, level: cr_log_level, message: &str) {
        let text = CString::new(message).unwrap_or_default();
        // SAFETY: the host promised a function that is valid while the plugin is open.
        unsafe { (self.function)(self.data, level as u32, text.as_ptr()) }
    }
}

/// The options of one plugin.
pub(crate) struct Options {
    pub(crate) mode: cr_mode,
    pub(crate) main_func: CString,
    pub(crate) temporary_path: Option<PathBuf>,
    pub(crate) log: Option<Log>,
    pub(crate) allocator: Allocator,
    /// Is guest code guarded?
    pub(crate) guarded: bool,
    /// After a crash in `CR_UNLOAD`: on to the new version?
    pub(crate) recover_forward: bool,
    /// Is only tagged state carried?
    pub(crate) state_only: bool,
    /// Does a thread look for changes?
    pub(crate) watch: bool,
    /// How long a step may take.
    pub(crate) hang_limit: Option<Duration>,
    pub(crate) keep_generations: usize,
    pub(crate) build_lock: BuildLock,
    pub(crate) listener: Option<Listener>,
}

/// The file that puts reloads off while it exists.
pub(crate) enum BuildLock {
    /// The guest's name and `.building`.
    Default,
    None,
    Named(PathBuf),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: cr_mode::CR_UNSAFE,
            main_func: c"cr_main".to_owned(),
            temporary_path: None,
            log: None,
            allocator: Allocator::default(),
            guarded: true,
            recover_forward: false,
            state_only: false,
            watch: false,
            hang_limit: None,
            keep_generations: 0,
            build_lock: BuildLock::Default,
            listener: None,
        }
    }
}

impl Options {
    /// Reads the caller's struct; NULL stands for the defaults.
    ///
    /// # Safety
    /// `options` is NULL or points to `options->size` readable bytes with valid strings and functions.
    pub(crate) unsafe fn from_c(options: *const cr_options) -> Result<Options, Error> {
        let mut result = Options::default();
        if options.is_null() {
            return Ok(result);
        }
        // SAFETY: not NULL, and `size` is the first field of every version of the struct.
        let size = unsafe { (*options).size };
        if size < offset_of!(cr_options, mode) + size_of::<u32>() {
            return Err(Error::Option(format!("size is {size}; start from CR_OPTIONS_INIT")));
        }
        let mut raw = cr_options {
            size,
            mode: cr_mode::CR_UNSAFE as u32,
            main_func: core::ptr::null(),
            temporary_path: core::ptr::null(),
            log: None,
            log_data: core::ptr::null_mut(),
            malloc_func: None,
            realloc_func: None,
            free_func: None,
            flags: 0,
            keep_generations: 0,
            build_lock: core::ptr::null(),
            on_event: None,
            event_data: core::ptr::null_mut(),
            hang_limit_ms: 0,
        };
        let known = size.min(size_of::<cr_options>());
        // SAFETY: both sides have `known` bytes, and they are different objects. A caller with an older header
        // leaves the last fields at their defaults; of a newer header the unknown rest is not read.
        unsafe {
            core::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut raw).cast::<u8>(), known);
        }

        result.mode = mode(raw.mode).ok_or_else(|| Error::Option(format!("mode is {}, which is none", raw.mode)))?;
        // SAFETY: the caller promised valid strings or NULL.
        if let Some(name) = unsafe { text(raw.main_func) } {
            if name.is_empty() {
                return Err(Error::Option("main_func is empty".into()));
            }
            result.main_func = name.to_owned();
        }
        // SAFETY: as above.
        result.temporary_path = unsafe { text(raw.temporary_path) }.and_then(directory);
        result.log = raw.log.map(|function| Log { function, data: raw.log_data });
        if let (Some(malloc), Some(realloc), Some(free)) = (raw.malloc_func, raw.realloc_func, raw.free_func) {
            result.allocator = Allocator { malloc, realloc, free };
        }
        result.guarded = raw.flags & cr_option_flag::CR_NO_GUARD as u32 == 0;
        result.recover_forward = raw.flags & cr_option_flag::CR_RECOVER_FORWARD as u32 != 0;
        result.state_only = raw.flags & cr_option_flag::CR_STATE_ONLY as u32 != 0;
        result.watch = raw.flags & cr_option_flag::CR_WATCH as u32 != 0;
        if raw.flags & cr_option_flag::CR_GUARD_HANG as u32 != 0 {
            if !result.guarded {
                return Err(Error::Option("flags has CR_GUARD_HANG, which needs the guard, and CR_NO_GUARD".into()));
            }
            let limit = if raw.hang_limit_ms == 0 { DEFAULT_HANG_LIMIT } else { raw.hang_limit_ms };
            result.hang_limit = Some(Duration::from_millis(limit.into()));
        }
        result.keep_generations = raw.keep_generations as usize;
        // SAFETY: as above.
        result.build_lock = match unsafe { text(raw.build_lock) } {
            None => BuildLock::Default,
            Some(name) if name.is_empty() => BuildLock::None,
            Some(name) => BuildLock::Named(sys::os_str(name).into_owned().into()),
        };
        result.listener = raw.on_event.map(|function| Listener { function, data: raw.event_data });
        Ok(result)
    }
}

fn mode(value: u32) -> Option<cr_mode> {
    [cr_mode::CR_SAFEST, cr_mode::CR_SAFE, cr_mode::CR_UNSAFE, cr_mode::CR_DISABLE]
        .into_iter()
        .find(|mode| *mode as u32 == value)
}

/// A C string, or `None` for NULL.
///
/// # Safety
/// `text` is NULL or a string that outlives the result.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: not NULL, and the caller promised a string.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

impl BuildLock {
    /// Its path, for the guest at `guest`.
    pub(crate) fn path(self, guest: &Path) -> Option<PathBuf> {
        match self {
            BuildLock::None => None,
            BuildLock::Default => {
                let mut path = guest.as_os_str().to_owned();
                path.push(".building");
                Some(path.into())
            }
            BuildLock::Named(name) if name.components().count() == 1 => Some(guest.with_file_name(name)),
            BuildLock::Named(path) => Some(absolute(&path)),
        }
    }
}

/// A directory for copies, absolute, so that a later `chdir` does not move it; "" is none.
pub(crate) fn directory(path: &CStr) -> Option<PathBuf> {
    if path.is_empty() {
        return None;
    }
    Some(absolute(Path::new(&sys::os_str(path))))
}

/// The path from the root, its own spelling kept as far as it goes.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) }
}
