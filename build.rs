//! Tells the tests which machine they are for; writes `include/cr.h` when the feature `header` is on.
//!
//! The hand-written part is `include/cr.h.in`. Its lines `/* @NAME@ */` are replaced by what cbindgen makes of
//! `src/abi.rs` and `src/capi.rs`. What cbindgen has no setting for is put right here, on the text.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CR_TARGET={}", std::env::var("TARGET")?);
    println!("cargo::rustc-env=CR_HOST={}", std::env::var("HOST")?);
    share_libgcc()?;
    #[cfg(feature = "header")]
    header::write()?;
    Ok(())
}

/// On 32-bit Windows, MinGW's exceptions are found by a list in libgcc. Those of a guest get through `cr.dll` to the host
/// only if all three have the same one, the DLL; but the compiler asks for the archive, `gcc_eh`, which has another list.
/// So that name is made to lead to the DLL.
fn share_libgcc() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var("TARGET")? == "i686-pc-windows-gnu" && std::env::var_os("CARGO_FEATURE_CAPI").is_some() {
        let place = std::env::var("OUT_DIR")?;
        std::fs::write(std::path::Path::new(&place).join("libgcc_eh.a"), "INPUT(-lgcc_s)\n")?;
        println!("cargo::rustc-link-search=native={place}");
    }
    Ok(())
}

#[cfg(feature = "header")]
mod header {
    use cbindgen::{Builder, Config, DocumentationStyle, ExportConfig, Language, Style};
    use std::{env, error::Error, fs, path::Path};

    /// The enums. A field or argument of such a type may hold other numbers, so in Rust it is an integer
    /// `<name>_value`; in C it has the enum's own type, as in the original.
    const ENUMS: [&str; 8] =
        ["cr_mode", "cr_op", "cr_failure", "cr_log_level", "cr_event_type", "cr_access", "cr_answer", "cr_entry_kind"];
    /// What guests need. Everything else is for hosts.
    const GUEST_TYPES: [&str; 6] =
        ["cr_mode", "cr_op", "cr_failure", "cr_plugin", "cr_plugin_main_func", "cr_migration"];
    /// What hosts need besides.
    const HOST_TYPES: [&str; 13] = [
        "cr_log_level",
        "cr_option_flag",
        "cr_event_type",
        "cr_answer",
        "cr_entry_kind",
        "cr_state_entry",
        "cr_state_report",
        "cr_event",
        "cr_access",
        "cr_crash_frame",
        "cr_crash",
        "cr_options",
        "cr_guest_func",
    ];
    /// The original's internals, which C++ sees in a form of its own.
    const INTERNAL: [&str; 1] = ["cr_internal"];
    /// The functions that the original has: in C++ they take references.
    const REFERENCES: [&str; 6] = [
        "cr_plugin_update",
        "cr_plugin_close",
        "cr_plugin_changed",
        "cr_plugin_reload",
        "cr_plugin_rollback",
        "cr_plugin_unload",
    ];
    /// As above, but in C++ `cr.h.in` has functions of its own in their place.
    const HAND_WRITTEN: [&str; 2] = ["cr_plugin_open", "cr_plugin_load"];

