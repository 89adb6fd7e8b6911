//! Edits of guests that are linked as Microsoft's tools do: variables and types come from PDB files, and what becomes of
//! each is seen in memory that looks like theirs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may

use super::{Allocator, Destination, Files, Live, Place, Plan, Snapshot};
use crate::abi::cr_mode;
use crate::error::Error;
use crate::image::pdb::real_tests::{Guest, STATE, X64};
use crate::image::{self, Expected, Image, Source, Target};
use std::path::PathBuf;
use std::rc::Rc;

/// The first version's PDB is where the copy of it would be: the linker's is that of the second one.
pub(super) struct Pair {
    old: Guest,
    pub(super) new: Guest,
    copy: PathBuf,
    path: PathBuf,
}

impl Files for Pair {
    fn old_file(&self) -> Option<Source<'_>> {
        Some(Source { bytes: &self.old.bytes, path: &self.path, pdb: Some(&self.copy) })
    }

    fn new_file(&self) -> Option<Source<'_>> {
        Some(Source::original(&self.new.bytes, &self.path))
    }

    fn target(&self) -> Target {
        X64
    }
}

/// What became of the state: memory of the new version, where things are in it, and the report.
pub(super) struct Outcome {
    pub(super) pair: Pair,
    pub(super) memory: Vec<u8>,
    report: Vec<String>,
    bases: (usize, usize),
}

pub(super) fn parse(guest: &Guest) -> Rc<Image> {
    let path = guest.path();
    let source = Source::original(&guest.bytes, &path);
    Rc::new(image::parse(source, X64, Expected { entry: "cr_main", listed: true }).unwrap())
}

/// What an image has in memory before it is relocated.
pub(super) fn memory(guest: &Guest, image: &Image) -> Vec<u8> {
    let mut memory = vec![0; image.extent.end as usize];
    let path = guest.path();
    for region in image::regions(Source::original(&guest.bytes, &path), X64).unwrap() {
        memory[region.address as usize..][..region.bytes.len()].copy_from_slice(region.bytes);
    }
    memory
}

pub(super) fn address(guest: &Guest, name: &str) -> usize {
    let all = guest.symbols();
    let known = || all.iter().map(|symbol| &*symbol.name).collect::<Vec<_>>().join("\n");
    let found = all.iter().find(|symbol| symbol.name == name);
    found.unwrap_or_else(|| panic!("{name} of\n{}", known())).place.address as usize
}

/// Carries the state of one version, with the values that it begins with, into the other. `pointers` are variables of
/// the first one, and what they point to there.
fn carry(old: Guest, new: Guest, mode: cr_mode, pointers: &[(&str, &str)]) -> Result<Outcome, Error> {
    let before = parse(&old);
    carry_listed(old, new, before, mode, pointers)
}

/// The same, when the first one's variables have been listed before.
fn carry_listed(
    old: Guest,
    new: Guest,
    before: Rc<Image>,
    mode: cr_mode,
    pointers: &[(&str, &str)],
) -> Result<Outcome, Error> {
    let after = parse(&new);
    let (mut from, to) = (memory(&old, &before), memory(&new, &after));
    let base = from.as_ptr() as usize;
    for (variable, goal) in pointers {
        let at = address(&old, variable);
        from[at..at + 8].copy_from_slice(&(base + address(&old, goal)).to_ne_bytes());
    }
    carry_memory((old, before, from), (new, after, to), mode)
}

/// The same, when they are in memory already: guests, what is in their images, and the memory.
pub(super) fn carry_memory(
    (old, before, from): (Guest, Rc<Image>, Vec<u8>),
    (new, after, mut to): (Guest, Rc<Image>, Vec<u8>),
    mode: cr_mode,
) -> Result<Outcome, Error> {
    let base = from.as_ptr() as usize;
    let pair = Pair { copy: old.pdb(), path: new.path(), old, new };
    let mut snapshot = Snapshot::new(Allocator::default());
    snapshot.reserve(&before.state, false).unwrap();
    let live = Live { version: 1, image: before, base, destructible: None, tagged_only: false };
    // SAFETY: the memory is as large as the image says.
    unsafe { snapshot.save(live) };
    let to_image = Destination { version: 2, image: &after, files: &pair, mode, tagged_only: false };
    let mut plan = Plan::new(&snapshot, to_image)?;
    let place = Place { base: to.as_mut_ptr() as usize, destructible: None };
    let bases = (base, place.base);
    // SAFETY: as above, and nobody else uses it.
    unsafe { plan.carry_out(&place) };
    let report = plan.take_report().lines().collect();
    drop(plan);
    Ok(Outcome { pair, memory: to, report, bases })
}

