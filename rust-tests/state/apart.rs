//! Debug information in files beside the image, which the next build overwrites before anybody asks for it.

use crate::fixture::{Guest, Run, Toolchain, c};
use crate::target;
use cr::abi::cr_mode;
use std::path::Path;
use std::process::Command;

/// How the guest is built in its own directory, each version over the one before: commands, in which a `{name}` is that
/// of a file, and the image is `out.so`.
struct Build {
    compiler: &'static str,
    flags: &'static [&'static str],
    then: &'static [&'static [&'static str]],
}

const SPLIT: &[&[&str]] = &[];
const PACKED_4: &[&[&str]] = &[&["dwp", "guest.dwo", "-o", "libguest.so.dwp"], &["rm", "guest.dwo"]];
const PACKED_5: &[&[&str]] = &[&["llvm-dwp", "guest.dwo", "-o", "libguest.so.dwp"], &["rm", "guest.dwo"]];
const PUT_ASIDE: &[&[&str]] = &[
    &["objcopy", "--only-keep-debug", "out.so", "out.debug"],
    &["objcopy", "--strip-debug", "--add-gnu-debuglink=out.debug", "out.so"],
];

const BUILDS: [Build; 9] = [
    Build { compiler: "gcc", flags: &["-gdwarf-4", "-gsplit-dwarf"], then: SPLIT },
    Build { compiler: "gcc", flags: &["-gdwarf-5", "-gsplit-dwarf"], then: SPLIT },
    Build { compiler: "gcc", flags: &["-gdwarf-5", "-gsplit-dwarf", "-gz"], then: SPLIT },
    Build { compiler: "clang", flags: &["-gdwarf-4", "-gsplit-dwarf"], then: SPLIT },
    Build { compiler: "clang", flags: &["-gdwarf-5", "-gsplit-dwarf"], then: SPLIT },
    Build { compiler: "gcc", flags: &["-gdwarf-4", "-gsplit-dwarf"], then: PACKED_4 },
    Build { compiler: "clang", flags: &["-gdwarf-5", "-gsplit-dwarf"], then: PACKED_5 },
    Build { compiler: "gcc", flags: &["-g", "-Wl,--build-id=none"], then: PUT_ASIDE },
    Build { compiler: "clang", flags: &["-gdwarf-5", "-Wl,--build-id=none"], then: PUT_ASIDE },
];

impl Build {
    /// Builds the guest's only file in this directory.
    fn run(&self, guest: &Guest, place: &Path) -> Vec<u8> {
        let tool = |command: &[&str]| {
            let done = Command::new(command[0]).args(&command[1..]).current_dir(place).output().unwrap();
            assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        let [(name, text)] = &guest.files[..] else { panic!("of one file") };
        std::fs::write(place.join(name), text).unwrap();
        let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
        tool(&[&[self.compiler, "-fPIC", include, "-c", name], self.flags].concat());
        tool(&[&[self.compiler, "-shared", "guest.o", "-o", "out.so"], self.flags].concat());
        self.then.iter().for_each(|command| tool(command));
        std::fs::read(place.join("out.so")).unwrap()
    }

    /// Loads versions one after the other, each built when the one before it runs.
    fn versions(&self, guests: &[&Guest]) -> Run {
        let empty = Toolchain { compiler: "cc", flags: &[] };
        let mut run = Run::new(&c("", "").build(empty).unwrap(), cr_mode::CR_UNSAFE);
        for guest in guests {
            let image = self.run(guest, run.place());
            run.install(&image);
            run.step().unwrap();
        }
        run
    }
}

fn each(guests: &[&Guest], check: impl Fn(&mut Run, &str)) {
    if target::triple() != env!("CR_HOST") {
        return; // these tools are this machine's
    }
    for build in BUILDS {
        check(&mut build.versions(guests), &format!("{} {:?} {:?}", build.compiler, build.flags, build.then));
    }
}

#[test]
fn types_of_a_version_are_known_when_the_next_build_has_overwritten_them() {
    let version = |fields: &str, initial: &str, step: &str| {
        c(&format!("struct s {{ {fields} }}; static struct s CR_STATE s = {{{initial}}};"), &format!("KEEP(s); {step}"))
    };
    let first = version("int a; short b;", "1, 2", "s.a = 5; s.b = 6;");
    let second = version("short b; int c; long long a;", "1, 2, 3", "io[0] = s.a; io[1] = s.b; io[2] = s.c; s.c = 7;");
    let third = version("double c; float a, b;", "1, 1, 1", "io[3] = s.a; io[4] = s.b; io[5] = s.c;");
    each(&[&first, &second, &third], |run, build| {
        assert_eq!(run.io[..6], [5, 6, 2, 5, 6, 7], "{build} {:?}", run.report());
    });
}

/// gcc numbers them through the file.
#[test]
fn functions_of_static_variables_are_known_when_the_next_build_has_overwritten_them() {
    let function =
        |name: &str| format!("static int {name}(int set) {{ static int n; KEEP(n); if (set) n = set; return n; }}");
    let version = |names: &[&str], step: &str| c(&names.iter().map(|name| function(name)).collect::<String>(), step);
    let first = version(&["f", "g"], "f(3); g(4);");
    let second = version(&["g", "f"], "io[0] = f(0); io[1] = g(0);");
    let third = version(&["h", "g", "f"], "io[2] = f(0); io[3] = g(0); io[4] = h(0);");
    each(&[&first, &second, &third], |run, build| {
        assert_eq!(run.io[..5], [3, 4, 3, 4, 0], "{build} {:?}", run.report());
    });
}
