//! What can go wrong before a server serves.

use std::io;
use std::path::PathBuf;

/// The result of everything that sets a server up.
pub type Result<T, E = ServeError> = std::result::Result<T, E>;

/// What can go wrong before a server serves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A file could not be read or written.
    #[error("cannot {verb} {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of settings or tokens says what cannot be understood.
    #[error("{} is not right: {why}", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It could not be listened there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A certificate or its key is of no use.
    #[error("TLS with {}: {why}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No token has this id.
    #[error("there is no token '{}'", .0.escape_debug())]
    NoToken(String),
    /// The system has no random bytes to give.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}
