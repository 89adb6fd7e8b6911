//! Conversion of values: each rule once, then thousands of random structs and edits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail

use super::convert::{Note, Sides, What, convert};
use super::model::{Field, Maker, Shape, Value, expected};
use crate::image::types::{Kind, Member, Place, Role, Type, TypeId, Types, Word};

fn add(types: &mut Types, name: &str, size: u64, kind: Kind) -> TypeId {
    types.add(Type { name: name.into(), size, kind, trivial: true }).unwrap()
}

fn int(types: &mut Types, size: u64, signed: bool) -> TypeId {
    add(types, "int", size, Kind::Integer { signed })
}

fn field(name: &str, offset: u64, ty: TypeId) -> Member {
    Member { name: name.into(), role: Role::Field, ty, place: Place::Bytes(offset) }
}

/// Converts and returns the bytes and the notes, as `path: why`.
fn run(old: (&Types, TypeId), from: &[u8], new: (&Types, TypeId), initial: &[u8]) -> (Vec<u8>, Vec<String>) {
    let mut notes = Vec::new();
    let mut to = initial.to_vec();
    let mut report = |note: Note| notes.push(format!("{}: {}", note.path, note.why));
    let sides = Sides { old: old.0, new: new.0 };
    assert!(convert(sides, "v", (old.1, from), (new.1, &mut to), &mut report));
    (to, notes)
}

/// Two types made by one function each, and the bytes before and after.
fn check(
    old: impl Fn(&mut Types) -> TypeId,
    from: &[u8],
    new: impl Fn(&mut Types) -> TypeId,
    initial: &[u8],
    to: &[u8],
    notes: &[&str],
) {
    let (mut old_types, mut new_types) = (Types::default(), Types::default());
    let (old, new) = (old(&mut old_types), new(&mut new_types));
    let (got, said) = run((&old_types, old), from, (&new_types, new), initial);
    assert_eq!(got, to);
    assert_eq!(said, notes);
}

fn sized(size: u64, signed: bool) -> impl Fn(&mut Types) -> TypeId {
    move |types| int(types, size, signed)
}

fn floating(size: u64) -> impl Fn(&mut Types) -> TypeId {
    move |types| add(types, if size == 4 { "float" } else { "double" }, size, Kind::Float)
}

fn array(size: u64, count: u64) -> impl Fn(&mut Types) -> TypeId {
    move |types| {
        let element = int(types, size, true);
        add(types, "", size * count, Kind::Array { element, count })
    }
}

fn enumeration(names: &'static [(&'static str, i128)]) -> impl Fn(&mut Types) -> TypeId {
    move |types| {
        let names = names.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        add(types, "enum e", 1, Kind::Enum { signed: false, names })
    }
}

#[test]
fn a_field_in_the_middle_moves_those_behind_it() {
    let old = |types: &mut Types| {
        let byte = int(types, 1, false);
        let members = vec![field("a", 0, byte), field("gone", 1, byte), field("c", 2, byte)];
        add(types, "struct s", 3, Kind::Struct(members))
    };
    let new = |types: &mut Types| {
        let byte = int(types, 1, false);
        let members = vec![field("a", 0, byte), field("b", 1, byte), field("c", 3, byte)];
        add(types, "struct s", 4, Kind::Struct(members))
    };
    check(old, &[1, 2, 3], new, &[9, 8, 7, 6], &[1, 8, 7, 3], &["v.b: it is new", "v.gone: it is no longer there"]);
}

#[test]
fn integers_widen_by_their_sign_and_narrow_if_they_fit() {
    check(sized(2, true), &[0xfe, 0xff], sized(4, true), &[0; 4], &[0xfe, 0xff, 0xff, 0xff], &[]);
    check(sized(2, false), &[0xfe, 0xff], sized(4, false), &[0; 4], &[0xfe, 0xff, 0, 0], &[]);
    check(sized(4, true), &[200, 0, 0, 0], sized(1, false), &[7], &[200], &[]);
    check(sized(4, true), &[44, 1, 0, 0], sized(1, false), &[7], &[7], &["v: 300 does not fit into int"]);
    check(sized(1, true), &[0xff], sized(1, false), &[7], &[7], &["v: -1 does not fit into int"]);
}

