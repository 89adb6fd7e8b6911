//! `cargo xtask test`: everything that can be tested on this machine.

use crate::beside::Beside;
use crate::cmake::{self, WAYS};
use crate::machine::{self, Machine};
use crate::steps::{self, Step};
use crate::tools::{self, cargo};
use crate::{
    bench, checks, demo, header, libs, microsoft, musl, packages, platforms, readme, suites, symbols, wine, zig,
};
use anyhow::{Result, bail};
use std::rc::Rc;

/// The steps, in an order that shows cheap mistakes first. A later step may use what an earlier one built.
fn native(machine: &'static Machine) -> Result<Vec<Step>> {
    let [ninja, make] = WAYS;
    let platform = platforms::name(machine.triple)?;
    Ok(vec![
        Step::new("packages", packages::install),
        Step::new("format", || tools::run(cargo().args(["fmt", "--all", "--check"]))),
        Step::new("header", header::check),
        Step::new("clippy", || clippy(&[])),
        Step::new("clippy capi", || clippy(&["--features", "capi"])),
        Step::new("doc", doc),
        Step::new("libraries", || libs::build(machine)).links(platform),
        Step::new("symbols", || symbols::exported(machine)),
        Step::new("native libraries", || symbols::native(machine)),
        Step::with_remark("rust tests", || suites::native(machine)).tests(platform, "all, natively"),
        Step::new("doc tests", || tools::run(cargo().args(["test", "--doc", "--locked", "--package", "cr-reload"]))),
        Step::new(format!("cmake {}", ninja.name()), move || cmake::project(ninja)),
        Step::new(format!("cmake {}", make.name()), move || cmake::project(make)),
        Step::new("add_subdirectory ninja", move || cmake::add_subdirectory(ninja)),
        Step::new("add_subdirectory make", move || cmake::add_subdirectory(make)),
        Step::new("FetchContent ninja", move || cmake::fetch_content(ninja)),
        Step::new("FetchContent make, archive", move || cmake::fetch_content_archive(make)),
        Step::new("find_package ninja", move || cmake::find_package(ninja)),
        Step::new("find_package make", move || cmake::find_package(make)),
        Step::new("pkg-config", cmake::pkg_config),
        Step::new("readme", readme::check),
        Step::new("benchmarks", bench::smoke),
        Step::new("demo", move || demo::run(machine, true)),
    ])
}

/// On other systems than Linux: what has been written for them.
fn native_elsewhere(machine: &'static Machine) -> Result<Vec<Step>> {
    let platform = platforms::name(machine.triple)?;
    let mut steps = native(machine)?;
    let mut parts = vec!["packages", "format", "header", "clippy", "doc", "rust tests"];
    if cfg!(target_os = "macos") {
        // The suite in C and C++, which is among the Rust tests, finds the libraries where they were built.
        parts.extend(["libraries", "cmake makefiles", "find_package make"]);
    }
    steps.retain(|step| parts.iter().any(|part| step.name.starts_with(part)));
    if cfg!(target_os = "macos") {
        steps.push(Step::new("symbols", || zig::check_native(machine)).links(platform));
    }
    Ok(steps)
}

/// For another machine: what depends on the machine.
fn for_other(machine: &'static Machine) -> Result<Vec<Step>> {
    let platform = platforms::name(machine.triple)?;
    let how = machine.how();
    let name = |step: &str| format!("{platform}: {step}");
    let mut steps = vec![Step::new(name("packages"), || packages::install_for(machine))];
    if machine.is_windows() {
        steps.push(Step::new(name("wine"), || wine::prepare(machine)));
        steps.push(Step::new(name("header by Microsoft's rules"), microsoft::check));
    }
    steps.extend([
        Step::new(name("libraries"), || libs::build(machine)).links(platform),
        Step::new(name("symbols"), || symbols::exported(machine)),
        Step::new(name("native libraries"), || symbols::native(machine)),
        Step::new(name("rust tests"), || suites::foreign_rust(machine)).tests(platform, format!("Rust suite, {how}")),
        Step::with_remark(name("c tests"), || suites::foreign_c(machine))
            .tests(platform, format!("C and C++ suite, {how}")),
        Step::new(name("cmake"), || cmake::cross(machine)).tests(platform, format!("CMake, {how}")),
    ]);
    if machine.is_windows() {
        steps.push(Step::new(name("find_package"), || cmake::find_package_cross(machine)));
        steps.push(Step::new(name("demo"), move || demo::run(machine, true)));
        steps.push(Step::new(name("benchmarks"), || wine::bench(machine)));
    }
    Ok(steps)
}

