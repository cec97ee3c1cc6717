//! What can go wrong with keys and signatures; the rules for errors are those of `lab_schema::error`.

use std::io;
use std::path::PathBuf;

use lab_lineage::LineageError;
use lab_objects::ObjectsError;
use lab_schema::SchemaError;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, TrustError>;

/// What can go wrong with keys and signatures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file could not be read or written.
    #[error("cannot {verb} {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A private key that others than its owner may read.
    #[error("the key {} can be read by others (mode {mode:o})", .path.display())]
    Unprotected {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file is no key.
    #[error("{} is not an SSH key: {why}", .path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// `ssh-keygen` could not be started.
    #[error("cannot run ssh-keygen: {0}")]
    NoKeygen(io::Error),
    /// `ssh-keygen` did not sign.
    #[error("ssh-keygen did not sign with {}{}", .path.display(), behind(.said))]
    NotSigned {
        /// The key.
        path: PathBuf,
        /// What it said; empty if it said so on the terminal.
        said: String,
    },
    /// What was made is no signature of what was to be signed.
    #[error("what {} made is no signature: {why}", .path.display())]
    Nonsense {
        /// The key.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Text that should be an armoured signature is none.
    #[error("not a signature as ssh-keygen writes it: {0}")]
    BadArmour(&'static str),
    /// A signature cannot be built.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The store failed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The lineage failed.
    #[error(transparent)]
    Lineage(#[from] LineageError),
}

/// What a program said, behind a colon if it said anything.
fn behind(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
