//! Runs guest code and survives its faults.
//!
//! [`call`] notes in a [`Frame`] on the stack where the call can be abandoned and links it to the thread. When the
//! thread faults, the system's fault hook (`sys::fault`) asks [`armed`] for the innermost frame and edits the saved
//! machine state so that the thread goes on at the frame's landing place, as if the guest had returned. Frames
//! nest, and each thread has its own chain; without an armed frame a fault is none of ours.
//!
//! Our own code never runs armed: every entry into the library disarms the thread ([`Disarmed`]) and only [`call`]
//! arms it again. So a guest that calls back into the library cannot make us lose our place.

#[macro_use]
mod assembly;
mod capture;

// The guarded call, in a file for each processor and calling convention.
#[cfg(all(target_arch = "aarch64", not(windows)))]
#[macro_use]
#[path = "aarch64.rs"]
mod arch;
#[cfg(all(target_arch = "aarch64", windows))]
#[path = "aarch64_windows.rs"]
mod arch;
#[cfg(target_arch = "riscv64")]
#[macro_use]
#[path = "riscv64.rs"]
mod arch;
#[cfg(all(target_arch = "x86", not(windows)))]
#[path = "x86.rs"]
mod arch;
#[cfg(all(target_arch = "x86", windows))]
#[path = "x86_windows.rs"]
mod arch;
#[cfg(all(target_arch = "x86_64", not(windows)))]
#[path = "x86_64.rs"]
mod arch;
#[cfg(all(target_arch = "x86_64", windows))]
#[path = "x86_64_windows.rs"]
mod arch;

#[cfg(all(test, any(unix, target_arch = "x86")))]
mod tests;

pub(crate) use capture::{Capture, Registers, Saved};

// Where a thread's block is: static memory of the thread, which is always there, or memory that is made at the first
// call, which the fault hook may not find.
#[cfg(any(target_vendor = "apple", target_os = "android"))]
use crate::sys::thread::{existing as existing_thread, thread};
#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
use arch::{thread, thread as existing_thread};

use crate::sys::fault;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::null_mut;

/// A function of the guest: the entry point, a constructor or any other. All take at most three words and return
/// at most one, of which only the part that the real type has is valid.
pub(crate) type Function = unsafe extern "C-unwind" fn(*mut c_void, usize, *mut c_void) -> usize;

/// A fault that ended a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The signal's number, or the exception's code.
    pub(crate) code: u32,
    /// The address that was accessed, if the processor tells it.
    pub(crate) address: Option<usize>,
    /// What was tried at that address.
    pub(crate) access: Access,
    /// The access went past the end of the stack.
    pub(crate) overflow: bool,
}

/// What a faulting instruction has tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(dead_code)] // not all processors tell
pub(crate) enum Access {
    /// The processor or the system does not tell, or it was no access.
    #[default]
    Unknown,
    Read,
    Write,
    Execute,
}

/// Where a guarded call can be abandoned. It lies on the stack of the call.
pub(crate) struct Frame {
    /// The stack pointer at the landing place; set by the assembly entry.
    stack: Cell<usize>,
    /// The frame around this one, or null.
    outer: *mut Frame,
    /// Made of the frame's own address, so that a frame whose stack has been reused is recognised.
    seal: Cell<usize>,
    /// Set by the fault hook.
    fault: Cell<Option<Fault>>,
    /// Where the hook saves what a crash record is made of; null for nowhere.
    capture: *const Capture,
}

/// What the guard knows of a thread: zeros at first. Where the system has it, it lies in static thread-local memory: the
/// fault hook reads it on threads that never entered the library, where nothing may be allocated.
pub(crate) struct Thread {
    /// The innermost armed frame, or null.
    top: *mut Frame,
    /// The lowest and the highest address of the thread's own stack; the highest is 0 until the thread is prepared.
    pub(crate) stack_low: usize,
    pub(crate) stack_high: usize,
}

impl Thread {
    /// A thread that has not made a guarded call yet.
    #[cfg(any(target_vendor = "apple", target_os = "android"))]
    pub(crate) const fn new() -> Thread {
        Thread { top: null_mut(), stack_low: 0, stack_high: 0 }
    }
}

const SEAL: usize = 0x6372_5f67_7561_7264_u64 as usize;

