//! Objects read back; nothing is given out that does not hash to its id.

use std::io::{self, Read, Write};
use std::ops::Range;

use lab_encoding::weights::{self, Layout, Source};
use lab_schema::{BlobHasher, BlobId, Kind, Object, ObjectId};

use crate::chunk::SMALL;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::{Part, Parts};
use crate::listed::{list, node};
use crate::store::Store;

/// Most chunks of a blob that are listed in memory: 40 MB, for 75 GB of text or 1 TB of floats.
const MAX_LISTED: usize = 1 << 20;
/// Of a blob of at most so many bytes that was left out, no parts are read: it is brought.
const WORTH_PARTS: u64 = 1 << 20;

/// Reads an object's bytes, chunk by chunk. Each chunk is checked before it is given out, and
/// the whole before its last chunk is; what is wrong comes as an [`io::Error`] of the kind
/// [`io::ErrorKind::InvalidData`] that wraps an [`ObjectsError`].
#[derive(Debug)]
pub struct ObjectReader {
    id: ObjectId,
    size: u64,
    /// The chunk that is being given out.
    current: Vec<u8>,
    at: usize,
    /// Whether a part could not be read: what follows it would be mistaken for it.
    failed: bool,
    /// None for an object of one frame, which has been checked already.
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    walk: Walk,
    hasher: BlobHasher,
    hashed: u64,
}

/// The chunks of a large blob, in order.
#[derive(Debug)]
pub(crate) struct Walk {
    store: Store,
    stack: Vec<(u8, std::vec::IntoIter<Part>)>,
}

impl Walk {
    /// Over these parts, and what is below them.
    pub(crate) fn new(store: &Store, parts: Parts) -> Walk {
        Walk { store: store.clone(), stack: vec![(parts.level, parts.parts.into_iter())] }
    }

    /// The same, from where it stands.
    fn again(&self) -> Walk {
        Walk { store: self.store.clone(), stack: self.stack.clone() }
    }

    /// All chunks, one after the other.
    pub(crate) fn chunks(mut self) -> impl Iterator<Item = Result<Part>> {
        std::iter::from_fn(move || self.next(&mut 0).transpose())
    }

    /// The next chunk after `skip` bytes, without reading what is skipped. `skip` falls by what
    /// was passed over; what remains of it lies inside the chunk.
    pub(crate) fn next(&mut self, skip: &mut u64) -> Result<Option<Part>> {
        while let Some((level, parts)) = self.stack.last_mut() {
            let level = *level;
            match parts.next() {
                None => {
                    self.stack.pop();
                }
                Some(part) if part.bytes <= *skip => *skip -= part.bytes,
                Some(part) if level == 0 => return Ok(Some(part)),
                Some(part) => {
                    let parts = node(&self.store, part, level)?;
                    self.stack.push((parts.level, parts.parts.into_iter()));
                }
            }
        }
        Ok(None)
    }

    fn read(&self, part: Part) -> Result<Vec<u8>> {
        let bytes = self.store.fetch_chunk(part.digest)?;
        if bytes.len() as u64 == part.bytes {
            return Ok(bytes);
        }
        let what = format!("chunk {}", part.digest.short());
        Err(ObjectsError::Damaged { what, why: "it has another length than its list says" })
    }
}

impl ObjectReader {
    /// Bytes of the whole object.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes the next chunk current; false at the end. Never goes on after an error.
    fn advance(&mut self) -> Result<bool> {
        if self.failed {
            let why = "a part of it could not be read";
            return Err(ObjectsError::Damaged { what: self.id.to_string(), why });
        }
        let advanced = self.next_chunk();
        self.failed = advanced.is_err();
        advanced
    }

