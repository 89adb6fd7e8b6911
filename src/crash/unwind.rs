//! The frames of a stack that was saved, from the fault to the guarded call.
//!
//! Each step needs the unwind information of the image that the frame's code is in (`tables`, or `dwarf` on machines for
//! which there is no reader of all its forms), or frame pointers (`pointers`). Where neither leads on, the search begins again above: a return
//! address is believed if what follows from it comes out exactly at the guarded call. So the outermost frames are found
//! of a stack that has run out, too, of which the middle was not saved.

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod dwarf;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod pointers;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tables;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use dwarf as way;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use tables as way;

use super::symbols::Images;
use crate::guard::{self, Registers, Saved};
use way::Unwinder;

/// So many frames are shown of each end.
const SHOWN: usize = 32;

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// The instruction that faulted, or that is returned to.
    pub(super) address: usize,
    pub(super) returned_to: bool,
    /// So many bytes of stack before it are not shown.
    pub(super) skipped: usize,
    /// Where its part of the stack begins.
    stack: usize,
}

impl Frame {
    fn returned_to(registers: &Registers) -> Frame {
        Frame { address: registers.instruction, returned_to: true, skipped: 0, stack: registers.stack }
    }
}

/// The frames, from the innermost to the outermost.
pub(super) fn walk(saved: &Saved, images: &Images) -> Vec<Frame> {
    let mut unwinder = Unwinder::new(images);
    let registers = saved.registers;
    let first = Frame { returned_to: false, ..Frame::returned_to(&registers) };
    let mut frames = vec![first];
    let complete = if images.is_code(first.address) {
        follow(&mut unwinder, registers, true, saved, images, &mut frames)
    } else {
        // A jump to nowhere. If it was a call, the caller is where it is returned to.
        match way::caller_of_lost(&registers, saved).filter(|caller| is_return(caller.instruction, images)) {
            Some(caller) => {
                frames.push(Frame::returned_to(&caller));
                follow(&mut unwinder, caller, false, saved, images, &mut frames)
            }
            None => false,
        }
    };
    if !complete {
        let reached = frames.last().map_or(registers.stack, |frame| frame.stack);
        frames.extend(resume(&mut unwinder, reached, saved, images));
    }
    shorten(frames)
}

/// Goes from frame to frame until the guarded call is reached: true. `first`: it begins where the fault was.
fn follow(
    unwinder: &mut Unwinder<'_>,
    mut registers: Registers,
    mut first: bool,
    saved: &Saved,
    images: &Images,
    frames: &mut Vec<Frame>,
) -> bool {
    loop {
        let below = registers.stack;
        let Some(caller) = unwinder.caller(&registers, first, saved) else { return false };
        if guard::is_entry(caller.instruction) {
            return true;
        }
        // The stack pointer stands still at most once, where the return address was in a register.
        if !is_return(caller.instruction, images) || caller.stack < below || (!first && caller.stack == below) {
            return false;
        }
        frames.push(Frame::returned_to(&caller));
        registers = caller;
        first = false;
    }
}

/// The outermost frames that can be followed to the guarded call, above `reached`.
fn resume(unwinder: &mut Unwinder<'_>, reached: usize, saved: &Saved, images: &Images) -> Vec<Frame> {
    for place in saved.words(reached) {
        let Some(registers) = way::returned_at(place, saved) else { continue };
        if !is_return(registers.instruction, images) {
            continue;
        }
        let mut frames = vec![Frame { skipped: place - reached, ..Frame::returned_to(&registers) }];
        if follow(unwinder, registers, false, saved, images, &mut frames) {
            return frames;
        }
    }
    Vec::new()
}

/// Can it be returned to this address? There is a call before it.
fn is_return(address: usize, images: &Images) -> bool {
    address != 0 && images.is_code(address - 1)
}

/// Leaves out the middle of what is too long to be read. If some of it was not saved, that is in the middle.
fn shorten(frames: Vec<Frame>) -> Vec<Frame> {
    if frames.len() <= 2 * SHOWN {
        return frames;
    }
    let gap = frames.iter().position(|frame| frame.skipped > 0);
    let (first, rest) = frames.split_at(gap.unwrap_or(SHOWN).min(SHOWN));
    let last_begins = (frames.len() - SHOWN).max(gap.unwrap_or(0)) - first.len();
    let (_, last) = rest.split_at(last_begins);
    let mut shown = first.to_vec();
    let end = first.last().map_or(0, |frame| frame.stack);
    shown.extend(last.iter().enumerate().map(|(index, frame)| match index {
        0 => Frame { skipped: frame.stack.saturating_sub(end), ..*frame },
        _ => *frame,
    }));
    shown
}

#[cfg(test)]
mod tests {
    use super::{Frame, shorten};

    fn frames(count: usize, gap: Option<usize>) -> Vec<Frame> {
        let frame = |index: usize| Frame {
            address: index,
            returned_to: true,
            skipped: if Some(index) == gap { 5000 } else { 0 },
            stack: 100 * index + if gap.is_some_and(|gap| index >= gap) { 5000 } else { 0 },
        };
        (0..count).map(frame).collect()
    }

    /// The frames that are left, and for each gap the frame behind it and its size.
    fn shown(frames: Vec<Frame>) -> (Vec<usize>, Vec<(usize, usize)>) {
        let gaps =
            frames.iter().filter(|frame| frame.skipped > 0).map(|frame| (frame.address, frame.skipped)).collect();
        (frames.into_iter().map(|frame| frame.address).collect(), gaps)
    }

    #[test]
    fn the_middle_of_many_frames_is_left_out_in_one_gap() {
        let both = |first: core::ops::Range<usize>, last: core::ops::Range<usize>| first.chain(last).collect();
        assert_eq!(shown(shorten(frames(64, None))), ((0..64).collect(), vec![]));
        assert_eq!(shown(shorten(frames(100, None))), (both(0..32, 68..100), vec![(68, 3700)]));
        assert_eq!(shown(shorten(frames(60, Some(10)))), ((0..60).collect(), vec![(10, 5000)]));
        assert_eq!(shown(shorten(frames(70, Some(50)))), (both(0..32, 50..70), vec![(50, 6900)]));
        assert_eq!(shown(shorten(frames(70, Some(10)))), (both(0..10, 38..70), vec![(38, 7900)]));
        assert_eq!(shown(shorten(frames(200, Some(100)))), (both(0..32, 168..200), vec![(168, 18700)]));
    }
}
