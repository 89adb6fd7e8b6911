//! The CMake build, and projects that use cr through CMake and pkg-config.

use crate::machine::{self, Machine};
use crate::tools::{Scratch, command, output, root, run, work_dir};
use crate::watched::Watched;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// One way to build: generator, compiler, configuration.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) generator: &'static str,
    pub(crate) cc: &'static str,
    pub(crate) cxx: &'static str,
    pub(crate) config: &'static str,
}

/// Between them, these two have every generator, compiler and configuration.
pub(crate) const WAYS: [Way; 2] = [
    Way { generator: "Ninja", cc: "gcc", cxx: "g++", config: "Debug" },
    Way { generator: "Unix Makefiles", cc: "clang", cxx: "clang++", config: "Release" },
];

impl Way {
    /// For names of steps and directories.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-{}", self.generator.split(' ').next_back().unwrap_or_default(), self.cc, self.config)
            .to_lowercase()
    }
}

/// Where a build goes. It is kept, so that a second run is quick.
fn build_dir(name: &str) -> PathBuf {
    work_dir().join("cmake").join(name)
}

/// Configures and builds `source` in the directory `name`, runs its tests, and builds again: nothing may be left.
fn build_and_test(name: &str, source: &Path, way: Way, settings: &[String]) -> Result<()> {
    let build = build_dir(name);
    let mut configure = command("cmake");
    configure.arg("-S").arg(source).arg("-B").arg(&build).args(["-G", way.generator]);
    configure.arg(format!("-DCMAKE_BUILD_TYPE={}", way.config));
    configure.arg(format!("-DCMAKE_C_COMPILER={}", way.cc)).arg(format!("-DCMAKE_CXX_COMPILER={}", way.cxx));
    // One cargo directory for all: the library is compiled once.
    let cargo = machine::native()?.target_dir();
    configure.arg(format!("-DCR_CARGO_TARGET_DIR={}", cargo.display())).args(settings);
    run(&mut configure)?;
    let jobs = std::thread::available_parallelism().map_or(2, usize::from).to_string();
    run(command("cmake").arg("--build").arg(&build).args(["--parallel", &jobs]))?;
    let mut ctest = command("ctest");
    ctest.arg("--test-dir").arg(&build).args(["--output-on-failure", "--timeout", "300", "--no-tests=error"]);
    run(ctest.args(["--parallel", &jobs]))?;
    let again = output(command("cmake").arg("--build").arg(&build))?;
    if again.contains("Building") || again.contains("Linking") {
        bail!("a second build does it all again:\n{again}");
    }
    Ok(())
}

/// As above, from nothing.
fn consume(name: &str, way: Way, settings: &[String]) -> Result<()> {
    let name = format!("{name}-{}", way.name());
    let build = build_dir(&name);
    if build.exists() {
        fs::remove_dir_all(&build)?;
    }
    build_and_test(&name, &consumer(), way, settings)
}

/// The project itself: library, samples and tests.
pub(crate) fn project(way: Way) -> Result<()> {
    let name = format!("project-{}", way.name());
    build_and_test(&name, root(), way, &[])
}

