//! Content-defined chunking: where a large file is cut depends on its bytes alone, so that an
//! insertion moves only the cuts near it.
//!
//! A rolling gear hash runs over the bytes: `h = (h << 1) + GEAR[byte]`. The first 64 KiB of a
//! chunk hold no cut. Up to 256 KiB a cut needs 20 zero bits at the top of `h`, then only 16,
//! which pulls sizes towards 256 KiB; at 1 MiB it is cut in any case. These numbers and the table
//! are version 1, frozen: changing them would lose the sharing with everything stored before.
//! Ids never depend on them.

use std::io::{self, Read};
use std::sync::LazyLock;

use lab_schema::Digest;

/// No chunk but the last of a file is smaller, in bytes.
pub(crate) const MIN: usize = 64 << 10;
/// Where the condition for a cut relaxes, in bytes.
pub(crate) const TARGET: usize = 256 << 10;
/// No chunk is larger, in bytes.
pub(crate) const MAX: usize = 1 << 20;

const STRICT: u64 = !0 << (64 - 20);
const LOOSE: u64 = !0 << (64 - 16);

/// The first 8 bytes, little-endian, of the derived BLAKE3 of each byte value.
static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let digest = Digest::derive("lab 2026-11-24 gear table 1", &[byte as u8]);
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        u64::from_le_bytes(first)
    })
});

/// Length of the first chunk of `bytes`, which hold at least [`MAX`] bytes or end where the
/// file ends.
fn cut(bytes: &[u8]) -> usize {
    let gear = &*GEAR;
    let end = bytes.len().min(MAX);
    let relaxed = end.min(TARGET);
    let mut hash = 0u64;
    let mut at = MIN.min(end);
    for (limit, mask) in [(relaxed, STRICT), (end, LOOSE)] {
        while at < limit {
            hash = (hash << 1).wrapping_add(gear[usize::from(bytes[at])]);
            at += 1;
            if hash & mask == 0 {
                return at;
            }
        }
    }
    end
}

/// Bytes that are read from the source at a time.
const BUFFER: usize = 4 * MAX;

/// The memory that a [`Chunker`] works in; kept by whoever chunks many files.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<u8>);

/// A chunk that was cut.
pub(crate) struct Cut<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether the chunk before has the same bytes.
    pub(crate) again: bool,
    /// Whether nothing follows. Always known of a first chunk that is the whole file.
    pub(crate) last: bool,
}

/// Cuts what a source gives into chunks, in bounded memory.
pub(crate) struct Chunker<'a> {
    source: &'a mut dyn Read,
    buffer: &'a mut [u8],
    /// The last chunk given out.
    last: std::ops::Range<usize>,
    filled: usize,
    ended: bool,
}

impl<'a> Chunker<'a> {
    /// Cuts what `source` gives.
    pub(crate) fn new(source: &'a mut dyn Read, buffer: &'a mut Buffer) -> Chunker<'a> {
        buffer.0.resize(BUFFER, 0);
        Chunker { source, buffer: &mut buffer.0, last: 0..0, filled: 0, ended: false }
    }

    /// The next chunk; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Cut<'_>>> {
        if self.filled - self.last.end < MAX && !self.ended {
            self.fill()?;
        }
        let rest = &self.buffer[self.last.end..self.filled];
        if rest.is_empty() {
            return Ok(None);
        }
        // A cut depends on nothing outside the chunk, so that equal bytes are cut alike. This
        // is what makes a file of zeros quick.
        let before = &self.buffer[self.last.clone()];
        let again = !before.is_empty() && rest.starts_with(before);
        let len = if again { before.len() } else { cut(rest) };
        self.last = self.last.end..self.last.end + len;
        let last = self.ended && self.last.end == self.filled;
        Ok(Some(Cut { bytes: &self.buffer[self.last.clone()], again, last }))
    }

    /// Moves the last chunk and what follows it to the front, and reads until the buffer is full.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.last.start..self.filled, 0);
        self.filled -= self.last.start;
        self.last = 0..self.last.len();
        while self.filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use lab_schema::BlobId;
    use proptest::prelude::*;

    use super::*;

    /// Bytes without structure, from a seed.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn chunks(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut buffer = Buffer::default();
        let mut chunker = Chunker::new(&mut bytes, &mut buffer);
        let mut all: Vec<Vec<u8>> = Vec::new();
        while let Some(cut) = chunker.next().unwrap() {
            assert!(!cut.again || all.last().unwrap() == cut.bytes);
            all.push(cut.bytes.to_vec());
        }
        all
    }

    // proves L-10: the table and the cuts that follow from it, for ever.
    #[test]
    fn the_parameters_are_frozen() {
        let table: Vec<u8> = GEAR.iter().flat_map(|g| g.to_le_bytes()).collect();
        let cuts: Vec<usize> = chunks(&noise(1, 3 << 20)).iter().map(Vec::len).collect();
        assert_eq!(BlobId::of(&table).short(), "cb12ef7be565");
        let frozen = [
            233881, 413490, 299043, 283901, 212449, 265802, 421319, 295523, 341718, 277254, 101348,
        ];
        assert_eq!(cuts, frozen);
    }

    #[test]
    fn the_target_is_met_on_average() {
        let all = chunks(&noise(2, 64 << 20));
        let mean = (64 << 20) / all.len();
        assert!((256 << 10..330 << 10).contains(&mean), "{mean}");
    }

    #[test]
    fn equal_bytes_are_recognised() {
        let zeros = chunks(&vec![0; 5 * MAX + 10]);
        assert_eq!(zeros.iter().map(Vec::len).collect::<Vec<_>>(), [MAX, MAX, MAX, MAX, MAX, 10]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        // proves L-11
        #[test]
        fn chunks_are_the_file_and_within_bounds(seed: u64, len in 0usize..6 << 20, run in 0usize..3 << 20) {
            let mut bytes = noise(seed, len);
            let from = len / 3;
            let to = (from + run).min(len);
            bytes[from..to].fill(7);
            let all = chunks(&bytes);
            prop_assert_eq!(all.concat(), bytes);
            let (_, inner) = all.split_last().map_or((None, &[][..]), |(l, i)| (Some(l), i));
            prop_assert!(inner.iter().all(|c| (MIN..=MAX).contains(&c.len())));
            prop_assert!(all.iter().all(|c| (1..=MAX).contains(&c.len())));
        }

        #[test]
        fn an_insertion_moves_only_the_cuts_near_it(seed: u64, at in 0usize..8 << 20, len in 1usize..1000) {
            let before = noise(seed, 8 << 20);
            let mut after = before.clone();
            after.splice(at..at, noise(!seed, len));
            let old: HashSet<Vec<u8>> = chunks(&before).into_iter().collect();
            let new = chunks(&after);
            let fresh: usize = new.iter().filter(|c| !old.contains(*c)).map(Vec::len).sum();
            prop_assert!(fresh <= 4 << 20, "{} of {} bytes are new", fresh, after.len());
        }
    }
}
