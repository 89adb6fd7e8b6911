//! What an image exports: a tree of names, or in images of old the symbol table.

use super::commands::{Command, Segment, text};
use super::{Numbers, nonsense, part};
use crate::error::Error;
use crate::image::Target;
use goblin::mach::exports::{
    EXPORT_SYMBOL_FLAGS_KIND_MASK, EXPORT_SYMBOL_FLAGS_KIND_REGULAR, EXPORT_SYMBOL_FLAGS_REEXPORT,
};
use goblin::mach::load_command as lc;
use goblin::mach::symbols::{N_EXT, N_SECT, N_STAB, N_TYPE};

/// The address of a function that the image itself exports.
pub(super) fn find(
    bytes: &[u8],
    commands: &[Command<'_>],
    segments: &[Segment],
    target: Target,
    name: &str,
) -> Result<Option<u64>, Error> {
    let of_kind = |kinds: &[u32]| commands.iter().find(|command| kinds.contains(&command.kind));
    let numbers = Numbers { little: target.little };
    let bad = || nonsense("list of exports");
    let tree = match of_kind(&[lc::LC_DYLD_EXPORTS_TRIE]) {
        Some(command) => Some((command, 8)),
        None => of_kind(&[lc::LC_DYLD_INFO, lc::LC_DYLD_INFO_ONLY]).map(|command| (command, 40)),
    };
    if let Some((command, at)) = tree {
        let start = u64::from(numbers.word(command.bytes, at).ok_or_else(bad)?);
        let size = u64::from(numbers.word(command.bytes, at + 4).ok_or_else(bad)?);
        let tree = part(bytes, &(start..start + size)).ok_or_else(bad)?;
        // Without exports there is no tree.
        let found = if tree.is_empty() { None } else { in_tree(tree, name.as_bytes()).ok_or_else(bad)? };
        // The addresses are counted from the header, which is where the file begins.
        let header = segments.iter().find(|segment| segment.offset == 0 && segment.file_size > 0);
        return Ok(found.zip(header).and_then(|(found, header)| header.address.checked_add(found)));
    }
    let Some(command) = of_kind(&[lc::LC_SYMTAB]) else { return Ok(None) };
    in_table(bytes, command, target, name.as_bytes()).ok_or_else(bad)
}

/// Follows a name through the tree. `None`: the tree makes no sense; `Some(None)`: the name is not there.
fn in_tree(tree: &[u8], name: &[u8]) -> Option<Option<u64>> {
    let mut rest = name;
    let mut node = tree;
    loop {
        // What is said of the name up to here, with its length in front; then the ways on.
        let length = number(&mut node)?;
        let (mut said, mut ways) = node.split_at_checked(usize::try_from(length).ok()?)?;
        if rest.is_empty() {
            if said.is_empty() {
                return Some(None);
            }
            let flags = number(&mut said)?;
            let own = flags & EXPORT_SYMBOL_FLAGS_REEXPORT == 0
                && flags & EXPORT_SYMBOL_FLAGS_KIND_MASK == EXPORT_SYMBOL_FLAGS_KIND_REGULAR;
            return Some(if own { Some(number(&mut said)?) } else { None });
        }
        let (count, behind) = ways.split_first()?;
        ways = behind;
        let mut next = None;
        for _ in 0..*count {
            let end = ways.iter().position(|byte| *byte == 0)?;
            let (way, behind) = ways.split_at_checked(end)?;
            ways = behind.get(1..)?;
            let place = number(&mut ways)?;
            // A way without a letter might lead in a circle.
            if !way.is_empty() && rest.starts_with(way) {
                next = Some((way.len(), place));
                break;
            }
        }
        let Some((length, place)) = next else { return Some(None) };
        rest = rest.get(length..)?;
        node = tree.get(usize::try_from(place).ok()?..)?;
    }
}

/// A number in groups of seven bits, the lowest first (ULEB128).
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Looks a name up in the symbol table.
fn in_table(bytes: &[u8], command: &Command<'_>, target: Target, name: &[u8]) -> Option<Option<u64>> {
    let [symbols, names] = &command.link_data(target)?[..] else { return None };
    let (symbols, names) = (part(bytes, symbols)?, part(bytes, names)?);
    let numbers = Numbers { little: target.little };
    for row in symbols.chunks_exact(if target.wide { 16 } else { 12 }) {
        // n_strx 0, n_type 4, n_sect 5, n_desc 6, n_value 8
        let kind = *row.get(4)?;
        let external = kind & N_STAB == 0 && kind & N_EXT != 0 && kind & N_TYPE == N_SECT;
        if external && text(names, numbers.word(row, 0)?)? == name {
            return Some(if target.wide { numbers.long(row, 8) } else { numbers.word(row, 8).map(u64::from) });
        }
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::{in_tree, number};

    #[test]
    fn numbers_end_in_their_bytes() {
        assert_eq!(number(&mut &[0x7f][..]), Some(0x7f));
        assert_eq!(number(&mut &[0xe5, 0x8e, 0x26][..]), Some(624_485));
        assert_eq!(number(&mut &[0x80, 0x80][..]), None, "cut off");
        assert_eq!(number(&mut &[0x80; 11][..]), None, "too long");
    }

    #[test]
    fn names_are_followed_and_circles_left() {
        // "_a" at 0x10 and "_ab" passed on from elsewhere, the second below the first
        let tree = [0, 1, b'_', b'a', 0, 6, /* 6: */ 2, 0, 0x10, 1, b'b', 0, 13, /* 13: */ 3, 8, 1, 0, 0];
        assert_eq!(in_tree(&tree, b"_a"), Some(Some(0x10)));
        assert_eq!(in_tree(&tree, b"_ab"), Some(None), "not its own");
        assert_eq!(in_tree(&tree, b"_b"), Some(None));
        assert_eq!(in_tree(&tree, b"_"), Some(None), "not the whole of an edge");
        // A node whose way on has no letter and leads to itself.
        assert_eq!(in_tree(&[0, 1, 0, 0], b"_a"), Some(None));
        assert_eq!(in_tree(&[0, 1, b'_', 0, 99], b"_a"), None, "beyond the end");
        assert_eq!(in_tree(&[200, 1], b"_a"), None, "longer than the tree");
    }
}
