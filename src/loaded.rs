//! One version in memory: loaded, constructed, called, destructed, unloaded.

use crate::abi::{cr_migration, cr_op, cr_plugin};
use crate::crash::Guest;
use crate::error::Error;
use crate::guard::{self, Access, Capture, Fault, Function};
use crate::image::{Array, Image};
use crate::sys::{Destructors, Library, forget_frames, lifecycle_arguments, write_protected};
use crate::versions::Version;
use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute;
use core::ops::Range;
use core::ptr::{null, null_mut};
use std::path::Path;
use std::rc::Rc;

/// How often the C library's own destructor is called again after a crash inside it: each time it goes on with
/// the object after the one that crashed.
const CRASHING_OBJECTS: usize = 64;

/// What the entry point of a PE image is called for, as Windows has it.
const PROCESS_DETACH: usize = 0;
const PROCESS_ATTACH: usize = 1;

/// STATUS_DLL_INIT_FAILED: the entry point has returned FALSE.
pub(crate) const REFUSED: Fault = Fault { code: 0xc000_0142, address: None, access: Access::Unknown, overflow: false };

/// The guest's entry point, in the form that the guard calls.
#[derive(Clone, Copy)]
pub(crate) struct Entry(Function);

/// How guest code is called.
#[derive(Clone, Copy)]
pub(crate) enum Guard {
    /// As any other code.
    Off,
    /// Guarded; what a fault leaves is saved here, unless it is null.
    On(*const Capture),
}

impl Guard {
    /// Calls the entry point.
    ///
    /// # Safety
    /// The version is loaded, and `ctx` is the plugin that it belongs to.
    #[inline(always)]
    pub(crate) unsafe fn call(self, entry: Entry, ctx: *mut cr_plugin, operation: cr_op) -> Result<c_int, Fault> {
        // SAFETY: the caller's promise; the entry point takes the plugin and the operation, and ignores the third.
        let result = unsafe { run(self, entry.0, ctx.cast(), operation as usize, null_mut()) };
        // The entry point returns an int: the lower half of the word.
        result.map(|value| value as c_int)
    }

    /// Calls `cr_migrate` of the guest.
    ///
    /// # Safety
    /// It is that function, of the version that is loaded, and `migration` is valid during the call.
    pub(crate) unsafe fn call_migrate(
        self,
        function: *mut c_void,
        ctx: *mut cr_plugin,
        migration: *const cr_migration,
    ) -> Result<(), Fault> {
        // SAFETY: as for the entry point: it takes two pointers, and what it returns is ignored.
        let function = unsafe { transmute::<*mut c_void, Function>(function) };
        // SAFETY: the caller's promise.
        unsafe { run(self, function, ctx.cast(), migration.addr(), null_mut()) }.map(|_| ())
    }

    /// Calls any other function of the guest.
    ///
    /// # Safety
    /// It is a function of the version that is loaded, and may be called with this argument.
    #[inline]
    pub(crate) unsafe fn call_other(
        self,
        function: unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> Result<*mut c_void, Fault> {
        // SAFETY: as for the entry point: on all supported systems a function may be called with more arguments than
        // it takes, and a pointer is returned as a word is.
        let function =
            unsafe { transmute::<unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void, Function>(function) };
        // SAFETY: the caller's promise.
        let result = unsafe { run(self, function, argument, 0, null_mut()) };
        result.map(|value| value as *mut c_void)
    }
}

/// Calls a function of the guest, guarded or not.
///
/// # Safety
/// As [`guard::call`].
#[inline(always)]
unsafe fn run(guard: Guard, function: Function, a: *mut c_void, b: usize, c: *mut c_void) -> Result<usize, Fault> {
    if let Guard::On(capture) = guard {
        // SAFETY: the caller's promise; the capture lives as long as the plugin.
        return unsafe { guard::call(function, a, b, c, capture) };
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { guard::call_plainly(function, a, b, c) })
}

/// A version in memory. Dropped, it is destructed and unloaded.
pub(crate) struct Loaded {
    version: Rc<Version>,
    library: Option<Library>,
    entry: Entry,
    guard: Guard,
    /// Its constructors have been called, some of them at least.
    constructed: bool,
    destructors: Option<Destructors>,
}

impl Loaded {
    /// Maps a version, which is a copy of `original`. None of its code has run when it returns.
    pub(crate) fn open(version: &Rc<Version>, original: &Path, entry: &CStr, guard: Guard) -> Result<Loaded, Error> {
        let library = Library::open(version.path(), original, entry, &version.image().needed)?;
        let Some(address) = library.symbol(entry) else {
            return Err(Error::NoEntry(entry.to_string_lossy().into_owned()));
        };
        // SAFETY: the contract with guests: what is exported under this name is a function of this type. On all
        // supported systems a function may be called with more arguments than it takes.
        let function = unsafe { transmute::<*mut c_void, Function>(address) };
        Ok(Loaded {
            version: Rc::clone(version),
            library: Some(library),
            entry: Entry(function),
            guard,
            constructed: false,
            destructors: None,
        })
    }

