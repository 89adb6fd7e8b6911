//! Builds the library, the test hosts and the guests, once for all tests.
//!
//! Tests run as processes of their own, several at a time: the first one builds, under a lock, and the others find
//! a stamp that says of what everything was made.

use super::target;
use super::target::compiler;
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// What tests run.
pub(crate) struct Suite {
    /// The hosts, and in `guests` the guests.
    pub(crate) directory: PathBuf,
    pub(crate) static_library: PathBuf,
    pub(crate) shared_library: PathBuf,
}

/// Everything, built if need be.
pub(crate) fn suite() -> &'static Suite {
    static SUITE: OnceLock<Suite> = OnceLock::new();
    SUITE.get_or_init(prepare)
}

/// The C files that are not part of the one large host.
const COMMON: [&str; 6] =
    ["runner.c", "files.c", "system_posix.c", "system_linux.c", "system_macos.c", "system_windows.c"];
const DLOPEN: &str = "dlopen_host.c";

/// What a host needs besides the library.
fn system_libraries() -> &'static [&'static str] {
    if target::is_windows() {
        &["-pthread", "-lntdll", "-luserenv", "-lws2_32", "-ldbghelp"]
    } else {
        &["-pthread", "-ldl", "-lm"]
    }
}

/// Programs end so.
pub(crate) fn executable(name: &str) -> String {
    if target::is_windows() { format!("{name}.exe") } else { name.to_owned() }
}

/// An executable file to be made by one call of a compiler.
struct Job {
    output: PathBuf,
    sources: Vec<PathBuf>,
    command: Command,
    /// The machine may lack what it takes.
    optional: bool,
}

fn prepare() -> Suite {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let directory = target.join(format!("c-tests/{}", target::triple()));
    fs::create_dir_all(directory.join("guests")).unwrap();
    let lock = File::create(directory.join("lock")).unwrap();
    lock.lock().unwrap();

    let libraries = std::env::var_os("CR_LIB_DIR").map(PathBuf::from);
    let built = libraries.unwrap_or_else(|| target.join(format!("capi/{}/release", target::triple())));
    let suite = Suite {
        static_library: built.join("libcr.a"),
        shared_library: built.join(match () {
            () if target::is_windows() => "cr.dll",
            () if target::is_macos() => "libcr.dylib",
            () => "libcr.so",
        }),
        directory,
    };
    let stamp = suite.directory.join("stamp");
    let key = key_of_all(&suite);
    if fs::read_to_string(&stamp).ok() != Some(key) {
        if std::env::var_os("CR_LIB_DIR").is_none() {
            build_library(&target.join("capi"), "staticlib");
            build_library(&target.join("capi"), "cdylib");
        }
        build_all(&suite);
        fs::write(stamp, key_of_all(&suite)).unwrap();
    }
    suite
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The release library, as it is shipped: each crate type on its own.
fn build_library(target: &Path, crate_type: &str) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["rustc", "--quiet", "--lib", "--release", "--features", "capi"]);
    command.args(["--crate-type", crate_type, "--target", &target::triple(), "--target-dir"]).arg(target);
    if target::is_macos() && crate_type == "cdylib" {
        command.args(["--", "-C", "link-arg=-Wl,-install_name,@rpath/libcr.dylib"]);
    }
    expect_success(&mut command);
}

fn build_all(suite: &Suite) {
    let sources = root().join("c-tests/host");
    let objects = suite.directory.join("objects");
    fs::create_dir_all(&objects).unwrap();
    if target::is_windows() {
        absent_library(&suite.directory.join("guests"));
    }
    let mut jobs = guests(&suite.directory.join("guests"));
    let mut common = Vec::new();
    let mut of_host = Vec::new();
    let mut of_dlopen_host = Vec::new();
    for source in files(&sources, &["c", "cpp"]) {
        let name = source.file_name().unwrap().to_str().unwrap();
        let object = objects.join(format!("{name}.o"));
        jobs.push(object_job(&source, &object));
        if COMMON.contains(&name) {
            common.push(object);
        } else if name == DLOPEN {
            of_dlopen_host.push(object);
        } else {
            of_host.push(object);
        }
    }
    run_all(jobs);

    let link = |name: &str, objects: &[PathBuf], library: Option<&Path>| {
        let mut command = compiler_in_ci(true);
        command.arg("-o").arg(suite.directory.join(executable(name))).args(objects).args(&common).args(library);
        if target::is_windows() {
            // Libraries are found beside the program.
            fs::copy(&suite.shared_library, suite.directory.join("cr.dll")).unwrap();
        } else if let Some(place) = library.and_then(Path::parent) {
            // Where the shared library is found again, under its SONAME if it has one.
            command.arg(format!("-Wl,-rpath,{}", place.display()));
        }
        expect_success(command.args(system_libraries()));
    };
    link("host", &of_host, Some(&suite.static_library));
    link("host_shared", &of_host, Some(&suite.shared_library));
    link("host_dlopen", &of_dlopen_host, None);
}

