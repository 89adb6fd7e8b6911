//! Pointers from the state into the image, which is another one now.
//!
//! What has a name is found by it in the new image. A string without a name (a literal) is found by its bytes. All
//! else dangles, which is said.

use super::matching::{Fate, Matching};
use super::names;
use super::plan::Files;
use super::side::Side;
use super::typed::{Thing, Typed};
use crate::error::Error;
use crate::image::debug::Wanted;
use crate::image::{self, Kind, Region, Source, Symbol, Target};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A word in the old state that is an address in the old image. Both are addresses in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) at: u64,
    pub(super) to: u64,
}

/// Those in this part of the image.
pub(super) fn within(pointers: &[Pointer], address: u64, size: u64) -> &[Pointer] {
    let start = pointers.partition_point(|pointer| pointer.at < address);
    let end = pointers.partition_point(|pointer| pointer.at < address.saturating_add(size));
    pointers.get(start..end).unwrap_or_default()
}

/// Where a pointer goes in the new image.
#[derive(Debug, Clone)]
pub(super) struct Goal {
    /// None: nowhere.
    pub(super) address: Option<u64>,
    /// What it points to, for people.
    pub(super) what: String,
    /// It is in something whose type has changed, whose address the other one is then: in what, and how far in it was.
    pub(super) inside: Option<(Thing, u64)>,
    /// It is the beginning of a function, or in a virtual table: what looks like a pointer to it is one.
    pub(super) landmark: bool,
}

impl Goal {
    pub(super) fn found(address: u64, what: String) -> Goal {
        Goal { address: Some(address), what, inside: None, landmark: false }
    }

    fn lost(what: String) -> Goal {
        Goal { address: None, what, inside: None, landmark: false }
    }
}

/// The two images, and what is known of their variables.
pub(super) struct Images<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) target: Target,
    pub(super) old_side: &'a Side<'a>,
    pub(super) new_side: &'a Side<'a>,
    pub(super) matching: &'a Matching,
    pub(super) types: Option<&'a Typed>,
}

impl<'a> Images<'a> {
    fn old_file(&self) -> Result<Source<'a>, Error> {
        self.files.old_file().ok_or(Error::Internal(GONE))
    }

    fn new_file(&self) -> Result<Source<'a>, Error> {
        self.files.new_file().ok_or(Error::Internal(GONE))
    }
}

const GONE: &str = "the copy of a version is gone";

/// A string is looked for if it is not longer.
const LONGEST_TEXT: usize = 1 << 16;

/// So many strings are looked for in all of the section.
const MOST_SEARCHES: usize = 64;

/// A slice of text as Rust has it, without a zero at its end: the words behind the pointer to it tell its length.
pub(super) type Length<'l> = &'l dyn Fn(u64) -> Option<u64>;

/// Finds out where all these addresses of the old image, in order and each once, are in the new one.
pub(super) fn resolve(images: &Images<'_>, to: &[u64], length: Length<'_>) -> HashMap<u64, Goal> {
    let mut goals = HashMap::with_capacity(to.len());
    // Most point to variables, which are known already.
    let mut others = Vec::new();
    for address in to {
        match variable(images, *address) {
            Some(goal) => {
                goals.insert(*address, goal);
            }
            None => others.push(*address),
        }
    }
    if !others.is_empty() && from_files(images, &others, length, &mut goals).is_err() {
        // Somebody has removed one of the copies, or what is in it makes no sense.
        for address in others {
            goals.entry(address).or_insert_with(|| Goal::lost("a place whose name cannot be read".into()));
        }
    }
    goals
}

