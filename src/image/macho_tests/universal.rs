//! Files with images for several machines, and lists of them that lie.

use super::{ARM64, X86_64, build, parse_for, run, text, versioned};
use crate::error::Error;
use crate::image::{HEAD, precheck};
use goblin::mach::constants::cputype::{CPU_TYPE_ARM64, CPU_TYPE_X86_64};
use std::process::Command;

/// A universal file of these images: processor, its kind, the image.
fn universal(images: &[(u32, u32, &[u8])], wide: bool) -> Vec<u8> {
    let mut head = (if wide { 0xcafe_babf_u32 } else { 0xcafe_babe }).to_be_bytes().to_vec();
    head.extend((images.len() as u32).to_be_bytes());
    let mut body = Vec::new();
    for (cpu, kind, image) in images {
        // Each begins at 2^14.
        body.resize(body.len().next_multiple_of(1 << 14), 0);
        let (offset, size) = ((1 << 14) + body.len() as u64, image.len() as u64);
        head.extend([*cpu, *kind].map(u32::to_be_bytes).concat());
        if wide {
            head.extend([offset, size].map(u64::to_be_bytes).concat());
            head.extend([14, 0].map(u32::to_be_bytes).concat());
        } else {
            head.extend([offset as u32, size as u32, 14].map(u32::to_be_bytes).concat());
        }
        body.extend(*image);
    }
    head.resize(1 << 14, 0);
    [head, body].concat()
}

pub(super) fn lipo(images: &[&[u8]]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let path = |number: usize| place.path().join(format!("{number}.dylib"));
    let all = place.path().join("all.dylib");
    for (number, image) in images.iter().enumerate() {
        std::fs::write(path(number), image).unwrap();
    }
    run(Command::new(versioned("llvm-lipo")).arg("-create").args((0..images.len()).map(path)).arg("-output").arg(&all));
    std::fs::read(all).unwrap()
}

#[test]
fn the_right_slice_of_a_universal_file_is_read() {
    let (arm64, x86_64) = (build("arm64", &[]), build("x86_64", &[]));
    let (arm, intel) = ((CPU_TYPE_ARM64, 0, &*arm64), (CPU_TYPE_X86_64, 3, &*x86_64));
    let all = [
        lipo(&[&arm64, &x86_64]),
        lipo(&[&x86_64, &arm64]),
        universal(&[arm, intel], false),
        universal(&[intel, arm], true),
    ];
    for bytes in all {
        assert_eq!(parse_for(ARM64, &bytes).unwrap(), parse_for(ARM64, &arm64).unwrap());
        assert_eq!(parse_for(X86_64, &bytes).unwrap(), parse_for(X86_64, &x86_64).unwrap());
        precheck(&bytes[..HEAD], bytes.len() as u64, ARM64).unwrap();
        for len in (0..bytes.len()).step_by(7) {
            let error = parse_for(ARM64, &bytes[..len]).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. }), "{len}: {error}");
        }
    }
    let arm64e = (CPU_TYPE_ARM64, 2, &*arm64);
    let only = universal(&[arm64e, intel], false);
    assert_eq!(text(ARM64, &only), "the image is for arm64e and x86_64, this program needs arm64 with 64 bits");
    assert_eq!(text(ARM64, &lipo(&[&x86_64])), "the image is for x86_64, this program needs arm64 with 64 bits");
}

#[test]
fn universal_files_that_lie_are_errors() {
    let (arm64, x86_64) = (build("arm64", &[]), build("x86_64", &[]));
    let (arm, intel) = ((CPU_TYPE_ARM64, 0, &*arm64), (CPU_TYPE_X86_64, 3, &*x86_64));
    let good = universal(&[intel, arm], false);
    let with = |at: usize, value: u32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        text(ARM64, &bytes)
    };
    // The second row begins at 28: cputype, cpusubtype, offset, size, align
    let nonsense = "not a shared library: its universal header makes no sense";
    assert_eq!(with(4, 0), "the image is for , this program needs arm64 with 64 bits");
    assert_eq!(with(4, 1), "the image is for x86_64, this program needs arm64 with 64 bits");
    assert_eq!(with(4, 61), nonsense, "too many, as in a class of Java");
    assert_eq!(with(4, u32::MAX), nonsense);
    assert_eq!(with(28 + 8, 1 << 14), nonsense, "it is where the first one is");
    assert_eq!(with(28 + 8, 0), nonsense, "it is where the list is");
    assert_eq!(with(28 + 8, (1 << 15) + 8), nonsense, "it is not where its alignment wants it");
    assert_eq!(with(28 + 16, 32), nonsense);
    assert!(with(28 + 8, 0xffff_c000).starts_with("the file ends at"));
    assert!(with(28 + 12, u32::MAX).starts_with("the file ends at"));
    let cut = with(28 + 12, 40_000);
    assert!(cut.starts_with("not a shared library: its universal header cuts the image off at 40000, whose"), "{cut}");
    assert!(with(28 + 12, 2).contains("cuts the image off at 2"));
    // The list says one machine, the image another; and two of one kind.
    let swapped = universal(&[(CPU_TYPE_ARM64, 0, &x86_64)], false);
    assert_eq!(text(ARM64, &swapped), "the image is for x86_64, this program needs arm64 with 64 bits");
    let twice = universal(&[arm, arm], false);
    assert_eq!(text(ARM64, &twice), "not a shared library: it has more than one image for this machine");
    // Sums that overflow.
    let mut wide = universal(&[arm], true);
    wide[16..24].copy_from_slice(&(!0x3fff_u64).to_be_bytes());
    assert_eq!(text(ARM64, &wide), nonsense);
}
