//! The table of platforms: computed from the steps that were run, and compared with docs/platforms.md.

use crate::tools::root;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::fs;

/// What a step has shown of a platform when it succeeds.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    Compiles,
    Links,
    /// These tests have passed.
    Tests(String),
}

/// A row of the table, without the last column, which no program knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) platform: String,
    compiles: bool,
    links: bool,
    tests: Vec<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |yes| if yes { "yes" } else { "no" };
        let tests = if self.tests.is_empty() { "none".to_owned() } else { self.tests.join("; ") };
        write!(f, "| {} | {} | {} | {tests} |", self.platform, word(self.compiles), word(self.links))
    }
}

/// The rows that these steps make: platform, what it shows, whether it succeeded.
pub(crate) fn rows<'a>(steps: impl Iterator<Item = (&'a str, &'a Proof, bool)>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (platform, proof, ok) in steps {
        let index = rows.iter().position(|row| row.platform == platform).unwrap_or_else(|| {
            let platform = platform.to_owned();
            rows.push(Row { platform, compiles: false, links: false, tests: Vec::new() });
            rows.len() - 1
        });
        let row = &mut rows[index];
        row.compiles |= ok;
        row.links |= ok && !matches!(proof, Proof::Compiles);
        if let Proof::Tests(what) = proof
            && ok
        {
            row.tests.push(what.clone());
        }
    }
    rows
}

/// Fails unless docs/platforms.md has all of these rows; if everything was run, also if it has others.
pub(crate) fn check(rows: &[Row], all: bool) -> Result<()> {
    let text = fs::read_to_string(root().join("docs/platforms.md"))?;
    let documented: Vec<&str> = lines(&text);
    if documented.is_empty() {
        bail!("docs/platforms.md has no table");
    }
    let shown: Vec<String> = rows.iter().map(Row::to_string).collect();
    let missing: Vec<_> = shown.iter().filter(|row| !documented.contains(&row.as_str())).cloned().collect();
    let untrue: Vec<_> = documented.iter().filter(|row| all && !shown.iter().any(|shown| shown == *row)).collect();
    if !missing.is_empty() || !untrue.is_empty() {
        bail!("docs/platforms.md lacks what was shown: {missing:#?}, and has what was not: {untrue:#?}");
    }
    Ok(())
}

/// The first four columns of the table's rows.
fn lines<'a>(text: &'a str) -> Vec<&'a str> {
    let table = text.lines().skip_while(|line| !line.starts_with("| platform ")).skip(2);
    let columns = |line: &'a str| line.get(..=line.match_indices('|').nth(4)?.0);
    table.take_while(|line| line.starts_with('|')).filter_map(columns).collect()
}

/// The platform that a triple stands for.
pub(crate) fn name(triple: &str) -> Result<&'static str> {
    const NAMES: [(&str, &str); 9] = [
        ("x86_64-unknown-linux-gnu", "Linux x86_64 (glibc)"),
        ("aarch64-unknown-linux-gnu", "Linux aarch64 (glibc)"),
        ("i686-unknown-linux-gnu", "Linux i686 (glibc)"),
        ("riscv64gc-unknown-linux-gnu", "Linux riscv64 (glibc)"),
        ("x86_64-pc-windows-gnu", "Windows x86_64 (MinGW)"),
        ("i686-pc-windows-gnu", "Windows i686 (MinGW)"),
        ("x86_64-pc-windows-msvc", "Windows x86_64 (MSVC)"),
        ("aarch64-apple-darwin", "macOS aarch64"),
        ("x86_64-apple-darwin", "macOS x86_64"),
    ];
    let found = NAMES.iter().find(|(known, _)| *known == triple).map(|(_, name)| *name);
    found.with_context(|| format!("{triple} has no name in xtask/src/platforms.rs"))
}

#[cfg(test)]
mod tests {
    use super::{Proof, lines, rows};

    #[test]
    fn rows_are_what_steps_have_shown() {
        let (links, tests) = (Proof::Links, Proof::Tests("all".to_owned()));
        let steps = [
            ("a", &Proof::Compiles, true),
            ("b", &links, true),
            ("c", &links, true),
            ("c", &tests, true),
            ("d", &links, true),
            ("d", &tests, false),
            ("e", &Proof::Compiles, false),
        ];
        let rows: Vec<_> = rows(steps.into_iter()).iter().map(ToString::to_string).collect();
        let wanted = [
            "| a | yes | no | none |",
            "| b | yes | yes | none |",
            "| c | yes | yes | all |",
            "| d | yes | yes | none |",
            "| e | no | no | none |",
        ];
        assert_eq!(rows, wanted);
    }

    #[test]
    fn the_table_is_found_without_its_last_column() {
        let text = "x\n\n| platform | compiles | links | tests run here | known limits |\n|---|---|---|---|---|\n\
            | a | yes | no | none | many |\n| b | yes | yes | all | |\n\nend | of | it\n";
        assert_eq!(lines(text), ["| a | yes | no | none |", "| b | yes | yes | all |"]);
    }
}
