//! A file to look into: random access, with bounds.
//!
//! Every length in a header is a claim by a stranger. All reading goes through [`Input`], which
//! checks that a range lies in the file and below the limit before anything is allocated. What
//! does not hold is [`Stop::Unfit`]: the file is then none that this module knows, not an error.

use std::io;

/// The longest header, directory or table of contents that is read: 100 MB, the limit that
/// safetensors sets for its own.
pub(super) const MAX_HEADER: u64 = 100_000_000;
/// How much a [`Cursor`] reads at a time.
const WINDOW: u64 = 64 << 10;

/// Random access to the bytes of one file.
pub trait Source {
    /// The bytes from `offset` on: `len` of them, fewer only at the end of the file.
    fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
}

impl<F: FnMut(u64, usize) -> io::Result<Vec<u8>>> Source for F {
    fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self(offset, len)
    }
}

/// Why looking into a file ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The header does not make sense.
    #[error("not a weights file of this kind")]
    Unfit,
}

/// What a step of a reader comes to.
pub(super) type Step<T> = Result<T, Stop>;

/// A source and the size of its file.
pub(super) struct Input<'a> {
    source: &'a mut dyn Source,
    size: u64,
}

impl<'a> Input<'a> {
    /// `size` is the size of the whole file in bytes.
    pub(super) fn new(source: &'a mut dyn Source, size: u64) -> Self {
        Input { source, size }
    }

    /// The size of the file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Exactly these bytes; unfit if they do not lie in the file or are too many.
    pub(super) fn exact(&mut self, offset: u64, len: u64) -> Step<Vec<u8>> {
        let end = offset.checked_add(len).ok_or(Stop::Unfit)?;
        if end > self.size || len > MAX_HEADER {
            return Err(Stop::Unfit);
        }
        let len = usize::try_from(len).map_err(|_| Stop::Unfit)?;
        let bytes = self.source.read_at(offset, len)?;
        // A file that shrinks while it is read.
        if bytes.len() != len {
            return Err(Stop::Unfit);
        }
        Ok(bytes)
    }

    /// Up to `len` bytes from `offset` on, fewer at `end` or the end of the file.
    pub(super) fn upto(&mut self, offset: u64, len: u64, end: u64) -> Step<Vec<u8>> {
        let there = self.size.min(end).checked_sub(offset).ok_or(Stop::Unfit)?;
        self.exact(offset, len.min(there))
    }
}

/// Reads forward through a header without holding all of it.
pub(super) struct Cursor<'a, 'b> {
    input: &'a mut Input<'b>,
    end: u64,
    window: Vec<u8>,
    start: u64,
    at: u64,
}

impl<'a, 'b> Cursor<'a, 'b> {
    /// From the beginning of the file to its end, or to the longest header allowed.
    pub(super) fn new(input: &'a mut Input<'b>) -> Self {
        let end = input.size().min(MAX_HEADER);
        Cursor { input, end, window: Vec::new(), start: 0, at: 0 }
    }

    /// Bytes from the beginning of the file to where the cursor stands.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// Passes over `len` bytes without reading them.
    pub(super) fn skip(&mut self, len: u64) -> Step<()> {
        let at = self.at.checked_add(len).filter(|at| *at <= self.end).ok_or(Stop::Unfit)?;
        self.at = at;
        Ok(())
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: u64) -> Step<&[u8]> {
        let from = self.at;
        self.skip(len)?;
        let held = self.start + self.window.len() as u64;
        if from < self.start || self.at > held {
            self.window = self.input.upto(from, len.max(WINDOW), self.end)?;
            self.start = from;
        }
        let from = (from - self.start) as usize;
        self.window.get(from..from + len as usize).ok_or(Stop::Unfit)
    }

    /// The next four bytes as a number, little-endian.
    pub(super) fn u32(&mut self) -> Step<u32> {
        u32_at(self.take(4)?, 0)
    }

    /// The next eight bytes as a number, little-endian.
    pub(super) fn u64(&mut self) -> Step<u64> {
        u64_at(self.take(8)?, 0)
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Step<[u8; N]> {
    let end = at.checked_add(N).ok_or(Stop::Unfit)?;
    bytes.get(at..end).and_then(|b| b.try_into().ok()).ok_or(Stop::Unfit)
}

/// The little-endian number of two bytes at this place.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Step<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

/// The little-endian number of four bytes at this place.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Step<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// The little-endian number of eight bytes at this place.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Step<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}
