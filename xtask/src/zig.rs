//! Systems that zig can compile and link for from here. Nothing here can run programs of macOS; for musl see `musl`.

use crate::machine::{self, Machine};
use crate::steps::Step;
use crate::tools::{Scratch, cargo, command, find, output, root, run, work_dir};
use crate::{libs, packages, symbols};
use anyhow::{Context, Result, bail};
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What pip installs: zig, and what lets cargo link with it.
const PACKAGES: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];

/// A system that zig links for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) triple: &'static str,
    /// As zig calls it.
    pub(crate) zig: &'static str,
    /// As the table of platforms calls it.
    pub(crate) platform: &'static str,
}

pub(crate) const MACOS: [Target; 2] = [
    Target { triple: "aarch64-apple-darwin", zig: "aarch64-macos", platform: "macOS aarch64" },
    Target { triple: "x86_64-apple-darwin", zig: "x86_64-macos", platform: "macOS x86_64" },
];

/// The test that shows that the suite in C and C++ can be built.
const BUILT: &str = "hosts_and_guests_are_built";

/// The samples: the source, and whether it is a host.
const SAMPLES: [(&str, bool); 8] = [
    ("basic/basic_guest.c", false),
    ("basic/basic_guest.cpp", false),
    ("basic/basic_guest_b.c", false),
    ("callbacks/callbacks_guest.c", false),
    ("basic/basic_host.c", true),
    ("basic/basic_host.cpp", true),
    ("basic/basic_host_b.cpp", true),
    ("callbacks/callbacks_host.c", true),
];

/// The steps for macOS: everything but running it.
pub(crate) fn macos(target: Target) -> Vec<Step> {
    let step = |name: &str, action: fn(Target) -> Result<()>| {
        Step::new(format!("{}: {name}", target.platform), move || action(target))
    };
    vec![
        Step::new(format!("{}: packages", target.platform), move || packages_for(target)),
        step("libraries", build).links(target.platform),
        step("symbols", check_library).links(target.platform),
        step("samples", samples).links(target.platform),
        step("c tests", build_c_tests).links(target.platform),
    ]
}

pub(crate) fn packages_for(target: Target) -> Result<()> {
    packages::install_for(&machine::plain(target.triple))?;
    install()
}

/// Installs zig where pip is, into a directory of our own.
pub(crate) fn install() -> Result<()> {
    let there = |python: &mut Command| python.output().is_ok_and(|output| output.status.success());
    if there(command("python3").args(["-m", "ziglang", "version"])) && zigbuild().exists() {
        println!("zig is there");
        return Ok(());
    }
    let by_hand = format!("python3 -m pip install {}", PACKAGES.join(" "));
    run(command("python3").args(["-m", "pip", "install", "--quiet", "--target"]).arg(python_dir()).args(PACKAGES))
        .with_context(|| format!("zig is missing; by hand: {by_hand}"))
}

/// Where Python finds what `install` has installed, and `bin/cargo-zigbuild` is.
pub(crate) fn python_dir() -> PathBuf {
    work_dir().join("python")
}

fn zigbuild() -> PathBuf {
    find("cargo-zigbuild").unwrap_or_else(|| python_dir().join("bin/cargo-zigbuild"))
}

pub(crate) fn compiler(target: Target, cpp: bool) -> Command {
    let mut zig = command("python3");
    zig.args(["-m", "ziglang", if cpp { "c++" } else { "cc" }, "-target", target.zig, "-O1"]);
    zig.arg(if cpp { "-std=c++11" } else { "-std=gnu11" }).arg("-I").arg(root().join("include"));
    zig
}

fn lib_dir(target: Target) -> PathBuf {
    work_dir().join(format!("lib-{}", target.triple))
}

fn build(target: Target) -> Result<()> {
    let (lib, cargo) = (lib_dir(target), work_dir().join(format!("cargo-{}", target.triple)));
    fs::create_dir_all(&lib)?;
    let made = cargo.join(target.triple).join("release");
    run(&mut rustc(target, "staticlib", &cargo)?)?;
    libs::replace(&made.join("libcr.a"), &lib.join("libcr.a"))?;
    run(rustc(target, "cdylib", &cargo)?.args(["--", "-C", libs::INSTALL_NAME]))?;
    libs::replace(&made.join("libcr.dylib"), &lib.join("libcr.dylib"))
}

/// The command that builds a library of this kind as it is shipped, in a directory of cargo's.
pub(crate) fn rustc(target: Target, kind: &str, cargo_dir: &Path) -> Result<Command> {
    let mut cargo = command(zigbuild());
    cargo.envs(machine::plain(target.triple).environment()?);
    // rustc would call a program for that which is not there. There are no debug symbols to be stripped.
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "none");
    cargo.args(["rustc", "--release", "--locked", "--lib", "--features", "capi", "--crate-type", kind]);
    cargo.args(["--target", target.triple, "--target-dir"]).arg(cargo_dir);
    Ok(cargo)
}