/// Those that are no variables that are carried.
fn from_files(
    images: &Images<'_>,
    to: &[u64],
    length: Length<'_>,
    goals: &mut HashMap<u64, Goal>,
) -> Result<(), Error> {
    let named = owners(images, to)?;
    let mut by_name: Vec<(u64, &Symbol<'_>)> = Vec::new();
    let mut nameless = Vec::new();
    for address in to {
        match named.get(address) {
            None => nameless.push(*address),
            Some(owner) => by_name.push((*address, owner)),
        }
    }
    find_names(images, &by_name, goals)?;
    if nameless.is_empty() { Ok(()) } else { find_texts(images, &nameless, length, goals) }
}

/// The symbol that each address is in: the smallest, for those that have one.
fn owners<'a>(images: &Images<'a>, to: &[u64]) -> Result<HashMap<u64, Symbol<'a>>, Error> {
    let within = |address: u64, size: u64| {
        let start = to.partition_point(|target| *target < address);
        let end = to.partition_point(|target| *target < address.saturating_add(size));
        to.get(start..end).unwrap_or_default()
    };
    let mut owners: HashMap<u64, Symbol<'a>> = HashMap::new();
    image::symbols(
        images.old_file()?,
        images.target,
        &mut |place| place.kind != Kind::ThreadLocal && !within(place.address, place.size).is_empty(),
        &mut |symbol| {
            for target in within(symbol.place.address, symbol.place.size) {
                let better = |known: &Symbol<'_>| symbol.place.size < known.place.size;
                if owners.get(target).is_none_or(better) {
                    owners.insert(*target, symbol.clone());
                }
            }
        },
    )?;
    Ok(owners)
}

/// A variable that is carried has been matched already.
fn variable(images: &Images<'_>, address: u64) -> Option<Goal> {
    let after = images.old_side.variables.partition_point(|symbol| symbol.place.address <= address);
    let index = after.checked_sub(1)?;
    let owner = images.old_side.get(index as u32).filter(|owner| address - owner.place.address < owner.place.size)?;
    let what = names::readable(&owner.name).into_owned();
    let offset = address - owner.place.address;
    Some(match images.matching.new_of.get(index)? {
        Fate::Is(new) => match images.new_side.get(*new) {
            Some(new) if images.types.is_some_and(|types| types.is_converted(index as u32)) => {
                Goal { inside: Some((Thing::Variable(index as u32), offset)), ..Goal::found(new.place.address, what) }
            }
            Some(new) if offset < new.place.size => Goal::found(new.place.address + offset, what),
            _ => Goal::lost(what),
        },
        Fate::Runtime => return None,
        Fate::Gone | Fate::Ambiguous => Goal::lost(what),
    })
}

/// Functions, virtual tables, constants and variables that are not carried.
fn find_names(images: &Images<'_>, wanted: &[(u64, &Symbol<'_>)], goals: &mut HashMap<u64, Goal>) -> Result<(), Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    let names: HashSet<&str> = wanted.iter().map(|(_, owner)| stable(&owner.name)).collect();
    let mut found: HashMap<String, Vec<Symbol<'_>>> = HashMap::new();
    image::symbols(images.new_file()?, images.target, &mut |place| place.kind != Kind::ThreadLocal, &mut |symbol| {
        if let Some(name) = names.get(stable(&symbol.name)) {
            found.entry((*name).to_owned()).or_default().push(symbol);
        }
    })?;
    let mut resized = Vec::new();
    for (address, owner) in wanted {
        let what = names::readable(&owner.name).into_owned();
        let candidates = found.get(stable(&owner.name)).map_or(&[][..], |found| &found[..]);
        let offset = address - owner.place.address;
        let goal = match choose(owner, candidates) {
            Some(new) if offset > 0 && is_resized(owner, new) => {
                resized.push((*address, *owner, new));
                continue;
            }
            // The inside of a function is another one now; nobody keeps pointers there but to its beginning.
            Some(new) if offset == 0 || (new.place.kind == Kind::Object && offset < new.place.size) => {
                Goal::found(new.place.address + offset, what)
            }
            _ => Goal::lost(what),
        };
        let function = owner.place.kind == Kind::Function && offset == 0;
        goals.insert(*address, Goal { landmark: function || names::is_virtual_table(&owner.name), ..goal });
    }
    find_inside(images, &resized, goals)
}

/// Is it a table of another size now, whose elements may be others?
fn is_resized(old: &Symbol<'_>, new: &Symbol<'_>) -> bool {
    let is_object = old.place.kind == Kind::Object && new.place.kind == Kind::Object;
    is_object && old.place.size != new.place.size && !names::is_virtual_table(&old.name)
}

