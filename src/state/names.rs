//! Names of variables: what stays the same when a program is compiled again.
//!
//! A compiler adds numbers to names to tell apart what the source calls the same: gcc's statics of functions (`k.3`),
//! what link-time optimisation makes local (`x.lto_priv.0`), the hashes of Rust's crates. They change with any edit.

use crate::image::Variable;
use crate::image::debug::{MERGED, is_merged};
use std::borrow::Cow;

/// What a compiler appends to a name, followed by a number.
const SUFFIXES: [&str; 8] = [".lto_priv", ".llvm", ".isra", ".constprop", ".part", ".__uniq", ".clone", ".localalias"];

/// A name without what is not the programmer's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    pub(super) base: Cow<'a, str>,
    /// It is a static variable of a function, in C.
    pub(super) inner: bool,
}

impl Key<'_> {
    /// The function that it is in is not a part of the name.
    pub(super) fn is_nameless(&self) -> bool {
        self.inner && !self.base.contains('.')
    }
}

/// The number that was taken off the name, and the one of link-time optimisation: they tell the order. Not (0, 0): there
/// may be others of that name in the file, and with the next edit the numbers may go round.
pub(super) type Order = (u64, u64);

/// Takes off what the compiler has added.
pub(super) fn key<'a>(name: &'a str) -> (Key<'a>, Order) {
    // Most names have nothing that is not the programmer's.
    if !name.starts_with(['_', 'R', 'Z']) && memchr::memchr2(b'.', b'@', name.as_bytes()).is_none() {
        return (Key { base: name.into(), inner: false }, (0, 0));
    }
    let mut base = without_version(name);
    let mut order = (0, 0);
    while let Some((rest, number)) = numbered(base) {
        if let Some(suffix) = SUFFIXES.iter().find(|suffix| rest.ends_with(**suffix)) {
            base = rest.get(..rest.len() - suffix.len()).unwrap_or(rest);
            order.1 = number;
        } else {
            break;
        }
    }
    if is_rust(base) {
        // Without the hashes of crates and of the whole.
        return (Key { base: format!("{:#}", rustc_demangle::demangle(base)).into(), inner: false }, order);
    }
    if is_mangled(base) {
        // A number behind a dot is that of a part into which the compiler has split the variable.
        if let Some((rest, number)) = discriminated(base) {
            (base, order.0) = (rest, number);
        }
        return match lambda(base) {
            Some((base, number)) => (Key { base: base.into(), inner: false }, (order.0.max(number), order.1)),
            None => (Key { base: base.into(), inner: false }, order),
        };
    }
    if is_merged(base) {
        // Also the one without a number, which counts from 1 on, may be another one after an edit.
        let number = numbered(base).map_or(1, |(_, number)| number.saturating_add(2));
        return (Key { base: MERGED.into(), inner: true }, (number, order.1));
    }
    // gcc writes `k.0`, and counts on for each in the file; clang `f.k`, and `f.k.1` for the next one in the function. From
    // PDB files come `f::k` and `f::k.1`.
    if let Some((rest, number)) = numbered(base).filter(|(rest, _)| !rest.is_empty()) {
        order.0 = number.saturating_add(1);
        return (Key { base: rest.into(), inner: !rest.contains("::") }, order);
    }
    (Key { base: base.into(), inner: base.find('.').is_some_and(|at| at > 0) }, order)
}

/// `counter@@V2` and `counter@V1` are versions of one name, which `.symver` makes. (In names of Microsoft's compiler the
/// sign stands elsewhere.)
fn without_version(name: &str) -> &str {
    match name.split_once('@') {
        Some((before, _)) if !before.is_empty() && !before.starts_with('?') => before,
        _ => name,
    }
}

/// A static variable of a function in C++ that is not the first one of its name there: `_ZZ1fvE1k_0`, `_ZZ1fvE1k__10_`.
fn discriminated(name: &str) -> Option<(&str, u64)> {
    let local = name.trim_start_matches('_').starts_with("ZZ");
    let (rest, digits) = match name.strip_suffix('_') {
        Some(name) => name.rsplit_once("__")?,
        None => name.rsplit_once('_')?,
    };
    let number: u64 = digits.parse().ok().filter(|_| local && !digits.starts_with('+'))?;
    // The name in front has its length in front: the number may be a part of it.
    let own = rest.find('E')?;
    let source = (own + 1..rest.len()).filter_map(|start| rest.get(start..)).any(is_source_name);
    source.then(|| (rest, number.saturating_add(1)))
}

