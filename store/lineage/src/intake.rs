//! Takes in what a store has and the index has not.
//!
//! The unit is the pack, which never changes: packs that the index has not seen are read, and what
//! is held by no pack any more is forgotten. Everything happens in one transaction, with the packs
//! listed under its lock, so that of two processes the later one never goes back behind the
//! earlier. An object that cannot be read is skipped, reported, and tried again the next time; it
//! does not keep the rest from being known.
//!
//! Of trees only those are opened that a run left, and those inside them: so that whoever
//! asks where a file came from finds the run that left its folder. Each is opened once, however
//! often it is used, one at a time and without recursion. The empty file and the empty folder are
//! not recorded as being inside anything: they are everywhere and mean nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lab_objects::{ObjectsError, PackId, Store};
use lab_schema::{
    Attestation, AttestationId, BlobId, Completeness, ContentId, Kind, Object, ObjectId, Recipe,
    RecipeId, Run, RunId, Tree, TreeId,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::{Fault, Result};
use crate::index::Lineage;
use crate::key;

/// What a refresh did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Objects that the index now knows and did not know before: recipes, runs, attestations and
    /// the trees that runs left.
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

fn impossible(_: rusqlite::types::FromSqlError) -> Fault {
    Fault::Impossible("column")
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
        Unread::Object(ObjectId::Blob(_)) => true,
    }
}

/// Whether an error is about one object or pack, and not about the store as a whole.
fn is_damage(error: &ObjectsError) -> bool {
    matches!(
        error,
        ObjectsError::Damaged { .. }
            | ObjectsError::Corrupt { .. }
            | ObjectsError::Missing { .. }
            | ObjectsError::Newer { .. }
            | ObjectsError::TooLarge { .. }
            | ObjectsError::Schema(_)
    )
}

/// One refresh under way.
struct Intake<'a> {
    index: &'a Connection,
    store: &'a Store,
    taken_in: u64,
    /// Trees that have to be opened.
    open: Vec<TreeId>,
}

