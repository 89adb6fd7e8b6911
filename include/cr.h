/**
 * cr.h: hot reload for C and C++.
 *
 * A host is a thin program that keeps running. Its real code, the guest, is a shared library that is loaded again
 * whenever its file changes; static state is carried over, and a crash brings the version before back.
 *
 * A guest includes this header and exports one function. It is not linked with anything of cr:
 *
 *     #include "cr.h"
 *
 *     static int CR_STATE counter = 0;
 *
 *     CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op operation) {
 *         switch (operation) {
 *         case CR_LOAD:   break;
 *         case CR_STEP:   counter++; break;
 *         case CR_UNLOAD: break;
 *         case CR_CLOSE:  break;
 *         }
 *         return 0;
 *     }
 *
 * A host defines CR_HOST before including it, and is linked with the library:
 *
 *     #define CR_HOST
 *     #include "cr.h"
 *
 *     int main(void) {
 *         struct cr_plugin ctx;
 *         if (!cr_plugin_open(&ctx, "build/" CR_PLUGIN("game"))) {
 *             fprintf(stderr, "%s\n", cr_plugin_error(&ctx));
 *             return 1;
 *         }
 *         while (cr_plugin_update(&ctx, true) >= 0) { ... }
 *         cr_plugin_close(&ctx);
 *         return 0;
 *     }
 *
 * In C++ the functions take references: cr_plugin_open(ctx, ...), cr_plugin_update(ctx), cr_plugin_close(ctx).
 *
 * Guests may be C89 or C++98 and later, hosts C99 or C++11 and later. Any number of files of one program may
 * define CR_HOST; the macros that each defines before the include hold for the plugins which that file opens:
 *
 *     CR_HOST            alone, or the mode: #define CR_HOST CR_SAFEST. Alone, or 1 as -DCR_HOST gives, is CR_UNSAFE
 *     CR_MAIN_FUNC       the name of the guest's entry point: "cr_main"
 *     CR_MALLOC(size), CR_REALLOC(ptr, size), CR_FREE(ptr)
 *                        the memory that carries the state: malloc, realloc, free
 *     CR_ASSERT(e)       assert(e)
 *     CR_LOG(...), CR_ERROR(...)
 *                        messages, with the arguments of printf: nothing; with CR_DEBUG, to stdout and stderr
 *     CR_TRACE           stands, without a semicolon, in a function with the name of that which is entered (in C
 *                        with a `_` at its end): nothing; with CR_DEBUG, __func__ goes to stdout
 *     CR_HOST_EVENT_CALLBACK(ctx, action)
 *                        called with each event: the plugin (in C a pointer) and its enum cr_event_type. For answers
 *                        and texts use cr_options.on_event
 *     CR_NO_STD_HEADERS  C++: without <string>, <thread> and the other headers that hosts have come to find here, and
 *                        without the names that need them (the section on compatibility at the end): such a file
 *                        compiles in a fraction of the time
 *     CR_SHARED          Windows: the library is used as a DLL
 *
 * This file is generated: types, functions and their descriptions come from src/abi.rs and src/capi.rs, the rest from
 * include/cr.h.in (`cargo build --features header`).
 */
#ifndef __CR_H__
#define __CR_H__

#include <stddef.h>

#define CR_VERSION_MAJOR 0
#define CR_VERSION_MINOR 1
#define CR_VERSION_PATCH 0
#define CR_VERSION_STRING "0.1.0"

/* ---- Platform ---- */

#if defined(_WIN32)
#define CR_WINDOWS
#define CR_PLUGIN(name) "" name ".dll"
#elif defined(__linux__) /* Android too */
#define CR_LINUX
#define CR_PLUGIN(name) "lib" name ".so"
#elif defined(__APPLE__)
#define CR_OSX
#define CR_PLUGIN(name) "lib" name ".dylib"
#elif defined(__FreeBSD__)
#define CR_FREEBSD
#define CR_PLUGIN(name) "lib" name ".so"
#else
#error "cr.h does not know this platform"
#endif

/* ---- Compiler ---- */

#if defined(__cplusplus)
#define CR_EXTERN_C_ extern "C"
#else
#define CR_EXTERN_C_
#endif

/*
 * CR_EXPORT: what the host can find. CR_IMPORT: a function of another library.
 *
 * CR_STATE: a static or global variable that is carried over to the next version. `used` because its value may come
 * from another version: without it, a variable that this version only reads is taken for a constant.
 */
#if defined(_MSC_VER)
#define CR_EXPORT CR_EXTERN_C_ __declspec(dllexport)
#define CR_IMPORT CR_EXTERN_C_ __declspec(dllimport)
#pragma section(".state", read, write)
#if defined(__clang__)
#define CR_STATE __declspec(allocate(".state")) __attribute__((__used__))
#else
#define CR_STATE __declspec(allocate(".state"))
#endif
#elif defined(__GNUC__)
#if defined(CR_WINDOWS)
#define CR_EXPORT CR_EXTERN_C_ __declspec(dllexport)
#else
#define CR_EXPORT CR_EXTERN_C_ __attribute__((__visibility__("default")))
#endif
#define CR_IMPORT
#if defined(CR_OSX)
#define CR_STATE __attribute__((__used__, __section__("__DATA,__state")))
#else
#define CR_STATE __attribute__((__used__, __section__(".state")))
#endif
#else
#error "cr.h does not know this compiler"
#endif

/*
 * CR_STATE_RENAMED(name, "old name"): the static or global variable `name` of this file was called otherwise in the
 * version before; it takes over the value. At file scope, with a semicolon. Names are those that people write:
 * `player` in C, "game::player" in C++ (where `name` may be qualified, too).
 */
#if defined(_MSC_VER)
#pragma section("cr_names", read)
#define CR_RENAMES_ __declspec(allocate("cr_names"))
#elif defined(CR_OSX)
#define CR_RENAMES_ __attribute__((__used__, __section__("__DATA,cr_names")))
#elif defined(__has_attribute)
#if __has_attribute(__retain__)
#define CR_RENAMES_ __attribute__((__used__, __retain__, __section__("cr_names")))
#endif
#endif
#if !defined(CR_RENAMES_)
#define CR_RENAMES_ __attribute__((__used__, __section__("cr_names")))
#endif
#define CR_JOIN_AGAIN_(a, b) a##b
#define CR_JOIN_(a, b) CR_JOIN_AGAIN_(a, b)
#define CR_STATE_RENAMED(name, old_name)                                                                               \
    CR_RENAMES_ static const char CR_JOIN_(cr_renamed_, __LINE__)[] = #name "\0" old_name

/* ---- Types ---- */

/**
 * How strictly the carried state of the old and the new version must agree: each variable that is carried or, if one
 * of the images is stripped, each section.
 *
 * When the rule is broken the reload is refused with `CR_STATE_INVALIDATED`, and the next update is back on the
 * old version with the state of its last unload.
 */
enum cr_mode {
    /** It has the same address in the image and the same size, and is still there. Pointers in it are left alone. */
    CR_SAFEST = 0,
    /** It has the same size. */
    CR_SAFE = 1,
    /** Anything goes; a section must fit into the new one. The default. */
    CR_UNSAFE = 2,
    /** No state is carried: every version starts with its initial values. */
    CR_DISABLE = 3
};

/** Why the guest's entry point is called. */
enum cr_op {
    /** The version has just been loaded, its state is restored. `failure` still tells why, after a rollback. */
    CR_LOAD = 0,
    /** One call for each `cr_plugin_update`. */
    CR_STEP = 1,
    /** The version is about to be replaced; its state is saved afterwards. */
    CR_UNLOAD = 2,
    /** The plugin is being closed. The value returned is ignored. */
    CR_CLOSE = 3
};

