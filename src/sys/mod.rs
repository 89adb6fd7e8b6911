//! Everything that differs between operating systems: loading, fault hooks, files and processes.
//!
//! The only place with `cfg(unix)` and `cfg(windows)`; the modules below have identical signatures.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::{
    FileId, FileKind, Library, c_path, fault, identity, is_alive, lifecycle_arguments, os_str, stat, write_protected,
};

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("cr supports Linux on x86-64 so far");
