//! Builds libcr.a and libcr.so the way they are shipped. `cmake/cargo-build.cmake` does the same for CMake.

use crate::tools::{cargo, output, root, run, work_dir};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Cargo's directory for the shipped libraries; the CMake builds of `cargo xtask test` share it.
pub(crate) fn target_dir() -> PathBuf {
    work_dir().join("cargo")
}

/// Where `build` puts the libraries.
pub(crate) fn lib_dir() -> PathBuf {
    work_dir().join("lib")
}

/// The version of the package, from Cargo.toml.
pub(crate) fn version() -> Result<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    let version = line.and_then(|rest| rest.split('"').next()).context("no version in Cargo.toml")?;
    Ok(version.to_owned())
}

/// The number in `libcr.so.N`.
pub(crate) fn soname() -> Result<String> {
    let version = version()?;
    Ok(format!("libcr.so.{}", version.split('.').next().unwrap_or(&version)))
}

/// What a program with libcr.a in it needs besides, as `cmake/native-libs.cmake` has it.
pub(crate) fn native_libs() -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join("cmake/native-libs.cmake"))?;
    let list = text.lines().find_map(|line| line.strip_prefix("set(CR_NATIVE_LIBS "));
    let list = list.and_then(|rest| rest.strip_suffix(')')).context("no CR_NATIVE_LIBS in native-libs.cmake")?;
    Ok(list.split_whitespace().map(str::to_owned).collect())
}

/// The triple of this machine.
fn host() -> Result<String> {
    let text = output(cargo().arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("cargo -vV names no host")?;
    Ok(host.to_owned())
}

/// Builds both libraries into `lib_dir()`.
pub(crate) fn build() -> Result<()> {
    let lib = lib_dir();
    fs::create_dir_all(&lib)?;
    let (version, soname, host) = (version()?, soname()?, host()?);

    // One kind in each build: with several, cargo leaves link-time optimisation out.
    build_kind("staticlib", &host, &[])?;
    let made = target_dir().join(&host).join("release");
    replace(&made.join("libcr.a"), &lib.join("libcr.a"))?;

    // Cargo sets no SONAME.
    build_kind("cdylib", &host, &["--", "-C", &format!("link-arg=-Wl,-soname,{soname}")])?;
    let file = format!("libcr.so.{version}");
    replace(&made.join("libcr.so"), &lib.join(&file))?;
    link_versions(&lib)
}

fn build_kind(kind: &str, host: &str, rustc_flags: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(["rustc", "--release", "--locked", "--lib", "--features", "capi", "--crate-type", kind]);
    command.args(["--target", host, "--target-dir"]).arg(target_dir()).args(rustc_flags);
    run(&mut command)
}

/// Makes `libcr.so.N` and `libcr.so` lead to the shared library in this directory.
pub(crate) fn link_versions(lib: &Path) -> Result<()> {
    let soname = soname()?;
    for (link, to) in [(&*soname, format!("libcr.so.{}", version()?)), ("libcr.so", soname.clone())] {
        let link = lib.join(link);
        if fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link)?;
        }
        symlink(to, &link).with_context(|| format!("cannot create {}", link.display()))?;
    }
    Ok(())
}

/// Copies a file and renames it into place: a running program may have the old one mapped.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    let new = to.with_extension("new");
    fs::copy(from, &new).with_context(|| format!("cannot copy {} to {}", from.display(), new.display()))?;
    fs::rename(&new, to).with_context(|| format!("cannot create {}", to.display()))
}

/// What rustc says that a program with libcr.a in it needs besides.
pub(crate) fn native_libs_of_rustc() -> Result<Vec<String>> {
    // A file, because rustc says it only when it works, and the file stays.
    let file = target_dir().join("native-static-libs.txt");
    let flag = format!("native-static-libs={}", file.display());
    build_kind("staticlib", &host()?, &["--", "--print", &flag])?;
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.split_whitespace().map(|word| word.trim_start_matches("-l").to_owned()).collect())
}
