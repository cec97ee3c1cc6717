//! What lies in packs: frames. A frame is a sequence of bytes under a key. The key is a hash of the
//! bytes, whatever the encoding of the block that they lie in, so that an encoding can change
//! without any key changing.
//!
//! | kind | key | bytes |
//! |---|---|---|
//! | blob | its id | a file that is one chunk |
//! | chunk | BLAKE3 | a part of a larger file |
//! | list | the file's id | how a larger file is made of chunks (`list.rs`) |
//! | node | derived BLAKE3 | a part of a long list |
//! | tree, recipe, run, attestation, signature, aliases | its id | the object |
//!
use lab_schema::codec::MAX_OBJECT_BYTES;
use lab_schema::{BlobId, Digest, Kind, ObjectId};

use crate::chunk;

/// Most bytes in a list or node frame.
pub(crate) const MAX_LIST_BYTES: usize = 256 << 10;

/// Most bytes in a signature, which bounds itself further.
const MAX_SIGNATURE_BYTES: u64 = 128 << 10;

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
    Signature,
    Aliases,
    Evaluation,
}

use FrameKind::{
    Aliases, Attestation, Blob, Chunk, Evaluation, List, Node, Recipe, Run, Signature, Tree,
};

impl FrameKind {
    const ALL: [FrameKind; 11] =
        [Blob, Chunk, List, Node, Tree, Recipe, Run, Attestation, Signature, Aliases, Evaluation];

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
            Tree | Recipe | Run | Attestation | Aliases | Evaluation => MAX_OBJECT_BYTES,
            Signature => MAX_SIGNATURE_BYTES,
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
            Signature => Some(Kind::Signature),
            Aliases => Some(Kind::Aliases),
            Evaluation => Some(Kind::Evaluation),
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
            Kind::Signature => &[Signature],
            Kind::Aliases => &[Aliases],
            Kind::Evaluation => &[Evaluation],
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

/// Why bytes are not what they should be.
pub(crate) use lab_encoding::Parsed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_frozen() {
        let codes: Vec<_> = FrameKind::ALL.iter().map(|k| k.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert!(FrameKind::ALL.iter().all(|k| FrameKind::from_code(k.code()) == Some(*k)));
        assert_eq!(FrameKind::from_code(11), None);
    }
}
