//! What the reader sees: narration, edits, and the host's lines.

use std::io::{self, IsTerminal};
use std::time::Duration;

pub(super) struct Screen {
    colour: bool,
    fast: bool,
}

impl Screen {
    pub(super) fn new(fast: bool) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, fast }
    }

    /// How long the reader gets where a person would like `milliseconds`.
    pub(super) fn time(&self, milliseconds: u64) -> Duration {
        Duration::from_millis(if self.fast { 0 } else { milliseconds })
    }

    pub(super) fn title(&self, text: &str) {
        println!();
        self.line("1", text);
    }

    pub(super) fn removed(&self, line: &str) {
        self.line("31", &format!("    - {line}"));
    }

    pub(super) fn added(&self, line: &str) {
        self.line("32", &format!("    + {line}"));
    }

    pub(super) fn source(&self, text: &str) {
        for line in text.lines() {
            self.line("2", &format!("    {line}"));
        }
    }

    pub(super) fn output(&self, line: &str) {
        let colour = if line.starts_with("host: failure") { "33" } else { "36" };
        self.line(colour, &format!("  | {line}"));
    }

    pub(super) fn passed(&self, text: &str) {
        self.line("32", &format!("  ok: {text}"));
    }

    fn line(&self, colour: &str, text: &str) {
        if self.colour {
            println!("\x1b[{colour}m{text}\x1b[0m");
        } else {
            println!("{text}");
        }
    }
}
