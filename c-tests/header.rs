//! What `include/cr.h` promises to compilers: every language, standard and form of use that it supports compiles
//! without a warning, and what a file's macros say reaches the library.
//!
//! The C and C++ files are in `c-tests/header`. The programs are linked with `stub.c`, which stands for the library
//! and prints what it is given: nothing here depends on the real one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const C_COMPILERS: [&str; 2] = ["gcc", "clang"];
const CPP_COMPILERS: [&str; 2] = ["g++", "clang++"];

const C_GUESTS: [&str; 4] = ["c89", "c99", "c11", "c17"];
const CPP_GUESTS: [&str; 6] = ["c++98", "c++11", "c++14", "c++17", "c++20", "c++2b"];
const C_HOSTS: [&str; 3] = ["c99", "c11", "c17"];
const CPP_HOSTS: [&str; 5] = ["c++11", "c++14", "c++17", "c++20", "c++2b"];

/// What every compilation is held to.
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];
/// What strict projects add. Of the header itself only, so without the macros' forms that the tests bring along.
const STRICT: [&str; 8] = [
    "-Wshadow",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wundef",
    "-Wcast-qual",
    "-Wcast-align",
    "-Wformat=2",
    "-Wdouble-promotion",
];
const STRICT_C: [&str; 2] = ["-Wstrict-prototypes", "-Wmissing-prototypes"];
const STRICT_CPP: [&str; 3] = ["-Wold-style-cast", "-Wnon-virtual-dtor", "-Woverloaded-virtual"];

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c-tests/header").join(name)
}

/// A compiler run on one standard. The language is told, for files that serve both.
fn compiler(name: &str, standard: &str) -> Command {
    let mut command = Command::new(name);
    let language = if standard.starts_with("c++") { "c++" } else { "c" };
    command.arg(format!("-std={standard}")).arg("-I").arg(include()).args(["-x", language]).args(WARNINGS);
    command
}

/// Runs a command to its end: whether it succeeded, and all that it wrote.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        let package = match program.as_str() {
            "gcc" | "g++" | "clang" => program.as_str(),
            "clang++" => "clang",
            _ => "binutils",
        };
        panic!("cannot run {program}: {error}. Is the package `{package}` installed?");
    });
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let (success, text) = run(command);
    assert!(success, "{command:?} failed:\n{text}");
    text
}

/// Compiles a file, for its warnings and errors only, with each compiler and standard.
#[track_caller]
fn compiles<S: AsRef<OsStr>>(file: &Path, compilers: &[&str], standards: &[&str], arguments: &[S]) {
    for compiler_name in compilers {
        for standard in standards {
            succeeds(compiler(compiler_name, standard).args(arguments).arg("-fsyntax-only").arg(file));
        }
    }
}

/// Compiles a file that must be refused, with this text in the message.
#[track_caller]
fn is_refused(file: &Path, compilers: &[&str], standard: &str, arguments: &[&str], reason: &str) {
    for compiler_name in compilers {
        let command = &mut compiler(compiler_name, standard);
        let (success, text) = run(command.args(arguments).arg("-fsyntax-only").arg(file));
        assert!(!success, "{command:?} should have failed");
        assert!(text.contains(reason), "{command:?} failed, but not with {reason:?}:\n{text}");
    }
}

/// The C compiler that goes with a compiler of either language.
fn c_compiler(name: &str) -> &'static str {
    if name.starts_with('g') { "gcc" } else { "clang" }
}

/// Builds a program of these files (each with its arguments) and the stub library; returns its path.
#[track_caller]
fn program(dir: &TempDir, name: &str, standard: &str, files: &[(&str, &[&str])]) -> PathBuf {
    let stub = dir.path().join("stub.o");
    succeeds(compiler(c_compiler(name), "c11").arg("-c").arg(source("stub.c")).arg("-o").arg(&stub));
    let mut link = Command::new(name);
    for (number, (file, arguments)) in files.iter().enumerate() {
        let object = dir.path().join(format!("{number}.o"));
        succeeds(compiler(name, standard).args(*arguments).arg("-c").arg(source(file)).arg("-o").arg(&object));
        link.arg(object);
    }
    let program = dir.path().join("program");
    succeeds(link.arg(stub).arg("-ldl").arg("-o").arg(&program));
    program
}

