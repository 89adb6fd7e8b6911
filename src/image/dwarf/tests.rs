//! Types of variables in real libraries, built here by the compilers, and what becomes of damaged ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail

use crate::image::debug::{Found, Hints, Unknown, Wanted, variable_types};
use crate::image::types::{Kind, Place, Role, TypeId, Types};
use crate::image::{Source, Target, symbols};
use crate::state::model::Random;
use goblin::elf::header::{EM_AARCH64, EM_X86_64};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What the tests of all kinds of debug information compile. `S` may say where variables are.
pub(in super::super) const C: &str = "
#ifndef S
#define S
#endif
    enum color { RED, GREEN = 5, BLUE };
    enum below { MINUS = -2, PLUS = 300 };
    struct pair { short a; char b; };
    typedef struct node { struct node *next; int value; } node;
    union number { int i; float f; double d; };
    struct all {
        signed char c; unsigned char uc; short s; unsigned long long ul; _Bool flag; float f; double d;
        enum color color; enum below below; struct pair pairs[2][3]; union number number; const node *volatile list;
        int (*call)(int); unsigned three : 3; unsigned twelve : 12; int five : 5; struct { int x, y; }; char name[16];
        union { int as_int; float as_float; };
    };
    struct all all S;
    static volatile int counter S;
    node nodes[4] S;
    struct later; extern struct later later;
    struct later { long long value; } later S;
    extern int several[]; int several[7] S;
    void *anything S; const char *text S = \"text\"; unsigned short wide S;
    int cr_main(void *ctx, int op) {
        static long long calls S;
        (void)ctx; calls += op; counter++; all.c++; nodes[op].value++; later.value++; wide++; several[op]++;
        return (int)calls;
    }
";

const C_TYPES: &[(&str, &str)] = &[
    (
        "all",
        "{c@0:i8 uc@1:u8 s@2:i16 ul@8:u64 flag@16:bool f@20:f4 d@24:f8 color@32:(RED=0 GREEN=5 BLUE=6)u4 \
         below@36:(MINUS=-2 PLUS=300)i4 pairs@40:{a@0:i16 b@2:i8}[3][2] number@64:<i@0:i32 f@0:f4 d@0:f8> \
         list@72:* call@80:* three@704+3:u32 twelve@707+12:u32 five@719+5:i32 @92:{x@0:i32 y@4:i32} name@100:i8[16] \
         @116:<as_int@0:i32 as_float@0:f4>}",
    ),
    ("counter", "i32"),
    ("nodes", "{next@0:* value@8:i32}[4]"),
    ("later", "{value@0:i64}"),
    ("several", "i32[7]"),
    ("anything", "*"),
    ("text", "*"),
    ("wide", "u16"),
    ("calls", "i64"),
];

/// The form of a type, in short.
pub(in crate::image) fn describe(types: &Types, id: TypeId) -> String {
    let ty = types.get(id).unwrap();
    let mut text = match &ty.kind {
        Kind::Integer { signed: true } => format!("i{}", ty.size * 8),
        Kind::Integer { signed: false } => format!("u{}", ty.size * 8),
        Kind::Bool => "bool".into(),
        Kind::Float => format!("f{}", ty.size),
        Kind::Enum { signed, names } => {
            let names: Vec<String> = names.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("({}){}{}", names.join(" "), if *signed { 'i' } else { 'u' }, ty.size)
        }
        Kind::Struct(members) | Kind::Union(members) => {
            let mut text = String::new();
            for member in members {
                let role = if member.role == Role::Base { ":" } else { "" };
                let place = match member.place {
                    Place::Bytes(start) => start.to_string(),
                    Place::Bits { start, count } => format!("{start}+{count}"),
                };
                let separator = if text.is_empty() { "" } else { " " };
                write!(text, "{separator}{role}{}@{place}:{}", member.name, describe(types, member.ty)).unwrap();
            }
            if matches!(ty.kind, Kind::Union(_)) { format!("<{text}>") } else { format!("{{{text}}}") }
        }
        Kind::Array { element, .. } => {
            let (mut inner, mut counts) = (*element, String::new());
            let mut outer = &ty.kind;
            while let Kind::Array { element, count } = outer {
                counts = format!("[{count}]{counts}");
                inner = *element;
                outer = &types.get(inner).unwrap().kind;
            }
            format!("{}{counts}", describe(types, inner))
        }
        Kind::Pointer => "*".into(),
        Kind::Opaque | Kind::MemberPointer { .. } => format!("?{}", ty.size),
    };
    if !ty.trivial {
        text.push('!');
    }
    text
}