/// From here everything can be tested that can be tested without the machine.
const ALL_FROM: &str = "x86_64-unknown-linux-gnu";

/// The steps for this machine, and beside them some for Windows.
fn native_and_windows(machine: &'static Machine) -> Result<Vec<Step>> {
    let mut steps = native(machine)?;
    let platform = platforms::name(machine::WINDOWS.triple)?;
    let beside = Rc::new(Beside::new(&machine::WINDOWS));
    let (first, last) = (Rc::clone(&beside), beside);
    steps.insert(1, Step::new(format!("{platform}: begin"), move || first.start()));
    steps.push(Step::with_remark(format!("{platform}: C and C++ suite"), move || last.finish()));
    Ok(steps)
}

/// The steps for one platform, for this machine and Windows if none is named, or for all.
fn steps(target: Option<&str>, all: bool) -> Result<Vec<Step>> {
    let machine = machine::native()?;
    let native = || if cfg!(target_os = "linux") { native(machine) } else { native_elsewhere(machine) };
    match target {
        Some(triple) if triple == machine.triple => native(),
        None if !all && machine.triple == ALL_FROM => native_and_windows(machine),
        None if !all => native(),
        None if machine.triple != ALL_FROM => bail!("all platforms are tested from {ALL_FROM}, not from here"),
        None => {
            let mut steps = native()?;
            for machine in machine::others() {
                steps.extend(for_other(machine)?);
            }
            for target in zig::MACOS {
                steps.extend(zig::macos(target));
            }
            steps.extend(musl::steps());
            steps.extend(checks::steps());
            Ok(steps)
        }
        Some(triple) => {
            if let Some(target) = zig::MACOS.iter().find(|target| target.triple == triple) {
                Ok(zig::macos(*target))
            } else if triple == musl::MUSL.triple {
                Ok(musl::steps())
            } else if let (false, Some(step)) = (machine::is_known(triple), checks::step(triple)) {
                Ok(vec![step])
            } else if machine::is_by_name(triple) {
                // The table has what can be shown everywhere; and CMake's toolchain file is for 64 bits.
                let mut steps = for_other(machine::find(triple)?)?;
                steps.retain(|step| {
                    ["packages", "wine", "librar", "symbols", "tests"].iter().any(|part| step.name.contains(part))
                });
                Ok(steps.into_iter().map(Step::without_proof).collect())
            } else {
                for_other(machine::find(triple)?)
            }
        }
    }
}

/// The steps that are wanted, by parts of their names.
pub(crate) struct Choice {
    pub(crate) only: Vec<String>,
    pub(crate) skip: Vec<String>,
}

impl Choice {
    fn has(&self, step: &Step) -> bool {
        let named = |parts: &[String]| parts.iter().any(|part| step.name.contains(part.as_str()));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

pub(crate) fn run(choice: &Choice, target: Option<&str>, all: bool, list: bool) -> Result<()> {
    let (steps, left_out): (Vec<_>, Vec<_>) = steps(target, all)?.into_iter().partition(|step| choice.has(step));
    if list {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(());
    }
    if steps.is_empty() {
        bail!("no step has such a name; `cargo xtask test --list` names them");
    }
    let Some(mut rows) = steps::run(&steps) else { std::process::exit(1) };
    // What a part of a platform's steps has shown of it is not all that there is to show.
    rows.retain(|row| !left_out.iter().any(|step| step.is_for(&row.platform)));
    // Where the documents were written, all of it can be run.
    if !rows.is_empty() && machine::native()?.triple == ALL_FROM {
        platforms::check(&rows, all && left_out.is_empty())?;
        let platforms: Vec<_> = rows.iter().map(|row| row.platform.as_str()).collect();
        println!("\ndocs/platforms.md says the same of {}", platforms.join(", "));
    }
    Ok(())
}

fn clippy(features: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--locked"]).args(features);
    tools::run(command.args(["--", "-D", "warnings"]))
}

fn doc() -> Result<()> {
    tools::run(
        cargo().args(["doc", "--package", "cr-reload", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
    )
}
