//! Which frames are needed, and by whom.
//!
//! Frames are known by the first bytes of their digests: when two share these, one too many is kept
//! and none too few. With each stands who needs it, or that several do, so that what one of them
//! alone needs can be told. About 16 bytes and some room for each frame.
//!
//! A difference needs its base, which takes fewer differences itself: of several places of a frame
//! the one with the fewest is needed, and a collector keeps no other (`collect.rs`).

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use lab_schema::ObjectId;

use crate::backend::PackId;
use crate::block::{self, Block};
use crate::catalog::Place;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::index::{AsItIs, start};
use crate::list::{Part, Parts};
use crate::listed;
use crate::pack::Record;
use crate::store::{Store, describe};

type Starts<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// Needed by more than one.
const SEVERAL: u32 = u32::MAX;

/// The frames that are needed.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Who needs it, and how many bytes it takes on disk.
    needed: Starts<(u32, u32)>,
    /// Lists of which something is lost, while all of another one is here, by where they lie.
    partial: HashSet<(ObjectId, PackId)>,
}

/// What somebody needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Bytes on disk of all that it needs.
    pub stored: u64,
    /// Of these, what nobody else needs.
    pub alone: u64,
}

/// How much lies in one encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Bytes before encoding.
    pub bytes: u64,
    /// Bytes on disk.
    pub stored: u64,
}

/// The part of its block's bytes on disk that a frame takes.
pub(crate) fn share(record: &Record, block: &Block) -> u64 {
    match u64::from(block.bytes) {
        0 => 0,
        whole => u64::from(block.stored) * u64::from(record.bytes) / whole,
    }
}

impl Marks {
    /// Whether a frame is needed.
    pub(crate) fn contains(&self, key: &FrameKey) -> bool {
        self.needed.contains_key(&start(key))
    }

    /// Whether this is a list of which something is lost, while all of another one is here.
    pub(crate) fn is_partial(&self, key: &FrameKey, pack: PackId) -> bool {
        let list = || key.object().is_some_and(|id| self.partial.contains(&(id, pack)));
        key.kind == FrameKind::List && list()
    }

    /// Notes what `owner` needs for these objects, which must all be here; returns its bytes on disk.
    /// `lenient`: of what they are made of, what is here is enough.
    pub(crate) fn add(
        &mut self,
        store: &Store,
        owner: u32,
        ids: &[ObjectId],
        lenient: bool,
    ) -> Result<u64> {
        let seen = HashSet::default();
        let mut walk = Walk { marks: self, store, owner, lenient, seen, stored: 0 };
        for id in ids {
            walk.object(*id)?;
        }
        Ok(walk.stored)
    }

    /// The bytes that each of `owners` alone needs.
    pub(crate) fn alone(&self, owners: usize) -> Vec<u64> {
        let mut alone = vec![0; owners];
        for (owner, stored) in self.needed.values() {
            if let Some(sum) = alone.get_mut(*owner as usize) {
                *sum += u64::from(*stored);
            }
        }
        alone
    }
}

struct Walk<'a> {
    marks: &'a mut Marks,
    store: &'a Store,
    owner: u32,
    lenient: bool,
    /// What this owner has been counted for.
    seen: HashSet<u64, BuildHasherDefault<AsItIs>>,
    stored: u64,
}