#[test]
fn numbers_become_floats_and_back_when_they_are_exact() {
    let half = 0.5f64.to_le_bytes();
    check(floating(8), &half, floating(4), &[0; 4], &0.5f32.to_le_bytes(), &[]);
    check(floating(4), &0.1f32.to_le_bytes(), floating(8), &[0; 8], &f64::from(0.1f32).to_le_bytes(), &[]);
    check(floating(8), &3.0f64.to_le_bytes(), sized(1, false), &[7], &[3], &[]);
    check(floating(8), &half, sized(1, false), &[7], &[7], &["v: 0.5 does not fit into int"]);
    check(sized(4, true), &[3, 0, 0, 0], floating(4), &[0; 4], &3.0f32.to_le_bytes(), &[]);
    let large = 16_777_217u32.to_le_bytes();
    check(sized(4, false), &large, floating(4), &[0; 4], &[0; 4], &["v: 16777217 does not fit into float"]);
    let huge = 1e300f64;
    let said = format!("v: {huge} does not fit into float");
    check(floating(8), &huge.to_le_bytes(), floating(4), &[0; 4], &[0; 4], &[&said]);
}

#[test]
fn arrays_grow_and_are_cut() {
    check(array(1, 2), &[1, 2], array(1, 4), &[9; 4], &[1, 2, 9, 9], &[]);
    let said = "v: only 1 of its 2 elements have a place";
    check(array(1, 2), &[1, 2], array(1, 1), &[9], &[1], &[said]);
    check(array(1, 2), &[1, 0xff], array(2, 3), &[9; 6], &[1, 0, 0xff, 0xff, 9, 9], &[]);
}

#[test]
fn arrays_of_several_dimensions_keep_the_place_of_each_element() {
    let grid = |rows: u64, columns: u64| {
        move |types: &mut Types| {
            let element = array(1, columns)(types);
            add(types, "", rows * columns, Kind::Array { element, count: rows })
        }
    };
    check(grid(2, 2), &[1, 2, 3, 4], grid(2, 3), &[9; 6], &[1, 2, 9, 3, 4, 9], &[]);
}

#[test]
fn enums_follow_the_names_of_their_values() {
    let old = enumeration(&[("RED", 0), ("BLUE", 1)]);
    let new = enumeration(&[("GREEN", 0), ("RED", 1), ("BLUE", 2)]);
    check(&old, &[0], &new, &[2], &[1], &[]);
    check(&old, &[1], &new, &[0], &[2], &[]);
    check(&old, &[2], &new, &[0], &[0], &["v: 2 had no name and is now called BLUE"]);
    check(&old, &[5], &new, &[0], &[5], &[]);
    let less = enumeration(&[("BLUE", 0)]);
    check(&old, &[0], &less, &[0], &[0], &["v: it was RED, which is no longer there"]);
    // Flags: a combination has no name, and the flags are what they were.
    let flags = enumeration(&[("A", 1), ("B", 2)]);
    check(flags, &[3], enumeration(&[("A", 1), ("B", 2), ("BOTH", 3)]), &[0], &[3], &[]);
}

#[test]
fn bit_fields_are_converted_both_ways() {
    let fields = |places: [Place; 2], size: u64| {
        move |types: &mut Types| {
            let ty = int(types, 1, false);
            let member = |(name, place): (&str, Place)| Member { name: name.into(), role: Role::Field, ty, place };
            let members = ["a", "b"].into_iter().zip(places).map(member).collect();
            add(types, "struct s", size, Kind::Struct(members))
        }
    };
    let bits = |start, count| Place::Bits { start, count };
    let packed = fields([bits(1, 3), bits(4, 4)], 1);
    let plain = fields([Place::Bytes(0), Place::Bytes(1)], 2);
    check(packed, &[0b1001_1010], plain, &[0; 2], &[5, 9], &[]);
    check(plain, &[5, 9], packed, &[1], &[0b1001_1011], &[]);
    check(plain, &[9, 9], packed, &[1], &[0b1001_0001], &["v.a: 9 does not fit into int"]);
    check(packed, &[0b1001_1010], fields([bits(0, 4), bits(8, 5)], 2), &[0xf0, 0xe0], &[0xf5, 0xe9], &[]);
}

