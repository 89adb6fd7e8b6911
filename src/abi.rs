//! The types that C programs share with this library.
//!
//! Names, order, sizes and values are those of the original `cr.h`; the header `include/cr.h` is generated from
//! this file (types and their documentation) and from `capi.rs` (functions). Everything is `repr(C)`, and the
//! layout is checked while compiling.

// The C names are the interface; cbindgen copies them as they stand here.
#![allow(non_camel_case_types)]

use core::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

/// How strictly the carried state of the old and the new version must agree: each variable that is carried or, if one
/// of the images is stripped, each section.
///
/// When the rule is broken the reload is refused with `CR_STATE_INVALIDATED`, and the next update is back on the
/// old version with the state of its last unload.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_mode {
    /// It has the same address in the image and the same size, and is still there. Pointers in it are left alone.
    CR_SAFEST = 0,
    /// It has the same size.
    CR_SAFE = 1,
    /// Anything goes; a section must fit into the new one. The default.
    CR_UNSAFE = 2,
    /// No state is carried: every version starts with its initial values.
    CR_DISABLE = 3,
}

/// Why the guest's entry point is called.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_op {
    /// The version has just been loaded, its state is restored. `failure` still tells why, after a rollback.
    CR_LOAD = 0,
    /// One call for each `cr_plugin_update`.
    CR_STEP = 1,
    /// The version is about to be replaced; its state is saved afterwards.
    CR_UNLOAD = 2,
    /// The plugin is being closed. The value returned is ignored.
    CR_CLOSE = 3,
}

/// What went wrong, as found in `cr_plugin.failure`.
///
/// The field may hold other values: a signal without a name here is `CR_OTHER` plus the signal's number. After
/// any of them, except where noted, the next update rolls back.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_failure {
    /// Nothing.
    CR_NONE = 0,
    /// Invalid memory access: SIGSEGV, EXCEPTION_ACCESS_VIOLATION.
    CR_SEGFAULT = 1,
    /// Illegal instruction: SIGILL, EXCEPTION_ILLEGAL_INSTRUCTION.
    CR_ILLEGAL = 2,
    /// The guest called abort, or let an exception escape that nobody catches: SIGABRT.
    CR_ABORT = 3,
    /// Misaligned access or a mapped file that became shorter: SIGBUS, EXCEPTION_DATATYPE_MISALIGNMENT.
    CR_MISALIGN = 4,
    /// EXCEPTION_ARRAY_BOUNDS_EXCEEDED (Windows).
    CR_BOUNDS = 5,
    /// The stack ran out.
    CR_STACKOVERFLOW = 6,
    /// The carried state does not fit the new version under the `cr_mode` in force.
    CR_STATE_INVALIDATED = 7,
    /// The new file cannot be used: incomplete, of another architecture, without entry point, refused by the
    /// dynamic loader, or it cannot be copied. If it was seen before the running version was touched, that
    /// version simply goes on with the next update.
    CR_BAD_IMAGE = 8,
    /// The first version failed and there is nothing to go back to. A changed file is loaded.
    CR_INITIAL_FAILURE = 9,
    /// Base of the other signals: `CR_OTHER + SIGFPE`, `CR_OTHER + SIGTRAP`.
    CR_OTHER = 10,
    /// The guest returned a negative value.
    CR_USER = 0x100,
}

/// What a log message is about.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_log_level {
    /// A failure; the text is that of `cr_plugin_error`.
    CR_LOG_LEVEL_ERROR = 0,
    /// Something that happened: loaded, unloaded, rolled back.
    CR_LOG_LEVEL_INFO = 1,
    /// The message is the name of a function of the library that has been entered.
    CR_LOG_LEVEL_TRACE = 2,
}

/// Flags of `cr_options.flags`, to be combined with `|`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_option_flag {
    /// Guest code is not guarded: a crash goes straight to the debugger, the core dump or the host's own handler.
    CR_NO_GUARD = 1,
    /// After a crash in `CR_UNLOAD` the next update loads the new version, with the state of the last good unload,
    /// instead of going back to the version before.
    CR_RECOVER_FORWARD = 2,
    /// Only what is tagged with `CR_STATE` is carried; `.bss` is left alone.
    CR_STATE_ONLY = 4,
    /// A thread of the library watches the guest's file, one for all plugins that ask for it. An update then makes no
    /// system call while nothing changes, and a change is noticed a few milliseconds after it was made instead of by
    /// the next update. Without threads, and in a forked child, it is as if the flag were not set.
    CR_WATCH = 8,
    /// A step that runs longer than `hang_limit_ms` is interrupted and is a failure, `CR_OTHER + SIGALRM` (24), like a
    /// crash. It is interrupted only while it is in code of the guest's own image: as long as it is in a library or in
    /// the host, where it may hold a lock, it goes on, and so it does in a guarded call of another plugin. Linux,
    /// Android and Windows (there by a thread of the system's timers); elsewhere opening fails.
    CR_GUARD_HANG = 16,
}

