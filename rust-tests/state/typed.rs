//! Variables whose type has changed, with debug information in both images.

use crate::fixture::{Entry, Guest, Run, Toolchain, c, cpp};
use cr::abi::{cr_failure, cr_mode};
use cr::host::{Options, StateKind};

const TOOLCHAINS: [Toolchain; 4] = [
    Toolchain { compiler: "cc", flags: &["-O0", "-g"] },
    Toolchain { compiler: "gcc", flags: &["-O2", "-gdwarf-4", "-fuse-ld=bfd"] },
    Toolchain { compiler: "clang", flags: &["-O0", "-gdwarf-5", "-fuse-ld=lld"] },
    Toolchain { compiler: "clang", flags: &["-O2", "-g", "-fuse-ld=lld"] },
];

pub(crate) fn each(old: &Guest, new: &Guest, check: impl Fn(&mut Run, Toolchain)) {
    for toolchain in TOOLCHAINS {
        let (Some(old), Some(new)) = (old.build(toolchain), new.build(toolchain)) else { continue };
        check(&mut crate::fixture::reload(&old, &new), toolchain);
    }
}

fn of<'r>(report: &'r [Entry], name: &str) -> &'r Entry {
    report.iter().find(|(_, found, _)| found == name).unwrap_or_else(|| panic!("{name} is not in {report:?}"))
}

#[test]
fn fields_are_found_by_name() {
    let old = c(
        "struct player { int health; char name[8]; struct { short x, y; } at; unsigned gone; };
         static struct player CR_STATE p = {1, \"\", {0, 0}, 0}; static struct player all[3];",
        "KEEP(p); KEEP(all); p.health = 70; __builtin_strcpy(p.name, \"anna\"); p.at.x = -3; p.at.y = 4;
         all[2].at.y = 9; all[1].health = 8;",
    );
    let new = c(
        "struct player { double speed; long long health; struct { int y, z, x; } at; char name[16]; };
         static struct player CR_STATE p = {1.5, 100, {7, 8, 9}, \"\"}; static struct player all[4];",
        "KEEP(p); KEEP(all); io[0] = p.health; io[1] = !__builtin_strcmp(p.name, \"anna\"); io[2] = p.at.x; io[3] = p.at.y;
         io[4] = p.at.z; io[5] = (long long)(p.speed * 10); io[6] = all[2].at.y; io[7] = all[1].health;",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..8], [70, 1, -3, 4, 8, 15, 9, 8], "{toolchain:?}");
        let report = run.report();
        let (kind, _, reason) = of(&report, "p");
        assert_eq!(*kind, StateKind::CR_ENTRY_CONVERTED, "{toolchain:?}");
        assert!(reason.contains("p.speed") && reason.contains("p.gone"), "{reason}");
    });
}

#[test]
fn numbers_become_wider_and_narrower() {
    let old = c(
        "static int CR_STATE a = 1; static long long CR_STATE b = 1, CR_STATE c = 1; static float CR_STATE d = 1;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(d); a = -5; b = 77; c = 1LL << 40; d = 2.5f;",
    );
    let new = c(
        "static long long CR_STATE a = 1; static signed char CR_STATE b = 1; static int CR_STATE c = 6; static double CR_STATE d = 1;",
        "KEEP(a); KEEP(b); KEEP(c); KEEP(d); io[0] = a; io[1] = b; io[2] = c; io[3] = (long long)(d * 10);",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..4], [-5, 77, 6, 25], "{toolchain:?}");
        let report = run.report();
        assert_eq!(of(&report, "c").0, StateKind::CR_ENTRY_INITIALISED, "{toolchain:?}: {report:?}");
        assert!(of(&report, "c").2.contains("does not fit"), "{report:?}");
    });
}

