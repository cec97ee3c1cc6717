//! What goes into a pipeline.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use lab_encoding::float::Element;
use lab_schema::{BlobId, Digest};

use crate::error::Result;
use crate::frame::FrameKind;
use crate::list::Part;
use crate::pack::Encoded;

/// A part of a batch that becomes a frame.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// A blob or a chunk.
    pub(crate) kind: FrameKind,
    /// Where it lies in the batch.
    pub(crate) range: Range<usize>,
    pub(crate) element: Element,
    /// Its digest, if it is known.
    pub(crate) digest: Option<Digest>,
    /// Chunks that it may be written as a difference to.
    pub(crate) bases: [Option<Digest>; 2],
}

/// Fills an empty batch in the worker's thread.
pub(crate) type Load = Box<dyn FnOnce(&mut Vec<u8>) -> Result<Loaded> + Send>;

/// What was loaded.
#[derive(Default)]
pub(crate) struct Loaded {
    /// Parts of the batch's bytes.
    pub(crate) pieces: Vec<Piece>,
    /// Blocks of blobs and chunks that are encoded already, each verified.
    pub(crate) ready: Encoded,
}

/// Bytes and the pieces that they are cut into.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) load: Option<Load>,
}

/// What became of a batch: its pieces' digests and lengths, once it is packed.
pub(crate) type Reply = Arc<OnceLock<Vec<Part>>>;

/// Completes the digests of the pieces.
pub(super) fn digests(batch: &mut Batch) -> Vec<Part> {
    let mut before: Option<(Range<usize>, Digest)> = None;
    let mut parts = Vec::with_capacity(batch.pieces.len());
    for piece in &mut batch.pieces {
        let bytes = &batch.bytes[piece.range.clone()];
        let digest = match (&piece.digest, &before) {
            (Some(digest), _) => *digest,
            // Long runs of the same bytes, as in a file with holes, are hashed once.
            (None, Some((range, digest))) if bytes == &batch.bytes[range.clone()] => *digest,
            _ => BlobId::of(bytes).digest(),
        };
        piece.digest = Some(digest);
        before = Some((piece.range.clone(), digest));
        parts.push(Part { digest, bytes: bytes.len() as u64 });
    }
    parts
}
