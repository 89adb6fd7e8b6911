//! Real Mach-O images, built here by clang and lld and by zig, and what becomes of them when they are damaged.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may

mod universal;

use super::differential_tests::compare;
use super::{Expected, Format, HEAD, Image, Kind, Source, Symbol, Target, parse, precheck, regions, symbols};
use crate::error::Error;
use goblin::mach::constants::cputype::{CPU_TYPE_ARM64, CPU_TYPE_POWERPC, CPU_TYPE_X86, CPU_TYPE_X86_64};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"
    static int state __attribute__((section("__DATA,__state"), used)) = 3;
    static int old[3] __attribute__((section("__DATA,cr_state"), used)) = {1, 2, 3};
    static int constant __attribute__((section("__DATA_CONST,__state"), used)) = 4;
    static _Thread_local int own;
    static volatile long long zero[400];
    int common[5];
    __attribute__((constructor)) static void begin(void) { zero[0]++; }
    int cr_main(void *ctx, int op) {
        (void)ctx;
        return op + state + constant + old[op & 1] + common[op & 3] + (int)(zero[op & 3] += own);
    }
    int data_main = 1;
    __attribute__((visibility("hidden"))) int hidden_main(void) { return 1; }
"#;

const fn macos(mach_cpu: u32) -> Target {
    Target { format: Format::MachO, machine: 0, pe_machine: 0, mach_cpu, wide: true, little: true }
}

const ARM64: Target = macos(CPU_TYPE_ARM64);
pub(crate) const X86_64: Target = macos(CPU_TYPE_X86_64);

/// A program whose name may end in its version.
pub(super) fn versioned(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap();
    let mut found: Vec<PathBuf> = std::env::split_paths(&folders)
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| {
            let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            file.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
        .collect();
    found.sort();
    found.into_iter().next().unwrap_or_else(|| panic!("{name} is not installed"))
}

/// Notes that something was left out, as the suite in C does; the test counts as passed.
pub(super) fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
    if let Some(list) = std::env::var_os("CR_TEST_SKIPPED") {
        let mut list = File::options().append(true).create(true).open(list).unwrap();
        // One write: others do the same meanwhile.
        list.write_all(format!("image: {reason}\n").as_bytes()).unwrap();
    }
}

pub(super) fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Compiles the source above for `arm64` or `x86_64` with clang, and links it with lld.
fn build(architecture: &str, flags: &[&str]) -> Vec<u8> {
    link(architecture, SOURCE, &[], &[&["-dylib"], flags].concat())
}

/// As above of another source, with flags for the compiler and for the linker.
pub(crate) fn link(architecture: &str, source: &str, compile: &[&str], flags: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    std::fs::write(path("guest.c"), source).unwrap();
    let target = format!("--target={architecture}-apple-macos13");
    let object = path("guest.o");
    let mut clang = Command::new("clang");
    clang.args([&target, "-O1", "-g"]).args(compile);
    run(clang.arg("-c").arg(path("guest.c")).arg("-o").arg(&object));
    let mut link = Command::new(versioned("ld64.lld"));
    link.args(["-arch", architecture, "-platform_version", "macos", "13.0", "13.0"]);
    run(link.args(["-undefined", "dynamic_lookup"]).args(flags).arg(&object).arg("-o").arg(path("guest.dylib")));
    std::fs::read(path("guest.dylib")).unwrap()
}

/// Says so if it is not.
pub(super) fn zig_is_there() -> bool {
    let found = Command::new("python3").args(["-m", "ziglang", "version"]).output();
    let there = found.is_ok_and(|output| output.status.success());
    if !there {
        skipped("zig is not installed: python3 -m pip install ziglang");
    }
    there
}

/// As above by zig, which has a linker of its own; `None` if it is not there.
fn build_with_zig(architecture: &str) -> Option<Vec<u8>> {
    if !zig_is_there() {
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("guest.c"), SOURCE).unwrap();
    let mut zig = Command::new("python3");
    zig.args(["-m", "ziglang", "cc", "-target", &format!("{architecture}-macos"), "-shared", "-O1", "-g"]);
    run(zig.args(["-fno-sanitize=undefined", "guest.c", "-o", "guest.dylib"]).current_dir(place.path()));
    Some(std::fs::read(place.path().join("guest.dylib")).unwrap())
}

