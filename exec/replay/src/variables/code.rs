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

/// A path that was added, removed or changed.
pub(crate) struct Changed {
    /// The path, with `/` between its parts.
    pub(crate) path: String,
    /// What was there.
    pub(crate) before: Option<String>,
    /// What is there.
    pub(crate) after: Option<String>,
}

/// Every path below which two trees differ, sorted; a directory that only one side has is one
/// path. Equal subtrees are never opened. No tree is like an empty one. None: the store lacks a tree
/// that is needed.
pub(crate) fn differences(
    store: &Store,
    a: Option<TreeId>,
    b: Option<TreeId>,
) -> Result<Option<Vec<Changed>>> {
    let open = |id: Option<TreeId>| -> Result<Option<Tree>> {
        match id {
            Some(id) => Ok(store.get::<Tree>(id)?),
            None => Ok(Tree::new(Vec::new()).ok()),
        }
    };
    let (mut found, mut todo) = (Vec::new(), vec![(Vec::<FileName>::new(), a, b)]);
    while let Some((path, a, b)) = todo.pop() {
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
