//! Steps with a name, a result and a time, and the table of them.

use anyhow::Result;
use std::time::{Duration, Instant};

/// A part of the tests.
pub(crate) struct Step {
    pub(crate) name: String,
    action: Box<dyn Fn() -> Result<()>>,
}

impl Step {
    pub(crate) fn new(name: impl Into<String>, action: impl Fn() -> Result<()> + 'static) -> Self {
        Self { name: name.into(), action: Box::new(action) }
    }
}

/// Runs the steps, all of them, and prints the table. True if none failed.
pub(crate) fn run(steps: &[Step]) -> bool {
    let mut table: Vec<(&str, Duration, Option<String>)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {}", number + 1, steps.len(), step.name);
        let start = Instant::now();
        let failure = (step.action)().err().map(|error| format!("{error:#}"));
        if let Some(text) = &failure {
            println!("failed: {text}");
        }
        table.push((&step.name, start.elapsed(), failure));
    }

    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    println!("\n=== Summary");
    for (name, time, failure) in &table {
        let result = if failure.is_some() { "FAILED" } else { "ok" };
        println!("{name:width$}  {result:6}  {:7.1} s", time.as_secs_f64());
    }
    for (name, _, failure) in &table {
        if let Some(text) = failure {
            println!("\n{name}: {text}");
        }
    }
    let failed = table.iter().filter(|(_, _, failure)| failure.is_some()).count();
    println!("\n{} passed, {failed} failed", table.len() - failed);
    failed == 0
}
