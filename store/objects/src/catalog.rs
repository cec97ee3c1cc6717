//! What is where: every frame of every pack that has been seen, in memory.
//!
//! The records stay in the form that they have on disk (45 bytes); an index over the first bytes
//! of their digests finds them (16 bytes and some room). A million frames take about 80 MB.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use lab_schema::{Digest, ObjectId};

use crate::backend::PackId;
use crate::block::Block;
use crate::frame::FrameKey;
use crate::pack::{Frames, Record, Tail};

/// A frame in a pack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) pack: PackId,
    pub(crate) record: Record,
    pub(crate) block: Block,
}

/// What is known of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PackState {
    /// Its frames are in the catalog.
    Readable,
    /// Its tail cannot be read: why.
    Broken(&'static str),
}

/// A pack by number, and a record in it by number.
type Slot = (u32, u32);

/// Every frame of every pack that has been seen.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By number; none where one was forgotten.
    packs: Vec<Option<(PackId, Tail)>>,
    states: HashMap<PackId, PackState>,
    /// Where the first frame with the start of a digest lies.
    index: HashMap<u64, Slot, BuildHasherDefault<AsItIs>>,
    /// Where further frames lie: the same one in other packs, or others with the same start.
    more: HashMap<u64, Vec<Slot>>,
    /// Whether others published some of the packs, and may not have made them durable.
    unsettled: bool,
    /// Blocks that turned out to be damaged, by their numbers.
    damaged: HashSet<(PackId, u32)>,
    /// Packs that are to be removed: what lies in them is not relied on.
    condemned: HashSet<PackId>,
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
    pub(crate) fn insert(&mut self, pack: PackId, tail: Tail) {
        if self.states.insert(pack, PackState::Readable).is_some() {
            self.forget(pack);
            self.states.insert(pack, PackState::Readable);
        }
        // It may have been mended in its place.
        self.absolve(pack);
        let number = self.packs.len() as u32;
        self.index.reserve(tail.frames.len());
        for (at, record) in tail.frames.iter().enumerate() {
            let slot = (number, at as u32);
            let start = start(&record.key);
            if let std::collections::hash_map::Entry::Vacant(place) = self.index.entry(start) {
                place.insert(slot);
            } else {
                self.more.entry(start).or_default().push(slot);
            }
        }
        self.packs.push(Some((pack, tail)));
    }

    /// Notes a pack whose tail cannot be read.
    pub(crate) fn insert_broken(&mut self, pack: PackId, why: &'static str) {
        self.states.insert(pack, PackState::Broken(why));
    }

    /// Forgets a pack that is gone.
    pub(crate) fn forget(&mut self, pack: PackId) {
        self.states.remove(&pack);
        let holds = |p: &Option<(PackId, Tail)>| p.as_ref().is_some_and(|(id, _)| *id == pack);
        let Some(number) = self.packs.iter().position(holds) else { return };
        let Some((_, tail)) = self.packs[number].take() else { return };
        for record in tail.frames.iter() {
            let start = start(&record.key);
            if let Some(others) = self.more.get_mut(&start) {
                others.retain(|slot| slot.0 as usize != number);
            }
            let first = self.index.get(&start).is_some_and(|slot| slot.0 as usize == number);
            let next = self.more.get_mut(&start).and_then(|others| {
                if first && !others.is_empty() { Some(others.remove(0)) } else { None }
            });
            if self.more.get(&start).is_some_and(Vec::is_empty) {
                self.more.remove(&start);
            }
            match next {
                Some(slot) => drop(self.index.insert(start, slot)),
                None if first => drop(self.index.remove(&start)),
                None => {}
            }
        }
    }

    /// Which packs are to be removed, be they here or not.
    pub(crate) fn set_condemned(&mut self, condemned: HashSet<PackId>) {
        self.condemned = condemned;
    }

    /// Adds to the packs that are to be removed.
    pub(crate) fn add_condemned(&mut self, condemned: &HashSet<PackId>) {
        self.condemned.extend(condemned);
    }

    /// Whether any pack is to be removed.
    pub(crate) fn has_condemned(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// Whether this pack is to be removed.
    pub(crate) fn is_condemned(&self, pack: PackId) -> bool {
        self.condemned.contains(&pack)
    }

    /// Notes that a block turned out to be damaged, so that what lies in it is stored again when it is
    /// put.
    pub(crate) fn condemn(&mut self, place: &Place) {
        self.condemn_block(place.pack, place.record.block);
    }

    /// The same, for a block by its number.
    pub(crate) fn condemn_block(&mut self, pack: PackId, block: u32) {
        self.damaged.insert((pack, block));
    }

    /// Forgets what turned out to be damaged in a pack: it is about to be read again.
    pub(crate) fn absolve(&mut self, pack: PackId) {
        self.damaged.retain(|(damaged, _)| *damaged != pack);
    }

    fn slots(&self, key: &FrameKey) -> impl Iterator<Item = Place> + '_ {
        let (start, key) = (start(key), *key);
        let more = self.more.get(&start).into_iter().flatten();
        self.index.get(&start).into_iter().chain(more).filter_map(move |(pack, at)| {
            let (id, tail) = self.packs[*pack as usize].as_ref()?;
            let record = tail.frames.get(*at as usize);
            let block = tail.blocks[record.block as usize];
            (record.key == key).then_some(Place { pack: *id, record, block })
        })
    }

    pub(crate) fn is_sound(&self, place: &Place) -> bool {
        self.damaged.is_empty() || !self.damaged.contains(&(place.pack, place.record.block))
    }

    /// Every place of a frame; the ones that are not known to be damaged first, and of these the
    /// ones that take the fewest deltas.
    pub(crate) fn places(&self, key: &FrameKey) -> Vec<Place> {
        let mut places: Vec<Place> = self.slots(key).collect();
        places.sort_by_key(|place| (!self.is_sound(place), place.block.depth));
        places
    }

    /// The place of a frame that was found first, if that is not known to be damaged.
    pub(crate) fn first(&self, key: &FrameKey) -> Option<Place> {
        self.slots(key).find(|place| self.is_sound(place))
    }

    /// Whether a frame is somewhere where it is not known to be damaged, and not about to be removed:
    /// neither it nor what it is a difference to.
    pub(crate) fn holds(&self, key: &FrameKey) -> bool {
        self.slots(key).any(|place| self.is_kept(&place))
    }

    /// Whether a place can be relied on, as [`Catalog::holds`] does.
    pub(crate) fn is_kept(&self, place: &Place) -> bool {
        self.is_kept_among(place, &mut HashSet::new())
    }

    /// The same; `lost` are the bases of which no copy can be relied on, at this depth of what stands on
    /// them. Hostile packs may hold any number of copies of each.
    fn is_kept_among(&self, place: &Place, lost: &mut HashSet<(Digest, u8)>) -> bool {
        let depth = place.block.depth;
        let mut base_is_kept = |base: Digest| {
            if lost.contains(&(base, depth)) {
                return false;
            }
            let kept = FrameKey::of_chunk(base)
                .iter()
                .flat_map(|key| self.slots(key))
                .any(|copy| copy.block.depth < depth && self.is_kept_among(&copy, lost));
            if !kept {
                lost.insert((base, depth));
            }
            kept
        };
        // A base may be gone for good: a collector leaves what nobody needs in packs that stay.
        self.is_sound(place)
            && !self.condemned.contains(&place.pack)
            && place.block.base.is_none_or(&mut base_is_kept)
    }

    /// Whether a frame is nowhere but where it is about to be removed.
    pub(crate) fn goes(&self, key: &FrameKey) -> bool {
        self.slots(key).all(|place| self.condemned.contains(&place.pack))
    }

    /// Whether a frame was ever recorded, damaged or not.
    pub(crate) fn knows(&self, key: &FrameKey) -> bool {
        self.slots(key).next().is_some()
    }

    /// The objects for which `wanted` holds.
    pub(crate) fn objects(&self, wanted: impl Fn(&ObjectId) -> bool) -> BTreeSet<ObjectId> {
        let records = self.packs.iter().flatten().flat_map(|(_, tail)| tail.frames.iter());
        records.filter_map(|r| r.key.object()).filter(wanted).collect()
    }

    /// What lies in a pack.
    pub(crate) fn contents(&self, pack: PackId) -> Option<&Tail> {
        self.packs.iter().flatten().find(|(id, _)| *id == pack).map(|(_, tail)| tail)
    }

    /// All packs with their records and blocks.
    pub(crate) fn all(&self) -> impl Iterator<Item = (PackId, &[Block], &Frames)> {
        self.packs.iter().flatten().map(|(id, tail)| (*id, &tail.blocks[..], &tail.frames))
    }
}

