//! What can go wrong in a store; the rules for errors are those of `lab_schema::error`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use lab_schema::{Name, ObjectId, SchemaError};

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, ObjectsError>;

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// The operating system refused; the kind of `source` tells a full disk from a read-only
    /// one from a missing permission.
    #[error("cannot {verb} {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The bytes to be stored could not be read, or those read could not be passed on.
    #[error("cannot {verb}: {source}")]
    Stream {
        /// What was attempted.
        verb: &'static str,
        /// What the reader or writer said.
        source: io::Error,
    },
    /// The folder is not a store.
    #[error("{} is not a store", .path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// The store, or a file in it, has a format that this program does not know.
    #[error("{what} has format {version}: it was made by a newer lab")]
    Newer {
        /// The store or file.
        what: String,
        /// Its version.
        version: u64,
    },
    /// The store has the format of a lab that was never released.
    #[error("{what} has format 1, of a lab that was never released: add the data to a new store")]
    Older {
        /// The store.
        what: String,
    },
    /// A file of the store does not hold what was written to it.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// The file or object.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The object is not in the store.
    #[error("{id} is not in the store")]
    Missing {
        /// The object.
        id: ObjectId,
    },
    /// The object was left out, and did not come when it was asked for.
    #[error("{id} ({bytes} bytes) was left out here, and cannot be had from {from}: {why}")]
    Promised {
        /// The object.
        id: ObjectId,
        /// Its size in bytes.
        bytes: u64,
        /// The location that has it, without secrets.
        from: String,
        /// Why it did not come.
        why: Unkept,
    },
    /// The bytes are not those of the object that they claim to be.
    #[error("the bytes received for {id} are not that object")]
    Corrupt {
        /// The object.
        id: ObjectId,
    },
    /// The blob is larger than the caller accepts.
    #[error("{id} has {bytes} bytes, more than the {limit} accepted here")]
    TooLarge {
        /// The blob.
        id: ObjectId,
        /// Its size in bytes.
        bytes: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// A range that is not inside the blob.
    #[error("bytes {start} to {end} are not inside {id}, which has {bytes}")]
    OutOfRange {
        /// The blob.
        id: ObjectId,
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Size of the blob in bytes.
        bytes: u64,
    },
    /// A write-once file exists with other bytes, or an operation does not exist in this room.
    #[error("refused to {verb} '{key}': {why}")]
    RefusedKey {
        /// What was attempted.
        verb: &'static str,
        /// The key.
        key: String,
        /// The rule.
        why: &'static str,
    },
    /// Whoever keeps the store does not want it: a rule of theirs, not a permission of the system's.
    #[error("cannot {verb} {place}: {why}")]
    NotTaken {
        /// What was attempted.
        verb: &'static str,
        /// Where.
        place: String,
        /// What they say.
        why: String,
    },
    /// The name does not point where the caller thought.
    #[error("name '{name}' was moved by {by}")]
    NameMoved {
        /// The name.
        name: Name,
        /// Where it points now; none if it is absent.
        now: Option<ObjectId>,
        /// Who moved it last; empty if nobody ever did.
        by: String,
        /// When, in milliseconds since 1970.
        when_ms: u64,
    },
    /// Somebody else holds the lock for longer than was waited.
    #[error("{} is locked by {holder}", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote into it: process id and host.
        holder: String,
    },
    /// Something different is already there.
    #[error("{} exists and differs", .path.display())]
    Refused {
        /// The file or folder in the way.
        path: PathBuf,
    },
    /// A tree holds a folder or link by the name of a registry, and would reach into one.
    #[error("{} would be part of a registry, which no tree may write", .path.display())]
    Registry {
        /// Where it would be.
        path: PathBuf,
    },
    /// Neither a file, a folder nor a link.
    #[error("{} is a {what}, which cannot be stored", .path.display())]
    Unsupported {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file was written to while it was read.
    #[error("{} changed while it was read", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Folders are nested deeper than is supported.
    #[error("{} is nested deeper than {limit} folders", .path.display())]
    TooDeep {
        /// Where.
        path: PathBuf,
        /// The most that is supported.
        limit: usize,
    },
    /// A tree has more entries than can be written out.
    #[error("{} would get more than {limit} entries", .path.display())]
    TooMany {
        /// Where.
        path: PathBuf,
        /// The most that is supported.
        limit: usize,
    },
    /// Not a value of the object model.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Why something that was promised did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unkept {
    /// Fetching is switched off.
    Offline,
    /// The place cannot be reached, or failed; what was said.
    Unreachable(String),
    /// The place has it no more.
    Gone,
    /// The place handed out something else; what was said.
    Wrong(String),
}

impl fmt::Display for Unkept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unkept::Offline => f.write_str("fetching is switched off"),
            Unkept::Unreachable(why) | Unkept::Wrong(why) => f.write_str(why),
            Unkept::Gone => f.write_str("it is not there any more"),
        }
    }
}

/// Adds the path and the verb to an error of the operating system.
pub(crate) trait At<T> {
    /// Says what was attempted, and where.
    fn at(self, verb: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, verb: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| ObjectsError::Io { verb, path: path.to_owned(), source })
    }
}
