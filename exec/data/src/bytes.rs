//! Binary files, read piece by piece.
//!
//! A piece has the length that the file announces, which may be a lie: memory is taken as bytes
//! arrive, not as they are announced. What is short or too long is an error that says where.

use std::io::Read;

use crate::error::{DataError, Result};

/// A source that is read from its start to its end, and what errors call it.
pub(crate) struct Pieces<R> {
    source: R,
    file: String,
    read: u64,
}

impl<R: Read> Pieces<R> {
    pub(crate) fn new(source: R, file: impl Into<String>) -> Self {
        Pieces { source, file: file.into(), read: 0 }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The next `length` bytes, which are `what`.
    pub(crate) fn take(&mut self, length: u64, what: &str) -> Result<Vec<u8>> {
        let mut piece = Vec::new();
        let found = self.source.by_ref().take(length).read_to_end(&mut piece);
        let found = found.map_err(|source| self.failed(source))? as u64;
        self.read += found;
        match found == length {
            true => Ok(piece),
            false => {
                let (file, what) = (self.file.clone(), what.to_owned());
                Err(DataError::CutOff { file, what, needs: length, found })
            }
        }
    }

    /// The next `N` bytes, which are `what`.
    pub(crate) fn fixed<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let piece = self.take(N as u64, what)?;
        let mut fixed = [0; N];
        fixed.copy_from_slice(&piece);
        Ok(fixed)
    }

    /// Makes sure that nothing is left.
    pub(crate) fn end(mut self) -> Result<()> {
        let mut more = Vec::new();
        let found = self.source.by_ref().take(1).read_to_end(&mut more);
        match found.map_err(|source| self.failed(source))? {
            0 => Ok(()),
            _ => Err(DataError::Trailing { file: self.file, end: self.read }),
        }
    }

    pub(crate) fn malformed(&self, why: impl Into<String>) -> DataError {
        DataError::Malformed { file: self.file.clone(), why: why.into() }
    }

    fn failed(&self, source: std::io::Error) -> DataError {
        DataError::Read { file: self.file.clone(), source }
    }
}
