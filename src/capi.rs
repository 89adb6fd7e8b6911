//! The exported C functions, and nothing else: check, convert, call, map the result.
//!
//! All are `extern "C-unwind"`: a C++ exception that a guest lets out passes through to the host. With the
//! feature `capi` they are exported under their C names.

use crate::abi::{cr_crash, cr_failure, cr_guest_func, cr_op, cr_options, cr_plugin, cr_state_report};
use crate::context::Context;
use crate::crash;
use crate::error::Error;
use crate::guard::Disarmed;
use crate::options::{Options, text};
use crate::plugin::{LOAD_FAILED, Plugin, c_text};
use crate::symbol::cr_symbol;
use core::cell::RefCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use std::ffi::CString;

/// Opens a plugin: the guest at `fullpath`, to be loaded by the first `cr_plugin_update`.
///
/// All fields of `ctx` but `userdata` are set; it may be uninitialised before. A relative path counts from the
/// current directory. In a C or C++ file that defines `CR_HOST`, the macros of that file (mode, `CR_MAIN_FUNC`,
/// `CR_LOG`, `CR_MALLOC` ...) are handed over as options.
///
/// Returns true if the file is there. Otherwise, and when an argument is NULL, it returns false and
/// `cr_plugin_error` tells why; a later update returns -2, and closing does nothing.
///
/// # Safety
/// `ctx` is NULL or points to a `cr_plugin` that is not open; `fullpath` is NULL or a string.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_open(ctx: *mut cr_plugin, fullpath: *const c_char) -> bool {
    // SAFETY: the caller's promise; no options is a documented value.
    unsafe { cr_plugin_open_with(ctx, fullpath, core::ptr::null()) }
}

/// The old name of `cr_plugin_open`.
///
/// # Safety
/// As for `cr_plugin_open`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_load(ctx: *mut cr_plugin, fullpath: *const c_char) -> bool {
    // SAFETY: the caller's promise; no options is a documented value.
    unsafe { cr_plugin_open_with(ctx, fullpath, core::ptr::null()) }
}

/// Opens a plugin with options; NULL stands for the defaults. Otherwise as `cr_plugin_open`.
///
/// Options that make no sense (an unknown mode, a `size` that does not reach past `mode`) are an error: false.
///
/// # Safety
/// As for `cr_plugin_open`; `options` is NULL or points to `options->size` readable bytes with valid strings
/// and functions.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_open_with(
    ctx: *mut cr_plugin,
    fullpath: *const c_char,
    options: *const cr_options,
) -> bool {
    // SAFETY: the caller's promise.
    let opened = unsafe { open(ctx, fullpath, options) };
    if let Err(error) = &opened {
        // At thread exit the text is lost; nobody is left to ask for it.
        let _ = OPEN_ERROR.try_with(|text| *text.borrow_mut() = Some(c_text(&error.to_string())));
    }
    opened.is_ok()
}

/// Runs the guest once: rolls back after a failure, loads a changed file if `reloadCheck` is true (the first load
/// is always done), then calls the entry point with `CR_STEP`.
///
/// Returns what the guest returned; -1 when it failed in the step; -2 when a load or unload failed, or when the
/// plugin is not open. `failure` tells what happened and `cr_plugin_error` puts it into words. If the guest calls
/// this for its own plugin, only the step is done.
///
/// # Safety
/// `ctx` is NULL or a plugin that was passed to open; no other thread uses it meanwhile.
#[allow(non_snake_case)] // the parameter's name is part of the C header
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_update(ctx: *mut cr_plugin, reloadCheck: bool) -> c_int {
    // SAFETY: the caller's promise.
    let Some((plugin, context)) = (unsafe { access(ctx) }) else {
        // SAFETY: as above.
        return unsafe { not_open(ctx) };
    };
    let disarmed = Disarmed::new();
    let result = plugin.update(context, reloadCheck);
    drop(disarmed);
    // SAFETY: as above.
    unsafe { answer_if_asked(plugin, ctx) };
    result
}

/// Closes a plugin: `CR_CLOSE`, then the guest is unloaded and every copy that was made of it is deleted.
///
/// `p` is NULL and `version` 0 afterwards. It does nothing when `ctx` is NULL or not open. If the guest calls this
/// for its own plugin, it is closed when the guest's call returns.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_close(ctx: *mut cr_plugin) {
    // SAFETY: the caller's promise.
    let Some((plugin, context)) = (unsafe { access(ctx) }) else { return };
    let _disarmed = Disarmed::new();
    if plugin.close(context) {
        // SAFETY: `p` came from `Box::into_raw` in `open`, nobody else is using it, and it is forgotten below.
        drop(unsafe { Box::from_raw(context.p().cast::<Plugin>()) });
        context.set_p(null_mut());
        context.set_version(0);
    }
}