#[test]
fn unions_are_copied_while_every_old_view_of_them_is_the_same() {
    let union = |sizes: &'static [u64]| {
        move |types: &mut Types| {
            let members = sizes.iter().map(|size| {
                let ty = int(types, *size, true);
                field(&format!("m{size}"), 0, ty)
            });
            let members = members.collect();
            add(types, "union u", *sizes.iter().max().unwrap(), Kind::Union(members))
        }
    };
    check(union(&[1, 2]), &[1, 2], union(&[2, 4, 1]), &[9; 4], &[1, 2, 9, 9], &[]);
    let said = "v: which member of the union is in use is not known, and m2 has changed";
    check(union(&[1, 2]), &[1, 2], union(&[1, 4]), &[9; 4], &[9; 4], &[said]);
}

#[test]
fn pointers_are_copied_and_become_no_numbers() {
    let pointer = |types: &mut Types| add(types, "char *", 8, Kind::Pointer);
    let bytes = [1, 2, 3, 4, 5, 6, 7, 0xff];
    check(pointer, &bytes, sized(8, false), &[0; 8], &bytes, &[]);
    check(pointer, &bytes, sized(8, true), &[0; 8], &bytes, &[]);
    check(sized(8, false), &bytes, pointer, &[0; 8], &bytes, &[]);
    check(pointer, &bytes, sized(4, false), &[0; 4], &[0; 4], &["v: char * cannot become int"]);
    check(array(1, 8), &bytes, pointer, &[0; 8], &[0; 8], &["v: an array of 8 bytes cannot become char *"]);
}

#[test]
fn the_pointer_to_virtual_functions_stays_that_of_the_new_image() {
    let class = |extra: bool| {
        move |types: &mut Types| {
            let pointer = add(types, "", 8, Kind::Pointer);
            let byte = int(types, 1, true);
            let table = Member { role: Role::Vtable, ..field("_vptr.A", 0, pointer) };
            let mut members = vec![table, field("a", 8, byte)];
            members.extend(extra.then(|| field("b", 9, byte)));
            add(types, "A", 16, Kind::Struct(members))
        }
    };
    let (mut from, mut to) = ([1; 16], [2; 16]);
    from[8] = 5;
    to[8] = 5;
    check(class(false), &from, class(true), &[2; 16], &to, &["v.b: it is new"]);
}

#[test]
fn notes_name_the_place_and_are_limited() {
    let narrow = |size: u64| {
        move |types: &mut Types| {
            let element = int(types, size, false);
            let member = field("n", 0, element);
            let element = add(types, "struct s", size, Kind::Struct(vec![member]));
            add(types, "", 40 * size, Kind::Array { element, count: 40 })
        }
    };
    let (mut old_types, mut new_types) = (Types::default(), Types::default());
    let (old, new) = (narrow(2)(&mut old_types), narrow(1)(&mut new_types));
    let (to, notes) = run((&old_types, old), &[1; 80], (&new_types, new), &[3; 40]);
    assert_eq!(to, [3; 40]);
    assert_eq!(notes[2], "v[2].n: 257 does not fit into int");
    assert_eq!(notes.len(), 33);
    assert_eq!(notes[32], "v: 8 more parts of it are not as they were");
}

