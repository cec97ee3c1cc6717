//! What is needed of some packs, copied into new ones.
//!
//! A block of which all is needed is copied as it stands, so that weights keep their encoding and
//! differences their bases; of a block that is needed in part, what is needed is encoded again
//! together with what is left of its neighbours. Everything is decoded and compared with its hash
//! first: a pack of which something needed cannot be read is said to be damaged, and stays.

use lab_encoding::float::Element;

use crate::atomic;
use crate::backend::{Key, PackId};
use crate::block::{self, Block, Coder};
use crate::error::{ObjectsError, Result};
use crate::frame::FrameKind;
use crate::pack::{Encoded, PackBuilder, Record};
use crate::store::Store;

/// Fills new packs.
pub(crate) struct Repack<'a> {
    store: &'a Store,
    builder: PackBuilder,
    coder: Coder,
    raw: Vec<u8>,
    records: Vec<Record>,
    /// The packs that were made. The catalog does not know them yet: what was copied would seem to be
    /// in a better place already.
    made: Vec<(PackId, u64)>,
}

/// What objects are and what files hold do not share blocks.
pub(crate) fn is_upper(kind: FrameKind) -> bool {
    !matches!(kind, FrameKind::Blob | FrameKind::Chunk)
}

impl<'a> Repack<'a> {
    /// Into this store.
    pub(crate) fn new(store: &'a Store) -> Result<Repack<'a>> {
        Ok(Repack {
            store,
            builder: PackBuilder::new(Vec::new()),
            coder: Coder::new()?,
            raw: Vec::new(),
            records: Vec::new(),
            made: Vec::new(),
        })
    }

    /// Copies what is `needed` of a pack; false if some of it cannot be read, or the pack is gone.
    pub(crate) fn take(
        &mut self,
        pack: PackId,
        needed: impl Fn(&Record, &Block) -> bool,
    ) -> Result<bool> {
        let Some(tail) = self.store.catalog().contents(pack).cloned() else { return Ok(false) };
        let mut frames: Vec<Record> = tail.frames.iter().collect();
        frames.sort_unstable_by_key(|record| (record.block, record.start));
        for group in frames.chunk_by(|a, b| a.block == b.block) {
            let block = tail.blocks[group[0].block as usize];
            let wanted: Vec<Record> =
                group.iter().filter(|record| needed(record, &block)).copied().collect();
            if wanted.is_empty() {
                continue;
            }
            let (key, len) = (Key::Pack(pack), u64::from(block.stored));
            let Some(stored) = self.store.backend().read_range(&key, block.offset, len)? else {
                return Ok(false);
            };
            let Ok(raw) = self.store.decode_block(&block, &stored)? else { return Ok(false) };
            let bytes = |r: &Record| &raw[r.start as usize..(r.start + r.bytes) as usize];
            if !wanted.iter().all(|record| record.key.fits(bytes(record))) {
                return Ok(false);
            }
            if wanted.len() == group.len() {
                let records = wanted.iter().map(|r| Record { block: 0, ..*r }).collect();
                let blocks = vec![Block { offset: 0, ..block }];
                self.append(&Encoded { bytes: stored, blocks, records })?;
                continue;
            }
            for record in &wanted {
                self.again(record, bytes(record))?;
            }
        }
        Ok(true)
    }

    /// Queues a frame that is to be encoded again.
    fn again(&mut self, record: &Record, bytes: &[u8]) -> Result<()> {
        let other = |r: &Record| is_upper(r.key.kind) != is_upper(record.key.kind);
        if self.raw.len() + bytes.len() > block::TARGET || self.records.first().is_some_and(other) {
            self.flush()?;
        }
        let start = self.raw.len() as u32;
        self.raw.extend_from_slice(bytes);
        self.records.push(Record { block: 0, start, ..*record });
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let block = self.coder.encode(&self.raw, Element::Other, None, &mut bytes)?;
        let records = std::mem::take(&mut self.records);
        self.raw.clear();
        self.append(&Encoded { bytes, blocks: vec![block], records })
    }

    fn append(&mut self, encoded: &Encoded) -> Result<()> {
        self.builder.append(encoded);
        if self.builder.is_full() { self.publish() } else { Ok(()) }
    }

    fn publish(&mut self) -> Result<()> {
        let builder = std::mem::replace(&mut self.builder, PackBuilder::new(Vec::new()));
        let mut pack = builder.finish();
        // A pack that is here already may be one of those that are to go.
        let taken = {
            let catalog = self.store.catalog();
            catalog.is_condemned(pack.id) || catalog.packs().contains_key(&pack.id)
        };
        if taken {
            pack = pack.renamed(atomic::unique().as_bytes());
        }
        let (backend, key) = (self.store.backend(), Key::Pack(pack.id));
        match backend.publish(&key, pack.bytes()) {
            Err(ObjectsError::RefusedKey { .. }) => backend.mend(&key, pack.bytes())?,
            published => published?,
        }
        self.made.push((pack.id, pack.bytes().len() as u64));
        Ok(())
    }

    /// Publishes what is left: everything that was taken is durable.
    pub(crate) fn finish(mut self) -> Result<Vec<(PackId, u64)>> {
        self.flush()?;
        if !self.builder.is_empty() {
            self.publish()?;
        }
        Ok(self.made)
    }
}
