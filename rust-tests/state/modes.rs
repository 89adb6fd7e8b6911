//! The rules of `cr_mode`, by variable, and `CR_STATE_ONLY`.

use crate::fixture::{PLAIN, Run, STRIPPED, c};
use cr::abi::{cr_failure, cr_mode, cr_option_flag};
use cr::host::{Options, StateKind};

const STEP: &str = "io[0] = ++a; io[1] = ++b;";
const PAIR: &str = "static int CR_STATE a = 100; static int b;";

/// Reloads under a mode; the error text if it was refused.
fn attempt(mode: cr_mode, old: &str, new: &str) -> Result<(i64, i64), String> {
    let (old, new) = (c(old, STEP).build(PLAIN).unwrap(), c(new, STEP).build(PLAIN).unwrap());
    let mut run = Run::new(&old, mode);
    run.step().unwrap();
    run.step().unwrap();
    let before = (run.io[0], run.io[1]);
    run.install(&new);
    match run.step() {
        Ok(_) => Ok((run.io[0], run.io[1])),
        Err(failure) => {
            assert_eq!(failure.value, -2);
            assert_eq!(failure.failure, cr_failure::CR_STATE_INVALIDATED as u32);
            assert_eq!(run.error(), failure.text);
            let refused = run.report();
            assert!(refused.iter().any(|(kind, ..)| *kind == StateKind::CR_ENTRY_REFUSED), "{refused:?}");
            // Back on the old version with what it had.
            assert_eq!(run.step().unwrap(), 1);
            assert_eq!((run.io[0], run.io[1]), (before.0 + 1, before.1 + 1));
            Err(failure.text)
        }
    }
}

#[test]
fn safest_takes_the_same_layout_only() {
    assert_eq!(attempt(cr_mode::CR_SAFEST, PAIR, PAIR), Ok((103, 3)));
    // One of another size, and one that moves because of it.
    let wider = attempt(cr_mode::CR_SAFEST, PAIR, "static long long CR_STATE a = 100; static int b;").unwrap_err();
    assert!(wider.contains("a was 4 bytes, is 8"), "{wider}");
    let moved = attempt(cr_mode::CR_SAFEST, PAIR, &format!("static int CR_STATE first[64] = {{1}}; {PAIR}"));
    assert!(moved.unwrap_err().contains("was at"));
    let gone = attempt(cr_mode::CR_SAFEST, &format!("{PAIR} static int CR_STATE c = 1;"), PAIR).unwrap_err();
    assert!(gone.contains("c is not there any more"), "{gone}");
}

#[test]
fn safest_does_not_mind_zeros() {
    // It is still zero: nothing is lost.
    assert!(attempt(cr_mode::CR_SAFEST, &format!("{PAIR} int c;"), &format!("{PAIR} int d;")).is_ok());
}

#[test]
fn safe_takes_what_has_its_size() {
    let moved = format!("static int CR_STATE first[64] = {{1}}; static int before[7]; {PAIR}");
    assert_eq!(attempt(cr_mode::CR_SAFE, PAIR, &moved), Ok((103, 3)));
    assert_eq!(attempt(cr_mode::CR_SAFE, &moved, PAIR), Ok((103, 3)));
    for (new, name) in [
        ("static long long CR_STATE a = 100; static int b;", "a"),
        ("static int CR_STATE a = 100; static long long b;", "b"),
    ] {
        let text = attempt(cr_mode::CR_SAFE, PAIR, new).unwrap_err();
        assert!(text.contains("CR_SAFE") && text.contains(&format!("{name} was 4 bytes, is 8")), "{text}");
    }
}

#[test]
fn unsafe_takes_everything() {
    assert_eq!(attempt(cr_mode::CR_UNSAFE, PAIR, "static long long CR_STATE a = 0; static long long b;"), Ok((103, 3)));
    let narrow = attempt(cr_mode::CR_UNSAFE, "static long long CR_STATE a = 100; static long long b;", PAIR);
    assert_eq!(narrow, Ok((103, 3)));
    assert_eq!(attempt(cr_mode::CR_UNSAFE, PAIR, "static int CR_STATE a = 100; static int b, c[99];"), Ok((103, 3)));
}

#[test]
fn disable_carries_nothing() {
    assert_eq!(attempt(cr_mode::CR_DISABLE, PAIR, PAIR), Ok((101, 1)));
}

#[test]
fn state_only_leaves_bss_alone() {
    let image = c(PAIR, STEP).build(PLAIN).unwrap();
    for image in [image, c(PAIR, STEP).build(STRIPPED).unwrap()] {
        let options = Options { flags: cr_option_flag::CR_STATE_ONLY as u32, ..Options::default() };
        let mut run = Run::with(&image, &options);
        run.step().unwrap();
        run.install(&image);
        run.step().unwrap();
        assert_eq!((run.io[0], run.io[1]), (102, 1));
        assert!(run.report().iter().all(|(_, name, _)| name == "a" || name == ".state"), "{:?}", run.report());
    }
}

#[test]
fn stripped_images_move_by_section() {
    let plain = c(PAIR, STEP).build(PLAIN).unwrap();
    let stripped = c(PAIR, STEP).build(STRIPPED).unwrap();
    for (old, new) in [(&plain, &stripped), (&stripped, &plain), (&stripped, &stripped)] {
        let mut run = Run::new(old, cr_mode::CR_UNSAFE);
        run.step().unwrap();
        run.install(new);
        run.step().unwrap();
        assert_eq!((run.io[0], run.io[1]), (102, 2));
        let report = run.report();
        assert!(report.iter().any(|(_, name, reason)| name == ".state" && reason.contains("stripped")), "{report:?}");
    }
    // Under the rules of sections: what does not fit is refused.
    let larger = c(&format!("{PAIR} int CR_STATE c[64] = {{1}};"), STEP).build(STRIPPED).unwrap();
    let mut run = Run::new(&larger, cr_mode::CR_UNSAFE);
    run.step().unwrap();
    run.install(&stripped);
    assert!(run.step().unwrap_err().text.contains("section .state"));
    assert_eq!(run.step().unwrap(), 1);
}

#[test]
fn rollback_restores_every_byte() {
    let source = "static unsigned char CR_STATE bytes[5000] = {1}; static int CR_STATE crash = 0; static int b[1000];
                  static void *CR_STATE own = bytes;";
    let step = "if (io[0] == 1) for (int i = 0; i < 5000; i++) bytes[i] = (unsigned char)(i * 7);
                if (io[0] == 2) { bytes[17] = 99; *(volatile int *)0 = b[3] + crash; }
                io[1] = own == bytes; io[2] = 0; for (int i = 0; i < 5000; i++) io[2] += bytes[i] == (unsigned char)(i * 7);";
    let image = c(source, step).build(PLAIN).unwrap();
    let mut run = Run::new(&image, cr_mode::CR_UNSAFE);
    run.io[0] = 1;
    run.step().unwrap();
    run.io[0] = 0;
    run.install(&c(&format!("static int CR_STATE first = 1; {source}"), step).build(PLAIN).unwrap());
    assert_eq!(run.step().unwrap(), 2);
    assert_eq!(run.io[1..3], [1, 5000]);
    run.io[0] = 2;
    run.step().unwrap_err();
    run.io[0] = 0;
    assert_eq!(run.step().unwrap(), 1);
    assert_eq!(run.io[1..3], [1, 5000]);
}
