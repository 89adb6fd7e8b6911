//! Edits of the variables themselves.

use crate::fixture::{Entry, Guest, Toolchain, c, cpp, each, reload};
use cr::host::StateKind;

/// What is said of a variable, without what is in addition.
fn kind_of(report: &[Entry], name: &str) -> Option<StateKind> {
    report.iter().find(|(_, found, _)| found == name).map(|(kind, ..)| *kind)
}

#[test]
fn added_removed_and_reordered() {
    let old = c(
        "static int CR_STATE a = 1, CR_STATE b = 2, CR_STATE c = 3; static int gone, x, y;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(gone); KEEP(x); KEEP(y); a = 10; b = 20; c = 30; gone = 40; x = 50; y = 60;",
    );
    let new = c(
        "static int CR_STATE c = 3, CR_STATE more = 7; static int y, fresh; static int CR_STATE b = 2; static int x;
         static int CR_STATE a = 1;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(more); KEEP(fresh); KEEP(x); KEEP(y);
         io[0] = a; io[1] = b; io[2] = c; io[3] = more; io[4] = fresh; io[5] = x; io[6] = y;",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..7], [10, 20, 30, 7, 0, 50, 60], "{toolchain:?}");
    });
    // What nobody reads is no variable when optimised; without that the report has all of them.
    let plain = crate::fixture::TOOLCHAINS[0];
    let run = crate::fixture::reload(&old.build(plain).unwrap(), &new.build(plain).unwrap());
    let report = run.report();
    for name in ["a", "b", "c", "x", "y"] {
        assert_eq!(kind_of(&report, name), Some(StateKind::CR_ENTRY_CARRIED), "{name}");
    }
    assert_eq!(kind_of(&report, "gone"), Some(StateKind::CR_ENTRY_DROPPED));
    assert_eq!(kind_of(&report, "more"), Some(StateKind::CR_ENTRY_INITIALISED));
    assert_eq!(kind_of(&report, "fresh"), Some(StateKind::CR_ENTRY_INITIALISED));
    assert_eq!(report.len(), 8, "the compiler's own variables are nobody's business: {report:?}");
}

#[test]
fn grown_and_shrunk_arrays() {
    let old = c(
        "static int CR_STATE a[2] = {1, 2}; static int b[4];",
        "KEEP(a); KEEP(b); a[0] = 5; a[1] = 6; for (int i = 0; i < 4; i++) b[i] = i + 1;",
    );
    let new = c(
        "static int CR_STATE a[4] = {0, 0, 8, 9}; static int next = 3; static int b[2];",
        "KEEP(a); KEEP(b); KEEP(next); for (int i = 0; i < 4; i++) io[i] = a[i]; io[4] = b[0]; io[5] = b[1]; io[6] = next;",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..7], [5, 6, 8, 9, 1, 2, 3], "{toolchain:?}");
        let report = run.report();
        assert_eq!(kind_of(&report, "a"), Some(StateKind::CR_ENTRY_CONVERTED), "{toolchain:?}");
        assert_eq!(kind_of(&report, "b"), Some(StateKind::CR_ENTRY_CONVERTED), "{toolchain:?}");
    });
}

#[test]
fn one_name_in_several_files() {
    let other = |name: &str, step: &str, more: &str| {
        format!(
            "{more} static int count; void {name}(long long *io); void {name}(long long *io) {{ KEEP(count); {step} }}"
        )
    };
    let declare = "static int count; void one(long long *io); void two(long long *io);";
    let old = c(declare, "KEEP(count); count = 1; one(io); two(io);")
        .with("one.c", &other("one", "count = 2; (void)io;", ""))
        .with("two.c", &other("two", "count = 3; (void)io;", ""));
    // The files change places, and their variables move.
    let new = c(
        &format!("static int before; {declare}"),
        "KEEP(count); KEEP(before); io[0] = count; io[3] = before; one(io); two(io);",
    )
    .with("two.c", &other("two", "KEEP(more); io[2] = count; count += more;", "static int more;"))
    .with("one.c", &other("one", "io[1] = count;", ""));
    each(&old, &new, |run, toolchain| {
        if toolchain.flags.contains(&"-flto") {
            // It does not tell where a variable is from, and may give the numbers in another order.
            return;
        }
        assert_eq!(run.io[..4], [1, 2, 3, 0], "{toolchain:?}");
    });
}

#[test]
fn moved_to_another_file() {
    let old = c("static int CR_STATE count = 1; static int stays;", "KEEP(count); KEEP(stays); count = 7; stays = 8;");
    let new = c("void one(long long *io); static int stays;", "KEEP(stays); one(io); io[1] = stays;")
        .with("one.c", "static int CR_STATE count = 1; void one(long long *io) { KEEP(count); io[0] = count; }");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..2], [7, 8], "{toolchain:?}"));
}