/// A name with its length in front, and nothing else.
fn is_source_name(text: &str) -> bool {
    let name = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    // A name may not begin with a digit.
    text.strip_suffix(name).and_then(|length| length.parse().ok()) == Some(name.len()) && !name.is_empty()
}

/// What is in a lambda, as people write it, without the number of the lambda in its function.
fn lambda(name: &str) -> Option<(String, u64)> {
    if !["Ul", "Ut", "$_"].iter().any(|mark| name.contains(mark)) {
        return None;
    }
    let text = demangle(name)?.replace("$_", "#");
    let mut parts = text.split('#');
    let mut base = parts.next()?.to_owned();
    let mut order = 0_u64;
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at_checked(digits)?;
        order = order.wrapping_shl(16).wrapping_add(number.parse().unwrap_or(0)).wrapping_add(1);
        base.push_str(rest);
    }
    (order > 0).then_some((base, order))
}

/// A name that ends in a dot and a number.
fn numbered(name: &str) -> Option<(&str, u64)> {
    let count = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, digits) = name.split_at_checked(name.len() - count)?;
    let rest = before.strip_suffix('.')?;
    // More digits than fit are a hash, whose value does not matter.
    (!digits.is_empty()).then(|| (rest, digits.parse().unwrap_or(u64::MAX)))
}

fn is_mangled(name: &str) -> bool {
    name.starts_with("_Z") || name.starts_with("__Z")
}

/// The v0 mangling, or the legacy one, which ends in `17h`, 16 hexadecimal digits and `E`. An optimiser adds a dot and a
/// number, for one variable or for each part of one.
pub(super) fn is_rust(name: &str) -> bool {
    let name = numbered(name).map_or(name, |(rest, _)| rest);
    let Some(start) = name.bytes().position(|byte| byte != b'_') else { return false };
    let name = name.get(start..).unwrap_or_default();
    if name.starts_with('R') {
        return name.len() > 2 && name.as_bytes().get(1).is_some_and(u8::is_ascii_uppercase);
    }
    let hash = name.strip_suffix('E').and_then(|name| name.get(name.len().checked_sub(16)?..));
    let is_hash = hash.is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    name.starts_with("ZN") && is_hash && name.get(..name.len() - 17).is_some_and(|name| name.ends_with("17h"))
}

/// As people write it: `engine::player`, `(anonymous namespace)::count`. The name itself if it is not mangled.
pub(super) fn readable(name: &str) -> Cow<'_, str> {
    if is_rust(name) {
        return format!("{:#}", rustc_demangle::demangle(name)).into();
    }
    demangle(name).map_or(Cow::Borrowed(name), Cow::Owned)
}

/// What a variable is called when it does not matter whether it is known outside of its file, and what the function
/// that it is in takes: the last resort.
pub(super) fn plain(name: &str) -> Option<String> {
    const UNNAMED: &str = "(anonymous namespace)::";
    // Names of PDB files are not mangled.
    let text = demangle(name).or_else(|| name.contains(UNNAMED).then(|| name.to_owned()))?;
    let text = text.replace(UNNAMED, "").replace("[abi:cxx11]", "");
    Some(without_parameters(&text))
}

/// `f(int)::count` without what the function takes.
fn without_parameters(mut text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    while let Some((before, rest)) = text.split_once('(') {
        let mut depth = 1;
        let end = rest.bytes().position(|byte| {
            depth += i32::from(byte == b'(') - i32::from(byte == b')');
            depth == 0
        });
        let parts = end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?)));
        let Some((inside, behind)) = parts else { break };
        result.push_str(before);
        match behind.strip_prefix(" const").unwrap_or(behind) {
            scope if scope.starts_with("::") => text = scope,
            _ => {
                result.push('(');
                result.push_str(inside);
                result.push(')');
                text = behind;
            }
        }
    }
    result + text
}

fn demangle(name: &str) -> Option<String> {
    /// Types can be nested without end.
    const DEPTH: u32 = 96;
    if !is_mangled(name) || name.len() > 4096 {
        return None;
    }
    let symbol = cpp_demangle::Symbol::new(name).ok()?;
    let options = cpp_demangle::DemangleOptions::new().no_return_type().recursion_limit(DEPTH);
    symbol.demangle_with_options(&options).ok()
}

