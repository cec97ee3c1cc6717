//! Elements of arrays: from the bytes of a file to values.
//!
//! Integers widen, 16-bit floats become 32-bit ones; both are exact. A NaN is a missing number
//! and gets one pattern of bits, whatever the file has; an infinity is refused, as are a boolean
//! that is neither 0 nor 1 and an unsigned integer beyond i64.

use crate::array::{MISSING_F32, Values};
use crate::error::{DataError, Result};
use crate::table::MISSING_F64;

/// How a file writes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    /// The upper half of an [`Element::F32`].
    BF16,
    F32,
    F64,
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Element {
    /// In bytes.
    pub(crate) fn width(self) -> u64 {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 | Element::BF16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }

    /// The values in `bytes`, whose length is a multiple of the width.
    pub(crate) fn values(self, bytes: Vec<u8>, order: Order, file: &str) -> Result<Values> {
        let refuse = |(index, found): (usize, String), needed| DataError::Value {
            file: file.to_owned(),
            index: index as u64,
            found,
            needed,
        };
        let finite = |(index, x): (usize, f64)| refuse((index, x.to_string()), "a finite number");
        Ok(match self {
            Element::Bool => match bytes.iter().position(|byte| *byte > 1) {
                Some(at) => return Err(refuse((at, bytes[at].to_string()), "a boolean (0 or 1)")),
                None => Values::U8(bytes),
            },
            Element::U8 => Values::U8(bytes),
            Element::I8 => Values::I32(bytes.iter().map(|byte| i32::from(*byte as i8)).collect()),
            Element::U16 => Values::I32(each(&bytes, order, |b| u16::from_le_bytes(b).into())),
            Element::I16 => Values::I32(each(&bytes, order, |b| i16::from_le_bytes(b).into())),
            Element::U32 => Values::I64(each(&bytes, order, |b| u32::from_le_bytes(b).into())),
            Element::I32 => Values::I32(each(&bytes, order, i32::from_le_bytes)),
            Element::U64 => Values::I64(unsigned(&bytes, order).map_err(|(index, x)| {
                refuse((index, x.to_string()), "an integer of at most 9223372036854775807")
            })?),
            Element::I64 => Values::I64(each(&bytes, order, i64::from_le_bytes)),
            Element::F16 => Values::F32(
                singles(each(&bytes, order, |b| half(u16::from_le_bytes(b)))).map_err(finite)?,
            ),
            Element::BF16 => {
                let wide = |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
                Values::F32(singles(each(&bytes, order, wide)).map_err(finite)?)
            }
            Element::F32 => {
                Values::F32(singles(each(&bytes, order, f32::from_le_bytes)).map_err(finite)?)
            }
            Element::F64 => {
                Values::F64(doubles(each(&bytes, order, f64::from_le_bytes)).map_err(finite)?)
            }
        })
    }
}

/// `read` sees the bytes of each number with the lowest first.
fn each<const N: usize, T>(bytes: &[u8], order: Order, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks::<N>();
    let turned = |mut number: [u8; N]| {
        number.reverse();
        number
    };
    match order {
        Order::Little => numbers.iter().map(|number| read(*number)).collect(),
        Order::Big => numbers.iter().map(|number| read(turned(*number))).collect(),
    }
}

fn unsigned(bytes: &[u8], order: Order) -> std::result::Result<Vec<i64>, (usize, u64)> {
    let all = each(bytes, order, u64::from_le_bytes);
    let fits = |(index, x): (usize, u64)| i64::try_from(x).map_err(|_| (index, x));
    all.into_iter().enumerate().map(fits).collect()
}

/// One NaN for all; the index and value of an infinity.
fn singles(mut values: Vec<f32>) -> std::result::Result<Vec<f32>, (usize, f64)> {
    for (index, x) in values.iter_mut().enumerate() {
        if x.is_nan() {
            *x = MISSING_F32;
        } else if x.is_infinite() {
            return Err((index, f64::from(*x)));
        }
    }
    Ok(values)
}

fn doubles(mut values: Vec<f64>) -> std::result::Result<Vec<f64>, (usize, f64)> {
    for (index, x) in values.iter_mut().enumerate() {
        if x.is_nan() {
            *x = MISSING_F64;
        } else if x.is_infinite() {
            return Err((index, *x));
        }
    }
    Ok(values)
}

/// A number of IEEE 754's binary16 (1 bit of sign, 5 of exponent with bias 15, 10 of fraction).
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 31);
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // Zero or subnormal: a multiple of 2^-24, which a product with it gives exactly.
        0 => f32::from_bits(sign | (fraction as f32 * (1.0 / (1 << 24) as f32)).to_bits()),
        31 => f32::from_bits(sign | 255 << 23 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let expected = match exponent {
                0 => sign * fraction / 1024.0 / 16384.0,
                31 if fraction == 0.0 => sign * f64::INFINITY,
                31 => f64::NAN,
                _ => sign * (1.0 + fraction / 1024.0) * f64::exp2(f64::from(exponent - 15)),
            };
            let found = f64::from(half(bits));
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{bits:04x}");
            assert!(found.is_sign_negative() == (bits >> 15 == 1) || found.is_nan(), "{bits:04x}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |element: Element, bytes: &[u8]| {
            element.values(bytes.to_vec(), Order::Little, "the file").unwrap_err().to_string()
        };
        assert_eq!(
            error(Element::Bool, &[0, 1, 2]),
            "the file: value 2, from 0 in the file, is 2: a boolean (0 or 1) is needed"
        );
        assert_eq!(
            error(Element::U64, &[255; 8]),
            "the file: value 0, from 0 in the file, is 18446744073709551615: an integer of at most \
             9223372036854775807 is needed"
        );
        for (element, bytes) in [
            (Element::F16, &[0, 0, 0, 0x7c][..]),
            (Element::BF16, &[0, 0, 0x80, 0xff]),
            (Element::F32, &[0, 0, 0, 0, 0, 0, 0x80, 0x7f]),
            (Element::F64, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]),
        ] {
            let error = error(element, bytes);
            assert!(error.contains("value 1") && error.contains("inf"), "{error}");
        }
    }

    #[test]
    fn every_nan_becomes_the_same() {
        let bytes = [1, 0, 0xa0, 0xff].to_vec();
        let Values::F32(values) = Element::F32.values(bytes, Order::Little, "x").unwrap() else {
            panic!()
        };
        assert_eq!(values[0].to_bits(), 0x7fc0_0000);
    }
}
