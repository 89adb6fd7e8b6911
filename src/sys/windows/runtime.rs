//! `abort`, which is no exception on Windows: the C runtime calls the handler for SIGABRT, then ends the process.
//!
//! A process may hold several C runtimes, each with handlers of its own, and a guest may bring its own. So a handler
//! is put into each that is known and loaded, when a plugin is opened and after each load. On a thread that is
//! inside a guest it abandons the call; elsewhere it calls the handler that was there before. A runtime that is
//! linked statically into a guest cannot be reached: an abort there ends the process.

use crate::guard::{self, Registers};
use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

/// The same in all of Microsoft's runtimes (signal.h).
const SIGABRT: c_int = 22;
const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;
/// What `signal` returns when it fails.
const SIG_ERR: usize = usize::MAX;

/// The runtimes' libraries: that of the system, the universal one, and those of each Visual C++ before it.
const RUNTIMES: [&CStr; 10] = [
    c"ucrtbase.dll",
    c"ucrtbased.dll",
    c"msvcrt.dll",
    c"msvcr120.dll",
    c"msvcr120d.dll",
    c"msvcr110.dll",
    c"msvcr110d.dll",
    c"msvcr100.dll",
    c"msvcr100d.dll",
    c"msvcr90.dll",
];

type Signal = unsafe extern "C" fn(c_int, usize) -> usize;

/// What a runtime's handler was before ours.
static PREVIOUS: [AtomicUsize; RUNTIMES.len()] = [const { AtomicUsize::new(SIG_DFL) }; RUNTIMES.len()];

/// Held while handlers are changed, never while one runs.
static CHANGING: Mutex<()> = Mutex::new(());

/// A function of a runtime that is loaded.
fn function(runtime: &CStr, name: &CStr) -> Option<unsafe extern "system" fn() -> isize> {
    // SAFETY: a string; the library is only looked up.
    let module = unsafe { GetModuleHandleA(runtime.as_ptr().cast()) };
    if module.is_null() {
        return None;
    }
    // SAFETY: a module that is loaded and a string.
    unsafe { GetProcAddress(module, name.as_ptr().cast()) }
}

fn signal(runtime: &CStr) -> Option<Signal> {
    // SAFETY: the C function `signal`; a handler is passed as a word.
    function(runtime, c"signal")
        .map(|function| unsafe { transmute::<unsafe extern "system" fn() -> isize, Signal>(function) })
}

/// Handlers carry no context, so each runtime has one of its own.
const HANDLERS: [unsafe extern "C" fn(c_int); RUNTIMES.len()] = [
    on_abort::<0>,
    on_abort::<1>,
    on_abort::<2>,
    on_abort::<3>,
    on_abort::<4>,
    on_abort::<5>,
    on_abort::<6>,
    on_abort::<7>,
    on_abort::<8>,
    on_abort::<9>,
];

fn each(mut action: impl FnMut(Signal, usize, &AtomicUsize)) {
    let _changing = CHANGING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for ((runtime, handler), previous) in RUNTIMES.iter().zip(HANDLERS).zip(&PREVIOUS) {
        if let Some(signal) = signal(runtime) {
            action(signal, handler as *const () as usize, previous);
        }
    }
}

/// Puts our handler into each runtime that is loaded and has it not yet.
pub(super) fn hook() {
    each(|signal, handler, previous| {
        // SAFETY: a handler of the right type, which stays as long as this library does.
        let before = unsafe { signal(SIGABRT, handler) };
        if before != handler && before != SIG_ERR {
            previous.store(before, Ordering::Release);
        }
    });
}

/// Takes it out where it still is.
pub(super) fn unhook() {
    each(|signal, handler, previous| {
        // SAFETY: the handler from before.
        let current = unsafe { signal(SIGABRT, previous.load(Ordering::Acquire)) };
        if current != handler && current != SIG_ERR {
            // A handler that was installed after ours stays, and may go on calling ours.
            // SAFETY: the handler that was there a moment ago.
            unsafe { signal(SIGABRT, current) };
        }
    });
}

/// The handler of one runtime, called by its `abort` and `raise`.
#[cfg(not(target_arch = "x86"))]
unsafe extern "C" fn on_abort<const RUNTIME: usize>(number: c_int) {
    aborted(RUNTIME, number, &super::tables::caller());
}

/// As above. There are no tables for `caller`, but here it is known where everything is.
#[cfg(target_arch = "x86")]
#[unsafe(naked)]
unsafe extern "C" fn on_abort<const RUNTIME: usize>(number: c_int) {
    unsafe extern "C" fn handler(runtime: usize, number: c_int, frame: &[usize; 2]) {
        let [frame_of_caller, instruction] = *frame;
        let stack = core::ptr::from_ref(frame).addr() + size_of_val(frame);
        aborted(runtime, number, &Registers { instruction, stack, frame: frame_of_caller, ..Registers::default() });
    }
    core::arch::naked_asm!(
        "push ebp", // below the return address
        "mov ebp, esp",
        "push ebp",
        "push dword ptr [ebp + 8]", // the signal's number
        "push {runtime}",
        "call {handler}",
        "leave",
        "ret",
        runtime = const RUNTIME,
        handler = sym handler,
    )
}

/// `registers` are those of whoever has called the handler.
fn aborted(index: usize, number: c_int, registers: &Registers) {
    let (Some(runtime), Some(previous)) = (RUNTIMES.get(index), PREVIOUS.get(index)) else { return };
    let before = previous.load(Ordering::Acquire);
    let Some(signal) = signal(runtime) else { return };
    // The runtime takes a handler out before it calls it.
    let stay = || {
        if let Some(handler) = HANDLERS.get(index) {
            // SAFETY: as in `hook`.
            unsafe { signal(SIGABRT, *handler as *const () as usize) };
        }
    };
    if let Some(landing) = guard::armed(registers, |_| super::fault::abort()) {
        stay();
        // SAFETY: the landing place of a guarded call of this thread. What lies between is the guest's and the
        // runtime's, which holds no lock while a handler runs.
        unsafe { super::machine::leave(&landing) }
    }
    match before {
        SIG_IGN => stay(),
        SIG_DFL => {
            // Ends the process as it would have without us: with the runtime's report.
            // SAFETY: the default handler.
            unsafe { signal(SIGABRT, SIG_DFL) };
            if let Some(abort) = function(runtime, c"abort") {
                // SAFETY: the C function `abort`.
                let abort = unsafe { transmute::<unsafe extern "system" fn() -> isize, unsafe extern "C" fn()>(abort) };
                // SAFETY: ends the process.
                unsafe { abort() };
            }
        }
        handler => {
            // It is called once, as without us, unless it installs itself again.
            previous.store(SIG_DFL, Ordering::Release);
            stay();
            // SAFETY: a handler that somebody installed for this signal.
            let handler = unsafe { transmute::<*const c_void, unsafe extern "C" fn(c_int)>(handler as *const c_void) };
            // SAFETY: the runtime's argument.
            unsafe { handler(number) };
        }
    }
}
