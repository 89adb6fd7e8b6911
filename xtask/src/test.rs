//! `cargo xtask test`: everything that can be tested on this machine.

use crate::cmake::{self, WAYS};
use crate::machine::{self, Machine};
use crate::steps::{self, Step};
use crate::tools::{self, cargo};
use crate::{bench, demo, header, libs, packages, readme, suites, symbols, wine};
use anyhow::{Result, bail};

/// The steps, in an order that shows cheap mistakes first. A later step may use what an earlier one built.
fn all(machine: &'static Machine) -> Vec<Step> {
    let [ninja, make] = WAYS;
    vec![
        Step::new("packages", packages::install),
        Step::new("format", || tools::run(cargo().args(["fmt", "--all", "--check"]))),
        Step::new("header", header::check),
        Step::new("clippy", || clippy(&[])),
        Step::new("clippy capi", || clippy(&["--features", "capi"])),
        Step::new("doc", doc),
        Step::new("libraries", || libs::build(machine)),
        Step::new("symbols", || symbols::exported(machine)),
        Step::new("native libraries", || symbols::native(machine)),
        Step::with_remark("rust tests", || suites::native(machine)),
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
        Step::new("demo", || demo::run(true)),
    ]
}

/// For another machine: what depends on the machine.
fn for_other(machine: &'static Machine) -> Vec<Step> {
    let mut steps = vec![Step::new("packages", || packages::install_for(machine))];
    if machine.is_windows() {
        steps.push(Step::new("wine", || wine::prepare(machine)));
    }
    steps.extend([
        Step::new("libraries", || libs::build(machine)),
        Step::new("symbols", || symbols::exported(machine)),
        Step::new("native libraries", || symbols::native(machine)),
        Step::new("rust tests", || suites::foreign_rust(machine)),
        Step::with_remark("c tests", || suites::foreign_c(machine)),
        Step::new("cmake", || cmake::cross(machine)),
    ]);
    steps
}

pub(crate) fn run(only: &[String], target: Option<&str>, list: bool) -> Result<()> {
    let machine = target.map_or_else(machine::native, machine::find)?;
    let mut steps = if machine.foreign { for_other(machine) } else { all(machine) };
    if !only.is_empty() {
        steps.retain(|step| only.iter().any(|part| step.name.contains(part.as_str())));
    }
    if list {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(());
    }
    if steps.is_empty() {
        bail!("no step has such a name; `cargo xtask test --list` names them");
    }
    if steps::run(&steps) { Ok(()) } else { std::process::exit(1) }
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
