//! DWARF 4 and 5, as gcc, clang and rustc write it.
//!
//! Only the variables that are asked for are read. Their entries are found by a search for the bytes of their location;
//! the units are not walked through, which would take seconds in a large image.

mod build;
mod declared;
mod files;
mod find;
#[cfg(all(test, target_os = "linux"))]
mod foreign_tests;
mod forms;
mod locations;
mod objects;
mod pointers;
mod scope;
#[cfg(all(test, target_os = "linux"))]
pub(super) mod tests;
mod units;

use super::debug::{Asked, Found, Hints, Numbers, Unknown, Wanted, What};
use super::symbols::Source;
use super::types::TypeId;
use files::{Bytes, Sections};
use gimli::{Dwarf, EndianSlice, LittleEndian};
use std::path::Path;
use units::Builder;

/// Where DWARF is read from.
type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a> = gimli::DebuggingInformationEntry<Reader<'a>>;
type Expression<'a> = gimli::Expression<Reader<'a>>;

/// See [`files::is_apart`].
pub(super) fn is_apart(source: Source<'_>) -> bool {
    files::is_apart(source)
}

pub(super) fn variables(asked: &Asked<'_>) -> Result<Found, Unknown> {
    // In a PE image it counts from where the image would like to be, symbols from its beginning.
    let base = files::image_base(asked.source.bytes);
    if base == 0 {
        return in_image(asked);
    }
    let moved = |one: &Wanted<'_>| one.address.checked_add(base);
    let wanted: Vec<Wanted<'_>> =
        asked.wanted.iter().map(|one| Wanted { address: moved(one).unwrap_or(0), ..*one }).collect();
    let mut found = in_image(&Asked { wanted: &wanted, ..*asked })?;
    found.other_forms = found.other_forms.into_iter().map(|(at, form)| (at.wrapping_sub(base), form)).collect();
    Ok(found)
}

fn in_image(asked: &Asked<'_>) -> Result<Found, Unknown> {
    if let Some(sections) = Sections::of(asked.source.bytes)? {
        return in_file(&sections, asked);
    }
    if let Some(separate) = files::separate(asked.source)
        && let Some(sections) = Sections::of(&separate)?
    {
        return in_file(&sections, asked);
    }
    objects::variables(asked)
}

fn in_file(sections: &Sections<'_>, asked: &Asked<'_>) -> Result<Found, Unknown> {
    let Asked { source: Source { path, .. }, wanted, before, .. } = *asked;
    let dwarf = sections.dwarf();
    let mut found = Found { of: vec![None; wanted.len()], scopes: vec![None; wanted.len()], ..Found::default() };
    let mut builder = Builder::new(&dwarf);
    builder.merges = sections.merges;
    let mut split = Vec::new();
    let (places, hints) = builder.places(wanted, before, &mut split)?;
    found.hints = hints;
    answer(&builder, &places, asked, &mut found);

    // Units whose entries are in files of their own.
    let package = if split.is_empty() { None } else { files::package(path) };
    for part in split {
        let read = match &package {
            Some(package) => in_package(package, &dwarf, &part, asked, &mut found),
            None => in_dwo(path, &dwarf, &part, asked, &mut found),
        };
        // A part that is missing or damaged leaves its variables without a type.
        if !read.is_ok_and(|is_there| is_there) {
            found.damage.get_or_insert(format!("{} is missing, damaged or of another build", part.name));
        }
    }
    share(wanted, &mut found.of);
    if asked.what == What::Types {
        // Those that were not described in the image before are not now.
        let known = |one: &Wanted<'_>| before.of.get(&Hints::key(one.symbol)) == Some(&None);
        builder.other_forms(&open(wanted, &found, |one| !known(one)), wanted, &mut found);
        found.forget_other_forms(wanted);
    }
    Ok(found)
}

/// The variables that have no type yet, by address.
fn open(wanted: &[Wanted<'_>], found: &Found, which: impl Fn(&Wanted<'_>) -> bool) -> Numbers<usize> {
    let open = wanted.iter().zip(&found.of).zip(0..).filter(|((one, ty), _)| ty.is_none() && which(one));
    open.map(|((one, _), index)| (one.address, index)).collect()
}

/// Gives the same type to all symbols of one address.
fn share(wanted: &[Wanted<'_>], of: &mut [Option<TypeId>]) {
    let open = wanted.iter().zip(of.iter()).filter(|(_, ty)| ty.is_none());
    let mut known: Numbers<Option<TypeId>> = open.map(|(one, _)| (one.address, None)).collect();
    if known.is_empty() {
        return;
    }
    for (one, ty) in wanted.iter().zip(of.iter()).filter(|(_, ty)| ty.is_some()) {
        known.entry(one.address).and_modify(|known| *known = *ty);
    }
    for (one, ty) in wanted.iter().zip(of).filter(|(_, ty)| ty.is_none()) {
        *ty = known.get(&one.address).copied().flatten();
    }
}

fn in_dwo(
    path: &Path,
    parent: &Dwarf<Reader<'_>>,
    part: &find::Split,
    asked: &Asked<'_>,
    found: &mut Found,
) -> Result<bool, Unknown> {
    let Some(bytes) = files::dwo(path, part) else { return Ok(false) };
    let sections = Sections::of_dwo(&bytes)?;
    let mut dwarf = sections.dwarf();
    // Its own sections live longer than what is taken from the parent is needed.
    dwarf.make_dwo(parent);
    in_split(&dwarf, part, asked, found)
}

fn in_package(
    bytes: &Bytes,
    parent: &Dwarf<Reader<'_>>,
    part: &find::Split,
    asked: &Asked<'_>,
    found: &mut Found,
) -> Result<bool, Unknown> {
    let sections = files::PackageSections::of(bytes)?;
    let package = sections.package()?;
    let Some(dwarf) = package.find_cu(part.id, parent)? else { return Ok(false) };
    in_split(&dwarf, part, asked, found)
}

fn in_split(
    dwarf: &Dwarf<Reader<'_>>,
    part: &find::Split,
    asked: &Asked<'_>,
    found: &mut Found,
) -> Result<bool, Unknown> {
    let builder = Builder::new(dwarf);
    // The next build writes its own under the same name.
    if !builder.has_unit(part.id)? {
        return Ok(false);
    }
    let places = builder.indexed(&part.indices, asked.wanted)?;
    answer(&builder, &places, asked, found);
    if asked.what == What::Types {
        let is_open = |index: &usize| found.of.get(*index) == Some(&None);
        let open = part.indices.iter().filter(|(_, index)| is_open(index)).map(|(number, index)| (*number, *index));
        builder.other_forms_in_all(&open.collect(), asked.wanted, found);
    }
    Ok(true)
}

fn answer<'a>(builder: &Builder<'a, '_>, places: &[find::Place<'a>], asked: &Asked<'_>, found: &mut Found) {
    match asked.what {
        What::Types => builder.build(places, asked.wanted, found),
        What::Scopes => builder.scopes(places, asked.wanted, found),
    }
}
