//! How batches of pieces become packs: hashed, compared with what is stored, encoded, packed and
//! published, over all cores.
//!
//! A producer submits batches. Whatever is small is done at once, in its thread; for more, workers
//! are started, and a thread that publishes packs. What is under way is bounded in number, so memory
//! is: some MiB for each worker and at most two packs.
//!
//! Packs are published in the order in which they were filled. What an object is made of must be
//! in a pack before the object is: the producer holds objects back until [`Pipeline::settled`] says
//! that the batches they stand on have been packed, and everything that these found on its way in
//! other batches. The first error stops everything, and is told once.

mod batch;
mod queue;
mod work;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

pub(crate) use batch::{Batch, Load, Loaded, Piece, Reply};

use self::queue::{Job, check, stopped};
use self::work::{Packing, Shared, lock};
use crate::block::Coder;
use crate::error::Result;
use crate::frame::FrameKey;
use crate::pack::{Encoded, PackBuilder};
use crate::store::Store;

/// Batches that are done in the producer's thread before workers are started.
const BY_HAND: u64 = 2;
/// Most threads that do one thing: what they hold in memory stays under 100 MiB.
pub(crate) const MAX_WORKERS: usize = 16;

/// Takes batches; see the module.
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    submitted: u64,
    by_hand: Option<(Coder, Encoded)>,
    workers: Vec<JoinHandle<()>>,
    publisher: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Into this store.
    pub(crate) fn new(store: &Store) -> Pipeline {
        let packing = Packing { builder: PackBuilder::new(Vec::new()), out: None };
        let shared = Shared {
            store: store.clone(),
            queue: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
            claims: Mutex::default(),
            packing: Mutex::new(packing),
            spare_packs: Mutex::default(),
            suspicious: AtomicBool::new(false),
        };
        let (workers, publisher) = (Vec::new(), None);
        Pipeline { shared: Arc::new(shared), submitted: 0, by_hand: None, workers, publisher }
    }

    /// From now on what is stored already is read back before it is relied on.
    pub(crate) fn trust_nothing(&self) {
        self.shared.suspicious.store(true, Ordering::Relaxed);
    }

    /// Memory for a batch, with an earlier one in it.
    pub(crate) fn memory(&self) -> Vec<u8> {
        lock(&self.shared.queue).spare.pop().unwrap_or_default()
    }

    /// The number of batches so far: what stands on them may follow once [`Pipeline::settled`] is
    /// beyond it.
    pub(crate) fn submitted(&self) -> u64 {
        self.submitted
    }

    /// Takes a batch, and waits while too many are under way.
    pub(crate) fn submit(&mut self, batch: Batch) -> Result<Reply> {
        let (number, reply) = (self.submitted, Reply::default());
        let job = Job { number, batch, reply: Arc::clone(&reply) };
        self.submitted += 1;
        if number < BY_HAND {
            let (coder, encoded) = match &mut self.by_hand {
                Some(tools) => tools,
                none => none.insert((Coder::new()?, Encoded::default())),
            };
            self.shared.check()?;
            if let Err(error) = self.shared.process(job, coder, encoded) {
                self.shared.fail(error);
            }
            self.shared.check()?;
            return Ok(reply);
        }
        if self.workers.is_empty() {
            self.start();
        }
        let limit = 2 * self.workers.len();
        let mut queue = lock(&self.shared.queue);
        while queue.jobs.len() >= limit && !queue.stopped {
            queue = self.shared.progress.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        check(&mut queue)?;
        queue.jobs.push_back(job);
        self.shared.work.notify_one();
        Ok(reply)
    }

    fn start(&mut self) {
        self.by_hand = None;
        // One pack is filled while one is published; none waits in between.
        let (out, full) = sync_channel(0);
        lock(&self.shared.packing).out = Some(out);
        let shared = Arc::clone(&self.shared);
        self.publisher = Some(std::thread::spawn(move || shared.publish_all(&full)));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.workers = (0..cores.min(MAX_WORKERS))
            .map(|_| {
                let shared = Arc::clone(&self.shared);
                std::thread::spawn(move || shared.work_on())
            })
            .collect();
    }

    /// Everything that stands on batches below this number may go into a pack now.
    pub(crate) fn settled(&self) -> Result<u64> {
        let mut queue = lock(&self.shared.queue);
        check(&mut queue)?;
        Ok(queue.settled())
    }

    /// Waits until the batch that will give this reply is packed.
    pub(crate) fn wait(&self, reply: &Reply) -> Result<()> {
        let mut queue = lock(&self.shared.queue);
        while reply.get().is_none() && !queue.stopped {
            queue = self.shared.progress.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        check(&mut queue)
    }

    /// Waits until all that was submitted is packed.
    pub(crate) fn wait_for_all(&self) -> Result<()> {
        let mut queue = lock(&self.shared.queue);
        while queue.done < self.submitted && !queue.stopped {
            queue = self.shared.progress.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        check(&mut queue)
    }

    /// Whether one of these frames is stored.
    pub(crate) fn holds(&self, keys: &[FrameKey]) -> Result<bool> {
        self.shared.holds(keys)
    }

    /// Claims a frame that the producer brings itself; false if it is stored or on its way.
    pub(crate) fn claim(&self, key: FrameKey) -> Result<bool> {
        if self.shared.holds(&[key])? {
            return Ok(false);
        }
        let before = lock(&self.shared.claims).insert(key, self.submitted);
        Ok(before.is_none())
    }

    /// Packs what the producer brings itself.
    pub(crate) fn pack(&self, encoded: &Encoded) -> Result<()> {
        let packed = self.shared.pack(encoded);
        if let Err(error) = packed {
            self.shared.fail(error);
        }
        self.shared.check()
    }

    /// Publishes what is left, and waits until it is durable.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let rest = {
            let mut packing = lock(&self.shared.packing);
            let rest = std::mem::replace(&mut packing.builder, PackBuilder::new(Vec::new()));
            let rest = (!rest.is_empty()).then(|| rest.finish());
            match packing.out.take() {
                // The publisher ends with its channel.
                Some(out) => rest.and_then(|rest| out.send(rest).err()).map(|error| error.0),
                None => rest,
            }
        };
        if let Some(publisher) = self.publisher.take()
            && publisher.join().is_err()
        {
            self.shared.fail(stopped());
        }
        self.shared.check()?;
        rest.map_or(Ok(()), |rest| self.shared.publish(rest))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        {
            let mut queue = lock(&self.shared.queue);
            queue.closed = true;
            queue.jobs.clear();
            // What is in packs that are not full is not published.
            if self.publisher.is_some() {
                queue.stopped = true;
            }
        }
        self.shared.work.notify_all();
        lock(&self.shared.packing).out = None;
        for thread in self.workers.drain(..).chain(self.publisher.take()) {
            // One that panicked has said so, and what it was to do is not relied on.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pipeline({} submitted)", self.submitted)
    }
}
