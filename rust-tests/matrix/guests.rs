//! The guests: all edits of a language in one, in its two versions, built by each toolchain.

use crate::fixture::{Guest, Toolchain, guest};
use crate::outcome::Config;
use crate::rows::Row;
use crate::target;
use std::fmt::Write;
use std::process::Command;

/// The source files of the two versions.
pub(crate) fn sources(language: &str, rows: &[Row]) -> (Guest, Guest) {
    if language == "rust" {
        return (rust(rows, |row| row.old, true), rust(rows, |row| row.new, false));
    }
    let name = if language == "c" { "guest.c" } else { "guest.cpp" };
    let variables = |version: fn(&Row) -> &'static str| -> String {
        rows.iter().map(|row| format!("{}\n", version(row))).collect()
    };
    let set: String = rows.iter().map(|row| format!("{}\n", row.set)).collect();
    let mut get = String::new();
    for (slot, row) in rows.iter().enumerate() {
        row.used.iter().for_each(|name| write!(get, "KEEP({name}); ").unwrap());
        writeln!(get, "io[{slot}] = (long long)({});", row.get).unwrap();
    }
    let old = guest(name, &variables(|row| row.old), &format!("(void)io; {set}"));
    let new = guest(name, &variables(|row| row.new), &get);
    let other = if language == "c" { "other.c" } else { "other.cpp" };
    let moved =
        "static int CR_STATE moved = 1; int moved_value(void); int moved_value(void) { KEEP(moved); return moved; }";
    (old, new.with(other, moved))
}

fn rust(rows: &[Row], version: fn(&Row) -> &'static str, old: bool) -> Guest {
    let mut text = String::from(
        "#![allow(static_mut_refs, dead_code, unused_unsafe, unused_macros, unused_parens)]
         use core::ffi::c_void;
         #[repr(C)] pub struct Plugin { p: *mut c_void, userdata: *mut i64, version: u32, failure: u32, next: u32, last: u32 }
         macro_rules! keep { ($x:expr) => { core::hint::black_box(&raw const $x); }; }
         macro_rules! read { ($x:expr) => { (&raw const $x).read_volatile() }; }\n",
    );
    let mut step = String::new();
    for (slot, row) in rows.iter().enumerate() {
        writeln!(text, "{}", version(row)).unwrap();
        if old {
            writeln!(step, "{}", row.set).unwrap();
        } else {
            row.used.iter().for_each(|name| write!(step, "keep!({name}); ").unwrap());
            writeln!(step, "io.add({slot}).write(({}) as i64);", row.get).unwrap();
        }
    }
    write!(
        text,
        "#[unsafe(no_mangle)] pub unsafe extern \"C\" fn cr_main(plugin: *mut Plugin, op: i32) -> i32 {{
            unsafe {{
                let io = (*plugin).userdata;
                if op != 1 {{ return 0 }}
                let _ = io;
                {step}
                (*plugin).version as i32
            }}
        }}\n"
    )
    .unwrap();
    Guest { files: vec![("guest.rs".into(), text)] }
}

/// Builds a guest. None: this machine does not have what it takes.
pub(crate) fn build(guest: &Guest, config: &Config) -> Option<Vec<u8>> {
    let level = if config.level == "o0" { "-O0" } else { "-O2" };
    let debug = if config.debug { "-g" } else { "-g0" };
    let linker = format!("-fuse-ld={}", config.linker);
    if config.compiler != "rustc" {
        let flags: &'static [&'static str] = Vec::leak(vec![level, debug, linker.leak()]);
        return guest.build(Toolchain { compiler: config.compiler, flags });
    }
    let place = tempfile::tempdir().unwrap();
    let (source, library) = (place.path().join("guest.rs"), place.path().join("libguest.so"));
    std::fs::write(&source, &guest.files[0].1).unwrap();
    let mut command = Command::new("rustc");
    command.current_dir(place.path()).args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "guest"]);
    command.args(["-C", if config.level == "o0" { "opt-level=0" } else { "opt-level=2" }]);
    command.args(["-C", if config.debug { "debuginfo=2" } else { "debuginfo=0" }]);
    command.arg("-C").arg(format!("link-arg={linker}"));
    if let Some(directory) = target::find_linker(config.linker) {
        command.arg("-C").arg(format!("link-arg={directory}"));
    }
    let output = command.arg("-o").arg(&library).arg(&source).output().ok()?;
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(std::fs::read(library).unwrap())
}
