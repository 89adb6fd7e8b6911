//! Floating-point numbers of all the widths that C has. Values are looked at as `f64`, the widest that Rust has.

use crate::image::types::Type;

/// How the bits of one are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Single,
    Double,
    /// `long double` of the x86, whose mantissa has its first bit.
    Extended,
    /// `_Float128`, and `long double` elsewhere.
    Quad,
}

/// Both wide forms have fifteen bits of exponent.
const BIAS: i32 = 16383;
const LARGEST: u32 = 0x7fff;

impl Form {
    pub(super) fn of(ty: &Type) -> Option<Form> {
        let x86 = cfg!(any(target_arch = "x86_64", target_arch = "x86"));
        match ty.size {
            4 => Some(Form::Single),
            8 => Some(Form::Double),
            12 => Some(Form::Extended),
            16 if x86 && !ty.name.contains("128") => Some(Form::Extended),
            16 => Some(Form::Quad),
            _ => None,
        }
    }

    /// The number, rounded, and whether it is exactly that. None: it is larger than any `f64`.
    pub(super) fn read(self, raw: u128) -> Option<(f64, bool)> {
        let (exponent, mantissa, sign) = match self {
            Form::Single => return Some((f32::from_bits(raw as u32).into(), true)),
            Form::Double => return Some((f64::from_bits(raw as u64), true)),
            // With the point behind the first bit, in both.
            Form::Extended => ((raw >> 64) as u32 & LARGEST, (raw as u64 as u128) << 64, raw >> 79 & 1),
            Form::Quad => {
                let exponent = (raw >> 112) as u32 & LARGEST;
                (exponent, raw << 16 >> 1 | u128::from(exponent != 0) << 127, raw >> 127)
            }
        };
        let value = match exponent {
            LARGEST if mantissa << 1 == 0 => f64::INFINITY,
            LARGEST => f64::NAN,
            _ => {
                // In two steps: the powers would leave the range of an f64 before the number does. What is too small
                // becomes 0.
                let power = exponent as i32 - BIAS - 127;
                let value = mantissa as f64 * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
                Some(value).filter(|value| value.is_finite())?
            }
        };
        let exact = !value.is_finite() || mantissa == 0 || (value.is_normal() && mantissa << 53 == 0);
        Some((if sign == 1 { -value } else { value }, exact))
    }

    /// The bits of this number: rounded, but not to infinity.
    pub(super) fn write(self, value: f64) -> Option<u128> {
        let bits = value.to_bits();
        let narrow = value as f32;
        let (exponent, fraction) = match (bits >> 52 & 0x7ff, bits << 12) {
            _ if self == Form::Double => return Some(bits.into()),
            _ if self == Form::Single => {
                return (narrow.is_finite() || !value.is_finite()).then(|| narrow.to_bits().into());
            }
            (0x7ff, fraction) => (u128::from(LARGEST), fraction),
            (0, 0) => (0, 0),
            (0, fraction) => {
                // Too small for its first bit to be left out there; here it is not.
                let zeros = fraction.leading_zeros();
                ((BIAS - 1022 - zeros as i32 - 1) as u128, fraction << zeros << 1)
            }
            (exponent, fraction) => ((exponent as i32 - 1023 + BIAS) as u128, fraction),
        };
        let sign = u128::from(bits >> 63);
        Some(match self {
            Form::Extended => sign << 79 | exponent << 64 | u128::from(exponent != 0) << 63 | u128::from(fraction >> 1),
            _ => sign << 127 | exponent << 112 | u128::from(fraction) << 48,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn wide_forms_hold_what_a_double_does() {
        for value in [0.0, -0.0, 1.0, -2.5, 1e300, -1e-300, f64::MAX, f64::MIN_POSITIVE, 5e-324, 3e-310, f64::INFINITY]
        {
            for form in [Form::Extended, Form::Quad, Form::Double] {
                let raw = form.write(value).unwrap_or_default();
                let (read, exact) = form.read(raw).unwrap_or_default();
                assert_eq!(read.to_bits(), value.to_bits(), "{value} {form:?} {raw:x}");
                assert!(exact || !value.is_normal(), "{value} {form:?}");
            }
        }
        for form in [Form::Extended, Form::Quad] {
            let read = form.write(f64::NAN).and_then(|raw| form.read(raw));
            assert!(read.is_some_and(|(value, _)| value.is_nan()), "{form:?}");
        }
    }

    #[test]
    fn they_are_those_of_the_machine() {
        // As compilers write them.
        assert_eq!(Form::Extended.write(2.5), Some(0x4000_a000_0000_0000_0000));
        assert_eq!(Form::Extended.write(-1.0), Some(0xbfff_8000_0000_0000_0000));
        assert_eq!(Form::Quad.write(2.5), Some(0x4000_4000_0000_0000_0000_0000_0000_0000));
        assert_eq!(Form::Quad.write(-1.0), Some(0xbfff_0000_0000_0000_0000_0000_0000_0000));
        // A third, and a number that a double does not hold.
        let (third, exact) = Form::Extended.read(0x3ffd_aaaa_aaaa_aaaa_aaab).unwrap_or_default();
        assert!((third - 1.0 / 3.0).abs() < 1e-16 && !exact);
        assert_eq!(Form::Extended.read(0x403e_8000_0000_0000_0001), Some((9_223_372_036_854_775_808.0, false)));
        assert_eq!(Form::Extended.read(0x7000_8000_0000_0000_0000), None);
        assert_eq!(Form::Quad.read(1), Some((0.0, false)));
        assert_eq!(Form::Single.write(1e300), None);
    }
}