/**
 * What went wrong, as found in `cr_plugin.failure`.
 *
 * The field may hold other values: a signal without a name here is `CR_OTHER` plus the signal's number. After
 * any of them, except where noted, the next update rolls back.
 */
enum cr_failure {
    /** Nothing. */
    CR_NONE = 0,
    /** Invalid memory access: SIGSEGV, EXCEPTION_ACCESS_VIOLATION. */
    CR_SEGFAULT = 1,
    /** Illegal instruction: SIGILL, EXCEPTION_ILLEGAL_INSTRUCTION. */
    CR_ILLEGAL = 2,
    /** The guest called abort, or let an exception escape that nobody catches: SIGABRT. */
    CR_ABORT = 3,
    /** Misaligned access or a mapped file that became shorter: SIGBUS, EXCEPTION_DATATYPE_MISALIGNMENT. */
    CR_MISALIGN = 4,
    /** EXCEPTION_ARRAY_BOUNDS_EXCEEDED (Windows). */
    CR_BOUNDS = 5,
    /** The stack ran out. */
    CR_STACKOVERFLOW = 6,
    /** The carried state does not fit the new version under the `cr_mode` in force. */
    CR_STATE_INVALIDATED = 7,
    /**
     * The new file cannot be used: incomplete, of another architecture, without entry point, refused by the
     * dynamic loader, or it cannot be copied. If it was seen before the running version was touched, that
     * version simply goes on with the next update.
     */
    CR_BAD_IMAGE = 8,
    /** The first version failed and there is nothing to go back to. A changed file is loaded. */
    CR_INITIAL_FAILURE = 9,
    /** Base of the other signals: `CR_OTHER + SIGFPE`, `CR_OTHER + SIGTRAP`. */
    CR_OTHER = 10,
    /** The guest returned a negative value. */
    CR_USER = 0x100
};

/**
 * A plugin: one guest, in the hands of one host.
 *
 * The host declares it without initialising it and passes it to `cr_plugin_open`; it may copy and move it by
 * value afterwards. The host and the guest may read and write all fields but `p`. One thread at a time may use
 * a plugin; different plugins may be used by different threads at once.
 */
struct cr_plugin {
    /** The library's own data (`struct cr_internal`); NULL when the plugin is not open. */
    void *p;
    /** The host's, to share data with the guest. The library never touches it. */
    void *userdata;
    /** The version that runs. The first is 1; it goes back when a version is rolled back. */
    unsigned int version;
    /** The last failure, or `CR_NONE`. */
    enum cr_failure failure;
    /** The number that the next new version gets. Numbers are never used twice. */
    unsigned int next_version;
    /** The version that a crash goes back to; 0 when there is none. */
    unsigned int last_working_version;
};

/**
 * The guest's entry point, exported under the name `cr_main`.
 *
 * A negative value from `CR_LOAD`, `CR_STEP` or `CR_UNLOAD` is a failure (`CR_USER`). Every call is guarded:
 * a crash inside ends the call, not the host.
 */
typedef int (*cr_plugin_main_func)(struct cr_plugin *ctx, enum cr_op operation);

/**
 * What the guest's own `cr_migrate` gets, if it exports one:
 * `void cr_migrate(struct cr_plugin *ctx, const struct cr_migration *migration)`.
 *
 * It is called after the state has been moved from another version and before `CR_LOAD`, under the guard: a crash in
 * it is one in `CR_LOAD`. It is valid during the call. Names are those that people write (`game::player`), without
 * what makes a symbol local, or the symbols themselves. They are found only where both images have symbols.
 */
struct cr_migration {
    /** `sizeof(struct cr_migration)` in the library; a later one may add fields. */
    size_t size;
    /** The version that the state came from. */
    unsigned int old_version;
    /** The version that runs now. */
    unsigned int new_version;
    /**
     * The bytes that a variable had in the old version, to be read only; also of one that was dropped. NULL, and
     * `*size` is 0, if there is none of this name, or several. `size` may be NULL.
     */
    const void *(*old_variable)(const struct cr_migration *migration, const char *name, size_t *size);
    /** Where a variable is in the version that runs now, to be written. NULL as above. */
    void *(*new_variable)(const struct cr_migration *migration, const char *name, size_t *size);
};

#endif /* __CR_H__ */

/*
 * ---- For hosts: from here to the end ----
 *
 * Behind a guard of its own, so that a file which has included this header as a guest may still become a host.
 */
#if defined(CR_HOST) && !defined(__CR_H_HOST__)
#define __CR_H_HOST__

#if defined(__cplusplus)
#if __cplusplus < 201103L && !defined(_MSC_VER)
#error "a host with cr.h needs C++11 or later"
#endif
#include <stddef.h>
#include <string.h>
#if !defined(CR_NO_STD_HEADERS)
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#endif
#else
#if !defined(_MSC_VER) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L)
#error "a host with cr.h needs C99 or later"
#endif
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#endif

/** What a log message is about. */
enum cr_log_level {
    /** A failure; the text is that of `cr_plugin_error`. */
    CR_LOG_LEVEL_ERROR = 0,
    /** Something that happened: loaded, unloaded, rolled back. */
    CR_LOG_LEVEL_INFO = 1,
    /** The message is the name of a function of the library that has been entered. */
    CR_LOG_LEVEL_TRACE = 2
};

/** Flags of `cr_options.flags`, to be combined with `|`. */
enum cr_option_flag {
    /** Guest code is not guarded: a crash goes straight to the debugger, the core dump or the host's own handler. */
    CR_NO_GUARD = 1,
    /**
     * After a crash in `CR_UNLOAD` the next update loads the new version, with the state of the last good unload,
     * instead of going back to the version before.
     */
    CR_RECOVER_FORWARD = 2,
    /** Only what is tagged with `CR_STATE` is carried; `.bss` is left alone. */
    CR_STATE_ONLY = 4,
    /**
     * A thread of the library watches the guest's file, one for all plugins that ask for it. An update then makes no
     * system call while nothing changes, and a change is noticed a few milliseconds after it was made instead of by
     * the next update. Without threads, and in a forked child, it is as if the flag were not set.
     */
    CR_WATCH = 8,
    /**
     * A step that runs longer than `hang_limit_ms` is interrupted and is a failure, `CR_OTHER + SIGALRM` (24), like a
     * crash. It is interrupted only while it is in code of the guest's own image: as long as it is in a library or in
     * the host, where it may hold a lock, it goes on, and so it does in a guarded call of another plugin. Linux,
     * Android and Windows (there by a thread of the system's timers); elsewhere opening fails.
     */
    CR_GUARD_HANG = 16
};

/** What has happened, or is about to; see `cr_options.on_event`. */
enum cr_event_type {
    /**
     * The guest's file has changed; `version` is the number it will get. It may be answered with `CR_DEFER` or
     * `CR_SKIP`. The first load is not a change.
     */
    CR_EVENT_CHANGED = 0,
    /**
     * The file cannot be used, or its state does not fit; `text` says why. It is told once for each state of the file.
     */
    CR_EVENT_REJECTED = 1,
    /** The version in memory is about to go, because it is replaced, rolled back or closed. */
    CR_EVENT_BEFORE_UNLOAD = 2,
    /** It has gone. */
    CR_EVENT_AFTER_UNLOAD = 3,
    /** The state of the last good unload has been put into the version that was just loaded, before its `CR_LOAD`. */
    CR_EVENT_STATE_CARRIED = 4,
    /** A version has been loaded, and its `CR_LOAD` has come to a good end. */
    CR_EVENT_LOADED = 5,
    /**
     * The guest has crashed, be it in a constructor or destructor; `version` is the one that did, and
     * `cr_plugin_crash` tells how. It may be answered with `CR_RETRY` or `CR_STOP`.
     */
    CR_EVENT_CRASH = 6,
    /** A version is loaded again after a failure. */
    CR_EVENT_ROLLBACK = 7,
    /** The guest has returned a negative value. */
    CR_EVENT_USER_FAILURE = 8,
    /**
     * The image of a version is still mapped after its unload; `text` says why, if the image itself tells: it is marked
     * so, or it has unique symbols or thread_local objects with destructors. Otherwise something else holds it.
     */
    CR_EVENT_STILL_MAPPED = 9,
    /** The plugin is closed. It is the last event. */
    CR_EVENT_CLOSED = 10
};

