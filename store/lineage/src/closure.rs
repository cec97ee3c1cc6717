//! Everything that an object needs, and nothing else.
//!
//! Two kinds of need. By hash: a tree its entries, a recipe its inputs and code, a run its recipe,
//! outputs and logs. By history: a run the runs that made its inputs, and theirs, as
//! [`Lineage::producer_for`] chooses them, and what was attested of all of these. Content that was
//! asked for by itself brings no history: who wants that asks for the run.
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
use lab_schema::{Aliases, Attestation, Object, ObjectId, Recipe, Run, RunId, Tree};

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
            Ok(links) => {
                self.seen.insert(id);
                let below: Vec<ObjectId> = links
                    .iter()
                    .filter(|id| matches!(id, ObjectId::Tree(_) | ObjectId::Recipe(_)))
                    .filter(|id| !self.seen.contains(id))
                    .copied()
                    .collect();
                let store = self.walk.store;
                store
                    .warm(&below)
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

struct Walk<'a> {
    store: &'a Store,
    lineage: &'a Lineage,
    /// Whether what is lacking is passed over.
    lenient: bool,
}

/// An object that is needed, and what needs it.
type Need = (ObjectId, Option<ObjectId>);

impl Walk<'_> {
    /// The root and what it needs by history, the earliest causes first.
    fn history(&self, root: ObjectId) -> Result<Vec<Need>> {
        let mut runs: Vec<(RunId, Option<ObjectId>)> = Vec::new();
        let mut seen: HashSet<RunId> = HashSet::new();
        match root {
            ObjectId::Run(id) => runs.push((id, None)),
            ObjectId::Attestation(id) => {
                let attestation = self.load::<Attestation>(id, None)?;
                runs.extend(attestation.map(|a| (a.run, Some(root))));
            }
            ObjectId::Recipe(id) => {
                if let Some(recipe) = self.load::<Recipe>(id, None)? {
                    runs.extend(self.producers(&recipe)?.into_iter().map(|r| (r, Some(root))));
                }
            }
            ObjectId::Blob(_) | ObjectId::Tree(_) | ObjectId::Aliases(_) => {}
        }
        seen.extend(runs.iter().map(|(run, _)| *run));
        let mut attested = Vec::new();
        let mut next = 0;
        while let Some((id, by)) = runs.get(next).copied() {
            next += 1;
            let Some(run) = self.load::<Run>(id, by)? else { continue };
            if let Some(recipe) = self.load::<Recipe>(run.recipe, Some(id.into()))? {
                for producer in self.producers(&recipe)? {
                    if seen.insert(producer) {
                        runs.push((producer, Some(id.into())));
                    }
                }
            }
            for attestation in self.lineage.attestations_of(id)? {
                attested.push((attestation.into(), Some(id.into())));
            }
        }
        let runs = runs.into_iter().rev().map(|(run, by)| (run.into(), by));
        Ok(runs.chain([(root, None)]).chain(attested).collect())
    }

    /// The runs that made the inputs of a recipe.
    fn producers(&self, recipe: &Recipe) -> Result<Vec<RunId>> {
        let mut found = Vec::new();
        for (_, input) in recipe.reads() {
            found.extend(self.lineage.producer_for(input)?);
        }
        Ok(found)
    }

    /// What an object points at; an error if it is not here.
    fn links(&self, id: ObjectId, by: Option<ObjectId>) -> Result<Vec<ObjectId>> {
        match id {
            ObjectId::Blob(_) => match self.store.has(id).map_err(|e| blame(id, e))? {
                true => Ok(Vec::new()),
                false => Err(LineageError::Missing { id, by }),
            },
            ObjectId::Tree(id) => self.must_load::<Tree>(id, by).map(|o| o.links()),
            ObjectId::Recipe(id) => self.must_load::<Recipe>(id, by).map(|o| o.links()),
            ObjectId::Run(id) => self.must_load::<Run>(id, by).map(|o| o.links()),
            ObjectId::Attestation(id) => self.must_load::<Attestation>(id, by).map(|o| o.links()),
            ObjectId::Aliases(id) => self.must_load::<Aliases>(id, by).map(|o| o.links()),
        }
    }

    fn must_load<O: Object>(&self, id: O::Id, by: Option<ObjectId>) -> Result<O> {
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
