//! Where lost objects are in use: which names lead to them, and on which way.

use std::collections::{BTreeMap, HashSet};

use lab_objects::{ObjectsError, Store};
use lab_schema::{ContentId, ObjectId, Run, Tree};

use crate::failure::Outcome;

/// Most ways that are told for one object.
const MOST: usize = 3;

/// For each of `lost`, references that lead to it, a few at most; every directory is looked into
/// once.
pub(super) fn whereabouts(
    store: &Store,
    lost: &[ObjectId],
) -> Outcome<BTreeMap<ObjectId, Vec<String>>> {
    let mut found: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    if lost.is_empty() {
        return Ok(found);
    }
    let lost: HashSet<ObjectId> = lost.iter().copied().collect();
    let mut seen = HashSet::new();
    let mut open: Vec<(ObjectId, String)> = Vec::new();
    for (name, last) in store.names().list()? {
        open.extend(last.target.map(|target| (target, name.to_string())));
    }
    open.reverse();
    while let Some((id, path)) = open.pop() {
        if lost.contains(&id) {
            let ways = found.entry(id).or_default();
            if ways.len() < MOST {
                ways.push(path.clone());
            }
        }
        if id.content().is_some_and(|content| matches!(content, ContentId::Blob(_)))
            || !seen.insert(id)
        {
            continue;
        }
        match id {
            ObjectId::Tree(tree) => {
                let Some(tree) = readable(store.get::<Tree>(tree))? else { continue };
                for entry in tree.entries() {
                    let name = String::from_utf8_lossy(entry.name.as_bytes());
                    let content = entry.node.content();
                    open.extend(content.map(|content| (content.into(), format!("{path}/{name}"))));
                }
            }
            ObjectId::Run(run) => {
                let Some(run) = readable(store.get::<Run>(run))? else { continue };
                open.push((run.recipe.into(), format!("{path} (its recipe)")));
                for (slot, content) in &run.outcome.outputs {
                    open.push(((*content).into(), format!("{path}:{slot}")));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What is damaged has no inside.
fn readable<T>(got: Result<Option<T>, ObjectsError>) -> Outcome<Option<T>> {
    match got {
        Err(ObjectsError::Damaged { .. } | ObjectsError::Schema(_)) => Ok(None),
        got => Ok(got?),
    }
}
