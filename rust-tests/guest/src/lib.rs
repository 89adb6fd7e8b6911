//! A guest in Rust: counts its steps in state that is carried, and fails in the ways that its features name.

use cr::guest::{Context, Op};
use std::sync::atomic::{AtomicI32, Ordering};

/// Tagged: carried although it is not zero at the start.
#[unsafe(link_section = ".state")]
static TAGGED: AtomicI32 = AtomicI32::new(100);
/// Zero at the start: carried.
#[cfg(not(feature = "second"))]
static ZERO: AtomicI32 = AtomicI32::new(0);
/// The same under another name.
#[cfg(feature = "second")]
static COUNT: AtomicI32 = AtomicI32::new(0);
#[cfg(feature = "second")]
cr::state_renamed!(COUNT, "ZERO");
#[cfg(feature = "second")]
use COUNT as ZERO;
/// Initialised and not tagged: every version starts anew.
static LOCAL: AtomicI32 = AtomicI32::new(1);

const VERSION: i32 = if cfg!(feature = "second") { 2 } else { 1 };

fn main(ctx: &mut Context, op: Op) -> i32 {
    // The host's array: what was seen last.
    // SAFETY: the test passes an array of five numbers and looks at it only between updates.
    let seen = unsafe { &mut *ctx.userdata().cast::<[i32; 5]>() };
    if op != Op::CR_STEP {
        seen[4] = seen[4] % 1000 * 10 + op as i32 + 1;
        return 0;
    }
    seen[0] = VERSION;
    seen[1] = TAGGED.fetch_add(1, Ordering::Relaxed);
    seen[2] = ZERO.fetch_add(1, Ordering::Relaxed);
    seen[3] = LOCAL.fetch_add(1, Ordering::Relaxed);
    if seen[3] == 2 && cfg!(feature = "crashing") {
        // SAFETY: none; this is the crash that the test wants.
        unsafe { core::ptr::null_mut::<i32>().write_volatile(1) };
    }
    assert!(!(seen[3] == 2 && cfg!(feature = "panicking")), "the panic that the test wants");
    ctx.version() as i32
}

cr::guest_main!(main);
