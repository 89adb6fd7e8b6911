//! `cargo xtask bench`: this library, the floor below it, and beside them the original if it is at hand.
//!
//! The original is not a part of this project: `CR_ORIGINAL` names the directory of its `cr.h`. Whole programs are
//! run in turn, so that what disturbs the machine disturbs all of them; the numbers are medians of their medians.
//! Beside the times stand counts that no noise changes: instructions and system calls.

mod builds;
mod counts;
mod memory;
mod page;
mod plot;
mod program;

use crate::tools::{self, Scratch, root};
use crate::{libs, packages};
use anyhow::{Context, Result};
use program::Program;
use std::env;
use std::path::{Path, PathBuf};

/// A measure: the name that the host program knows, the guest's name and how often.
type Measure = (&'static str, &'static str, u32);

/// One line of the table.
struct Line {
    what: &'static str,
    measure: Measure,
    /// What the original has in its place, if that is something else, and the goal: at most so many times that.
    original: &'static str,
    goal: Option<f64>,
    /// The measure of the floor, and the goal as a multiple of it.
    floor: Option<Measure>,
    above_floor: Option<f64>,
}

const CALL: Option<Measure> = Some(("call", "small", 1_000_000));

const LINES: [Line; 20] = [
    line("update, no check", ("update", "small", 1_000_000), 0.05, CALL).at_most(6.0),
    line("guarded call", ("guarded_call", "small", 1_000_000), 0.0, CALL).beside(""),
    line("update, check", ("update_check", "small", 200_000), 0.35, Some(("ask", "small", 200_000))),
    line("update, check, CR_WATCH", ("update_watch", "small", 1_000_000), 0.025, CALL).beside("update_check"),
    line("CR_WATCH: until a change is seen", ("noticed_watch", "small", 10), 0.0, None).beside(""),
    line("one of 1000 plugins, check", ("many", "small", 20), 0.2, None),
    line("reload, 15 KB", ("reload", "small", 300), 0.9, Some(("relink", "small", 300))),
    line("reload, 1 MB", ("reload", "1mb", 60), 1.0, Some(("relink", "1mb", 60))),
    line("reload, 4 MB", ("reload", "4mb", 30), 1.0, Some(("relink", "4mb", 30))),
    line("reload, 20 MB", ("reload", "20mb", 12), 1.0, Some(("relink", "20mb", 12))),
    line("reload, 100 MB", ("reload", "100mb", 5), 1.0, Some(("relink", "100mb", 5))),
    line("reload, 1 MB of `.bss`", ("reload", "state1bss", 60), 0.5, Some(("memcpy", "state1bss", 60))),
    line("reload, 8 MB of `.bss`", ("reload", "state8bss", 20), 0.5, Some(("memcpy", "state8bss", 20))),
    line("reload, 64 MB of `.bss`", ("reload", "state64bss", 6), 0.5, Some(("memcpy", "state64bss", 6))),
    line("reload, 1 MB of `.state`", ("reload", "state1", 60), 0.5, Some(("relink_memcpy", "state1", 60))),
    line("reload, 64 MB of `.state`", ("reload", "state64", 6), 0.5, Some(("relink_memcpy", "state64", 6))),
    line("reload, 1000 variables", ("reload", "1000variables", 100), 0.0, Some(("relink", "1000variables", 100)))
        .without_goal(),
    line("reload, 10 000 variables", ("reload", "10000variables", 30), 0.0, Some(("relink", "10000variables", 30)))
        .without_goal(),
    line("crash and rollback, 15 KB", ("crash_rollback", "small", 300), 0.8, None),
    line("open, update, close", ("open_close", "small", 300), 1.0, Some(("once", "small", 300))),
];

const fn line(what: &'static str, measure: Measure, goal: f64, floor: Option<Measure>) -> Line {
    Line { what, measure, original: measure.0, goal: Some(goal), floor, above_floor: None }
}

impl Line {
    /// What the original is asked instead; "" for nothing.
    const fn beside(self, original: &'static str) -> Line {
        Line { original, goal: if original.is_empty() { None } else { self.goal }, ..self }
    }

    /// The original does less: it moves the whole section.
    const fn without_goal(self) -> Line {
        Line { goal: None, ..self }
    }

    const fn at_most(self, times: f64) -> Line {
        Line { above_floor: Some(times), ..self }
    }
}

/// What was measured of a line, in nanoseconds.
struct Row {
    what: &'static str,
    measure: Measure,
    floor: Option<f64>,
    original: Option<f64>,
    ours: f64,
    goal: Option<f64>,
    above_floor: Option<f64>,
    /// Of the original and of ours.
    instructions: (Option<f64>, Option<f64>),
    calls: (Option<f64>, Option<f64>),
}