#[test]
fn type_of_the_same_size_is_another_type() {
    let old = c("static int CR_STATE a = 1;", "KEEP(a); a = 3;");
    let new = c("static float CR_STATE a = 1;", "KEEP(a); io[0] = (long long)(a * 10);");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[0], 30, "{toolchain:?}"));
    let toolchain = TOOLCHAINS[0];
    let mut run = Run::new(&old.build(toolchain).unwrap(), cr_mode::CR_SAFE);
    run.step().unwrap();
    run.install(&new.build(toolchain).unwrap());
    let failure = run.step().unwrap_err();
    assert_eq!(failure.failure, cr_failure::CR_STATE_INVALIDATED as u32);
    assert!(failure.text.contains("a has another type: int is now float"), "{}", failure.text);
    assert_eq!(run.step().unwrap(), 1);
}

#[test]
fn pointers_in_fields_follow_and_numbers_do_not() {
    let state = "static int target[9]; static int other = 1;";
    let old = c(
        &format!("{state} struct s {{ int *at; double number; char tag; }}; static struct s CR_STATE s = {{0, 0, 1}};"),
        "KEEP(s); KEEP(target); KEEP(other); s.at = &target[4]; target[4] = 44; long long bits = (long long)&target[2];
         __builtin_memcpy(&s.number, &bits, 8); io[10] = bits;",
    );
    let new = c(
        &format!(
            "static int CR_STATE front[500] = {{1}}; static int more[500]; {state}
             struct s {{ char tag; double number; int *at; }}; static struct s CR_STATE s = {{1, 0, 0}};"
        ),
        "KEEP(s); KEEP(target); KEEP(front); KEEP(more); KEEP(other); io[0] = *s.at; io[1] = s.at == &target[4];
         long long bits; __builtin_memcpy(&bits, &s.number, 8); io[2] = bits == io[10];",
    );
    each(&old, &new, |run, toolchain| assert_eq!(run.io[..3], [44, 1, 1], "{toolchain:?} {:?}", run.report()));
}

#[test]
fn objects_are_known_by_their_type() {
    // Its constructor leaves zeros, and an array of them says nothing of its destructors.
    let image = cpp(
        "#include <stdlib.h>
         struct Lazy { int *at; bool dead; constexpr Lazy() : at(0), dead(false) {}
             ~Lazy() { free(at); dead = true; } };
         static Lazy array[3]; struct Plain { int x; }; static Plain plain;",
        "KEEP(array); KEEP(plain); io[0] = array[1].at != 0; io[1] = array[1].dead; io[2] = plain.x++;
         if (!array[1].at) array[1].at = (int *)malloc(4);",
    );
    each(&image, &image, |run, toolchain| {
        assert_eq!(run.io[..3], [0, 0, 1], "{toolchain:?}");
        let report = run.report();
        assert_eq!(of(&report, "array").0, StateKind::CR_ENTRY_INITIALISED, "{toolchain:?}: {report:?}");
    });
}

/// In one file with gcc they are called `n.0`, `n.1` and so on.
#[test]
fn statics_of_functions_are_found_by_their_function() {
    let function = |name: &str, attribute: &str, more: &str| {
        format!(
            "static {attribute} int {name}(int set) {{ {more} static int n; KEEP(n); if (set) n = set; return n; }}"
        )
    };
    for attribute in ["__attribute__((noinline))", "", "inline __attribute__((always_inline))"] {
        let make = |names: &[&str], more: &str, step: &str| {
            let functions: Vec<String> = names.iter().map(|name| function(name, attribute, more)).collect();
            c(&functions.concat(), step)
        };
        let old = make(&["f", "g", "h"], "", "f(3); g(4); h(5);");
        let look = "io[0] = f(0); io[1] = g(0);";
        // Others are in front, one is gone; one is new.
        for (names, more, step) in [
            (&["g", "f"][..], "", look.to_owned()),
            (&["h", "g", "f"], "static int z; KEEP(z);", format!("{look} io[2] = h(0) - 5;")),
            (&["e", "f", "g", "h"], "", format!("{look} io[2] = e(0);")),
            (&["g", "e", "f"], "", format!("{look} io[2] = e(0);")),
        ] {
            each(&old, &make(names, more, &step), |run, toolchain| {
                assert_eq!(run.io[..3], [3, 4, 0], "{toolchain:?} {attribute} {names:?} {:?}", run.report());
            });
        }
    }
}

