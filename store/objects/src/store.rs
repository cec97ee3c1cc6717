//! Objects by id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use lab_schema::{BlobId, Digest, IdPrefix, Kind, Object, ObjectId};

use crate::backend::{Backend, Key, PackId, Room};
use crate::error::{ObjectsError, Result};

const FORMAT: &[u8] = b"lab store 1\n";

/// Objects and names behind a backend. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) backend: Arc<dyn Backend>,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    packs: BTreeMap<PackId, Vec<ObjectId>>,
    objects: BTreeMap<ObjectId, Arc<Vec<u8>>>,
}

impl Store {
    /// A new, empty store.
    pub fn create(backend: Arc<dyn Backend>) -> Result<Store> {
        backend.publish(&Key::Format, FORMAT)?;
        Store::open(backend)
    }

    /// The store behind `backend`.
    pub fn open(backend: Arc<dyn Backend>) -> Result<Store> {
        match backend.read(&Key::Format)? {
            Some(bytes) if bytes == FORMAT => {
                Ok(Store { inner: Arc::new(Inner { backend, index: Mutex::default() }) })
            }
            _ => Err(ObjectsError::NotAStore { path: "".into() }),
        }
    }

    fn lookup<T>(&self, look: impl Fn(&Index) -> Option<T>) -> Result<Option<T>> {
        let mut index = self.inner.index.lock().unwrap_or_else(|p| p.into_inner());
        if let Some(found) = look(&index) {
            return Ok(Some(found));
        }
        self.refresh(&mut index)?;
        Ok(look(&index))
    }

    fn refresh(&self, index: &mut Index) -> Result<()> {
        for (key, _) in self.inner.backend.list(Room::Packs)? {
            let Key::Pack(id) = key else { continue };
            if index.packs.contains_key(&id) {
                continue;
            }
            let bytes = self.inner.backend.read(&key)?.unwrap_or_default();
            let mut rest = bytes.as_slice();
            let mut objects = Vec::new();
            while let Some((head, tail)) = rest.split_first_chunk::<41>() {
                let kind = Kind::ALL[usize::from(head[0]) % 5];
                let mut digest = [0; 32];
                digest.copy_from_slice(&head[1..33]);
                let mut len = [0; 8];
                len.copy_from_slice(&head[33..]);
                let len = usize::try_from(u64::from_le_bytes(len)).unwrap_or(usize::MAX);
                let Some((data, tail)) = tail.split_at_checked(len) else { break };
                let object = ObjectId::new(kind, Digest::from_bytes(digest));
                index.objects.insert(object, Arc::new(data.to_vec()));
                objects.push(object);
                rest = tail;
            }
            index.packs.insert(id, objects);
        }
        Ok(())
    }

    fn bytes(&self, id: ObjectId) -> Result<Option<Arc<Vec<u8>>>> {
        let found = self.lookup(|index| index.objects.get(&id).cloned())?;
        match found {
            Some(bytes) if id.kind().digest(&bytes) != id.digest() => {
                Err(ObjectsError::Damaged { what: id.to_string(), why: "wrong hash" })
            }
            found => Ok(found),
        }
    }

    /// Whether the object is here.
    pub fn has(&self, id: impl Into<ObjectId>) -> Result<bool> {
        Ok(self.bytes(id.into())?.is_some())
    }

    /// Bytes of the object.
    pub fn size(&self, id: impl Into<ObjectId>) -> Result<Option<u64>> {
        Ok(self.bytes(id.into())?.map(|b| b.len() as u64))
    }

    /// The object, verified.
    pub fn get<O: Object>(&self, id: O::Id) -> Result<Option<O>> {
        Ok(self.bytes(id.into())?.map(|b| O::decode(&b)).transpose()?)
    }

    /// The object; an error if it is absent.
    pub fn load<O: Object>(&self, id: O::Id) -> Result<O> {
        self.get(id)?.ok_or(ObjectsError::Missing { id: id.into() })
    }

    /// The object's bytes as a stream.
    pub fn open_object(&self, id: impl Into<ObjectId>) -> Result<Option<ObjectReader>> {
        Ok(self.bytes(id.into())?.map(|bytes| ObjectReader { bytes, at: 0 }))
    }

    /// Copies the object's bytes; returns their number.
    pub fn copy(&self, id: impl Into<ObjectId>, to: &mut dyn Write) -> Result<u64> {
        let id = id.into();
        let bytes = self.bytes(id)?.ok_or(ObjectsError::Missing { id })?;
        to.write_all(&bytes)
            .map_err(|source| ObjectsError::Stream { verb: "pass on an object", source })?;
        Ok(bytes.len() as u64)
    }

    /// A whole blob in memory.
    pub fn read_blob(&self, id: BlobId, limit_bytes: u64) -> Result<Vec<u8>> {
        let bytes = self.bytes(id.into())?.ok_or(ObjectsError::Missing { id: id.into() })?;
        if bytes.len() as u64 > limit_bytes {
            let (bytes, limit) = (bytes.len() as u64, limit_bytes);
            return Err(ObjectsError::TooLarge { id: id.into(), bytes, limit });
        }
        Ok(bytes.to_vec())
    }

    /// Part of a blob.
    pub fn read_range(&self, id: BlobId, range: Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.bytes(id.into())?.ok_or(ObjectsError::Missing { id: id.into() })?;
        let (start, end, size) = (range.start, range.end, bytes.len() as u64);
        let found = usize::try_from(start)
            .ok()
            .zip(usize::try_from(end).ok())
            .and_then(|(start, end)| bytes.get(start..end))
            .map(<[u8]>::to_vec);
        found.ok_or(ObjectsError::OutOfRange { id: id.into(), start, end, bytes: size })
    }

    fn with_index<T>(&self, read: impl Fn(&Index) -> T) -> Result<T> {
        let mut index = self.inner.index.lock().unwrap_or_else(|p| p.into_inner());
        self.refresh(&mut index)?;
        Ok(read(&index))
    }

    /// All objects of a kind, sorted.
    pub fn list(&self, kind: Kind) -> Result<Vec<ObjectId>> {
        self.with_index(|i| i.objects.keys().filter(|id| id.kind() == kind).copied().collect())
    }

    /// All objects whose id starts like this, sorted.
    pub fn find(&self, prefix: &IdPrefix) -> Result<Vec<ObjectId>> {
        let matches = |id: &&ObjectId| prefix.matches(&id.digest());
        self.with_index(|i| i.objects.keys().filter(matches).copied().collect())
    }

    /// All packs, sorted.
    pub fn packs(&self) -> Result<Vec<PackId>> {
        self.with_index(|i| i.packs.keys().copied().collect())
    }

    /// The objects recorded in a pack.
    pub fn pack_objects(&self, pack: PackId) -> Result<Vec<ObjectId>> {
        let objects = self.with_index(|i| i.packs.get(&pack).cloned())?.unwrap_or_default();
        Ok(objects.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// Reads an object's bytes.
#[derive(Debug)]
pub struct ObjectReader {
    bytes: Arc<Vec<u8>>,
    at: usize,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.bytes.len() - self.at);
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
