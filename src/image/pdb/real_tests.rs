//! Real PDB files, made here by clang and lld-link, and what is read of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may

use super::super::debug::{Found, Hints, Known, Unknown, Wanted, variable_types};
use super::super::dwarf::tests::{C, describe};
use super::super::{Format, Kind, Source, Symbol, Target, symbols};
use goblin::pe::header::{COFF_MACHINE_ARM64, COFF_MACHINE_X86, COFF_MACHINE_X86_64};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) const X64: Target =
    Target { format: Format::Pe, machine: 0, pe_machine: COFF_MACHINE_X86_64, mach_cpu: 0, wide: true, little: true };
pub(crate) const X86: Target = Target { pe_machine: COFF_MACHINE_X86, wide: false, ..X64 };
const ARM64: Target = Target { pe_machine: COFF_MACHINE_ARM64, ..X64 };

/// A DLL and its PDB in a directory of their own.
pub(crate) struct Guest {
    directory: TempDir,
    pub(crate) bytes: Vec<u8>,
    target: Target,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

impl Guest {
    /// Compiles these files by the rules of Microsoft's ABI.
    pub(crate) fn build(target: Target, files: &[(&str, &str)], flags: &[&str]) -> Guest {
        let directory = TempDir::new().unwrap();
        let place = directory.path();
        let triple = match target.pe_machine {
            COFF_MACHINE_X86_64 => "x86_64-pc-windows-msvc",
            COFF_MACHINE_ARM64 => "aarch64-pc-windows-msvc",
            _ => "i686-pc-windows-msvc",
        };
        let mut link = Command::new("lld-link");
        link.args(["/dll", "/debug", "/noentry", "/nodefaultlib", "/out:guest.dll", "/safeseh:no"]).current_dir(place);
        for (name, text) in files {
            fs::write(place.join(name), text).unwrap();
            let mut clang = Command::new("clang");
            clang.args([&format!("--target={triple}"), "-c", "-gcodeview", "-g", "-fno-exceptions", "-fno-rtti"]);
            clang.args(["-fno-threadsafe-statics", "-mno-stack-arg-probe"]);
            if name.ends_with(".cpp") {
                clang.arg("-std=c++17");
            }
            run(clang.args(flags).arg(name).arg("-o").arg(format!("{name}.obj")).current_dir(place));
            link.arg(format!("{name}.obj"));
        }
        run(&mut link);
        Guest { bytes: fs::read(place.join("guest.dll")).unwrap(), directory, target }
    }

    /// Compiles it with MinGW's gcc, which has a symbol table and DWARF in the image instead.
    pub(crate) fn build_mingw(target: Target, text: &str, flags: &[&str]) -> Guest {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("guest.c"), text).unwrap();
        let processor = if target.wide { "x86_64" } else { "i686" };
        let mut gcc = Command::new(format!("{processor}-w64-mingw32-gcc-posix"));
        gcc.args(["-g", "-shared", "guest.c", "-o", "guest.dll"]).args(flags);
        run(gcc.current_dir(directory.path()));
        Guest { bytes: fs::read(directory.path().join("guest.dll")).unwrap(), directory, target }
    }

    fn of(name: &str, text: &str, flags: &[&str]) -> Guest {
        Guest::build(X64, &[(name, text)], flags)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("guest.dll")
    }

    pub(crate) fn pdb(&self) -> PathBuf {
        self.directory.path().join("guest.pdb")
    }

    pub(crate) fn symbols(&self) -> Vec<Symbol<'_>> {
        let mut all = Vec::new();
        let path = self.path();
        let source = Source::original(&self.bytes, &path);
        let told = symbols(source, self.target, &mut |_| true, &mut |symbol| {
            let file = symbol.file.map(|file| file.into_owned().into());
            all.push(Symbol { place: symbol.place, name: symbol.name.into_owned().into(), file });
        });
        assert!(told.unwrap(), "it has a PDB");
        all
    }

    /// The types of these variables.
    fn types(&self, names: &[&str]) -> Result<Found, Unknown> {
        let all = self.symbols();
        let find = |name: &&str| {
            let known = || all.iter().map(|symbol| &*symbol.name).collect::<Vec<_>>().join("\n");
            Wanted::new(
                all.iter().find(|symbol| symbol.name == **name).unwrap_or_else(|| panic!("{name}: {}", known())),
            )
        };
        let wanted: Vec<Wanted<'_>> = names.iter().map(find).collect();
        variable_types(Source::original(&self.bytes, &self.path()), &wanted, &Hints::default())
    }

    fn expect(&self, expected: &[(&str, &str)], what: &str) {
        let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        let found = self.types(&names).unwrap_or_else(|error| panic!("{what}: {error}"));
        let text = |id: &Option<_>| id.map_or("none".into(), |id| describe(&found.types, id));
        let got: Vec<String> = found.of.iter().map(text).collect();
        let got: Vec<_> = names.iter().copied().zip(got.iter().map(String::as_str)).collect();
        assert_eq!(got, expected, "{what}");
    }
}

