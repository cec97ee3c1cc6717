//! Reads what the arguments of a system call point to, in the memory of the process that made it.

use std::io;

use crate::sys::read_memory;

/// Most bytes of a path that the kernel takes, its end included.
const MAX_PATH: usize = 4096;
/// The smallest page of the supported machines: a read that stays in one cannot fail half-way.
const PAGE: u64 = 4096;
/// How much is read at first: most paths are shorter.
const FIRST: usize = 256;
/// Most words of a command line that are kept, and most bytes of each.
const MAX_WORDS: usize = 1024;

/// The bytes up to a zero byte; none if the memory cannot be read or they are longer than a path
/// may be, in which case the call itself fails too.
pub(crate) fn text(thread: i32, address: u64) -> io::Result<Option<Vec<u8>>> {
    let mut got = Vec::new();
    let mut part = [0; MAX_PATH];
    while got.len() < MAX_PATH {
        let at = address + got.len() as u64;
        let in_page = (PAGE - at % PAGE) as usize;
        let want = if got.is_empty() { FIRST } else { MAX_PATH }.min(in_page);
        let read = match read_memory(thread, at, &mut part[..want]) {
            Ok(0) => return Ok(None),
            Ok(read) => read,
            Err(e) if e.raw_os_error() == Some(libc::EFAULT) => return Ok(None),
            Err(e) => return Err(e),
        };
        if let Some(end) = part[..read].iter().position(|byte| *byte == 0) {
            got.extend_from_slice(&part[..end]);
            return Ok(Some(got));
        }
        got.extend_from_slice(&part[..read]);
    }
    Ok(None)
}

/// A number of eight bytes; none if the memory cannot be read.
pub(crate) fn number(thread: i32, address: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; 8];
    Ok(exactly(thread, address, &mut bytes)?.then(|| u64::from_le_bytes(bytes)))
}

/// Fills `to`; false if not all of it could be read.
pub(crate) fn exactly(thread: i32, address: u64, to: &mut [u8]) -> io::Result<bool> {
    match read_memory(thread, address, to) {
        Ok(read) => Ok(read == to.len()),
        Err(e) if e.raw_os_error() == Some(libc::EFAULT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// The words of a command line, whose addresses lie at `address` and end with a zero; those that
/// are too many or too long are left out.
pub(crate) fn words(thread: i32, address: u64) -> io::Result<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    for i in 0..MAX_WORDS as u64 {
        match number(thread, address.wrapping_add(8 * i))? {
            None | Some(0) => break,
            Some(word) => words.push(text(thread, word)?.unwrap_or_default()),
        }
    }
    Ok(words)
}
