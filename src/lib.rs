//! Hot reload for C, C++ and Rust programs.
//!
//! A thin *host* keeps running; its real code, the *guest*, is a shared library that is rebuilt and swapped in
//! while the program runs. It keeps its static state and is rolled back when it crashes. The C interface is that
//! of `cr.h` (names, struct and ABI); Rust programs use [`host`] and [`guest`].
//!
//! Where to find what: `capi` holds the exported C functions, `plugin` the life of a plugin, `watch` the question
//! whether the file has changed, `candidate` a new file that is checked and copied, `versions` the numbered copies
//! on disk, `loaded` one version in memory, `image` what is in a binary, `state` what is carried over, `guard` how guest code is run and its faults survived, `crash` what is told
//! of a crash, and `sys` everything that differs between operating systems.

pub mod abi;
mod candidate;
pub mod capi;
mod context;
mod crash;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(all(test, target_os = "linux"))]
mod fuzz_tests;
mod guard;
pub mod guest;
pub mod host;
mod image;
mod loaded;
mod options;
mod plugin;
mod state;
mod symbol;
mod sys;
mod versions;
mod watch;

pub use error::Error;
pub use symbol::cr_symbol;