#[test]
fn types_that_make_no_sense_are_not_taken() {
    let mut types = Types::default();
    let byte = int(&mut types, 1, false);
    let mut refuse = |size, kind| {
        let ty = Type { name: String::new(), size, kind, trivial: true };
        types.add(ty).unwrap_err().to_string()
    };
    let outside = refuse(4, Kind::Struct(vec![field("a", 4, byte)]));
    assert_eq!(outside, "its type makes no sense: a field lies outside of its struct");
    refuse(4, Kind::Struct(vec![field("a", u64::MAX, byte)]));
    let bits = Member { place: Place::Bits { start: 30, count: 3 }, ..field("a", 0, byte) };
    refuse(4, Kind::Union(vec![bits]));
    refuse(4, Kind::Array { element: byte, count: 5 });
    refuse(0, Kind::Array { element: byte, count: u64::MAX });
    refuse(u64::MAX, Kind::Opaque);
    let mut ty = byte;
    let deep = (0..1000).find_map(|_| {
        let kind = Kind::Struct(vec![field("a", 0, ty)]);
        let outer = types.add(Type { name: String::new(), size: 1, kind, trivial: true });
        outer.map(|outer| ty = outer).err()
    });
    assert_eq!(deep.unwrap().to_string(), "its type makes no sense: it is nested too deeply");
}

#[test]
fn a_part_that_must_not_be_moved_holds_for_the_whole() {
    let mut types = Types::default();
    let string = types.add(Type { name: "std::string".into(), size: 32, kind: Kind::Opaque, trivial: false }).unwrap();
    let element = add(&mut types, "S", 40, Kind::Struct(vec![field("s", 8, string)]));
    let array = add(&mut types, "", 80, Kind::Array { element, count: 2 });
    assert!(!types.is_trivial(array));
    let byte = int(&mut types, 1, false);
    assert!(types.is_trivial(byte));
}

#[test]
fn pointers_are_looked_for_where_there_can_be_one() {
    let mut types = Types::default();
    let pointer = add(&mut types, "", 8, Kind::Pointer);
    let double = add(&mut types, "", 8, Kind::Float);
    let element = add(&mut types, "", 16, Kind::Struct(vec![field("d", 0, double), field("p", 8, pointer)]));
    let array = add(&mut types, "", 32, Kind::Array { element, count: 2 });
    let at = |ty, word| -> Vec<u64> { (0..32).filter(|offset| types.word_at(ty, *offset, 8) == word).collect() };
    assert_eq!(at(array, Word::Pointer), [8, 24]);
    assert!(at(array, Word::Raw).is_empty());
}

#[test]
fn bytes_may_be_an_object_that_was_placed_there() {
    let mut types = Types::default();
    let pointer = add(&mut types, "", 8, Kind::Pointer);
    let byte = int(&mut types, 1, false);
    let bytes = add(&mut types, "", 16, Kind::Array { element: byte, count: 16 });
    let short = int(&mut types, 2, false);
    let shorts = add(&mut types, "", 16, Kind::Array { element: short, count: 8 });
    let both = add(&mut types, "", 16, Kind::Union(vec![field("raw", 0, bytes), field("p", 8, pointer)]));
    let all = add(
        &mut types,
        "",
        40,
        Kind::Struct(vec![field("n", 0, pointer), field("u", 8, both), field("s", 24, shorts)]),
    );
    let words = [0, 8, 16, 24, 32].map(|offset| types.word_at(all, offset, 8));
    assert_eq!(words, [Word::Pointer, Word::Raw, Word::Pointer, Word::Other, Word::Other]);
}

#[test]
fn absurd_types_end_the_conversion() {
    // A thousand fields at one place, in each of a million elements.
    let make = |size: u64| {
        let mut types = Types::default();
        let byte = int(&mut types, size, false);
        let members = (0..4000).map(|nth| field(&format!("f{nth}"), 0, byte)).collect();
        let element = add(&mut types, "", size, Kind::Struct(members));
        let array = add(&mut types, "", size << 15, Kind::Array { element, count: 1 << 15 });
        (types, array)
    };
    let ((old, from), (new, to)) = (make(1), make(2));
    let mut bytes = vec![0; 2 << 15];
    let sides = Sides { old: &old, new: &new };
    assert!(!convert(sides, "v", (from, &vec![0; 1 << 15]), (to, &mut bytes), &mut |_| {}));
    // Bytes that are not as long as the type says.
    assert!(!convert(sides, "v", (from, &[0; 9]), (to, &mut bytes), &mut |_| {}));
}

