//! Objects carried from one store to another, as they are encoded.
//!
//! Blocks are read, verified and packed by the writer's workers; what stands above them (lists,
//! trees, recipes, runs) follows in its order, once they are packed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lab_schema::{BlobId, ObjectId};

use crate::ahead::Ahead;
use crate::carriage::{Above, Load, Planner, Wanted, ranges, unload};
use crate::error::ObjectsError;
use crate::pipeline::Loaded;
use crate::progress::Progress;
use crate::store::Store;
use crate::waiting::What;
use crate::writer::Writer;

/// Bytes of blocks, as stored, that a worker reads together.
const TOGETHER: u64 = 4 << 20;

/// What was carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes of files, as they are stored, that were read at the source.
    pub stored: u64,
}

/// Why something could not be carried.
#[derive(Debug)]
pub enum CarryError {
    /// The source could not give an object.
    From {
        /// Which.
        id: ObjectId,
        /// Why not.
        source: Box<ObjectsError>,
    },
    /// The target could not take it.
    To(Box<ObjectsError>),
}

impl From<ObjectsError> for CarryError {
    fn from(error: ObjectsError) -> Self {
        CarryError::To(Box::new(error))
    }
}

/// What a worker found wrong with the source.
type Fault = Arc<Mutex<Option<(ObjectId, ObjectsError)>>>;

impl Store {
    /// What [`Writer::carry`] would carry of these objects from another store: bytes of files, as they are
    /// stored, by the object that needs them first.
    pub fn would_carry(
        &self,
        from: &Store,
        ids: &[ObjectId],
    ) -> Result<Vec<(ObjectId, u64)>, CarryError> {
        let blocks = plan(from, self, ids)?.blocks;
        Ok(blocks.iter().map(|wanted| (wanted.by, u64::from(wanted.block.stored))).collect())
    }
}

fn source_failed(id: ObjectId, source: ObjectsError) -> CarryError {
    CarryError::From { id, source: Box::new(source) }
}

/// The file without bytes: every run that printed nothing has one, and to fetch it would be to fetch
/// the block that it lies in, with all its neighbours.
fn is_empty_file(id: &ObjectId) -> bool {
    *id == ObjectId::Blob(BlobId::of(&[]))
}

fn plan(from: &Store, to: &Store, ids: &[ObjectId]) -> Result<Load, CarryError> {
    from.warm(ids).map_err(|source| match ids.first() {
        Some(id) => source_failed(*id, source),
        None => source.into(),
    })?;
    let mut planner = Planner::new(from, to);
    for id in ids.iter().filter(|id| !is_empty_file(id)) {
        planner.add(*id).map_err(|source| source_failed(*id, source))?;
    }
    Ok(planner.finish())
}

impl Writer {
    /// Puts these objects of another store, each after what it is made of; none of them may be
    /// [recorded](Store::recorded) here. Everything is verified on its way. Nothing but these objects
    /// is put.
    ///
    /// Progress is told in bytes as they are stored. They are durable after [`Writer::finish`], and so
    /// is what was put before the source failed.
    pub fn carry(
        &mut self,
        from: &Store,
        ids: &[ObjectId],
        progress: &dyn Progress,
    ) -> Result<Carried, CarryError> {
        if ids.is_empty() {
            return Ok(Carried::default());
        }
        self.begin()?;
        let load = plan(from, self.store(), ids)?;
        if ids.iter().any(is_empty_file) {
            self.put_bytes(&[])?;
        }
        let stored = load.stored;
        progress.begin("copying objects", Some(stored));
        let carried = self.carry_load(from, load, progress);
        progress.end();
        carried.map(|()| Carried { stored })
    }

    fn carry_load(
        &mut self,
        from: &Store,
        load: Load,
        progress: &dyn Progress,
    ) -> Result<(), CarryError> {
        let (fault, moved) = (Fault::default(), Arc::new(AtomicU64::new(0)));
        let mut told = 0;
        let mut tell = || {
            let now = moved.load(Ordering::Relaxed);
            progress.advance(now - told);
            told = now;
        };
        // A difference is packed after what it stands on.
        for level in load.blocks.chunk_by(|a, b| a.block.depth == b.block.depth) {
            let groups = together(level);
            let ahead = Arc::new(Ahead::new(from, groups.iter().map(|group| ranges(group))));
            for (n, group) in groups.into_iter().enumerate() {
                let (from, near) = (from.clone(), self.nearer(from));
                let ahead = Arc::clone(&ahead);
                let (found, count) = (Arc::clone(&fault), Arc::clone(&moved));
                let bytes: u64 = group.iter().map(|wanted| u64::from(wanted.block.stored)).sum();
                let load = move |memory: &mut Vec<u8>| {
                    if lock(&found).is_some() {
                        return Ok(Loaded::default());
                    }
                    let (loaded, wrong) = unload(&from, &near, &group, ahead.take(n), memory);
                    count.fetch_add(bytes, Ordering::Relaxed);
                    if let Some(wrong) = wrong {
                        lock(&found).get_or_insert(wrong);
                    }
                    Ok(loaded)
                };
                self.put_loaded(Box::new(load))?;
                tell();
            }
            self.pipeline.wait_for_all()?;
            tell();
            if let Some((id, source)) = lock(&fault).take() {
                return Err(source_failed(id, source));
            }
        }
        load.above.into_iter().try_for_each(|item| self.carry_above(from, item))
    }

    /// Which of the stores has the shorter way.
    fn nearer(&self, from: &Store) -> Store {
        if from.backend().is_far() { self.store().clone() } else { from.clone() }
    }

    fn carry_above(&mut self, from: &Store, item: Above) -> Result<(), CarryError> {
        let gone = |id| source_failed(id, ObjectsError::Missing { id });
        match item {
            Above::Frame(key, frame) => {
                if self.pipeline.claim(key)? {
                    self.hold_back(What::Frame(key, frame));
                }
                let store = self.store().clone();
                self.waiting.release(&store, &self.pipeline)?;
            }
            Above::Object(id) => {
                let blame = |source| source_failed(id, source);
                let mut source = from.open_object(id).map_err(blame)?.ok_or_else(|| gone(id))?;
                self.put_verified(id, &mut source).map_err(|error| match error {
                    ObjectsError::Corrupt { .. } | ObjectsError::Schema(_) => blame(error),
                    error => error.into(),
                })?;
            }
        }
        Ok(())
    }
}

/// Blocks in groups that are read together.
fn together(blocks: &[Wanted]) -> Vec<Vec<Wanted>> {
    let (mut groups, mut bytes) = (Vec::<Vec<Wanted>>::new(), 0);
    for wanted in blocks {
        let stored = u64::from(wanted.block.stored);
        match groups.last_mut() {
            Some(group) if bytes + stored <= TOGETHER => group.push(wanted.clone()),
            _ => {
                groups.push(vec![wanted.clone()]);
                bytes = 0;
            }
        }
        bytes += stored;
    }
    groups
}

fn lock(fault: &Fault) -> MutexGuard<'_, Option<(ObjectId, ObjectsError)>> {
    // It is set as a whole.
    fault.lock().unwrap_or_else(PoisonError::into_inner)
}
