//! Blocks: what is encoded and decoded as one. A pack is a row of blocks, and in a block lies one
//! frame, or several small ones that compress better together.
//!
//! A block carries a checksum of the bytes that lie on disk, so that damage is found without
//! decoding; whether a frame is what its key says is a matter of its hash (`frame.rs`). A block
//! decodes to exactly the recorded length, and the length is bounded before it is decoded.

use lab_encoding::float::Element;
use lab_encoding::{Parsed, delta, patch, plain, planes};
use lab_schema::Digest;

use crate::error::{ObjectsError, Result};

/// A block of several frames is closed once it has this many bytes before encoding.
pub(crate) const TARGET: usize = 512 << 10;
/// Most bytes before encoding of a block of several frames, and of any that holds file contents.
pub(crate) const MAX_SHARED: usize = 2 << 20;
/// Why a delta cannot be decoded that is whole itself.
pub(crate) const BASE_LOST: &str = "what it is a difference to is lost";
/// Most deltas between a block and the bytes that the last of them stands on.
pub(crate) const MAX_DEPTH: u8 = 8;

/// Blocks shorter than this are not worth encoding.
const MIN_ENCODED: usize = 64;
/// One in so many blocks that zstd has encoded is decoded again before it is written: enough to
/// notice a machine that does not compute right, at a fortieth of the time. All in our own encodings
/// are, though of planes only one in so many blocks is put together as well.
const CHECKED: u32 = 8;
/// What was edited is written as a change if that takes at most one byte in so many. Beside its
/// neighbours, text takes about 0.43 of its bytes.
const PATCHED: usize = 3;

/// How a block's bytes are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
    /// Floats, split into byte planes.
    Planes,
    /// Floats, as the difference to a chunk of the same length.
    Delta,
    /// Other bytes, as the change to a chunk of an earlier version.
    Patch,
}

impl Encoding {
    /// How many there are.
    pub(crate) const COUNT: usize = 5;

    /// Its number on disk.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The encoding with this number.
    pub(crate) fn from_code(code: u8) -> Option<Encoding> {
        use Encoding::{Delta, Patch, Planes, Raw, Zstd};
        [Raw, Zstd, Planes, Delta, Patch].get(usize::from(code)).copied()
    }

    /// Whether it takes another chunk to decode it.
    pub(crate) const fn has_base(self) -> bool {
        matches!(self, Encoding::Delta | Encoding::Patch)
    }
}

/// Where a block lies in its pack, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub(crate) offset: u64,
    /// Bytes on disk.
    pub(crate) stored: u32,
    /// Bytes before encoding.
    pub(crate) bytes: u32,
    /// CRC-32 of the bytes on disk.
    pub(crate) checksum: u32,
    pub(crate) encoding: Encoding,
    /// Deltas that must be undone to read it.
    pub(crate) depth: u8,
    /// The chunk that a delta stands on.
    pub(crate) base: Option<Digest>,
}

impl Block {
    /// One that stands on its own; its place, stored length and checksum are to be filled in.
    fn raw(raw: &[u8]) -> Block {
        let (encoding, bytes) = (Encoding::Raw, bounded(raw.len()));
        Block { offset: 0, stored: 0, bytes, checksum: 0, encoding, depth: 0, base: None }
    }
}

/// A chunk that another may be written as a difference to.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) digest: Digest,
    pub(crate) bytes: std::sync::Arc<[u8]>,
    /// Deltas that it takes itself.
    pub(crate) depth: u8,
}

/// Encodes blocks; keeps its memory between them.
pub(crate) struct Coder {
    plain: plain::Coder,
    planes: planes::Coder,
    patch: patch::Coder,
    check: Vec<u8>,
    /// Blocks that zstd has encoded, and that were split into planes.
    plain_blocks: u32,
    planes_blocks: u32,
}

impl Coder {
    /// A new coder.
    pub(crate) fn new() -> Result<Coder> {
        let plain = plain::Coder::new().map_err(failed)?;
        let planes = planes::Coder::new().map_err(failed)?;
        let patch = patch::Coder::new().map_err(failed)?;
        Ok(Coder { plain, planes, patch, check: Vec::new(), plain_blocks: 0, planes_blocks: 0 })
    }

