//! Everything that an object needs, and nothing else.
//!
//! Two kinds of need. By hash: a tree its entries, a recipe its inputs and code, a run its recipe,
//! outputs and logs. By history: a run the one that it was forked from and the runs that made its inputs, and theirs, as
//! [`Lineage::origins`] has them, what was attested of all of these, and the signatures of
//! either. Content that was asked for by itself brings no history: who wants that asks for the run.
//!
//! What other tools called an object goes with it, whatever brought that ([`Aliases`]): it belongs to it as
//! attestations do to a run, and is found without any history.
//!
//! Needs by hash cannot form a cycle, needs by history can. The runs are therefore
//! gathered first, and then everything is put in an order where whatever is needed by hash comes
//! first. A transfer that breaks off has then left nothing whose parts are lacking.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use lab_objects::{ObjectsError, Store};
use lab_schema::{
    Aliases, Attestation, ContentId, Evaluation, Object, ObjectId, Recipe, Run, RunId, Signature,
    Signed, Tree,
};

use crate::error::{LineageError, Result};
use crate::index::Lineage;
use crate::intake::is_damage;

/// Everything that some objects need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// The objects, each once, after everything that it needs by hash.
    pub objects: Vec<ObjectId>,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// What is not here, since it was [left out](Store::promised), and belongs to it all the same: blobs,
    /// which need nothing.
    pub promised: Vec<ObjectId>,
}

/// Everything that any of `roots` needs, themselves included. `lineage` is that of `store`, and
/// fresh.
pub fn closure(store: &Store, lineage: &Lineage, roots: &[ObjectId]) -> Result<Closure> {
    let mut growing = Growing::new(store, lineage)?;
    for root in roots {
        growing.add(*root)?;
    }
    Ok(growing.closure)
}

/// These objects and what they need by hash, as far as that is known without reading any directory.
pub fn known_parts(store: &Store, lineage: &Lineage, of: &[ObjectId]) -> Result<Vec<ObjectId>> {
    let walk = Walk::new(store, lineage);
    let (mut all, mut seen, mut todo) = (Vec::new(), HashSet::new(), of.to_vec());
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        all.push(id);
        if !matches!(id, ObjectId::Tree(_) | ObjectId::Blob(_)) {
            todo.extend(walk.links(id, None)?.into_iter().flatten());
        }
    }
    Ok(all)
}

/// The closure of `roots` without what somebody has who has `whole`, each with all that it needs: that is not
/// gone through, so that what a large directory holds costs nothing, and what was attested since comes along.
pub fn closure_beyond(
    store: &Store,
    lineage: &Lineage,
    roots: &[ObjectId],
    whole: &[ObjectId],
) -> Result<Closure> {
    let mut growing = Growing::new(store, lineage)?;
    growing.seen.extend(whole);
    for root in roots {
        growing.add(*root)?;
    }
    Ok(growing.closure)
}

/// A closure to which one root after another is added.
pub(crate) struct Growing<'a> {
    walk: Walk<'a>,
    seen: HashSet<ObjectId>,
    aliases: Rc<HashMap<ObjectId, Vec<ObjectId>>>,
    pub(crate) closure: Closure,
    /// Objects that are lacking, where that is no error.
    pub(crate) lacking: u64,
}

