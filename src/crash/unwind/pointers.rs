//! One step, by frame pointers. Code that has none loses its callers, and a function that faults before it has set up
//! its frame loses one.

use crate::guard::{Registers, Saved};

const WORD: usize = size_of::<usize>();

/// From the frame pointer: where that of the caller is saved, where the return address is, where the frame ends.
#[cfg(target_arch = "x86")]
const LAYOUT: [usize; 3] = [0, WORD, 2 * WORD];
#[cfg(not(target_arch = "x86"))]
const LAYOUT: [usize; 3] = [0usize.wrapping_sub(2 * WORD), 0usize.wrapping_sub(WORD), 0];

/// The registers of the function that has called the one which these are in.
pub(super) fn caller(registers: &Registers, saved: &Saved) -> Option<Registers> {
    let [frame, instruction, end] = LAYOUT.map(|offset| registers.frame.wrapping_add(offset));
    Some(Registers {
        instruction: saved.word(instruction)?,
        stack: end,
        frame: saved.word(frame)?,
        ..Registers::default()
    })
}

/// The caller of a function that is none.
pub(super) fn caller_of_lost(registers: &Registers, saved: &Saved) -> Option<Registers> {
    if cfg!(target_arch = "x86") {
        // Its return address is on top of the stack.
        let instruction = saved.word(registers.stack)?;
        return Some(Registers { instruction, stack: registers.stack.wrapping_add(WORD), ..*registers });
    }
    Some(Registers { instruction: registers.link, ..*registers })
}

/// The registers of a caller, if frame pointer and return address are saved here, side by side.
pub(super) fn returned_at(place: usize, saved: &Saved) -> Option<Registers> {
    let frame = saved.word(place.wrapping_sub(WORD))?;
    let instruction = saved.word(place)?;
    Some(Registers { instruction, stack: place.wrapping_add(WORD), frame, ..Registers::default() })
}
