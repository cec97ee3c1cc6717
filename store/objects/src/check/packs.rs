//! Packs, read to their last byte, several at a time, until the time is over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::finding::Finding;
use super::log::CheckLog;
use crate::backend::{Key, PackId};
use crate::block::BASE_LOST;
use crate::catalog::PackState;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::pack::{self, Record, Tail};
use crate::pipeline::MAX_WORKERS;
use crate::progress::Progress;
use crate::store::Store;

/// A frame that is damaged, and nowhere else.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) pack: PackId,
    pub(super) key: FrameKey,
    pub(super) why: &'static str,
}

/// What was found in packs.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) packs: Vec<Finding>,
    pub(super) frames: Vec<Bad>,
    pub(super) damaged: Vec<PackId>,
    /// Packs that were looked at.
    pub(super) looked: u64,
}

/// How packs are looked at.
pub(super) struct Look<'a> {
    pub(super) store: &'a Store,
    pub(super) full: bool,
    /// The first is looked at in any case, so that every call gets on.
    pub(super) until: Option<Instant>,
    pub(super) progress: &'a dyn Progress,
}

impl Look<'_> {
    /// Looks at packs in this order.
    pub(super) fn at_all(
        &self,
        packs: &[(PackId, u64)],
        log: Option<&mut CheckLog>,
    ) -> Result<Found> {
        let next = AtomicUsize::new(0);
        let state = Mutex::new((Found::default(), log, Ok(())));
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((id, bytes)) = packs.get(number) else { break };
                if number > 0 && self.until.is_some_and(|until| Instant::now() >= until) {
                    break;
                }
                let looked = self.at(*id, *bytes);
                self.progress.advance(*bytes);
                let mut state = lock();
                match looked {
                    Ok(found) => {
                        let sound = found.damaged.is_empty() && found.frames.is_empty();
                        state.0.take_in(found);
                        if let Some(log) = state.1.as_deref_mut().filter(|_| self.full) {
                            log.note(*id, *bytes, sound);
                        }
                    }
                    Err(error) => {
                        next.store(packs.len(), Ordering::Relaxed);
                        state.2 = Err(error);
                    }
                }
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            (1..cores.min(MAX_WORKERS).min(packs.len())).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        let (mut found, log, done) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        done?;
        if let Some(log) = log.filter(|_| self.full) {
            log.save();
        }
        found.sort();
        Ok(found)
    }

    /// What is wrong with a pack: its table of contents, and, in full, every block.
    fn at(&self, id: PackId, bytes: u64) -> Result<Found> {
        let (store, mut found) = (self.store, Found { looked: 1, ..Found::default() });
        let state = store.catalog().packs().get(&id).cloned();
        if let Some(PackState::Broken(why)) = state {
            return Ok(Found::broken(id, why));
        }
        let tail = match store.read_tail(id, bytes)? {
            None => return Ok(found),
            Some(Err(why)) => return Ok(Found::broken(id, why)),
            Some(Ok(tail)) => tail,
        };
        if !self.full {
            return Ok(found);
        }
        // What was seen before may have been put right.
        store.catalog_mut().absolve(id);
        let Some(whole) = store.backend().read(&Key::Pack(id))? else { return Ok(found) };
        if !pack::has_header(&whole) {
            found = Found::broken(id, "it does not begin as a pack does");
        }
        for (record, why) in unfit(store, &tail, &whole)? {
            store.catalog_mut().condemn_block(id, record.block);
            if why != BASE_LOST {
                found.damaged = vec![id];
            }
            // If it has been stored again elsewhere, nothing is lost, and reads find that copy.
            match store.fetch(&alike(&record.key)) {
                Ok(Some(_)) => {}
                Ok(None) | Err(ObjectsError::Damaged { .. }) => {
                    found.frames.push(Bad { pack: id, key: record.key, why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// The frames of a pack that do not hold what their keys say, and why.
pub(crate) fn unfit(
    store: &Store,
    tail: &Tail,
    whole: &[u8],
) -> Result<Vec<(Record, &'static str)>> {
    let mut frames: Vec<Record> = tail.frames.iter().collect();
    frames.sort_unstable_by_key(|record| record.block);
    let mut unfit = Vec::new();
    for group in frames.chunk_by(|a, b| a.block == b.block) {
        let block = tail.blocks[group[0].block as usize];
        let range = block.offset as usize..block.offset as usize + block.stored as usize;
        let stored = whole.get(range).unwrap_or_default();
        let decoded = store.decode_block(&block, stored)?;
        for record in group {
            let (start, end) = (record.start as usize, (record.start + record.bytes) as usize);
            match &decoded {
                Ok(raw) if record.key.fits(&raw[start..end]) => {}
                Ok(_) => unfit.push((*record, "its bytes have another hash")),
                Err(why) => unfit.push((*record, *why)),
            }
        }
    }
    Ok(unfit)
}

/// The keys under which the same bytes may lie.
pub(crate) fn alike(key: &FrameKey) -> Vec<FrameKey> {
    match (key.kind, key.object()) {
        (FrameKind::Chunk, _) => FrameKey::of_chunk(key.digest).to_vec(),
        (_, Some(id)) => FrameKey::of_object(id).collect(),
        (_, None) => vec![*key],
    }
}

impl Found {
    fn broken(pack: PackId, why: &str) -> Found {
        let packs = vec![Finding::Pack { pack, why: why.into() }];
        Found { packs, damaged: vec![pack], looked: 1, ..Found::default() }
    }

    pub(super) fn take_in(&mut self, other: Found) {
        self.packs.extend(other.packs);
        self.frames.extend(other.frames);
        self.damaged.extend(other.damaged);
        self.looked += other.looked;
    }

    /// The same, whichever thread was quicker.
    pub(super) fn sort(&mut self) {
        self.packs.sort_by_key(ToString::to_string);
        self.frames.sort_by_key(|bad| (bad.pack, bad.key));
        self.damaged.sort();
    }
}