impl Frame {
    fn seal_of(frame: *const Frame) -> usize {
        frame.addr() ^ SEAL
    }

    /// Does the frame still stand, for a thread whose stack pointer is here?
    ///
    /// If someone left guarded calls by `longjmp`, their frames are still linked, but they are dead.
    fn stands(&self, stack_pointer: usize, thread: &Thread) -> bool {
        let on_own_stack = (thread.stack_low..thread.stack_high).contains(&stack_pointer)
            && (thread.stack_low..thread.stack_high).contains(&self.stack.get());
        self.seal.get() == Frame::seal_of(self) && !(on_own_stack && stack_pointer > self.stack.get())
    }
}

/// Unlinks a frame, also when an exception passes.
struct Armed {
    thread: *mut Thread,
    frame: *const Frame,
}

impl Drop for Armed {
    fn drop(&mut self) {
        // SAFETY: the frame outlives this guard; both are locals of `guarded`.
        let outer = unsafe { (*self.frame).outer };
        // SAFETY: the thread's own block, which only this thread uses.
        unsafe { (*self.thread).top = outer };
    }
}

/// Calls a function of the guest. A fault inside it ends the call; an exception passes through.
///
/// # Safety
/// `function` may be called with these arguments, and what it leaves behind when it is abandoned halfway is the
/// guest's own business. `capture` is null or valid during the call.
#[inline(always)]
pub(crate) unsafe fn call(
    function: Function,
    a: *mut c_void,
    b: usize,
    c: *mut c_void,
    capture: *const Capture,
) -> Result<usize, Fault> {
    // SAFETY: `guarded` has linked the frame of `stack`, which outlives the call; the rest is the caller's promise.
    guarded(capture, |stack| unsafe { assembly::enter(stack, function, a, b, c) })
}

/// Calls a function of the guest as anyone would: a fault inside it is not ours.
///
/// # Safety
/// As for [`call`].
#[cfg(not(all(target_arch = "x86", windows)))]
#[inline(always)]
pub(crate) unsafe fn call_plainly(function: Function, a: *mut c_void, b: usize, c: *mut c_void) -> usize {
    // SAFETY: the caller's promise.
    unsafe { function(a, b, c) }
}

/// As above. DllMain takes its arguments from the stack there, and all other functions do not: the entry does not mind.
/// Without an armed frame its handler passes all exceptions on.
#[cfg(all(target_arch = "x86", windows))]
pub(crate) unsafe fn call_plainly(function: Function, a: *mut c_void, b: usize, c: *mut c_void) -> usize {
    let mut stack = 0;
    #[cfg(target_env = "gnu")]
    let _chain = arch::Chain::new();
    // SAFETY: room for what is noted; the rest is the caller's promise.
    unsafe { assembly::enter(&raw mut stack, function, a, b, c) }
}

/// Links a frame for the time of `enter`, which gets the place where it notes the stack pointer.
#[inline(always)]
fn guarded(capture: *const Capture, enter: impl FnOnce(*mut usize) -> usize) -> Result<usize, Fault> {
    let thread = thread();
    // SAFETY: the thread's own block, alive as long as the thread.
    if unsafe { (*thread).stack_high } == 0 {
        // SAFETY: as above; nothing else refers to it now.
        prepare(unsafe { &mut *thread });
    }
    let frame = Frame {
        stack: Cell::new(0),
        // SAFETY: as above.
        outer: unsafe { (*thread).top },
        seal: Cell::new(0),
        fault: Cell::new(None),
        capture,
    };
    frame.seal.set(Frame::seal_of(&frame));
    #[cfg(all(target_arch = "x86", windows, target_env = "gnu"))]
    let _chain = arch::Chain::new();
    // The entry sets `stack` before it calls the function; until then no guest code runs that could fault.
    let armed = Armed { thread, frame: &frame };
    // SAFETY: as above.
    unsafe { (*thread).top = (&raw const frame).cast_mut() };
    let result = enter(frame.stack.as_ptr());
    drop(armed);
    frame.fault.get().map_or(Ok(result), Err)
}

/// Once for each thread; out of the way of the calls.
#[cold]
#[inline(never)]
fn prepare(thread: &mut Thread) {
    fault::prepare_thread(thread);
}

