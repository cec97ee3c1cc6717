//! Bytes that can be read anywhere: of a file, and in memory.

use std::fs::File;
use std::io;

use lab_encoding::weights::Source;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

/// A file, read anywhere.
pub(crate) struct Random<'a>(pub(crate) &'a File);

impl Source for Random<'_> {
    fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let size = self.0.metadata()?.len();
        let len = (len as u64).min(size.saturating_sub(offset)) as usize;
        // Not zeroed first.
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            match pread(self.0, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}

/// Bytes in memory.
pub(crate) struct Slice<'a>(pub(crate) &'a [u8]);

impl Source for Slice<'_> {
    fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        Ok(self.0[start..start + len.min(self.0.len() - start)].to_vec())
    }
}
