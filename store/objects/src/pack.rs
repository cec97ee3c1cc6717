//! Packs: write-once files of many frames, named by their own BLAKE3.
//!
//! ```text
//! "LABPACK" 1 | frame | frame | ... | record | record | ... | footer
//! record = kind u8, encoding u8, digest [32], offset u64, stored bytes u32, bytes u32
//! footer = offset of the first record u64, number of records u64, checksum [32], "LABTAIL" 1
//! ```
//!
//! Numbers are little-endian; records are sorted by kind and digest. The records and the footer
//! are the tail; the index beside a pack is a copy of it. A pack that was cut off has no footer
//! at its end, so a torn pack is told from a whole one without reading it all. Every number is
//! checked against the size of the file and the limits of `frame.rs` before it is used.

use lab_schema::{BlobId, Digest};

use crate::backend::PackId;
use crate::error::Result;
use crate::frame::{Encoder, Encoding, FrameKey, FrameKind, Parsed};

const HEADER: &[u8; 8] = b"LABPACK\x01";
const MAGIC: &[u8; 8] = b"LABTAIL\x01";
const RECORD_BYTES: usize = 50;
/// Size of the footer.
pub(crate) const FOOTER_BYTES: usize = 56;
/// A pack is closed once it has this many bytes; one frame may take it beyond.
const TARGET_BYTES: usize = 32 << 20;
/// Most frames in a pack, so that a tail has a bounded size (50 MB).
const MAX_RECORDS: usize = 1 << 20;

/// Where a frame is in its pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) key: FrameKey,
    pub(crate) encoding: Encoding,
    pub(crate) offset: u64,
    pub(crate) stored_bytes: u32,
    pub(crate) bytes: u32,
}

/// Most bytes of a pack: frames up to the target, one beyond it, and the tail.
pub(crate) const MAX_PACK_BYTES: u64 = 512 << 20;

/// A pack that is being filled, in memory.
#[derive(Debug)]
pub(crate) struct PackBuilder {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// A pack that can be published.
pub(crate) struct Pack {
    pub(crate) id: PackId,
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Record>,
    tail_start: usize,
}

impl PackBuilder {
    /// With no frames.
    pub(crate) fn new() -> PackBuilder {
        PackBuilder { bytes: HEADER.to_vec(), records: Vec::new() }
    }

    /// Whether it has no frames.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether it is time to publish it.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= TARGET_BYTES || self.records.len() >= MAX_RECORDS
    }

    /// Appends a frame; the caller has seen to it that the key is not in here yet.
    pub(crate) fn push(&mut self, key: FrameKey, raw: &[u8], encoder: &mut Encoder) -> Result<()> {
        let (encoding, stored) = encoder.encode(raw)?;
        self.records.push(Record {
            key,
            encoding,
            offset: self.bytes.len() as u64,
            stored_bytes: u32::try_from(stored.len()).expect("frames are at most 256 MiB"),
            bytes: u32::try_from(raw.len()).expect("frames are at most 256 MiB"),
        });
        self.bytes.extend_from_slice(stored);
        Ok(())
    }

    /// The finished pack.
    pub(crate) fn finish(mut self) -> Pack {
        self.records.sort_by_key(|r| r.key);
        let tail_start = self.bytes.len();
        for record in &self.records {
            self.bytes.extend_from_slice(&[record.key.kind.code(), record.encoding.code()]);
            self.bytes.extend_from_slice(record.key.digest.as_bytes());
            self.bytes.extend_from_slice(&record.offset.to_le_bytes());
            self.bytes.extend_from_slice(&record.stored_bytes.to_le_bytes());
            self.bytes.extend_from_slice(&record.bytes.to_le_bytes());
        }
        self.bytes.extend_from_slice(&(tail_start as u64).to_le_bytes());
        self.bytes.extend_from_slice(&(self.records.len() as u64).to_le_bytes());
        let checksum = checksum(&self.bytes[tail_start..]);
        self.bytes.extend_from_slice(checksum.as_bytes());
        self.bytes.extend_from_slice(MAGIC);
        let id = PackId::from_digest(BlobId::of(&self.bytes).digest());
        Pack { id, bytes: self.bytes, records: self.records, tail_start }
    }
}

impl Pack {
    /// Takes it apart again, so that publishing it can be tried once more.
    pub(crate) fn reopen(mut self) -> PackBuilder {
        self.bytes.truncate(self.tail_start);
        PackBuilder { bytes: self.bytes, records: self.records }
    }

    /// What the index holds.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.tail_start..]
    }
}

