//! Objects on their way into a store.

use std::collections::HashSet;
use std::io::Read;

use lab_schema::codec::MAX_OBJECT_BYTES;
use lab_schema::{BlobId, Digest, Kind, Object, ObjectId, SchemaError};

use crate::backend::{Key, PackId, Room};
use crate::catalog::PackState;
use crate::chunk::{Buffer, Chunker};
use crate::error::{ObjectsError, Result};
use crate::frame::{Encoder, FrameKey, FrameKind};
use crate::list::{ListBuilder, Part};
use crate::pack::{Pack, PackBuilder};
use crate::store::Store;

/// Collects frames into packs of bounded size. Nothing is visible before its pack is published,
/// and what an object is made of is never published after the object. What the store already has
/// is not stored again. Dropping a writer without [`Writer::finish`] publishes nothing more.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    /// What the pack that is being filled holds.
    pending: HashSet<FrameKey>,
    pack: PackBuilder,
    /// Made when it is first needed.
    encoder: Option<Encoder>,
    buffer: Buffer,
    fresh: bool,
    suspicious: bool,
}

impl Store {
    /// A writer into this store.
    pub fn writer(&self) -> Writer {
        Writer {
            store: self.clone(),
            pending: HashSet::new(),
            pack: PackBuilder::new(),
            encoder: None,
            buffer: Buffer::default(),
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
    }

    /// Stores a blob that is read to its end; returns its id and size in bytes. Uses bounded
    /// memory.
    pub fn put_blob(&mut self, source: &mut dyn Read) -> Result<(BlobId, u64)> {
        self.put_stream(source, None)
    }

    /// Stores a blob with these bytes.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result<BlobId> {
        let mut source = bytes;
        self.put_stream(&mut source, None).map(|(id, _)| id)
    }

    /// Stores a structured object.
    pub fn put<O: Object>(&mut self, object: &O) -> Result<O::Id> {
        let bytes = object.encode();
        let (kind, len) = (O::KIND, bytes.len() as u64);
        if len > MAX_OBJECT_BYTES {
            let limit = MAX_OBJECT_BYTES;
            return Err(SchemaError::TooLarge { kind, bytes: len, limit }.into());
        }
        let id = O::id_of(kind.digest(&bytes));
        self.put_object(id.into(), &bytes)?;
        Ok(id)
    }

