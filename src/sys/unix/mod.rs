//! POSIX systems.

#[cfg(target_vendor = "apple")]
mod apple;
mod bias;
mod context;
mod destructors;
pub(crate) mod fault;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod limit;
mod loader;
mod modules;
#[cfg(target_os = "linux")]
pub(in crate::sys) mod notify;
mod process;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod reuse;
mod stack;
#[cfg(all(target_os = "linux", target_pointer_width = "32"))]
mod statx;
#[cfg(any(target_vendor = "apple", target_os = "android"))]
pub(crate) mod thread;

pub(crate) use destructors::Destructors;
pub(crate) use loader::{Library, lifecycle_arguments};
pub(crate) use modules::modules;
pub(crate) use process::{Process, spawn};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use reuse::{may_reuse_files, take_over};

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::null_mut;
// Elsewhere, plain `stat` knows files of any size.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use libc::{fstat as fstat64, stat as stat64};
// Plain `stat` knows no file larger than 2 GB where pointers have 32 bits.
#[cfg(any(target_os = "linux", target_os = "android"))]
use libc::{fstat64, stat64};
use memmap2::Mmap;
use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What makes a file the same file with the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Of the last modification: seconds and nanoseconds.
    pub(crate) modified: (i64, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    Other,
}

/// What `stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStatus {
    pub(crate) id: FileId,
    pub(crate) kind: FileKind,
    pub(crate) permissions: u32,
    /// How many names it has.
    pub(crate) links: u64,
}

impl From<stat64> for FileStatus {
    // The fields' types differ between systems.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn from(stat: stat64) -> Self {
        let kind = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => FileKind::Regular,
            libc::S_IFDIR => FileKind::Directory,
            _ => FileKind::Other,
        };
        let id = FileId {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        };
        let permissions = u32::from(stat.st_mode) & 0o777;
        FileStatus { id, kind, permissions, links: stat.st_nlink as u64 }
    }
}

