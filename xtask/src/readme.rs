//! README.md is right: its examples are compiled with its own command lines, run, and edited.
//!
//! A code block whose first line names a file (```` ```c guest.c ````) becomes that file; the block `sh build` has
//! the command lines, in which /opt/cr stands for a `cargo xtask dist`.

use crate::tools::{Scratch, command, root, run};
use crate::watched::Watched;
use crate::{dist, libs};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The lines of the examples that the tests look for, and the change they make.
const EDIT: (&str, &str) = ("hello", "good evening");

pub(crate) fn check() -> Result<()> {
    let text = fs::read_to_string(root().join("README.md"))?;
    let scratch = Scratch::new("readme")?;
    let prefix = scratch.path().join("prefix");
    dist::install(&libs::build_native()?, &prefix)?;

    let mut build = None;
    for block in blocks(&text) {
        match block.name {
            "build" => build = Some(block.text.replace("/opt/cr", &prefix.display().to_string())),
            name => fs::write(scratch.path().join(name), block.text)?,
        }
    }
    let build = build.context("README.md has no block `sh build`")?;
    let shell = |script: &str| run(command("sh").current_dir(scratch.path()).args(["-euc", script]));
    shell(&build)?;

    let guest_line = build.lines().find(|line| line.contains("guest.c")).context("no line compiles guest.c")?;
    for host in ["./host", "./host_c"] {
        reloads(host, scratch.path(), || shell(guest_line))?;
    }
    Ok(())
}

/// Runs a host, changes the guest's text, and waits for the new text.
fn reloads(host: &str, folder: &Path, compile: impl Fn() -> Result<()>) -> Result<()> {
    let guest = folder.join("guest.c");
    let original = fs::read_to_string(&guest)?;
    if !original.contains(EDIT.0) {
        bail!("guest.c of README.md does not say \"{}\"", EDIT.0);
    }

    // A pipe would keep its lines back.
    let host = Watched::start(Command::new("stdbuf").args(["-oL", host]).current_dir(folder))?;
    let wait = |words: &str| -> Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while let Some(line) = host.next_line(until).with_context(|| format!("waiting for \"{words}\""))? {
            if line.contains(words) {
                println!("{line}");
                return Ok(());
            }
        }
        bail!("the host ended without saying \"{words}\"")
    };
    wait(EDIT.0)?;
    fs::write(&guest, original.replace(EDIT.0, EDIT.1))?;
    compile()?;
    let result = wait(EDIT.1);
    fs::write(&guest, original)?;
    compile()?;
    result
}

/// A code block with a name.
struct Block<'a> {
    name: &'a str,
    text: String,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some((_, name)) = info.split_once(' ') {
            blocks.push(Block { name, text: body.join("\n") + "\n" });
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_blocks_are_found() {
        let found = blocks("x\n```c a.c\nint a;\n```\n```sh\nls\n```\n```sh build\ncc a.c\n```\n");
        let found: Vec<_> = found.iter().map(|block| (block.name, &*block.text)).collect();
        assert_eq!(found, [("a.c", "int a;\n"), ("build", "cc a.c\n")]);
    }
}