/// What points into a thing follows the element and field there, if the types are known, and else stays as far in.
fn find_inside(
    images: &Images<'_>,
    resized: &[(u64, &Symbol<'_>, &Symbol<'_>)],
    goals: &mut HashMap<u64, Goal>,
) -> Result<(), Error> {
    let mut things: Vec<_> = resized.iter().map(|(_, old, new)| (Wanted::new(old), Wanted::new(new))).collect();
    things.dedup_by_key(|(old, _)| old.address);
    let found: HashMap<u64, Thing> = match images.types.filter(|_| !things.is_empty()) {
        Some(types) => {
            let found = types.look_up((images.old_file()?, images.new_file()?), &things);
            things.iter().zip(found).filter_map(|((old, _), thing)| Some((old.address, thing?))).collect()
        }
        None => HashMap::new(),
    };
    for (address, old, new) in resized {
        let what = names::readable(&old.name).into_owned();
        let offset = address - old.place.address;
        let goal = match found.get(&old.place.address) {
            Some(thing) => Goal { inside: Some((*thing, offset)), ..Goal::found(new.place.address, what) },
            None if offset < new.place.size => Goal::found(new.place.address + offset, what),
            None => Goal::lost(what),
        };
        goals.insert(*address, goal);
    }
    Ok(())
}

/// The one of these of the same name, if there can be no doubt: of the same file or, failing that, the only one.
fn choose<'s, 'a>(owner: &Symbol<'_>, candidates: &'s [Symbol<'a>]) -> Option<&'s Symbol<'a>> {
    let same_kind = || candidates.iter().filter(|symbol| symbol.place.kind == owner.place.kind);
    let only = |mut found: Vec<&'s Symbol<'a>>| {
        // Several names of one place are one.
        found.dedup_by_key(|symbol| symbol.place.address);
        if let [only] = found[..] { Some(only) } else { None }
    };
    let of_file: Vec<_> = same_kind().filter(|symbol| symbol.file == owner.file).collect();
    let exact: Vec<_> = of_file.iter().copied().filter(|symbol| symbol.name == owner.name).collect();
    only(of_file).or_else(|| only(exact)).or_else(|| only(same_kind().collect()))
}

/// A name without the parts that change from build to build, as far as that is cheap to say: there may be a million.
fn stable(name: &str) -> &str {
    let name = name.split_once(".llvm.").map_or(name, |(name, _)| name);
    let name = name.split_once(".lto_priv.").map_or(name, |(name, _)| name);
    let hash = name.len().checked_sub(20).and_then(|at| name.split_at_checked(at));
    match hash {
        Some((rest, hash)) if name.starts_with("_ZN") && hash.starts_with("17h") && hash.ends_with('E') => rest,
        _ => name,
    }
}

/// A string in the old image.
struct Text<'a> {
    to: u64,
    region: &'a Region<'a>,
    /// All of it, and how far in the pointer points.
    bytes: &'a [u8],
    offset: u64,
}

