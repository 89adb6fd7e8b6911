//! Random structs, random edits of them, and what must become of their values: said with values, not with bytes.
//!
//! Two tests use it: one in memory, one that compiles the structs as C.
#![allow(clippy::indexing_slicing)] // a test may fail

/// A generator of numbers that gives the same ones for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Int {
        bits: u32,
        signed: bool,
    },
    Bool,
    Float {
        size: u32,
    },
    /// Enumerators are of a number of their own in the whole program, as C wants them; and so are their values.
    Enum(Vec<(u32, i64)>),
    Array(Box<Shape>, usize),
    Struct(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// Called `f` and this number.
    pub(crate) name: u32,
    pub(crate) shape: Shape,
    /// The width of a bit-field.
    pub(crate) bits: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(i128),
    Float(f64),
    List(Vec<Value>),
}

/// Makes shapes, values and edits.
pub(crate) struct Maker {
    pub(crate) random: Random,
    names: u32,
}

const INTS: [u32; 4] = [8, 16, 32, 64];

impl Maker {
    pub(crate) fn new(seed: u64) -> Maker {
        Maker { random: Random(seed), names: 0 }
    }

    fn name(&mut self) -> u32 {
        self.names += 1;
        self.names
    }

    pub(crate) fn root(&mut self) -> Shape {
        let count = 1 + self.random.below(8);
        Shape::Struct((0..count).map(|_| self.field(0)).collect())
    }

    fn field(&mut self, depth: u32) -> Field {
        let shape = self.shape(depth);
        let bits = match shape {
            Shape::Int { bits, .. } if self.random.below(4) == 0 => Some(1 + self.random.below(bits as usize) as u32),
            _ => None,
        };
        Field { name: self.name(), shape, bits }
    }

    fn shape(&mut self, depth: u32) -> Shape {
        match self.random.below(if depth < 3 { 10 } else { 7 }) {
            0..=3 => self.int(),
            4 => Shape::Bool,
            5 => Shape::Float { size: [4, 8][self.random.below(2)] },
            6 => {
                let count = 2 + self.random.below(4) as i64;
                let base = self.random.below(3) as i64;
                Shape::Enum((0..count).map(|nth| (self.name(), base + nth * 3)).collect())
            }
            7 => {
                let count = 1 + self.random.below(4);
                Shape::Array(Box::new(self.shape(depth + 1)), count)
            }
            _ => {
                let count = 1 + self.random.below(4);
                Shape::Struct((0..count).map(|_| self.field(depth + 1)).collect())
            }
        }
    }

    fn int(&mut self) -> Shape {
        Shape::Int { bits: INTS[self.random.below(4)], signed: self.random.below(2) == 0 }
    }

    /// Any value of a shape.
    pub(crate) fn value(&mut self, shape: &Shape, bits: Option<u32>) -> Value {
        match shape {
            Shape::Int { bits: all, signed } => {
                let width = bits.unwrap_or(*all);
                let raw = self.random.next() as i64;
                // Often small, as numbers in programs are.
                let raw = if self.random.below(2) == 0 { raw % 100 } else { raw };
                Value::Int(fold(raw, width, *signed))
            }
            Shape::Bool => Value::Int(self.random.below(2) as i128),
            Shape::Float { .. } => Value::Float(self.random.below(4000) as f64 / 8.0 - 100.0),
            Shape::Enum(names) => Value::Int(names[self.random.below(names.len())].1.into()),
            Shape::Array(element, count) => Value::List((0..*count).map(|_| self.value(element, None)).collect()),
            Shape::Struct(fields) => {
                Value::List(fields.iter().map(|field| self.value(&field.shape, field.bits)).collect())
            }
        }
    }

