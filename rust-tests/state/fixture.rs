//! Guests made of a few lines of source, compiled as a test needs them, and a host that reloads them.

use crate::target;
use cr::abi::{cr_mode, cr_plugin};
use cr::host::{Options, Plugin};
use cr::{capi, host};
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a guest is built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Toolchain {
    /// `gcc`, `clang`, or `cc` for the machine's own.
    pub(crate) compiler: &'static str,
    pub(crate) flags: &'static [&'static str],
}

/// Those that name variables in different ways.
pub(crate) const TOOLCHAINS: [Toolchain; 8] = [
    Toolchain { compiler: "cc", flags: &["-O0"] },
    Toolchain { compiler: "gcc", flags: &["-O2", "-fuse-ld=bfd"] },
    Toolchain { compiler: "gcc", flags: &["-O2", "-fuse-ld=gold"] },
    Toolchain { compiler: "gcc", flags: &["-O2", "-fuse-ld=mold"] },
    Toolchain { compiler: "gcc", flags: &["-O2", "-flto", "-fuse-ld=bfd"] },
    Toolchain { compiler: "clang", flags: &["-O0", "-fuse-ld=lld"] },
    Toolchain { compiler: "clang", flags: &["-O2", "-fuse-ld=lld"] },
    Toolchain { compiler: "clang", flags: &["-O2", "-flto", "-fuse-ld=lld"] },
];

pub(crate) const PLAIN: Toolchain = Toolchain { compiler: "cc", flags: &["-O1"] };
pub(crate) const STRIPPED: Toolchain = Toolchain { compiler: "cc", flags: &["-O1", "-s"] };

/// A variable that a compiler cannot see through: it may be read and written by anybody.
const KEEP: &str = "#define KEEP(x) __asm__ volatile(\"\" : : \"r\"(&(x)) : \"memory\")\n";

/// One version of a guest: its files. The first has the entry point.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    pub(crate) files: Vec<(String, String)>,
}

/// A guest in one file. `variables` are its declarations; `step` is run in each step, where `io` is an array of
/// numbers that it shares with the test.
pub(crate) fn guest(name: &str, variables: &str, step: &str) -> Guest {
    let text = format!(
        "#include \"cr.h\"\n{KEEP}{variables}\n\
         CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op op);\n\
         CR_EXPORT int cr_main(struct cr_plugin *ctx, enum cr_op op) {{\n\
         long long *io = (long long *)ctx->userdata;\n\
         if (op != CR_STEP) return 0;\n{step}\nreturn (int)ctx->version;\n}}\n"
    );
    Guest { files: vec![(name.to_owned(), text)] }
}

pub(crate) fn c(variables: &str, step: &str) -> Guest {
    guest("guest.c", variables, step)
}

pub(crate) fn cpp(variables: &str, step: &str) -> Guest {
    guest("guest.cpp", variables, step)
}

impl Guest {
    /// Another file of it.
    pub(crate) fn with(mut self, name: &str, text: &str) -> Guest {
        self.files.push((name.to_owned(), format!("#include \"cr.h\"\n{KEEP}{text}\n")));
        self
    }