#[cfg(test)]
mod tests {
    use lab_encoding::float::Element;
    use lab_schema::BlobId;

    use super::*;
    use crate::block::Coder;
    use crate::frame::FrameKind;
    use crate::pack::{Encoded, Pack, PackBuilder};

    fn key(text: &str) -> FrameKey {
        FrameKey::new(FrameKind::Blob, BlobId::of(text.as_bytes()).digest())
    }

    /// A pack in which each text lies in a block of its own.
    fn pack(texts: &[&str]) -> Pack {
        let (mut coder, mut builder) = (Coder::new().unwrap(), PackBuilder::new(Vec::new()));
        for text in texts {
            let mut encoded = Encoded::default();
            let bytes = text.as_bytes();
            let block = coder.encode(bytes, Element::Other, None, &mut encoded.bytes).unwrap();
            encoded.blocks.push(block);
            let (key, bytes) = (key(text), bytes.len() as u32);
            encoded.records.push(Record { key, block: 0, start: 0, bytes });
            builder.append(&encoded);
        }
        builder.finish()
    }

    #[test]
    fn a_frame_survives_the_loss_of_one_of_its_packs() {
        let mut catalog = Catalog::default();
        let (p, q) = (pack(&["x", "y"]), pack(&["z", "x"]));
        catalog.insert(p.id, p.tail);
        catalog.insert(q.id, q.tail);
        assert_eq!(catalog.places(&key("x")).len(), 2);
        catalog.forget(p.id);
        let places = catalog.places(&key("x"));
        assert_eq!(places.iter().map(|p| p.pack).collect::<Vec<_>>(), [q.id]);
        assert!(!catalog.knows(&key("y")) && catalog.knows(&key("z")));
        assert_eq!(catalog.packs().len(), 1);
        catalog.forget(q.id);
        assert!(catalog.index.is_empty() && catalog.more.is_empty());
    }

