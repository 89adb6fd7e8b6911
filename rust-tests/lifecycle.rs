//! The life cycle driven from Rust: a host that uses `cr::host`, and guests that use `cr::guest`.
//!
//! Each test runs again as a child process with a time limit: a hang is a failure, and nothing is left behind.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may

#[path = "../c-tests/support/target.rs"]
mod target;

use cr::abi::{cr_failure, cr_log_level};
use cr::host::{Answer, Event, EventKind, Frame, OnEvent, Options, Plugin};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Runs a test in a process of its own, for at most a minute; emulated machines take longer.
fn in_child(test: &str, body: fn()) {
    const MARK: &str = "CR_TEST_CHILD";
    if std::env::var(MARK).as_deref() == Ok(test) {
        return body();
    }
    // The clock starts when what all guests need is built.
    build("");
    let mut child = target::program(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(MARK, test)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(if target::is_emulated() { 240 } else { 60 });
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "the child ended with {status}");
            return;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the child hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A file name of this system's: that of the guest, or with a number, of its copy.
fn name(version: &str) -> String {
    format!("{}guest{version}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// What this system calls an access to memory that is not there.
const NULL_WRITE: &str = if cfg!(windows) { "EXCEPTION_ACCESS_VIOLATION" } else { "SIGSEGV" };

/// Builds the guest with these features and returns its file.
///
/// With `CR_TEST_RUST_GUESTS` set, as by the test command, it has been built and is in that directory.
fn build(features: &str) -> PathBuf {
    if let Some(directory) = std::env::var_os("CR_TEST_RUST_GUESTS") {
        return Path::new(&directory).join(format!("guest-{features}"));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let triple = target::triple();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    std::fs::create_dir_all(&place).unwrap();
    // Cargo gives all of them one name, and other tests build at the same time.
    let lock = std::fs::File::create(place.join("lock")).unwrap();
    lock.lock().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "-p", "cr-test-guest", "--features", features, "--target", &triple]);
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0"); // the file is copied very often
    let status = cargo.arg("--target-dir").arg(&place).current_dir(root).status().unwrap();
    assert!(status.success(), "the guest does not build");
    let guest = place.join(format!("guest-{features}"));
    let temporary = place.join("next");
    let made = std::env::consts::DLL_PREFIX.to_owned() + "cr_test_guest" + std::env::consts::DLL_SUFFIX;
    std::fs::copy(place.join(triple).join("debug").join(made), &temporary).unwrap();
    std::fs::rename(temporary, &guest).unwrap();
    guest
}

/// A directory with a guest's file in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(guest: &Path) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.install(guest);
        place
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(name(""))
    }

    /// Puts a guest there as a careful build does: a new file under a temporary name, then renamed.
    fn install(&self, guest: &Path) {
        let temporary = self.0.path().join("next");
        std::fs::copy(guest, &temporary).unwrap();
        std::fs::rename(temporary, self.file()).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// What the guest reports: its version, three counters, and the other operations as digits.
type Seen = [i32; 5];

fn open(place: &Place, seen: &mut Seen) -> Plugin {
    // SAFETY: the guest is the one in rust-tests/guest.
    let mut plugin = unsafe { Plugin::open(place.file()) }.unwrap();
    plugin.set_userdata(seen.as_mut_ptr().cast());
    plugin
}

#[test]
fn a_reload_carries_tagged_and_zero_initialised_statics() {
    in_child("a_reload_carries_tagged_and_zero_initialised_statics", || {
        let place = Place::new(&build(""));
        let mut seen = Seen::default();
        let mut plugin = open(&place, &mut seen);
        assert_eq!(plugin.version(), 0);
        assert_eq!(plugin.update(true), Ok(1));
        assert_eq!(seen, [1, 100, 0, 1, 1]);
        assert_eq!(plugin.update(true), Ok(1));
        assert_eq!(seen, [1, 101, 1, 2, 1]);

        place.install(&build("second"));
        assert_eq!(plugin.update(false), Ok(1), "without the check it goes on");
        assert_eq!(plugin.update(true), Ok(2));
        assert_eq!(seen, [2, 103, 3, 1, 131], "UNLOAD and LOAD; the untagged counter starts anew");
        assert_eq!(place.files(), [name(""), name("1"), name("2")]);
        drop(plugin);
        assert_eq!(seen[4], 1314, "CLOSE");
        assert_eq!(place.files(), [name("")], "no copies are left");
    });
}

#[test]
fn a_crash_is_reported_and_rolled_back() {
    in_child("a_crash_is_reported_and_rolled_back", || {
        let place = Place::new(&build(""));
        let mut seen = Seen::default();
        let mut plugin = open(&place, &mut seen);
        assert_eq!(plugin.update(true), Ok(1));
        place.install(&build("crashing"));
        assert_eq!(plugin.update(true), Ok(2));
        let failure = plugin.update(true).unwrap_err();
        assert_eq!((failure.value, failure.failure), (-1, cr_failure::CR_SEGFAULT as u32));
        assert_eq!(failure.text, format!("{NULL_WRITE} at address 0x0 in CR_STEP of version 2"));
        assert_eq!(plugin.version(), 1);
        let crash = plugin.crash().unwrap();
        assert_eq!((crash.version(), crash.operation().as_ref()), (2, "CR_STEP"));
        assert!(crash.to_string().contains(" in CR_STEP of version 2, thread "), "{crash}");
        if cfg!(target_os = "linux") {
            let is =
                |frame: &Frame<'_>, name| frame.function.as_deref().is_some_and(|function| function.ends_with(name));
            // `cr_main` has nothing to do but to call `run`: an optimiser jumps there.
            let is_caller = |frame: Frame<'_>| is(&frame, "cr_main") || is(&frame, "cr::guest::run");
            let mut frames = crash.frames();
            assert!(frames.any(|frame| is(&frame, "::main")) && frames.any(is_caller), "{crash}");
        }
        assert_eq!(plugin.update(true), Ok(1), "rolled back");
        assert_eq!(seen[1], 101, "the state of the last unload");

        place.install(&build("second"));
        assert_eq!(plugin.update(true), Ok(3), "numbers are not used twice");
    });
}

#[test]
fn a_refused_file_that_is_completed_without_a_trace_is_loaded() {
    in_child("a_refused_file_that_is_completed_without_a_trace_is_loaded", || {
        let place = Place::new(&build(""));
        let mut seen = Seen::default();
        let mut plugin = open(&place, &mut seen);
        assert_eq!(plugin.update(true), Ok(1));
        // A linker that writes through a mapping: the file has its size, but its beginning is not yet written, and
        // the time of the last change does not move any more.
        let complete = std::fs::read(build("second")).unwrap();
        let mut partial = complete.clone();
        partial[..4096].fill(0);
        std::fs::write(place.file(), &partial).unwrap();
        assert_eq!(plugin.update(true).unwrap_err().failure, cr_failure::CR_BAD_IMAGE as u32);
        assert_eq!(plugin.update(true), Ok(1), "reported once");
        let time = std::fs::metadata(place.file()).unwrap().modified().unwrap();
        std::fs::write(place.file(), &complete).unwrap();
        std::fs::File::options().write(true).open(place.file()).unwrap().set_modified(time).unwrap();
        while plugin.version() == 1 {
            assert!(plugin.update(true).is_ok(), "it is not reported again");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!((plugin.version(), seen[0]), (2, 2));
    });
}

#[test]
fn a_panic_is_a_user_failure() {
    in_child("a_panic_is_a_user_failure", || {
        let place = Place::new(&build("panicking"));
        let mut seen = Seen::default();
        let mut plugin = open(&place, &mut seen);
        assert_eq!(plugin.update(true), Ok(1));
        let failure = plugin.update(true).unwrap_err();
        assert_eq!((failure.value, failure.failure), (-1, cr_failure::CR_USER as u32));
        assert_eq!(plugin.version(), 1, "the version is kept");
        assert_eq!(plugin.update(true), Ok(1), "and loaded again");
        assert_eq!(seen[3], 1, "from its start");
    });
}

#[test]
fn each_thread_has_its_own_plugin() {
    in_child("each_thread_has_its_own_plugin", || {
        let guest = build("crashing");
        let threads = (0..4).map(|_| {
            let guest = guest.clone();
            std::thread::spawn(move || {
                let place = Place::new(&guest);
                let mut seen = Seen::default();
                let mut plugin = open(&place, &mut seen);
                assert_eq!(plugin.update(true), Ok(1));
                for round in 1..30 {
                    place.install(&guest);
                    assert_eq!(plugin.update(true), Ok(2 * round), "loaded");
                    place.install(&guest);
                    assert_eq!(plugin.update(true), Ok(2 * round + 1), "reloaded before it crashes");
                    assert_eq!(plugin.update(true).unwrap_err().value, -1, "crashed");
                    assert_eq!(plugin.update(true), Ok(2 * round), "rolled back");
                }
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_missing_file_and_a_directory_are_errors() {
    // SAFETY: nothing is loaded.
    let missing = unsafe { Plugin::open("/nowhere/libguest.so") }.unwrap_err();
    let start = if cfg!(windows) { "cannot find " } else { "cannot find /nowhere/libguest.so: No such file" };
    assert!(missing.to_string().starts_with(start), "{missing}");
    let place = tempfile::tempdir().unwrap();
    // SAFETY: nothing is loaded.
    let directory = unsafe { Plugin::open(place.path()) }.unwrap_err();
    assert!(directory.to_string().ends_with("is not a regular file"), "{directory}");
}

#[test]
fn options_choose_entry_place_and_log() {
    in_child("options_choose_entry_place_and_log", || {
        static LOG: Mutex<Vec<(cr_log_level, String)>> = Mutex::new(Vec::new());
        let place = Place::new(&build(""));
        let copies = tempfile::tempdir().unwrap();
        let options = Options {
            main_func: c"another_main".into(),
            temporary_path: Some(std::ffi::CString::new(copies.path().to_str().unwrap()).unwrap()),
            log: Some(|level, message| LOG.lock().unwrap().push((level, message.to_owned()))),
            ..Options::default()
        };
        // SAFETY: the guest is the one in rust-tests/guest.
        let mut plugin = unsafe { Plugin::open_with(place.file(), &options) }.unwrap();
        let failure = plugin.update(true).unwrap_err();
        assert_eq!(failure.text, "the image does not export another_main");
        let log = LOG.lock().unwrap();
        assert!(log.contains(&(cr_log_level::CR_LOG_LEVEL_ERROR, failure.text)), "{log:?}");

        let options = Options { main_func: c"cr_main".into(), log: None, ..options };
        let mut seen = Seen::default();
        // SAFETY: as above.
        let mut plugin = unsafe { Plugin::open_with(place.file(), &options) }.unwrap();
        plugin.set_userdata(seen.as_mut_ptr().cast());
        assert_eq!(plugin.update(true), Ok(1));
        assert_eq!(place.files(), [name("")]);
        assert!(copies.path().join(name("1")).exists());
    });
}

#[test]
fn events_are_told_and_answered() {
    in_child("events_are_told_and_answered", || {
        let place = Place::new(&build(""));
        let (told, answer) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(Answer::CR_GO_ON)));
        let (notes, choice) = (Rc::clone(&told), Rc::clone(&answer));
        let on_event = OnEvent::new(move |event: &Event<'_>| {
            let names =
                event.state.map(|report| report.entries().map(|entry| entry.name.to_owned()).collect::<Vec<_>>());
            notes.borrow_mut().push((event.kind, event.version, event.failure, event.text.to_owned(), names));
            choice.get()
        });
        let kinds = || told.borrow_mut().drain(..).map(|(kind, version, ..)| (kind, version)).collect::<Vec<_>>();
        let options = Options {
            on_event: Some(on_event),
            build_lock: Some(c"lock".into()),
            keep_generations: 2,
            hang_limit: Some(Duration::from_secs(30)),
            ..Options::default()
        };
        let mut seen = Seen::default();
        // SAFETY: the guest is the one in rust-tests/guest.
        let mut plugin = unsafe { Plugin::open_with(place.file(), &options) }.unwrap();
        drop(options);
        plugin.set_userdata(seen.as_mut_ptr().cast());
        assert_eq!(plugin.update(true), Ok(1));
        assert_eq!(kinds(), [(EventKind::CR_EVENT_LOADED, 1)]);

        place.install(&build("second"));
        let lock = place.0.path().join("lock");
        std::fs::write(&lock, "").unwrap();
        assert_eq!(plugin.update(true), Ok(1), "a build is under way");
        assert_eq!(kinds(), []);
        std::fs::remove_file(lock).unwrap();
        answer.set(Answer::CR_DEFER);
        assert_eq!(plugin.update(true), Ok(1));
        assert_eq!(kinds(), [(EventKind::CR_EVENT_CHANGED, 2)]);
        answer.set(Answer::CR_GO_ON);
        assert_eq!(plugin.update(true), Ok(2));
        let carried = told.borrow().iter().find(|event| event.0 == EventKind::CR_EVENT_STATE_CARRIED).cloned().unwrap();
        let names = carried.4.unwrap();
        assert!(names.is_empty() || names.iter().any(|name| name.ends_with("TAGGED") || name == ".state"), "{names:?}");
        let expected = [
            (EventKind::CR_EVENT_CHANGED, 2),
            (EventKind::CR_EVENT_BEFORE_UNLOAD, 1),
            (EventKind::CR_EVENT_AFTER_UNLOAD, 1),
            (EventKind::CR_EVENT_STATE_CARRIED, 2),
            (EventKind::CR_EVENT_LOADED, 2),
        ];
        assert_eq!(kinds(), expected);

        place.install(&build("crashing"));
        assert_eq!(plugin.update(true), Ok(3));
        kinds();
        answer.set(Answer::CR_STOP);
        assert_eq!(plugin.update(true).unwrap_err().value, -1);
        let (kind, version, failure, text, _) = told.borrow()[0].clone();
        assert_eq!((kind, version, failure), (EventKind::CR_EVENT_CRASH, 3, cr_failure::CR_SEGFAULT as u32));
        assert!(text.starts_with(NULL_WRITE), "{text}");
        assert_eq!(plugin.update(true).unwrap_err().value, -2, "it stays down until there is another file");
        told.borrow_mut().clear();
        drop(plugin);
        assert_eq!(kinds().last(), Some(&(EventKind::CR_EVENT_CLOSED, 2)));
        assert_eq!(Rc::strong_count(&told), 1, "the function goes with the plugin");
    });
}
