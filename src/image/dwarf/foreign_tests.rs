//! Debug information of images for other systems, made here by cross compilers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail

use super::tests::{describe, run};
use crate::image::debug::{Hints, Wanted, is_overwritten, variable_types};
use crate::image::macho_tests::versioned;
use crate::image::{Format, Source, Symbol, Target, own, symbols};
use goblin::elf::header::EM_AARCH64;
use goblin::mach::constants::cputype::{CPU_TYPE_ARM64, CPU_TYPE_X86_64};
use goblin::pe::header::COFF_MACHINE_X86_64;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

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
    types_of(&fs::read(path).unwrap(), path, target)
}

fn types_of(bytes: &[u8], path: &Path, target: Target) -> Vec<String> {
    types_named(bytes, path, target, ["player", "counter", "flag", "calls"])
}

fn types_named(bytes: &[u8], path: &Path, target: Target, names: [&str; 4]) -> Vec<String> {
    let source = Source::original(bytes, path);
    let mut all: Vec<Symbol<'_>> = Vec::new();
    symbols(source, target, &mut |_| true, &mut |symbol| all.push(symbol)).unwrap();
    let is_called = |symbol: &str, name: &str| symbol.trim_start_matches('_').split('.').any(|part| part == name);
    let wanted = names.map(|name| {
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

/// Runs a command in a directory: words with spaces between.
fn tool(place: &Path, line: &str) {
    let mut words = line.split(' ');
    run(Command::new(words.next().unwrap()).args(words).current_dir(place));
}

/// Compiles a file of C in this directory for macOS; the object is called after it.
fn compile(place: &Path, architecture: &str, name: &str, flags: &str) {
    tool(
        place,
        &format!("clang --target={architecture}-apple-macos13 -O1 {flags} -c {name}.c -o {name}-{architecture}.o"),
    );
}

/// Links objects in this directory.
fn link_objects(place: &Path, architecture: &str, objects: &str, image: &str) {
    let linker = versioned("ld64.lld");
    let platform = "-platform_version macos 13.0 13.0 -undefined dynamic_lookup";
    tool(place, &format!("{} -dylib -arch {architecture} {platform} {objects} -o {image}", linker.display()));
}

const fn macos(mach_cpu: u32) -> Target {
    Target { format: Format::MachO, machine: 0, pe_machine: 0, mach_cpu, wide: true, little: true }
}

fn has_none(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap();
    let one = Wanted { address: 0, size: 4, symbol: "counter" };
    variable_types(Source::original(&bytes, path), &[one], &Hints::default()).is_err()
}

#[test]
fn dwarf_of_macos_is_in_a_bundle_beside_the_image() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    fs::write(place.join("guest.c"), SOURCE).unwrap();
    for (architecture, cpu) in [("arm64", CPU_TYPE_ARM64), ("x86_64", CPU_TYPE_X86_64)] {
        compile(place, architecture, "guest", "-g");
        link_objects(place, architecture, &format!("guest-{architecture}.o"), "guest.dylib");
        tool(place, "dsymutil guest.dylib");
        fs::remove_file(place.join(format!("guest-{architecture}.o"))).unwrap();
        let path = place.join("guest.dylib");
        assert_eq!(types_in(&path, macos(cpu)), TYPES);
        // That of another image is not taken.
        let inner = place.join("guest.dylib.dSYM/Contents/Resources/DWARF/guest.dylib");
        let mut bytes = fs::read(&inner).unwrap();
        let uuid = bytes.windows(8).position(|window| window == [0x1b, 0, 0, 0, 24, 0, 0, 0]).unwrap();
        bytes[uuid + 8] ^= 1;
        fs::write(&inner, bytes).unwrap();
        assert_eq!(types_in(&path, macos(cpu)), ["none"; 4]);
    }
}

/// Statics that clang puts into one for ARM.
const MERGED: &str = "
    static int first, second; static long third; static int last[4];
    int get(void) { return first + second; }
    int cr_main(void *ctx, int op) {
        first += op; second -= op; third += first * second; last[op & 3]++; return get() + (int)third + last[(op + 1) & 3];
    }
";

#[test]
fn types_of_statics_that_are_one_to_the_compiler() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    fs::write(place.join("guest.c"), MERGED).unwrap();
    for version in ["-gdwarf-4", "-gdwarf-5"] {
        let clang = "clang --target=aarch64-linux-gnu -O3 -fPIC -shared -nostdlib -fuse-ld=lld";
        tool(place, &format!("{clang} {version} guest.c -o guest.so"));
        let dump = Command::new(versioned("llvm-dwarfdump")).arg("guest.so").current_dir(place).output().unwrap();
        assert!(String::from_utf8_lossy(&dump.stdout).contains("DW_OP_plus_uconst"), "they are not one any more");
        let linux = Target { machine: EM_AARCH64, wide: true, ..Target::native() };
        let path = place.join("guest.so");
        let types = types_named(&fs::read(&path).unwrap(), &path, linux, ["first", "second", "third", "last"]);
        assert_eq!(types, ["i32", "i32", "i64", "i32[4]"], "{version}");
    }
}

#[test]
fn statics_without_a_symbol_of_their_own_are_told_by_what_is_beside_them() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let form = |source: &str, flags: &str, bundle: bool| {
        fs::write(place.join("guest.c"), source).unwrap();
        compile(place, "arm64", "guest", &format!("-O3 {flags}"));
        link_objects(place, "arm64", "guest-arm64.o", "guest.dylib");
        let _ = fs::remove_dir_all(place.join("guest.dylib.dSYM"));
        if bundle {
            tool(place, "dsymutil guest.dylib");
            fs::remove_file(place.join("guest-arm64.o")).unwrap();
        }
        let path = place.join("guest.dylib");
        let bytes = fs::read(&path).unwrap();
        let source = Source::original(&bytes, &path);
        let mut all: Vec<Symbol<'_>> = Vec::new();
        symbols(source, macos(CPU_TYPE_ARM64), &mut |_| true, &mut |symbol| all.push(symbol)).unwrap();
        assert!(all.iter().all(|symbol| symbol.name != "first"), "it has a symbol of its own");
        let one = Wanted::new(all.iter().find(|symbol| symbol.name == "_MergedGlobals").unwrap());
        let found = variable_types(source, &[one], &Hints::default()).unwrap();
        assert_eq!(found.of, [None], "not the type of the first of them");
        *found.other_forms.get(&one.address).unwrap()
    };
    for bundle in [false, true] {
        let before = form(MERGED, "-g", bundle);
        assert_eq!(form(&MERGED.replace("first - second", "second - first"), "-g", bundle), before, "other code");
        let swapped = MERGED.replace("first", "@").replace("second", "first").replace('@', "second");
        let more =
            MERGED.replace("third +=", "more++; third +=").replace("static long", "static short more; static long");
        for (edited, what) in [
            (swapped, "places"),
            (MERGED.replace("second", "other"), "a name"),
            (MERGED.replace("int first, second;", "int first; static unsigned second;"), "a type"),
            (more, "one more"),
        ] {
            assert_ne!(form(&edited, "-g", bundle), before, "{what}");
        }
    }
}

