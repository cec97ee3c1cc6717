//! What lies in packs: frames. A frame is a sequence of bytes under a key, encoded so that it
//! takes less room. The key is a hash of the bytes before encoding, so that an encoding can
//! change without any key changing.
//!
//! | kind | key | bytes |
//! |---|---|---|
//! | blob | its id | a file that is one chunk |
//! | chunk | BLAKE3 | a part of a larger file |
//! | list | the file's id | how a larger file is made of chunks (`list.rs`) |
//! | node | derived BLAKE3 | a part of a long list |
//! | tree, recipe, run, attestation | its id | the object |
//!
//! Refuses to decode to any other length than was recorded, and records no length over the limit
//! of the kind: a hostile frame cannot make a reader allocate more.

use std::cell::RefCell;

use lab_schema::codec::MAX_OBJECT_BYTES;
use lab_schema::{BlobId, Digest, Kind, ObjectId};
use zstd::bulk::{Compressor, Decompressor};

use crate::chunk;
use crate::error::{ObjectsError, Result};

/// Most bytes in a list or node frame.
pub(crate) const MAX_LIST_BYTES: usize = 256 << 10;

/// Frames shorter than this are not worth compressing.
const MIN_COMPRESSED: usize = 64;
const LEVEL: i32 = 1;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum FrameKind {
    Blob,
    Chunk,
    List,
    Node,
    Tree,
    Recipe,
    Run,
    Attestation,
}

use FrameKind::{Attestation, Blob, Chunk, List, Node, Recipe, Run, Tree};

impl FrameKind {
    const ALL: [FrameKind; 8] = [Blob, Chunk, List, Node, Tree, Recipe, Run, Attestation];

    /// Its number on disk.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub(crate) fn from_code(code: u8) -> Option<FrameKind> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Most bytes before encoding.
    pub(crate) const fn max_bytes(self) -> u64 {
        match self {
            Blob | Chunk => chunk::MAX as u64,
            List | Node => MAX_LIST_BYTES as u64,
            Tree | Recipe | Run | Attestation => MAX_OBJECT_BYTES,
        }
    }

    /// The kind of object that a frame of this kind stands for, if it stands for one.
    pub(crate) const fn object(self) -> Option<Kind> {
        match self {
            Blob | List => Some(Kind::Blob),
            Chunk | Node => None,
            Tree => Some(Kind::Tree),
            Recipe => Some(Kind::Recipe),
            Run => Some(Kind::Run),
            Attestation => Some(Kind::Attestation),
        }
    }
}

/// Finds a frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct FrameKey {
    pub(crate) kind: FrameKind,
    pub(crate) digest: Digest,
}

impl FrameKey {
    /// The key of this kind and digest.
    pub(crate) const fn new(kind: FrameKind, digest: Digest) -> FrameKey {
        FrameKey { kind, digest }
    }

    /// The keys under which an object can lie.
    pub(crate) fn of_object(id: ObjectId) -> impl Iterator<Item = FrameKey> {
        let kinds: &[FrameKind] = match id.kind() {
            Kind::Blob => &[Blob, List],
            Kind::Tree => &[Tree],
            Kind::Recipe => &[Recipe],
            Kind::Run => &[Run],
            Kind::Attestation => &[Attestation],
        };
        kinds.iter().map(move |kind| FrameKey::new(*kind, id.digest()))
    }

    /// The keys under which a chunk can lie: a whole file may be part of a larger one.
    pub(crate) fn of_chunk(digest: Digest) -> [FrameKey; 2] {
        [FrameKey::new(Chunk, digest), FrameKey::new(Blob, digest)]
    }

    /// The object that the frame stands for, if it stands for one.
    pub(crate) fn object(&self) -> Option<ObjectId> {
        self.kind.object().map(|kind| ObjectId::new(kind, self.digest))
    }

    /// Whether these are the frame's bytes. A list carries its own checksum, since its key is
    /// the hash of something else.
    pub(crate) fn fits(&self, bytes: &[u8]) -> bool {
        match self.kind {
            Blob | Chunk => BlobId::of(bytes).digest() == self.digest,
            Node => node_digest(bytes) == self.digest,
            List => bytes.split_first_chunk::<32>().is_some_and(|(checksum, rest)| {
                list_checksum(self.digest, rest).as_bytes() == checksum
            }),
            kind => kind.object().is_some_and(|kind| kind.digest(bytes) == self.digest),
        }
    }
}

/// The key of a node with these bytes.
pub(crate) fn node_digest(bytes: &[u8]) -> Digest {
    Digest::derive("lab 2026-11-24 store list node", bytes)
}

/// What a list of the blob `digest` carries in front of `rest`.
pub(crate) fn list_checksum(digest: Digest, rest: &[u8]) -> Digest {
    Digest::derive("lab 2026-11-24 store list", &[digest.as_bytes(), rest].concat())
}

