//! Which stored weights new ones may be written as a difference to.
//!
//! Of the blobs that were named, the one is taken in which most bytes belong to tensors of the same
//! name, kind and size. Nothing depends on the choice but the room that is taken. A base that
//! cannot be read is passed over: what is stored then stands on its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lab_encoding::float::Element;
use lab_encoding::weights::Layout;
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Digest, Tree};

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
        Bases { contents: contents.to_vec(), known: None }
    }

    /// The best base for a file with this layout; none if none has anything in common with it.
    pub(crate) fn find(&mut self, store: &Store, layout: &Layout) -> Result<Option<Chosen>> {
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
        let best = self.known.iter().flatten().max_by_key(|known| shared(known));
        let Some(known) = best.filter(|known| shared(known) > 0) else { return Ok(None) };
        let starts = layout.regions.iter().map(|region| {
            let (start, end, element) = known.tensors.get(&region.name)?;
            let alike = *element == region.element && end - start == region.end - region.start;
            alike.then_some(*start)
        });
        Ok(Some(Chosen { starts: starts.collect(), known: Arc::clone(known) }))
    }
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
        let tree = match store.load::<Tree>(tree) {
            Ok(tree) => tree,
            // A base that cannot be read is none.
            Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => continue,
            Err(error) => return Err(error),
        };
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
    match read() {
        Ok(known) => Ok(known.map(Arc::new)),
        Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
