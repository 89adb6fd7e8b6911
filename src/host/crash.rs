//! The record of a crash, for hosts in Rust.

use crate::abi::{cr_access, cr_crash, cr_crash_frame};
use crate::crash;
use core::fmt;
use std::borrow::Cow;
use std::path::Path;

/// What a faulting instruction has tried to do; see [`cr_access`].
pub use crate::abi::cr_access as Access;

/// How a guest has crashed; see [`Plugin::crash`](super::Plugin::crash). Displayed, it is a text of several lines.
#[derive(Clone, Copy)]
pub struct Crash<'p>(pub(super) &'p cr_crash);

/// One frame of the backtrace. A function that the compiler has inlined has one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'p> {
    /// The instruction: in the first frame that which faulted, in the others the one that is returned to.
    pub address: usize,
    /// The image that it is in: of the guest, the numbered copy.
    pub module: Option<Cow<'p, Path>>,
    /// Where it is in the image; the address itself if there is none.
    pub offset: usize,
    /// The function in the words of its language.
    pub function: Option<Cow<'p, str>>,
    /// Its source file, as the debug information has it.
    pub file: Option<Cow<'p, str>>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// Is the function inlined into that of the next frame?
    pub inlined: bool,
    /// So many bytes of stack before it are not shown.
    pub skipped: usize,
}

impl<'p> Crash<'p> {
    /// The number of the signal, or the code of the exception (Windows).
    pub fn code(&self) -> u32 {
        self.0.code
    }

    /// What was wrong; see [`cr_failure`](crate::abi::cr_failure).
    pub fn failure(&self) -> u32 {
        self.0.failure
    }

    /// The version that crashed.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// The crash in words: "SIGSEGV at address 0x10".
    pub fn what(&self) -> Cow<'p, str> {
        // SAFETY: a string of the record, which is valid as long as the plugin is borrowed.
        unsafe { crash::text(self.0.what) }.unwrap_or_default()
    }

    /// Where the call came from: "CR_STEP", "a guarded call", "a constructor".
    pub fn operation(&self) -> Cow<'p, str> {
        // SAFETY: as above.
        unsafe { crash::text(self.0.operation) }.unwrap_or_default()
    }

    /// What the instruction has tried, and with which address.
    pub fn access(&self) -> (Access, usize) {
        let kinds = [cr_access::CR_ACCESS_READ, cr_access::CR_ACCESS_WRITE, cr_access::CR_ACCESS_EXECUTE];
        let access = kinds.into_iter().find(|access| *access as u32 == self.0.access);
        (access.unwrap_or(cr_access::CR_ACCESS_UNKNOWN), self.0.address)
    }

    /// The thread, by the number that the system gives it.
    pub fn thread(&self) -> u64 {
        self.0.thread
    }

    /// The backtrace, from the innermost frame to the guest's outermost.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'p>> + use<'p> {
        let frames = self.0.frames;
        (0..self.0.frame_count).map(move |index| {
            // SAFETY: so many pointers are there, as long as the plugin is borrowed.
            let frame = unsafe { frames.wrapping_add(index).read() };
            // SAFETY: as above, each to a frame.
            Frame::new(unsafe { &*frame })
        })
    }
}

impl<'p> Frame<'p> {
    fn new(frame: &'p cr_crash_frame) -> Frame<'p> {
        // SAFETY: a string of the record, or NULL, which is valid as long as the plugin is borrowed.
        let module = unsafe { crash::text(frame.module) };
        Frame {
            address: frame.address,
            module: module.map(|module| match module {
                Cow::Borrowed(module) => Cow::Borrowed(Path::new(module)),
                Cow::Owned(module) => Cow::Owned(module.into()),
            }),
            offset: frame.offset,
            // SAFETY: as above.
            function: unsafe { crash::text(frame.function) },
            // SAFETY: as above.
            file: unsafe { crash::text(frame.file) },
            line: (frame.line > 0).then_some(frame.line),
            inlined: frame.inlined,
            skipped: frame.skipped,
        }
    }
}

impl fmt::Display for Crash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: a record that is valid as long as the plugin is borrowed.
        unsafe { crash::describe(self.0, f) }
    }
}

impl fmt::Debug for Crash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
