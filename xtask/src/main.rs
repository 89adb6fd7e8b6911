//! The commands of this repository: `cargo xtask <command>`.

mod bench;
mod beside;
mod checks;
mod cmake;
mod demo;
mod dist;
mod header;
mod libs;
mod machine;
mod microsoft;
mod musl;
mod packages;
mod platforms;
mod readme;
mod steps;
mod suites;
mod symbols;
mod test;
mod tools;
mod watched;
mod wine;
mod zig;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show a host that reloads, survives and rolls back its guest, before your eyes
    Demo {
        /// Without pauses for the reader
        #[arg(long)]
        fast: bool,
        /// On this platform, by its Rust triple, such as x86_64-pc-windows-gnu; without it, on this machine
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
    },
    /// Run everything that can be tested on this machine
    Test {
        /// Only the steps whose name contains this; may be repeated
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Without the steps whose name contains this; may be repeated
        #[arg(long, value_name = "NAME")]
        skip: Vec<String>,
        /// For this platform, by its Rust triple, such as aarch64-unknown-linux-gnu; without it, for this machine
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
        /// For this machine and all others that can be tested from here
        #[arg(long, conflicts_with = "target")]
        all: bool,
        /// Name the steps and stop
        #[arg(long)]
        list: bool,
    },
    /// Measure this library, and beside it the original if CR_ORIGINAL names the directory of its cr.h
    Bench {
        /// One short round, to see that it works
        #[arg(long)]
        quick: bool,
        /// Write docs/benchmarks.md and its plots
        #[arg(long)]
        write: bool,
    },
    /// Write include/cr.h anew from its sources
    Header,
    /// Put libcr.a, libcr.so, cr.h and cr.pc into a directory, for use without CMake
    Dist {
        /// The directory; it gets include/ and lib/
        #[arg(long, value_name = "DIR")]
        prefix: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo { fast, target } => demo::show(target.as_deref(), fast),
        Command::Test { only, skip, target, all, list } => {
            test::run(&test::Choice { only, skip }, target.as_deref(), all, list)
        }
        Command::Bench { quick, write } => bench::run_all(bench::Settings { quick, write }),
        Command::Header => header::write().map(|changed| {
            println!("include/cr.h {}", if changed { "written" } else { "is up to date" });
        }),
        Command::Dist { prefix } => dist::run(&prefix),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
