//! Lines of a table's file, numbered, with a bound on their length.
//!
//! A line that never ends, such as a decompression bomb, is stopped before memory is. A byte order
//! mark at the start of the file is no part of its first line.

use std::io::{BufRead, BufReader, Read};

use crate::error::{DataError, Result};

/// The most bytes of a row, which may be several lines.
pub(crate) const MAX_ROW_BYTES: u64 = 16 << 20;

/// What errors call the source.
pub(crate) const FILE: &str = "the table";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A source, line by line.
pub(crate) struct Lines<R> {
    source: BufReader<R>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(source: R) -> Self {
        Lines { source: BufReader::with_capacity(1 << 16, source), number: 0 }
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Puts the next line, with its end, behind what is in `row`; false if there is none.
    pub(crate) fn append(&mut self, row: &mut Vec<u8>) -> Result<bool> {
        let start = row.len();
        let limit = MAX_ROW_BYTES.saturating_sub(start as u64) + 1;
        let read = self.source.by_ref().take(limit).read_until(b'\n', row);
        let read = read.map_err(|source| DataError::Read { file: FILE.into(), source })?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if row.len() as u64 > MAX_ROW_BYTES {
            return Err(DataError::LongRow { line: self.number, limit: MAX_ROW_BYTES });
        }
        if self.number == 1 && row[start..].starts_with(BYTE_ORDER_MARK) {
            row.drain(start..start + BYTE_ORDER_MARK.len());
        }
        Ok(true)
    }
}

/// A line without its end, which is `\n` or `\r\n`.
pub(crate) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
