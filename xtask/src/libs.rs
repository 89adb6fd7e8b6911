//! Builds libcr.a and libcr.so the way they are shipped. `cmake/cargo-build.cmake` does the same for CMake.

use crate::machine::{self, Machine};
use crate::tools::{root, run};
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;
use std::path::{Path, PathBuf};

/// How libcr.dylib is named in programs that need it: they look for it where they are told to.
pub(crate) const INSTALL_NAME: &str = "link-arg=-Wl,-install_name,@rpath/libcr.dylib";

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
pub(crate) fn native_libs(machine: &Machine) -> Result<Vec<String>> {
    let text = fs::read_to_string(root().join("cmake/native-libs.cmake"))?;
    let mut lists = text.lines().filter_map(|line| line.trim().strip_prefix("set(CR_NATIVE_LIBS "));
    // That for Windows, that for macOS, and that for all others.
    let number = match () {
        () if machine.is_windows() => 0,
        () if machine.is_macos() => 1,
        () => 2,
    };
    let list =
        lists.nth(number).and_then(|rest| rest.split(')').next()).context("no CR_NATIVE_LIBS in native-libs.cmake")?;
    Ok(list.split_whitespace().map(str::to_owned).collect())
}

/// Builds both libraries for this machine; returns the directory.
pub(crate) fn build_native() -> Result<PathBuf> {
    let native = machine::native()?;
    build(native)?;
    Ok(native.lib_dir())
}

/// Builds both libraries into the machine's `lib_dir()`.
pub(crate) fn build(machine: &Machine) -> Result<()> {
    let lib = machine.lib_dir();
    fs::create_dir_all(&lib)?;
    let (version, soname) = (version()?, soname()?);

    // One kind in each build: with several, cargo leaves link-time optimisation out.
    build_kind(machine, "staticlib", &tell_native_libs(&machine.target_dir()))?;
    let made = machine.target_dir().join(machine.triple).join("release");
    replace(&made.join("libcr.a"), &lib.join("libcr.a"))?;

    if machine.is_windows() {
        build_kind::<&str>(machine, "cdylib", &[])?;
        replace(&made.join("libcr.dll.a"), &lib.join("libcr.dll.a"))?;
        return replace(&made.join("cr.dll"), &lib.join("cr.dll"));
    }
    if machine.is_macos() {
        build_kind(machine, "cdylib", &["--", "-C", INSTALL_NAME])?;
        return replace(&made.join("libcr.dylib"), &lib.join("libcr.dylib"));
    }

    // Cargo sets no SONAME.
    build_kind(machine, "cdylib", &["--", "-C", &format!("link-arg=-Wl,-soname,{soname}")])?;
    let file = format!("libcr.so.{version}");
    replace(&made.join("libcr.so"), &lib.join(&file))?;
    link_versions(&lib)
}

fn build_kind<S: AsRef<OsStr>>(machine: &Machine, kind: &str, rustc_flags: &[S]) -> Result<()> {
    let mut command = machine.cargo()?;
    command.args(["rustc", "--release", "--locked", "--lib", "--features", "capi", "--crate-type", kind]);
    command.args(["--target", machine.triple, "--target-dir"]).arg(machine.target_dir()).args(rustc_flags);
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

/// The flags with which rustc tells what a program with libcr.a in it needs besides. CMake's builds give the same ones:
/// with others, cargo would compile everything anew.
pub(crate) fn tell_native_libs(target_dir: &Path) -> [String; 3] {
    ["--".into(), "--print".into(), format!("native-static-libs={}", native_libs_file(target_dir).display())]
}

/// A file, because rustc tells it only when it works, and the file stays.
fn native_libs_file(target_dir: &Path) -> PathBuf {
    target_dir.join("native-static-libs.txt")
}

/// What rustc has told.
pub(crate) fn native_libs_of_rustc(target_dir: &Path) -> Result<String> {
    let file = native_libs_file(target_dir);
    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}