impl Intake<'_> {
    /// Takes in and forgets; says how many objects were forgotten.
    fn run(&mut self) -> std::result::Result<u64, Fault> {
        let mut fresh = self.take_packs()?;
        let forgotten = self.forget_packs()?;
        fresh.sort_unstable();
        fresh.dedup();
        let mut trees = Vec::new();
        for id in fresh {
            if !self.is_held(id)? {
                continue;
            }
            match id {
                ObjectId::Recipe(id) => self.take_recipe(id)?,
                ObjectId::Run(id) => self.take_run(id)?,
                ObjectId::Attestation(id) => self.take_attestation(id)?,
                ObjectId::Tree(id) => trees.push(id),
                ObjectId::Blob(_) => {}
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
            ObjectId::Blob(_) => return Ok(0),
            ObjectId::Tree(id) => {
                let tree = key::content(id.into());
                self.prepared("DELETE FROM entry WHERE tree = ?1", [&tree[..]])?;
                (id.digest(), &["DELETE FROM tree WHERE id = ?1"])
            }
            ObjectId::Recipe(id) => (
                id.digest(),
                &["DELETE FROM reads WHERE recipe = ?1", "DELETE FROM recipe WHERE id = ?1"],
            ),
            ObjectId::Run(id) => (
                id.digest(),
                &[
                    "DELETE FROM makes WHERE run = ?1",
                    "DELETE FROM metric WHERE run = ?1",
                    "DELETE FROM run WHERE id = ?1",
                ],
            ),
            ObjectId::Attestation(id) => (id.digest(), &["DELETE FROM attestation WHERE id = ?1"]),
        };
        let mut removed = 0;
        for statement in rest {
            removed = self.prepared(statement, [digest.as_bytes()])?;
        }
        Ok(removed as u64)
    }

    fn take_recipe(&mut self, id: RecipeId) -> std::result::Result<(), Fault> {
        let bytes = id.digest();
        if self.exists("SELECT 1 FROM recipe WHERE id = ?1", [bytes.as_bytes()])? {
            return Ok(());
        }
        let Some(recipe) = self.load::<Recipe>(id)? else { return Ok(()) };
        self.prepared("INSERT INTO recipe VALUES (?1)", [bytes.as_bytes()])?;
        let code = recipe.code().map(|tree| ("", ContentId::Tree(tree)));
        let inputs = recipe.inputs().iter().map(|(slot, content)| (slot.as_str(), *content));
        for (slot, content) in inputs.chain(code) {
            let row = params![bytes.as_bytes(), slot, key::content(content)];
            self.prepared("INSERT INTO reads VALUES (?1, ?2, ?3)", row)?;
        }
        self.taken_in += 1;
        Ok(())
    }

    fn take_run(&mut self, id: RunId) -> std::result::Result<(), Fault> {
        let bytes = id.digest();
        if self.exists("SELECT 1 FROM run WHERE id = ?1", [bytes.as_bytes()])? {
            return Ok(());
        }
        let Some(run) = self.load::<Run>(id)? else { return Ok(()) };
        let recipe = run.recipe.digest();
        let row = params![
            bytes.as_bytes(),
            recipe.as_bytes(),
            key::time(run.outcome.started_ms),
            run.outcome.status.is_success(),
            run.outcome.completeness == Completeness::Complete,
        ];
        self.prepared("INSERT INTO run VALUES (?1, ?2, ?3, ?4, ?5)", row)?;
        for (slot, content) in &run.outcome.outputs {
            let row = params![bytes.as_bytes(), slot.as_str(), key::content(*content)];
            self.prepared("INSERT INTO makes VALUES (?1, ?2, ?3)", row)?;
            if let ContentId::Tree(tree) = content {
                self.open.push(*tree);
            }
        }
        for (name, value) in &run.outcome.metrics {
            let row = params![bytes.as_bytes(), name, value.get()];
            self.prepared("INSERT INTO metric VALUES (?1, ?2, ?3)", row)?;
        }
        self.taken_in += 1;
        Ok(())
    }

    fn take_attestation(&mut self, id: AttestationId) -> std::result::Result<(), Fault> {
        let bytes = id.digest();
        if self.exists("SELECT 1 FROM attestation WHERE id = ?1", [bytes.as_bytes()])? {
            return Ok(());
        }
        let Some(attestation) = self.load::<Attestation>(id)? else { return Ok(()) };
        let run = attestation.run.digest();
        let row = params![bytes.as_bytes(), run.as_bytes(), key::time(attestation.started_ms)];
        self.prepared("INSERT INTO attestation VALUES (?1, ?2, ?3)", row)?;
        self.taken_in += 1;
        Ok(())
    }

    /// Notes what is in a tree, if it is in the store and not yet noted.
    fn take_tree(&mut self, id: TreeId) -> std::result::Result<(), Fault> {
        let bytes = id.digest();
        if self.exists("SELECT 1 FROM tree WHERE id = ?1", [bytes.as_bytes()])?
            || !self.is_held(id.into())?
        {
            return Ok(());
        }
        let Some(tree) = self.load::<Tree>(id)? else { return Ok(()) };
        self.prepared("INSERT INTO tree VALUES (?1)", [bytes.as_bytes()])?;
        let parent = key::content(id.into());
        let empty = [ContentId::Blob(BlobId::of(b"")), ContentId::Tree(Tree::default().id())];
        for child in tree.links().iter().filter_map(ObjectId::content) {
            if empty.contains(&child) {
                continue;
            }
            let row = params![parent, key::content(child)];
            self.prepared("INSERT OR IGNORE INTO entry VALUES (?1, ?2)", row)?;
            if let ContentId::Tree(tree) = child {
                self.open.push(tree);
            }
        }
        self.taken_in += 1;
        Ok(())
    }

    /// Whether a run left this tree, or a tree that holds it.
    fn is_wanted(&self, id: TreeId) -> std::result::Result<bool, Fault> {
        let content = key::content(id.into());
        Ok(self.exists("SELECT 1 FROM makes WHERE content = ?1", [&content[..]])?
            || self.exists("SELECT 1 FROM entry WHERE child = ?1", [&content[..]])?)
    }

    fn is_held(&self, id: ObjectId) -> std::result::Result<bool, Fault> {
        let digest = id.digest();
        let row = params![key::kind(id.kind()), digest.as_bytes()];
        self.exists("SELECT 1 FROM held WHERE kind = ?1 AND id = ?2", row)
    }

    /// The object; none, and a note, if it cannot be read.
    fn load<O: Object>(&self, id: O::Id) -> std::result::Result<Option<O>, Fault> {
        let error = match self.store.load::<O>(id) {
            Ok(object) => return Ok(Some(object)),
            Err(error) if is_damage(&error) => error,
            Err(error) => return Err(error.into()),
        };
        let id: ObjectId = id.into();
        self.note_damage(key::kind(id.kind()), id.digest().as_bytes(), &error.to_string())?;
        Ok(None)
    }

    fn note_damage(&self, kind: i64, id: &[u8], why: &str) -> std::result::Result<(), Fault> {
        let row = params![kind, id, why];
        self.prepared("INSERT OR REPLACE INTO damaged VALUES (?1, ?2, ?3)", row).map(drop)
    }

    fn exists(&self, sql: &str, row: impl rusqlite::Params) -> std::result::Result<bool, Fault> {
        let mut query = self.index.prepare_cached(sql)?;
        Ok(query.query_row(row, |_| Ok(())).optional()?.is_some())
    }

    fn prepared(&self, sql: &str, row: impl rusqlite::Params) -> std::result::Result<usize, Fault> {
        Ok(self.index.prepare_cached(sql)?.execute(row)?)
    }
}
