//! The programs that are measured: a host, compiled against one of the headers, and its guests.

use super::counts;
use crate::tools::{command, output, root, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The guests: name and flags.
const GUESTS: [(&str, &str); 14] = [
    ("small", ""),
    ("1mb", "-DBALLAST=1"),
    ("4mb", "-DBALLAST=4"),
    ("20mb", "-DBALLAST=20"),
    ("100mb", "-DBALLAST=100"),
    ("state1bss", "-DBSS=1"),
    ("state8bss", "-DBSS=8"),
    ("state64bss", "-DBSS=64"),
    ("state1", "-DSTATE=1"),
    ("state64", "-DSTATE=64"),
    ("10variables", "-DVARIABLES=10"),
    ("100variables", "-DVARIABLES=100"),
    ("1000variables", "-DVARIABLES=1000"),
    ("10000variables", "-DVARIABLES=10000"),
];

/// A host program, and where its guests are.
pub(super) struct Program {
    host: PathBuf,
    guests: PathBuf,
}

impl Program {
    /// Compiles the host and the guests with the header in `include`.
    pub(super) fn new(scratch: &Path, name: &str, include: &Path, library: Option<&Path>) -> Result<Program> {
        let folder = scratch.join(name);
        fs::create_dir_all(&folder)?;
        let host = folder.join("host");
        let mut compile = command("c++");
        compile.args(["-std=c++11", "-O2", "-w", "-I"]).arg(include).arg(root().join("benches/host.cpp"));
        run(compile.arg("-o").arg(&host).args(library).args(["-lpthread", "-ldl", "-lm"]))?;
        for (guest, flag) in GUESTS {
            let mut compile = command("cc");
            compile.args(["-O2", "-w", "-shared", "-fPIC", "-I"]).arg(root().join("include"));
            compile.args(flag.split_whitespace()).arg(root().join("benches/guest.c"));
            output(compile.arg("-o").arg(folder.join(format!("lib{guest}.so"))))?;
        }
        Ok(Program { host, guests: folder })
    }

    /// One run, in nanoseconds (or bytes, for what is measured in them).
    pub(super) fn measure(&self, what: &str, guest: &str, count: u32) -> Result<f64> {
        let text = output(command(&self.host).arg(what).arg(self.guest(guest)).arg(count.to_string()))?;
        text.trim().parse().with_context(|| format!("{what}: not a number: {text}"))
    }

    /// System calls of one more time. `None` where they cannot be counted.
    pub(super) fn system_calls(&self, what: &str, guest: &str) -> Option<f64> {
        self.difference(what, |count| {
            let log = self.guests.join("strace");
            let mut trace = command("strace");
            trace.args(["-f", "-o"]).arg(&log).arg(&self.host).arg(what).arg(self.guest(guest));
            output(trace.arg(count.to_string()).arg("1"))?;
            Ok(fs::read_to_string(log)?.lines().filter(|line| !line.contains("resumed>")).count() as f64)
        })
    }

    /// Instructions of one more time, those of the kernel not counted.
    pub(super) fn instructions(&self, what: &str, guest: &str) -> Option<f64> {
        self.difference(what, |count| {
            let result = self.guests.join("callgrind");
            let guest = self.guest(guest);
            counts::callgrind(&self.host, &[what, &guest.to_string_lossy(), &count.to_string(), "1"], &result, None)
        })
    }

    /// What so many times of a measure cost inside `cr_plugin_update`, by function, as callgrind sees it.
    pub(super) fn profile(&self, what: &str, guest: &str, count: u32) -> Result<String> {
        let result = self.guests.join("profile");
        let (guest, count) = (self.guest(guest), count.to_string());
        let arguments = [what, &guest.to_string_lossy(), &count, "1"];
        counts::callgrind(&self.host, &arguments, &result, Some("cr_plugin_update"))?;
        counts::functions(&result)
    }

    /// What else the program does is the same with more and with fewer times. Touching and removing files is not what is
    /// measured.
    fn difference(&self, what: &str, count: impl Fn(u32) -> Result<f64>) -> Option<f64> {
        let (few, many) = (20, 60);
        let each = (count(many).ok()? - count(few).ok()?) / f64::from(many - few);
        let prepared = match what {
            "reload" | "crash_rollback" => 1.0,
            "open_close" => 2.0,
            _ => 0.0,
        };
        Some((each - prepared).max(0.0))
    }

    fn guest(&self, name: &str) -> PathBuf {
        self.guests.join(format!("lib{name}.so"))
    }
}
