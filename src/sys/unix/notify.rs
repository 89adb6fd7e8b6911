//! Notification of changes by the kernel: inotify.
//!
//! A check costs one `ioctl` that asks how many bytes of events wait: a fifth of the time of a `stat`, and harmless even
//! if the descriptor is not ours any more. There is one instance for the process, as systems allow a user few.
//!
//! What is watched is not names but the inodes along the path, from the root to the file: every directory and symbolic
//! link for being moved or removed, the file for every change. As long as none of them has had an event, the path leads
//! to the same file with the same content. Once something has happened, the subscription has served its time.

use super::{Process, c_path};
use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

/// Where its number is not in the way of a host that counts on low ones, and is not soon given to another file should
/// the host close all that it does not know.
const DESCRIPTOR: libc::rlim_t = 1000;

/// As many symbolic links as the kernel follows.
const LINKS: usize = 40;

/// Of a directory: the path leads elsewhere, or nowhere. What happens inside it does not matter.
const OF_DIRECTORY: u32 = libc::IN_MOVE_SELF | libc::IN_DELETE_SELF | libc::IN_ONLYDIR;
/// Of a file or link: also its content, its time, and how many names it has, which is how a replaced file learns of it.
const OF_FILE: u32 =
    libc::IN_MOVE_SELF | libc::IN_DELETE_SELF | libc::IN_ATTRIB | libc::IN_MODIFY | libc::IN_CLOSE_WRITE;

/// The inodes along one path are watched while it lives.
pub(crate) struct Subscription {
    instance: Arc<Instance>,
    watches: Vec<c_int>,
    /// Something has happened to one of them.
    rung: Arc<AtomicBool>,
}

/// An inotify instance, shared by all subscriptions.
struct Instance {
    descriptor: c_int,
    /// Someone has closed it; the number may be that of the next instance by now.
    lost: AtomicBool,
    process: Process,
    /// Events are being taken from the queue; those who find it empty have to wait for what was in it.
    draining: AtomicBool,
    /// Who wants to know of the events of each watch.
    subscribers: Mutex<BTreeMap<c_int, Vec<Arc<AtomicBool>>>>,
}

static CURRENT: Mutex<Weak<Instance>> = Mutex::new(Weak::new());

impl Subscription {
    /// Watches everything that decides what is found at `path`. `None`: this system, or one of the file systems along
    /// the path, does not tell of every change, or a limit is reached.
    ///
    /// What happens after it has returned is told; what happened before has to be looked for.
    pub(crate) fn new(path: &CStr) -> Option<Subscription> {
        let instance = Instance::current()?;
        // What has been told before is no news.
        instance.drain();
        let mut subscription = Subscription { instance, watches: Vec::new(), rung: Arc::default() };
        subscription.follow(Path::new(&super::os_str(path)))?;
        Some(subscription)
    }

    /// Has nothing happened to the path since the subscription was made? One system call. False also if it cannot be
    /// told any more.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        // A child process shares the queue with its parent: what one reads is lost for the other.
        if !self.instance.process.is_same() || self.instance.lost.load(Ordering::Acquire) {
            return false;
        }
        match self.instance.waiting() {
            Ok(0) => {}
            Ok(_) => self.instance.drain(),
            Err(_) => return false,
        }
        // Who has emptied the queue set this before; the kernel's lock on the queue puts that before our question.
        if self.instance.draining.load(Ordering::Acquire) {
            drop(self.instance.lock());
        }
        !self.rung.load(Ordering::Acquire)
    }

    /// Sleeps until something happens to any subscription, or for this time.
    pub(crate) fn wait(&self, limit: Duration) {
        let mut poll = libc::pollfd { fd: self.instance.descriptor, events: libc::POLLIN, revents: 0 };
        let milliseconds = c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: one entry. A signal that ends it early does no harm.
        unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
        if poll.revents & !libc::POLLIN != 0 {
            // Someone has closed the descriptor: no reason to run in circles.
            std::thread::sleep(limit);
        }
    }

    /// Goes along the path as the kernel does, and watches each inode before it looks at the next name.
    fn follow(&mut self, path: &Path) -> Option<()> {
        let mut links = 0;
        let mut here = PathBuf::new();
        let mut reliable_device = None;
        let mut names: Vec<PathBuf> = Vec::new();
        push_reversed(&mut names, path);
        while let Some(name) = names.pop() {
            match name.components().next()? {
                Component::ParentDir => {
                    here.pop();
                    continue;
                }
                _ => here.push(name),
            }
            let place = c_path(&here);
            let status = status_of_link(&place).ok()?;
            if reliable_device != Some(status.st_dev) {
                reliable_device = is_reliable(file_system(&place).ok()?).then_some(status.st_dev);
                reliable_device?;
            }
            let kind = status.st_mode & libc::S_IFMT;
            let mask = if kind == libc::S_IFDIR { OF_DIRECTORY } else { OF_FILE };
            let watch = self.instance.watch(&place, mask | libc::IN_DONT_FOLLOW, &self.rung)?;
            self.watches.push(watch);
            if kind == libc::S_IFLNK {
                links += 1;
                let target = std::fs::read_link(&here).ok()?;
                here.pop();
                push_reversed(&mut names, &target);
            }
            if links > LINKS {
                return None;
            }
        }
        Some(())
    }
}

