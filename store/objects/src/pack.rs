//! Packs: write-once files of blocks, with a table of contents at the end.
//!
//! ```text
//! pack   = "LABPACK" 2 | block ... | tail
//! tail   = block record ... | base [32] ... | frame record ... | footer
//! block  = bytes on disk u32, bytes u32, CRC-32 of the bytes on disk u32, encoding u8, depth u8
//! frame  = kind u8, digest [32], number of its block u32, where it starts in it u32, bytes u32
//! footer = blocks u32, bases u32, frames u32, checksum [32], "LABTAIL" 2
//! ```
//!
//! Numbers are little-endian. Blocks lie one behind the other without a gap; the n-th delta stands
//! on the n-th base; frames are sorted by kind and digest. The checksum is the pack's name. A pack
//! that was cut off has no footer at its end, so a torn pack is told from a whole one without
//! reading it all. Every number is checked against the size of the file and the limits of
//! `frame.rs` and `block.rs` before it is used.

use std::ops::Range;

use lab_schema::Digest;

use crate::backend::PackId;
use crate::block::{Block, Encoding, MAX_DEPTH, MAX_SHARED};
use crate::frame::{FrameKey, FrameKind, Parsed};

const HEADER: &[u8; 8] = b"LABPACK\x02";
const MAGIC: &[u8; 8] = b"LABTAIL\x02";
const BLOCK_BYTES: usize = 14;
const BASE_BYTES: usize = 32;
/// Size of a frame record.
pub(crate) const FRAME_BYTES: usize = 45;
/// Size of the footer.
pub(crate) const FOOTER_BYTES: usize = 52;
/// A pack is closed once it has this many bytes of blocks; the last may take it beyond.
pub(crate) const TARGET_BYTES: usize = 32 << 20;
/// Most frames, and most blocks, in a pack, so that a tail has a bounded size (96 MB).
pub(crate) const MAX_RECORDS: usize = 1 << 20;
/// Memory for a pack: the target, what may go beyond it, and the tail.
const CAPACITY: usize = TARGET_BYTES + (4 << 20);
/// Direct writes start at such addresses.
const ALIGNMENT: usize = 4096;
/// A pack is closed at so many frames, to leave room for what is under way.
const FULL_RECORDS: usize = MAX_RECORDS - (1 << 16);

/// A frame in a pack: which block, and where in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) key: FrameKey,
    pub(crate) block: u32,
    pub(crate) start: u32,
    pub(crate) bytes: u32,
}

/// What a pack holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) blocks: Vec<Block>,
    /// Sorted frame records, as they lie on disk.
    pub(crate) frames: Frames,
}

/// Frame records in the form that they have on disk, which takes the least memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    /// May hold more than the records, since it is not copied for that.
    memory: Vec<u8>,
    records: Range<usize>,
}

impl PartialEq for Frames {
    fn eq(&self, other: &Frames) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Frames {}

impl From<Vec<u8>> for Frames {
    fn from(memory: Vec<u8>) -> Frames {
        Frames { records: 0..memory.len(), memory }
    }
}

impl Frames {
    fn bytes(&self) -> &[u8] {
        &self.memory[self.records.clone()]
    }

    /// Number of frames.
    pub(crate) fn len(&self) -> usize {
        self.records.len() / FRAME_BYTES
    }

    /// The record of that number.
    pub(crate) fn get(&self, number: usize) -> Record {
        let bytes = &self.bytes()[number * FRAME_BYTES..][..FRAME_BYTES];
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[1..33]);
        let kind = FrameKind::from_code(bytes[0]).expect("kinds are checked when a tail is read");
        let key = FrameKey::new(kind, Digest::from_bytes(digest));
        let (block, start, bytes) =
            (number32(&bytes[33..]), number32(&bytes[37..]), number32(&bytes[41..]));
        Record { key, block, start, bytes }
    }

    /// The number of the record with this key.
    pub(crate) fn find(&self, key: &FrameKey) -> Option<usize> {
        let mut wanted = [0; 33];
        wanted[0] = key.kind.code();
        wanted[1..].copy_from_slice(key.digest.as_bytes());
        let (mut first, mut end) = (0, self.len());
        while first < end {
            let middle = first + (end - first) / 2;
            match self.bytes()[middle * FRAME_BYTES..][..33].cmp(&wanted) {
                std::cmp::Ordering::Less => first = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        None
    }

    /// All records, sorted by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        (0..self.len()).map(|number| self.get(number))
    }
}

/// A pack that is being filled, in memory that lies so that it can be written past the page cache
/// (`atomic.rs`).
#[derive(Debug)]
pub(crate) struct PackBuilder {
    memory: Vec<u8>,
    /// Where the pack starts in the memory.
    first: usize,
    blocks: Vec<Block>,
    records: Vec<Record>,
}

/// A pack that can be published.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) id: PackId,
    memory: Vec<u8>,
    first: usize,
    pub(crate) tail: Tail,
}