/// How a frame's bytes are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Encoding {
    /// Its number on disk.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The encoding with this number.
    pub(crate) fn from_code(code: u8) -> Option<Encoding> {
        [Encoding::Raw, Encoding::Zstd].get(usize::from(code)).copied()
    }
}

/// Encodes frames; keeps the compressor's memory between them.
pub(crate) struct Encoder {
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl Encoder {
    /// A new encoder.
    pub(crate) fn new() -> Result<Encoder> {
        let compressor = Compressor::new(LEVEL).map_err(|source| failed("compress", source))?;
        Ok(Encoder { compressor, scratch: Vec::new() })
    }

    /// The shorter encoding. What was compressed has been decoded again, and is the same.
    pub(crate) fn encode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<(Encoding, &'a [u8])> {
        if bytes.len() < MIN_COMPRESSED {
            return Ok((Encoding::Raw, bytes));
        }
        self.scratch.clear();
        self.scratch.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.compressor
            .compress_to_buffer(bytes, &mut self.scratch)
            .map_err(|source| failed("compress", source))?;
        if self.scratch.len() >= bytes.len() {
            return Ok((Encoding::Raw, bytes));
        }
        match inflate(&self.scratch, bytes.len()) {
            Ok(decoded) if decoded == bytes => Ok((Encoding::Zstd, &self.scratch)),
            _ => Err(ObjectsError::Damaged {
                what: "a frame in memory".into(),
                why: "it does not decompress to what was compressed (faulty memory?)",
            }),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

fn failed(verb: &'static str, source: std::io::Error) -> ObjectsError {
    ObjectsError::Stream { verb, source }
}

/// Why bytes are not what they should be.
pub(crate) type Parsed<T> = std::result::Result<T, &'static str>;

/// The bytes that were encoded: exactly `len` of them, which the caller has bounded.
pub(crate) fn decode(encoding: Encoding, stored: Vec<u8>, len: u64) -> Parsed<Vec<u8>> {
    let len = usize::try_from(len).map_err(|_| "it is too large for this machine")?;
    let bytes = match encoding {
        Encoding::Raw => stored,
        Encoding::Zstd => inflate(&stored, len)?,
    };
    if bytes.len() == len { Ok(bytes) } else { Err("it has another length than was recorded") }
}

/// What was compressed, if it is not longer than `len`.
fn inflate(stored: &[u8], len: usize) -> Parsed<Vec<u8>> {
    thread_local! {
        static DECODER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    DECODER.with_borrow_mut(|decoder| {
        let decoder = match decoder {
            Some(decoder) => decoder,
            none => none.insert(Decompressor::new().map_err(|_| "there is no memory")?),
        };
        decoder.decompress(stored, len).map_err(|_| "it does not decompress")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> (Encoding, Vec<u8>) {
        let mut encoder = Encoder::new().unwrap();
        let (encoding, stored) = encoder.encode(bytes).unwrap();
        (encoding, stored.to_vec())
    }

    // proves L-13
    #[test]
    fn the_shorter_encoding_is_taken() {
        for (bytes, expected) in [
            (vec![7; 10_000], Encoding::Zstd),
            (b"short".to_vec(), Encoding::Raw),
            (Vec::new(), Encoding::Raw),
            (
                (0..4u64).flat_map(|i| *BlobId::of(&i.to_le_bytes()).digest().as_bytes()).collect(),
                Encoding::Raw,
            ),
        ] {
            let (encoding, stored) = encoded(&bytes);
            assert_eq!(encoding, expected);
            assert!(stored.len() <= bytes.len());
            assert_eq!(decode(encoding, stored, bytes.len() as u64), Ok(bytes));
        }
    }

    // proves L-14
    #[test]
    fn a_bomb_is_not_inflated() {
        let (encoding, stored) = encoded(&vec![0; 1 << 20]);
        assert!(stored.len() < 200);
        assert!(decode(encoding, stored.clone(), 1000).is_err());
        assert!(decode(encoding, stored.clone(), (1 << 20) + 1).is_err());
        assert!(decode(encoding, stored[..20].to_vec(), 1 << 20).is_err());
        assert!(decode(encoding, b"not zstd".to_vec(), 8).is_err());
    }

    #[test]
    fn codes_are_frozen() {
        let codes: Vec<_> = FrameKind::ALL.iter().map(|k| k.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(FrameKind::ALL.iter().all(|k| FrameKind::from_code(k.code()) == Some(*k)));
        assert_eq!((Encoding::Raw.code(), Encoding::Zstd.code()), (0, 1));
        assert_eq!((FrameKind::from_code(8), Encoding::from_code(2)), (None, None));
    }
}