impl Walk<'_> {
    fn object(&mut self, id: ObjectId) -> Result<()> {
        let mut found = false;
        for key in FrameKey::of_object(id) {
            if !self.frame(key)? {
                continue;
            }
            found = true;
            if key.kind == FrameKind::List {
                self.lists(id)?;
            }
        }
        if found { Ok(()) } else { Err(ObjectsError::Missing { id }) }
    }

    /// All that any of its lists names and that is here: who wrote one of them relied on that.
    fn lists(&mut self, id: ObjectId) -> Result<()> {
        let (mut partial, mut whole, mut failed) = (Vec::new(), false, None);
        let lists = self.store.lists(id)?;
        if lists.is_empty() {
            return Err(ObjectsError::Missing { id });
        }
        for list in lists {
            let followed =
                listed::list(id, &list.frame).and_then(|(_, parts)| self.parts(id, parts));
            match followed {
                Ok(()) => {}
                Err(error @ ObjectsError::Damaged { .. }) => failed = failed.or(Some(error)),
                Err(error) => return Err(error),
            }
            match self.store.lacks(id, &list)? {
                2 => partial.extend(list.packs.into_iter().map(|pack| (id, pack))),
                _ => whole = true,
            }
        }
        if whole {
            self.marks.partial.extend(&partial);
        }
        match failed {
            Some(error) if partial.is_empty() || !whole => Err(error),
            _ => Ok(()),
        }
    }

    /// Goes on after damage, and tells of the first.
    fn parts(&mut self, id: ObjectId, parts: Parts) -> Result<()> {
        let mut open = vec![parts];
        let mut damage = None;
        while let Some(Parts { level, parts }) = open.pop() {
            for part in parts {
                let found = match level {
                    0 => self.listed_chunk(id, part),
                    _ => self.node(part, level).map(|below| open.extend(below)),
                };
                match found {
                    Ok(()) => {}
                    Err(error @ ObjectsError::Damaged { .. }) => damage = damage.or(Some(error)),
                    Err(error) => return Err(error),
                }
            }
        }
        damage.map_or(Ok(()), Err)
    }

    /// What is below a node, unless that was seen before.
    fn node(&mut self, part: Part, level: u8) -> Result<Option<Parts>> {
        let key = FrameKey::new(FrameKind::Node, part.digest);
        // A few nodes that repeat each other can claim any number of chunks.
        let seen = self.seen.contains(&start(&key));
        let here = self.frame(key)?;
        if seen || self.lenient && !here {
            return Ok(None);
        }
        listed::node(self.store, part, level).map(Some)
    }

    fn listed_chunk(&mut self, id: ObjectId, part: Part) -> Result<()> {
        if self.chunk(FrameKey::of_chunk(part.digest))? || self.lenient {
            return Ok(());
        }
        let why = "one of its chunks is in no pack";
        Err(ObjectsError::Damaged { what: id.to_string(), why })
    }

    fn chunk(&mut self, keys: [FrameKey; 2]) -> Result<bool> {
        // Both, if a chunk is a file of its own too.
        let found = keys.map(|key| self.frame(key));
        let [one, other] = found;
        Ok(one? | other?)
    }

    /// Marks a frame and what it is a difference to; false if it is not here.
    fn frame(&mut self, key: FrameKey) -> Result<bool> {
        let first = start(&key);
        if self.seen.contains(&first) {
            return Ok(self.store.catalog().knows(&key));
        }
        let places = self.store.catalog().places(&key);
        let Some(best) = places.first().copied() else { return Ok(false) };
        self.seen.insert(first);
        let stored = share(&best.record, &best.block);
        self.stored += stored;
        let owner = self.owner;
        let entry = self.marks.needed.entry(first);
        let needed = entry.or_insert((owner, u32::try_from(stored).unwrap_or(u32::MAX)));
        if needed.0 != owner {
            needed.0 = SEVERAL;
        }
        let alike = |place: &&Place| place.block.depth == best.block.depth;
        for place in places.iter().filter(alike) {
            let Some(base) = place.block.base else { continue };
            let keys = FrameKey::of_chunk(base);
            let stands = |place: &Place| place.block.depth < best.block.depth;
            let found = keys.iter().any(|k| self.store.catalog().places(k).iter().any(stands));
            // A chain has at most so many links that it may be followed by calls.
            let found = found && place.block.depth <= block::MAX_DEPTH && self.chunk(keys)?;
            if !found && !self.lenient {
                let why = "what it is a difference to is lost";
                return Err(ObjectsError::Damaged { what: describe(&key), why });
            }
        }
        Ok(true)
    }
}
