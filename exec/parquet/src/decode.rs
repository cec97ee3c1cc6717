//! The values of one page, each when it is asked for.

use crate::bits::{Differences, Runs, lengths};
use crate::error::{Fault, Parsed, damaged};
use crate::schema::Physical;
use crate::values::{Dictionary, Value, extent};

/// How values are encoded in a page, by the codes of the format.
const PLAIN: i32 = 0;
const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const DELTA_BINARY_PACKED: i32 = 5;
const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
const DELTA_BYTE_ARRAY: i32 = 7;
const RLE_DICTIONARY: i32 = 8;
const BYTE_STREAM_SPLIT: i32 = 9;

/// What every encoding of a page needs to know of it.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) dictionary: Option<&'a Dictionary>,
    pub(crate) physical: Physical,
}

/// Where a page has been read up to.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// No value is left, or the page has none.
    Done,
    Plain(usize),
    /// The bit.
    Bits(u64),
    Truths(Runs),
    Numbers(Runs),
    Differences(Differences),
    /// Lengths, which of them is next, and where its text begins.
    Lengths(Vec<u32>, usize, usize),
    Prefixes(Box<Prefixes>),
    /// Number of values, and which is next.
    Split(usize, usize),
}

/// Texts of which each begins as the one before.
#[derive(Debug)]
pub(crate) struct Prefixes {
    shared: Vec<u32>,
    own: Vec<u32>,
    next: usize,
    at: usize,
}

impl Decoder {
    /// A decoder of the values of `page` that begin at `at`; they are no more than `most`.
    pub(crate) fn new(page: Page<'_>, encoding: i32, at: usize, most: u64) -> Parsed<Decoder> {
        let Page { bytes, dictionary, physical } = page;
        let rest = bytes.get(at..).unwrap_or_default();
        let text = matches!(physical, Physical::Bytes | Physical::Fixed(_));
        Ok(match encoding {
            PLAIN if physical == Physical::Boolean => Decoder::Bits(8 * at as u64),
            PLAIN => Decoder::Plain(at),
            // A page in which all values are missing may be empty.
            PLAIN_DICTIONARY | RLE_DICTIONARY => match (dictionary, rest.first()) {
                (_, None) => Decoder::Done,
                (Some(_), Some(width @ ..=32)) => {
                    Decoder::Numbers(Runs::new(u32::from(*width), at + 1, bytes.len()))
                }
                (None, _) => return damaged("a page wants a dictionary, and there is none"),
                _ => return damaged("the numbers of values have more than 32 bits"),
            },
            RLE if physical == Physical::Boolean => match rest.first_chunk::<4>() {
                None => Decoder::Done,
                Some(len) => {
                    let end = (at + 4).saturating_add(u32::from_le_bytes(*len) as usize);
                    Decoder::Truths(Runs::new(1, at + 4, end.min(bytes.len())))
                }
            },
            DELTA_BINARY_PACKED if matches!(physical, Physical::Int32 | Physical::Int64) => {
                match rest {
                    [] => Decoder::Done,
                    _ => Decoder::Differences(Differences::new(bytes, at)?),
                }
            }
            DELTA_LENGTH_BYTE_ARRAY | DELTA_BYTE_ARRAY if text && rest.is_empty() => Decoder::Done,
            DELTA_LENGTH_BYTE_ARRAY if physical == Physical::Bytes => {
                let (lengths, at) = lengths(bytes, at, most)?;
                Decoder::Lengths(lengths, 0, at)
            }
            DELTA_BYTE_ARRAY if text => {
                let (shared, at) = lengths(bytes, at, most)?;
                let (own, at) = lengths(bytes, at, most)?;
                Decoder::Prefixes(Box::new(Prefixes { shared, own, next: 0, at }))
            }
            BYTE_STREAM_SPLIT => match physical.width().filter(|_| physical != Physical::Int96) {
                Some(width) => Decoder::Split(rest.len() / width, 0),
                None => return damaged("texts cannot be split into streams of bytes"),
            },
            RLE | DELTA_BINARY_PACKED | DELTA_LENGTH_BYTE_ARRAY | DELTA_BYTE_ARRAY => {
                return damaged("a page has an encoding that does not fit its type");
            }
            other => return Err(Fault::Unread(format!("encoding number {other}"))),
        })
    }