/// Blocks that have been encoded, and the frames in them; numbers and offsets count from their
/// own first.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) records: Vec<Record>,
}

impl PackBuilder {
    /// With no frames, in `memory` that is to be used again.
    pub(crate) fn new(mut memory: Vec<u8>) -> PackBuilder {
        memory.clear();
        // Enough that it seldom moves; what is not used costs nothing.
        memory.reserve(CAPACITY);
        let first = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        memory.resize(first, 0);
        memory.extend_from_slice(HEADER);
        PackBuilder { memory, first, blocks: Vec::new(), records: Vec::new() }
    }

    /// Whether it has no frames.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether it is time to publish it.
    pub(crate) fn is_full(&self) -> bool {
        self.memory.len() - self.first >= TARGET_BYTES || self.records.len() >= FULL_RECORDS
    }

    /// Appends blocks; the caller has seen to it that none of the keys is in here yet.
    pub(crate) fn append(&mut self, encoded: &Encoded) {
        let start = (self.memory.len() - self.first) as u64;
        let first = self.blocks.len() as u32;
        self.memory.extend_from_slice(&encoded.bytes);
        self.blocks.extend(encoded.blocks.iter().map(|b| Block { offset: start + b.offset, ..*b }));
        self.records
            .extend(encoded.records.iter().map(|r| Record { block: first + r.block, ..*r }));
    }

    /// The finished pack.
    pub(crate) fn finish(mut self) -> Pack {
        self.records.sort_unstable_by_key(|r| r.key);
        let start = self.memory.len();
        for block in &self.blocks {
            for number in [block.stored, block.bytes, block.checksum] {
                self.memory.extend_from_slice(&number.to_le_bytes());
            }
            self.memory.extend_from_slice(&[block.encoding.code(), block.depth]);
        }
        let bases: Vec<&Digest> = self.blocks.iter().filter_map(|b| b.base.as_ref()).collect();
        for base in &bases {
            self.memory.extend_from_slice(base.as_bytes());
        }
        let mut frames = Vec::with_capacity(self.records.len() * FRAME_BYTES);
        for record in &self.records {
            frames.push(record.key.kind.code());
            frames.extend_from_slice(record.key.digest.as_bytes());
            for number in [record.block, record.start, record.bytes] {
                frames.extend_from_slice(&number.to_le_bytes());
            }
        }
        self.memory.extend_from_slice(&frames);
        for count in [self.blocks.len(), bases.len(), self.records.len()] {
            self.memory.extend_from_slice(&(count as u32).to_le_bytes());
        }
        let checksum = checksum(&self.memory[start..]);
        self.memory.extend_from_slice(checksum.as_bytes());
        self.memory.extend_from_slice(MAGIC);
        let tail = Tail { blocks: self.blocks, frames: frames.into() };
        let id = PackId::from_digest(checksum);
        Pack { id, memory: self.memory, first: self.first, tail }
    }
}

impl Pack {
    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.first..]
    }

    /// The memory, for another pack.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.memory
    }
}

impl Pack {
    /// The same under another name, for when a pack of its name is to be removed: `word`, a few bytes
    /// that nobody else uses, lie in it besides.
    pub(crate) fn renamed(self, word: &[u8]) -> Pack {
        let Pack { mut memory, first, tail, .. } = self;
        let end = tail.blocks.iter().map(|b| u64::from(b.stored)).sum::<u64>();
        memory.truncate(first + HEADER.len() + end as usize);
        let records = tail.frames.iter().collect();
        let mut builder = PackBuilder { memory, first, blocks: tail.blocks, records };
        let len = word.len() as u32;
        let checksum = crc32fast::hash(word);
        let (encoding, depth, base) = (Encoding::Raw, 0, None);
        let block = Block { offset: 0, stored: len, bytes: len, checksum, encoding, depth, base };
        let key = FrameKey::new(FrameKind::Chunk, lab_schema::BlobId::of(word).digest());
        let record = Record { key, block: 0, start: 0, bytes: len };
        builder.append(&Encoded {
            bytes: word.to_vec(),
            blocks: vec![block],
            records: vec![record],
        });
        builder.finish()
    }
}

fn checksum(tables: &[u8]) -> Digest {
    Digest::derive("lab 2026-11-25 store pack tail", tables)
}

fn number32(bytes: &[u8]) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[..4]);
    u32::from_le_bytes(number)
}

