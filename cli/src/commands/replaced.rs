//! What earlier versions of a named folder held and the latest does not: a run that read one of its files
//! by itself stands on it as one that read the folder does.

use std::collections::{BTreeMap, HashMap, HashSet};

use lab_objects::{Move, ObjectsError, Store};
use lab_schema::{ContentId, Name, ObjectId, Tree, TreeId};

use super::describe::readable;
use super::page::all_in;
use crate::failure::Outcome;

/// What is no longer in folders that have a name.
#[derive(Default)]
pub(super) struct Replaced {
    /// In which version of which name it was last.
    gone: HashMap<ContentId, (Name, usize)>,
    /// What these names point at, with what lies in it once that has been asked for.
    latest: BTreeMap<Name, (TreeId, Option<HashSet<ContentId>>)>,
}

impl Replaced {
    /// Compares the versions of a name with its latest; of folders that cannot be read, what is wrong with them.
    pub(super) fn add(
        &mut self,
        store: &Store,
        name: &Name,
        journal: &[Move],
    ) -> Outcome<Option<String>> {
        let tree = |moved: &Move| match moved.target {
            Some(ObjectId::Tree(tree)) => Some(tree),
            _ => None,
        };
        let Some(latest) = journal.last().and_then(tree) else { return Ok(None) };
        let mut seen = HashSet::from([latest]);
        for (index, old) in journal.iter().map(tree).enumerate().rev() {
            let Some(old) = old.filter(|old| seen.insert(*old)) else { continue };
            let (mut gone, mut come) = (Vec::new(), HashSet::new());
            if let Err(why) = readable(differing(store, (old, latest), &mut gone, &mut come))? {
                return Ok(Some(why));
            }
            for content in gone.into_iter().filter(|content| !come.contains(content)) {
                self.gone.entry(content).or_insert_with(|| (name.clone(), index + 1));
                self.latest.entry(name.clone()).or_insert((latest, None));
            }
        }
        Ok(None)
    }

    /// The name of a folder, and a version of it, that held this, or a file in it if it is a folder; none if
    /// the latest does too, at whatever place.
    pub(super) fn find(
        &mut self,
        store: &Store,
        content: ContentId,
    ) -> Outcome<Option<(Name, usize)>> {
        if self.gone.is_empty() {
            return Ok(None);
        }
        // What cannot be read is told where it is asked for.
        let Ok(all) = readable(all_in(store, content))? else { return Ok(None) };
        for content in all {
            let Some((name, version)) = self.gone.get(&content) else { continue };
            let Some((tree, inside)) = self.latest.get_mut(name) else { continue };
            let inside = match inside {
                Some(inside) => inside,
                None => match readable(all_in(store, ContentId::Tree(*tree)))? {
                    Ok(all) => inside.insert(all.into_iter().collect()),
                    Err(_) => return Ok(None),
                },
            };
            if !inside.contains(&content) {
                return Ok(Some((name.clone(), *version)));
            }
        }
        Ok(None)
    }
}

/// What only the first of two folders has where they differ, and what only the second.
fn differing(
    store: &Store,
    (old, new): (TreeId, TreeId),
    gone: &mut Vec<ContentId>,
    come: &mut HashSet<ContentId>,
) -> Result<(), ObjectsError> {
    let mut open = vec![(old, new)];
    while let Some((old, new)) = open.pop() {
        let (Some(x), Some(y)) = (store.get::<Tree>(old)?, store.get::<Tree>(new)?) else {
            continue;
        };
        gone.push(old.into());
        come.insert(new.into());
        let beside = |tree: &Tree| -> BTreeMap<_, _> {
            let entries = tree.entries().iter();
            entries.filter_map(|entry| Some((entry.name.clone(), entry.node.content()?))).collect()
        };
        let (before, mut after) = (beside(&x), beside(&y));
        for (name, content) in before {
            match (content, after.remove(&name)) {
                (content, Some(same)) if content == same => {}
                (ContentId::Tree(old), Some(ContentId::Tree(new))) => open.push((old, new)),
                (content, other) => {
                    gone.extend(all_in(store, content)?);
                    if let Some(other) = other {
                        come.extend(all_in(store, other)?);
                    }
                }
            }
        }
        for content in after.into_values() {
            come.extend(all_in(store, content)?);
        }
    }
    Ok(())
}
