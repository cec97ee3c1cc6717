//! Which stored contents new ones may be written as a difference to.
//!
//! For a file of no known layout, an earlier version of it: what was at the same place. For weights,
//! of the blobs that were named, the one is taken in which most bytes belong to tensors of the same
//! name, kind and size. Nothing depends on the choice but the room that is taken. A base that
//! cannot be read is passed over: what is stored then stands on its own.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use lab_encoding::float::Element;
use lab_encoding::weights::Layout;
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Digest, Tree, TreeId};

use crate::chunk::SMALL;
use crate::error::{ObjectsError, Result};
use crate::list::Part;
use crate::store::Store;

/// Most blobs that are looked into.
const MOST: usize = 256;

/// Blobs that may serve as a base.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    contents: Vec<ContentId>,
    /// The blobs in there that have tensors, once somebody asked.
    known: Option<Vec<Arc<Known>>>,
    /// The folders in there that were asked for last, by their path.
    folder: Option<(PathBuf, Vec<Tree>)>,
}

/// A blob with tensors.
#[derive(Debug)]
struct Known {
    /// Where each tensor starts and ends.
    tensors: HashMap<String, (u64, u64, Element)>,
    /// The chunks, and where they start.
    chunks: Vec<(u64, Part)>,
}

/// The base of one file.
#[derive(Debug)]
pub(crate) struct Chosen {
    known: Arc<Known>,
    /// Where the namesake of each tensor starts.
    starts: Vec<Option<u64>>,
}

impl Bases {
    /// Of the blobs in these contents.
    pub(crate) fn new(contents: &[ContentId]) -> Bases {
        Bases { contents: contents.to_vec(), known: None, folder: None }
    }

    /// The best base for a file with this layout, of which `earlier` may be a version; none if none
    /// has anything in common with it.
    pub(crate) fn find(
        &mut self,
        store: &Store,
        layout: &Layout,
        earlier: Option<BlobId>,
    ) -> Result<Option<Chosen>> {
        if self.known.is_none() {
            let mut blobs = Vec::new();
            for content in &self.contents {
                blobs.extend(blobs_in(store, *content)?);
            }
            blobs.truncate(MOST);
            let known = blobs.into_iter().filter_map(|id| known(store, id).transpose());
            self.known = Some(known.collect::<Result<_>>()?);
        }
        let shared = |known: &Arc<Known>| {
            let alike = layout.regions.iter().filter(|region| {
                known.tensors.get(&region.name).is_some_and(|(start, end, element)| {
                    *element == region.element && end - start == region.end - region.start
                })
            });
            alike.map(|region| region.end - region.start).sum::<u64>()
        };
        let earlier = match earlier {
            Some(earlier) => known(store, earlier)?,
            None => None,
        };
        let best = self.known.iter().flatten().chain(&earlier).max_by_key(|known| shared(known));
        let Some(known) = best.filter(|known| shared(known) > 0) else { return Ok(None) };
        let starts = layout.regions.iter().map(|region| {
            let (start, end, element) = known.tensors.get(&region.name)?;
            let alike = *element == region.element && end - start == region.end - region.start;
            alike.then_some(*start)
        });
        Ok(Some(Chosen { starts: starts.collect(), known: Arc::clone(known) }))
    }

    /// What is at `path` in these contents, if it is a large file; an empty path is that of a content
    /// that is a file.
    pub(crate) fn namesake(&mut self, store: &Store, path: &Path) -> Result<Option<BlobId>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            let mut contents = self.contents.iter();
            return Ok(contents.find_map(|content| match content {
                ContentId::Blob(id) => Some(*id),
                ContentId::Tree(_) => None,
            }));
        };
        if self.folder.as_ref().is_none_or(|(path, _)| path != parent) {
            let mut trees = Vec::new();
            for content in &self.contents {
                trees.extend(folder_in(store, *content, parent)?);
            }
            self.folder = Some((parent.to_owned(), trees));
        }
        let trees = self.folder.iter().flat_map(|(_, trees)| trees);
        Ok(trees.filter_map(|tree| entry(tree, name.as_bytes())).find_map(|node| match node {
            Node::File { id, size, .. } if *size > SMALL as u64 => Some(*id),
            _ => None,
        }))
    }
}

