//! More of types: what is said of them, and what cannot be read.

use crate::fixture::{Entry, Guest, Run, Toolchain, c, cpp, reload};
use cr::host::StateKind;

const DEBUG: [Toolchain; 4] = [
    Toolchain { compiler: "gcc", flags: &["-g", "-O0"] },
    Toolchain { compiler: "gcc", flags: &["-g", "-gdwarf-4", "-O2"] },
    Toolchain { compiler: "clang", flags: &["-g", "-O0", "-fuse-ld=lld"] },
    Toolchain { compiler: "clang", flags: &["-g", "-gdwarf-4", "-O2", "-fuse-ld=lld"] },
];

fn each(old: &Guest, new: &Guest, check: impl Fn(&mut Run, Toolchain)) {
    for toolchain in DEBUG {
        let (Some(old), Some(new)) = (old.build(toolchain), new.build(toolchain)) else { continue };
        check(&mut reload(&old, &new), toolchain);
    }
}

fn said<'e>(report: &'e [Entry], name: &str) -> Vec<(StateKind, &'e str)> {
    report.iter().filter(|(_, found, _)| found == name).map(|(kind, _, reason)| (*kind, reason.as_str())).collect()
}

#[test]
fn a_field_that_does_not_fit_has_its_initial_value_and_is_named() {
    let old = c(
        "struct s { int n[3]; }; static struct s CR_STATE all[2];",
        "KEEP(all); all[1].n[2] = 1000; all[0].n[0] = 5;",
    );
    let new = c(
        "struct s { signed char n[3]; }; static struct s CR_STATE all[2] = {{{1, 1, 1}}, {{2, 2, 2}}};",
        "KEEP(all); io[0] = all[0].n[0]; io[1] = all[1].n[1]; io[2] = all[1].n[2];",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..3], [5, 0, 2], "{toolchain:?}");
        let report = run.report();
        let entry = said(&report, "all");
        assert_eq!(entry, [(StateKind::CR_ENTRY_CONVERTED, "all[1].n[2]: 1000 does not fit into signed char")]);
    });
}

#[test]
fn pointers_in_a_converted_variable_follow_what_they_point_to() {
    let step = "static int f(void) { return 21; }";
    let old = c(
        &format!(
            "{step} static int target; struct s {{ int *to; int (*call)(void); const char *text; }}; static struct s CR_STATE s;"
        ),
        "KEEP(s); KEEP(target); target = 5; s.to = &target; s.call = f; s.text = \"a text\";",
    );
    let new = c(
        "static char more[4096]; static int filler(void) { return 1; }
         static __attribute__((used)) int f(void) { return 22; } static int target;
         struct s { int n; const char *text; int *to; int (*call)(void); }; static struct s CR_STATE s;",
        "KEEP(s); KEEP(target); KEEP(more); io[0] = *s.to; io[1] = s.call(); io[2] = s.text[2] + filler(); io[3] = s.to == &target;
         const char *volatile kept = \"a text\"; KEEP(kept);",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..4], [5, 22, i64::from(b't') + 1, 1], "{toolchain:?}");
    });
}

#[test]
fn objects_of_cpp_are_not_carried_as_bytes_unless_they_are_tagged() {
    let class = "struct owner { int n; owner(const owner &other) : n(other.n) {} owner() = default; };";
    let old = cpp(
        &format!("{class} static owner plain; static owner CR_STATE tagged;"),
        "KEEP(plain); KEEP(tagged); plain.n = 5; tagged.n = 6;",
    );
    let new = cpp(
        &format!("{class} static owner plain; static owner CR_STATE tagged;"),
        "KEEP(plain); KEEP(tagged); io[0] = plain.n; io[1] = tagged.n;",
    );
    each(&old, &new, |run, toolchain| {
        assert_eq!(run.io[..2], [0, 6], "{toolchain:?}");
        let report = run.report();
        assert_eq!(said(&report, "plain")[0].0, StateKind::CR_ENTRY_INITIALISED, "{report:?}");
        assert!(said(&report, "tagged")[0].1.contains("it is an object, but tagged"), "{report:?}");
    });
}

#[test]
fn damaged_debug_information_is_said_and_the_bytes_are_kept() {
    let source = "struct s { int a, b; }; static struct s CR_STATE s;";
    let old = c(source, "KEEP(s); s.a = 5; s.b = 6;");
    let new = c("struct s { int b, a; }; static struct s CR_STATE s;", "KEEP(s); io[0] = s.a; io[1] = s.b;");
    let (old, mut new) = (old.build(DEBUG[0]).unwrap(), new.build(DEBUG[0]).unwrap());
    let elf = goblin::elf::Elf::parse(&new).unwrap();
    let name = |section: &goblin::elf::SectionHeader| elf.shdr_strtab.get_at(section.sh_name) == Some(".debug_abbrev");
    let place = elf.section_headers.iter().find(|section| name(section)).unwrap().file_range().unwrap();
    new[place].fill(0);
    let run = reload(&old, &new);
    assert_eq!(run.io[..2], [6, 5], "bytes are where they were");
    let report = run.report();
    let said = said(&report, "debug information");
    assert!(said[0].1.starts_with("the new image: its debug information cannot be read"), "{report:?}");
}