/// What has no name: literals, found by their bytes in the section of the same name.
fn find_texts(
    images: &Images<'_>,
    nameless: &[u64],
    length: Length<'_>,
    goals: &mut HashMap<u64, Goal>,
) -> Result<(), Error> {
    let old = image::regions(images.old_file()?, images.target)?;
    let new = image::regions(images.new_file()?, images.target)?;
    let mut open = Vec::new();
    for to in nameless {
        let region = old.iter().find(|region| region.address <= *to && to - region.address < region.size);
        let Some(region) = region else {
            goals.insert(*to, Goal::lost("a place outside of its sections".into()));
            continue;
        };
        match text(region, *to) {
            Some(text) => open.push(text),
            None => {
                let what = format!("{:#x} in {}", to - region.address, region.name);
                goals.insert(*to, Goal::lost(what));
            }
        }
        if let (Some(slice), false) = (length(*to).and_then(|length| slice(region, *to, length)), region.writable)
            && let Some(address) = new.iter().find_map(|new| find_slice(new, region, slice, *to))
        {
            let what = shown(slice);
            goals.insert(*to, Goal::found(address, what));
        }
    }
    open.retain(|text| goals.get(&text.to).is_none_or(|goal| goal.address.is_none()));
    let wanted: HashSet<&[u8]> = open.iter().map(|text| text.bytes).collect();
    let mut found: HashMap<(&str, &[u8]), u64> = HashMap::new();
    let is_wanted = |region: &&Region<'_>| open.iter().any(|text| text.region.name == region.name);
    for region in new.iter().filter(is_wanted) {
        let mut address = region.address;
        for piece in region.bytes.split(|byte| *byte == 0) {
            if let Some(piece) = wanted.get(piece) {
                found.entry((&region.name, piece)).or_insert(address);
            }
            address += piece.len() as u64 + 1;
        }
    }
    let mut searches = 0;
    for text in &open {
        let what = shown(text.bytes);
        let whole = found.get(&(&*text.region.name, text.bytes)).map(|address| address + text.offset);
        let mut tail = || {
            searches += 1;
            let regions = new.iter().filter(|_| searches <= MOST_SEARCHES);
            regions.filter_map(|region| find_tail(region, text)).next()
        };
        let goal = match whole.or_else(&mut tail) {
            Some(address) => Goal::found(address, what),
            None => Goal::lost(what),
        };
        goals.insert(text.to, goal);
    }
    Ok(())
}

/// A linker makes a string that is the end of another one a part of it: what counts is the string from the pointer on.
fn find_tail(new: &Region<'_>, text: &Text<'_>) -> Option<u64> {
    if new.name != text.region.name || new.writable {
        return None;
    }
    let tail = text.bytes.get(usize::try_from(text.offset).ok()?..)?;
    if tail.len() < 3 && !(new.strings && text.region.strings) {
        return None;
    }
    let ends = |window: &[u8]| window.split_last().is_some_and(|(zero, rest)| *zero == 0 && rest == tail);
    let at = new.bytes.windows(tail.len() + 1).position(ends)?;
    Some(new.address + at as u64)
}

/// The string around this place, if it looks like one without doubt.
fn text<'a>(region: &'a Region<'a>, to: u64) -> Option<Text<'a>> {
    if region.writable || region.code {
        return None;
    }
    let at = usize::try_from(to - region.address).ok()?;
    let (before, behind) = region.bytes.split_at_checked(at)?;
    let start = before.iter().rposition(|byte| *byte == 0).map_or(0, |zero| zero + 1);
    let end = at + behind.iter().take(LONGEST_TEXT).position(|byte| *byte == 0)?;
    let bytes = region.bytes.get(start..end)?;
    // Two letters may be a number, if the section has others than strings.
    let sure = region.strings || (bytes.len() > 2 && is_text(bytes));
    sure.then_some(Text { to, region, bytes, offset: (at - start) as u64 })
}

fn slice<'a>(region: &Region<'a>, to: u64, length: u64) -> Option<&'a [u8]> {
    let at = usize::try_from(to - region.address).ok()?;
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_TEXT)?;
    let bytes = region.bytes.get(at..at.checked_add(length)?)?;
    (!bytes.is_empty() && is_text(bytes)).then_some(bytes)
}

/// Where a slice of text is in the new section of the same name: anywhere, for it is only read.
fn find_slice(new: &Region<'_>, old: &Region<'_>, slice: &[u8], to: u64) -> Option<u64> {
    if new.name != old.name || new.writable {
        return None;
    }
    // Where it was, if it is still there.
    let same = usize::try_from(to.checked_sub(new.address)?).ok()?;
    if new.bytes.get(same..).is_some_and(|bytes| bytes.starts_with(slice)) {
        return Some(to);
    }
    let at = new.bytes.windows(slice.len()).position(|window| window == slice)?;
    Some(new.address + at as u64)
}

fn is_text(bytes: &[u8]) -> bool {
    let printable = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t' | '\r');
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(printable))
}

/// A string as it is shown to people: its beginning, in quotes.
fn shown(bytes: &[u8]) -> String {
    const LETTERS: usize = 32;
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let short: String = text.chars().take(LETTERS).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}
