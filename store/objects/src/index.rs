//! Where a frame lies, by the start of its digest: 16 bytes and some room for each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::frame::FrameKey;
use crate::pack::Frames;

/// A pack by number, and a record in it by number.
pub(crate) type Slot = (u32, u32);

/// Frames of several packs.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Where the first frame with the start of a digest lies.
    first: HashMap<u64, Slot, BuildHasherDefault<AsItIs>>,
    /// Where further frames lie: the same one in other packs, or others with the same start.
    more: HashMap<u64, Vec<Slot>>,
}

/// The start of a digest is as good as a hash of it.
#[derive(Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only the starts of digests are keys");
    }

    fn write_u64(&mut self, start: u64) {
        self.0 = start;
    }
}

/// The start of the digest; the kind sets equal digests of different kinds apart.
pub(crate) fn start(key: &FrameKey) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&key.digest.as_bytes()[..8]);
    u64::from_le_bytes(first) ^ u64::from(key.kind.code()).rotate_right(8)
}

impl Index {
    /// Takes in the frames of a pack, which come after those of the packs before.
    pub(crate) fn insert(&mut self, number: u32, frames: &Frames) {
        self.first.reserve(frames.len());
        for (at, record) in frames.iter().enumerate() {
            let slot = (number, at as u32);
            match self.first.entry(start(&record.key)) {
                Entry::Vacant(place) => drop(place.insert(slot)),
                Entry::Occupied(place) => self.more.entry(*place.key()).or_default().push(slot),
            }
        }
    }

    /// Forgets the frames of a pack.
    pub(crate) fn forget(&mut self, number: u32, frames: &Frames) {
        for record in frames.iter() {
            let start = start(&record.key);
            if let Some(others) = self.more.get_mut(&start) {
                others.retain(|slot| slot.0 != number);
            }
            let first = self.first.get(&start).is_some_and(|slot| slot.0 == number);
            let next = self.more.get_mut(&start).and_then(|others| {
                if first && !others.is_empty() { Some(others.remove(0)) } else { None }
            });
            if self.more.get(&start).is_some_and(Vec::is_empty) {
                self.more.remove(&start);
            }
            match next {
                Some(slot) => drop(self.first.insert(start, slot)),
                None if first => drop(self.first.remove(&start)),
                None => {}
            }
        }
    }

    /// Where frames lie whose digests start as this one, in the order of the packs.
    pub(crate) fn slots(&self, key: FrameKey) -> impl Iterator<Item = Slot> + '_ {
        let start = start(&key);
        let more = self.more.get(&start).into_iter().flatten();
        self.first.get(&start).into_iter().chain(more).copied()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.more.is_empty()
    }
}
