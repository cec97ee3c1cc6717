//! Values as they lie in bytes, one after the other, and dictionaries of them.

use crate::error::{Parsed, damaged};
use crate::schema::Physical;

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Single(f32),
    Double(f64),
    Bytes(&'a [u8]),
}

impl Physical {
    /// Bytes of each value, where all have as many.
    pub(crate) fn width(self) -> Option<usize> {
        match self {
            Physical::Boolean | Physical::Bytes => None,
            Physical::Int32 | Physical::Float => Some(4),
            Physical::Int64 | Physical::Double => Some(8),
            Physical::Int96 => Some(12),
            Physical::Fixed(len) => Some(len as usize),
        }
    }

    /// The value whose bytes these are; truth and texts have no such bytes.
    pub(crate) fn value(self, bytes: &[u8]) -> Value<'_> {
        match (self, bytes) {
            (Physical::Int32, [a, b, c, d]) => {
                Value::Int(i64::from(i32::from_le_bytes([*a, *b, *c, *d])))
            }
            (Physical::Float, [a, b, c, d]) => Value::Single(f32::from_le_bytes([*a, *b, *c, *d])),
            (Physical::Int64, [a, b, c, d, e, f, g, h]) => {
                Value::Int(i64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            (Physical::Double, [a, b, c, d, e, f, g, h]) => {
                Value::Double(f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            (_, bytes) => Value::Bytes(bytes),
        }
    }
}

/// Where the bytes of the value at `at` lie, and so where the next begins: a text has its length before
/// it.
pub(crate) fn extent(physical: Physical, bytes: &[u8], at: usize) -> Parsed<(usize, usize)> {
    const CUT_OFF: &str = "a page has fewer values than it says";
    let rest = bytes.get(at..).unwrap_or_default();
    let (start, len) = match physical.width() {
        Some(width) => (at, width),
        None => match rest.first_chunk::<4>() {
            Some(len) => (at + 4, u32::from_le_bytes(*len) as usize),
            None => return damaged(CUT_OFF),
        },
    };
    match start.checked_add(len).filter(|end| *end <= bytes.len()) {
        Some(end) => Ok((start, end)),
        None => damaged(CUT_OFF),
    }
}

/// The values that a column's pages have numbers of.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    /// Where each value lies.
    extents: Vec<(u32, u32)>,
}

impl Dictionary {
    /// The dictionary of a page with `count` values.
    pub(crate) fn new(physical: Physical, bytes: Vec<u8>, count: u64) -> Parsed<Dictionary> {
        if physical == Physical::Boolean {
            return damaged("a dictionary of truth values makes no sense");
        }
        let mut extents = Vec::new();
        let mut at = 0;
        for _ in 0..count {
            let (start, end) = extent(physical, &bytes, at)?;
            // A page has less than 4 GiB.
            extents.push((start as u32, end as u32));
            at = end;
        }
        Ok(Dictionary { bytes, extents })
    }

    /// Bytes of memory.
    pub(crate) fn held(&self) -> u64 {
        (self.bytes.capacity() + 8 * self.extents.capacity()) as u64
    }

    /// The bytes of a value.
    pub(crate) fn get(&self, number: u32) -> Parsed<&[u8]> {
        match self.extents.get(number as usize) {
            Some((start, end)) => Ok(&self.bytes[*start as usize..*end as usize]),
            None => damaged("a value is not in the dictionary"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_hold_what_they_say_and_no_more() {
        let bytes = b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc".to_vec();
        let dictionary = Dictionary::new(Physical::Bytes, bytes.clone(), 3).unwrap();
        let all: Vec<&[u8]> = (0..3).map(|at| dictionary.get(at).unwrap()).collect();
        assert_eq!(all, [&b"a"[..], b"", b"bc"]);
        assert!(dictionary.get(3).is_err());
        for count in [4, u64::MAX] {
            assert!(Dictionary::new(Physical::Bytes, bytes.clone(), count).is_err());
        }
        assert!(Dictionary::new(Physical::Bytes, b"\xff\xff\xff\xff".to_vec(), 1).is_err());
        assert!(Dictionary::new(Physical::Int32, vec![0; 7], 2).is_err());
        let one = Dictionary::new(Physical::Int32, vec![254, 255, 255, 255], 1).unwrap();
        assert_eq!(Physical::Int32.value(one.get(0).unwrap()), Value::Int(-2));
    }
}
