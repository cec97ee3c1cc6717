//! What is in a store: its objects by kind or by the start of their ids, and its packs.
//!
//! What a damaged pack holds is not known, and so not listed; a check tells of it.

use lab_schema::{IdPrefix, Kind, ObjectId};

use crate::backend::PackId;
use crate::catalog::PackState;
use crate::error::{ObjectsError, Result};
use crate::frame::FrameKey;
use crate::store::Store;

impl Store {
    /// All objects of a kind, sorted; without those that are about to be removed.
    pub fn list(&self, kind: Kind) -> Result<Vec<ObjectId>> {
        self.refresh()?;
        let catalog = self.catalog();
        let mut objects = catalog.objects(|id| id.kind() == kind);
        if catalog.has_condemned() {
            objects.retain(|id| !FrameKey::of_object(*id).all(|key| catalog.goes(&key)));
        }
        Ok(objects.into_iter().collect())
    }

    /// All objects whose id starts like this, sorted by kind and id.
    pub fn find(&self, prefix: &IdPrefix) -> Result<Vec<ObjectId>> {
        self.refresh()?;
        Ok(self.catalog().objects(|id| prefix.matches(&id.digest())).into_iter().collect())
    }

    /// All packs that can be read, sorted.
    pub fn packs(&self) -> Result<Vec<PackId>> {
        self.refresh()?;
        let catalog = self.catalog();
        let readable =
            |(id, state): (&PackId, &PackState)| (*state == PackState::Readable).then_some(*id);
        let mut packs: Vec<PackId> = catalog.packs().iter().filter_map(readable).collect();
        packs.sort();
        Ok(packs)
    }

    /// The objects (not their chunks) that are recorded in a pack, sorted; none if it is gone.
    pub fn pack_objects(&self, pack: PackId) -> Result<Vec<ObjectId>> {
        let state = self.catalog().packs().get(&pack).cloned();
        if state.is_none() {
            self.refresh()?;
        }
        let catalog = self.catalog();
        if let Some(PackState::Broken(why)) = catalog.packs().get(&pack) {
            return Err(ObjectsError::Damaged { what: format!("pack {pack}"), why });
        }
        let Some(tail) = catalog.contents(pack) else { return Ok(Vec::new()) };
        let mut objects: Vec<ObjectId> =
            tail.frames.iter().filter_map(|r| r.key.object()).collect();
        objects.sort();
        objects.dedup();
        Ok(objects)
    }
    /// Puts objects in the order in which they lie in the packs: so each block is read once where they
    /// are read one after the other. What no pack holds comes last.
    pub fn sort_by_place(&self, ids: &mut [ObjectId]) {
        let catalog = self.catalog();
        ids.sort_by_cached_key(|id| {
            let place = FrameKey::of_object(*id).find_map(|key| catalog.first(&key));
            let at = place.map(|place| (place.pack, place.record.block));
            (at.is_none(), at, *id)
        });
    }
}
