//! docs/benchmarks.md: the tables, the plots and the words around them, which are in page.md.

use super::plot::{Axis, Series, plot};
use super::{Row, Table};
use crate::tools::{command, output, root};
use anyhow::{Result, bail};
use std::fs;

const WORDS: &str = include_str!("page.md");

/// A table in Markdown.
pub(super) fn table(table: &Table) -> String {
    let mut text = format!(
        "### {}\n\n| | floor | original | ours | ratio | goal | instructions | system calls |\n\
         |---|---|---|---|---|---|---|---|\n",
        table.place
    );
    for row in &table.rows {
        let ratio = row.original.map_or("-".into(), |theirs| format!("{:.3}", row.ours / theirs));
        let shown = |value: Option<f64>| value.map_or("-".into(), time);
        text += &format!(
            "| {} | {} | {} | {} | {ratio} | {} | {} | {} |\n",
            row.what,
            shown(row.floor),
            shown(row.original),
            time(row.ours),
            goals(row),
            pair(row.instructions, 0),
            pair(row.calls, 1)
        );
    }
    text
}

fn goals(row: &Row) -> String {
    let judge = |met: bool| if met { "met" } else { "not met" };
    let mut goals = Vec::new();
    if let (Some(theirs), Some(goal)) = (row.original, row.goal) {
        goals.push(format!("{goal}: {}", judge(row.ours <= goal * theirs)));
    }
    if let (Some(floor), Some(times)) = (row.floor, row.above_floor) {
        goals.push(format!("{times} × the floor: {} ({:.1})", judge(row.ours <= times * floor), row.ours / floor));
    }
    goals.join("; ")
}

/// The original's number and ours.
fn pair((theirs, ours): (Option<f64>, Option<f64>), digits: usize) -> String {
    let shown = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.digits$}"));
    if theirs.or(ours).is_none() { String::new() } else { format!("{} / {}", shown(theirs), shown(ours)) }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

/// Writes the page and its plots.
pub(super) fn write(tables: &[Table], memory: &str, builds: &str, profiles: &[String]) -> Result<()> {
    let Some(first) = tables.first() else { bail!("nothing was measured") };
    let folder = root().join("docs/benchmarks");
    fs::create_dir_all(&folder)?;
    for (file, svg) in plots(first) {
        fs::write(folder.join(file), svg)?;
    }
    let all: Vec<String> = tables.iter().map(table).collect();
    let mut text = WORDS.to_owned();
    for (name, words) in [
        ("MACHINE", machine()?),
        ("TABLES", all.join("\n").trim_end().to_owned()),
        ("MEMORY", memory.trim_end().to_owned()),
        ("BUILDS", builds.trim_end().to_owned()),
        ("PROFILE_UPDATE", profiles.first().cloned().unwrap_or_default()),
        ("PROFILE_RELOAD", profiles.get(1).cloned().unwrap_or_default()),
    ] {
        text = text.replace(&format!("@{name}@"), &words);
    }
    fs::write(root().join("docs/benchmarks.md"), text)?;
    println!("docs/benchmarks.md written");
    Ok(())
}

fn plots(table: &Table) -> Vec<(&'static str, String)> {
    let bytes: fn(f64) -> String = |value| match value {
        v if v < 1e6 => format!("{:.0} KB", v / 1e3),
        v => format!("{:.0} MB", v / 1e6),
    };
    let number: fn(f64) -> String = |value| format!("{value:.0}");
    let of = |sizes: &[(&str, f64)], number: fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
        let row = |guest: &str| table.rows.iter().find(|row| row.measure.0 == "reload" && row.measure.1 == guest);
        sizes.iter().filter_map(|(guest, size)| Some((*size, number(row(guest)?)?))).collect()
    };
    let reload = |title: &str, name, label, sizes: &[(&str, f64)]| {
        let series = [
            Series { name: "cr", points: of(sizes, |row| Some(row.ours)) },
            Series { name: "the original", points: of(sizes, |row| row.original) },
            Series { name: "the floor", points: of(sizes, |row| row.floor) },
        ];
        let series: Vec<_> = series.into_iter().filter(|line| !line.points.is_empty()).collect();
        plot(title, &Axis { name, label }, &Axis { name: "time", label: time }, &series)
    };
    let files = [("small", 15e3), ("1mb", 1e6), ("4mb", 4e6), ("20mb", 20e6), ("100mb", 100e6)];
    let states = [("state1bss", 1e6), ("state8bss", 8e6), ("state64bss", 64e6)];
    let variables = [("small", 1.0), ("1000variables", 1e3), ("10000variables", 1e4)];
    let updates = table.rows.iter().take(6);
    // One after the other, in the order of the table.
    let number_of = |value: fn(&Row) -> Option<f64>| {
        let rows = updates.clone().filter(|row| !row.what.contains("until"));
        (1..).zip(rows).filter_map(|(index, row)| Some((f64::from(index), value(row)?))).collect()
    };
    let series = [
        Series { name: "cr", points: number_of(|row| Some(row.ours)) },
        Series { name: "the original", points: number_of(|row| row.original) },
        Series { name: "the floor", points: number_of(|row| row.floor) },
    ];
    let series: Vec<_> = series.into_iter().filter(|line| !line.points.is_empty()).collect();
    let lines = "1 no check, 2 guarded call, 3 check, 4 CR_WATCH, 5 one of 1000";
    let update = plots_of_updates(lines, &series);
    vec![
        ("update.svg", update),
        ("file-size.svg", reload("A reload, by the size of the file", "size of the file", bytes, &files)),
        ("state-size.svg", reload("A reload, by the size of its .bss", "size of the state", bytes, &states)),
        ("variables.svg", reload("A reload, by tagged variables", "number of variables", number, &variables)),
    ]
}

fn plots_of_updates(lines: &'static str, series: &[Series]) -> String {
    let none: fn(f64) -> String = |_| String::new();
    plot("An update", &Axis { name: lines, label: none }, &Axis { name: "time", label: time }, series)
}

fn machine() -> Result<String> {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = output(command("uname").args(["-sr"]))?;
    let compiler = output(command("cc").arg("--version"))?;
    let rust = output(command("rustc").arg("--version"))?;
    let revision = output(command("git").args(["describe", "--always", "--dirty", "--exclude", "*"]));
    let date = output(command("date").args(["+%Y-%m-%d"]))?;
    Ok(format!(
        "{model}, {cores} processors, {}; {}; {}; {}; revision {}",
        kernel.trim(),
        compiler.lines().next().unwrap_or_default(),
        rust.trim(),
        date.trim(),
        revision.as_deref().unwrap_or("unknown").trim()
    ))
}