#[test]
fn of_a_program_code_and_symbols_are_read_but_it_is_not_loaded() {
    // Its segments begin behind 4 GB that nothing may be in.
    let bytes =
        link("arm64", "int main(void) { return 0; } static int own = 1; int *shown = &own;", &[], &["-execute"]);
    assert_eq!(text(ARM64, &bytes), "not a shared library: it is an executable");
    let (all, known) = symbols_of(ARM64, &bytes);
    let main = all.iter().find(|symbol| symbol.name == "main").unwrap().place;
    assert!(known && main.kind == Kind::Function && main.address > 0x1_0000_0000);
    let regions = regions(Source::original(&bytes, Path::new("host")), ARM64).unwrap();
    assert!(regions.iter().any(|r| r.code && (r.address..r.address + r.size).contains(&main.address)));
}

fn parse_for(target: Target, bytes: &[u8]) -> Result<Image, Error> {
    parse_as(bytes, target, "cr_main")
}

fn parse_as(bytes: &[u8], target: Target, entry: &str) -> Result<Image, Error> {
    parse(Source::original(bytes, Path::new("guest.dylib")), target, Expected { entry, listed: true })
}

fn text(target: Target, bytes: &[u8]) -> String {
    parse_for(target, bytes).unwrap_err().to_string()
}

/// The sections that are carried, as llvm-readobj prints them: segment and section, address, size.
fn readobj_sections(bytes: &[u8]) -> Vec<(String, u64, u64)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("llvm-readobj").arg("--sections").arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found = Vec::new();
    let (mut name, mut segment, mut address) = (String::new(), String::new(), 0);
    for line in text.lines() {
        // "    Name: __bss (5F 5F ...)", and so on
        let Some((key, value)) = line.trim().split_once(": ") else { continue };
        let word = value.split(' ').next().unwrap_or_default();
        let hex = || u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
        match key {
            "Name" => word.clone_into(&mut name),
            "Segment" => word.clone_into(&mut segment),
            "Address" => address = hex(),
            "Size" if segment == "__DATA" && ["__state", "cr_state", "__bss", "__common"].contains(&&*name) => {
                found.push((format!("{segment},{name}"), address, hex()));
            }
            _ => {}
        }
    }
    found
}

fn sections(image: &Image) -> Vec<(String, u64, u64)> {
    image.state.iter().map(|section| (section.name.clone(), section.address, section.size)).collect()
}

#[test]
fn sections_are_those_that_readobj_shows() {
    let check = |target: Target, bytes: &[u8], what: &str| {
        let image = parse_for(target, bytes).unwrap();
        assert_eq!(sections(&image), readobj_sections(bytes), "{what}");
        let names: Vec<_> = image.state.iter().map(|section| &*section.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ["__DATA,__bss", "__DATA,__common", "__DATA,__state", "__DATA,cr_state"], "{what}");
        assert!(image.patches.is_empty(), "the copy must stay as it was signed");
        precheck(&bytes[..HEAD], bytes.len() as u64, target).unwrap();
    };
    for (architecture, zig, target) in [("arm64", "aarch64", ARM64), ("x86_64", "x86_64", X86_64)] {
        let mut ways: Vec<&[&str]> = vec![&[], &["-dead_strip"], &["-no_data_const"], &["-bundle"]];
        if architecture == "x86_64" {
            ways.push(&["-adhoc_codesign"]);
        }
        for way in ways {
            let (bytes, what) = (build(architecture, way), format!("{architecture} {way:?}"));
            check(target, &bytes, &what);
            compare(target, &bytes, &what);
        }
        if let Some(bytes) = build_with_zig(zig) {
            check(target, &bytes, &format!("{architecture} by zig"));
            compare(target, &bytes, &format!("{architecture} by zig"));
        }
    }
}

fn symbols_of(target: Target, bytes: &[u8]) -> (Vec<Symbol<'_>>, bool) {
    let mut all = Vec::new();
    let source = Source::original(bytes, Path::new("guest.dylib"));
    let known = symbols(source, target, &mut |_| true, &mut |symbol| all.push(symbol)).unwrap();
    (all, known)
}

/// The symbols in sections, as llvm-nm prints them: name and address.
fn nm_symbols(bytes: &[u8]) -> Vec<(String, u64)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("llvm-nm").args(["--defined-only", "--format=posix"]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // "_cr_main T 508 0"
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let name = words[0].strip_prefix('_')?.to_owned();
        // a: absolute, such as the linker's own.
        (words[1] != "a").then(|| (name, u64::from_str_radix(words[2], 16).unwrap()))
    };
    String::from_utf8(output.stdout).unwrap().lines().filter_map(line).collect()
}