/// A library that was built in a directory of its own.
struct Library {
    directory: TempDir,
    path: PathBuf,
}

impl Library {
    /// Compiles a source with a command line, in which `sources` stands for it and `library` for what comes of it.
    fn build(source: &str, extension: &str, compiler: &str, flags: &[&str]) -> Library {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("guest").with_extension(extension);
        fs::write(&file, source).unwrap();
        let path = directory.path().join("guest.so");
        let mut command = Command::new(compiler);
        if extension == "rs" {
            command.args(["--crate-type", "cdylib", "--edition", "2024"]);
        } else {
            command.args(["-shared", "-fPIC", "-g"]);
        }
        run(command.current_dir(directory.path()).args(flags).arg("-o").arg(&path).arg(&file));
        Library { directory, path }
    }

    fn tool(&self, words: &[&str]) {
        run(Command::new(words[0]).args(&words[1..]).current_dir(self.directory.path()));
    }

    /// The symbols of variables whose names contain one of these, each with its type.
    fn types(&self, names: &[&str]) -> Result<Vec<String>, Unknown> {
        let bytes = fs::read(&self.path).unwrap();
        types_of(&bytes, &self.path, names).map(|found| {
            let text = |id: &Option<TypeId>| id.map_or("none".into(), |id| describe(&found.types, id));
            found.of.iter().map(text).collect()
        })
    }

    fn expect(&self, expected: &[(&str, &str)], what: &str) {
        let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        let got = self.types(&names).unwrap_or_else(|error| panic!("{what}: {error}"));
        let got: Vec<_> = names.iter().copied().zip(got.iter().map(String::as_str)).collect();
        assert_eq!(got, expected, "{what}");
    }
}

/// The machine that the compilers here work on and for; these tests may be built for another one.
fn host() -> Target {
    let machine = if env!("CR_HOST").starts_with("aarch64") { EM_AARCH64 } else { EM_X86_64 };
    Target { machine, wide: true, ..Target::native() }
}

pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn types_of(bytes: &[u8], path: &Path, names: &[&str]) -> Result<Found, Unknown> {
    types_after(bytes, path, names, &Hints::default())
}

