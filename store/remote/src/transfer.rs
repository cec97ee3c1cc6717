//! Copies objects from one store to another: only those that are lacking, each verified. Or, to
//! repair, all of them: a store counts what it has recorded as there, be it damaged or not.
//!
//! What the other side has is asked of the other side, in one pass, every time: a
//! remembered "it is there" could be wrong after a collection, and the name would then point at
//! nothing. Bytes stream; no object is held in memory for this. A source that breaks off or
//! hands out wrong bytes ends the transfer with that object's name. What came before it stays,
//! since it is whole, and the next attempt does not copy it again.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use lab_objects::{CarryError, ObjectsError, Progress, Store, Writer};
use lab_schema::ObjectId;

use crate::error::{On, RemoteError, Result, Side, blame, is_damage};

/// What a transfer did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Objects copied.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of files that went over, as they are stored.
    pub stored: u64,
    /// Objects that the other side had, of those that it was asked for: what a name keeps there is not asked for.
    pub already_there: u64,
}

/// An object that would go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) id: ObjectId,
    pub(crate) bytes: u64,
    /// Bytes on the way. What several objects share counts for the first.
    pub(crate) stored: u64,
}

/// Which way objects go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) from: (&'a Store, Side),
    pub(crate) to: (&'a Store, Side),
    /// Whether what `to` has is read back there, and stored again if it is damaged.
    pub(crate) repair: bool,
}

/// Copies those of `ids` that `to` lacks, in this order. They are durable when it returns.
pub fn transfer(
    from: &Store,
    to: &Store,
    ids: &[ObjectId],
    progress: &dyn Progress,
) -> Result<Transfer> {
    Route { from: (from, Side::Local), to: (to, Side::Remote), repair: false }.copy(ids, progress)
}

