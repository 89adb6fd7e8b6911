//! Tables for exceptions that an image has left behind with libgcc.
//!
//! On 32-bit x86 MinGW's images tell libgcc at their start where their tables are, which it puts into a list, and have
//! it forget them at their end. One whose constructor or destructor has crashed does not get there. When it has been
//! unloaded, whoever throws next, or just ends, would read tables that have gone.

use super::fault::read_memory;
use core::ffi::{CStr, c_void};
use core::mem::transmute;
use core::ops::Range;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

/// The entry of an image in that list lies in the image ("struct object" of libgcc): where its code begins, two words
/// that are zero here, and where its tables are, or from the first search on a list of them, which begins with that.
const ENTRY: usize = 4;

/// `_Unwind_Find_FDE`: the table of a function, and room for what it counts from.
type Find = unsafe extern "C" fn(usize, *mut [usize; 3]) -> usize;
/// `__deregister_frame_info`: its argument must be known to it.
type Forget = unsafe extern "C" fn(usize) -> *mut c_void;

/// Has libgcc forget the tables of an image, if it still knows them; `function` is one of the image.
///
/// # Safety
/// The image is mapped there, and none of its code runs any more.
pub(crate) unsafe fn forget_frames(image: Range<usize>, function: usize) {
    // Of one that is linked into the image nothing is left.
    let function_of = |name: &CStr| {
        // SAFETY: a string; the library is only looked up.
        let library = unsafe { GetModuleHandleA(c"libgcc_s_dw2-1.dll".as_ptr().cast()) };
        // SAFETY: a library that is loaded, and a string.
        if library.is_null() { None } else { unsafe { GetProcAddress(library, name.as_ptr().cast()) } }
    };
    let functions = (function_of(c"_Unwind_Find_FDE"), function_of(c"__deregister_frame_info"));
    let (Some(find), Some(forget)) = functions else { return };
    // SAFETY: the function of libgcc with this name.
    let find = unsafe { transmute::<unsafe extern "system" fn() -> isize, Find>(find) };
    // SAFETY: as above.
    let forget = unsafe { transmute::<unsafe extern "system" fn() -> isize, Forget>(forget) };
    let knows = |place: usize| {
        let mut bases = [0; 3];
        // SAFETY: it looks for an address in the tables that it knows, those of this image among them.
        image.contains(&unsafe { find(place, &raw mut bases) })
    };
    // From the first search on the entry is complete; older ones complete all when nothing is found, newer ones those
    // of the image alone.
    knows(function);
    knows(image.start);
    let content = copy(&image);
    let mut tables = content.windows(ENTRY).filter_map(|entry| match *entry {
        [code, 0, 0, list] if image.contains(&code) => {
            let [tables] = words(list)?;
            (image.contains(&tables) && knows(code)).then_some(tables)
        }
        _ => None,
    });
    if let Some(tables) = tables.next() {
        // SAFETY: it has just found the beginning of the code in them.
        unsafe { forget(tables) };
    }
}

/// The words of an image; zeros where it cannot be read.
fn copy(image: &Range<usize>) -> Vec<usize> {
    const PAGE: usize = 4096 / size_of::<usize>();
    let page = |place| words::<PAGE>(place).unwrap_or([0; PAGE]);
    image.clone().step_by(PAGE * size_of::<usize>()).flat_map(page).collect()
}

/// Words that may not be there.
fn words<const COUNT: usize>(place: usize) -> Option<[usize; COUNT]> {
    let mut words = [0; COUNT];
    // SAFETY: room for as many bytes.
    unsafe { read_memory((&raw mut words).cast(), place, size_of_val(&words)) }.then_some(words)
}
