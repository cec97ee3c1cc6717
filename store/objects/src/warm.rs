//! What is about to be read of a store to which the way is long, asked for together.

use std::collections::BTreeMap;
use std::sync::Arc;

use lab_schema::ObjectId;

use crate::backend::{Key, PackId};
use crate::block::{Block, MAX_SHARED};
use crate::blocks::Blocks;
use crate::error::Result;
use crate::frame::{FrameKey, FrameKind};
use crate::list::Part;
use crate::store::Store;

/// Bytes, as they are stored, that are asked for together.
const TOGETHER: u64 = 8 << 20;

impl Store {
    /// Reads the blocks in which these objects (of large blobs their lists) lie, as far as there is room
    /// to keep them, so that reading them one by one takes no way each. Where the way is short nothing
    /// is done. What is damaged or gone will be found to be so when it is read.
    pub fn warm(&self, ids: &[ObjectId]) -> Result<()> {
        self.warm_frames(ids.iter().flat_map(|id| FrameKey::of_object(*id)))
    }

    /// The same, of what says what these objects are made of: of blobs only the lists of large ones.
    pub fn warm_shape(&self, ids: &[ObjectId]) -> Result<()> {
        let keys = ids.iter().flat_map(|id| FrameKey::of_object(*id));
        self.warm_frames(keys.filter(|key| key.kind != FrameKind::Blob))
    }

    /// The same, of chunks.
    pub(crate) fn warm_chunks(&self, parts: &[Part]) -> Result<()> {
        self.warm_frames(parts.iter().flat_map(|part| FrameKey::of_chunk(part.digest)))
    }

    /// The same, of parts of lists.
    pub(crate) fn warm_nodes(&self, parts: &[Part]) -> Result<()> {
        self.warm_frames(parts.iter().map(|part| FrameKey::new(FrameKind::Node, part.digest)))
    }

    fn warm_frames(&self, keys: impl Iterator<Item = FrameKey>) -> Result<()> {
        if !self.backend().is_far() {
            return Ok(());
        }
        let mut wanted: BTreeMap<(PackId, u32), Block> = BTreeMap::new();
        let mut room = Blocks::FAR / 2;
        for key in keys {
            let Some(place) = self.catalog().first(&key) else { continue };
            let (at, bytes) = ((place.pack, place.record.block), place.block.bytes as usize);
            if bytes > MAX_SHARED || place.block.base.is_some() || wanted.contains_key(&at) {
                continue;
            }
            if self.blocks().get(at).is_some() {
                continue;
            }
            match room.checked_sub(bytes) {
                Some(left) => room = left,
                None => break,
            }
            wanted.insert(at, place.block);
        }
        let wanted: Vec<((PackId, u32), Block)> = wanted.into_iter().collect();
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |(_, block): &&((PackId, u32), Block)| {
                bytes += u64::from(block.stored);
                bytes <= TOGETHER
            };
            let (group, left) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            self.warm_blocks(group)?;
            rest = left;
        }
        Ok(())
    }

    fn warm_blocks(&self, group: &[((PackId, u32), Block)]) -> Result<()> {
        let range = |((pack, _), block): &((PackId, u32), Block)| {
            (Key::Pack(*pack), block.offset, u64::from(block.stored))
        };
        let found = self.backend().read_ranges(&group.iter().map(range).collect::<Vec<_>>())?;
        for ((at, block), stored) in group.iter().zip(found) {
            let Some(stored) = stored else { continue };
            // Damage is not remembered.
            if crc32fast::hash(&stored) == block.checksum
                && let Ok(raw) = self.decode_block(block, &stored)?
            {
                self.blocks().put(*at, Arc::new(raw));
            }
        }
        Ok(())
    }
}
