//! Which paths differ between two trees of code.
//!
//! Every path is named, not only the first: a reader must see that nothing else was touched. How a
//! file's text changed is for other tools to show.

use std::collections::BTreeSet;

use lab_objects::Store;
use lab_schema::{Entry, FileName, Tree, TreeId, tree::Node};

use crate::compare::shown;
use crate::error::{ReplayError, Result};

/// Directories inside each other; paths of real file systems cannot hold more.
const MAX_DEPTH: usize = 512;

/// Most paths and folders that are looked at. A tree that holds one folder many times over, in many
/// levels, has more paths than any memory.
const MAX_PATHS: usize = 200_000;

/// A path that was added, removed or changed.
pub(crate) struct Changed {
    /// The path, with `/` between its parts.
    pub(crate) path: String,
    /// What was there.
    pub(crate) before: Option<String>,
    /// What is there.
    pub(crate) after: Option<String>,
}

/// How a directory is told that only one side has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// As one path.
    Whole,
    /// By its files.
    Files,
}

/// Every path below which two trees differ, sorted, up to a bound. Equal subtrees are never opened. No tree is like an empty one. None: the store lacks a tree
/// that is needed.
pub(crate) fn differences(
    store: &Store,
    a: Option<TreeId>,
    b: Option<TreeId>,
    alone: Alone,
) -> Result<Option<Vec<Changed>>> {
    let open = |id: Option<TreeId>| -> Result<Option<Tree>> {
        match id {
            Some(id) => Ok(store.get::<Tree>(id)?),
            None => Ok(Tree::new(Vec::new()).ok()),
        }
    };
    let (mut found, mut todo) = (Vec::new(), vec![(Vec::<FileName>::new(), a, b)]);
    let mut folders = 0;
    while let Some((path, a, b)) = todo.pop() {
        folders += 1;
        if folders + found.len() + todo.len() > MAX_PATHS {
            found.truncate(MAX_PATHS);
            found.push(Changed {
                path: format!("more than {MAX_PATHS} paths"),
                before: Some("as in the one".to_owned()),
                after: Some("as in the other".to_owned()),
            });
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
                _ => {
                    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
                    let path = path.join("/");
                    let bare = p.map(kind) == q.map(kind) || p.is_none() || q.is_none();
                    let show =
                        |e: &Entry| if bare { id(e) } else { format!("{} {}", kind(e), id(e)) };
                    found.push(Changed { path, before: p.map(show), after: q.map(show) });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Some(found))
}

fn kind(entry: &Entry) -> &'static str {
    match &entry.node {
        Node::File { executable: false, .. } => "file",
        Node::File { executable: true, .. } => "executable file",
        Node::Directory { .. } => "directory",
        Node::Link { .. } => "link to",
    }
}

fn id(entry: &Entry) -> String {
    match &entry.node {
        Node::Link { target } => shown(&String::from_utf8_lossy(target)),
        node => node.content().map(|id| id.to_string()).unwrap_or_default(),
    }
}
