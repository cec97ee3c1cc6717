//! What was left out of a store, seen from the store: what is promised counts as something that can be
//! had, and whoever reads it gets it, from the place that has it.
//!
//! The hook sits where contents are opened (`read.rs`), so that no command needs to know. Who reads
//! many files asks for them together first ([`Store::bring`]). Everything that looks after the store
//! itself (collecting, checking, the lineage) asks what is here and never fetches: [`Store::has`] and
//! [`Store::lacking`] are about what is here.

use std::sync::Arc;

use lab_schema::{BlobId, ObjectId};

use crate::error::{ObjectsError, Result};
use crate::frame::FrameKey;
use crate::promise::{Bring, Promises};
use crate::store::Store;

impl Store {
    /// The same store, of which something was left out; `bring` fetches it into it.
    pub fn with_promises(&self, promises: Arc<Promises>, bring: Arc<dyn Bring>) -> Store {
        let mut store = self.clone();
        store.promised = Some((promises, bring));
        store
    }

    /// The same store without that: what was left out is missing.
    pub fn alone(&self) -> Store {
        let mut store = self.clone();
        store.promised = None;
        store
    }

    /// The size in bytes of an object that is promised; none if it is not, whether it is here or lost.
    pub fn promised(&self, id: impl Into<ObjectId>) -> Result<Option<u64>> {
        match (&self.promised, id.into()) {
            (Some((promises, _)), ObjectId::Blob(blob)) => promises.size(blob),
            _ => Ok(None),
        }
    }

    /// Who promised an object, the last first.
    pub fn promised_by(&self, id: impl Into<ObjectId>) -> Result<Vec<String>> {
        match (&self.promised, id.into()) {
            (Some((promises, _)), ObjectId::Blob(blob)) => promises.places(blob),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether it is known that nothing was left out of what its names lead to: then whatever a name points
    /// at is here with all that it needs, unless it was lost.
    pub fn is_complete(&self) -> bool {
        self.backend().is_complete()
    }

    /// Notes that `from` has these blobs, with their sizes in bytes, which are left out here. Durable on
    /// return. Refused by a store that keeps no such notes.
    pub fn promise(&self, from: &str, blobs: &[(BlobId, u64)]) -> Result<()> {
        match &self.promised {
            Some((promises, _)) => promises.add(from, blobs),
            None if blobs.is_empty() => Ok(()),
            None => {
                let (key, why) = (self.backend().location(), "parts are for registries");
                Err(ObjectsError::RefusedKey { verb: "leave something out of", key, why })
            }
        }
    }

    /// Notes that these are here now, so that nobody else's having them counts.
    pub fn came(&self, ids: &[ObjectId]) -> Result<()> {
        let Some((promises, _)) = &self.promised else { return Ok(()) };
        let blob = |id: &ObjectId| if let ObjectId::Blob(blob) = id { Some(*blob) } else { None };
        let here = ids.iter().filter_map(blob).filter(|blob| self.knows(*blob));
        promises.came(&here.collect::<Vec<_>>())
    }

    /// Brings those of these blobs that are promised and not here, all together. What is neither here
    /// nor promised is no error: whoever reads it will be told.
    pub fn bring(&self, blobs: &[BlobId]) -> Result<()> {
        let Some((promises, bring)) = &self.promised else { return Ok(()) };
        let mut wanted = Vec::new();
        for blob in blobs {
            if !self.knows(*blob) && promises.size(*blob)?.is_some() {
                wanted.push(*blob);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        // Somebody else may have fetched it.
        self.refresh()?;
        wanted.retain(|blob| !self.knows(*blob));
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() { Ok(()) } else { bring.bring(&wanted) }
    }

    /// Whether a blob is recorded here, as far as was looked.
    pub(crate) fn knows(&self, blob: BlobId) -> bool {
        let catalog = self.catalog();
        FrameKey::of_object(blob.into()).any(|key| catalog.knows(&key))
    }
}
