//! Copies objects from one store to another: only those that are lacking, each verified. Or, to
//! repair, all of them: a store counts what it has recorded as there, be it damaged or not.
//!
//! What the other side has is asked of the other side, in one pass, every time: a
//! remembered "it is there" could be wrong after a collection, and the name would then point at
//! nothing. Bytes stream; no object is held in memory for this. A source that breaks off or
//! hands out wrong bytes ends the transfer with that object's name. What came before it stays,
//! since it is whole, and the next attempt does not copy it again.

use std::collections::HashSet;
use std::io::{self, Read};

use lab_objects::{ObjectsError, Progress, Store};
use lab_schema::ObjectId;

use crate::error::{On, RemoteError, Result, Side, blame, is_damage};

/// What a transfer did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Objects copied.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the other side had.
    pub already_there: u64,
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
        progress.begin("copying objects", Some(sum.bytes));
        let mut writer = self.to.0.writer();
        if self.repair {
            writer.trust_nothing();
        }
        let copied = lacking.iter().try_for_each(|(id, _)| {
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
        // Also after a failure: whatever was put before it is whole and need not be copied again.
        let finished = writer.finish().on(self.to.1);
        progress.end();
        copied.and(finished).map(|()| sum)
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
