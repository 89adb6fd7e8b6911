//! Real images, built here by the C compiler, and what becomes of them when they are damaged.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

#[path = "../../c-tests/support/target.rs"]
pub(crate) mod target;

use super::differential_tests::compare;
use super::{Expected, Image, Kind, Source, Symbol, Target, parse, precheck, regions, symbols};
use crate::error::Error;
use goblin::elf::Elf;
use goblin::elf::header::machine_to_str;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "
    static int state __attribute__((section(\".state\"), used)) = 3;
    static long long zero[4];
    static __thread int of_thread = 5;
    int table[2] = {1, 2};
    int *thread(void) { return &of_thread; }
    __attribute__((constructor)) static void begin(void) { zero[0]++; }
    __attribute__((destructor)) static void end(void) { zero[1]++; }
    int cr_main(void *ctx, int op) { (void)ctx; return op + state + (int)zero[op & 3]; }
";

/// Compiles the source above and returns the shared library.
fn build(flags: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("guest.c");
    std::fs::write(&source, SOURCE).unwrap();
    let library = place.path().join("guest.so");
    let mut compiler = target::compiler(false);
    let status = compiler.args(["-shared", "-fPIC"]).args(flags).arg("-o").arg(&library).arg(&source).status();
    assert!(status.unwrap().success());
    std::fs::read(library).unwrap()
}

fn source(bytes: &[u8]) -> Source<'_> {
    Source::original(bytes, Path::new("guest.so"))
}

fn parse_native(bytes: &[u8]) -> Result<Image, Error> {
    parse(source(bytes), Target::native(), Expected { entry: "cr_main", listed: true })
}

/// `.state` and `.bss` as `readelf` prints them: name, address, size.
fn readelf_sections(bytes: &[u8]) -> Vec<(String, u64, u64)> {
    let place = tempfile::tempdir().unwrap();
    let library = place.path().join("guest.so");
    std::fs::write(&library, bytes).unwrap();
    let output = Command::new("readelf").args(["-SW"]).arg(library as std::path::PathBuf).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found = Vec::new();
    for line in text.lines() {
        // "  [23] .bss  NOBITS  0000000000004020 003010 000028 00  WA  0   0 32"
        let Some((_, rest)) = line.split_once("] ") else { continue };
        let words: Vec<&str> = rest.split_whitespace().collect();
        if words.first().is_some_and(|name| [".state", ".bss"].contains(name)) {
            let hex = |word: &str| u64::from_str_radix(word, 16).unwrap();
            found.push((words[0].to_owned(), hex(words[2]), hex(words[4])));
        }
    }
    found
}

/// Those that link for this machine: gold has been left behind before there was RISC-V.
const LINKERS: &[&str] =
    if cfg!(target_arch = "riscv64") { &["bfd", "lld", "mold"] } else { &["bfd", "gold", "lld", "mold"] };

#[test]
fn sections_are_those_that_readelf_shows() {
    for linker in LINKERS {
        for more in ["-Wl,-z,relro,-z,now", "-Wl,-z,norelro", "-s"] {
            let place = target::find_linker(linker).unwrap_or_else(|| "-fPIC".into());
            let bytes = build(&[&place, &format!("-fuse-ld={linker}"), more]);
            let image = parse_native(&bytes).unwrap();
            let ours: Vec<_> = image.state.iter().map(|s| (s.name.clone(), s.address, s.size)).collect();
            assert_eq!(ours, readelf_sections(&bytes), "{linker} {more}");
            assert_eq!(ours.len(), 2, "{linker} {more}");
            compare(Target::native(), &bytes, &format!("{linker} {more}"));
            let lifecycle = &image.lifecycle;
            assert!(lifecycle.init_array.unwrap().count >= 1 && lifecycle.fini_array.unwrap().count >= 1);
            assert!(image.patches.len() >= 2, "the array and its size");
        }
    }
}

fn all_symbols(bytes: &[u8]) -> Result<Vec<Symbol<'_>>, Error> {
    let mut all = Vec::new();
    symbols(source(bytes), Target::native(), &mut |_| true, &mut |symbol| all.push(symbol)).map(|_| all)
}

#[test]
fn symbols_have_their_places_sizes_and_files() {
    for linker in LINKERS {
        let place = target::find_linker(linker).unwrap_or_else(|| "-fPIC".into());
        let bytes = build(&[&place, &format!("-fuse-ld={linker}")]);
        let image = parse_native(&bytes).unwrap();
        let all = all_symbols(&bytes).unwrap();
        let find = |name: &str| all.iter().find(|symbol| symbol.name == name).unwrap();
        for (name, section, size, kind) in [("state", ".state", 4, Kind::Object), ("zero", ".bss", 32, Kind::Object)] {
            let symbol = find(name);
            let section = image.state.iter().find(|s| s.name == section).unwrap();
            assert!((section.address..section.address + section.size).contains(&symbol.place.address), "{linker}");
            assert_eq!((symbol.place.size, symbol.place.kind, symbol.place.local), (size, kind, true), "{linker}");
            assert_eq!(symbol.file.as_deref(), Some("guest.c"), "{linker}");
        }
        assert_eq!(find("of_thread").place.kind, Kind::ThreadLocal);
        let function = find("cr_main");
        assert_eq!((function.place.kind, function.place.local, &function.file), (Kind::Function, false, &None));
        let regions = regions(source(&bytes), Target::native()).unwrap();
        let of = |address: u64| regions.iter().find(|r| (r.address..r.address + r.size).contains(&address)).unwrap();
        assert!(of(function.place.address).code && !of(function.place.address).writable, "{linker}");
        assert!(of(find("zero").place.address).writable && of(find("zero").place.address).bytes.is_empty(), "{linker}");
        assert_eq!(of(find("state").place.address).bytes[..4], 3_i32.to_ne_bytes(), "{linker}");
        assert!(image.extent.contains(&function.place.address));
    }
}

#[test]
fn a_stripped_image_has_no_symbols() {
    let bytes = build(&["-s"]);
    assert!(!symbols(source(&bytes), Target::native(), &mut |_| true, &mut |_| ()).unwrap());
}

#[test]
fn a_shortened_image_is_truncated_at_any_length() {
    let bytes = build(&[]);
    for len in 0..bytes.len() {
        let error = parse_native(&bytes[..len]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{len}: {error}");
    }
}

#[test]
fn the_wrong_kind_is_named() {
    let good = build(&[]);
    let with = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        parse_native(&bytes).unwrap_err().to_string()
    };
    let Target { machine, wide, .. } = Target::native();
    let (bits, other_bits, other_class) = if wide { (64, 32, 1) } else { (32, 64, 2) };
    let need = format!("this program needs {} with {bits} bits", machine_to_str(machine));
    assert_eq!(with(18, 22), format!("the image is for S390, {need}"));
    assert_eq!(with(4, other_class), format!("the image is for a {other_bits}-bit machine, {need}"));
    assert_eq!(with(5, 2), format!("the image is for a machine of the other byte order, {need}"));
    assert_eq!(with(16, 1), "not a shared library: its ELF type is REL");
    assert_eq!(with(0, b'#'), "not a shared library: it does not start with an ELF header");
    let executable = std::fs::read(Path::new("/proc/self/exe")).unwrap();
    assert_eq!(parse_native(&executable).unwrap_err().to_string(), "not a shared library: it is an executable");
    assert_eq!(
        parse(source(&good), Target::native(), Expected { entry: "other_main", listed: false })
            .unwrap_err()
            .to_string(),
        "the image does not export other_main"
    );
    let variable = parse(source(&good), Target::native(), Expected { entry: "table", listed: false });
    assert_eq!(variable.unwrap_err().to_string(), "not a shared library: its table is not a function");
}

#[test]
fn damage_is_an_error_or_harmless_but_never_a_panic() {
    let good = build(&["-Wl,-z,now"]);
    // A small generator (xorshift) is enough, and gives the same bytes each time.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    // The headers, the dynamic section and the section table are where it hurts.
    let table = Elf::parse_header(&good).unwrap().e_shoff as usize;
    let mut refused = 0;
    for round in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + next(4) {
            let at = match round % 4 {
                0 => next(64),
                1 => next(1024),
                2 => table + next(good.len() - table),
                _ => next(good.len()),
            };
            bytes[at] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
        }
        refused += usize::from(parse_native(&bytes).is_err());
        let _ = all_symbols(&bytes);
        let _ = regions(source(&bytes), Target::native());
        let _ = precheck(&bytes[..bytes.len().min(64)], bytes.len() as u64, Target::native());
    }
    assert!(refused > 1000, "only {refused} were refused");
}