/// The last failure of this plugin in words, or "" if there was none. Never NULL.
///
/// For a plugin that is not open (or NULL) it is the text of the last open that failed on this thread. The string
/// belongs to the library and is valid until the next call on this plugin (on this thread).
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_error(ctx: *const cr_plugin) -> *const c_char {
    // SAFETY: the caller's promise.
    match unsafe { plugin(ctx) } {
        Some(plugin) => plugin.error_text(),
        None => {
            let text = OPEN_ERROR.try_with(|text| text.borrow().as_deref().map(CStr::as_ptr));
            text.ok().flatten().unwrap_or(c"".as_ptr())
        }
    }
}

/// The version of this library, "major.minor.patch". It belongs to the library and is always valid.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub extern "C-unwind" fn cr_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Puts the numbered copies of the guest into another existing directory. Best called right after opening.
///
/// NULL or "" stands for the guest's own directory. Copies made before stay where they are until the plugin is
/// closed. It does nothing when the plugin is not open.
///
/// # Safety
/// As for `cr_plugin_update`; `path` is NULL or a string, which is copied.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_set_temporary_path(ctx: *mut cr_plugin, path: *const c_char) {
    // SAFETY: the caller's promise.
    let Some(plugin) = (unsafe { plugin(ctx) }) else { return };
    // SAFETY: the caller promised NULL or a string.
    let path = unsafe { text(path) };
    let _disarmed = Disarmed::new();
    plugin.set_temporary_path(path.unwrap_or_default());
}

/// Has the guest's file changed since it was last tried? False when it is missing, empty or not open.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_changed(ctx: *mut cr_plugin) -> bool {
    // SAFETY: the caller's promise.
    unsafe { plugin(ctx) }.is_some_and(Plugin::changed)
}

/// Loads the guest's file if it has changed, without a step: the check that `cr_plugin_update` makes.
///
/// Called from inside the guest or an event, it is done when the call of the library that they are in is over: the
/// update then returns what the step of the old version returned, and a failure is left to the next one.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_reload(ctx: *mut cr_plugin) {
    // SAFETY: the caller's promise.
    let Some((plugin, context)) = (unsafe { access(ctx) }) else { return };
    let disarmed = Disarmed::new();
    plugin.reload(context);
    drop(disarmed);
    // SAFETY: as above.
    unsafe { answer_if_asked(plugin, ctx) };
}

/// Unloads the running version without a word to it and loads the last one that worked, with its backup state.
///
/// After a failure that is the version which the next update would go back to. A host may choose another by setting
/// `ctx->version` first. Version 1, with nothing before it, is loaded again itself. Returns true when the version runs;
/// `failure` is cleared then. A step is not made. From inside the guest or an event it does nothing.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_rollback(ctx: *mut cr_plugin) -> bool {
    // SAFETY: the caller's promise.
    let Some((plugin, context)) = (unsafe { access(ctx) }) else { return false };
    let disarmed = Disarmed::new();
    let result = plugin.rollback(context);
    drop(disarmed);
    // SAFETY: as above.
    unsafe { answer_if_asked(plugin, ctx) };
    result
}

/// Unloads the running version. Unless it is for a rollback, it is told so first (`CR_CLOSE` if `close`, else
/// `CR_UNLOAD`) and its state is saved.
///
/// Returns what the guest returned, 0 if it was not asked, -1 if it crashed. The next update loads a version again.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_unload(ctx: *mut cr_plugin, rollback: bool, close: bool) -> c_int {
    // SAFETY: the caller's promise.
    let Some((plugin, context)) = (unsafe { access(ctx) }) else {
        // SAFETY: as above.
        return unsafe { not_open(ctx) };
    };
    let disarmed = Disarmed::new();
    let operation = if close { cr_op::CR_CLOSE } else { cr_op::CR_UNLOAD };
    let result = plugin.unload_now(context, (!rollback).then_some(operation));
    drop(disarmed);
    // SAFETY: as above.
    unsafe { answer_if_asked(plugin, ctx) };
    result
}

/// Reloads the guest's file at the next update, whether it has changed or not, and whether that update checks or not.
///
/// It does nothing when the plugin is not open. The answers to `CR_EVENT_CHANGED` and the build lock hold for it, too.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_request_reload(ctx: *mut cr_plugin) {
    // SAFETY: the caller's promise.
    if let Some(plugin) = unsafe { plugin(ctx) } {
        plugin.request_reload();
    }
}

