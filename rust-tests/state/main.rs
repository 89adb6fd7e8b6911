//! State that follows the code: what becomes of each variable when the source is edited.
//!
//! The guests are compiled here, without debug information: variables are known by name and size only.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may

#[path = "../../src/state/model.rs"]
mod model;
#[path = "../../c-tests/support/target.rs"]
mod target;

mod apart;
mod damage;
mod edits;
mod fixture;
mod hooks;
mod modes;
mod objects;
mod odd;
mod pointers;
mod property;
mod real;
mod typed;
mod types;