/// The layout of a shape, as a C compiler makes it: its type, its size and its alignment.
fn layout(types: &mut Types, shape: &Shape) -> (TypeId, u64, u64) {
    match shape {
        Shape::Int { bits, signed } => {
            let size = u64::from(bits / 8);
            (int(types, size, *signed), size, size)
        }
        Shape::Bool => (add(types, "bool", 1, Kind::Bool), 1, 1),
        Shape::Float { size } => {
            let size = u64::from(*size);
            (add(types, "float", size, Kind::Float), size, size)
        }
        Shape::Enum(names) => {
            let names = names.iter().map(|(name, value)| (format!("E{name}"), i128::from(*value))).collect();
            (add(types, "enum", 4, Kind::Enum { signed: false, names }), 4, 4)
        }
        Shape::Array(element, count) => {
            let (element, size, align) = layout(types, element);
            let (size, count) = (size * *count as u64, *count as u64);
            (add(types, "", size, Kind::Array { element, count }), size, align)
        }
        Shape::Struct(fields) => {
            let (mut bits, mut widest) = (0, 1);
            let mut members = Vec::new();
            for Field { name, shape, bits: width } in fields {
                let (ty, size, align) = layout(types, shape);
                let place = match width {
                    Some(count) => {
                        let unit = size * 8;
                        if bits / unit != (bits + u64::from(*count) - 1) / unit {
                            bits = bits.next_multiple_of(unit);
                        }
                        bits += u64::from(*count);
                        Place::Bits { start: bits - u64::from(*count), count: *count }
                    }
                    None => {
                        let start = bits.div_ceil(8).next_multiple_of(align);
                        bits = (start + size) * 8;
                        Place::Bytes(start)
                    }
                };
                widest = widest.max(align);
                members.push(Member { name: format!("f{name}"), role: Role::Field, ty, place });
            }
            let size = bits.div_ceil(8).next_multiple_of(widest);
            (add(types, "struct", size, Kind::Struct(members)), size, widest)
        }
    }
}

/// Writes a value where the type has its place; `None` reads instead.
fn encode(types: &Types, ty: TypeId, place: Place, bytes: &mut [u8], value: &Value) {
    let start = match place {
        Place::Bytes(start) => start as usize,
        Place::Bits { start, count } => {
            let Value::Int(value) = value else { panic!("a bit-field of {value:?}") };
            for nth in 0..u64::from(count) {
                let bit = start + nth;
                bytes[bit as usize / 8] &= !(1 << (bit % 8));
                bytes[bit as usize / 8] |= ((value >> nth & 1) as u8) << (bit % 8);
            }
            return;
        }
    };
    let of = types.get(ty).unwrap();
    let bytes = &mut bytes[start..start + of.size as usize];
    match (&of.kind, value) {
        (Kind::Struct(members), Value::List(values)) => {
            for (member, value) in members.iter().zip(values) {
                encode(types, member.ty, member.place, bytes, value);
            }
        }
        (&Kind::Array { element, .. }, Value::List(values)) => {
            let size = types.get(element).unwrap().size;
            for (nth, value) in (0..).zip(values) {
                encode(types, element, Place::Bytes(nth * size), bytes, value);
            }
        }
        (Kind::Float, Value::Float(value)) if of.size == 4 => bytes.copy_from_slice(&(*value as f32).to_le_bytes()),
        (Kind::Float, Value::Float(value)) => bytes.copy_from_slice(&value.to_le_bytes()),
        (_, Value::Int(value)) => bytes.copy_from_slice(&value.to_le_bytes()[..of.size as usize]),
        (kind, value) => panic!("{value:?} for {kind:?}"),
    }
}

