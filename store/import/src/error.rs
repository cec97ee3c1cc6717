//! What can be wrong with what is to be imported as a whole. What is wrong with one file of it is a
//! [`Fault`](crate::Fault), and does not keep the rest from being imported.

use std::io;
use std::path::{Path, PathBuf};

use lab_objects::ObjectsError;
use lab_schema::SchemaError;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file or folder could not be read.
    #[error("cannot {verb} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what a file of its name has to be.
    #[error("{}: {why}", .path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file that is read as a whole is larger than any such file.
    #[error("{} has {bytes} bytes; such files have at most {limit}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Nothing that can be imported was recognised.
    #[error("{} is no {wanted}", .path.display())]
    NotFound {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// There is more than is ever there.
    #[error("{} holds more than {limit} {what}", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// The most that are looked at.
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// Something cannot be an object.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, ImportError>;

/// Says what was tried with which file.
pub(crate) trait At<T> {
    /// Adds that.
    fn at(self, verb: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, verb: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| ImportError::Io { verb, path: path.to_owned(), source })
    }
}
