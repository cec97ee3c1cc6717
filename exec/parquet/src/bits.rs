//! Integers packed into bits: runs and groups of eight, and differences in blocks (`Encodings.md`).
//!
//! Nothing is unpacked before it is asked for, since a few bytes may stand for billions of values.

use crate::error::{Fault, Parsed, damaged};

const CUT_OFF: &str = "a page is cut off";

/// `count` bits of `bytes`, from the bit `at` on, the lowest first; at most 64. None beyond the end.
fn bits(bytes: &[u8], at: u64, count: u32) -> Option<u64> {
    if count == 0 {
        return Some(0);
    }
    let first = usize::try_from(at / 8).ok()?;
    let last = usize::try_from((at + u64::from(count) - 1) / 8).ok()?;
    let shift = (at % 8) as u32;
    let mut wide = [0; 16];
    wide[..=last - first].copy_from_slice(bytes.get(first..=last)?);
    let value = (u128::from_le_bytes(wide) >> shift) as u64;
    Some(if count == 64 { value } else { value & ((1 << count) - 1) })
}

/// A number of up to 64 bits in groups of seven, from `at` on.
fn varint(bytes: &[u8], at: &mut usize) -> Parsed<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some(byte) = bytes.get(*at) else { return damaged(CUT_OFF) };
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    damaged("a number has more than 64 bits")
}

/// Runs of one value, and values packed in groups of eight.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    width: u32,
    at: usize,
    end: usize,
    run: Run,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    Same { value: u32, left: u64 },
    Packed { bit: u64, left: u64 },
}

impl Runs {
    /// Values of `width` bits, at most 32, in `bytes[at..end]`.
    pub(crate) fn new(width: u32, at: usize, end: usize) -> Runs {
        Runs { width, at, end, run: Run::Same { value: 0, left: 0 } }
    }

    pub(crate) fn next(&mut self, bytes: &[u8]) -> Parsed<u32> {
        loop {
            match &mut self.run {
                Run::Same { value, left } if *left > 0 => {
                    *left -= 1;
                    return Ok(*value);
                }
                Run::Packed { bit, left } if *left > 0 => {
                    *left -= 1;
                    let found = bits(&bytes[..self.end.min(bytes.len())], *bit, self.width);
                    *bit += u64::from(self.width);
                    return found.map_or_else(|| damaged(CUT_OFF), |value| Ok(value as u32));
                }
                _ => self.run = self.open(bytes)?,
            }
        }
    }

    fn open(&mut self, bytes: &[u8]) -> Parsed<Run> {
        let bytes = &bytes[..self.end.min(bytes.len())];
        let head = varint(bytes, &mut self.at)?;
        let count = head >> 1;
        if count == 0 {
            return damaged("a run of values is empty");
        }
        if head & 1 == 0 {
            let width = self.width.div_ceil(8) as usize;
            let Some(stored) = bytes.get(self.at..).and_then(|rest| rest.get(..width)) else {
                return damaged(CUT_OFF);
            };
            self.at += width;
            let mut value = [0; 4];
            value[..width].copy_from_slice(stored);
            return Ok(Run::Same { value: u32::from_le_bytes(value), left: count });
        }
        // The last group may be cut off where no value is left.
        let bit = 8 * self.at as u64;
        let len = count.saturating_mul(u64::from(self.width));
        self.at = self.at.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        let Some(left) = count.checked_mul(8) else { return damaged("a run is too long") };
        Ok(Run::Packed { bit, left })
    }
}

/// Differences of integers, in blocks of which each has a smallest one.
#[derive(Clone, Debug)]
pub(crate) struct Differences {
    at: usize,
    end: usize,
    /// Values of a block, and of one of its parts.
    block: u64,
    part: u64,
    left: u64,
    value: i64,
    first: bool,
    least: i64,
    /// Where the widths of the parts stand, and which of them is next.
    widths: usize,
    next: u64,
    width: u32,
    bit: u64,
    in_part: u64,
}

/// Most parts of a block: writers have 4.
const MAX_PARTS: u64 = 1 << 16;

impl Differences {
    pub(crate) fn new(bytes: &[u8], at: usize) -> Parsed<Differences> {
        let (mut at, end) = (at, bytes.len());
        let block = varint(bytes, &mut at)?;
        let parts = varint(bytes, &mut at)?;
        let left = varint(bytes, &mut at)?;
        let value = signed(varint(bytes, &mut at)?);
        if parts == 0 || parts > MAX_PARTS || block == 0 || block > 1 << 31 || block % parts != 0 {
            return damaged("a block of differences has an impossible size");
        }
        let part = block / parts;
        if part % 8 != 0 {
            return damaged("a block of differences has an impossible size");
        }
        let (first, least, widths, width, bit) = (true, 0, 0, 0, 0);
        Ok(Differences {
            at,
            end,
            block,
            part,
            left,
            value,
            first,
            least,
            widths,
            next: parts,
            width,
            bit,
            in_part: 0,
        })
    }

