//! The state of the last version that was unloaded in good order, section by section.

use super::block::{Allocator, Block};
use super::pointers::Pointer;
use super::typed::Memory;
use crate::abi::cr_mode;
use crate::error::Error;
use crate::image::{Image, Section, SectionKind};
use std::rc::Rc;

/// A pointer's size on this machine, for which the guest is, too.
pub(super) const WORD: u64 = size_of::<usize>() as u64;

/// So much is copied and looked through at once: it stays in the processor's cache.
const CHUNK: usize = 32 * 1024;

/// The saved state, and where it came from.
pub(crate) struct Snapshot {
    allocator: Allocator,
    /// The sections as they were in that version, and their content. A block may be larger than its section.
    parts: Vec<(Section, Block)>,
    /// Blocks beyond `parts`, kept for the next save.
    spare: Vec<Block>,
    origin: Option<Origin>,
    /// What is known of types.
    pub(super) types: Memory,
}

/// The version that the state is of.
pub(super) struct Origin {
    pub(super) version: u32,
    pub(super) image: Rc<Image>,
    /// Where it was loaded.
    pub(super) base: usize,
    /// The pointers into the image that were in its state, in the order of their places.
    pub(super) pointers: Vec<Pointer>,
    /// The objects that had registered a destructor, which has run by now; in order. None: that is not known.
    pub(super) destructed: Option<Vec<u64>>,
}

/// The version in memory whose state is saved.
pub(crate) struct Live {
    pub(crate) version: u32,
    pub(crate) image: Rc<Image>,
    pub(crate) base: usize,
    /// Objects of the image that have destructors, if that is known.
    pub(crate) destructible: Option<Vec<u64>>,
    /// Only what is tagged is state.
    pub(crate) tagged_only: bool,
}

impl Live {
    fn sections(&self) -> impl Iterator<Item = &Section> {
        carried(&self.image.state, self.tagged_only)
    }
}

fn carried(sections: &[Section], tagged_only: bool) -> impl Iterator<Item = &Section> {
    sections.iter().filter(move |section| !tagged_only || section.kind == SectionKind::Tagged)
}

impl Snapshot {
    pub(crate) fn new(allocator: Allocator) -> Self {
        Snapshot { allocator, parts: Vec::new(), spare: Vec::new(), origin: None, types: Memory::default() }
    }

    /// Is there no state: nothing has been unloaded yet, or it had none?
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The version that it is of.
    pub(crate) fn version(&self) -> Option<u32> {
        self.origin.as_ref().map(|origin| origin.version)
    }

    pub(super) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Makes room for these sections without touching what is saved, so that [`Snapshot::save`] cannot fail.
    pub(crate) fn reserve(&mut self, sections: &[Section], tagged_only: bool) -> Result<(), Error> {
        let blocks = self.parts.iter_mut().map(|(_, block)| block).chain(self.spare.iter_mut());
        let mut reserved = 0;
        for (block, section) in blocks.zip(carried(sections, tagged_only)) {
            block.grow(section.size as usize)?;
            reserved += 1;
        }
        for section in carried(sections, tagged_only).skip(reserved) {
            self.spare.push(Block::new(self.allocator, section.size as usize)?);
        }
        Ok(())
    }