/// What has happened, or is about to; see `cr_options.on_event`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_event_type {
    /// The guest's file has changed; `version` is the number it will get. It may be answered with `CR_DEFER` or
    /// `CR_SKIP`. The first load is not a change.
    CR_EVENT_CHANGED = 0,
    /// The file cannot be used, or its state does not fit; `text` says why. It is told once for each state of the file.
    CR_EVENT_REJECTED = 1,
    /// The version in memory is about to go, because it is replaced, rolled back or closed.
    CR_EVENT_BEFORE_UNLOAD = 2,
    /// It has gone.
    CR_EVENT_AFTER_UNLOAD = 3,
    /// The state of the last good unload has been put into the version that was just loaded, before its `CR_LOAD`.
    CR_EVENT_STATE_CARRIED = 4,
    /// A version has been loaded, and its `CR_LOAD` has come to a good end.
    CR_EVENT_LOADED = 5,
    /// The guest has crashed, be it in a constructor or destructor; `version` is the one that did, and
    /// `cr_plugin_crash` tells how. It may be answered with `CR_RETRY` or `CR_STOP`.
    CR_EVENT_CRASH = 6,
    /// A version is loaded again after a failure.
    CR_EVENT_ROLLBACK = 7,
    /// The guest has returned a negative value.
    CR_EVENT_USER_FAILURE = 8,
    /// The image of a version is still mapped after its unload; `text` says why, if the image itself tells: it is marked
    /// so, or it has unique symbols or thread_local objects with destructors. Otherwise something else holds it.
    CR_EVENT_STILL_MAPPED = 9,
    /// The plugin is closed. It is the last event.
    CR_EVENT_CLOSED = 10,
}

impl cr_event_type {
    pub(crate) const ALL: [cr_event_type; 11] = [
        cr_event_type::CR_EVENT_CHANGED,
        cr_event_type::CR_EVENT_REJECTED,
        cr_event_type::CR_EVENT_BEFORE_UNLOAD,
        cr_event_type::CR_EVENT_AFTER_UNLOAD,
        cr_event_type::CR_EVENT_STATE_CARRIED,
        cr_event_type::CR_EVENT_LOADED,
        cr_event_type::CR_EVENT_CRASH,
        cr_event_type::CR_EVENT_ROLLBACK,
        cr_event_type::CR_EVENT_USER_FAILURE,
        cr_event_type::CR_EVENT_STILL_MAPPED,
        cr_event_type::CR_EVENT_CLOSED,
    ];
}

/// What the host wants in answer to an event. An answer that the event does not know is `CR_GO_ON`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_answer {
    /// What cr does by itself. After a crash: roll back.
    CR_GO_ON = 0,
    /// Not now: the running version goes on, and the next update asks again.
    CR_DEFER = 1,
    /// Not this file: it counts as tried.
    CR_SKIP = 2,
    /// After a crash: load the guest's file again, as a new version, with the state of the last good unload.
    CR_RETRY = 3,
    /// After a crash: load nothing until the file changes. Every update returns -2 until then.
    CR_STOP = 4,
}

/// What became of a variable at a reload; see `cr_state_entry`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_entry_kind {
    /// It has its old value, byte for byte.
    CR_ENTRY_CARRIED = 0,
    /// Its type or size has changed, and its old value was brought into the new form as far as possible.
    CR_ENTRY_CONVERTED = 1,
    /// It has the initial value of the new version: it is new, thread-local, an object whose destructor has run, or
    /// nothing that can be told to be its old value was there.
    CR_ENTRY_INITIALISED = 2,
    /// The new version does not have it any more.
    CR_ENTRY_DROPPED = 3,
    /// It was carried, and pointers in it that pointed into the old image were made to point to the same things in
    /// the new one. The entry is in addition to that of the variable itself.
    CR_ENTRY_REDIRECTED = 4,
    /// It was carried, and pointers in it point to something in the old image that the new one does not have. They
    /// are left as they were, and must not be used. In addition, too.
    CR_ENTRY_DANGLING = 5,
    /// It is why the reload was refused under the `cr_mode` in force.
    CR_ENTRY_REFUSED = 6,
}