#[test]
fn symbols_are_those_that_nm_shows_with_sizes_and_files() {
    for (architecture, zig, target) in [("arm64", "aarch64", ARM64), ("x86_64", "x86_64", X86_64)] {
        for bytes in [Some(build(architecture, &[])), build_with_zig(zig)].into_iter().flatten() {
            let (all, known) = symbols_of(target, &bytes);
            assert!(known);
            let mut ours: Vec<_> = all.iter().map(|s| (s.name.clone().into_owned(), s.place.address)).collect();
            let mut theirs = nm_symbols(&bytes);
            // What has no byte of its own is no variable and no function.
            theirs.retain(|(name, _)| !name.starts_with("_mh_") && name != "_dso_handle");
            ours.retain(|(name, _)| !name.starts_with("_mh_") && name != "_dso_handle");
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs);

            let one = |name: &str| all.iter().find(|symbol| symbol.name == name).unwrap();
            let state = one("state");
            assert!(state.place.local && state.place.kind == Kind::Object && state.place.size == 4);
            assert!(state.file.as_ref().is_some_and(|file| file.ends_with("guest.c")), "{state:?}");
            assert_eq!((one("old").place.size, one("common").place.size, one("zero").place.size), (12, 20, 3200));
            assert!(!one("common").place.local && one("common").file.is_none());
            assert_eq!(one("cr_main").place.kind, Kind::Function);
            let image = parse_for(target, &bytes).unwrap();
            let carried = |symbol: &Symbol<'_>| {
                let at = symbol.place.address;
                image.state.iter().any(|section| (section.address..section.address + section.size).contains(&at))
            };
            for (name, is) in [("state", true), ("old", true), ("zero", true), ("constant", false), ("cr_main", false)]
            {
                assert_eq!(carried(one(name)), is, "{name}");
                assert!(image.extent.contains(&one(name).place.address));
            }

            let regions = regions(Source::original(&bytes, Path::new("guest.dylib")), target).unwrap();
            let of = |name: &str| {
                let at = one(name).place.address;
                regions.iter().find(|r| (r.address..r.address + r.size).contains(&at)).unwrap()
            };
            assert!(of("state").writable && !of("state").code && of("state").bytes[..4] == [3, 0, 0, 0]);
            assert!(!of("constant").writable);
            assert!(of("zero").writable && of("zero").bytes.is_empty());
            assert!(of("cr_main").code && !of("cr_main").writable);
        }
    }
}

#[test]
fn a_stripped_image_has_no_symbols() {
    let stripped = build("arm64", &[]);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("guest.dylib");
    std::fs::write(&file, &stripped).unwrap();
    run(Command::new("llvm-strip").args(["-x", "--strip-debug"]).arg(&file));
    let bytes = std::fs::read(&file).unwrap();
    let (all, known) = symbols_of(ARM64, &bytes);
    assert!(!known, "{all:?}");
    assert_eq!(sections(&parse_for(ARM64, &bytes).unwrap()), sections(&parse_for(ARM64, &stripped).unwrap()));
}

#[test]
fn a_shortened_image_is_truncated_at_any_length() {
    for (architecture, target) in [("arm64", ARM64), ("x86_64", X86_64)] {
        let bytes = build(architecture, &[]);
        for len in 0..bytes.len() {
            let error = parse_for(target, &bytes[..len]).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. }), "{len}: {error}");
        }
    }
}

#[test]
fn the_wrong_kind_is_named() {
    let good = build("arm64", &[]);
    assert_eq!(text(X86_64, &good), "the image is for arm64, this program needs x86_64 with 64 bits");
    let with = |at: usize, value: u32| {
        let mut bytes = good.clone();
        set(&mut bytes, at, value);
        text(ARM64, &bytes)
    };
    assert_eq!(with(8, 2), "the image is for arm64e, this program needs arm64 with 64 bits");
    assert_eq!(with(4, 0x1234), "the image is for CPU type 0x1234, this program needs arm64 with 64 bits");
    assert_eq!(with(12, 1), "not a shared library: its Mach-O type is OBJECT");
    assert_eq!(with(12, 2), "not a shared library: it is an executable");
    assert_eq!(with(0, 0xfeed_face), "the image is for a 32-bit machine, this program needs arm64 with 64 bits");
    let other_order = with(0, 0xfeed_facf_u32.swap_bytes());
    assert_eq!(
        other_order,
        "the image is for a machine of the other byte order, this program needs arm64 with 64 bits"
    );
    assert_eq!(with(0, 0x1234), "not a shared library: it does not start with a Mach-O header");
    assert_eq!(text(ARM64, b"#!"), "not a shared library: it does not start with a Mach-O header");
    for (entry, there) in [("cr_main", true), ("data_main", false), ("hidden_main", false), ("cr_mai", false)] {
        assert_eq!(parse_as(&good, ARM64, entry).is_ok(), there, "{entry}");
    }
    assert_eq!(parse_as(&good, ARM64, "data_main").unwrap_err().to_string(), "the image does not export data_main");
}

