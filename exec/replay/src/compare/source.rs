//! Bytes that are read in ranges, so that files larger than memory can be compared.
//!
//! [`Source`] is all that the comparison knows of a store. A [`Window`] holds one block of it;
//! reading forward in small steps costs one read per block.

use lab_objects::Store;
use lab_schema::BlobId;

use crate::error::{ReplayError, Result};

/// Bytes read at once.
const BLOCK: u64 = 4 << 20;

/// Bytes with a known length.
pub(crate) trait Source {
    /// Number of bytes.
    fn len(&self) -> u64;
    /// The bytes `offset .. offset + len`, exactly; the caller stays inside.
    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>>;
}

/// A blob in a store.
pub(crate) struct Blob<'a> {
    store: &'a Store,
    id: BlobId,
    len: u64,
}

impl<'a> Blob<'a> {
    /// The blob `id`; refuses one that the store does not have.
    pub(crate) fn open(store: &'a Store, id: BlobId) -> Result<Blob<'a>> {
        let len = store.size(id)?.ok_or(ReplayError::Missing { id: id.into() })?;
        Ok(Blob { store, id, len })
    }
}

impl Source for Blob<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let bytes = self.store.read_range(self.id, offset..offset + len)?;
        if bytes.len() as u64 != len {
            let found = bytes.len() as u64;
            return Err(ReplayError::ShortRead { id: self.id, offset, expected: len, found });
        }
        Ok(bytes)
    }
}

/// One block of a source.
pub(crate) struct Window<'a> {
    source: &'a dyn Source,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Most bytes that may be taken at once.
    pub(crate) const STEP: u64 = 256 << 10;

    /// A window that has not read anything yet.
    pub(crate) fn new(source: &'a dyn Source) -> Window<'a> {
        Window { source, start: 0, bytes: Vec::new() }
    }

    /// Number of bytes of the source.
    pub(crate) fn len(&self) -> u64 {
        self.source.len()
    }

    /// Up to `len` bytes from `offset` on; fewer only at the end of the source, and never more
    /// than [`Window::STEP`].
    pub(crate) fn take(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        let left = self.source.len().saturating_sub(offset);
        let len = len.min(Self::STEP).min(left);
        if len == 0 {
            return Ok(&[]);
        }
        let inside = offset >= self.start
            && offset.saturating_add(len) <= self.start.saturating_add(self.bytes.len() as u64);
        if !inside {
            self.bytes = self.source.read(offset, BLOCK.min(left))?;
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + len as usize])
    }
}

/// Bytes in memory.
impl Source for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        Ok(self[offset as usize..(offset + len) as usize].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_gives_every_byte_in_any_order() {
        let bytes: Vec<u8> = (0..9 << 20).map(|i: u32| (i / 7) as u8).collect();
        let source = bytes.as_slice();
        let mut window = Window::new(&source);
        for offset in [0, 1, (4 << 20) - 3, 5 << 20, 12, (9 << 20) - 5, 9 << 20, 10 << 20] {
            let end = bytes.len().min(offset + 100);
            let expected = bytes.get(offset..end).unwrap_or_default();
            assert_eq!(window.take(offset as u64, 100).unwrap(), expected);
        }
    }
}