impl Outcome {
    fn bytes(&self, name: &str, offset: usize, size: usize) -> &[u8] {
        &self.memory[address(&self.pair.new, name) + offset..][..size]
    }

    fn number(&self, name: &str, offset: usize, size: usize) -> i64 {
        let bytes = self.bytes(name, offset, size).iter().rev();
        let unsigned = bytes.fold(0_i64, |value, byte| value << 8 | i64::from(*byte));
        let unused = 64 - 8 * size as u32;
        unsigned << unused >> unused
    }

    fn told(&self, words: &[&str]) -> bool {
        self.report.iter().any(|line| words.iter().all(|word| line.contains(word)))
    }
}

/// An edit: the declarations before and after, and where which number must be then: variable, offset, size, value.
struct Edit {
    what: &'static str,
    old: &'static str,
    new: &'static str,
    expected: &'static [(&'static str, usize, usize, i64)],
}

const fn edit(
    what: &'static str,
    old: &'static str,
    new: &'static str,
    expected: &'static [(&'static str, usize, usize, i64)],
) -> Edit {
    Edit { what, old, new, expected }
}

/// Those that C and C++ have.
const EDITS: [Edit; 17] = [
    edit("add a variable", "", "int added S = 5;", &[("added", 0, 4, 5)]),
    edit(
        "change the order",
        "int o1 S = 7; long long o2 S = 8;",
        "long long o2 S = 1; int o1 S = 2;",
        &[("o1", 0, 4, 7), ("o2", 0, 8, 8)],
    ),
    edit("remove a variable", "int gone S = 7; int stays S = 9;", "int stays S = 1;", &[("stays", 0, 4, 9)]),
    edit("make it static", "int once_global S = 7;", "static int once_global S = 1;", &[("once_global", 0, 4, 7)]),
    edit("widen a number", "int wider S = -7;", "long long wider S = 1;", &[("wider", 0, 8, -7)]),
    edit(
        "narrow a number that fits",
        "double narrower S = 2.0;",
        "float narrower S = 1;",
        &[("narrower", 0, 4, 0x4000_0000)],
    ),
    edit("narrow a number that does not fit", "int unfit S = 700;", "signed char unfit S = 1;", &[("unfit", 0, 1, 1)]),
    edit(
        "grow an array",
        "short grown[2] S = {7, 8};",
        "short grown[4] S = {1, 2, 3, 4};",
        &[("grown", 0, 2, 7), ("grown", 2, 2, 8), ("grown", 4, 2, 3), ("grown", 6, 2, 4)],
    ),
    edit(
        "shrink an array",
        "short shrunk[3] S = {7, 8, 9}; short behind S = 6;",
        "short shrunk[1] S = {1}; short behind S = 2;",
        &[("shrunk", 0, 2, 7), ("behind", 0, 2, 6)],
    ),
    edit(
        "add a field in the middle",
        "struct mid { int a, c; }; struct mid mid S = {7, 9};",
        "struct mid { int a; long long b; int c; }; struct mid mid S = {1, 2, 3};",
        &[("mid", 0, 4, 7), ("mid", 8, 8, 2), ("mid", 16, 4, 9)],
    ),
    edit(
        "add a field to a struct in a struct",
        "struct in { char x; }; struct out { struct in in[2]; int last; }; struct out out S = {{{7}, {8}}, 9};",
        "struct in { int w; char x; }; struct out { struct in in[2]; int last; }; struct out out S = {{{1, 2}, {3, 4}}, 5};",
        &[("out", 0, 4, 1), ("out", 4, 1, 7), ("out", 12, 1, 8), ("out", 16, 4, 9)],
    ),
    edit(
        "remove a field",
        "struct less { int a, b, c; }; struct less less S = {7, 8, 9};",
        "struct less { int a, c; }; struct less less S = {1, 2};",
        &[("less", 0, 4, 7), ("less", 4, 4, 9)],
    ),
    edit(
        "widen a bit-field",
        "struct bits { unsigned a : 3, b : 4; }; struct bits bits S = {5, 9};",
        "struct bits { unsigned a : 8, b : 8; }; struct bits bits S = {1, 2};",
        &[("bits", 0, 1, 5), ("bits", 1, 1, 9)],
    ),
    edit(
        "add an enumerator in front",
        "enum color { RED, GREEN }; enum color color S = GREEN;",
        "enum color { BLACK, WHITE, RED, GREEN }; enum color color S = BLACK;",
        &[("color", 0, 4, 3)],
    ),
    edit(
        "add a member to an unnamed union",
        "struct un { int a; union { int i; float f; }; int z; }; struct un un S = {7, {8}, 9};",
        "struct un { int z; int a; union { int i; float f; short s; }; }; struct un un S = {1, 2, {3}};",
        &[("un", 0, 4, 9), ("un", 4, 4, 7), ("un", 8, 4, 8)],
    ),
    edit(
        "change a member of an unnamed union",
        "struct ch { int a; union { int i; float f; }; }; struct ch ch S = {7, {8}};",
        "struct ch { int a; union { short i; float f; }; }; struct ch ch S = {1, {3}};",
        &[("ch", 0, 4, 7), ("ch", 4, 2, 3)],
    ),
    edit(
        "static in a function",
        "static int f(int x) { static int calls S = 7; return calls += x; } int use_f(int x) { return f(x); }",
        "static int f(int x) { static int more S = 2; static long long calls S = 1; return (int)(calls += more += x); }
         int use_f(int x) { return f(x); }",
        &[("f::calls", 0, 8, 7), ("f::more", 0, 4, 2)],
    ),
];