fn object_job(source: &Path, object: &Path) -> Job {
    let cpp = source.extension().is_some_and(|extension| extension == "cpp");
    let mut command = compiler_in_ci(cpp);
    // C with the system's extensions: the hosts speak to Linux, not only to C.
    // The same goes for C++ with MinGW's headers; those of glibc have the extensions anyway.
    let cpp_standard = if target::is_windows() { "-std=gnu++11" } else { "-std=c++11" };
    command.arg(if cpp { cpp_standard } else { "-std=gnu11" }).args(["-g", "-Wall", "-Wextra", "-pthread"]);
    command.arg("-I").arg(root().join("include")).arg("-c").arg(source).arg("-o").arg(object);
    Job { output: object.to_owned(), sources: vec![source.to_owned()], command, optional: false }
}

/// An import library for a library that does not exist: on Windows no symbol is left open by the linker, but a library
/// may be missing.
fn absent_library(directory: &Path) {
    let definition = directory.join("nowhere.def");
    fs::write(&definition, "LIBRARY nowhere_to_be_found.dll\nEXPORTS\nnowhere_to_be_found\ncr_main\n").unwrap();
    let mut command = target::binutil("dlltool");
    expect_success(command.arg("-d").arg(definition).arg("-l").arg(directory.join("libnowhere.a")));
}

/// The guests of guests.list.
fn guests(directory: &Path) -> Vec<Job> {
    let lists: &[&str] = if target::is_windows() { &["guests", "guests_windows"] } else { &["guests"] };
    let read = |name: &&str| fs::read_to_string(root().join(format!("c-tests/{name}.list"))).unwrap();
    let list: String = lists.iter().map(read).collect();
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && can_be_built(line));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_else(|| panic!("guests.list: {line}"));
            let (name, which, source) = (word(), word(), root().join("c-tests/guest").join(word()));
            let cpp = source.extension().is_some_and(|extension| extension == "cpp");
            let x86 = words.clone().any(|flag| flag == "-m32" || flag == "-m64");
            let mut command = match which {
                "cc" if x86 && target::is_windows() => compiler_of_the_other_size(),
                "cc" if x86 && cfg!(target_arch = "x86_64") => Command::new("cc"),
                "cc" if x86 => {
                    let mut clang = Command::new("clang");
                    clang.args(["--target=x86_64-linux-gnu", "-fuse-ld=lld"]);
                    clang
                }
                // MinGW's gcc takes its own linker without a word.
                "cc" if target::is_windows() && words.clone().any(|flag| flag == "-fuse-ld=lld") => {
                    named_compiler("clang")
                }
                "cc" => compiler_in_ci(cpp),
                other => named_compiler(other),
            };
            let output = directory.join(format!("{name}.so"));
            if target::is_macos() {
                // Symbols may be left open, as elsewhere by default.
                command.arg("-Wl,-undefined,dynamic_lookup");
            }
            if !target::is_windows() {
                command.arg("-fPIC"); // code for Windows always is
            }
            command.args(["-shared", "-g", "-Wall", "-Wextra", "-I"]).arg(root().join("include"));
            command.arg(&source).arg("-o").arg(&output);
            for flag in words.clone() {
                // Apple's linker does not strip: local symbols and debug information are left out one by one.
                let stripped: &[&str] = if target::is_macos() { &["-Wl,-x", "-g0"] } else { &["-s"] };
                match flag {
                    "-s" => command.args(stripped),
                    _ if flag.ends_with(".a") => command.arg(target::library(flag)),
                    _ => command.arg(flag.replace('@', if target::is_wide() { "x86_64" } else { "i686" })),
                };
            }
            if target::is_windows() && !x86 && !line.contains("msvc") {
                command.arg("-L").arg(directory).arg("-lnowhere");
                // The address is otherwise made of the file's name, which is the same for all versions of a guest only
                // if a compiler has not been told to write it elsewhere, as here.
                let base = if target::is_wide() { "0x270000000" } else { "0x27000000" };
                command.arg(format!("-Wl,--image-base={base}"));
            }
            if let Some(linker) = words.clone().find_map(|flag| flag.strip_prefix("-fuse-ld=")) {
                command.args(target::find_linker(linker));
            }
            // The default compiler is there; the others, linkers and code for other machines may be missing.
            let optional = which != "cc" || x86 || words.any(|flag| flag.starts_with("-fuse-ld="));
            Job { output, sources: vec![source], command, optional }
        })
        .collect()
}

/// The default compiler; CI accepts no warnings of it.
fn compiler_in_ci(cpp: bool) -> Command {
    let mut command = compiler(cpp);
    if std::env::var_os("CI").is_some() {
        command.arg("-Werror");
    }
    command
}