    pub(crate) fn number(&self) -> u32 {
        self.version.number()
    }

    pub(crate) fn entry(&self) -> Entry {
        self.entry
    }

    pub(crate) fn image(&self) -> &Rc<Image> {
        self.version.image()
    }

    /// The objects in it that have a destructor to run, as addresses in the file. None: there may be others.
    pub(crate) fn destructible(&self) -> Option<Vec<u64>> {
        let (objects, unknown) = self.destructors.as_ref()?.objects();
        let base = self.base();
        (!unknown).then(|| objects.into_iter().map(|object| object.wrapping_sub(base) as u64).collect())
    }

    /// What is added to the addresses in the file.
    pub(crate) fn base(&self) -> usize {
        self.library.as_ref().map_or(0, Library::base)
    }

    /// What it covers in memory.
    pub(crate) fn extent(&self) -> Range<usize> {
        let extent = &self.image().extent;
        let place = |address: u64| self.base().wrapping_add(address as usize);
        place(extent.start)..place(extent.end)
    }

    /// For the record of a crash.
    pub(crate) fn guest(&self) -> Guest {
        Guest { version: Rc::clone(&self.version), base: self.base() }
    }

    pub(crate) fn handle(&self) -> *mut c_void {
        self.library.as_ref().map_or(null_mut(), Library::handle)
    }

    /// Runs the constructors, in the dynamic loader's order, until one of them faults.
    pub(crate) fn construct(&mut self) -> Result<(), Fault> {
        let lifecycle = self.image().lifecycle.clone();
        if let Some(entry) = lifecycle.dll_main {
            match self.call_dll_main(entry, PROCESS_ATTACH)? {
                0 => return Err(REFUSED),
                _ => self.constructed = true,
            }
            return Ok(());
        }
        self.constructed = true;
        self.watch_destructors();
        if let Some(init) = lifecycle.init {
            self.call(self.base().wrapping_add(init as usize))?;
        }
        for index in 0..lifecycle.init_array.map_or(0, |array| array.count) {
            if let Some(function) = self.function(lifecycle.init_array, index) {
                self.call(function)?;
            }
        }
        Ok(())
    }

    fn watch_destructors(&mut self) {
        let Some(registrars) = &self.image().registrars else { return };
        let base = self.base();
        let place = |address: &u64| base.wrapping_add(*address as usize);
        let extent = self.extent();
        // SAFETY: the image is mapped there and none of its code has run; the words are in its segments and aligned
        // (checked when it was parsed), and the loader has filled them.
        self.destructors = Some(unsafe { Destructors::watch(extent, registrars.iter().map(place)) });
    }

    /// The address of an exported symbol.
    pub(crate) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
        self.library.as_ref()?.symbol(name)
    }

    /// Runs the destructors and gives the image back to the dynamic loader, or to the caller if it is to stay.
    ///
    /// A destructor that faults does not keep the others from running; the first fault is returned.
    pub(crate) fn close(mut self, stay: bool) -> Closed {
        let fault = self.destruct();
        let base = self.base();
        let image = self.library.take().filter(|_| stay);
        Closed { fault, mapped: Library::is_still_mapped(self.version.path(), base), image }
    }

