//! Many strings in one piece of memory: 8 bytes each, and their own.

use crate::error::{OverlapError, Result};

/// The most bytes of all texts of a set: 4 GiB.
const MAX_BYTES: usize = 1 << 32;
/// The most strings of a set.
const MAX_STRINGS: usize = 1 << 27;

/// Strings that are kept in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Keeps a string that is given in parts.
    pub(crate) fn push(&mut self, parts: &[&str]) -> Result<()> {
        let more: usize = parts.iter().map(|part| part.len()).sum();
        if more > MAX_BYTES - self.text.len() {
            let limit = MAX_BYTES as u64;
            return Err(OverlapError::TooLarge { what: "bytes of the texts of a set", limit });
        }
        if self.ends.len() == MAX_STRINGS {
            let limit = MAX_STRINGS as u64;
            return Err(OverlapError::TooLarge { what: "texts or cells of a set", limit });
        }
        parts.iter().for_each(|part| self.text.push_str(part));
        self.ends.push(self.text.len());
        Ok(())
    }

    pub(crate) fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }
}
