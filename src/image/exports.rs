//! The functions that an image exports, by their place: all that is known of one that is stripped.

use super::elf::File;
use super::{Format, Target, pe};
use goblin::elf::section_header::SHN_UNDEF;

/// The exported function that this address in the file is in.
pub(crate) fn exported_function(bytes: &[u8], target: Target, address: u64) -> Option<String> {
    match target.met() {
        Format::Elf => {
            let linked = File::read(bytes, target).ok()?.dynamic_table().ok()??;
            let inside = |start: u64, size: u64| address.checked_sub(start).is_some_and(|offset| offset < size);
            let function = linked.symbols.iter().find(|symbol| {
                symbol.is_function() && symbol.st_shndx != SHN_UNDEF as usize && inside(symbol.st_value, symbol.st_size)
            })?;
            String::from_utf8(linked.name(&function).to_vec()).ok()
        }
        Format::Pe => pe::function_at(bytes, target, address),
        // Its list of exports has no sizes.
        Format::MachO => None,
    }
}
