//! What the guest's own `cr_migrate` gets: the old values and the new places, by name.

use super::matching;
use super::plan::{Plan, Variables};
use crate::abi::cr_migration;
use core::cell::OnceCell;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::{null, null_mut};
use std::borrow::Cow;
use std::collections::HashMap;

/// The variables of one version by the names that people write.
type Names<'a> = HashMap<Cow<'a, str>, Vec<u32>>;

/// A plan that has been carried out, as the guest sees it.
#[repr(C)]
pub(crate) struct Migration<'p> {
    /// First: the guest's functions get its address and find the rest.
    #[allow(dead_code)] // the guest reads it
    raw: cr_migration,
    plan: &'p Plan<'p>,
    base: usize,
    old_names: OnceCell<Names<'p>>,
    new_names: OnceCell<Names<'p>>,
}

impl<'p> Migration<'p> {
    /// The new image is loaded at `base`.
    pub(crate) fn new(plan: &'p Plan<'p>, base: usize) -> Box<Migration<'p>> {
        let (old_version, new_version) = plan.versions();
        let raw = cr_migration {
            size: size_of::<cr_migration>(),
            old_version,
            new_version,
            old_variable: Some(old_variable),
            new_variable: Some(new_variable),
        };
        Box::new(Migration { raw, plan, base, old_names: OnceCell::new(), new_names: OnceCell::new() })
    }

    pub(crate) fn raw(&self) -> *const cr_migration {
        (&raw const *self).cast()
    }

    fn variables(&self) -> Option<&'p Variables<'p>> {
        self.plan.variables.as_ref()
    }

    fn old(&self, name: &str) -> Option<&'p [u8]> {
        let side = &self.variables()?.old;
        let place = find(side, self.old_names.get_or_init(|| matching::by_readable_name(side)), name)?;
        self.plan.snapshot.bytes(place.0, place.1)
    }

    fn new_place(&self, name: &str) -> Option<(*mut c_void, usize)> {
        let side = &self.variables()?.new;
        let place = find(side, self.new_names.get_or_init(|| matching::by_readable_name(side)), name)?;
        Some((self.base.wrapping_add(place.0 as usize) as *mut c_void, place.1 as usize))
    }
}

/// The address and size of a variable that is the only one of its name.
fn find(side: &super::side::Side<'_>, names: &Names<'_>, name: &str) -> Option<(u64, u64)> {
    let exact = || side.variables.iter().find(|variable| variable.name == name);
    let variable = match names.get(name) {
        Some(found) if found.len() == 1 => side.get(*found.first()?)?,
        _ => exact()?,
    };
    Some((variable.place.address, variable.place.size))
}

/// # Safety
/// `migration` is that of the call of `cr_migrate` that is under way.
unsafe fn access<'m>(migration: *const cr_migration) -> Option<&'m Migration<'m>> {
    // SAFETY: the guest passes what it got: the first field of a `Migration`.
    unsafe { migration.cast::<Migration<'m>>().as_ref() }
}

/// # Safety
/// NULL or a string.
unsafe fn text<'t>(name: *const c_char) -> Option<&'t str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the guest passes a string.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

/// # Safety
/// NULL or a variable of the guest's.
unsafe fn tell(size: *mut usize, value: usize) {
    // SAFETY: the caller's promise.
    if let Some(size) = unsafe { size.as_mut() } {
        *size = value;
    }
}

unsafe extern "C" fn old_variable(
    migration: *const cr_migration,
    name: *const c_char,
    size: *mut usize,
) -> *const c_void {
    // SAFETY: the guest passes what it got.
    let migration = unsafe { access(migration) };
    // SAFETY: the guest passes a string.
    let name = unsafe { text(name) };
    let found = migration.zip(name).and_then(|(migration, name)| migration.old(name));
    // SAFETY: the guest passes NULL or a variable of its own.
    unsafe { tell(size, found.map_or(0, <[u8]>::len)) };
    found.map_or(null(), |bytes| bytes.as_ptr().cast())
}

unsafe extern "C" fn new_variable(
    migration: *const cr_migration,
    name: *const c_char,
    size: *mut usize,
) -> *mut c_void {
    // SAFETY: the guest passes what it got.
    let migration = unsafe { access(migration) };
    // SAFETY: the guest passes a string.
    let name = unsafe { text(name) };
    let found = migration.zip(name).and_then(|(migration, name)| migration.new_place(name));
    // SAFETY: the guest passes NULL or a variable of its own.
    unsafe { tell(size, found.map_or(0, |(_, size)| size)) };
    found.map_or(null_mut(), |(address, _)| address)
}
