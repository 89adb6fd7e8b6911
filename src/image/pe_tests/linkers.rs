//! Images of every toolchain for Windows, compared with what another reader finds in them.

use super::{WINDOWS, X86, build, parse_as};
use crate::image::Target;
use crate::image::differential_tests::compare;
use crate::image::macho_tests::{run, skipped, zig_is_there};
use goblin::pe::header::COFF_MACHINE_ARM64;
use std::process::Command;

const ARM64: Target = Target { pe_machine: COFF_MACHINE_ARM64, ..WINDOWS };

/// With all that guests have: both sections of state, zeros, thread-local variables, functions and data that are
/// exported, and a function of the system that is needed.
const SOURCE: &str = "
    __declspec(dllimport) unsigned long __stdcall GetCurrentProcessId(void);
    static int state __attribute__((section(\".state\"), used)) = 3;
    static int old[3] __attribute__((section(\"cr_state\"), used)) = {1, 2, 3};
    static long long zero[400];
    static int *volatile pointer = &state;
    static _Thread_local int own = 5;
    int shared = 7;
    static int helper(int x) { static int count = 5; return ++count + x; }
    __declspec(dllexport) int cr_main(void *ctx, int op) {
        (void)ctx;
        zero[op & 3] += GetCurrentProcessId();
        return op + *pointer + old[op & 1] + own++ + (int)zero[op & 3] + helper(shared++);
    }
    __declspec(dllexport) int with_a_name_of_more_than_eight_letters(void) { return shared; }
    __declspec(dllexport) int exported_data = 1;
";

/// What this compiler makes of the source above.
fn compile(compiler: &mut Command, flags: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let (source, library) = (place.path().join("guest.c"), place.path().join("guest.dll"));
    std::fs::write(&source, SOURCE).unwrap();
    run(compiler.args(["-shared", "-o"]).arg(&library).arg(&source).args(flags).current_dir(place.path()));
    std::fs::read(library).unwrap()
}

fn check(target: Target, bytes: &[u8], what: &str) {
    compare(target, bytes, what);
    let names: Vec<_> =
        parse_as(bytes, target, "cr_main").unwrap().state.into_iter().map(|section| section.name).collect();
    assert!(names.iter().any(|name| name == ".state"), "{what}: {names:?}");
}

#[test]
fn images_of_mingw_are_read_as_another_reader_does() {
    check_mingw("x86_64", WINDOWS);
}

#[test]
fn images_of_mingw_for_32_bits_are_read_as_another_reader_does() {
    check_mingw("i686", X86);
}

fn check_mingw(architecture: &str, target: Target) {
    // Debian's name for the compiler with POSIX threads, and everybody's.
    let names = ["posix", ""].map(|suffix| format!("{architecture}-w64-mingw32-gcc-{suffix}"));
    let mut names = names.iter().map(|name| name.trim_end_matches('-'));
    let Some(gcc) = names.find(|name| Command::new(name).arg("--version").output().is_ok()) else {
        return skipped("MinGW's gcc is not installed");
    };
    let debug = ["-g", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"];
    for flags in [&["-O0"][..], &["-O2", "-s"], &debug, &["-O2", "-flto"], &BARE] {
        check(target, &compile(&mut Command::new(gcc), flags), &format!("{gcc} {flags:?}"));
    }
}

/// Without the C runtime, which has what thread-local variables need.
const BARE: [&str; 4] = ["-nostdlib", "-lkernel32", "-Wl,--entry=cr_main", "-D_Thread_local="];

#[test]
fn images_of_zig_are_read_as_another_reader_does() {
    if !zig_is_there() {
        return;
    }
    for (architecture, target) in [("x86_64", WINDOWS), ("aarch64", ARM64), ("x86", X86)] {
        for flags in [&["-O1"][..], &["-O1", "-g"], &["-O2", "-s"]] {
            let mut zig = Command::new("python3");
            zig.args(["-m", "ziglang", "cc", "-fno-sanitize=undefined", "-target"]);
            zig.arg(format!("{architecture}-windows-gnu"));
            // zig would compile the C runtime first, for minutes.
            let bytes = compile(&mut zig, &[flags, &BARE].concat());
            check(target, &bytes, &format!("zig {architecture} {flags:?}"));
        }
    }
}

#[test]
fn images_of_clang_and_lld_are_read_as_another_reader_does() {
    for (architecture, target) in [("x86_64", WINDOWS), ("aarch64", ARM64), ("i686", X86)] {
        for flags in [&[][..], &["/debug"], &["/noentry", "/opt:noref"], &["/merge:.rdata=.text"]] {
            let safe: &[&str] = if architecture == "i686" { &["/safeseh:no"] } else { &[] };
            let bytes = build(architecture, &[flags, safe].concat());
            check(target, &bytes, &format!("lld-link {architecture} {flags:?}"));
        }
    }
}
