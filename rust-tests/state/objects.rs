//! C++ objects: constructors, destructors, guards.

use crate::fixture::{Entry, PLAIN, Run, cpp, each, reload};
use cr::abi::cr_mode;
use cr::host::StateKind;

/// A class like a container: what it holds is freed by its destructor. `dead` tells one that was used afterwards.
const BOX: &str = "
    #include <stdlib.h>
    struct Box {
        int *at; bool dead;
        Box() : at((int *)malloc(sizeof(int))), dead(false) { *at = 5; }
        ~Box() { free(at); at = 0; dead = true; }
    };";
/// The same, but nothing of it is set at the start.
const LAZY: &str = "
    #include <stdlib.h>
    struct Lazy {
        int *at; bool dead;
        constexpr Lazy() : at(0), dead(false) {}
        void set(int value) { if (!at) at = (int *)malloc(sizeof(int)); *at = value; }
        ~Lazy() { free(at); dead = true; }
    };";

#[test]
fn object_with_a_destructor_begins_anew_and_is_said_to() {
    let source = format!("{BOX} static Box b; static int n;");
    let image = cpp(&source, "io[0] = *b.at; io[1] = b.dead; io[2] = n++; *b.at = 6;");
    each(&image, &image, |run, toolchain| {
        assert_eq!(run.io[..3], [5, 0, 1], "{toolchain:?}");
        let said = |(kind, name, reason): &Entry| {
            *kind == StateKind::CR_ENTRY_INITIALISED && name == "b" && reason.contains("object")
        };
        assert!(run.report().iter().any(said), "{toolchain:?}: {:?}", run.report());
    });
}

#[test]
fn object_whose_constructor_leaves_zeros_begins_anew() {
    let image = cpp(&format!("{LAZY} static Lazy b;"), "io[0] = b.at != 0; io[1] = b.dead; b.set(6);");
    each(&image, &image, |run, toolchain| assert_eq!(run.io[..2], [0, 0], "{toolchain:?}"));
}

#[test]
fn tagged_object_keeps_its_bytes_and_is_said_to() {
    let source = "struct Logged { int value; ~Logged() { value += 100; } }; static Logged CR_STATE b = {1};";
    let image = cpp(source, "io[0] = b.value; b.value = 6;");
    each(&image, &image, |run, toolchain| {
        assert_eq!(run.io[0], 6, "{toolchain:?}");
        let said = |(kind, name, reason): &Entry| {
            *kind == StateKind::CR_ENTRY_CARRIED && name == "b" && reason.contains("tagged")
        };
        assert_eq!(run.report().iter().filter(|entry| said(entry)).count(), 1, "{toolchain:?}: {:?}", run.report());
    });
}

/// Containers of the standard library whose memory is never freed: their destructors are harmless, and what they hold is
/// still there.
const CONTAINERS: &str = "
    #include <stdlib.h>
    #include <functional>
    #include <string>
    #include <unordered_map>
    #include <vector>
    static int freed;
    template <class T> struct Keep {
        typedef T value_type;
        Keep() {}
        template <class U> Keep(const Keep<U> &) {}
        T *allocate(size_t count) { return (T *)malloc(count * sizeof(T)); }
        void deallocate(T *, size_t) { freed++; KEEP(freed); }
    };
    template <class T, class U> bool operator==(const Keep<T> &, const Keep<U> &) { return true; }
    template <class T, class U> bool operator!=(const Keep<T> &, const Keep<U> &) { return false; }
    typedef std::vector<int, Keep<int> > Vector;
    typedef std::basic_string<char, std::char_traits<char>, Keep<char> > String;
    typedef std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, Keep<std::pair<const int, int> > > Map;";

