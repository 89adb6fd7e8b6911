//! The record in the form that C sees, with all that it points to.

use super::Crash;
use super::symbols::Images;
use super::unwind::{self, Frame};
use crate::abi::{cr_access, cr_crash, cr_crash_frame};
use crate::guard::{Access, Saved};
use crate::image::Line;
use crate::plugin::c_text;
use crate::sys::fault;
use core::ffi::{CStr, c_char};
use core::ptr::null;
use std::borrow::Cow;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A record and its parts, which stay where they are.
pub(crate) struct Record {
    crash: Box<cr_crash>,
    _frames: Vec<cr_crash_frame>,
    _pointers: Vec<*const cr_crash_frame>,
    _texts: Texts,
}

/// The strings of a record.
#[derive(Default)]
struct Texts(Vec<CString>);

impl Texts {
    fn add(&mut self, text: &str) -> *const c_char {
        let text = c_text(text);
        let pointer = text.as_ptr();
        self.0.push(text); // a CString's bytes are on the heap and stay there
        pointer
    }

    fn add_or_null(&mut self, text: Option<&str>) -> *const c_char {
        text.map_or(null(), |text| self.add(text))
    }
}

impl Record {
    pub(super) fn new(crash: &Crash, saved: &Saved) -> Record {
        let mut texts = Texts::default();
        let mut frames = Vec::new();
        // Foreign parsers read foreign files here. Should one of them panic, the rest of the record still holds.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let images = Images::new(crash.module());
            for frame in unwind::walk(saved, &images) {
                add_frame(&frame, &images, &mut texts, &mut frames);
            }
        }));
        let pointers: Vec<_> = frames.iter().map(|frame: &cr_crash_frame| &raw const *frame).collect();
        let record = cr_crash {
            size: size_of::<cr_crash>(),
            code: crash.fault.code,
            failure: fault::failure(crash.fault),
            what: texts.add(&crash.what()),
            operation: texts.add(crash.place),
            version: crash.version,
            access: match crash.fault.access {
                Access::Unknown => cr_access::CR_ACCESS_UNKNOWN,
                Access::Read => cr_access::CR_ACCESS_READ,
                Access::Write => cr_access::CR_ACCESS_WRITE,
                Access::Execute => cr_access::CR_ACCESS_EXECUTE,
            } as u32,
            address: crash.fault.address.unwrap_or(0),
            thread: crash.thread,
            frame_count: pointers.len(),
            frames: pointers.as_ptr(),
        };
        Record { crash: Box::new(record), _frames: frames, _pointers: pointers, _texts: texts }
    }

    pub(super) fn as_ptr(&self) -> *const cr_crash {
        &raw const *self.crash
    }
}

/// The frames that one frame of the stack stands for: the functions that are inlined there, then the function itself.
fn add_frame(frame: &Frame, images: &Images, texts: &mut Texts, frames: &mut Vec<cr_crash_frame>) {
    let image = images.find(frame.address);
    let module = image.map(|image| image.path().to_string_lossy());
    let module = texts.add_or_null(module.as_deref());
    let offset = image.map_or(frame.address, |image| image.offset(frame.address));
    // The instruction that is returned to may belong to the next line already, or to the next function.
    let lookup = frame.address.wrapping_sub(usize::from(frame.returned_to));
    let mut lines = image.map_or_else(Vec::new, |image| image.lines(lookup));
    if lines.is_empty() {
        lines.push(Line::default());
    }
    let last = lines.len() - 1;
    for (index, line) in lines.iter().enumerate() {
        frames.push(cr_crash_frame {
            address: frame.address,
            module,
            offset,
            function: texts.add_or_null(line.function.as_deref()),
            file: texts.add_or_null(line.file.as_deref()),
            line: line.line,
            inlined: index < last,
            skipped: if index == 0 { frame.skipped } else { 0 },
        });
    }
}

/// A string of a record, for those that read one.
///
/// # Safety
/// `text` is NULL or a string that outlives the result.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: not NULL, and the caller promised a string.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy())
}
