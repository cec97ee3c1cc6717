//! Two files of which nothing is known: where they part, and how much is the same.

use serde::Serialize;

use crate::compare::bytes::{self, Measured};
use crate::compare::source::Source;
use crate::error::Result;

/// What differs between two rows of bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BytesChange {
    /// Bytes of the first.
    pub before: u64,
    /// Bytes of the second.
    pub after: u64,
    /// The first byte that differs, from 0; where the shorter one ends, if that is its start.
    pub first: u64,
    /// Bytes that are the same at the same place, of all places of the longer one, 0 to 1.
    pub equal: f64,
    /// Why nothing more is told of them, where they seemed to be more than bytes.
    pub why: Option<String>,
}

/// What differs between two files, whose bytes do.
pub(crate) fn change(a: &dyn Source, b: &dyn Source, why: Option<String>) -> Result<BytesChange> {
    let Measured { all, different, first } = bytes::measure(a, b)?;
    let equal = if all > 0 { (all - different) as f64 / all as f64 } else { 1.0 };
    let first = first.unwrap_or(all);
    Ok(BytesChange { before: a.len(), after: b.len(), first, equal, why })
}