#[test]
fn containers_that_are_tagged_are_carried_as_bytes_and_reported_once() {
    let source = format!(
        "{CONTAINERS} static Vector CR_STATE numbers; static String CR_STATE text; static Map CR_STATE map;
         static Vector plain; static int n;"
    );
    let image = cpp(
        &source,
        "if (n++ == 0) {
             for (int i = 0; i < 100; i++) { numbers.push_back(i); map[i] = i * 2; plain.push_back(i); }
             text.assign(200, 'x');
         }
         io[0] = (long long)numbers.size(); io[1] = numbers.empty() ? -1 : numbers.back();
         io[2] = (long long)text.size(); io[3] = text.empty() ? 0 : text[199];
         io[4] = (long long)map.size(); io[5] = (long long)plain.size();",
    );
    each(&image, &image, |run, toolchain| {
        // The bytes of all three are those of the first version; what is not tagged has been constructed anew.
        assert_eq!(run.io[..6], [100, 99, 200, 'x' as i64, 100, 0], "{toolchain:?}: {:?}", run.report());
        for name in ["numbers", "text", "map"] {
            // clang says of the text which C++ library it is of.
            let of = |(_, known, _): &&Entry| known.split('[').next() == Some(name);
            let report = run.report();
            let all: Vec<&Entry> = report.iter().filter(of).collect();
            let kept = |entry: &&&Entry| entry.0 == StateKind::CR_ENTRY_CARRIED && entry.2.contains("tagged");
            assert_eq!(all.iter().filter(kept).count(), 1, "{toolchain:?} {name}: {all:?}");
        }
    });
}

#[test]
fn number_that_a_function_initialised_keeps_its_value() {
    let source =
        "static int calls; static int compute() { KEEP(calls); return ++calls * 10; } static int at_load = compute();
                  static int __attribute__((noinline)) lazy() { static int k = compute(); return ++k; }";
    let image = cpp(source, "KEEP(calls); KEEP(at_load); io[0] = ++at_load; io[1] = lazy(); io[2] = calls;");
    each(&image, &image, |run, toolchain| {
        // The constructor has run again, but the variables are those of before.
        assert_eq!(run.io[..3], [12, 22, 2], "{toolchain:?}");
    });
}

#[test]
fn object_in_a_function_is_constructed_when_it_is_used_again() {
    let source = format!("{BOX} static Box &__attribute__((noinline)) box() {{ static Box b; return b; }}");
    let image = cpp(&source, "io[0] = *box().at; io[1] = box().dead; *box().at = 6;");
    each(&image, &image, |run, toolchain| assert_eq!(run.io[..2], [5, 0], "{toolchain:?}"));
}

#[test]
fn virtual_functions_are_those_of_the_new_version() {
    let source = |value: i32, more: &str| {
        format!(
            "{more} struct Shape {{ int n; virtual int area() {{ return {value} + n; }} }};
             static Shape shape; static Shape CR_STATE *on_heap = 0;"
        )
    };
    let step = "if (!on_heap) on_heap = &shape; shape.n++; io[0] = on_heap->area(); io[1] = on_heap == &shape;";
    let old = cpp(&source(100, ""), step);
    let new =
        cpp(&source(200, "static int CR_STATE filler[300] = {1}; int big(int n) { return n * filler[n]; }"), step);
    each(&old, &new, |run, toolchain| {
        // Whether it is a constant, and so in `.data`, or begins as zero depends on the compiler.
        assert!(run.io[0] == 202 || run.io[0] == 201, "{toolchain:?}: {}", run.io[0]);
        assert_eq!(run.io[1], 1, "{toolchain:?}");
    });
}

#[test]
fn rollback_leaves_objects_to_their_constructors() {
    let image = cpp(
        &format!("{BOX} static Box b; static int n;"),
        "io[1] = *b.at + b.dead; *b.at = 6; if (io[0] && ++n) __builtin_trap(); io[2] = ++n;",
    );
    let bytes = image.build(PLAIN).unwrap();
    let mut run = Run::new(&bytes, cr_mode::CR_UNSAFE);
    run.step().unwrap();
    run.install(&bytes);
    run.step().unwrap();
    run.io[0] = 1;
    run.step().unwrap_err();
    run.io[0] = 0;
    assert_eq!(run.step().unwrap(), 1);
    assert_eq!(run.io[1..3], [5, 2]);
}

#[test]
fn arrays_of_objects_begin_anew() {
    let image = cpp(&format!("{BOX} static Box b[3];"), "io[0] = *b[2].at; io[1] = b[1].dead; *b[2].at = 6;");
    let bytes = image.build(PLAIN).unwrap();
    assert_eq!(reload(&bytes, &bytes).io[..2], [5, 0]);
}