/// What such a guest needs without a C runtime, and how it marks its state.
pub(crate) const STATE: &str = "#define S __attribute__((section(\".state\"), used))
#ifdef __cplusplus
extern \"C\" { extern int _fltused, _tls_index; }
#endif
int _fltused; int _tls_index;
";

const C_TYPES: &[(&str, &str)] = &[
    (
        "all",
        "{c@0:i8 uc@1:u8 s@2:i16 ul@8:u64 flag@16:bool f@20:f4 d@24:f8 color@32:(RED=0 GREEN=5 BLUE=6)i4 \
         below@36:(MINUS=-2 PLUS=300)i4 pairs@40:{a@0:i16 b@2:i8}[3][2] number@64:<i@0:i32 f@0:f4 d@0:f8> \
         list@72:* call@80:* three@704+3:u32 twelve@707+12:u32 five@719+5:i32 x@92:i32 y@96:i32 name@100:i8[16] \
         @116:<as_int@0:i32 as_float@0:f4>}",
    ),
    ("counter", "i32"),
    ("nodes", "{next@0:* value@8:i32}[4]"),
    ("later", "{value@0:i64}"),
    ("several", "i32[7]"),
    ("anything", "*"),
    ("text", "*"),
    ("wide", "u16"),
    ("cr_main::calls", "i64"),
];

/// A PDB to be damaged.
pub(crate) fn sample(language: &str) -> Vec<u8> {
    let text = if language == "c" { C.to_owned() } else { CPP.to_owned() };
    let guest = Guest::of(&format!("guest.{language}"), &format!("{STATE}{text}"), &["-O0"]);
    fs::read(guest.pdb()).unwrap()
}

#[test]
fn c_variables_have_their_types() {
    let source = format!("{STATE}{C}");
    for level in ["-O0", "-O2"] {
        Guest::of("guest.c", &source, &[level]).expect(C_TYPES, level);
    }
    // They have the same on 64-bit ARM.
    Guest::build(ARM64, &[("guest.c", &source)], &[]).expect(C_TYPES, "aarch64");
}

#[test]
fn on_32_bits_pointers_are_narrow() {
    let source =
        format!("{STATE} struct node {{ struct node *next; long value; }} S node; int cr_main(void) {{ return 0; }}")
            .replace("} S node", "} node S");
    let guest = Guest::build(X86, &[("guest.c", &source)], &[]);
    guest.expect(&[("node", "{next@0:* value@4:i32}")], "i686");
}

const CPP: &str = "
    namespace game {
        struct Base { int q; };
        struct Owner { int *p; Owner(); Owner(const Owner &); ~Owner(); };
        struct Plain { int a = 3; double b; Plain(int x) : a(x) {} Plain() = default; };
        enum class Mode : signed char { Off = -1, On };
        struct Virtual : Base { virtual int f() { return q; } int *p; Mode mode; Virtual *next; };
        struct Derived : Base, Plain { struct Inner { short s; } inner; };
        int S health = 1;
        static int S own = 2;
        int Plain::*S member; int (Virtual::*S method)();
        Derived S derived;
    }
    namespace { struct V { int x; unsigned b : 3, c : 5; double d[2][3]; }; V hid S = {1}; }
    template <class T> struct Tem { static T st; };
    template <class T> T Tem<T>::st S = 5;
    game::Virtual virt S;
    decltype(nullptr) null S; bool yes S = true; wchar_t wc S = L'x'; int &ref S = game::health;
    static int over(int a) { static int S k = 1; return k += a; }
    static int over(double a) { static int S k = 1; return k += (int)a; }
    inline int inl() { static int S k = 3; return k++; }
    extern \"C\" int cr_main(void *, int op) {
        return over(op) + over(1.0) + inl() + hid.x + Tem<int>::st + game::own + virt.f() + game::derived.b + ref;
    }
";

#[test]
fn cpp_variables_have_their_types() {
    let source = format!("{STATE}{CPP}");
    let guest = Guest::of("guest.cpp", &source, &["-O0"]);
    guest.expect(
        &[
            ("game::health", "i32"),
            ("game::own", "i32"),
            ("(anonymous namespace)::hid", "{x@0:i32 b@32+3:u32 c@35+5:u32 d@8:f8[3][2]}"),
            ("Tem<int>::st", "i32"),
            ("virt", "{:game::Base@8:{q@0:i32} _vptr@0:* p@16:* mode@24:(Off=-1 On=0)i1 next@32:*}!"),
            ("game::derived", "{:game::Base@0:{q@0:i32} :game::Plain@8:{a@0:i32 b@8:f8} inner@24:{s@0:i16}}"),
            ("game::member", "?4"),
            ("game::method", "?16"),
            ("null", "*"),
            ("yes", "bool"),
            ("wc", "u16"),
            ("ref", "*"),
            ("over::k", "i32"),
            ("over::k.1", "i32"),
            ("inl::k", "i32"),
        ],
        "C++",
    );
}

