//! Whatever reads a binary, given any bytes: it must come back. The fuzzers in `fuzz/` call these, and a test does with
//! thousands of damaged images.

use crate::abi::cr_mode;
use crate::image::debug::{Hints, Wanted, variable_types};
use crate::image::{self, Expected, Format, Source, Target};
use crate::state::{Allocator, Destination, Files, Live, Place, Plan, Snapshot};
use std::path::Path;
use std::rc::Rc;

const EXPECTED: Expected<'static> = Expected { entry: "cr_main", listed: true };

/// Images of every format: headers, sections, symbols.
pub fn image(bytes: &[u8]) {
    let head = bytes.get(..image::HEAD).unwrap_or(bytes);
    for format in [Format::Elf, Format::Pe, Format::MachO] {
        let target = Target { format, ..Target::native() };
        let _ = image::precheck(head, bytes.len() as u64, target);
        let _ = image::parse(source(bytes), target, EXPECTED);
        let _ = image::symbols(source(bytes), target, &mut |_| true, &mut |_| {});
        let _ = image::regions(source(bytes), target);
    }
}

/// Debug information: the types of all variables.
pub fn types(bytes: &[u8]) {
    let mut all = Vec::new();
    let _ = image::symbols(source(bytes), Target::native(), &mut |_| true, &mut |symbol| all.push(symbol));
    let wanted: Vec<Wanted<'_>> = all.iter().map(Wanted::new).collect();
    let _ = variable_types(source(bytes), &wanted, &Hints::default());
}

/// A PDB: variables, their types and scopes.
pub fn pdb(bytes: &[u8]) {
    image::pdb::fuzz::all(bytes);
}

/// Two images, one behind the other after the length of the first: the state of one goes into the other.
pub fn plan(bytes: &[u8]) {
    let Some((length, images)) = bytes.split_first_chunk() else { return };
    let (old, new) = images.split_at((u32::from_le_bytes(*length) as usize).min(images.len()));
    let target = Target::native();
    let parse = |bytes| image::parse(source(bytes), target, EXPECTED);
    let (Ok(before), Ok(after)) = (parse(old), parse(new)) else { return };
    let (before, after) = (Rc::new(before), Rc::new(after));
    let (Some(from), Some(mut to)) = (memory(&before), memory(&after)) else { return };
    let mut snapshot = Snapshot::new(Allocator::default());
    if snapshot.reserve(&before.state, false).is_err() {
        return;
    }
    let base = from.as_ptr() as usize;
    let live = Live { version: 1, image: before, base, destructible: None, tagged_only: false };
    // SAFETY: the memory is as large as the image says.
    unsafe { snapshot.save(live) };
    let destination = Destination {
        version: 2,
        image: &after,
        files: &Images { old, new },
        mode: cr_mode::CR_UNSAFE,
        tagged_only: false,
    };
    if let Ok(mut plan) = Plan::new(&snapshot, destination) {
        let place = Place { base: to.as_mut_ptr() as usize, destructible: None };
        // SAFETY: as above, and nobody else uses it.
        unsafe { plan.carry_out(&place) };
        assert!(plan.take_report().lines().all(|line| !line.is_empty()), "every entry says something");
    }
}

struct Images<'a> {
    old: &'a [u8],
    new: &'a [u8],
}

impl Files for Images<'_> {
    fn old_file(&self) -> Option<Source<'_>> {
        Some(source(self.old))
    }

    fn new_file(&self) -> Option<Source<'_>> {
        Some(source(self.new))
    }
}

fn source(bytes: &[u8]) -> Source<'_> {
    Source::original(bytes, Path::new(""))
}

/// What an image has in memory, full of pointers into itself. None: it would be too much.
fn memory(image: &image::Image) -> Option<Vec<u8>> {
    let size = usize::try_from(image.extent.end).ok().filter(|size| *size < 1 << 24)?;
    let mut memory = vec![0; size];
    let base = memory.as_ptr() as usize;
    for (index, word) in memory.chunks_exact_mut(size_of::<usize>()).enumerate() {
        let pointer = base + index.wrapping_mul(0x9e37_79b1) % size;
        word.copy_from_slice(&pointer.to_ne_bytes());
    }
    Some(memory)
}
