//! How long work tells that it moves on. What is drawn, if anything, is the caller's business.

/// Hears how far a long operation has come. Called from the thread that does the work.
pub trait Progress: Sync {
    /// Work called `what` begins; `total_bytes` where it is known beforehand.
    fn begin(&self, what: &str, total_bytes: Option<u64>) {
        let _ = (what, total_bytes);
    }

    /// So many more bytes are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Of `total` steps that count alike, `done` are done; `what` says what they are, and what there is
    /// to say of the last one. No `begin` is needed; `end` ends these too.
    fn step(&self, what: &str, done: u64, total: u64) {
        let _ = (what, done, total);
    }

    /// The work that began last is over.
    fn end(&self) {}
}

/// Draws nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
