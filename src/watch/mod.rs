//! Has the file changed?
//!
//! The answer that is always right is `stat`'s: the identity of the file at the path. It is given after every change.
//! Once the file has been the same for a while, the kernel is asked instead whether anything has happened since
//! (`sys::Subscription`), which costs a fraction; where it cannot tell, `stat` goes on.

mod background;

use crate::sys::{self, FileId, FileKind, Subscription};
use background::Lookout;
use core::cell::{Cell, RefCell};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// When a file that was refused is tried once more, although it has not changed: linkers that write through a mapping
/// go on for a while after the system has noted the last change.
const SETTLED: Duration = Duration::from_secs(1);

/// After so many looks at an unchanged file its changes are subscribed to. Hosts that look seldom, and files that
/// change often, do without.
const CALM: u32 = 16;

/// So often the file is looked at although nothing was told, for what no system tells: a write through a mapping that
/// stays open, a file system that is mounted over the path.
const DOUBT: u32 = 64;

/// Watches the guest's file by its identity: device, inode, size and modification time in nanoseconds.
pub(crate) struct Watch {
    path: CString,
    /// The file that was last tried, whether it could be loaded or not.
    tried: Option<FileId>,
    /// The file that was seen at the last change.
    seen: Cell<Option<FileId>>,
    /// When it is tried once more.
    again: Option<Instant>,
    /// Looks since the file has changed, or since the last one that was made in doubt.
    looks: Cell<u32>,
    /// It stays when it is over, until the next one takes what it can from it: ending one takes the kernel a while.
    subscription: RefCell<Option<Subscription>>,
    subscribed: Cell<bool>,
    trust: Cell<Trust>,
    /// The thread that looks at it, if there is one.
    lookout: Option<Lookout>,
}

/// May the file's changes be subscribed to?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Yes,
    /// It was tried in vain; after the next change it is tried again.
    NotNow,
    /// A subscription has kept silent about a change.
    Never,
}

/// What is at the path now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The file that was tried last, a missing one, or an empty one that is yet to be filled.
    Nothing,
    /// Something else.
    Changed(FileId),
}

impl Watch {
    /// With a thread that looks in the `background`, or without.
    pub(crate) fn new(path: CString, background: bool) -> Self {
        Watch {
            lookout: if background { Lookout::new(&path) } else { None },
            path,
            tried: None,
            seen: Cell::new(None),
            again: None,
            looks: Cell::new(0),
            subscription: RefCell::new(None),
            subscribed: Cell::new(false),
            trust: Cell::new(Trust::Yes),
        }
    }

    /// None or one system call, but for the look with which a subscription begins or ends.
    #[inline]
    pub(crate) fn look(&self) -> Seen {
        if let Some(lookout) = &self.lookout
            && self.again.is_none()
            && lookout.is_quiet()
        {
            return Seen::Nothing;
        }
        let looks = self.looks.get();
        self.looks.set(looks.wrapping_add(1));
        if looks < DOUBT && self.subscribed.get() && self.is_quiet() {
            return Seen::Nothing;
        }
        self.look_closely(looks)
    }

    /// Has the subscription told of nothing?
    #[inline]
    fn is_quiet(&self) -> bool {
        self.subscription.borrow().as_ref().is_some_and(Subscription::is_quiet)
    }

    /// At the file itself. `looks` is how many have been made before.
    #[cold]
    fn look_closely(&self, looks: u32) -> Seen {
        if self.subscribed.get() {
            self.looks.set(0);
            // It has told of something, which may be nothing; or it is only doubted.
            self.subscribed.set(looks >= DOUBT);
        } else if looks >= CALM && self.again.is_none() && self.trust.get() == Trust::Yes {
            self.looks.set(0);
            // Before the file is looked at: nothing is missed in between.
            self.subscribe();
        }
        let (seen, same) = self.compare();
        if !same {
            self.looks.set(0);
            if self.subscribed.replace(false) && looks >= DOUBT && self.is_quiet() {
                self.trust.set(Trust::Never);
                self.subscription.replace(None);
            }
        }
        seen
    }

    fn subscribe(&self) {
        let new = Subscription::new(&self.path);
        self.subscribed.set(new.is_some());
        if new.is_none() {
            self.trust.set(Trust::NotNow);
        }
        self.subscription.replace(new);
    }

    /// One `stat`, and whether the file is the one that was tried.
    fn compare(&self) -> (Seen, bool) {
        match sys::stat(&self.path, self.tried) {
            Ok(file) if file.kind == FileKind::Regular && file.id.size == 0 => (Seen::Nothing, false),
            Ok(file) if self.tried == Some(file.id) && self.again.is_none_or(|again| Instant::now() < again) => {
                (Seen::Nothing, true)
            }
            Ok(file) => {
                self.seen.set(Some(file.id));
                (Seen::Changed(file.id), false)
            }
            Err(_) => (Seen::Nothing, false),
        }
    }

    /// From now on this file is no news.
    pub(crate) fn tried(&mut self, id: FileId) {
        self.tried = Some(id);
        self.again = None;
        if let Some(lookout) = &self.lookout {
            lookout.tried(id);
        }
        if self.trust.get() == Trust::NotNow {
            self.trust.set(Trust::Yes);
        }
    }

    /// The same for a file that was refused. False if it was refused before and is still the same.
    pub(crate) fn refused(&mut self, id: FileId) -> bool {
        let first = self.tried != Some(id);
        self.tried(id);
        self.again = first.then(|| Instant::now() + SETTLED);
        first
    }

    /// What was at the path when a change was seen last, which is mostly what is there now.
    pub(crate) fn last_seen(&self) -> Option<FileId> {
        self.seen.get()
    }

    fn last_tried(&self) -> Option<FileId> {
        self.tried
    }

    /// Does the kernel tell of changes now?
    fn is_told(&self) -> bool {
        self.subscribed.get()
    }

    /// Sleeps until it does, or for this time.
    fn wait(&self, limit: Duration) {
        if let Some(subscription) = &*self.subscription.borrow() {
            subscription.wait(limit);
        }
    }
}
