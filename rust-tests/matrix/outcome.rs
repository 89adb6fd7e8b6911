//! What becomes of each variable under one toolchain: found once, kept in a file.

use crate::fixture::Run;
use crate::guests;
use crate::rows::{self, Row};
use cr::abi::cr_mode;
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// A toolchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) language: &'static str,
    pub(crate) compiler: &'static str,
    pub(crate) level: &'static str,
    pub(crate) linker: &'static str,
    pub(crate) debug: bool,
}

impl Config {
    pub(crate) fn new([language, compiler, level, linker]: [&'static str; 4], debug: bool) -> Config {
        Config { language, compiler, level, linker, debug }
    }

    /// All of them.
    pub(crate) fn all() -> Vec<Config> {
        let mut all = Vec::new();
        for (language, compilers) in [("c", &["gcc", "clang"][..]), ("cpp", &["gcc", "clang"]), ("rust", &["rustc"])] {
            for compiler in compilers {
                for level in ["o0", "o2"] {
                    for linker in ["bfd", "gold", "lld", "mold"] {
                        for debug in [true, false] {
                            all.push(Config::new([language, compiler, level, linker], debug));
                        }
                    }
                }
            }
        }
        all
    }
}

/// The test of one cell.
pub(crate) fn check(config: Config, row: &str) {
    let Some(outcomes) = outcomes(&config) else {
        eprintln!("skipped: this machine lacks {} or {}", config.compiler, config.linker);
        return;
    };
    let (_, found) = outcomes.iter().find(|(name, _)| name == row).unwrap();
    let expected = expected(&config, row);
    assert!(expected.contains(&found.as_str()), "{config:?} {row}: {found}, expected one of {expected:?}");
}

/// What a cell may be: with debug information types are known; without, bytes stay what and where they are.
fn expected(config: &Config, row: &str) -> Vec<&'static str> {
    let row = rows::of(config.language).into_iter().find(|one| one.name == row).unwrap();
    let mut meanings = row.meanings.iter().map(|(_, meaning)| *meaning);
    let best = meanings.next().unwrap();
    let other = meanings.next();
    match other {
        Some(rows::BYTES) if config.debug => vec![best],
        Some(other) => vec![other],
        None => vec![best],
    }
}

/// The outcome of each row, by its name. None: this machine does not have what it takes.
pub(crate) fn outcomes(config: &Config) -> Option<Vec<(String, String)>> {
    let rows = rows::of(config.language);
    let name = format!("{config:?}").replace(|letter: char| !letter.is_alphanumeric(), "");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix");
    fs::create_dir_all(&place).unwrap();
    let lock = File::create(place.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();

    let (old_source, new_source) = guests::sources(config.language, &rows);
    let old = built(&place.join(format!("{name}.old")), &old_source, config)?;
    let new = built(&place.join(format!("{name}.new")), &new_source, config)?;

    // This program has the library in it.
    let program = std::env::current_exe().unwrap();
    let made = fs::metadata(&program).unwrap().modified().unwrap();
    let key = hash(&(&old, &new, made, format!("{rows:?}")));
    let file = place.join(format!("{name}.outcome"));
    let kept = fs::read_to_string(&file).unwrap_or_default();
    if let Some(rest) = kept.strip_prefix(&format!("{key}\n")) {
        return Some(rest.lines().filter_map(|line| line.split_once('\t')).map(owned).collect());
    }
    let outcomes = reload(&rows, &old, &new);
    let lines: String = outcomes.iter().map(|(row, outcome)| format!("{row}\t{outcome}\n")).collect();
    fs::write(file, format!("{key}\n{lines}")).unwrap();
    Some(outcomes)
}

fn owned((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// A guest, built unless it has been.
fn built(file: &PathBuf, guest: &crate::fixture::Guest, config: &Config) -> Option<Vec<u8>> {
    let header = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("include/cr.h")).unwrap();
    let key = hash(&(format!("{guest:?} {config:?}"), header)).to_string();
    let key_file = file.with_extension(format!("{}.key", file.extension().unwrap().to_str().unwrap()));
    if fs::read_to_string(&key_file).is_ok_and(|known| known == key) {
        return fs::read(file).ok();
    }
    let bytes = guests::build(guest, config)?;
    fs::write(file, &bytes).unwrap();
    fs::write(key_file, key).unwrap();
    Some(bytes)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Runs the old guest, then the new one with its state.
fn reload(rows: &[Row], old: &[u8], new: &[u8]) -> Vec<(String, String)> {
    let mut run = Run::new(old, cr_mode::CR_UNSAFE);
    assert_eq!(run.step().unwrap(), 1);
    run.install(new);
    assert_eq!(run.step().unwrap(), 2, "{}", run.error());
    let report = run.report();
    let outcome = |(slot, row): (usize, &Row)| {
        let value = run.io[slot];
        let meaning = row.meanings.iter().find(|(number, _)| *number == value);
        let mut outcome = meaning.map_or(format!("wrong: {value}"), |(_, meaning)| (*meaning).to_owned());
        if let Some((variable, word)) = row.said {
            let said = |entry: &crate::fixture::Entry| {
                entry.1.split("::").any(|part| part == variable) && format!("{:?}", entry.0).contains(word)
            };
            if !report.iter().any(said) {
                outcome = format!("{outcome}, but it was not said");
            }
        }
        (row.name.to_owned(), outcome)
    };
    rows.iter().enumerate().map(outcome).collect()
}