/// A compiler that a guest asks for by its name.
fn named_compiler(name: &str) -> Command {
    let triple = target::triple();
    match name {
        _ if triple == env!("CR_HOST") => Command::new(name),
        "g++" => compiler(true),
        // The system's compiler is one, and zig's, which stands for it elsewhere.
        "clang" if target::is_macos() => compiler(false),
        _ => {
            let mut command = Command::new(name);
            command.arg(format!("--target={}", target::gnu_triple()));
            if target::is_windows() {
                // It does not know where Debian has MinGW's libgcc.
                command.arg("-L").arg(target::library("libgcc.a").parent().unwrap());
            }
            command
        }
    }
}

/// There are linkers and switches for ELF alone, and of those for macOS only its own. gold is not for RISC-V.
fn can_be_built(line: &str) -> bool {
    let elf = ["-fuse-ld=gold", "-fuse-ld=mold", "-Wl,-z,"];
    let not_of_macos = ["-fuse-ld=", "-Wl,-", "-m32", "-m64", "imported_entry.c", " g++ "];
    // One guest for Windows has a row for each processor.
    let of_the_other = |line: &str| line.contains("-fms-extensions") && line.contains("i686-") == target::is_wide();
    let unknown: &[&str] = match () {
        () if target::is_windows() && of_the_other(line) => return false,
        () if target::is_windows() => &elf,
        () if target::is_macos() => &not_of_macos,
        () if target::triple().starts_with("riscv") => &["-fuse-ld=gold"],
        () => &[],
    };
    !unknown.iter().any(|flag| line.contains(flag))
}

/// MinGW's compilers make code of one size of pointer. Of the other there is no C runtime to begin in.
fn compiler_of_the_other_size() -> Command {
    let mut command = Command::new("clang");
    let other = if target::is_wide() { "i686" } else { "x86_64" };
    command.arg(format!("--target={other}-w64-mingw32")).args(["-fuse-ld=lld", "-Wl,-e,cr_main"]);
    command
}

/// Runs the jobs whose files are older than what they are made of, some at a time.
fn run_all(jobs: Vec<Job>) {
    let headers = key_of_headers();
    let jobs = Mutex::new(jobs.into_iter());
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(job) = jobs.lock().unwrap().next() else { break };
                    run_job(job, headers);
                }
            });
        }
    });
}

fn run_job(mut job: Job, headers: u64) {
    let mut hasher = DefaultHasher::new();
    headers.hash(&mut hasher);
    format!("{:?}", job.command).hash(&mut hasher);
    for source in &job.sources {
        fs::read(source).unwrap().hash(&mut hasher);
    }
    let key = hasher.finish().to_string();
    let key_file = job.output.with_extension("key");
    if job.output.exists() && fs::read_to_string(&key_file).ok().as_ref() == Some(&key) {
        return;
    }
    let _ = fs::remove_file(&job.output);
    if !job.optional {
        expect_success(&mut job.command);
    } else if let Err(error) = try_command(&mut job.command) {
        // Its scenario says that it is skipped. CI must have everything.
        assert!(std::env::var_os("CI").is_none(), "{error}");
        return;
    }
    fs::write(key_file, key).unwrap();
}

fn expect_success(command: &mut Command) {
    if let Err(error) = try_command(command) {
        panic!("{error}");
    }
}

fn try_command(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}\n{text}", output.status)) }
}

/// Whatever the hosts, the guests and the library are made of.
fn key_of_all(suite: &Suite) -> String {
    let mut hasher = DefaultHasher::new();
    let mut inputs = files(&root().join("c-tests"), &["c", "cpp", "h", "list", "rs"]);
    inputs.extend(files(&root().join("src"), &["rs"]));
    inputs.extend(["include/cr.h", "Cargo.toml", "Cargo.lock", "build.rs"].map(|name| root().join(name)));
    for input in inputs {
        input.hash(&mut hasher);
        fs::read(input).ok().hash(&mut hasher);
    }
    for library in [&suite.static_library, &suite.shared_library] {
        library.hash(&mut hasher);
        fs::metadata(library).and_then(|data| data.modified()).ok().hash(&mut hasher);
    }
    for variable in ["CC", "CXX", "CFLAGS", "CXXFLAGS", "CI", "RUSTFLAGS"] {
        std::env::var_os(variable).hash(&mut hasher);
    }
    hasher.finish().to_string()
}

fn key_of_headers() -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut headers = files(&root().join("c-tests"), &["h"]);
    headers.push(root().join("include/cr.h"));
    // One guest is the other, compiled as C++.
    headers.push(root().join("c-tests/guest/general.c"));
    for header in headers {
        fs::read(header).unwrap().hash(&mut hasher);
    }
    hasher.finish()
}

/// The files with one of the extensions, in this directory and those below, in an order of their own.
fn files(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    found
}
