//! Data files, as inputs by name. A folder of which many files were read is one input.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lab_objects::Writer;
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Slot};

use crate::error::Result;
use crate::folder::Folder;

/// A folder of which more files than this were read is one input.
const MANY: usize = 100;

/// A file that is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) id: BlobId,
    pub(crate) size: u64,
    pub(crate) executable: bool,
}

impl File {
    pub(crate) fn node(&self) -> Node {
        Node::File { id: self.id, size: self.size, executable: self.executable }
    }
}

/// Inputs by name, and files that no name can be given to.
pub(crate) type Grouped = (BTreeMap<Slot, ContentId>, Vec<(PathBuf, File)>);

/// The files below `top` by name, and those that no name can be given to.
pub(crate) fn group(
    writer: &mut Writer,
    files: BTreeMap<PathBuf, File>,
    top: &Path,
) -> Result<Grouped> {
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    for path in files.keys() {
        *counts.entry(path.parent().unwrap_or(top)).or_default() += 1;
    }
    let full = counts.into_iter().filter(|(folder, count)| *count > MANY && *folder != top);
    let full: BTreeSet<PathBuf> = full.map(|(folder, _)| folder.to_owned()).collect();
    // The highest of them that a path lies in: no input lies in another.
    let home = |path: &Path| {
        let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
        folders.reverse();
        folders.into_iter().find(|folder| full.contains(*folder)).map(Path::to_owned)
    };
    let mut slots = BTreeMap::new();
    let mut folders: BTreeMap<PathBuf, Folder> = BTreeMap::new();
    let mut left = Vec::new();
    for (path, file) in &files {
        let folder = home(path).filter(|folder| slot(folder, top).is_some());
        match (folder, slot(path, top)) {
            (Some(folder), _) => {
                let inside = path.strip_prefix(&folder).unwrap_or(path);
                if folders.entry(folder.clone()).or_default().insert(inside, file.node()).is_err() {
                    left.push((path.clone(), *file));
                }
            }
            (None, Some(slot)) => {
                slots.insert(slot, ContentId::Blob(file.id));
            }
            (None, None) => left.push((path.clone(), *file)),
        }
    }
    for (path, folder) in folders {
        let (id, _) = folder.put(writer)?;
        slots.insert(slot(&path, top).expect("it was looked at"), ContentId::Tree(id));
    }
    Ok((slots, left))
}

fn slot(path: &Path, top: &Path) -> Option<Slot> {
    Slot::new(path.strip_prefix(top).ok()?.to_str()?).ok()
}
