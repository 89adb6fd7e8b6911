//! The record of the PDB in images of lld-link.

use super::{build, optional, parse_windows, set};

#[test]
fn the_record_is_found_and_changed_and_nothing_else() {
    let bytes = build("x86_64", &["/debug"]);
    let image = parse_windows(&bytes).unwrap();
    let pdb = image.pdb.unwrap();
    assert_eq!(pdb.file_name(), "guest.pdb");
    assert!(pdb.path.len() > "guest.pdb".len(), "the linker writes the whole path");
    let patch = pdb.renamed("guest17.pdb").unwrap();
    let range = patch.offset as usize..patch.offset as usize + patch.bytes.len();
    let mut changed = bytes.clone();
    changed[range.clone()].copy_from_slice(&patch.bytes);
    assert_eq!(parse_windows(&changed).unwrap().pdb.unwrap().path, "guest17.pdb");
    assert_eq!((&changed[..range.start], &changed[range.end..]), (&bytes[..range.start], &bytes[range.end..]));
    assert_eq!(&bytes[range.start..range.start + pdb.path.len()], pdb.path.as_bytes());
}

#[test]
fn a_short_path_of_the_linker_leaves_room_for_a_short_name() {
    let image = parse_windows(&build("x86_64", &["/debug", "/pdbaltpath:g.pdb"])).unwrap();
    let pdb = image.pdb.unwrap();
    assert_eq!(pdb.path, "g.pdb");
    assert_eq!(pdb.fitting("guest1.pdb", 1), None);
    let image = parse_windows(&build("x86_64", &["/debug", "/pdbaltpath:game.pdb"])).unwrap();
    assert_eq!(image.pdb.unwrap().fitting("guest1.pdb", 1).unwrap(), "gam1.pdb");
}

#[test]
fn without_a_record_and_in_a_signed_image_there_is_none() {
    assert_eq!(parse_windows(&build("x86_64", &[])).unwrap().pdb, None);
    let mut bytes = build("x86_64", &["/debug"]);
    let (at, len) = (optional(&bytes) + 112 + 8 * 4, bytes.len() as u32);
    set(&mut bytes, at, len);
    set(&mut bytes, at + 4, 16);
    bytes.extend([0; 16]);
    assert_eq!(parse_windows(&bytes).unwrap().pdb, None);
}

#[test]
fn an_address_that_is_not_that_of_the_image_is_refused() {
    // The loader would write the module's number to where the table of thread-local storage says.
    let good = build("x86_64", &[]);
    for (at, value) in [(24, 0x8000_0001), (25, 0x80_0001)] {
        let mut bytes = good.clone();
        let base = optional(&good) + at;
        set(&mut bytes, base, value);
        let text = parse_windows(&bytes).unwrap_err().to_string();
        assert_eq!(text, "not a shared library: its optional header makes no sense");
    }
}
