//! Linux with musl, by zig's compiler and linker; this machine runs the programs itself.
//!
//! Rust links musl into programs by default, and there is no dynamic loader in them: a host then only gets a clear error.
//! A host that is linked dynamically, with `-C target-feature=-crt-static`, can load guests.

use crate::steps::Step;
use crate::tools::{Scratch, command, output, root, run, work_dir};
use crate::zig::{Target, compiler, packages_for, rustc};
use crate::{libs, packages};
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const MUSL: Target =
    Target { triple: "x86_64-unknown-linux-musl", zig: "x86_64-linux-musl", platform: "Linux x86_64 (musl)" };

/// How programs are linked.
#[derive(Clone, Copy)]
enum Way {
    Static,
    Dynamic,
}

pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step::new("musl: packages", install),
        Step::new("musl: static library", || build(Way::Static)).links(MUSL.platform),
        Step::new("musl: static host", run_static).tests(MUSL.platform, "a static host"),
        Step::new("musl: library for dynamic hosts", || build(Way::Dynamic)).links(MUSL.platform),
        Step::new("musl: dynamic host", run_dynamic).tests(MUSL.platform, "the scenarios in C, natively"),
    ]
}

fn install() -> Result<()> {
    packages_for(MUSL)?;
    packages::provide(&[("/lib/ld-musl-x86_64.so.1", "musl")])
}

fn place(kind: &str, way: Way) -> PathBuf {
    work_dir().join(format!("{kind}-{}{}", MUSL.triple, if matches!(way, Way::Static) { "" } else { "-dynamic" }))
}

fn build(way: Way) -> Result<()> {
    let (cargo_dir, lib) = (place("cargo", way), place("lib", way));
    let mut cargo = rustc(MUSL, "staticlib", &cargo_dir)?;
    if matches!(way, Way::Dynamic) {
        // For the standard library, too.
        cargo.env("RUSTFLAGS", "-C target-feature=-crt-static");
    }
    run(&mut cargo)?;
    fs::create_dir_all(&lib)?;
    libs::replace(&cargo_dir.join(MUSL.triple).join("release/libcr.a"), &lib.join("libcr.a"))
}

/// A program without a dynamic loader says so.
fn run_static() -> Result<()> {
    const WANTED: &str = "host: failure 8: Dynamic loading not supported";
    let scratch = Scratch::new("static")?;
    let (host, guest) = (scratch.path().join("host"), scratch.path().join("libguest.so"));
    let samples = root().join("samples/basic");
    let mut zig = compiler(MUSL, false);
    zig.arg("-static").arg(samples.join("basic_host.c")).arg(place("lib", Way::Static).join("libcr.a"));
    run(zig.args(["-lunwind", "-lm", "-o"]).arg(&host))?;
    run(compiler(MUSL, false).arg("-shared").arg(samples.join("basic_guest.c")).arg("-o").arg(&guest))?;
    let mut timeout = command("timeout");
    let text = output(timeout.args(["--preserve-status", "--signal=INT", "1"]).arg(&host).arg(&guest))?;
    println!("{text}");
    if text.lines().any(|line| line == WANTED) { Ok(()) } else { bail!("the host did not say \"{WANTED}\"") }
}

/// The parts of the test host that are in C, and the guests of its scenarios, by their flags.
const HOST: [&str; 5] = ["runner.c", "files.c", "system_posix.c", "system_linux.c", "c_host.c"];
const GUESTS: [(&str, &[&str]); 4] = [
    ("general_a", &["-DMARKER=a"]),
    ("general_b", &["-DMARKER=b"]),
    ("other_entry_a", &["-DMARKER=a", "-DENTRY=other_entry"]),
    ("other_entry_b", &["-DMARKER=b", "-DENTRY=other_entry"]),
];

/// The scenarios of a host in C: loading, reloading, crashes and rollbacks, and that all images are reported to stay.
fn run_dynamic() -> Result<()> {
    let scratch = Scratch::new("dynamic")?;
    let tests = root().join("c-tests");
    let host = scratch.path().join("host");
    let mut zig = compiler(MUSL, false);
    zig.args(["-dynamic", "-pthread"]).args(HOST.map(|name| tests.join("host").join(name)));
    run(zig.arg(place("lib", Way::Dynamic).join("libcr.a")).args(["-lunwind", "-o"]).arg(&host))?;
    for (name, flags) in GUESTS {
        let mut zig = compiler(MUSL, false);
        zig.arg("-shared").args(flags).arg(tests.join("guest/general.c"));
        run(zig.arg("-o").arg(scratch.path().join(format!("{name}.so"))))?;
    }
    let in_scratch = |mut command: Command, scratch: &Path| {
        command.env("CR_TEST_GUESTS", scratch).env("TMPDIR", scratch);
        command
    };
    let list = output(in_scratch(command(&host), scratch.path()).arg("--list"))?;
    if list.lines().count() < 10 {
        bail!("the host has only {list}");
    }
    for scenario in list.lines() {
        let mut timeout = in_scratch(command("timeout"), scratch.path());
        run(timeout.arg("60").arg(&host).arg(scenario))?;
    }
    Ok(())
}