/// The folder at `path` in some content.
fn folder_in(store: &Store, content: ContentId, path: &Path) -> Result<Option<Tree>> {
    let ContentId::Tree(root) = content else { return Ok(None) };
    let mut tree = load(store, root)?;
    for component in path.components() {
        let Component::Normal(name) = component else { return Ok(None) };
        let node = tree.as_ref().and_then(|tree| entry(tree, name.as_bytes()));
        let Some(Node::Directory { id, .. }) = node else { return Ok(None) };
        tree = load(store, *id)?;
    }
    Ok(tree)
}

/// A tree, unless it cannot be read.
fn load(store: &Store, id: TreeId) -> Result<Option<Tree>> {
    readable(store.load::<Tree>(id).map(Some))
}

/// What cannot be read is no base.
fn readable<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => Ok(None),
        read => read,
    }
}

fn entry<'a>(tree: &'a Tree, name: &[u8]) -> Option<&'a Node> {
    tree.entries().iter().find(|entry| entry.name.as_bytes() == name).map(|entry| &entry.node)
}

/// Lengths and digests of the chunks of a blob; none if it has none, or cannot be read.
pub(crate) fn chunks(store: &Store, id: BlobId) -> Result<Option<Vec<(usize, Digest)>>> {
    let parts = readable(store.chunk_list(id))?;
    Ok(parts.map(|parts| parts.iter().map(|p| (p.bytes as usize, p.digest)).collect()))
}

/// The blobs in some content that are large enough to be a base.
fn blobs_in(store: &Store, content: ContentId) -> Result<Vec<BlobId>> {
    let mut found = Vec::new();
    let mut trees = match content {
        ContentId::Blob(id) => return Ok(vec![id]),
        ContentId::Tree(id) => vec![id],
    };
    // A tree may stand in itself many times over, at any depth.
    let mut seen = HashSet::new();
    while let Some(tree) = trees.pop()
        && found.len() < MOST
    {
        if !seen.insert(tree) {
            continue;
        }
        let Some(tree) = load(store, tree)? else { continue };
        for entry in tree.entries() {
            match entry.node {
                Node::File { id, size, .. } if size > SMALL as u64 => found.push(id),
                Node::Directory { id, size } if size > SMALL as u64 => trees.push(id),
                _ => {}
            }
        }
    }
    Ok(found)
}

impl Chosen {
    /// The chunk of the base that corresponds to `bytes` of a tensor from `at` on.
    pub(crate) fn chunk(&self, tensor: usize, at: u64, bytes: usize) -> Option<Digest> {
        let offset = (*self.starts.get(tensor)?)? + at;
        let chunks = &self.known.chunks;
        let place = chunks.binary_search_by_key(&offset, |(start, _)| *start).ok()?;
        let part = chunks[place].1;
        (part.bytes == bytes as u64).then_some(part.digest)
    }
}

fn known(store: &Store, id: BlobId) -> Result<Option<Arc<Known>>> {
    let read = || -> Result<Option<Known>> {
        let Some(layout) = store.layout(id)? else { return Ok(None) };
        let Some(parts) = store.chunk_list(id)? else { return Ok(None) };
        let mut at = 0;
        let mut chunks = Vec::with_capacity(parts.len());
        for part in parts {
            chunks.push((at, part));
            at += part.bytes;
        }
        let floats = layout.regions.into_iter().filter(|r| r.element != Element::Other);
        let tensors = floats.map(|r| (r.name, (r.start, r.end, r.element))).collect();
        Ok(Some(Known { tensors, chunks }))
    };
    Ok(readable(read())?.map(Arc::new))
}
