//! Two directories: the first path that differs, and inside it the first place.
//!
//! Paths go in the order of bytes. Equal subtrees are never opened. The share that is reported is
//! that of the reported file itself; a directory has no measure of its own.

use std::collections::BTreeSet;

use lab_objects::Store;
use lab_schema::{ContentId, Entry, FileName, Tree, TreeId, tree::Node};

use crate::compare::found::{Found, shown};
use crate::error::{ReplayError, Result};

/// Directories inside each other; paths of real file systems cannot hold more.
const MAX_DEPTH: usize = 512;

/// Compares two files.
pub(crate) type Files<'a> = dyn Fn(ContentId, ContentId) -> Result<Option<Found>> + 'a;

/// The difference to report between two directories: the first that is not tolerated, or else the
/// first.
pub(crate) fn compare(
    store: &Store,
    expected: TreeId,
    actual: TreeId,
    files: &Files<'_>,
) -> Result<Option<Found>> {
    Walk { store, files, path: Vec::new() }.trees(expected, actual)
}

struct Walk<'a> {
    store: &'a Store,
    files: &'a Files<'a>,
    path: Vec<FileName>,
}

impl Walk<'_> {
    fn trees(&mut self, expected: TreeId, actual: TreeId) -> Result<Option<Found>> {
        if self.path.len() >= MAX_DEPTH {
            return Err(ReplayError::TooDeep { id: expected.into(), limit: MAX_DEPTH });
        }
        let load = |id: TreeId| -> Result<Tree> {
            self.store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })
        };
        let (a, b) = (load(expected)?, load(actual)?);
        let names: BTreeSet<&FileName> =
            a.entries().iter().chain(b.entries()).map(|e| &e.name).collect();
        let mut tolerated = None;
        for name in names {
            let (x, y) = (a.get(name.as_bytes()), b.get(name.as_bytes()));
            if x == y {
                continue;
            }
            self.path.push(name.clone());
            let found = self.entries(x, y)?;
            self.path.pop();
            match found {
                Some(found) if !found.tolerated => return Ok(Some(found)),
                found => tolerated = tolerated.or(found),
            }
        }
        Ok(tolerated)
    }

    fn entries(&mut self, x: Option<&Entry>, y: Option<&Entry>) -> Result<Option<Found>> {
        match (x.map(|e| &e.node), y.map(|e| &e.node)) {
            (Some(Node::Directory { id: a, .. }), Some(Node::Directory { id: b, .. })) => {
                self.trees(*a, *b)
            }
            (
                Some(Node::File { id: a, executable: s, .. }),
                Some(Node::File { id: b, executable: t, .. }),
            ) if a != b && s == t => {
                let found = (self.files)((*a).into(), (*b).into())?;
                Ok(found.map(|found| Found { at: Some(self.place(found.at.as_deref())), ..found }))
            }
            (x, y) => Ok(Some(Found::new(self.place(None), &describe(x), &describe(y)))),
        }
    }

    /// `path/to/file`, or `path/to/file: place`.
    fn place(&self, inside: Option<&str>) -> String {
        let path: Vec<String> = self.path.iter().map(FileName::to_string).collect();
        let path = shown(&path.join("/"));
        inside.map_or(path.clone(), |inside| format!("{path}: {inside}"))
    }
}

fn describe(node: Option<&Node>) -> String {
    match node {
        None => "no such entry".to_owned(),
        Some(Node::Directory { .. }) => "a directory".to_owned(),
        Some(Node::File { executable: true, .. }) => "an executable file".to_owned(),
        Some(Node::File { .. }) => "a file".to_owned(),
        Some(Node::Link { target }) => {
            format!("a link to '{}'", shown(&String::from_utf8_lossy(target)))
        }
    }
}
