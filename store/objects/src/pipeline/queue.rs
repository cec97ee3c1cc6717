//! What is waiting and what is done.

use std::collections::{BTreeSet, VecDeque};

use super::batch::{Batch, Reply};
use crate::error::{ObjectsError, Result};

/// A batch with its number.
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) batch: Batch,
    pub(super) reply: Reply,
}

/// What is waiting and what is done.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) jobs: VecDeque<Job>,
    pub(super) closed: bool,
    /// All batches below this number are packed.
    pub(super) done: u64,
    /// Batches that are packed, beyond.
    pub(super) ahead: BTreeSet<u64>,
    /// The highest number of a batch in which another one found something on its way.
    pub(super) borrowed: u64,
    pub(super) failure: Option<ObjectsError>,
    pub(super) stopped: bool,
    pub(super) spare: Vec<Vec<u8>>,
}

impl Queue {
    /// What stands on batches below this number may go into a pack.
    pub(super) fn settled(&self) -> u64 {
        if self.borrowed < self.done { self.done } else { 0 }
    }
}

/// Tells the failure once, and that it has been told ever after.
pub(super) fn check(queue: &mut Queue) -> Result<()> {
    match queue.failure.take() {
        Some(error) => Err(error),
        None if queue.stopped => Err(stopped()),
        None => Ok(()),
    }
}

/// Said by everything after the first failure.
pub(super) fn stopped() -> ObjectsError {
    let source = std::io::Error::other("what was to be stored before it failed");
    ObjectsError::Stream { verb: "go on", source }
}
