//! Two images: a plan for the state of one in the other, carried out.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cr::fuzz::plan(bytes));
