//! What is carried over: the state, saved at the last good unload, and how it goes into the next version.
//!
//! [`Snapshot`] is the saved state; there is one. It goes into the next version at a reload, and into an older one at a
//! rollback. [`Plan`] says how: where both images have symbols, variable by variable, otherwise section by section.
//! `side` is the variables of one version, `names` what stays the same of their names, `matching` which is which, `typed`
//! and `convert` what their types have to do with it, `pointers` where pointers into the image go, `follow` where
//! in a variable that is another one now, `carry` the plan
//! carried out, `migration` what the guest can do about it, and `report` what is said of it.

mod block;
mod carry;
mod convert;
#[cfg(test)]
mod convert_tests;
mod fields;
mod floats;
mod follow;
mod matching;
#[cfg(test)]
mod matching_tests;
mod migration;
#[cfg(all(test, target_os = "linux"))]
mod mingw_tests;
#[cfg(test)]
pub(crate) mod model;
mod names;
#[cfg(all(test, target_os = "linux"))]
mod pdb_tests;
mod plan;
mod pointers;
mod renames;
mod report;
mod side;
mod snapshot;
mod typed;
#[cfg(all(test, target_os = "linux"))]
mod typed_tests;

pub(crate) use block::Allocator;
pub(crate) use carry::Loaded as Place;
pub(crate) use migration::Migration;
pub(crate) use plan::{Destination, Files, Plan, foresee, refusal};
pub(crate) use report::Report;
pub(crate) use snapshot::{Live, Snapshot};