/// Those of C++ alone.
const CPP_EDITS: [Edit; 5] = [
    edit(
        "static member of a template",
        "template <class T> struct Tem { static T st; }; template <class T> T Tem<T>::st S = 7; int t() { return Tem<int>::st; }",
        "template <class T> struct Tem { static T st; }; int first S = 3; template <class T> T Tem<T>::st S = 1;
         int t() { return Tem<int>::st; }",
        &[("Tem<int>::st", 0, 4, 7)],
    ),
    edit("leave an unnamed namespace", "namespace { int hid S = 7; }", "int hid S = 1;", &[("hid", 0, 4, 7)]),
    edit(
        "add a field to a base class",
        "struct Base { int q; }; struct Derived : Base { int r; }; Derived der S = {{7}, 8};",
        "struct Base { int p; int q; }; struct Derived : Base { int r; }; Derived der S = {{1, 2}, 3};",
        &[("der", 0, 4, 1), ("der", 4, 4, 7), ("der", 8, 4, 8)],
    ),
    edit(
        "a variable of a namespace",
        "namespace game { int health S = 7; static short own S = 8; }",
        "namespace game { static int own S = 1; long long health S = 1; }",
        &[("game::health", 0, 8, 7), ("game::own", 0, 4, 8)],
    ),
    edit(
        "an enumeration that has negative values",
        "enum class Mode : signed char { Off = -1, On }; Mode mode S = Mode::Off;",
        "enum class Mode : short { On, Off = -5 }; Mode mode S = Mode::On;",
        &[("mode", 0, 2, -5)],
    ),
];

const MAIN: &str = "
    #ifdef __cplusplus
    extern \"C\"
    #endif
    __declspec(dllexport) int cr_main(void *ctx, int op) { return op + (ctx != 0); }
";

fn edits(edits: &[Edit], extension: &str, level: &str) {
    for edit in edits {
        let build = |text: &str| {
            let file = format!("guest.{extension}");
            Guest::build(X64, &[(&file, &format!("{STATE}{text}\n{MAIN}"))], &[level])
        };
        let outcome = carry(build(edit.old), build(edit.new), cr_mode::CR_UNSAFE, &[]).unwrap();
        for (name, offset, size, value) in edit.expected {
            let what = format!("{} ({extension} {level}): {name} at {offset}", edit.what);
            assert_eq!(outcome.number(name, *offset, *size), *value, "{what}\n{}", outcome.report.join("\n"));
        }
    }
}

