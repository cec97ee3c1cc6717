//! Which paths differ between two trees.
//!
//! Every path is told, not only the first, up to a bound: a tree that holds one folder many times
//! over, in many levels, has more paths than any memory. Equal subtrees are never opened.

use std::collections::BTreeSet;

use lab_objects::Store;
use lab_schema::{FileName, Tree, TreeId, tree::Node};

use crate::error::{ReplayError, Result};

/// Directories inside each other; paths of real file systems cannot hold more.
const MAX_DEPTH: usize = 512;

/// A path that was added, removed or changed.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The path, with `/` between its parts, control characters escaped.
    pub(crate) path: String,
    /// What was there.
    pub(crate) before: Option<Node>,
    /// What is there.
    pub(crate) after: Option<Node>,
}

/// The paths below which two trees differ.
pub(crate) struct Paths {
    /// Sorted by path.
    pub(crate) changed: Vec<Changed>,
    /// Whether there are more than were asked for.
    pub(crate) more: bool,
}

/// How a directory is told that only one side has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// As one path.
    Whole,
    /// By its files.
    Files,
}

/// At most `most` paths and folders below which two trees differ. No tree is like an empty one. None:
/// the store lacks a tree that is needed.
pub(crate) fn changed(
    store: &Store,
    a: Option<TreeId>,
    b: Option<TreeId>,
    alone: Alone,
    most: usize,
) -> Result<Option<Paths>> {
    let open = |id: Option<TreeId>| -> Result<Option<Tree>> {
        match id {
            Some(id) => Ok(store.get::<Tree>(id)?),
            None => Ok(Tree::new(Vec::new()).ok()),
        }
    };
    let (mut found, mut todo) = (Vec::new(), vec![(Vec::<FileName>::new(), a, b)]);
    let mut folders = 0;
    let mut more = false;
    while let Some((path, a, b)) = todo.pop() {
        folders += 1;
        if folders + found.len() + todo.len() > most {
            found.truncate(most);
            more = true;
            break;
        }
        if path.len() >= MAX_DEPTH
            && let Some(id) = a.or(b)
        {
            return Err(ReplayError::TooDeep { id: id.into(), limit: MAX_DEPTH });
        }
        let (Some(x), Some(y)) = (open(a)?, open(b)?) else { return Ok(None) };
        let names: BTreeSet<&FileName> =
            x.entries().iter().chain(y.entries()).map(|e| &e.name).collect();
        for name in names {
            let (p, q) = (x.get(name.as_bytes()), y.get(name.as_bytes()));
            if p == q {
                continue;
            }
            let mut path = path.clone();
            path.push(name.clone());
            match (p.map(|e| &e.node), q.map(|e| &e.node)) {
                (Some(Node::Directory { id: a, .. }), Some(Node::Directory { id: b, .. })) => {
                    todo.push((path, Some(*a), Some(*b)));
                }
                (Some(Node::Directory { id, .. }), None) if alone == Alone::Files => {
                    todo.push((path, Some(*id), None));
                }
                (None, Some(Node::Directory { id, .. })) if alone == Alone::Files => {
                    todo.push((path, None, Some(*id)));
                }
                (before, after) => {
                    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
                    let (before, after) = (before.cloned(), after.cloned());
                    found.push(Changed { path: path.join("/"), before, after });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Some(Paths { changed: found, more }))
}