    #[test]
    fn a_damaged_place_goes_last_and_is_not_relied_on() {
        let mut catalog = Catalog::default();
        let (p, q) = (pack(&["x"]), pack(&["z", "x"]));
        catalog.insert(p.id, p.tail);
        let place = catalog.places(&key("x"))[0];
        catalog.condemn(&place);
        assert!(catalog.knows(&key("x")) && !catalog.holds(&key("x")));
        catalog.insert(q.id, q.tail);
        assert!(catalog.holds(&key("x")));
        assert_eq!(catalog.places(&key("x"))[0].pack, q.id);
        catalog.set_condemned(HashSet::from([q.id]));
        assert!(!catalog.holds(&key("x")) && catalog.places(&key("x")).len() == 2);
    }

    #[test]
    fn frames_with_the_same_start_are_told_apart() {
        let one = key("x");
        let mut bytes = *one.digest.as_bytes();
        bytes[31] ^= 1;
        let other = FrameKey::new(FrameKind::Blob, lab_schema::Digest::from_bytes(bytes));
        assert_eq!(start(&one), start(&other));
        let mut catalog = Catalog::default();
        let p = pack(&["x"]);
        catalog.insert(p.id, p.tail);
        assert!(catalog.knows(&one) && !catalog.knows(&other));
    }
}
