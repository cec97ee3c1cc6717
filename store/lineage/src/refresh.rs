//! Takes in what a store has and the index has not.
//!
//! The unit is the pack, which never changes: packs that the index has not seen are read, and what
//! is held by no pack any more is forgotten. Everything happens in one transaction, with the packs
//! listed under its lock, so that of two processes the later one never goes back behind the
//! earlier. An object that cannot be read is skipped, reported, and tried again the next time; it
//! does not keep the rest from being known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lab_objects::{PackId, Store};
use lab_schema::{Aliases, Attestation, Evaluation, Kind, ObjectId, Recipe, Run, Signature, Tree};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::{Answer, Fault, Result};
use crate::forget::forget;
use crate::index::Lineage;
use crate::intake::{Intake, is_damage, is_wanted};
use crate::key;
use crate::links::blob;
use crate::number;

/// What a refresh did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Objects that the index now knows and did not know before: recipes, runs, attestations,
    /// signatures and the trees that runs left or read.
    pub taken_in: u64,
    /// Objects that it knew and whose packs are gone.
    pub forgotten: u64,
    /// What is in the store and could not be read, in a fixed order.
    pub skipped: Vec<Skipped>,
}

/// Something in the store that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What it is.
    pub what: Unread,
    /// What the store said, in words.
    pub why: String,
}

/// What was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// An object.
    Object(ObjectId),
    /// The list of what a pack holds, and with it everything that only this pack holds.
    Pack(PackId),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Object(id) => write!(f, "{id}"),
            Unread::Pack(id) => write!(f, "pack {id}"),
        }
    }
}

impl Lineage {
    /// Takes in the packs that the index has not seen and forgets those that are gone. Cheap if
    /// nothing changed; then nothing is written either.
    pub fn refresh(&mut self, store: &Store) -> Result<Refreshed> {
        let mut again = false;
        loop {
            match refresh(&mut self.connection, store) {
                Ok(refreshed) => return Ok(refreshed),
                // The store's own faults are not cured by another index.
                Err(fault @ Fault::Objects(_)) => return Err(fault.at("refresh", self.place())),
                Err(fault) => {
                    if !self.replace(&fault, again)? {
                        return Err(fault.at("refresh", self.place()));
                    }
                    again = true;
                }
            }
        }
    }
}

fn refresh(connection: &mut Connection, store: &Store) -> Answer<Refreshed> {
    let before = damaged(connection)?;
    if known_packs(connection)?.into_keys().eq(listed_packs(store)?)
        && before.iter().all(|skipped| is_still_unreadable(store, skipped.what))
    {
        return Ok(Refreshed { skipped: before, ..Refreshed::default() });
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut intake = Intake::new(&transaction, store);
    let forgotten = intake.run()?;
    let taken_in = intake.taken_in;
    let skipped = damaged(&transaction)?;
    transaction.commit()?;
    Ok(Refreshed { taken_in, forgotten, skipped })
}

/// The packs in the store, sorted as the index sorts them.
fn listed_packs(store: &Store) -> Answer<BTreeSet<PackId>> {
    Ok(store.packs()?.into_iter().collect())
}

/// The packs in the index, with their numbers there.
fn known_packs(index: &Connection) -> Answer<BTreeMap<PackId, i64>> {
    let mut query = index.prepare_cached("SELECT id, number FROM pack")?;
    let mut rows = query.query([])?;
    let mut packs = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let id = key::to_digest(blob(row, 0)?)?;
        packs.insert(PackId::from_digest(id), row.get(1)?);
    }
    Ok(packs)
}

/// What could not be read so far.
fn damaged(index: &Connection) -> Answer<Vec<Skipped>> {
    let mut query = index.prepare_cached("SELECT kind, id, why FROM damaged ORDER BY kind, id")?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = blob(row, 1)?;
        let what = match row.get(0)? {
            key::PACK => Unread::Pack(PackId::from_digest(key::to_digest(bytes)?)),
            kind => Unread::Object(key::to_object(kind, bytes)?),
        };
        found.push(Skipped { what, why: row.get(2)? });
    }
    Ok(found)
}

fn is_still_unreadable(store: &Store, what: Unread) -> bool {
    match what {
        Unread::Pack(id) => store.pack_objects(id).is_err(),
        Unread::Object(ObjectId::Tree(id)) => !matches!(store.get::<Tree>(id), Ok(Some(_))),
        Unread::Object(ObjectId::Recipe(id)) => !matches!(store.get::<Recipe>(id), Ok(Some(_))),
        Unread::Object(ObjectId::Run(id)) => !matches!(store.get::<Run>(id), Ok(Some(_))),
        Unread::Object(ObjectId::Attestation(id)) => {
            !matches!(store.get::<Attestation>(id), Ok(Some(_)))
        }
        Unread::Object(ObjectId::Signature(id)) => {
            !matches!(store.get::<Signature>(id), Ok(Some(_)))
        }
        Unread::Object(ObjectId::Aliases(id)) => !matches!(store.get::<Aliases>(id), Ok(Some(_))),
        Unread::Object(ObjectId::Evaluation(id)) => {
            !matches!(store.get::<Evaluation>(id), Ok(Some(_)))
        }
        Unread::Object(ObjectId::Blob(_)) => true,
    }
}

