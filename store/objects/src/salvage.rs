//! Damaged packs, done away with: what is sound in them is copied into a new pack, and they are
//! removed.
//!
//! A pack goes only once everything in it is durable somewhere else, or was damaged and is needed by
//! nothing; otherwise it stays as it is, since its bytes are all that is left. A pack whose table of
//! contents is lost goes if the caller says that nothing is missing. Killed at any step, nothing is
//! lost that was not lost before.

use std::collections::HashSet;

use lab_schema::{Digest, Kind, ObjectId};

use crate::backend::{Key, PackId, Room};
use crate::block::Block;
use crate::check::{alike, unfit};
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Parts;
use crate::listed;
use crate::pack::{self, Encoded, Record, Tail};
use crate::shelf::Shelf;
use crate::store::{Store, describe};

/// What became of a damaged pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// The pack.
    pub pack: PackId,
    /// What was in it and sound, and lies in another pack now.
    pub copied: u64,
    /// Why it had to stay; none if it is gone, or whole again.
    pub kept: Option<String>,
}

/// Does away with those of `packs` that are damaged, reading each of them again. `nothing_missing`
/// says that all that any name or object needs is whole.
pub fn salvage(store: &Store, packs: &[PackId], nothing_missing: bool) -> Result<Vec<Salvaged>> {
    // A collector could remove what is relied on below.
    let _excluded = store.backend().exclude()?;
    let _lease = store.lease()?;
    let nothing_missing = nothing_missing && history_is_here(store)?;
    let damaged: HashSet<PackId> = packs.iter().copied().collect();
    let mut done = Vec::new();
    for (key, bytes) in store.backend().list(Room::Packs)? {
        let Key::Pack(pack) = key else { continue };
        // What is to be removed anyway is the collector's.
        if !damaged.contains(&pack) || store.catalog().is_condemned(pack) {
            continue;
        }
        let one = Salvage { store, damaged: &damaged, pack, copied: 0 };
        done.extend(one.run(bytes, nothing_missing)?);
    }
    Ok(done)
}

