//! Everything that differs between operating systems: loading, fault hooks, files and processes.
//!
//! The only place with `cfg(unix)` and `cfg(windows)`; the modules below have identical signatures.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
pub(crate) mod no_limit;
#[cfg(not(any(target_os = "linux", windows)))]
mod no_notify;
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
pub(crate) use no_limit as limit;
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) use no_notify::Subscription;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use unix::limit;
#[cfg(target_os = "linux")]
pub(crate) use unix::notify::Subscription;
#[cfg(windows)]
pub(crate) use windows::{limit, notify::Subscription};

#[cfg(any(target_vendor = "apple", target_os = "android"))]
pub(crate) use system::thread;
pub(crate) use system::{
    Destructors, FileId, FileKind, FileNumber, Library, Process, c_path, copy, copy_new, fault, forget_frames,
    identity, is_alive, is_locked, lifecycle_arguments, map, may_reuse_files, modules, number, number_at,
    open_existing, os_str, remove, spawn, stat, take_over, thread_id, write_at, write_new, write_protected, write_to,
};

use core::ops::Range;
use std::path::PathBuf;

/// An image that is mapped into the process.
pub(crate) struct Module {
    /// What it is called.
    pub(crate) path: PathBuf,
    /// Where it can be read.
    pub(crate) file: PathBuf,
    /// What is added to the addresses in the file.
    pub(crate) base: usize,
    /// What it covers in memory.
    pub(crate) extent: Range<usize>,
}

#[cfg(not(any(
    all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64", target_arch = "riscv64")
    ),
    all(
        any(target_os = "macos", target_os = "freebsd", target_os = "android"),
        any(target_arch = "x86_64", target_arch = "aarch64")
    ),
    all(target_os = "windows", any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")),
)))]
compile_error!("cr has not been written for this system and processor; docs/platforms.md names those it is for");
