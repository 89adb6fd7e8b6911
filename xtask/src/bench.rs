//! `cargo xtask bench`: this library, the floor below it, and beside them the original if it is at hand.
//!
//! The original is not a part of this project: `CR_ORIGINAL` names the directory of its `cr.h`. Whole programs are
//! run in turn, so that what disturbs the machine disturbs all of them; the numbers are medians of their medians.

use crate::tools::{Scratch, command, output, root, run};
use crate::{libs, tools};
use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// One line of the table.
struct Line {
    what: &'static str,
    /// The name that the host program knows, the guest's name and how often.
    measure: (&'static str, &'static str, u32),
    /// The goal: at most so many times the original.
    goal: f64,
    /// The measure of the floor, if there is one.
    floor: Option<(&'static str, u32)>,
}

const LINES: [Line; 11] = [
    line("update, no check", ("update", "small", 1_000_000), 0.05, Some(("call", 1_000_000))),
    line("update, check", ("update_check", "small", 200_000), 0.35, Some(("stat", 200_000))),
    line("one of 200 plugins, check", ("many", "small", 1_000), 0.2, Some(("stat", 200_000))),
    line("reload, 15 KB", ("reload", "small", 300), 0.9, None),
    line("reload, 1 MB", ("reload", "1mb", 60), 1.0, None),
    line("reload, 20 MB", ("reload", "20mb", 12), 1.0, None),
    line("reload, 100 MB", ("reload", "100mb", 5), 1.0, None),
    line("reload, 1 MB of state", ("reload", "state1", 60), 0.5, None),
    line("reload, 64 MB of state", ("reload", "state64", 6), 0.5, None),
    line("crash and rollback, 15 KB", ("crash_rollback", "small", 300), 0.8, None),
    line("open, update, close", ("open_close", "small", 300), 1.0, None),
];

const fn line(
    what: &'static str,
    measure: (&'static str, &'static str, u32),
    goal: f64,
    floor: Option<(&'static str, u32)>,
) -> Line {
    Line { what, measure, goal, floor }
}

/// The guests: name and flags.
const GUESTS: [(&str, &[&str]); 6] = [
    ("small", &[]),
    ("1mb", &["-DBALLAST=1"]),
    ("20mb", &["-DBALLAST=20"]),
    ("100mb", &["-DBALLAST=100"]),
    ("state1", &["-DBSS=1"]),
    ("state64", &["-DBSS=64"]),
];

/// A host program, and where its guests are.
struct Program {
    host: PathBuf,
    guests: PathBuf,
}

impl Program {
    /// Compiles the host and the guests with the header in `include`.
    fn new(scratch: &Path, name: &str, include: &Path, library: Option<&Path>) -> Result<Program> {
        let folder = scratch.join(name);
        std::fs::create_dir_all(&folder)?;
        let host = folder.join("host");
        let mut compile = command("c++");
        compile.args(["-std=c++11", "-O2", "-w", "-I"]).arg(include).arg(root().join("benches/host.cpp"));
        run(compile.arg("-o").arg(&host).args(library).args(["-lpthread", "-ldl", "-lm"]))?;
        for (guest, flags) in GUESTS {
            let mut compile = command("cc");
            compile.args(["-O2", "-shared", "-fPIC", "-I"]).arg(root().join("include")).args(flags);
            run(compile.arg(root().join("benches/guest.c")).arg("-o").arg(folder.join(format!("lib{guest}.so"))))?;
        }
        Ok(Program { host, guests: folder })
    }

    /// One run, in nanoseconds.
    fn measure(&self, what: &str, guest: &str, count: u32) -> Result<f64> {
        let guest = self.guests.join(format!("lib{guest}.so"));
        let text = output(command(&self.host).arg(what).arg(guest).arg(count.to_string()))?;
        text.trim().parse().with_context(|| format!("{what}: not a number: {text}"))
    }

    /// System calls of one update without a new file.
    fn system_calls(&self, what: &str) -> Result<f64> {
        let count = |updates: u32| -> Result<f64> {
            let guest = self.guests.join("libsmall.so");
            let log = self.guests.join("strace");
            let mut trace = command("strace");
            trace.args(["-f", "-o"]).arg(&log).arg(&self.host).arg(what).arg(guest).arg(updates.to_string());
            output(&mut trace)?;
            Ok(std::fs::read_to_string(log)?.lines().count() as f64)
        };
        // Nine rounds each; what else the program does is the same in both.
        Ok((count(1100)? - count(100)?) / 9000.0)
    }
}

pub(crate) fn run_all(quick: bool) -> Result<()> {
    let built = libs::build_native()?;
    let rounds = if quick { 1 } else { 5 };
    for (place, folder) in places() {
        let scratch = Scratch::within(&folder, "bench")?;
        let library = built.join("libcr.a");
        let ours = Program::new(scratch.path(), "ours", &root().join("include"), Some(&library))?;
        let original = match env::var_os("CR_ORIGINAL") {
            Some(include) => Some(Program::new(scratch.path(), "original", Path::new(&include), None)?),
            None => None,
        };
        println!("\n## {place}: {}, {rounds} rounds\n", machine()?);
        println!("| | floor | original | ours | ratio | goal |\n|---|---|---|---|---|---|");
        for line in &LINES {
            println!("{}", row(line, &ours, original.as_ref(), rounds, quick)?);
        }
        if tools::exists("strace") {
            for (what, name) in [("update", "no check"), ("update_check", "check")] {
                let theirs = original.as_ref().map(|program| program.system_calls(what)).transpose()?;
                let theirs = theirs.map_or("-".into(), |calls| format!("{calls:.2}"));
                let ours = ours.system_calls(what)?;
                println!("| system calls of an update, {name} | | {theirs} | {ours:.2} | | |");
            }
        }
        if quick {
            break;
        }
    }
    Ok(())
}

fn row(line: &Line, ours: &Program, original: Option<&Program>, rounds: usize, quick: bool) -> Result<String> {
    let (what, guest, count) = line.measure;
    let count = if quick { count.div_ceil(100).max(2) } else { count };
    let (mut mine, mut theirs, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        if let Some(original) = original {
            theirs.push(original.measure(what, guest, count)?);
        }
        mine.push(ours.measure(what, guest, count)?);
        if let Some((what, count)) = line.floor {
            floor.push(ours.measure(what, guest, if quick { count / 100 } else { count })?);
        }
    }
    let mine = median(&mut mine).context("nothing was measured")?;
    let (theirs, floor) = (median(&mut theirs), median(&mut floor));
    let verdict = theirs.map_or((String::from("-"), String::new()), |theirs| {
        let met = if mine <= line.goal * theirs { "met" } else { "not met" };
        (format!("{:.2}", mine / theirs), format!("{:.2}: {met}", line.goal))
    });
    let (theirs, floor) = (theirs.map_or("-".into(), time), floor.map_or(String::new(), time));
    Ok(format!("| {} | {floor} | {theirs} | {} | {} | {} |", line.what, time(mine), verdict.0, verdict.1))
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

/// Where the guests lie: in memory if the system has such a place, and on disk.
fn places() -> Vec<(&'static str, PathBuf)> {
    let memory = PathBuf::from("/dev/shm");
    let disk = ("disk", tools::work_dir());
    if memory.is_dir() { vec![("tmpfs", memory), disk] } else { vec![disk] }
}

fn machine() -> Result<String> {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let revision = output(command("git").args(["describe", "--always", "--dirty"]));
    let date = output(command("date").args(["+%Y-%m-%d"]))?;
    let model = model.trim_start_matches([' ', '\t', ':']);
    Ok(format!("{model}, {}, revision {}", date.trim(), revision.as_deref().unwrap_or("unknown").trim()))
}

/// The smoke run of the test command: proves that the benchmarks work, and measures nothing.
pub(crate) fn smoke() -> Result<()> {
    run_all(true)
}
