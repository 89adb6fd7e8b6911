//! Symbols and regions of PE images.

use super::{WINDOWS, X86, build, optional, set};
use crate::image::{Kind, Source, Symbol, Target, exported_function, regions, symbols};
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "
    static int state __attribute__((section(\".state\"), used)) = 3;
    int shared = 7;
    int DllMain(void *image, unsigned reason, void *reserved) { return 1; }
    static int helper(int x) { static int count = 5; return ++count + x; }
    __declspec(dllexport) int cr_main(void *ctx, int op) { return helper(op) + state + shared++; }
";

/// Name, kind, size, local?
type Found = (String, Kind, u64, bool);

fn found(bytes: &[u8], target: Target) -> (bool, Vec<Found>) {
    let mut found = Vec::new();
    let source = Source::original(bytes, Path::new(""));
    let told = symbols(source, target, &mut |_| true, &mut |symbol| {
        found.push((symbol.name.into_owned(), symbol.place.kind, symbol.place.size, symbol.place.local));
    });
    (told.unwrap(), found)
}

/// What clang and lld make of the source above for MinGW.
fn build_mingw(flags: &[&str]) -> Vec<u8> {
    build_mingw_for("x86_64", flags)
}

fn build_mingw_for(processor: &str, flags: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    std::fs::write(path("guest.c"), SOURCE).unwrap();
    let mut command = Command::new("clang");
    command.args(["-O0", "-shared", "-nostdlib", "-fuse-ld=lld", "-Wl,--entry=DllMain"]);
    command
        .arg(format!("--target={processor}-w64-mingw32"))
        .args(flags)
        .arg(path("guest.c"))
        .arg("-o")
        .arg(path("guest.dll"));
    assert!(command.status().unwrap().success(), "{command:?}");
    std::fs::read(path("guest.dll")).unwrap()
}

#[test]
fn variables_and_functions_are_found_with_their_sizes() {
    check_symbols(&build_mingw(&[]), WINDOWS);
    // Names in C have an underscore in front there, which is not theirs.
    check_symbols(&build_mingw_for("i686", &[]), X86);
}

fn check_symbols(bytes: &[u8], target: Target) {
    let (told, found) = found(bytes, target);
    assert!(told);
    let of =
        |name: &str| found.iter().find(|symbol| symbol.0 == name).map(|(_, kind, size, local)| (*kind, *size, *local));
    assert_eq!(of("state"), Some((Kind::Object, 4, true)));
    assert_eq!(of("shared"), Some((Kind::Object, 4, false)));
    assert_eq!(of("helper.count"), Some((Kind::Object, 4, true)));
    assert_eq!(of("helper").map(|symbol| (symbol.0, symbol.2)), Some((Kind::Function, true)));
    assert_eq!(of("cr_main").map(|symbol| (symbol.0, symbol.2)), Some((Kind::Function, false)));
}

#[test]
fn exported_functions_are_found_by_an_address_inside_them() {
    check_exported("x86_64", WINDOWS);
    check_exported("i686", X86);
}

fn check_exported(processor: &str, target: Target) {
    let tables = "-fasynchronous-unwind-tables"; // always there on x86_64
    let whole = build_mingw_for(processor, &[tables]);
    let mut places = Vec::new();
    symbols(Source::original(&whole, Path::new("")), target, &mut |_| true, &mut |symbol| {
        places.push((symbol.name.into_owned(), symbol.place.address));
    })
    .unwrap();
    let place = |name: &str| places.iter().find(|(known, _)| known == name).unwrap().1;
    let stripped = build_mingw_for(processor, &[tables, "-s"]);
    let at = |address: u64| exported_function(&stripped, target, address);
    assert_eq!(at(place("cr_main")).as_deref(), Some("cr_main"));
    assert_eq!(at(place("cr_main") + 9).as_deref(), Some("cr_main"));
    assert_eq!(at(place("helper") + 1), None, "it is not exported");
    assert_eq!(at(u64::MAX), None);
}

#[test]
fn a_stripped_image_tells_so() {
    assert_eq!(found(&build_mingw(&["-s"]), WINDOWS), (false, Vec::new()));
    assert_eq!(found(&build("x86_64", &["/debug"]), WINDOWS), (false, Vec::new()), "Microsoft's linkers write none");
}

#[test]
fn regions_have_the_rights_and_the_content_of_their_sections() {
    let bytes = build_mingw(&[]);
    let regions = regions(Source::original(&bytes, Path::new("")), WINDOWS).unwrap();
    let of = |name: &str| regions.iter().find(|region| region.name == name).unwrap();
    assert!(of(".text").code && !of(".text").writable);
    assert!(of(".data").writable && !of(".data").code);
    assert_eq!(of(".state").bytes, 3_u32.to_le_bytes());
    assert_eq!(of(".state").size, 4);
}

/// A row of the table: name, value, number of the section, type, class, and how many rows follow that belong to it.
fn row(name: &[u8], value: u32, section: i16, kind: u16, class: u8, more: u8) -> Vec<u8> {
    let mut row = name.to_vec();
    row.resize(8, 0);
    row.extend(value.to_le_bytes());
    row.extend(section.to_le_bytes());
    row.extend(kind.to_le_bytes());
    row.extend([class, more]);
    row
}

/// An image without symbols, with this table of them and these names behind it.
fn with_table(rows: &[Vec<u8>], names: &[u8]) -> Vec<u8> {
    let mut bytes = build("x86_64", &[]);
    let coff = optional(&bytes) - 20;
    let at = bytes.len() as u32;
    set(&mut bytes, coff + 8, at);
    set(&mut bytes, coff + 12, rows.concat().len() as u32 / 18);
    bytes.extend(rows.concat());
    bytes.extend((names.len() as u32 + 4).to_le_bytes());
    bytes.extend(names);
    bytes
}

#[test]
fn static_variables_know_their_source_file() {
    let mut file = row(b".file", 0, -2, 0, 103, 1);
    file.extend(b"part_of_game.c\0\0\0\0");
    let mut section = row(b".text", 0, 1, 0, 3, 1);
    section.extend([0; 18]);
    let long = {
        let mut row = row(b"", 0x18, 1, 0, 2, 0);
        row[4] = 4; // behind the length of the names
        row
    };
    let absolute = row(b"absolute", 9, -1, 0, 2, 0);
    let rows = [file, section, row(b"kept", 0x10, 1, 0, 3, 0), long, absolute];
    let bytes = with_table(&rows, b"a_name_of_more_than_eight\0");
    let mut found = Vec::new();
    let mut keep = |symbol: Symbol<'_>| {
        found.push((symbol.name.into_owned(), symbol.file.map(std::borrow::Cow::into_owned), symbol.place.size));
    };
    let source = Source::original(&bytes, Path::new(""));
    assert!(symbols(source, WINDOWS, &mut |_| true, &mut keep).unwrap());
    assert_eq!(found[0], ("kept".to_owned(), Some("part_of_game.c".to_owned()), 8));
    assert_eq!((&*found[1].0, &found[1].1), ("a_name_of_more_than_eight", &None));
    assert_eq!(found.len(), 2);
}

#[test]
fn tables_that_make_no_sense_are_errors_or_empty() {
    let source = |bytes| Source::original(bytes, Path::new(""));
    let mut nothing = |_: Symbol<'_>| {};
    // A name outside the table; rows that claim more rows than there are.
    let mut far = row(b"", 0, 1, 0, 2, 0);
    far[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let bytes = with_table(&[far], b"\0");
    assert!(symbols(source(&bytes), WINDOWS, &mut |_| true, &mut nothing).is_err());
    let bytes = with_table(&[row(b"greedy", 0, 1, 0, 2, 255)], b"\0");
    assert!(symbols(source(&bytes), WINDOWS, &mut |_| true, &mut nothing).unwrap());
    let bytes = with_table(&[row(b"far", u32::MAX, 1, 0, 2, 0), row(b"no", 0, 999, 0, 2, 0)], b"\0");
    assert_eq!(found(&bytes, WINDOWS), (true, Vec::new()));
    let mut bytes = with_table(&[row(b"x", 0, 1, 0, 2, 0)], b"\0");
    let coff = optional(&bytes) - 20;
    set(&mut bytes, coff + 12, u32::MAX);
    assert!(symbols(source(&bytes), WINDOWS, &mut |_| true, &mut nothing).is_err());
}
