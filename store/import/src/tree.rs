//! Files with paths into trees.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use lab_objects::Writer;
use lab_schema::tree::Node;
use lab_schema::{Entry, FileName, Tree, TreeId};

use crate::error::Result;

/// A directory under way.
#[derive(Default)]
struct Folder(BTreeMap<FileName, Child>);

enum Child {
    File(Node),
    Folder(Folder),
}

/// Stores the directory of these files; or says which path stands in another's way.
pub(crate) fn put_tree(
    writer: &mut Writer,
    files: impl IntoIterator<Item = (Vec<FileName>, Node)>,
) -> Result<std::result::Result<(TreeId, u64), String>> {
    let mut top = Folder::default();
    for (path, node) in files {
        if let Err(at) = top.insert(&path, node) {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            return Ok(Err(format!(
                "{}: {at} is there twice, or as a file and a folder",
                path.join("/")
            )));
        }
    }
    put(writer, top).map(Ok)
}

impl Folder {
    fn insert(&mut self, path: &[FileName], node: Node) -> std::result::Result<(), String> {
        let Some((name, rest)) = path.split_first() else { return Err("the top".to_owned()) };
        match (self.0.entry(name.clone()), rest) {
            (Place::Vacant(place), []) => drop(place.insert(Child::File(node))),
            (Place::Vacant(place), rest) => {
                let mut folder = Folder::default();
                folder.insert(rest, node)?;
                place.insert(Child::Folder(folder));
            }
            (Place::Occupied(mut place), rest) => match place.get_mut() {
                Child::Folder(folder) if !rest.is_empty() => return folder.insert(rest, node),
                _ => return Err(format!("'{name}'")),
            },
        }
        Ok(())
    }
}

/// Paths have a bounded number of parts, so that this does not go deep.
fn put(writer: &mut Writer, folder: Folder) -> Result<(TreeId, u64)> {
    let mut entries = Vec::with_capacity(folder.0.len());
    for (name, child) in folder.0 {
        let node = match child {
            Child::File(node) => node,
            Child::Folder(folder) => {
                let (id, size) = put(writer, folder)?;
                Node::Directory { id, size }
            }
        };
        entries.push(Entry { name, node });
    }
    let tree = Tree::new(entries)?;
    Ok((writer.put(&tree)?, tree.total_bytes()))
}
