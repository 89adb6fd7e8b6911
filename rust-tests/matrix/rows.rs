//! The edits: each with the variables of the two versions, what the old one sets, and what the new one finds.

/// One kind of edit in one language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What the table calls it.
    pub(crate) title: &'static str,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
    /// Run in the last step of the old version.
    pub(crate) set: &'static str,
    /// Variables of the new version that anybody might write to: otherwise an optimiser knows their values.
    pub(crate) used: &'static [&'static str],
    /// The number that tells what became of it, in the new version.
    pub(crate) get: &'static str,
    /// What the number means. Any other is a failure.
    pub(crate) meanings: &'static [(i64, &'static str)],
    /// The variable that the report must have an entry for, and a word of that entry.
    pub(crate) said: Option<(&'static str, &'static str)>,
}

const ROW: Row = Row { name: "", title: "", old: "", new: "", set: "", used: &[], get: "", meanings: &[], said: None };

pub(crate) const KEPT: &str = "kept";
pub(crate) const INITIAL: &str = "initial";
/// The bytes are where they were: what they mean is another thing now.
pub(crate) const BYTES: &str = "bytes";

/// The rows of a language, in the order of the table.
pub(crate) fn of(language: &str) -> Vec<Row> {
    match language {
        "c" => C.to_vec(),
        "cpp" => C.iter().chain(CPP).copied().collect(),
        _ => RUST.to_vec(),
    }
}

