//! A value as the text that CSV or JSON would hold for it.

use std::fmt::Write;

use crate::schema::{Fraction, Leaf, Meaning, Physical};
use crate::values::Value;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Number,
    Word,
    /// A boolean of JSON; or a list or a structure.
    Json,
}

/// Most digits of a decimal that a float tells apart.
const SURE_DIGITS: usize = 15;

/// Appends the text of `value`; 32-bit floats as the shortest that is no other such float, or, if `wide`,
/// no other of 64 bits.
pub(crate) fn text(value: Value<'_>, leaf: &Leaf, wide: bool, out: &mut Vec<u8>) -> Sort {
    match (value, leaf.meaning) {
        (Value::Bool(value), _) => {
            put(out, value);
            Sort::Json
        }
        (Value::Int(value), Meaning::Date) => {
            date(value, out);
            Sort::Word
        }
        (Value::Int(value), Meaning::Time(fraction)) => {
            time(value, fraction, out);
            Sort::Word
        }
        (Value::Int(value), Meaning::Timestamp(fraction, utc)) => {
            let (seconds, rest) = split(value, fraction);
            timestamp(seconds, rest, utc, out);
            Sort::Word
        }
        (Value::Int(value), Meaning::Unsigned) => {
            match leaf.physical {
                Physical::Int32 => put(out, value as u32),
                _ => put(out, value as u64),
            }
            Sort::Number
        }
        (Value::Int(value), Meaning::Decimal(scale)) => {
            decimal(&value.unsigned_abs().to_string(), value < 0, scale, out)
        }
        (Value::Int(value), _) => {
            put(out, value);
            Sort::Number
        }
        (Value::Single(value), _) => {
            if wide {
                float(f64::from(value), out);
            } else {
                float(value, out);
            }
            Sort::Number
        }
        (Value::Double(value), _) => {
            float(value, out);
            Sort::Number
        }
        (Value::Bytes(&[low, high]), Meaning::Half) => {
            float(half(u16::from_le_bytes([low, high])), out);
            Sort::Number
        }
        (Value::Bytes(bytes), Meaning::Decimal(scale)) if bytes.len() <= 32 => {
            let (digits, negative) = digits(bytes);
            decimal(&digits, negative, scale, out)
        }
        (Value::Bytes(bytes), Meaning::Uuid) if bytes.len() == 16 => {
            for (at, byte) in bytes.iter().enumerate() {
                if matches!(at, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                put(out, format_args!("{byte:02x}"));
            }
            Sort::Word
        }
        (Value::Bytes(&[a, b, c, d, e, f, g, h, i, j, k, l]), _)
            if leaf.physical == Physical::Int96 =>
        {
            // Nanoseconds of a Julian day: a time as old writers have it.
            let nanos = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let day = i64::from(u32::from_le_bytes([i, j, k, l]));
            let (seconds, rest) = split(nanos, Fraction::Nanos);
            timestamp((day - 2_440_588) * 86_400 + seconds, rest, false, out);
            Sort::Word
        }
        (Value::Bytes(bytes), _) => {
            out.extend_from_slice(bytes);
            Sort::Word
        }
    }
}

fn put(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into memory does not fail.
    let _ = std::io::Write::write_fmt(out, format_args!("{value}"));
}

/// The fewest digits that tell a float from all others of its width, without a fraction of nothing: `3` for
/// `3.0`, and for zero `-0`.
fn float(value: impl zmij::Float, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(value);
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

/// A float of 16 bits.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        0 => fraction * 2_f32.powi(-24),
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

/// The decimal digits of an integer in big-endian bytes, without its sign, and whether it is negative.
fn digits(bytes: &[u8]) -> (String, bool) {
    let negative = bytes.first().is_some_and(|byte| byte >> 7 == 1);
    let mut rest = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in rest.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut digits = Vec::new();
    while rest.iter().any(|byte| *byte != 0) {
        let mut left = 0_u32;
        for byte in &mut rest {
            let value = left << 8 | u32::from(*byte);
            (*byte, left) = ((value / 10) as u8, value % 10);
        }
        digits.push(b'0' + left as u8);
    }
    digits.reverse();
    let text = String::from_utf8(digits).unwrap_or_default();
    (if text.is_empty() { "0".to_owned() } else { text }, negative)
}

/// A decimal with `scale` digits behind the point. One with more digits than a float tells apart is a
/// word, so that nobody takes two for one.
fn decimal(digits: &str, negative: bool, scale: u32, out: &mut Vec<u8>) -> Sort {
    let digits = format!("{digits:0>width$}", width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    let short = digits.trim_start_matches('0').len() <= SURE_DIGITS;
    if short { Sort::Number } else { Sort::Word }
}

/// A day since 1970, in the calendar that goes on for ever in both directions (days from civil, as by
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(days: i64, out: &mut Vec<u8>) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    put(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

/// Whole seconds and the rest of a time, the rest in nanoseconds.
fn split(value: i64, fraction: Fraction) -> (i64, i64) {
    let (parts, nanos) = match fraction {
        Fraction::Millis => (1_000, 1_000_000),
        Fraction::Micros => (1_000_000, 1_000),
        Fraction::Nanos => (1_000_000_000, 1),
    };
    (value.div_euclid(parts), value.rem_euclid(parts) * nanos)
}

/// A time of day; one that is none, as its number.
fn time(value: i64, fraction: Fraction, out: &mut Vec<u8>) {
    match split(value, fraction) {
        (seconds @ 0..86_400, rest) => clock(seconds, rest, out),
        _ => put(out, value),
    }
}

fn clock(seconds: i64, rest: i64, out: &mut Vec<u8>) {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    put(out, format_args!("{hours:02}:{minutes:02}:{:02}", seconds % 60));
    if rest != 0 {
        let mut digits = String::new();
        let _ = write!(digits, "{rest:09}");
        put(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

fn timestamp(seconds: i64, rest: i64, utc: bool, out: &mut Vec<u8>) {
    date(seconds.div_euclid(86_400), out);
    out.push(b'T');
    clock(seconds.rem_euclid(86_400), rest, out);
    if utc {
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_and_times() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (-719_529, "-001-12-31"),
            (2_932_897, "10000-01-01"),
        ];
        for (days, expected) in cases {
            assert_eq!(told(|out| date(days, out)), expected);
        }
        for day in [i64::from(i32::MIN), i64::from(i32::MAX)] {
            assert!(told(|out| date(day, out)).ends_with(|c: char| c.is_ascii_digit()));
        }
        let at = |value, fraction, utc| {
            let (seconds, rest) = split(value, fraction);
            told(|out| timestamp(seconds, rest, utc, out))
        };
        assert_eq!(at(1_706_745_600_123, Fraction::Millis, true), "2024-02-01T00:00:00.123Z");
        assert_eq!(at(-1, Fraction::Nanos, false), "1969-12-31T23:59:59.999999999");
        for value in [i64::MIN, i64::MAX] {
            for fraction in [Fraction::Millis, Fraction::Micros, Fraction::Nanos] {
                assert!(at(value, fraction, true).ends_with('Z'));
            }
        }
        assert_eq!(told(|out| time(86_399_500, Fraction::Millis, out)), "23:59:59.5");
        assert_eq!(told(|out| time(-5, Fraction::Millis, out)), "-5");
    }

    #[test]
    fn numbers_have_their_shortest_digits() {
        let cases = [(3.0, "3"), (-0.0, "-0"), (0.1, "0.1"), (1e300, "1e+300"), (f64::NAN, "NaN")];
        for (number, expected) in cases {
            assert_eq!(told(|out| float(number, out)), expected);
        }
        assert_eq!(told(|out| float(f64::from(0.1_f32), out)), "0.10000000149011612");
        assert_eq!(told(|out| float(0.1_f32, out)), "0.1");
        for (bits, expected) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x0001, 2_f32.powi(-24)),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), expected);
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn decimals_are_exact() {
        let of = |digits: &str, negative, scale| {
            told(|out| {
                decimal(digits, negative, scale, out);
            })
        };
        assert_eq!(of("5", false, 2), "0.05");
        assert_eq!(of("12345", true, 2), "-123.45");
        assert_eq!(of("7", false, 0), "7");
        assert_eq!(digits(&[0xff, 0x85]), ("123".into(), true));
        assert_eq!(digits(&[0x80]), ("128".into(), true));
        assert_eq!(digits(&[0, 0]), ("0".into(), false));
        assert_eq!(digits(&[]), ("0".into(), false));
        let most = [&[0x7f][..], &[0xff; 15]].concat();
        assert_eq!(digits(&most).0, i128::MAX.to_string());
        let sort = |digits: &str| decimal(digits, false, 3, &mut Vec::new());
        assert_eq!(sort("123456789012345"), Sort::Number);
        assert_eq!(sort("1234567890123456"), Sort::Word);
    }
}