    /// Compiles it. None: this machine does not have what it takes.
    pub(crate) fn build(&self, toolchain: Toolchain) -> Option<Vec<u8>> {
        let place = tempfile::tempdir().unwrap();
        let is_cpp = self.files.iter().any(|(name, _)| name.ends_with(".cpp"));
        let library = place.path().join("out.so");
        let mut command = compiler(toolchain.compiler, is_cpp)?;
        command.current_dir(place.path()).args(["-shared", "-fPIC", "-g0", "-o"]).arg(&library);
        command.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include")).args(toolchain.flags);
        if let Some(linker) = toolchain.flags.iter().find_map(|flag| flag.strip_prefix("-fuse-ld=")) {
            command.args(target::find_linker(linker));
        }
        for (name, text) in &self.files {
            std::fs::write(place.path().join(name), text).unwrap();
            // What linkers are told with a flag is not compiled.
            if !name.ends_with(".map") {
                command.arg(name);
            }
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && toolchain.compiler != "cc" && std::env::var_os("CI").is_none() {
            assert!(!text.contains("error:") || text.contains("ld"), "{text}");
            return None;
        }
        assert!(output.status.success(), "{command:?}: {text}");
        Some(std::fs::read(library).unwrap())
    }
}

fn compiler(name: &str, cpp: bool) -> Option<Command> {
    let mut command = match (name, cpp) {
        ("cc", _) => return Some(target::compiler(cpp)),
        // Those by name are this machine's.
        _ if target::triple() != env!("CR_HOST") => return None,
        ("gcc", true) => Command::new("g++"),
        ("clang", true) => Command::new("clang++"),
        (name, _) => Command::new(name),
    };
    let found = command.arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "{name} is missing");
    let program = command.get_program().to_owned();
    found.then(|| Command::new(program))
}

/// What the report says of a variable.
pub(crate) type Entry = (host::StateKind, String, String);

/// A guest that runs.
pub(crate) struct Run {
    plugin: Plugin,
    pub(crate) io: Box<[i64; 64]>,
    path: PathBuf,
    _place: tempfile::TempDir,
    time: u64,
}

impl Run {
    pub(crate) fn new(image: &[u8], mode: cr_mode) -> Run {
        Run::with(image, &Options { mode, ..Options::default() })
    }

    pub(crate) fn with(image: &[u8], options: &Options) -> Run {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("libguest.so");
        std::fs::write(&path, image).unwrap();
        // SAFETY: a guest made by this test.
        let mut plugin = unsafe { Plugin::open_with(&path, options) }.unwrap();
        let mut io = Box::new([0; 64]);
        plugin.set_userdata(io.as_mut_ptr().cast());
        Run { plugin, io, path, _place: place, time: 1_000_000_000 }
    }

    pub(crate) fn install(&mut self, image: &[u8]) {
        let other = self.path.with_extension("new");
        std::fs::write(&other, image).unwrap();
        self.time += 10;
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(self.time);
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        std::fs::rename(other, &self.path).unwrap();
    }

    /// One step; what the guest returned, its version.
    pub(crate) fn step(&mut self) -> Result<i32, host::Failure> {
        self.plugin.update(true)
    }

    /// Where its file is.
    pub(crate) fn place(&self) -> &Path {
        self.path.parent().unwrap()
    }

    pub(crate) fn raw(&mut self) -> *mut cr_plugin {
        self.plugin.as_raw()
    }

    pub(crate) fn report(&self) -> Vec<Entry> {
        let report = self.plugin.state_report().expect("there is a report");
        report.entries().map(|entry| (entry.kind, entry.name.to_owned(), entry.reason.to_owned())).collect()
    }

    pub(crate) fn error(&mut self) -> String {
        // SAFETY: an open plugin.
        let text = unsafe { capi::cr_plugin_error(self.raw()) };
        // SAFETY: never NULL, and valid until the next call.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

/// Reloads `old` as `new` once for each toolchain, and hands the running guest over after its first step of each.
pub(crate) fn each(old: &Guest, new: &Guest, check: impl Fn(&mut Run, Toolchain)) {
    let mut ran = 0;
    for toolchain in TOOLCHAINS {
        let (Some(old), Some(new)) = (old.build(toolchain), new.build(toolchain)) else { continue };
        let mut run = reload(&old, &new);
        check(&mut run, toolchain);
        ran += 1;
    }
    assert!(ran > 0);
}

pub(crate) fn reload(old: &[u8], new: &[u8]) -> Run {
    let mut run = Run::new(old, cr_mode::CR_UNSAFE);
    assert_eq!(run.step().unwrap(), 1);
    run.install(new);
    assert_eq!(run.step().unwrap(), 2);
    run
}