/// Is it part of the compiler's or the language's run-time, which every version sets up for itself? `base` is that of
/// its key.
pub(super) fn is_runtime(variable: &Variable<'_>, base: &str) -> bool {
    /// Source files of what compilers link into every image.
    const FILES: [&str; 16] = [
        "unwind-dw2.c",
        "unwind-dw2-fde-dip.c",
        "unwind-dw2-fde.c",
        "emutls.c",
        "libgcc2.c",
        "atexit.c",
        "gmon-start.c",
        // MinGW's. Tables of COFF cut names to fourteen letters.
        "crt_handler.c",
        "crtdll.c",
        "cygming-crtbeg",
        "gccmain.c",
        "pseudo-reloc.c",
        "tls_atexit.c",
        "tlssup.c",
        "tlsthrd.c",
        "usermatherr.c",
    ];
    /// What gcc's start files keep. Everything that gold makes static (hidden variables, and those that a version script
    /// does not name) stands behind the last of them.
    const START: &str = "crtstuff.c";
    const OF_START: [&str; 3] = ["completed.", "dtor_idx.", "object."];
    /// The same of MinGW, where files of programs may well have such a name: what holds memory or locks of an image.
    const MINGW: [(&str, &[&str]); 2] = [
        ("misc.c", &["dtoa_CS_init", "dtoa_CritSec", "freelist", "p5s", "private_mem"]),
        (
            "thread.c",
            &[
                "SetThreadName_VEH_handle",
                "_pthread_key_max",
                "_pthread_key_sch",
                "_pthread_tls",
                "_pthread_tls_once",
                "idList",
                "idListCnt",
                "idListMax",
                "idListNextId",
                "once_obj",
                "pthr_last",
                "pthr_root",
            ],
        ),
    ];
    /// Those of MinGW that are global: their files are not known. The first lie where the section begins and ends, and
    /// so does some other variable; on 32-bit x86 an underscore of theirs is taken for that of C.
    const GLOBAL: [&str; 7] = [
        "__bss_start__",
        "__bss_end__",
        "_bss_start__",
        "_bss_end__",
        "_pthread_key_dest",
        "_tls_index",
        "hmod_libgcc",
    ];
    /// Sanitizers, coverage and profiles; libstdc++ and libc++; tables that C++ makes for exceptions; MinGW.
    const PREFIXES: [&str; 22] = [
        "__asan_",
        "___asan_",
        "__ubsan_",
        "__tsan_",
        "__msan_",
        "__hwasan_",
        "__sanitizer_",
        "__sancov_",
        "__gcov_",
        "__llvm_gcov",
        "__llvm_prf",
        "__llvm_profile",
        "__prof",
        "__covrec_",
        "DW.ref.",
        "_ZSt",
        "_ZNSt",
        "_ZZNSt",
        "_ZZSt",
        "_ZN10__cxxabiv1",
        "__mingw_",
        "__native_startup_",
    ];
    /// The beginnings of paths, once demangled.
    const RUST: [&str; 7] =
        ["std::", "core::", "alloc::", "compiler_builtins::", "panic_unwind::", "backtrace::", "gimli::"];
    const NAMES: [&str; 4] = ["completed", "__dso_handle", "__bss_start", "__TMC_END__"];
    let name = variable.name.as_ref();
    // Most names do not even begin like one of these.
    let prefixed = name.starts_with(['_', 'D', 'h'])
        && (PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || GLOBAL.contains(&name));
    let of_file = |file: &str| {
        FILES.contains(&file)
            || (file == START && OF_START.iter().any(|own| name.starts_with(own)))
            || MINGW.iter().any(|(other, names)| *other == file && names.contains(&name))
    };
    if prefixed || variable.file.as_deref().is_some_and(of_file) {
        return true;
    }
    if is_rust(name) {
        // `<std::x as y>` is theirs, too.
        return RUST.iter().any(|root| base.trim_start_matches('<').starts_with(root));
    }
    let local = variable.place.local;
    local
        && NAMES.iter().any(|own| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        && (variable.file.is_none() || name.starts_with("__"))
}

/// The same of a name alone.
pub(super) fn is_runtime_name(name: &str) -> bool {
    name.starts_with("__") || name.starts_with("_ZSt") || name.starts_with("_ZNSt") || {
        let (key, _) = key(name);
        is_rust(name) && ["std::", "core::", "alloc::"].iter().any(|root| key.base.starts_with(root))
    }
}

/// The variable that a guard variable tells about: has it been constructed yet?
pub(super) fn guarded(name: &str) -> Option<String> {
    name.strip_prefix("_ZGV").map(|rest| format!("_Z{rest}"))
}

/// The table of the virtual functions of a C++ class, also while it is constructed, as gcc and as Microsoft call it.
pub(super) fn is_virtual_table(name: &str) -> bool {
    ["_ZTV", "__ZTV", "_ZTC", "__ZTC", "??_7"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may

    use super::*;

    fn base(name: &str) -> String {
        key(name).0.base.into_owned()
    }

    #[test]
    fn numbers_of_compilers_are_taken_off() {
        for (name, expected) in [
            ("counter", "counter"),
            ("k.3", "k"),
            ("k.0.lto_priv.1", "k"),
            ("counter.lto_priv.0", "counter"),
            ("counter.llvm.1234567890123456789012", "counter"),
            ("_ZL7counter.lto_priv.0", "_ZL7counter"),
            ("h.k", "h.k"),
            ("h.k.1", "h.k"),
            ("_ZN12_GLOBAL__N_13hidE.0", "_ZN12_GLOBAL__N_13hidE.0"),
            (".5", ".5"),
            ("counter@@V2", "counter"),
            ("_ZN4game5scoreE@V_1", "_ZN4game5scoreE"),
            ("?counter@@3HA", "?counter@@3HA"),
            ("a.", "a."),
            ("_ZN5guest4main5ZEROS17h0123456789abcdefE", "guest::main::ZEROS"),
            ("_ZN5guest4main5ZEROS17hfedcba9876543210E", "guest::main::ZEROS"),
            ("_ZN5guest4main5ZEROS17hfedcba9876543210E.0", "guest::main::ZEROS.0"),
            ("_ZN5guest4main5ZEROS17hfedcba9876543210E.1.llvm.123", "guest::main::ZEROS.1"),
            ("_RNvCs1234_5guest4ZERO", "guest::ZERO"),
            ("_RNvCs1234_5guest4ZERO.1", "guest::ZERO.1"),
            ("_RNvCsabcdefghijk_5guest4ZERO", "guest::ZERO"),
        ] {
            assert_eq!(base(name), expected, "{name}");
        }
        assert_eq!(key("k.3").1, (4, 0));
        assert_eq!(key("k.3.lto_priv.2").1, (4, 2));
        assert_eq!(key("f::k").0, key("f::k.1").0);
        assert_eq!(key("f::k.1").1, (2, 0));
        assert_ne!(key("k").0, key("k.3").0);
        assert_eq!(key("_MergedGlobals").0, key("_MergedGlobals.3").0);
        assert!(key("_MergedGlobals").0.is_nameless() && key("_MergedGlobals").1 != (0, 0));
        assert_eq!(key("f.k").0, key("f.k.1").0);
    }

    #[test]
    fn scopes_of_one_name_are_one_in_cpp() {
        for (name, base, order) in [
            ("_ZZ1fvE1k", "_ZZ1fvE1k", 0),
            ("_ZZ1fvE1k_0", "_ZZ1fvE1k", 1),
            ("_ZZ1fvE1k__12_", "_ZZ1fvE1k", 13),
            ("_ZZ1fvE3k_0", "_ZZ1fvE3k_0", 0),
            ("_ZZ1fvE3k_0_1", "_ZZ1fvE3k_0", 2),
            ("_ZL3k_0", "_ZL3k_0", 0),
            ("_ZZZ1fvENKUlvE_clEvE1k", "f()::{lambda()}::operator()() const::k", 2),
            ("_ZZZ1fvENKUlvE0_clEvE1k", "f()::{lambda()}::operator()() const::k", 3),
            ("_ZZZL1fvENK3$_0clEvE1k", "f()::::operator()() const::k", 1),
        ] {
            assert_eq!((self::base(name).as_str(), key(name).1.0), (base, order), "{name}");
        }
    }

    #[test]
    fn linkage_and_parameters_do_not_matter_at_last() {
        for name in ["_ZL7counter", "_ZN12_GLOBAL__N_17counterE", "(anonymous namespace)::counter"] {
            assert_eq!(plain(name).unwrap(), "counter");
        }
        assert_eq!(plain("_ZZ1fiE1k").unwrap(), plain("_ZZ1fdE1k").unwrap());
        assert_ne!(plain("_ZZ1fiE1k").unwrap(), plain("_ZZ1giE1k").unwrap());
        assert_eq!(without_parameters("a::operator()(int, b<(c)>) const::k"), "a::operator()::k");
        assert_eq!(without_parameters("f(int (*)(char))::g(int)::k"), "f::g::k");
        assert_eq!(without_parameters("f(int"), "f(int");
        assert_ne!(plain("_ZN3TemIiE2stE").unwrap(), plain("_ZN3TemIcE2stE").unwrap());
        assert_eq!(readable("_ZZ1fdE1k"), "f(double)::k");
        assert_eq!(readable("counter"), "counter");
        for broken in ["_Z", "_ZN", "_ZNNNNNNNNNNN", "_R", "_RNv", "_ZN5guestE"] {
            let _ = (key(broken), readable(broken), plain(broken));
        }
    }
}