fn types_after(bytes: &[u8], path: &Path, names: &[&str], before: &Hints) -> Result<Found, Unknown> {
    let source = Source::original(bytes, path);
    let mut all = Vec::new();
    symbols(source, host(), &mut |_| true, &mut |symbol| all.push(symbol)).unwrap();
    let wanted = names.iter().map(|name| {
        // `.0` and the like are the compiler's, and what is mangled has the length of the name before it.
        let mangled = format!("{}{name}", name.len());
        let is_it = |symbol: &str| {
            symbol.split('.').any(|part| part == *name) || symbol.contains(&mangled) && !symbol.contains("_ZGV")
        };
        let symbol = all.iter().find(|symbol| is_it(&symbol.name)).unwrap_or_else(|| panic!("no symbol for {name}"));
        Wanted::new(symbol)
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    variable_types(source, &wanted, before)
}

#[test]
fn c_of_gcc_and_clang_in_both_versions_of_dwarf() {
    for compiler in ["gcc", "clang"] {
        for version in ["-gdwarf-4", "-gdwarf-5"] {
            for level in ["-O0", "-O2"] {
                let library = Library::build(C, "c", compiler, &[version, level]);
                library.expect(C_TYPES, &format!("{compiler} {version} {level}"));
            }
        }
    }
}

#[test]
fn c_of_every_linker() {
    for linker in ["bfd", "gold", "lld", "mold"] {
        for compiler in ["gcc", "clang"] {
            let library = Library::build(C, "c", compiler, &["-gdwarf-4", &format!("-fuse-ld={linker}")]);
            library.expect(C_TYPES, &format!("{compiler} {linker}"));
        }
    }
}

#[test]
fn c_in_the_other_forms_of_debug_information() {
    let forms: &[(&str, &[&str])] = &[
        ("gcc", &["-gz=zlib"]),
        ("clang", &["-gz=zlib"]),
        ("gcc", &["-gz=zlib-gnu"]),
        ("gcc", &["-fdebug-types-section"]),
        ("clang", &["-fdebug-types-section"]),
        ("gcc", &["-fdebug-types-section", "-gdwarf-4"]),
        ("gcc", &["-gdwarf-3", "-gstrict-dwarf"]),
        ("gcc", &["-flto", "-O2"]),
        ("clang", &["-flto", "-O2", "-fuse-ld=lld"]),
    ];
    for (compiler, flags) in forms {
        Library::build(C, "c", compiler, flags).expect(C_TYPES, &format!("{compiler} {flags:?}"));
    }
}

#[test]
fn c_with_split_units_and_their_package() {
    for compiler in ["gcc", "clang"] {
        for version in ["-gdwarf-4", "-gdwarf-5"] {
            let what = format!("{compiler} {version}");
            // The library is made in two steps: the compilers name the file after what is written.
            let library = Library::build(C, "c", compiler, &[]);
            library.tool(&[compiler, "-g", version, "-gsplit-dwarf", "-fPIC", "-c", "guest.c"]);
            library.tool(&[compiler, "-shared", "-o", "guest.so", "guest.o"]);
            assert!(library.directory.path().join("guest.dwo").exists());
            library.expect(C_TYPES, &what);
            let packager = if version == "-gdwarf-5" { "llvm-dwp" } else { "dwp" };
            library.tool(&[packager, "guest.dwo", "-o", "guest.so.dwp"]);
            fs::remove_file(library.directory.path().join("guest.dwo")).unwrap();
            library.expect(C_TYPES, &format!("{what}, package"));
            fs::remove_file(library.directory.path().join("guest.so.dwp")).unwrap();
            // The next build's has other numbers under the same name.
            fs::write(library.directory.path().join("guest.c"), format!("static int first; int *at = &first; {C}"))
                .unwrap();
            library.tool(&[compiler, "-g", version, "-gsplit-dwarf", "-fPIC", "-c", "guest.c", "-o", "guest.o"]);
            assert!(library.types(&["counter"]).unwrap().iter().all(|text| text == "none"), "{what}, another");
            fs::remove_file(library.directory.path().join("guest.dwo")).unwrap();
            assert!(library.types(&["counter"]).unwrap().iter().all(|text| text == "none"), "{what}, none");
        }
    }
}

#[test]
fn variables_that_an_optimiser_keeps_in_another_form() {
    let text = "static int flag, whole; static struct { int a, b, c; } parts;
        int cr_main(int *at, int op) { if (op) { flag = 9; parts.b = op; } else { at[0] = flag; at[1] = parts.b; }
        parts.c += op; return parts.c + whole++; }";
    for flags in [&["-gdwarf-4"][..], &["-gdwarf-5"], &["-gdwarf-4", "-gsplit-dwarf"], &["-gdwarf-5", "-gsplit-dwarf"]]
    {
        let library = Library::build(text, "c", "clang", &[]);
        library.tool(&[&["clang", "-O2", "-fPIC", "-c", "guest.c"], flags].concat());
        library.tool(&["clang", "-shared", "-o", "guest.so", "guest.o"]);
        let path = library.directory.path().join("guest.so");
        let found = types_of(&fs::read(&path).unwrap(), &path, &["flag", "1", "whole"]).unwrap();
        let described: Vec<bool> = found.of.iter().map(Option::is_some).collect();
        assert_eq!(described, [false, false, true], "{flags:?}");
        assert_eq!(found.other_forms.len(), 2, "{flags:?}");
    }
}

#[test]
fn c_with_debug_information_in_a_file_of_its_own() {
    let library = Library::build(C, "c", "gcc", &["-Wl,--build-id=none"]);
    library.tool(&["objcopy", "--only-keep-debug", "guest.so", "guest.debug"]);
    library.tool(&["objcopy", "--strip-debug", "--add-gnu-debuglink=guest.debug", "guest.so"]);
    library.expect(C_TYPES, "link");
    // Another file of that name is not taken.
    let other = library.directory.path().join("guest.debug");
    let mut bytes = fs::read(&other).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&other, bytes).unwrap();
    assert!(matches!(library.types(&["counter"]), Err(Unknown::Absent)));
}

#[test]
fn c_without_debug_information() {
    let library = Library::build(C, "c", "gcc", &["-g0"]);
    assert!(matches!(library.types(&["counter"]), Err(Unknown::Absent)));
    // What dwz has moved to a common file is not followed.
    let library = Library::build(C, "c", "gcc", &["-gdwarf-4"]);
    library.tool(&["cp", "guest.so", "other.so"]);
    library.tool(&["dwz", "-m", "common", "guest.so", "other.so"]);
    library.types(&["counter", "all"]).unwrap();
}

const CPP: &str = "
    struct plain { int a; };
    struct owner { int a; ~owner(); };
    owner::~owner() {}
    struct base { short s; };
    struct derived : base { owner inner; char c; static int counted; };
    struct shape { virtual int area() { return side; } int side; };
    struct square : shape { int area() override { return side * side; } };
    struct copied { int a; copied(); copied(const copied &); };
    copied::copied() : a(1) {}
    struct again { int a; again() = default; again(const again &) = default; again(int b) : a(b) {} };
    struct left : virtual base { int l; };
    enum class level : unsigned char { low, high };
    template <typename T> struct box { T value; static T last; };
    template <typename T> T box<T>::last;
    int derived::counted;
    namespace space { plain in_space; }
    namespace { derived hidden; }
    plain first; square second; level third; left fourth; box<plain> fifth; int derived::*sixth; plain &seventh = first; copied eighth; again ninth;
    template struct box<long>;
    extern \"C\" int cr_main(void *, int op) {
        static plain local;
        hidden.c++; space::in_space.a++; local.a += op; box<long>::last += op; derived::counted++; fourth.l++;
        return local.a + second.area();
    }
