//! What a store must hold before a run can be done again or reused.
//!
//! A store may hold a tree without all of its files: a transfer that was cut off, a damaged pack.
//! So contents are looked through to their last file, before an execution starts on half of them. What
//! was left out of the store can be had, and counts as there: it is fetched, all together, before an
//! execution needs it.

use std::collections::BTreeSet;

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_schema::{Completeness, ContentId, ObjectId, RecipeId, Run, RunId, Tree};

use crate::error::Result;

/// The parts of a content that the store does not have, itself included; at most `limit` of them.
pub(crate) fn absent(store: &Store, content: ContentId, limit: usize) -> Result<Vec<ObjectId>> {
    let (mut absent, mut seen, mut todo) = (Vec::new(), BTreeSet::new(), vec![content]);
    while let Some(id) = todo.pop() {
        if absent.len() == limit {
            break;
        }
        if !seen.insert(id) {
            continue;
        }
        match id {
            ContentId::Blob(_) if store.promised(id)?.is_some() || store.has(id)? => {}
            ContentId::Blob(_) => absent.push(id.into()),
            ContentId::Tree(tree) => match store.get::<Tree>(tree)? {
                Some(tree) => todo.extend(tree.entries().iter().filter_map(|e| e.node.content())),
                None => absent.push(id.into()),
            },
        }
    }
    Ok(absent)
}

/// Fetches what was left out of these contents, which are all there otherwise.
pub(crate) fn bring(store: &Store, contents: impl IntoIterator<Item = ContentId>) -> Result<()> {
    let mut todo: Vec<ContentId> = contents.into_iter().collect();
    let (mut blobs, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(id) = todo.pop() {
        match id {
            ContentId::Blob(blob) => blobs.push(blob),
            ContentId::Tree(tree) if seen.insert(tree) => {
                let tree: Tree = store.load(tree)?;
                todo.extend(tree.entries().iter().filter_map(|e| e.node.content()));
            }
            ContentId::Tree(_) => {}
        }
    }
    Ok(store.bring(&blobs)?)
}

/// The run whose result stands for doing the recipe again: the earliest that succeeded, whose
/// record is complete, and whose outputs are all still in the store. An incomplete record is never
/// reused: what it does not name may have changed.
pub fn cached(store: &Store, lineage: &Lineage, recipe: RecipeId) -> Result<Option<RunId>> {
    for id in lineage.runs_of(recipe)? {
        let Some(run) = store.get::<Run>(id)? else { continue };
        let outcome = &run.outcome;
        if !outcome.status.is_success() || outcome.completeness != Completeness::Complete {
            continue;
        }
        let mut whole = true;
        for content in outcome.outputs.values() {
            whole = whole && absent(store, *content, 1)?.is_empty();
        }
        if whole {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
