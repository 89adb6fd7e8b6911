//! `cargo xtask dist`: what `cmake --install` installs, but for the CMake package.

use crate::tools::root;
use crate::{libs, machine};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

pub(crate) fn run(prefix: &Path) -> Result<()> {
    let built = libs::build_native()?;
    install(&built, prefix)?;
    println!("cr {} is in {}", libs::version()?, prefix.display());
    Ok(())
}

/// Puts the built libraries and the header into `prefix`.
pub(crate) fn install(built: &Path, prefix: &Path) -> Result<()> {
    let version = libs::version()?;
    let (include, lib) = (prefix.join("include"), prefix.join("lib"));
    for folder in [&include, &lib.join("pkgconfig")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    libs::replace(&root().join("include/cr.h"), &include.join("cr.h"))?;
    let machine = machine::native()?;
    let with_versions = machine.shared_library() == "libcr.so";
    let file = if with_versions { format!("libcr.so.{version}") } else { machine.shared_library() };
    for name in ["libcr.a", &file] {
        libs::replace(&built.join(name), &lib.join(name))?;
    }
    if with_versions {
        libs::link_versions(&lib)?;
    }
    fs::write(lib.join("pkgconfig/cr.pc"), pkg_config(&version)?)?;
    Ok(())
}

/// cr.pc from the template that CMake uses too.
fn pkg_config(version: &str) -> Result<String> {
    let private: Vec<String> = libs::native_libs(machine::native()?)?.iter().map(|name| format!("-l{name}")).collect();
    Ok(fs::read_to_string(root().join("cmake/cr.pc.in"))?
        .replace("@CR_PC_PREFIX@", "../..")
        .replace("@CR_PC_INCLUDEDIR@", "${prefix}/include")
        .replace("@CR_PC_LIBDIR@", "${prefix}/lib")
        .replace("@PROJECT_VERSION@", version)
        .replace("@CR_PC_PRIVATE@", &private.join(" ")))
}
