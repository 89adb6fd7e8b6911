//! What single functions of the library cost, by way of its Rust interface: `cargo bench --package cr-benches`.
//!
//! Whole programs beside the original are measured by `cargo xtask bench`.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A guest in a directory of its own.
struct Guest {
    _directory: TempDir,
    path: PathBuf,
}

impl Guest {
    fn new() -> Guest {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("libguest.so");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut compile = Command::new("cc");
        compile.args(["-O2", "-shared", "-fPIC", "-I"]).arg(root.join("include"));
        let status = compile.arg(root.join("benches/guest.c")).arg("-o").arg(&path).status();
        assert!(status.is_ok_and(|status| status.success()), "the guest does not compile");
        Guest { _directory: directory, path }
    }

    fn open(&self) -> cr::host::Plugin {
        // SAFETY: the guest above, which is made for this.
        let mut plugin = unsafe { cr::host::Plugin::open(&self.path) }.expect("the guest is there");
        plugin.update(true).expect("the guest runs");
        plugin
    }

    /// Makes it newer.
    fn touch(&self, seconds: &mut u64) {
        *seconds += 1;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + *seconds);
        let file = File::options().append(true).open(&self.path);
        file.and_then(|file| file.set_modified(time)).expect("the time can be set");
    }
}

fn functions(criterion: &mut Criterion) {
    let guest = Guest::new();
    let mut plugin = guest.open();
    criterion.bench_function("update without check", |bencher| bencher.iter(|| plugin.update(false)));
    criterion.bench_function("update with check", |bencher| bencher.iter(|| plugin.update(true)));

    let raw = plugin.as_raw();
    // SAFETY: an open plugin and a string.
    let function = unsafe { cr::capi::cr_plugin_symbol(raw, c"guest_function".as_ptr()) };
    // SAFETY: what the guest exports under this name is a function of this type.
    let function = unsafe { std::mem::transmute::<*mut std::ffi::c_void, cr::abi::cr_guest_func>(function) };
    criterion.bench_function("guarded call", |bencher| {
        // SAFETY: an open plugin, and a function of the version that is loaded.
        bencher.iter(|| unsafe { cr::capi::cr_plugin_call(raw, function, std::ptr::null_mut(), std::ptr::null_mut()) });
    });
    // SAFETY: as above.
    let symbol = unsafe { cr::capi::cr_plugin_get_symbol(raw, c"guest_function".as_ptr()) };
    // SAFETY: a handle from above.
    criterion
        .bench_function("symbol of a handle", |bencher| bencher.iter(|| unsafe { cr::capi::cr_symbol_get(symbol) }));
    // SAFETY: a handle from above, not used again.
    unsafe { cr::capi::cr_symbol_free(symbol) };

    let mut seconds = 0;
    criterion.bench_function("reload", |bencher| {
        bencher.iter_batched(|| guest.touch(&mut seconds), |()| plugin.update(true), BatchSize::PerIteration);
    });
    criterion.bench_function("open, update, close", |bencher| bencher.iter(|| guest.open()));
}

criterion_group!(benches, functions);
criterion_main!(benches);
