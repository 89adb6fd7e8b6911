//! The option `CR_WATCH`: a thread looks at the files, and an update only asks what it has seen.
//!
//! There is one thread for all plugins of the process. It starts with the first that asks for it and ends with the last.
//! It sleeps until the kernel tells it of something, or looks at the files every few milliseconds where the kernel does
//! not. It only ever says that nothing has happened: what has, the update finds out for itself.

use super::{Seen, Watch};
use crate::sys::{self, FileId, Process};
use core::sync::atomic::{AtomicBool, Ordering};
use std::ffi::CString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a change may go unseen where the kernel does not tell of it.
const PERIOD: Duration = Duration::from_millis(4);

/// How long a new plugin waits for its first look, and an end for the thread, where the kernel does.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// A file that the thread looks at while this value lives.
pub(super) struct Lookout {
    file: Arc<File>,
    process: Arc<Process>,
}

/// What the thread and a plugin share.
struct File {
    path: CString,
    /// It is the one that was tried.
    quiet: AtomicBool,
    /// The one that the plugin has tried last.
    tried: Mutex<Option<FileId>>,
}

/// The thread and its work.
struct Post {
    files: Vec<Arc<File>>,
    /// Counts the changes of the list.
    changes: u64,
    thread: Option<Thread>,
}

struct Thread {
    handle: JoinHandle<()>,
    /// It is to end.
    end: Arc<AtomicBool>,
    /// The process that it runs in.
    process: Arc<Process>,
}

static POST: Mutex<Post> = Mutex::new(Post { files: Vec::new(), changes: 0, thread: None });

/// Ends a sleep of the thread early.
static WAKE: Condvar = Condvar::new();

impl Lookout {
    /// `None` if there can be no thread.
    pub(super) fn new(path: &CString) -> Option<Lookout> {
        let mut post = Post::lock_in_any_process()?;
        if post.thread.as_ref().is_some_and(|thread| !thread.process.is_same()) {
            // This is a child process: the thread has stayed with the parent, and cannot be waited for.
            core::mem::forget(post.thread.take());
            post.files.clear();
        }
        let process = match &post.thread {
            Some(thread) => Arc::clone(&thread.process),
            None => {
                let (end, process) = (Arc::new(AtomicBool::new(false)), Arc::new(Process::new()?));
                let told = Arc::clone(&end);
                let handle = sys::spawn("cr-watch", move || keep_watch(&told)).ok()?;
                post.thread = Some(Thread { handle, end, process: Arc::clone(&process) });
                process
            }
        };
        let file = File { path: path.clone(), quiet: AtomicBool::new(false), tried: Mutex::new(None) };
        let file = Arc::new(file);
        post.files.push(Arc::clone(&file));
        post.changes += 1;
        Some(Lookout { file, process })
    }

    /// Is the file the one that was tried, as far as the thread has seen? No system call.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.file.quiet.load(Ordering::Acquire) && self.process.is_same()
    }

    /// From now on this file is no news.
    pub(super) fn tried(&self, id: FileId) {
        if self.process.is_same() {
            let mut tried = lock(&self.file.tried);
            *tried = Some(id);
            self.file.quiet.store(false, Ordering::Release);
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if !self.process.is_same() {
            return;
        }
        let mut post = lock(&POST);
        post.files.retain(|file| !Arc::ptr_eq(file, &self.file));
        post.changes += 1;
        let thread = if post.files.is_empty() { post.thread.take() } else { None };
        drop(post);
        if let Some(thread) = thread {
            thread.end.store(true, Ordering::Release);
            WAKE.notify_all();
            // Its code may be unloaded after the last plugin is closed.
            let _ = thread.handle.join();
        }
    }
}

impl Post {
    /// A child process may have been forked while a thread of its parent, which the child does not have, held the lock.
    fn lock_in_any_process() -> Option<MutexGuard<'static, Post>> {
        for _ in 0..100 {
            match POST.try_lock() {
                Ok(post) => return Some(post),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            }
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic would leave behind is still a list of files.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The thread.
fn keep_watch(end: &AtomicBool) {
    let mut watches: Vec<(Arc<File>, Watch)> = Vec::new();
    let mut changes = 0;
    let mut post = lock(&POST);
    while !end.load(Ordering::Acquire) {
        if changes != post.changes {
            changes = post.changes;
            let mut before = std::mem::take(&mut watches);
            for file in &post.files {
                let known = before.iter().position(|(other, _)| Arc::ptr_eq(other, file));
                let watch = known.map(|index| before.swap_remove(index).1);
                let watch = watch.unwrap_or_else(|| Watch::new(file.path.clone(), false));
                watches.push((Arc::clone(file), watch));
            }
        }
        drop(post);
        for (file, watch) in &mut watches {
            file.look(watch);
        }
        match watches.first() {
            Some((_, first)) if watches.iter().all(|(_, watch)| watch.is_told()) => {
                first.wait(LONGEST_SLEEP);
                post = lock(&POST);
            }
            _ => {
                let woken = WAKE.wait_timeout(lock(&POST), PERIOD);
                post = woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
            }
        }
    }
}

impl File {
    /// One look of the thread.
    fn look(&self, watch: &mut Watch) {
        let tried = *lock(&self.tried);
        if let Some(id) = tried
            && watch.last_tried() != tried
        {
            watch.tried(id);
        }
        let quiet = tried.is_some() && watch.look() == Seen::Nothing;
        // Not while the file is looked at, which may take long; so it may have become another meanwhile.
        let now = lock(&self.tried);
        self.quiet.store(quiet && *now == tried, Ordering::Release);
    }
}
