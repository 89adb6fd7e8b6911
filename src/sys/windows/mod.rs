//! Windows.

#[cfg(target_arch = "x86")]
mod chain;
mod destructors;
pub(crate) mod fault;
#[cfg(all(target_arch = "x86", target_env = "gnu"))]
mod frames;
pub(crate) mod limit;
mod loader;
mod machine;
mod modules;
pub(crate) mod notify;
mod runtime;
#[cfg(not(target_arch = "x86"))]
mod tables;

#[cfg(target_arch = "x86")]
use chain::unwind;
pub(crate) use destructors::Destructors;
#[cfg(all(target_arch = "x86", target_env = "gnu"))]
pub(crate) use frames::forget_frames;
pub(crate) use loader::{Library, lifecycle_arguments};
pub(crate) use modules::modules;
#[cfg(not(target_arch = "x86"))]
use tables::unwind;

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
#[cfg(not(all(target_arch = "x86", target_env = "gnu")))]
use core::ops::Range;
use memmap2::{Mmap, MmapOptions};
use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_INVALID_PARAMETER, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, HANDLE, NTSTATUS,
    RtlNtStatusToDosError, WAIT_OBJECT_0,
};
use windows_sys::Win32::Globalization::{CP_ACP, MultiByteToWideChar};
use windows_sys::Win32::Storage::FileSystem as files;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Memory::{PAGE_READWRITE, VirtualProtect};
use windows_sys::Win32::System::Threading::{
    GetCurrentThreadId, OpenProcess, PROCESS_SYNCHRONIZE, WaitForSingleObject,
};

/// What an image has left behind when its constructors or destructors have crashed: nothing, where the system finds its
/// tables for exceptions by itself.
///
/// # Safety
/// None is needed.
#[cfg(not(all(target_arch = "x86", target_env = "gnu")))]
pub(crate) unsafe fn forget_frames(_image: Range<usize>, _function: usize) {}

/// What makes a file the same file with the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    /// The volume's serial number.
    pub(crate) device: u64,
    /// The file's index on the volume.
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Of the last modification: seconds and nanoseconds, in steps of 100.
    pub(crate) modified: (i64, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    Other,
}

/// What the system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStatus {
    pub(crate) id: FileId,
    pub(crate) kind: FileKind,
    /// None: a copy inherits the rights of its directory.
    pub(crate) permissions: u32,
}

/// Looks at a path, following links. `known` is as for [`identity`].
///
/// The file is opened for its attributes alone, which neither a linker that is writing it nor a scanner can forbid.
pub(crate) fn stat(path: &CStr, known: Option<FileId>) -> io::Result<FileStatus> {
    identity(&open_to_look(path)?, known)
}

fn open_to_look(path: &CStr) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Without the flag a directory could not be opened, and would not be told from a missing file.
    options.access_mode(files::FILE_READ_ATTRIBUTES).custom_flags(files::FILE_FLAG_BACKUP_SEMANTICS);
    options.open(os_str(path))
}