impl cr_entry_kind {
    pub(crate) const ALL: [cr_entry_kind; 7] = [
        cr_entry_kind::CR_ENTRY_CARRIED,
        cr_entry_kind::CR_ENTRY_CONVERTED,
        cr_entry_kind::CR_ENTRY_INITIALISED,
        cr_entry_kind::CR_ENTRY_DROPPED,
        cr_entry_kind::CR_ENTRY_REDIRECTED,
        cr_entry_kind::CR_ENTRY_DANGLING,
        cr_entry_kind::CR_ENTRY_REFUSED,
    ];
}

/// A value of `enum cr_entry_kind` as it is handed to C code.
pub type cr_entry_kind_value = c_uint;

/// What became of one variable. It belongs to the report that it is in.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_state_entry {
    /// What became of it.
    pub kind: cr_entry_kind_value,
    /// The variable as people write it: `game::player`. Never NULL.
    pub name: *const c_char,
    /// The name in the image: `_ZN4game6playerE`. Never NULL.
    pub symbol: *const c_char,
    /// Why, in words; "" if there is nothing to say. Never NULL.
    pub reason: *const c_char,
    /// Its size in bytes in the old version; 0 if it did not have it.
    pub old_size: usize,
    /// And in the new one.
    pub new_size: usize,
}

/// What became of the state when it was last moved from one version into another; see `cr_plugin_state_report`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_state_report {
    /// `sizeof(struct cr_state_report)` in this library; a later one may add fields.
    pub size: usize,
    /// The version that the state came from.
    pub old_version: c_uint,
    /// The version that it went into.
    pub new_version: c_uint,
    /// Variables were matched by name. False: one of the images is stripped, and whole sections were moved, which are
    /// then the entries.
    pub by_variable: bool,
    /// How many entries there are.
    pub count: usize,
    /// The entries, in the order of the variables in memory; NULL if there are none.
    pub entries: *const cr_state_entry,
}

/// What the guest's own `cr_migrate` gets, if it exports one:
/// `void cr_migrate(struct cr_plugin *ctx, const struct cr_migration *migration)`.
///
/// It is called after the state has been moved from another version and before `CR_LOAD`, under the guard: a crash in
/// it is one in `CR_LOAD`. It is valid during the call. Names are those that people write (`game::player`), without
/// what makes a symbol local, or the symbols themselves. They are found only where both images have symbols.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_migration {
    /// `sizeof(struct cr_migration)` in the library; a later one may add fields.
    pub size: usize,
    /// The version that the state came from.
    pub old_version: c_uint,
    /// The version that runs now.
    pub new_version: c_uint,
    /// The bytes that a variable had in the old version, to be read only; also of one that was dropped. NULL, and
    /// `*size` is 0, if there is none of this name, or several. `size` may be NULL.
    pub old_variable: Option<
        unsafe extern "C" fn(migration: *const cr_migration, name: *const c_char, size: *mut usize) -> *const c_void,
    >,
    /// Where a variable is in the version that runs now, to be written. NULL as above.
    pub new_variable: Option<
        unsafe extern "C" fn(migration: *const cr_migration, name: *const c_char, size: *mut usize) -> *mut c_void,
    >,
}

/// What a faulting instruction has tried to do with `cr_crash.address`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum cr_access {
    /// It was no access, or neither the processor nor the system tells.
    CR_ACCESS_UNKNOWN = 0,
    /// To read.
    CR_ACCESS_READ = 1,
    /// To write.
    CR_ACCESS_WRITE = 2,
    /// To execute: a jump or a call to what is no code.
    CR_ACCESS_EXECUTE = 3,
}

/// A value of `enum cr_mode` as C code passes it: any number.
pub type cr_mode_value = c_uint;
/// A value of `enum cr_op` as C code passes it: any number.
pub type cr_op_value = c_uint;
/// A value of `enum cr_failure` as C code passes it: any number, as `CR_OTHER + signal` shows.
pub type cr_failure_value = c_uint;
/// A value of `enum cr_log_level` as it is handed to C code.
pub type cr_log_level_value = c_uint;
/// A value of `enum cr_event_type` as it is handed to C code.
pub type cr_event_type_value = c_uint;
/// A value of `enum cr_access` as it is handed to C code.
pub type cr_access_value = c_uint;
/// A value of `enum cr_answer` as C code returns it: any number.
pub type cr_answer_value = c_uint;

