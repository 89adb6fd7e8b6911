//! Runs one scenario of a test host: in a process of its own, in a directory of its own, for a limited time.

mod build;
mod target;

pub(crate) use build::{Suite, suite};

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A scenario that takes longer hangs. The longest ones take a few seconds; machines may be slow.
const LIMIT: Duration = Duration::from_secs(120);

/// What the hosts exit with when the machine lacks something.
const SKIPPED: i32 = 77;

/// Runs a scenario and fails unless it passes.
pub(crate) fn run(host: &str, scenario: &str) {
    if let Some(reason) = reason_to_skip(scenario) {
        return skipped(host, scenario, reason);
    }
    let suite = suite();
    let (status, output) = run_limited(suite.command(host).arg(scenario));
    match status {
        None => panic!("{scenario} was still running after {LIMIT:?}\n{output}"),
        Some(status) if status.success() => {}
        Some(status) if status.code() == Some(SKIPPED) => {
            let said = output.lines().find_map(|line| line.strip_prefix("skipped: "));
            skipped(host, scenario, said.unwrap_or(&output));
        }
        Some(status) => panic!("{scenario}: {status}\n{output}"),
    }
}

/// Says so if it is, and why.
pub(crate) fn is_left_out(host: &str, test: &str) -> bool {
    reason_to_skip(test).inspect(|reason| skipped(host, test, reason)).is_some()
}

/// Why the scenario cannot run here, if there is a reason.
fn reason_to_skip(scenario: &str) -> Option<&'static str> {
    let lists = [
        (include_str!("emulator.list"), target::is_emulated()),
        (include_str!("windows.list"), target::is_windows()),
        (include_str!("macos.list"), target::is_macos()),
    ];
    let mut entries = lists.into_iter().filter(|(_, applies)| *applies).flat_map(|(list, _)| entries(list));
    entries.find(|(name, _)| *name == scenario).map(|(_, reason)| reason)
}

/// The names and reasons in a list.
fn entries(list: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(name, reason)| (name, reason.trim()))
}

/// The scenarios that hosts for the target do not have; `of_windows` are those for Windows alone.
pub(crate) fn left_out(of_windows: &[&'static str]) -> Vec<&'static str> {
    if target::is_windows() {
        entries(include_str!("windows.list")).map(|(name, _)| name).collect()
    } else if target::is_macos() {
        // Not all of them are scenarios, but tests of another kind.
        let of_macos = entries(include_str!("macos.list")).map(|(name, _)| name);
        of_macos.filter(|name| !name.starts_with("r16_")).chain(of_windows.iter().copied()).collect()
    } else {
        of_windows.to_vec()
    }
}

/// Says so, and adds it to the list in the file that `CR_TEST_SKIPPED` names: the test counts as passed.
fn skipped(host: &str, scenario: &str, reason: &str) {
    eprintln!("skipped: {reason}");
    if let Some(list) = std::env::var_os("CR_TEST_SKIPPED") {
        let mut list = File::options().append(true).create(true).open(list).unwrap();
        // One write: others do the same meanwhile.
        list.write_all(format!("{host} {scenario}: {reason}\n").as_bytes()).unwrap();
    }
}

impl Suite {
    /// The file of a host.
    pub(crate) fn program(&self, host: &str) -> PathBuf {
        self.directory.join(build::executable(host))
    }

    /// A host, ready to be told its scenario.
    pub(crate) fn command(&self, host: &str) -> Command {
        let mut command = target::program(self.program(host));
        command.env("CR_TEST_GUESTS", self.directory.join("guests")).env("CR_TEST_LIBRARY", &self.shared_library);
        command
    }
}

/// Runs a command in a process group and a temporary directory of its own; `None` if it has to be stopped.
fn run_limited(command: &mut Command) -> (Option<ExitStatus>, String) {
    let directory = TempDir::new().unwrap();
    // Some scenarios go on as another user.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let output = directory.path().join("output");
    let writer = File::create(&output).unwrap();
    command.env("TMPDIR", directory.path()).stdin(Stdio::null());
    command.stdout(writer.try_clone().unwrap()).stderr(writer).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = wait(&mut child);
    stop_group(&child);
    if status.is_none() {
        child.wait().unwrap();
    }
    (status, String::from_utf8_lossy(&fs::read(output).unwrap()).into_owned())
}

/// What a program prints that must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    // Not through a pipe: others that the program has started may hold it.
    let (status, output) = run_limited(command);
    assert!(status.is_some_and(|status| status.success()), "{command:?}: {status:?}\n{output}");
    output
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Ends what is left of a child's process group: a host that hangs, or that has left processes behind.
fn stop_group(child: &Child) {
    let group = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: no memory is involved. The group was made for this child; while it has members its number is not
    // given to others, and without members this does nothing.
    unsafe { libc::killpg(group, libc::SIGKILL) };
}

/// The global names that `nm` finds.
pub(crate) fn names(arguments: &[&str], file: &Path) -> Vec<String> {
    let output = target::binutil("nm").args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "nm {arguments:?} {}", file.display());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // In an archive for Windows are stubs for functions of the system, as import libraries have them.
    let mut stub = false;
    let name = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [_address, _kind, name] if !stub => Some(target::name_in_c(name).to_owned()),
        [member] => {
            stub = member.contains(".dll");
            None
        }
        _ => None, // a remark
    };
    text.lines().filter_map(name).collect()
}

/// The names that a shared library or a program shows to others.
pub(crate) fn exported(file: &Path) -> Vec<String> {
    if target::is_macos() {
        // Names in C begin with an underscore there; one of the linker's is the header of the file.
        let names = names(&["-g", "-U"], file).into_iter().filter_map(|name| Some(name.strip_prefix('_')?.to_owned()));
        return names.filter(|name| !name.starts_with("_mh_")).collect();
    }
    if !target::is_windows() {
        return names(&["-D", "--defined-only"], file);
    }
    let output = target::binutil("objdump").arg("-p").arg(file).output().unwrap();
    assert!(output.status.success(), "objdump -p {}", file.display());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "[   3] cr_plugin_open", in the table of names.
    let table = text.lines().skip_while(|line| !line.starts_with("[Ordinal/Name Pointer] Table")).skip(1);
    let names = table.map_while(|line| line.trim().strip_prefix('[')).filter_map(|line| line.rsplit(' ').next());
    names.map(str::to_owned).collect()
}
