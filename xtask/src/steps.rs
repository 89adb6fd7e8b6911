//! Steps with a name, a result and a time, and the table of them.

use crate::platforms::{self, Proof, Row};
use anyhow::Result;
use std::time::{Duration, Instant};

/// A part of the tests.
pub(crate) struct Step {
    pub(crate) name: String,
    action: Box<dyn Fn() -> Result<String>>,
    /// What it shows of which platforms.
    proofs: Vec<(&'static str, Proof)>,
}

impl Step {
    pub(crate) fn new(name: impl Into<String>, action: impl Fn() -> Result<()> + 'static) -> Self {
        Self::with_remark(name, move || action().map(|()| String::new()))
    }

    /// A part that has something to say in the table besides.
    pub(crate) fn with_remark(name: impl Into<String>, action: impl Fn() -> Result<String> + 'static) -> Self {
        Self { name: name.into(), action: Box::new(action), proofs: Vec::new() }
    }

    /// It compiles the library for this platform.
    pub(crate) fn compiles(self, platform: &'static str) -> Self {
        self.proves(platform, Proof::Compiles)
    }

    /// It links the library, or programs with it, for this platform.
    pub(crate) fn links(self, platform: &'static str) -> Self {
        self.proves(platform, Proof::Links)
    }

    /// It runs these tests for this platform.
    pub(crate) fn tests(self, platform: &'static str, what: impl Into<String>) -> Self {
        self.proves(platform, Proof::Tests(what.into()))
    }

    /// Does it show something of this platform?
    pub(crate) fn is_for(&self, platform: &str) -> bool {
        self.proofs.iter().any(|(shown, _)| *shown == platform)
    }

    fn proves(mut self, platform: &'static str, proof: Proof) -> Self {
        self.proofs.push((platform, proof));
        self
    }
}

/// Runs the steps, all of them, and prints the tables. `None` if one of them failed, or what they have shown.
pub(crate) fn run(steps: &[Step]) -> Option<Vec<Row>> {
    let mut table: Vec<(&str, Duration, Result<String, String>)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {}", number + 1, steps.len(), step.name);
        let start = Instant::now();
        let result = (step.action)().map_err(|error| format!("{error:#}"));
        if let Err(text) = &result {
            println!("failed: {text}");
        }
        table.push((&step.name, start.elapsed(), result));
    }

    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    println!("\n=== Summary");
    for (name, time, result) in &table {
        let (word, remark) = result.as_ref().map_or(("FAILED", ""), |remark| ("ok", remark));
        let line = format!("{name:width$}  {word:6}  {:7.1} s  {remark}", time.as_secs_f64());
        println!("{}", line.trim_end());
    }
    for (name, _, result) in &table {
        if let Err(text) = result {
            println!("\n{name}: {text}");
        }
    }
    let failed = table.iter().filter(|(_, _, result)| result.is_err()).count();
    println!("\n{} passed, {failed} failed", table.len() - failed);

    let results = steps.iter().zip(&table);
    let proofs = results.flat_map(|(step, (_, _, result))| {
        step.proofs.iter().map(|(platform, proof)| (*platform, proof, result.is_ok()))
    });
    let rows = platforms::rows(proofs);
    println!("\n| platform | compiles | links | tests run here |\n|---|---|---|---|");
    for row in &rows {
        println!("{row}");
    }
    (failed == 0).then_some(rows)
}
