//! Images of every format: headers, sections, symbols.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cr::fuzz::image(bytes));
