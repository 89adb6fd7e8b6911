//! Steps with a name, a result and a time, and the table of them.

use crate::platforms::{self, Proof, Row};
use anyhow::Result;
use std::fs;
use std::time::Instant;

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

    /// It shows nothing that the table has.
    pub(crate) fn without_proof(mut self) -> Self {
        self.proofs.clear();
        self
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

/// What became of a step.
struct Outcome {
    time: f64,
    /// See [`computing_time`].
    computed: Option<f64>,
    /// The remark, or the error.
    result: Result<String, String>,
}

/// Runs the steps, all of them, and prints the tables. `None` if one of them failed, or what they have shown.
pub(crate) fn run(steps: &[Step]) -> Option<Vec<Row>> {
    let mut table: Vec<(&Step, Outcome)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {}", number + 1, steps.len(), step.name);
        let (start, before) = (Instant::now(), computing_time());
        let result = (step.action)().map_err(|error| format!("{error:#}"));
        if let Err(text) = &result {
            println!("failed: {text}");
        }
        let computed = computing_time().zip(before).map(|(end, start)| end - start);
        table.push((step, Outcome { time: start.elapsed().as_secs_f64(), computed, result }));
    }

    let total = "all, and computing time";
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0).max(total.len());
    let line = |name: &str, word: &str, time: f64, computed: Option<f64>, remark: &str| {
        let computed = computed.map_or(String::new(), |seconds| format!("{seconds:7.1} s"));
        println!("{}", format!("{name:width$}  {word:6}  {time:7.1} s  {computed:9}  {remark}").trim_end());
    };
    println!("\n=== Summary");
    for (step, outcome) in &table {
        let (word, remark) = outcome.result.as_ref().map_or(("FAILED", ""), |remark| ("ok", remark));
        line(&step.name, word, outcome.time, outcome.computed, remark);
    }
    let time = table.iter().map(|(_, outcome)| outcome.time).sum();
    line(total, "", time, table.iter().map(|(_, outcome)| outcome.computed).sum(), "");
    for (step, outcome) in &table {
        if let Err(text) = &outcome.result {
            println!("\n{}: {text}", step.name);
        }
    }
    let failed = table.iter().filter(|(_, outcome)| outcome.result.is_err()).count();
    println!("\n{} passed, {failed} failed", table.len() - failed);

    let proofs = table.iter().flat_map(|(step, outcome)| {
        step.proofs.iter().map(|(platform, proof)| (*platform, proof, outcome.result.is_ok()))
    });
    let rows = platforms::rows(proofs);
    println!("\n| platform | compiles | links | tests run here |\n|---|---|---|---|");
    for row in &rows {
        println!("{row}");
    }
    (failed == 0).then_some(rows)
}

/// The seconds that processors have worked for us and for the programs that we have waited for, on all cores: what does
/// not depend on what else the machine is doing. Linux tells it.
fn computing_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name in parentheses, which may hold anything: of us and of the others, as user and in the system.
    let times: Vec<&str> = text.rsplit(')').next()?.split_whitespace().skip(11).take(4).collect();
    let ticks: f64 = times.iter().map(|time| time.parse::<f64>().unwrap_or(0.0)).sum();
    (times.len() == 4).then_some(ticks / 100.0)
}