/// Size of the tail of a pack of `pack_bytes` whose last bytes are `footer`.
pub(crate) fn tail_len(footer: &[u8], pack_bytes: u64) -> Parsed<u64> {
    if footer.len() != FOOTER_BYTES || !footer.ends_with(MAGIC) {
        return Err("it is cut off, or no pack");
    }
    let [blocks, bases, frames] = counts(footer);
    if blocks.max(frames) > MAX_RECORDS || bases > blocks {
        return Err("it claims more frames than a pack may hold");
    }
    let len = blocks * BLOCK_BYTES + bases * BASE_BYTES + frames * FRAME_BYTES + FOOTER_BYTES;
    match pack_bytes.checked_sub(HEADER.len() as u64) {
        Some(room) if room >= len as u64 => Ok(len as u64),
        _ => Err("its footer does not fit its size"),
    }
}

fn counts(footer: &[u8]) -> [usize; 3] {
    [0, 4, 8].map(|at| number32(&footer[at..]) as usize)
}

/// What the pack `id` of `pack_bytes` holds, by its tail.
pub(crate) fn parse_tail(id: PackId, tail: Vec<u8>, pack_bytes: u64) -> Parsed<Tail> {
    Ok(check_tail(id, &tail, pack_bytes)?.of(tail))
}

/// A tail that holds together: its blocks, and where in it the records of its frames lie.
pub(crate) struct Checked {
    blocks: Vec<Block>,
    records: Range<usize>,
}

impl Checked {
    /// What the pack holds, in the memory of the tail that was checked.
    pub(crate) fn of(self, tail: Vec<u8>) -> Tail {
        Tail { blocks: self.blocks, frames: Frames { memory: tail, records: self.records } }
    }
}

/// The same without taking the tail.
pub(crate) fn check_tail(id: PackId, tail: &[u8], pack_bytes: u64) -> Parsed<Checked> {
    let tables = tail.len().checked_sub(FOOTER_BYTES).ok_or("it is cut off")?;
    let footer = &tail[tables..];
    if tail_len(footer, pack_bytes)? != tail.len() as u64 {
        return Err("its footer does not fit its size");
    }
    let found = checksum(&tail[..tables + 12]);
    if found.as_bytes() != &footer[12..44] {
        return Err("its table of contents has a wrong checksum");
    }
    if found != id.digest() {
        return Err("it lies under the name of another pack");
    }
    let [blocks, bases, _] = counts(footer);
    let (block_table, rest) = tail[..tables].split_at(blocks * BLOCK_BYTES);
    let (base_table, frames) = rest.split_at(bases * BASE_BYTES);
    let blocks = parse_blocks(block_table, base_table, pack_bytes - tail.len() as u64)?;
    parse_frames(frames, &blocks)?;
    Ok(Checked { blocks, records: tables - frames.len()..tables })
}

fn parse_blocks(table: &[u8], bases: &[u8], end: u64) -> Parsed<Vec<Block>> {
    let mut offset = HEADER.len() as u64;
    let mut bases = bases.chunks_exact(BASE_BYTES);
    let mut blocks = Vec::with_capacity(table.len() / BLOCK_BYTES);
    for bytes in table.chunks_exact(BLOCK_BYTES) {
        let encoding =
            Encoding::from_code(bytes[12]).ok_or("it holds a block in an unknown encoding")?;
        let base = if encoding.has_base() {
            let mut digest = [0; BASE_BYTES];
            digest.copy_from_slice(bases.next().ok_or("it holds a delta without a base")?);
            Some(Digest::from_bytes(digest))
        } else {
            None
        };
        let (stored, bytes, checksum, depth) =
            (number32(bytes), number32(&bytes[4..]), number32(&bytes[8..]), bytes[13]);
        if stored > bytes || depth > MAX_DEPTH || (depth > 0) != base.is_some() {
            return Err("it holds a block with impossible numbers");
        }
        blocks.push(Block { offset, stored, bytes, checksum, encoding, depth, base });
        offset += u64::from(stored);
    }
    if offset != end || bases.next().is_some() {
        return Err("its blocks do not fill it");
    }
    Ok(blocks)
}

fn parse_frames(table: &[u8], blocks: &[Block]) -> Parsed<()> {
    // Bytes and number of the frames in each block.
    let mut in_block = vec![(0u64, 0u32); blocks.len()];
    let mut before = None;
    for bytes in table.chunks_exact(FRAME_BYTES) {
        let kind = FrameKind::from_code(bytes[0]).ok_or("it holds a frame of an unknown kind")?;
        if before.is_some_and(|before| before >= &bytes[..33]) {
            return Err("its table of contents is not sorted");
        }
        before = Some(&bytes[..33]);
        let (number, start, len) =
            (number32(&bytes[33..]), number32(&bytes[37..]), number32(&bytes[41..]));
        let block = blocks.get(number as usize).ok_or("it holds a frame outside its blocks")?;
        let inside = start.checked_add(len).is_some_and(|end| end <= block.bytes);
        if !inside || u64::from(len) > kind.max_bytes() {
            return Err("it holds a frame with impossible lengths");
        }
        let (sum, frames) = &mut in_block[number as usize];
        if block.bytes as usize > MAX_SHARED && (len != block.bytes || *frames > 0) {
            return Err("it holds a block that is too large for what lies in it");
        }
        *sum += u64::from(len);
        *frames += 1;
        // Else a few bytes could stand for years of hashing.
        if *sum > u64::from(block.bytes) {
            return Err("it holds frames that overlap");
        }
    }
    let empty = in_block.iter().any(|(_, frames)| *frames == 0);
    if empty { Err("it holds a block without a frame") } else { Ok(()) }
}

