//! What MinGW's C runtime keeps in an image stays out of the state: it is about memory, locks and threads of that image.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use super::names::is_runtime;
use super::pdb_tests::{address, carry_memory, memory, parse};
use crate::abi::cr_mode::CR_UNSAFE;
use crate::image::pdb::real_tests::{Guest, X64, X86};
use crate::image::{Source, Symbol, regions};
use std::collections::BTreeSet;

/// Its `printf` and its threads are the runtime's, not those of a DLL.
const SOURCE: &str = "
    #define __USE_MINGW_ANSI_STDIO 1
    #include <pthread.h>
    #include <stdio.h>
    int counter, set_by_a_constructor;
    static pthread_key_t key;
    static __thread int own;
    __attribute__((constructor)) static void begin(void) { set_by_a_constructor = 5; }
    __declspec(dllexport) int cr_main(void *ctx, int op) {
        static int calls;
        pthread_key_create(&key, 0);
        return printf(\"%f\", (double)op) + counter++ + calls++ + own++ + set_by_a_constructor;
    }
";

/// What the guest itself has.
const CARRIED: [&str; 4] = ["calls", "counter", "key", "set_by_a_constructor"];
/// What of the runtime does no harm: plain numbers, and what is for its own developers.
const HARMLESS: [&str; 8] = [
    "_pthread_cancelling",
    "_pthread_concur",
    "dummy_concurrency_level",
    "fo",
    "internal_mbstate",
    "msvcrt__lc_codepage",
    "print_state",
    "s_mbstate",
];

/// The variables of `.bss` that have taken over what all of it was filled with, `set` apart, which has a value already.
fn carried(flags: &[&str], set: &str) -> BTreeSet<String> {
    const FILL: u8 = 0x11;
    let (old, new) = (Guest::build_mingw(X64, SOURCE, flags), Guest::build_mingw(X64, SOURCE, flags));
    let (before, after) = (parse(&old), parse(&new));
    let (mut from, mut to) = (memory(&old, &before), memory(&new, &after));
    for section in before.state.iter().filter(|section| section.name == ".bss") {
        from[section.address as usize..][..section.size as usize].fill(FILL);
    }
    to[address(&new, set)] = 1;
    let outcome = carry_memory((old, before, from), (new, after, to), CR_UNSAFE).unwrap();
    let symbols = outcome.pair.new.symbols();
    let name = |symbol: &Symbol<'_>| symbol.name.split('.').next().unwrap().to_owned();
    let is_carried = |place: u64| outcome.memory[place as usize] == FILL;
    let names = symbols.iter().filter(|symbol| is_carried(symbol.place.address)).map(name).collect();
    // Nor is anything between them that has no name, as libgcc's: variables end where the next object file begins.
    for section in parse(&outcome.pair.new).state.iter().filter(|section| section.name == ".bss") {
        for place in (section.address..section.address + section.size).filter(|place| is_carried(*place)) {
            let has = |symbol: &&Symbol<'_>| place.wrapping_sub(symbol.place.address) < symbol.place.size;
            let of = symbols.iter().filter(has).map(name).collect::<Vec<_>>();
            assert!(of.iter().any(|name| known(name)), "{flags:?}: {place:#x}, in {of:?}");
        }
    }
    names
}

fn known(name: &str) -> bool {
    CARRIED.contains(&name) || HARMLESS.contains(&name)
}

#[test]
fn variables_of_the_c_runtime_are_not_carried() {
    for flags in [&["-O0"][..], &["-O2"], &["-O0", "-static"], &["-O0", "-g0"], &["-O0", "-g0", "-static"]] {
        let mut found = carried(flags, "__proc_attached");
        found.retain(|name| !HARMLESS.contains(&&**name));
        assert_eq!(found, CARRIED.map(str::to_owned).into(), "{flags:?}");
    }
}

/// The names of C have an underscore more there.
#[test]
fn variables_of_the_c_runtime_for_32_bits_are_known() {
    for flags in [&["-O0"][..], &["-O2"], &["-O0", "-static"], &["-O0", "-g0"], &["-O0", "-g0", "-static"]] {
        let guest = Guest::build_mingw(X86, SOURCE, flags);
        let path = guest.path();
        let regions = regions(Source::original(&guest.bytes, &path), X86).unwrap();
        let zero = regions.iter().find(|region| region.name == ".bss").unwrap();
        let is_in = |address: u64| (zero.address..zero.address + zero.size).contains(&address);
        let symbols = guest.symbols();
        let found = symbols.iter().filter(|symbol| is_in(symbol.place.address) && !is_runtime(symbol, &symbol.name));
        let names = found.map(|symbol| symbol.name.split('.').next().unwrap().to_owned());
        // Labels of the linker's begin with a dot.
        let names: BTreeSet<String> = names.filter(|name| !name.is_empty() && !HARMLESS.contains(&&**name)).collect();
        assert_eq!(names, CARRIED.map(str::to_owned).into(), "{flags:?}");
    }
}

/// A constructor's value stays: among the runtime's there may be one that is not known by name.
#[test]
fn a_number_that_is_set_already_is_kept_where_the_runtimes_are() {
    assert!(!carried(&["-O0"], "set_by_a_constructor").contains("set_by_a_constructor"));
}
