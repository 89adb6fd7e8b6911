//! Thousands of damaged images, the same ones in each run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may fail

use crate::fuzz;
use crate::state::model::Random;
use std::process::Command;

const SOURCE: &str = "
    struct pair { int a; char *b; };
    struct all { struct pair pairs[3]; union { int i; double d; } number; enum { ONE, TWO } e; unsigned bits : 5; } all;
    static int counter __attribute__((section(\".state\"), used)) = 3;
    #ifdef NEW
    static long more; struct pair added[2];
    #else
    static short more; char added[9];
    #endif
    int cr_main(void *ctx, int op) { (void)ctx; more++; all.pairs[0].a++; counter += op; return added == (void *)&all; }
";

fn build(flags: &[&str]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let (source, library) = (place.path().join("guest.c"), place.path().join("guest.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-nostdlib"]).args(flags).arg("-o").arg(&library).arg(&source);
    assert!(compiler.status().unwrap().success());
    std::fs::read(library).unwrap()
}

/// Changes a few bytes, or takes some away.
fn damage(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    if random.below(16) == 0 {
        bytes.truncate(random.below(good.len()));
    }
    for _ in 0..=random.below(8) {
        // Headers and tables are at both ends; a number is often made very large or zero.
        let at = match random.below(3) {
            0 => random.below(1024),
            1 => bytes.len().saturating_sub(1 + random.below(4096)),
            _ => random.below(bytes.len().max(1)),
        };
        let value = [0, 0xff, 0x7f, 0x80, random.next() as u8][random.below(5)];
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
    }
    bytes
}

fn cases() -> usize {
    std::env::var("CR_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1500)
}

#[test]
fn damaged_images_are_survived() {
    let good = build(&["-g"]);
    let mut random = Random(1);
    for _ in 0..cases() {
        fuzz::image(&damage(&good, &mut random));
    }
}

#[test]
fn damaged_debug_information_is_survived() {
    for (seed, flags) in [&["-g", "-gdwarf-4"][..], &["-g", "-gdwarf-5"], &["-g", "-gz"]].into_iter().enumerate() {
        let good = build(flags);
        let mut random = Random(seed as u64);
        for _ in 0..cases() {
            fuzz::types(&damage(&good, &mut random));
        }
    }
}

#[test]
fn damaged_pdbs_are_survived() {
    let mut random = Random(4);
    for language in ["c", "cpp"] {
        let good = crate::image::pdb::real_tests::sample(language);
        assert!(crate::image::pdb::fuzz::all(&good) > 5, "the good one is read");
        let (mut read, mut types) = (0, 0);
        for case in 0..cases() {
            let mut bytes = good.clone();
            for _ in 0..=random.below(6) {
                // Half of it is free pages and tables for looking names up.
                let at = random.below(if case % 4 == 0 { 4096 } else { good.len() });
                bytes[at] = [0, 0xff, 0x7f, 0x80, random.next() as u8][random.below(5)];
            }
            if random.below(16) == 0 {
                bytes.truncate(random.below(good.len()));
            }
            let found = crate::image::pdb::fuzz::all(&bytes);
            (read, types) = (read + 1, types + found);
        }
        assert!(types > read, "most are read all the same: {types} of {read}");
    }
}

#[test]
fn plans_for_damaged_images_are_survived() {
    let (old, new) = (build(&["-g"]), build(&["-g", "-DNEW"]));
    let mut random = Random(3);
    for case in 0..cases() {
        let (before, after) = match case % 3 {
            0 => (damage(&old, &mut random), new.clone()),
            1 => (old.clone(), damage(&new, &mut random)),
            _ => (damage(&old, &mut random), damage(&new, &mut random)),
        };
        let mut bytes = (before.len() as u32).to_le_bytes().to_vec();
        bytes.extend(before);
        bytes.extend(after);
        fuzz::plan(&bytes);
    }
}