const C: &[Row] = &[
    Row {
        name: "add",
        used: &["added"],
        title: "add a variable",
        new: "static int CR_STATE added = 7;",
        get: "added",
        meanings: &[(7, INITIAL)],
        said: Some(("added", "INITIALISED")),
        ..ROW
    },
    Row {
        name: "remove",
        used: &["before", "behind"],
        title: "remove a variable",
        old: "static int CR_STATE before = 1, CR_STATE removed = 2, CR_STATE behind = 3;",
        new: "static int CR_STATE before = 1, CR_STATE behind = 3;",
        set: "KEEP(before); KEEP(removed); KEEP(behind); before = 10; removed = 20; behind = 30;",
        get: "before * 100 + behind",
        meanings: &[(1030, "dropped, the others kept")],
        said: Some(("removed", "DROPPED")),
    },
    Row {
        name: "reorder",
        used: &["first", "second", "third", "fourth"],
        title: "change the order",
        old: "static int CR_STATE first = 1, CR_STATE second = 2; static int third, fourth;",
        new: "static int fourth, third; static int CR_STATE second = 2, CR_STATE first = 1;",
        set: "KEEP(first); KEEP(second); KEEP(third); KEEP(fourth); first = 5; second = 6; third = 7; fourth = 8;",
        get: "first * 1000 + second * 100 + third * 10 + fourth",
        meanings: &[(5678, KEPT)],
        ..ROW
    },
    Row {
        name: "rename",
        used: &["renamed"],
        title: "rename, with `CR_STATE_RENAMED`",
        old: "int CR_STATE called = 1;",
        new: "int CR_STATE renamed = 1; CR_STATE_RENAMED(renamed, \"called\");",
        set: "KEEP(called); called = 9;",
        get: "renamed",
        meanings: &[(9, KEPT)],
        ..ROW
    },
    Row {
        name: "move_to_another_file",
        used: &[],
        title: "move to another file",
        old: "static int CR_STATE moved = 1;",
        new: "int moved_value(void);",
        set: "KEEP(moved); moved = 11;",
        get: "moved_value()",
        meanings: &[(11, KEPT)],
        ..ROW
    },
    Row {
        name: "widen",
        used: &["wide"],
        title: "widen a number (`int` to `long long`)",
        old: "static int CR_STATE wide = 1;",
        new: "static long long CR_STATE wide = 1;",
        set: "KEEP(wide); wide = -12;",
        get: "wide",
        meanings: &[(-12, KEPT), (4_294_967_284, BYTES)],
        ..ROW
    },
    Row {
        name: "narrow",
        used: &["narrow"],
        title: "narrow a number that fits (`double` to `float`)",
        old: "static double CR_STATE narrow = 1;",
        new: "static float CR_STATE narrow = 1;",
        set: "KEEP(narrow); narrow = 13;",
        get: "(long long)narrow",
        meanings: &[(13, KEPT), (0, BYTES)],
        ..ROW
    },
    Row {
        name: "narrow_too_far",
        used: &["far"],
        title: "narrow a number that does not fit (`int` to `signed char`)",
        old: "static int CR_STATE far = 1;",
        new: "static signed char CR_STATE far = 3;",
        set: "KEEP(far); far = 1000;",
        get: "far",
        meanings: &[(3, INITIAL), (-24, BYTES)],
        ..ROW
    },
    Row {
        name: "grow_an_array",
        used: &["grown"],
        title: "grow an array",
        old: "static int CR_STATE grown[2] = {1, 2};",
        new: "static int CR_STATE grown[4] = {1, 2, 3, 4};",
        set: "KEEP(grown); grown[0] = 5; grown[1] = 6;",
        get: "grown[0] * 1000 + grown[1] * 100 + grown[2] * 10 + grown[3]",
        meanings: &[(5634, "kept, the rest initial")],
        ..ROW
    },
    Row {
        name: "shrink_an_array",
        used: &["shrunk", "next_to_it"],
        title: "shrink an array",
        old: "static int CR_STATE shrunk[3] = {1, 2, 3}; static int CR_STATE next_to_it = 1;",
        new: "static int CR_STATE shrunk[2] = {1, 2}; static int CR_STATE next_to_it = 1;",
        set: "KEEP(shrunk); KEEP(next_to_it); shrunk[0] = 5; shrunk[1] = 6; shrunk[2] = 7; next_to_it = 8;",
        get: "shrunk[0] * 100 + shrunk[1] * 10 + next_to_it",
        meanings: &[(568, "kept, the end cut")],
        ..ROW
    },
    Row {
        name: "add_a_field",
        used: &["middle"],
        title: "add a field in the middle of a struct",
        old: "struct middle { int a, c; }; static struct middle CR_STATE middle[2] = {{1, 3}, {1, 3}};",
        new: "struct middle { int a, b, c; }; static struct middle CR_STATE middle[2] = {{1, 2, 3}, {1, 2, 3}};",
        set: "KEEP(middle); middle[0].a = 4; middle[0].c = 5; middle[1].a = 6; middle[1].c = 7;",
        get: "middle[0].a * 100000 + middle[0].b * 10000 + middle[0].c * 1000 + middle[1].a * 100 + middle[1].b * 10 + middle[1].c",
        meanings: &[(425_627, KEPT), (456_723, BYTES)],
        ..ROW
    },
    Row {
        name: "change_a_nested_struct",
        used: &["outer"],
        title: "add a field to a struct in a struct",
        old: "struct inner { short x; }; struct outer { struct inner in; int n; }; static struct outer CR_STATE outer = {{1}, 2};",
        new: "struct inner { int y; short x; }; struct outer { struct inner in; int n; }; static struct outer CR_STATE outer = {{3, 1}, 2};",
        set: "KEEP(outer); outer.in.x = 4; outer.n = 5;",
        get: "outer.in.y * 100 + outer.in.x * 10 + outer.n",
        meanings: &[(345, KEPT), (452, BYTES)],
        ..ROW
    },
    Row {
        name: "nest",
        used: &["nested"],
        title: "move fields into a struct in the struct",
        old: "struct nested { int n, x, y; }; static struct nested CR_STATE nested = {1, 2, 3};",
        new: "struct nested { int n; struct { int x, y; } at; }; static struct nested CR_STATE nested = {1, {2, 3}};",
        set: "KEEP(nested); nested.n = 4; nested.x = 5; nested.y = 6;",
        get: "nested.n * 100 + nested.at.x * 10 + nested.at.y",
        meanings: &[(423, "initial, the others kept"), (456, BYTES)],
        ..ROW
    },
    Row {
        name: "remove_a_field",
        used: &["less"],
        title: "remove a field",
        old: "struct less { int a, b, c; }; static struct less CR_STATE less = {1, 2, 3};",
        new: "struct less { int a, c; }; static struct less CR_STATE less = {1, 3};",
        set: "KEEP(less); less.a = 4; less.b = 5; less.c = 6;",
        get: "less.a * 10 + less.c",
        meanings: &[(46, "dropped, the others kept"), (45, BYTES)],
        ..ROW
    },
    Row {
        name: "bit_fields",
        used: &["bits"],
        title: "widen a bit-field",
        old: "struct bits { unsigned a : 3; unsigned b : 5; }; static struct bits CR_STATE bits = {1, 2};",
        new: "struct bits { unsigned a : 6; unsigned b : 9; }; static struct bits CR_STATE bits = {1, 2};",
        set: "KEEP(bits); bits.a = 5; bits.b = 17;",
        get: "bits.a * 1000 + bits.b",
        meanings: &[(5017, KEPT), (13_002, BYTES)],
        ..ROW
    },
    Row {
        name: "change_an_enum",
        used: &["color"],
        title: "add an enumerator in front",
        old: "enum color { RED, BLUE }; static enum color CR_STATE color = RED;",
        new: "enum color { GREEN, RED, BLUE }; static enum color CR_STATE color = GREEN;",
        set: "KEEP(color); color = BLUE;",
        get: "color",
        meanings: &[(2, KEPT), (1, BYTES)],
        ..ROW
    },
    Row {
        name: "static_in_a_function",
        used: &[],
        title: "static in a function",
        old: "static int in_function(int step) { static int count; KEEP(count); count += step; return count; }",
        new: "static int in_front; static int in_function(int step) { static int count; KEEP(count); KEEP(in_front); count += step; return count; }",
        set: "in_function(14);",
        get: "in_function(0)",
        meanings: &[(14, KEPT)],
        ..ROW
    },
    Row {
        name: "thread_local",
        used: &["of_thread"],
        title: "thread-local variable",
        old: "static __thread int of_thread = 2;",
        new: "static __thread int of_thread = 2;",
        set: "KEEP(of_thread); of_thread = 15;",
        get: "of_thread",
        meanings: &[(2, "initial, and said so")],
        said: Some(("of_thread", "INITIALISED")),
    },
];