#[test]
fn statics_of_functions_do_not_go_to_another_function() {
    let function =
        |name: &str| format!("static int {name}(int set) {{ static int n; KEEP(n); if (set) n = set; return n; }}");
    let old = c(&function("enemies"), "enemies(7);");
    let new = c(&function("friends"), "io[0] = friends(0);");
    each(&old, &new, |run, toolchain| assert_eq!(run.io[0], 0, "{toolchain:?} {:?}", run.report()));
}

#[test]
fn statics_of_blocks_are_found_by_what_is_beside_them() {
    let block = |other: &str, io: u32| {
        format!(
            "{{ static int n; static int {other}; KEEP(n); KEEP({other}); {{ if (set) n = set + {io}; else io[{io}] = n; }} }}"
        )
    };
    let function = |blocks: &[String]| format!("static void f(long long *io, int set) {{ {} }}", blocks.concat());
    let (a, b, c_) = (block("apples", 0), block("pears", 1), block("plums", 2));
    let old = function(&[a.clone(), b.clone()]);
    for cpp_too in [false, true] {
        let guest = |variables: &str, step: &str| if cpp_too { cpp(variables, step) } else { c(variables, step) };
        for new in [
            function(&[a.clone(), b.clone()]),
            function(&[c_.clone(), a.clone(), b.clone()]),
            function(&[b.clone(), a.clone()]),
        ] {
            each(&guest(&old, "f(io, 5);"), &guest(&new, "f(io, 0);"), |run, toolchain| {
                // Where an optimiser keeps nothing of the blocks there is doubt, and nothing is carried.
                let (first, second) = (run.io[0], run.io[1]);
                assert!(first == 5 || first == 0, "{toolchain:?} {:?}", run.report());
                assert!(second == 6 || second == 0, "{toolchain:?} {:?}", run.report());
                // clang says of none in which block it is; in C++ it gives each a name of its own.
                if toolchain.compiler != "clang" {
                    assert_eq!((first, second, run.io[2]), (5, 6, 0), "{toolchain:?} {new} {:?}", run.report());
                }
            });
        }
    }
}

#[test]
fn statics_of_lambdas_are_found_by_what_is_beside_them() {
    let lambda = |other: &str, io: u32| {
        format!(
            "[&] {{ static int n; static int {other}; KEEP(n); KEEP({other}); if (set) n = set + {io}; else io[{io}] = n; }}();"
        )
    };
    let function = |lambdas: &[String]| format!("static void f(long long *io, int set) {{ {} }}", lambdas.concat());
    let (a, b, c) = (lambda("apples", 0), lambda("pears", 1), lambda("plums", 2));
    let old = cpp(&function(&[a.clone(), b.clone()]), "f(io, 5);");
    for new in [[&a, &b].map(String::clone).to_vec(), vec![c, b.clone(), a.clone()], vec![b, a]] {
        each(&old, &cpp(&function(&new), "f(io, 0);"), |run, toolchain| {
            assert_eq!(run.io[..3], [5, 6, 0], "{toolchain:?} {new:?} {:?}", run.report());
        });
    }
}