/// Whether the bytes begin as a pack does.
pub(crate) fn has_header(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER)
}

#[cfg(test)]
mod tests {
    use lab_encoding::float::Element;
    use lab_schema::BlobId;
    use proptest::prelude::*;

    use super::*;
    use crate::block::Coder;

    /// A block for the first, and one for the others.
    fn pack(texts: &[&str]) -> Pack {
        let mut coder = Coder::new().unwrap();
        let mut builder = PackBuilder::new(Vec::new());
        for group in [&texts[..1], &texts[1..]] {
            let mut encoded = Encoded::default();
            let raw = group.concat();
            if group.is_empty() {
                continue;
            }
            let block =
                coder.encode(raw.as_bytes(), Element::Other, None, &mut encoded.bytes).unwrap();
            encoded.blocks.push(block);
            let mut start = 0;
            for text in group {
                let key = FrameKey::new(FrameKind::Blob, BlobId::of(text.as_bytes()).digest());
                let bytes = text.len() as u32;
                encoded.records.push(Record { key, block: 0, start, bytes });
                start += bytes;
            }
            builder.append(&encoded);
        }
        builder.finish()
    }

    fn tail(pack: &Pack) -> &[u8] {
        let footer = &pack.bytes()[pack.bytes().len() - FOOTER_BYTES..];
        let len = tail_len(footer, pack.bytes().len() as u64).unwrap() as usize;
        &pack.bytes()[pack.bytes().len() - len..]
    }

    // proves L-07
    #[test]
    fn the_tail_of_a_pack_tells_what_is_in_it() {
        let pack = pack(&["b", "a", &"long ".repeat(100)]);
        let parsed = parse_tail(pack.id, tail(&pack).to_vec(), pack.bytes().len() as u64).unwrap();
        assert_eq!(parsed, pack.tail);
        assert_eq!((parsed.blocks.len(), parsed.frames.len()), (2, 3));
        assert!(parsed.frames.iter().is_sorted_by_key(|r| r.key));
        assert!(has_header(pack.bytes()));
    }

    // proves L-08: the frozen bytes of a pack, but for zstd's, which may change with its version.
    #[test]
    fn the_bytes_of_a_pack_are_frozen() {
        let pack = pack(&["hello"]);
        assert_eq!(pack.bytes().len(), 8 + 5 + 14 + 45 + 52);
        assert_eq!(
            pack.id.to_string(),
            "f7ba9aae8da7f4295b1a32c9da71f2c61701c9d3cfc858375615435a5838764c"
        );
    }

    // proves L-09
    #[test]
    fn every_damaged_tail_is_refused() {
        let pack = pack(&["b", "a", &"long ".repeat(100)]);
        let (len, tail) = (pack.bytes().len() as u64, tail(&pack));
        for bit in 0..tail.len() * 8 {
            let mut bad = tail.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(check_tail(pack.id, &bad, len).is_err(), "bit {bit}");
        }
        for cut in 0..tail.len() {
            assert!(
                check_tail(pack.id, &tail[..cut], len).is_err()
                    && check_tail(pack.id, &tail[cut + 1..], len).is_err()
            );
        }
        assert!(check_tail(pack.id, tail, len + 1).is_err());
        let other = PackId::from_digest(BlobId::of(b"").digest());
        assert!(check_tail(other, tail, len).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, len: u64, numbers: [u8; 12], table: Vec<u8>) {
            let id = PackId::from_digest(BlobId::of(b"").digest());
            prop_assert!(check_tail(id, &bytes, len).is_err());
            prop_assert!(tail_len(&bytes, len).is_err());
            // As somebody would write it who wants to be believed.
            let mut forged = [&table[..], &numbers].concat();
            let checksum = checksum(&forged);
            forged.extend_from_slice(checksum.as_bytes());
            forged.extend_from_slice(MAGIC);
            let _ = check_tail(PackId::from_digest(checksum), &forged, len % 10_000);
            let blocks = parse_blocks(&table, &numbers, len).unwrap_or_default();
            let _ = parse_frames(&table, &blocks);
        }
    }
}
