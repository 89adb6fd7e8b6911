//! Counts that the noise of a machine does not change: instructions, as callgrind sees them.

use crate::tools::{command, output};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Runs a program under callgrind: the instructions that it has executed, or those of one function with all that it calls.
/// The details are in the file `result`.
pub(super) fn callgrind(program: &Path, arguments: &[&str], result: &Path, within: Option<&str>) -> Result<f64> {
    let mut valgrind = command("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", result.display()));
    valgrind.args(within.map(|function| format!("--toggle-collect={function}")));
    output(valgrind.arg(program).args(arguments))?;
    let text = fs::read_to_string(result)?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    line.and_then(|total| total.trim().parse().ok()).context("callgrind gives no total")
}

/// The functions that most instructions are in, as lines of a table.
pub(super) fn functions(result: &Path) -> Result<String> {
    let text = output(command("callgrind_annotate").arg("--threshold=97").arg(result))?;
    let mut functions: Vec<(String, f64)> = Vec::new();
    for line in text.lines() {
        // "1,234 ( 5.67%)  file:function [object]"
        let Some((count, rest)) = line.split_once('(') else { continue };
        let Some((share, place)) = rest.split_once("%)") else { continue };
        let place = place.split(" [").next().unwrap_or(place).trim();
        let name = [".c:", ".S:", ".rs:", ".h:"].iter().find_map(|end| place.rsplit_once(end));
        let name = name.map_or(place, |(_, name)| name).trim_start_matches("???:");
        let Ok(share) = share.trim().parse::<f64>() else { continue };
        if count.trim().is_empty() || name.contains("PROGRAM TOTALS") {
            continue;
        }
        // One that contains inlined functions of several files has a line for each.
        match functions.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += share,
            None => functions.push((name.to_owned(), share)),
        }
    }
    functions.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    functions.truncate(14);
    let lines: Vec<String> = functions.iter().map(|(name, share)| format!("| {share:.2} % | `{name}` |")).collect();
    Ok(lines.join("\n"))
}
