//! Variables and functions by name and address.
//!
//! Global variables are in a stream of all modules; static ones, and the lengths of functions, in those of the modules. A
//! module is read only if it has put something where it matters, which the list of parts tells.

use super::super::debug::Unknown;
use super::super::symbols::{Kind, Place, Source, Symbol};
use super::file::{File, Part};
use crate::error::Error;
use pdb2::{FallibleIterator, ModuleInfo, PdbInternalSectionOffset, RawString, SymbolData, SymbolTable};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Kinds of records, as "CodeView Symbol Records" calls them.
const LDATA32: u16 = 0x110c;
const GDATA32: u16 = 0x110d;
const PUB32: u16 = 0x110e;
const LTHREAD32: u16 = 0x1112;
const GTHREAD32: u16 = 0x1113;

/// Where these have the number of their section, behind the kind, a type or flags, and the offset.
const SECTION: usize = 10;

/// What is known of an address by the headers of the image.
#[derive(Debug, Clone, Copy)]
pub(in crate::image) struct Within {
    /// Where its section ends.
    pub(in crate::image) end: u64,
    /// What is in that section.
    pub(in crate::image) kind: Kind,
}

/// As [`super::super::symbols::symbols`]. False: there is no PDB that belongs to the image, or it is damaged.
pub(in crate::image) fn symbols<'a>(
    source: Source<'a>,
    within: &dyn Fn(u64) -> Option<Within>,
    wanted: &mut dyn FnMut(&Place) -> bool,
    found: &mut dyn FnMut(Symbol<'a>),
) -> Result<bool, Error> {
    // A panic would be a bug of the parser; the image can be loaded all the same.
    let read = catch_unwind(AssertUnwindSafe(|| match File::of(source)? {
        Some(file) => list(file, within, wanted, found).map(|()| true),
        None => Ok(false),
    }));
    let damaged = |why: &str| Error::Format(format!("its PDB cannot be read: {why}"));
    match read {
        Ok(Err(Unknown::Damaged(why))) => Err(damaged(&why)),
        Ok(result) => Ok(result.unwrap_or(false)),
        Err(_) => Err(damaged("a panic")),
    }
}

/// The same of a PDB that is open.
pub(super) fn list<'a>(
    mut file: File,
    within: &dyn Fn(u64) -> Option<Within>,
    wanted: &mut dyn FnMut(&Place) -> bool,
    found: &mut dyn FnMut(Symbol<'a>),
) -> Result<(), Unknown> {
    let streams = Streams::of(&mut file, &mut |part| {
        within(part.start).is_some_and(|at| {
            wanted(&Place { kind: at.kind, address: part.start, size: part.end - part.start, local: false })
        })
    })?;
    let mut entries = streams.entries(&file)?;
    // Of several at one address those come first that say more.
    entries.sort_by_key(|entry| (entry.address, entry.origin));
    let mut rest = entries.as_slice();
    while let Some((entry, behind)) = rest.split_first() {
        let same = behind.partition_point(|other| other.address == entry.address);
        let (same, next) = behind.split_at_checked(same).unwrap_or_default();
        rest = next;
        let Some(at) = within(entry.address) else { continue };
        let end = next.first().map_or(at.end, |next| next.address.min(at.end));
        let end = file.part(entry.address).and_then(|part| file.parts.get(part)).map_or(end, |part| end.min(part.end));
        for one in [entry].into_iter().chain(same.iter().filter(|other| other.origin == entry.origin)) {
            let kind = one.kind.unwrap_or(at.kind);
            let size = one.size.unwrap_or(end.saturating_sub(one.address));
            let place = Place { kind, address: one.address, size, local: one.local };
            if size > 0 && wanted(&place) {
                let module = one.module.filter(|_| one.local);
                let source = module.and_then(|module| file.source_of(module));
                found(Symbol { place, name: one.name().into(), file: source.map(|source| source.to_owned().into()) });
            }
        }
    }
    Ok(())
}

/// Which stream tells of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Module,
    Global,
    /// No more than a name, mangled, and an address.
    Public,
}

/// A symbol as its record has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'t> {
    pub(super) address: u64,
    origin: Origin,
    /// None: what its section has.
    kind: Option<Kind>,
    /// As far as the record says it.
    size: Option<u64>,
    local: bool,
    name: RawString<'t>,
    /// The type, if it is a variable.
    pub(super) ty: Option<u32>,
    pub(super) module: Option<usize>,
    /// The function that it is a static variable of. clang puts it into the name; then it is not always known.
    function: Option<RawString<'t>>,
    /// How many of its name are in front of it in the module.
    nth: u32,
}

impl Entry<'_> {
    /// As people write it: `f::k` for a static variable of a function, and `f::k.1` for the next one.
    fn name(&self) -> String {
        let mut name = readable(self.name);
        if let Some(function) = self.function
            && !name.contains("::")
        {
            name = format!("{}::{name}", readable(function));
        }
        if self.nth == 0 { name } else { format!("{name}.{}", self.nth) }
    }
}

/// A name without what changes with each edit: the numbers of lambdas.
pub(super) fn readable(name: RawString<'_>) -> String {
    const LAMBDA: &str = "<lambda_";
    let name = name.to_string();
    let mut pieces = name.split(LAMBDA);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        result.push_str("<lambda");
        result.push_str(piece.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric()));
    }
    // As clang and as Microsoft write it.
    for namespace in ["`anonymous namespace'", "`anonymous-namespace'"] {
        if result.contains(namespace) {
            result = result.replace(namespace, "(anonymous namespace)");
        }
    }
    result
}

