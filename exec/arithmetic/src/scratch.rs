//! Memory for packing, kept from one kernel to the next: to ask the system for it each time, or
//! only to clear it, costs more than a small product does.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Buffers that a thread keeps, and floats of each, at most: 8 of 16 MiB.
const KEPT: usize = 8;
const KEPT_FLOATS: usize = 4 << 20;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Some floats of any value, given back when dropped.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    buffer: Vec<f32>,
    len: usize,
}

/// `len` floats of any value.
pub(crate) fn take(len: usize) -> Scratch {
    let mut buffer = SPARE.with_borrow_mut(|spare| {
        let fitting = (0..spare.len()).filter(|i| spare[*i].len() >= len);
        let best = fitting.min_by_key(|i| spare[*i].len());
        best.or_else(|| spare.len().checked_sub(1)).map(|i| spare.swap_remove(i))
    });
    let mut taken = buffer.take().unwrap_or_default();
    if taken.len() < len {
        taken.resize(len, 0.0);
    }
    Scratch { buffer: taken, len }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        // A thread that ends has given its store back already.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < KEPT && buffer.len() <= KEPT_FLOATS {
                spare.push(buffer);
            }
        });
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.len]
    }
}