    pub(super) fn write() -> Result<(), Box<dyn Error>> {
        let root = env::var("CARGO_MANIFEST_DIR")?;
        let root = Path::new(&root);
        for input in ["src/abi.rs", "src/capi.rs", "include/cr.h.in", "include/cr.h"] {
            println!("cargo::rerun-if-changed={input}");
        }

        // cbindgen does not look into cfg_attr, behind which the functions are exported.
        let capi = Path::new(&env::var("OUT_DIR")?).join("capi.rs");
        fs::write(
            &capi,
            fs::read_to_string(root.join("src/capi.rs"))?
                .replace(r#"cfg_attr(feature = "capi", unsafe(no_mangle))"#, "unsafe(no_mangle)"),
        )?;
        let abi = root.join("src/abi.rs");
        let guest = generate(&abi, &GUEST_TYPES, &[])?;
        let host = generate(&abi, &HOST_TYPES, &GUEST_TYPES)?.replace("(cr_plugin *", "(struct cr_plugin *");
        let internal = generate(&abi, &INTERNAL, &[])?;
        // Alone, capi.rs does not tell cbindgen that these are structs.
        let functions = generate(&capi, &[], &[])?
            .replace("cr_plugin *", "struct cr_plugin *")
            .replace("cr_options *", "struct cr_options *")
            .replace("cr_symbol *", "struct cr_symbol *")
            .replace("cr_state_report *", "struct cr_state_report *")
            .replace("cr_crash *", "struct cr_crash *");

        // In C++: new functions as they are, the original's as references; in C: all of them.
        let (mut both, mut c, mut cpp) = (Vec::new(), Vec::new(), Vec::new());
        for function in functions.split("\n\n") {
            let prototype = function.rsplit("*/\n").next().unwrap_or(function);
            let is_one_of = |names: &[&str]| names.iter().any(|name| prototype.contains(&format!("{name}(")));
            if is_one_of(&REFERENCES) {
                cpp.push(
                    prototype
                        .replace("struct cr_plugin *ctx", "cr_plugin &ctx")
                        .replace("bool reloadCheck", "bool reloadCheck = true"),
                );
                c.push(function);
            } else if is_one_of(&HAND_WRITTEN) {
                c.push(function);
            } else {
                both.push(function);
            }
        }

        let version = |part: &str| env::var(format!("CARGO_PKG_VERSION{part}"));
        let version = format!(
            "#define CR_VERSION_MAJOR {}\n#define CR_VERSION_MINOR {}\n#define CR_VERSION_PATCH {}\n#define CR_VERSION_STRING \"{}\"",
            version("_MAJOR")?,
            version("_MINOR")?,
            version("_PATCH")?,
            version("")?
        );

        let mut text = fs::read_to_string(root.join("include/cr.h.in"))?;
        for (name, generated) in [
            ("VERSION", version),
            ("GUEST_TYPES", guest),
            ("HOST_TYPES", host),
            ("INTERNAL", internal),
            ("FUNCTIONS", both.join("\n\n")),
            ("FUNCTIONS_C", c.join("\n\n")),
            ("FUNCTIONS_CPP", cpp.join("\n")),
        ] {
            let marker = format!("/* @{name}@ */");
            if text.matches(&marker).count() != 1 {
                return Err(format!("include/cr.h.in: {marker} must be there once").into());
            }
            text = text.replace(&marker, &generated);
        }

        // Left alone when nothing changed: a new time stamp would run this script with every build.
        let path = root.join("include/cr.h");
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            fs::write(path, text)?;
        }
        Ok(())
    }

    /// What cbindgen makes of a Rust source: its functions, and of its types those in `include` with all that they
    /// name, but for those in `exclude`.
    fn generate(source: &Path, include: &[&str], exclude: &[&str]) -> Result<String, Box<dyn Error>> {
        let mut config = Config {
            language: Language::C,
            style: Style::Tag,
            no_includes: true,
            usize_is_size_t: true,
            line_length: 120,
            tab_width: 4,
            documentation_style: DocumentationStyle::Doxy,
            export: ExportConfig {
                include: include.iter().map(ToString::to_string).collect(),
                exclude: exclude
                    .iter()
                    .map(ToString::to_string)
                    .chain(ENUMS.map(|name| format!("{name}_value")))
                    .collect(),
                ..ExportConfig::default()
            },
            ..Config::default()
        };
        config.function.prefix = Some("CR_API".to_owned());

        let mut text = Vec::new();
        Builder::new().with_config(config).with_src(source).generate()?.write(&mut text);
        Ok(in_c_words(&String::from_utf8(text)?))
    }

    /// Mends the differences between what cbindgen writes and what a C programmer expects.
    fn in_c_words(text: &str) -> String {
        let mut text = text.trim().replace(",\n}", "\n}"); // C89 and C++98 have no comma at the end of an enum
        for name in ENUMS {
            text = text.replace(&format!("{name}_value"), &format!("enum {name}"));
        }
        text = text.replace("CR_USER = 256", "CR_USER = 0x100");
        text = text.replace(" * # Safety\n * As for", " * Requires: as for").replace(" * # Safety\n *", " * Requires:");

        // A comment of one line is written on one line.
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            if let [.., open, only] = &mut lines[..]
                && open.trim_start() == "/**"
                && line.trim_start() == "*/"
                && let Some(words) = only.trim_start().strip_prefix('*')
                && open.len() + words.len() + " */".len() <= 120
            {
                *only = format!("{open}{words} */");
                lines.remove(lines.len() - 2);
            } else {
                lines.push(line.to_owned());
            }
        }
        lines.join("\n")
    }
}
