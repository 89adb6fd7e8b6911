//! The programs that the tests need beside Rust. On Debian, as root, they are installed.

use crate::machine::Machine;
use crate::microsoft;
use crate::tools::{command, exists, output, run};
use crate::zig;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// What must be there, and the Debian package that brings it. A name with a slash is a file.
const NEEDED: [(&str, &str); 21] = [
    ("cc", "gcc"),
    ("g++", "g++"),
    ("make", "make"),
    ("ninja", "ninja-build"),
    ("cmake", "cmake"),
    ("ctest", "cmake"),
    ("clang++", "clang"),
    ("ld.lld", "lld"),
    ("mold", "mold"),
    ("llvm-readobj", "llvm"),
    ("ld.gold", "binutils"), // later systems have it in a package of its own
    ("readelf", "binutils"),
    ("dwp", "binutils"),
    ("llvm-dwp", "llvm"),
    ("dwz", "dwz"),
    ("strace", "strace"),
    ("pkg-config", "pkg-config"),
    ("pip3", "python3-pip"),
    ("x86_64-w64-mingw32-gcc-posix", "gcc-mingw-w64-x86-64-posix"), // images for the tests to read
    ("i686-w64-mingw32-gcc-posix", "gcc-mingw-w64-i686-posix"),
    ("/usr/include/gtest/gtest.h", "libgtest-dev"),
];

/// Installs what is missing for the tests on this machine, or fails with the command that does.
pub(crate) fn install() -> Result<()> {
    rust_components()?;
    if cfg!(not(target_os = "linux")) {
        println!("besides, clang, lld and the LLVM tools are needed, and GNU's or Apple's compilers");
        return Ok(());
    }
    provide(&NEEDED)?;
    zig::install()
}

/// As above, for another machine.
pub(crate) fn install_for(machine: &Machine) -> Result<()> {
    provide(&NEEDED)?;
    machine.add_std()?;
    provide(&machine.needs()?)?;
    if machine.is_windows() {
        provide(&microsoft::NEEDS)?;
    }
    Ok(())
}

pub(crate) fn provide(needed: &[(&'static str, &'static str)]) -> Result<()> {
    let mut missing = missing(needed);
    if missing.contains(&"binutils") && exists("ld") {
        missing.push("binutils-gold");
    }
    if missing.is_empty() {
        println!("all programs are there");
        return Ok(());
    }
    let line = format!("apt-get install -y {}", missing.join(" "));
    if !exists("apt-get") || output(command("id").arg("-u"))?.trim() != "0" {
        bail!("programs are missing; on Debian, as root: {line}");
    }
    run(command("apt-get").args(["update", "-qq"]))?;
    let mut install = command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing))
        .with_context(|| format!("cannot install what is missing; by hand: {line}"))?;
    Ok(())
}

/// The packages of what is not there.
fn missing(needed: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let there = |name: &str| if name.contains('/') { Path::new(name).exists() } else { exists(name) };
    let mut packages: Vec<_> = needed.iter().filter(|(name, _)| !there(name)).map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

/// rustfmt and clippy: a minimal Rust is without them.
fn rust_components() -> Result<()> {
    for (program, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
        if !exists(program) || output(command(program).arg("--version")).is_err() {
            run(command("rustup").args(["component", "add", component]))
                .with_context(|| format!("{component} is missing; install it beside cargo"))?;
        }
    }
    Ok(())
}