/// Every compiler with one standard of its language that hosts may use.
const HOST_BUILDS: [(&str, &str); 6] =
    [("gcc", "c11"), ("clang", "c11"), ("g++", "c++11"), ("clang++", "c++11"), ("g++", "c++20"), ("clang++", "c++20")];

#[test]
fn a_guest_compiles_in_every_standard_of_c() {
    compiles(&source("guest.c"), &C_COMPILERS, &C_GUESTS, &[&STRICT[..], &STRICT_C].concat());
}

#[test]
fn a_guest_compiles_in_every_standard_of_cpp() {
    compiles(&source("guest.c"), &CPP_COMPILERS, &CPP_GUESTS, &["-Wno-old-style-cast"]);
}

#[test]
fn a_guest_compiles_for_every_platform() {
    for target in [
        "x86_64-unknown-linux-gnu",
        "aarch64-unknown-linux-gnu",
        "aarch64-linux-android",
        "x86_64-unknown-freebsd",
        "x86_64-apple-darwin",
        "arm64-apple-darwin",
        "x86_64-w64-mingw32",
        "x86_64-pc-windows-msvc",
    ] {
        // No platform's own headers are needed, nor looked for.
        let arguments = [format!("--target={target}"), "-nostdinc++".to_owned()];
        compiles(&source("guest.c"), &["clang"], &["c89", "c11", "c++98", "c++17"], &arguments);
    }
}

#[test]
fn a_host_compiles_in_every_standard_of_c() {
    compiles(&source("host.c"), &C_COMPILERS, &C_HOSTS, &[&STRICT[..], &STRICT_C].concat());
}

#[test]
fn a_host_compiles_in_every_standard_of_cpp() {
    compiles(&source("host.cpp"), &CPP_COMPILERS, &CPP_HOSTS, &[&STRICT[..], &STRICT_CPP].concat());
}

#[test]
fn a_host_in_cpp_can_do_without_the_standard_headers() {
    compiles(&source("no_std_headers.cpp"), &CPP_COMPILERS, &CPP_HOSTS, &STRICT);
}

#[test]
fn a_guest_file_can_become_a_host() {
    compiles(&source("guest_then_host.c"), &C_COMPILERS, &C_HOSTS, &STRICT);
    compiles(&source("guest_then_host.c"), &CPP_COMPILERS, &["c++11", "c++2b"], &STRICT);
}

#[test]
fn the_header_alone_compiles_for_guests_and_hosts() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("alone.c");
    std::fs::write(&file, "#include \"cr.h\"\n").unwrap();
    compiles(&file, &C_COMPILERS, &C_GUESTS, &STRICT);
    compiles(&file, &CPP_COMPILERS, &CPP_GUESTS, &[&STRICT[..], &STRICT_CPP].concat());
    for macros in [&["-DCR_HOST"][..], &["-DCR_HOST=CR_SAFE"], &["-DCR_HOST", "-DCR_DEBUG"]] {
        compiles(&file, &C_COMPILERS, &["c11"], &[&STRICT[..], macros].concat());
        compiles(&file, &CPP_COMPILERS, &["c++11"], &[&STRICT[..], &STRICT_CPP, macros].concat());
    }
}

#[test]
fn the_layout_and_the_numbers_are_those_of_the_original() {
    compiles(&source("layout.c"), &C_COMPILERS, &C_GUESTS, &[""; 0]);
    compiles(&source("layout.c"), &CPP_COMPILERS, &["c++98", "c++11", "c++20"], &[""; 0]);
    compiles(&source("layout.c"), &C_COMPILERS, &C_HOSTS, &["-DCR_HOST"]);
    compiles(&source("layout.c"), &CPP_COMPILERS, &["c++11", "c++20"], &["-DCR_HOST"]);
}

