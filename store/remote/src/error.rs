//! What can go wrong between two stores; the rules for errors are those of `lab_schema::error`.
//!
//! Every failure of a store says which of the two it was: what to do about it differs.

use std::fmt;
use std::path::PathBuf;

use lab_lineage::LineageError;
use lab_objects::ObjectsError;
use lab_schema::{Name, ObjectId};

/// The result of everything in this crate.
pub type Result<T, E = RemoteError> = std::result::Result<T, E>;

/// One of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The store of whoever asks.
    Local,
    /// The other one.
    Remote,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Local => "this store",
            Side::Remote => "the remote",
        })
    }
}

/// What can go wrong between two stores.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The location is of a kind that this version cannot talk to.
    #[error("{scheme} remotes are not supported yet by this version: '{}'", .location.escape_debug())]
    Unsupported {
        /// The kind: `ssh`, `http`, …
        scheme: String,
        /// The location as it was typed.
        location: String,
    },
    /// The location is not a location.
    #[error("'{}' is not the location of a store: {why}", .location.escape_debug())]
    BadLocation {
        /// The location as it was typed.
        location: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// What the environment says of how to reach the place is wrong.
    #[error("cannot reach {location}: {why}")]
    Settings {
        /// Where.
        location: String,
        /// What is wrong.
        why: String,
    },
    /// The place could not be reached.
    #[error("cannot reach {location}: {why}")]
    Unreachable {
        /// Where.
        location: String,
        /// What happened.
        why: String,
    },
    /// It answers that this is not for who asks.
    #[error("{location} refuses: {why}")]
    Refused {
        /// Where.
        location: String,
        /// What it says.
        why: String,
    },
    /// There is no store at the location.
    #[error("there is no store at {}", .path.display())]
    NotAStore {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Something that is not a store is in the way of a new one.
    #[error("{} holds other things and is not a store", .path.display())]
    InTheWay {
        /// The folder.
        path: PathBuf,
    },
    /// No name and no object of the store is meant by this.
    #[error("{side} has nothing called '{what}'")]
    NotFound {
        /// Which store was asked.
        side: Side,
        /// The name or prefix.
        what: String,
    },
    /// Several objects have ids that start like this.
    #[error("'{prefix}' is the start of {} ids of {side}", .candidates.len())]
    Ambiguous {
        /// Which store was asked.
        side: Side,
        /// What was typed.
        prefix: String,
        /// The objects, sorted.
        candidates: Vec<ObjectId>,
    },
    /// An object that another one needs is not in the store.
    #[error("{side} lacks {id}{}", needed(.by))]
    Missing {
        /// The store that should have it.
        side: Side,
        /// The object.
        id: ObjectId,
        /// What needs it; none if it is what was asked for.
        by: Option<ObjectId>,
    },
    /// An object in the source is not what it should be. Nothing of it was kept.
    #[error("{side} holds {id} damaged: {source}")]
    Damaged {
        /// The store that holds it.
        side: Side,
        /// The object.
        id: ObjectId,
        /// What is wrong.
        source: Box<ObjectsError>,
    },
    /// The name on the far side was moved by somebody, to something that was never here.
    #[error("name '{name}' was moved on the remote by {who}")]
    NameMoved {
        /// The name.
        name: Name,
        /// Where it points there; none if it was deleted.
        remote_target: Option<ObjectId>,
        /// Who moved it last.
        who: String,
        /// When, in milliseconds since 1970-01-01T00:00:00Z.
        when_ms: u64,
    },
    /// The name here points at something that it never pointed at on the remote.
    #[error("name '{name}' points elsewhere here, at what the remote never had under it")]
    NameDiffers {
        /// The name.
        name: Name,
        /// Where it points here; none if it was deleted meanwhile.
        local_target: Option<ObjectId>,
        /// Where it points on the remote.
        remote_target: ObjectId,
    },
    /// The taking side demands something of what comes, and this has not got it.
    #[error("{side} does not take {} {}: {why}", .id.kind(), .id.short())]
    NotTaken {
        /// The taking side.
        side: Side,
        /// The object.
        id: ObjectId,
        /// What it has not got.
        why: String,
    },
    /// One of the stores failed.
    #[error("{side}: {source}")]
    Store {
        /// Which.
        side: Side,
        /// How.
        source: Box<ObjectsError>,
    },
    /// The lineage of one of the stores failed.
    #[error("{side}: {source}")]
    Lineage {
        /// Which.
        side: Side,
        /// How.
        source: LineageError,
    },
}

fn needed(by: &Option<ObjectId>) -> String {
    by.map_or_else(String::new, |by| format!(", which {by} needs"))
}

/// Says which of the two stores an error came from.
pub(crate) trait On<T> {
    /// Adds the side.
    fn on(self, side: Side) -> Result<T>;
}

impl<T> On<T> for std::result::Result<T, ObjectsError> {
    fn on(self, side: Side) -> Result<T> {
        self.map_err(|source| RemoteError::Store { side, source: Box::new(source) })
    }
}

impl<T> On<T> for std::result::Result<T, LineageError> {
    fn on(self, side: Side) -> Result<T> {
        self.map_err(|source| match source {
            LineageError::Objects(source) => RemoteError::Store { side, source: Box::new(source) },
            LineageError::Missing { id, by } => RemoteError::Missing { side, id, by },
            LineageError::Unreadable { id, source } => RemoteError::Damaged { side, id, source },
            source => RemoteError::Lineage { side, source },
        })
    }
}

/// Whether an error is about the bytes of one object, and not about the store as a whole.
pub(crate) fn is_damage(error: &ObjectsError) -> bool {
    matches!(
        error,
        ObjectsError::Damaged { .. } | ObjectsError::Corrupt { .. } | ObjectsError::Schema(_)
    )
}

/// The error of a store that was asked for one object.
pub(crate) fn blame(side: Side, id: ObjectId, source: ObjectsError) -> RemoteError {
    let damaged = is_damage(&source);
    let source = Box::new(source);
    if damaged {
        RemoteError::Damaged { side, id, source }
    } else {
        RemoteError::Store { side, source }
    }
}