    /// Appends the shortest encoding to `out`, and tells how it is written; the offset is to be
    /// filled in. What our own code encoded has been decoded again and is the same, and so has some of
    /// what zstd did.
    pub(crate) fn encode(
        &mut self,
        raw: &[u8],
        element: Element,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<Block> {
        let start = out.len();
        let block = self.try_encode(raw, element, base, out)?;
        if block.encoding == Encoding::Raw {
            out.extend_from_slice(raw);
        }
        self.checked(block, raw, base, out, start)
    }

    /// Appends `raw`, which is not floats, to `out` as the change to `base`, if that is far shorter than
    /// anything else can be expected to be.
    pub(crate) fn patch(
        &mut self,
        raw: &[u8],
        base: &Base,
        out: &mut Vec<u8>,
    ) -> Result<Option<Block>> {
        if base.depth >= MAX_DEPTH {
            return Ok(None);
        }
        let Some(stored) = self.patch.encode(raw, &base.bytes, raw.len() / PATCHED) else {
            return Ok(None);
        };
        let start = out.len();
        out.extend_from_slice(stored);
        let (encoding, depth) = (Encoding::Patch, base.depth + 1);
        let block = Block { encoding, depth, base: Some(base.digest), ..Block::raw(raw) };
        self.checked(block, raw, Some(base), out, start).map(Some)
    }

    /// Completes a block that has been written from `start` on.
    fn checked(
        &mut self,
        mut block: Block,
        raw: &[u8],
        base: Option<&Base>,
        out: &[u8],
        start: usize,
    ) -> Result<Block> {
        let fully = self.is_to_be_checked(block.encoding);
        let unsound = || ObjectsError::Damaged {
            what: "a block in memory".into(),
            why: "it does not decode to what was encoded (faulty memory?)",
        };
        if !fully && block.encoding == Encoding::Planes && !self.planes.is_sound(&out[start..], raw)
        {
            return Err(unsound());
        }
        if fully {
            if self.check.len() < raw.len() {
                self.check.resize(raw.len(), 0);
            }
            let check = &mut self.check[..raw.len()];
            let base = block.base.and(base).map(|base| &*base.bytes);
            if decode(&block, &out[start..], base, check).is_err() || check != raw {
                return Err(unsound());
            }
        }
        block.stored = bounded(out.len() - start);
        block.checksum = crc32fast::hash(&out[start..]);
        Ok(block)
    }

    fn is_to_be_checked(&mut self, encoding: Encoding) -> bool {
        let blocks = match encoding {
            Encoding::Raw => return false,
            Encoding::Delta | Encoding::Patch => return true,
            Encoding::Zstd => &mut self.plain_blocks,
            Encoding::Planes => &mut self.planes_blocks,
        };
        *blocks += 1;
        *blocks % CHECKED == 1
    }

    fn try_encode(
        &mut self,
        raw: &[u8],
        element: Element,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<Block> {
        let mut block = Block::raw(raw);
        if raw.len() < MIN_ENCODED {
            return Ok(block);
        }
        if element != Element::Other {
            // Declined where the planes alone are expected to be smaller.
            if let Some(base) = base.filter(|b| b.bytes.len() == raw.len() && b.depth < MAX_DEPTH)
                && self.planes.encode_delta(raw, &base.bytes, element, out)
            {
                block.encoding = Encoding::Delta;
                block.depth = base.depth + 1;
                block.base = Some(base.digest);
                return Ok(block);
            }
            if self.planes.encode(raw, element, out) {
                block.encoding = Encoding::Planes;
                return Ok(block);
            }
        }
        if let Some(stored) = self.plain.encode(raw).map_err(failed)? {
            out.extend_from_slice(stored);
            block.encoding = Encoding::Zstd;
        }
        Ok(block)
    }
}

impl std::fmt::Debug for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("block::Coder")
    }
}

fn bounded(len: usize) -> u32 {
    u32::try_from(len).expect("blocks are at most 256 MiB")
}

fn failed(source: std::io::Error) -> ObjectsError {
    ObjectsError::Stream { verb: "compress", source }
}

/// Decodes the `stored` bytes of a block into `out`, which has the recorded length; a delta needs
/// the bytes of its base.
pub(crate) fn decode(
    block: &Block,
    stored: &[u8],
    base: Option<&[u8]>,
    out: &mut [u8],
) -> Parsed<()> {
    match block.encoding {
        Encoding::Raw if stored.len() == out.len() => {
            out.copy_from_slice(stored);
            Ok(())
        }
        Encoding::Raw => Err("it has another length than was recorded"),
        Encoding::Zstd => plain::decode(stored, out),
        Encoding::Planes => planes::decode(stored, out),
        Encoding::Delta => match base {
            Some(base) if base.len() == out.len() => delta::decode(stored, base, out),
            _ => Err(BASE_LOST),
        },
        Encoding::Patch => patch::decode(stored, base.ok_or(BASE_LOST)?, out),
    }
}

