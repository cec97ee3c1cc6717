//! How this process computes.

use std::num::NonZeroUsize;

use crate::path::Path;

/// Which compiled form of the kernels runs, on how many threads. Neither shows in a bit of any
/// result. The kernels themselves are its methods, in the modules beside this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    path: Path,
    threads: NonZeroUsize,
    worth: usize,
}

/// A part is worth a thread from about this many multiply-adds on: some 20 microseconds.
const WORK_PER_THREAD: usize = 1 << 20;

impl Kernels {
    /// The fastest form that this machine has, on every processor that it may use.
    pub fn detect() -> Self {
        let path = Path::ALL.into_iter().find(|p| p.is_supported()).unwrap_or(Path::Generic);
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Kernels { path, threads, worth: WORK_PER_THREAD }
    }

    /// This form on so many threads; none if the machine lacks it.
    pub fn new(path: Path, threads: NonZeroUsize) -> Option<Self> {
        path.is_supported().then_some(Kernels { path, threads, worth: WORK_PER_THREAD })
    }

    /// The same, but even the least work is divided among threads: to show that it can be.
    pub fn dividing_everything(self) -> Self {
        Kernels { worth: 1, ..self }
    }

    /// Multiply-adds that are worth a thread.
    pub(crate) fn worth(&self) -> usize {
        self.worth
    }

    /// The compiled form.
    pub fn path(&self) -> Path {
        self.path
    }

    /// The most threads that a kernel uses.
    pub fn threads(&self) -> NonZeroUsize {
        self.threads
    }

    /// The same on one thread, for use inside a part of a divided work.
    pub(crate) fn alone(&self) -> Self {
        Kernels { threads: NonZeroUsize::MIN, ..*self }
    }
}
