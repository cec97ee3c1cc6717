//! Objects that wait until what they are made of is in a pack.

use std::collections::{BTreeSet, VecDeque};

use lab_schema::{BlobId, Digest};

use crate::error::Result;
use crate::frame::{FrameKey, FrameKind};
use crate::list::{ListBuilder, Part};
use crate::pipeline::{Pipeline, Reply};
use crate::store::Store;
use crate::upper::Upper;

/// Objects in the order in which they were put, each with the number of batches that must be there first.
#[derive(Default)]
pub(crate) struct Waiting {
    queue: VecDeque<(u64, What)>,
    upper: Upper,
    /// Lists that name chunks that cannot be relied on, and what their blobs were cut into just now.
    lacking: Vec<(BlobId, Vec<u8>, Vec<Reply>)>,
    /// Blobs whose lists were packed: a blob may be put while its list is held, and once more after a
    /// collector has condemned that list, and a pack has no key twice.
    listed: BTreeSet<BlobId>,
}

/// Something that waits.
pub(crate) enum What {
    /// A structured object.
    Frame(FrameKey, Vec<u8>),
    /// A large blob.
    List(BlobId, Vec<Reply>),
    /// One of which there is a list already, perhaps one that names other chunks. Whether chunks that
    /// were not put now are to be read.
    Listed(BlobId, Vec<Reply>, bool),
}

impl Waiting {
    /// Queues what stands on the first `number` batches.
    pub(crate) fn push(&mut self, number: u64, what: What) {
        self.queue.push_back((number, what));
    }

    /// Packs what no longer waits for anything.
    pub(crate) fn release(&mut self, store: &Store, to: &Pipeline) -> Result<()> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let settled = to.settled()?;
        while self.queue.front().is_some_and(|(number, _)| *number <= settled)
            && let Some((_, what)) = self.queue.pop_front()
        {
            match what {
                What::Frame(key, bytes) => self.upper.put(to, key, &bytes)?,
                What::List(id, replies) => self.put_list(to, id, &replies)?,
                What::Listed(id, replies, suspicious) => {
                    self.compare(store, to, id, replies, suspicious)?;
                }
            }
        }
        Ok(())
    }

    /// Packs what has come together.
    pub(crate) fn flush(&mut self, to: &Pipeline) -> Result<()> {
        self.upper.flush(to)
    }

    /// Puts right what was found to be lacking, once everything is published.
    pub(crate) fn finish(self, store: &Store) -> Result<()> {
        self.lacking.into_iter().try_for_each(|(id, list, replies)| {
            let parts = parts(&replies).collect();
            store.recut(id, &list, parts)
        })
    }

    fn put_list(&mut self, to: &Pipeline, id: BlobId, replies: &[Reply]) -> Result<()> {
        if !self.listed.insert(id) {
            return Ok(());
        }
        let frame = list(id, replies, |nodes| self.put_nodes(to, nodes))?;
        self.upper.put(to, FrameKey::new(FrameKind::List, id.digest()), &frame)
    }

    fn put_nodes(&mut self, to: &Pipeline, nodes: Vec<(Digest, Vec<u8>)>) -> Result<()> {
        for (digest, frame) in nodes {
            let key = FrameKey::new(FrameKind::Node, digest);
            if to.claim(key)? {
                self.upper.put(to, key, &frame)?;
            }
        }
        Ok(())
    }

    /// Sees to it that a blob is whole that has a list already.
    fn compare(
        &mut self,
        store: &Store,
        to: &Pipeline,
        id: BlobId,
        replies: Vec<Reply>,
        suspicious: bool,
    ) -> Result<()> {
        let frame = list(id, &replies, |_| Ok(()))?;
        let held = store.held_lists(id, &frame, suspicious)?;
        if held.same {
            // Its chunks were put just now; nodes may be lost as well.
            list(id, &replies, |nodes| self.put_nodes(to, nodes))?;
        } else if !held.followed {
            self.put_list(to, id, &replies)?;
        }
        let lacking = held.lacking.into_iter();
        self.lacking.extend(lacking.map(|list| (id, list, replies.clone())));
        Ok(())
    }
}

/// What a blob was cut into.
fn parts(replies: &[Reply]) -> impl Iterator<Item = Part> {
    replies.iter().flat_map(|reply| reply.get().into_iter().flatten().copied())
}

/// The list of a blob; hands its nodes on, children first.
fn list(
    id: BlobId,
    replies: &[Reply],
    mut put: impl FnMut(Vec<(Digest, Vec<u8>)>) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut list = ListBuilder::default();
    for part in parts(replies) {
        list.push(part);
        put(list.take_nodes())?;
    }
    let (nodes, frame) = list.finish(id.digest());
    put(nodes)?;
    Ok(frame)
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({} objects)", self.queue.len())
    }
}
