//! Files among the outputs of a run: those at a path, and those that could hold predictions.

use std::collections::BTreeMap;

use lab_objects::{Store, find_in_tree};
use lab_schema::{BlobId, ContentId, FileName, Run, Slot, Tree, TreeId, tree::Node};

use crate::error::Result;

/// Most entries of folders that are looked through, and how deep.
const MOST_ENTRIES: usize = 10_000;
const MAX_DEPTH: usize = 64;
/// Endings of what is looked into, without that of gzip.
const TABLES: [&str; 5] = [".csv", ".tsv", ".tab", ".jsonl", ".ndjson"];

/// Whether a path ends as tables do.
pub(crate) fn is_table(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let path = path.strip_suffix(".gz").unwrap_or(&path);
    TABLES.iter().any(|ending| path.ends_with(ending))
}

/// Whether a path ends as arrays of numpy do.
pub(crate) fn is_array(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path.strip_suffix(".gz").unwrap_or(&path).ends_with(".npy")
}

/// The files whose paths end as those of tables and arrays, in outputs and the folders among them; of very
/// many the first. What the store lacks has none.
pub(crate) fn candidates(store: &Store, run: &Run) -> Result<BTreeMap<String, BlobId>> {
    let mut found = BTreeMap::new();
    let mut left = MOST_ENTRIES;
    for (slot, content) in &run.outcome.outputs {
        match content {
            ContentId::Blob(id) => add(&mut found, slot.as_str().to_owned(), *id),
            ContentId::Tree(id) => walk(store, *id, slot.as_str(), &mut left, &mut found)?,
        }
    }
    Ok(found)
}

fn add(found: &mut BTreeMap<String, BlobId>, path: String, id: BlobId) {
    if is_table(&path) || is_array(&path) {
        found.insert(path, id);
    }
}

fn walk(
    store: &Store,
    root: TreeId,
    slot: &str,
    left: &mut usize,
    found: &mut BTreeMap<String, BlobId>,
) -> Result<()> {
    let mut todo = vec![(root, slot.to_owned(), 0)];
    while let Some((id, above, depth)) = todo.pop() {
        let Some(tree) = store.get::<Tree>(id)? else { continue };
        for entry in tree.entries() {
            if *left == 0 {
                return Ok(());
            }
            *left -= 1;
            // What is no text cannot be typed either.
            let Ok(name) = str::from_utf8(entry.name.as_bytes()) else { continue };
            let path = format!("{above}/{name}");
            match &entry.node {
                Node::File { id, .. } => add(found, path, *id),
                Node::Directory { id, .. } if depth < MAX_DEPTH => {
                    todo.push((*id, path, depth + 1));
                }
                Node::Directory { .. } | Node::Link { .. } => {}
            }
        }
    }
    Ok(())
}

/// The file at a path: an output, or a file in one.
pub(crate) fn find(store: &Store, run: &Run, path: &str) -> Result<Option<BlobId>> {
    let outputs = &run.outcome.outputs;
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let Ok(slot) = Slot::new(&path[..end]) else { continue };
        match outputs.get(&slot) {
            Some(ContentId::Blob(id)) if end == path.len() => return Ok(Some(*id)),
            Some(ContentId::Tree(id)) if end < path.len() => {
                let inside: std::result::Result<Vec<FileName>, _> =
                    path[end + 1..].split('/').map(FileName::new).collect();
                let Ok(inside) = inside else { return Ok(None) };
                return Ok(match find_in_tree(store, *id, &inside)? {
                    Some(Node::File { id, .. }) => Some(id),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Ok(None)
}
