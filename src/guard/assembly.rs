//! What the assembly of all processors has in common: how Rust code names it, and the lines around its functions, which
//! differ between ELF, Mach-O and PE.

use super::Function;
#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
use super::Thread;
#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
use core::arch::global_asm;
use core::ffi::c_void;

unsafe extern "C-unwind" {
    /// Calls `function(a, b, c)` and notes in `stack` where the call can be abandoned. Returns once.
    #[link_name = "cr_guard_enter"]
    pub(super) fn enter(stack: *mut usize, function: Function, a: *mut c_void, b: usize, c: *mut c_void) -> usize;

    /// Not a function: the place inside `enter` where an abandoned call goes on.
    static cr_guard_landing: u8;
}

/// The instruction at which an abandoned call goes on, with `frame.stack` as the stack pointer.
pub(super) fn landing() -> usize {
    (&raw const cr_guard_landing).addr()
}

/// The beginning of a function that other files of this library may call, and nobody else.
#[cfg(not(any(target_vendor = "apple", windows)))]
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".pushsection .text.",
            $name,
            ", \"ax\", @progbits\n",
            ".globl ",
            $name,
            "\n",
            ".hidden ",
            $name,
            "\n",
            ".type ",
            $name,
            ", @function\n",
            ".p2align 4\n",
            $name,
            ":\n",
            ".cfi_startproc"
        )
    };
}

/// The end of it.
#[cfg(not(any(target_vendor = "apple", windows)))]
macro_rules! end {
    ($name:literal) => {
        concat!(".cfi_endproc\n", ".size ", $name, ", . - ", $name, "\n", ".popsection")
    };
}

/// A place inside it that Rust code can name.
#[cfg(not(any(target_vendor = "apple", windows)))]
macro_rules! place {
    ($name:literal) => {
        concat!(".globl ", $name, "\n", ".hidden ", $name, "\n", $name, ":")
    };
}

#[cfg(target_vendor = "apple")]
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".pushsection __TEXT,__text,regular,pure_instructions\n",
            ".globl _",
            $name,
            "\n",
            ".private_extern _",
            $name,
            "\n",
            ".p2align 4\n",
            "_",
            $name,
            ":\n",
            ".cfi_startproc"
        )
    };
}

#[cfg(target_vendor = "apple")]
macro_rules! end {
    ($name:literal) => {
        concat!(".cfi_endproc\n", ".popsection")
    };
}

// `alt_entry`, or the linker would take the label for the beginning of another function, to be moved by itself.
#[cfg(target_vendor = "apple")]
macro_rules! place {
    ($name:literal) => {
        concat!(".globl _", $name, "\n", ".private_extern _", $name, "\n", ".alt_entry _", $name, "\n", "_", $name, ":")
    };
}

// The thread's block, zero in a new thread. In the initial-exec model it is part of the static block that every thread
// has from its start, so that reading it in a signal handler never allocates.
#[cfg(not(any(target_vendor = "apple", target_os = "android", windows)))]
global_asm!(
    ".pushsection .tbss.cr_guard_thread, \"awT\", @nobits",
    ".globl cr_guard_thread",
    ".hidden cr_guard_thread",
    ".type cr_guard_thread, @object",
    ".size cr_guard_thread, {size}",
    ".balign {alignment}",
    "cr_guard_thread:",
    ".zero {size}",
    ".popsection",
    size = const size_of::<Thread>(),
    alignment = const align_of::<Thread>(),
);

/// What C names begin with in the assembly of Windows.
#[cfg(all(windows, target_arch = "x86"))]
macro_rules! c_name {
    ($name:literal) => {
        concat!("_", $name)
    };
}

#[cfg(all(windows, not(target_arch = "x86")))]
macro_rules! c_name {
    ($name:literal) => {
        $name
    };
}

/// What unwinders are told at the beginning of a function: on 32-bit x86 those of MinGW, by DWARF's tables. Microsoft's
/// have none there, so only debuggers are told.
#[cfg(all(windows, target_arch = "x86", target_env = "gnu"))]
macro_rules! begin_unwinding {
    ($name:literal) => {
        ".cfi_startproc"
    };
}

#[cfg(all(windows, target_arch = "x86", not(target_env = "gnu")))]
macro_rules! begin_unwinding {
    ($name:literal) => {
        ".cfi_sections .debug_frame\n.cfi_startproc"
    };
}

#[cfg(all(windows, not(target_arch = "x86")))]
macro_rules! begin_unwinding {
    ($name:literal) => {
        concat!(".seh_proc ", $name)
    };
}

#[cfg(windows)]
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".text\n",
            ".globl ",
            c_name!($name),
            "\n",
            ".def ",
            c_name!($name),
            "\n",
            ".scl 2\n",   // external
            ".type 32\n", // a function
            ".endef\n",
            ".p2align 4\n",
            c_name!($name),
            ":\n",
            begin_unwinding!($name)
        )
    };
}

#[cfg(all(windows, target_arch = "x86"))]
macro_rules! end {
    ($name:literal) => {
        ".cfi_endproc"
    };
}

#[cfg(all(windows, not(target_arch = "x86")))]
macro_rules! end {
    ($name:literal) => {
        ".seh_endproc"
    };
}

#[cfg(windows)]
macro_rules! place {
    ($name:literal) => {
        concat!(".globl ", c_name!($name), "\n", c_name!($name), ":")
    };
}

// As above. Every thread has it from its start, and those that are older than this module since it was loaded.
//
// It lies where compilers put thread-local variables. Linkers sort what is behind the `$` by name, and the C runtime
// marks the end of what each thread gets with a variable in `.tls$ZZZ`.
#[cfg(windows)]
global_asm!(
    ".section .tls$,\"dw\"",
    concat!(".globl ", c_name!("cr_guard_thread")),
    ".balign {alignment}",
    concat!(c_name!("cr_guard_thread"), ":"),
    ".zero {size}",
    ".text",
    size = const size_of::<Thread>(),
    alignment = const align_of::<Thread>(),
);