";

const CPP_TYPES: &[(&str, &str)] = &[
    ("first", "{a@0:i32}"),
    ("second", "{:shape@0:{_vptr@0:* side@8:i32}!}!"),
    ("third", "(low=0 high=1)u1"),
    ("fourth", "?16!"),
    ("fifth", "{value@0:{a@0:i32}}"),
    ("sixth", "?16"),
    ("eighth", "{a@0:i32}!"),
    ("ninth", "{a@0:i32}"),
    ("in_space", "{a@0:i32}"),
    ("hidden", "{:base@0:{s@0:i16} inner@4:{a@0:i32}! c@8:i8}!"),
    ("counted", "i32"),
    ("local", "{a@0:i32}"),
    ("last", "i64"),
];

#[test]
fn cpp_of_gcc_and_clang() {
    for compiler in ["g++", "clang++"] {
        for version in ["-gdwarf-4", "-gdwarf-5"] {
            for level in ["-O0", "-O2"] {
                let library = Library::build(CPP, "cpp", compiler, &[version, level]);
                library.expect(CPP_TYPES, &format!("{compiler} {version} {level}"));
            }
        }
    }
}

#[test]
fn cpp_classes_that_are_defined_in_another_unit() {
    // clang describes a class where its constructor is.
    let one = "struct apart { apart(); int value; }; extern apart object; apart object; int cr_main() { return 0; }";
    let library = Library::build(one, "cpp", "clang++", &[]);
    let other = "struct apart { apart(); int value; }; apart::apart() : value(1) {}";
    fs::write(library.directory.path().join("other.cpp"), other).unwrap();
    library.tool(&["clang++", "-g", "-shared", "-fPIC", "-o", "guest.so", "guest.cpp", "other.cpp"]);
    library.expect(&[("object", "{value@0:i32}")], "clang++");
}