/// What became of the state when it was last moved into another version: carried, converted, initialised, dropped, or
/// why it was refused, variable by variable.
///
/// Returns NULL if no state was moved at the last reload or rollback, or the plugin is not open. The report belongs to
/// the library and is valid until the next reload, rollback or close.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_state_report(ctx: *const cr_plugin) -> *const cr_state_report {
    // SAFETY: the caller's promise.
    unsafe { plugin(ctx) }.map_or(core::ptr::null(), Plugin::state_report)
}

/// The address of an exported symbol in the version that is loaded now; NULL if there is none, or no such symbol.
///
/// It is valid until the version is unloaded.
///
/// # Safety
/// As for `cr_plugin_update`; `name` is NULL or a string.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_symbol(ctx: *mut cr_plugin, name: *const c_char) -> *mut c_void {
    // SAFETY: the caller's promise.
    let Some(plugin) = (unsafe { plugin(ctx) }) else { return null_mut() };
    // SAFETY: the caller promised NULL or a string.
    unsafe { text(name) }.and_then(|name| plugin.symbol(name)).unwrap_or(null_mut())
}

/// A handle of an exported symbol that follows it through reloads and rollbacks. The symbol need not exist yet.
///
/// Returns NULL if the plugin is not open or `name` is NULL. The handle is the caller's, who frees it with
/// `cr_symbol_free`, before or after the plugin is closed. It belongs to the plugin's thread.
///
/// # Safety
/// As for `cr_plugin_update`; `name` is NULL or a string, which is copied.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_get_symbol(ctx: *mut cr_plugin, name: *const c_char) -> *mut cr_symbol {
    // SAFETY: the caller's promise.
    let Some(plugin) = (unsafe { plugin(ctx) }) else { return null_mut() };
    // SAFETY: the caller promised NULL or a string.
    let Some(name) = (unsafe { text(name) }) else { return null_mut() };
    Box::into_raw(Box::new(plugin.get_symbol(name)))
}

/// The symbol's address in the version that is loaded now; NULL while there is none, and for NULL.
///
/// # Safety
/// `symbol` is NULL or a handle that is not freed.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_symbol_get(symbol: *const cr_symbol) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { symbol.as_ref() }.map_or(null_mut(), |symbol| symbol.0.get())
}

/// Frees a handle; NULL is ignored.
///
/// # Safety
/// `symbol` is NULL or a handle that is not freed, and is not used again.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_symbol_free(symbol: *mut cr_symbol) {
    if !symbol.is_null() {
        // SAFETY: it came from `Box::into_raw` in `cr_plugin_get_symbol`, and nobody else uses it.
        drop(unsafe { Box::from_raw(symbol) });
    }
}

/// Calls a function of the guest under the guard, from anywhere: the host's loop, another thread that has the
/// plugin to itself, or the guest of this or another plugin.
///
/// Returns true if it returned; `*result` is its value then, unless `result` is NULL. False, and `*result` is left
/// alone, if it crashed: that is a failure of the plugin like a crash in `CR_STEP`, and the next update rolls back.
/// False, too, if there is no version in good order: the plugin is not open, nothing is loaded, or a failure waits
/// for the next update; or if `function` is NULL.
///
/// # Safety
/// As for `cr_plugin_update`; `function` is NULL or a function of the version that is loaded, and may be
/// called with `arg`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_call(
    ctx: *mut cr_plugin,
    function: cr_guest_func,
    arg: *mut c_void,
    result: *mut *mut c_void,
) -> bool {
    // SAFETY: the caller's promise.
    let Some((plugin, context)) = (unsafe { access(ctx) }) else { return false };
    let Some(function) = function else { return false };
    let disarmed = Disarmed::new();
    let value = plugin.call_other(context, function, arg);
    drop(disarmed);
    // SAFETY: as above.
    unsafe { answer_if_asked(plugin, ctx) };
    let Some(value) = value else { return false };
    // SAFETY: NULL or the caller's variable.
    if let Some(result) = unsafe { result.as_mut() } {
        *result = value;
    }
    true
}

/// How the guest has crashed the last time, with a backtrace; NULL if it has not, or is not guarded.
///
/// The record belongs to the library and is valid until the next crash of this plugin and until it is closed, through
/// rollbacks and reloads. It is made by the first call after a crash, which reads the files of the images: that takes
/// milliseconds and memory, while the crash itself costs next to nothing. It may be asked for in `CR_EVENT_CRASH`.
///
/// # Safety
/// As for `cr_plugin_update`.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_plugin_crash(ctx: *const cr_plugin) -> *const cr_crash {
    // SAFETY: the caller's promise.
    let Some(plugin) = (unsafe { plugin(ctx) }) else { return core::ptr::null() };
    let _disarmed = Disarmed::new();
    plugin.crash().unwrap_or(core::ptr::null())
}