impl Route<'_> {
    /// What [`Route::copy`] would copy, with the sizes in bytes, and the summary.
    pub(crate) fn lacking(&self, ids: &[ObjectId]) -> Result<(Vec<(ObjectId, u64)>, Transfer)> {
        let mut asked = HashSet::new();
        let ids: Vec<ObjectId> = ids.iter().copied().filter(|id| asked.insert(*id)).collect();
        // Listing the packs makes the store look again at what is there, and what no more is.
        self.to.0.packs().on(self.to.1)?;
        let missing = match self.repair {
            true => ids.clone(),
            false => self.to.0.lacking(&ids).on(self.to.1)?,
        };
        let mut sum = Transfer {
            objects: missing.len() as u64,
            bytes: 0,
            stored: 0,
            already_there: (ids.len() - missing.len()) as u64,
        };
        let mut lacking = Vec::with_capacity(missing.len());
        for id in missing {
            let size = self.from.0.size(id).map_err(|e| blame(self.from.1, id, e))?;
            let size = size.ok_or(RemoteError::Missing { side: self.from.1, id, by: None })?;
            sum.bytes = sum.bytes.saturating_add(size);
            lacking.push((id, size));
        }
        Ok((lacking, sum))
    }

    pub(crate) fn copy(&self, ids: &[ObjectId], progress: &dyn Progress) -> Result<Transfer> {
        let (lacking, sum) = self.lacking(ids)?;
        if lacking.is_empty() {
            return Ok(sum);
        }
        let mut writer = self.to.0.writer();
        if self.repair {
            writer.trust_nothing();
        }
        // What is recorded on the taking side and yet lacking is damaged, or about to be removed. It
        // is put as if it came from outside, which compares with what there is.
        let recorded = self.recorded(&lacking);
        let again = |(id, _): &&(ObjectId, u64)| self.repair || recorded.contains(id);
        let again: Vec<(ObjectId, u64)> = lacking.iter().filter(again).copied().collect();
        let fresh = self.fresh(&lacking, &recorded);
        let copied = self.put_again(&mut writer, &again, progress).and_then(|()| {
            writer.carry(self.from.0, &fresh, progress).map_err(|error| self.whose(error))
        });
        // Also after a failure: whatever was put before it is whole and need not be copied again.
        let finished = writer.finish().on(self.to.1);
        copied.and_then(|carried| finished.map(|()| Transfer { stored: carried.stored, ..sum }))
    }

    /// What [`Route::copy`] would do, and of which objects, with the bytes of each, and those that it takes
    /// on the way. Of what is put again the latter are not known.
    pub(crate) fn plan(&self, ids: &[ObjectId]) -> Result<(Transfer, Vec<Planned>)> {
        let (lacking, sum) = self.lacking(ids)?;
        let fresh = self.fresh(&lacking, &self.recorded(&lacking));
        let carried = self.to.0.would_carry(self.from.0, &fresh);
        let mut by: HashMap<ObjectId, u64> = HashMap::new();
        for (id, stored) in carried.map_err(|error| self.whose(error))? {
            *by.entry(id).or_default() += stored;
        }
        let stored = by.values().sum();
        let planned = lacking.into_iter().map(|(id, bytes)| {
            // Files go as they are stored, all else as it is.
            let stored = match id {
                ObjectId::Blob(_) => by.get(&id).copied().unwrap_or(0),
                _ => bytes,
            };
            Planned { id, bytes, stored }
        });
        Ok((Transfer { stored, ..sum }, planned.collect()))
    }

    fn recorded(&self, lacking: &[(ObjectId, u64)]) -> HashSet<ObjectId> {
        let ids: Vec<ObjectId> = lacking.iter().map(|(id, _)| *id).collect();
        self.to.0.recorded(&ids).into_iter().collect()
    }

    /// Those that the taking side has never had.
    fn fresh(&self, lacking: &[(ObjectId, u64)], recorded: &HashSet<ObjectId>) -> Vec<ObjectId> {
        let is_fresh = |id: &ObjectId| !self.repair && !recorded.contains(id);
        lacking.iter().map(|(id, _)| *id).filter(is_fresh).collect()
    }

    fn whose(&self, error: CarryError) -> RemoteError {
        match error {
            CarryError::From { id, source } => match *source {
                ObjectsError::Missing { .. } => {
                    RemoteError::Missing { side: self.from.1, id, by: None }
                }
                source => blame(self.from.1, id, source),
            },
            CarryError::To(source) => RemoteError::Store { side: self.to.1, source },
        }
    }

    /// Puts objects byte by byte.
    fn put_again(
        &self,
        writer: &mut Writer,
        objects: &[(ObjectId, u64)],
        progress: &dyn Progress,
    ) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        progress.begin("copying objects", Some(objects.iter().map(|(_, size)| size).sum()));
        let copied = objects.iter().try_for_each(|(id, _)| {
            let Some(mut source) =
                self.from.0.open_object(*id).map_err(|e| blame(self.from.1, *id, e))?
            else {
                return Err(RemoteError::Missing { side: self.from.1, id: *id, by: None });
            };
            // Weights are cut at their tensors, as they were when they were added.
            let layout = match id {
                ObjectId::Blob(blob) => self.from.0.layout(*blob),
                _ => Ok(None),
            };
            let layout = layout.map_err(|e| blame(self.from.1, *id, e))?;
            let mut source = Counted { source: &mut source, progress, failed: None };
            let put = writer.put_copy(*id, &mut source, layout.as_ref());
            match source.failed.take() {
                Some(error) => Err(blame(self.from.1, *id, error)),
                None => put.map(drop).map_err(|error| match error {
                    // The far side found that it was handed the wrong bytes.
                    error if is_damage(&error) => blame(self.from.1, *id, error),
                    error => RemoteError::Store { side: self.to.1, source: Box::new(error) },
                }),
            }
        });
        progress.end();
        copied
    }
}

/// Counts bytes for the progress, and keeps the source's own error, which the writer on the other
/// side can only pass on as one of its input.
struct Counted<'a, R> {
    source: &'a mut R,
    progress: &'a dyn Progress,
    failed: Option<ObjectsError>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.source.read(buffer) {
            Ok(n) => {
                self.progress.advance(n as u64);
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let text = error.to_string();
                let kind = error.kind();
                let inner = error.into_inner().and_then(|e| e.downcast::<ObjectsError>().ok());
                self.failed = Some(inner.map_or_else(
                    || ObjectsError::Stream {
                        verb: "read an object",
                        source: io::Error::new(kind, text.clone()),
                    },
                    |inner| *inner,
                ));
                Err(io::Error::new(kind, text))
            }
        }
    }
}