fn set(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Where each load command begins.
fn commands(bytes: &[u8]) -> Vec<usize> {
    let mut at = 32;
    let starts = (0..get(bytes, 16)).map(|_| {
        let start = at;
        at += get(bytes, at + 4) as usize;
        start
    });
    starts.collect()
}

#[test]
fn load_commands_that_make_no_sense_are_errors() {
    for (architecture, target) in [("arm64", ARM64), ("x86_64", X86_64)] {
        let good = build(architecture, &[]);
        let starts = commands(&good);
        let end = 32 + get(&good, 20) as usize;
        assert!(starts.len() > 10);
        for (number, start) in starts.iter().enumerate() {
            // The list ends in this command, by what it says of itself.
            let mut bytes = good.clone();
            set(&mut bytes, 20, (start + 4 - 32) as u32);
            assert!(parse_for(target, &bytes).is_err(), "{number} cut off");
            // A command that is too long, too short, of a crooked size, or all the rest and more.
            for size in [0, 4, 7, get(&good, start + 4) + 1, (end - start + 8) as u32, !3_u32] {
                let mut bytes = good.clone();
                set(&mut bytes, start + 4, size);
                let error = parse_for(target, &bytes).unwrap_err();
                assert!(matches!(error, Error::Format(_)), "{number} of size {size}: {error}");
            }
            // A command that is nothing but its head: what it should say is that of the next one.
            let mut bytes = good.clone();
            set(&mut bytes, start + 4, 8);
            let _ = parse_for(target, &bytes);
            // Each number in it is absurd.
            for at in (start + 8..start + get(&good, start + 4) as usize).step_by(4) {
                for value in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                    let mut bytes = good.clone();
                    set(&mut bytes, at, value);
                    let _ = parse_for(target, &bytes);
                }
            }
        }
        // More commands than there are.
        let mut bytes = good.clone();
        set(&mut bytes, 16, u32::MAX);
        assert_eq!(text(target, &bytes), "not a shared library: its list of load commands makes no sense");
    }
}

#[test]
fn parts_that_overlap_are_errors() {
    const LC_SEGMENT_64: u32 = 0x19;
    const LC_SYMTAB: u32 = 2;
    let good = build("arm64", &[]);
    let segments: Vec<_> = commands(&good).into_iter().filter(|at| get(&good, *at) == LC_SEGMENT_64).collect();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        text(ARM64, &bytes)
    };
    let table = "not a shared library: its segment table makes no sense";
    // The second segment where the first one is: in memory (address), in the file (offset).
    assert_eq!(with(&|bytes| set(bytes, segments[1] + 24, 0)), table);
    assert_eq!(with(&|bytes| set(bytes, segments[1] + 40, 0)), table);
    // The first segment is not at the beginning of the file.
    assert_eq!(with(&|bytes| set(bytes, segments[0] + 40, 4096)), table);
    // More sections than the command has room for.
    assert_eq!(with(&|bytes| set(bytes, segments[0] + 64, 1000)), table);
    // A section outside of its segment.
    assert_eq!(with(&|bytes| set(bytes, segments[2] + 72 + 32, 0)), table);
    let link = "not a shared library: its link edit data makes no sense";
    let symbols = commands(&good).into_iter().find(|at| get(&good, *at) == LC_SYMTAB).unwrap();
    // The names of the symbols are where the symbols are, or in a segment with code.
    let place = get(&good, symbols + 8);
    assert_eq!(with(&|bytes| set(bytes, symbols + 16, place)), link);
    assert_eq!(with(&|bytes| set(bytes, symbols + 8, 0x4000 - 8)), link);
    let len = good.len() as u32;
    assert!(with(&|bytes| set(bytes, symbols + 8, len)).starts_with("the file ends at"));
}