#[test]
fn statics_of_functions() {
    let functions = |step: &str, more: &str| {
        format!(
            "static int set; {more}
             static int __attribute__((noinline)) f(void) {{ static int j; KEEP(j); {step} return j; }}
             static int __attribute__((noinline)) g(void) {{ static int k; KEEP(k); {step} return k; }}"
        )
    };
    let old = c(&functions("set++;", "").replace("return ", "return set + ++"), "KEEP(set); f(); g(); g();");
    let new = c(
        &functions("", "static int other;"),
        "KEEP(set); KEEP(other); io[0] = f(); io[1] = g(); io[2] = other + set;",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..3], [1, 2, 3], "{toolchain:?}");
    });
}

/// A function that has a variable `k` of its own.
fn counting(name: &str, step: &str) -> String {
    format!("static int __attribute__((noinline)) {name}(void) {{ static int k; KEEP(k); {step} return k; }}")
}

#[test]
fn statics_of_functions_that_cannot_be_told_apart_begin_anew() {
    let old = c(&[counting("f", "k++;"), counting("g", "k += 2;")].concat(), "f(); g();");
    let step = "io[0] = e(); io[1] = f(); io[2] = g();";
    let added = c(&["e", "f", "g"].map(|name| counting(name, "k += 10;")).concat(), step);
    let swapped = c(&["g", "f", "e"].map(|name| counting(name, "k += 10;")).concat(), step);
    let without =
        c(&["g", "f"].map(|name| counting(name, "k += 10;")).concat(), "io[0] = 10; io[1] = f(); io[2] = g();");
    for new in [added, swapped, without] {
        each(&old, &new, |run, toolchain| {
            // clang says which function it is, gcc numbers them.
            let expected = if toolchain.compiler == "clang" { [10, 11, 12] } else { [10, 10, 10] };
            assert_eq!(run.io[..3], expected, "{toolchain:?}");
            if toolchain.compiler != "clang" {
                let unknown = |reason: &str| reason.contains("cannot be told");
                assert!(run.report().iter().any(|(_, _, reason)| unknown(reason)), "{toolchain:?}");
            }
        });
    }
}

#[test]
fn the_same_image_keeps_all_of_them() {
    let image = c(&[counting("f", "k++;"), counting("g", "k += 2;")].concat(), "io[0] = f(); io[1] = g();");
    each(&image, &image, |run, toolchain| assert_eq!(run.io[..2], [2, 4], "{toolchain:?}"));
}

#[test]
fn statics_of_blocks_in_cpp_that_cannot_be_told_apart_begin_anew() {
    let function =
        |blocks: &str| format!("static void __attribute__((noinline)) f(long long *io) {{ (void)io; {blocks} }}");
    let one = |io: u32, step: &str| format!("{{ static int k; KEEP(k); {step} io[{io}] = k; }}");
    let old = cpp(&function(&one(0, "k = 5;")), "f(io);");
    let new = cpp(&function(&[one(1, ""), one(0, "")].concat()), "f(io);");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..2], [0, 0], "{toolchain:?}"));
    // The number of a lambda is one, too.
    let lambda = |io: u32, step: &str| format!("[&] {{ static int k; KEEP(k); {step} io[{io}] = k; }}();");
    let old = cpp(&function(&lambda(0, "k = 5;")), "f(io);");
    let new = cpp(&function(&[lambda(1, ""), lambda(0, "")].concat()), "f(io);");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..2], [0, 0], "{toolchain:?}"));
    let new = cpp(&format!("{} static int more;", function(&lambda(0, ""))), "f(io); KEEP(more);");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[0], 5, "{toolchain:?}"));
}

#[test]
fn names_of_cpp() {
    let variables = |parameter: &str, more: &str, step: &str| {
        format!(
            "{more} namespace game {{ static int inner; namespace {{ int hidden; }} int outer; }}
             namespace {{ struct Own {{ int a, b; }}; Own own[2]; }}
             template <class T> struct Of {{ static int count; }}; template <class T> int Of<T>::count;
             static int __attribute__((noinline)) f({parameter}) {{ static int k; KEEP(k); {step} return k; }}
             static void keep() {{ KEEP(game::inner); KEEP(game::hidden); KEEP(Of<int>::count); KEEP(Of<char>::count); KEEP(own); }}"
        )
    };
    let old = cpp(
        &variables("int", "", "k = 6;"),
        "keep(); game::inner = 1; game::hidden = 2; game::outer = 3; Of<int>::count = 4; Of<char>::count = 5; f(1); own[1].b = 7;",
    );
    let new = cpp(
        &variables("double", "static int CR_STATE first = 9;", ""),
        "keep(); io[0] = game::inner; io[1] = game::hidden; io[2] = game::outer; io[3] = Of<int>::count;
         io[4] = Of<char>::count; io[5] = f(1.0); io[6] = first; io[7] = own[1].b;",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..8], [1, 2, 3, 4, 5, 6, 9, 7], "{toolchain:?}");
    });
}

#[test]
fn linkage_may_change() {
    let old = cpp("static int a; namespace { int b; } int c;", "KEEP(a); KEEP(b); a = 1; b = 2; c = 3;");
    let new = cpp("int a; static int b; namespace { int c; }", "KEEP(b); KEEP(c); io[0] = a; io[1] = b; io[2] = c;");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..3], [1, 2, 3], "{toolchain:?}"));
}

