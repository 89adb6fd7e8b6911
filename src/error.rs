//! Everything that can go wrong, one variant each, with a text that a person can act on.

use crate::abi::cr_failure;
use std::io;
use std::path::PathBuf;

/// Why a plugin could not be opened, loaded, reloaded or rolled back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `cr_plugin_open` got NULL.
    #[error("{0} is NULL")]
    Null(&'static str),
    /// An option's value makes no sense.
    #[error("cr_options.{0}")]
    Option(String),
    /// The file is not there or cannot be looked at.
    #[error("cannot find {}: {source}", path.display())]
    Missing {
        /// The guest's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is there, but it is a directory, a pipe or the like.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file has no content yet.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// The file is there but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The guest's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file changed while it was copied; it is tried again.
    #[error("{} is still being written", .0.display())]
    Unsettled(PathBuf),
    /// The file is shorter than its own headers say.
    #[error("the file ends at {len} but its {what} needs {need}")]
    Truncated {
        /// What lies beyond the end.
        what: &'static str,
        /// Where it ends.
        need: u64,
        /// Where the file ends.
        len: u64,
    },
    /// No image of the format that this system loads.
    #[error("not a shared library: {0}")]
    Format(String),
    /// An image for another machine.
    #[error("the image is for {found}, this program needs {need}")]
    Architecture {
        /// The image's machine.
        found: String,
        /// This program's machine.
        need: String,
    },
    /// The entry point is not exported.
    #[error("the image does not export {0}")]
    NoEntry(String),
    /// The numbered copy could not be made.
    #[error("cannot copy to {}: {source}", path.display())]
    Copy {
        /// The copy's path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The dynamic loader refused the image; its own text.
    #[error("{0}")]
    Load(String),
    /// The carried state does not fit.
    #[error("state does not fit under {mode}: {name} {reason}")]
    State {
        /// The mode in force.
        mode: &'static str,
        /// Which variable, or section.
        name: String,
        /// How it differs.
        reason: String,
    },
    /// No memory for the carried state.
    #[error("no memory to carry {0} bytes of state")]
    Memory(usize),
    /// The guest crashed.
    #[error("{what} in {place} of version {version}")]
    Fault {
        /// The fault: "SIGSEGV at address 0x0".
        what: String,
        /// Where: "CR_STEP", "a constructor".
        place: &'static str,
        /// The version that crashed.
        version: u32,
        /// The value for `cr_plugin.failure`.
        failure: u32,
    },
    /// The guest returned a negative value.
    #[error("the guest returned {value} from {place} in version {version}")]
    User {
        /// What it returned.
        value: i32,
        /// The operation.
        place: &'static str,
        /// The version.
        version: u32,
    },
    /// There is no version to go back to.
    #[error("no working version to go back to; waiting for the file to change (before that: {0})")]
    Initial(String),
    /// The plugin is not open.
    #[error("the plugin is not open")]
    NotOpen,
    /// A bug of this library, caught before it could do harm.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl Error {
    /// The value for `cr_plugin.failure`.
    pub fn failure(&self) -> u32 {
        match self {
            Error::State { .. } => cr_failure::CR_STATE_INVALIDATED as u32,
            Error::Fault { failure, .. } => *failure,
            Error::User { .. } => cr_failure::CR_USER as u32,
            Error::Initial(_) => cr_failure::CR_INITIAL_FAILURE as u32,
            _ => cr_failure::CR_BAD_IMAGE as u32,
        }
    }

    /// Is the cause outside the file, so that the same file is worth another try?
    pub(crate) fn is_passing(&self) -> bool {
        self.is_absence() || matches!(self, Error::Copy { .. } | Error::Memory(_) | Error::Read { .. })
    }

    /// Is there no new file, or not yet?
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Error::Missing { .. } | Error::Empty(_) | Error::Unsettled(_))
    }
}
