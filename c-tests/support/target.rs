//! The machine that the tests are for. It may be another one than that which they are built on.
//!
//! The suite in C runs on this machine and its hosts on the other: `CR_TEST_TARGET` names it. How programs of it are
//! run stands where cargo has it too, in `CARGO_TARGET_<TRIPLE>_RUNNER`, and its compilers where the crate `cc` looks.

#![allow(dead_code)] // each suite uses a part

use std::ffi::OsStr;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;
use std::path::PathBuf;
use std::process::Command;

/// The Rust triple.
pub(crate) fn triple() -> String {
    std::env::var("CR_TEST_TARGET").unwrap_or_else(|_| env!("CR_TARGET").to_owned())
}

/// The program that runs those of the target, with its arguments, or nothing.
fn runner() -> Vec<String> {
    if cfg!(windows) {
        return Vec::new(); // wine, which runs us, runs others without being asked
    }
    let name = format!("CARGO_TARGET_{}_RUNNER", triple().to_uppercase().replace('-', "_"));
    std::env::var(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Are programs of the target run by QEMU?
pub(crate) fn is_emulated() -> bool {
    runner().first().is_some_and(|program| program.contains("qemu"))
}

/// Is the target Windows?
pub(crate) fn is_windows() -> bool {
    triple().contains("windows")
}

/// Are its pointers of 64 bits?
pub(crate) fn is_wide() -> bool {
    !triple().starts_with("i686")
}

/// Is the target macOS?
pub(crate) fn is_macos() -> bool {
    triple().contains("apple")
}

/// A program of the target, ready to be run.
pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    match &runner()[..] {
        [] => Command::new(path),
        [runner, arguments @ ..] => {
            let mut command = Command::new(runner);
            command.args(arguments).arg(path);
            command
        }
    }
}

/// The C or C++ compiler for the target, as CC, CXX and cargo's configuration name it.
pub(crate) fn compiler(cpp: bool) -> Command {
    let triple = triple();
    let mut build = cc::Build::new();
    build.cpp(cpp).target(&triple).host(env!("CR_HOST")).opt_level(0).cargo_metadata(false).no_default_flags(true);
    build.get_compiler().to_command()
}

/// Where the compiler has a library.
pub(crate) fn library(name: &str) -> PathBuf {
    let place = compiler(false).arg(format!("-print-file-name={name}")).output().unwrap().stdout;
    PathBuf::from(String::from_utf8(place).unwrap().trim())
}

/// The flag with which a cross compiler, which looks only beside itself, finds a linker that serves all machines.
pub(crate) fn find_linker(linker: &str) -> Option<String> {
    let name = format!("ld.{linker}");
    let folders = std::env::var_os("PATH").filter(|_| triple() != env!("CR_HOST"))?;
    let program = std::env::split_paths(&folders).map(|folder| folder.join(&name)).find(|program| program.exists())?;
    // In a directory of its own: GNU's programs are of one machine, and the compiler must not find those.
    let place = std::env::current_exe().ok()?.with_file_name("linkers");
    if matches!(linker, "lld" | "mold") {
        std::fs::create_dir_all(&place).ok()?;
        // Tests do it at the same time; one of them succeeds.
        let _ = symlink(program, place.join(name));
    }
    Some(format!("-B{}", place.display()))
}

/// The name that compilers in C have for the target: without a vendor, and with the processor's plain name.
pub(crate) fn gnu_triple() -> String {
    let triple = triple().replace("-unknown", "").replace("riscv64gc", "riscv64");
    triple.replace("-pc-windows-gnu", "-w64-mingw32")
}

/// What C calls something by the name that it has in the target's files.
pub(crate) fn name_in_c(name: &str) -> &str {
    let prefix = if is_windows() && !is_wide() { "_" } else { "" };
    name.strip_prefix(prefix).unwrap_or(name)
}

/// A program of the GNU binutils that can read the target's files.
pub(crate) fn binutil(name: &str) -> Command {
    let triple = triple();
    if triple == env!("CR_HOST") { Command::new(name) } else { Command::new(format!("{}-{name}", gnu_triple())) }
}