fn checksum(tail: &[u8]) -> Digest {
    Digest::derive("lab 2026-11-24 store pack tail", tail)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Length of the tail of a pack of `pack_bytes`, from its footer.
pub(crate) fn tail_len(footer: &[u8], pack_bytes: u64) -> Parsed<u64> {
    if footer.len() != FOOTER_BYTES {
        return Err("it is cut off");
    }
    if pack_bytes > MAX_PACK_BYTES {
        return Err("it is larger than a pack may be");
    }
    match &footer[48..] {
        magic if magic == MAGIC => {}
        magic if magic[..7] == MAGIC[..7] => return Err("it was made by a newer lab"),
        _ => return Err("it does not end as a pack does"),
    }
    let (start, count) = (number(&footer[..8]), number(&footer[8..16]));
    if count > MAX_RECORDS as u64 {
        return Err("it claims more frames than a pack may hold");
    }
    let len = count * RECORD_BYTES as u64 + FOOTER_BYTES as u64;
    if start < HEADER.len() as u64 || start.checked_add(len) != Some(pack_bytes) {
        return Err("its footer does not fit its size");
    }
    Ok(len)
}

/// The records of the pack of `pack_bytes` that has this tail.
pub(crate) fn parse_tail(tail: &[u8], pack_bytes: u64) -> Parsed<Vec<Record>> {
    let table_len = tail.len().checked_sub(FOOTER_BYTES).ok_or("it is cut off")?;
    let (table, footer) = tail.split_at(table_len);
    if tail_len(footer, pack_bytes)? != tail.len() as u64 {
        return Err("its footer does not fit its size");
    }
    if checksum(&tail[..table_len + 16]).as_bytes() != &footer[16..48] {
        return Err("its table of contents has a wrong checksum");
    }
    let frames_end = pack_bytes - tail.len() as u64;
    let records = table
        .chunks_exact(RECORD_BYTES)
        .map(|record| parse_record(record, frames_end))
        .collect::<Parsed<Vec<_>>>()?;
    if records.windows(2).any(|pair| pair[0].key >= pair[1].key) {
        return Err("its table of contents is not sorted");
    }
    Ok(records)
}

/// The records in an index, whose pack has the size that the index says.
pub(crate) fn parse_any_tail(tail: &[u8]) -> Parsed<Vec<Record>> {
    let footer = tail.len().checked_sub(FOOTER_BYTES).ok_or("it is cut off")?;
    let pack_bytes = number(&tail[footer..footer + 8]).checked_add(tail.len() as u64);
    parse_tail(tail, pack_bytes.ok_or("its footer does not fit its size")?)
}

fn parse_record(bytes: &[u8], frames_end: u64) -> Parsed<Record> {
    let kind = FrameKind::from_code(bytes[0]).ok_or("it holds a frame of an unknown kind")?;
    let encoding =
        Encoding::from_code(bytes[1]).ok_or("it holds a frame in an unknown encoding")?;
    let mut digest = [0; 32];
    digest.copy_from_slice(&bytes[2..34]);
    let (offset, stored, raw) =
        (number(&bytes[34..42]), number(&bytes[42..46]), number(&bytes[46..]));
    let inside = offset >= HEADER.len() as u64
        && offset.checked_add(stored).is_some_and(|end| end <= frames_end);
    if !inside || stored > raw || raw > kind.max_bytes() {
        return Err("it holds a frame with impossible lengths");
    }
    Ok(Record {
        key: FrameKey::new(kind, Digest::from_bytes(digest)),
        encoding,
        offset,
        stored_bytes: stored as u32,
        bytes: raw as u32,
    })
}

/// Whether the bytes begin as a pack does.
pub(crate) fn has_header(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small() -> Pack {
        let mut encoder = Encoder::new().unwrap();
        let mut builder = PackBuilder::new();
        for text in ["b", "a", &"long ".repeat(100)] {
            let key = FrameKey::new(FrameKind::Blob, BlobId::of(text.as_bytes()).digest());
            builder.push(key, text.as_bytes(), &mut encoder).unwrap();
        }
        builder.finish()
    }

    // proves L-07
    #[test]
    fn the_tail_of_a_pack_tells_what_is_in_it() {
        let pack = small();
        let len = pack.bytes.len() as u64;
        assert_eq!(
            tail_len(&pack.bytes[pack.bytes.len() - FOOTER_BYTES..], len),
            Ok(pack.tail().len() as u64)
        );
        assert_eq!(parse_tail(pack.tail(), len).unwrap(), pack.records);
        assert!(pack.records.is_sorted_by_key(|r| r.key));
        assert!(has_header(&pack.bytes));
    }

    // proves L-08: the frozen bytes of a pack, but for zstd's, which may change with its version.
    #[test]
    fn the_bytes_of_a_pack_are_frozen() {
        let mut encoder = Encoder::new().unwrap();
        let mut builder = PackBuilder::new();
        let key = FrameKey::new(FrameKind::Blob, BlobId::of(b"hello").digest());
        builder.push(key, b"hello", &mut encoder).unwrap();
        let pack = builder.finish();
        assert_eq!(pack.bytes.len(), 8 + 5 + 50 + 56);
        assert_eq!(
            pack.id.to_string(),
            "4c500f946ff707df391d80331e6280221c8c959fd1c49a6cb2279ed58669c705"
        );
    }

    // proves L-09
    #[test]
    fn every_damaged_tail_is_refused() {
        let pack = small();
        let (len, tail) = (pack.bytes.len() as u64, pack.tail());
        for bit in 0..tail.len() * 8 {
            let mut bad = tail.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_tail(&bad, len).is_err(), "bit {bit}");
        }
        for cut in 0..tail.len() {
            assert!(
                parse_tail(&tail[..cut], len).is_err()
                    && parse_tail(&tail[cut + 1..], len).is_err()
            );
        }
        assert!(parse_tail(tail, len + 1).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, len: u64) {
            prop_assert!(parse_tail(&bytes, len).is_err());
            prop_assert!(tail_len(&bytes, len).is_err());
        }
    }
}