#[cfg(test)]
mod tests {
    use lab_schema::BlobId;

    use super::*;

    fn encoded(raw: &[u8], element: Element) -> (Block, Vec<u8>) {
        let mut out = Vec::new();
        let block = Coder::new().unwrap().encode(raw, element, None, &mut out).unwrap();
        (block, out)
    }

    // proves L-13
    #[test]
    fn the_shortest_encoding_is_taken() {
        let floats: Vec<u8> =
            (0..9000).flat_map(|i| ((i as f32 * 0.7).sin() * 0.02).to_le_bytes()).collect();
        let noise: Vec<u8> =
            (0..40u64).flat_map(|i| *BlobId::of(&i.to_le_bytes()).digest().as_bytes()).collect();
        for (raw, element, expected) in [
            (vec![7; 10_000], Element::Other, Encoding::Zstd),
            (b"short".to_vec(), Element::Other, Encoding::Raw),
            (Vec::new(), Element::Other, Encoding::Raw),
            (noise.clone(), Element::Other, Encoding::Raw),
            (floats, Element::F32, Encoding::Planes),
        ] {
            let (block, stored) = encoded(&raw, element);
            assert_eq!(block.encoding, expected);
            assert!(stored.len() <= raw.len() && stored.len() == block.stored as usize);
            let mut back = vec![1; raw.len()];
            assert_eq!(decode(&block, &stored, None, &mut back), Ok(()));
            assert_eq!(back, raw);
        }
    }

    // proves L-14
    #[test]
    fn no_block_decodes_to_another_length() {
        let (block, stored) = encoded(&vec![0; 1 << 20], Element::Other);
        for len in [0, 1000, (1 << 20) - 1, (1 << 20) + 1] {
            assert!(decode(&block, &stored, None, &mut vec![0; len]).is_err(), "{len}");
        }
        let raw = Block { encoding: Encoding::Raw, ..block };
        assert!(decode(&raw, &stored, None, &mut vec![0; stored.len() + 1]).is_err());
    }

    #[test]
    fn codes_are_frozen() {
        use Encoding::{Delta, Patch, Planes, Raw, Zstd};
        assert_eq!([Raw, Zstd, Planes, Delta, Patch].map(Encoding::code), [0, 1, 2, 3, 4]);
        assert_eq!(Encoding::from_code(Encoding::COUNT as u8), None);
    }

    #[test]
    fn a_patch_is_written_where_it_is_far_shorter() {
        let noise = |seed: u64| -> Vec<u8> {
            (0..500)
                .flat_map(|i| *BlobId::of(&(seed + i).to_le_bytes()).digest().as_bytes())
                .collect()
        };
        let bytes = noise(0);
        let base =
            |depth| Base { digest: BlobId::of(&bytes).digest(), bytes: bytes[..].into(), depth };
        let mut raw = bytes.clone();
        raw.splice(8000..8100, noise(1000).into_iter().take(300));
        let (mut coder, mut out) = (Coder::new().unwrap(), b"before".to_vec());
        let block = coder.patch(&raw, &base(MAX_DEPTH - 1), &mut out).unwrap().unwrap();
        assert_eq!((block.encoding, block.depth), (Encoding::Patch, MAX_DEPTH));
        assert!(block.stored < 500 && block.stored as usize + 6 == out.len());
        let mut back = vec![0; raw.len()];
        assert_eq!(decode(&block, &out[6..], Some(&bytes), &mut back), Ok(()));
        assert_eq!(back, raw);
        assert_eq!(decode(&block, &out[6..], None, &mut back), Err(BASE_LOST));
        assert!(coder.patch(&raw, &base(MAX_DEPTH), &mut out).unwrap().is_none());
        // Half of it is new.
        raw.splice(4000..12000, noise(3000).into_iter().take(8000));
        assert!(coder.patch(&raw, &base(0), &mut out).unwrap().is_none());
        assert_eq!(out.len(), block.stored as usize + 6);
    }
}
