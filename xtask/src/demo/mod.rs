//! `cargo xtask demo`: a host runs a guest that is edited, rebuilt, reloaded, crashed and rolled back before one's
//! eyes. It succeeds only if everything went as told.

mod screen;
mod stage;

use crate::machine::{self, Machine};
use crate::{libs, packages, wine};
use anyhow::{Result, bail};
use screen::Screen;
use stage::Stage;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::thread;

/// The guest as it is at first.
const GUEST: &str = include_str!("guest.c");

/// `cargo xtask demo`.
pub(crate) fn show(target: Option<&str>, fast: bool) -> Result<()> {
    let machine = match target {
        Some(triple) => machine::find(triple)?,
        None => machine::native()?,
    };
    if machine.foreign {
        packages::install_for(machine)?;
    }
    if machine.is_windows() {
        wine::prepare(machine)?;
    }
    run(machine, fast)
}

/// Shows it on this machine, or on another one that is emulated here.
pub(crate) fn run(machine: &'static Machine, fast: bool) -> Result<()> {
    libs::build(machine)?;
    let screen = Screen::new(fast);

    // Where nobody reads along, the guest may speak more often.
    let guest = if fast { GUEST.replace("% 50", "% 20") } else { GUEST.to_owned() };
    screen.title("A host is started. This is its guest:");
    screen.source(&guest);
    thread::sleep(screen.time(1500));
    let mut stage = Stage::open(machine, screen, &guest)?;
    stage.watch(&["guest: frame", "good morning from version 1"])?;
    stage.passed("version 1 runs")?;

    reload(&mut stage)?;
    crash(&mut stage)?;
    fix(&mut stage)?;
    half_written(&mut stage)?;
    end(&mut stage)
}

fn reload(stage: &mut Stage) -> Result<()> {
    stage.scene("The guest is edited and compiled again, while the host runs:")?;
    stage.edit(&[("good morning", "good afternoon")])?;
    stage.rebuild()?;
    stage.expect(&["host: version 2"])?;
    stage.watch(&["guest: frame", "good afternoon from version 2"])?;
    stage.passed("version 2 runs, and its frames go on where version 1 stopped")
}

fn crash(stage: &mut Stage) -> Result<()> {
    stage.scene("A mistake: the next version writes to address 0.")?;
    stage.edit(&[("frames += 1;", "frames += 1; *(volatile int *)0 = 1;")])?;
    stage.rebuild()?;
    let failure = stage.expect(&["host: failure 1: "])?; // CR_SEGFAULT
    if failure.ends_with(": ") {
        bail!("the failure has no text");
    }
    stage.expect(&["guest: version 2 is back"])?;
    stage.watch(&["guest: frame", "good afternoon from version 2"])?;
    stage.passed("version 3 crashed, the host did not: version 2 is back, with its state")
}

fn fix(stage: &mut Stage) -> Result<()> {
    stage.scene("The mistake is mended:")?;
    stage.edit(&[("frames += 1; *(volatile int *)0 = 1;", "frames += 1;"), ("good afternoon", "good evening")])?;
    stage.rebuild()?;
    stage.expect(&["host: version 4"])?;
    stage.watch(&["guest: frame", "good evening from version 4"])?;
    stage.passed("version 4 runs")
}

fn half_written(stage: &mut Stage) -> Result<()> {
    stage.scene("A slow linker: only half of the next version is in the file yet.")?;
    stage.edit(&[("good evening", "good night")])?;
    let whole = stage.folder().join("whole");
    stage.compile_to(&whole)?;
    let bytes = fs::read(&whole)?;
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    fs::write(&whole, first)?;
    fs::rename(&whole, stage.guest())?;
    stage.expect(&["host: failure 8: "])?; // CR_BAD_IMAGE
    stage.watch(&["guest: frame", "good evening from version 4"])?;
    stage.passed("the file is refused, and version 4 was not even touched")?;

    stage.scene("Now the rest arrives:")?;
    OpenOptions::new().append(true).open(stage.guest())?.write_all(rest)?;
    stage.expect(&["host: version 5"])?;
    stage.watch(&["guest: frame", "good night from version 5"])?;
    stage.passed("version 5 runs")
}

fn end(stage: &mut Stage) -> Result<()> {
    stage.scene("The guest may also ask the host to end. (That is this host's own rule.)")?;
    stage.edit(&[("    return 0;\n}", "    return 1;\n}")])?;
    stage.rebuild()?;
    stage.finish()?;
    stage.passed("the host has closed its guest, removed every copy it had made, and ended with 0")
}
