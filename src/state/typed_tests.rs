//! What is read of debug information, and what is not read again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may

use super::side::Side;
use super::typed::{Memory, Whose};
use crate::image::tests::target;
use crate::image::{self, Expected, Image, Source, Target};
use std::path::Path;
use std::rc::Rc;

fn build(value: u32) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let text = format!("int state; int cr_main(void *ctx, int op) {{ return state += {value} + op; }}");
    std::fs::write(place.path().join("guest.c"), text).unwrap();
    let mut compiler = target::compiler(false);
    compiler.args(["-g", "-shared", "-fPIC", "guest.c", "-o", "guest.so"]).current_dir(place.path());
    assert!(compiler.status().unwrap().success());
    std::fs::read(place.path().join("guest.so")).unwrap()
}

fn source(bytes: &[u8]) -> Source<'_> {
    Source::original(bytes, Path::new("guest.so"))
}

fn parse(bytes: &[u8]) -> Rc<Image> {
    Rc::new(image::parse(source(bytes), Target::native(), Expected { entry: "cr_main", listed: true }).unwrap())
}

#[test]
fn an_image_of_the_same_bytes_is_not_read_again() {
    let first = build(1);
    let files = [first.clone(), first, build(2)];
    let images = files.each_ref().map(|file| parse(file));
    let sides = images.each_ref().map(|image| Side::of(image, &image.state).unwrap());
    let [old, same, other] = [0, 1, 2];
    let memory = Memory::default();
    let sources = files.each_ref().map(|file| move || Some(source(file)));
    let whose = |index: usize| Whose { image: &images[index], file: &sources[index], side: &sides[index] };
    let before = memory.known(whose(old));
    assert!(!before.is_silent());
    let after = memory.known_after(whose(old), &before, whose(same));
    assert!(Rc::ptr_eq(&before, &after));
    // It is there when the next image comes.
    let next = memory.known_after(whose(same), &after, whose(other));
    assert!(!Rc::ptr_eq(&before, &next) && !next.is_silent());
    assert!(Rc::ptr_eq(&before, &memory.known(whose(same))));
}
