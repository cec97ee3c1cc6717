//! A source as something that is read from its start to its end, by parsers that know no store.
//!
//! What goes wrong in the store is kept apart from what is wrong with the file: a parser only hears that
//! it cannot read on, and whoever started it asks afterwards which of the two it was.

use std::cell::RefCell;
use std::io::{self, Read};

use lab_data::gunzipped;

use crate::compare::source::{Source, Window};
use crate::error::{ReplayError, Result};

/// What a parser made of a file, or what is wrong with the file, in words.
pub(crate) type Told<T> = std::result::Result<T, String>;

/// Where the failures of the store go.
pub(crate) type Failed = RefCell<Option<ReplayError>>;

/// A source that is read forward.
pub(crate) struct Stream<'a> {
    window: Window<'a>,
    offset: u64,
    failed: &'a Failed,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(source: &'a dyn Source, failed: &'a Failed) -> Stream<'a> {
        Stream { window: Window::new(source), offset: 0, failed }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.window.take(self.offset, buffer.len() as u64) {
            Ok(bytes) => {
                buffer[..bytes.len()].copy_from_slice(bytes);
                self.offset += bytes.len() as u64;
                Ok(bytes.len())
            }
            Err(error) => {
                let told = io::Error::other(error.to_string());
                *self.failed.borrow_mut() = Some(error);
                Err(told)
            }
        }
    }
}

/// What `parse` makes of a source; an error of the store's is returned as such.
pub(crate) fn parsed<'a, T, E>(
    failed: &Failed,
    parse: impl FnOnce() -> std::result::Result<T, E> + 'a,
) -> Result<std::result::Result<T, E>> {
    let parsed = parse();
    match failed.borrow_mut().take() {
        Some(error) => Err(error),
        None => Ok(parsed),
    }
}

/// Whether a source begins as gzip files do.
pub(crate) fn is_gzip(source: &dyn Source) -> Result<bool> {
    Ok(source.len() >= 2 && source.read(0, 2)? == [0x1f, 0x8b])
}

/// The plain bytes of a source, if they are no more than `most`; else why not, in words.
pub(crate) fn plain(source: &dyn Source, most: u64) -> Result<Told<Vec<u8>>> {
    let failed = Failed::default();
    parsed(&failed, || {
        let mut bytes = Vec::new();
        let stream = gunzipped(Stream::new(source, &failed));
        match stream.take(most + 1).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 <= most => Ok(bytes),
            Ok(_) => Err(format!("it has more than {} MiB", most >> 20)),
            Err(error) => Err(format!("it is damaged: {error}")),
        }
    })
}

/// The first bytes of what is compressed, nine if there are as many; none if it is damaged.
pub(crate) fn begins(source: &dyn Source) -> Result<Vec<u8>> {
    let failed = Failed::default();
    let read = parsed(&failed, || {
        let mut bytes = Vec::new();
        gunzipped(Stream::new(source, &failed)).take(9).read_to_end(&mut bytes).map(|_| bytes)
    })?;
    Ok(read.unwrap_or_default())
}
