//! Unwinding on 32-bit x86: along the thread's chain of handlers, which it keeps on its stack (`guard/x86_windows.rs`).

use super::machine::ESTABLISHER;
use crate::guard;
use core::arch::asm;
use core::ffi::c_void;
use windows_sys::Win32::System::Diagnostics::Debug::{EXCEPTION_RECORD, RtlUnwind};

/// Runs the __finally blocks and destructors of the handlers in front of that of the guarded call, and goes on at its
/// landing place; `overflow` tells it whether the stack has run out.
///
/// # Safety
/// The first two arguments are what the handler of a guarded call in progress got from the system.
pub(super) unsafe fn unwind(
    frame: *const c_void,
    record: *const EXCEPTION_RECORD,
    _dispatcher: *const c_void,
    overflow: bool,
) {
    // SAFETY: the frame is in the chain. `RtlUnwind` returns, with the stack pointer alone as it was, which is enough: the
    // landing place wants no more than its own, and in eax what it is told.
    unsafe {
        asm!(
            "push {overflow}",
            "push {landing}",
            "push {frame}",
            "push 0",        // nothing is returned
            "push {record}",
            "push {landing}", // nobody looks at it
            "push {frame}",
            "call {unwind}", // takes these four from the stack
            "pop ecx",
            "pop edx",
            "pop eax",
            "lea esp, [ecx - {establisher}]", // the stack of the call
            "jmp edx",
            overflow = in(reg) u32::from(overflow),
            landing = in(reg) guard::landing(),
            frame = in(reg) frame,
            record = in(reg) record,
            unwind = sym RtlUnwind,
            establisher = const ESTABLISHER,
            options(noreturn),
        );
    }
}
