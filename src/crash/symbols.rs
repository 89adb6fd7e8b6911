//! The images that a backtrace leads through: which one an address is in, and what its file says of it.

use crate::image::{self, Line, Lines, Region, Source, Target};
use crate::sys::{self, Module};
use addr2line::{Loader, demangle_auto};
use core::cell::{OnceCell, RefCell};
use core::ops::Range;
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;

/// The guest as it was, and all that is in memory now.
pub(super) struct Images(Vec<Image>);

/// One of them. Its file is opened when something is asked of it.
pub(super) struct Image {
    module: Module,
    bytes: OnceCell<Option<Mmap>>,
    /// Where its code is in memory.
    code: OnceCell<Vec<Range<usize>>>,
    /// Its debug information and symbols.
    loader: OnceCell<Option<Loader>>,
    /// Or its PDB.
    pdb: OnceCell<Option<RefCell<Lines>>>,
}

impl Images {
    /// The guest is the first, since something else may be in its place by now.
    pub(super) fn new(guest: Module) -> Images {
        let modules = core::iter::once(guest).chain(sys::modules());
        Images(modules.map(Image::new).collect())
    }

    pub(super) fn find(&self, address: usize) -> Option<&Image> {
        self.0.iter().find(|image| image.module.extent.contains(&address))
    }

    /// Is there code at this address?
    pub(super) fn is_code(&self, address: usize) -> bool {
        self.find(address).is_some_and(|image| image.code().iter().any(|code| code.contains(&address)))
    }
}

impl Image {
    fn new(module: Module) -> Image {
        let (bytes, code, loader) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Image { module, bytes, code, loader, pdb: OnceCell::new() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.module.path
    }

    pub(super) fn base(&self) -> usize {
        self.module.base
    }

    pub(super) fn extent(&self) -> &Range<usize> {
        &self.module.extent
    }

    /// The address in the file.
    pub(super) fn offset(&self, address: usize) -> usize {
        address.wrapping_sub(self.module.base)
    }

    /// The sections that it has in memory; none if its file cannot be read.
    pub(super) fn regions(&self) -> Vec<Region<'_>> {
        let Some(bytes) = self.bytes() else { return Vec::new() };
        image::regions(Source::original(bytes, self.path()), Target::native()).unwrap_or_default()
    }

    fn bytes(&self) -> Option<&[u8]> {
        let map = self.bytes.get_or_init(|| {
            let file = File::open(&self.module.file).ok()?;
            // SAFETY: an image that is or was loaded, which a program that shortens it would break anyway.
            unsafe { Mmap::map(&file) }.ok()
        });
        map.as_deref()
    }

    fn code(&self) -> &[Range<usize>] {
        self.code.get_or_init(|| {
            let regions = self.regions();
            let place = |address: u64| self.base().wrapping_add(address as usize);
            let code = regions.iter().filter(|region| region.code);
            let code = code.map(|region| place(region.address)..place(region.address.wrapping_add(region.size)));
            // Of an image that cannot be read (the kernel's own has no file), everything may be code.
            if regions.is_empty() { vec![self.extent().clone()] } else { code.collect() }
        })
    }

    pub(super) fn loader(&self) -> Option<&Loader> {
        self.loader.get_or_init(|| Loader::new(&self.module.file).ok()).as_ref()
    }

    /// What is at an address of its code: inlined functions, the innermost first, then the function itself.
    pub(super) fn lines(&self, address: usize) -> Vec<Line> {
        let offset = self.offset(address) as u64;
        let loader = self.loader();
        let mut lines = loader.map(|loader| debug_lines(loader, offset)).unwrap_or_default();
        if cfg!(windows) && lines.is_empty() {
            let open = || Some(RefCell::new(Lines::of(Source::original(self.bytes()?, self.path()))?));
            let pdb = self.pdb.get_or_init(open).as_ref();
            lines = pdb.map(|pdb| pdb.borrow_mut().at(offset)).unwrap_or_default();
        }
        // Without debug information there may be a symbol, and of a stripped image those that it exports.
        if lines.last().is_none_or(|line| line.function.is_none()) {
            let name = loader.and_then(|loader| symbol(loader, offset)).map(str::to_owned);
            let name = name.or_else(|| image::exported_function(self.bytes()?, Target::native(), offset));
            let function = name.map(|name| demangle_auto(name.into(), None).into_owned());
            match lines.last_mut() {
                Some(line) => line.function = function,
                None => lines.extend(function.map(|function| Line { function: Some(function), ..Line::default() })),
            }
        }
        lines
    }
}

fn debug_lines(loader: &Loader, offset: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    let Ok(mut frames) = loader.find_frames(offset.wrapping_add(loader.relative_address_base())) else { return lines };
    while let Ok(Some(frame)) = frames.next() {
        let function = frame.function.and_then(|function| function.demangle().ok().map(|name| name.into_owned()));
        let (file, line) = frame.location.map_or((None, 0), |at| (at.file.map(str::to_owned), at.line.unwrap_or(0)));
        lines.push(Line { function, file, line });
    }
    lines
}

fn symbol(loader: &Loader, offset: u64) -> Option<&str> {
    loader.find_symbol(offset.wrapping_add(loader.relative_address_base()))
}