#[test]
fn cr_host_alone_or_with_a_mode_means_that_mode() {
    for (define, expected) in [
        ("-DALONE", "CR_UNSAFE"),
        ("-DCR_HOST", "CR_UNSAFE"),
        ("-DCR_HOST=", "CR_UNSAFE"),
        ("-DCR_HOST=CR_SAFEST", "CR_SAFEST"),
        ("-DCR_HOST=CR_SAFE", "CR_SAFE"),
        ("-DCR_HOST=CR_UNSAFE", "CR_UNSAFE"),
        ("-DCR_HOST=CR_DISABLE", "CR_DISABLE"),
    ] {
        let arguments = [define, &format!("-DEXPECTED={expected}"), "-Wundef"];
        compiles(&source("mode.c"), &C_COMPILERS, &["c11"], &arguments);
        compiles(&source("mode.c"), &CPP_COMPILERS, &["c++11"], &arguments);
    }
}

#[test]
fn every_form_of_the_macros_compiles_in_c() {
    for form in ["FUNCTIONS", "STATEMENTS", "FORMAT_GLUED", "EMPTY", "ONLY_FREE", "ONLY_TRACE", "WITH_DEBUG"] {
        compiles(&source("macros.c"), &C_COMPILERS, &C_HOSTS, &[format!("-D{form}")]);
    }
}

#[test]
fn every_form_of_the_macros_compiles_in_cpp() {
    for form in ["FUNCTIONS", "STATEMENTS", "FORMAT_GLUED", "EMPTY", "ONLY_FREE", "ONLY_TRACE", "WITH_DEBUG"] {
        compiles(&source("macros.c"), &CPP_COMPILERS, &["c++11"], &[format!("-D{form}")]);
    }
    for form in ["TEMPLATES", "LAMBDAS"] {
        compiles(&source("macros.c"), &CPP_COMPILERS, &["c++11", "c++20"], &[format!("-D{form}")]);
    }
}

#[test]
fn a_host_in_an_older_standard_is_told_so() {
    is_refused(&source("defaults.c"), &C_COMPILERS, "c89", &[], "needs C99");
    is_refused(&source("defaults.c"), &CPP_COMPILERS, "c++98", &[], "needs C++11");
}

#[test]
fn a_guest_sees_no_functions() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("guest.c");
    std::fs::write(&file, "#include \"cr.h\"\nint main(void) { return cr_version_string() != 0; }\n").unwrap();
    is_refused(&file, &C_COMPILERS, "c11", &[], "cr_version_string");
}

#[test]
fn two_files_of_one_program_each_have_their_own_macros() {
    for (name, standard) in HOST_BUILDS {
        let is_cpp = standard.starts_with("c++");
        let dir = TempDir::new().unwrap();
        let files: [(&str, &[&str]); 2] = [("two_files.c", &["-DFIRST"]), ("two_files.c", &["-DSECOND"])];
        let text = succeeds(&mut Command::new(program(&dir, name, standard, &files)));
        // CR_TRACE stands in functions with the name of the original's; C has no room for a second one of that name.
        let suffix = if is_cpp { "" } else { "_" };
        let default_argument = if is_cpp { "update true\n" } else { "" };
        let expected = format!(
            "open first with mode 0, main_func first_main, size right\n\
             first error: 100% error\n\
             first log: 100% info\n\
             first trace: cr_plugin_open{suffix}\n\
             first trace: cr_plugin_close{suffix}\n\
             first malloc 10\n\
             first realloc 20\n\
             first free\n\
             update true\n\
             7\n\
             changed\n\
             1\n\
             reload\n\
             rollback\n\
             1\n\
             unload 1 0\n\
             5\n\
             an error\n\
             temporary path /tmp\n\
             close\n\
             open second with mode 3, main_func second_main, size right\n\
             second log: 100% info\n\
             second free\n\
             {default_argument}\
             update false\n"
        );
        assert_eq!(text, expected, "{name} -std={standard}");
    }
}

#[test]
fn without_macros_nothing_is_handed_over_that_costs() {
    for (name, standard) in HOST_BUILDS {
        let dir = TempDir::new().unwrap();
        let text = succeeds(&mut Command::new(program(&dir, name, standard, &[("defaults.c", &[])])));
        let expected = "open game with mode 2, main_func cr_main, size right\nno log\nno allocator\n";
        assert_eq!(text, expected, "{name} -std={standard}");
    }
}