#[test]
fn edits_in_c() {
    edits(&EDITS, "c", "-O0");
    edits(&EDITS, "c", "-O2");
}

#[test]
fn edits_in_cpp() {
    for level in ["-O0", "-O2"] {
        edits(&EDITS, "cpp", level);
        edits(&CPP_EDITS, "cpp", level);
    }
}

#[test]
fn a_variable_moves_to_another_file_and_two_of_one_name_do_not_change_places() {
    let one = format!("{STATE} static int same S = 7; int moves S = 5; int one(void) {{ return same++; }} {MAIN}");
    let two = "#define S __attribute__((section(\".state\"), used))\n static int same S = 8; int two(void) { return same++; }";
    let old = Guest::build(X64, &[("one.c", &one), ("two.c", two)], &["-O0"]);
    let (one, two) =
        (one.replace("int moves S = 5;", "").replace('7', "1"), two.replace('8', "2") + " int moves S = 3;");
    // The linker gets them in the other order.
    let new = Guest::build(X64, &[("two.c", &two), ("one.c", &one)], &["-O0"]);
    let outcome = carry(old, new, cr_mode::CR_UNSAFE, &[]).unwrap();
    let all = outcome.pair.new.symbols();
    let of_file = |file: &str| {
        let found = all.iter().find(|symbol| symbol.name == "same" && symbol.file.as_deref() == Some(file)).unwrap();
        outcome.memory[found.place.address as usize]
    };
    assert_eq!((of_file("one.c"), of_file("two.c")), (7, 8), "{}", outcome.report.join("\n"));
    assert_eq!(outcome.number("moves", 0, 4), 5);
}

#[test]
fn overloads_that_change_places_keep_their_own() {
    let text = |functions: &str| format!("{STATE} {functions} {MAIN} int use() {{ return over(1) + over(1.0); }}");
    let (first, second) = (
        "int over(int a) { static int k S = 7; return k += a; }",
        "int over(double a) { static int k S = 8; return k += (int)a; }",
    );
    let old = Guest::build(X64, &[("guest.cpp", &text(&format!("{first} {second}")))], &["-O0"]);
    let new = format!("{second} {first}").replace("= 7", "= 1").replace("= 8", "= 2");
    let new = Guest::build(X64, &[("guest.cpp", &text(&new))], &["-O0"]);
    let outcome = carry(old, new, cr_mode::CR_UNSAFE, &[]).unwrap();
    assert_eq!(outcome.number("over::k", 0, 4), 8, "{}", outcome.report.join("\n"));
    assert_eq!(outcome.number("over::k.1", 0, 4), 7);
}

#[test]
fn statics_of_blocks_that_cannot_be_told_apart_begin_anew_and_it_is_said() {
    let text = |a: u32, b: u32| {
        format!(
            "{STATE} int f(int x) {{ if (x) {{ static int n S = {a}; return n++; }} {{ static int n S = {b}; return n++; }} }}
             {MAIN}"
        )
    };
    let old = Guest::build(X64, &[("guest.c", &text(7, 8))], &["-O0"]);
    let new = Guest::build(X64, &[("guest.c", &(text(1, 2) + "int more S = 1;"))], &["-O0"]);
    let outcome = carry(old, new, cr_mode::CR_UNSAFE, &[]).unwrap();
    assert_eq!((outcome.number("f::n", 0, 4), outcome.number("f::n.1", 0, 4)), (1, 2));
    assert!(outcome.told(&["f::n", "cannot be told"]), "{}", outcome.report.join("\n"));
}