fn decode(types: &Types, ty: TypeId, place: Place, bytes: &[u8]) -> Value {
    let of = types.get(ty).unwrap();
    let (raw, width) = match place {
        Place::Bits { start, count } => {
            let bit = |nth: u64| i128::from(bytes[(start + nth) as usize / 8] >> ((start + nth) % 8) & 1) << nth;
            ((0..u64::from(count)).map(bit).sum::<i128>(), count)
        }
        Place::Bytes(start) => {
            let bytes = &bytes[start as usize..(start + of.size) as usize];
            match &of.kind {
                Kind::Struct(members) => {
                    let member = |member: &Member| decode(types, member.ty, member.place, bytes);
                    return Value::List(members.iter().map(member).collect());
                }
                &Kind::Array { element, count } => {
                    let size = types.get(element).unwrap().size;
                    let element = |nth| decode(types, element, Place::Bytes(nth * size), bytes);
                    return Value::List((0..count).map(element).collect());
                }
                Kind::Float if of.size == 4 => {
                    return Value::Float(f32::from_le_bytes(bytes.try_into().unwrap()).into());
                }
                Kind::Float => return Value::Float(f64::from_le_bytes(bytes.try_into().unwrap())),
                _ => {}
            }
            (bytes.iter().rev().fold(0, |all, byte| all << 8 | i128::from(*byte)), of.size as u32 * 8)
        }
    };
    let signed = matches!(of.kind, Kind::Integer { signed: true });
    let negative = signed && raw >> (width - 1) & 1 == 1;
    Value::Int(if negative { raw - (1 << width) } else { raw })
}

#[test]
fn values_survive_random_edits_of_random_structs() {
    let cases = std::env::var("CR_PROPERTY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4000);
    let mut same = 0;
    for seed in 0..cases {
        let mut maker = Maker::new(seed);
        let before = maker.root();
        let mut after = before.clone();
        for _ in 0..=maker.random.below(4) {
            after = maker.edit(&after);
        }
        let (value, initial) = (maker.value(&before, None), maker.value(&after, None));
        let (mut old_types, mut new_types) = (Types::default(), Types::default());
        let (old, old_size, _) = layout(&mut old_types, &before);
        let (new, new_size, _) = layout(&mut new_types, &after);
        // What lies between the fields is nobody's.
        let mut from = vec![0xaa; old_size as usize];
        encode(&old_types, old, Place::Bytes(0), &mut from, &value);
        assert_eq!(decode(&old_types, old, Place::Bytes(0), &from), value, "seed {seed}");
        let mut to = vec![0x55; new_size as usize];
        encode(&new_types, new, Place::Bytes(0), &mut to, &initial);
        let sides = Sides { old: &old_types, new: &new_types };
        assert!(convert(sides, "v", (old, &from), (new, &mut to), &mut |_| {}), "seed {seed}");
        let got = decode(&new_types, new, Place::Bytes(0), &to);
        let want = expected((&before, None, &value), (&after, None, &initial));
        assert_eq!(got, want, "seed {seed}:\n{before:?} {value:?}\n{after:?} {initial:?}");
        same += u64::from(before == after);
    }
    assert!(same < cases / 4, "most cases have an edit");
}

#[test]
fn dropped_and_initialised_are_told_apart() {
    let mut types = Types::default();
    let byte = int(&mut types, 1, false);
    let old = add(&mut types, "", 1, Kind::Struct(vec![field("a", 0, byte)]));
    let new = add(&mut types, "", 1, Kind::Struct(vec![field("b", 0, byte)]));
    let mut notes = Vec::new();
    let sides = Sides { old: &types, new: &types };
    assert!(convert(sides, "v", (old, &[1]), (new, &mut [2]), &mut |note| notes.push((note.path, note.what))));
    assert_eq!(notes, [("v.b".to_owned(), What::Initialised), ("v.a".to_owned(), What::Dropped)]);
}
