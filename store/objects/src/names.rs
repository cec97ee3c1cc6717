//! Mutable pointers: names of objects.
//!
//! A name is a journal (`journal.rs`) that grows by compare-and-swap. Names that differ only in
//! case are different names, but cannot live together on a file system that ignores case.

use lab_schema::{Name, ObjectId};

use crate::backend::{Key, Room};
use crate::error::{ObjectsError, Result};
use crate::journal::{self, Move};
use crate::store::Store;

/// What a name must point at for a move to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever.
    Anything,
    /// The name is absent or deleted.
    Absent,
    /// The name points at this.
    Target(ObjectId),
}

/// The names of a store.
#[derive(Debug)]
pub struct Names<'a> {
    store: &'a Store,
}

impl Store {
    /// The names of this store.
    pub fn names(&self) -> Names<'_> {
        Names { store: self }
    }
}

impl Names<'_> {
    /// Where the name points, and how that came; none if it was never set, or deleted.
    pub fn get(&self, name: &Name) -> Result<Option<Move>> {
        Ok(self.journal(name)?.pop().filter(|m| m.target.is_some()))
    }

    /// The n-th move, counted from 1.
    pub fn version(&self, name: &Name, n: u64) -> Result<Option<Move>> {
        let journal = self.journal(name)?;
        let at = n.checked_sub(1).and_then(|n| usize::try_from(n).ok());
        Ok(at.and_then(|at| journal.get(at).cloned()))
    }

    /// Every move, oldest first.
    pub fn journal(&self, name: &Name) -> Result<Vec<Move>> {
        let bytes = self.store.backend().read(&Key::Name(name.clone()))?;
        bytes.map_or(Ok(Vec::new()), |bytes| journal::parse(name, &bytes))
    }

    /// The names that point somewhere, sorted.
    pub fn list(&self) -> Result<Vec<(Name, Move)>> {
        let mut found = Vec::new();
        for (key, _) in self.store.backend().list(Room::Names)? {
            if let Key::Name(name) = key
                && let Some(last) = self.get(&name)?
            {
                found.push((name, last));
            }
        }
        Ok(found)
    }

    /// Moves the name, if it points where the caller thinks.
    pub fn set(&self, name: &Name, expected: Expected, m: Move) -> Result<()> {
        if let Some(id) = m.target
            && !self.store.has(id)?
        {
            return Err(ObjectsError::Missing { id });
        }
        // A name that survives a power cut must not point at what does not.
        self.store.settle()?;
        let key = Key::Name(name.clone());
        loop {
            let before = self.store.backend().read(&key)?;
            let journal =
                before.as_deref().map_or(Ok(Vec::new()), |bytes| journal::parse(name, bytes))?;
            let now = journal.last().and_then(|last| last.target);
            let fits = match expected {
                Expected::Anything => true,
                Expected::Absent => now.is_none(),
                Expected::Target(id) => now == Some(id),
            };
            if !fits {
                let (by, when_ms) =
                    journal.last().map_or_else(Default::default, |l| (l.who.clone(), l.when_ms));
                return Err(ObjectsError::NameMoved { name: name.clone(), now, by, when_ms });
            }
            let after = journal::append(name, before.as_deref().unwrap_or_default(), &m);
            if after.len() as u64 > key.max_bytes() {
                let (key, why) = (key.to_string(), "its journal would get too long");
                return Err(ObjectsError::RefusedKey { verb: "move", key, why });
            }
            if self.store.backend().swap(&key, before.as_deref(), &after)? {
                return Ok(());
            }
        }
    }
}