/// The names of a path, the last one first; the root counts as one.
fn push_reversed(names: &mut Vec<PathBuf>, path: &Path) {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    names.extend(parts.rev().map(|part| PathBuf::from(part.as_os_str())));
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // The parent's watches are not the child's to remove.
        if self.instance.process.is_same() {
            self.instance.forget(&self.watches, &self.rung);
        }
    }
}

impl Instance {
    /// The instance of this process.
    fn current() -> Option<Arc<Instance>> {
        // Held by a thread that does not exist in this child process, it would never be free.
        let mut current = CURRENT.try_lock().ok()?;
        if let Some(instance) = current.upgrade()
            && instance.process.is_same()
        {
            if instance.is_ours() {
                return Some(instance);
            }
            instance.lost.store(true, Ordering::Release);
        }
        let instance = Arc::new(Instance::new()?);
        *current = Arc::downgrade(&instance);
        Some(instance)
    }

    fn new() -> Option<Instance> {
        let process = Process::new()?;
        // SAFETY: makes a new descriptor.
        let low = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if low < 0 {
            return None;
        }
        let mut limit = libc::rlimit { rlim_cur: DESCRIPTOR, rlim_max: DESCRIPTOR };
        // SAFETY: room for the answer; if there is none, the value above stands.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        let least = limit.rlim_cur.saturating_sub(1).min(DESCRIPTOR);
        // SAFETY: makes another descriptor of the same file.
        let descriptor = unsafe { libc::fcntl(low, libc::F_DUPFD_CLOEXEC, least as c_int) };
        // SAFETY: our own descriptor, made above.
        unsafe { libc::close(low) };
        let new = Instance {
            descriptor,
            lost: AtomicBool::new(false),
            process,
            draining: AtomicBool::new(false),
            subscribers: Mutex::default(),
        };
        (descriptor >= 0).then_some(new)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<c_int, Vec<Arc<AtomicBool>>>> {
        // What a panic would leave behind is still a list of subscribers.
        self.subscribers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How many bytes of events wait.
    #[inline]
    fn waiting(&self) -> Result<c_int, ()> {
        let mut bytes = 0;
        // SAFETY: room for the answer. On a descriptor that is no longer ours it asks the same question.
        let result = unsafe { libc::ioctl(self.descriptor, libc::FIONREAD, &raw mut bytes) };
        if result == 0 { Ok(bytes) } else { Err(()) }
    }

    /// Is the descriptor still that of an inotify instance? The host may have closed it and got its number again.
    fn is_ours(&self) -> bool {
        if self.lost.load(Ordering::Acquire) {
            return false;
        }
        let link = std::fs::read_link(format!("/proc/self/fd/{}", self.descriptor));
        link.is_ok_and(|link| link.as_os_str() == "anon_inode:inotify")
    }

    /// Watches an inode for a subscriber.
    fn watch(&self, path: &CString, mask: u32, rung: &Arc<AtomicBool>) -> Option<c_int> {
        let mut subscribers = self.lock();
        // SAFETY: a string and a descriptor, which `current` has found to be ours.
        let watch = unsafe { libc::inotify_add_watch(self.descriptor, path.as_ptr(), mask) };
        if watch < 0 {
            return None;
        }
        subscribers.entry(watch).or_default().push(Arc::clone(rung));
        Some(watch)
    }

    /// Ends the watches that nobody else wants.
    fn forget(&self, watches: &[c_int], rung: &Arc<AtomicBool>) {
        let mut subscribers = self.lock();
        let ours = self.is_ours();
        for watch in watches {
            let Some(list) = subscribers.get_mut(watch) else { continue };
            list.retain(|other| !Arc::ptr_eq(other, rung));
            if list.is_empty() {
                subscribers.remove(watch);
                if ours {
                    // SAFETY: our own descriptor. It fails if the inode is gone, and the watch with it.
                    unsafe { libc::inotify_rm_watch(self.descriptor, *watch) };
                }
            }
        }
    }

    /// Takes all events from the queue and tells those whom they concern.
    fn drain(&self) {
        let mut subscribers = self.lock();
        if !self.is_ours() {
            subscribers.values().flatten().for_each(ring);
            return;
        }
        self.draining.store(true, Ordering::SeqCst);
        let mut buffer = [0_u8; 4096];
        loop {
            // SAFETY: room for that many bytes, and a descriptor that was found to be ours; it does not block.
            let length = unsafe { libc::read(self.descriptor, buffer.as_mut_ptr().cast(), buffer.len()) };
            let Some(mut events) = usize::try_from(length).ok().and_then(|length| buffer.get(..length)) else { break };
            if events.is_empty() {
                break;
            }
            while let Some((event, rest)) = Event::split(events) {
                events = rest;
                if event.mask & libc::IN_Q_OVERFLOW != 0 {
                    subscribers.values().flatten().for_each(ring);
                } else if let Some(list) = subscribers.get(&event.watch) {
                    list.iter().for_each(ring);
                    // The inode is gone; its number will not be used again soon.
                    if event.mask & libc::IN_IGNORED != 0 {
                        subscribers.remove(&event.watch);
                    }
                }
            }
        }
        self.draining.store(false, Ordering::Release);
    }
}

fn ring(rung: &Arc<AtomicBool>) {
    rung.store(true, Ordering::Release);
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.descriptor >= 0 && self.is_ours() {
            // SAFETY: our own descriptor, in this process as in the one that made it.
            unsafe { libc::close(self.descriptor) };
        }
    }
}

/// One event: `struct inotify_event`, of which the cookie and the name do not matter.
struct Event {
    watch: c_int,
    mask: u32,
}

impl Event {
    /// The first event, and what is behind it.
    fn split(bytes: &[u8]) -> Option<(Event, &[u8])> {
        let (watch, bytes) = bytes.split_first_chunk::<4>()?;
        let (mask, bytes) = bytes.split_first_chunk::<4>()?;
        let (_cookie, bytes) = bytes.split_first_chunk::<4>()?;
        let (length, bytes) = bytes.split_first_chunk::<4>()?;
        let rest = bytes.get(u32::from_ne_bytes(*length) as usize..)?;
        Some((Event { watch: c_int::from_ne_bytes(*watch), mask: u32::from_ne_bytes(*mask) }, rest))
    }
}

/// Does this kind of file system tell of every change, whoever makes it? Its number is that of statfs(2).
///
/// Only those of local disks and of memory, where nobody but this kernel writes. Network file systems, FUSE, the file
/// systems of virtual machines (9p, virtiofs) and of the kernel itself, and overlays, whose layers may be written to
/// behind their back, are not among them.
fn is_reliable(file_system: u64) -> bool {
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const TMPFS: u64 = 0x0102_1994;
    const F2FS: u64 = 0xf2f5_2010;
    const BCACHEFS: u64 = 0xca45_1a4e;
    const ZFS: u64 = 0x2fc1_2fc1;
    [EXT, XFS, BTRFS, TMPFS, F2FS, BCACHEFS, ZFS].contains(&file_system)
}

fn file_system(path: &CString) -> io::Result<u64> {
    let mut buffer = MaybeUninit::uninit();
    // SAFETY: a string and room for the answer.
    if unsafe { libc::statfs64(path.as_ptr(), buffer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it.
    let status = unsafe { buffer.assume_init() };
    #[allow(clippy::unnecessary_cast)] // its width and sign differ between systems
    Ok(u64::from(status.f_type as u32))
}

fn status_of_link(path: &CString) -> io::Result<libc::stat64> {
    let mut buffer = MaybeUninit::uninit();
    // SAFETY: a string and room for the answer.
    if unsafe { libc::lstat64(path.as_ptr(), buffer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it.
    Ok(unsafe { buffer.assume_init() })
}