#[test]
fn tag_may_come_and_go() {
    let old = c("static int CR_STATE a = 1; static int b;", "KEEP(a); KEEP(b); a = 11; b = 12;");
    let new = c("static int a; static int CR_STATE b = 2;", "KEEP(a); KEEP(b); io[0] = a; io[1] = b;");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..2], [11, 12], "{toolchain:?}"));
}

#[test]
fn thread_local_begins_anew_and_is_said_to() {
    let source = "static __thread int t = 3;";
    let old = c(source, "t = 4;");
    let new = c(source, "io[0] = t++;");
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[0], 3, "{toolchain:?}");
        let said = |(kind, name, reason): &Entry| {
            *kind == StateKind::CR_ENTRY_INITIALISED && name == "t" && reason.contains("thread-local")
        };
        assert!(run.report().iter().any(said), "{toolchain:?}: {:?}", run.report());
    });
}

#[test]
fn ten_thousand_variables() {
    let declare = |step: usize| {
        (0..10_000).map(|i| format!("static int v{};", (i * step) % 10_007)).collect::<Vec<_>>().join("\n")
    };
    let sum = |what: &str| (0..10_000).step_by(997).map(|i| what.replace('#', &i.to_string())).collect::<String>();
    // 7 and 11 have an inverse modulo the prime, so the names are in different orders.
    let all = |body: &str| (0..10_000).map(|i| body.replace('#', &((i * 7) % 10_007).to_string())).collect::<String>();
    let old = c(&declare(7), &all("v# = #;"));
    let used = all("x ^= v#;");
    let new =
        c(&(declare(7) + "static int CR_STATE fresh = 1;"), &format!("int x = fresh; {used} io[20] = x; {}", sum("")));
    let mut expected = 1;
    for i in 0..10_000 {
        expected ^= (i * 7) % 10_007;
    }
    let toolchain = crate::fixture::TOOLCHAINS[0];
    let (old, new) = (old.build(toolchain).unwrap(), new.build(toolchain).unwrap());
    let run = crate::fixture::reload(&old, &new);
    assert_eq!(run.io[20], expected);
    assert_eq!(run.report().len(), 10_001);
}

#[test]
fn hidden_variables_are_the_programs() {
    let old = c(
        "__attribute__((visibility(\"hidden\"))) int points; __attribute__((visibility(\"hidden\"))) int tagged CR_STATE = 1;",
        "KEEP(points); KEEP(tagged); points = 7; tagged = 8;",
    );
    let new = c(
        "__attribute__((visibility(\"hidden\"))) int tagged CR_STATE = 1; static int more[20];
         __attribute__((visibility(\"hidden\"))) int points;",
        "KEEP(points); KEEP(tagged); KEEP(more); io[0] = points; io[1] = tagged;",
    );
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..2], [7, 8], "{toolchain:?} {:?}", run.report()));
}

#[test]
fn versions_of_symbols_are_told_apart() {
    const SYMVER: [Toolchain; 5] = [
        Toolchain { compiler: "gcc", flags: &["-O1", "-fuse-ld=bfd", "-Wl,--version-script=versions.map"] },
        Toolchain { compiler: "gcc", flags: &["-O1", "-fuse-ld=gold", "-Wl,--version-script=versions.map"] },
        Toolchain { compiler: "gcc", flags: &["-O1", "-g", "-fuse-ld=mold", "-Wl,--version-script=versions.map"] },
        Toolchain { compiler: "clang", flags: &["-O1", "-fuse-ld=lld", "-Wl,--version-script=versions.map"] },
        Toolchain { compiler: "clang", flags: &["-O1", "-g", "-fuse-ld=lld", "-Wl,--version-script=versions.map"] },
    ];
    let with_versions = |mut guest: Guest, newest: &str| {
        let nodes = format!("V1 {{ global: cr_main; local: *; }};\n{newest} {{ global: counter; }} V1;\n");
        guest.files.push(("versions.map".into(), nodes));
        guest
    };
    let old = c(
        "int first CR_STATE = 1; __asm__(\".symver first, counter@V1\");
         int second CR_STATE = 2; __asm__(\".symver second, counter@@V2\"); int single CR_STATE; __asm__(\".symver single, single@@V2\");",
        "KEEP(first); KEEP(second); KEEP(single); first = 10; second = 20; single = 30;",
    );
    // They change places, and the versions are others.
    let new = c(
        "int single CR_STATE; __asm__(\".symver single, single@@V3\"); int more CR_STATE = 3;
         long long second CR_STATE = 2; __asm__(\".symver second, counter@@V3\");
         int first CR_STATE = 1; __asm__(\".symver first, counter@V1\");",
        "KEEP(first); KEEP(second); KEEP(single); KEEP(more); io[0] = first; io[1] = second; io[2] = single;",
    );
    let (old, new) = (with_versions(old, "V2"), with_versions(new, "V3"));
    for toolchain in SYMVER {
        let (Some(old), Some(new)) = (old.build(toolchain), new.build(toolchain)) else { continue };
        let run = reload(&old, &new);
        assert_eq!(run.io[..3], [10, 20, 30], "{toolchain:?} {:?}", run.report());
    }
}
