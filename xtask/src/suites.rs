//! Running the suites in Rust, and through them those in C and C++.

use crate::machine::Machine;
use crate::tools::{self, cargo, exists, work_dir};
use crate::wine;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The test that builds the suite in C and C++, as every other one of it does if it is the first.
const BUILT: [&str; 2] = ["--exact", "hosts_and_guests_are_built"];

/// Runs that test alone, for the machine that the environment names.
pub(crate) fn build_c(environment: &[(String, String)]) -> Result<()> {
    // Not with the time limit that tests otherwise have: all of it is compiled in this one.
    let mut tests = cargo();
    tests.args(["test", "--locked", "--package", "cr-reload", "--test", "contract"]);
    tools::run(tests.envs(environment.iter().cloned()).arg("--").args(BUILT))
}

/// What tells the suite in C and C++ for which machine it is, and where the libraries are.
pub(crate) fn c_environment(triple: &str, lib: &Path) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![pair("CR_LIB_DIR", lib.display().to_string()), pair("CR_TEST_TARGET", triple.to_owned())]
}

/// All suites on this machine. They find the C libraries by `CR_LIB_DIR`.
pub(crate) fn native(machine: &Machine) -> Result<String> {
    let mut command = runner(cargo());
    command.arg("--workspace");
    if !exists("cargo-nextest") {
        command.args(["--lib", "--bins", "--tests"]);
    }
    // Within the tests their compilation would count against the time limits.
    command.env("CR_TEST_RUST_GUESTS", rust_guests(machine)?);
    counting_skipped(machine, command.env("CR_LIB_DIR", machine.lib_dir()))
}

/// The suites in Rust as programs of another machine.
pub(crate) fn foreign_rust(machine: &Machine) -> Result<()> {
    let mut command = runner(machine.cargo()?);
    command.args(["--package", "cr-reload", "--lib", "--test", "lifecycle", "--target", machine.triple]);
    command.args([if exists("cargo-nextest") { "--cargo-profile" } else { "--profile" }, "cross"]);
    // As above; and programs that wine runs cannot wait for cargo.
    command.env("CR_TEST_RUST_GUESTS", rust_guests(machine)?);
    if machine.is_windows() {
        wine::stay(machine)?;
    }
    tools::run(command.arg("--target-dir").arg(machine.target_dir()))
}

/// Builds the guests of the suites in Rust, which these otherwise do themselves; returns the directory.
fn rust_guests(machine: &Machine) -> Result<PathBuf> {
    let place = work_dir().join(format!("rust-guests-{}", machine.triple));
    fs::create_dir_all(&place)?;
    for features in ["", "second", "crashing", "panicking"] {
        let mut cargo = machine.cargo()?;
        cargo.args(["build", "--quiet", "--locked", "--package", "cr-test-guest", "--features", features]);
        let made = if machine.foreign {
            let target = machine.target_dir();
            cargo.args(["--profile", "cross", "--target", machine.triple, "--target-dir"]).arg(&target);
            target.join(machine.triple).join("cross")
        } else {
            // Where the tests are compiled, with which it shares what it is made of; but it is copied very often.
            cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
            work_dir().with_file_name("debug")
        };
        tools::run(&mut cargo)?;
        fs::copy(made.join(machine.shared_library_of("cr_test_guest")), place.join(format!("guest-{features}")))?;
    }
    Ok(place)
}

/// The suite in C and C++: it runs here, and starts hosts of the other machine.
pub(crate) fn foreign_c(machine: &Machine) -> Result<String> {
    let mut command = runner(cargo());
    command.args(["--package", "cr-reload", "--test", "contract"]);
    if machine.is_windows() {
        wine::stay(machine)?;
        // Here are the scenarios that are for Windows alone. On a busy machine wine sometimes cannot start a program
        // (ERROR_INTERNAL_ERROR); a test that passes the second time is told as flaky.
        command.args(if exists("cargo-nextest") {
            &["--run-ignored", "all", "--retries", "1"][..]
        } else {
            &["--", "--include-ignored"]
        });
    }
    let mut environment = c_environment(machine.triple, &machine.lib_dir());
    environment.extend(machine.runner_environment());
    build_c(&environment)?;
    command.envs(environment);
    counting_skipped(machine, &mut command)
}

/// Tests in processes of their own, if the program for it is there.
fn runner(mut cargo: Command) -> Command {
    if exists("cargo-nextest") {
        cargo.args(["nextest", "run"]);
    } else {
        cargo.arg("test");
    }
    cargo.args(["--locked", "--no-fail-fast"]);
    cargo
}

/// Runs tests and tells which of them were skipped, and why; the remark says how many.
fn counting_skipped(machine: &Machine, command: &mut Command) -> Result<String> {
    let list = work_dir().join(format!("skipped-{}", machine.triple));
    fs::create_dir_all(work_dir())?;
    fs::write(&list, "")?;
    let result = tools::run(command.env("CR_TEST_SKIPPED", &list));
    let text = fs::read_to_string(&list)?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    for line in &lines {
        println!("skipped: {line}");
    }
    result.map(|()| if lines.is_empty() { String::new() } else { format!("{} skipped", lines.len()) })
}
