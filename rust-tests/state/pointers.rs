//! Pointers in the state that point into the image.

use crate::fixture::{Entry, PLAIN, Run, Toolchain, c, cpp, each};
use cr::abi::cr_mode;
use cr::host::StateKind;

fn said(report: &[Entry], kind: StateKind, name: &str, what: &str) -> bool {
    report.iter().any(|(found, entry, reason)| *found == kind && entry == name && reason.contains(what))
}

const FILLER: &str = "
    static int CR_STATE filler[300] = {1}; static int zeros[300]; static int data[300] = {2};
    const char *filling(int n); const char *filling(int n) {
        static const char *const many[] = {\"some text in front\", \"and some more of it\", \"third\"};
        zeros[n]++; data[n]++; return many[filler[n] % 3]; }";

#[test]
fn functions_variables_and_literals_are_followed() {
    let functions = "
        static int other[7]; static int plain = 3;
        static int __attribute__((noinline)) one(int x) { return x + 1; }
        static int __attribute__((noinline)) two(int x) { return x + 2; }";
    let state = "
        static int (*CR_STATE function)(int) = 0; static int *CR_STATE variable = 0; static int *CR_STATE inside = 0;
        static const char *CR_STATE text = 0; static const char *words[3]; static int *CR_STATE of_data = 0;";
    let set = "function = io[60] ? one : two; variable = &plain; inside = &other[5]; other[5] = 55; text = \"a literal of the guest\";
               words[0] = \"word\"; words[2] = \"last word\" + 5; of_data = &plain; *of_data = 4;";
    let check = "KEEP(words); KEEP(function); KEEP(variable); KEEP(inside); KEEP(text); KEEP(of_data); KEEP(other); KEEP(plain);
                 io[0] = function(10); io[1] = *inside; io[2] = inside == &other[5]; io[3] = of_data == &plain;
                 io[4] = !__builtin_strcmp(text, \"a literal of the guest\"); io[5] = !__builtin_strcmp(words[0], \"word\");
                 io[6] = !__builtin_strcmp(words[2], \"word\"); io[7] = variable == &plain; io[8] = words[1] == 0;
                 io[9] = function == two; io[10] = !__builtin_strcmp(\"last word\", io[60] ? \"x\" : \"last word\"); if (io[60]) function = one;";
    let old = c(
        &format!("{functions}{state}"),
        &format!(
            "{set} KEEP(words); KEEP(function); KEEP(variable); KEEP(inside); KEEP(text); KEEP(of_data); KEEP(other); KEEP(plain);"
        ),
    );
    let new = c(&format!("{FILLER}{functions}{state}"), check);
    each(&old, &new, |run, toolchain| {
        // Optimisers may make constants of what nobody changes; what is left must be right.
        let report = run.report();
        assert_eq!(run.io[..10], [12, 55, 1, 1, 1, 1, 1, 1, 1, 1], "{toolchain:?} {report:?}");
        if toolchain.flags.contains(&"-O0") {
            assert!(said(&report, StateKind::CR_ENTRY_REDIRECTED, "function", "two"), "{report:?}");
            // Literals may be where they were, for both images have one address and a section of their own for them.
            assert!(said(&report, StateKind::CR_ENTRY_REDIRECTED, "variable", "plain"), "{report:?}");
        }
    });
}

#[test]
fn what_is_gone_dangles_and_is_said_to() {
    let old = c(
        "static const char *CR_STATE text = 0; static int (*CR_STATE function)(void) = 0; static int *CR_STATE at = 0;
         static int lost; int gone(void); int gone(void) { return 1; }",
        "KEEP(text); KEEP(function); KEEP(at); KEEP(lost); text = \"this will not be there\"; function = gone; at = &lost; lost = 1;",
    );
    let new = c(
        &format!(
            "{FILLER} static const char *CR_STATE text = 0; static int (*CR_STATE function)(void) = 0;
             static int *CR_STATE at = 0;"
        ),
        "KEEP(text); KEEP(function); KEEP(at); io[0] = text != 0; io[1] = function != 0; io[2] = at != 0;",
    );
    each(&old, &new, |run, toolchain| {
        let report = run.report();
        for (name, what) in [("text", "this will not"), ("function", "gone"), ("at", "lost")] {
            assert!(said(&report, StateKind::CR_ENTRY_DANGLING, name, what), "{toolchain:?} {name}: {report:?}");
        }
    });
}

#[test]
fn virtual_tables_are_followed() {
    let classes = |value: i32| {
        format!(
            "#include <new>
             struct Base {{ virtual int f() = 0; }}; namespace {{ struct A : Base {{ int f() {{ return {value}; }} }};
             struct B : Base {{ int f() {{ return {value} + 1; }} }}; }}
             static int __attribute__((noinline)) plain() {{ return {value} + 2; }}
             enum class octet : unsigned char {{}};
             static char CR_STATE place[2][sizeof(void *)] __attribute__((aligned(16))) = {{{{1}}}};
             struct hold {{ int n; struct {{ alignas(8) octet storage[24]; }} inner[2]; }}; static hold CR_STATE holder = {{1, {{}}}};
             union either {{ char none; unsigned char raw[16]; }}; static either CR_STATE other = {{1}};"
        )
    };
    let keep = "KEEP(place); KEEP(holder); KEEP(other); auto in = [](int n) { return &holder.inner[n].storage; };
        typedef int (*function)(); function *pointer = reinterpret_cast<function *>(other.raw + 8);";
    let make = "new (place[0]) A; new (place[1]) B; new (in(0)) B; new (in(1)) A; *pointer = plain;";
    let old = cpp(&classes(10), &format!("{keep} {make}"));
    let new = cpp(
        &format!("{}{FILLER}", classes(20)),
        &format!(
            "{keep} if (io[60]) {{ {make} }}
             io[0] = reinterpret_cast<Base *>(place[0])->f(); io[1] = reinterpret_cast<Base *>(place[1])->f();
             io[2] = reinterpret_cast<Base *>(in(0))->f(); io[3] = reinterpret_cast<Base *>(in(1))->f(); io[4] = (*pointer)();"
        ),
    );
    let check = |run: &mut Run, toolchain: Toolchain| {
        assert_eq!(run.io[..5], [20, 21, 21, 20, 22], "{toolchain:?} {:?}", run.report());
    };
    each(&old, &new, check);
    // There the types say that these are bytes.
    crate::typed::each(&old, &new, check);
}

#[test]
fn other_words_in_bytes_are_left_alone() {
    let state = "static int target[4]; alignas(8) static char CR_STATE raw[16] = {1};";
    let old = cpp(
        state,
        "KEEP(target); KEEP(raw); int *at = target; __builtin_memcpy(raw + 8, &at, 8); io[10] = (long long)at;",
    );
    let new = cpp(
        &format!("{FILLER} static int more[500]; {state}"),
        "KEEP(target); KEEP(more); KEEP(raw); io[0] = !__builtin_memcmp(raw + 8, &io[10], 8);",
    );
    crate::typed::each(&old, &new, |run, toolchain| {
        let report = run.report();
        assert_eq!(run.io[0], 1, "{toolchain:?} {report:?}");
        assert!(said(&report, StateKind::CR_ENTRY_DANGLING, "raw", "target"), "{toolchain:?} {report:?}");
    });
}

#[test]
fn literals_that_change_places_are_told_apart() {
    let state = "static const char *CR_STATE text = 0; const char *CR_STATE other = 0;";
    // Of one length: where one was the other is now.
    let old = c(state, "KEEP(text); text = \"first text\"; other = \"other text\";");
    let new = c(
        state,
        "KEEP(text); other = io[60] ? \"other text\" : other; if (io[60]) text = \"first text\"; io[0] = !__builtin_strcmp(text, \"first text\");",
    );
    each(&old, &new, |run, toolchain| assert_eq!(run.io[0], 1, "{toolchain:?}"));
}

#[test]
fn nothing_is_followed_in_safest_mode() {
    let state = "static int (*CR_STATE function)(int) = 0; int f(int n); int f(int n) { return n; }";
    let image = c(state, "function = function ? function : f; io[0] = (long long)function; io[1] = (long long)f;");
    let (old, new) = (image.build(PLAIN).unwrap(), image.build(PLAIN).unwrap());
    let mut run = Run::new(&old, cr_mode::CR_SAFEST);
    run.step().unwrap();
    let before = run.io[0];
    run.install(&new);
    run.step().unwrap();
    assert_eq!(run.io[0], before);
}

#[test]
fn what_is_in_a_variable_whose_type_has_changed_is_followed() {
    let state = "static struct item *item; static int *count; static char *name; static int *first; static int *inner;
                 static void *all; static int *gone; struct item_list { struct item items[3]; };
                 static struct item_list list, *lists;";
    let keep = "KEEP(list); KEEP(item); KEEP(count); KEEP(name); KEEP(first); KEEP(inner); KEEP(all); KEEP(gone); KEEP(lists);";
    let old = c(
        &format!("struct item {{ int id; int gone; struct {{ int x, y; }} at; int count; char name[8]; }}; {state}"),
        &format!(
            "{keep} for (int i = 0; i < 3; i++) {{ list.items[i].id = 10 + i; list.items[i].count = 20 + i; list.items[i].at.y = 30 + i; }}
             __builtin_strcpy(list.items[2].name, \"name\"); item = &list.items[1]; count = &list.items[2].count; name = list.items[2].name + 1;
             first = &list.items[2].id; inner = &list.items[1].at.y; all = &list.items[2]; gone = &list.items[0].gone; lists = &list;"
        ),
    );
    let new = c(
        &format!(
            "{FILLER} struct item {{ double weight; int count; int id; struct {{ int z, y, x; }} at; char name[16]; }}; {state}"
        ),
        &format!(
            "{keep} io[0] = item == &list.items[1]; io[1] = item->id; io[2] = *count; io[3] = !__builtin_strcmp(name, \"ame\");
             io[4] = *first; io[5] = *inner; io[6] = all == &list.items[2]; io[7] = lists == &list;"
        ),
    );
    crate::typed::each(&old, &new, |run, toolchain| {
        let report = run.report();
        assert_eq!(run.io[..8], [1, 11, 22, 1, 12, 31, 1, 1], "{toolchain:?} {report:?}");
        assert!(said(&report, StateKind::CR_ENTRY_DANGLING, "gone", "list"), "{report:?}");
    });
}

#[test]
fn pointers_to_members_go_with_the_layout_of_their_class() {
    let guest = |before: &str, step: &str| {
        cpp(
            &format!(
                "struct S {{ {before} int a, b; virtual int f() {{ return a; }} virtual int g() {{ return b; }} }};
                 static int S::*CR_STATE at = nullptr; static int (S::*CR_STATE call)() = nullptr; static int kept; static S object;"
            ),
            &format!("KEEP(at); KEEP(call); KEEP(kept); KEEP(object); {step}"),
        )
    };
    let old = guest("", "at = &S::b; call = &S::g; kept = 5;");
    let look =
        "io[0] = at == &S::b; io[1] = at == nullptr; io[2] = call == &S::g; io[3] = call == nullptr; io[4] = kept;";
    crate::typed::each(&old, &guest("", look), |run, toolchain| {
        assert_eq!(run.io[..5], [1, 0, 1, 0, 5], "{toolchain:?} {:?}", run.report());
    });
    crate::typed::each(&old, &guest("int z;", look), |run, toolchain| {
        assert_eq!(run.io[..5], [0, 1, 1, 0, 5], "{toolchain:?} {:?}", run.report());
    });
    crate::typed::each(&old, &guest("virtual int e() { return 1; }", look), |run, toolchain| {
        assert_eq!(run.io[..5], [1, 0, 0, 1, 5], "{toolchain:?} {:?}", run.report());
    });
}