const RUST: &str = "
    #![allow(static_mut_refs, dead_code)]
    pub struct Point { x: i32, y: u8 }
    pub enum Plain { One, Two = 7 }
    pub enum Data { Nothing, Number(u32), Pair { a: u16, b: u16 } }
    pub struct Guard(u32);
    impl Drop for Guard { fn drop(&mut self) { unsafe { POINTS[0].x += 1 } } }
    static mut POINTS: [Point; 3] = [const { Point { x: 0, y: 0 } }; 3];
    static mut PLAIN: Plain = Plain::One;
    static mut DATA: Data = Data::Nothing;
    static mut TUPLE: (u8, bool, f32) = (0, false, 0.0);
    static mut TEXT: Option<String> = None;
    static mut OWNED: Option<Box<i32>> = None;
    static mut GUARDED: Option<Guard> = None;
    mod inner { pub static mut COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0); }
    #[unsafe(no_mangle)]
    pub extern \"C\" fn cr_main(_: *mut u8, op: i32) -> i32 {
        static mut CALLS: u64 = 0;
        unsafe {
            CALLS += 1;
            POINTS[op as usize].x += op;
            if let Plain::One = (&raw const PLAIN).read_volatile() { (&raw mut PLAIN).write_volatile(Plain::Two) }
            DATA = Data::Number(CALLS as u32);
            TUPLE.0 += 1;
            TEXT = Some(format!(\"{op}\"));
            OWNED = Some(Box::new(op));
            GUARDED = Some(Guard(1));
            inner::COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            use std::hint::black_box as keep;
            (keep(&raw mut DATA), keep(&raw mut TUPLE), keep(&raw mut TEXT), keep(&raw mut OWNED));
            (keep(&raw mut GUARDED), keep(&raw mut inner::COUNT), keep(&raw mut POINTS));
            CALLS as i32 + TEXT.as_ref().map_or(0, |text| text.len() as i32)
        }
    }
";

#[test]
fn rust_of_both_manglings() {
    for flags in [&["-g"][..], &["-g", "-O"], &["-g", "-C", "symbol-mangling-version=v0"]] {
        let library = Library::build(RUST, "rs", "rustc", flags);
        let expected = [("POINTS", "{x@0:i32 y@4:u8}[3]"), ("PLAIN", "(One=0 Two=7)u1"), ("CALLS", "u64")];
        library.expect(&expected, &format!("{flags:?}"));
        let more = library.types(&["DATA", "TEXT", "OWNED", "GUARDED", "COUNT", "TUPLE"]).unwrap();
        assert!(more[0].starts_with('<') && more[0].contains("Number=1") && !more[0].contains('!'), "{}", more[0]);
        for owner in &more[1..4] {
            assert!(owner.ends_with('!'), "{flags:?} {owner}");
        }
        assert!(more[5].contains("f4") && more[5].contains("bool"), "{}", more[5]);
        assert!(more[4].contains("u32") && !more[4].contains('!'), "{}", more[4]);
    }
}

#[test]
fn what_is_known_of_the_image_before_changes_nothing_but_the_time() {
    let unit = |name: &str, more: &str| {
        format!(
            "struct {name} {{ {more} int value; }} {name}[2]; {more} int {name}_count; int {name}_get(void) {{ return {name}[0].value + {name}_count; }}"
        )
    };
    let names = ["first", "second", "third", "first_count", "second_count", "third_count"];
    let build = |texts: [String; 3], flags: &[&str]| {
        let library = Library::build("", "c", "cc", &[]);
        let files = ["one.c", "two.c", "three.c", "more.c"];
        // Without it there is so little to read that nothing is kept.
        let more = (0..64).map(|nth| format!("int more_{nth}(int a, int b) {{ return a + b + {nth}; }}\n")).collect();
        for (file, text) in files.iter().zip(texts.into_iter().chain([more])) {
            fs::write(library.directory.path().join(file), text).unwrap();
        }
        library.tool(&[&["gcc", "-shared", "-fPIC", "-g", "-o", "guest.so"], flags, &files].concat());
        library
    };
    let read = |library: &Library, before: &Hints| {
        let bytes = fs::read(&library.path).unwrap();
        let found = types_after(&bytes, &library.path, &names, before).unwrap();
        let text = |id: &Option<TypeId>| id.map_or("none".into(), |id| describe(&found.types, id));
        (found.of.iter().map(text).collect::<Vec<_>>(), found.hints)
    };
    let old = build([unit("first", ""), unit("second", ""), unit("third", "")], &[]);
    let (types, hints) = read(&old, &Hints::default());
    assert_eq!(types[1], "{value@0:i32}[2]");
    assert_eq!(hints.of.values().flatten().count(), names.len());
    for flags in [&[][..], &["-gdwarf-4"], &["-O2"]] {
        let new = build([unit("first", ""), unit("second", "short a;"), unit("third", "")], flags);
        let (alone, hints_alone) = read(&new, &Hints::default());
        let (helped, hints_helped) = read(&new, &hints);
        assert!(alone[1].starts_with("{a@0:i16 value@4:i32}") || alone[1] == "none", "{alone:?}");
        assert_eq!((&alone, &hints_alone.of, &hints_alone.lengths), (&helped, &hints_helped.of, &hints_helped.lengths));
        // Back again, and with what has nothing to do with it.
        assert_eq!(read(&old, &hints_helped).0, types);
    }
    let other = Library::build(C, "c", "gcc", &[]);
    let found = types_after(&fs::read(&other.path).unwrap(), &other.path, &["counter", "calls"], &hints).unwrap();
    assert_eq!(found.of.iter().flatten().count(), 2);
}

#[test]
fn damaged_debug_information_is_survived() {
    let names: Vec<&str> = C_TYPES.iter().map(|(name, _)| *name).collect();
    let mut known = 0;
    for flags in [&["-gdwarf-4"][..], &["-gdwarf-5", "-fdebug-types-section"], &["-gz=zlib"]] {
        for compiler in ["gcc", "clang"] {
            let library = Library::build(C, "c", compiler, flags);
            let good = fs::read(&library.path).unwrap();
            let sections = debug_sections(&good);
            let mut random = Random(7);
            for _ in 0..600 {
                let mut bytes = good.clone();
                for _ in 0..=random.below(6) {
                    let (start, end) = sections[random.below(sections.len())];
                    let at = start + random.below(end - start);
                    bytes[at] = match random.below(4) {
                        0 => 0xff,
                        1 => 0,
                        _ => random.next() as u8,
                    };
                }
                if let Ok(found) = types_of(&bytes, &library.path, &names) {
                    known += found.of.iter().flatten().count();
                }
            }
        }
    }
    // Most damage is somewhere else.
    assert!(known > 1000, "{known}");
}

/// Where debug information lies in a file.
fn debug_sections(bytes: &[u8]) -> Vec<(usize, usize)> {
    let elf = goblin::elf::Elf::parse(bytes).unwrap();
    let named = |name: usize| elf.shdr_strtab.get_at(name).is_some_and(|name| name.starts_with(".debug_"));
    let debug = elf.section_headers.iter().filter(|section| named(section.sh_name) && section.sh_size > 0);
    debug.map(|s| (s.sh_offset as usize, (s.sh_offset + s.sh_size) as usize)).collect()
}
