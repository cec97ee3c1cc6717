//! Mutable pointers: names of objects.
//!
//! A name is a journal (`journal.rs`) that grows by compare-and-swap. Names that differ only in
//! case are different names, but cannot live together on a file system that ignores case.

use lab_schema::{Name, ObjectId};

use crate::backend::{Key, Room};
use crate::error::{ObjectsError, Result};
use crate::journal::{self, Move};
use crate::store::Store;

/// Names whose journals are read together.
const TOGETHER: usize = 128;
/// Most bytes of a journal that are read so; a longer one is read by itself.
const MOST: u64 = 64 << 10;

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

    /// The names that point somewhere, sorted; without [those whose journal is
    /// damaged](Names::damaged), which must not stand in the way of all others.
    pub fn list(&self) -> Result<Vec<(Name, Move)>> {
        let last = |(name, mut journal): (Name, Vec<Move>)| {
            Some((name, journal.pop().filter(|last| last.target.is_some())?))
        };
        Ok(self.journals()?.into_iter().filter_map(last).collect())
    }

    /// Every name that was ever set, deleted ones too, sorted, each with all its moves, oldest first; without those
    /// whose journal is damaged.
    pub fn journals(&self) -> Result<Vec<(Name, Vec<Move>)>> {
        Ok(self.all()?.into_iter().filter_map(|(name, read)| Some((name, read.ok()?))).collect())
    }

    /// The names whose journal is damaged, and how, sorted.
    pub fn damaged(&self) -> Result<Vec<(Name, ObjectsError)>> {
        let all = self.all()?;
        Ok(all.into_iter().filter_map(|(name, read)| Some((name, read.err()?))).collect())
    }

    /// Every name that was ever set, deleted ones too, sorted.
    pub fn known(&self) -> Result<Vec<Name>> {
        Ok(self.all()?.into_iter().map(|(name, _)| name).collect())
    }

    /// Every name that was ever set, with its journal or what is wrong with that.
    fn all(&self) -> Result<Vec<(Name, Result<Vec<Move>>)>> {
        let backend = self.store.backend();
        let (mut found, mut keys) = (Vec::new(), Vec::new());
        for (key, _) in backend.list(Room::Names)? {
            if let Key::Name(name) = &key {
                keys.push((name.clone(), key));
            }
        }
        // Where the way is long they come together.
        for group in keys.chunks(if backend.is_far() { TOGETHER } else { 1 }) {
            let whole = |(_, key): &(Name, Key)| (key.clone(), 0, MOST);
            let read = match group {
                [(_, key)] => vec![backend.read(key)?],
                group => backend.read_ranges(&group.iter().map(whole).collect::<Vec<_>>())?,
            };
            for ((name, key), journal) in group.iter().zip(read) {
                let journal = match journal {
                    Some(bytes) if bytes.len() as u64 == MOST => backend.read(key)?,
                    journal => journal,
                };
                match journal.map_or(Ok(Vec::new()), |bytes| journal::parse(name, &bytes)) {
                    Err(error) if !matches!(error, ObjectsError::Damaged { .. }) => {
                        return Err(error);
                    }
                    read => found.push((name.clone(), read)),
                }
            }
        }
        Ok(found)
    }

    /// Moves the name, if it points where the caller thinks. Where it points to does not matter to
    /// [`Expected::Anything`], so that mends a damaged journal too: its sound start is kept.
    pub fn set(&self, name: &Name, expected: Expected, m: Move) -> Result<()> {
        if let Some(id) = m.target
            && !self.store.has(id)?
            && self.store.promised(id)?.is_none()
        {
            return Err(ObjectsError::Missing { id });
        }
        if let Some(id) = m.target
            && self.store.has(id)?
        {
            self.store.rescue_whole(id)?;
        }
        // A name that survives a power cut must not point at what does not.
        self.store.settle()?;
        let key = Key::Name(name.clone());
        loop {
            let before = self.store.backend().read(&key)?;
            let bytes = before.as_deref().unwrap_or_default();
            let sound = match expected {
                Expected::Anything => journal::sound_part(name, bytes),
                _ => bytes,
            };
            let journal = match sound {
                [] if before.is_none() || expected == Expected::Anything => Vec::new(),
                sound => journal::parse(name, sound)?,
            };
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
            let after = journal::append(name, sound, &m);
            if after.len() as u64 > key.max_bytes() {
                let (key, why) = (key.to_string(), "its journal would get too long");
                return Err(ObjectsError::RefusedKey { verb: "move", key, why });
            }
            if self.store.backend().swap(&key, before.as_deref(), &after)? {
                return Ok(());
            }
        }
    }

    /// What a name would newly point at if `after` replaced the journal that is `before` now: the target
    /// of every move that is added, since earlier versions of a name can be asked for as well.
    pub fn would_point_at(
        &self,
        name: &Name,
        before: Option<&[u8]>,
        after: &[u8],
    ) -> Result<Vec<ObjectId>> {
        let sound = journal::sound_part(name, before.unwrap_or_default());
        let noted = if sound.is_empty() { 0 } else { journal::parse(name, sound)?.len() };
        let moves = journal::parse(name, after)?;
        Ok(moves.iter().skip(noted).filter_map(|m| m.target).collect())
    }

    /// Replaces the journal of a name, as somebody else has written it, if it is `before` now; says
    /// whether it was. What was noted stays (of a damaged journal the sound part), each line is right,
    /// and what the name is to point at is here with all its parts; anything else is refused.
    pub fn replace(&self, name: &Name, before: Option<&[u8]>, after: &[u8]) -> Result<bool> {
        let key = Key::Name(name.clone());
        let refused = |why| ObjectsError::RefusedKey { verb: "move", key: key.to_string(), why };
        let moves = journal::parse(name, after)?;
        let Some(last) = moves.last() else { return Err(refused("a journal notes some move")) };
        if !after.starts_with(journal::sound_part(name, before.unwrap_or_default())) {
            return Err(refused("what its journal noted would be lost"));
        }
        if let Some(id) = last.target {
            if !self.store.has(id)? {
                return Err(ObjectsError::Missing { id });
            }
            self.store.rescue_of_others(id)?;
        }
        self.store.settle()?;
        self.store.backend().swap(&key, before, after)
    }
}
