//! Every kind of edit of the state, for every language, compiler, optimisation and linker, with and without debug
//! information: each cell is a test, and together they are the table in docs/state.md.
//!
//! A test is called by its cell: `c::gcc::o2::lld::debug::add`. One guest has all edits of its language in it; it is
//! built and reloaded once, and what became of each variable is kept in a file for the other tests.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may
#![allow(dead_code)] // the fixture has more than is used here

#[path = "../state/fixture.rs"]
mod fixture;
mod guests;
mod outcome;
mod rows;
mod table;
#[path = "../../c-tests/support/target.rs"]
mod target;

use outcome::{Config, check};

macro_rules! language {
    ($language:ident [$($compiler:ident)*] $rows:tt) => {
        mod $language {
            pub(crate) const ROWS: &[&str] = names!($rows);
            $(mod $compiler {
                mod o0 { linkers! { $language $compiler o0 $rows } }
                mod o2 { linkers! { $language $compiler o2 $rows } }
            })*
        }
    };
}

macro_rules! linkers {
    ($language:ident $compiler:ident $level:ident $rows:tt) => {
        mod bfd {
            debug! { $language $compiler $level bfd $rows }
        }
        mod gold {
            debug! { $language $compiler $level gold $rows }
        }
        mod lld {
            debug! { $language $compiler $level lld $rows }
        }
        mod mold {
            debug! { $language $compiler $level mold $rows }
        }
    };
}

macro_rules! debug {
    ($language:ident $compiler:ident $level:ident $linker:ident $rows:tt) => {
        mod debug {
            cells! { $language $compiler $level $linker debug $rows }
        }
        mod plain {
            cells! { $language $compiler $level $linker plain $rows }
        }
    };
}

macro_rules! cells {
    ($language:ident $compiler:ident $level:ident $linker:ident $debug:ident [$($row:ident)*]) => {
        $(#[test]
        fn $row() {
            let words = [stringify!($language), stringify!($compiler), stringify!($level), stringify!($linker)];
            crate::check(crate::Config::new(words, stringify!($debug) == "debug"), stringify!($row));
        })*
    };
}

macro_rules! names {
    ([$($row:ident)*]) => { &[$(stringify!($row)),*] };
}

language! { c [gcc clang] [
    add remove reorder rename move_to_another_file widen narrow narrow_too_far grow_an_array shrink_an_array
    add_a_field change_a_nested_struct nest remove_a_field bit_fields change_an_enum static_in_a_function thread_local
] }
language! { cpp [gcc clang] [
    add remove reorder rename move_to_another_file widen narrow narrow_too_far grow_an_array shrink_an_array
    add_a_field change_a_nested_struct nest remove_a_field bit_fields change_an_enum static_in_a_function thread_local
    template_static anonymous_namespace change_a_base
] }
language! { rust [rustc] [
    add remove reorder rename move_to_another_file widen widen_what_an_optimiser_sees use_what_an_optimiser_sees
    narrow narrow_too_far grow_an_array shrink_an_array
    add_a_field change_a_nested_struct nest remove_a_field change_an_enum static_in_a_function thread_local
] }

#[test]
fn every_row_has_its_cells() {
    for (language, names) in [("c", c::ROWS), ("cpp", cpp::ROWS), ("rust", rust::ROWS)] {
        let rows: Vec<&str> = rows::of(language).iter().map(|row| row.name).collect();
        assert_eq!(rows, names, "{language}");
    }
}
