//! What a check says: what is wrong, and what has to be put right.

use std::collections::BTreeMap;
use std::fmt;

use lab_schema::{Name, ObjectId};

use crate::backend::PackId;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs in the store.
    pub packs: u64,
    /// Packs of which every byte was read now.
    pub read: u64,
    /// Packs for which there was no time; the next check with the same log begins with them.
    pub unread: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Bytes of all packs.
    pub bytes: u64,
    /// Large blobs of which every part can be read, but which repeat too much of it to be put together
    /// in a check; their names are only proven when they are read.
    pub unhashed: Vec<ObjectId>,
    /// What is wrong, each thing once; empty if everything that was looked at can be read.
    pub findings: Vec<Finding>,
    /// Objects that are damaged, or missing though something needs them; each once.
    pub lost: Vec<ObjectId>,
    /// Objects that something needs and that were left out, with their sizes in bytes: others have
    /// them. Whether they still do was not asked.
    pub promised: BTreeMap<ObjectId, u64>,
    /// Packs that do not hold what was written to them, also where nothing is lost by that; sorted.
    pub damaged_packs: Vec<PackId>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// A pack does not hold what was written to it.
    Pack {
        /// The pack.
        pack: PackId,
        /// What is wrong with it.
        why: String,
    },
    /// Something in a pack is damaged, and stored nowhere else.
    Frame {
        /// The pack.
        pack: PackId,
        /// What is damaged.
        what: String,
        /// What is wrong with it.
        why: String,
        /// The objects that are made of it, or of something that is stored as a difference to it.
        objects: Vec<ObjectId>,
    },
    /// An object cannot be read.
    Object {
        /// The object.
        id: ObjectId,
        /// What is wrong with it.
        why: String,
    },
    /// An object points at one that is not here.
    Lacking {
        /// What is missing.
        id: ObjectId,
        /// Who needs it.
        needed_by: ObjectId,
    },
    /// A name cannot be read, or points at an object that is not here.
    Name {
        /// The name.
        name: Name,
        /// What is wrong with it.
        why: String,
    },
}

/// Most objects that one line names.
const NAMED: usize = 3;

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Pack { pack, why } => write!(f, "pack {pack}: {why}"),
            Finding::Frame { pack, what, why, objects } => {
                write!(f, "{what} in pack {pack}: {why}")?;
                // That it is needed by itself says nothing.
                let others: Vec<String> =
                    objects.iter().map(ToString::to_string).filter(|id| id != what).collect();
                for (n, id) in others.iter().take(NAMED).enumerate() {
                    write!(f, "{}{id}", if n == 0 { "; needed by " } else { ", " })?;
                }
                match others.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Finding::Object { id, why } => write!(f, "{id}: {why}"),
            Finding::Lacking { id, needed_by } => {
                write!(f, "{id}: missing, and needed by {needed_by}")
            }
            Finding::Name { name, why } => write!(f, "name {name}: {why}"),
        }
    }
}
