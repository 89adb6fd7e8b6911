//! Windows, tested beside this machine: of either, a good part is waiting, or work for one core alone.
//!
//! It is this command again, in a process of its own, whose output is shown when it has ended.

use crate::machine::{self, Machine};
use crate::packages;
use crate::tools::work_dir;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// The machine, if it is tested with this one.
pub(crate) fn machine() -> Option<&'static Machine> {
    machine::others().find(|machine| machine.is_windows())
}

static RUNNING: Mutex<Option<Child>> = Mutex::new(None);

/// Where it writes.
fn log(machine: &Machine) -> std::path::PathBuf {
    work_dir().join(format!("{}.log", machine.triple))
}

/// Installs what it needs, as others are not to install anything meanwhile, and starts it.
pub(crate) fn start(machine: &Machine) -> Result<()> {
    packages::install_for(machine)?;
    fs::create_dir_all(work_dir())?;
    let output = File::create(log(machine))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["test", "--target", machine.triple]).stdin(Stdio::null());
    let child = command.stdout(output.try_clone()?).stderr(output).spawn().context("cannot start it")?;
    println!("its output is in {} meanwhile", log(machine).display());
    *RUNNING.lock().unwrap_or_else(|lock| lock.into_inner()) = Some(child);
    Ok(())
}

/// Waits for it, and shows what it has said; the remark is how many of its steps have passed.
pub(crate) fn finish(machine: &Machine) -> Result<String> {
    let running = RUNNING.lock().unwrap_or_else(|lock| lock.into_inner()).take();
    let status = running.context("it has not been started")?.wait()?;
    let text = String::from_utf8_lossy(&fs::read(log(machine))?).into_owned();
    println!("{text}");
    if !status.success() {
        bail!("{status}; its output is above");
    }
    let steps = text.lines().rfind(|line| line.ends_with(" failed")).context("it has no summary")?;
    Ok(steps.to_owned())
}
