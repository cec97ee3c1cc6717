//! What can be relied on: whether an object is here, and not about to be removed.
//!
//! A collector marks packs long before it removes them (`collect.rs`). Whoever begins after the mark
//! must not rely on what lies only there, nor on what is made of it: the list of a large file may
//! stay while its chunks go. Without any mark, being here is enough, and nothing is read.

use lab_schema::ObjectId;

use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::store::Store;

impl Store {
    /// Those of `ids` that are not here, or about to be removed, in their order; looks for new packs
    /// at most once, so that many at a time are quicker than one by one.
    pub fn lacking(&self, ids: &[ObjectId]) -> Result<Vec<ObjectId>> {
        let lacking = self.not_kept(ids)?;
        if lacking.is_empty() {
            return Ok(lacking);
        }
        self.refresh()?;
        self.not_kept(&lacking)
    }

    /// Those of `ids` that are recorded here, in their order: whole, damaged, or about to be removed.
    /// Does not look for new packs.
    pub fn recorded(&self, ids: &[ObjectId]) -> Vec<ObjectId> {
        let catalog = self.catalog();
        let is_recorded = |id: &&ObjectId| FrameKey::of_object(**id).any(|key| catalog.knows(&key));
        ids.iter().filter(is_recorded).copied().collect()
    }

    fn not_kept(&self, ids: &[ObjectId]) -> Result<Vec<ObjectId>> {
        let mut lacking = Vec::new();
        for id in ids {
            if !self.keeps(*id)? {
                lacking.push(*id);
            }
        }
        Ok(lacking)
    }

    /// Whether the object is here, and all that it is made of stays.
    pub(crate) fn keeps(&self, id: ObjectId) -> Result<bool> {
        for key in FrameKey::of_object(id) {
            {
                let catalog = self.catalog();
                if !catalog.has_condemned() {
                    if catalog.knows(&key) {
                        return Ok(true);
                    }
                    continue;
                }
                if !catalog.holds(&key) {
                    continue;
                }
            }
            if key.kind != FrameKind::List {
                return Ok(true);
            }
            let lists = match self.lists(id) {
                Err(ObjectsError::Damaged { .. }) => continue,
                lists => lists?,
            };
            // The best of them is the first.
            if let Some(list) = lists.first()
                && self.lacks(id, list)? == 0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
