//! Removes what nobody needs, while others write and read.
//!
//! Two phases, at least a grace period apart. A pack of which nothing is needed is *condemned*: it
//! gets a mark, a file whose age counts. One that is marked is *removed* once the mark is old
//! enough, older than every living lease, and still nothing that is needed lies in it alone. Of a
//! pack that is needed for less than half, or holds objects that go, and of many small ones, what is
//! needed is first copied elsewhere (`repack.rs`).
//!
//! Why nothing is lost. A collector reads the marks first, then the leases, and only then is it
//! decided what is needed. Consider any writer:
//! - It ended before the leases were read: its names have moved, so what it wrote is needed.
//! - It held a lease then: only packs are removed that were marked before that lease began. It read the
//!   marks after it took the lease, and relied on nothing in such packs (`Catalog::holds`), nor
//!   on what is made of it (`keep.rs`): it stored that again.
//! - It began later: the marks that this collector acts on were there before, so the same holds.
//!
//! What is pointed at again after it was condemned is copied by whoever points at it (`rescue.rs`),
//! or, if it was pointed at before the collector looked, loses its mark. A pack that is stored again
//! under the name of a condemned one gets another name (`Pack::renamed`). A pack younger than
//! the grace is left alone: that keeps what was stored and not named yet.
//!
//! Whoever dies at any step leaves too much and never too little: copies are durable before the pack
//! they are of is marked, and a mark goes after its pack. There is one collector at a time. The clock
//! is that of the files. On a network file system a mark may be seen late, by minutes: the
//! grace has to be longer than that, unless nobody else is at work.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use lab_schema::ObjectId;

use crate::backend::{Key, PackId, Room};
use crate::block::Block;
use crate::catalog::{PackState, Place};
use crate::error::{ObjectsError, Result};
use crate::lease::{Lease, Living};
use crate::marks::{Marks, Share, share};
use crate::pack::Record;
use crate::plan::{Done, Fate, PackPlan, Plan, Stay};
use crate::progress::Progress;
use crate::repack::{Repack, is_upper};
use crate::store::Store;

/// A pack smaller than this is small.
const SMALL_PACK: u64 = 4 << 20;
/// More small packs than this are made into larger ones.
const SMALL_PACKS: usize = 8;

/// What is needed of a pack and not kept in a better place.
#[derive(Clone, Copy, Default)]
struct Needed {
    frames: u64,
    bytes: u64,
    /// Whether it holds objects that nobody needs. They must not outlast what they are made of: a
    /// check would find that lacking.
    has_dead_objects: bool,
}

/// Finds out what may go from a store, and removes it.
#[derive(Debug)]
pub struct Collector {
    store: Store,
    grace: Duration,
    now: SystemTime,
    /// Held against other collectors; none when nothing is to be changed.
    lock: Option<Lease>,
    condemned: BTreeMap<PackId, SystemTime>,
    leases: Vec<Living>,
    marks: Marks,
    /// Bytes that each who was [kept](Collector::keep) needs.
    stored: Vec<u64>,
}

impl Collector {
    /// Begins a collection; what is needed is to be worked out after this. Waits for another
    /// collector, for a while. Refuses a store with a pack whose contents are not known, since what is
    /// needed cannot be known then.
    pub fn begin(store: &Store, grace: Duration) -> Result<Collector> {
        let (lock, now) = store.backend().exclude()?;
        Collector::new(store, grace, now, Some(lock))
    }

    /// Looks only: [`Collector::carry_out`] will refuse. Goes by this host's clock.
    pub fn look(store: &Store, grace: Duration) -> Result<Collector> {
        Collector::new(store, grace, SystemTime::now(), None)
    }

    fn new(
        store: &Store,
        grace: Duration,
        now: SystemTime,
        lock: Option<Lease>,
    ) -> Result<Collector> {
        let backend = store.backend();
        let mut condemned = BTreeMap::new();
        for (key, _) in backend.list(Room::Condemned)? {
            if let (Key::Condemned(pack), Some(when)) = (&key, backend.published(&key)?) {
                condemned.insert(*pack, when);
            }
        }
        // After the marks: see the module.
        let leases = backend.leases(lock.is_some())?;
        store.refresh()?;
        for (pack, state) in store.catalog().packs() {
            if let PackState::Broken(why) = state {
                return Err(ObjectsError::Damaged { what: format!("pack {pack}"), why });
            }
        }
        let (store, marks, stored) = (store.clone(), Marks::default(), Vec::new());
        Ok(Collector { store, grace, now, lock, condemned, leases, marks, stored })
    }

    /// When it began, by the clock of the store.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Who is at work.
    pub fn leases(&self) -> &[Living] {
        &self.leases
    }

