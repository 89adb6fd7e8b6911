//! The machines that are tested from here: this one, and others with a cross compiler, an emulator, or neither.

use crate::tools::{self, cargo, command, output, work_dir};
use crate::wine;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A machine and what it takes to build and run programs for it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) triple: &'static str,
    /// Is it another than this one?
    pub(crate) foreign: bool,
    /// In front of the names of its own compilers and binutils; empty if those of this machine serve it.
    prefix: &'static str,
    /// Behind the names of its compilers.
    suffix: &'static str,
    /// The program that runs its programs, with its arguments; empty if this machine can.
    pub(crate) runner: &'static str,
    /// Files that must be there, programs by their names, and the Debian packages that bring them.
    pub(crate) needs: &'static [(&'static str, &'static str)],
}

/// QEMU emulates the processor and passes system calls on; `-L` is where Debian puts the machine's C library.
const AARCH64: Machine = Machine {
    triple: "aarch64-unknown-linux-gnu",
    foreign: true,
    prefix: "aarch64-linux-gnu-",
    suffix: "",
    runner: "qemu-aarch64 -L /usr/aarch64-linux-gnu",
    needs: &[
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
        ("/usr/aarch64-linux-gnu/include/stdio.h", "libc6-dev-arm64-cross"),
        ("qemu-aarch64", "qemu-user"),
    ],
};

/// This machine's kernel and processor run its programs. Debian's `gcc-multilib` would do to compile them, but it
/// cannot be installed beside compilers for other machines.
const I686: Machine = Machine {
    triple: "i686-unknown-linux-gnu",
    foreign: true,
    prefix: "i686-linux-gnu-",
    suffix: "",
    runner: "",
    needs: &[
        ("i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
        ("i686-linux-gnu-g++", "g++-i686-linux-gnu"),
        ("/usr/i686-linux-gnu/include/stdio.h", "libc6-dev-i386-cross"),
        ("/lib/ld-linux.so.2", "libc6-i386"),
        ("/usr/lib32/libstdc++.so.6", "lib32stdc++6"),
        ("/usr/lib32/libgcc_s.so.1", "lib32gcc-s1"),
    ],
};

const RISCV64: Machine = Machine {
    triple: "riscv64gc-unknown-linux-gnu",
    foreign: true,
    prefix: "riscv64-linux-gnu-",
    suffix: "",
    runner: "qemu-riscv64 -L /usr/riscv64-linux-gnu",
    needs: &[
        ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
        ("riscv64-linux-gnu-g++", "g++-riscv64-linux-gnu"),
        ("/usr/riscv64-linux-gnu/include/stdio.h", "libc6-dev-riscv64-cross"),
        ("qemu-riscv64", "qemu-user"),
    ],
};

/// Wine runs its programs. Of MinGW's two thread libraries, C++11 needs the one with POSIX threads.
pub(crate) const WINDOWS: Machine = Machine {
    triple: "x86_64-pc-windows-gnu",
    foreign: true,
    prefix: "x86_64-w64-mingw32-",
    suffix: "-posix",
    runner: "/usr/lib/wine/wine64",
    needs: &[
        ("x86_64-w64-mingw32-gcc-posix", "gcc-mingw-w64-x86-64-posix"),
        ("x86_64-w64-mingw32-g++-posix", "g++-mingw-w64-x86-64-posix"),
        ("/usr/lib/wine/wine64", "wine64"),
    ],
};

/// The same with 32 bits. Debian has its wine among the packages for i386 alone, which not every machine can install beside
/// its own: its programs are run only where that is there, and the machine asked for.
pub(crate) const WINDOWS_I686: Machine = Machine {
    triple: "i686-pc-windows-gnu",
    foreign: true,
    prefix: "i686-w64-mingw32-",
    suffix: "-posix",
    runner: "/usr/lib/wine/wine",
    needs: &[
        ("i686-w64-mingw32-gcc-posix", "gcc-mingw-w64-i686-posix"),
        ("i686-w64-mingw32-g++-posix", "g++-mingw-w64-i686-posix"),
    ],
};

static BY_NAME: [Machine; 1] = [WINDOWS_I686];

static OTHERS: [Machine; 4] = [AARCH64, I686, RISCV64, WINDOWS];

/// The standard library has to be compiled where none is installed for the target. Its sources and its compiler
/// belong together: rustup has the first as a component, Debian has both. (Debian's plain `rustc` is too old.)
const DEBIAN_RUST: [(&str, &str); 4] = [
    ("/usr/bin/rustc", "rustc-web"),
    ("/usr/bin/cargo", "cargo-web"),
    ("/usr/lib/rustlib/x86_64-unknown-linux-gnu/lib", "libstd-rust-web-dev"),
    ("/usr/lib/rustlib/src/rust/library/std/Cargo.toml", "rust-web-src"),
];

/// This machine.
pub(crate) fn native() -> Result<&'static Machine> {
    static NATIVE: OnceLock<Machine> = OnceLock::new();
    if let Some(native) = NATIVE.get() {
        return Ok(native);
    }
    let text = output(cargo().arg("-vV"))?;
    let triple = text.lines().find_map(|line| line.strip_prefix("host: ")).context("cargo -vV names no host")?;
    let triple = triple.to_owned().leak();
    Ok(NATIVE.get_or_init(|| Machine { triple, foreign: false, prefix: "", suffix: "", runner: "", needs: &[] }))
}

