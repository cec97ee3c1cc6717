//! What hangs on damage: chunks that are stored as differences to lost ones, and the objects that
//! are made of either.

use std::collections::{BTreeSet, HashMap};

use lab_schema::{Digest, ObjectId};

use crate::block::MAX_DEPTH;
use crate::catalog::Place;
use crate::error::{ObjectsError, Result};
use crate::frame::FrameKey;
use crate::store::Store;

/// Where damage leads to.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// For a chunk that is a difference to a lost one: that one.
    bases: HashMap<Digest, Digest>,
    /// The objects that are lost with a chunk, node or other frame.
    objects: HashMap<Digest, BTreeSet<ObjectId>>,
    /// What was asked before.
    sound: HashMap<Digest, bool>,
}

impl Damage {
    /// After all packs have been looked at: marks every block that cannot be decoded since what it
    /// stands on is lost.
    pub(super) fn spread(store: &Store) -> Damage {
        let mut damage = Damage::default();
        // What a block stands on has a lower depth, so that one pass a depth sees everything.
        for depth in 1..=MAX_DEPTH {
            let mut hanging = Vec::new();
            {
                let catalog = store.catalog();
                for (pack, blocks, frames) in catalog.all() {
                    let lost = |base: &Digest| {
                        !FrameKey::of_chunk(*base).iter().any(|key| {
                            let places = catalog.places(key).into_iter();
                            places
                                .into_iter()
                                .any(|place| place.block.depth < depth && catalog.is_sound(&place))
                        })
                    };
                    let blocks: HashMap<u32, Digest> = (0u32..)
                        .zip(blocks)
                        .filter(|(_, block)| block.depth == depth)
                        .filter_map(|(number, block)| Some((number, block.base.filter(lost)?)))
                        .collect();
                    if blocks.is_empty() {
                        continue;
                    }
                    for record in frames.iter() {
                        if let Some(base) = blocks.get(&record.block) {
                            damage.bases.insert(record.key.digest, *base);
                        }
                    }
                    hanging.extend(blocks.into_keys().map(|number| (pack, number)));
                }
            }
            let mut catalog = store.catalog_mut();
            hanging.into_iter().for_each(|(pack, number)| catalog.condemn_block(pack, number));
        }
        damage
    }

    /// Whether a chunk can be read, as far as is known; looks if there is doubt.
    pub(super) fn has_chunk(&mut self, store: &Store, digest: Digest) -> Result<bool> {
        if let Some(known) = self.sound.get(&digest) {
            return Ok(*known);
        }
        let sound = has(store, &FrameKey::of_chunk(digest))?;
        // Only doubtful ones are remembered: there are few.
        if !sound {
            self.sound.insert(digest, false);
        }
        Ok(sound)
    }

    /// Whether a chunk is somewhere recorded as so long.
    pub(super) fn is_long(&self, store: &Store, digest: Digest, bytes: u64) -> bool {
        let catalog = store.catalog();
        let fits = |place: Place| u64::from(place.record.bytes) == bytes;
        FrameKey::of_chunk(digest).iter().any(|key| catalog.places(key).into_iter().any(fits))
    }

    /// Notes that an object is lost with a frame, and with everything that this stands on.
    pub(super) fn lose(&mut self, digest: Digest, object: ObjectId) {
        let mut at = Some(digest);
        for _ in 0..=MAX_DEPTH {
            let Some(digest) = at else { break };
            self.objects.entry(digest).or_default().insert(object);
            at = self.bases.get(&digest).copied();
        }
    }

    /// The objects that are lost with a frame.
    pub(super) fn objects(&self, digest: Digest) -> Vec<ObjectId> {
        self.objects.get(&digest).into_iter().flatten().copied().collect()
    }

    /// Why a chunk cannot be read.
    pub(super) fn why(&self, store: &Store, digest: Digest) -> String {
        let chunk = digest.short();
        let known = FrameKey::of_chunk(digest).iter().any(|key| store.catalog().knows(key));
        match self.bases.get(&digest) {
            _ if !known => format!("its chunk {chunk} is in no pack"),
            Some(base) => {
                format!(
                    "its chunk {chunk} is a difference to chunk {}, which is lost",
                    base.short()
                )
            }
            None => format!("its chunk {chunk} is damaged"),
        }
    }
}

/// Whether a frame can be read, as far as is known; looks if there is doubt.
pub(super) fn has(store: &Store, keys: &[FrameKey]) -> Result<bool> {
    let sound = {
        let catalog = store.catalog();
        keys.iter().any(|key| catalog.places(key).iter().any(|place| catalog.is_sound(place)))
    };
    if sound {
        return Ok(true);
    }
    match store.fetch(keys) {
        Ok(found) => Ok(found.is_some()),
        Err(ObjectsError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
