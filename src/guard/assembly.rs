//! The lines around assembly functions, which differ between ELF and Mach-O.

/// The beginning of a function that other files of this library may call, and nobody else.
#[cfg(not(target_vendor = "apple"))]
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".pushsection .text.",
            $name,
            ", \"ax\", @progbits\n",
            ".globl ",
            $name,
            "\n",
            ".hidden ",
            $name,
            "\n",
            ".type ",
            $name,
            ", @function\n",
            ".p2align 4\n",
            $name,
            ":\n",
            ".cfi_startproc"
        )
    };
}

/// The end of it.
#[cfg(not(target_vendor = "apple"))]
macro_rules! end {
    ($name:literal) => {
        concat!(".cfi_endproc\n", ".size ", $name, ", . - ", $name, "\n", ".popsection")
    };
}

/// A place inside it that Rust code can name.
#[cfg(not(target_vendor = "apple"))]
macro_rules! place {
    ($name:literal) => {
        concat!(".globl ", $name, "\n", ".hidden ", $name, "\n", $name, ":")
    };
}

#[cfg(target_vendor = "apple")]
macro_rules! function {
    ($name:literal) => {
        concat!(
            ".pushsection __TEXT,__text,regular,pure_instructions\n",
            ".globl _",
            $name,
            "\n",
            ".private_extern _",
            $name,
            "\n",
            ".p2align 4\n",
            "_",
            $name,
            ":\n",
            ".cfi_startproc"
        )
    };
}

#[cfg(target_vendor = "apple")]
macro_rules! end {
    ($name:literal) => {
        concat!(".cfi_endproc\n", ".popsection")
    };
}

// `alt_entry`, or the linker would take the label for the beginning of another function, to be moved by itself.
#[cfg(target_vendor = "apple")]
macro_rules! place {
    ($name:literal) => {
        concat!(".globl _", $name, "\n", ".private_extern _", $name, "\n", ".alt_entry _", $name, "\n", "_", $name, ":")
    };
}

/// The thread's block: three words, zero in a new thread. In the initial-exec model it is part of the static block
/// that every thread has from its start, so that reading it in a signal handler never allocates.
#[cfg(not(any(target_vendor = "apple", target_os = "android")))]
macro_rules! thread_block {
    ($size:literal, $alignment:literal) => {
        concat!(
            ".pushsection .tbss.cr_guard_thread, \"awT\", @nobits\n",
            ".globl cr_guard_thread\n",
            ".hidden cr_guard_thread\n",
            ".type cr_guard_thread, @object\n",
            ".size cr_guard_thread, ",
            $size,
            "\n",
            ".p2align ",
            $alignment,
            "\n",
            "cr_guard_thread:\n",
            ".zero ",
            $size,
            "\n",
            ".popsection"
        )
    };
}