/// A plugin: one guest, in the hands of one host.
///
/// The host declares it without initialising it and passes it to `cr_plugin_open`; it may copy and move it by
/// value afterwards. The host and the guest may read and write all fields but `p`. One thread at a time may use
/// a plugin; different plugins may be used by different threads at once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_plugin {
    /// The library's own data (`struct cr_internal`); NULL when the plugin is not open.
    pub p: *mut c_void,
    /// The host's, to share data with the guest. The library never touches it.
    pub userdata: *mut c_void,
    /// The version that runs. The first is 1; it goes back when a version is rolled back.
    pub version: c_uint,
    /// The last failure, or `CR_NONE`.
    pub failure: cr_failure_value,
    /// The number that the next new version gets. Numbers are never used twice.
    pub next_version: c_uint,
    /// The version that a crash goes back to; 0 when there is none.
    pub last_working_version: c_uint,
}

/// The guest's entry point, exported under the name `cr_main`.
///
/// A negative value from `CR_LOAD`, `CR_STEP` or `CR_UNLOAD` is a failure (`CR_USER`). Every call is guarded:
/// a crash inside ends the call, not the host.
pub type cr_plugin_main_func =
    Option<unsafe extern "C-unwind" fn(ctx: *mut cr_plugin, operation: cr_op_value) -> c_int>;

/// One event. It belongs to the library and is valid during the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_event {
    /// `sizeof(struct cr_event)` in this library; a later one may add fields.
    pub size: usize,
    /// What it is.
    pub kind: cr_event_type_value,
    /// The version that it is about.
    pub version: c_uint,
    /// What went wrong, or `CR_NONE`.
    pub failure: cr_failure_value,
    /// The event in words; never NULL.
    pub text: *const c_char,
    /// `CR_EVENT_STATE_CARRIED`: what `cr_plugin_state_report` returns, and as long valid. Otherwise NULL.
    pub state: *const cr_state_report,
}

/// Called with each event of a plugin, on the thread that uses it.
///
/// It may use the plugin: an update then makes only a step, a rollback does nothing, and a reload or a close is done
/// when the call of the library that the event comes from is over.
pub type cr_event_func = Option<
    unsafe extern "C-unwind" fn(
        ctx: *mut cr_plugin,
        event: *const cr_event,
        event_data: *mut c_void,
    ) -> cr_answer_value,
>;

/// One frame of a crash's backtrace. A later library may add fields at its end.
///
/// A function that the compiler has inlined has a frame of its own, with the address of the one that it is a part of.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_crash_frame {
    /// The instruction: in the first frame that which faulted, in the others the one that is returned to.
    pub address: usize,
    /// The path of the image that it is in: of the guest, the numbered copy. NULL if it is in none that is known.
    pub module: *const c_char,
    /// Where it is in the image, as tools that read the file want it; the address itself if there is none.
    pub offset: usize,
    /// The function in the words of its language, or NULL.
    pub function: *const c_char,
    /// Its source file as the debug information has it, or NULL.
    pub file: *const c_char,
    /// The line, from 1; 0 if it is not known.
    pub line: c_uint,
    /// Is the function inlined into that of the next frame?
    pub inlined: bool,
    /// So many bytes of stack lie between the frame before and this one, whose frames are not shown: they were too
    /// many, or could not be followed. Usually 0.
    pub skipped: usize,
}

/// How a guest has crashed; see `cr_plugin_crash`. A later library may add fields at its end.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_crash {
    /// `sizeof(struct cr_crash)` in this library.
    pub size: usize,
    /// The number of the signal, or the code of the exception (Windows).
    pub code: c_uint,
    /// What was wrong, as `cr_plugin.failure` has it.
    pub failure: cr_failure_value,
    /// The crash in words: "SIGSEGV at address 0x10". Never NULL.
    pub what: *const c_char,
    /// Where the call came from: "CR_STEP", "a guarded call", "a constructor". Never NULL.
    pub operation: *const c_char,
    /// The version that crashed.
    pub version: c_uint,
    /// What the instruction has tried.
    pub access: cr_access_value,
    /// The address that it has tried it with; 0 if there is none.
    pub address: usize,
    /// The thread, by the number that the system gives it.
    pub thread: c_ulonglong,
    /// The backtrace, from the innermost frame to the guest's outermost. Those of a library or of the host that the
    /// guest has called are among them.
    pub frame_count: usize,
    /// So many pointers to frames.
    pub frames: *const *const cr_crash_frame,
}

