//! The PDB of an image: found, opened, and seen to be its own.
//!
//! It is read piece by piece, not mapped: a linker may write a new one at any time.

use super::super::debug::Unknown;
use super::super::pe;
use super::super::symbols::Source;
use super::Id;
use super::records::Cursor;
use pdb2::{
    AddressMap, DebugInformation, FallibleIterator, MachineType, ModuleInfo, PDBInformation, PdbInternalSectionOffset,
    SourceSlice, SourceView,
};
use std::fmt::Debug;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// A PDB that belongs to an image, open.
pub(super) struct File {
    pub(super) pdb: pdb2::PDB<'static, Bounded>,
    information: PDBInformation<'static>,
    debug: DebugInformation<'static>,
    /// The object files of the modules, or what they were in an archive.
    modules: Vec<String>,
    /// What the modules have put into the image, in the order of addresses.
    pub(super) parts: Vec<Part>,
    map: AddressMap<'static>,
    /// Their source files. None: they have not been asked for.
    sources: Option<Vec<Option<String>>>,
}

/// A piece of a section that comes from one module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) module: usize,
    /// The section, by the number that symbols have for it.
    pub(super) section: u16,
}

/// No image has more modules or parts, however damaged its PDB is: a part takes this many bytes of it.
const PART: u64 = 28;

impl File {
    /// Looks for the PDB that an image names. None: it names none, or none is there.
    pub(super) fn of(source: Source<'_>) -> Result<Option<File>, Unknown> {
        let Some(record) = pe::debug_record(source.bytes) else { return Ok(None) };
        let own = source.pdb.map(PathBuf::from);
        let mut other = None;
        for path in own.into_iter().chain(record.places(source.path)) {
            let Some((file, len)) = open(&path) else { continue };
            // The one that is there may be of the next build; its copy may be elsewhere.
            let why = match File::read(Box::new(file), len) {
                Ok(file) if file.belongs_to(record.id) => return Ok(Some(file)),
                Ok(_) => "it is the PDB of another build".to_owned(),
                Err(why) => why.to_string(),
            };
            other.get_or_insert(Unknown::Damaged(format!("{}: {why}", path.display())));
        }
        other.map_or(Ok(None), Err)
    }

    /// Reads what there is, and where it is.
    pub(super) fn read(medium: Box<dyn Medium>, len: u64) -> Result<File, Unknown> {
        let mut pdb = pdb2::PDB::open(Bounded { medium, len })?;
        let information = pdb.pdb_information()?;
        if !pdb.raw_stream(DBI)?.is_some_and(|list| has_its_parts(&list)) {
            return Err(Unknown::Damaged("its list of modules is not whole".into()));
        }
        let debug = pdb.debug_information()?;
        let map = pdb.address_map()?;
        let modules = debug.modules()?.map(|module| Ok(module.module_name().into_owned())).collect()?;
        let mut parts = Vec::new();
        let mut contributions = debug.section_contributions()?;
        while let Some(part) = contributions.next()?.filter(|_| (parts.len() as u64) < len / PART) {
            let start = part.offset.to_rva(&map).map(|start| u64::from(start.0));
            let end = |start: u64| start + u64::from(part.size);
            parts.extend(start.map(|start| Part {
                start,
                end: end(start),
                module: part.module,
                section: part.offset.section,
            }));
        }
        parts.sort_by_key(|part| part.start);
        Ok(File { pdb, information, debug, modules, parts, map, sources: None })
    }

    /// Is it the PDB that an image with this record was linked with?
    fn belongs_to(&self, image: Id) -> bool {
        let of_file = &self.information;
        // Tools that add to a PDB make its own age older than that of the image.
        let years = self.debug.age().unwrap_or(of_file.age);
        match image {
            Id::Guid { guid, age } => guid == of_file.guid.to_bytes_le() && age == years,
            Id::Time { time, age } => time == of_file.signature && age == years,
        }
    }

    /// The machine that the image is for.
    pub(super) fn machine(&self) -> Option<MachineType> {
        self.debug.machine_type().ok()
    }

    /// The address in the image.
    pub(super) fn address(&self, place: PdbInternalSectionOffset) -> Option<u64> {
        place.to_rva(&self.map).map(|address| address.0.into())
    }

    /// The part that an address is in.
    pub(super) fn part(&self, address: u64) -> Option<usize> {
        let after = self.parts.partition_point(|part| part.start <= address);
        let index = after.checked_sub(1)?;
        self.parts.get(index).filter(|part| address < part.end).map(|_| index)
    }
}

impl File {
    /// The symbols of these modules, whose numbers are in order; some have none.
    pub(super) fn modules(&mut self, numbers: &[usize]) -> Result<Vec<(usize, ModuleInfo<'static>)>, Unknown> {
        let mut found = Vec::with_capacity(numbers.len());
        let mut left = numbers.iter().copied().peekable();
        let mut modules = self.debug.modules()?.enumerate();
        while let Some((number, module)) = modules.next()?.filter(|_| left.peek().is_some()) {
            if left.next_if_eq(&number).is_some() {
                found.extend(self.pdb.module_info(&module)?.map(|module| (number, module)));
            }
        }
        Ok(found)
    }