/** What the host wants in answer to an event. An answer that the event does not know is `CR_GO_ON`. */
enum cr_answer {
    /** What cr does by itself. After a crash: roll back. */
    CR_GO_ON = 0,
    /** Not now: the running version goes on, and the next update asks again. */
    CR_DEFER = 1,
    /** Not this file: it counts as tried. */
    CR_SKIP = 2,
    /** After a crash: load the guest's file again, as a new version, with the state of the last good unload. */
    CR_RETRY = 3,
    /** After a crash: load nothing until the file changes. Every update returns -2 until then. */
    CR_STOP = 4
};

/** What became of a variable at a reload; see `cr_state_entry`. */
enum cr_entry_kind {
    /** It has its old value, byte for byte. */
    CR_ENTRY_CARRIED = 0,
    /** Its type or size has changed, and its old value was brought into the new form as far as possible. */
    CR_ENTRY_CONVERTED = 1,
    /**
     * It has the initial value of the new version: it is new, thread-local, an object whose destructor has run, or
     * nothing that can be told to be its old value was there.
     */
    CR_ENTRY_INITIALISED = 2,
    /** The new version does not have it any more. */
    CR_ENTRY_DROPPED = 3,
    /**
     * It was carried, and pointers in it that pointed into the old image were made to point to the same things in
     * the new one. The entry is in addition to that of the variable itself.
     */
    CR_ENTRY_REDIRECTED = 4,
    /**
     * It was carried, and pointers in it point to something in the old image that the new one does not have. They
     * are left as they were, and must not be used. In addition, too.
     */
    CR_ENTRY_DANGLING = 5,
    /** It is why the reload was refused under the `cr_mode` in force. */
    CR_ENTRY_REFUSED = 6
};

/** What a faulting instruction has tried to do with `cr_crash.address`. */
enum cr_access {
    /** It was no access, or neither the processor nor the system tells. */
    CR_ACCESS_UNKNOWN = 0,
    /** To read. */
    CR_ACCESS_READ = 1,
    /** To write. */
    CR_ACCESS_WRITE = 2,
    /** To execute: a jump or a call to what is no code. */
    CR_ACCESS_EXECUTE = 3
};

/** What became of one variable. It belongs to the report that it is in. */
struct cr_state_entry {
    /** What became of it. */
    enum cr_entry_kind kind;
    /** The variable as people write it: `game::player`. Never NULL. */
    const char *name;
    /** The name in the image: `_ZN4game6playerE`. Never NULL. */
    const char *symbol;
    /** Why, in words; "" if there is nothing to say. Never NULL. */
    const char *reason;
    /** Its size in bytes in the old version; 0 if it did not have it. */
    size_t old_size;
    /** And in the new one. */
    size_t new_size;
};

/** What became of the state when it was last moved from one version into another; see `cr_plugin_state_report`. */
struct cr_state_report {
    /** `sizeof(struct cr_state_report)` in this library; a later one may add fields. */
    size_t size;
    /** The version that the state came from. */
    unsigned int old_version;
    /** The version that it went into. */
    unsigned int new_version;
    /**
     * Variables were matched by name. False: one of the images is stripped, and whole sections were moved, which are
     * then the entries.
     */
    bool by_variable;
    /** How many entries there are. */
    size_t count;
    /** The entries, in the order of the variables in memory; NULL if there are none. */
    const struct cr_state_entry *entries;
};

/** One event. It belongs to the library and is valid during the call. */
struct cr_event {
    /** `sizeof(struct cr_event)` in this library; a later one may add fields. */
    size_t size;
    /** What it is. */
    enum cr_event_type kind;
    /** The version that it is about. */
    unsigned int version;
    /** What went wrong, or `CR_NONE`. */
    enum cr_failure failure;
    /** The event in words; never NULL. */
    const char *text;
    /** `CR_EVENT_STATE_CARRIED`: what `cr_plugin_state_report` returns, and as long valid. Otherwise NULL. */
    const struct cr_state_report *state;
};

/**
 * One frame of a crash's backtrace. A later library may add fields at its end.
 *
 * A function that the compiler has inlined has a frame of its own, with the address of the one that it is a part of.
 */
struct cr_crash_frame {
    /** The instruction: in the first frame that which faulted, in the others the one that is returned to. */
    size_t address;
    /** The path of the image that it is in: of the guest, the numbered copy. NULL if it is in none that is known. */
    const char *module;
    /** Where it is in the image, as tools that read the file want it; the address itself if there is none. */
    size_t offset;
    /** The function in the words of its language, or NULL. */
    const char *function;
    /** Its source file as the debug information has it, or NULL. */
    const char *file;
    /** The line, from 1; 0 if it is not known. */
    unsigned int line;
    /** Is the function inlined into that of the next frame? */
    bool inlined;
    /**
     * So many bytes of stack lie between the frame before and this one, whose frames are not shown: they were too
     * many, or could not be followed. Usually 0.
     */
    size_t skipped;
};

/** How a guest has crashed; see `cr_plugin_crash`. A later library may add fields at its end. */
struct cr_crash {
    /** `sizeof(struct cr_crash)` in this library. */
    size_t size;
    /** The number of the signal, or the code of the exception (Windows). */
    unsigned int code;
    /** What was wrong, as `cr_plugin.failure` has it. */
    enum cr_failure failure;
    /** The crash in words: "SIGSEGV at address 0x10". Never NULL. */
    const char *what;
    /** Where the call came from: "CR_STEP", "a guarded call", "a constructor". Never NULL. */
    const char *operation;
    /** The version that crashed. */
    unsigned int version;
    /** What the instruction has tried. */
    enum cr_access access;
    /** The address that it has tried it with; 0 if there is none. */
    size_t address;
    /** The thread, by the number that the system gives it. */
    unsigned long long thread;
    /**
     * The backtrace, from the innermost frame to the guest's outermost. Those of a library or of the host that the
     * guest has called are among them.
     */
    size_t frame_count;
    /** So many pointers to frames. */
    const struct cr_crash_frame *const *frames;
};

/**
 * Called with each event of a plugin, on the thread that uses it.
 *
 * It may use the plugin: an update then makes only a step, a rollback does nothing, and a reload or a close is done
 * when the call of the library that the event comes from is over.
 */
typedef enum cr_answer (*cr_event_func)(struct cr_plugin *ctx, const struct cr_event *event, void *event_data);

/**
 * How a plugin is opened, see `cr_plugin_open_with`.
 *
 * Begin with `CR_OPTIONS_INIT`, which fills in `size` and the defaults, then change what you need. The struct
 * and the strings are copied; they may go after the call. The function pointers must stay valid until the
 * plugin is closed.
 */
