//! Everything that an object needs, and nothing else.
//!
//! Two kinds of need. By hash: a tree its entries, a recipe its inputs and code, a run its recipe,
//! outputs and logs. By history: a run the runs that made its inputs, and theirs, as
//! [`Lineage::producer_for`] chooses them, and what was attested of all of these. Content that was
//! asked for by itself brings no history: who wants that asks for the run.
//!
//! Needs by hash cannot form a cycle, needs by history can. The runs are therefore
//! gathered first, and then everything is put in an order where whatever is needed by hash comes
//! first. A transfer that breaks off has then left nothing whose parts are lacking.

use std::collections::HashSet;

use lab_lineage::Lineage;
use lab_objects::{ObjectsError, Store};
use lab_schema::{Attestation, Object, ObjectId, Recipe, Run, RunId, Tree};

use crate::error::{On, RemoteError, Result, Side, blame};

/// Everything that some objects need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// The objects, each once, after everything that it needs by hash.
    pub objects: Vec<ObjectId>,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// Everything that `root` needs, itself included. `lineage` is that of `store`, and fresh.
pub fn closure(store: &Store, lineage: &Lineage, root: ObjectId) -> Result<Closure> {
    closure_of(Side::Local, store, lineage, &[root])
}

/// Everything that any of `roots` needs, themselves included.
pub(crate) fn closure_of(
    side: Side,
    store: &Store,
    lineage: &Lineage,
    roots: &[ObjectId],
) -> Result<Closure> {
    let walk = Walk { side, store, lineage };
    let mut seen = HashSet::new();
    let mut closure = Closure::default();
    for root in roots {
        for (id, by) in walk.history(*root)? {
            walk.add(id, by, &mut seen, &mut closure)?;
        }
    }
    Ok(closure)
}

struct Walk<'a> {
    side: Side,
    store: &'a Store,
    lineage: &'a Lineage,
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
                runs.push((self.load::<Attestation>(id, None)?.run, Some(root)));
            }
            ObjectId::Recipe(id) => {
                let recipe = self.load::<Recipe>(id, None)?;
                runs.extend(self.producers(&recipe)?.into_iter().map(|run| (run, Some(root))));
            }
            ObjectId::Blob(_) | ObjectId::Tree(_) => {}
        }
        seen.extend(runs.iter().map(|(run, _)| *run));
        let mut attested = Vec::new();
        let mut next = 0;
        while let Some((id, by)) = runs.get(next).copied() {
            next += 1;
            let run = self.load::<Run>(id, by)?;
            let recipe = self.load::<Recipe>(run.recipe, Some(id.into()))?;
            for producer in self.producers(&recipe)? {
                if seen.insert(producer) {
                    runs.push((producer, Some(id.into())));
                }
            }
            for attestation in self.lineage.attestations_of(id).on(self.side)? {
                attested.push((attestation.into(), Some(id.into())));
            }
        }
        let runs = runs.into_iter().rev().map(|(run, by)| (run.into(), by));
        Ok(runs.chain([(root, None)]).chain(attested).collect())
    }

    /// The runs that made the inputs of a recipe.
    fn producers(&self, recipe: &Recipe) -> Result<Vec<RunId>> {
        let mut found = Vec::new();
        for input in recipe.inputs().values() {
            found.extend(self.lineage.producer_for(*input).on(self.side)?);
        }
        Ok(found)
    }

    /// Adds an object behind everything that it needs by hash.
    fn add(
        &self,
        id: ObjectId,
        by: Option<ObjectId>,
        seen: &mut HashSet<ObjectId>,
        closure: &mut Closure,
    ) -> Result<()> {
        if !seen.insert(id) {
            return Ok(());
        }
        let mut open = vec![(id, self.links(id, by)?.into_iter())];
        while let Some((id, rest)) = open.last_mut() {
            let id = *id;
            match rest.find(|link| seen.insert(*link)) {
                Some(link) => open.push((link, self.links(link, Some(id))?.into_iter())),
                None => {
                    let size = self.store.size(id).on(self.side)?;
                    closure.bytes = closure.bytes.saturating_add(size.unwrap_or(0));
                    closure.objects.push(id);
                    open.pop();
                }
            }
        }
        Ok(())
    }

    /// What an object points at; an error if it is not here.
    fn links(&self, id: ObjectId, by: Option<ObjectId>) -> Result<Vec<ObjectId>> {
        match id {
            ObjectId::Blob(_) => match self.store.has(id).map_err(|e| blame(self.side, id, e))? {
                true => Ok(Vec::new()),
                false => Err(RemoteError::Missing { side: self.side, id, by }),
            },
            ObjectId::Tree(id) => self.load::<Tree>(id, by).map(|o| o.links()),
            ObjectId::Recipe(id) => self.load::<Recipe>(id, by).map(|o| o.links()),
            ObjectId::Run(id) => self.load::<Run>(id, by).map(|o| o.links()),
            ObjectId::Attestation(id) => self.load::<Attestation>(id, by).map(|o| o.links()),
        }
    }

    fn load<O: Object>(&self, id: O::Id, by: Option<ObjectId>) -> Result<O> {
        self.store.load(id).map_err(|error| match error {
            ObjectsError::Missing { id } => RemoteError::Missing { side: self.side, id, by },
            error => blame(self.side, id.into(), error),
        })
    }
}
