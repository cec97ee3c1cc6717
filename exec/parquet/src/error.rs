//! The ways in which a Parquet file can be wrong.

use std::io;

/// What `lab-parquet` returns.
pub type Result<T> = std::result::Result<T, ParquetError>;

/// A Parquet file that cannot be read into rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParquetError {
    /// The bytes could not be read.
    #[error("the Parquet file cannot be read")]
    Read(#[from] io::Error),
    /// It contradicts itself, or is cut off.
    #[error("the Parquet file is damaged: {place}: {why}")]
    Damaged {
        /// The part: the footer, or a column.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is sound, and not read here.
    #[error("{place}: {what} is not read here")]
    Unread {
        /// The part: the file, or a column.
        place: String,
        /// The encoding, codec or type.
        what: String,
    },
    /// It would take more than is allowed.
    #[error("{what} of the Parquet file: the limit is {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
}

/// What is wrong with a part whose place the caller knows.
#[derive(Debug)]
pub(crate) enum Fault {
    Read(io::Error),
    Damaged(&'static str),
    Unread(String),
    TooLarge(&'static str, u64),
}

/// What parsers of a part return.
pub(crate) type Parsed<T> = std::result::Result<T, Fault>;

impl Fault {
    /// The error, at a place.
    pub(crate) fn at(self, place: impl FnOnce() -> String) -> ParquetError {
        match self {
            Fault::Read(error) => ParquetError::Read(error),
            Fault::Damaged(why) => ParquetError::Damaged { place: place(), why },
            Fault::Unread(what) => ParquetError::Unread { place: place(), what },
            Fault::TooLarge(what, limit) => ParquetError::TooLarge { what, limit },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Read(error)
    }
}

/// A part that is damaged, in a function that returns [`Parsed`].
pub(crate) fn damaged<T>(why: &'static str) -> Parsed<T> {
    Err(Fault::Damaged(why))
}