    /// Stores bytes that claim to be the object `id`; returns their number. Refuses bytes that
    /// hash to anything else, and structured objects that are not canonical.
    pub fn put_verified(&mut self, id: ObjectId, source: &mut dyn Read) -> Result<u64> {
        if let ObjectId::Blob(blob) = id {
            return self.put_stream(source, Some(blob)).map(|(_, bytes)| bytes);
        }
        let mut bytes = Vec::new();
        source.take(MAX_OBJECT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let len = bytes.len() as u64;
        if len > MAX_OBJECT_BYTES || id.kind().digest(&bytes) != id.digest() {
            return Err(ObjectsError::Corrupt { id });
        }
        lab_schema::object::links(id.kind(), &bytes)?;
        self.put_object(id, &bytes)?;
        Ok(len)
    }

    /// Publishes what is left: everything put is now durable and visible.
    pub fn finish(mut self) -> Result<()> {
        self.publish()?;
        // What was there already was not stored again.
        self.store.settle()?;
        self.restore_indexes()
    }

    fn put_object(&mut self, id: ObjectId, bytes: &[u8]) -> Result<()> {
        FrameKey::of_object(id).take(1).try_for_each(|key| self.put_frame(key, bytes))
    }

    fn put_stream(
        &mut self,
        source: &mut dyn Read,
        expected: Option<BlobId>,
    ) -> Result<(BlobId, u64)> {
        // The chunker borrows the buffer while this writer stores what it cuts.
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.put_chunks(&mut Chunker::new(source, &mut buffer), expected);
        self.buffer = buffer;
        result
    }

    fn put_chunks(
        &mut self,
        chunker: &mut Chunker<'_>,
        expected: Option<BlobId>,
    ) -> Result<(BlobId, u64)> {
        let mut whole = Kind::Blob.hasher();
        let mut list = ListBuilder::default();
        let mut size = 0;
        let mut before = None;
        while let Some(cut) = chunker.next().map_err(unreadable)? {
            let digest = match before {
                Some(digest) if cut.again => digest,
                _ => BlobId::of(cut.bytes).digest(),
            };
            if cut.last && size == 0 {
                return self.put_single(BlobId::from_digest(digest), cut.bytes, expected);
            }
            size += cut.bytes.len() as u64;
            whole.update(cut.bytes);
            if before != Some(digest) && !self.holds(&FrameKey::of_chunk(digest))? {
                self.put_frame(FrameKey::new(FrameKind::Chunk, digest), cut.bytes)?;
            }
            before = Some(digest);
            list.push(Part { digest, bytes: cut.bytes.len() as u64 });
            self.put_nodes(list.take_nodes())?;
        }
        if size == 0 {
            return self.put_single(BlobId::of(b""), b"", expected);
        }
        let id = as_expected(whole.finish(), expected)?;
        let (nodes, frame) = list.finish(id.digest());
        self.put_nodes(nodes)?;
        self.put_frame(FrameKey::new(FrameKind::List, id.digest()), &frame)?;
        Ok((id, size))
    }

    fn put_single(
        &mut self,
        id: BlobId,
        bytes: &[u8],
        expected: Option<BlobId>,
    ) -> Result<(BlobId, u64)> {
        let id = as_expected(id, expected)?;
        self.put_frame(FrameKey::new(FrameKind::Blob, id.digest()), bytes)?;
        Ok((id, bytes.len() as u64))
    }

    fn put_nodes(&mut self, nodes: Vec<(Digest, Vec<u8>)>) -> Result<()> {
        nodes.iter().try_for_each(|(digest, frame)| {
            self.put_frame(FrameKey::new(FrameKind::Node, *digest), frame)
        })
    }

    /// Whether one of these frames is on its way, or stored where it is not known to be damaged.
    fn holds(&self, keys: &[FrameKey]) -> Result<bool> {
        if keys.iter().any(|key| self.pending.contains(key)) {
            return Ok(true);
        }
        // What is not even recorded need not be looked for: that would list all packs each time.
        if self.suspicious && keys.iter().any(|key| self.store.catalog().knows(key)) {
            match self.store.fetch(keys) {
                // Damage that was seen is remembered, and therefore not relied on below.
                Ok(_) | Err(ObjectsError::Damaged { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(keys.iter().any(|key| self.store.catalog().holds(key)))
    }

    fn put_frame(&mut self, key: FrameKey, bytes: &[u8]) -> Result<()> {
        if !self.fresh {
            // What other processes stored before this writer began is not stored again.
            self.store.refresh()?;
            self.fresh = true;
        }
        if self.holds(&[key])? {
            return Ok(());
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::new()?),
        };
        self.pack.push(key, bytes, encoder)?;
        self.pending.insert(key);
        if self.pack.is_full() { self.publish() } else { Ok(()) }
    }

    /// Publishes the pack that is being filled, then its index.
    fn publish(&mut self) -> Result<()> {
        if self.pack.is_empty() {
            return Ok(());
        }
        let pack = std::mem::replace(&mut self.pack, PackBuilder::new()).finish();
        if let Err(error) = self.publish_pack(&pack) {
            // Nothing that was put is dropped: finishing tries again.
            self.pack = pack.reopen();
            return Err(error);
        }
        self.pending.clear();
        self.store.catalog_mut().insert(pack.id, &pack.records, true);
        publish_index(&self.store, pack.id, pack.tail())
    }

    fn publish_pack(&self, pack: &Pack) -> Result<()> {
        let backend = self.store.backend();
        match backend.publish(&Key::Pack(pack.id), &pack.bytes) {
            // The name is the hash of the bytes: other bytes under it are damaged.
            Err(ObjectsError::RefusedKey { .. }) => backend.mend(&Key::Pack(pack.id), &pack.bytes),
            published => published,
        }
    }

    /// Publishes the indexes that were found lost or damaged.
    fn restore_indexes(&self) -> Result<()> {
        let lost = |(id, state): (&PackId, &PackState)| {
            (*state == PackState::Readable { unindexed: true }).then_some(*id)
        };
        let lost: Vec<PackId> = self.store.catalog().packs().iter().filter_map(lost).collect();
        if lost.is_empty() {
            return Ok(());
        }
        for (key, bytes) in self.store.backend().list(Room::Packs)? {
            if let Key::Pack(id) = key
                && lost.contains(&id)
                && let Some(Ok(tail)) = self.store.read_tail(id, bytes)?
                && crate::pack::parse_tail(&tail, bytes).is_ok()
            {
                publish_index(&self.store, id, &tail)?;
            }
        }
        Ok(())
    }
}

/// Publishes an index, in the place of a damaged one if there is one.
fn publish_index(store: &Store, id: PackId, tail: &[u8]) -> Result<()> {
    let key = Key::Index(id);
    match store.backend().publish(&key, tail) {
        Err(ObjectsError::RefusedKey { .. }) => store.backend().mend(&key, tail)?,
        published => published?,
    }
    store.catalog_mut().set_indexed(id);
    Ok(())
}

fn as_expected(id: BlobId, expected: Option<BlobId>) -> Result<BlobId> {
    match expected {
        Some(other) if other != id => Err(ObjectsError::Corrupt { id: other.into() }),
        _ => Ok(id),
    }
}

fn unreadable(source: std::io::Error) -> ObjectsError {
    ObjectsError::Stream { verb: "read what is to be stored", source }
}
