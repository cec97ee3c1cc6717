//! Single objects on their way into the index.
//!
//! Of trees only those are opened that a run left or read as data, and those inside them: so that whoever
//! asks where a file came from, or what came of it, finds the run that left or read its folder. Each is opened once, however
//! often it is used, one at a time and without recursion. The empty file and the empty folder are
//! not recorded as being inside anything: they are everywhere and mean nothing.

use std::collections::BTreeMap;

use lab_objects::{ObjectsError, Store};
use lab_schema::{
    Attestation, AttestationId, BlobId, Completeness, ContentId, Object, ObjectId, Recipe,
    RecipeId, Run, RunId, Signature, SignatureId, Slot, Tree, TreeId, Value,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Answer;
use crate::key;
use crate::links::{self, Back, Link, Way};
use crate::number;

/// Whether a run left this tree or read it as data, or one that holds it, of those whose ways back are
/// written.
pub(crate) fn is_wanted(db: &Connection, id: TreeId) -> Answer<bool> {
    let code = number::find_word(db, "")?;
    let read = links::back(db, Way::Reads, id.into())?;
    Ok(read.iter().any(|(_, word)| Some(*word) != code)
        || links::leads_back(db, Way::Makes, id.into())?
        || links::leads_back(db, Way::Holds, id.into())?)
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

/// Ways back that are kept in memory, at 24 bytes each, before they are written.
const BACK: usize = 1 << 20;

/// One refresh under way.
pub(crate) struct Intake<'a> {
    pub(crate) index: &'a Connection,
    pub(crate) store: &'a Store,
    pub(crate) taken_in: u64,
    /// Trees that have to be opened.
    pub(crate) open: Vec<TreeId>,
    /// Ways back that are not written yet.
    back: BTreeMap<Way, Vec<Back>>,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(index: &'a Connection, store: &'a Store) -> Intake<'a> {
        Intake { index, store, taken_in: 0, open: Vec::new(), back: BTreeMap::new() }
    }

    pub(crate) fn take_recipe(&mut self, id: RecipeId) -> Answer<()> {
        let Some((number, recipe)) = self.untaken::<Recipe>(id)? else { return Ok(()) };
        let code = recipe.code().map(|tree| (String::new(), ContentId::Tree(tree)));
        let all = recipe.reads().chain(code).map(|(slot, content)| self.link(&slot, content));
        let all = all.collect::<Answer<Vec<Link>>>()?;
        self.write_links(Way::Reads, number, &all)?;
        self.open.extend(trees(recipe.inputs().values().chain(recipe.outside().values())));
        self.take_params(number, recipe.params())?;
        if let Some(seed) = recipe.seed() {
            self.take_param(number, "seed", &seed.to_string())?;
        }
        self.note_taken(number)
    }

    fn link(&self, word: &str, content: ContentId) -> Answer<Link> {
        Ok(Link { word: number::word(self.index, word)?, content })
    }

    fn write_links(&mut self, way: Way, owner: i64, all: &[Link]) -> Answer<()> {
        let back = self.back.entry(way).or_default();
        links::write(self.index, owner, all, back)?;
        if back.len() >= BACK { links::write_back(self.index, way, back) } else { Ok(()) }
    }

    /// Writes the ways back that are only in memory yet.
    pub(crate) fn write_back(&mut self) -> Answer<()> {
        for (way, back) in &mut self.back {
            links::write_back(self.index, *way, back)?;
        }
        Ok(())
    }

    fn take_params(&self, owner: i64, all: &BTreeMap<String, Value>) -> Answer<()> {
        for (name, value) in all {
            self.take_param(owner, name, &value.to_string())?;
        }
        Ok(())
    }

    fn take_param(&self, owner: i64, name: &str, value: &str) -> Answer<()> {
        let row = params![number::word(self.index, name)?, value, owner];
        self.prepared("INSERT OR IGNORE INTO param VALUES (?1, ?2, ?3)", row).map(drop)
    }

    pub(crate) fn take_run(&mut self, id: RunId) -> Answer<()> {
        let Some((number, run)) = self.untaken::<Run>(id)? else { return Ok(()) };
        let row = params![
            number,
            number::of(self.index, run.recipe.into())?,
            key::time(run.outcome.started_ms),
            run.outcome.status.is_success(),
            run.outcome.completeness == Completeness::Complete,
            number::word(self.index, &run.who)?,
        ];
        self.prepared("INSERT INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row)?;
        let outputs = &run.outcome.outputs;
        let all = outputs.iter().map(|(slot, content)| self.link(Slot::as_str(slot), *content));
        let all = all.collect::<Answer<Vec<Link>>>()?;
        self.write_links(Way::Makes, number, &all)?;
        self.open.extend(trees(outputs.values()));
        for (read, makers) in &run.makers {
            for maker in makers {
                let maker = number::of(self.index, (*maker).into())?;
                let row = params![number, number::word(self.index, read)?, maker];
                self.prepared("INSERT INTO maker VALUES (?1, ?2, ?3)", row)?;
            }
        }
        for (name, value) in &run.outcome.metrics {
            let row = params![number::word(self.index, name)?, number, value.get()];
            self.prepared("INSERT INTO metric VALUES (?1, ?2, ?3)", row)?;
        }
        self.take_params(number, &run.outcome.params)?;
        self.note_taken(number)
    }

    pub(crate) fn take_attestation(&mut self, id: AttestationId) -> Answer<()> {
        let Some((number, attestation)) = self.untaken::<Attestation>(id)? else { return Ok(()) };
        let run = number::of(self.index, attestation.run.into())?;
        let holds = attestation.verdict.holds();
        let row = params![number, run, key::time(attestation.started_ms), holds];
        self.prepared("INSERT INTO attestation VALUES (?1, ?2, ?3, ?4)", row)?;
        self.note_taken(number)
    }

    pub(crate) fn take_signature(&mut self, id: SignatureId) -> Answer<()> {
        let Some((number, signature)) = self.untaken::<Signature>(id)? else { return Ok(()) };
        let of = number::of(self.index, signature.of().into())?;
        let row = params![number, of, key::time(signature.signed_ms())];
        self.prepared("INSERT INTO signature VALUES (?1, ?2, ?3)", row)?;
        self.note_taken(number)
    }

    /// The number and the object, if it is not taken in yet and can be read.
    fn untaken<O: Object>(&self, id: O::Id) -> Answer<Option<(i64, O)>> {
        let number = number::of(self.index, id.into())?;
        if number::is_taken(self.index, number)? {
            return Ok(None);
        }
        Ok(self.load::<O>(id)?.map(|object| (number, object)))
    }

    /// Notes that all of an object is in the index.
    fn note_taken(&mut self, number: i64) -> Answer<()> {
        self.prepared("UPDATE object SET taken = 1 WHERE number = ?1", [number])?;
        self.taken_in += 1;
        Ok(())
    }

    /// Whether it can be read is all that is noted of what is found without an index.
    pub(crate) fn try_to_read<O: Object>(&mut self, id: O::Id) -> Answer<()> {
        self.load::<O>(id).map(drop)
    }

    /// Notes what is in a tree, if it is in the store and not yet noted.
    pub(crate) fn take_tree(&mut self, id: TreeId) -> Answer<()> {
        if !self.is_held(id.into())? {
            return Ok(());
        }
        let Some((number, tree)) = self.untaken::<Tree>(id)? else { return Ok(()) };
        let empty = [ContentId::Blob(BlobId::of(b"")), ContentId::Tree(Tree::default().id())];
        let mut children: Vec<ContentId> =
            tree.links().iter().filter_map(ObjectId::content).collect();
        children.retain(|child| !empty.contains(child));
        children.sort_unstable();
        children.dedup();
        let word = number::word(self.index, "")?;
        let all: Vec<Link> =
            children.iter().map(|content| Link { word, content: *content }).collect();
        self.write_links(Way::Holds, number, &all)?;
        self.open.extend(trees(children.iter()));
        self.note_taken(number)
    }

    pub(crate) fn is_held(&self, id: ObjectId) -> Answer<bool> {
        let Some(number) = number::find(self.index, id)? else { return Ok(false) };
        let mut query = self.index.prepare_cached("SELECT 1 FROM held WHERE object = ?1")?;
        Ok(query.query_row([number], |_| Ok(())).optional()?.is_some())
    }

    /// The object; none, and a note, if it cannot be read.
    fn load<O: Object>(&self, id: O::Id) -> Answer<Option<O>> {
        let error = match self.store.load::<O>(id) {
            Ok(object) => return Ok(Some(object)),
            Err(error) if is_damage(&error) => error,
            Err(error) => return Err(error.into()),
        };
        let id: ObjectId = id.into();
        self.note_damage(key::kind(id.kind()), id.digest().as_bytes(), &error.to_string())?;
        Ok(None)
    }

    pub(crate) fn note_damage(&self, kind: i64, id: &[u8], why: &str) -> Answer<()> {
        let row = params![kind, id, why];
        self.prepared("INSERT OR REPLACE INTO damaged VALUES (?1, ?2, ?3)", row).map(drop)
    }

    pub(crate) fn prepared(&self, sql: &str, row: impl rusqlite::Params) -> Answer<usize> {
        Ok(self.index.prepare_cached(sql)?.execute(row)?)
    }
}

fn trees<'c>(contents: impl Iterator<Item = &'c ContentId>) -> impl Iterator<Item = TreeId> {
    contents.filter_map(|content| match content {
        ContentId::Tree(tree) => Some(*tree),
        ContentId::Blob(_) => None,
    })
}