struct cr_options {
    /**
     * `sizeof(struct cr_options)` of the header that the host was compiled with. Fields beyond it take their
     * defaults, and fields that this library does not know are ignored.
     */
    size_t size;
    /** How strictly the carried state must agree. Mind that 0 is `CR_SAFEST`; the usual choice is `CR_UNSAFE`. */
    enum cr_mode mode;
    /** The name of the guest's entry point; NULL for `cr_main`. */
    const char *main_func;
    /** An existing directory for the numbered copies of the guest; NULL for the guest's own. */
    const char *temporary_path;
    /**
     * Called with each message, on the thread that uses the plugin, or NULL. `message` is valid during the
     * call and has no line end. It must not call back into the same plugin.
     */
    void (*log)(void *log_data, enum cr_log_level level, const char *message);
    /** Passed to `log` as it is. */
    void *log_data;
    /**
     * Allocates the memory that carries the state; returns NULL when there is none. The three functions are
     * used together; if one of them is NULL, those of the C library are.
     */
    void *(*malloc_func)(size_t size);
    /** Makes a block larger, or returns NULL and leaves it as it is. */
    void *(*realloc_func)(void *ptr, size_t size);
    /** Frees what the other two returned. */
    void (*free_func)(void *ptr);
    /** Any of `enum cr_option_flag`, or 0. */
    unsigned int flags;
    /**
     * So many images stay mapped after their unload, so that pointers into them and threads of theirs stay valid.
     * Their destructors have run. 0: none.
     */
    unsigned int keep_generations;
    /**
     * While a file of this name exists, no reload happens; a build makes it at its start and removes it at its
     * end. A name without a directory is looked for beside the guest. NULL: the guest's name and `.building`; "":
     * none.
     */
    const char *build_lock;
    /** Called with each event, or NULL. */
    cr_event_func on_event;
    /** Passed to `on_event` as it is. */
    void *event_data;
    /** With `CR_GUARD_HANG`: how long a step may take, in milliseconds of real time. 0: 1000. */
    unsigned int hang_limit_ms;
};

/** A function of the guest that `cr_plugin_call` calls. */
typedef void *(*cr_guest_func)(void *arg);

/** What a `struct cr_options` begins as: `CR_UNSAFE`, and the defaults of everything else. */
#define CR_OPTIONS_INIT                                                                                                \
    { sizeof(struct cr_options), CR_UNSAFE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, 0 }

/* ---- Functions ---- */

#if defined(CR_WINDOWS) && defined(CR_SHARED)
#define CR_API __declspec(dllimport)
#else
#define CR_API
#endif

#if defined(__cplusplus)
extern "C" {
#endif

/** A handle of a symbol of the guest, see cr_plugin_get_symbol. */
struct cr_symbol;

/**
 * Opens a plugin with options; NULL stands for the defaults. Otherwise as `cr_plugin_open`.
 *
 * Options that make no sense (an unknown mode, a `size` that does not reach past `mode`) are an error: false.
 *
 * Requires: as for `cr_plugin_open`; `options` is NULL or points to `options->size` readable bytes with valid strings
 * and functions.
 */
CR_API bool cr_plugin_open_with(struct cr_plugin *ctx, const char *fullpath, const struct cr_options *options);

/**
 * The last failure of this plugin in words, or "" if there was none. Never NULL.
 *
 * For a plugin that is not open (or NULL) it is the text of the last open that failed on this thread. The string
 * belongs to the library and is valid until the next call on this plugin (on this thread).
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API const char *cr_plugin_error(const struct cr_plugin *ctx);

/** The version of this library, "major.minor.patch". It belongs to the library and is always valid. */
CR_API const char *cr_version_string(void);

/**
 * Puts the numbered copies of the guest into another existing directory. Best called right after opening.
 *
 * NULL or "" stands for the guest's own directory. Copies made before stay where they are until the plugin is
 * closed. It does nothing when the plugin is not open.
 *
 * Requires: as for `cr_plugin_update`; `path` is NULL or a string, which is copied.
 */
CR_API void cr_set_temporary_path(struct cr_plugin *ctx, const char *path);

/**
 * Reloads the guest's file at the next update, whether it has changed or not, and whether that update checks or not.
 *
 * It does nothing when the plugin is not open. The answers to `CR_EVENT_CHANGED` and the build lock hold for it, too.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API void cr_plugin_request_reload(struct cr_plugin *ctx);

/**
 * What became of the state when it was last moved into another version: carried, converted, initialised, dropped, or
 * why it was refused, variable by variable.
 *
 * Returns NULL if no state was moved at the last reload or rollback, or the plugin is not open. The report belongs to
 * the library and is valid until the next reload, rollback or close.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API const struct cr_state_report *cr_plugin_state_report(const struct cr_plugin *ctx);

/**
 * The address of an exported symbol in the version that is loaded now; NULL if there is none, or no such symbol.
 *
 * It is valid until the version is unloaded.
 *
 * Requires: as for `cr_plugin_update`; `name` is NULL or a string.
 */
CR_API void *cr_plugin_symbol(struct cr_plugin *ctx, const char *name);

/**
 * A handle of an exported symbol that follows it through reloads and rollbacks. The symbol need not exist yet.
 *
 * Returns NULL if the plugin is not open or `name` is NULL. The handle is the caller's, who frees it with
 * `cr_symbol_free`, before or after the plugin is closed. It belongs to the plugin's thread.
 *
 * Requires: as for `cr_plugin_update`; `name` is NULL or a string, which is copied.
 */
CR_API struct cr_symbol *cr_plugin_get_symbol(struct cr_plugin *ctx, const char *name);

/**
 * The symbol's address in the version that is loaded now; NULL while there is none, and for NULL.
 *
 * Requires: `symbol` is NULL or a handle that is not freed.
 */
CR_API void *cr_symbol_get(const struct cr_symbol *symbol);

/**
 * Frees a handle; NULL is ignored.
 *
 * Requires: `symbol` is NULL or a handle that is not freed, and is not used again.
 */
CR_API void cr_symbol_free(struct cr_symbol *symbol);

/**
 * Calls a function of the guest under the guard, from anywhere: the host's loop, another thread that has the
 * plugin to itself, or the guest of this or another plugin.
 *
 * Returns true if it returned; `*result` is its value then, unless `result` is NULL. False, and `*result` is left
 * alone, if it crashed: that is a failure of the plugin like a crash in `CR_STEP`, and the next update rolls back.
 * False, too, if there is no version in good order: the plugin is not open, nothing is loaded, or a failure waits
 * for the next update; or if `function` is NULL.
 *
 * Requires: as for `cr_plugin_update`; `function` is NULL or a function of the version that is loaded, and may be
 * called with `arg`.
 */
CR_API bool cr_plugin_call(struct cr_plugin *ctx, cr_guest_func function, void *arg, void **result);

/**
 * How the guest has crashed the last time, with a backtrace; NULL if it has not, or is not guarded.
 *
 * The record belongs to the library and is valid until the next crash of this plugin and until it is closed, through
 * rollbacks and reloads. It is made by the first call after a crash, which reads the files of the images: that takes
 * milliseconds and memory, while the crash itself costs next to nothing. It may be asked for in `CR_EVENT_CRASH`.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API const struct cr_crash *cr_plugin_crash(const struct cr_plugin *ctx);

/**
 * Writes a crash record as a text that a person can read: what happened, then a line for each frame.
 *
 * `fd` is a file descriptor that is open for writing, of the C runtime that this library uses. Returns true if all was
 * written; false, too, if `crash` is NULL.
 *
 * Requires: `crash` is NULL or a record that is still valid.
 */
CR_API bool cr_crash_write(const struct cr_crash *crash, int fd);

#if !defined(__cplusplus)

/**
 * Opens a plugin: the guest at `fullpath`, to be loaded by the first `cr_plugin_update`.
 *
 * All fields of `ctx` but `userdata` are set; it may be uninitialised before. A relative path counts from the
 * current directory. In a C or C++ file that defines `CR_HOST`, the macros of that file (mode, `CR_MAIN_FUNC`,
 * `CR_LOG`, `CR_MALLOC` ...) are handed over as options.
 *
 * Returns true if the file is there. Otherwise, and when an argument is NULL, it returns false and
 * `cr_plugin_error` tells why; a later update returns -2, and closing does nothing.
 *
 * Requires: `ctx` is NULL or points to a `cr_plugin` that is not open; `fullpath` is NULL or a string.
 */
CR_API bool cr_plugin_open(struct cr_plugin *ctx, const char *fullpath);

/**
 * The old name of `cr_plugin_open`.
 *
 * Requires: as for `cr_plugin_open`.
 */
CR_API bool cr_plugin_load(struct cr_plugin *ctx, const char *fullpath);

/**
 * Runs the guest once: rolls back after a failure, loads a changed file if `reloadCheck` is true (the first load
 * is always done), then calls the entry point with `CR_STEP`.
 *
 * Returns what the guest returned; -1 when it failed in the step; -2 when a load or unload failed, or when the
 * plugin is not open. `failure` tells what happened and `cr_plugin_error` puts it into words. If the guest calls
 * this for its own plugin, only the step is done.
 *
 * Requires: `ctx` is NULL or a plugin that was passed to open; no other thread uses it meanwhile.
 */
CR_API int cr_plugin_update(struct cr_plugin *ctx, bool reloadCheck);

/**
 * Closes a plugin: `CR_CLOSE`, then the guest is unloaded and every copy that was made of it is deleted.
 *
 * `p` is NULL and `version` 0 afterwards. It does nothing when `ctx` is NULL or not open. If the guest calls this
 * for its own plugin, it is closed when the guest's call returns.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API void cr_plugin_close(struct cr_plugin *ctx);

/**
 * Has the guest's file changed since it was last tried? False when it is missing, empty or not open.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API bool cr_plugin_changed(struct cr_plugin *ctx);

/**
 * Loads the guest's file if it has changed, without a step: the check that `cr_plugin_update` makes.
 *
 * Called from inside the guest or an event, it is done when the call of the library that they are in is over: the
 * update then returns what the step of the old version returned, and a failure is left to the next one.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API void cr_plugin_reload(struct cr_plugin *ctx);

/**
 * Unloads the running version without a word to it and loads the last one that worked, with its backup state.
 *
 * After a failure that is the version which the next update would go back to. A host may choose another by setting
 * `ctx->version` first. Version 1, with nothing before it, is loaded again itself. Returns true when the version runs;
 * `failure` is cleared then. A step is not made. From inside the guest or an event it does nothing.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API bool cr_plugin_rollback(struct cr_plugin *ctx);

/**
 * Unloads the running version. Unless it is for a rollback, it is told so first (`CR_CLOSE` if `close`, else
 * `CR_UNLOAD`) and its state is saved.
 *
 * Returns what the guest returned, 0 if it was not asked, -1 if it crashed. The next update loads a version again.
 *
 * Requires: as for `cr_plugin_update`.
 */
CR_API int cr_plugin_unload(struct cr_plugin *ctx, bool rollback, bool close);

#else

/*
 * The functions that are older than this library take references in C++. They are the same functions; the branch for C
 * above describes them. cr_plugin_open and cr_plugin_load follow the macros.
 */
CR_API int cr_plugin_update(cr_plugin &ctx, bool reloadCheck = true);
CR_API void cr_plugin_close(cr_plugin &ctx);
CR_API bool cr_plugin_changed(cr_plugin &ctx);
CR_API void cr_plugin_reload(cr_plugin &ctx);
CR_API bool cr_plugin_rollback(cr_plugin &ctx);
CR_API int cr_plugin_unload(cr_plugin &ctx, bool rollback, bool close);

} /* extern "C" */
#endif

