//! What calls are answered with.

use std::io;
use std::os::fd::OwnedFd;

use crate::sys;

/// What a call is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A value, or the negative number of an error.
    Value(i64),
    /// A descriptor of this file; the flag closes it when the process becomes another program.
    File(OwnedFd, bool),
}

/// An error, by its number.
pub(crate) fn error(number: i32) -> Option<Reply> {
    Some(Reply::Value(-i64::from(number)))
}

/// Puts bytes into the memory of a process, and answers zero if that was possible.
pub(crate) fn put(
    thread: i32,
    to: u64,
    bytes: &[u8],
    is_real: &impl Fn() -> bool,
) -> io::Result<Option<Reply>> {
    if bytes.is_empty() {
        return Ok(Some(Reply::Value(0)));
    }
    if !is_real() {
        return Ok(None);
    }
    match sys::write_memory(thread, to, bytes) {
        Ok(()) => Ok(Some(Reply::Value(0))),
        Err(e) if e.raw_os_error() == Some(libc::EFAULT) => Ok(error(libc::EFAULT)),
        Err(e) => Err(e),
    }
}
