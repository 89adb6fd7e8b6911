//! Symbol tables that say nonsense: state falls back to whole sections, and nothing crashes.

use crate::fixture::{PLAIN, Run, c};
use cr::abi::cr_mode;
use goblin::elf::Elf;
use goblin::elf::section_header::{SHT_STRTAB, SHT_SYMTAB};

const SOURCE: &str = "static int CR_STATE a = 100; static int b; static int CR_STATE many[50] = {1};";
const STEP: &str = "io[0] = ++a; io[1] = ++b; many[3]++;";

/// Puts nonsense into the symbol table of an image, its names, or the table's own header.
fn damaged(good: &[u8], seed: u64) -> Vec<u8> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below.max(1)
    };
    let elf = Elf::parse(good).unwrap();
    let table = elf.section_headers.iter().position(|section| section.sh_type == SHT_SYMTAB).unwrap();
    let symbols = &elf.section_headers[table];
    let names = &elf.section_headers[symbols.sh_link as usize];
    assert_eq!(names.sh_type, SHT_STRTAB);
    let mut bytes = good.to_vec();
    for _ in 0..1 + next(40) {
        let at = match seed % 3 {
            0 => symbols.sh_offset + next(symbols.sh_size),
            1 => names.sh_offset + next(names.sh_size),
            _ => elf.header.e_shoff + table as u64 * u64::from(elf.header.e_shentsize) + next(64),
        };
        bytes[at as usize] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5) as usize];
    }
    bytes
}

#[test]
fn nonsense_in_the_symbols_is_no_crash() {
    let good = c(SOURCE, STEP).build(PLAIN).unwrap();
    let mut reloads = 0;
    for seed in 0..120 {
        let bad = damaged(&good, seed);
        let (old, new) = if seed % 2 == 0 { (&good, &bad) } else { (&bad, &good) };
        let mut run = Run::new(old, cr_mode::CR_UNSAFE);
        // A header that is nonsense is refused before anything is loaded.
        if run.step().is_err() {
            continue;
        }
        run.install(new);
        if run.step().is_ok() && run.io[0] > 0 {
            reloads += 1;
            assert!(!run.report().is_empty());
        }
    }
    assert!(reloads > 30, "only {reloads} were reloaded");
}

#[test]
fn names_that_lead_nowhere_fall_back_to_sections() {
    let good = c(SOURCE, STEP).build(PLAIN).unwrap();
    let elf = Elf::parse(&good).unwrap();
    let symbols = elf.section_headers.iter().find(|section| section.sh_type == SHT_SYMTAB).unwrap();
    let names = &elf.section_headers[symbols.sh_link as usize];
    let size = if elf.is_64 { 24 } else { 16 };
    let mut bad = good.clone();
    for row in (0..symbols.sh_size).step_by(size) {
        let at = (symbols.sh_offset + row) as usize;
        bad[at..at + 4].copy_from_slice(&(names.sh_size as u32).to_ne_bytes());
    }
    let mut run = Run::new(&good, cr_mode::CR_UNSAFE);
    run.step().unwrap();
    run.install(&bad);
    run.step().unwrap();
    assert_eq!((run.io[0], run.io[1]), (102, 2));
    assert!(run.report().iter().any(|(_, name, _)| name == ".state"), "{:?}", run.report());
}