/// Looks at an open file. `known` is what it probably is: if all the rest is the same, its volume is not asked for, which
/// takes wine three hundred times as long as the rest.
pub(crate) fn identity(file: &File, known: Option<FileId>) -> io::Result<FileStatus> {
    if let Some(status) = known.and_then(|known| as_known(file, known)) {
        return Ok(status);
    }
    let mut buffer = MaybeUninit::<files::BY_HANDLE_FILE_INFORMATION>::uninit();
    // SAFETY: an open handle and room for the answer.
    if unsafe { files::GetFileInformationByHandle(file.as_raw_handle(), buffer.as_mut_ptr()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and has filled it.
    let found = unsafe { buffer.assume_init() };
    // SAFETY: an open handle.
    let kind = match unsafe { files::GetFileType(file.as_raw_handle()) } {
        files::FILE_TYPE_DISK if found.dwFileAttributes & files::FILE_ATTRIBUTE_DIRECTORY == 0 => FileKind::Regular,
        files::FILE_TYPE_DISK => FileKind::Directory,
        _ => FileKind::Other,
    };
    let wide = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let time = wide(found.ftLastWriteTime.dwHighDateTime, found.ftLastWriteTime.dwLowDateTime).cast_signed();
    let id = FileId {
        device: found.dwVolumeSerialNumber.into(),
        inode: wide(found.nFileIndexHigh, found.nFileIndexLow),
        size: wide(found.nFileSizeHigh, found.nFileSizeLow),
        modified: (time / 10_000_000, time % 10_000_000 * 100),
    };
    Ok(FileStatus { id, kind, permissions: 0 })
}

/// What is told of a file that is the known one, but for its volume. None: it is another one, or nobody knows.
fn as_known(file: &File, known: FileId) -> Option<FileStatus> {
    let found: Details = query(file).ok()?;
    let time = found.modified;
    let id = FileId {
        device: known.device,
        inode: number(file).ok()?.cast_unsigned(),
        size: found.size.cast_unsigned(),
        modified: (time / 10_000_000, time % 10_000_000 * 100),
    };
    let directory = found.attributes & files::FILE_ATTRIBUTE_DIRECTORY != 0;
    let kind = if directory { FileKind::Directory } else { FileKind::Regular };
    (id == known).then_some(FileStatus { id, kind, permissions: 0 })
}

/// FILE_NETWORK_OPEN_INFORMATION.
#[derive(Default)]
#[repr(C)]
struct Details {
    created: i64,
    accessed: i64,
    modified: i64,
    changed: i64,
    allocated: i64,
    size: i64,
    attributes: u32,
}

/// Something that the system tells of an open file.
///
/// # Safety
/// It is the structure that the system has for the class, and consists of numbers.
unsafe trait Answer: Default {
    const CLASS: c_int;
}

// SAFETY: FileNetworkOpenInformation has this one.
unsafe impl Answer for Details {
    const CLASS: c_int = 34;
}

// SAFETY: FileInternalInformation is one number.
unsafe impl Answer for FileNumber {
    const CLASS: c_int = 6;
}

/// What makes a file that was made by us the same file, whatever is in it: the index on the volume, on which it stays.
pub(crate) type FileNumber = i64;

/// The number of an open file.
pub(crate) fn number(file: &File) -> io::Result<FileNumber> {
    query(file)
}

fn query<A: Answer>(file: &File) -> io::Result<A> {
    // windows-sys has this function among those for drivers, whose import library would become a part of ours.
    #[link(name = "ntdll")]
    unsafe extern "system" {
        fn NtQueryInformationFile(
            file: HANDLE,
            status: *mut IO_STATUS_BLOCK,
            information: *mut c_void,
            length: u32,
            class: c_int,
        ) -> NTSTATUS;
    }
    let mut answer = A::default();
    let mut status = IO_STATUS_BLOCK::default();
    let (room, length) = ((&raw mut answer).cast(), size_of::<A>() as u32);
    let file = file.as_raw_handle();
    // SAFETY: an open handle, and room for the answers; this one is what the class has.
    let result = unsafe { NtQueryInformationFile(file, &raw mut status, room, length, A::CLASS) };
    if result < 0 {
        // SAFETY: only translates a number.
        return Err(io::Error::from_raw_os_error(unsafe { RtlNtStatusToDosError(result) }.cast_signed()));
    }
    Ok(answer)
}

/// The number of the file at a path.
pub(crate) fn number_at(path: &CStr) -> io::Result<FileNumber> {
    number(&open_to_look(path)?)
}

/// A view of all that is in a file.
///
/// # Safety
/// Nobody shortens it while the view is used.
pub(crate) unsafe fn map(file: &File) -> io::Result<Mmap> {
    let found: Details = query(file)?;
    let length = usize::try_from(found.size).map_err(io::Error::other)?;
    // SAFETY: the caller's promise. It would ask for the length itself, and with it for the volume.
    unsafe { MmapOptions::new().len(length).map(file) }
}

/// Opens a file for reading.
pub(crate) fn open_existing(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Creates a file that is not there yet, with this content.
pub(crate) fn write_new(content: &[u8], path: &Path, _permissions: u32) -> io::Result<File> {
    new_file(path, |mut file| file.write_all(content))
}

/// Creates a file that is not there yet, as a copy of the open file `source`, which is at its beginning.
pub(crate) fn copy_new(source: &File, path: &Path, _permissions: u32) -> io::Result<File> {
    new_file(path, |file| copy(source, file))
}

/// May files whose images are not mapped any more be written to? Here others that look into everything new may still
/// have them open.
pub(crate) fn may_reuse_files() -> bool {
    false
}

pub(crate) fn take_over(_: &Path, _: &Path, _: impl FnOnce(FileNumber) -> bool) -> Option<(File, u64)> {
    None
}

/// Copies all of an open file, which is at its beginning, into another one.
pub(crate) fn copy(mut source: &File, mut target: &File) -> io::Result<()> {
    io::copy(&mut source, &mut target).map(drop)
}

fn new_file(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    if let Err(error) = fill(&file) {
        // A file that is open cannot be removed. It may be left: the error that is reported is the first one.
        drop(file);
        let _ = remove(path);
        return Err(error);
    }
    Ok(file)
}

/// Writes all bytes at this place of a file.
pub(crate) fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

/// The number that the system gives the calling thread, as debuggers show it.
pub(crate) fn thread_id() -> u64 {
    // SAFETY: only asks.
    u64::from(unsafe { GetCurrentThreadId() })
}

/// Writes all bytes to a descriptor of the caller's, in the C runtime that this library uses.
pub(crate) fn write_to(descriptor: c_int, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let length = bytes.len().min(c_int::MAX as usize) as u32;
        // SAFETY: so many bytes are there; a descriptor that is not open is refused.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), length) };
        match usize::try_from(written) {
            Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
            _ => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

/// Does another program hold the file, so that it is to be had a little later?
pub(crate) fn is_locked(error: &io::Error) -> bool {
    let locks = [ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION];
    error.raw_os_error().is_some_and(|code| locks.contains(&code.cast_unsigned()))
}

/// Removes a file. A scanner that is just looking at it is waited for, for a moment.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    for _ in 0..4 {
        match fs::remove_file(path) {
            Err(error) if is_locked(&error) => std::thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
    fs::remove_file(path)
}

/// Does a process of this number exist? Also true if it may not be asked.
pub(crate) fn is_alive(process: u32) -> bool {
    // SAFETY: only asks.
    let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, process) };
    if handle.is_null() {
        return io::Error::last_os_error().raw_os_error() != Some(ERROR_INVALID_PARAMETER.cast_signed());
    }
    // SAFETY: the handle from above. Somebody may still hold an ended process, whose handle is signalled.
    let ended = unsafe { WaitForSingleObject(handle, 0) } == WAIT_OBJECT_0;
    // SAFETY: the handle from above, given up here.
    unsafe { CloseHandle(handle) };
    !ended
}

/// Starts a thread.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(run)
}

/// Tells a process from those that are made from it; here there are none.
pub(crate) struct Process(());

impl Process {
    /// This one.
    #[allow(clippy::unnecessary_wraps)] // other systems may not be able to
    pub(crate) fn new() -> Option<Process> {
        Some(Process(()))
    }

    /// Is it the running one?
    #[inline]
    pub(crate) fn is_same(&self) -> bool {
        true
    }
}

/// A C string as a path: UTF-8. What is not UTF-8 comes from a host that uses the system's own code page.
pub(crate) fn os_str(text: &CStr) -> Cow<'_, OsStr> {
    match text.to_str() {
        Ok(text) => Cow::Borrowed(OsStr::new(text)),
        Err(_) => Cow::Owned(from_code_page(text.to_bytes())),
    }
}

fn from_code_page(bytes: &[u8]) -> OsString {
    let mut wide = vec![0; bytes.len()]; // never more units than bytes
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    // SAFETY: as many bytes, and room for as many units, as the lengths say.
    let units = unsafe { MultiByteToWideChar(CP_ACP, 0, bytes.as_ptr(), length, wide.as_mut_ptr(), length) };
    wide.truncate(usize::try_from(units).unwrap_or(0));
    OsString::from_wide(&wide)
}

/// A path as a C string in UTF-8. Paths come from C strings or from the system, so there is no NUL in them.
pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}

/// Writes words that may lie in memory which is read-only by now; it stays writable. Nothing happens if the system does
/// not allow it.
///
/// # Safety
/// The words are mapped and aligned, and nobody else uses them or what lies between them meanwhile.
pub(crate) unsafe fn write_protected(words: &[(*mut usize, usize)]) {
    for (word, value) in words {
        let mut before = 0;
        // SAFETY: a word that is mapped (the caller's promise), and room for the answer.
        let allowed = unsafe { VirtualProtect(word.cast(), size_of::<usize>(), PAGE_READWRITE, &raw mut before) } != 0;
        if allowed {
            // SAFETY: the caller's promise, and it is writable now.
            unsafe { word.write(*value) };
        }
    }
}