/*
 * ---- Callbacks in C ----
 *
 * CR_CALLBACK_n(result, name, fallback, type_1 ... type_n) defines a function `name` of n parameters that can be handed
 * to a toolkit and stays valid for the life of the program: it calls the guest's exported function of that name, in the
 * version that is loaded now, under the guard. While there is none in good order, and when the call crashes, it returns
 * `fallback`. CR_CALLBACK_VOID_n(name, type_1 ... type_n) is for functions that return nothing.
 *
 * Before its first call, and after the plugin is opened, `name_bind(&ctx)` says which plugin; with NULL, before the
 * struct goes away, it says none. A callback belongs to the plugin's thread.
 *
 *     CR_CALLBACK_2(int, on_key, -1, int, void *)
 *     ...
 *     on_key_bind(&ctx);
 *     toolkit_on_key(on_key, NULL);
 */
/* clang-format off */
#define CR_CALLBACK_0(result, name, fallback)                                                                          \
    CR_CALLBACK_(result, name, (void), ,                                                                               \
                 (void), ,                                                                                             \
                 (), result value;, call->value =, return call.value;, return fallback;)
#define CR_CALLBACK_1(result, name, fallback, t1)                                                                      \
    CR_CALLBACK_(result, name, (t1), t1 a1;,                                                                           \
                 (t1 a1), call.a1 = a1;,                                                                               \
                 (call->a1), result value;, call->value =, return call.value;, return fallback;)
#define CR_CALLBACK_2(result, name, fallback, t1, t2)                                                                  \
    CR_CALLBACK_(result, name, (t1, t2), t1 a1; t2 a2;,                                                                \
                 (t1 a1, t2 a2), call.a1 = a1; call.a2 = a2;,                                                          \
                 (call->a1, call->a2), result value;, call->value =, return call.value;, return fallback;)
#define CR_CALLBACK_3(result, name, fallback, t1, t2, t3)                                                              \
    CR_CALLBACK_(result, name, (t1, t2, t3), t1 a1; t2 a2; t3 a3;,                                                     \
                 (t1 a1, t2 a2, t3 a3), call.a1 = a1; call.a2 = a2; call.a3 = a3;,                                     \
                 (call->a1, call->a2, call->a3), result value;, call->value =, return call.value;, return fallback;)
#define CR_CALLBACK_4(result, name, fallback, t1, t2, t3, t4)                                                          \
    CR_CALLBACK_(result, name, (t1, t2, t3, t4), t1 a1; t2 a2; t3 a3; t4 a4;,                                          \
                 (t1 a1, t2 a2, t3 a3, t4 a4), call.a1 = a1; call.a2 = a2; call.a3 = a3; call.a4 = a4;,                \
                 (call->a1, call->a2, call->a3, call->a4), result value;, call->value =, return call.value;,           \
                 return fallback;)
#define CR_CALLBACK_VOID_0(name)                                                                                       \
    CR_CALLBACK_(void, name, (void), ,                                                                                 \
                 (void), ,                                                                                             \
                 (), , , return;, return;)
#define CR_CALLBACK_VOID_1(name, t1)                                                                                   \
    CR_CALLBACK_(void, name, (t1), t1 a1;,                                                                             \
                 (t1 a1), call.a1 = a1;,                                                                               \
                 (call->a1), , , return;, return;)
#define CR_CALLBACK_VOID_2(name, t1, t2)                                                                               \
    CR_CALLBACK_(void, name, (t1, t2), t1 a1; t2 a2;,                                                                  \
                 (t1 a1, t2 a2), call.a1 = a1; call.a2 = a2;,                                                          \
                 (call->a1, call->a2), , , return;, return;)
#define CR_CALLBACK_VOID_3(name, t1, t2, t3)                                                                           \
    CR_CALLBACK_(void, name, (t1, t2, t3), t1 a1; t2 a2; t3 a3;,                                                       \
                 (t1 a1, t2 a2, t3 a3), call.a1 = a1; call.a2 = a2; call.a3 = a3;,                                     \
                 (call->a1, call->a2, call->a3), , , return;, return;)
