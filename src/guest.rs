//! For guests in Rust: the entry point, and what it is told.
//!
//! A guest is a crate of the type `cdylib` that uses [`guest_main!`](crate::guest_main). Its statics that are zero
//! at the start are carried from version to version, and those in the section `.state`:
//! `#[unsafe(link_section = ".state")] static FRAMES: AtomicU32 = AtomicU32::new(1);`

use crate::abi::{cr_op, cr_op_value, cr_plugin};
use core::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why the guest is called; see [`cr_op`].
pub use crate::abi::cr_op as Op;

/// The plugin as the guest sees it.
#[derive(Debug)]
pub struct Context(*mut cr_plugin);

impl Context {
    /// The version that runs.
    pub fn version(&self) -> u32 {
        // SAFETY: `run` made it of the host's pointer, which is valid during the call.
        unsafe { (*self.0).version }
    }

    /// What the plugin recovers from, in `CR_LOAD`; 0 otherwise.
    pub fn failure(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).failure }
    }

    /// The host's pointer.
    pub fn userdata(&self) -> *mut c_void {
        // SAFETY: as above.
        unsafe { (*self.0).userdata }
    }

    /// The struct itself, valid during the call.
    pub fn as_raw(&self) -> *mut cr_plugin {
        self.0
    }
}

/// Calls the guest's function; a panic becomes -1, which is a failure (`CR_USER`).
///
/// # Safety
/// `ctx` is what the host passed to the entry point. Used by [`guest_main!`](crate::guest_main).
pub unsafe fn run(ctx: *mut cr_plugin, operation: cr_op_value, main: fn(&mut Context, Op) -> c_int) -> c_int {
    let operation = match operation {
        0 => cr_op::CR_LOAD,
        1 => cr_op::CR_STEP,
        2 => cr_op::CR_UNLOAD,
        3 => cr_op::CR_CLOSE,
        _ => return -1,
    };
    catch_unwind(AssertUnwindSafe(|| main(&mut Context(ctx), operation))).unwrap_or(-1)
}

/// Says that a static of this module was called otherwise in the version before; it takes over the value:
/// `state_renamed!(HEALTH, "LIFE");`.
///
/// Both are names of this module, of statics that are not exported under a name of their own. A guest that is
/// stripped, or where state moves by section, knows no names.
#[macro_export]
macro_rules! state_renamed {
    ($new:ident, $old:literal) => {
        const _: () = {
            const TEXT: &str = concat!(module_path!(), "::", stringify!($new), "\0", module_path!(), "::", $old, "\0");
            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,cr_names"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = "cr_names"))]
            static RECORD: [u8; TEXT.len()] = $crate::guest::record(TEXT);
            // GNU ld for Windows drops what nothing refers to, `used` or not, but for such entries: a constructor.
            #[cfg(all(windows, target_env = "gnu"))]
            #[used]
            #[unsafe(link_section = ".CRT$XCU")]
            static KEPT: extern "C" fn() = {
                extern "C" fn keep() {
                    ::core::hint::black_box(&RECORD);
                }
                keep
            };
        };
    };
}

/// The bytes of a text. Used by [`state_renamed!`](crate::state_renamed).
#[doc(hidden)]
pub const fn record<const SIZE: usize>(text: &str) -> [u8; SIZE] {
    match text.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; SIZE], // a record of no names
    }
}

/// Exports a function `fn(&mut Context, Op) -> i32` as the guest's entry point `cr_main`.
#[macro_export]
macro_rules! guest_main {
    ($main:path) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn cr_main(
            ctx: *mut $crate::abi::cr_plugin,
            operation: $crate::abi::cr_op_value,
        ) -> ::core::ffi::c_int {
            // SAFETY: the host calls this with its own plugin.
            unsafe { $crate::guest::run(ctx, operation, $main) }
        }
    };
}