    /// The shape after an edit somewhere in it.
    pub(crate) fn edit(&mut self, shape: &Shape) -> Shape {
        match shape {
            Shape::Struct(fields) => {
                let mut fields = fields.clone();
                let at = self.random.below(fields.len());
                match self.random.below(8) {
                    0 | 1 => fields.insert(at, self.field(1)),
                    2 if fields.len() > 1 => drop(fields.remove(at)),
                    3 => {
                        let other = self.random.below(fields.len());
                        fields.swap(at, other);
                    }
                    4 => fields[at].name = self.name(),
                    _ => {
                        fields[at].shape = self.edit(&fields[at].shape);
                        fields[at].bits = match fields[at].shape {
                            Shape::Int { bits, .. } if self.random.below(4) == 0 => {
                                Some(1 + self.random.below(bits as usize) as u32)
                            }
                            _ => None,
                        };
                    }
                }
                Shape::Struct(fields)
            }
            Shape::Array(element, count) => match self.random.below(3) {
                0 => Shape::Array(element.clone(), count + 1 + self.random.below(3)),
                1 if *count > 1 => Shape::Array(element.clone(), count - 1),
                _ => Shape::Array(Box::new(self.edit(element)), *count),
            },
            Shape::Enum(names) => {
                let mut names = names.clone();
                match self.random.below(3) {
                    // One in front: all the others get new values.
                    0 => {
                        let first = names[0].1;
                        names.iter_mut().for_each(|(_, value)| *value += 3);
                        names.insert(0, (self.name(), first));
                    }
                    1 if names.len() > 1 => drop(names.remove(self.random.below(names.len()))),
                    _ => names.reverse(),
                }
                Shape::Enum(names)
            }
            Shape::Float { size } => Shape::Float { size: 12 - size },
            Shape::Int { .. } | Shape::Bool => match self.random.below(6) {
                0 => Shape::Float { size: 8 },
                1 => Shape::Bool,
                _ => self.int(),
            },
        }
    }
}

/// The value that a field of this width has when this one is assigned.
fn fold(value: i64, width: u32, signed: bool) -> i128 {
    let unused = 64 - width;
    if signed { (value << unused >> unused).into() } else { ((value as u64) << unused >> unused).into() }
}

/// What must be in a variable of the shape `new` that starts as `initial`, when it was a `value` of the shape `old`.
pub(crate) fn expected(old: (&Shape, Option<u32>, &Value), new: (&Shape, Option<u32>, &Value)) -> Value {
    let (new_shape, new_bits, initial) = new;
    match (old.0, old.2, new_shape, initial) {
        (Shape::Struct(before), Value::List(values), Shape::Struct(after), Value::List(initials)) => {
            let field = |(field, initial): (&Field, &Value)| {
                let found = before.iter().zip(values).find(|(other, _)| other.name == field.name);
                found.map_or(initial.clone(), |(other, value)| {
                    expected((&other.shape, other.bits, value), (&field.shape, field.bits, initial))
                })
            };
            Value::List(after.iter().zip(initials).map(field).collect())
        }
        (Shape::Array(before, _), Value::List(values), Shape::Array(after, _), Value::List(initials)) => {
            let element = |(nth, initial): (usize, &Value)| match values.get(nth) {
                Some(value) => expected((before, None, value), (after, None, initial)),
                None => initial.clone(),
            };
            Value::List(initials.iter().enumerate().map(element).collect())
        }
        (Shape::Enum(before), Value::Int(value), Shape::Enum(after), _) => {
            let name = before.iter().find(|(_, number)| i128::from(*number) == *value).map(|(name, _)| *name);
            let found = after.iter().find(|(other, _)| Some(*other) == name);
            found.map_or(initial.clone(), |(_, value)| Value::Int((*value).into()))
        }
        (_, Value::Int(value), Shape::Int { bits, signed }, _) => {
            let width = new_bits.unwrap_or(*bits);
            let low = if *signed { -(1i128 << (width - 1)) } else { 0 };
            let high = (1i128 << (width - u32::from(*signed))) - 1;
            if (low..=high).contains(value) { Value::Int(*value) } else { initial.clone() }
        }
        (_, Value::Int(value @ (0 | 1)), Shape::Bool, _) => Value::Int(*value),
        (_, Value::Int(value), Shape::Float { size: 8 }, _) if (*value as f64) as i128 == *value => {
            Value::Float(*value as f64)
        }
        (_, Value::Int(value), Shape::Float { size: 4 }, _) if (*value as f32) as i128 == *value => {
            Value::Float(*value as f64)
        }
        (_, Value::Float(value), Shape::Float { .. }, _) => Value::Float(*value),
        _ => initial.clone(),
    }
}
