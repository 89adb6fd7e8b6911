//! The types of variables, from the debug information of an image: DWARF in it or beside it.

use super::dwarf;
use super::symbols::Source;
use super::types::{Nonsense, TypeId, Types};

/// A variable whose type is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// As in the file.
    pub(crate) address: u64,
    /// Its symbol, by which a doubtful find is confirmed.
    pub(crate) symbol: &'a str,
}

/// What was found: the type of each variable, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) types: Types,
    pub(crate) of: Vec<Option<TypeId>>,
}

/// Why no types are known. The variables are then moved as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("it has no debug information")]
    Absent,
    #[error("its debug information cannot be read: {0}")]
    Damaged(String),
    #[error("{0}")]
    Type(#[from] Nonsense),
}

impl From<gimli::Error> for Unknown {
    fn from(error: gimli::Error) -> Self {
        Unknown::Damaged(error.to_string())
    }
}

impl From<object::Error> for Unknown {
    fn from(error: object::Error) -> Self {
        Unknown::Damaged(error.to_string())
    }
}

/// Looks the types of variables up. A variable that the debug information does not describe, or describes in a way that
/// makes no sense, has none.
pub(crate) fn variable_types(source: Source<'_>, wanted: &[Wanted<'_>]) -> Result<Found, Unknown> {
    dwarf::variable_types(source, wanted)
}
