//! In which folders that have a name the files lie that a run read one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lab_objects::{ObjectsError, Store};
use lab_schema::{ContentId, ObjectId, Tree, TreeId};

use super::Entered;
use crate::commands::describe::readable;
use crate::failure::Outcome;

/// Most entries of folders that are looked at, some seconds of work: what lies beyond is told by its own name.
const MAX_ENTRIES: usize = 1 << 20;

/// Folders that names pointed at, with what of some files is in them.
pub(super) struct Folders<'a> {
    all: Vec<(&'a Entered, HashSet<ContentId>)>,
    /// The files that each of these consists of: itself, or those inside.
    files: HashMap<ContentId, Vec<ContentId>>,
}

impl<'a> Folders<'a> {
    /// Looks for these contents, of which none has a name, in all folders that have one.
    pub(super) fn find(
        store: &Store,
        entered: &'a BTreeMap<ObjectId, Entered>,
        contents: &BTreeSet<ContentId>,
    ) -> Outcome<Folders<'a>> {
        let (mut files, mut wanted, mut left) = (HashMap::new(), HashSet::new(), MAX_ENTRIES);
        for content in contents {
            let own = match content {
                ContentId::Blob(_) => vec![*content],
                ContentId::Tree(tree) => {
                    readable(files_in(store, *tree, &mut left, |_| true))?.unwrap_or_default()
                }
            };
            wanted.extend(own.iter().copied());
            files.insert(*content, own);
        }
        let mut all = Vec::new();
        if !wanted.is_empty() {
            for (id, entered) in entered {
                if let ObjectId::Tree(tree) = id {
                    let found = files_in(store, *tree, &mut left, |file| wanted.contains(&file));
                    // What lies in a folder that cannot be read is told by its own name.
                    if let Ok(found) = readable(found)?
                        && !found.is_empty()
                    {
                        all.push((entered, found.into_iter().collect()));
                    }
                }
            }
        }
        Ok(Folders { all, files })
    }

    /// Of what a run read that began then, the folder that each lies in: of several the one that holds most of
    /// it, of those the last that had its name before.
    pub(super) fn of(
        &self,
        read: impl Iterator<Item = ContentId>,
        started_ms: u64,
    ) -> HashMap<ContentId, &'a Entered> {
        let none = Vec::new();
        let files = |content: &ContentId| self.files.get(content).unwrap_or(&none);
        let holds = |folder: &HashSet<ContentId>, content: &ContentId| {
            let files = files(content);
            !files.is_empty() && files.iter().all(|file| folder.contains(file))
        };
        let (mut rest, mut found) = (read.collect::<Vec<_>>(), HashMap::new());
        while let Some((entered, folder)) = self.all.iter().max_by_key(|(entered, folder)| {
            let count = rest.iter().filter(|content| holds(folder, content)).count();
            let before = entered.when_ms <= started_ms;
            (count, before, if before { entered.when_ms } else { u64::MAX - entered.when_ms })
        }) {
            let before = rest.len();
            rest.retain(|content| {
                let is_held = holds(folder, content);
                if is_held {
                    found.insert(*content, *entered);
                }
                !is_held
            });
            if rest.len() == before {
                break;
            }
        }
        found
    }
}

/// The files in a folder that count, as far as it is here and `left` entries reach.
fn files_in(
    store: &Store,
    tree: TreeId,
    left: &mut usize,
    counts: impl Fn(ContentId) -> bool,
) -> Result<Vec<ContentId>, ObjectsError> {
    let (mut found, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![tree]);
    while let Some(tree) = open.pop() {
        if !seen.insert(tree) {
            continue;
        }
        let Some(tree) = store.get::<Tree>(tree)? else { continue };
        for content in tree.entries().iter().filter_map(|entry| entry.node.content()) {
            match left.checked_sub(1) {
                Some(rest) => *left = rest,
                None => return Ok(found),
            }
            match content {
                ContentId::Tree(tree) => open.push(tree),
                ContentId::Blob(_) if counts(content) => found.push(content),
                ContentId::Blob(_) => {}
            }
        }
    }
    Ok(found)
}
