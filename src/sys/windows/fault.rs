//! Faults as structured exceptions: the handler of the frame that guarded calls stand on.
//!
//! It is found by the system when it looks for handlers from the innermost frame outwards. So vectored handlers and
//! debuggers, the guest's own `__try` and, for exceptions of C++, its `catch` come first; and a fault that is not
//! below a guarded call never comes here.

use super::machine::{ESTABLISHER, go_on_at, registers};
use super::{runtime, unwind};
use crate::abi::cr_failure;
use crate::guard::{self, Access, Fault, Landing, Thread};
use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use std::sync::Mutex;
use windows_sys::Win32::Foundation as status;
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, CONTEXT, EXCEPTION_POINTERS, EXCEPTION_RECORD, ReadProcessMemory,
    RemoveVectoredExceptionHandler,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThreadStackLimits, SetThreadStackGuarantee};

/// SIGFPE and SIGTRAP: the failures of these exceptions are the same numbers on every system.
const ARITHMETIC: u32 = cr_failure::CR_OTHER as u32 + 8;
const TRAP: u32 = cr_failure::CR_OTHER as u32 + 5;

/// `abort` was called. No exception has such a number; it is that of SIGABRT.
const ABORT: u32 = 22;

/// A step was interrupted. No exception has such a number; it is that of SIGALRM.
const TIMEOUT: u32 = 14;

/// The exceptions that a fault of a guest raises, with their names and values for `cr_plugin.failure`.
///
/// All others are messages of the program to itself, such as those of C++, and pass.
const EXCEPTIONS: [(u32, &str, u32); 21] = [
    (status::EXCEPTION_ACCESS_VIOLATION as u32, "EXCEPTION_ACCESS_VIOLATION", cr_failure::CR_SEGFAULT as u32),
    (status::EXCEPTION_GUARD_PAGE as u32, "EXCEPTION_GUARD_PAGE", cr_failure::CR_SEGFAULT as u32),
    (status::EXCEPTION_ILLEGAL_INSTRUCTION as u32, "EXCEPTION_ILLEGAL_INSTRUCTION", cr_failure::CR_ILLEGAL as u32),
    (status::EXCEPTION_PRIV_INSTRUCTION as u32, "EXCEPTION_PRIV_INSTRUCTION", cr_failure::CR_ILLEGAL as u32),
    (status::EXCEPTION_DATATYPE_MISALIGNMENT as u32, "EXCEPTION_DATATYPE_MISALIGNMENT", cr_failure::CR_MISALIGN as u32),
    // What POSIX calls SIGBUS: a mapped file that cannot be read any more.
    (status::EXCEPTION_IN_PAGE_ERROR as u32, "EXCEPTION_IN_PAGE_ERROR", cr_failure::CR_MISALIGN as u32),
    (status::EXCEPTION_ARRAY_BOUNDS_EXCEEDED as u32, "EXCEPTION_ARRAY_BOUNDS_EXCEEDED", cr_failure::CR_BOUNDS as u32),
    (status::EXCEPTION_STACK_OVERFLOW as u32, "EXCEPTION_STACK_OVERFLOW", cr_failure::CR_STACKOVERFLOW as u32),
    (status::EXCEPTION_INT_DIVIDE_BY_ZERO as u32, "EXCEPTION_INT_DIVIDE_BY_ZERO", ARITHMETIC),
    (status::EXCEPTION_INT_OVERFLOW as u32, "EXCEPTION_INT_OVERFLOW", ARITHMETIC),
    (status::EXCEPTION_FLT_DENORMAL_OPERAND as u32, "EXCEPTION_FLT_DENORMAL_OPERAND", ARITHMETIC),
    (status::EXCEPTION_FLT_DIVIDE_BY_ZERO as u32, "EXCEPTION_FLT_DIVIDE_BY_ZERO", ARITHMETIC),
    (status::EXCEPTION_FLT_INEXACT_RESULT as u32, "EXCEPTION_FLT_INEXACT_RESULT", ARITHMETIC),
    (status::EXCEPTION_FLT_INVALID_OPERATION as u32, "EXCEPTION_FLT_INVALID_OPERATION", ARITHMETIC),
    (status::EXCEPTION_FLT_OVERFLOW as u32, "EXCEPTION_FLT_OVERFLOW", ARITHMETIC),
    (status::EXCEPTION_FLT_STACK_CHECK as u32, "EXCEPTION_FLT_STACK_CHECK", ARITHMETIC),
    (status::EXCEPTION_FLT_UNDERFLOW as u32, "EXCEPTION_FLT_UNDERFLOW", ARITHMETIC),
    (status::EXCEPTION_BREAKPOINT as u32, "EXCEPTION_BREAKPOINT", TRAP),
    (status::EXCEPTION_SINGLE_STEP as u32, "EXCEPTION_SINGLE_STEP", TRAP),
    (ABORT, "abort (SIGABRT)", cr_failure::CR_ABORT as u32),
    (TIMEOUT, "no end within the time limit (SIGALRM)", cr_failure::CR_OTHER as u32 + TIMEOUT),
];