#[test]
fn classes_that_are_more_than_their_bytes_are_known() {
    let source = "
        #define S __attribute__((section(\".state\"), used))
        struct Destroyed { int a; ~Destroyed(); };
        struct Copied { int a; Copied(); Copied(const Copied &); };
        struct Made { int a; Made(int); Made(); };
        struct Holds { Copied inner; };
        template <class T> struct Box { T t; Box(); Box(Box &&); };
        extern Destroyed destroyed; extern Copied copied; extern Made made; extern Holds holds; extern Box<int> box;
        alignas(8) char room[64] S;
        union Room { Destroyed destroyed; Room() {} ~Room() {} };
        extern \"C\" int atexit(void (*)()) { return 0; }
        Destroyed::~Destroyed() {} Copied::Copied() {} Made::Made() {}
        template <class T> Box<T>::Box() {} Destroyed destroyed S; Copied copied S; Made made S; Holds holds S;
        Box<int> box S;
        extern \"C\" int cr_main() { return room[0] + made.a; }
    ";
    Guest::of("guest.cpp", source, &["-O0"]).expect(
        &[
            ("destroyed", "{a@0:i32}!"),
            ("copied", "{a@0:i32}!"),
            ("made", "{a@0:i32}"),
            ("holds", "{inner@0:{a@0:i32}!}!"),
            ("box", "{t@0:i32}!"),
            ("room", "i8[64]"),
        ],
        "special members",
    );
}

#[test]
fn symbols_have_kinds_sizes_files_and_linkage() {
    let one = format!(
        "{STATE} static int hidden S = 1; int shared S = 2; static _Thread_local int own = 3;
        static int helper(int x) {{ return x + 1; }}
        int cr_main(void *ctx, int op) {{ static int n S = 1; return own++ + hidden++ + helper(op) + n++; }}"
    );
    let two = "static int hidden __attribute__((section(\".state\"), used)) = 1; int other(void) { return hidden++; }";
    let guest = Guest::build(X64, &[("one.c", &one), ("two.c", two)], &["-O0"]);
    let all: BTreeMap<_, _> = guest
        .symbols()
        .into_iter()
        .map(|symbol| {
            let file = symbol.file.unwrap_or_default().into_owned();
            let place = symbol.place;
            ((symbol.name.into_owned(), file), (place.kind, place.local, place.size))
        })
        .collect();
    let of = |name: &str, file: &str| all.get(&(name.to_owned(), file.to_owned())).copied();
    assert_eq!(of("hidden", "one.c"), Some((Kind::Object, true, 4)), "{all:?}");
    assert_eq!(of("hidden", "two.c"), Some((Kind::Object, true, 4)));
    assert_eq!(of("shared", ""), Some((Kind::Object, false, 4)));
    assert_eq!(of("cr_main::n", "one.c"), Some((Kind::Object, true, 4)));
    assert_eq!(of("own", "one.c"), Some((Kind::ThreadLocal, true, 4)));
    assert_eq!(of("helper", "one.c").map(|(kind, local, _)| (kind, local)), Some((Kind::Function, true)));
    assert_eq!(of("cr_main", "").map(|(kind, local, _)| (kind, local)), Some((Kind::Function, false)));
}

#[test]
fn addresses_are_those_that_another_reader_finds() {
    let guest = Guest::of("guest.c", &format!("{STATE}{C}"), &["-O0"]);
    let output = Command::new("llvm-pdbutil").args(["dump", "-globals"]).arg(guest.pdb()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let path = guest.path();
    let sections = super::super::regions(Source::original(&guest.bytes, &path), X64).unwrap();
    let all = guest.symbols();
    let mut compared = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, name)) = line.split_once("S_GDATA32").and_then(|(_, rest)| rest.split_once('`')) else { continue };
        let name = name.trim_end_matches('`');
        let place = lines.peek().unwrap().rsplit("addr = ").next().unwrap();
        let (section, offset) = place.split_once(':').unwrap();
        let section: usize = section.parse().unwrap();
        let address = sections[section - 1].address + offset.trim().parse::<u64>().unwrap();
        let ours = all.iter().find(|symbol| symbol.name == name).unwrap();
        assert_eq!(ours.place.address, address, "{name}");
        compared += 1;
    }
    assert!(compared > 5, "{text}");
}

