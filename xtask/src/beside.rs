//! A platform tested beside this machine: of either, a good part is waiting, or work for one core alone.
//!
//! It is this command again, in a process of its own, whose output is shown when it has ended. To test all of it takes as
//! long as all of this machine, so it is the suite in C and C++, with what that needs.

use crate::machine::Machine;
use crate::packages;
use crate::tools::work_dir;
use anyhow::{Context, Result, bail};
use std::cell::RefCell;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Parts of the names of the steps that are left out.
const NOT: [&str; 5] = ["rust tests", "cmake", "find_package", "demo", "benchmarks"];

pub(crate) struct Beside {
    machine: &'static Machine,
    /// The process, from the beginning to the end.
    running: RefCell<Option<Child>>,
}

impl Beside {
    pub(crate) fn new(machine: &'static Machine) -> Self {
        Self { machine, running: RefCell::new(None) }
    }

    /// Where it writes.
    fn log(&self) -> PathBuf {
        work_dir().join(format!("{}.log", self.machine.triple))
    }

    /// Installs what it needs, as others are not to install anything meanwhile, and starts it.
    pub(crate) fn start(&self) -> Result<()> {
        packages::install_for(self.machine)?;
        fs::create_dir_all(work_dir())?;
        let output = File::create(self.log())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["test", "--target", self.machine.triple]).stdin(Stdio::null());
        command.args(NOT.iter().flat_map(|part| ["--skip", part]));
        let child = command.stdout(output.try_clone()?).stderr(output).spawn().context("cannot start it")?;
        println!("its output is in {} meanwhile", self.log().display());
        *self.running.borrow_mut() = Some(child);
        Ok(())
    }

    /// Waits for it, and shows what it has said; the remark is how many of its steps have passed.
    pub(crate) fn finish(&self) -> Result<String> {
        let status = self.running.take().context("it has not been started")?.wait()?;
        let text = String::from_utf8_lossy(&fs::read(self.log())?).into_owned();
        println!("{text}");
        if !status.success() {
            bail!("{status}; its output is above");
        }
        let steps = text.lines().rfind(|line| line.ends_with(" failed")).context("it has no summary")?;
        Ok(steps.to_owned())
    }
}
