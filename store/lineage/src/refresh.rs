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

use crate::error::{Fault, Result};
use crate::index::Lineage;
use crate::intake::{Intake, impossible, is_damage};
use crate::key;

/// What a refresh did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Objects that the index now knows and did not know before: recipes, runs, attestations,
    /// signatures and the trees that runs left.
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

fn refresh(connection: &mut Connection, store: &Store) -> std::result::Result<Refreshed, Fault> {
    let before = damaged(connection)?;
    if known_packs(connection)?.into_keys().eq(listed_packs(store)?)
        && before.iter().all(|skipped| is_still_unreadable(store, skipped.what))
    {
        return Ok(Refreshed { skipped: before, ..Refreshed::default() });
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut intake = Intake { index: &transaction, store, taken_in: 0, open: Vec::new() };
    let forgotten = intake.run()?;
    let taken_in = intake.taken_in;
    let skipped = damaged(&transaction)?;
    transaction.commit()?;
    Ok(Refreshed { taken_in, forgotten, skipped })
}

/// The packs in the store, sorted as the index sorts them.
fn listed_packs(store: &Store) -> std::result::Result<BTreeSet<PackId>, Fault> {
    Ok(store.packs()?.into_iter().collect())
}

/// The packs in the index, with their numbers there.
fn known_packs(index: &Connection) -> std::result::Result<BTreeMap<PackId, i64>, Fault> {
    let mut query = index.prepare_cached("SELECT id, number FROM pack")?;
    let mut rows = query.query([])?;
    let mut packs = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let id = key::to_digest(row.get_ref(0)?.as_blob().map_err(impossible)?)?;
        packs.insert(PackId::from_digest(id), row.get(1)?);
    }
    Ok(packs)
}

/// What could not be read so far.
fn damaged(index: &Connection) -> std::result::Result<Vec<Skipped>, Fault> {
    let mut query = index.prepare_cached("SELECT kind, id, why FROM damaged ORDER BY kind, id")?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob().map_err(impossible)?;
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
    fn run(&mut self) -> std::result::Result<u64, Fault> {
        let mut fresh = self.take_packs()?;
        let forgotten = self.forget_packs()?;
        fresh.sort_unstable();
        fresh.dedup();
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
        // Trees that arrive after whatever holds them: the runs are all known by now.
        for id in trees {
            if self.is_wanted(id)? {
                self.open.push(id);
            }
        }
        while let Some(id) = self.open.pop() {
            self.take_tree(id)?;
        }
        Ok(forgotten)
    }

    /// Notes what the new packs hold. Returns all objects to look at: theirs, and those
    /// that could not be read before.
    fn take_packs(&mut self) -> std::result::Result<Vec<ObjectId>, Fault> {
        let (known, listed) = (known_packs(self.index)?, listed_packs(self.store)?);
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
            let held = match self.store.pack_objects(pack) {
                Ok(held) => held,
                Err(error) if is_damage(&error) => {
                    self.note_damage(key::PACK, pack.digest().as_bytes(), &error.to_string())?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for id in held.into_iter().filter(|id| id.kind() != Kind::Blob) {
                let digest = id.digest();
                let row = params![number, key::kind(id.kind()), digest.as_bytes()];
                self.prepared("INSERT OR IGNORE INTO held VALUES (?1, ?2, ?3)", row)?;
                fresh.push(id);
            }
        }
        Ok(fresh)
    }

    /// Forgets the packs that are gone, and what only they held.
    fn forget_packs(&mut self) -> std::result::Result<u64, Fault> {
        let listed = listed_packs(self.store)?;
        let mut suspects = BTreeSet::new();
        for (pack, number) in known_packs(self.index)? {
            if listed.contains(&pack) {
                continue;
            }
            let mut query =
                self.index.prepare_cached("SELECT kind, id FROM held WHERE pack = ?1")?;
            let mut rows = query.query([number])?;
            while let Some(row) = rows.next()? {
                let bytes = row.get_ref(1)?.as_blob().map_err(impossible)?;
                suspects.insert(key::to_object(row.get(0)?, bytes)?);
            }
            self.prepared("DELETE FROM held WHERE pack = ?1", [number])?;
            self.prepared("DELETE FROM pack WHERE number = ?1", [number])?;
        }
        let mut forgotten = 0;
        for id in suspects {
            if !self.is_held(id)? {
                forgotten += self.forget(id)?;
            }
        }
        Ok(forgotten)
    }

    fn forget(&self, id: ObjectId) -> std::result::Result<u64, Fault> {
        let (digest, rest): (_, &[&str]) = match id {
            ObjectId::Blob(_) | ObjectId::Aliases(_) | ObjectId::Evaluation(_) => return Ok(0),
            ObjectId::Tree(id) => {
                let tree = key::content(id.into());
                self.prepared("DELETE FROM entry WHERE tree = ?1", [&tree[..]])?;
                (id.digest(), &["DELETE FROM tree WHERE id = ?1"])
            }
            ObjectId::Recipe(id) => (
                id.digest(),
                &[
                    "DELETE FROM reads WHERE recipe = ?1",
                    "DELETE FROM param WHERE owner = ?1",
                    "DELETE FROM recipe WHERE id = ?1",
                ],
            ),
            ObjectId::Run(id) => (
                id.digest(),
                &[
                    "DELETE FROM makes WHERE run = ?1",
                    "DELETE FROM metric WHERE run = ?1",
                    "DELETE FROM param WHERE owner = ?1",
                    "DELETE FROM run WHERE id = ?1",
                ],
            ),
            ObjectId::Attestation(id) => (id.digest(), &["DELETE FROM attestation WHERE id = ?1"]),
            ObjectId::Signature(id) => (id.digest(), &["DELETE FROM signature WHERE id = ?1"]),
        };
        let mut removed = 0;
        for statement in rest {
            removed = self.prepared(statement, [digest.as_bytes()])?;
        }
        Ok(removed as u64)
    }
}
