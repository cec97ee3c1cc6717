//! Pages: what stands before one, and its bytes without their compression.

use std::io::Read;

use crate::error::{Fault, Parsed, damaged};
use crate::thrift::{BYTE, FALSE, I32, STRUCT, TRUE, Thrift};

/// Most bytes of a page without its compression.
pub(crate) const MAX_PAGE: u64 = 512 << 20;

/// What stands before a page.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Bytes without compression, and as they lie there.
    pub(crate) plain: u64,
    pub(crate) stored: u64,
    /// Values, also those that are missing.
    pub(crate) values: u64,
    pub(crate) encoding: i32,
    /// The encoding of the levels where they have one.
    pub(crate) levels: Option<(i32, i32)>,
    /// Of the second sort of page: bytes of its definition and repetition levels, which are never
    /// compressed, and whether its values are.
    pub(crate) split: Option<(u64, u64, bool)>,
    /// Bytes of the header itself.
    pub(crate) len: usize,
}

/// What a page holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Dictionary,
    /// An index, or what is not known.
    #[default]
    Other,
}

impl Header {
    pub(crate) fn parse(bytes: &[u8]) -> Parsed<Header> {
        let mut thrift = Thrift::new(bytes);
        let mut header = Header::default();
        let (mut kind, mut plain, mut stored) = (None, None, None);
        let mut told = [false; 3];
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (1, I32) => kind = Some(thrift.int32()?),
                (2, I32) => plain = Some(thrift.count()?),
                (3, I32) => stored = Some(thrift.count()?),
                (5, STRUCT) => {
                    told[0] = true;
                    header.first(&mut thrift)?;
                }
                (7, STRUCT) => {
                    told[1] = true;
                    header.dictionary(&mut thrift)?;
                }
                (8, STRUCT) => {
                    told[2] = true;
                    header.second(&mut thrift)?;
                }
                (_, kind) => thrift.skip(kind)?,
            }
        }
        let (Some(kind), Some(plain), Some(stored)) = (kind, plain, stored) else {
            return damaged("a page does not say how long it is");
        };
        header.kind = match kind {
            0 | 3 => Kind::Data,
            2 => Kind::Dictionary,
            _ => Kind::Other,
        };
        let matches = match kind {
            0 => told == [true, false, false],
            2 => told == [false, true, false],
            3 => told == [false, false, true],
            _ => true,
        };
        if !matches {
            return damaged("a page is of another sort than it says");
        }
        if plain > MAX_PAGE {
            return Err(Fault::TooLarge("bytes of a page", MAX_PAGE));
        }
        (header.plain, header.stored, header.len) = (plain, stored, thrift.position());
        Ok(header)
    }

    fn first(&mut self, thrift: &mut Thrift<'_>) -> Parsed<()> {
        let (mut definition, mut repetition) = (0, 0);
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (1, I32) => self.values = thrift.count()?,
                (2, I32) => self.encoding = thrift.int32()?,
                (3, I32) => definition = thrift.int32()?,
                (4, I32) => repetition = thrift.int32()?,
                (_, kind) => thrift.skip(kind)?,
            }
        }
        self.levels = Some((definition, repetition));
        Ok(())
    }

    fn dictionary(&mut self, thrift: &mut Thrift<'_>) -> Parsed<()> {
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (1, I32) => self.values = thrift.count()?,
                (2, I32) => self.encoding = thrift.int32()?,
                (_, kind) => thrift.skip(kind)?,
            }
        }
        Ok(())
    }

    fn second(&mut self, thrift: &mut Thrift<'_>) -> Parsed<()> {
        let (mut definition, mut repetition, mut compressed) = (0, 0, true);
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (1, I32) => self.values = thrift.count()?,
                (4, I32) => self.encoding = thrift.int32()?,
                (5, I32) => definition = thrift.count()?,
                (6, I32) => repetition = thrift.count()?,
                (7, TRUE | FALSE) => compressed = field.1 == TRUE,
                (7, BYTE) => return damaged("a page does not say whether it is compressed"),
                (_, kind) => thrift.skip(kind)?,
            }
        }
        self.split = Some((definition, repetition, compressed));
        Ok(())
    }
}

/// The plain bytes of a page, which are as many as its header says; those of levels that are never
/// compressed stand before the others.
pub(crate) fn plain(header: &Header, stored: Vec<u8>, codec: i32) -> Parsed<Vec<u8>> {
    let levels = match header.split {
        Some((definition, repetition, compressed)) => {
            let levels = definition + repetition;
            if levels > header.stored || levels > header.plain {
                return damaged("the levels of a page are longer than it");
            }
            if !compressed {
                return whole(header, stored);
            }
            levels as usize
        }
        None => 0,
    };
    if codec == 0 {
        return whole(header, stored);
    }
    let mut out = vec![0; header.plain as usize];
    let (levels_out, values_out) = out.split_at_mut(levels);
    levels_out.copy_from_slice(&stored[..levels]);
    let packed = &stored[levels..];
    // Where no value is, writers differ in whether they compress nothing.
    if !(values_out.is_empty() && packed.is_empty()) {
        decompress(codec, packed, values_out)?;
    }
    Ok(out)
}

fn whole(header: &Header, stored: Vec<u8>) -> Parsed<Vec<u8>> {
    match stored.len() as u64 == header.plain {
        true => Ok(stored),
        false => damaged("a page has another length than it says"),
    }
}

/// Fills `out` exactly.
fn decompress(codec: i32, packed: &[u8], out: &mut [u8]) -> Parsed<()> {
    const WRONG: &str = "a page does not decompress";
    let done = match codec {
        1 => {
            let fits = snap::raw::decompress_len(packed).is_ok_and(|len| len == out.len());
            fits && snap::raw::Decoder::new().decompress(packed, out).is_ok()
        }
        2 => {
            let mut reader = flate2::read::MultiGzDecoder::new(packed);
            reader.read_exact(out).is_ok() && matches!(reader.read(&mut [0]), Ok(0))
        }
        6 => lab_encoding::plain::decode(packed, out).is_ok(),
        other => {
            let name = match other {
                3 => "LZO".to_owned(),
                4 => "Brotli".to_owned(),
                5 | 7 => "LZ4".to_owned(),
                other => format!("number {other}"),
            };
            return Err(Fault::Unread(format!("the codec {name}")));
        }
    };
    if done { Ok(()) } else { damaged(WRONG) }
}