    fn next_chunk(&mut self) -> Result<bool> {
        let Some(rest) = &mut self.rest else { return Ok(false) };
        let Some(part) = rest.walk.next(&mut 0)? else { return Ok(false) };
        self.current = rest.walk.read(part)?;
        self.at = 0;
        rest.hasher.update(&self.current);
        rest.hashed += part.bytes;
        if rest.hashed >= self.size && rest.hasher.digest() != self.id.digest() {
            self.current = Vec::new();
            let why = "its chunks do not make up the whole";
            return Err(ObjectsError::Damaged { what: self.id.to_string(), why });
        }
        Ok(true)
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.at == self.current.len()
            && !self.advance().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?
        {
            return Ok(0);
        }
        let n = buffer.len().min(self.current.len() - self.at);
        buffer[..n].copy_from_slice(&self.current[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// A blob to be read anywhere; keeps its own error.
pub(crate) struct Stored<'a> {
    store: &'a Store,
    id: BlobId,
    size: u64,
    failed: Option<ObjectsError>,
}

impl<'a> Stored<'a> {
    /// A blob of `size` bytes.
    pub(crate) fn new(store: &'a Store, id: BlobId, size: u64) -> Stored<'a> {
        Stored { store, id, size, failed: None }
    }

    /// What came of looking into it; the store's own error, if it was that.
    pub(crate) fn outcome<T>(self, found: io::Result<T>) -> Result<T> {
        let failed = |source| ObjectsError::Stream { verb: "read what may be weights", source };
        found.map_err(|error| self.failed.unwrap_or_else(|| failed(error)))
    }
}

impl Source for Stored<'_> {
    fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(len as u64).min(self.size);
        self.store.read_range(self.id, offset.min(end)..end).map_err(|error| {
            let text = error.to_string();
            self.failed = Some(error);
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }
}

/// Where the tensors lie; none if it is no file of weights, or one that is not cut anyway.
pub(crate) fn layout(source: &mut dyn Source, size: u64) -> Result<Option<Layout>> {
    let failed = |source| ObjectsError::Stream { verb: "read what may be weights", source };
    if size <= SMALL as u64 {
        return Ok(None);
    }
    let head = source.read_at(0, 64).map_err(failed)?;
    if !weights::might_have_layout(&head, size) {
        return Ok(None);
    }
    weights::layout(size, source).map_err(failed)
}

impl Store {
    /// The object's bytes as a stream; none if it is absent. What was left out is brought.
    pub fn open_object(&self, id: impl Into<ObjectId>) -> Result<Option<ObjectReader>> {
        let id = id.into();
        let keys: Vec<FrameKey> = FrameKey::of_object(id).collect();
        let found = match (self.fetch(&keys)?, id) {
            (None, ObjectId::Blob(blob)) if self.promised(id)?.is_some() => {
                self.bring(&[blob])?;
                self.fetch(&keys)?
            }
            (found, _) => found,
        };
        let Some((key, bytes)) = found else { return Ok(None) };
        if key.kind != FrameKind::List {
            let size = bytes.len() as u64;
            return Ok(Some(ObjectReader {
                id,
                size,
                current: bytes,
                at: 0,
                failed: false,
                rest: None,
            }));
        }
        let (size, parts) = list(id, &self.best_list(id, bytes)?)?;
        Ok(Some(self.read_parts(id, size, parts)))
    }

    /// A blob that is made of these parts.
    pub(crate) fn read_parts(&self, id: ObjectId, size: u64, parts: Parts) -> ObjectReader {
        let walk = Walk::new(self, parts);
        let rest = Some(Rest { walk, hasher: Kind::Blob.hasher(), hashed: 0 });
        ObjectReader { id, size, current: Vec::new(), at: 0, failed: false, rest }
    }

    fn must_open(&self, id: ObjectId) -> Result<ObjectReader> {
        self.open_object(id)?.ok_or(ObjectsError::Missing { id })
    }

    /// Bytes of the object; none if it is absent. Of what was left out it is what was noted then.
    pub fn size(&self, id: impl Into<ObjectId>) -> Result<Option<u64>> {
        let id = id.into();
        if let ObjectId::Blob(blob) = id
            && !self.knows(blob)
            && let Some(size) = self.promised(id)?
        {
            return Ok(Some(size));
        }
        let keys: Vec<FrameKey> = FrameKey::of_object(id).collect();
        match self.places(&keys)?.first() {
            None => Ok(None),
            Some(place) if place.record.key.kind != FrameKind::List => {
                Ok(Some(u64::from(place.record.bytes)))
            }
            Some(_) => Ok(self.open_object(id)?.map(|reader| reader.size)),
        }
    }

    /// Where the tensors of a blob lie; none if it is no file of weights.
    pub fn layout(&self, id: BlobId) -> Result<Option<Layout>> {
        let size = self.size(id)?.ok_or(ObjectsError::Missing { id: id.into() })?;
        let mut source = Stored::new(self, id, size);
        let found = layout(&mut source, size);
        source.failed.map_or(found, Err)
    }

    /// The chunks of a large blob; none if it is one frame.
    pub(crate) fn walk(&self, id: BlobId) -> Result<Option<Walk>> {
        Ok(self.must_open(id.into())?.rest.map(|rest| rest.walk))
    }

    /// The chunks of a large blob in order; none if it is one frame, or if there are so many
    /// that they would not fit into memory.
    pub(crate) fn chunk_list(&self, id: BlobId) -> Result<Option<Vec<Part>>> {
        let Some(mut walk) = self.walk(id)? else { return Ok(None) };
        let mut parts = Vec::new();
        while let Some(part) = walk.next(&mut 0)? {
            if parts.len() == MAX_LISTED {
                return Ok(None);
            }
            parts.push(part);
        }
        Ok(Some(parts))
    }

    /// The object, verified; none if it is absent.
    pub fn get<O: Object>(&self, id: O::Id) -> Result<Option<O>> {
        let keys: Vec<FrameKey> = FrameKey::of_object(id.into()).collect();
        Ok(self.fetch(&keys)?.map(|(_, bytes)| O::decode(&bytes)).transpose()?)
    }

    /// The object, verified; an error if it is absent.
    pub fn load<O: Object>(&self, id: O::Id) -> Result<O> {
        self.get(id)?.ok_or(ObjectsError::Missing { id: id.into() })
    }

    /// Copies the object's bytes; returns their number. What arrived before an error is part of
    /// the right bytes, but not all of them.
    pub fn copy(&self, id: impl Into<ObjectId>, to: &mut dyn Write) -> Result<u64> {
        let mut reader = self.must_open(id.into())?;
        loop {
            to.write_all(&reader.current[reader.at..])
                .map_err(|source| ObjectsError::Stream { verb: "pass on an object", source })?;
            reader.at = reader.current.len();
            if !reader.advance()? {
                return Ok(reader.size);
            }
        }
    }

    /// A whole blob in memory; refuses one of more than `limit_bytes` before reading it.
    pub fn read_blob(&self, id: BlobId, limit_bytes: u64) -> Result<Vec<u8>> {
        let mut reader = self.must_open(id.into())?;
        if reader.size > limit_bytes {
            let (id, bytes, limit) = (id.into(), reader.size, limit_bytes);
            return Err(ObjectsError::TooLarge { id, bytes, limit });
        }
        let mut bytes = std::mem::take(&mut reader.current);
        while reader.advance()? {
            bytes.append(&mut reader.current);
        }
        Ok(bytes)
    }

    /// Bytes `range` of a blob, from the chunks that hold them; refuses a range that is not
    /// inside it. Each chunk is verified, the whole is not. Of what was left out, and is not small, the
    /// chunks are read where it is, and none of them is kept.
    pub fn read_range(&self, id: BlobId, range: Range<u64>) -> Result<Vec<u8>> {
        let within = |size| match range.start <= range.end && range.end <= size {
            true => Ok(()),
            false => {
                let (start, end, id) = (range.start, range.end, id.into());
                Err(ObjectsError::OutOfRange { id, start, end, bytes: size })
            }
        };
        if let Some((promises, bring)) = &self.promised
            && !self.knows(id)
            && let Some(size) = promises.size(id)?
        {
            within(size)?;
            if range.is_empty() {
                return Ok(Vec::new());
            }
            // As a whole it would be verified as a whole.
            let is_part = size > WORTH_PARTS && range.end - range.start < size;
            if is_part && !self.has(id)? {
                return bring.read_range(id, range);
            }
        }
        let mut reader = self.must_open(id.into())?;
        within(reader.size)?;
        let (start, end) = (range.start, range.end);
        let Some(rest) = &mut reader.rest else {
            return Ok(reader.current[start as usize..end as usize].to_vec());
        };
        if self.backend().is_far() {
            let (mut walk, mut skip) = (rest.walk.again(), start);
            let (mut parts, mut ahead) = (Vec::new(), 0);
            while ahead < end - start {
                let Some(part) = walk.next(&mut skip)? else { break };
                ahead += part.bytes - std::mem::take(&mut skip);
                parts.push(part);
            }
            self.warm_chunks(&parts)?;
        }
        let mut bytes = Vec::new();
        let mut skip = start;
        while (bytes.len() as u64) < end - start {
            let Some(part) = rest.walk.next(&mut skip)? else { break };
            let chunk = rest.walk.read(part)?;
            let wanted = (end - start - bytes.len() as u64).min(part.bytes - skip);
            bytes.extend_from_slice(&chunk[skip as usize..(skip + wanted) as usize]);
            skip = 0;
        }
        Ok(bytes)
    }
}
