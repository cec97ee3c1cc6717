//! Which paths differ between two trees of code, as the rows of a difference tell it.
//!
//! Every path is named, not only the first: a reader must see that nothing else was touched. How a
//! file's text changed is told beside it (`contents`).

use lab_objects::Store;
use lab_schema::{TreeId, tree::Node};

use crate::compare::shown;
use crate::error::Result;
use crate::trees;
pub(crate) use crate::trees::Alone;

/// Most paths and folders that are looked at.
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

/// Every path below which two trees differ, sorted, up to a bound. No tree is like an empty one. None:
/// the store lacks a tree that is needed.
pub(crate) fn differences(
    store: &Store,
    a: Option<TreeId>,
    b: Option<TreeId>,
    alone: Alone,
) -> Result<Option<Vec<Changed>>> {
    let Some(paths) = trees::changed(store, a, b, alone, MAX_PATHS)? else { return Ok(None) };
    let mut found: Vec<Changed> = paths.changed.into_iter().map(told).collect();
    if paths.more {
        found.push(Changed {
            path: format!("more than {MAX_PATHS} paths"),
            before: Some("as in the one".to_owned()),
            after: Some("as in the other".to_owned()),
        });
    }
    Ok(Some(found))
}

fn told(changed: trees::Changed) -> Changed {
    let (p, q) = (&changed.before, &changed.after);
    let alike = match (p, q) {
        (Some(p), Some(q)) => kind(p) == kind(q),
        _ => true,
    };
    let show = |n: &Node| if alike { id(n) } else { format!("{} {}", kind(n), id(n)) };
    Changed { before: p.as_ref().map(show), after: q.as_ref().map(show), path: changed.path }
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::File { executable: false, .. } => "file",
        Node::File { executable: true, .. } => "executable file",
        Node::Directory { .. } => "directory",
        Node::Link { .. } => "link to",
    }
}

fn id(node: &Node) -> String {
    match node {
        Node::Link { target } => shown(&String::from_utf8_lossy(target)),
        node => node.content().map(|id| id.to_string()).unwrap_or_default(),
    }
}