/// Writes a crash record as a text that a person can read: what happened, then a line for each frame.
///
/// `fd` is a file descriptor that is open for writing, of the C runtime that this library uses. Returns true if all was
/// written; false, too, if `crash` is NULL.
///
/// # Safety
/// `crash` is NULL or a record that is still valid.
#[cfg_attr(feature = "capi", unsafe(no_mangle))]
pub unsafe extern "C-unwind" fn cr_crash_write(crash: *const cr_crash, fd: c_int) -> bool {
    let _disarmed = Disarmed::new();
    // SAFETY: the caller's promise.
    let Some(crash) = (unsafe { crash.as_ref() }) else { return false };
    // SAFETY: as above.
    unsafe { crash::write(crash, fd) }.is_ok()
}

thread_local! {
    /// The text of the last open that failed on this thread, when there is no plugin to keep it.
    static OPEN_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// `cr_plugin_open_with`, with the error itself.
///
/// # Safety
/// As `cr_plugin_open_with`.
pub(crate) unsafe fn open(
    ctx: *mut cr_plugin,
    fullpath: *const c_char,
    options: *const cr_options,
) -> Result<(), Error> {
    if ctx.is_null() {
        return Err(Error::Null("ctx"));
    }
    // SAFETY: not NULL, and the caller's promise.
    let context = unsafe { Context::new(ctx) };
    context.set_p(null_mut());
    context.set_version(0);
    context.set_failure(cr_failure::CR_NONE as u32);
    context.set_next_version(1);
    context.set_last_working_version(0);
    // SAFETY: the caller promised NULL or a string.
    let path = unsafe { text(fullpath) }.ok_or(Error::Null("fullpath"))?;
    // SAFETY: the caller's promise.
    let options = unsafe { Options::from_c(options) }?;
    let _disarmed = Disarmed::new();
    let plugin = Plugin::open(path, options)?;
    context.set_p(Box::into_raw(plugin).cast());
    Ok(())
}

/// The plugin behind the caller's struct; `None` if it is NULL or not open.
///
/// # Safety
/// `ctx` is NULL or a plugin that was passed to open, and the result is not used after it is closed.
#[inline]
unsafe fn plugin<'a>(ctx: *const cr_plugin) -> Option<&'a Plugin> {
    // SAFETY: the caller's promise.
    let ctx = unsafe { ctx.as_ref() }?;
    // SAFETY: `p` is NULL or what `open` put there.
    unsafe { ctx.p.cast::<Plugin>().as_ref() }
}

/// The same with the struct itself.
///
/// # Safety
/// As [`plugin`].
#[inline]
unsafe fn access<'a>(ctx: *mut cr_plugin) -> Option<(&'a Plugin, Context)> {
    // SAFETY: the caller's promise.
    let plugin = unsafe { plugin(ctx) }?;
    // SAFETY: not NULL, and the caller's promise.
    Some((plugin, unsafe { Context::new(ctx) }))
}

/// Reloads or closes the plugin if its guest or its event function has asked for it, and all of their calls have
/// returned.
///
/// # Safety
/// As [`plugin`]; it is not used afterwards.
#[inline]
unsafe fn answer_if_asked(plugin: &Plugin, ctx: *mut cr_plugin) {
    if plugin.is_asked() {
        // SAFETY: the caller's promise.
        unsafe { answer(plugin, ctx) };
    }
}

/// As [`answer_if_asked`], if it is asked.
///
/// # Safety
/// As there.
#[cold]
unsafe fn answer(plugin: &Plugin, ctx: *mut cr_plugin) {
    let disarmed = Disarmed::new();
    // SAFETY: the caller's promise.
    let close = plugin.answer_to_asked(unsafe { Context::new(ctx) });
    drop(disarmed);
    if close {
        // SAFETY: the caller's promise.
        unsafe { cr_plugin_close(ctx) };
    }
}

/// The answer for a plugin that is not open.
///
/// # Safety
/// As [`plugin`].
unsafe fn not_open(ctx: *mut cr_plugin) -> c_int {
    // SAFETY: NULL, or the caller's promise.
    if let Some(ctx) = unsafe { ctx.as_mut() } {
        ctx.failure = cr_failure::CR_BAD_IMAGE as u32;
    }
    LOAD_FAILED
}
