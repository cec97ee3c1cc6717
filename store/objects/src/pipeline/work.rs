//! What workers and the publisher do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use lab_encoding::float::Element;
use lab_encoding::patch;

use super::batch::{Batch, Piece, digests};
use super::queue::{Job, Queue, check, stopped};
use crate::block::{self, Base, Block, Coder};
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::pack::{Encoded, Pack, PackBuilder, Record};
use crate::store::Store;

/// The pack that is being filled.
pub(super) struct Packing {
    pub(super) builder: PackBuilder,
    /// Where full packs go; none: they are published at once.
    pub(super) out: Option<SyncSender<Pack>>,
}

/// What all threads of a pipeline share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) queue: Mutex<Queue>,
    /// There is something to do.
    pub(super) work: Condvar,
    /// Something was done.
    pub(super) progress: Condvar,
    /// Frames that are on their way into a pack or in one that is not published yet, and the batch
    /// that brings them.
    pub(super) claims: Mutex<HashMap<FrameKey, u64>>,
    pub(super) packing: Mutex<Packing>,
    /// Memory of packs that were published.
    pub(super) spare_packs: Mutex<Vec<Vec<u8>>>,
    pub(super) suspicious: AtomicBool,
}

/// Takes a lock of the pipeline.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked has stopped the pipeline; nothing is left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn check(&self) -> Result<()> {
        check(&mut lock(&self.queue))
    }

    pub(super) fn fail(&self, error: ObjectsError) {
        let mut queue = lock(&self.queue);
        if !queue.stopped {
            queue.failure = Some(error);
            queue.stopped = true;
        }
        queue.jobs.clear();
        self.progress.notify_all();
        self.work.notify_all();
    }

    /// A worker's life.
    pub(super) fn work_on(&self) {
        let _stop = StopOnPanic(self);
        let mut encoded = Encoded::default();
        let mut coder = match Coder::new() {
            Ok(coder) => coder,
            Err(error) => return self.fail(error),
        };
        loop {
            let mut queue = lock(&self.queue);
            let job = loop {
                if queue.stopped {
                    return;
                }
                match queue.jobs.pop_front() {
                    Some(job) => break job,
                    None if queue.closed => return,
                    None => {}
                }
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            };
            self.progress.notify_all();
            drop(queue);
            if let Err(error) = self.process(job, &mut coder, &mut encoded) {
                self.fail(error);
            }
        }
    }

    /// Whether one of these frames is stored where it is not known to be damaged.
    pub(super) fn holds(&self, keys: &[FrameKey]) -> Result<bool> {
        // What is not even recorded need not be looked for: that would list all packs each time.
        if self.suspicious.load(Ordering::Relaxed)
            && keys.iter().any(|key| self.store.catalog().knows(key))
        {
            match self.store.fetch(keys) {
                // Damage that was seen is remembered, and therefore not relied on below.
                Ok(_) | Err(ObjectsError::Damaged { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        let catalog = self.store.catalog();
        Ok(keys.iter().any(|key| catalog.holds(key)))
    }

    pub(super) fn process(
        &self,
        mut job: Job,
        coder: &mut Coder,
        encoded: &mut Encoded,
    ) -> Result<()> {
        let mut ready = Encoded::default();
        if let Some(load) = job.batch.load.take() {
            let loaded = load(&mut job.batch.bytes)?;
            (job.batch.pieces, ready) = (loaded.pieces, loaded.ready);
        }
        let parts = digests(&mut job.batch);
        let (fresh, mut borrowed) = self.fresh(job.number, &job.batch.pieces)?;
        encoded.bytes.clear();
        encoded.blocks.clear();
        encoded.records.clear();
        borrowed = borrowed.max(self.take_ready(job.number, &ready, encoded)?);
        self.encode(&job.batch, &fresh, coder, encoded)?;
        if !encoded.records.is_empty() {
            self.pack(encoded)?;
        }
        // Nobody else sets it.
        let _ = job.reply.set(parts);
        let mut queue = lock(&self.queue);
        queue.spare.push(job.batch.bytes);
        queue.borrowed = queue.borrowed.max(borrowed);
        queue.ahead.insert(job.number);
        while queue.ahead.first() == Some(&queue.done) {
            queue.ahead.pop_first();
            queue.done += 1;
        }
        self.progress.notify_all();
        Ok(())
    }

    /// The pieces that are neither stored nor on their way, claimed; and the highest number of a
    /// batch in which one of the others is on its way.
    fn fresh(&self, number: u64, pieces: &[Piece]) -> Result<(Vec<usize>, u64)> {
        let (mut fresh, mut borrowed) = (Vec::new(), 0);
        for (at, piece) in pieces.iter().enumerate() {
            let digest = piece.digest.expect("all digests were just computed");
            if self.claim(number, FrameKey::new(piece.kind, digest), &mut borrowed)? {
                fresh.push(at);
            }
        }
        Ok((fresh, borrowed))
    }

    /// Claims a frame for a batch; false if it is stored or on its way, which `borrowed` then tells
    /// of.
    fn claim(&self, number: u64, key: FrameKey, borrowed: &mut u64) -> Result<bool> {
        let stored = match key.kind {
            FrameKind::Chunk => self.holds(&FrameKey::of_chunk(key.digest))?,
            _ => self.holds(&[key])?,
        };
        if stored {
            return Ok(false);
        }
        match lock(&self.claims).entry(key) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(number);
                Ok(true)
            }
            std::collections::hash_map::Entry::Occupied(claim) => {
                if *claim.get() != number {
                    *borrowed = (*borrowed).max(*claim.get());
                }
                Ok(false)
            }
        }
    }

    /// Takes blocks over as they are, those of which anything is neither stored nor on its way;
    /// returns the highest number of a batch in which one of the other frames is on its way.
    fn take_ready(&self, number: u64, ready: &Encoded, encoded: &mut Encoded) -> Result<u64> {
        let mut borrowed = 0;
        // They lie in the order of their blocks.
        for records in ready.records.chunk_by(|a, b| a.block == b.block) {
            let block = ready.blocks[records[0].block as usize];
            let (first, number_there) = (encoded.records.len(), encoded.blocks.len() as u32);
            for record in records {
                if self.claim(number, record.key, &mut borrowed)? {
                    encoded.records.push(Record { block: number_there, ..*record });
                }
            }
            if encoded.records.len() > first {
                let stored = block.offset as usize..block.offset as usize + block.stored as usize;
                let offset = encoded.bytes.len() as u64;
                encoded.bytes.extend_from_slice(&ready.bytes[stored]);
                encoded.blocks.push(Block { offset, ..block });
            }
        }
        Ok(borrowed)
    }

    fn encode(
        &self,
        batch: &Batch,
        fresh: &[usize],
        coder: &mut Coder,
        encoded: &mut Encoded,
    ) -> Result<()> {
        let mut alone = Vec::with_capacity(fresh.len());
        for piece in fresh.iter().map(|at| &batch.pieces[*at]) {
            if !self.patch(batch, piece, coder, encoded)? {
                alone.push(piece);
            }
        }
        let mut rest = alone.into_iter().peekable();
        let mut gathered = Vec::new();
        while let Some(first) = rest.next() {
            let mut end = first.range.end;
            let mut len = first.range.len();
            let mut group = vec![first];
            if first.element == Element::Other {
                while let Some(piece) = rest.next_if(|piece| {
                    piece.element == Element::Other && len + piece.range.len() <= block::TARGET
                }) {
                    len += piece.range.len();
                    if piece.range.start == end {
                        end = piece.range.end;
                    }
                    group.push(piece);
                }
            }
            // What lies in one piece is not copied together.
            let raw = if first.range.start + len == end {
                &batch.bytes[first.range.start..end]
            } else {
                gathered.clear();
                group
                    .iter()
                    .for_each(|p| gathered.extend_from_slice(&batch.bytes[p.range.clone()]));
                &gathered[..]
            };
            let base = match first.bases[0] {
                Some(base) if first.element != Element::Other => self.store.base(base)?,
                _ => None,
            };
            let offset = encoded.bytes.len() as u64;
            let block = coder.encode(raw, first.element, base.as_ref(), &mut encoded.bytes)?;
            let number = encoded.blocks.len() as u32;
            encoded.blocks.push(Block { offset, ..block });
            let mut start = 0;
            for piece in group {
                let digest = piece.digest.expect("all digests were just computed");
                let (key, bytes) = (FrameKey::new(piece.kind, digest), piece.range.len() as u32);
                encoded.records.push(Record { key, block: number, start, bytes });
                start += bytes;
            }
        }
        Ok(())
    }

    /// Encodes a piece of text as the change to an earlier version; says whether that was worth it.
    fn patch(
        &self,
        batch: &Batch,
        piece: &Piece,
        coder: &mut Coder,
        encoded: &mut Encoded,
    ) -> Result<bool> {
        let raw = &batch.bytes[piece.range.clone()];
        let mut best: Option<(usize, Base)> = None;
        for base in piece.bases.into_iter().flatten().filter(|_| piece.element == Element::Other) {
            let Some(base) = self.store.base(base)? else { continue };
            if base.depth >= block::MAX_DEPTH {
                continue;
            }
            let shared = patch::shared(raw, &base.bytes);
            if shared > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((shared, base));
            }
        }
        let Some((_, base)) = best else { return Ok(false) };
        let offset = encoded.bytes.len() as u64;
        let Some(block) = coder.patch(raw, &base, &mut encoded.bytes)? else { return Ok(false) };
        let digest = piece.digest.expect("all digests were just computed");
        let (key, number) = (FrameKey::new(piece.kind, digest), encoded.blocks.len() as u32);
        encoded.blocks.push(Block { offset, ..block });
        encoded.records.push(Record { key, block: number, start: 0, bytes: block.bytes });
        Ok(true)
    }

    /// Appends to the pack that is being filled, and hands it on when it is full.
    pub(super) fn pack(&self, encoded: &Encoded) -> Result<()> {
        let mut packing = lock(&self.packing);
        packing.builder.append(encoded);
        if !packing.builder.is_full() {
            return Ok(());
        }
        let fresh = PackBuilder::new(Vec::new());
        let full = std::mem::replace(&mut packing.builder, fresh).finish();
        match &packing.out {
            // The lock is held, so that packs keep their order.
            Some(out) => out.send(full).map_err(|_| stopped())?,
            None => self.publish(full)?,
        }
        // Only now is the one before published, and its memory free.
        if let Some(memory) = lock(&self.spare_packs).pop() {
            packing.builder = PackBuilder::new(memory);
        }
        Ok(())
    }

    /// The publisher's life.
    pub(super) fn publish_all(&self, packs: &Receiver<Pack>) {
        let _stop = StopOnPanic(self);
        for pack in packs {
            // After a failure packs are dropped, so that nobody waits.
            if !lock(&self.queue).stopped
                && let Err(error) = self.publish(pack)
            {
                self.fail(error);
            }
        }
    }

    pub(super) fn publish(&self, pack: Pack) -> Result<()> {
        let pack = self.store.publish(pack)?;
        let mut claims = lock(&self.claims);
        for frame in pack.tail.frames.iter() {
            claims.remove(&frame.key);
        }
        let mut spare = lock(&self.spare_packs);
        if spare.is_empty() {
            spare.push(pack.into_memory());
        }
        Ok(())
    }
}

/// Whoever waits for a thread that panics must hear of it.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(stopped());
        }
    }
}