const CPP: &[Row] = &[
    Row {
        name: "template_static",
        used: &["box<int>::last", "box<char>::last", "in_bss"],
        title: "static member of a template",
        old: "template <typename T> struct box { static T last; }; template <typename T> T box<T>::last; static int more_bss;",
        new: "static long in_bss; template <typename T> struct box { static T last; }; template <typename T> T box<T>::last;",
        set: "KEEP(box<int>::last); KEEP(box<char>::last); KEEP(more_bss); box<int>::last = 16; box<char>::last = 3;",
        get: "box<int>::last * 10 + box<char>::last + in_bss",
        meanings: &[(163, KEPT)],
        ..ROW
    },
    Row {
        name: "anonymous_namespace",
        used: &["hidden_one", "hidden_two"],
        title: "variable of an unnamed namespace",
        old: "namespace { struct hidden { int a, c; }; hidden hidden_one; int hidden_two; }",
        new: "namespace { int hidden_two; struct hidden { int a, c; }; hidden hidden_one; }",
        set: "KEEP(hidden_one); KEEP(hidden_two); hidden_one.a = 1; hidden_one.c = 7; hidden_two = 8;",
        get: "hidden_one.a * 100 + hidden_one.c * 10 + hidden_two",
        meanings: &[(178, KEPT)],
        ..ROW
    },
    Row {
        name: "change_a_base",
        used: &["derived_one"],
        title: "add a field to a base class",
        old: "struct base { int b; }; struct derived : base { int d; }; static derived derived_one;",
        new: "struct base { int more, b; }; struct derived : base { int d; }; static derived derived_one;",
        set: "KEEP(derived_one); derived_one.b = 1; derived_one.d = 9;",
        get: "derived_one.more * 100 + derived_one.b * 10 + derived_one.d",
        meanings: &[(19, KEPT), (190, BYTES)],
        ..ROW
    },
];