#define CR_CALLBACK_VOID_4(name, t1, t2, t3, t4)                                                                       \
    CR_CALLBACK_(void, name, (t1, t2, t3, t4), t1 a1; t2 a2; t3 a3; t4 a4;,                                            \
                 (t1 a1, t2 a2, t3 a3, t4 a4), call.a1 = a1; call.a2 = a2; call.a3 = a3; call.a4 = a4;,                \
                 (call->a1, call->a2, call->a3, call->a4), , , return;, return;)

/* The arguments travel in a struct through the guarded call, to a function of the host that makes the real one. */
#define CR_CALLBACK_(result, name, types, fields, parameters, store, arguments, value_field, keep, give, otherwise)    \
    static struct cr_plugin *name##_plugin_;                                                                           \
    static struct cr_symbol *name##_symbol_;                                                                           \
    struct name##_call_ {                                                                                              \
        result (*function) types;                                                                                      \
        fields                                                                                                         \
        value_field                                                                                                    \
    };                                                                                                                 \
    static void *name##_run_(void *arg) {                                                                              \
        struct name##_call_ *const call = (struct name##_call_ *)arg;                                                  \
        keep call->function arguments;                                                                                 \
        return NULL;                                                                                                   \
    }                                                                                                                  \
    static result name parameters {                                                                                    \
        struct name##_call_ call;                                                                                      \
        void *const function = cr_symbol_get(name##_symbol_);                                                          \
        memcpy(&call.function, &function, sizeof function); /* C has no cast from one to the other */                  \
        store                                                                                                          \
        if (function && cr_plugin_call(name##_plugin_, name##_run_, &call, NULL)) { give }                             \
        otherwise                                                                                                      \
    }                                                                                                                  \
    static void name##_bind(struct cr_plugin *ctx) {                                                                   \
        cr_symbol_free(name##_symbol_);                                                                                \
        name##_plugin_ = ctx;                                                                                          \
        name##_symbol_ = cr_plugin_get_symbol(ctx, #name);                                                             \
    }
/* clang-format on */

/* ---- The macros of this file: defaults ---- */

/* Asked before the defaults hide it: is there anything to hand over? */
#if defined(CR_DEBUG) || defined(CR_LOG) || defined(CR_ERROR) || defined(CR_TRACE)
#define CR_HOST_LOGS_
#endif
#if defined(CR_MALLOC) || defined(CR_REALLOC) || defined(CR_FREE)
#define CR_HOST_ALLOCATES_
#endif

/* CR_HOST without a value is the default mode, and so is 1: that is what -DCR_HOST on a command line makes of it. */
#define CR_HOST_IS_ 1
#define CR_HOST_IS_1 1
#define CR_HOST_IS_CR_SAFEST 0
#define CR_HOST_IS_CR_SAFE 0
#define CR_HOST_IS_CR_UNSAFE 0
#define CR_HOST_IS_CR_DISABLE 0
#define CR_HOST_PASTE_(value) CR_HOST_IS_##value
#define CR_HOST_IS_DEFAULT_(value) CR_HOST_PASTE_(value)
#if defined(_MSC_VER)
#pragma warning(push)
#pragma warning(disable : 4003) /* an empty macro argument is meant here */
#endif
#if CR_HOST_IS_DEFAULT_(CR_HOST)
#define CR_OP_MODE CR_UNSAFE
#else
#define CR_OP_MODE CR_HOST
#endif
#if defined(_MSC_VER)
#pragma warning(pop)
#endif

#if defined(CR_HOST_LOGS_)
#include <stdio.h>
#endif

#ifndef CR_LOG
#if defined(CR_DEBUG)
#define CR_LOG(...) fprintf(stdout, __VA_ARGS__)
#else
#define CR_LOG(...)
#endif
#endif

#ifndef CR_ERROR
#if defined(CR_DEBUG)
#define CR_ERROR(...) fprintf(stderr, __VA_ARGS__)
#else
#define CR_ERROR(...)
#endif
#endif

#ifndef CR_TRACE
#if defined(CR_DEBUG)
#define CR_TRACE fprintf(stdout, "CR_TRACE: %s\n", __func__);
#else
#define CR_TRACE
#endif
#endif

#ifndef CR_MAIN_FUNC
#define CR_MAIN_FUNC "cr_main"
#endif

#ifndef CR_ASSERT
#include <assert.h>
#define CR_ASSERT(e) assert(e)
#endif

#include <stdlib.h>
#if defined(__cplusplus)
#define CR_HOST_STD_ ::
#else
#define CR_HOST_STD_
#endif

#ifndef CR_MALLOC
#define CR_MALLOC(size) CR_HOST_STD_ malloc(size)
#endif

#ifndef CR_REALLOC
#define CR_REALLOC(ptr, size) CR_HOST_STD_ realloc(ptr, size)
#endif

#ifndef CR_FREE
#define CR_FREE(ptr) CR_HOST_STD_ free(ptr)
#endif

/*
 * ---- The macros of this file: handed to the library ----
 *
 * A compiled library cannot expand macros of its host, so they are expanded here, in static functions that
 * cr_plugin_open gives to the library. Everything below that names a macro is static: each file has its own.
 */

#if defined(__cplusplus)
extern "C" {
#endif

#if defined(CR_HOST_LOGS_)

/* CR_TRACE prints the name of the function that it stands in. In C that one has a `_` at its end. */
#if defined(__cplusplus)
#define CR_HOST_TRACED_(function)                                                                                      \
    {                                                                                                                  \
        struct traced_ {                                                                                               \
            static void function() { CR_TRACE }                                                                        \
        };                                                                                                             \
        if (::strcmp(name, #function) == 0) {                                                                          \
            traced_::function();                                                                                       \
        }                                                                                                              \
    }
#else
static inline void cr_plugin_open_(void) { CR_TRACE }
static inline void cr_plugin_update_(void) { CR_TRACE }
static inline void cr_plugin_close_(void) { CR_TRACE }
static inline void cr_plugin_changed_(void) { CR_TRACE }
static inline void cr_plugin_reload_(void) { CR_TRACE }
static inline void cr_plugin_rollback_(void) { CR_TRACE }
static inline void cr_plugin_unload_(void) { CR_TRACE }
static inline void cr_set_temporary_path_(void) { CR_TRACE }
#define CR_HOST_TRACED_(function)                                                                                      \
    if (strcmp(name, #function) == 0) {                                                                                \
        function##_();                                                                                                 \
    }
#endif

static inline void cr_host_trace_(const char *name) {
    CR_HOST_TRACED_(cr_plugin_open)
    CR_HOST_TRACED_(cr_plugin_update)
    CR_HOST_TRACED_(cr_plugin_close)
    CR_HOST_TRACED_(cr_plugin_changed)
    CR_HOST_TRACED_(cr_plugin_reload)
    CR_HOST_TRACED_(cr_plugin_rollback)
    CR_HOST_TRACED_(cr_plugin_unload)
    CR_HOST_TRACED_(cr_set_temporary_path)
}

static inline void cr_host_log_(void *log_data, enum cr_log_level level, const char *message) {
    (void)log_data;
    switch (level) {
    case CR_LOG_LEVEL_ERROR: {
        CR_ERROR("%s\n", message);
        break;
    }
    case CR_LOG_LEVEL_INFO: {
        CR_LOG("%s\n", message);
        break;
    }
    case CR_LOG_LEVEL_TRACE: {
        cr_host_trace_(message);
        break;
    }
    }
}

#endif /* CR_HOST_LOGS_ */

#if defined(CR_HOST_ALLOCATES_)

static inline void *cr_host_malloc_(size_t size) { return CR_MALLOC(size); }
static inline void *cr_host_realloc_(void *ptr, size_t size) { return CR_REALLOC(ptr, size); }
static inline void cr_host_free_(void *ptr) { CR_FREE(ptr); }

#endif /* CR_HOST_ALLOCATES_ */

#if defined(CR_HOST_EVENT_CALLBACK)

static inline enum cr_answer cr_host_event_(struct cr_plugin *plugin, const struct cr_event *event, void *event_data) {
#if defined(__cplusplus)
    cr_plugin &ctx = *plugin;
#else
    struct cr_plugin *const ctx = plugin;
#endif
    const enum cr_event_type action = event->kind;
    (void)event_data;
    (void)ctx;
    (void)action;
    CR_HOST_EVENT_CALLBACK(ctx, action);
    return CR_GO_ON;
}

#endif /* CR_HOST_EVENT_CALLBACK */

static inline struct cr_options cr_host_options_(void) {
    struct cr_options options = CR_OPTIONS_INIT;
    options.mode = CR_OP_MODE;
    options.main_func = CR_MAIN_FUNC;
#if defined(CR_HOST_LOGS_)
    options.log = cr_host_log_;
#endif
#if defined(CR_HOST_ALLOCATES_)
    options.malloc_func = cr_host_malloc_;
    options.realloc_func = cr_host_realloc_;
    options.free_func = cr_host_free_;
#endif
#if defined(CR_HOST_EVENT_CALLBACK)
    options.on_event = cr_host_event_;
#endif
    return options;
}

#if !defined(__cplusplus)

/* Macros without arguments, so that the functions' addresses can be taken. #undef brings the library's own back. */
static inline bool cr_host_open_(struct cr_plugin *ctx, const char *fullpath) {
    const struct cr_options options = cr_host_options_();
    return cr_plugin_open_with(ctx, fullpath, &options);
}
#define cr_plugin_open cr_host_open_
#define cr_plugin_load cr_host_open_

/** What `cr_plugin.p` points to, as far as hosts may look: read only, valid while the plugin is open. */
struct cr_internal {
    /** The absolute path of the guest's file. */
    const char *fullname;
    /** The directory of the copies with a separator at its end, or "" for the guest's own directory. */
    const char *temppath;
    /** The dynamic loader's handle of the running version; NULL when none is loaded. It changes with each reload. */
    void *handle;
};

#else

/** Opens a plugin with the macros of this file as its options. */
static inline bool cr_plugin_open(cr_plugin &ctx, const char *fullpath) {
    const cr_options options = cr_host_options_();
    return cr_plugin_open_with(&ctx, fullpath, &options);
}

/** The old name of cr_plugin_open. */
static inline bool cr_plugin_load(cr_plugin &ctx, const char *fullpath) { return cr_plugin_open(ctx, fullpath); }

} /* extern "C" */

/* ---- C++: the new functions with references ---- */

/** Opens a plugin with options; this file's macros have no part in it. */
static inline bool cr_plugin_open_with(cr_plugin &ctx, const char *fullpath, const cr_options &options) {
    return cr_plugin_open_with(&ctx, fullpath, &options);
}

/** The last failure of this plugin in words. */
static inline const char *cr_plugin_error(const cr_plugin &ctx) { return cr_plugin_error(&ctx); }

/** Reloads the guest's file at the next update. */
static inline void cr_plugin_request_reload(cr_plugin &ctx) { cr_plugin_request_reload(&ctx); }

/** The address of an exported symbol in the version that is loaded now. */
static inline void *cr_plugin_symbol(cr_plugin &ctx, const char *name) { return cr_plugin_symbol(&ctx, name); }

/** A handle of an exported symbol that follows it through reloads. */
static inline cr_symbol *cr_plugin_get_symbol(cr_plugin &ctx, const char *name) {
    return cr_plugin_get_symbol(&ctx, name);
}

/** How the guest has crashed the last time; nullptr if it has not. */
static inline const cr_crash *cr_plugin_crash(const cr_plugin &ctx) { return cr_plugin_crash(&ctx); }

/** Calls a function of the guest under the guard. */
static inline bool cr_plugin_call(cr_plugin &ctx, cr_guest_func function, void *arg, void **result = nullptr) {
    return cr_plugin_call(&ctx, function, arg, result);
}

/** Puts the numbered copies of the guest into another existing directory. */
#if defined(CR_NO_STD_HEADERS)
static inline void cr_set_temporary_path(cr_plugin &ctx, const char *path) { cr_set_temporary_path(&ctx, path); }
#else
static inline void cr_set_temporary_path(cr_plugin &ctx, const std::string &path) {
    cr_set_temporary_path(&ctx, path.c_str());
}
#endif

/* ---- C++: callbacks ---- */

namespace cr {

template <class Signature> class callback;

/**
 * A function of the guest, by its name, that can be kept and handed to a toolkit: it goes to the version that is loaded
 * now, under the guard. While there is none in good order, and when the call crashes, it returns the fallback.
 *
 * The plugin must stay where it is, opened or closed, as long as callbacks of it are called. A callback belongs to the
 * plugin's thread, as everything of it.
 *
 *     cr::callback<int(const char *)> on_key(ctx, "on_key", -1);
 *     on_key("escape");
 *     toolkit_on_key(&on_key.with_data_first, &on_key); // for toolkits that hand a pointer back
 */
template <class R, class... Args> class callback<R(Args...)> {
  public:
    callback(cr_plugin &ctx, const char *name, R fallback = R())
        : plugin_(&ctx), symbol_(cr_plugin_get_symbol(&ctx, name)), fallback_(fallback) {}
    ~callback() { cr_symbol_free(symbol_); }
    callback(const callback &) = delete;
    callback &operator=(const callback &) = delete;

    R operator()(Args... args) const {
        void *const function = cr_symbol_get(symbol_);
        R result = fallback_;
        auto call = [&] { result = reinterpret_cast<R (*)(Args...)>(function)(args...); };
        return function && cr_plugin_call(plugin_, run_<decltype(call)>, &call, nullptr) ? result : fallback_;
    }

    /** For toolkits that pass the pointer which they were given, the callback's address, before the rest or after it.
     */
    static R with_data_first(void *self, Args... args) { return (*static_cast<const callback *>(self))(args...); }
    static R with_data_last(Args... args, void *self) { return (*static_cast<const callback *>(self))(args...); }

  private:
    template <class Call> static void *run_(void *call) {
        (*static_cast<Call *>(call))();
        return nullptr;
    }

    cr_plugin *plugin_;
    cr_symbol *symbol_;
    R fallback_;
};

/** The same for a function that returns nothing. */
template <class... Args> class callback<void(Args...)> {
  public:
    callback(cr_plugin &ctx, const char *name) : plugin_(&ctx), symbol_(cr_plugin_get_symbol(&ctx, name)) {}
    ~callback() { cr_symbol_free(symbol_); }
    callback(const callback &) = delete;
    callback &operator=(const callback &) = delete;

    void operator()(Args... args) const {
        void *const function = cr_symbol_get(symbol_);
        auto call = [&] { reinterpret_cast<void (*)(Args...)>(function)(args...); };
        if (function) {
            cr_plugin_call(plugin_, run_<decltype(call)>, &call, nullptr);
        }
    }

    /** As above. */
    static void with_data_first(void *self, Args... args) { (*static_cast<const callback *>(self))(args...); }
    static void with_data_last(Args... args, void *self) { (*static_cast<const callback *>(self))(args...); }

  private:
    template <class Call> static void *run_(void *call) {
        (*static_cast<Call *>(call))();
        return nullptr;
    }

    cr_plugin *plugin_;
    cr_symbol *symbol_;
};

} /* namespace cr */

#if !defined(CR_NO_STD_HEADERS)

/*
 * ---- C++: compatibility ----
 *
 * Names that were never part of the interface, but that hosts have come to use. New code does not need them.
 */

/**
 * A string that belongs to the library, to be used like a `const std::string`. A copy of it is the copier's own and
 * outlives the plugin.
 */
class cr_text {
  public:
    cr_text(const cr_text &other) : text_(std::strcpy(new char[other.size() + 1], other.text_)) {}
    ~cr_text() { delete[] text_; } /* only copies are ever destroyed: the library's is no C++ object */
    cr_text &operator=(const cr_text &) = delete;

    operator std::string() const { return text_; }
    const char *c_str() const { return text_; }
    const char *data() const { return text_; }
    std::size_t size() const { return std::strlen(text_); }
    std::size_t length() const { return size(); }
    bool empty() const { return size() == 0; }
    char operator[](std::size_t index) const { return text_[index]; }

    friend std::string operator+(const cr_text &a, const cr_text &b) { return a.text_ + std::string(b); }
    friend std::string operator+(const cr_text &a, const std::string &b) { return a.text_ + b; }
    friend std::string operator+(const std::string &a, const cr_text &b) { return a + b.text_; }
    friend std::string operator+(const cr_text &a, const char *b) { return std::string(a) + b; }
    friend std::string operator+(const char *a, const cr_text &b) { return a + std::string(b); }
    friend std::string operator+(const cr_text &a, char b) { return std::string(a) + b; }
    friend std::string operator+(char a, const cr_text &b) { return a + std::string(b); }

    friend bool operator==(const cr_text &a, const cr_text &b) { return std::strcmp(a.text_, b.text_) == 0; }
    friend bool operator==(const cr_text &a, const std::string &b) { return a.text_ == b; }
    friend bool operator==(const std::string &a, const cr_text &b) { return a == b.text_; }
    friend bool operator==(const cr_text &a, const char *b) { return std::strcmp(a.text_, b) == 0; }
    friend bool operator==(const char *a, const cr_text &b) { return std::strcmp(a, b.text_) == 0; }
    friend bool operator!=(const cr_text &a, const cr_text &b) { return !(a == b); }
    friend bool operator!=(const cr_text &a, const std::string &b) { return !(a == b); }
    friend bool operator!=(const std::string &a, const cr_text &b) { return !(a == b); }
    friend bool operator!=(const cr_text &a, const char *b) { return !(a == b); }
    friend bool operator!=(const char *a, const cr_text &b) { return !(a == b); }

    /* A template, because <ostream> may not have been included. */
    template <class Traits>
    friend std::basic_ostream<char, Traits> &operator<<(std::basic_ostream<char, Traits> &out, const cr_text &text) {
        return out << text.text_;
    }

  private:
    const char *text_;
};

#if defined(CR_WINDOWS)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#define CR_PATH_SEPARATOR '\\'
typedef HMODULE so_handle;
#else
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>
#define CR_PATH_SEPARATOR '/'
typedef void *so_handle;
#endif

/** The struct that C sees, with strings in the place of the pointers. */
struct cr_internal {
    cr_text fullname;
    cr_text temppath;
    so_handle handle;
};

/** The library does by itself, when a plugin is opened, what this used to do. */
static inline void cr_plat_init() { CR_TRACE }

/* Where the file's name begins in a path, and where its extension does: at the last dot, or at the end. */
static inline std::size_t cr_name_begin_(const std::string &path) {
#if defined(CR_WINDOWS)
    return path.find_last_of("/\\") + 1; /* 0 when there is none: npos + 1 */
#else
    return path.rfind(CR_PATH_SEPARATOR) + 1;
#endif
}
static inline std::size_t cr_extension_begin_(const std::string &path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string::npos || dot < cr_name_begin_(path) ? path.size() : dot;
}

/** The name of a version's copy: the version goes before the extension, and `temppath`, if any, replaces the folder. */
static inline std::string cr_version_path(const std::string &basepath, unsigned version, const std::string &temppath) {
    const std::size_t name = cr_name_begin_(basepath);
    const std::size_t extension = cr_extension_begin_(basepath);
    std::string folder = temppath.empty() ? basepath.substr(0, name) : temppath;
#if defined(CR_WINDOWS)
    std::replace(folder.begin(), folder.end(), '/', CR_PATH_SEPARATOR);
#endif
    if (!folder.empty() && folder.back() != CR_PATH_SEPARATOR) {
        folder += CR_PATH_SEPARATOR;
    }
    return folder + basepath.substr(name, extension - name) + std::to_string(version) + basepath.substr(extension);
}

/** The path with another extension, which begins with its dot. */
static inline std::string cr_replace_extension(const std::string &filepath, const std::string &ext) {
    return filepath.substr(0, cr_extension_begin_(filepath)) + ext;
}

#if defined(CR_WINDOWS)

/* As the functions of <windows.h> want it: UTF-8 becomes UTF-16 if UNICODE is defined. */
#if defined(UNICODE)
static inline std::wstring cr_native_path_(const std::string &path) {
    const int length = static_cast<int>(path.size());
    std::wstring wide(path.size(), L'\0'); /* never more units than UTF-8 has bytes */
    wide.resize(static_cast<std::size_t>(MultiByteToWideChar(CP_UTF8, 0, path.data(), length, &wide[0], length)));
    return wide;
}
#else
static inline const std::string &cr_native_path_(const std::string &path) { return path; }
#endif

static inline bool cr_exists(const std::string &path) {
    return GetFileAttributes(cr_native_path_(path).c_str()) != INVALID_FILE_ATTRIBUTES;
}

static inline void cr_del(const std::string &path) { DeleteFile(cr_native_path_(path).c_str()); }

static inline so_handle cr_so_load(const std::string &new_file) {
    const so_handle handle = LoadLibrary(cr_native_path_(new_file).c_str());
    if (!handle) {
        CR_ERROR("cannot load %s: error %lu\n", new_file.c_str(), GetLastError());
    }
    return handle;
}

static inline cr_plugin_main_func cr_so_symbol(so_handle handle) {
    CR_ASSERT(handle != nullptr);
    const cr_plugin_main_func entry =
        reinterpret_cast<cr_plugin_main_func>(reinterpret_cast<void *>(GetProcAddress(handle, CR_MAIN_FUNC)));
    if (!entry) {
        CR_ERROR("cannot find the entry point %s: error %lu\n", CR_MAIN_FUNC, GetLastError());
    }
    return entry;
}

#else

static inline bool cr_exists(const std::string &path) {
    struct stat info;
    return stat(path.c_str(), &info) == 0;
}

static inline void cr_del(const std::string &path) { unlink(path.c_str()); }

static inline so_handle cr_so_load(const std::string &new_file) {
    const so_handle handle = dlopen(new_file.c_str(), RTLD_NOW);
    if (!handle) {
        CR_ERROR("cannot load: %s\n", dlerror());
    }
    return handle;
}

static inline cr_plugin_main_func cr_so_symbol(so_handle handle) {
    CR_ASSERT(handle != nullptr);
    const cr_plugin_main_func entry = reinterpret_cast<cr_plugin_main_func>(dlsym(handle, CR_MAIN_FUNC));
    if (!entry) {
        CR_ERROR("cannot find the entry point: %s\n", dlerror());
    }
    return entry;
}

#endif /* CR_WINDOWS */

#endif /* CR_NO_STD_HEADERS */

#endif /* __cplusplus */

#endif /* CR_HOST */