/// Whether all that any name ever pointed at is here: else it may lie in a pack that nobody can read.
fn history_is_here(store: &Store) -> Result<bool> {
    for (key, _) in store.backend().list(Room::Names)? {
        let Key::Name(name) = key else { continue };
        let journal = match store.names().journal(&name) {
            Ok(journal) => journal,
            Err(ObjectsError::Damaged { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        for target in journal.into_iter().filter_map(|m| m.target) {
            if !store.has(target)? && store.promised(target)?.is_none() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

struct Salvage<'a> {
    store: &'a Store,
    damaged: &'a HashSet<PackId>,
    pack: PackId,
    copied: u64,
}

impl Salvage<'_> {
    fn run(mut self, bytes: u64, nothing_missing: bool) -> Result<Option<Salvaged>> {
        let (store, key) = (self.store, Key::Pack(self.pack));
        let tail = match store.read_tail(self.pack, bytes)? {
            None => return Ok(None),
            Some(Err(_)) if nothing_missing => {
                store.settle()?;
                self.remove()?;
                return Ok(Some(self.done(None)));
            }
            Some(Err(why)) => {
                let why = format!("{why}, and something is missing that may lie in it");
                return Ok(Some(self.done(Some(why))));
            }
            Some(Ok(tail)) => tail,
        };
        let Some(whole) = store.backend().read(&key)? else { return Ok(None) };
        let bad: Vec<Record> =
            unfit(store, &tail, &whole)?.into_iter().map(|(record, _)| record).collect();
        if bad.is_empty() && pack::has_header(&whole) {
            // It was put right meanwhile, or is damaged only in what it stands on elsewhere.
            return Ok(None);
        }
        if let Some(why) = self.lost(&bad)? {
            return Ok(Some(self.done(Some(why))));
        }
        let mut shelf = Shelf::new(store);
        self.copy(&tail, &whole, &bad, &mut shelf)?;
        let packs = shelf.finish()?;
        store.settle()?;
        // Where only its first bytes were damaged it was mended in its place.
        if !packs.contains(&self.pack) {
            self.remove()?;
        }
        Ok(Some(self.done(None)))
    }

    fn done(&self, kept: Option<String>) -> Salvaged {
        Salvaged { pack: self.pack, copied: self.copied, kept }
    }

    fn remove(&self) -> Result<()> {
        self.store.backend().remove(&Key::Pack(self.pack))?;
        self.store.catalog_mut().forget(self.pack);
        Ok(())
    }

    /// Whether the bytes of a frame are sound in a pack that stays, where at most `depth` deltas are
    /// undone to read them.
    fn is_elsewhere(&self, key: &FrameKey, depth: u8) -> Result<bool> {
        let places: Vec<_> = {
            let catalog = self.store.catalog();
            let places = alike(key).into_iter().flat_map(|key| catalog.places(&key));
            places.filter(|place| !catalog.is_condemned(place.pack)).collect()
        };
        for place in places {
            if !self.damaged.contains(&place.pack)
                && place.block.depth <= depth
                && self.store.read_at(&place)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first damaged frame that is needed and nowhere else.
    fn lost(&self, bad: &[Record]) -> Result<Option<String>> {
        let mut needed: Option<HashSet<Digest>> = None;
        for record in bad {
            if self.is_elsewhere(&record.key, u8::MAX)? {
                continue;
            }
            if record.key.object().is_none() {
                let needed = match &needed {
                    Some(needed) => needed,
                    None => needed.insert(needed_parts(self.store)?),
                };
                if !needed.contains(&record.key.digest) {
                    continue;
                }
            }
            return Ok(Some(format!(
                "{} is damaged in it, and nowhere else",
                describe(&record.key)
            )));
        }
        Ok(None)
    }

    /// Copies the sound blocks in which anything lies that is nowhere else.
    fn copy(&mut self, tail: &Tail, whole: &[u8], bad: &[Record], shelf: &mut Shelf) -> Result<()> {
        let bad: HashSet<FrameKey> = bad.iter().map(|record| record.key).collect();
        let mut frames: Vec<Record> = tail.frames.iter().collect();
        frames.retain(|record| !bad.contains(&record.key));
        frames.sort_unstable_by_key(|record| record.block);
        for group in frames.chunk_by(|a, b| a.block == b.block) {
            let block = tail.blocks[group[0].block as usize];
            let mut only_here = false;
            for record in group {
                // Another list of the same blob may name other chunks.
                only_here = only_here
                    || record.key.kind == FrameKind::List
                    || !self.is_elsewhere(&record.key, block.depth)?;
            }
            if !only_here {
                continue;
            }
            let range = block.offset as usize..block.offset as usize + block.stored as usize;
            let cut_off = ObjectsError::Damaged {
                what: format!("pack {}", self.pack),
                why: "it changed while it was read",
            };
            let bytes = whole.get(range).ok_or(cut_off)?.to_vec();
            // Where only a part of it was damaged, the checksum is another one now.
            let checksum = crc32fast::hash(&bytes);
            let blocks = vec![Block { offset: 0, checksum, ..block }];
            let records = group.iter().map(|record| Record { block: 0, ..*record }).collect();
            self.copied += group.len() as u64;
            shelf.put(Encoded { bytes, blocks, records })?;
        }
        Ok(())
    }
}

/// The chunks and nodes that any large blob is made of, and those that differences stand on.
fn needed_parts(store: &Store) -> Result<HashSet<Digest>> {
    let mut needed: HashSet<Digest> = {
        let catalog = store.catalog();
        catalog.all().flat_map(|(_, blocks, _)| blocks.iter().filter_map(|b| b.base)).collect()
    };
    for id in store.list(Kind::Blob)? {
        if !store.catalog().knows(&FrameKey::new(FrameKind::List, id.digest())) {
            continue;
        }
        let lists = match store.lists(id) {
            // Its parts are not known; it is lost itself, and said to be.
            Err(ObjectsError::Damaged { .. }) => continue,
            lists => lists?,
        };
        for list in lists {
            gather(store, id, &list.frame, &mut needed)?;
        }
    }
    Ok(needed)
}

fn gather(store: &Store, id: ObjectId, list: &[u8], needed: &mut HashSet<Digest>) -> Result<()> {
    let mut open: Vec<Parts> = match listed::list(id, list) {
        Ok((_, parts)) => vec![parts],
        Err(_) => return Ok(()),
    };
    while let Some(Parts { level, parts }) = open.pop() {
        for part in parts {
            // What was seen before need not be followed: a few nodes can claim any number of chunks.
            if !needed.insert(part.digest) || level == 0 {
                continue;
            }
            match listed::node(store, part, level) {
                Ok(below) => open.push(below),
                Err(ObjectsError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