    /// Keeps these objects, which must be here. What they need by hash is to be among them, or kept
    /// otherwise. What one call asks for is told apart in [`Plan::shares`] from what others do.
    pub fn keep(&mut self, ids: &[ObjectId]) -> Result<()> {
        self.add(ids, false)
    }

    /// The same; of what they are made of, what is here is enough.
    pub fn keep_what_is_here(&mut self, ids: &[ObjectId]) -> Result<()> {
        self.add(ids, true)
    }

    fn add(&mut self, ids: &[ObjectId], lenient: bool) -> Result<()> {
        let owner = self.stored.len() as u32;
        let stored = self.marks.add(&self.store, owner, ids, lenient)?;
        self.stored.push(stored);
        Ok(())
    }

    /// What is to be done.
    pub fn plan(&self) -> Result<Plan> {
        let mut plan = Plan::default();
        let mut listed = Vec::new();
        for (key, bytes) in self.store.backend().list(Room::Packs)? {
            if let Key::Pack(pack) = key {
                listed.push((pack, bytes));
            }
        }
        let ranks = self.ranks();
        let mut needed: HashMap<PackId, Needed> = HashMap::new();
        {
            let catalog = self.store.catalog();
            for (pack, blocks, frames) in catalog.all() {
                let sum = needed.entry(pack).or_default();
                for record in frames.iter() {
                    let block = &blocks[record.block as usize];
                    if self.is_home(&ranks, pack, &record, block) {
                        sum.frames += 1;
                        sum.bytes += share(&record, block);
                    }
                    sum.has_dead_objects |=
                        is_upper(record.key.kind) && !self.marks.contains(&record.key);
                }
                for block in blocks {
                    let sum = &mut plan.encodings[usize::from(block.encoding.code())];
                    sum.bytes += u64::from(block.bytes);
                    sum.stored += u64::from(block.stored);
                }
            }
        }
        for (pack, bytes) in listed {
            // One that appeared since then is young whatever the grace.
            let Some(needed) = needed.get(&pack).copied() else {
                let fate = Fate::Stays(Stay::Young { until: self.now + self.grace });
                plan.packs.push(PackPlan { pack, bytes, needed: bytes, fate });
                continue;
            };
            let fate = self.fate(pack, bytes, needed)?;
            plan.packs.push(PackPlan { pack, bytes, needed: needed.bytes, fate });
        }
        let is_small = |p: &PackPlan| p.fate == Fate::Stays(Stay::Needed) && p.bytes < SMALL_PACK;
        if plan.packs.iter().filter(|p| is_small(p)).count() > SMALL_PACKS {
            plan.packs.iter_mut().filter(|p| is_small(p)).for_each(|p| p.fate = Fate::Repacked);
        }
        let alone = self.marks.alone(self.stored.len());
        let shares = self.stored.iter().zip(alone);
        plan.shares = shares.map(|(stored, alone)| Share { stored: *stored, alone }).collect();
        Ok(plan)
    }

    fn fate(&self, pack: PackId, bytes: u64, needed: Needed) -> Result<Fate> {
        let age = |when: SystemTime| self.now.duration_since(when).unwrap_or_default();
        if let Some(marked) = self.condemned.get(&pack) {
            let younger = |lease: &&Living| lease.since <= *marked;
            return Ok(match self.leases.iter().find(younger) {
                _ if needed.frames > 0 => Fate::Spared,
                _ if age(*marked) < self.grace => {
                    Fate::Stays(Stay::Grace { until: *marked + self.grace })
                }
                Some(lease) => Fate::Stays(Stay::Leased { holder: lease.holder.clone() }),
                None => Fate::Removed,
            });
        }
        let published = self.store.backend().published(&Key::Pack(pack))?.unwrap_or(self.now);
        Ok(if age(published) < self.grace {
            Fate::Stays(Stay::Young { until: published + self.grace })
        } else if needed.frames == 0 {
            Fate::Condemned
        } else if needed.bytes * 2 < bytes || needed.has_dead_objects {
            Fate::Repacked
        } else {
            Fate::Stays(Stay::Needed)
        })
    }

    /// For each pack, how much of it is needed, in thousandths.
    fn ranks(&self) -> HashMap<PackId, u64> {
        let catalog = self.store.catalog();
        let rank = |(pack, blocks, frames): (PackId, &[Block], &crate::pack::Frames)| {
            let share = |r: Record| share(&r, &blocks[r.block as usize]);
            let needed = frames.iter().filter(|r| self.marks.contains(&r.key));
            let all: u64 = blocks.iter().map(|block| u64::from(block.stored)).sum();
            (pack, needed.map(share).sum::<u64>() * 1000 / all.max(1))
        };
        catalog.all().map(rank).collect()
    }

