//! Unwinding by the tables that the images have for it.

use super::machine::{Aligned, registers};
use crate::guard::{self, Registers};
use core::ffi::c_void;
use core::ptr::null_mut;
use windows_sys::Win32::System::Diagnostics::Debug::{
    DISPATCHER_CONTEXT, EXCEPTION_RECORD, RtlCaptureContext, RtlLookupFunctionEntry, RtlUnwindEx, RtlVirtualUnwind,
    UNW_FLAG_NHANDLER,
};

/// Runs the __finally blocks and destructors of the frames inside of the guarded call, and goes on at its landing place;
/// `overflow` tells it whether the stack has run out. It only returns if that is not possible.
///
/// # Safety
/// The arguments are what the handler of a guarded call in progress got from the system.
pub(super) unsafe fn unwind(
    frame: *const c_void,
    record: *const EXCEPTION_RECORD,
    dispatcher: *const c_void,
    overflow: bool,
) {
    // SAFETY: the system passes what unwinding needs.
    let dispatcher = unsafe { &*dispatcher.cast::<DISPATCHER_CONTEXT>() };
    // SAFETY: the frame is that of a guarded call in progress, and the place is inside its function.
    unsafe {
        RtlUnwindEx(
            frame,
            guard::landing() as *const c_void,
            record,
            usize::from(overflow) as *const c_void,
            dispatcher.ContextRecord,
            dispatcher.HistoryTable,
        );
    }
}

/// Where the function goes on that has called the calling one.
#[inline(never)]
pub(super) fn caller() -> Registers {
    let mut machine = Aligned::default();
    // SAFETY: aligned room for the registers.
    unsafe { RtlCaptureContext(&raw mut machine.0) };
    // Out of this function, and out of the one that has called it.
    for _ in 0..2 {
        let (mut base, mut data, mut frame) = (0, null_mut(), 0);
        let instruction = registers(&machine.0).instruction as _;
        // SAFETY: room for the answer; there is no table of what was found before.
        let function = unsafe { RtlLookupFunctionEntry(instruction, &raw mut base, null_mut()) };
        if function.is_null() {
            break;
        }
        let context = &raw mut machine.0;
        // SAFETY: the function that the registers are in, the registers, and room for the answers.
        unsafe {
            RtlVirtualUnwind(
                UNW_FLAG_NHANDLER,
                base,
                instruction,
                function,
                context,
                &raw mut data,
                &raw mut frame,
                null_mut(),
            )
        };
    }
    registers(&machine.0)
}