/// Configures the project at `source` for another machine in the directory `build`, as one cross-compiles with CMake,
/// and builds these targets.
fn build_cross(machine: &Machine, source: &Path, build: &Path, settings: &[String], targets: &[&str]) -> Result<()> {
    let environment = machine.environment()?;
    let mut configure = command("cmake");
    configure.arg("-S").arg(source).arg("-B").arg(build).args(["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]);
    if machine.is_windows() {
        configure.arg(format!("-DCMAKE_TOOLCHAIN_FILE={}", root().join("cmake/mingw-w64.cmake").display()));
    } else {
        let processor = machine.triple.split('-').next().unwrap_or_default().replace("riscv64gc", "riscv64");
        configure.args(["-DCMAKE_SYSTEM_NAME=Linux", &format!("-DCMAKE_SYSTEM_PROCESSOR={processor}")]);
        configure.arg(format!("-DCMAKE_C_COMPILER={}", machine.compiler("gcc")));
        configure.arg(format!("-DCMAKE_CXX_COMPILER={}", machine.compiler("g++")));
    }
    configure.arg(format!("-DCMAKE_CROSSCOMPILING_EMULATOR={}", machine.runner.replace(' ', ";")));
    run(configure.args(settings).envs(environment.clone()))?;
    run(command("cmake").arg("--build").arg(build).arg("--target").args(targets).envs(environment))
}

fn test_cross(machine: &Machine, build: &Path, names: &str) -> Result<()> {
    let mut ctest = command("ctest");
    ctest.arg("--test-dir").arg(build).args(["--output-on-failure", "--timeout", "300", "--no-tests=error"]);
    run(ctest.envs(machine.environment()?).args(["--tests-regex", names]))
}

fn cross_dir(machine: &Machine) -> PathBuf {
    build_dir(&format!("cross-{}", machine.triple))
}

/// The project for another machine.
pub(crate) fn cross(machine: &Machine) -> Result<()> {
    let mut settings = vec![
        format!("-DCR_CARGO_TARGET={}", machine.triple),
        format!("-DCR_CARGO_TARGET_DIR={}", machine.target_dir().display()),
    ];
    // The cargo of the other steps: another one would compile everything anew.
    if let Some(cargo) = std::env::var_os("CARGO") {
        settings.push(format!("-DCR_CARGO={}", cargo.display()));
    }
    let build = cross_dir(machine);
    // The scenarios run as Rust tests, too, with the list of those that an emulator cannot run. Here it is shown that CTest
    // runs what was built. For Windows that are the samples: to build all the guests a second time takes minutes, and a
    // project that uses the installed library is tested there, too.
    let (targets, names): (&[&str], _) = if machine.is_windows() {
        (&["cr_staticlib", "cr_cdylib", "samples/all"], "sample.callbacks")
    } else {
        (&["all"], "^s1_|r01_threads|shared.r01_crash_of_the_host_between|dlopen_library_lives|sample.callbacks")
    };
    build_cross(machine, root(), &build, &settings, targets)?;
    test_cross(machine, &build, names)
}

/// The build of `cross` installed, and used by a project that is cross-compiled, too: with each of the libraries, and
/// with the samples, of which a host runs, and reloads a guest that has been touched.
pub(crate) fn find_package_cross(machine: &Machine) -> Result<()> {
    let (prefix, build) = (build_dir("prefix-cross"), build_dir("find-cross"));
    for folder in [&prefix, &build] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    run(command("cmake").arg("--install").arg(cross_dir(machine)).arg("--prefix").arg(&prefix))?;
    let settings = [
        "-DCR_FROM=find_package".to_owned(),
        format!("-Dcr_DIR={}", prefix.join("lib/cmake/cr").display()),
        format!("-DCR_SAMPLES={}", root().join("samples").display()),
    ];
    build_cross(machine, &consumer(), &build, &settings, &["all"])?;
    test_cross(machine, &build, ".")?;

    let samples = build.join("samples/basic");
    for (host, guest) in [("basic_host", "basic_guest"), ("basic_host_c", "basic_guest_cpp")] {
        let guest = samples.join(format!("{guest}.dll"));
        let host = Watched::start(machine.run(&samples.join(format!("{host}.exe"))).arg(&guest))?;
        for version in ["version 1", "version 2"] {
            let until = Instant::now() + Duration::from_secs(60);
            while !host.next_line(until)?.context("the host has ended")?.contains(version) {}
            fs::File::options().append(true).open(&guest)?.set_modified(SystemTime::now())?;
        }
    }
    Ok(())
}

/// Installs the build of `project` and returns the prefix.
fn install(way: Way) -> Result<PathBuf> {
    let prefix = build_dir("prefix");
    if prefix.exists() {
        fs::remove_dir_all(&prefix)?;
    }
    let build = build_dir(&format!("project-{}", way.name()));
    run(command("cmake").arg("--install").arg(build).arg("--prefix").arg(&prefix))?;
    Ok(prefix)
}

fn consumer() -> PathBuf {
    root().join("cmake/tests/consumer")
}

pub(crate) fn add_subdirectory(way: Way) -> Result<()> {
    let settings = ["-DCR_FROM=add_subdirectory".to_owned(), format!("-DCR_SOURCE={}", root().display())];
    consume("add", way, &settings)
}

/// FetchContent from the checkout, and from an archive as a release has it.
pub(crate) fn fetch_content(way: Way) -> Result<()> {
    let settings = ["-DCR_FROM=FetchContent".to_owned(), format!("-DCR_SOURCE={}", root().display())];
    consume("fetch", way, &settings)
}

pub(crate) fn fetch_content_archive(way: Way) -> Result<()> {
    let archive = archive()?;
    // All is compiled anew, as its sources are elsewhere: in a directory of its own, or the shared library of the same name
    // would be replaced. How well is not what is tested, and would take minutes.
    let quick = "--config profile.release.lto=false --config profile.release.opt-level=0";
    let settings = [
        "-DCR_FROM=FetchContent".to_owned(),
        format!("-DCR_URL=file://{}", archive.display()),
        format!("-DCR_CARGO_TARGET_DIR={}", build_dir("archive-cargo").display()),
        format!("-DCR_CARGO_FLAGS={quick} --config profile.release.codegen-units=256"),
    ];
    consume("archive", way, &settings)
}

/// The sources as one file.
fn archive() -> Result<PathBuf> {
    fs::create_dir_all(build_dir(""))?;
    let archive = build_dir("cr.tar.gz");
    let mut names = Vec::new();
    for entry in fs::read_dir(root())? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if !(text == "target" || text == ".git" || text.starts_with("build") && text != "build.rs") {
            names.push(name);
        }
    }
    run(command("cmake").args(["-E", "tar", "czf"]).arg(&archive).args(names))?;
    Ok(archive)
}

pub(crate) fn find_package(way: Way) -> Result<()> {
    let prefix = install(WAYS[0])?;
    let settings = ["-DCR_FROM=find_package".to_owned(), format!("-DCMAKE_PREFIX_PATH={}", prefix.display())];
    consume("find", way, &settings)
}

/// A host compiled with the words that pkg-config gives, with the shared library and with the static one.
pub(crate) fn pkg_config() -> Result<()> {
    let prefix = install(WAYS[0])?;
    let scratch = Scratch::new("pkg-config")?;
    let script = r#"set -eu
        cc -shared -fPIC $(pkg-config --cflags cr) -o guest.so "$CONSUMER/guest.c"
        cc $(pkg-config --cflags cr) "$CONSUMER/host.c" $(pkg-config --libs cr) -o host_shared
        LD_LIBRARY_PATH="$PREFIX/lib" ./host_shared "$PWD/guest.so"
        cc $(pkg-config --cflags cr) "$CONSUMER/host.c" "$(pkg-config --variable=libdir cr)/libcr.a" \
            -lgcc_s -lpthread -lm -ldl -o host_static
        ./host_static ./guest.so"#;
    let mut shell = command("sh");
    shell.current_dir(scratch.path()).env("PREFIX", &prefix).env("CONSUMER", consumer());
    shell.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(["-c", script]);
    run(&mut shell).context("a host through pkg-config")
}
