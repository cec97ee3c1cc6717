//! Systems on which no box can be made.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Obstacle;

/// A box: here there is none. The fields mean what they mean on Linux.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "see Linux")]
pub struct Seal<'a> {
    pub base: &'a Path,
    pub user: (u32, u32),
    pub host_name: &'a str,
    pub directory: &'a Path,
    pub over: &'a [(PathBuf, PathBuf)],
    pub devices: &'a [PathBuf],
    pub listings: &'a [Listing],
    pub tasks: u32,
}

/// The order of a folder. The fields mean what they mean on Linux.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "see Linux")]
pub struct Listing {
    pub folder: PathBuf,
    pub names: Vec<(OsString, bool)>,
}

impl Seal<'_> {
    /// See Linux.
    pub fn upper(&self) -> PathBuf {
        self.base.join("upper")
    }
}

/// See Linux.
pub fn leavings(base: &Path) -> [PathBuf; 4] {
    ["upper", "work", "merged", "order"].map(|folder| base.join(folder))
}

/// Always fails, with `Unsupported`.
pub fn seal(_command: &mut Command, _seal: &Seal<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always fails, with `Unsupported`.
pub fn probe(_folder: &Path) -> io::Result<Result<(), Obstacle>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// See Linux.
pub fn is_whiteout(_meta: &Metadata) -> bool {
    false
}

/// See Linux.
pub fn is_opaque(_folder: &Path) -> bool {
    false
}
