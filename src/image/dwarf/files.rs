//! The sections of debug information, and the files that hold them when the image does not.

use super::super::debug::Unknown;
use super::super::symbols::Source;
use super::Reader;
use super::find::Split;
use core::ops::{Deref, Range};
use gimli::{
    DebugInfo, Dwarf, DwarfPackage, DwarfPackageSections, DwarfSections, LittleEndian, Section as _, SectionId,
    UnitHeader, UnitType,
};
use memmap2::Mmap;
use object::read::macho::{FatArch as _, MachOFatFile32};
use object::{
    Architecture, BinaryFormat, CompressedData, CompressionFormat, File, Object, ObjectSection, ObjectSymbol,
    RelocationKind, RelocationTarget,
};
use std::borrow::Cow;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A file in memory.
pub(super) type Bytes = Mmap;

/// What the rest reads of an image.
pub(super) struct Sections<'a> {
    all: DwarfSections<Cow<'a, [u8]>>,
    /// Do compilers put static variables into one for this processor? clang does with `-O3`, except for x86.
    pub(super) merges: bool,
}

/// Of all that DWARF is made of, this is needed to describe variables.
const NEEDED: [SectionId; 8] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTypes,
];

/// How many times its size a compressed section may have when it is not. Debug information is made a fifth; nothing that
/// a compiler writes comes near this.
const MAX_RATIO: u64 = 64;

impl<'a> Sections<'a> {
    /// The sections of an image; None if it has no entries.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Option<Sections<'a>>, Unknown> {
        let file = little(bytes)?;
        Sections::load(&file, |id| section(&file, id, id.name()))
    }

    /// As above of a file that has not been linked: its addresses, which are its own, are put in.
    pub(super) fn of_object(file: &File<'a>) -> Result<Option<Sections<'a>>, Unknown> {
        Sections::load(file, |id| relocated(file, id.name(), section(file, id, id.name())?))
    }

    fn load(
        file: &File<'a>,
        read: impl FnMut(SectionId) -> Result<Cow<'a, [u8]>, Unknown>,
    ) -> Result<Option<Sections<'a>>, Unknown> {
        let sections = DwarfSections::load(read)?;
        let empty = sections.debug_info.borrow(|bytes| Reader::new(bytes, LittleEndian)).reader().slice().is_empty();
        Ok((!empty).then(|| Sections::new(file, sections)))
    }

    pub(super) fn of_dwo(bytes: &'a [u8]) -> Result<Sections<'a>, Unknown> {
        let file = little(bytes)?;
        let load = |id: SectionId| id.dwo_name().map_or(Ok(Cow::Borrowed(&[][..])), |name| section(&file, id, name));
        Ok(Sections::new(&file, DwarfSections::load(load)?))
    }

    fn new(file: &File<'a>, all: DwarfSections<Cow<'a, [u8]>>) -> Sections<'a> {
        let x86 = [Architecture::X86_64, Architecture::X86_64_X32, Architecture::I386];
        Sections { all, merges: !x86.contains(&file.architecture()) }
    }

    pub(super) fn dwarf(&self) -> Dwarf<Reader<'_>> {
        self.all.borrow(|bytes| Reader::new(bytes, LittleEndian))
    }
}

/// The sections of a package of split units.
pub(super) struct PackageSections<'a>(DwarfPackageSections<Cow<'a, [u8]>>);

impl<'a> PackageSections<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<PackageSections<'a>, Unknown> {
        let file = little(bytes)?;
        let load = |id: SectionId| id.dwo_name().map_or(Ok(Cow::Borrowed(&[][..])), |name| any_section(&file, name));
        Ok(PackageSections(DwarfPackageSections::load(load)?))
    }

    pub(super) fn package(&self) -> Result<DwarfPackage<Reader<'_>>, Unknown> {
        Ok(self.0.borrow(|bytes| Reader::new(bytes, LittleEndian), Reader::new(&[], LittleEndian))?)
    }
}

fn little(bytes: &[u8]) -> Result<File<'_>, Unknown> {
    let file = File::parse(bytes)?;
    if !file.is_little_endian() {
        return Err(Unknown::Damaged("its most significant bytes come first".into()));
    }
    Ok(file)
}

/// Where a PE image would like to be in memory; 0 of others.
pub(super) fn image_base(bytes: &[u8]) -> u64 {
    match File::parse(bytes) {
        Ok(file) if file.format() == BinaryFormat::Pe => file.relative_address_base(),
        _ => 0,
    }
}

fn section<'a>(file: &File<'a>, id: SectionId, name: &str) -> Result<Cow<'a, [u8]>, Unknown> {
    if NEEDED.contains(&id) { any_section(file, name) } else { Ok(Cow::Borrowed(&[])) }
}

fn any_section<'a>(file: &File<'a>, name: &str) -> Result<Cow<'a, [u8]>, Unknown> {
    // This finds .zdebug_ and __debug_ names, too.
    let Some(section) = file.section_by_name(name) else { return Ok(Cow::Borrowed(&[])) };
    let compressed: CompressedData<'a> = section.compressed_data()?;
    if compressed.uncompressed_size > (compressed.data.len() as u64).saturating_mul(MAX_RATIO) {
        return Err(Unknown::Damaged(format!("section {name} is far larger than what it is unpacked from")));
    }
    Ok(compressed.decompress()?)
}