#[test]
fn scopes_tell_statics_of_one_name_apart() {
    let source = format!(
        "{STATE} int over(int a) {{ static int k S = 1; return k += a; }}
        int over(double a) {{ static int k S = 2; return k += (int)a; }}
        extern \"C\" int cr_main(void *, int op) {{ return over(op) + over(1.0); }}"
    );
    let turned = source.replace("over(int a)", "over(X a)").replace("over(double a)", "over(int a)");
    let turned = turned.replace("over(X a)", "over(double a)").replace("k += a", "k += (int)a");
    let scopes = |text: &str| {
        let guest = Guest::of("guest.cpp", text, &["-O0"]);
        let all = guest.symbols();
        let find = |name: &str| Wanted::new(all.iter().find(|symbol| symbol.name == name).unwrap());
        let wanted = [find("over::k"), find("over::k.1")];
        let (path, bytes) = (guest.path(), &guest.bytes);
        let known = Known::read(Source::original(bytes, &path), &wanted, None);
        let scopes = known.scopes(Source::original(bytes, &path), &[(0, wanted[0]), (1, wanted[1])]);
        [scopes[&0], scopes[&1]]
    };
    let (before, after) = (scopes(&source), scopes(&turned));
    assert_ne!(before[0].function, before[1].function);
    assert_eq!((before[0].function, before[1].function), (after[1].function, after[0].function));
    assert_eq!(before[0].unit, after[0].unit);
}

#[test]
fn only_the_pdb_of_the_very_image_is_taken() {
    let guest = Guest::of("guest.c", &format!("{STATE}{C}"), &["-O0"]);
    let other = Guest::of("guest.c", &format!("{STATE}{C} int one_more S;"), &["-O0"]);
    let path = guest.path();
    let source = Source::original(&guest.bytes, &path);
    let told = |source: Source<'_>| symbols(source, X64, &mut |_| true, &mut |_| {});
    // The next build has overwritten it; the copy has been put aside.
    let copy = guest.directory.path().join("guest1.pdb");
    fs::rename(guest.pdb(), &copy).unwrap();
    assert!(!told(source).unwrap(), "it is not there");
    fs::copy(other.pdb(), guest.pdb()).unwrap();
    let error = told(source).unwrap_err().to_string();
    assert!(error.contains("the PDB of another build"), "{error}");
    let one = Wanted { address: 0, size: 4, symbol: "all" };
    let known = Known::read(source, &[one], None);
    assert!(known.damage.unwrap().contains("the PDB of another build"));
    assert!(told(Source { pdb: Some(&copy), ..source }).unwrap());
    // Beside the image, if the path that the linker has written does not lead there.
    let elsewhere = TempDir::new().unwrap();
    let moved = elsewhere.path().join("guest.dll");
    fs::copy(&copy, elsewhere.path().join("guest.pdb")).unwrap();
    assert!(told(Source::original(&guest.bytes, &moved)).unwrap());
    assert!(!told(Source::original(&guest.bytes, Path::new("/nowhere/guest.dll"))).is_ok_and(|told| told));
}

#[test]
fn a_pdb_of_mingw_is_read_too() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    fs::write(place.join("guest.c"), format!("{STATE}{C}")).unwrap();
    let mut clang = Command::new("clang");
    clang.args(["--target=x86_64-w64-mingw32", "-g", "-gcodeview", "-shared", "-nostdlib", "-fuse-ld=lld", "-O0"]);
    clang.args(["-Wl,--pdb=guest.pdb", "-Wl,--entry=cr_main", "-o", "guest.dll", "guest.c"]).current_dir(place);
    run(&mut clang);
    let guest = Guest { bytes: fs::read(place.join("guest.dll")).unwrap(), directory, target: X64 };
    // There `struct` fields of bits are laid out as gcc does.
    guest.expect(&[("nodes", "{next@0:* value@8:i32}[4]"), ("wide", "u16")], "MinGW");
}

#[test]
fn sizes_that_are_absurd_together_are_an_error() {
    let guest = Guest::of("guest.c", &format!("{STATE}{C}"), &["-O0"]);
    let whole = fs::read(guest.pdb()).unwrap();
    assert!(super::fuzz::all(&whole) > 0);
    // The header of the list of modules: -1, and its version.
    let header = whole.windows(8).position(|bytes| bytes == [0xff, 0xff, 0xff, 0xff, 0x77, 0x09, 0x31, 0x01]).unwrap();
    for size in [24, 28, 32, 36, 40, 48, 52] {
        let mut bytes = whole.clone();
        bytes[header + size..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(super::fuzz::all(&bytes), 0, "{size}");
    }
}