    fn destruct(&mut self) -> Option<Fault> {
        if !std::mem::take(&mut self.constructed) {
            return None;
        }
        let lifecycle = self.image().lifecycle.clone();
        if let Some(entry) = lifecycle.dll_main {
            // Once: it holds a lock of the guest's own while it runs destructors, and would wait for it.
            return self.call_dll_main(entry, PROCESS_DETACH).err();
        }
        let mut first = None;
        for index in (0..lifecycle.fini_array.map_or(0, |array| array.count)).rev() {
            let Some(function) = self.function(lifecycle.fini_array, index) else { continue };
            // The first function is that of the C runtime (crtbeginS.o), which destructs the static objects one by
            // one. Those that remain after a crash must go too: the C library would call them at exit, when their
            // code is gone.
            let attempts = if index == 0 { CRASHING_OBJECTS } else { 1 };
            for _ in 0..attempts {
                match self.call(function) {
                    Ok(()) => break,
                    Err(fault) => {
                        first = first.or(Some(fault));
                        self.keep_first();
                    }
                }
            }
        }
        if let Some(fini) = lifecycle.fini
            && let Err(fault) = self.call(self.base().wrapping_add(fini as usize))
        {
            first = first.or(Some(fault));
        }
        self.forget_destructors();
        first
    }

    /// From now on faults leave nothing, so that what the first one has left can be told.
    pub(crate) fn keep_first(&mut self) {
        if let Guard::On(capture) = &mut self.guard {
            *capture = null();
        }
    }

    /// They have run; when the dynamic loader unmaps the image it must not run them again, holding its lock.
    fn forget_destructors(&self) {
        unsafe extern "C" fn nothing() {}
        let lifecycle = &self.image().lifecycle;
        let place = |address: u64| self.base().wrapping_add(address as usize) as *mut usize;
        // No destructors in the array; for the one function, one that does nothing. The loader adds the base again.
        let nothing = (nothing as *const () as usize).wrapping_sub(self.base());
        let size = lifecycle.fini_array_size_entry.map(|entry| (place(entry), 0));
        let fini = lifecycle.fini_entry.map(|entry| (place(entry), nothing));
        let words: Vec<_> = size.into_iter().chain(fini).collect();
        if !words.is_empty() {
            // SAFETY: entries of the dynamic section of the loaded image, which only the loader reads, and not now.
            unsafe { write_protected(&words) };
        }
    }

    /// The function in an array of the image, which the dynamic loader has relocated; 0 and -1 are no functions.
    fn function(&self, array: Option<Array>, index: u64) -> Option<usize> {
        let slot = self.base().wrapping_add(array?.address as usize) as *const usize;
        // SAFETY: the whole array is in a mapped segment and aligned (checked when the image was parsed).
        let function = unsafe { slot.wrapping_add(index as usize).read() };
        (function != 0 && function != usize::MAX).then_some(function)
    }

    /// Calls the entry point of a PE image: BOOL DllMain(HINSTANCE, DWORD, LPVOID). It runs the constructors and
    /// destructors of the guest's C runtime. After a fault in it, it is not called again.
    fn call_dll_main(&self, entry: u64, reason: usize) -> Result<c_int, Fault> {
        // SAFETY: the entry point that the image names, with the type that the system calls it with.
        let function = unsafe { transmute::<usize, Function>(self.base().wrapping_add(entry as usize)) };
        // SAFETY: the image is loaded and relocated, and its entry point, which the loader does not know, is due.
        let result = unsafe { run(self.guard, function, self.handle(), reason, null_mut()) };
        if result.is_err() {
            // SAFETY: the image is loaded, and what of it has crashed does not go on.
            unsafe { forget_frames(self.extent(), self.entry.0 as usize) };
        }
        // A BOOL is an int.
        result.map(|value| value as c_int)
    }

    fn call(&self, address: usize) -> Result<(), Fault> {
        let (argc, argv, environment) = lifecycle_arguments();
        // SAFETY: the address of a constructor or destructor that the image names. It takes an int and two pointers
        // and returns nothing; the guard passes three words and ignores the result (the psABIs pass all of them
        // in the same registers).
        let function = unsafe { transmute::<usize, Function>(address) };
        let argc = argc.unsigned_abs() as usize as *mut c_void;
        // SAFETY: the image is loaded and relocated, and this is when these functions are due.
        unsafe { run(self.guard, function, argc, argv.addr(), environment) }.map(|_| ())
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // Only when an exception left a constructor: a fault now changes nothing any more.
        let _ = self.destruct();
    }
}

/// How a version went.
pub(crate) struct Closed {
    /// A destructor faulted.
    pub(crate) fault: Option<Fault>,
    /// The image is still mapped.
    pub(crate) mapped: bool,
    /// What keeps it mapped, if it was to stay; otherwise something else does.
    pub(crate) image: Option<Library>,
}