/// Is the debug information, or a part of it, in files of their own? The next build writes them anew.
pub(super) fn is_apart(source: Source<'_>) -> bool {
    let Ok(file) = File::parse(source.bytes) else { return false };
    let Some(info) = file.section_by_name(".debug_info") else {
        // On macOS it never is in the image.
        return matches!(file.gnu_debuglink(), Ok(Some(_))) || file.format() == BinaryFormat::MachO;
    };
    // Units whose entries are elsewhere leave only addresses in the image, in this table.
    if file.section_by_name(".debug_addr").is_none() {
        return false;
    }
    match info.compressed_data() {
        Ok(CompressedData { format: CompressionFormat::None, data, .. }) => has_skeletons(data),
        _ => true, // to unpack it would take longer than what may be left undone
    }
}

/// Is there a unit whose entries are in another file? Before DWARF 5 the header does not tell, but there such a table is
/// a sign of them.
fn has_skeletons(info: &[u8]) -> bool {
    let mut units = DebugInfo::new(info, LittleEndian).units();
    let is_skeleton =
        |unit: UnitHeader<Reader<'_>>| unit.version() < 5 || matches!(unit.type_(), UnitType::Skeleton(_));
    std::iter::from_fn(|| units.next().ok().flatten()).any(is_skeleton)
}

/// A section with the addresses of the symbols that it names. Where it names a section of the file, Mach-O has the address
/// there already.
fn relocated<'a>(file: &File<'a>, name: &str, content: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>, Unknown> {
    let Some(section) = file.section_by_name(name) else { return Ok(content) };
    let mut content = content.into_owned();
    for (offset, relocation) in section.relocations() {
        // An address, not a difference of two.
        let whole = relocation.kind() == RelocationKind::Absolute && relocation.size() == 64;
        if let RelocationTarget::Symbol(symbol) = relocation.target()
            && let Some(place) = content.get_mut(offset as usize..).and_then(|rest| rest.first_chunk_mut())
            && whole
            && relocation.subtractor().is_none()
        {
            let addend = u64::from_le_bytes(*place);
            *place = file.symbol_by_index(symbol)?.address().wrapping_add(addend).to_le_bytes();
        }
    }
    Ok(Cow::Owned(content))
}

pub(super) fn map(path: &Path) -> Option<Mmap> {
    let file = fs::File::open(path).ok()?;
    // SAFETY: it is read only. A program that shortens the file meanwhile would break a debugger as well.
    unsafe { Mmap::map(&file) }.ok()
}

/// Where systems put debug information that is apart.
const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

/// A file, or the part of it that is for this machine.
pub(super) struct Part {
    bytes: Mmap,
    place: Range<usize>,
}

impl From<Mmap> for Part {
    fn from(bytes: Mmap) -> Part {
        Part { place: 0..bytes.len(), bytes }
    }
}

impl Deref for Part {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.place.clone()).unwrap_or_default()
    }
}

/// The file that `objcopy --only-keep-debug`, `dsymutil` or a distribution has put aside.
pub(super) fn separate(source: Source<'_>) -> Option<Part> {
    let file = File::parse(source.bytes).ok()?;
    if let Ok(Some(uuid)) = file.mach_uuid() {
        let bytes = symbols_of_apple(source.path).and_then(|path| map(&path))?;
        let is_it = |part: &[u8]| File::parse(part).is_ok_and(|other| other.mach_uuid() == Ok(Some(uuid)));
        let place = parts(&bytes).into_iter().find(|place| bytes.get(place.clone()).is_some_and(is_it))?;
        return Some(Part { bytes, place });
    }
    let same_id = |bytes: &[u8]| {
        let id = |file: &File<'_>| file.build_id().ok().flatten().map(<[u8]>::to_vec);
        File::parse(bytes).is_ok_and(|other| id(&other) == id(&file))
    };
    if let Ok(Some([first, rest @ ..])) = file.build_id()
        && let hex = rest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        && let path = format!("{DEBUG_DIRECTORY}/.build-id/{first:02x}/{hex}.debug")
        && let Some(bytes) = map(Path::new(&path)).filter(|bytes| same_id(bytes))
    {
        return Some(bytes.into());
    }
    let (name, checksum) = file.gnu_debuglink().ok().flatten()?;
    let name = Path::new(std::str::from_utf8(name).ok()?).file_name()?;
    let directory = source.path.parent()?;
    let system = Path::new(DEBUG_DIRECTORY).join(directory.strip_prefix("/").unwrap_or(directory));
    let places = [directory.join(name), directory.join(".debug").join(name), system.join(name)];
    places.iter().filter_map(|path| map(path)).find(|bytes| crc32(bytes) == checksum).map(Part::from)
}

/// The parts of a universal file, or the whole of another one.
fn parts(bytes: &[u8]) -> Vec<Range<usize>> {
    let whole = 0..bytes.len();
    let Ok(universal) = MachOFatFile32::parse(bytes) else { return vec![whole] };
    let place = |(start, size): (u64, u64)| (start as usize)..(start as usize).saturating_add(size as usize);
    universal.arches().iter().map(|arch| place(arch.file_range())).collect()
}

/// What `dsymutil` makes: `guest.dylib.dSYM/Contents/Resources/DWARF/guest.dylib`.
fn symbols_of_apple(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    let mut bundle = OsString::from(path);
    bundle.push(".dSYM");
    Some(Path::new(&bundle).join("Contents/Resources/DWARF").join(name))
}

/// The checksum of .gnu_debuglink.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The package beside the image: its name and `.dwp`.
pub(super) fn package(path: &Path) -> Option<Mmap> {
    let mut name = OsString::from(path);
    name.push(".dwp");
    map(Path::new(&name))
}

/// The file of a split unit: where the compiler put it, or beside the image.
pub(super) fn dwo(path: &Path, part: &Split) -> Option<Mmap> {
    let name = PathBuf::from(&part.name);
    let beside = path.parent()?.join(name.file_name()?);
    map(&Path::new(&part.directory).join(&name)).or_else(|| map(&beside))
}