#[test]
#[cfg(target_pointer_width = "64")] // the guests are for 64 bits, and here their pointers are this process's
fn pointers_follow_functions_variables_and_fields() {
    let old = "static int helper(int x) { return x + 1; } int (*function)(int) S = helper;
        struct pair { int a, b; }; struct pair pair S = {7, 8}; struct pair *whole S; int *field S; int lone S = 3; int *to S;
        const int table[3] = {1, 2, 3}; const int *constant S;";
    let new = "int more S = 1; static int other(int x) { return x; } int (*second)(int) S = other;
        static int helper(int x) { return x + 2; } int (*function)(int) S = helper;
        const int more_of_them[5] = {5}; const int table[3] = {1, 2, 3}; const int *constant S;
        struct pair { int z; int a; long long b; }; struct pair pair S = {1, 2, 3}; struct pair *whole S; int *field S;
        int lone S = 1; int *to S;";
    let build = |text: &str| Guest::build(X64, &[("guest.c", &format!("{STATE}{text}\n{MAIN}"))], &["-O0"]);
    let pointers =
        [("function", "helper"), ("whole", "pair"), ("field", "pair"), ("to", "lone"), ("constant", "table")];
    let outcome = carry(build(old), build(new), cr_mode::CR_UNSAFE, &pointers).unwrap();
    let goal = |name: &str| outcome.number(name, 0, 8) as usize - outcome.bases.1;
    let of = |name: &str| address(&outcome.pair.new, name);
    let report = outcome.report.join("\n");
    assert_eq!(goal("function"), of("helper"), "{report}");
    assert_eq!(goal("to"), of("lone"), "{report}");
    assert_eq!(goal("constant"), of("table"), "{report}");
    assert_eq!(goal("whole"), of("pair"), "the struct itself\n{report}");
    assert_eq!(goal("field"), of("pair") + 4, "its first field, which is the second one now\n{report}");
}

#[test]
fn the_modes_look_at_sizes_and_types_and_not_at_padding() {
    let build = |text: &str| Guest::build(X64, &[("guest.c", &format!("{STATE}{text}\n{MAIN}"))], &["-O0"]);
    let old = "char flag S = 7; long long wide S = 8; int last S = 9;";
    // The flag has no padding behind it any more.
    let moved = "long long wide S = 1; int last S = 2; char flag S = 3;";
    let outcome = carry(build(old), build(moved), cr_mode::CR_SAFE, &[]).unwrap();
    assert_eq!((outcome.number("flag", 0, 1), outcome.number("wide", 0, 8), outcome.number("last", 0, 4)), (7, 8, 9));
    assert!(!outcome.told(&["larger"]) && !outcome.told(&["smaller"]), "{}", outcome.report.join("\n"));
    let refused = |new: &str, mode| carry(build(old), build(new), mode, &[]).err().map(|error| error.to_string());
    let error = refused(&old.replace("int last", "float last"), cr_mode::CR_SAFE).unwrap();
    assert!(error.contains("last") && error.contains("int is now float"), "{error}");
    let error = refused(moved, cr_mode::CR_SAFEST).unwrap();
    assert!(error.contains("was at"), "{error}");
}

#[test]
fn thread_local_variables_begin_anew_and_it_is_said() {
    let text = "static _Thread_local int own = 7; int kept S = 3; int use(void) { return own++; }";
    let build = |text: &str| Guest::build(X64, &[("guest.c", &format!("{STATE}{text}\n{MAIN}"))], &["-O0"]);
    let outcome = carry(build(text), build(&text.replace('3', "1")), cr_mode::CR_UNSAFE, &[]).unwrap();
    assert_eq!(outcome.number("kept", 0, 4), 3);
    assert!(outcome.told(&["own", "thread-local"]), "{}", outcome.report.join("\n"));
}

#[test]
fn without_the_types_of_the_old_version_bytes_are_kept_and_it_is_said() {
    let build = |text: &str| Guest::build(X64, &[("guest.c", &format!("{STATE}{text}\n{MAIN}"))], &["-O0"]);
    let (old, new) =
        (build("int value S = 7; short other S = 2;"), build("short other S = 1; long long value S = -1;"));
    let image = parse(&old);
    assert!(image.listing.is_some());
    std::fs::copy(new.pdb(), old.pdb()).unwrap();
    let outcome = carry_listed(old, new, image, cr_mode::CR_UNSAFE, &[]).unwrap();
    assert_eq!((outcome.number("value", 0, 4), outcome.number("other", 0, 2)), (7, 2), "{}", outcome.report.join("\n"));
    assert!(outcome.told(&["debug information", "another build"]), "{}", outcome.report.join("\n"));
}
