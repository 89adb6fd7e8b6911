//! The table in docs/state.md, made of what the tests find.

use crate::outcome::{Config, outcomes};
use crate::rows;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

const BEGIN: &str = "<!-- made by the tests: the table of edits -->";
const END: &str = "<!-- end -->";

/// The columns: language, and whether there is debug information.
const COLUMNS: [(&str, &str, bool); 6] = [
    ("c", "C", true),
    ("c", "C, without", false),
    ("cpp", "C++", true),
    ("cpp", "C++, without", false),
    ("rust", "Rust", true),
    ("rust", "Rust, without", false),
];

#[test]
fn the_table_in_the_docs_is_what_the_tests_find() {
    let Some(table) = table() else {
        eprintln!("skipped: this machine lacks a compiler or linker");
        return;
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/state.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/state.md has the place for the table");
    let (_, after) = rest.split_once(END).expect("and its end");
    let right = format!("{before}{BEGIN}\n\n{table}\n{END}{after}");
    if std::env::var_os("CR_WRITE_DOCS").is_some() {
        fs::write(file, right).unwrap();
    } else {
        assert!(text == right, "docs/state.md has another table than this; CR_WRITE_DOCS=1 writes it:\n{table}");
    }
}

/// None: a toolchain is missing.
fn table() -> Option<String> {
    let configs = Mutex::new(Config::all().into_iter());
    let found = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(config) = configs.lock().unwrap().next() else { break };
                    let outcomes = outcomes(&config);
                    found.lock().unwrap().push((config, outcomes));
                }
            });
        }
    });
    let mut cells: HashMap<(&str, &str, bool), BTreeMap<String, Vec<Config>>> = HashMap::new();
    for (config, outcomes) in found.into_inner().unwrap() {
        for (row, outcome) in outcomes? {
            let row = rows::of(config.language).into_iter().find(|one| one.name == row)?;
            cells
                .entry((row.title, config.language, config.debug))
                .or_default()
                .entry(outcome)
                .or_default()
                .push(config);
        }
    }
    let mut text = String::from("| edit |");
    for (_, title, _) in COLUMNS {
        write!(text, " {title} |").unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|---|\n");
    // C++ has all that C has.
    let mut titles: Vec<&str> = Vec::new();
    for row in rows::of("cpp").into_iter().chain(rows::of("rust")) {
        if !titles.contains(&row.title) {
            titles.push(row.title);
        }
    }
    for title in titles {
        write!(text, "| {title} |").unwrap();
        for (language, _, debug) in COLUMNS {
            let cell = cells.get(&(title, language, debug));
            write!(text, " {} |", cell.map_or("–".into(), shown)).unwrap();
        }
        text.push('\n');
    }
    Some(text)
}

/// One outcome for all toolchains; or each with those that have it.
fn shown(outcomes: &BTreeMap<String, Vec<Config>>) -> String {
    if let Some((only, _)) = outcomes.first_key_value().filter(|_| outcomes.len() == 1) {
        return only.clone();
    }
    let each = outcomes.iter().map(|(outcome, configs)| {
        let mut names: Vec<String> = configs
            .iter()
            .map(|one| format!("{} -{} {}", one.compiler, one.level.to_uppercase(), one.linker))
            .collect();
        names.sort_unstable();
        format!("{outcome} ({})", names.join(", "))
    });
    each.collect::<Vec<_>>().join("; ")
}
