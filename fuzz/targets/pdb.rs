//! A PDB: variables, their types and scopes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cr::fuzz::pdb(bytes));
