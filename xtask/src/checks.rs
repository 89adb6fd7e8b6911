//! Systems for which the library is compiled or linked here and no more: nothing here runs their programs.

use crate::steps::Step;
use crate::tools::{command, output, root, run, work_dir};
use crate::{libs, machine, packages, symbols};
use anyhow::{Result, bail};

/// The platform's name and its triple.
const SYSTEMS: [(&str, &str); 7] = [
    ("Windows x86_64 (MSVC)", "x86_64-pc-windows-msvc"),
    ("Windows aarch64 (MSVC)", "aarch64-pc-windows-msvc"),
    ("Windows i686 (MSVC)", "i686-pc-windows-msvc"),
    ("FreeBSD x86_64", "x86_64-unknown-freebsd"),
    ("FreeBSD aarch64", "aarch64-unknown-freebsd"),
    ("Android x86_64", "x86_64-linux-android"),
    ("Android aarch64", "aarch64-linux-android"),
];

pub(crate) fn steps() -> Vec<Step> {
    SYSTEMS.iter().filter_map(|(_, triple)| step(triple)).chain([windows_i686()]).collect()
}

/// This one is linked, too.
fn windows_i686() -> Step {
    const PLATFORM: &str = "Windows i686 (MinGW)";
    let link = || {
        packages::install_for(&machine::WINDOWS_I686)?;
        libs::build(&machine::WINDOWS_I686)?;
        symbols::exported(&machine::WINDOWS_I686)
    };
    Step::new(format!("{PLATFORM}: libraries"), link).links(PLATFORM)
}

/// The step for this triple, if it is one of these.
pub(crate) fn step(triple: &str) -> Option<Step> {
    let (platform, triple) = SYSTEMS.iter().find(|(_, known)| *known == triple)?;
    Some(Step::new(format!("{platform}: check"), || check(triple)).compiles(platform))
}

fn check(triple: &'static str) -> Result<()> {
    let machine = machine::plain(triple);
    packages::install_for(&machine)?;
    let mut cargo = machine.cargo()?;
    cargo.args(["check", "--locked", "--package", "cr-reload", "--lib", "--features", "capi", "--target", triple]);
    // One place for all: what runs on this machine, the macros, is compiled once.
    run(cargo.arg("--target-dir").arg(work_dir().join("checks")))?;
    // Of Microsoft's compiler there is more, see `microsoft`.
    if machine.is_windows() { Ok(()) } else { check_header(triple) }
}

/// cr.h compiles in a guest, without the system's own headers, and knows the system.
fn check_header(triple: &str) -> Result<()> {
    let clang = |arguments: &[&str]| {
        let mut clang = command("clang");
        clang.arg(format!("--target={triple}")).args(["-ffreestanding", "-Wall", "-Wextra", "-Werror"]).args(arguments);
        clang.arg("-I").arg(root().join("include")).arg(root().join("c-tests/header/guest.c"));
        clang
    };
    run(&mut clang(&["-fsyntax-only"]))?;
    let macros = output(&mut clang(&["-E", "-dM"]))?;
    let wanted = if triple.contains("freebsd") { "CR_FREEBSD" } else { "CR_LINUX" };
    let systems = ["CR_WINDOWS", "CR_LINUX", "CR_OSX", "CR_FREEBSD"];
    let defined = macros.lines().filter_map(|line| line.strip_prefix("#define ")?.split(' ').next());
    let found: Vec<&str> = defined.filter(|name| systems.contains(name)).collect();
    if found != [wanted] {
        bail!("cr.h defines {found:?} for {triple}");
    }
    println!("cr.h defines {wanted}");
    Ok(())
}
