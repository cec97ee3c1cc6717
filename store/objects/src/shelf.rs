//! Packs that are published, and those that are filled by hand, one block after the other, by who
//! puts damage right.

use std::collections::HashSet;

use crate::atomic;
use crate::backend::{Key, PackId};
use crate::error::{ObjectsError, Result};
use crate::frame::FrameKey;
use crate::pack::{Encoded, Pack, PackBuilder};
use crate::store::Store;

/// Takes blocks; what is full is published.
#[derive(Debug)]
pub(crate) struct Shelf {
    store: Store,
    builder: PackBuilder,
    keys: HashSet<FrameKey>,
    published: Vec<PackId>,
}

impl Shelf {
    /// For this store.
    pub(crate) fn new(store: &Store) -> Shelf {
        let builder = PackBuilder::new(Vec::new());
        Shelf { store: store.clone(), builder, keys: HashSet::new(), published: Vec::new() }
    }

    /// Puts blocks; a frame that is in the open pack already is left out of the table of contents,
    /// and blocks of which nothing remains are not put.
    pub(crate) fn put(&mut self, mut encoded: Encoded) -> Result<()> {
        encoded.records.retain(|record| self.keys.insert(record.key));
        if encoded.records.is_empty() {
            return Ok(());
        }
        self.builder.append(&encoded);
        if self.builder.is_full() {
            self.publish()?;
        }
        Ok(())
    }

    /// Publishes what is left, so that all that was put is durable; returns all packs.
    pub(crate) fn finish(mut self) -> Result<Vec<PackId>> {
        self.publish()?;
        Ok(self.published)
    }

    fn publish(&mut self) -> Result<()> {
        if self.builder.is_empty() {
            return Ok(());
        }
        self.keys.clear();
        let pack = std::mem::replace(&mut self.builder, PackBuilder::new(Vec::new())).finish();
        let id = self.store.publish(pack)?.id;
        self.published.push(id);
        Ok(())
    }
}

impl Store {
    /// Makes a pack durable (far away once the store is settled), and what is in it found. Another
    /// name may be chosen for it.
    pub(crate) fn publish(&self, pack: Pack) -> Result<Pack> {
        // A pack of the same name that is to be removed would take this one with it.
        let condemned = self.catalog().is_condemned(pack.id);
        let pack = if condemned { pack.renamed(atomic::unique().as_bytes()) } else { pack };
        let (backend, key) = (self.backend(), Key::Pack(pack.id));
        match backend.publish_soon(&key, pack.bytes()) {
            // The name tells every bit that must be there: other bytes under it are damaged.
            Err(ObjectsError::RefusedKey { .. }) => backend.mend(&key, pack.bytes())?,
            published => published?,
        }
        self.catalog_mut().insert(pack.id, pack.tail.clone());
        Ok(pack)
    }
}
