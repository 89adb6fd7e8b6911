//! What the shipped libraries show to the outside.

use crate::libs::{native_libs, native_libs_of_rustc, soname};
use crate::machine::Machine;
use crate::tools::{command, output, root};
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::fs;

/// libcr.so exports the functions of the header, each and no other; libcr.a defines them.
pub(crate) fn exported(machine: &Machine) -> Result<()> {
    let static_library = machine.lib_dir().join("libcr.a");
    let shared_library = machine.lib_dir().join(machine.shared_library());
    let header = functions_of_the_header(&fs::read_to_string(root().join("include/cr.h"))?);
    if header.len() < 5 {
        bail!("include/cr.h declares only {header:?}");
    }

    let nm = machine.tool("nm");
    if machine.is_windows() {
        let tables = output(command(machine.tool("objdump")).arg("-p").arg(&shared_library))?;
        same("cr.dll exports", &exports(&tables), &header)?;
        let archive = output(command(nm).args(["-g", "--defined-only"]).arg(&static_library))?;
        // What C's names begin with.
        let prefix = if machine.is_wide() { "" } else { "_" };
        let named = defined(&archive).into_iter().filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned()));
        let ours = named.filter(|name| is_ours(name)).collect();
        same("libcr.a defines", &ours, &header)?;
        println!("{} functions in cr.dll, libcr.a and cr.h", header.len());
        return Ok(());
    }
    let shared = defined(&output(command(nm).args(["-D", "--defined-only"]).arg(&shared_library))?);
    same("libcr.so exports", &shared, &header)?;

    // The archive also has Rust's own library in it. With our prefix, a program sees the functions and no more.
    let archive = output(command("readelf").args(["-sW"]).arg(&static_library))?;
    same("libcr.a defines", &visible(&archive), &header)?;

    let dynamic = output(command("readelf").arg("-dW").arg(&shared_library))?;
    let wanted = format!("[{}]", soname()?);
    if !dynamic.lines().any(|line| line.contains("SONAME") && line.contains(&wanted)) {
        bail!("libcr.so has not the SONAME {wanted}");
    }
    println!("{} functions in libcr.so, libcr.a and cr.h; SONAME {wanted}", header.len());
    Ok(())
}

/// What CMake and pkg-config give to users of libcr.a is what rustc asks for.
pub(crate) fn native(machine: &Machine) -> Result<()> {
    let rustc = native_libs_of_rustc(&machine.target_dir())?;
    let ours: BTreeSet<String> = native_libs(machine)?.into_iter().collect();
    let rustc = rustc.split_whitespace().map(|word| word.trim_start_matches("-l"));
    // The C library comes by itself. On macOS that of mathematics is a part of it, and of libiconv, which Rust's library
    // names, nothing is used: programs are linked without it.
    let known: &[&str] = if machine.is_macos() { &["c", "m", "iconv"] } else { &["c", "kernel32"] };
    let rustc = rustc.filter(|name| !known.contains(name)).map(str::to_owned).collect();
    same("cmake/native-libs.cmake names", &ours, &rustc)
}

pub(crate) fn same(what: &str, found: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Result<()> {
    let more: Vec<_> = found.difference(wanted).collect();
    let less: Vec<_> = wanted.difference(found).collect();
    if !more.is_empty() || !less.is_empty() {
        bail!("{what} too much: {more:?}, and lacks: {less:?}");
    }
    Ok(())
}

/// The last word of each line of nm.
fn defined(nm: &str) -> BTreeSet<String> {
    let symbols = nm.lines().filter(|line| line.contains(' '));
    symbols.filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

/// The symbols of `readelf -s` that are ours, defined, global and not hidden.
/// The columns: number, value, size, type, binding, visibility, section, name.
fn visible(readelf: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in readelf.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let [_, _, _, _, "GLOBAL" | "WEAK", "DEFAULT", section, name] = columns[..]
            && section != "UND"
            && name.starts_with("cr_")
        {
            names.insert(name.to_owned());
        }
    }
    names
}

/// Our prefix. The assembly entries of the guard are global symbols of the object format, though hidden elsewhere.
fn is_ours(name: &str) -> bool {
    name.starts_with("cr_") && !name.starts_with("cr_guard_")
}

/// The names in the table of `objdump -p`: "[   3] cr_plugin_open".
fn exports(objdump: &str) -> BTreeSet<String> {
    let table = objdump.lines().skip_while(|line| !line.starts_with("[Ordinal/Name Pointer] Table")).skip(1);
    let names = table.map_while(|line| line.trim().strip_prefix('[')).filter_map(|line| line.rsplit(' ').next());
    names.map(str::to_owned).collect()
}

/// The names of the prototypes: `CR_API int cr_name(...`.
pub(crate) fn functions_of_the_header(text: &str) -> BTreeSet<String> {
    let prototypes = text.lines().filter_map(|line| line.strip_prefix("CR_API "));
    let names = prototypes.filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prototypes_are_found() {
        let text = "#define CR_API\n/** CR_API int no(void); */\nCR_API const char *cr_a(void);\nCR_API bool cr_b(int x,\n    int y);\n";
        assert_eq!(functions_of_the_header(text), ["cr_a", "cr_b"].map(str::to_owned).into());
    }

    #[test]
    fn visible_symbols_are_found() {
        let text = "   Num:    Value          Size Type    Bind   Vis      Ndx Name\n\
             1: 0000000000000000     9 FUNC    GLOBAL DEFAULT  285 cr_a\n\
             2: 0000000000000000     9 FUNC    GLOBAL HIDDEN   285 cr_b\n\
             3: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND cr_c\n\
             4: 0000000000000000     9 FUNC    LOCAL  DEFAULT  285 cr_d\n";
        assert_eq!(visible(text), ["cr_a".to_owned()].into());
    }

    #[test]
    fn names_of_nm_are_found() {
        let text = "\nx.o:\n0000000000010180 T cr_plugin_close\n                 U malloc\n";
        assert_eq!(defined(text), ["cr_plugin_close", "malloc"].map(str::to_owned).into());
    }
}