impl<'a> Growing<'a> {
    pub(crate) fn new(store: &'a Store, lineage: &'a Lineage) -> Result<Growing<'a>> {
        let mut aliases: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
        for (id, read) in store.aliases()? {
            aliases.entry(read.of.into()).or_default().push(id.into());
        }
        let walk = Walk { store, lineage, lenient: false };
        Ok(Growing {
            walk,
            seen: HashSet::new(),
            aliases: Rc::new(aliases),
            closure: Closure::default(),
            lacking: 0,
        })
    }

    /// Another one, to which nothing has been added.
    pub(crate) fn anew(&self) -> Growing<'a> {
        let walk = Walk { store: self.walk.store, lineage: self.walk.lineage, lenient: false };
        let (seen, closure) = (HashSet::new(), Closure::default());
        Growing { walk, seen, aliases: Rc::clone(&self.aliases), closure, lacking: 0 }
    }

    /// Adds what a root needs.
    pub(crate) fn add(&mut self, root: ObjectId) -> Result<()> {
        let first = self.closure.objects.len();
        for (id, by) in self.walk.history(root)? {
            self.with_parts(id, by)?;
        }
        let aliases = Rc::clone(&self.aliases);
        if !aliases.is_empty() {
            let new = self.closure.objects[first..].iter();
            let named: Vec<ObjectId> =
                new.filter_map(|id| aliases.get(id)).flatten().copied().collect();
            for id in named {
                self.with_aliases(id)?;
            }
        }
        Ok(())
    }

    /// Adds what an object is called elsewhere. A table that is not here, or damaged, does not keep the
    /// object from going without.
    fn with_aliases(&mut self, id: ObjectId) -> Result<()> {
        match self.with_parts(id, None) {
            Err(LineageError::Missing { .. } | LineageError::Unreadable { .. }) => {
                self.lacking += 1;
                Ok(())
            }
            added => added,
        }
    }

    /// Adds what is here of what a root needs.
    pub(crate) fn add_what_is_here(&mut self, root: ObjectId) -> Result<()> {
        self.walk.lenient = true;
        let added = self.add(root);
        self.walk.lenient = false;
        added
    }

    /// Adds an object behind everything that it needs by hash.
    fn with_parts(&mut self, id: ObjectId, by: Option<ObjectId>) -> Result<()> {
        if self.seen.contains(&id) {
            return Ok(());
        }
        let Some(links) = self.links(id, by)? else { return Ok(()) };
        let mut open = vec![(id, links.into_iter())];
        while let Some((id, rest)) = open.last_mut() {
            let id = *id;
            match rest.find(|link| !self.seen.contains(link)) {
                Some(link) => {
                    if let Some(links) = self.links(link, Some(id))? {
                        open.push((link, links.into_iter()));
                    }
                }
                None => {
                    let size = self.walk.store.size(id).map_err(|e| blame(id, e))?;
                    self.closure.bytes = self.closure.bytes.saturating_add(size.unwrap_or(0));
                    self.closure.objects.push(id);
                    open.pop();
                }
            }
        }
        Ok(())
    }

    /// What an object that has not been seen points at; none if it is lacking and may be.
    fn links(&mut self, id: ObjectId, by: Option<ObjectId>) -> Result<Option<Vec<ObjectId>>> {
        match self.walk.links(id, by) {
            Ok(None) => {
                self.seen.insert(id);
                self.closure.promised.push(id);
                Ok(None)
            }
            Ok(Some(links)) => {
                self.seen.insert(id);
                let is_new = |id: &&ObjectId| !self.seen.contains(id);
                let below: Vec<ObjectId> = links.iter().filter(is_new).copied().collect();
                let store = self.walk.store;
                store
                    .warm_shape(&below)
                    .map_err(|error| blame(below.first().copied().unwrap_or(id), error))?;
                Ok(Some(links))
            }
            // It is not noted as seen: who must have it shall be told.
            Err(LineageError::Missing { .. }) if self.walk.lenient => {
                self.lacking += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Looks from one object to those that it needs.
pub(crate) struct Walk<'a> {
    store: &'a Store,
    lineage: &'a Lineage,
    /// Whether what is lacking is passed over.
    lenient: bool,
}

/// A run of a history.
pub(crate) struct Past {
    pub(crate) run: RunId,
    /// What needs it.
    by: Option<ObjectId>,
    /// How many steps before the root: 0 is the root itself.
    pub(crate) generation: u32,
    /// Whether it could be read.
    is_here: bool,
}

/// An object that is needed, and what needs it.
type Need = (ObjectId, Option<ObjectId>);

impl<'a> Walk<'a> {
    /// Through a store, of which nothing may be lacking.
    pub(crate) fn new(store: &'a Store, lineage: &'a Lineage) -> Walk<'a> {
        Walk { store, lineage, lenient: false }
    }

    /// The root and what it needs by history, the earliest causes first.
    fn history(&self, root: ObjectId) -> Result<Vec<Need>> {
        let runs = self.runs(root)?;
        let (mut attested, mut signed) = (Vec::new(), Vec::new());
        for past in runs.iter().filter(|past| past.is_here) {
            for attestation in self.lineage.attestations_of(past.run)? {
                attested.push((attestation.into(), Some(past.run.into())));
                signed.extend(self.signatures(Signed::Attestation(attestation))?);
            }
            signed.extend(self.signatures(Signed::Run(past.run))?);
        }
        let runs = runs.into_iter().rev().map(|past| (past.run.into(), past.by));
        Ok(runs.chain([(root, None)]).chain(attested).chain(signed).collect())
    }

    /// The runs that the root needs by history, the latest first.
    pub(crate) fn runs(&self, root: ObjectId) -> Result<Vec<Past>> {
        let mut runs: Vec<Past> = Vec::new();
        let past = |run, generation| Past { run, by: Some(root), generation, is_here: false };
        match root {
            ObjectId::Run(run) => runs.push(Past { by: None, ..past(run, 0) }),
            ObjectId::Attestation(id) => {
                let attestation = self.load::<Attestation>(id, None)?;
                runs.extend(attestation.map(|a| past(a.run, 0)));
            }
            ObjectId::Evaluation(id) => {
                let evaluation = self.load::<Evaluation>(id, None)?;
                runs.extend(evaluation.map(|evaluation| past(evaluation.run(), 0)));
            }
            ObjectId::Signature(id) => match self.load::<Signature>(id, None)?.map(|s| s.of()) {
                Some(Signed::Run(run)) => runs.push(past(run, 0)),
                Some(Signed::Attestation(id)) => {
                    let attestation = self.load::<Attestation>(id, Some(root))?;
                    runs.extend(attestation.map(|a| past(a.run, 0)));
                }
                None => {}
            },
            ObjectId::Recipe(id) => {
                if let Some(recipe) = self.load::<Recipe>(id, None)? {
                    runs.extend(self.makers(&recipe, None)?.into_iter().map(|run| past(run, 1)));
                }
            }
            ObjectId::Blob(_) | ObjectId::Tree(_) | ObjectId::Aliases(_) => {}
        }
        let mut seen: HashSet<RunId> = runs.iter().map(|past| past.run).collect();
        let mut next = 0;
        while let Some(Past { run: id, by, generation, .. }) = runs.get(next) {
            let (id, generation) = (*id, *generation + 1);
            let loaded = self.load::<Run>(id, *by)?;
            runs[next].is_here = loaded.is_some();
            next += 1;
            let Some(run) = loaded else { continue };
            if let Some(parent) = run.parent.filter(|parent| seen.insert(*parent)) {
                runs.push(Past { run: parent, by: Some(id.into()), generation, is_here: false });
            }
            if let Some(recipe) = self.load::<Recipe>(run.recipe, Some(id.into()))? {
                for run in self.makers(&recipe, Some(id))? {
                    if seen.insert(run) {
                        let by = Some(id.into());
                        runs.push(Past { run, by, generation, is_here: false });
                    }
                }
            }
        }
        Ok(runs)
    }

    /// The signatures of something.
    fn signatures(&self, of: Signed) -> Result<impl Iterator<Item = Need>> {
        let found = self.lineage.signatures_of(of)?;
        Ok(found.into_iter().map(move |id| (id.into(), Some(of.into()))))
    }

    /// The runs that made what a recipe reads, as a run of it had it or as they are seen without one.
    fn makers(&self, recipe: &Recipe, run: Option<RunId>) -> Result<Vec<RunId>> {
        Ok(match run {
            Some(run) => {
                self.lineage.origins(run)?.into_iter().flat_map(|origin| origin.makers).collect()
            }
            None => {
                let reads: Vec<(String, ContentId)> = recipe.reads().collect();
                self.lineage.makers(&reads)?.into_iter().flatten().collect()
            }
        })
    }

    /// What an object points at, none if it was left out; an error if it is not here.
    fn links(&self, id: ObjectId, by: Option<ObjectId>) -> Result<Option<Vec<ObjectId>>> {
        let links = match id {
            ObjectId::Blob(_) => {
                let blame = |error| blame(id, error);
                // What somebody else fetches meanwhile is in a pack that nobody touches yet.
                let is_recorded = !self.store.recorded(&[id]).is_empty();
                if !is_recorded && self.store.promised(id).map_err(blame)?.is_some() {
                    return Ok(None);
                }
                if !self.store.has(id).map_err(blame)? {
                    return Err(LineageError::Missing { id, by });
                }
                Vec::new()
            }
            ObjectId::Tree(id) => self.must_load::<Tree>(id, by)?.links(),
            ObjectId::Recipe(id) => self.must_load::<Recipe>(id, by)?.links(),
            ObjectId::Run(id) => self.must_load::<Run>(id, by)?.links(),
            ObjectId::Attestation(id) => self.must_load::<Attestation>(id, by)?.links(),
            ObjectId::Signature(id) => self.must_load::<Signature>(id, by)?.links(),
            ObjectId::Aliases(id) => self.must_load::<Aliases>(id, by)?.links(),
            ObjectId::Evaluation(id) => self.must_load::<Evaluation>(id, by)?.links(),
        };
        Ok(Some(links))
    }

    pub(crate) fn must_load<O: Object>(&self, id: O::Id, by: Option<ObjectId>) -> Result<O> {
        self.store.load(id).map_err(|error| match error {
            ObjectsError::Missing { id } => LineageError::Missing { id, by },
            error => blame(id.into(), error),
        })
    }

    /// The object; none if it is lacking and may be.
    fn load<O: Object>(&self, id: O::Id, by: Option<ObjectId>) -> Result<Option<O>> {
        match self.must_load(id, by) {
            Err(LineageError::Missing { .. }) if self.lenient => Ok(None),
            loaded => loaded.map(Some),
        }
    }
}

/// The error of a store that was asked for one object.
fn blame(id: ObjectId, source: ObjectsError) -> LineageError {
    if is_damage(&source) {
        LineageError::Unreadable { id, source: Box::new(source) }
    } else {
        LineageError::Objects(source)
    }
}
