//! What an evaluation reads beside the model, and whether a run that made one had a look at it.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use lab_lineage::{Lineage, Role};
use lab_objects::Store;
use lab_schema::{ContentId, Executor, Object, ObjectId, Recipe, Run, RunId, Tree};

use crate::error::{ReplayError, Result};

/// Most files of a directory that are looked at for what training read.
const MAX_FILES: usize = 1 << 20;

/// Something that training read, and that the evaluation reads too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shared {
    /// What the evaluation calls it.
    pub tested: String,
    /// The run that read it.
    pub by: RunId,
    /// What that run calls it, or what it was split off from.
    pub read: String,
    /// Whether it is the same; else it was split off from something that the model came from too, by another run.
    pub is_same: bool,
}

/// Something that the evaluation reads and a run made.
struct Split {
    /// What the evaluation calls it.
    tested: String,
    maker: RunId,
    /// The run and all before it.
    before: BTreeSet<RunId>,
    /// What these started from.
    from: BTreeSet<ContentId>,
}

/// What the evaluation reads beside the model.
#[derive(Default)]
pub(crate) struct Tested {
    /// Whether the tensor engine evaluates.
    pub(crate) by_engine: bool,
    /// Its files, and what it calls them.
    files: BTreeMap<ObjectId, String>,
    /// What of it runs made.
    made: Vec<Split>,
    /// Which of the files lie in a content that was looked at before.
    known: BTreeMap<ContentId, Option<String>>,
    /// What is known of the sources of a run.
    sources: BTreeMap<RunId, BTreeMap<ContentId, String>>,
}

impl Tested {
    pub(crate) fn new(
        store: &Store,
        lineage: &Lineage,
        run: RunId,
        reads: &[(String, ContentId)],
    ) -> Result<Tested> {
        let mut tested = Tested::default();
        let mut makers: BTreeMap<String, Vec<RunId>> = lineage
            .origins(run)?
            .into_iter()
            .map(|origin| (origin.role.to_string(), origin.makers))
            .collect();
        for (slot, content) in reads {
            for blob in files(store, *content)? {
                tested.files.entry(blob).or_insert_with(|| slot.clone());
            }
            for maker in makers.remove(slot).unwrap_or_default() {
                let before: BTreeSet<RunId> = lineage.chain(maker)?.into_iter().collect();
                let mut from = BTreeSet::new();
                for run in &before {
                    from.extend(tested.sources_of(lineage, *run)?.keys().copied());
                }
                tested.made.push(Split { tested: slot.clone(), maker, before, from });
            }
        }
        Ok(tested)
    }

    /// What a run read that no run made, and what it calls that.
    fn sources_of(&mut self, lineage: &Lineage, id: RunId) -> Result<&BTreeMap<ContentId, String>> {
        Ok(match self.sources.entry(id) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(free) => {
                let mut sources = BTreeMap::new();
                for origin in lineage.origins(id)? {
                    if let Some(read) = called(&origin.role)
                        && origin.makers.is_empty()
                    {
                        sources.insert(origin.content, read);
                    }
                }
                free.insert(sources)
            }
        })
    }

    /// What a run read of the files. Of its own splits the tensor engine keeps the rows that it tests on away from
    /// training by itself.
    pub(crate) fn read_by(
        &mut self,
        store: &Store,
        lineage: &Lineage,
        id: RunId,
    ) -> Result<Vec<Shared>> {
        if self.by_engine {
            let recipe: Recipe = load(store, load::<Run>(store, id)?.recipe)?;
            if matches!(recipe.executor(), Executor::Tensor(_)) {
                return Ok(Vec::new());
            }
        }
        let mut found = Vec::new();
        for (role, content) in lineage.run_inputs(id)? {
            let Some(read) = called(&role) else { continue };
            let shared = match self.known.get(&content) {
                Some(shared) => shared.clone(),
                None => {
                    let files = files(store, content)?;
                    let shared = files.into_iter().find_map(|file| self.files.get(&file)).cloned();
                    self.known.insert(content, shared.clone());
                    shared
                }
            };
            found.extend(shared.map(|tested| Shared { tested, by: id, read, is_same: true }));
        }
        Ok(found)
    }

    /// What of the evaluation was split off from something that a run of these, which made a model, started from as
    /// well: one that neither led to the split nor came after it, so that nothing kept the two apart.
    pub(crate) fn split_elsewhere(
        &mut self,
        lineage: &Lineage,
        runs: &[RunId],
    ) -> Result<Vec<Shared>> {
        let mut found = Vec::new();
        let all = std::mem::take(&mut self.made);
        for Split { tested, maker, before, from } in &all {
            for run in runs.iter().filter(|run| !before.contains(run)) {
                let sources = self.sources_of(lineage, *run)?;
                let both = sources.iter().find(|(content, _)| from.contains(*content));
                let Some(read) = both.map(|(_, read)| read.clone()) else { continue };
                if !lineage.chain(*run)?.contains(maker) {
                    found.push(Shared { tested: tested.clone(), by: *run, read, is_same: false });
                    break;
                }
            }
        }
        self.made = all;
        Ok(found)
    }
}

/// What a run calls an input; none of code.
fn called(role: &Role) -> Option<String> {
    match role {
        Role::Input(slot) => Some(slot.to_string()),
        Role::Outside(slot) => Some(format!("/{slot}")),
        Role::Code => None,
    }
}

/// The files in a content, but for those with nothing in them.
fn files(store: &Store, content: ContentId) -> Result<BTreeSet<ObjectId>> {
    let empty = lab_schema::BlobId::of(b"");
    let (mut found, mut seen, mut todo) = (BTreeSet::new(), BTreeSet::new(), vec![content]);
    while let Some(content) = todo.pop() {
        match content {
            ContentId::Blob(blob) if blob == empty => {}
            ContentId::Blob(blob) => drop(found.insert(blob.into())),
            ContentId::Tree(tree) if seen.insert(tree) => {
                let tree: Tree = load(store, tree)?;
                todo.extend(tree.entries().iter().filter_map(|entry| entry.node.content()));
            }
            ContentId::Tree(_) => {}
        }
        if found.len() > MAX_FILES {
            break;
        }
    }
    Ok(found)
}

fn load<O: Object>(store: &Store, id: O::Id) -> Result<O> {
    store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })
}
