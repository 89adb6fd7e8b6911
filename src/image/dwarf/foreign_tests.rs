//! Debug information of images for other systems, made here by cross compilers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail

use super::tests::{describe, run};
use crate::image::debug::{Hints, Wanted, variable_types};
use crate::image::macho_tests::versioned;
use crate::image::{Format, Source, Symbol, Target, symbols};
use goblin::mach::constants::cputype::CPU_TYPE_ARM64;
use goblin::pe::header::COFF_MACHINE_X86_64;
use std::fs;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = "
    enum color { RED, GREEN = 5 };
    struct player { short health; enum color color; double at[2]; };
    static struct player player; int counter = 3; static volatile char flag;
    int DllMain(void *image, unsigned reason, void *reserved) { return 1; }
    __attribute__((visibility(\"default\"))) int cr_main(void *ctx, int op) {
        static long long calls; struct player *volatile at = &player;
        flag = (char)op; at->health++; return (int)++calls + counter++;
    }
";

const TYPES: [&str; 4] = ["{health@0:i16 color@4:(RED=0 GREEN=5)u4 at@8:f8[2]}", "i32", "i8", "i64"];

/// The types of the four variables in an image at this path.
fn types_in(path: &Path, target: Target) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let source = Source::original(&bytes, path);
    let mut all: Vec<Symbol<'_>> = Vec::new();
    symbols(source, target, &mut |_| true, &mut |symbol| all.push(symbol)).unwrap();
    let is_called = |symbol: &str, name: &str| symbol.trim_start_matches('_').split('.').any(|part| part == name);
    let wanted = ["player", "counter", "flag", "calls"].map(|name| {
        let symbol = all.iter().find(|symbol| is_called(&symbol.name, name));
        Wanted::new(symbol.unwrap_or_else(|| panic!("no symbol for {name}")))
    });
    let found = variable_types(source, &wanted, &Hints::default()).unwrap();
    found.of.iter().map(|id| id.map_or("none".into(), |id| describe(&found.types, id))).collect()
}

#[test]
fn dwarf_of_mingw_counts_from_the_base_of_the_image() {
    let windows = Target { format: Format::Pe, pe_machine: COFF_MACHINE_X86_64, wide: true, ..Target::native() };
    let clang = ["clang", "--target=x86_64-w64-mingw32", "-nostdlib", "-fuse-ld=lld", "-Wl,--entry=DllMain"];
    for compiler in [&["x86_64-w64-mingw32-gcc"][..], &clang] {
        for version in ["-gdwarf-4", "-gdwarf-5"] {
            let place = tempfile::tempdir().unwrap();
            fs::write(place.path().join("guest.c"), SOURCE).unwrap();
            let mut command = Command::new(compiler[0]);
            command.args(&compiler[1..]).args([version, "-O1", "-shared", "guest.c", "-o", "guest.dll"]);
            run(command.current_dir(place.path()));
            assert_eq!(types_in(&place.path().join("guest.dll"), windows), TYPES, "{compiler:?} {version}");
        }
    }
}

#[test]
fn dwarf_of_macos_is_in_a_bundle_beside_the_image() {
    let macos = Target { format: Format::MachO, mach_cpu: CPU_TYPE_ARM64, wide: true, ..Target::native() };
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("guest.c"), SOURCE).unwrap();
    let tool = |line: &str| {
        let mut words = line.split(' ');
        run(Command::new(words.next().unwrap()).args(words).current_dir(place.path()));
    };
    tool("clang --target=arm64-apple-macos13 -O1 -g -c guest.c -o guest.o");
    let linker = versioned("ld64.lld");
    let linker = linker.display();
    tool(&format!(
        "{linker} -dylib -arch arm64 -platform_version macos 13.0 13.0 -undefined dynamic_lookup guest.o -o guest.dylib"
    ));
    tool("dsymutil guest.dylib");
    let path = place.path().join("guest.dylib");
    assert_eq!(types_in(&path, macos), TYPES);
    // That of another image is not taken.
    let inner = place.path().join("guest.dylib.dSYM/Contents/Resources/DWARF/guest.dylib");
    let mut bytes = fs::read(&inner).unwrap();
    let uuid = bytes.windows(8).position(|window| window == [0x1b, 0, 0, 0, 24, 0, 0, 0]).unwrap();
    bytes[uuid + 8] ^= 1;
    fs::write(&inner, bytes).unwrap();
    let bytes = fs::read(&path).unwrap();
    let one = Wanted { address: 0, size: 4, symbol: "counter" };
    assert!(variable_types(Source::original(&bytes, &path), &[one], &Hints::default()).is_err());
}