    /// The source file that a module was compiled from, as the last part of its path; failing that, the object file's.
    pub(super) fn source_of(&mut self, module: usize) -> Option<&str> {
        if self.sources.is_none() {
            let bytes = self.pdb.raw_stream(DBI).ok().flatten();
            self.sources = Some(bytes.and_then(|bytes| sources(&bytes)).unwrap_or_default());
        }
        let source = self.sources.as_ref().and_then(|sources| sources.get(module)?.as_deref());
        source.or_else(|| self.modules.get(module)?.rsplit(['\\', '/']).next())
    }
}

/// The stream that lists modules and their files.
const DBI: pdb2::StreamIndex = pdb2::StreamIndex(3);

/// How long its header is.
const HEADER: usize = 64;

/// Do the parts of this stream end in it? Their sizes are added up without a look.
fn has_its_parts(stream: &[u8]) -> bool {
    /// Where they are: of modules, contributions, sections, files, type servers, other streams, and edits.
    const SIZES: [usize; 7] = [24, 28, 32, 36, 40, 48, 52];
    let size = |at: usize| Some(u64::from(u32::from_le_bytes(*stream.get(at..)?.first_chunk()?)));
    let sum = SIZES.iter().try_fold(HEADER as u64, |sum, at| Some(sum + size(*at)?));
    sum.is_some_and(|sum| sum <= stream.len() as u64)
}

/// Of each module the first source file that is no header.
fn sources(stream: &[u8]) -> Option<Vec<Option<String>>> {
    const ENDS: [&str; 8] = [".c", ".cc", ".cpp", ".cxx", ".c++", ".m", ".mm", ".rs"];
    // The sizes of modules, parts and the map of sections, which are in front of the files.
    let mut sizes = Cursor(stream.get(24..)?);
    let before = [sizes.u32()?, sizes.u32()?, sizes.u32()?].into_iter().map(|size| size as usize);
    let size = sizes.u32()? as usize;
    let mut files = Cursor(stream.get(before.fold(HEADER, usize::saturating_add)..)?.get(..size)?);
    let modules = usize::from(files.u16()?);
    files.skip(2 + 2 * modules)?; // the number of files, which may be too large for its field, and numbers of modules
    let mut counts = Cursor(files.skip(2 * modules)?);
    let counts: Vec<usize> = std::iter::from_fn(|| counts.u16()).map(usize::from).collect();
    let total: usize = counts.iter().sum();
    let mut places = Cursor(files.skip(4 * total)?);
    let names = files.0;
    let name = |place: u32| {
        let name = Cursor(names.get(place as usize..)?).text()?;
        let name = String::from_utf8_lossy(name.rsplit(|letter| b"\\/".contains(letter)).next()?).into_owned();
        ENDS.iter().any(|end| name.to_ascii_lowercase().ends_with(end)).then_some(name)
    };
    let source = |count| {
        let mut places = Cursor(places.skip(4 * count)?);
        std::iter::from_fn(|| places.u32()).find_map(name)
    };
    Some(counts.into_iter().map(source).collect())
}

impl From<pdb2::Error> for Unknown {
    fn from(error: pdb2::Error) -> Self {
        Unknown::Damaged(error.to_string())
    }
}

fn open(path: &std::path::Path) -> Option<(fs::File, u64)> {
    // Opening something else may wait for ever.
    let status = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((fs::File::open(path).ok()?, status.len()))
}

/// What a PDB is read from.
pub(super) trait Medium: Read + Seek + Debug + Send {}

impl<M: Read + Seek + Debug + Send> Medium for M {}

/// It hands out no more than there is: a list of pages may name one page a million times.
#[derive(Debug)]
pub(super) struct Bounded {
    medium: Box<dyn Medium>,
    len: u64,
}

#[derive(Debug)]
struct View(Vec<u8>);

impl SourceView<'_> for View {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl<'s> pdb2::Source<'s> for Bounded {
    fn view(&mut self, slices: &[SourceSlice]) -> io::Result<Box<dyn SourceView<'s> + Send + Sync>> {
        let size = slices.iter().try_fold(0_u64, |sum, slice| sum.checked_add(slice.size as u64));
        let size = size.filter(|size| *size <= self.len).ok_or(io::ErrorKind::InvalidData)?;
        let mut bytes = Vec::with_capacity(size as usize);
        for slice in slices {
            self.medium.seek(SeekFrom::Start(slice.offset))?;
            let read = (&mut self.medium).take(slice.size as u64).read_to_end(&mut bytes)?;
            if read != slice.size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Box::new(View(bytes)))
    }
}