/// The machine with this triple.
pub(crate) fn find(triple: &str) -> Result<&'static Machine> {
    let native = native()?;
    if triple == native.triple {
        return Ok(native);
    }
    let all = || OTHERS.iter().chain(&BY_NAME);
    let names: Vec<_> = all().map(|machine| machine.triple).collect();
    let found = all().find(|machine| machine.triple == triple);
    found.with_context(|| format!("tests run for {} and {}", native.triple, names.join(", ")))
}

/// The other machines that are tested from here.
pub(crate) fn others() -> impl Iterator<Item = &'static Machine> {
    OTHERS.iter()
}

/// Is it tested only if it is asked for?
pub(crate) fn is_by_name(triple: &str) -> bool {
    BY_NAME.iter().any(|machine| machine.triple == triple)
}

/// Are tests run for it from here?
pub(crate) fn is_known(triple: &str) -> bool {
    others().any(|machine| machine.triple == triple)
}

/// A machine that is only compiled for, or linked for by others than this module.
pub(crate) const fn plain(triple: &'static str) -> Machine {
    Machine { triple, foreign: true, prefix: "", suffix: "", runner: "", needs: &[] }
}

impl Machine {
    /// How its programs are run.
    pub(crate) fn how(&self) -> &'static str {
        if self.runner.contains("qemu") {
            "under QEMU"
        } else if self.runner.contains("wine") {
            "under wine"
        } else {
            "natively"
        }
    }

    /// A program of the GNU toolchain that is for this machine, or can be.
    pub(crate) fn tool(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Its compiler for C ("gcc") or C++ ("g++").
    pub(crate) fn compiler(&self, name: &str) -> String {
        format!("{}{}", self.tool(name), self.suffix)
    }

    /// Is it Windows?
    pub(crate) fn is_windows(&self) -> bool {
        self.triple.contains("windows")
    }

    /// Are its pointers of 64 bits?
    pub(crate) fn is_wide(&self) -> bool {
        !self.triple.starts_with("i686")
    }

    /// Is it macOS?
    pub(crate) fn is_macos(&self) -> bool {
        self.triple.contains("apple")
    }

    /// The name of the shared library there.
    pub(crate) fn shared_library(&self) -> String {
        self.shared_library_of("cr")
    }

    /// What cargo calls the shared library of a crate.
    pub(crate) fn shared_library_of(&self, name: &str) -> String {
        match () {
            () if self.is_windows() => format!("{name}.dll"),
            () if self.is_macos() => format!("lib{name}.dylib"),
            () => format!("lib{name}.so"),
        }
    }

    /// Where the shipped libraries are put for the tests.
    pub(crate) fn lib_dir(&self) -> PathBuf {
        self.place("lib")
    }

    /// Cargo's directory for the shipped libraries; the CMake builds of `cargo xtask test` share it.
    pub(crate) fn target_dir(&self) -> PathBuf {
        self.place("cargo")
    }

    /// A directory of the machine's own.
    fn place(&self, name: &str) -> PathBuf {
        work_dir().join(if self.foreign { format!("{name}-{}", self.triple) } else { name.to_owned() })
    }

    /// What must be installed.
    pub(crate) fn needs(&self) -> Result<Vec<(&'static str, &'static str)>> {
        let mut needs = self.needs.to_vec();
        if self.foreign && !self.has_std()? {
            needs.extend(DEBIAN_RUST);
        }
        Ok(needs)
    }

    /// Has rustup bring the standard library, where there is one, so that it need not be compiled several times.
    pub(crate) fn add_std(&self) -> Result<()> {
        if self.foreign && !self.has_std()? && tools::exists("rustup") && std::env::var_os("RUSTC").is_none() {
            let _ = tools::run(command("rustup").args(["target", "add", self.triple])).inspect_err(|error| {
                println!("{error:#}; it is compiled instead");
            });
        }
        Ok(())
    }

    /// Is Rust's standard library installed for it, beside the compiler in use?
    fn has_std(&self) -> Result<bool> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let place = output(command(rustc).args(["--print", "target-libdir", "--target", self.triple]))?;
        let Ok(files) = std::fs::read_dir(place.trim()) else { return Ok(false) };
        Ok(files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
    }

    /// Cargo, ready to build for it (`--target` is the caller's).
    pub(crate) fn cargo(&self) -> Result<Command> {
        let mut command = cargo();
        for (name, value) in self.environment()? {
            command.env(name, value);
        }
        Ok(command)
    }

    /// What cargo and everything below it must find in the environment.
    pub(crate) fn environment(&self) -> Result<Vec<(String, String)>> {
        if !self.foreign {
            return Ok(Vec::new());
        }
        let mut environment = self.runner_environment();
        if !self.prefix.is_empty() {
            // The whole path, as CMake names it: another name is another linker for cargo, which compiles anew.
            let linker = tools::find(&self.compiler("gcc")).context("no linker; the first step installs it")?;
            environment.push((self.cargo_variable("LINKER"), linker.display().to_string()));
        }
        if !self.has_std()? {
            if let Some((missing, _)) = DEBIAN_RUST.iter().find(|(file, _)| !Path::new(file).exists()) {
                bail!(
                    "no standard library for {0}: run `rustup target add {0}` (or, on Debian: {missing})",
                    self.triple
                );
            }
            // The switches for building the library are meant for nightly compilers; they work in this one, too.
            let debian = [("RUSTC", "/usr/bin/rustc"), ("RUSTDOC", "/usr/bin/rustdoc"), ("RUSTC_BOOTSTRAP", "1")];
            let build_std = ("CARGO_UNSTABLE_BUILD_STD", "std,panic_unwind");
            for (name, value) in debian.into_iter().chain([build_std]) {
                environment.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(environment)
    }

    /// How tests run programs of it.
    pub(crate) fn runner_environment(&self) -> Vec<(String, String)> {
        let mut environment = Vec::new();
        if !self.runner.is_empty() {
            environment.push((self.cargo_variable("RUNNER"), self.runner.to_owned()));
        }
        if self.is_windows() {
            environment.extend(wine::environment(self));
            // Where the crate `cc` looks, which would take the compiler without a suffix.
            for (name, compiler) in [("CC", "gcc"), ("CXX", "g++")] {
                environment.push((format!("{name}_{}", self.triple.replace('-', "_")), self.compiler(compiler)));
            }
        }
        environment
    }

    /// This program of it, ready to be run here.
    pub(crate) fn run(&self, program: &Path) -> Command {
        let mut words = self.runner.split_whitespace();
        let mut command = match words.next() {
            Some(runner) => command(runner),
            None => command(program),
        };
        if !self.runner.is_empty() {
            command.args(words).arg(program);
        }
        command.envs(self.runner_environment());
        command
    }

    fn cargo_variable(&self, what: &str) -> String {
        format!("CARGO_TARGET_{}_{what}", self.triple.to_uppercase().replace('-', "_"))
    }
}