    /// How many values are left.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn next(&mut self, bytes: &[u8]) -> Parsed<i64> {
        if self.left == 0 {
            return damaged("a page has fewer values than it says");
        }
        self.left -= 1;
        if std::mem::take(&mut self.first) {
            return Ok(self.value);
        }
        if self.in_part == 0 {
            self.open(bytes)?;
        }
        self.in_part -= 1;
        let Some(packed) = bits(&bytes[..self.end], self.bit, self.width) else {
            return damaged(CUT_OFF);
        };
        self.bit += u64::from(self.width);
        let difference = self.least.wrapping_add(packed as i64);
        self.value = self.value.wrapping_add(difference);
        Ok(self.value)
    }

    /// Begins the next part, and the next block where that is at its end.
    fn open(&mut self, bytes: &[u8]) -> Parsed<()> {
        let parts = self.block / self.part;
        if self.next == parts {
            self.least = signed(varint(bytes, &mut self.at)?);
            self.widths = self.at;
            self.at = self.at.saturating_add(parts as usize);
            self.next = 0;
        }
        let Some(width) = bytes.get(self.widths + self.next as usize) else {
            return damaged(CUT_OFF);
        };
        if *width > 64 {
            return damaged("a difference has more than 64 bits");
        }
        self.next += 1;
        self.width = u32::from(*width);
        self.bit = 8 * self.at as u64;
        self.in_part = self.part;
        let len = usize::try_from(self.part / 8 * u64::from(self.width)).unwrap_or(usize::MAX);
        self.at = self.at.saturating_add(len);
        Ok(())
    }

    /// Where the bytes after the last value begin; all values have been read.
    fn after(&self) -> usize {
        self.at.min(self.end)
    }
}

fn signed(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

/// Lengths that stand together in a page before what they measure, and where they end. Those of one page
/// are held at once, so `most` is the number of values of the page.
pub(crate) fn lengths(bytes: &[u8], at: usize, most: u64) -> Parsed<(Vec<u32>, usize)> {
    /// 64 MiB; pages of other writers have thousands.
    const MAX_LENGTHS: u64 = 1 << 24;
    let mut differences = Differences::new(bytes, at)?;
    let count = differences.left();
    if count > most {
        return damaged("a page has more values than it says");
    }
    if count > MAX_LENGTHS {
        return Err(Fault::TooLarge("lengths in a page", MAX_LENGTHS));
    }
    let mut all = Vec::new();
    for _ in 0..count {
        match u32::try_from(differences.next(bytes)?) {
            Ok(length) => all.push(length),
            Err(_) => return damaged("a length is impossible"),
        }
    }
    Ok((all, differences.after()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_from_anywhere() {
        let bytes: Vec<u8> = (0..20).map(|i: u8| i.wrapping_mul(73)).collect();
        let whole = |at: u64| (bytes[at as usize / 8] >> (at % 8)) & 1;
        for at in 0..30 {
            for count in 0..=64 {
                let expected = (0..count).fold(0_u64, |sum, i| sum | u64::from(whole(at + i)) << i);
                assert_eq!(bits(&bytes, at, count as u32), Some(expected), "{at} {count}");
            }
        }
        assert_eq!(bits(&bytes, 159, 1), Some(u64::from(whole(159))));
        assert_eq!(bits(&bytes, 159, 2), None);
    }

    #[test]
    fn runs_and_groups_follow_each_other() {
        // Three fives; a group of the eight numbers from 0 to 7 (the example of Encodings.md).
        let bytes = [6, 5, 3, 0x88, 0xc6, 0xfa];
        let mut runs = Runs::new(3, 0, bytes.len());
        let all: Vec<u32> = (0..11).map(|_| runs.next(&bytes).unwrap()).collect();
        assert_eq!(all, [5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(runs.next(&bytes).is_err());
        // Billions of zeros in no bytes, and one of a run that is longer than anything.
        let long = [0xfe, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(Runs::new(0, 0, 5).next(&long).unwrap(), 0);
        let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(Runs::new(8, 0, 10).next(&endless).is_err());
        assert!(Runs::new(8, 0, 1).next(&[0]).is_err());
    }

    #[test]
    fn differences_are_summed() {
        // The second example of Encodings.md: 7 5 3 1 2 3 4 5, with a block of 8 in one part.
        let bytes = [8, 1, 8, 14, 3, 2, 0xc0, 0x3f];
        let mut differences = Differences::new(&bytes, 0).unwrap();
        let all: Vec<i64> = (0..8).map(|_| differences.next(&bytes).unwrap()).collect();
        assert_eq!(all, [7, 5, 3, 1, 2, 3, 4, 5]);
        assert!(differences.next(&bytes).is_err());
        for head in [[0, 1, 8, 14], [8, 0, 8, 14], [8, 3, 8, 14], [4, 1, 8, 14]] {
            assert!(Differences::new(&head, 0).is_err(), "{head:?}");
        }
        assert!(lengths(&bytes, 0, 7).is_err());
        assert_eq!(lengths(&bytes, 0, 8).unwrap().0.len(), 8);
    }
}
