//! Lost file contents that the work tree still has.
//!
//! Only files of a size that is looked for are read; where the size of something lost is not known,
//! every file is. What cannot be read, and links, are passed over; so are registries and git's own
//! folder.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lab_objects::{ObjectsError, Store};
use lab_schema::tree::Node;
use lab_schema::{BlobId, Kind, Tree};

use crate::failure::Outcome;

/// Files with the contents that are looked for, one for each.
pub(super) fn find(
    store: &Store,
    root: &Path,
    wanted: &HashSet<BlobId>,
) -> Outcome<HashMap<BlobId, PathBuf>> {
    let mut found = HashMap::new();
    let sizes = sizes(store, wanted)?;
    // None: there is one that could have any size.
    let sizes: Option<HashSet<u64>> =
        (sizes.len() == wanted.len()).then(|| sizes.into_values().collect());
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let Ok(meta) = entry.metadata() else { continue };
            let name = entry.file_name();
            if meta.is_dir() && name != ".lab" && name != ".git" {
                folders.push(entry.path());
            }
            if !meta.is_file() || sizes.as_ref().is_some_and(|sizes| !sizes.contains(&meta.len())) {
                continue;
            }
            if let Ok(id) = hash(&entry.path())
                && wanted.contains(&id)
            {
                found.entry(id).or_insert_with(|| entry.path());
                if found.len() == wanted.len() {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

fn hash(path: &Path) -> io::Result<BlobId> {
    let (mut file, mut hasher) = (File::open(path)?, Kind::Blob.hasher());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The sizes of these blobs, as far as the store or a directory in it knows them.
fn sizes(store: &Store, wanted: &HashSet<BlobId>) -> Outcome<HashMap<BlobId, u64>> {
    let mut sizes = HashMap::new();
    for id in wanted {
        match store.size(*id) {
            Ok(size) => sizes.extend(size.map(|size| (*id, size))),
            Err(ObjectsError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if sizes.len() == wanted.len() {
        return Ok(sizes);
    }
    for id in store.list(Kind::Tree)? {
        let tree = match id {
            lab_schema::ObjectId::Tree(id) => store.get::<Tree>(id),
            _ => continue,
        };
        let tree = match tree {
            Err(ObjectsError::Damaged { .. } | ObjectsError::Schema(_)) => continue,
            tree => tree?,
        };
        for entry in tree.iter().flat_map(|tree| tree.entries()) {
            if let Node::File { id, size, .. } = entry.node
                && wanted.contains(&id)
            {
                sizes.insert(id, size);
            }
        }
    }
    Ok(sizes)
}
