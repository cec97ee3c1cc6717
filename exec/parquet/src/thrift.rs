//! The compact protocol of Thrift, as far as Parquet's footers and page headers need it.
//!
//! Fields that are not known are skipped. No list is believed to be longer than the bytes that are left.

use crate::error::{Parsed, damaged};

/// What a field holds, by the codes of the protocol.
pub(crate) const TRUE: u8 = 1;
pub(crate) const FALSE: u8 = 2;
pub(crate) const BYTE: u8 = 3;
pub(crate) const I16: u8 = 4;
pub(crate) const I32: u8 = 5;
pub(crate) const I64: u8 = 6;
pub(crate) const DOUBLE: u8 = 7;
pub(crate) const BINARY: u8 = 8;
pub(crate) const LIST: u8 = 9;
pub(crate) const SET: u8 = 10;
pub(crate) const MAP: u8 = 11;
pub(crate) const STRUCT: u8 = 12;
pub(crate) const UUID: u8 = 13;

/// Structures in structures that are followed.
const MAX_DEPTH: u32 = 32;
/// The only fault that more bytes can mend.
pub(crate) const CUT_OFF: &str = "it is cut off";

/// A reader of bytes.
pub(crate) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Thrift<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Thrift<'a> {
        Thrift { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Parsed<u8> {
        let Some(byte) = self.bytes.get(self.at) else { return damaged(CUT_OFF) };
        self.at += 1;
        Ok(*byte)
    }

    fn take(&mut self, count: u64) -> Parsed<&'a [u8]> {
        let left = &self.bytes[self.at..];
        let Some(taken) = usize::try_from(count).ok().and_then(|count| left.get(..count)) else {
            return damaged(CUT_OFF);
        };
        self.at += taken.len();
        Ok(taken)
    }

    fn varint(&mut self) -> Parsed<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        damaged("a number has more than 64 bits")
    }

    /// An integer of any width.
    pub(crate) fn int(&mut self) -> Parsed<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// An integer of at most 32 bits.
    pub(crate) fn int32(&mut self) -> Parsed<i32> {
        match i32::try_from(self.int()?) {
            Ok(value) => Ok(value),
            Err(_) => damaged("a number has more than 32 bits"),
        }
    }

    /// A number of bytes or of things, which is not negative.
    pub(crate) fn count(&mut self) -> Parsed<u64> {
        match u64::try_from(self.int()?) {
            Ok(value) => Ok(value),
            Err(_) => damaged("a count is negative"),
        }
    }

    /// Bytes with their length before them.
    pub(crate) fn binary(&mut self) -> Parsed<&'a [u8]> {
        let len = self.varint()?;
        self.take(len)
    }

    /// The number and the sort of the next field of a structure, or none at its end; `last` is the number
    /// of the field before, 0 at the start.
    pub(crate) fn field(&mut self, last: &mut i16) -> Parsed<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let number = match head >> 4 {
            0 => i16::try_from(self.int()?).ok(),
            step => last.checked_add(i16::from(step)),
        };
        let Some(number) = number else { return damaged("a field has an impossible number") };
        *last = number;
        Ok(Some((number, head & 15)))
    }

    /// The length of a list and the sort of what it holds.
    pub(crate) fn list(&mut self) -> Parsed<(usize, u8)> {
        let head = self.byte()?;
        let len = match head >> 4 {
            15 => self.varint()?,
            len => u64::from(len),
        };
        // Everything takes a byte at least.
        let left = (self.bytes.len() - self.at) as u64;
        if len > left {
            return damaged("a list has more elements than bytes are left");
        }
        Ok((len as usize, head & 15))
    }

    /// Passes over a field of the sort `kind`.
    pub(crate) fn skip(&mut self, kind: u8) -> Parsed<()> {
        self.pass(kind, 0)
    }

    fn pass(&mut self, kind: u8, depth: u32) -> Parsed<()> {
        if depth > MAX_DEPTH {
            return damaged("it is nested too deeply");
        }
        match kind {
            TRUE | FALSE => {}
            BYTE => drop(self.byte()?),
            I16 | I32 | I64 => drop(self.varint()?),
            DOUBLE => drop(self.take(8)?),
            UUID => drop(self.take(16)?),
            BINARY => drop(self.binary()?),
            LIST | SET => {
                let (len, kind) = self.list()?;
                for _ in 0..len {
                    self.element(kind, depth)?;
                }
            }
            MAP => {
                let len = self.varint()?;
                if len > (self.bytes.len() - self.at) as u64 {
                    return damaged("a map has more entries than bytes are left");
                }
                let kinds = if len > 0 { self.byte()? } else { 0 };
                for _ in 0..len {
                    self.element(kinds >> 4, depth)?;
                    self.element(kinds & 15, depth)?;
                }
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.pass(kind, depth + 1)?;
                }
            }
            _ => return damaged("a field is of an unknown sort"),
        }
        Ok(())
    }

    /// What stands in a list: there, truth takes a byte.
    fn element(&mut self, kind: u8, depth: u32) -> Parsed<()> {
        match kind {
            TRUE | FALSE => self.byte().map(drop),
            kind => self.pass(kind, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_unknown_ones_skipped() {
        // 1: i32 -3; 2: list of two strings; 4: a structure; 5: true; 6: a map; 7: i64 300; 100: 1.
        let bytes = [
            0x15, 5, 0x19, 0x28, 1, b'a', 0, 0x2c, 0x11, 0x00, 0x11, 0x1b, 1, 0x85, 1, b'k', 2,
            0x16, 0xd8, 4, 0x05, 0xc8, 1, 2, 0,
        ];
        let mut thrift = Thrift::new(&bytes);
        let (mut last, mut seen) = (0, Vec::new());
        while let Some((number, kind)) = thrift.field(&mut last).unwrap() {
            match kind {
                I32 | I64 => seen.push((number, thrift.int().unwrap())),
                kind => thrift.skip(kind).unwrap(),
            }
        }
        assert_eq!(seen, [(1, -3), (7, 300), (100, 1)]);
        assert_eq!(thrift.position(), bytes.len());
        for end in 0..bytes.len() {
            let mut thrift = Thrift::new(&bytes[..end]);
            assert!(thrift.skip(STRUCT).is_err(), "{end}");
        }
    }

    #[test]
    fn what_would_take_memory_or_depth_is_refused() {
        let mut long = Thrift::new(&[0xf8, 0xff, 0xff, 0xff, 0xff, 7, 0, 0]);
        assert!(long.list().is_err());
        assert!(Thrift::new(&[0xff; 11]).int().is_err());
        assert!(Thrift::new(&[0x1c; 100]).skip(STRUCT).is_err());
        // Of lists, too, and of what a map holds.
        assert!(Thrift::new(&[0x19; 100]).skip(LIST).is_err());
        assert!(Thrift::new(&[&[0xff, 0xff, 3, 0x11][..], &[0; 9]].concat()).skip(MAP).is_err());
    }
}
