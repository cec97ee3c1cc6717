//! Single objects on their way into the index.
//!
//! Of trees only those are opened that a run left, and those inside them: so that whoever
//! asks where a file came from finds the run that left its folder. Each is opened once, however
//! often it is used, one at a time and without recursion. The empty file and the empty folder are
//! not recorded as being inside anything: they are everywhere and mean nothing.

use std::collections::BTreeMap;

use lab_objects::{ObjectsError, Store};
use lab_schema::{
    Attestation, AttestationId, BlobId, Completeness, ContentId, Object, ObjectId, Recipe,
    RecipeId, Run, RunId, Signature, SignatureId, Tree, TreeId, Value,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Fault;
use crate::key;

/// The fault of a column that holds another type than is written there.
pub(crate) fn impossible(_: rusqlite::types::FromSqlError) -> Fault {
    Fault::Impossible("column")
}

/// Whether an error is about one object or pack, and not about the store as a whole.
pub(crate) fn is_damage(error: &ObjectsError) -> bool {
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
pub(crate) struct Intake<'a> {
    pub(crate) index: &'a Connection,
    pub(crate) store: &'a Store,
    pub(crate) taken_in: u64,
    /// Trees that have to be opened.
    pub(crate) open: Vec<TreeId>,
}

impl Intake<'_> {
    pub(crate) fn take_recipe(&mut self, id: RecipeId) -> std::result::Result<(), Fault> {
        let bytes = id.digest();
        if self.exists("SELECT 1 FROM recipe WHERE id = ?1", [bytes.as_bytes()])? {
            return Ok(());
        }
        let Some(recipe) = self.load::<Recipe>(id)? else { return Ok(()) };
        self.prepared("INSERT INTO recipe VALUES (?1)", [bytes.as_bytes()])?;
        let code = recipe.code().map(|tree| (String::new(), ContentId::Tree(tree)));
        for (slot, content) in recipe.reads().chain(code) {
            let row = params![bytes.as_bytes(), slot, key::content(content)];
            self.prepared("INSERT INTO reads VALUES (?1, ?2, ?3)", row)?;
        }
        self.take_params(bytes.as_bytes(), recipe.params())?;
        if let Some(seed) = recipe.seed() {
            let row = params![bytes.as_bytes(), "seed", seed.to_string()];
            self.prepared("INSERT OR REPLACE INTO param VALUES (?1, ?2, ?3)", row)?;
        }
        self.taken_in += 1;
        Ok(())
    }

    fn take_params(
        &mut self,
        owner: &[u8],
        all: &BTreeMap<String, Value>,
    ) -> std::result::Result<(), Fault> {
        for (name, value) in all {
            let row = params![owner, name, value.to_string()];
            self.prepared("INSERT INTO param VALUES (?1, ?2, ?3)", row)?;
        }
        Ok(())
    }

    pub(crate) fn take_run(&mut self, id: RunId) -> std::result::Result<(), Fault> {
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
        self.take_params(bytes.as_bytes(), &run.outcome.params)?;
        self.taken_in += 1;
        Ok(())
    }

    pub(crate) fn take_attestation(&mut self, id: AttestationId) -> std::result::Result<(), Fault> {
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

    pub(crate) fn take_signature(&mut self, id: SignatureId) -> std::result::Result<(), Fault> {
        let bytes = id.digest();
        if self.exists("SELECT 1 FROM signature WHERE id = ?1", [bytes.as_bytes()])? {
            return Ok(());
        }
        let Some(signature) = self.load::<Signature>(id)? else { return Ok(()) };
        let of = ObjectId::from(signature.of());
        let (kind, object) = (key::kind(of.kind()), of.digest());
        let row =
            params![bytes.as_bytes(), kind, object.as_bytes(), key::time(signature.signed_ms())];
        self.prepared("INSERT INTO signature VALUES (?1, ?2, ?3, ?4)", row)?;
        self.taken_in += 1;
        Ok(())
    }

    /// Whether it can be read is all that is noted of what is found without an index.
    pub(crate) fn try_to_read<O: Object>(&mut self, id: O::Id) -> std::result::Result<(), Fault> {
        self.load::<O>(id).map(drop)
    }

    /// Notes what is in a tree, if it is in the store and not yet noted.
    pub(crate) fn take_tree(&mut self, id: TreeId) -> std::result::Result<(), Fault> {
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
    pub(crate) fn is_wanted(&self, id: TreeId) -> std::result::Result<bool, Fault> {
        let content = key::content(id.into());
        Ok(self.exists("SELECT 1 FROM makes WHERE content = ?1", [&content[..]])?
            || self.exists("SELECT 1 FROM entry WHERE child = ?1", [&content[..]])?)
    }

    pub(crate) fn is_held(&self, id: ObjectId) -> std::result::Result<bool, Fault> {
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

    pub(crate) fn note_damage(
        &self,
        kind: i64,
        id: &[u8],
        why: &str,
    ) -> std::result::Result<(), Fault> {
        let row = params![kind, id, why];
        self.prepared("INSERT OR REPLACE INTO damaged VALUES (?1, ?2, ?3)", row).map(drop)
    }

    pub(crate) fn exists(
        &self,
        sql: &str,
        row: impl rusqlite::Params,
    ) -> std::result::Result<bool, Fault> {
        let mut query = self.index.prepare_cached(sql)?;
        Ok(query.query_row(row, |_| Ok(())).optional()?.is_some())
    }

    pub(crate) fn prepared(
        &self,
        sql: &str,
        row: impl rusqlite::Params,
    ) -> std::result::Result<usize, Fault> {
        Ok(self.index.prepare_cached(sql)?.execute(row)?)
    }
}
