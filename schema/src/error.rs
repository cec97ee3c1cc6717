//! The ways in which bytes, names and references can be wrong.
//!
//! Rules for errors, in this crate and in every crate above it: an enum per crate, one variant
//! per thing that a caller would tell apart; the message says what is wrong and where, in lower
//! case and without a full stop; no variant holds a bare string that hides its cause. What to
//! *do* about it is the command line's business (`cli/src/failure.rs`).

use crate::kind::Kind;

/// A value that the object model refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not the hexadecimal form of an id.
    #[error("'{0}' is not an id: ids are 64 hexadecimal digits")]
    BadId(String),
    /// The text cannot be the start of an id.
    #[error("'{0}' is not a hash prefix: 4 to 64 hexadecimal digits are needed")]
    BadPrefix(String),
    /// The text cannot be a registry name.
    #[error("'{}' cannot be a name: {why}", .name.escape_debug())]
    BadName {
        /// The refused text.
        name: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The bytes cannot be the name of a directory entry.
    #[error("'{}' cannot be a file name: {why}", .name.escape_debug())]
    BadFileName {
        /// The refused text, lossily decoded.
        name: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The text cannot name an input or output.
    #[error("'{}' cannot name an input or output: {why}", .slot.escape_debug())]
    BadSlot {
        /// The refused text.
        slot: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The text is not a reference.
    #[error("'{}' is not a reference: {why}", .text.escape_debug())]
    BadReference {
        /// The refused text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A table of aliases with a line that no table has.
    #[error("not a table of aliases: line {line}: {why}")]
    BadAliases {
        /// The number of the line, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number that is not finite, where only finite ones have a meaning.
    #[error("a number must be finite")]
    NotFinite,
    /// The entries of a tree are not strictly ascending.
    #[error("tree entries must be sorted and distinct: '{0}' is out of place")]
    Unsorted(String),
    /// The value is well-formed, but no object may look like this.
    #[error("invalid {kind}: {why}")]
    Invalid {
        /// The kind of object.
        kind: Kind,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The bytes are not CBOR of the expected shape.
    #[error("not a valid {kind}: {why}")]
    Malformed {
        /// The kind of object that was expected.
        kind: Kind,
        /// What the decoder said.
        why: String,
    },
    /// The bytes mean the object, but are not its canonical encoding.
    #[error("not the canonical encoding of a {0}")]
    NotCanonical(Kind),
    /// The object has a version that this program does not know.
    #[error("this {kind} has version {version}: it was made by a newer lab")]
    Newer {
        /// The kind of object.
        kind: Kind,
        /// Its version.
        version: u64,
    },
    /// The object is larger than any object may be.
    #[error("a {kind} of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// The kind of object.
        kind: Kind,
        /// Its size.
        bytes: u64,
        /// The most that is accepted.
        limit: u64,
    },
}
