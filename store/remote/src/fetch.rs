//! Fetches what was left out of a store, when somebody needs it, from the place that has it.
//!
//! A place is opened when it is first needed and stays open while the command runs. What is fetched is
//! transferred as in a pull: verified, stored, durable, and only then used. Bytes of a part of a large
//! file are the exception: their chunks are verified, but that they are chunks of this file only the
//! place says, so they are handed out and not kept.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lab_objects::{Bring, ObjectsError, Progress, Promises, Store, Unkept, shown};
use lab_schema::{BlobId, ObjectId};

use crate::error::{RemoteError, Result, Side};
use crate::transfer::{Route, Transfer};

/// What those hear who want to know of fetching.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// So much was fetched and stored.
    Fetched {
        /// What went over.
        transfer: Transfer,
        /// The location that it came from, without secrets.
        from: String,
    },
    /// Bytes of parts of files were read there, and not kept; told once, in the end.
    Read {
        /// How many bytes were handed out.
        bytes: u64,
        /// The location that they came from, without secrets.
        from: String,
    },
}

/// Opens the store at a location.
pub type Opens = Box<dyn Fn(&str) -> Result<Store> + Send + Sync>;

/// Fetches into a store what was left out of it.
pub struct Fetcher {
    store: Store,
    promises: Arc<Promises>,
    opens: Opens,
    hears: Box<dyn Fn(Heard) + Send + Sync>,
    progress: Box<dyn Progress + Send + Sync>,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    open: HashMap<String, Store>,
    /// What has come and is still noted as promised.
    came: Vec<BlobId>,
    /// Bytes that were read and not kept, by where they came from.
    read: HashMap<String, u64>,
}

impl Fetcher {
    /// Fetches into `store` what `promises` say was left out of it.
    pub fn new(
        store: &Store,
        promises: Arc<Promises>,
        opens: Opens,
        hears: Box<dyn Fn(Heard) + Send + Sync>,
        progress: Box<dyn Progress + Send + Sync>,
    ) -> Fetcher {
        let work = Mutex::default();
        Fetcher { store: store.alone(), promises, opens, hears, progress, work }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        // Nothing in it is half changed.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, work: &mut Work, location: &str) -> Result<Store> {
        if let Some(store) = work.open.get(location) {
            return Ok(store.clone());
        }
        let store = (self.opens)(location)?;
        work.open.insert(location.to_owned(), store.clone());
        Ok(store)
    }

    /// Tries one place after the other; the first failure is told if none of them can.
    fn try_places<T>(
        &self,
        work: &mut Work,
        blob: BlobId,
        places: &[String],
        act: impl Fn(&Store) -> Result<T>,
    ) -> lab_objects::Result<(T, String)> {
        let mut first = None;
        for location in places {
            match self.place(work, location).and_then(|place| act(&place)) {
                Ok(done) => return Ok((done, shown(location))),
                // What this store cannot take, it cannot take from anywhere.
                Err(RemoteError::Store { side: Side::Local, source }) => return Err(*source),
                Err(error) => {
                    // A connection that failed is made anew, should it be asked again.
                    work.open.remove(location);
                    first.get_or_insert((location, error));
                }
            }
        }
        let Some((location, error)) = first else {
            return Err(ObjectsError::Missing { id: blob.into() });
        };
        let (id, why) = unkept(&error);
        let blob = if let Some(ObjectId::Blob(other)) = id { other } else { blob };
        let (id, bytes) = (blob.into(), self.promises.size(blob)?.unwrap_or(0));
        Err(ObjectsError::Promised { id, bytes, from: shown(location), why })
    }
}

impl Bring for Fetcher {
    fn bring(&self, blobs: &[BlobId]) -> lab_objects::Result<()> {
        let mut work = self.work();
        // Somebody else in this process may just have fetched them.
        let ids: Vec<ObjectId> = blobs.iter().map(|blob| (*blob).into()).collect();
        let mut groups: HashMap<Vec<String>, Vec<ObjectId>> = HashMap::new();
        for id in self.store.lacking(&ids)? {
            let ObjectId::Blob(blob) = id else { continue };
            groups.entry(self.promises.places(blob)?).or_default().push(id);
        }
        if groups.is_empty() {
            return Ok(());
        }
        let _lease = self.store.lease()?;
        for (places, ids) in groups {
            let first = BlobId::from_digest(ids[0].digest());
            let copy = |place: &Store| {
                let (from, to) = ((place, Side::Remote), (&self.store, Side::Local));
                Route { from, to, repair: false }.copy(&ids, &*self.progress)
            };
            let (transfer, from) = self.try_places(&mut work, first, &places, copy)?;
            work.came.extend(ids.iter().map(|id| BlobId::from_digest(id.digest())));
            (self.hears)(Heard::Fetched { transfer, from });
        }
        Ok(())
    }

    fn read_range(&self, blob: BlobId, range: Range<u64>) -> lab_objects::Result<Vec<u8>> {
        let mut work = self.work();
        let places = self.promises.places(blob)?;
        let expected = self.promises.size(blob)?;
        let read = |place: &Store| {
            let side = Side::Remote;
            let missing = RemoteError::Missing { side, id: blob.into(), by: None };
            match place.size(blob) {
                Ok(None) => return Err(missing),
                Ok(size) if size != expected => {
                    let (what, why) = (blob.to_string(), "it has another size than was noted");
                    let source = Box::new(ObjectsError::Damaged { what, why });
                    return Err(RemoteError::Damaged { side, id: blob.into(), source });
                }
                size => size,
            }
            .and_then(|_| place.read_range(blob, range.clone()))
            .map_err(|source| crate::error::blame(side, blob.into(), source))
        };
        let (bytes, from) = self.try_places(&mut work, blob, &places, read)?;
        *work.read.entry(from).or_default() += bytes.len() as u64;
        Ok(bytes)
    }
}

/// Why something did not come, and which object it was about.
fn unkept(error: &RemoteError) -> (Option<ObjectId>, Unkept) {
    match error {
        RemoteError::Missing { id, .. } => (Some(*id), Unkept::Gone),
        RemoteError::Damaged { id, source, .. } => (Some(*id), Unkept::Wrong(source.to_string())),
        RemoteError::Store { source, .. } => (None, Unkept::Unreachable(source.to_string())),
        error => (None, Unkept::Unreachable(error.to_string())),
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        let Work { came, read, .. } = std::mem::take(&mut *self.work());
        for (from, bytes) in read {
            (self.hears)(Heard::Read { bytes, from });
        }
        // Once for all of them. If it cannot be noted, they are here and promised as well.
        if !came.is_empty() {
            let _ = self.promises.came(&came);
        }
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("store", &self.store).finish_non_exhaustive()
    }
}
