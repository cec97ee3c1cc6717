//! Bytes that can be read anywhere: of a file, and in memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::Path;

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

/// What is read past the page cache is read in whole pages.
const PAGE: usize = 4096;

/// Reads a part of a file past the page cache into `memory`, which may have been used before; returns
/// where in it that part lies, as far as the file goes. None if the file system cannot do that; fails where
/// the file cannot be opened.
#[cfg(target_os = "linux")]
pub(crate) fn read_past_cache(
    path: &Path,
    offset: u64,
    len: u64,
    memory: &mut Vec<u8>,
) -> io::Result<Option<Range<usize>>> {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(direct).open(path) {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Ok(None),
        file => file?,
    };
    let end = file.metadata()?.len();
    let (first, end) = (offset.min(end), offset.saturating_add(len).min(end));
    let start = first - first % PAGE as u64;
    let size = ((end - start) as usize).next_multiple_of(PAGE);
    // Not zeroed again.
    memory.resize(memory.len().max(size + PAGE), 0);
    let aligned = memory.as_ptr().align_offset(PAGE);
    let Some(pages) = memory.get_mut(aligned..aligned.saturating_add(size)) else {
        return Ok(None);
    };
    let mut read = 0;
    while read < size {
        match file.read_at(&mut pages[read..], start + read as u64) {
            // Only the end of the file is no whole page.
            Ok(n) => {
                read += n;
                if n == 0 || n % PAGE != 0 {
                    break;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    // It has become shorter, or was interrupted between pages: the plain way knows what to do.
    if read < (end - start) as usize {
        return Ok(None);
    }
    Ok(Some(aligned + (first - start) as usize..aligned + (end - start) as usize))
}

/// Reads a part of a file past the page cache: not here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_past_cache(
    _: &Path,
    _: u64,
    _: u64,
    _: &mut Vec<u8>,
) -> io::Result<Option<Range<usize>>> {
    Ok(None)
}

/// Bytes in memory.
pub(crate) struct Slice<'a>(pub(crate) &'a [u8]);

impl Source for Slice<'_> {
    fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        Ok(self.0[start..start + len.min(self.0.len() - start)].to_vec())
    }
}
