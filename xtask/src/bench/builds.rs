//! What a host costs to compile, and how large it gets.

use super::median;
use crate::tools::{command, output, root};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// The smallest host, in both languages, and one that does without a library.
const HOST_CPP: &str = "#define CR_HOST\n#include \"cr.h\"\nint main(int, char **argv) {\n    cr_plugin ctx;\n    \
    if (!cr_plugin_open(ctx, argv[1])) return 1;\n    while (cr_plugin_update(ctx) == 0) {}\n    \
    cr_plugin_close(ctx);\n}\n";
const HOST_C: &str = "#define CR_HOST\n#include \"cr.h\"\nint main(int argc, char **argv) {\n    struct cr_plugin ctx;\n    \
    if (argc < 2 || !cr_plugin_open(&ctx, argv[1])) return 1;\n    while (cr_plugin_update(&ctx, true) == 0) {}\n    \
    cr_plugin_close(&ctx);\n    return 0;\n}\n";
const PLAIN: &str = "#include <dlfcn.h>\nint main(int argc, char **argv) {\n    \
    void *handle = dlopen(argv[argc - 1], RTLD_NOW);\n    \
    return ((int (*)(void *, int))dlsym(handle, \"cr_main\"))(0, 1);\n}\n";

/// Compiles and links in turn; the tables.
pub(super) fn measure(scratch: &Path, original: Option<&Path>, library: &Path, rounds: usize) -> Result<String> {
    for (name, text) in [("host.cpp", HOST_CPP), ("host.c", HOST_C), ("plain.cpp", PLAIN), ("plain.c", PLAIN)] {
        fs::write(scratch.join(name), text)?;
    }
    let ours = root().join("include");
    let mut ways: Vec<(&str, Vec<&str>, &Path)> = vec![
        ("C++, plain dlopen", vec!["c++", "plain.cpp"], &ours),
        ("C++", vec!["c++", "-std=c++11", "host.cpp"], &ours),
        ("C++, `CR_NO_STD_HEADERS`", vec!["c++", "-std=c++11", "-DCR_NO_STD_HEADERS", "host.cpp"], &ours),
        ("C, plain dlopen", vec!["cc", "plain.c"], &ours),
        ("C", vec!["cc", "host.c"], &ours),
    ];
    if let Some(original) = original {
        ways.insert(0, ("C++, the original", vec!["c++", "-std=c++11", "host.cpp"], original));
    }
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..rounds {
        for ((_, words, include), times) in ways.iter().zip(&mut times) {
            let (compiler, arguments) = words.split_first().context("no compiler")?;
            let mut compile = command(compiler);
            compile.current_dir(scratch).args(["-O0", "-w", "-c", "-o", "object.o", "-I"]).arg(include);
            let begin = Instant::now();
            output(compile.args(arguments))?;
            times.push(begin.elapsed().as_secs_f64() * 1e9);
        }
    }
    let medians: Vec<f64> = times.iter_mut().filter_map(|times| median(times)).collect();
    let theirs = original.and(medians.first().copied());
    let mut text =
        String::from("| a host file, compiled with -O0 | time | to the original | goal |\n|---|---|---|---|\n");
    for ((name, ..), time) in ways.iter().zip(&medians) {
        let ratio = theirs.map_or(String::from("-"), |theirs| format!("{:.3}", time / theirs));
        let goal = match theirs {
            Some(theirs) if !name.contains("plain") && !name.contains("original") => {
                format!("0.125: {}", if *time <= theirs / 8.0 { "met" } else { "not met" })
            }
            _ => String::new(),
        };
        writeln!(text, "| {name} | {:.0} ms | {ratio} | {goal} |", time / 1e6)?;
    }
    write!(text, "\n{}", sizes(scratch, original, library)?)?;
    Ok(text)
}

/// The sizes of stripped hosts, and what ours consists of.
fn sizes(scratch: &Path, original: Option<&Path>, library: &Path) -> Result<String> {
    let link = |compiler: &str, file: &str, include: &Path, library: Option<&Path>, to: &str, strip: bool| {
        let mut link = command(compiler);
        link.current_dir(scratch).args(["-O2", "-w", "-ffunction-sections", "-Wl,--gc-sections", "-I"]).arg(include);
        link.arg(file).args(library).args(["-lgcc_s", "-lpthread", "-ldl", "-lm", "-o", to]);
        output(if strip { link.arg("-s") } else { &mut link })?;
        Ok::<_, anyhow::Error>(fs::metadata(scratch.join(to))?.len() as f64 / 1024.0)
    };
    let ours = root().join("include");
    let size = link("cc", "host.c", &ours, Some(library), "host", true)?;
    let mut text = String::from("| a stripped host, linked statically | size | goal |\n|---|---|---|\n");
    if let Some(original) = original {
        let size = link("c++", "host.cpp", original, None, "original", true)?;
        writeln!(text, "| C++, the original | {size:.0} KB | |")?;
    }
    writeln!(text, "| C, plain dlopen | {:.0} KB | |", link("cc", "plain.c", &ours, None, "plain", true)?)?;
    let met = if size <= 350.0 { "met" } else { "not met" };
    writeln!(text, "| C | {size:.0} KB | 350 KB: {met} |")?;

    link("cc", "host.c", &ours, Some(library), "host-symbols", false)?;
    let names = output(command("nm").args(["-S", "-C", "--defined-only"]).arg(scratch.join("host-symbols")))?;
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in names.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some(_), Some(size), Some(_), Some(name)) = (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if let Ok(size) = u64::from_str_radix(size, 16) {
            *parts.entry(part(name)).or_default() += size;
        }
    }
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(_, size)| core::cmp::Reverse(*size));
    text.push_str("\n| functions and data with a name, by where they come from | |\n|---|---|\n");
    for (name, size) in parts {
        writeln!(text, "| {name} | {:.0} KB |", size as f64 / 1024.0)?;
    }
    Ok(text)
}

/// The crate that a function is from; generic ones count for the type that they are for.
fn part(name: &str) -> &'static str {
    let crates = [
        ("goblin", "goblin, scroll: the formats of images"),
        ("scroll", "goblin, scroll: the formats of images"),
        ("gimli", "gimli, addr2line, object: debug information"),
        ("addr2line", "gimli, addr2line, object: debug information"),
        ("object::", "gimli, addr2line, object: debug information"),
        ("miniz_oxide", "gimli, addr2line, object: debug information"),
        ("rustc_demangle", "names of functions, in words"),
        ("cpp_demangle", "names of functions, in words"),
        ("cr::", "cr"),
        ("cr_", "cr"),
        ("std::", "Rust's standard library"),
        ("core::", "Rust's standard library"),
        ("alloc::", "Rust's standard library"),
        ("memchr", "Rust's standard library"),
    ];
    crates.iter().find(|(part, _)| name.contains(part)).map_or("the rest", |(_, group)| group)
}