/// A function of the guest that `cr_plugin_call` calls.
pub type cr_guest_func = Option<unsafe extern "C-unwind" fn(arg: *mut c_void) -> *mut c_void>;

/// How a plugin is opened, see `cr_plugin_open_with`.
///
/// Begin with `CR_OPTIONS_INIT`, which fills in `size` and the defaults, then change what you need. The struct
/// and the strings are copied; they may go after the call. The function pointers must stay valid until the
/// plugin is closed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_options {
    /// `sizeof(struct cr_options)` of the header that the host was compiled with. Fields beyond it take their
    /// defaults, and fields that this library does not know are ignored.
    pub size: usize,
    /// How strictly the carried state must agree. Mind that 0 is `CR_SAFEST`; the usual choice is `CR_UNSAFE`.
    pub mode: cr_mode_value,
    /// The name of the guest's entry point; NULL for `cr_main`.
    pub main_func: *const c_char,
    /// An existing directory for the numbered copies of the guest; NULL for the guest's own.
    pub temporary_path: *const c_char,
    /// Called with each message, on the thread that uses the plugin, or NULL. `message` is valid during the
    /// call and has no line end. It must not call back into the same plugin.
    pub log:
        Option<unsafe extern "C-unwind" fn(log_data: *mut c_void, level: cr_log_level_value, message: *const c_char)>,
    /// Passed to `log` as it is.
    pub log_data: *mut c_void,
    /// Allocates the memory that carries the state; returns NULL when there is none. The three functions are
    /// used together; if one of them is NULL, those of the C library are.
    pub malloc_func: Option<unsafe extern "C-unwind" fn(size: usize) -> *mut c_void>,
    /// Makes a block larger, or returns NULL and leaves it as it is.
    pub realloc_func: Option<unsafe extern "C-unwind" fn(ptr: *mut c_void, size: usize) -> *mut c_void>,
    /// Frees what the other two returned.
    pub free_func: Option<unsafe extern "C-unwind" fn(ptr: *mut c_void)>,
    /// Any of `enum cr_option_flag`, or 0.
    pub flags: c_uint,
    /// So many images stay mapped after their unload, so that pointers into them and threads of theirs stay valid.
    /// Their destructors have run. 0: none.
    pub keep_generations: c_uint,
    /// While a file of this name exists, no reload happens; a build makes it at its start and removes it at its
    /// end. A name without a directory is looked for beside the guest. NULL: the guest's name and `.building`; "":
    /// none.
    pub build_lock: *const c_char,
    /// Called with each event, or NULL.
    pub on_event: cr_event_func,
    /// Passed to `on_event` as it is.
    pub event_data: *mut c_void,
    /// With `CR_GUARD_HANG`: how long a step may take, in milliseconds of real time. 0: 1000.
    pub hang_limit_ms: c_uint,
}

/// What `cr_plugin.p` points to, as far as hosts may look: read only, valid while the plugin is open.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cr_internal {
    /// The absolute path of the guest's file.
    pub fullname: *const c_char,
    /// The directory of the copies with a separator at its end, or "" for the guest's own directory.
    pub temppath: *const c_char,
    /// The dynamic loader's handle of the running version; NULL when none is loaded. It changes with each reload.
    pub handle: *mut c_void,
}

// The layout is the contract with programs that are compiled already.
const _: () = {
    use core::mem::{offset_of, size_of};
    let word = size_of::<*mut c_void>();
    assert!(offset_of!(cr_plugin, p) == 0);
    assert!(offset_of!(cr_plugin, userdata) == word);
    assert!(offset_of!(cr_plugin, version) == 2 * word);
    assert!(offset_of!(cr_plugin, failure) == 2 * word + 4);
    assert!(offset_of!(cr_plugin, next_version) == 2 * word + 8);
    assert!(offset_of!(cr_plugin, last_working_version) == 2 * word + 12);
    assert!(size_of::<cr_plugin>() == 2 * word + 16);
    assert!(offset_of!(cr_options, size) == 0);
    assert!(size_of::<cr_mode>() == size_of::<cr_mode_value>());
    assert!(size_of::<cr_op>() == size_of::<cr_op_value>());
    assert!(size_of::<cr_failure>() == size_of::<cr_failure_value>());
    assert!(size_of::<cr_log_level>() == size_of::<cr_log_level_value>());
    assert!(size_of::<cr_event_type>() == size_of::<cr_event_type_value>());
    assert!(size_of::<cr_access>() == size_of::<cr_access_value>());
    assert!(size_of::<cr_answer>() == size_of::<cr_answer_value>());
};
