//! Bytes of packs on their way, in memory that is used again.
//!
//! A pack has some 33 MiB. Memory of that size is asked of the system anew each time, which clears it page
//! by page, and that costs more than copying the bytes does. So a little of it is kept.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// Most memory that is set aside for bytes before they arrive, and kept: for a pack of the usual size.
const USUAL: usize = 40 << 20;
/// What is smaller is not worth it.
const SMALL: usize = 1 << 20;
/// Pieces that are kept.
const KEPT: usize = 2;
/// Bytes that begin at a multiple of this can be written past the page cache.
const ALIGNMENT: usize = 4096;

static MEMORY: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes of a pack on its way.
#[derive(Debug, Default)]
pub struct PackBytes {
    memory: Vec<u8>,
    first: usize,
}

impl PackBytes {
    /// For so many bytes that are to arrive. Until they do they take no memory, and more than a usual pack
    /// has is not even set aside.
    pub fn of(bytes: u64) -> PackBytes {
        let room = usize::try_from(bytes).unwrap_or(USUAL).min(USUAL);
        let again = match room < SMALL {
            true => None,
            false => MEMORY.lock().unwrap_or_else(PoisonError::into_inner).pop(),
        };
        let mut memory: Vec<u8> = again.unwrap_or_default();
        memory.reserve(if room < SMALL { room } else { USUAL } + ALIGNMENT);
        let first = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        memory.resize(first, 0);
        PackBytes { memory, first }
    }

    /// These.
    pub fn copied(bytes: &[u8]) -> PackBytes {
        let mut all = PackBytes::of(bytes.len() as u64);
        all.extend(bytes);
        all
    }

    /// More of them.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
    }
}

impl Drop for PackBytes {
    fn drop(&mut self) {
        let size = self.memory.capacity();
        if (SMALL..=USUAL + 2 * ALIGNMENT).contains(&size) {
            let mut memory = std::mem::take(&mut self.memory);
            memory.clear();
            let mut kept = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT {
                kept.push(memory);
            }
        }
    }
}

impl Deref for PackBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.first..]
    }
}

impl AsRef<[u8]> for PackBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_never_shows_what_it_held() {
        for (first, second) in [(2 << 20, 1 << 20), (100, 3 << 20), (3 << 20, 50 << 20), (5, 5)] {
            let old = PackBytes::copied(&vec![7; first]);
            assert_eq!(old.len(), first);
            drop(old);
            let mut new = PackBytes::of(second as u64);
            assert!(new.is_empty());
            new.extend(&vec![8; second / 2]);
            new.extend(&vec![9; second - second / 2]);
            assert_eq!(new.len(), second);
            assert!(new.iter().all(|byte| [8, 9].contains(byte)));
        }
        assert!(MEMORY.lock().unwrap().len() <= KEPT);
        // What somebody only announces takes none.
        assert!(PackBytes::of(u64::MAX).memory.capacity() <= USUAL + 2 * ALIGNMENT);
        let usual = PackBytes::of(33 << 20);
        assert_eq!(usual.as_ptr().align_offset(ALIGNMENT), 0);
    }
}