    /// The next value of a page, whose texts may be put together in `scratch`: that must hold the value
    /// before this.
    pub(crate) fn next<'a>(
        &mut self,
        page: Page<'a>,
        scratch: &'a mut Vec<u8>,
    ) -> Parsed<Value<'a>> {
        let Page { bytes, dictionary, physical } = page;
        let none = || damaged("a page has fewer values than it says");
        match self {
            Decoder::Done => none(),
            Decoder::Plain(at) => {
                let (start, end) = extent(physical, bytes, *at)?;
                *at = end;
                Ok(physical.value(&bytes[start..end]))
            }
            Decoder::Bits(bit) => {
                let Some(byte) = bytes.get((*bit / 8) as usize) else { return none() };
                let value = byte >> (*bit % 8) & 1 == 1;
                *bit += 1;
                Ok(Value::Bool(value))
            }
            Decoder::Truths(runs) => Ok(Value::Bool(runs.next(bytes)? == 1)),
            Decoder::Numbers(runs) => {
                let number = runs.next(bytes)?;
                match dictionary {
                    Some(dictionary) => Ok(physical.value(dictionary.get(number)?)),
                    None => none(),
                }
            }
            Decoder::Differences(differences) => {
                let value = differences.next(bytes)?;
                // Sums of 32 bits wrap as such.
                let short = physical == Physical::Int32;
                Ok(Value::Int(if short { i64::from(value as i32) } else { value }))
            }
            Decoder::Lengths(lengths, next, at) => {
                let Some(length) = lengths.get(*next) else { return none() };
                let Some(text) = part(bytes, *at, *length) else { return none() };
                *next += 1;
                *at += text.len();
                Ok(Value::Bytes(text))
            }
            Decoder::Prefixes(prefixes) => {
                let Prefixes { shared, own, next, at } = &mut **prefixes;
                let (Some(share), Some(length)) = (shared.get(*next), own.get(*next)) else {
                    return none();
                };
                let Some(text) = part(bytes, *at, *length) else { return none() };
                let before = if *next == 0 { 0 } else { scratch.len() };
                if *share as usize > before {
                    return damaged("a text begins with more than there was before");
                }
                *next += 1;
                *at += text.len();
                scratch.truncate(*share as usize);
                scratch.extend_from_slice(text);
                match physical {
                    Physical::Fixed(len) if len as usize != scratch.len() => {
                        damaged("a value has another length than its column")
                    }
                    _ => Ok(Value::Bytes(scratch)),
                }
            }
            Decoder::Split(count, next) => {
                if next == count {
                    return none();
                }
                let streams = &bytes[bytes.len() - *count * physical.width().unwrap_or(0)..];
                scratch.clear();
                scratch.extend(streams.iter().skip(*next).step_by(*count));
                *next += 1;
                Ok(physical.value(scratch))
            }
        }
    }
}

fn part(bytes: &[u8], at: usize, length: u32) -> Option<&[u8]> {
    bytes.get(at..)?.get(..length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of a page without levels.
    fn all(physical: Physical, encoding: i32, bytes: &[u8], count: u64) -> Parsed<Vec<String>> {
        let page = Page { bytes, dictionary: None, physical };
        let mut decoder = Decoder::new(page, encoding, 0, count)?;
        let mut scratch = Vec::new();
        (0..count).map(|_| Ok(format!("{:?}", decoder.next(page, &mut scratch)?))).collect()
    }

    #[test]
    fn texts_share_their_beginnings() {
        // The example of Encodings.md: axis, axle, babble, babyhood.
        let prefixes = [8, 1, 4, 0, 0, 3, 0, 8, 4, 8];
        let _ = prefixes;
        let lengths = |all: [i64; 4]| {
            // Blocks of 8 in one part, every difference in 8 bits.
            let steps: Vec<i64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let least = *steps.iter().min().unwrap();
            let zigzag = |value: i64| ((value << 1) ^ (value >> 63)) as u8;
            let mut bytes = vec![8, 1, 4, zigzag(all[0]), zigzag(least), 8];
            bytes.extend(steps.iter().map(|step| (step - least) as u8));
            bytes.extend([0; 5]);
            bytes
        };
        let page =
            [lengths([0, 2, 0, 3]), lengths([4, 2, 6, 5]), b"axislebabbleyhood".to_vec()].concat();
        let bytes = |word: &str| format!("{:?}", Value::Bytes(word.as_bytes()));
        let expected: Vec<String> =
            ["axis", "axle", "babble", "babyhood"].iter().map(|word| bytes(word)).collect();
        assert_eq!(all(Physical::Bytes, DELTA_BYTE_ARRAY, &page, 4).unwrap(), expected);
        assert!(all(Physical::Bytes, DELTA_BYTE_ARRAY, &page[..page.len() - 1], 4).is_err());
        assert!(all(Physical::Fixed(4), DELTA_BYTE_ARRAY, &page, 4).is_err());
        let more = [lengths([0, 5, 0, 3]), lengths([4, 2, 6, 5]), page[28..].to_vec()].concat();
        assert!(all(Physical::Bytes, DELTA_BYTE_ARRAY, &more, 4).is_err());
        // More values than the page says.
        assert!(all(Physical::Bytes, DELTA_BYTE_ARRAY, &page, 3).is_err());
    }

    #[test]
    fn streams_of_bytes_are_joined() {
        let numbers = [1.5_f32, -2.0, 3.25];
        let mut page = vec![0; 12];
        for (at, number) in numbers.iter().enumerate() {
            for (stream, byte) in number.to_le_bytes().into_iter().enumerate() {
                page[3 * stream + at] = byte;
            }
        }
        let expected: Vec<String> =
            numbers.iter().map(|number| format!("{:?}", Value::Single(*number))).collect();
        assert_eq!(all(Physical::Float, BYTE_STREAM_SPLIT, &page, 3).unwrap(), expected);
        assert!(all(Physical::Float, BYTE_STREAM_SPLIT, &page, 4).is_err());
    }

    #[test]
    fn an_encoding_that_does_not_fit_is_refused() {
        for (physical, encoding) in [
            (Physical::Int32, RLE),
            (Physical::Float, DELTA_BINARY_PACKED),
            (Physical::Int64, DELTA_BYTE_ARRAY),
            (Physical::Fixed(3), DELTA_LENGTH_BYTE_ARRAY),
            (Physical::Bytes, BYTE_STREAM_SPLIT),
            (Physical::Int32, RLE_DICTIONARY),
            (Physical::Int32, 4),
            (Physical::Int32, 77),
            (Physical::Int32, -1),
        ] {
            assert!(all(physical, encoding, &[1; 40], 1).is_err(), "{physical:?} {encoding}");
        }
    }
}
