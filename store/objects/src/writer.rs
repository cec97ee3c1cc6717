//! Objects on their way into a store.

use std::io::Read;

use lab_schema::{BlobId, Kind, Object, ObjectId};

use crate::backend::{Key, PackId};
use crate::error::{ObjectsError, Result};
use crate::store::Store;

/// Collects objects into packs; nothing is visible before it is published.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    pack: Vec<u8>,
}

impl Store {
    /// A writer into this store.
    pub fn writer(&self) -> Writer {
        Writer { store: self.clone(), pack: Vec::new() }
    }
}

impl Writer {
    fn append(&mut self, id: ObjectId, bytes: &[u8]) {
        let kind = Kind::ALL.iter().position(|k| *k == id.kind()).unwrap_or(0);
        self.pack.push(kind as u8);
        self.pack.extend_from_slice(id.digest().as_bytes());
        self.pack.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.pack.extend_from_slice(bytes);
    }

    /// Stores a blob that is read to its end; returns its id and size.
    pub fn put_blob(&mut self, source: &mut dyn Read) -> Result<(BlobId, u64)> {
        let bytes = read_all(source)?;
        Ok((self.put_bytes(&bytes)?, bytes.len() as u64))
    }

    /// Stores a blob with these bytes.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result<BlobId> {
        let id = BlobId::of(bytes);
        self.append(id.into(), bytes);
        Ok(id)
    }

    /// Stores a structured object.
    pub fn put<O: Object>(&mut self, object: &O) -> Result<O::Id> {
        let id = object.id();
        self.append(id.into(), &object.encode());
        Ok(id)
    }

    /// Stores bytes that claim to be the object `id`; returns their number.
    pub fn put_verified(&mut self, id: ObjectId, source: &mut dyn Read) -> Result<u64> {
        let bytes = read_all(source)?;
        if id.kind().digest(&bytes) != id.digest() {
            return Err(ObjectsError::Corrupt { id });
        }
        lab_schema::object::links(id.kind(), &bytes)?;
        self.append(id, &bytes);
        Ok(bytes.len() as u64)
    }

    /// Publishes what is left: everything put is now durable and visible.
    pub fn finish(self) -> Result<()> {
        if self.pack.is_empty() {
            return Ok(());
        }
        let id = PackId::from_digest(BlobId::of(&self.pack).digest());
        self.store.inner.backend.publish(&Key::Pack(id), &self.pack)
    }
}

fn read_all(source: &mut dyn Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .read_to_end(&mut bytes)
        .map_err(|source| ObjectsError::Stream { verb: "read the input", source })?;
    Ok(bytes)
}
