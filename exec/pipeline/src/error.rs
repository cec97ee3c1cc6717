//! What can be wrong with a declaration.

use lab_schema::SchemaError;
use thiserror::Error;

/// What is wrong, and where.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// It is no TOML.
    #[error("it cannot be read as TOML: {0}")]
    Syntax(String),
    /// It was made by a newer version.
    #[error("it was made by a newer lab (version {0} of the format)")]
    Newer(i64),
    /// A word is not one that belongs there.
    #[error("{at}: there is no '{word}'; known are {known}")]
    Unknown {
        /// Where.
        at: String,
        /// What is not known.
        word: String,
        /// What is.
        known: String,
    },
    /// A value is of another type, or makes no sense.
    #[error("{at}: {why}")]
    Bad {
        /// Where.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// Steps wait for each other.
    #[error("the steps {0} wait for each other")]
    Circle(String),
}

impl PipelineError {
    pub(crate) fn bad(at: impl Into<String>, why: impl Into<String>) -> PipelineError {
        PipelineError::Bad { at: at.into(), why: why.into() }
    }

    pub(crate) fn schema(at: impl Into<String>, error: &SchemaError) -> PipelineError {
        PipelineError::bad(at, error.to_string())
    }
}

/// A result of this crate.
pub type Result<T, E = PipelineError> = std::result::Result<T, E>;
