//! cr.h by the rules of Microsoft's compiler, as clang has them.
//!
//! Microsoft's headers are not to be had. For those of the C library stand wine's, which are written for this compiler,
//! too, and for those of the C++ library and of the system the declarations in `c-tests/header/microsoft`.

use crate::tools::{Scratch, command, root, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// What must be there, and the package that brings it.
pub(crate) const NEEDS: [(&str, &str); 1] = [("/usr/include/wine/wine/msvcrt/stdio.h", "libwine-dev")];

/// The headers of the C++ library that cr.h includes.
const LIBRARY: [&str; 6] = ["algorithm", "chrono", "cstddef", "cstring", "string", "thread"];

/// Files in c-tests/header, and the arguments for each time they are compiled.
const FILES: [(&str, &[&str]); 15] = [
    ("guest.c", &["/TC"]),
    ("guest.c", &["/TC", "/std:c11"]),
    ("guest.c", &["/TP", "/std:c++14"]),
    ("guest.c", &["/TP", "/std:c++20"]),
    ("layout.c", &["/TC"]),
    ("layout.c", &["/TP", "/DCR_HOST"]),
    ("state.c", &["/TC"]),
    ("defaults.c", &["/TC", "/std:c17"]),
    ("host.c", &["/TC", "/std:c11"]),
    ("guest_then_host.c", &["/TC"]),
    ("defaults.c", &["/TC", "/DCR_SHARED"]),
    ("no_std_headers.cpp", &["/std:c++17", "/DCR_SHARED"]),
    ("host.cpp", &["/std:c++14", "/DNOMINMAX"]),
    ("host.cpp", &["/std:c++17", "/DNOMINMAX", "/DCR_DEBUG"]),
    ("host.cpp", &["/std:c++20", "/DNOMINMAX", "/DUNICODE"]),
];

const TARGETS: [&str; 3] = ["x86_64-pc-windows-msvc", "aarch64-pc-windows-msvc", "i686-pc-windows-msvc"];

/// Compiles them for their errors and warnings, which are errors.
pub(crate) fn check() -> Result<()> {
    let library = Scratch::new("microsoft")?;
    let declarations = root().join("c-tests/header/microsoft");
    for name in LIBRARY {
        let line = format!("#include \"{}\"\n", declarations.join("library.hpp").display());
        fs::write(library.path().join(name), line)?;
    }
    let wine = Path::new("/usr/include/wine/wine");
    for target in TARGETS {
        for (file, arguments) in FILES {
            let mut clang = command("clang");
            clang.args([
                "--driver-mode=cl",
                &format!("--target={target}"),
                "/permissive-",
                "/W4",
                "/WX",
                "/Zs",
                "/EHsc",
            ]);
            clang.arg("/I").arg(root().join("include")).args(arguments);
            for folder in [library.path(), &declarations, &wine.join("msvcrt"), &wine.join("windows")] {
                clang.arg("-imsvc").arg(folder);
            }
            run(clang.arg("--").arg(root().join("c-tests/header").join(file)))
                .with_context(|| format!("{file} for {target}"))?;
        }
    }
    Ok(())
}
