//! Wine, which runs programs for Windows here, with settings of its own.

use crate::libs;
use crate::machine::Machine;
use crate::tools::{Scratch, command, output, root, run, work_dir};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::{env, fs};

/// What stands for the disk of a Windows machine.
fn prefix(machine: &Machine) -> PathBuf {
    work_dir().join(if machine.is_wide() { "wine" } else { "wine32" })
}

/// What programs that wine runs, and wine itself, must find in the environment.
pub(crate) fn environment(machine: &Machine) -> Vec<(String, String)> {
    let mut variables = vec![
        ("WINEPREFIX", prefix(machine).display().to_string()),
        ("WINEARCH", if machine.is_wide() { "win64" } else { "win32" }.to_owned()),
        ("WINEDEBUG", "-all".to_owned()),
        // No .NET, no browser, no entries in menus.
        ("WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe=d".to_owned()),
        ("DISPLAY", String::new()),
    ];
    // The libraries of MinGW's compilers: libstdc++, libgcc and libwinpthread.
    let folders: Vec<String> = runtime_folders(machine).iter().map(|folder| windows_path(folder)).collect();
    variables.push(("WINEPATH", folders.join(";")));
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn runtime_folders(machine: &Machine) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for library in ["libstdc++-6.dll", "libwinpthread-1.dll"] {
        let found = output(command(machine.compiler("g++")).arg(format!("-print-file-name={library}")));
        if let Some(folder) = found.ok().as_deref().map(str::trim).map(Path::new).and_then(Path::parent) {
            folders.push(folder.canonicalize().unwrap_or(folder.to_owned()));
        }
    }
    folders
}

/// A path here as Windows programs see it.
fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

/// Makes the disk, if it is not there yet.
pub(crate) fn prepare(machine: &Machine) -> Result<()> {
    if !Path::new(machine.runner).exists() {
        bail!("there is no wine for it: dpkg --add-architecture i386; apt-get update; apt-get install wine32:i386");
    }
    let system = prefix(machine).join("drive_c/windows/system32");
    let wine = || {
        let mut wine = command(machine.runner);
        wine.envs(environment(machine));
        wine
    };
    if !system.exists() {
        fs::create_dir_all(prefix(machine))?;
        run(wine().args(["wineboot", "--init"])).context("wine cannot be set up")?;
        // Crashes are what is tested: nobody is to be asked about them.
        let debugger = r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug";
        for (name, value) in [("Debugger", "none"), ("Auto", "1")] {
            run(wine().args(["reg", "add", debugger, "/v", name, "/t", "REG_SZ", "/d", value, "/f"]))?;
        }
    }
    // Wine 8 lacks a library that Rust's own library needs.
    let mut compiler = command(machine.compiler("gcc"));
    compiler.args(["-shared", "-O1", "-Wl,--kill-at", "-o"]).arg(system.join("bcryptprimitives.dll"));
    run(compiler.arg(root().join("c-tests/support/bcryptprimitives.c")).arg("-ladvapi32"))?;
    stay(machine)
}

/// From now on, while this process runs, so does wine: its server and its services otherwise end with the last program,
/// and to start them takes ten times as long as to start a program. Besides, one that is started just when they end
/// fails.
pub(crate) fn stay(machine: &Machine) -> Result<()> {
    static STAYS: OnceLock<()> = OnceLock::new();
    if STAYS.set(()).is_err() {
        return Ok(());
    }
    // A program that waits for its input, whose other end is left to the system to close when we end.
    let mut waiting = command(machine.runner);
    waiting.arg("cmd").envs(environment(machine)).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::mem::forget(waiting.spawn().context("wine cannot be started")?);
    Ok(())
}

/// Measures this library, and beside it the original if `CR_ORIGINAL` names the directory of its cr.h. Most of what is
/// measured is wine's own work, so the numbers say something beside each other only.
pub(crate) fn bench(machine: &Machine) -> Result<()> {
    let scratch = Scratch::new("wine-bench")?;
    let place = |name: &str| scratch.path().join(name);
    let include = root().join("include");
    let original = env::var_os("CR_ORIGINAL").map(PathBuf::from);
    let programs: Vec<(&str, &Path)> =
        [("cr", &*include)].into_iter().chain(original.as_deref().map(|folder| ("original", folder))).collect();
    for (name, include) in &programs {
        let mut host = command(machine.compiler("g++"));
        // The original's header is not free of warnings and of extensions of Microsoft's compiler.
        host.args(["-std=c++17", "-O2", "-static", "-w", "-fpermissive", "-I"]).arg(include);
        host.arg(root().join("benches/windows.cpp"));
        if *name == "cr" {
            host.arg(machine.lib_dir().join("libcr.a"));
        }
        let libraries = libs::native_libs(machine)?;
        host.args(libraries.iter().map(|library| format!("-l{library}")));
        run(host.arg("-o").arg(place(&format!("{name}.exe"))))?;
        let mut guest = command(machine.compiler("gcc"));
        guest.args(["-O2", "-shared", "-w", "-I"]).arg(include).arg(root().join("benches/guest.c"));
        run(guest.arg("-o").arg(place(&format!("{name}.dll"))))?;
    }
    let heading: Vec<String> = programs.iter().map(|(name, _)| format!("{name:>14}")).collect();
    println!("{:16}{}  ns, the median of", "", heading.concat());
    for (what, count) in
        [("update", 100_000), ("update_check", 1_000), ("reload", 100), ("relink", 100), ("crash_rollback", 50)]
    {
        let mut line = format!("{what:16}");
        for (name, _) in &programs {
            let mut wine = command(machine.runner);
            wine.current_dir(scratch.path()).envs(environment(machine));
            wine.arg(place(&format!("{name}.exe"))).args([what, &format!("{name}.dll"), &count.to_string()]);
            // The original does not survive all of it.
            let time = output(&mut wine).map_or("fails".to_owned(), |time| time.trim().to_owned());
            if *name == "cr" && time == "fails" {
                bail!("{what} fails");
            }
            line += &format!("{time:>14}");
        }
        let of = if what.starts_with("update") { format!("9 times {count}") } else { count.to_string() };
        println!("{line}  {of}");
    }
    Ok(())
}
