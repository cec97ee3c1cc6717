//! The element types of tensor files: their size, their text, their distance.
//!
//! Two elements are equal if their bits are: a NaN equals itself, `-0.0` is not `0.0`. Distances
//! are counted in units in the last place of the type itself, so that one step of a `bf16` is 1
//! and not 65,536. Types that are not known here are compared bit by bit and shown in hexadecimal.

use lab_schema::hash::hex;

/// How an element's bits are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// An IEEE float, or `bfloat16`.
    Float(Float),
    /// A two's complement integer.
    Signed,
    /// A natural number.
    Unsigned,
    /// One byte, 0 or 1.
    Bool,
    /// Bits without a known meaning.
    Opaque,
}

/// The float types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    F64,
    F32,
    F16,
    BF16,
}

/// An element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dtype {
    /// As the file calls it.
    pub(crate) name: String,
    /// Bytes of one element, 1 to 16.
    pub(crate) size: u64,
    /// How to read them.
    pub(crate) class: Class,
    /// Whether the most significant byte comes first.
    pub(crate) big_endian: bool,
}

impl Dtype {
    /// The bits of one element.
    fn bits(&self, bytes: &[u8]) -> u64 {
        let shift = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        if self.big_endian {
            bytes.iter().fold(0, shift)
        } else {
            bytes.iter().rev().fold(0, shift)
        }
    }

    /// The value of a float element; none for other types.
    pub(crate) fn value(&self, bytes: &[u8]) -> Option<f64> {
        match self.class {
            Class::Float(float) => Some(float.value(self.bits(bytes))),
            _ => None,
        }
    }

    /// The value of an element of any type that has a meaning, as near as a float comes to it.
    pub(crate) fn number(&self, bytes: &[u8]) -> Option<f64> {
        match self.class {
            Class::Float(float) => Some(float.value(self.bits(bytes))),
            Class::Unsigned | Class::Bool => Some(self.bits(bytes) as f64),
            Class::Signed => Some(self.signed(bytes) as f64),
            Class::Opaque => None,
        }
    }

    fn signed(&self, bytes: &[u8]) -> i64 {
        let unused = 64 - 8 * self.size.clamp(1, 8) as u32;
        ((self.bits(bytes) << unused) as i64) >> unused
    }

    /// The distance of two finite floats in units in the last place.
    pub(crate) fn ulps(&self, a: &[u8], b: &[u8]) -> Option<u64> {
        let Class::Float(float) = self.class else { return None };
        let (a, b) = (self.bits(a), self.bits(b));
        let finite = float.value(a).is_finite() && float.value(b).is_finite();
        finite.then(|| float.ordinal(a).abs_diff(float.ordinal(b)))
    }

    /// The element as text: floats in the shortest form that reads back to the same bits.
    pub(crate) fn text(&self, bytes: &[u8]) -> String {
        let bits = self.bits(bytes);
        match self.class {
            Class::Float(float) => float.text(bits),
            Class::Unsigned => bits.to_string(),
            Class::Signed => self.signed(bytes).to_string(),
            Class::Bool if bits <= 1 => (bits == 1).to_string(),
            Class::Bool | Class::Opaque => format!("0x{}", hex(bytes)),
        }
    }
}

impl Float {
    const fn width(self) -> u32 {
        match self {
            Float::F64 => 64,
            Float::F32 => 32,
            Float::F16 | Float::BF16 => 16,
        }
    }

    /// The value, exactly: every type fits into an `f64`.
    pub(crate) fn value(self, bits: u64) -> f64 {
        match self {
            Float::F64 => f64::from_bits(bits),
            Float::F32 => f64::from(f32::from_bits(bits as u32)),
            Float::BF16 => f64::from(f32::from_bits((bits as u32) << 16)),
            Float::F16 => half(bits as u16),
        }
    }

    /// Maps bits to integers in the order of the values; both zeros are 0.
    fn ordinal(self, bits: u64) -> i64 {
        let sign = 1_u64 << (self.width() - 1);
        let magnitude = (bits & (sign - 1)) as i64;
        if bits & sign == 0 { magnitude } else { -magnitude }
    }

    fn text(self, bits: u64) -> String {
        let value = self.value(bits);
        if value.is_nan() {
            return format!("NaN (0x{:0width$x})", bits, width = self.width() as usize / 4);
        }
        match self {
            Float::F64 => format!("{value:?}"),
            Float::F32 => format!("{:?}", f32::from_bits(bits as u32)),
            Float::F16 | Float::BF16 => self.shortest(value),
        }
    }