/// Objects that are looked for together.
const TOGETHER: usize = 1024;

impl Intake<'_> {
    /// Takes in and forgets; says how many objects were forgotten.
    fn run(&mut self) -> Answer<u64> {
        let fresh = self.take_packs()?;
        let forgotten = self.forget_packs()?;
        let mut trees = Vec::new();
        for group in fresh.chunks(TOGETHER) {
            self.store.warm(group)?;
            for id in group {
                if !self.is_held(*id)? {
                    continue;
                }
                match *id {
                    ObjectId::Recipe(id) => self.take_recipe(id)?,
                    ObjectId::Run(id) => self.take_run(id)?,
                    ObjectId::Attestation(id) => self.take_attestation(id)?,
                    ObjectId::Signature(id) => self.take_signature(id)?,
                    ObjectId::Aliases(id) => self.try_to_read::<Aliases>(id)?,
                    ObjectId::Evaluation(id) => self.try_to_read::<Evaluation>(id)?,
                    ObjectId::Tree(id) => trees.push(id),
                    ObjectId::Blob(_) => {}
                }
            }
        }
        self.write_back()?;
        // Trees that arrive after whatever holds them: the runs are all known by now.
        for id in trees {
            if is_wanted(self.index, id)? {
                self.open.push(id);
            }
        }
        while let Some(id) = self.open.pop() {
            self.take_tree(id)?;
        }
        self.write_back()?;
        Ok(forgotten)
    }

    /// Notes what the new packs hold. Returns all objects to look at: theirs, and those that could
    /// not be read before; in the order in which they are read fastest, and have their numbers.
    fn take_packs(&mut self) -> Answer<Vec<ObjectId>> {
        let (known, listed) = (known_packs(self.index)?, listed_packs(self.store)?);
        let mut held: Vec<(ObjectId, i64)> = Vec::new();
        let mut fresh = Vec::new();
        let mut unread: Vec<PackId> = Vec::new();
        for skipped in damaged(self.index)? {
            match skipped.what {
                Unread::Object(id) => fresh.push(id),
                Unread::Pack(id) => unread.push(id),
            }
        }
        self.index.execute("DELETE FROM damaged", [])?;
        for pack in listed {
            let number = match known.get(&pack) {
                Some(number) if unread.contains(&pack) => *number,
                Some(_) => continue,
                None => {
                    self.prepared("INSERT INTO pack (id) VALUES (?1)", [pack.digest().as_bytes()])?;
                    self.index.last_insert_rowid()
                }
            };
            match self.store.pack_objects(pack) {
                Ok(all) => held.extend(
                    all.into_iter().filter(|id| id.kind() != Kind::Blob).map(|id| (id, number)),
                ),
                Err(error) if is_damage(&error) => {
                    self.note_damage(key::PACK, pack.digest().as_bytes(), &error.to_string())?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        held.sort_unstable();
        fresh.extend(held.iter().map(|(id, _)| *id));
        fresh.sort_unstable();
        fresh.dedup();
        self.store.sort_by_place(&mut fresh);
        self.take_held(&fresh, &held)?;
        Ok(fresh)
    }

    /// Notes of these objects which pack holds them, out of a sorted list.
    fn take_held(&self, objects: &[ObjectId], held: &[(ObjectId, i64)]) -> Answer<()> {
        let mut heads = Vec::new();
        for id in objects {
            let first = held.partition_point(|(other, _)| other < id);
            let packs = held.get(first..).unwrap_or_default();
            let packs = packs.iter().take_while(|(other, _)| other == id);
            let object = match number::find(self.index, *id)? {
                Some(object) => object,
                None => {
                    let object = number::give(self.index, *id)?;
                    heads.push((key::head(id.digest()), object));
                    object
                }
            };
            for (_, pack) in packs {
                let row = params![object, pack];
                self.prepared("INSERT OR IGNORE INTO held VALUES (?1, ?2)", row)?;
            }
        }
        // In their own order, so that pages fill one after the other.
        heads.sort_unstable();
        heads
            .into_iter()
            .try_for_each(|(head, object)| number::write_head(self.index, head, object))
    }

    /// Forgets the packs that are gone, and what only they held.
    fn forget_packs(&mut self) -> Answer<u64> {
        let listed = listed_packs(self.store)?;
        let known = known_packs(self.index)?;
        let gone: BTreeSet<i64> =
            known.iter().filter(|(pack, _)| !listed.contains(pack)).map(|(_, n)| *n).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        forget(self.index, &gone)
    }
}
