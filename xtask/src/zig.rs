//! Systems that zig can compile and link for from here. Nothing here can run programs of macOS; for musl see `musl`.

use crate::machine::{self, Machine};
use crate::steps::Step;
use crate::tools::{Scratch, cargo, command, find, output, root, run, work_dir};
use crate::{libs, packages, suites, symbols};
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
        step("native libraries", native).links(target.platform),
        step("c tests", build_c_tests).links(target.platform),
        step("cmake", build_with_cmake).links(target.platform),
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
    run(rustc(target, "staticlib", &cargo)?.args(libs::tell_native_libs(&cargo)))?;
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

/// What programs with libcr.a in them need besides is what rustc says.
fn native(target: Target) -> Result<()> {
    symbols::native(&machine::plain(target.triple))
}

/// A directory with the compilers as one file each, as compilers usually are, and what else CMake looks for on macOS.
fn programs(target: Target) -> Result<PathBuf> {
    let place = work_dir().join(format!("zig-{}", target.triple));
    fs::create_dir_all(&place)?;
    let script = |name: &str, text: &str| -> Result<()> {
        fs::write(place.join(name), format!("#!/bin/sh\n{text}\n"))?;
        #[cfg(unix)]
        fs::set_permissions(place.join(name), PermissionsExt::from_mode(0o755))?;
        Ok(())
    };
    for name in ["cc", "c++"] {
        // CMake's modules are bundles on macOS, which zig does not make.
        let bundles = r#"for word; do shift; [ "$word" = -bundle ] && word=-shared; set -- "$@" "$word"; done"#;
        let zig = format!("exec python3 -m ziglang {name} -target {} -fno-sanitize=undefined", target.zig);
        script(name, &format!("{bundles}\n{zig} \"$@\""))?;
    }
    // It is zigbuild that knows how to link.
    let linker = format!("CARGO_TARGET_{}_LINKER", target.triple.to_uppercase().replace('-', "_"));
    let (zigbuild, cargo) = (zigbuild(), cargo());
    let cargo = cargo.get_program().to_string_lossy();
    let text = format!("unset {linker}\n[ \"$1\" = rustc ] && exec {} \"$@\"\nexec {cargo} \"$@\"", zigbuild.display());
    script("cargo", &text)?;
    // CMake makes flags for the version of macOS that the first one tells, and asks for the second, which is not used.
    script("sw_vers", "echo 13.0")?;
    script("install_name_tool", "exit 1")?;
    Ok(place)
}

/// The hosts and guests of the suite in C and C++, which a person with a Mac can run.
fn build_c_tests(target: Target) -> Result<()> {
    let mut environment = suites::c_environment(target.triple, &lib_dir(target));
    let programs = programs(target)?;
    for (variable, name) in [("CC", "cc"), ("CXX", "c++")] {
        let value = programs.join(name).display().to_string();
        environment.push((format!("{variable}_{}", target.triple.replace('-', "_")), value));
    }
    let result = suites::build_c(&environment);
    // The crate `cc` asks the compiler who it is, and zig leaves a file behind when it answers.
    let _ = fs::remove_file(root().join("a.o"));
    result
}

/// The whole project by CMake, and a project that finds what it has installed.
fn build_with_cmake(target: Target) -> Result<()> {
    let place = |name: &str| work_dir().join("cmake").join(format!("{name}-{}", target.triple));
    let (build, prefix, user) = (place("cross"), place("prefix"), place("find"));
    for folder in [&prefix, &user] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    let settings = [
        format!("-DCR_CARGO={}", programs(target)?.join("cargo").display()),
        format!("-DCR_CARGO_TARGET={}", target.triple),
        format!("-DCR_CARGO_TARGET_DIR={}", work_dir().join(format!("cargo-{}", target.triple)).display()),
    ];
    cmake_build(target, root(), &build, &settings)?;
    check_exports(&build.join("lib/libcr.dylib"), is_of_rust)?;
    let host = output(command(llvm("objdump")).args(["--macho", "--private-headers"]).arg(build.join(SHARED_HOST)))?;
    for wanted in ["@rpath/libcr.dylib".to_owned(), build.join("lib").display().to_string()] {
        if !host.contains(&format!(" {wanted} (offset")) {
            bail!("{SHARED_HOST} does not name {wanted}");
        }
    }
    run(command("cmake").arg("--install").arg(&build).arg("--prefix").arg(&prefix))?;
    let find = ["-DCR_FROM=find_package".to_owned(), format!("-Dcr_DIR={}", prefix.join("lib/cmake/cr").display())];
    cmake_build(target, &root().join("cmake/tests/consumer"), &user, &find)?;
    // Its tests that only look at the files.
    let mut ctest = command("ctest");
    ctest.arg("--test-dir").arg(&user).args(["--output-on-failure", "--no-tests=error"]);
    run(ctest.args(["--tests-regex", "^(clean|static|shared)\\."]))
}

/// The host of the suite that is linked with the shared library, in CMake's tree.
const SHARED_HOST: &str = "c-tests/cr_test_host_shared";

fn cmake_build(target: Target, source: &Path, build: &Path, settings: &[String]) -> Result<()> {
    let programs = programs(target)?;
    let mut configure = command("cmake");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs.clone()].into_iter().chain(std::env::split_paths(&path)))?;
    configure.env("PATH", path).arg("-S").arg(source).arg("-B").arg(build).args(["-G", "Ninja"]);
    let processor = target.zig.split('-').next().unwrap_or_default();
    configure.args(["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_SYSTEM_NAME=Darwin", "-DCMAKE_SYSTEM_VERSION=22"]);
    configure.arg(format!("-DCMAKE_SYSTEM_PROCESSOR={processor}"));
    for (variable, name) in [("C", "cc"), ("CXX", "c++")] {
        configure.arg(format!("-DCMAKE_{variable}_COMPILER={}", programs.join(name).display()));
    }
    for (variable, name) in [("OBJDUMP", llvm("objdump")), ("NM", llvm("nm"))] {
        configure.arg(format!("-DCMAKE_{variable}={name}"));
    }
    run(configure.args(settings))?;
    let mut cmake = command("cmake");
    cmake.envs(machine::plain(target.triple).environment()?).env("CARGO_PROFILE_RELEASE_STRIP", "none");
    run(cmake.arg("--build").arg(build))
}