#[test]
fn of_a_universal_image_and_bundle_the_right_part_is_read() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let machines = [("arm64", CPU_TYPE_ARM64, "char more[3];"), ("x86_64", CPU_TYPE_X86_64, "")];
    for (architecture, _, more) in machines {
        fs::write(place.join("guest.c"), SOURCE.replace("short health;", &format!("short health; {more}"))).unwrap();
        compile(place, architecture, "guest", "-g");
        link_objects(place, architecture, &format!("guest-{architecture}.o"), &format!("{architecture}.dylib"));
        tool(place, &format!("dsymutil --flat {architecture}.dylib -o {architecture}.dwarf"));
    }
    let bundle = "guest.dylib.dSYM/Contents/Resources/DWARF";
    fs::create_dir_all(place.join(bundle)).unwrap();
    for (kind, image) in [("dylib", "guest.dylib"), ("dwarf", &*format!("{bundle}/guest.dylib"))] {
        let lipo = versioned("llvm-lipo");
        tool(place, &format!("{} -create arm64.{kind} x86_64.{kind} -output {image}", lipo.display()));
    }
    for (architecture, cpu, more) in machines {
        fs::remove_file(place.join(format!("guest-{architecture}.o"))).unwrap();
        let path = place.join("guest.dylib");
        let bytes = fs::read(&path).unwrap();
        let types = types_of(own(&bytes, macos(cpu)), &path, macos(cpu));
        assert_eq!(types[0].contains("more@2:"), !more.is_empty(), "{types:?}");
        assert_eq!(types[1..], TYPES[1..]);
    }
}

#[test]
fn dwarf_of_macos_stays_in_the_object_files() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    // Of two files: the addresses in them are not those in the image.
    fs::write(place.join("other.c"), "double before[100]; static int flag = 5; int *other(void) { return &flag; }")
        .unwrap();
    fs::write(place.join("guest.c"), SOURCE).unwrap();
    for (architecture, cpu) in [("arm64", CPU_TYPE_ARM64), ("x86_64", CPU_TYPE_X86_64)] {
        for version in ["-gdwarf-4", "-gdwarf-5"] {
            compile(place, architecture, "other", version);
            compile(place, architecture, "guest", version);
            let objects = ["other", "guest"].map(|name| format!("{name}-{architecture}.o"));
            link_objects(place, architecture, &objects.join(" "), "guest.dylib");
            let path = place.join("guest.dylib");
            assert!(is_overwritten(Source::original(&fs::read(&path).unwrap(), &path)));
            let wanted = [TYPES[0], TYPES[1], "i32", TYPES[3]]; // the first flag is that of the other file
            assert_eq!(types_in(&path, macos(cpu)), wanted, "{architecture} {version}");
            // One that has been compiled since is not taken, and the others are.
            let guest = fs::File::options().append(true).open(place.join(&objects[1])).unwrap();
            guest.set_modified(SystemTime::now() + Duration::from_secs(10)).unwrap();
            assert_eq!(types_in(&path, macos(cpu)), ["none", "none", "i32", "none"]);
            fs::remove_file(place.join(&objects[0])).unwrap();
            assert_eq!(types_in(&path, macos(cpu)), ["none"; 4]);
        }
    }
    compile(place, "arm64", "guest", "");
    link_objects(place, "arm64", "guest-arm64.o", "guest.dylib");
    assert!(has_none(&place.join("guest.dylib")), "without -g");
}
