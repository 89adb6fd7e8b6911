//! What the fault hook saves of a thread before its call is abandoned: the registers, and the stack of the call.
//!
//! The stack is overwritten by whatever runs next, so it is copied; all else that a crash record needs can be found out
//! later. The room for it is made when a plugin is opened: the hook allocates nothing.

use crate::sys::fault;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ops::Range;

/// How much of the stack is saved at each of its ends. In between a long recursion is left out.
const WINDOW: usize = 32 * 1024;

/// So far below a frame that does not fit on the stack any more it is looked for the stack that is there.
const LARGEST_GAP: usize = 4 * 1024 * 1024;

const PAGE: usize = 4096;

/// The registers of the thread, as far as unwinding needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) instruction: usize,
    pub(crate) stack: usize,
    /// The frame pointer.
    pub(crate) frame: usize,
    /// The return address, where a register holds it.
    pub(crate) link: usize,
    /// The sixteen of x86-64 by their numbers, for the unwind information of Windows; elsewhere zero.
    pub(crate) numbered: [usize; 16],
}

/// A part of the stack.
struct Window {
    /// Where it was, and how long it is.
    start: usize,
    len: usize,
    bytes: Box<[MaybeUninit<u8>]>,
}

/// What was saved.
pub(crate) struct Saved {
    pub(crate) registers: Registers,
    /// From the stack pointer on, and up to that of the guarded call.
    inner: Window,
    outer: Window,
}

/// The room for it, one for each plugin, which one thread at a time uses.
pub(crate) struct Capture {
    saved: UnsafeCell<Saved>,
    /// Where the image is that a call may be interrupted in, from the first address to behind the last; see
    /// [`super::interrupt`].
    interruptible: Cell<(usize, usize)>,
}

impl Capture {
    pub(crate) fn new() -> Box<Capture> {
        let saved = Saved { registers: Registers::default(), inner: Window::new(), outer: Window::new() };
        Box::new(Capture { saved: UnsafeCell::new(saved), interruptible: Cell::new((0, 0)) })
    }

    /// From now on a call may be interrupted in this image, or, with an empty range, not any more.
    pub(crate) fn set_interruptible(&self, image: Range<usize>) {
        self.interruptible.set((image.start, image.end));
    }

    #[allow(dead_code)] // some systems have no time limit
    pub(super) fn is_interruptible(&self, instruction: usize) -> bool {
        let (start, end) = self.interruptible.get();
        (start..end).contains(&instruction)
    }

    /// For the fault hook: saves the registers, and the stack from the stack pointer to `end`.
    ///
    /// # Safety
    /// Nobody has a reference to what was saved before. That is so inside a guarded call.
    pub(super) unsafe fn save(&self, registers: &Registers, end: usize) {
        // SAFETY: the caller's promise.
        let saved = unsafe { &mut *self.saved.get() };
        saved.registers = *registers;
        saved.inner.fill(registers.stack, end);
        let inner_end = saved.inner.start.saturating_add(saved.inner.len);
        saved.outer.fill(inner_end.max(end.saturating_sub(WINDOW)), end);
    }

    /// What the last fault has left.
    ///
    /// # Safety
    /// No guarded call with this capture begins while the result is in use.
    pub(crate) unsafe fn saved(&self) -> &Saved {
        // SAFETY: the caller's promise.
        unsafe { &*self.saved.get() }
    }
}

impl Window {
    fn new() -> Window {
        // Not touched before it is needed.
        Window { start: 0, len: 0, bytes: Box::new_uninit_slice(WINDOW) }
    }

    /// Copies the stack from `from` on, as far as it is there and there is room.
    ///
    /// A stack that has run out begins above the stack pointer, and one that the guest has made itself may end before
    /// `to`.
    fn fill(&mut self, from: usize, to: usize) {
        self.start = from;
        self.len = 0;
        while self.start < to && self.len < WINDOW {
            let at = self.start + self.len;
            let page_end = (at | (PAGE - 1)).saturating_add(1);
            let len = page_end.min(to).saturating_sub(at).min(WINDOW - self.len);
            let Some(room) = self.bytes.get_mut(self.len..self.len + len).filter(|room| !room.is_empty()) else {
                break;
            };
            // SAFETY: room for as many bytes.
            if unsafe { fault::read_memory(room.as_mut_ptr().cast(), at, len) } {
                self.len += len;
            } else if self.len == 0 && at - from < LARGEST_GAP {
                self.start = page_end;
            } else {
                break;
            }
        }
    }

    fn word(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.start)?;
        let end = offset.checked_add(size_of::<usize>())?;
        if end > self.len {
            return None;
        }
        let bytes = self.bytes.get(offset..end)?.as_ptr().cast::<usize>();
        // SAFETY: these bytes are there, and were copied.
        Some(unsafe { bytes.read_unaligned() })
    }
}

impl Saved {
    /// A word of the stack.
    pub(crate) fn word(&self, address: usize) -> Option<usize> {
        self.inner.word(address).or_else(|| self.outer.word(address))
    }

    /// The addresses of the words from `from` on that were saved.
    pub(crate) fn words(&self, from: usize) -> impl Iterator<Item = usize> {
        const WORD: usize = size_of::<usize>();
        let range = |window: &Window| window.start.next_multiple_of(WORD)..window.start + window.len;
        let all = range(&self.inner).step_by(WORD).chain(range(&self.outer).step_by(WORD));
        all.filter(move |address| *address >= from)
    }
}
