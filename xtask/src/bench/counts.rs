//! Counts that the noise of a machine does not change: instructions, as callgrind sees them.

use crate::tools::{command, output};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Runs a program under callgrind: the instructions that it has executed. The details are in the file `result`.
pub(super) fn callgrind(program: &Path, arguments: &[&str], result: &Path) -> Result<f64> {
    let mut valgrind = command("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", result.display()));
    output(valgrind.arg(program).args(arguments))?;
    let text = fs::read_to_string(result)?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    line.and_then(|total| total.trim().parse().ok()).context("callgrind gives no total")
}

/// The functions that most instructions are in, as lines of a table.
pub(super) fn functions(result: &Path) -> Result<String> {
    let text = output(command("callgrind_annotate").arg("--threshold=97").arg(result))?;
    let mut lines = Vec::new();
    for line in text.lines() {
        // "1,234 ( 5.67%)  file:function [object]"
        let Some((count, rest)) = line.split_once('(') else { continue };
        let Some((share, place)) = rest.split_once("%)") else { continue };
        let name = place.split(" [").next().unwrap_or(place).trim();
        let name = name
            .rsplit_once(".c:")
            .or(name.rsplit_once(".S:"))
            .or(name.rsplit_once(".rs:"))
            .or(name.rsplit_once(".h:"));
        let name = name.map_or_else(|| place.split(" [").next().unwrap_or(place).trim(), |(_, name)| name);
        let name = name.trim_start_matches("???:");
        if !count.trim().is_empty() && !name.contains("PROGRAM TOTALS") {
            lines.push(format!("| {} % | `{name}` |", share.trim()));
        }
    }
    lines.truncate(14);
    Ok(lines.join("\n"))
}
