//! `cargo xtask header`: include/cr.h from src/abi.rs, src/capi.rs and include/cr.h.in.

use crate::tools::{cargo, root, run};
use anyhow::{Result, bail};
use std::fs;

/// Writes the header; tells whether that changed it. The work is done in build.rs.
pub(crate) fn write() -> Result<bool> {
    let header = root().join("include/cr.h");
    let before = fs::read(&header).ok();
    run(cargo().args(["check", "--quiet", "--locked", "--package", "cr-reload", "--features", "header"]))?;
    Ok(Some(fs::read(&header)?) != before)
}

/// Fails if the header was not what its sources say.
pub(crate) fn check() -> Result<()> {
    if write()? {
        bail!("include/cr.h was not what its sources say; it has been written anew, commit it");
    }
    Ok(())
}