    /// Whether a frame is needed and this is the place where it is kept: of all places the one with the
    /// fewest differences, since others may stand on it; then one in a pack that stays anyway. A list
    /// that lost something is no place for a blob that another one has whole.
    fn is_home(
        &self,
        ranks: &HashMap<PackId, u64>,
        pack: PackId,
        record: &Record,
        block: &Block,
    ) -> bool {
        if !self.marks.contains(&record.key) {
            return false;
        }
        let catalog = self.store.catalog();
        let worth = |place: &Place| {
            (
                self.marks.is_partial(&place.record.key, place.pack),
                !catalog.is_sound(place),
                place.block.depth,
                self.condemned.contains_key(&place.pack),
                Reverse(ranks.get(&place.pack).copied().unwrap_or(0)),
                place.pack,
            )
        };
        let here = worth(&Place { pack, record: *record, block: *block });
        catalog.places(&record.key).iter().all(|place| here <= worth(place))
    }

    /// Does what was planned.
    pub fn carry_out(self, plan: &Plan, progress: &dyn Progress) -> Result<Done> {
        if self.lock.is_none() {
            let (key, why) = (self.store.backend().location(), "it was only to be looked at");
            return Err(ObjectsError::RefusedKey { verb: "collect", key, why });
        }
        // What is relied on instead of what goes must not be lost in a power cut.
        self.store.settle()?;
        let mut done = Done::default();
        let with = |fate: Fate| plan.packs.iter().filter(move |pack| pack.fate == fate);
        for plan in with(Fate::Spared) {
            self.store.backend().remove(&Key::Condemned(plan.pack))?;
            done.spared += 1;
        }
        self.condemn(with(Fate::Condemned), &mut done)?;
        progress.begin("repack", Some(plan.sum(|fate| *fate == Fate::Repacked).1));
        let repacked = self.repack(with(Fate::Repacked), &mut done, progress).and_then(|taken| {
            let those = with(Fate::Repacked).filter(|p| taken.contains(&p.pack));
            self.condemn(those, &mut done)
        });
        progress.end();
        // Even if there was no room to copy anything: this makes some. After it, since what lies in
        // marked packs is not missed by a check.
        progress.begin("remove", Some(plan.sum(|fate| *fate == Fate::Removed).1));
        let swept = self.sweep(with(Fate::Removed), &mut done, progress);
        progress.end();
        repacked.and(swept)?;
        // For those who go by an inventory.
        self.store.backend().settle()?;
        self.store.refresh()?;
        Ok(done)
    }

    fn condemn<'a>(
        &self,
        packs: impl Iterator<Item = &'a PackPlan>,
        done: &mut Done,
    ) -> Result<()> {
        for PackPlan { pack, bytes, .. } in packs {
            self.store.backend().publish(&Key::Condemned(*pack), b"")?;
            done.condemned = (done.condemned.0 + 1, done.condemned.1 + bytes);
        }
        Ok(())
    }

    fn sweep<'a>(
        &self,
        removed: impl Iterator<Item = &'a PackPlan>,
        done: &mut Done,
        progress: &dyn Progress,
    ) -> Result<()> {
        let backend = self.store.backend();
        for PackPlan { pack, bytes, .. } in removed {
            backend.remove(&Key::Pack(*pack))?;
            // The mark last: while the pack is there, nobody may rely on it.
            backend.remove(&Key::Condemned(*pack))?;
            done.removed = (done.removed.0 + 1, done.removed.1 + bytes);
            progress.advance(*bytes);
        }
        // Marks that somebody left who died between the two.
        let here = |pack: &PackId| self.store.catalog().packs().contains_key(pack);
        for pack in self.condemned.keys().filter(|pack| !here(pack)) {
            backend.remove(&Key::Condemned(*pack))?;
        }
        Ok(())
    }

    /// Copies what is needed of these packs; returns those that may go then.
    fn repack<'a>(
        &self,
        packs: impl Iterator<Item = &'a PackPlan>,
        done: &mut Done,
        progress: &dyn Progress,
    ) -> Result<BTreeSet<PackId>> {
        let (ranks, mut taken) = (self.ranks(), BTreeSet::new());
        let mut repack = Repack::new(&self.store)?;
        for plan in packs {
            let home = |r: &Record, block: &Block| self.is_home(&ranks, plan.pack, r, block);
            match repack.take(plan.pack, home)? {
                true => drop(taken.insert(plan.pack)),
                false => done.damaged.push(plan.pack),
            }
            progress.advance(plan.bytes);
        }
        let made = repack.finish()?;
        done.made = made.iter().fold((0, 0), |(n, sum), (_, bytes)| (n + 1, sum + bytes));
        Ok(taken)
    }
}