#[test]
fn cr_debug_logs_to_stdout_and_stderr() {
    for (name, standard) in HOST_BUILDS {
        let dir = TempDir::new().unwrap();
        let output = Command::new(program(&dir, name, standard, &[("defaults.c", &["-DCR_DEBUG"])])).output().unwrap();
        let suffix = if standard.starts_with("c++") { "" } else { "_" };
        let expected = format!(
            "open game with mode 2, main_func cr_main, size right\n\
             100% info\n\
             CR_TRACE: cr_plugin_open{suffix}\n\
             CR_TRACE: cr_plugin_close{suffix}\n\
             no allocator\n"
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name} -std={standard}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "100% error\n", "{name} -std={standard}");
    }
}

#[test]
fn functions_that_a_file_declares_by_hand_are_those_of_the_library() {
    for name in CPP_COMPILERS {
        let dir = TempDir::new().unwrap();
        let text = succeeds(&mut Command::new(program(&dir, name, "c++11", &[("by_hand.cpp", &[])])));
        assert_eq!(text, "open game\nload game\nupdate true\nclose\n", "{name}");
    }
}

#[test]
fn the_internals_that_hosts_use_work() {
    for name in CPP_COMPILERS {
        for standard in CPP_HOSTS {
            let dir = TempDir::new().unwrap();
            let guest = dir.path().join("guest.so");
            let mut shared = compiler(c_compiler(name), "c11");
            succeeds(shared.args(["-shared", "-fPIC"]).arg(source("state.c")).arg("-o").arg(&guest));
            let program = program(&dir, name, standard, &[("compat.cpp", &[])]);
            let text = succeeds(Command::new(program).arg(dir.path()).arg(guest));
            assert_eq!(text, "open game with mode 2, main_func cr_main, size right\nno log\nno allocator\n");
        }
    }
}

#[test]
fn a_host_file_defines_nothing_of_the_library() {
    for (name, standard) in HOST_BUILDS {
        let dir = TempDir::new().unwrap();
        let object = dir.path().join("host.o");
        let file = if standard.starts_with("c++") { "host.cpp" } else { "host.c" };
        succeeds(compiler(name, standard).args(["-DCR_DEBUG", "-c"]).arg(source(file)).arg("-o").arg(&object));
        // A local copy of cr_plugin_open is meant; a global one would meet that of the next file.
        let text = succeeds(Command::new("nm").args(["--extern-only", "--defined-only"]).arg(&object));
        let cr: Vec<_> = text.lines().filter(|line| line.contains("cr_") && !line.contains("cr_text")).collect();
        assert!(cr.is_empty(), "{name} -std={standard}: {cr:?}");
        assert!(text.contains("main"), "{name} -std={standard}: nm shows nothing:\n{text}");
    }
}

#[test]
fn state_that_a_version_only_reads_is_not_taken_for_a_constant() {
    for (name, standard) in [("gcc", "c11"), ("clang", "c11"), ("g++", "c++17"), ("clang++", "c++17")] {
        let dir = TempDir::new().unwrap();
        let object = dir.path().join("state.o");
        succeeds(compiler(name, standard).args(["-O2", "-c"]).arg(source("state.c")).arg("-o").arg(&object));
        let text = succeeds(Command::new("objdump").args(["--syms"]).arg(&object));
        let is_there = text.lines().any(|line| line.contains(".state") && line.contains("kept"));
        assert!(is_there, "{name}: the variable was replaced by its value:\n{text}");
    }
}

#[test]
fn the_header_has_the_version_of_the_crate() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("version.c");
    let text = format!(
        "#include \"cr.h\"\n\
         #include <string.h>\n\
         #if CR_VERSION_MAJOR != {} || CR_VERSION_MINOR != {} || CR_VERSION_PATCH != {}\n\
         #error \"another version\"\n\
         #endif\n\
         int main(void) {{ return strcmp(CR_VERSION_STRING, \"{}\"); }}\n",
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
        env!("CARGO_PKG_VERSION"),
    );
    std::fs::write(&file, text).unwrap();
    let program = dir.path().join("version");
    succeeds(compiler("gcc", "c89").arg(file).arg("-o").arg(&program));
    succeeds(&mut Command::new(program));
}
