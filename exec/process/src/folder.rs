//! A folder that is being built, to become a tree.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use lab_objects::Writer;
use lab_schema::tree::Node;
use lab_schema::{Entry, FileName, Tree, TreeId};

use crate::error::Result;

/// A folder that is being built.
#[derive(Default)]
pub(crate) struct Folder(BTreeMap<Vec<u8>, Child>);

enum Child {
    Folder(Folder),
    Leaf(Node),
}

/// Something else is at a path, or on the way to it.
#[derive(Debug)]
pub(crate) struct Occupied;

impl Folder {
    /// Puts a file or link at a relative path without `.` and `..`.
    pub(crate) fn insert(&mut self, path: &Path, node: Node) -> Result<(), Occupied> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Occupied);
        };
        match self.make(parent)?.0.entry(name.as_bytes().to_vec()) {
            Place::Vacant(place) => {
                place.insert(Child::Leaf(node));
                Ok(())
            }
            Place::Occupied(_) => Err(Occupied),
        }
    }

    /// The folder at a relative path; made if nothing is there.
    pub(crate) fn make(&mut self, path: &Path) -> Result<&mut Folder, Occupied> {
        let mut folder = self;
        for name in path.iter().map(|c| c.as_bytes().to_vec()) {
            let child = folder.0.entry(name).or_insert_with(|| Child::Folder(Folder::default()));
            let Child::Folder(inner) = child else { return Err(Occupied) };
            folder = inner;
        }
        Ok(folder)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stores it, and says how many bytes all files below have.
    pub(crate) fn put(self, writer: &mut Writer) -> Result<(TreeId, u64)> {
        let mut entries = Vec::with_capacity(self.0.len());
        for (name, child) in self.0 {
            let node = match child {
                Child::Leaf(node) => node,
                Child::Folder(folder) => {
                    let (id, size) = folder.put(writer)?;
                    Node::Directory { id, size }
                }
            };
            let name = FileName::new(name).expect("components of paths on disk are file names");
            entries.push(Entry { name, node });
        }
        let tree = Tree::new(entries).expect("a map has no key twice");
        Ok((writer.put(&tree)?, tree.total_bytes()))
    }
}
