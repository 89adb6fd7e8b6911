//! The variables of an image that may be carried, listed when the file is checked: so a reload reads neither of its two
//! files again, unless there is debug information, or a pointer to follow.

use super::symbols::{Kind, Place, Source, Symbol, Variable};
use super::{Section, Target, regions, symbols};
use crate::error::Error;
use core::ops::Range;
use std::borrow::Cow;

/// The section of the records of `CR_STATE_RENAMED`; on Mach-O its name begins with underscores.
pub(super) const RENAMED: &str = "cr_names";

/// What a plan wants to know of an image that is not stripped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    rows: Vec<Row>,
    /// All names, one behind the other.
    names: String,
    /// The records of `CR_STATE_RENAMED`.
    pub(crate) renamed: Vec<u8>,
    /// It has debug information, or may have it in another file.
    pub(crate) debug: bool,
    /// Sizes are distances to what comes next, which may be too much.
    pub(crate) padded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    place: Place,
    name: Range<usize>,
    file: Option<Range<usize>>,
}

impl Listing {
    /// The variables, and those that are thread-local, in the order of their addresses; of those at the same address
    /// the global one is first.
    pub(crate) fn variables(&self) -> impl ExactSizeIterator<Item = Variable<'_>> {
        self.rows.iter().map(|row| Symbol {
            place: row.place,
            name: Cow::Borrowed(self.text(&row.name)),
            file: row.file.as_ref().map(|file| Cow::Borrowed(self.text(file))),
        })
    }

    fn text(&self, place: &Range<usize>) -> &str {
        self.names.get(place.clone()).unwrap_or_default()
    }

    /// Lists the variables in these sections that `read` hands over. None: the image is stripped.
    pub(super) fn of<'a>(
        sections: &[Section],
        read: impl FnOnce(&mut dyn FnMut(&Place) -> bool, &mut dyn FnMut(Symbol<'a>)) -> Result<bool, Error>,
    ) -> Result<Option<Listing>, Error> {
        let within = |place: &Place, section: &Section| {
            section.address <= place.address
                && place.size <= section.size
                && place.address - section.address <= section.size - place.size
        };
        let mut listing = Listing::default();
        let complete = read(
            &mut |place| match place.kind {
                Kind::Object => sections.iter().any(|section| within(place, section)),
                Kind::ThreadLocal => true,
                Kind::Function => false,
            },
            &mut |symbol| listing.push(&symbol),
        )?;
        listing.rows.sort_by_cached_key(|row| (row.place.address, row.place.local));
        Ok(complete.then_some(listing))
    }

    fn push(&mut self, symbol: &Symbol<'_>) {
        let name = self.append(&symbol.name);
        // Symbols of one file follow each other.
        let last = self.rows.last().and_then(|row| row.file.clone());
        let file = symbol.file.as_deref().map(|file| match last {
            Some(last) if self.text(&last) == file => last,
            _ => self.append(file),
        });
        self.rows.push(Row { place: symbol.place, name, file });
    }

    fn append(&mut self, text: &str) -> Range<usize> {
        let start = self.names.len();
        self.names.push_str(text);
        start..self.names.len()
    }
}

/// Of the formats that have no quicker way.
pub(super) fn list(source: Source<'_>, target: Target, sections: &[Section]) -> Result<Option<Listing>, Error> {
    let listing = Listing::of(sections, |wanted, found| symbols(source, target, wanted, found))?;
    let Some(mut listing) = listing else { return Ok(None) };
    let records = regions(source, target)?;
    let records = records.iter().filter(|region| region.name.trim_start_matches('_') == RENAMED);
    listing.renamed = records.flat_map(|region| region.bytes).copied().collect();
    // It may be in a file beside the image, of which that says little.
    listing.debug = true;
    listing.padded = true;
    Ok(Some(listing))
}