/// The streams that have something of what is wanted.
pub(super) struct Streams {
    globals: SymbolTable<'static>,
    pub(super) modules: Vec<(usize, ModuleInfo<'static>)>,
    /// Of the file's parts, those that are wanted.
    wanted: Vec<bool>,
    /// The sections that have some of these.
    sections: HashSet<u16>,
}

impl Streams {
    pub(super) fn of(file: &mut File, is_wanted: &mut dyn FnMut(&Part) -> bool) -> Result<Streams, Unknown> {
        let wanted: Vec<bool> = file.parts.iter().map(is_wanted).collect();
        let chosen = file.parts.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
        let sections = chosen.clone().map(|(part, _)| part.section).collect();
        let mut numbers: Vec<usize> = chosen.map(|(part, _)| part.module).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Streams { globals: file.pdb.global_symbols()?, modules: file.modules(&numbers)?, wanted, sections })
    }

    pub(super) fn entries(&self, file: &File) -> Result<Vec<Entry<'_>>, Unknown> {
        let mut entries = Vec::new();
        for (number, module) in &self.modules {
            self.of_module(*number, module, file, &mut entries)?;
        }
        let mut globals = self.globals.iter();
        while let Some(symbol) = globals.next()? {
            // There may be a million of them; most are elsewhere, which is seen without a look at their names.
            let section = symbol.raw_bytes().get(SECTION..).and_then(|rest| rest.first_chunk());
            let is_near = section.is_some_and(|section| self.sections.contains(&u16::from_le_bytes(*section)));
            if is_near && matches!(symbol.raw_kind(), LDATA32 | GDATA32 | PUB32 | LTHREAD32 | GTHREAD32) {
                // A record that makes no sense stands for itself alone.
                entries.extend(symbol.parse().ok().and_then(|data| self.entry(&data, file, Origin::Global)));
            }
        }
        Ok(entries)
    }

    fn of_module<'t>(
        &'t self,
        number: usize,
        module: &'t ModuleInfo<'static>,
        file: &File,
        entries: &mut Vec<Entry<'t>>,
    ) -> Result<(), Unknown> {
        let mut symbols = module.symbols()?;
        let mut functions: Vec<Option<RawString<'t>>> = Vec::new();
        let mut count: HashMap<(&[u8], &[u8]), u32> = HashMap::new(); // by function and name
        while let Some(symbol) = symbols.next()? {
            if symbol.ends_scope() {
                functions.pop();
                continue;
            }
            let starts = symbol.starts_scope();
            if !starts && !matches!(symbol.raw_kind(), LDATA32 | GDATA32 | LTHREAD32 | GTHREAD32) {
                continue;
            }
            let around = functions.last().copied().flatten();
            let data = symbol.parse().ok();
            let entry = data.as_ref().and_then(|data| self.entry(data, file, Origin::Module));
            if starts {
                functions.push(procedure(data.as_ref()).or(around));
            }
            let Some(entry) = entry else { continue };
            let mut nth = 0;
            let function = around.filter(|_| entry.ty.is_some());
            if entry.ty.is_some() {
                let name = entry.name.as_bytes();
                let within = function.filter(|_| !name.contains(&b':')).map_or(&[][..], |function| function.as_bytes());
                let seen = count.entry((within, name)).or_insert(0);
                nth = *seen;
                *seen += 1;
            }
            entries.push(Entry { module: Some(number), function, nth, ..entry });
        }
        Ok(())
    }

    /// None: it is of no interest.
    fn entry<'t>(&self, data: &SymbolData<'t>, file: &File, origin: Origin) -> Option<Entry<'t>> {
        let entry = |place: PdbInternalSectionOffset, name: RawString<'t>, local: bool| {
            let address = file.address(place)?;
            let is_wanted = |part: usize| self.wanted.get(part).copied().unwrap_or(false);
            let wanted = file.part(address).is_none_or(is_wanted);
            let entry = Entry {
                address,
                origin,
                kind: None,
                size: None,
                local,
                name,
                ty: None,
                module: None,
                function: None,
                nth: 0,
            };
            wanted.then_some(entry)
        };
        match data {
            SymbolData::Data(data) => {
                let ty = Some(data.type_index.0);
                Some(Entry { ty, ..entry(data.offset, data.name, !data.global)? })
            }
            SymbolData::ThreadStorage(data) => {
                let (ty, kind) = (Some(data.type_index.0), Some(Kind::ThreadLocal));
                Some(Entry { ty, kind, ..entry(data.offset, data.name, !data.global)? })
            }
            SymbolData::Procedure(function) => {
                let (kind, size) = (Some(Kind::Function), Some(function.len.into()));
                Some(Entry { kind, size, ..entry(function.offset, function.name, !function.global)? })
            }
            SymbolData::Public(data) => {
                let kind = (data.code || data.function).then_some(Kind::Function);
                Some(Entry { origin: Origin::Public, kind, ..entry(data.offset, data.name, false)? })
            }
            _ => None,
        }
    }
}

/// The name of a function whose scope begins.
fn procedure<'t>(data: Option<&SymbolData<'t>>) -> Option<RawString<'t>> {
    match data? {
        SymbolData::Procedure(function) => Some(function.name),
        _ => None,
    }
}
