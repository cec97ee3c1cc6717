//! Which files are weights, told by what is at their beginnings; of a store to which the way is long,
//! these are asked for together.

use lab_encoding::weights::{self, Tensor};
use lab_schema::{BlobId, ObjectId};

use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Parts;
use crate::listed::{list, node};
use crate::read::Stored;
use crate::store::Store;

/// Files that are looked into together: their first chunks have at most so many MiB.
const TOGETHER: usize = 24;

impl Store {
    /// Those of these blobs that hold tensors by name: safetensors, GGUF, npz, PyTorch checkpoints. An
    /// array alone (`.npy`) is as likely to be data, and does not count.
    pub fn weights_among(&self, blobs: &[BlobId]) -> Result<Vec<BlobId>> {
        let mut found = Vec::new();
        for group in blobs.chunks(TOGETHER) {
            self.warm_heads(group)?;
            for blob in group {
                if self.holds_tensors(*blob)? {
                    found.push(*blob);
                }
            }
        }
        Ok(found)
    }

    /// The tensors of a safetensors file; none if it is none.
    pub fn tensors(&self, id: BlobId) -> Result<Option<Vec<Tensor>>> {
        let size = self.size(id)?.ok_or(ObjectsError::Missing { id: id.into() })?;
        let mut source = Stored::new(self, id, size);
        let found = weights::safetensors(size, &mut source);
        source.outcome(found)
    }

    fn holds_tensors(&self, id: BlobId) -> Result<bool> {
        let size = self.size(id)?.ok_or(ObjectsError::Missing { id: id.into() })?;
        let mut source = Stored::new(self, id, size);
        let found = weights::layout(size, &mut source);
        let layout = source.outcome(found)?;
        Ok(layout.is_some_and(|layout| layout.regions.iter().any(|tensor| !tensor.name.is_empty())))
    }

    /// Reads ahead what these blobs begin with.
    fn warm_heads(&self, blobs: &[BlobId]) -> Result<()> {
        if !self.backend().is_far() {
            return Ok(());
        }
        let ids: Vec<ObjectId> = blobs.iter().map(|blob| (*blob).into()).collect();
        self.warm(&ids)?;
        let mut open = Vec::new();
        for id in ids {
            let key = FrameKey::new(FrameKind::List, id.digest());
            if self.catalog().knows(&key)
                && let Some((_, frame)) = self.fetch(&[key])?
            {
                open.push(list(id, &frame)?.1);
            }
        }
        while !open.is_empty() {
            let firsts = |wanted: fn(u8) -> bool| {
                let at =
                    move |parts: &Parts| parts.parts.first().copied().map(|p| (parts.level, p));
                open.iter().filter_map(at).filter(move |(level, _)| wanted(*level))
            };
            let chunks: Vec<_> = firsts(|level| level == 0).map(|(_, part)| part).collect();
            self.warm_chunks(&chunks)?;
            let nodes: Vec<_> = firsts(|level| level > 0).collect();
            self.warm_nodes(&nodes.iter().map(|(_, part)| *part).collect::<Vec<_>>())?;
            let below = nodes.into_iter().map(|(level, part)| node(self, part, level));
            open = below.collect::<Result<_>>()?;
        }
        Ok(())
    }
}