/// clang makes a flag of a number that is only ever one of two, and splits structs of which nobody takes the address.
#[test]
fn variables_in_a_form_of_their_own_keep_no_bytes_of_another_form() {
    const OPTIMISED: [Toolchain; 2] = [
        Toolchain { compiler: "clang", flags: &["-O1", "-g", "-fuse-ld=lld"] },
        Toolchain { compiler: "clang", flags: &["-O2", "-gdwarf-4", "-fuse-ld=lld"] },
    ];
    let flag = |value: u32, step: &str| {
        c("static int x; static int kept;", &format!("KEEP(kept); if (io[1]) x = {value}; {step}"))
    };
    let split = |fields: &str, step: &str| {
        c(&format!("static struct {{ {fields} }} p; static int kept;"), &format!("KEEP(kept); {step}"))
    };
    let set = "if (!kept) { kept = 7; p.b = (int)io[1] + 20; p.c += 30; } io[0] = p.b + p.c; io[2] = kept;";
    for toolchain in OPTIMISED {
        let run = |old: &Guest, new: &Guest| {
            let (old, new) = (old.build(toolchain)?, new.build(toolchain)?);
            let mut run = Run::new(&old, cr_mode::CR_UNSAFE);
            run.io[1] = 1;
            run.step().unwrap();
            run.io[1] = 0;
            run.install(&new);
            run.step().unwrap();
            Some(run)
        };
        let show = "io[0] = x; io[2] = ++kept;";
        // It is itself as long as nothing changes.
        let Some(same) = run(&flag(9, show), &flag(9, &format!("{show} io[5] = 5;"))) else { continue };
        assert_eq!((same.io[0], same.io[2]), (9, 2), "{toolchain:?} {:?}", same.report());
        let other = run(&flag(9, show), &flag(81, show)).unwrap();
        assert_eq!((other.io[0], other.io[2]), (0, 2), "{toolchain:?} {:?}", other.report());
        let (kind, _, reason) = of(&other.report(), "x").clone();
        assert_eq!(kind, StateKind::CR_ENTRY_INITIALISED, "{reason}");
        let whole = run(&flag(9, show), &flag(9, &format!("{show} KEEP(x);"))).unwrap();
        assert_eq!((whole.io[0], whole.io[2]), (0, 2), "{toolchain:?} {:?}", whole.report());

        let shrunk = run(&flag(9, &format!("{show} KEEP(x);")), &flag(9, show)).unwrap();
        assert_eq!((shrunk.io[0], shrunk.io[2]), (0, 2), "{toolchain:?} {:?}", shrunk.report());

        let same = run(&split("int a, b, c;", set), &split("int a, b, c;", &format!("{set} io[5] = 6;"))).unwrap();
        assert_eq!((same.io[0], same.io[2]), (51, 7), "{toolchain:?} {:?}", same.report());
        let turned = run(&split("int a, b, c;", set), &split("int c, a, b;", set)).unwrap();
        assert_eq!((turned.io[0], turned.io[2]), (0, 7), "{toolchain:?} {:?}", turned.report());
    }
}

/// A version is a copy, which may be far from the original, beside which the linker and objcopy have put things.
#[test]
fn debug_information_is_looked_for_beside_the_original() {
    let apart = |image: Vec<u8>, place: &std::path::Path, name: &str| {
        let file = place.join(format!("{name}.so"));
        let debug = format!("{name}.debug");
        std::fs::write(&file, image).unwrap();
        for flags in [&["--only-keep-debug"][..], &["--strip-debug"]] {
            let target =
                if flags[0] == "--only-keep-debug" { place.join(&debug) } else { place.join(format!("{name}.bare")) };
            let done = std::process::Command::new("objcopy").args(flags).arg(&file).arg(target).status().unwrap();
            assert!(done.success());
        }
        let bare = place.join(format!("{name}.bare"));
        let link = format!("--add-gnu-debuglink={debug}");
        let done = std::process::Command::new("objcopy").current_dir(place).arg(link).arg(&bare).status().unwrap();
        assert!(done.success());
        std::fs::read(bare).unwrap()
    };
    let old = c("static int CR_STATE a = 1;", "KEEP(a); a = 3;").build(TOOLCHAINS[0]).unwrap();
    let new = c("static float CR_STATE a = 1;", "KEEP(a); io[0] = (long long)(a * 10);").build(TOOLCHAINS[0]).unwrap();
    let copies = tempfile::tempdir().unwrap();
    let directory = std::ffi::CString::new(copies.path().to_str().unwrap()).unwrap();
    let options = Options { temporary_path: Some(directory), ..Options::default() };
    let empty = c("", "").build(TOOLCHAINS[0]).unwrap();
    let mut run = Run::with(&empty, &options);
    let (old, new) = (apart(old, run.place(), "old"), apart(new, run.place(), "new"));
    run.install(&old);
    run.step().unwrap();
    run.install(&new);
    run.step().unwrap();
    assert_eq!(run.io[0], 30, "{:?}", run.report());
}
