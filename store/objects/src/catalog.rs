//! What is where: every frame of every pack that has been seen, in memory.
//!
//! The records stay in the form that they have on disk (45 bytes), sorted within each pack. Who looks for a
//! few of them looks in each pack by halves; once that has cost as much as an index over all of them would
//! (16 bytes and some room for each), there is one. A million frames take about 45 MB, or 80 MB with the index.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use lab_schema::{Digest, ObjectId};

use crate::backend::PackId;
use crate::block::Block;
use crate::frame::FrameKey;
use crate::index::Index;
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

/// Looking for one frame in one pack by halves takes as long as taking so many into the index.
const HALVING: usize = 4;

/// Every frame of every pack that has been seen.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By number; none where one was forgotten.
    packs: Vec<Option<(PackId, Tail)>>,
    states: HashMap<PackId, PackState>,
    /// Finds them, once it pays.
    index: OnceLock<Index>,
    /// Number of frames.
    frames: usize,
    /// In how many packs something was looked for without the index.
    searched: AtomicUsize,
    /// Whether others published some of the packs, and may not have made them durable.
    unsettled: bool,
    /// Blocks that turned out to be damaged, by their numbers.
    damaged: HashSet<(PackId, u32)>,
    /// Packs that are to be removed: what lies in them is not relied on.
    condemned: HashSet<PackId>,
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
        if let Some(index) = self.index.get_mut() {
            index.insert(number, &tail.frames);
        }
        self.frames += tail.frames.len();
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
        if let Some(index) = self.index.get_mut() {
            index.forget(number as u32, &tail.frames);
        }
        self.frames -= tail.frames.len();
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

    /// The index, if there is one, or should be by now.
    fn index(&self) -> Option<&Index> {
        let index = self.index.get();
        let searched = self.searched.load(Ordering::Relaxed);
        if index.is_some() || searched.saturating_mul(HALVING) < self.frames {
            self.searched.fetch_add(self.packs.len(), Ordering::Relaxed);
            return index;
        }
        Some(self.index.get_or_init(|| {
            let mut index = Index::default();
            for (number, pack) in self.packs.iter().enumerate() {
                if let Some((_, tail)) = pack {
                    index.insert(number as u32, &tail.frames);
                }
            }
            index
        }))
    }

    /// The places of a frame, in the order of the packs.
    fn slots(&self, key: &FrameKey) -> impl Iterator<Item = Place> + '_ {
        let (key, index) = (*key, self.index());
        let indexed = index.into_iter().flat_map(move |index| index.slots(key));
        let all = if index.is_some() { &[] } else { &self.packs[..] };
        let found = all.iter().enumerate().filter_map(move |(number, pack)| {
            let (_, tail) = pack.as_ref()?;
            Some((number as u32, tail.frames.find(&key)? as u32))
        });
        indexed.chain(found).filter_map(move |(pack, at)| {
            let (id, tail) = self.packs[pack as usize].as_ref()?;
            let record = tail.frames.get(at as usize);
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
    use crate::index::start;
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
        assert!(catalog.index.get().is_some_and(Index::is_empty) && catalog.frames == 0);
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
    /// Whether there is an index or not, as packs come and go and come again.
    #[test]
    fn an_index_finds_what_halving_finds() {
        let texts: Vec<String> = (0..40).map(|n| format!("{n}")).collect();
        let packs: Vec<Pack> = (0..6)
            .map(|n| {
                texts.iter().skip(n * 3).step_by(n + 1).map(String::as_str).collect::<Vec<_>>()
            })
            .map(|texts| pack(&texts))
            .collect();
        let (mut plain, mut indexed) = (Catalog::default(), Catalog::default());
        indexed.index.get_or_init(Index::default);
        for (step, n) in [0, 1, 2, 1, 3, 0, 4, 5, 2, 5, 1, 0, 1, 2].into_iter().enumerate() {
            let Pack { id, tail, .. } = &packs[n];
            for catalog in [&mut plain, &mut indexed] {
                match catalog.packs().contains_key(id) {
                    true => catalog.forget(*id),
                    false => catalog.insert(*id, tail.clone()),
                }
                catalog.searched = AtomicUsize::new(0);
            }
            // One key each time, and never so many that an index pays.
            for text in &texts {
                plain.searched = AtomicUsize::new(0);
                if plain.frames > 0 {
                    assert_eq!(
                        plain.places(&key(text)),
                        indexed.places(&key(text)),
                        "{step} {text}"
                    );
                    assert!(plain.index.get().is_none());
                }
            }
        }
    }

    #[test]
    fn an_index_comes_when_it_pays() {
        let mut catalog = Catalog::default();
        let texts: Vec<String> = (0..100).map(|n| format!("{n}")).collect();
        let pack = pack(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        catalog.insert(pack.id, pack.tail);
        let first = (0..100).find(|n| {
            assert!(catalog.knows(&key(&n.to_string())));
            catalog.index.get().is_some()
        });
        assert_eq!(first, Some(100 / HALVING));
    }
}