/// The value for `cr_plugin.failure`.
pub(crate) fn failure(fault: Fault) -> u32 {
    let known = EXCEPTIONS.iter().find(|(code, ..)| *code == fault.code);
    // Otherwise it is no exception, but an entry point that has refused to be loaded.
    known.map_or(cr_failure::CR_BAD_IMAGE as u32, |(.., failure)| *failure)
}

/// The fault in words.
pub(crate) fn describe(fault: Fault) -> String {
    let name = EXCEPTIONS.iter().find(|(code, ..)| *code == fault.code).map(|(_, name, _)| *name);
    match (name, fault.address) {
        (Some(name), _) if fault.overflow => format!("stack overflow ({name})"),
        (Some(name), Some(address)) => format!("{name} at address {address:#x}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => "DllMain returned FALSE".to_owned(),
    }
}

/// What a call that ended in `abort` died of.
pub(super) fn abort() -> Fault {
    Fault { code: ABORT, ..Fault::default() }
}

/// What a call that was interrupted died of.
pub(super) fn timeout() -> Fault {
    Fault { code: TIMEOUT, ..Fault::default() }
}

thread_local! {
    /// The stack pointer of the guarded call that is being abandoned, while the frames below it are unwound; else 0.
    static ABANDONED: Cell<usize> = const { Cell::new(0) };
}

/// Prepares a thread for its first guarded call.
pub(crate) fn prepare_thread(thread: &mut Thread) {
    // SAFETY: room for two answers.
    unsafe { GetCurrentThreadStackLimits(&raw mut thread.stack_low, &raw mut thread.stack_high) };
    // What remains of a stack that has run out, for handlers and for unwinding. More than the host has asked for is
    // not taken away again.
    let mut guarantee = 32 * 1024;
    // SAFETY: room for the answer.
    unsafe { SetThreadStackGuarantee(&raw mut guarantee) };
    // The handler must not be the first to use it: that allocates.
    ABANDONED.set(0);
}

/// Keeps the handlers for SIGABRT and for the last page installed; one for each open plugin.
pub(crate) struct Hook(());

/// How many hooks there are, and the handle of the vectored handler.
static HOOKS: Mutex<(usize, usize)> = Mutex::new((0, 0));

impl Hook {
    pub(crate) fn new() -> Hook {
        // A poisoned lock still counts right: nothing below panics.
        let mut hooks = HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        runtime::hook();
        if hooks.0 == 0 {
            // SAFETY: a handler of the right type, after those that are there already.
            hooks.1 = unsafe { AddVectoredExceptionHandler(0, Some(on_last_page)) }.addr();
        }
        hooks.0 += 1;
        Hook(())
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let mut hooks = HOOKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        hooks.0 -= 1;
        if hooks.0 == 0 {
            runtime::unhook();
            // SAFETY: the handle from above, or NULL.
            unsafe { RemoveVectoredExceptionHandler(hooks.1 as *const c_void) };
        }
    }
}

/// EXCEPTION_RECORD.ExceptionFlags: the frames are being unwound, or the target of that has been reached.
const UNWINDING: u32 = 0x2 | 0x4 | 0x20 | 0x40;
/// EXCEPTION_DISPOSITION (excpt.h).
const CONTINUE_SEARCH: c_int = 1;

/// The exception handler of the assembly entry, named in its unwind information or in the chain of handlers.
///
/// `frame` stands for the stack pointer that the entry has noted. The handler runs below the fault on the same stack, of which
/// little may be left.
pub(crate) unsafe extern "C" fn on_exception(
    record: *const EXCEPTION_RECORD,
    frame: *const c_void,
    context: *mut CONTEXT,
    dispatcher: *const c_void,
) -> c_int {
    // SAFETY: the system passes the description of the exception.
    let description = unsafe { &*record };
    let code = description.ExceptionCode.cast_unsigned();
    if description.ExceptionFlags & UNWINDING != 0 || !EXCEPTIONS.iter().any(|(known, ..)| *known == code) {
        return CONTINUE_SEARCH;
    }
    let overflow = code == status::EXCEPTION_STACK_OVERFLOW as u32;
    // A second fault, in a destructor or a __finally block that unwinding has called, is not reported; unwinding goes on
    // behind that block ("collided unwind").
    let stack = frame.addr().wrapping_sub(ESTABLISHER);
    if ABANDONED.get() != stack {
        // SAFETY: the system passes the state of the thread.
        let machine = unsafe { &*context };
        match guard::armed(&registers(machine), |_| classify(description)) {
            Some(landing) if landing.stack == stack => ABANDONED.set(stack),
            _ => return CONTINUE_SEARCH,
        }
    }
    // SAFETY: the system has passed them, for the frame of a guarded call in progress.
    unsafe { unwind(frame, record, dispatcher, overflow) };
    CONTINUE_SEARCH // not reached
}

/// So much stack is needed to look for the handlers of frames and to unwind: two contexts and then some.
const ENOUGH_STACK: usize = 12 * 1024;

/// For stacks that have run out to their very end: where the system does not keep what `SetThreadStackGuarantee` asks for
/// (wine, fibers), there is no room left to look for the handlers of frames, not for ours nor for the guest's own. Every
/// other exception is left to them.
unsafe extern "system" fn on_last_page(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes the description of the exception.
    let pointers = unsafe { &*pointers };
    // SAFETY: as above.
    let description = unsafe { &*pointers.ExceptionRecord };
    if description.ExceptionCode != status::EXCEPTION_STACK_OVERFLOW {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    // SAFETY: the system passes the state of the thread, to be changed if it is to go on.
    let machine = unsafe { &mut *pointers.ContextRecord };
    let stack = registers(machine).stack;
    let mut low = 0;
    let mut high = 0;
    // SAFETY: room for two answers.
    unsafe { GetCurrentThreadStackLimits(&raw mut low, &raw mut high) };
    if (low..high).contains(&stack) && stack - low > ENOUGH_STACK {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    let landing = match ABANDONED.get() {
        0 => guard::armed(&registers(machine), |_| classify(description)),
        // By what unwinding has called.
        stack => Some(Landing { instruction: guard::landing(), stack }),
    };
    let Some(landing) = landing else { return EXCEPTION_CONTINUE_SEARCH };
    go_on_at(machine, &landing, true);
    EXCEPTION_CONTINUE_EXECUTION
}

/// What a vectored handler returns (excpt.h).
const EXCEPTION_CONTINUE_SEARCH: i32 = 0;
const EXCEPTION_CONTINUE_EXECUTION: i32 = -1;

fn classify(description: &EXCEPTION_RECORD) -> Fault {
    let code = description.ExceptionCode.cast_unsigned();
    let on_memory = [status::EXCEPTION_ACCESS_VIOLATION, status::EXCEPTION_IN_PAGE_ERROR];
    // The first word tells whether it was read, written or executed, the second one where.
    let (address, access) = match description.ExceptionInformation {
        [access, address, ..] if on_memory.contains(&description.ExceptionCode) => {
            let access = match access {
                0 => Access::Read,
                1 => Access::Write,
                8 => Access::Execute,
                _ => Access::Unknown,
            };
            (Some(address), access)
        }
        _ => (None, Access::Unknown),
    };
    Fault { code, address, access, overflow: description.ExceptionCode == status::EXCEPTION_STACK_OVERFLOW }
}

/// Copies memory that may not be there; false if it is not. For the handlers.
///
/// # Safety
/// There is room for `len` bytes at `to`.
pub(crate) unsafe fn read_memory(to: *mut u8, from: usize, len: usize) -> bool {
    // SAFETY: only names this process.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: room for so many bytes; the system checks those that it reads.
    unsafe { ReadProcessMemory(process, from as *const c_void, to.cast(), len, null_mut()) != 0 }
}

/// Called at the landing place, with the full stack of the call above it.
pub(crate) extern "C" fn on_landing(overflow: c_int) {
    unsafe extern "C" {
        /// Makes the guard page anew that an overflow has used up (malloc.h of the C runtime).
        fn _resetstkoflw() -> c_int;
    }
    ABANDONED.set(0);
    if overflow != 0 {
        // SAFETY: the stack pointer is far above the pages that become the guard. If it fails the next overflow ends
        // the process.
        unsafe { _resetstkoflw() };
    }
}
