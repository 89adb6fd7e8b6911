//! What is carried over: the content of the state sections, saved at the last good unload.
//!
//! There is one snapshot. It is restored into the next version at a reload, and into an older one at a rollback.
//! Sections are matched by name. Moving single variables by name will be a plan between [`Snapshot::check`] and
//! [`Snapshot::restore`]; everything around it stays.

mod block;
#[cfg_attr(not(test), allow(dead_code))] // until variables move by type
mod convert;
#[cfg(test)]
mod convert_tests;
#[cfg(test)]
pub(crate) mod model;

pub(crate) use block::Allocator;

use crate::abi::cr_mode;
use crate::error::Error;
use crate::image::{Section, SectionKind};
use block::Block;

/// The state of the last version that was unloaded in good order.
pub(crate) struct Snapshot {
    allocator: Allocator,
    /// The sections as they were in that version, and their content. A block may be larger than its section.
    parts: Vec<(Section, Block)>,
    /// Blocks beyond `parts`, kept for the next save.
    spare: Vec<Block>,
}

impl Snapshot {
    pub(crate) fn new(allocator: Allocator) -> Self {
        Snapshot { allocator, parts: Vec::new(), spare: Vec::new() }
    }

    /// Is there no state: nothing has been unloaded yet, or it had none?
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Makes room for these sections without touching what is saved, so that [`Snapshot::save`] cannot fail.
    pub(crate) fn reserve(&mut self, sections: &[Section]) -> Result<(), Error> {
        let blocks = self.parts.iter_mut().map(|(_, block)| block).chain(self.spare.iter_mut());
        let mut reserved = 0;
        for (block, section) in blocks.zip(sections) {
            block.grow(section.size as usize)?;
            reserved += 1;
        }
        for section in sections.iter().skip(reserved) {
            self.spare.push(Block::new(self.allocator, section.size as usize)?);
        }
        Ok(())
    }

    /// Copies the sections of the image at `base` out of memory.
    ///
    /// # Safety
    /// An image with these sections is loaded at `base`, and nothing writes to them meanwhile.
    pub(crate) unsafe fn save(&mut self, base: usize, sections: &[Section]) {
        let old = std::mem::take(&mut self.parts).into_iter().map(|(_, block)| block);
        let mut blocks: Vec<Block> = old.chain(std::mem::take(&mut self.spare)).collect();
        self.spare = blocks.split_off(sections.len().min(blocks.len()));
        for (section, mut block) in sections.iter().zip(blocks) {
            let from = base.wrapping_add(section.address as usize) as *const u8;
            // SAFETY: the section is mapped (the caller's promise), and `reserve` made the block large enough.
            unsafe { block.fill(from, section.size as usize) };
            self.parts.push((section.clone(), block));
        }
    }

    /// May the saved state go into an image with these sections under this mode?
    pub(crate) fn check(&self, sections: &[Section], mode: cr_mode) -> Result<(), Error> {
        for (index, (old, block)) in self.parts.iter().enumerate() {
            let new = self.target(index, sections);
            let (address, size) = new.map_or((0, 0), |section| (section.address, section.size));
            let (mode_name, agrees) = match mode {
                cr_mode::CR_SAFEST => ("CR_SAFEST", address == old.address && size == old.size),
                cr_mode::CR_SAFE => ("CR_SAFE", size == old.size),
                cr_mode::CR_UNSAFE => ("CR_UNSAFE", old.size <= size),
                cr_mode::CR_DISABLE => ("CR_DISABLE", true),
            };
            // Zero-initialised memory that is still zero is no state.
            if agrees || (old.kind == SectionKind::Zero && block.is_zero(old.size as usize)) {
                continue;
            }
            let reason = format!(
                "section {} was {} bytes at {:#x}, is {size} bytes at {address:#x}",
                old.name, old.size, old.address
            );
            return Err(Error::State { mode: mode_name, reason });
        }
        Ok(())
    }

    /// Copies the saved sections into the image at `base`; what is larger there keeps its initial values.
    ///
    /// # Safety
    /// An image with these sections is loaded at `base`, they are writable, and nothing uses them meanwhile.
    pub(crate) unsafe fn restore(&self, base: usize, sections: &[Section]) {
        for (index, (old, block)) in self.parts.iter().enumerate() {
            let Some(new) = self.target(index, sections) else { continue };
            let to = base.wrapping_add(new.address as usize) as *mut u8;
            let size = old.size.min(new.size) as usize;
            if new.runtime {
                // SAFETY: as below.
                unsafe { block.pour_into_zeros(to, size) };
            } else {
                // SAFETY: the section is mapped and writable (the caller's promise), and no more than its size is
                // written.
                unsafe { block.pour(to, size) };
            }
        }
    }

    /// Where the saved part goes: the section of the same name, the n-th if the name occurs more than once.
    fn target<'a>(&self, index: usize, sections: &'a [Section]) -> Option<&'a Section> {
        let (old, _) = self.parts.get(index)?;
        let nth = self.parts.iter().take(index).filter(|(part, _)| part.name == old.name).count();
        sections.iter().filter(|section| section.name == old.name).nth(nth)
    }
}
