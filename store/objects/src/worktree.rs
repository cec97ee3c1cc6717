//! Files and folders into a store and back.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lab_schema::{ContentId, Entry, FileName, Tree, TreeId};

use crate::error::{At, ObjectsError, Result};
use crate::progress::Progress;
use crate::store::Store;
use crate::writer::Writer;
use lab_schema::tree::Node;

/// What was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub content: ContentId,
    /// Number of files in it.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// How to get.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetOptions {
    /// Replace files that exist and differ.
    pub force: bool,
}

/// What was got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Files that were there already, with the same bytes.
    pub unchanged: u64,
}

/// Stores a file or folder.
pub fn add(writer: &mut Writer, path: &Path, progress: &dyn Progress) -> Result<Added> {
    let meta = fs::metadata(path).at("inspect", path)?;
    if meta.is_file() {
        let mut file = fs::File::open(path).at("open", path)?;
        let (id, bytes) = writer.put_blob(&mut file)?;
        progress.advance(bytes);
        return Ok(Added { content: id.into(), files: 1, bytes });
    }
    let mut added = Added { content: Tree::default_id(), files: 0, bytes: 0 };
    let (id, _) = add_folder(writer, path, &mut added, progress)?;
    added.content = id.into();
    Ok(added)
}

trait DefaultId {
    fn default_id() -> ContentId;
}

impl DefaultId for Tree {
    fn default_id() -> ContentId {
        ContentId::Tree(lab_schema::Object::id(&Tree::default()))
    }
}

fn add_folder(
    writer: &mut Writer,
    path: &Path,
    added: &mut Added,
    progress: &dyn Progress,
) -> Result<(TreeId, u64)> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).at("list", path)? {
        let entry = entry.at("list", path)?;
        let (name, path) = (entry.file_name(), entry.path());
        if name == ".lab" {
            continue;
        }
        let meta = fs::symlink_metadata(&path).at("inspect", &path)?;
        let node = if meta.is_symlink() {
            let target = fs::read_link(&path).at("read link", &path)?;
            Node::Link { target: target.into_os_string().into_vec() }
        } else if meta.is_dir() {
            let (id, size) = add_folder(writer, &path, added, progress)?;
            Node::Directory { id, size }
        } else if meta.is_file() {
            let mut file = fs::File::open(&path).at("open", &path)?;
            let (id, size) = writer.put_blob(&mut file)?;
            added.files += 1;
            added.bytes += size;
            Node::File { id, size, executable: meta.permissions().mode() & 0o100 != 0 }
        } else {
            return Err(ObjectsError::Unsupported { path, what: "special file" });
        };
        entries.push(Entry { name: FileName::new(name.into_vec())?, node });
    }
    let tree = Tree::new(entries)?;
    Ok((writer.put(&tree)?, tree.total_bytes()))
}

/// Writes content to `to`.
pub fn get(
    store: &Store,
    content: ContentId,
    to: &Path,
    options: &GetOptions,
    progress: &dyn Progress,
) -> Result<Got> {
    if !options.force && fs::symlink_metadata(to).is_ok() {
        return Err(ObjectsError::Refused { path: to.to_owned() });
    }
    let mut got = Got::default();
    match content {
        ContentId::Blob(id) => {
            let mut file = fs::File::create(to).at("create", to)?;
            got.bytes += store.copy(id, &mut file)?;
            got.files += 1;
            progress.advance(got.bytes);
        }
        ContentId::Tree(id) => {
            fs::create_dir_all(to).at("create", to)?;
            for entry in store.load::<Tree>(id)?.entries() {
                let path = to.join(OsStr::from_bytes(entry.name.as_bytes()));
                match &entry.node {
                    Node::Link { target } => {
                        std::os::unix::fs::symlink(OsStr::from_bytes(target), &path)
                            .at("link", &path)?;
                    }
                    node => {
                        let Some(content) = node.content() else { continue };
                        let inner = get(store, content, &path, options, progress)?;
                        got.files += inner.files;
                        got.bytes += inner.bytes;
                        if let Node::File { executable: true, .. } = node {
                            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                                .at("make executable", &path)?;
                        }
                    }
                }
            }
        }
    }
    Ok(got)
}

/// The node at `path` inside a tree; none if there is nothing.
pub fn find_in_tree(store: &Store, tree: TreeId, path: &[FileName]) -> Result<Option<Node>> {
    let mut tree = tree;
    let Some((last, parents)) = path.split_last() else {
        let size = store.load::<Tree>(tree)?.total_bytes();
        return Ok(Some(Node::Directory { id: tree, size }));
    };
    for name in parents {
        match store.load::<Tree>(tree)?.get(name.as_bytes()).map(|e| e.node.clone()) {
            Some(Node::Directory { id, .. }) => tree = id,
            _ => return Ok(None),
        }
    }
    Ok(store.load::<Tree>(tree)?.get(last.as_bytes()).map(|e| e.node.clone()))
}