const RUST: &[Row] = &[
    Row {
        name: "add",
        used: &["ADDED"],
        title: "add a variable",
        new: "#[unsafe(link_section = \".state\")] static mut ADDED: i32 = 7;",
        get: "ADDED",
        meanings: &[(7, INITIAL)],
        said: Some(("ADDED", "INITIALISED")),
        ..ROW
    },
    Row {
        name: "remove",
        used: &["BEFORE", "BEHIND"],
        title: "remove a variable",
        old: "#[unsafe(link_section = \".state\")] static mut BEFORE: i32 = 1;
              #[unsafe(link_section = \".state\")] static mut REMOVED: i32 = 2;
              #[unsafe(link_section = \".state\")] static mut BEHIND: i32 = 3;",
        new: "#[unsafe(link_section = \".state\")] static mut BEFORE: i32 = 1;
              #[unsafe(link_section = \".state\")] static mut BEHIND: i32 = 3;",
        set: "BEFORE = 10; REMOVED = 20; BEHIND = 30; keep!(BEFORE); keep!(REMOVED); keep!(BEHIND);",
        get: "BEFORE * 100 + BEHIND",
        meanings: &[(1030, "dropped, the others kept")],
        said: Some(("REMOVED", "DROPPED")),
    },
    Row {
        name: "reorder",
        used: &["FIRST", "SECOND", "THIRD"],
        title: "change the order",
        old: "static mut FIRST: i32 = 0; static mut SECOND: i64 = 0; static mut THIRD: i16 = 0;",
        new: "static mut THIRD: i16 = 0; static mut SECOND: i64 = 0; static mut FIRST: i32 = 0;",
        set: "FIRST = 5; SECOND = 6; THIRD = 7; keep!(FIRST); keep!(SECOND); keep!(THIRD);",
        get: "FIRST as i64 * 100 + SECOND * 10 + THIRD as i64",
        meanings: &[(567, KEPT)],
        ..ROW
    },
    Row {
        name: "rename",
        used: &["RENAMED"],
        title: "rename, with `CR_STATE_RENAMED`",
        old: "#[unsafe(no_mangle)] #[unsafe(link_section = \".state\")] static mut CALLED: i32 = 1;",
        new: "#[unsafe(no_mangle)] #[unsafe(link_section = \".state\")] static mut RENAMED: i32 = 1;
              #[used] #[unsafe(link_section = \"cr_names\")] static NAMES: [u8; 15] = *b\"RENAMED\\0CALLED\\0\";",
        set: "CALLED = 9; keep!(CALLED);",
        get: "RENAMED",
        meanings: &[(9, KEPT)],
        ..ROW
    },
    Row {
        name: "move_to_another_file",
        used: &["two::MOVED"],
        title: "move to another file",
        old: "mod one { pub static mut MOVED: i32 = 0; }",
        new: "mod two { pub static mut MOVED: i32 = 0; }",
        set: "one::MOVED = 11; keep!(one::MOVED);",
        get: "two::MOVED",
        meanings: &[(11, KEPT), (0, INITIAL)],
        ..ROW
    },
    Row {
        name: "widen",
        used: &["WIDE"],
        title: "widen a number (`int` to `long long`)",
        old: "static mut WIDE: i32 = 0;",
        new: "static mut WIDE: i64 = 0;",
        set: "WIDE = -12; keep!(WIDE);",
        get: "WIDE",
        meanings: &[(-12, KEPT), (4_294_967_284, BYTES)],
        ..ROW
    },
    Row {
        name: "widen_what_an_optimiser_sees",
        title: "widen a number all uses of which an optimiser sees",
        old: "static mut SEEN: i32 = 0;",
        new: "static mut SEEN: i64 = 0;",
        set: "SEEN -= 12; if SEEN < -1000 { return -1 }",
        get: "{ let was = SEEN; SEEN = was - 1; was }",
        meanings: &[(-12, KEPT), (4_294_967_284, BYTES)],
        ..ROW
    },
    Row {
        name: "use_what_an_optimiser_sees",
        title: "use a number otherwise, so that an optimiser sees all uses",
        old: "static mut LATER: i32 = 0;",
        new: "static mut LATER: i32 = 0;",
        set: "LATER = -12; keep!(LATER);",
        get: "{ let was = LATER; LATER = was - 1; was }",
        meanings: &[(-12, KEPT)],
        ..ROW
    },
    Row {
        name: "narrow",
        used: &["NARROW"],
        title: "narrow a number that fits (`double` to `float`)",
        old: "static mut NARROW: f64 = 0.0;",
        new: "static mut NARROW: f32 = 0.0;",
        set: "NARROW = 13.0; keep!(NARROW);",
        get: "NARROW as i64",
        meanings: &[(13, KEPT), (0, BYTES)],
        ..ROW
    },
    Row {
        name: "narrow_too_far",
        used: &["FAR"],
        title: "narrow a number that does not fit (`int` to `signed char`)",
        old: "#[unsafe(link_section = \".state\")] static mut FAR: i32 = 1;",
        new: "#[unsafe(link_section = \".state\")] static mut FAR: i8 = 3;",
        set: "FAR = 1000; keep!(FAR);",
        get: "FAR as i64",
        meanings: &[(3, INITIAL), (-24, BYTES)],
        ..ROW
    },
    Row {
        name: "grow_an_array",
        used: &["GROWN"],
        title: "grow an array",
        old: "#[unsafe(link_section = \".state\")] static mut GROWN: [i32; 2] = [1, 2];",
        new: "#[unsafe(link_section = \".state\")] static mut GROWN: [i32; 4] = [1, 2, 3, 4];",
        set: "GROWN = [5, 6]; keep!(GROWN);",
        get: "GROWN[0] * 1000 + GROWN[1] * 100 + GROWN[2] * 10 + GROWN[3]",
        meanings: &[(5634, "kept, the rest initial")],
        ..ROW
    },
    Row {
        name: "shrink_an_array",
        used: &["SHRUNK", "NEXT"],
        title: "shrink an array",
        old: "static mut SHRUNK: [i32; 3] = [0; 3]; static mut NEXT: i32 = 0;",
        new: "static mut SHRUNK: [i32; 2] = [0; 2]; static mut NEXT: i32 = 0;",
        set: "SHRUNK = [5, 6, 7]; NEXT = 8; keep!(SHRUNK); keep!(NEXT);",
        get: "SHRUNK[0] * 100 + SHRUNK[1] * 10 + NEXT",
        meanings: &[(568, "kept, the end cut")],
        ..ROW
    },
    Row {
        name: "add_a_field",
        used: &["MIDDLE"],
        title: "add a field in the middle of a struct",
        old: "#[repr(C)] struct Middle { a: i32, c: i32 }
              #[unsafe(link_section = \".state\")] static mut MIDDLE: [Middle; 2] = [const { Middle { a: 1, c: 3 } }; 2];",
        new: "#[repr(C)] struct Middle { a: i32, b: i32, c: i32 }
              #[unsafe(link_section = \".state\")] static mut MIDDLE: [Middle; 2] = [const { Middle { a: 1, b: 2, c: 3 } }; 2];",
        set: "MIDDLE = [Middle { a: 4, c: 5 }, Middle { a: 6, c: 7 }]; keep!(MIDDLE);",
        get: "MIDDLE[0].a * 100000 + MIDDLE[0].b * 10000 + MIDDLE[0].c * 1000 + MIDDLE[1].a * 100 + MIDDLE[1].b * 10 + MIDDLE[1].c",
        meanings: &[(425_627, KEPT), (456_723, BYTES)],
        ..ROW
    },
    Row {
        name: "change_a_nested_struct",
        used: &["OUTER"],
        title: "add a field to a struct in a struct",
        old: "#[repr(C)] struct Inner { x: i16 } #[repr(C)] struct Outer { within: Inner, n: i32 }
              #[unsafe(link_section = \".state\")] static mut OUTER: Outer = Outer { within: Inner { x: 1 }, n: 2 };",
        new: "#[repr(C)] struct Inner { y: i32, x: i16 } #[repr(C)] struct Outer { within: Inner, n: i32 }
              #[unsafe(link_section = \".state\")] static mut OUTER: Outer = Outer { within: Inner { y: 3, x: 1 }, n: 2 };",
        set: "OUTER = Outer { within: Inner { x: 4 }, n: 5 }; keep!(OUTER);",
        get: "OUTER.within.y * 100 + OUTER.within.x as i32 * 10 + OUTER.n",
        meanings: &[(345, KEPT), (452, BYTES)],
        ..ROW
    },
    Row {
        name: "nest",
        used: &["NESTED"],
        title: "move fields into a struct in the struct",
        old: "#[repr(C)] struct Nested { n: i32, x: i32, y: i32 }
              #[unsafe(link_section = \".state\")] static mut NESTED: Nested = Nested { n: 1, x: 2, y: 3 };",
        new: "#[repr(C)] struct At { x: i32, y: i32 } #[repr(C)] struct Nested { n: i32, at: At }
              #[unsafe(link_section = \".state\")] static mut NESTED: Nested = Nested { n: 1, at: At { x: 2, y: 3 } };",
        set: "NESTED = Nested { n: 4, x: 5, y: 6 }; keep!(NESTED);",
        get: "NESTED.n * 100 + NESTED.at.x * 10 + NESTED.at.y",
        meanings: &[(423, "initial, the others kept"), (456, BYTES)],
        ..ROW
    },
    Row {
        name: "remove_a_field",
        used: &["LESS"],
        title: "remove a field",
        old: "#[repr(C)] struct Less { a: i32, b: i32, c: i32 } static mut LESS: Less = Less { a: 0, b: 0, c: 0 };",
        new: "#[repr(C)] struct Less { a: i32, c: i32 } static mut LESS: Less = Less { a: 0, c: 0 };",
        set: "LESS = Less { a: 4, b: 5, c: 6 }; keep!(LESS);",
        get: "LESS.a * 10 + LESS.c",
        meanings: &[(46, "dropped, the others kept"), (45, BYTES)],
        ..ROW
    },
    Row {
        name: "change_an_enum",
        used: &["COLOR"],
        title: "add an enumerator in front",
        old: "#[derive(Clone, Copy)] enum Color { Red, Blue } static mut COLOR: Color = Color::Red;",
        new: "#[derive(Clone, Copy)] enum Color { Green, Red, Blue } static mut COLOR: Color = Color::Green;",
        set: "COLOR = Color::Blue; keep!(COLOR);",
        get: "match read!(COLOR) { Color::Green => 0, Color::Red => 1, Color::Blue => 2 }",
        meanings: &[(2, KEPT), (1, BYTES)],
        ..ROW
    },
    Row {
        name: "static_in_a_function",
        used: &[],
        title: "static in a function",
        old: "#[inline(never)] unsafe fn in_function(step: i32) -> i32 { unsafe { static mut COUNT: i32 = 0; COUNT += step; keep!(COUNT); COUNT } }",
        new: "static mut IN_FRONT: i32 = 0; #[inline(never)] unsafe fn in_function(step: i32) -> i32 { unsafe { static mut COUNT: i32 = 0; COUNT += step; keep!(COUNT); keep!(IN_FRONT); COUNT } }",
        set: "in_function(14);",
        get: "in_function(0)",
        meanings: &[(14, KEPT)],
        ..ROW
    },
    Row {
        name: "thread_local",
        used: &[],
        title: "thread-local variable",
        old: "thread_local! { static OF_THREAD: core::cell::Cell<i32> = const { core::cell::Cell::new(2) }; }",
        new: "thread_local! { static OF_THREAD: core::cell::Cell<i32> = const { core::cell::Cell::new(2) }; }",
        set: "OF_THREAD.with(|it| it.set(15)); OF_THREAD.with(|it| core::hint::black_box(it.get()));",
        get: "OF_THREAD.with(|it| core::hint::black_box(it).get())",
        meanings: &[(2, "initial, and said so")],
        said: Some(("OF_THREAD", "INITIALISED")),
    },
];
