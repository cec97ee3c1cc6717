//! Blocks in memory, and memory for blocks.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::backend::PackId;
use crate::block::MAX_SHARED;

/// The shared blocks that were read last, so that files that lie in one block are not decoded one
/// by one; and memory of blocks that nobody needs any more.
#[derive(Debug)]
pub(crate) struct Blocks {
    read: VecDeque<(BlockKey, Arc<Vec<u8>>)>,
    spare: Vec<Vec<u8>>,
    /// Bytes of the blocks that are kept, and how many may be, beyond so many blocks in any case.
    bytes: usize,
    most: usize,
}

/// A block by its pack and its number there.
pub(crate) type BlockKey = (PackId, u32);

impl Blocks {
    /// Bytes of blocks that are kept of a store to which the way is long.
    pub(crate) const FAR: usize = 64 << 20;

    /// With nothing in it; `far`: for a store to which the way is long.
    pub(crate) fn new(far: bool) -> Blocks {
        let most = if far { Self::FAR } else { 0 };
        Blocks { read: VecDeque::new(), spare: Vec::new(), bytes: 0, most }
    }

    /// Blocks kept, and pieces of memory: some megabytes of either.
    const KEPT: usize = 16;

    /// A block that was read a short while ago.
    pub(crate) fn get(&self, at: BlockKey) -> Option<Arc<Vec<u8>>> {
        self.read.iter().find(|(key, _)| *key == at).map(|(_, bytes)| Arc::clone(bytes))
    }

    /// Keeps a block for a while.
    pub(crate) fn put(&mut self, at: BlockKey, bytes: Arc<Vec<u8>>) {
        self.bytes += bytes.len();
        self.read.push_back((at, bytes));
        while self.read.len() > Self::KEPT && self.bytes > self.most {
            let Some((_, gone)) = self.read.pop_front() else { return };
            self.bytes -= gone.len();
        }
    }

    /// So many bytes, whatever they are.
    pub(crate) fn memory(&mut self, bytes: usize) -> Vec<u8> {
        let fits = self.spare.iter().position(|spare| spare.capacity() >= bytes);
        match fits.map(|at| self.spare.swap_remove(at)) {
            // What was used before is neither zeroed nor given back to the system between.
            Some(mut memory) => {
                memory.resize(bytes, 0);
                memory
            }
            None => vec![0; bytes],
        }
    }

    /// Takes memory back, to be used again.
    pub(crate) fn give_back(&mut self, memory: Vec<u8>) {
        if self.spare.len() < Self::KEPT && memory.capacity() <= MAX_SHARED {
            self.spare.push(memory);
        }
    }
}
