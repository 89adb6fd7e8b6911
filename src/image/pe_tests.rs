//! Real PE images, built here by clang and lld (or MinGW), and what becomes of them when they are damaged.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

mod linkers;
mod pdb;
mod symbols;

use super::{Expected, Format, Image, Source, Target, parse, precheck};
use crate::error::Error;
use goblin::pe::header::{COFF_MACHINE_ARM64, COFF_MACHINE_X86, COFF_MACHINE_X86_64};
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "
    static int state __attribute__((section(\".state\"), used)) = 3;
    static long long zero[400];
    static int *volatile pointer = &state;
    __declspec(dllimport) void imported(int);
    int _fltused;
    int DllMain(void *image, unsigned reason, void *reserved) {
        (void)image; (void)reserved; zero[1] += reason; return 1;
    }
    __declspec(dllexport) int cr_main(void *ctx, int op) {
        (void)ctx;
        imported(op);
        return op + *pointer + (int)zero[op & 3];
    }
    __declspec(dllexport) int not_a_function = 1;
";

const WINDOWS: Target =
    Target { format: Format::Pe, machine: 0, pe_machine: COFF_MACHINE_X86_64, mach_cpu: 0, wide: true, little: true };

const X86: Target = Target { pe_machine: COFF_MACHINE_X86, wide: false, ..WINDOWS };

/// Compiles the source above for this architecture and returns the DLL.
fn build(architecture: &str, flags: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    std::fs::write(path("guest.c"), SOURCE).unwrap();
    std::fs::write(path("other.def"), "LIBRARY other.dll\nEXPORTS\n  imported\n").unwrap();
    let (machine, dlltool) = match architecture {
        "x86_64" => ("x64", "i386:x86-64"),
        "aarch64" => ("arm64", "arm64"),
        _ => ("x86", "i386"),
    };
    let (object, library) = (path("guest.obj"), path("other.lib"));
    let target = format!("--target={architecture}-pc-windows-msvc");
    run(Command::new("clang").args([&target, "-O1", "-c"]).arg(path("guest.c")).arg("-o").arg(&object));
    let def = path("other.def");
    run(Command::new("llvm-dlltool").args(["-m", dlltool, "-d"]).arg(def).arg("-l").arg(&library));
    let mut link = Command::new("lld-link");
    link.args(["/dll", "/nodefaultlib", "/entry:DllMain"]).arg(format!("/machine:{machine}")).args(flags);
    run(link.arg(&object).arg(&library).arg(format!("/out:{}", path("guest.dll").display())).current_dir(place.path()));
    std::fs::read(path("guest.dll")).unwrap()
}

fn parse_windows(bytes: &[u8]) -> Result<Image, Error> {
    parse_as(bytes, WINDOWS, "cr_main")
}

fn parse_as(bytes: &[u8], target: Target, entry: &str) -> Result<Image, Error> {
    let source = Source::original(bytes, Path::new("guest.dll"));
    parse(source, target, Expected { entry, listed: true })
}

/// Where the optional header begins.
fn optional(bytes: &[u8]) -> usize {
    u32::from_le_bytes(bytes[0x3c..0x40].try_into().unwrap()) as usize + 24
}

fn set(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn sections_and_entry_point_are_found() {
    let bytes = build("x86_64", &[]);
    let image = parse_windows(&bytes).unwrap();
    let names: Vec<_> = image.state.iter().map(|section| (&*section.name, section.size)).collect();
    assert_eq!(names, [(".state", 4)], "the zeros are in .data");
    assert!(image.lifecycle.dll_main.is_some());
    // The copy differs in these four bytes alone.
    let at = optional(&bytes) as u64 + 16;
    assert_eq!(
        image.patches.iter().map(|patch| (patch.offset, &*patch.bytes)).collect::<Vec<_>>(),
        [(at, &[0; 4][..])]
    );
}

#[test]
fn without_an_entry_point_nothing_is_changed() {
    let image = parse_windows(&build("x86_64", &["/noentry"])).unwrap();
    assert_eq!((image.lifecycle.dll_main, image.patches.len()), (None, 0));
}

#[test]
fn a_signed_image_is_not_changed() {
    let mut bytes = build("x86_64", &[]);
    let at = optional(&bytes) + 112 + 8 * 4;
    let len = bytes.len() as u32;
    set(&mut bytes, at, len);
    set(&mut bytes, at + 4, 16);
    assert!(matches!(parse_windows(&bytes), Err(Error::Truncated { what: "signature", .. })));
    bytes.extend([0; 16]);
    assert_eq!(parse_windows(&bytes).unwrap().patches, []);
}

#[test]
fn a_shortened_image_is_truncated_at_any_length() {
    let bytes = build("x86_64", &["/debug"]);
    for len in 0..bytes.len() {
        let error = parse_windows(&bytes[..len]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{len}: {error}");
        let head = &bytes[..len.min(super::HEAD)];
        assert!(precheck(head, len as u64, WINDOWS).is_err(), "{len}");
    }
}

#[test]
fn the_wrong_kind_is_named() {
    let good = build("x86_64", &["/export:forwarded=other.imported"]);
    let text = |bytes: &[u8], entry: &str| parse_as(bytes, WINDOWS, entry).unwrap_err().to_string();
    assert_eq!(text(&good, "other_main"), "the image does not export other_main");
    assert_eq!(text(&good, "forwarded"), "not a shared library: its forwarded is a forwarder to another library");
    assert_eq!(text(&good, "not_a_function"), "not a shared library: its not_a_function is not a function");
    let with = |at: usize, value: u32| {
        let mut bytes = good.clone();
        set(&mut bytes, optional(&good) + at, value);
        text(&bytes, "cr_main")
    };
    let directory = |number: usize| 112 + 8 * number;
    assert_eq!(with(directory(0), 0), "the image does not export cr_main", "as in a file of resources");
    let mut managed = good.clone();
    set(&mut managed, optional(&good) + directory(14), 0x1000);
    set(&mut managed, optional(&good) + directory(14) + 4, 72);
    assert_eq!(text(&managed, "cr_main"), "not a shared library: it is a managed (.NET) image");
    assert_eq!(with(16, 0x10), "not a shared library: its entry point makes no sense");
    assert_eq!(with(directory(1), 0x7fff_0000), "not a shared library: its data directory makes no sense");
    assert_eq!(with(directory(5) + 4, 0xffff_fff0), "not a shared library: its data directory makes no sense");
    assert_eq!(with(108, 0xffff), "not a shared library: its optional header makes no sense", "directories");

    let coff = optional(&good) - 20;
    let with = |at: usize, value: u16| {
        let mut bytes = good.clone();
        bytes[coff + at..coff + at + 2].copy_from_slice(&value.to_le_bytes());
        parse_windows(&bytes).unwrap_err()
    };
    assert!(matches!(with(2, 0xffff), Error::Truncated { what: "section table", .. }));
    assert_eq!(with(2, 0).to_string(), "not a shared library: no section to load");
    assert_eq!(with(18, 0x22).to_string(), "not a shared library: it is an executable or an object file");
    let elf = std::fs::read("/proc/self/exe").unwrap();
    assert_eq!(text(&elf, "cr_main"), "not a shared library: it does not start with the header of a PE image");
}

#[test]
fn other_machines_are_named() {
    let wanted = |bytes: &[u8]| parse_windows(bytes).unwrap_err().to_string();
    let arm = build("aarch64", &[]);
    assert_eq!(wanted(&arm), "the image is for ARM64, this program needs X86_64 with 64 bits");
    let narrow = build("i686", &["/safeseh:no"]);
    assert_eq!(wanted(&narrow), "the image is for X86, this program needs X86_64 with 64 bits");
    // What they are for takes them.
    assert!(parse_as(&arm, Target { pe_machine: COFF_MACHINE_ARM64, ..WINDOWS }, "cr_main").is_ok());
    assert!(parse_as(&narrow, X86, "cr_main").is_ok());
}

#[test]
fn damage_is_an_error_or_harmless_but_never_a_panic() {
    let good = build("x86_64", &[]);
    // A small generator (xorshift) is enough, and gives the same bytes each time.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut refused = 0;
    for round in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + next(4) {
            let at = match round % 3 {
                0 => next(0x400),
                1 => optional(&good) + next(240),
                _ => next(good.len()),
            };
            bytes[at] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
        }
        refused += usize::from(parse_windows(&bytes).is_err());
        let _ = precheck(&bytes[..bytes.len().min(64)], bytes.len() as u64, WINDOWS);
    }
    assert!(refused > 1000, "only {refused} were refused");
}
