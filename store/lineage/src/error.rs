//! What can go wrong with the lineage; the rules for errors are those of `lab_schema::error`.
//!
//! Few things do: whatever is wrong with the index file itself is answered by rebuilding it, or by
//! an index in memory. What is left are stores that cannot be read.

use lab_objects::ObjectsError;
use lab_schema::ObjectId;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, LineageError>;

/// What can go wrong with the lineage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineageError {
    /// The index failed, and rebuilding it or using one in memory did not help.
    #[error("cannot {verb} the lineage index {place}: {source}")]
    Index {
        /// What was attempted.
        verb: &'static str,
        /// The path of the index, or `in memory`.
        place: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The index holds a value that no version of this program writes there.
    #[error("the lineage index {place} is damaged: it holds an impossible {what}")]
    Damaged {
        /// The path of the index, or `in memory`.
        place: String,
        /// The value.
        what: &'static str,
    },
    /// An object that another one needs is not in the store.
    #[error("the store lacks {id}{}", needed(.by))]
    Missing {
        /// The object.
        id: ObjectId,
        /// What needs it; none if it is what was asked for.
        by: Option<ObjectId>,
    },
    /// An object that is needed cannot be read.
    #[error("{source}")]
    Unreadable {
        /// The object.
        id: ObjectId,
        /// What is wrong.
        source: Box<ObjectsError>,
    },
    /// What is needed cannot be told, so that nothing may be removed.
    #[error("nothing is removed while {what} cannot be read: {why}")]
    Uncertain {
        /// The name or object.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store that the lineage is derived from cannot be read.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

fn needed(by: &Option<ObjectId>) -> String {
    by.map_or_else(String::new, |by| format!(", which {by} needs"))
}

/// What goes wrong inside, before it is known which index it concerns.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Impossible(&'static str),
    Objects(ObjectsError),
}

/// What goes on inside.
pub(crate) type Answer<T> = std::result::Result<T, Fault>;

impl Fault {
    /// The public error: what was attempted, and with which index.
    pub(crate) fn at(self, verb: &'static str, place: String) -> LineageError {
        match self {
            Fault::Sql(source) => LineageError::Index { verb, place, source },
            Fault::Impossible(what) => LineageError::Damaged { place, what },
            Fault::Objects(error) => LineageError::Objects(error),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sql(error)
    }
}

impl From<ObjectsError> for Fault {
    fn from(error: ObjectsError) -> Fault {
        Fault::Objects(error)
    }
}