/// A table for the guests in one place.
struct Table {
    place: String,
    rows: Vec<Row>,
}

/// How a run is made.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// One short round, to see that it works.
    pub(crate) quick: bool,
    /// Write docs/benchmarks.md and its plots.
    pub(crate) write: bool,
}

pub(crate) fn run_all(settings: Settings) -> Result<()> {
    let built = libs::build_native()?;
    let library = built.join("libcr.a");
    if settings.write {
        packages::provide(&[("valgrind", "valgrind"), ("strace", "strace")])?;
    }
    let original = env::var_os("CR_ORIGINAL").map(PathBuf::from);
    let mut tables = Vec::new();
    let mut profiles = Vec::new();
    let mut memory = String::new();
    for (place, folder) in places() {
        let scratch = Scratch::within(&folder, "bench")?;
        let ours = Program::new(scratch.path(), "ours", &root().join("include"), Some(&library))?;
        let original = original.as_deref().map(|include| Program::new(scratch.path(), "original", include, None));
        let original = original.transpose()?;
        // Counts are the same in every place.
        let counted = tables.is_empty();
        let rows = LINES.iter().map(|line| row(line, &ours, original.as_ref(), settings, counted));
        let table = Table { place, rows: rows.collect::<Result<_>>()? };
        println!("\n{}", page::table(&table));
        if counted {
            memory = memory::measure(&ours, original.as_ref(), if settings.quick { 2 } else { 5 })?;
            println!("{memory}");
        }
        if counted && settings.write {
            for (what, count) in [("update", 100_000), ("reload", 200)] {
                profiles.push(ours.profile(what, "small", count)?);
            }
        }
        tables.push(table);
        if settings.quick {
            break;
        }
    }
    let scratch = Scratch::new("bench-builds")?;
    let builds = builds::measure(scratch.path(), original.as_deref(), &library, if settings.quick { 1 } else { 7 })?;
    println!("{builds}");
    if settings.write {
        page::write(&tables, &memory, &builds, &profiles)?;
    }
    Ok(())
}

fn row(
    line: &Line,
    ours: &Program,
    original: Option<&Program>,
    Settings { quick, .. }: Settings,
    counted: bool,
) -> Result<Row> {
    let (what, guest, count) = line.measure;
    let rounds = if quick { 1 } else { 5 };
    let times = |count: u32| if quick { count.div_ceil(100).max(1) } else { count };
    let original = original.filter(|_| !line.original.is_empty());
    let (mut mine, mut theirs, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        if let Some(original) = original {
            theirs.push(original.measure(
                line.original,
                guest,
                times(if line.original == what { count } else { 200_000 }),
            )?);
        }
        mine.push(ours.measure(what, guest, times(count))?);
        if let Some((what, guest, count)) = line.floor {
            floor.push(ours.measure(what, guest, times(count))?);
        }
    }
    // A thread's work is not the update's, and with large files and states callgrind takes hours to say nothing more.
    let counted = counted && !quick && guest == "small" && !what.contains("watch") && what != "many";
    let instructions = |program: &Program, what: &str| if counted { program.instructions(what, guest) } else { None };
    let calls = |program: &Program, what: &str| if counted { program.system_calls(what, guest) } else { None };
    Ok(Row {
        what: line.what,
        measure: line.measure,
        floor: median(&mut floor),
        original: median(&mut theirs),
        ours: median(&mut mine).context("nothing was measured")?,
        goal: line.goal,
        above_floor: line.above_floor,
        instructions: (original.and_then(|program| instructions(program, line.original)), instructions(ours, what)),
        calls: (original.and_then(|program| calls(program, line.original)), calls(ours, what)),
    })
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Where the guests are put in turn, by the name of the place: in memory if the system has such a place, on disk, and
/// where `CR_BENCH_PLACE` says, which may be another file system.
fn places() -> Vec<(String, PathBuf)> {
    let mut places = Vec::new();
    if Path::new("/dev/shm").is_dir() {
        places.push(("tmpfs".into(), PathBuf::from("/dev/shm")));
    }
    places.push(("disk".into(), tools::work_dir()));
    if let Some(place) = env::var_os("CR_BENCH_PLACE") {
        let system = tools::output(tools::command("stat").args(["--file-system", "--format=%T"]).arg(&place));
        let name = system.map_or_else(|_| "CR_BENCH_PLACE".into(), |system| system.trim().to_owned());
        places.push((name, place.into()));
    }
    places
}

/// The smoke run of the test command: proves that the benchmarks work, and measures nothing.
pub(crate) fn smoke() -> Result<()> {
    // As `cargo test` runs them: once each, and in the profile that the tests have, without link-time optimisation.
    tools::run(tools::cargo().args(["test", "--locked", "--package", "cr-benches", "--benches"]))?;
    run_all(Settings { quick: true, write: false })
}