/// The library is named so that programs find it beside themselves, and exports the functions of the header alone.
fn check_library(target: Target) -> Result<()> {
    let library = lib_dir(target).join("libcr.dylib");
    expect_architecture(&library, target)?;
    check_exports(&library, is_of_rust)
}

/// Symbols of Rust's library that zig's linker exports too: it does not know the list of exports that rustc makes, as
/// Apple's linker does.
fn is_of_rust(name: &str) -> bool {
    ["__dso_handle", "rust_eh_personality"].contains(&name) || name.starts_with("_R") && name.contains("3std")
}

/// As above, on a Mac.
pub(crate) fn check_native(machine: &Machine) -> Result<()> {
    check_exports(&machine.lib_dir().join("libcr.dylib"), |_| false)
}

fn check_exports(library: &Path, is_known: fn(&str) -> bool) -> Result<()> {
    let header = symbols::functions_of_the_header(&fs::read_to_string(root().join("include/cr.h"))?);
    let exported = exports(library)?.into_iter().filter(|name| !is_known(name)).collect();
    symbols::same("libcr.dylib exports", &exported, &header)?;
    let id = output(command(llvm("objdump")).args(["--macho", "--dylib-id"]).arg(library))?;
    if !id.lines().any(|line| line == "@rpath/libcr.dylib") {
        bail!("libcr.dylib has the install name {id}");
    }
    println!("{} functions in libcr.dylib and cr.h; install name @rpath/libcr.dylib", header.len());
    Ok(())
}

/// What a file of macOS exports, without the underscore of C.
fn exports(file: &Path) -> Result<std::collections::BTreeSet<String>> {
    let text = output(command(llvm("nm")).args(["--extern-only", "--defined-only", "--format=posix"]).arg(file))?;
    let names = text.lines().filter_map(|line| line.split(' ').next()?.strip_prefix('_'));
    // Put there by linkers: the file header.
    Ok(names.filter(|name| !name.starts_with("_mh_")).map(str::to_owned).collect())
}

/// Apple has LLVM's programs under their old names.
fn llvm(name: &str) -> String {
    if cfg!(target_os = "macos") { name.to_owned() } else { format!("llvm-{name}") }
}

fn expect_architecture(file: &Path, target: Target) -> Result<()> {
    let text = output(command("llvm-readobj").arg("--file-headers").arg(file))?;
    let wanted = format!("Arch: {}", target.zig.split('-').next().unwrap_or_default());
    if text.lines().any(|line| line == wanted) { Ok(()) } else { bail!("{}: not {wanted}", file.display()) }
}

/// All samples: guests, and hosts with the shared library and with the static one.
fn samples(target: Target) -> Result<()> {
    let scratch = Scratch::new(&format!("samples-{}", target.triple))?;
    let lib = lib_dir(target);
    for (source, is_host) in SAMPLES {
        let source = root().join("samples").join(source);
        let cpp = source.extension().is_some_and(|extension| extension == "cpp");
        let ways: &[&str] = if is_host { &["libcr.dylib", "libcr.a"] } else { &["guest"] };
        for way in ways {
            let made = scratch.path().join("made");
            let mut zig = compiler(target, cpp);
            zig.arg(&source).arg("-o").arg(&made);
            if is_host {
                zig.arg(lib.join(way)).arg("-Wl,-rpath,@executable_path");
            } else {
                zig.arg("-shared");
            }
            run(&mut zig)?;
            expect_architecture(&made, target)?;
            let needs = output(command(llvm("objdump")).args(["--macho", "--dylibs-used"]).arg(&made))?;
            if needs.contains("@rpath/libcr.dylib") != (*way == "libcr.dylib") {
                bail!("{}, {way}: it needs {needs}", source.display());
            }
            if !is_host && !exports(&made)?.contains("cr_main") {
                bail!("{} does not export cr_main", source.display());
            }
        }
    }
    Ok(())
}

/// The hosts and guests of the suite in C and C++, which a person with a Mac can run.
fn build_c_tests(target: Target) -> Result<()> {
    // Not with the time limit that tests otherwise have: all of it is compiled in one of them.
    let mut tests = cargo();
    tests.args(["test", "--locked", "--package", "cr-reload", "--test", "contract"]);
    tests.env("CR_LIB_DIR", lib_dir(target)).env("CR_TEST_TARGET", target.triple);
    for (variable, command) in [("CC", "cc"), ("CXX", "c++")] {
        // One file, as compilers usually are.
        let place = work_dir().join(format!("zig-{}", target.triple));
        fs::create_dir_all(&place)?;
        let file = place.join(command);
        let zig = format!("python3 -m ziglang {command} -target {} -fno-sanitize=undefined", target.zig);
        fs::write(&file, format!("#!/bin/sh\nexec {zig} \"$@\"\n"))?;
        #[cfg(unix)]
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755))?;
        tests.env(format!("{variable}_{}", target.triple.replace('-', "_")), file);
    }
    let result = run(tests.args(["--", "--exact", BUILT]));
    // The crate `cc` asks the compiler who it is, and zig leaves a file behind when it answers.
    let _ = fs::remove_file(root().join("a.o"));
    result
}