    /// The shortest decimal that lies nearer to `value` than to its neighbours.
    fn shortest(self, value: f64) -> String {
        for digits in 0..6 {
            // Rounding to the type: through the neighbours, whose midpoints an f64 holds exactly.
            let short: f64 = format!("{value:.digits$e}").parse().unwrap_or(value);
            let step = self.step(value);
            if (short - value).abs() * 2.0 < step {
                return format!("{short:?}");
            }
        }
        format!("{value:?}")
    }

    /// The smaller of the distances to the two neighbours of a 16-bit float.
    fn step(self, value: f64) -> f64 {
        let (fraction_bits, least_exponent) = match self {
            Float::F16 => (10, -14),
            _ => (7, -126),
        };
        let exponent = ((value.abs().to_bits() >> 52) as i32 - 1023).max(least_exponent);
        let power = value.abs() == 2_f64.powi(exponent) && exponent > least_exponent;
        2_f64.powi(exponent - fraction_bits - i32::from(power))
    }
}

/// The value of an IEEE half.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff);
    match i32::from(bits >> 10 & 0x1f) {
        0 => sign * fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dtype(class: Class, size: u64) -> Dtype {
        Dtype { name: String::new(), size, class, big_endian: false }
    }

    #[test]
    fn distances_in_the_units_of_the_type() {
        let f32s = dtype(Class::Float(Float::F32), 4);
        let next = f32::from_bits(0.1_f32.to_bits() + 1);
        assert_eq!(f32s.ulps(&0.1_f32.to_le_bytes(), &next.to_le_bytes()), Some(1));
        assert_eq!(f32s.ulps(&0_f32.to_le_bytes(), &(-0_f32).to_le_bytes()), Some(0));
        let tiny = f32::from_bits(1);
        assert_eq!(f32s.ulps(&tiny.to_le_bytes(), &(-tiny).to_le_bytes()), Some(2));
        assert_eq!(f32s.ulps(&f32::NAN.to_le_bytes(), &next.to_le_bytes()), None);
        let f64s = dtype(Class::Float(Float::F64), 8);
        let far = f64s.ulps(&f64::MAX.to_le_bytes(), &f64::MIN.to_le_bytes()).unwrap();
        assert_eq!(far, 2 * f64::MAX.to_bits());
        let bf16 = dtype(Class::Float(Float::BF16), 2);
        assert_eq!(bf16.ulps(&[0x80, 0x3f], &[0x81, 0x3f]), Some(1));
    }

    #[test]
    fn text_reads_back() {
        let text = |d: &Dtype, b: &[u8]| d.text(b);
        let f32s = dtype(Class::Float(Float::F32), 4);
        assert_eq!(text(&f32s, &0.1_f32.to_le_bytes()), "0.1");
        assert_eq!(text(&f32s, &(-0_f32).to_le_bytes()), "-0.0");
        assert_eq!(text(&f32s, &f32::INFINITY.to_le_bytes()), "inf");
        assert_eq!(text(&f32s, &0x7fc00001_u32.to_le_bytes()), "NaN (0x7fc00001)");
        let big = Dtype { big_endian: true, ..f32s };
        assert_eq!(text(&big, &1.5_f32.to_be_bytes()), "1.5");
        assert_eq!(text(&dtype(Class::Signed, 1), &[0xff]), "-1");
        assert_eq!(text(&dtype(Class::Signed, 8), &i64::MIN.to_le_bytes()), i64::MIN.to_string());
        assert_eq!(text(&dtype(Class::Unsigned, 8), &[0xff; 8]), u64::MAX.to_string());
        assert_eq!(text(&dtype(Class::Bool, 1), &[1]), "true");
        assert_eq!(text(&dtype(Class::Bool, 1), &[2]), "0x02");
        assert_eq!(text(&dtype(Class::Opaque, 16), &[7; 16]), format!("0x{}", "07".repeat(16)));
        assert_eq!(text(&dtype(Class::Float(Float::BF16), 2), &[0xcd, 0x3d]), "0.1");
        assert_eq!(text(&dtype(Class::Float(Float::F16), 2), &0x2e66_u16.to_le_bytes()), "0.1");
    }

    // Every finite 16-bit float prints as text that is nearest to it among all of them.
    #[test]
    fn all_sixteen_bit_floats_read_back() {
        for float in [Float::F16, Float::BF16] {
            let mut values: Vec<f64> =
                (0..0x8000).map(|b| float.value(b)).filter(|v| v.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            for bits in 0..0x8000_u64 {
                let value = float.value(bits);
                if !value.is_finite() {
                    continue;
                }
                let text: f64 = float.text(bits).parse().unwrap();
                let at = values.partition_point(|v| *v < value);
                let near = |i: usize| {
                    values.get(i).is_none_or(|v| (v - text).abs() > (value - text).abs())
                };
                assert!(near(at + 1) && (at == 0 || near(at - 1)), "{value} printed as {text}");
            }
        }
    }
}
