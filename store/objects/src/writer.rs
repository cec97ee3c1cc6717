//! Objects on their way into a store.

use std::io::{self, Read};
use std::path::Path;

use lab_encoding::float::Element;
use lab_encoding::weights::Layout;
use lab_schema::codec::{MAX_ITEMS, MAX_OBJECT_BYTES};
use lab_schema::{BlobId, ContentId, Kind, Object, ObjectId, SchemaError};

use crate::bases::{self, Bases};
use crate::chunk::{Cutter, Earlier, SMALL};
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::pipeline::{Batch, Load, Piece, Pipeline, Reply};
use crate::read::layout;
use crate::source::Slice;
use crate::store::Store;
use crate::waiting::{Waiting, What};

/// A batch is submitted once it has this many bytes.
pub(crate) const BATCH: usize = 2 << 20;

/// Collects frames into packs of bounded size, over all cores. Nothing is visible before its pack is
/// published, and what an object is made of is never published after the object. What the store
/// already has is not stored again. Dropping a writer without [`Writer::finish`] publishes nothing
/// more. After an error that is not about what was put, nothing more can be put.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    pub(crate) pipeline: Pipeline,
    /// Small blobs that are to be submitted together.
    open: Batch,
    pub(crate) waiting: Waiting,
    bases: Bases,
    fresh: bool,
    suspicious: bool,
}

impl Store {
    /// A writer into this store. It goes by what is here, and fetches nothing.
    pub fn writer(&self) -> Writer {
        let store = self.alone();
        Writer {
            pipeline: Pipeline::new(&store),
            store,
            open: Batch::default(),
            waiting: Waiting::default(),
            bases: Bases::default(),
            fresh: false,
            suspicious: false,
        }
    }
}

impl Writer {
    /// The store that it writes into.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// From now on what is stored already is read back, and stored again if it is damaged. Without
    /// this, only damage that this process has seen is mended.
    pub fn trust_nothing(&mut self) {
        self.suspicious = true;
        self.pipeline.trust_nothing();
    }

    /// From now on tensors may be stored as differences to their namesakes of the same size in these
    /// files and folders, looked into once weights are put. What has no tensors, or cannot be read, is passed over.
    pub fn set_bases(&mut self, contents: &[ContentId]) {
        self.bases = Bases::new(contents);
    }

    /// Stores a blob that is read to its end; returns its id and size in bytes. Uses bounded
    /// memory. Its tensors, if it has any, are not recognised: see [`Writer::put_copy`].
    pub fn put_blob(&mut self, source: &mut dyn Read) -> Result<(BlobId, u64)> {
        self.put_stream(source, None, None, None)
    }

    /// The same, cut at the tensors of its layout, if it has one; `earlier` was a version of it, and nothing
    /// depends on that but time and room.
    pub(crate) fn put_version(
        &mut self,
        source: &mut dyn Read,
        layout: Option<&Layout>,
        earlier: Option<BlobId>,
    ) -> Result<(BlobId, u64)> {
        self.put_stream(source, layout, earlier, None)
    }

    /// What was at this path in the first base that is a folder and has a file there, or, for an empty path, in the
    /// first that is a file.
    pub(crate) fn namesake(&mut self, path: &Path) -> Result<Option<BlobId>> {
        self.bases.namesake(&self.store, path)
    }