    /// Copies the state of a version out of memory.
    ///
    /// # Safety
    /// The image is loaded at `live.base`, and nothing writes to its state meanwhile.
    pub(crate) unsafe fn save(&mut self, live: Live) {
        let old = std::mem::take(&mut self.parts).into_iter().map(|(_, block)| block);
        let mut blocks: Vec<Block> = old.chain(std::mem::take(&mut self.spare)).collect();
        self.spare = blocks.split_off(live.sections().count().min(blocks.len()));
        let mut pointers = Vec::new();
        for (section, mut block) in live.sections().zip(blocks) {
            let from = live.base.wrapping_add(section.address as usize) as *const u8;
            for start in (0..section.size as usize).step_by(CHUNK) {
                let size = CHUNK.min(section.size as usize - start);
                // SAFETY: the section is mapped (the caller's promise), and `reserve` made the block large enough.
                let chunk = unsafe { block.fill(from.wrapping_add(start), start, size) };
                note_pointers(chunk, section.address + start as u64, &live, &mut pointers);
            }
            self.parts.push((section.clone(), block));
        }
        pointers.sort_unstable_by_key(|pointer| pointer.at);
        let Live { version, image, base, mut destructible, .. } = live;
        if let Some(objects) = &mut destructible {
            objects.sort_unstable();
        }
        self.origin = Some(Origin { version, image, base, pointers, destructed: destructible });
    }

    /// The saved bytes of this part of the image, if all of it is state.
    pub(super) fn bytes(&self, address: u64, size: u64) -> Option<&[u8]> {
        let within = |section: &Section| section.address <= address && address - section.address <= section.size;
        let (section, block) = self.parts.iter().find(|(section, _)| within(section))?;
        let start = address - section.address;
        let end = start.checked_add(size).filter(|end| *end <= section.size)?;
        block.bytes(section.size as usize).get(start as usize..end as usize)
    }

    /// The saved word at this address.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, WORD)?.first_chunk()?;
        Some(usize::from_ne_bytes(*bytes) as u64)
    }

    /// May the saved sections go into those of an image under this mode?
    pub(super) fn check(&self, sections: &[Section], mode: cr_mode) -> Result<(), Error> {
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
            let empty = || block.bytes(old.size as usize).iter().all(|byte| *byte == 0);
            if agrees || (old.kind == SectionKind::Zero && empty()) {
                continue;
            }
            let name = format!("section {}", old.name);
            let reason = format!("was {} bytes at {:#x}, is {size} bytes at {address:#x}", old.size, old.address);
            return Err(Error::State { mode: mode_name, name, reason });
        }
        Ok(())
    }

    /// The saved sections, and those of an image that they go into.
    pub(super) fn pairs<'s>(&'s self, sections: &'s [Section]) -> impl Iterator<Item = (&'s Section, &'s Section)> {
        let pair = |(index, (old, _)): (usize, &'s (Section, Block))| Some((old, self.target(index, sections)?));
        self.parts.iter().enumerate().filter_map(pair)
    }

    /// Copies the saved sections into the image at `base`; what is larger there keeps its initial values.
    ///
    /// # Safety
    /// An image with these sections is loaded at `base`, they are writable, and nothing uses them meanwhile.
    pub(super) unsafe fn restore(&self, base: usize, sections: &[Section]) {
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

/// Notes the words that are addresses in the image they are in.
fn note_pointers(chunk: &[u8], address: u64, live: &Live, pointers: &mut Vec<Pointer>) {
    let extent = &live.image.extent;
    let start = live.base.wrapping_add(extent.start as usize);
    let size = (extent.end - extent.start) as usize;
    // Pointers are aligned in memory. The chunks are a multiple of that apart.
    let skip = live.base.wrapping_add(address as usize).wrapping_neg() % WORD as usize;
    let words = chunk.get(skip..).unwrap_or_default().as_chunks::<{ WORD as usize }>().0;
    for (words, index) in words.chunks(64).zip((0..).step_by(64)) {
        // Most have none: this loop is one that the compiler makes wide.
        let hits = |word: &[u8; WORD as usize]| usize::from_ne_bytes(*word).wrapping_sub(start) < size;
        if !words.iter().fold(false, |any, word| any | hits(word)) {
            continue;
        }
        for (word, index) in words.iter().zip(index..) {
            if hits(word) {
                let to = usize::from_ne_bytes(*word).wrapping_sub(live.base) as u64;
                pointers.push(Pointer { at: address + skip as u64 + index * WORD, to });
            }
        }
    }
}