/// While it lives, faults on this thread are none of the guard's: the library's own code runs.
pub(crate) struct Disarmed {
    thread: *mut Thread,
    top: *mut Frame,
}

impl Disarmed {
    #[inline]
    pub(crate) fn new() -> Self {
        let thread = thread();
        // SAFETY: the thread's own block, which only this thread uses.
        let top = unsafe { (*thread).top };
        // SAFETY: as above.
        unsafe { (*thread).top = null_mut() };
        Disarmed { thread, top }
    }
}

impl Drop for Disarmed {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `new`; the frame is that of a caller, which is still on the stack.
        unsafe { (*self.thread).top = self.top };
    }
}

/// Where a faulting thread goes on: see [`armed`].
pub(crate) struct Landing {
    /// The instruction.
    pub(crate) instruction: usize,
    /// The stack pointer.
    pub(crate) stack: usize,
}

/// For the fault hook: the instruction at which abandoned calls go on.
#[cfg(windows)]
pub(crate) fn landing() -> usize {
    assembly::landing()
}

/// Is this instruction a part of the guarded call itself? A backtrace of the guest ends there.
pub(crate) fn is_entry(instruction: usize) -> bool {
    (assembly::enter as *const () as usize..assembly::landing()).contains(&instruction)
}

/// This thread's block, for [`interrupt`]. It has been prepared if a call is in progress.
#[allow(dead_code)] // some systems have no time limit
pub(crate) fn this_thread() -> *mut Thread {
    existing_thread()
}

/// For the fault hook: takes the innermost frame of this thread and tells where to go on, or `None` if the fault
/// is not a guest's. `classify` describes the fault; it gets the thread's stack bounds.
///
/// Allocates nothing and takes no lock.
pub(crate) fn armed(registers: &Registers, classify: impl FnOnce(&Thread) -> Fault) -> Option<Landing> {
    // SAFETY: the thread's own block; the thread is stopped in the hook.
    let thread = unsafe { existing_thread().as_mut() }?;
    // SAFETY: the thread is this one.
    unsafe { armed_on(thread, registers, classify) }
}

/// # Safety
/// The thread does not run on meanwhile.
unsafe fn armed_on(
    thread: &mut Thread,
    registers: &Registers,
    classify: impl FnOnce(&Thread) -> Fault,
) -> Option<Landing> {
    // SAFETY: a linked frame lies on the stack of a call in progress, or on stack memory that was one, which is
    // mapped for the life of the thread.
    let frame = unsafe { thread.top.as_ref() }?;
    if !frame.stands(registers.stack, thread) {
        return None;
    }
    frame.fault.set(Some(classify(thread)));
    thread.top = frame.outer;
    // SAFETY: null, or valid during the call, which is this one's.
    if let Some(capture) = unsafe { frame.capture.as_ref() } {
        // SAFETY: the call is in progress, so nobody looks at what was saved before.
        unsafe { capture.save(registers, frame.stack.get()) };
    }
    Some(Landing { instruction: assembly::landing(), stack: frame.stack.get() })
}

/// For what ends the time of a call: as [`armed`], if the thread is in an image that may be interrupted, and its innermost
/// call is one of the plugin that `capture` belongs to.
///
/// In any other code, such as the C library's, the thread may hold a lock: it is asked again a little later. `capture`
/// is only compared; it may be gone.
///
/// # Safety
/// `thread` is the block of a thread that does not run on meanwhile, or null.
#[allow(dead_code)] // some systems have no time limit
pub(crate) unsafe fn interrupt(
    thread: *mut Thread,
    capture: *const Capture,
    registers: &Registers,
    fault: Fault,
) -> Option<Landing> {
    // SAFETY: the caller's promise.
    let thread = unsafe { thread.as_mut() }?;
    // SAFETY: as in `armed_on`.
    let frame = unsafe { thread.top.as_ref() }?;
    if frame.capture != capture || !frame.stands(registers.stack, thread) {
        return None;
    }
    // SAFETY: null, or valid during the call.
    let capture = unsafe { frame.capture.as_ref() }?;
    if !capture.is_interruptible(registers.instruction) {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { armed_on(thread, registers, |_| fault) }
}
