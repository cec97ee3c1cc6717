//! What is where: every frame of every pack that has been seen, in memory.

use std::collections::{BTreeSet, HashMap, HashSet};

use lab_schema::ObjectId;

use crate::backend::PackId;
use crate::frame::FrameKey;
use crate::pack::Record;

/// A frame in a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) pack: PackId,
    pub(crate) record: Record,
}

/// What is known of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PackState {
    /// Its frames are in the catalog.
    Readable {
        /// Whether its index could not be used, so that the pack itself was read.
        unindexed: bool,
    },
    /// Its tail cannot be read: why.
    Broken(&'static str),
}

/// Every frame of every pack that has been seen.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    packs: Vec<PackId>,
    states: HashMap<PackId, PackState>,
    /// The place of each frame, its pack by number.
    frames: HashMap<FrameKey, (u32, Record)>,
    /// Further places of frames that lie in several packs.
    copies: HashMap<FrameKey, Vec<(u32, Record)>>,
    /// Whether others published some of the packs, and may not have made them durable.
    unsettled: bool,
    /// Places that turned out to be damaged: (pack, offset).
    damaged: HashSet<(PackId, u64)>,
}

impl Catalog {
    /// The packs that have been seen.
    pub(crate) fn packs(&self) -> &HashMap<PackId, PackState> {
        &self.states
    }

    /// Notes that others published something, or that it is durable now; returns what held before.
    pub(crate) fn set_unsettled(&mut self, unsettled: bool) -> bool {
        std::mem::replace(&mut self.unsettled, unsettled)
    }

    /// Takes in a readable pack.
    pub(crate) fn insert(&mut self, pack: PackId, records: &[Record], unindexed: bool) {
        if self.states.insert(pack, PackState::Readable { unindexed }).is_some() {
            self.forget(pack);
            self.states.insert(pack, PackState::Readable { unindexed });
        }
        // It may have been mended in its place.
        self.damaged.retain(|(damaged, _)| *damaged != pack);
        let number = self.packs.len() as u32;
        self.packs.push(pack);
        self.frames.reserve(records.len());
        for record in records {
            if let Some(first) = self.frames.get(&record.key) {
                if self.damaged.contains(&(self.packs[first.0 as usize], first.1.offset)) {
                    self.frames.insert(record.key, (number, *record));
                } else {
                    self.copies.entry(record.key).or_default().push((number, *record));
                }
            } else {
                self.frames.insert(record.key, (number, *record));
            }
        }
    }

    /// Notes a pack whose tail cannot be read.
    pub(crate) fn insert_broken(&mut self, pack: PackId, why: &'static str) {
        self.states.insert(pack, PackState::Broken(why));
    }

    /// Notes that the pack has its index now.
    pub(crate) fn set_indexed(&mut self, pack: PackId) {
        if let Some(PackState::Readable { unindexed }) = self.states.get_mut(&pack) {
            *unindexed = false;
        }
    }

    /// Forgets a pack that is gone.
    pub(crate) fn forget(&mut self, pack: PackId) {
        self.states.remove(&pack);
        let packs = &self.packs;
        let stays = |at: &(u32, Record)| packs[at.0 as usize] != pack;
        self.copies.retain(|_, places| {
            places.retain(stays);
            !places.is_empty()
        });
        self.frames.retain(|_, place| stays(place));
        let orphans: Vec<FrameKey> =
            self.copies.keys().filter(|k| !self.frames.contains_key(k)).copied().collect();
        for key in orphans {
            if let Some(place) = self.copies.get_mut(&key).and_then(Vec::pop) {
                self.frames.insert(key, place);
            }
        }
        self.copies.retain(|_, places| !places.is_empty());
    }

    /// Notes that a frame turned out to be damaged, so that it is stored again when it is put.
    pub(crate) fn condemn(&mut self, place: &Place) {
        self.damaged.insert((place.pack, place.record.offset));
    }

    /// Every place of a frame; the ones that are not known to be damaged first.
    pub(crate) fn places(&self, key: &FrameKey) -> Vec<Place> {
        let copies = self.copies.get(key).into_iter().flatten();
        let all = self.frames.get(key).into_iter().chain(copies);
        let mut places: Vec<Place> = all
            .map(|(pack, record)| Place { pack: self.packs[*pack as usize], record: *record })
            .collect();
        places.sort_by_key(|place| self.damaged.contains(&(place.pack, place.record.offset)));
        places
    }

    /// Whether a frame is somewhere where it is not known to be damaged.
    pub(crate) fn holds(&self, key: &FrameKey) -> bool {
        match self.frames.get(key) {
            None => false,
            Some(_) if self.damaged.is_empty() => true,
            Some(_) => self
                .places(key)
                .first()
                .is_some_and(|place| !self.damaged.contains(&(place.pack, place.record.offset))),
        }
    }

    /// Whether a frame was ever recorded, damaged or not.
    pub(crate) fn knows(&self, key: &FrameKey) -> bool {
        self.frames.contains_key(key)
    }

    /// The objects for which `wanted` holds.
    pub(crate) fn objects(&self, wanted: impl Fn(&ObjectId) -> bool) -> BTreeSet<ObjectId> {
        self.frames.keys().filter_map(FrameKey::object).filter(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use lab_schema::BlobId;

    use super::*;
    use crate::frame::{Encoding, FrameKind};

    fn record(text: &str, offset: u64) -> Record {
        let key = FrameKey::new(FrameKind::Blob, BlobId::of(text.as_bytes()).digest());
        Record { key, encoding: Encoding::Raw, offset, stored_bytes: 1, bytes: 1 }
    }

    fn pack(text: &str) -> PackId {
        PackId::from_digest(BlobId::of(text.as_bytes()).digest())
    }

    #[test]
    fn a_frame_survives_the_loss_of_one_of_its_packs() {
        let mut catalog = Catalog::default();
        let (one, two) = (record("x", 8), record("x", 20));
        catalog.insert(pack("p"), &[one, record("y", 9)], false);
        catalog.insert(pack("q"), &[two], false);
        assert_eq!(catalog.places(&one.key).len(), 2);
        catalog.forget(pack("p"));
        assert_eq!(catalog.places(&one.key), [Place { pack: pack("q"), record: two }]);
        assert!(!catalog.knows(&record("y", 9).key));
        assert_eq!(catalog.packs().len(), 1);
    }

    #[test]
    fn a_damaged_place_goes_last_and_is_not_relied_on() {
        let mut catalog = Catalog::default();
        let (one, two) = (record("x", 8), record("x", 20));
        catalog.insert(pack("p"), &[one], false);
        catalog.condemn(&Place { pack: pack("p"), record: one });
        assert!(catalog.knows(&one.key) && !catalog.holds(&one.key));
        catalog.insert(pack("q"), &[two], false);
        assert!(catalog.holds(&one.key));
        assert_eq!(catalog.places(&one.key)[0].pack, pack("q"));
    }
}
