//! Random structs as C source, edited at random, compiled, and reloaded by the library: every value must be what a
//! model, which knows nothing of bytes, says.

use crate::fixture::{Run, Toolchain, c};
use crate::model::{Maker, Shape, Value, expected};
use cr::abi::cr_mode;
use std::fmt::Write;

/// A variable in both versions.
struct Case {
    old: (Shape, Value, Value),
    new: (Shape, Value),
}

/// So many in one guest.
const VARIABLES: usize = 40;

fn cases(maker: &mut Maker) -> Vec<Case> {
    let case = |_| {
        let before = maker.root();
        let mut after = before.clone();
        for _ in 0..=maker.random.below(3) {
            after = maker.edit(&after);
        }
        let (initial, value) = (maker.value(&before, None), maker.value(&before, None));
        let begins = maker.value(&after, None);
        Case { old: (before, initial, value), new: (after, begins) }
    };
    (0..VARIABLES).map(case).collect()
}

/// A C declaration.
fn declare(shape: &Shape, name: &str, bits: Option<u32>) -> String {
    let width = bits.map(|bits| format!(" : {bits}")).unwrap_or_default();
    match shape {
        Shape::Int { bits, signed } => format!("{}int{bits}_t {name}{width};", if *signed { "" } else { "u" }),
        Shape::Bool => format!("_Bool {name};"),
        Shape::Float { size } => format!("{} {name};", if *size == 4 { "float" } else { "double" }),
        Shape::Enum(names) => {
            let names: Vec<String> = names.iter().map(|(name, value)| format!("E{name} = {value}")).collect();
            format!("enum {{ {} }} {name};", names.join(", "))
        }
        Shape::Array(element, count) => declare(element, &format!("{name}[{count}]"), None),
        Shape::Struct(fields) => {
            let fields: String =
                fields.iter().map(|field| declare(&field.shape, &format!("f{}", field.name), field.bits)).collect();
            format!("struct {{ {fields} }} {name};")
        }
    }
}

/// A C initialiser.
fn initialise(value: &Value) -> String {
    match value {
        Value::Int(value) if *value > i128::from(i64::MAX) => format!("{value}ull"),
        Value::Int(value) if *value == i128::from(i64::MIN) => "(-9223372036854775807ll - 1)".into(),
        Value::Int(value) => format!("{value}ll"),
        Value::Float(value) => format!("{value:?}"),
        Value::List(values) => format!("{{{}}}", values.iter().map(initialise).collect::<Vec<_>>().join(", ")),
    }
}

/// Writes a statement for each number in a value, which puts it into the next slot.
fn read(shape: &Shape, path: &str, out: &mut String) {
    match shape {
        Shape::Array(element, count) => (0..*count).for_each(|nth| read(element, &format!("{path}[{nth}]"), out)),
        Shape::Struct(fields) => {
            fields.iter().for_each(|field| read(&field.shape, &format!("{path}.f{}", field.name), out));
        }
        Shape::Float { .. } => writeln!(out, "{{ double d = {path}; __builtin_memcpy(io++, &d, 8); }}").unwrap(),
        _ => writeln!(out, "*io++ = (long long){path};").unwrap(),
    }
}

/// The same numbers, of a value.
fn numbers(value: &Value, out: &mut Vec<i64>) {
    match value {
        Value::Int(value) => out.push(*value as i64),
        Value::Float(value) => out.push(value.to_bits() as i64),
        Value::List(values) => values.iter().for_each(|value| numbers(value, out)),
    }
}

fn survives(seed: u64, toolchain: Toolchain) {
    let cases = cases(&mut Maker::new(seed));
    let (mut old, mut set, mut new, mut get) =
        (String::from("#include <stdint.h>\n"), String::new(), String::new(), String::new());
    new.push_str("#include <stdint.h>\n");
    for (nth, Case { old: (before, initial, value), new: (after, begins) }) in cases.iter().enumerate() {
        let line = |shape: &Shape, initial: &Value| {
            let form = declare(shape, &format!("T{nth}"), None);
            format!("typedef {form}\nstatic T{nth} CR_STATE v{nth} = {};\n", initialise(initial))
        };
        old.push_str(&line(before, initial));
        writeln!(set, "{{ static const T{nth} to = {}; v{nth} = to; KEEP(v{nth}); }}", initialise(value)).unwrap();
        new.push_str(&line(after, begins));
        writeln!(get, "KEEP(v{nth});").unwrap();
        read(after, &format!("v{nth}"), &mut get);
    }
    let (old, new) = (c(&old, &format!("(void)io; {set}")), c(&new, &get));
    let (Some(before), Some(after)) = (old.build(toolchain), new.build(toolchain)) else { return };
    let mut found = vec![0_i64; 1 << 16];
    let mut run = Run::new(&before, cr_mode::CR_UNSAFE);
    // SAFETY: an open plugin; the numbers live longer than it.
    unsafe { (*run.raw()).userdata = found.as_mut_ptr().cast() };
    assert_eq!(run.step().unwrap(), 1);
    run.install(&after);
    assert_eq!(run.step().unwrap(), 2);
    let mut found = found.as_slice();
    for (nth, Case { old: (before, _, value), new: (after, begins) }) in cases.iter().enumerate() {
        let mut wanted = Vec::new();
        numbers(&expected((before, None, value), (after, None, begins)), &mut wanted);
        let (mine, rest) = found.split_at(wanted.len());
        assert_eq!(mine, wanted, "seed {seed} {toolchain:?} v{nth}:\n{before:?}\n{value:?}\n{after:?}\n{begins:?}");
        found = rest;
    }
}

#[test]
fn values_survive_random_edits_of_structs_in_c() {
    let seeds = std::env::var("CR_PROPERTY_GUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    for seed in 0..seeds {
        for compiler in ["gcc", "clang"] {
            for flags in [&["-g", "-O0"][..], &["-g", "-O2", "-gdwarf-4"]] {
                survives(seed, Toolchain { compiler, flags });
            }
        }
    }
}