    /// Stores a blob with these bytes.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result<BlobId> {
        let layout = layout(&mut Slice(bytes), bytes.len() as u64)?;
        let mut source = bytes;
        self.put_stream(&mut source, layout.as_ref(), None, None).map(|(id, _)| id)
    }

    /// Stores a structured object.
    pub fn put<O: Object>(&mut self, object: &O) -> Result<O::Id> {
        let bytes = object.encode();
        let (kind, len) = (O::KIND, bytes.len() as u64);
        if len > MAX_OBJECT_BYTES {
            let limit = MAX_OBJECT_BYTES;
            return Err(SchemaError::TooLarge { kind, bytes: len, limit }.into());
        }
        // Each of its items takes a byte, so that only a long one can have too many to be read.
        if len > MAX_ITEMS {
            lab_schema::object::links(kind, &bytes)?;
        }
        let id = O::id_of(kind.digest(&bytes));
        self.put_object(id.into(), bytes)?;
        Ok(id)
    }

    /// Stores bytes that claim to be the object `id`; returns their number. Refuses bytes that
    /// hash to anything else, and structured objects that are not canonical.
    pub fn put_verified(&mut self, id: ObjectId, source: &mut dyn Read) -> Result<u64> {
        self.put_copy(id, source, None)
    }

    /// The same; a blob is cut at the tensors of its layout, if it has one.
    pub fn put_copy(
        &mut self,
        id: ObjectId,
        source: &mut dyn Read,
        layout: Option<&Layout>,
    ) -> Result<u64> {
        if let ObjectId::Blob(blob) = id {
            return self.put_stream(source, layout, None, Some(blob)).map(|(_, bytes)| bytes);
        }
        let mut bytes = Vec::new();
        source.take(MAX_OBJECT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let len = bytes.len() as u64;
        if len > MAX_OBJECT_BYTES || id.kind().digest(&bytes) != id.digest() {
            return Err(ObjectsError::Corrupt { id });
        }
        lab_schema::object::links(id.kind(), &bytes)?;
        self.put_object(id, bytes)?;
        Ok(len)
    }

    /// Publishes what is left: everything put is now durable and visible.
    pub fn finish(mut self) -> Result<()> {
        self.submit_open()?;
        self.pipeline.wait_for_all()?;
        self.waiting.release(&self.store, &self.pipeline)?;
        self.waiting.flush(&self.pipeline)?;
        self.pipeline.finish()?;
        self.waiting.finish(&self.store)?;
        // What was there already was not stored again.
        self.store.settle()
    }

    /// Stores what a worker loads: small files, each of which becomes a blob. Their ids come with
    /// [`Writer::loaded`].
    pub(crate) fn put_loaded(&mut self, load: Load) -> Result<Reply> {
        self.begin()?;
        self.submit_open()?;
        let mut bytes = self.pipeline.memory();
        bytes.clear();
        let reply = self.pipeline.submit(Batch { bytes, pieces: Vec::new(), load: Some(load) })?;
        self.waiting.release(&self.store, &self.pipeline)?;
        Ok(reply)
    }

    /// Waits until what was to be loaded is.
    pub(crate) fn loaded(&self, reply: &Reply) -> Result<()> {
        self.pipeline.wait(reply)
    }

    /// Whether the blob is stored, so that it need not be put again.
    pub(crate) fn relies_on(&mut self, id: BlobId) -> Result<bool> {
        self.begin()?;
        let keys: Vec<FrameKey> = FrameKey::of_object(id.into()).collect();
        Ok(self.pipeline.holds(&keys)? && self.store.keeps(id.into())?)
    }

    /// What other processes stored before this writer began is not stored again.
    pub(crate) fn begin(&mut self) -> Result<()> {
        if !self.fresh {
            self.store.refresh()?;
            self.fresh = true;
        }
        Ok(())
    }

    fn put_object(&mut self, id: ObjectId, bytes: Vec<u8>) -> Result<()> {
        self.begin()?;
        let Some(key) = FrameKey::of_object(id).next() else { return Ok(()) };
        if self.pipeline.claim(key)? {
            self.hold_back(What::Frame(key, bytes));
        }
        self.waiting.release(&self.store, &self.pipeline)
    }

    /// Queues what stands on all that has been put so far.
    pub(crate) fn hold_back(&mut self, what: What) {
        let under_way = u64::from(!self.open.pieces.is_empty());
        let number = self.pipeline.submitted() + under_way;
        self.waiting.push(number, what);
    }

    fn put_stream(
        &mut self,
        source: &mut dyn Read,
        layout: Option<&Layout>,
        earlier: Option<BlobId>,
        expected: Option<BlobId>,
    ) -> Result<(BlobId, u64)> {
        self.begin()?;
        // Memory, and how much of it is of this stream.
        let mut bytes = self.pipeline.memory();
        let mut filled = fill(source, &mut bytes, 0, SMALL + 1)?;
        let mut ended = filled <= SMALL;
        if ended {
            return self.put_small(&bytes[..filled], expected);
        }
        // Objects that wait for it count on its being the next batch.
        self.submit_open()?;
        let (bases, earlier) = match (layout, earlier) {
            (Some(layout), earlier) => (self.bases.find(&self.store, layout, earlier)?, None),
            (None, Some(earlier)) => (None, bases::chunks(&self.store, earlier)?),
            (None, None) => (None, None),
        };
        let store = &self.store.clone();
        // An earlier chunk that cannot be read is of no help; whoever needs it will say so.
        let fetch = |digest| store.base(digest).ok().flatten().map(|base| base.bytes);
        let earlier = earlier.map(|chunks| Earlier::new(chunks, Box::new(fetch)));
        let mut cutter = Cutter::new(layout, earlier);
        let mut whole = Kind::Blob.hasher();
        let (mut size, mut replies) = (0, Vec::new());
        while filled > 0 || !ended {
            if !ended {
                let wanted = cutter.reach(BATCH).max(filled + 1);
                filled = fill(source, &mut bytes, filled, wanted)?;
                ended = filled < wanted;
            }
            let (mut pieces, mut at) = (Vec::new(), 0);
            while let Some(cut) = cutter.next(&bytes[at..filled], ended) {
                let bases = match (&bases, cut.tensor) {
                    (Some(bases), Some((tensor, at))) => [bases.chunk(tensor, at, cut.bytes), None],
                    _ => cut.like,
                };
                pieces.push(Piece {
                    kind: FrameKind::Chunk,
                    range: at..at + cut.bytes,
                    element: cut.element,
                    digest: None,
                    bases,
                });
                at += cut.bytes;
            }
            whole.update(&bytes[..at]);
            size += at as u64;
            // What is left begins the next batch.
            let mut next = self.pipeline.memory();
            let left = filled - at;
            next.resize(next.len().max(left), 0);
            next[..left].copy_from_slice(&bytes[at..filled]);
            let batch = Batch { bytes: std::mem::replace(&mut bytes, next), pieces, load: None };
            filled = left;
            if !batch.pieces.is_empty() {
                replies.push(self.pipeline.submit(batch)?);
                self.waiting.release(&self.store, &self.pipeline)?;
            }
        }
        let id = as_expected(whole.finish(), expected)?;
        let key = FrameKey::new(FrameKind::List, id.digest());
        if self.pipeline.claim(key)? {
            self.hold_back(What::List(id, replies));
        } else if self.store.catalog().holds(&key) {
            self.hold_back(What::Listed(id, replies, self.suspicious));
        }
        Ok((id, size))
    }

    fn put_small(&mut self, bytes: &[u8], expected: Option<BlobId>) -> Result<(BlobId, u64)> {
        let id = as_expected(BlobId::of(bytes), expected)?;
        let start = self.open.bytes.len();
        self.open.bytes.extend_from_slice(bytes);
        self.open.pieces.push(Piece {
            kind: FrameKind::Blob,
            range: start..self.open.bytes.len(),
            element: Element::Other,
            digest: Some(id.digest()),
            bases: [None; 2],
        });
        if self.open.bytes.len() + SMALL > BATCH {
            self.submit_open()?;
        }
        Ok((id, bytes.len() as u64))
    }

    fn submit_open(&mut self) -> Result<()> {
        if !self.open.pieces.is_empty() {
            let batch = std::mem::take(&mut self.open);
            self.pipeline.submit(batch)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} bytes)", self.bytes.len())
    }
}

/// Reads until `wanted` of `bytes` are filled, of which the first `filled` are, or the source ends;
/// returns how many then are.
fn fill(
    source: &mut dyn Read,
    bytes: &mut Vec<u8>,
    mut filled: usize,
    wanted: usize,
) -> Result<usize> {
    // Memory that has been used before is not zeroed again.
    bytes.resize(bytes.len().max(wanted), 0);
    while filled < wanted {
        match source.read(&mut bytes[filled..wanted]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(e)),
        }
    }
    Ok(filled)
}

fn as_expected(id: BlobId, expected: Option<BlobId>) -> Result<BlobId> {
    match expected {
        Some(other) if other != id => Err(ObjectsError::Corrupt { id: other.into() }),
        _ => Ok(id),
    }
}

fn unreadable(source: io::Error) -> ObjectsError {
    ObjectsError::Stream { verb: "read what is to be stored", source }
}
