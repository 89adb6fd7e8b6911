//! One step, by DWARF's unwind information (`.eh_frame`), on machines that framehop does not know. Where there is none,
//! by frame pointers.

use super::pointers;
use crate::crash::symbols::{Image, Images};
use crate::guard::{Registers, Saved};
use crate::image::Region;
use addr2line::Loader;
use gimli::{BaseAddresses, CfaRule, EhFrame, NativeEndian, Register, RegisterRule, UnwindContext, UnwindSection};

use number::{FRAME, RETURN, STACK};

pub(super) use pointers::{caller_of_lost, returned_at};

/// DWARF's numbers for the registers.
#[cfg(target_arch = "x86")]
mod number {
    use gimli::{Register, X86};

    pub(super) const STACK: Register = X86::ESP;
    pub(super) const FRAME: Register = X86::EBP;
    pub(super) const RETURN: Register = X86::RA;
}
#[cfg(target_arch = "riscv64")]
mod number {
    use gimli::{Register, RiscV};

    pub(super) const STACK: Register = RiscV::SP;
    pub(super) const FRAME: Register = RiscV::X8;
    pub(super) const RETURN: Register = RiscV::RA;
}

/// What is known of the images on the way so far.
pub(in crate::crash) struct Unwinder<'a> {
    images: &'a Images,
    context: UnwindContext<usize>,
    /// The images that have been met: their base in memory, that which they were linked for, and their unwind information.
    known: Vec<(usize, u64, Option<Region<'a>>)>,
}

impl<'a> Unwinder<'a> {
    pub(super) fn new(images: &'a Images) -> Self {
        Unwinder { images, context: UnwindContext::new(), known: Vec::new() }
    }

    /// The registers of the function that has called the one which these are in. `faulted`: at the instruction itself,
    /// which may be anywhere in the function; otherwise behind a call.
    pub(super) fn caller(&mut self, registers: &Registers, faulted: bool, saved: &Saved) -> Option<Registers> {
        let place = if faulted { registers.instruction } else { registers.instruction.wrapping_sub(1) };
        let image = self.images.find(place)?;
        self.by_table(image, place, registers, saved).or_else(|| pointers::caller(registers, saved))
    }

    fn by_table(&mut self, image: &'a Image, place: usize, registers: &Registers, saved: &Saved) -> Option<Registers> {
        let known = self.known.iter().position(|(base, ..)| *base == image.base());
        let index = known.unwrap_or_else(|| {
            // In PE images without a table of names its own has no room.
            let is_table = |region: &Region<'_>| matches!(&*region.name, ".eh_frame" | ".eh_fram");
            let table = image.regions().into_iter().find(is_table);
            // 0, but for PE images.
            let linked_for = image.loader().map_or(0, Loader::relative_address_base);
            self.known.push((image.base(), linked_for, table));
            self.known.len() - 1
        });
        let (_, linked_for, region) = self.known.get(index)?;
        let region = region.as_ref()?;
        let mut table = EhFrame::new(region.bytes, NativeEndian);
        table.set_address_size(size_of::<usize>() as u8);
        // Whole addresses are those of an image that lies where it was linked for.
        let bases = BaseAddresses::default().set_eh_frame(linked_for.wrapping_add(region.address));
        let place = linked_for.wrapping_add(image.offset(place) as u64);
        let row = table.unwind_info_for_address(&bases, &mut self.context, place, EhFrame::cie_from_offset).ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else { return None };
        let before = match register {
            STACK => registers.stack,
            FRAME => registers.frame,
            _ => return None,
        };
        let end = before.wrapping_add_signed(offset as isize);
        // A function keeps what it does not speak of.
        let value = |register: Register, kept: usize| match row.register(register) {
            None | Some(RegisterRule::SameValue) => Some(kept),
            Some(RegisterRule::Offset(offset)) => saved.word(end.wrapping_add_signed(offset as isize)),
            _ => None,
        };
        let instruction = value(RETURN, registers.link).filter(|address| *address != 0)?;
        Some(Registers {
            instruction,
            stack: end,
            // It may have been used for something else, and be of no use to the caller either.
            frame: value(FRAME, registers.frame).unwrap_or(0),
            ..Registers::default()
        })
    }
}