/// A bundle as it was on PowerPC and the first Intel processors: 32 bits, its exports in the symbol table.
fn of_old(cpu: u32, encode: fn(u32) -> [u8; 4]) -> Vec<u8> {
    fn name(text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(16, 0);
        bytes
    }
    let words = |words: &[u32]| words.iter().flat_map(|word| encode(*word)).collect::<Vec<u8>>();
    let segment = |title: &str, place: [u32; 4], write: bool, sections: &[(&str, [u32; 3], u32)]| {
        let mut bytes = words(&[1, 56 + 68 * sections.len() as u32]);
        bytes.extend(name(title));
        bytes.extend(words(&place));
        bytes.extend(words(&[7, if write { 3 } else { 5 }, sections.len() as u32, 0]));
        for (section, [address, size, offset], flags) in sections {
            bytes.extend(name(section));
            bytes.extend(name(title));
            bytes.extend(words(&[*address, *size, *offset, 2, 0, 0, *flags, 0, 0]));
        }
        bytes
    };
    let names = b"\0_cr_main\0_other\0";
    let symbols = [
        words(&[1]),
        vec![0x0f, 1, 0, 0], // external, in section 1
        words(&[0x1800, 10]),
        vec![0x0e, 1, 0, 0], // not external
        words(&[0x1804]),
    ]
    .concat();
    let commands = [
        segment("__TEXT", [0x1000, 0x1000, 0, 0x1000], false, &[("__text", [0x1800, 8, 0x800], 0)]),
        segment(
            "__DATA",
            [0x2000, 0x1000, 0x1000, 0x1000],
            true,
            &[("__state", [0x2000, 16, 0x1000], 0), ("__bss", [0x2800, 64, 0], 1)],
        ),
        segment("__LINKEDIT", [0x3000, 0x1000, 0x2000, (symbols.len() + names.len()) as u32], false, &[]),
        words(&[2, 24, 0x2000, 2, 0x2000 + symbols.len() as u32, names.len() as u32]),
    ]
    .concat();
    let mut bytes = words(&[0xfeed_face, cpu, 3, 8, 4, commands.len() as u32, 0]);
    bytes.extend(commands);
    bytes.resize(0x2000, 0);
    bytes.extend(symbols);
    bytes.extend(names);
    bytes
}

#[test]
fn images_of_32_bits_and_of_the_other_byte_order_are_read() {
    let powerpc = Target { wide: false, little: false, ..macos(CPU_TYPE_POWERPC) };
    let intel = Target { wide: false, ..macos(CPU_TYPE_X86) };
    let bytes = of_old(CPU_TYPE_X86, u32::to_le_bytes);
    let wanted = [("__DATA,__state".to_owned(), 0x2000, 16), ("__DATA,__bss".to_owned(), 0x2800, 64)];
    assert_eq!(sections(&parse_for(intel, &bytes).unwrap()), wanted);
    assert_eq!(readobj_sections(&bytes), wanted);
    let bytes = of_old(CPU_TYPE_POWERPC, u32::to_be_bytes);
    assert_eq!(sections(&parse_for(powerpc, &bytes).unwrap()), wanted);
    assert_eq!(parse_as(&bytes, powerpc, "other").unwrap_err().to_string(), "the image does not export other");
    assert_eq!(
        text(ARM64, &bytes),
        "the image is for a machine of the other byte order, this program needs arm64 with 64 bits"
    );
}

#[test]
fn damage_is_an_error_or_harmless_but_never_a_panic() {
    let thin = build("arm64", &[]);
    let fat = universal::lipo(&[&build("x86_64", &[]), &thin]);
    // A small generator (xorshift) is enough, and gives the same bytes each time.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let commands_end = 32 + get(&thin, 20) as usize;
    let mut refused = 0;
    for round in 0..20_000 {
        let mut bytes = if round % 5 == 4 { fat.clone() } else { thin.clone() };
        for _ in 0..1 + next(4) {
            let at = match round % 5 {
                0 => next(32),
                1 | 2 => next(commands_end),
                3 => thin.len() - 1 - next(thin.len() - 0xc000),
                _ => next(64),
            };
            bytes[at] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
        }
        refused += usize::from(parse_for(ARM64, &bytes).is_err());
        let _ = precheck(&bytes[..HEAD], bytes.len() as u64, ARM64);
        let source = Source::original(&bytes, Path::new("guest.dylib"));
        let _ = symbols(source, ARM64, &mut |_| true, &mut |_| ());
        let _ = regions(source, ARM64);
    }
    assert!(refused > 1000, "only {refused} were refused");
}

#[test]
fn the_fixtures_are_of_the_kind_that_file_names() {
    // What the tests above build is Mach-O in the eyes of another program, too.
    let file = tempfile::NamedTempFile::new().unwrap();
    for (architecture, name) in [("arm64", "Arch: aarch64"), ("x86_64", "Arch: x86_64")] {
        std::fs::write(file.path(), build(architecture, &[])).unwrap();
        let output = Command::new("llvm-readobj").arg("--file-headers").arg(file.path() as &Path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(name) && text.contains("DynamicLibrary"), "{text}");
    }
}
