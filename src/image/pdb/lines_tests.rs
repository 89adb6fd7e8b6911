//! Lines of real PDB files, made here by clang and lld-link.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use super::super::{Line, Source, regions};
use super::lines::Lines;
use super::real_tests::{Guest, X64};

/// On its line 7, in a function that is inlined, stands a trap, of which there is one in the image.
const TEXT: &str = "int _fltused;
namespace game {
    struct Player {
        volatile int health;
        __attribute__((always_inline)) void hit(int by) {
            health -= by;
            __builtin_trap();
        }
    };
    __attribute__((always_inline)) static inline void round(Player *player) {
        player->health = 7;
        player->hit(player->health);
    }
    __attribute__((noinline)) void play(Player *player) {
        player->health++;
        round(player);
    }
}
extern \"C\" __declspec(dllexport) int cr_main(void *player, int operation) {
    if (operation == 1)
        game::play((game::Player *)player);
    return 0;
}
";

/// Where these bytes are in the code of the image.
fn place_of(guest: &Guest, wanted: &[u8]) -> u64 {
    let path = guest.path();
    let all = regions(Source::original(&guest.bytes, &path), X64).unwrap();
    let code = all.iter().find(|region| region.code).unwrap();
    let places: Vec<_> = code.bytes.windows(wanted.len()).enumerate().filter(|(_, bytes)| *bytes == wanted).collect();
    let [(place, _)] = places[..] else { unreachable!("{places:?}") };
    code.address + place as u64
}

fn lines(source: Source<'_>, address: u64) -> Vec<Line> {
    Lines::of(source).map(|mut lines| lines.at(address)).unwrap_or_default()
}

const TRAP: &[u8] = &[0x0f, 0x0b]; // ud2

fn said(lines: &[Line]) -> Vec<(String, String, u32)> {
    let last = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let parts = |line: &Line| {
        let file = line.file.as_deref().map(last).unwrap_or_default();
        (line.function.clone().unwrap_or_default(), file, line.line)
    };
    lines.iter().map(parts).collect()
}

#[test]
fn functions_and_what_is_inlined_in_them_are_known_with_their_lines() {
    for level in ["-O0", "-O2"] {
        let guest = Guest::build(X64, &[("guest.cpp", TEXT)], &[level]);
        let path = guest.path();
        let found = said(&lines(Source::original(&guest.bytes, &path), place_of(&guest, TRAP)));
        // Where a call was inlined in optimised code, clang may give no line to it: then it is the one before.
        let at_least = if level == "-O0" { 16 } else { 15 };
        let call = found.last().map_or(0, |(_, _, line)| *line).clamp(at_least, 16);
        let expected = [("game::Player::hit", 7), ("game::round", 12), ("game::play", call)];
        let expected = expected.map(|(function, line)| (function.to_owned(), "guest.cpp".to_owned(), line));
        assert_eq!(found, expected, "{level}");
    }
}

#[test]
fn of_another_place_or_without_a_pdb_nothing_is_said() {
    let guest = Guest::build(X64, &[("guest.cpp", TEXT)], &["-O2"]);
    let path = guest.path();
    let place = place_of(&guest, TRAP);
    let at = |address| lines(Source::original(&guest.bytes, &path), address);
    assert_eq!(at(0), []);
    assert_eq!(at(u64::MAX), []);
    std::fs::remove_file(guest.pdb()).unwrap();
    assert_eq!(at(place), []);
}

#[test]
fn damaged_ones_are_survived() {
    let guest = Guest::build(X64, &[("guest.cpp", TEXT)], &["-O2"]);
    let (path, place) = (guest.path(), place_of(&guest, TRAP));
    let whole = std::fs::read(guest.pdb()).unwrap();
    let read = || lines(Source::original(&guest.bytes, &path), place);
    let (good, mut different) = (read(), 0);
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        std::fs::write(guest.pdb(), bytes).unwrap();
        different += usize::from(read() != good);
    }
    assert!(different > 5, "some of it matters: {different}");
}
