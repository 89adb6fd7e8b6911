//! How much memory a reload takes at its peak.

use super::program::Program;
use anyhow::Result;
use std::fmt::Write;

/// What the guest has, its name, and how many megabytes of state are in it.
const GUESTS: [(&str, &str, f64); 2] =
    [("64 MB of `.bss`", "state64bss", 64.0), ("64 MB of `.state`", "state64", 64.0)];

/// So many times the state at most.
const GOAL: f64 = 2.0;

/// Above it: the guest's code, and what the library knows of the image.
const BESIDE: f64 = 2.0;

/// The table, in megabytes that the process has got more than before it opened the plugin.
pub(super) fn measure(ours: &Program, original: Option<&Program>, reloads: u32) -> Result<String> {
    let mut text = format!(
        "| memory at its peak, after {reloads} reloads | original | ours | times the state | goal |\n|---|---|---|---|---|\n"
    );
    for (what, guest, state) in GUESTS {
        let megabytes =
            |program: &Program| Ok::<_, anyhow::Error>(program.measure("memory", guest, reloads)? / 1048576.0);
        let theirs = original.map(megabytes).transpose()?.map_or("-".into(), |peak| format!("{peak:.0} MB"));
        let peak = megabytes(ours)?;
        let judged = if peak <= GOAL * state + BESIDE { "met" } else { "not met" };
        writeln!(text, "| {what} | {theirs} | {peak:.0} MB | {:.2} | {GOAL}: {judged} |", peak / state)?;
    }
    Ok(text)
}