/// Looks at a path, following links. One system call, whatever is `known` of it: that is for other systems.
pub(crate) fn stat(path: &CStr, _known: Option<FileId>) -> io::Result<FileStatus> {
    #[cfg(all(target_os = "linux", target_pointer_width = "32"))]
    if let Some(answer) = statx::look(libc::AT_FDCWD, path, 0) {
        return answer;
    }
    let mut buffer = MaybeUninit::uninit();
    // SAFETY: a string and room for the answer.
    if unsafe { stat64(path.as_ptr(), buffer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it.
    Ok(FileStatus::from(unsafe { buffer.assume_init() }))
}

/// Looks at an open file; the same goes for it.
pub(crate) fn identity(file: &File, _known: Option<FileId>) -> io::Result<FileStatus> {
    #[cfg(all(target_os = "linux", target_pointer_width = "32"))]
    if let Some(answer) = statx::look(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH) {
        return answer;
    }
    let mut buffer = MaybeUninit::uninit();
    // SAFETY: an open descriptor and room for the answer.
    if unsafe { fstat64(file.as_raw_fd(), buffer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it.
    Ok(FileStatus::from(unsafe { buffer.assume_init() }))
}

/// What makes a file that was made by us the same file, whatever is in it: device and inode.
pub(crate) type FileNumber = (u64, u64);

/// The number of an open file.
pub(crate) fn number(file: &File) -> io::Result<FileNumber> {
    identity(file, None).map(|file| (file.id.device, file.id.inode))
}

/// A view of all that is in a file.
///
/// # Safety
/// Nobody shortens it while the view is used.
pub(crate) unsafe fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the caller's promise.
    unsafe { Mmap::map(file) }
}

/// The number of the file at a path.
pub(crate) fn number_at(path: &CStr) -> io::Result<FileNumber> {
    stat(path, None).map(|file| (file.id.device, file.id.inode))
}

/// Opens a file for reading. What has taken its place, such as a FIFO, is not waited for.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Creates a file that is not there yet, with this content.
pub(crate) fn write_new(content: &[u8], path: &Path, permissions: u32) -> io::Result<File> {
    new_file(path, permissions, |mut file| file.write_all(content))
}

/// Creates a file that is not there yet, as a copy of the open file `source`, which is at its beginning.
pub(crate) fn copy_new(source: &File, path: &Path, permissions: u32) -> io::Result<File> {
    #[cfg(target_vendor = "apple")]
    if let Some(clone) = apple::clone_new(source, path) {
        return clone;
    }
    new_file(path, permissions, |file| copy(source, file))
}

fn new_file(path: &Path, permissions: u32, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    // Its owner must be able to load it.
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(permissions | 0o400).open(path)?;
    fill(&file).inspect_err(|_| {
        // It may be left: the error that is reported is the first one.
        let _ = remove(path);
    })?;
    Ok(file)
}

#[cfg(target_vendor = "apple")]
pub(crate) use apple::copy;

/// Copies all of an open file, which is at its beginning, into another one; shares the extents in the kernel where the
/// file system can and it is worth it.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn copy(mut source: &File, mut target: &File) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if identity(source, None)?.id.size < WORTH_SHARING {
        return send(source, target);
    }
    io::copy(&mut source, &mut target).map(drop)
}

/// To share extents takes a millisecond or more, and waits until what the linker has just written is on disk: a file
/// that is smaller is copied sooner.
#[cfg(any(target_os = "linux", target_os = "android"))]
const WORTH_SHARING: u64 = 8 << 20;

/// Copies the bytes in the kernel, from memory to memory.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn send(source: &File, target: &File) -> io::Result<()> {
    let most = WORTH_SHARING as usize;
    loop {
        // SAFETY: two open descriptors; the source's own position is used, and moved.
        let sent = unsafe { libc::sendfile(target.as_raw_fd(), source.as_raw_fd(), null_mut(), most) };
        match sent {
            0 => return Ok(()),
            1.. => {}
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}

/// May files whose images are not mapped any more be written to? The kernel of macOS must not see that: it remembers the
/// signatures of what a file has held.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn may_reuse_files() -> bool {
    false
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn take_over(_: &Path, _: &Path, _: impl FnOnce(FileNumber) -> bool) -> Option<(File, u64)> {
    None
}

/// Writes all bytes at this place of a file.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// The number that the system gives the calling thread, as debuggers show it.
pub(crate) fn thread_id() -> u64 {
    #[cfg(target_vendor = "apple")]
    {
        let mut number = 0;
        // SAFETY: room for the answer, about the calling thread (0).
        unsafe { libc::pthread_threadid_np(0, &raw mut number) };
        number
    }
    #[cfg(target_os = "freebsd")]
    // SAFETY: only asks.
    return u64::from(unsafe { libc::pthread_getthreadid_np() }.unsigned_abs());
    #[cfg(not(any(target_vendor = "apple", target_os = "freebsd")))]
    // SAFETY: only asks.
    return unsafe { libc::syscall(libc::SYS_gettid) } as u64;
}

/// Writes all bytes to a descriptor of the caller's.
pub(crate) fn write_to(descriptor: c_int, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: so many bytes are there; a descriptor that is not open is refused.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}

/// Does another program hold the file, so that it is to be had a little later? Nobody can.
pub(crate) fn is_locked(_error: &io::Error) -> bool {
    false
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

/// Does a process of this number exist? Also true if it may not be asked.
pub(crate) fn is_alive(process: u32) -> bool {
    let Ok(process) = libc::pid_t::try_from(process) else { return false };
    // SAFETY: signal 0 only asks.
    let found = unsafe { libc::kill(process, 0) } == 0;
    found || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// A C string as a path: any bytes.
pub(crate) fn os_str(text: &CStr) -> Cow<'_, OsStr> {
    Cow::Borrowed(OsStr::from_bytes(text.to_bytes()))
}

/// A path as a C string. Paths come from C strings or from the system, so there is no NUL in them.
pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// What an image has left behind when its constructors or destructors have crashed: nothing, for the system finds its
/// tables for exceptions by itself.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn forget_frames(_image: Range<usize>, _function: usize) {}

/// Writes words that may lie in memory which is read-only by now; it stays writable. Nothing happens if the system does
/// not allow it.
///
/// # Safety
/// The words are mapped and aligned, and nobody else uses them or what lies between them meanwhile.
pub(crate) unsafe fn write_protected(words: &[(*mut usize, usize)]) {
    let page = page_size();
    let start = words.iter().map(|(word, _)| *word).min().unwrap_or(null_mut());
    let end = words.iter().map(|(word, _)| word.addr()).max().unwrap_or(0).wrapping_add(size_of::<usize>());
    let start = start.map_addr(|address| address & !(page - 1));
    // SAFETY: the pages that the words lie in, and those between, which belong to the same table; a word that is aligned
    // lies in one page.
    let allowed =
        unsafe { libc::mprotect(start.cast(), end.wrapping_sub(start.addr()), libc::PROT_READ | libc::PROT_WRITE) }
            == 0;
    for (word, value) in words.iter().filter(|_| allowed) {
        // SAFETY: the caller's promise, and it is writable now.
        unsafe { word.write(*value) };
    }
}

fn page_size() -> usize {
    // SAFETY: only asks.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
