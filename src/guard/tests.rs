//! The guard alone, with guests that are written for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may

#[cfg(target_arch = "aarch64")]
#[path = "tests/aarch64.rs"]
mod arch;
#[cfg(target_arch = "riscv64")]
#[path = "tests/riscv64.rs"]
mod arch;
#[cfg(target_arch = "x86")]
#[path = "tests/x86.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "tests/x86_64.rs"]
mod arch;

use super::{Fault, Function, assembly, call, guarded};
use crate::sys::fault::{Hook, describe};
use arch::KEPT;
use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::{null, null_mut};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

/// The registers of [`KEPT`]: filled from here, and written back here.
type Registers = [usize; KEPT.len()];

unsafe extern "C-unwind" {
    /// Calls `target` with these five arguments, the registers filled; notes afterwards what is in them.
    #[link_name = "cr_test_fill_and_call"]
    fn fill_and_call(registers: *mut Registers, target: *const c_void, arguments: *const [usize; 5]) -> usize;

    /// A guest that spoils all registers. Then it calls `function`, or if that is null has a fault.
    #[link_name = "cr_test_spoil"]
    fn spoil(function: *mut c_void, _: usize, _: *mut c_void) -> usize;
}

/// What faults are called here.
const ILLEGAL: &str = if cfg!(windows) { "EXCEPTION_ILLEGAL_INSTRUCTION" } else { "SIGILL" };
const ACCESS: &str = if cfg!(windows) { "EXCEPTION_ACCESS_VIOLATION" } else { "SIGSEGV" };

/// Calls a guest that has a fault, and expects it.
fn crash(function: Function, a: *mut c_void) -> Fault {
    // SAFETY: a guest of this file, which leaves nothing behind.
    unsafe { call(function, a, 0, null_mut(), null()) }.expect_err("the guest should have had a fault")
}

#[test]
fn an_abandoned_call_restores_all_callee_saved_registers() {
    let _hook = Hook::new();
    for _ in 0..3 {
        let mut registers = KEPT;
        let result = guarded(null(), |stack| {
            let arguments = [stack.addr(), spoil as *const () as usize, 0, 0, 0];
            // SAFETY: the guard's entry with its arguments.
            unsafe { fill_and_call(&raw mut registers, assembly::enter as *const c_void, &raw const arguments) }
        });
        assert!(describe(result.unwrap_err()).starts_with(ILLEGAL));
        assert_eq!(registers, KEPT);
    }
}

#[test]
fn an_exception_finds_all_callee_saved_registers() {
    extern "C-unwind" fn throw() {
        panic_any(7_u8);
    }
    extern "C-unwind" fn middle(result: *mut u8) -> usize {
        let throw = throw as *mut c_void;
        // SAFETY: the guest only throws.
        let caught = catch_unwind(AssertUnwindSafe(|| unsafe { call(spoil, throw, 0, null_mut(), null()) }));
        // SAFETY: the variable of the test below.
        unsafe { *result = *caught.unwrap_err().downcast::<u8>().unwrap() };
        0
    }
    std::panic::set_hook(Box::new(|_| {}));
    let mut registers = KEPT;
    let mut result = 0_u8;
    let arguments = [(&raw mut result).addr(), 0, 0, 0, 0];
    // SAFETY: a function that takes the first of these arguments and ignores the others.
    unsafe { fill_and_call(&raw mut registers, middle as *const c_void, &raw const arguments) };
    let _ = std::panic::take_hook();
    assert_eq!(result, 7);
    // Exceptions leave the state of the floating-point unit as it is; the guest has not touched it.
    assert_eq!(registers, KEPT);
}

#[test]
fn arguments_and_result_pass_through() {
    unsafe extern "C-unwind" fn sum(a: *mut c_void, b: usize, c: *mut c_void) -> usize {
        a.addr() + 10 * b + 100 * c.addr()
    }
    let pointer = |address: usize| null_mut::<c_void>().with_addr(address);
    // SAFETY: a function that only computes.
    assert_eq!(unsafe { call(sum, pointer(1), 2, pointer(3), null()) }, Ok(321));
}

#[test]
fn the_stack_is_aligned_for_the_guest() {
    unsafe extern "C-unwind" fn guest(_: *mut c_void, _: usize, _: *mut c_void) -> usize {
        #[repr(align(16))]
        struct Aligned([u8; 16]);
        let aligned = std::hint::black_box(Aligned([0; 16]));
        (&raw const aligned).addr() % 16 + usize::from(aligned.0[0])
    }
    // SAFETY: a function that only looks.
    assert_eq!(unsafe { call(guest, null_mut(), 0, null_mut(), null()) }, Ok(0));
}

#[test]
fn a_call_of_what_is_no_code_is_recovered() {
    let _hook = Hook::new();
    unsafe extern "C-unwind" fn guest(target: *mut c_void, _: usize, _: *mut c_void) -> usize {
        // SAFETY: not a function at all; the fault of the call is what is expected.
        let function = unsafe { transmute::<*mut c_void, extern "C-unwind" fn() -> usize>(target) };
        function()
    }
    let fault = crash(guest, null_mut::<c_void>().with_addr(8));
    assert_eq!(describe(fault), format!("{ACCESS} at address 0x8"));
    static DATA: [u32; 4] = [0; 4];
    let fault = crash(guest, (&raw const DATA).cast_mut().cast());
    assert_eq!(fault.address, Some((&raw const DATA).addr()), "data is not executable");
}

#[test]
fn nested_calls_are_abandoned_one_by_one() {
    let _hook = Hook::new();
    unsafe extern "C-unwind" fn outer(depth: *mut c_void, _: usize, _: *mut c_void) -> usize {
        let below = depth.map_addr(|depth| depth.wrapping_sub(1));
        let function: Function = if below.addr() == 0 { spoil } else { outer };
        let inner = crash(function, if below.addr() == 0 { null_mut() } else { below });
        assert!(inner.code != 0);
        // SAFETY: as in `crash`.
        assert!(unsafe { call(spoil, null_mut(), 0, null_mut(), null()) }.is_err(), "still guarded");
        // SAFETY: it has the fault that the caller expects.
        unsafe { spoil(null_mut(), 0, null_mut()) }
    }
    crash(outer, null_mut::<c_void>().with_addr(20));
}
