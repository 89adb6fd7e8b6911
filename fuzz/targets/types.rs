//! Debug information: the types of all variables.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cr::fuzz::types(bytes));
