//! The record as a text that a person reads.

use super::record::text;
use crate::abi::{cr_access, cr_crash, cr_crash_frame};
use crate::sys;
use core::ffi::c_int;
use core::fmt::{self, Write};
use std::io;
use std::path::Path;

/// Writes the record to a descriptor.
///
/// # Safety
/// A record of this library that is still valid.
pub(crate) unsafe fn write(crash: &cr_crash, descriptor: c_int) -> io::Result<()> {
    let mut text = String::new();
    // SAFETY: the caller's promise.
    let _ = unsafe { describe(crash, &mut text) }; // a string takes everything
    sys::write_to(descriptor, text.as_bytes())
}

/// Puts the record into words, one line for each frame.
///
/// # Safety
/// As [`write`].
pub(crate) unsafe fn describe(crash: &cr_crash, out: &mut dyn Write) -> fmt::Result {
    // SAFETY: the caller's promise: strings of the record.
    let what = unsafe { text(crash.what) }.unwrap_or_default();
    // SAFETY: as above.
    let operation = unsafe { text(crash.operation) }.unwrap_or_default();
    let access = [
        (cr_access::CR_ACCESS_READ, ", reading"),
        (cr_access::CR_ACCESS_WRITE, ", writing"),
        (cr_access::CR_ACCESS_EXECUTE, ", executing"),
    ];
    let access = access.iter().find(|(access, _)| *access as u32 == crash.access).map_or("", |(_, text)| text);
    writeln!(out, "{what}{access} in {operation} of version {}, thread {}", crash.version, crash.thread)?;
    for index in 0..crash.frame_count {
        // SAFETY: so many pointers are there, by the caller's promise.
        let frame = unsafe { crash.frames.wrapping_add(index).read() };
        // SAFETY: as above, each to a frame.
        let frame = unsafe { &*frame };
        // SAFETY: a frame of the record.
        unsafe { describe_frame(index, frame, out) }?;
    }
    Ok(())
}

/// # Safety
/// A frame of a record that is still valid.
unsafe fn describe_frame(index: usize, frame: &cr_crash_frame, out: &mut dyn Write) -> fmt::Result {
    if frame.skipped > 0 {
        writeln!(out, "     ... {} bytes of stack ...", frame.skipped)?;
    }
    // SAFETY: the caller's promise: strings of the record.
    let function = unsafe { text(frame.function) };
    write!(out, "{:<4} {:#018x} in {}", format!("#{index}"), frame.address, function.as_deref().unwrap_or("??"))?;
    // SAFETY: as above.
    if let Some(file) = unsafe { text(frame.file) } {
        write!(out, " at {file}:{}", frame.line)?;
    }
    if frame.inlined {
        return writeln!(out, " (inlined)");
    }
    // SAFETY: as above.
    let Some(module) = (unsafe { text(frame.module) }) else { return writeln!(out) };
    let name = Path::new(&*module).file_name().map_or(module.clone(), |name| name.to_string_lossy());
    writeln!(out, " ({name}+{:#x})", frame.offset)
}
