//! Paths in a box, from what a caller names.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// A path without its leading `/`; it must have one, and no `..`.
pub(crate) fn plain(path: &Path) -> io::Result<&Path> {
    let below = path.strip_prefix("/").map_err(|_| invalid(path))?;
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
    if below.components().all(is_name) { Ok(below) } else { Err(invalid(path)) }
}

pub(crate) fn invalid(path: &Path) -> io::Error {
    let words = format!("{} cannot be a place in a box", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

pub(crate) fn text(path: &OsStr) -> io::Result<CString> {
    CString::new(path.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
