//! Bytes as the change to an earlier version of them: one zstd frame for which the version is what
//! came before, so that what both have in common is a reference, wherever it lies.
//!
//! Fit for text and tables of which a part was edited; for floats that all moved a little see
//! [`crate::delta`].

use std::cell::RefCell;
use std::io;

use zstd::zstd_safe::{CCtx, DCtx, compress_bound};

use crate::Parsed;

/// Level 1: what is left besides the references is little.
const LEVEL: i32 = 1;

/// Compresses; keeps its memory between patches.
pub struct Coder {
    context: CCtx<'static>,
    scratch: Vec<u8>,
}

impl Coder {
    /// A coder with empty memory.
    pub fn new() -> io::Result<Coder> {
        let context = CCtx::try_create()
            .ok_or_else(|| io::Error::new(io::ErrorKind::OutOfMemory, "no memory to compress"))?;
        Ok(Coder { context, scratch: Vec::new() })
    }

    /// The change from `base` to `raw`; none if it would take more than `most` bytes, or cannot be
    /// written.
    pub fn encode(&mut self, raw: &[u8], base: &[u8], most: usize) -> Option<&[u8]> {
        self.scratch.clear();
        self.scratch.reserve(compress_bound(raw.len()));
        // A base that begins like a dictionary of zstd's and is none is refused.
        self.context.compress_using_dict(&mut self.scratch, raw, base, LEVEL).ok()?;
        (self.scratch.len() <= most).then_some(&self.scratch)
    }
}

impl std::fmt::Debug for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("patch::Coder")
    }
}

/// About how many bytes at the start and at the end both have in common: none, if a patch is not worth
/// trying. The text around an edit is what it was.
pub fn shared(raw: &[u8], base: &[u8]) -> usize {
    const STEP: usize = 64;
    let alike = |(a, b): &(&[u8], &[u8])| a == b;
    let starts = raw.chunks_exact(STEP).zip(base.chunks_exact(STEP)).take_while(alike).count();
    let ends = raw.rchunks_exact(STEP).zip(base.rchunks_exact(STEP)).take_while(alike).count();
    (STEP * (starts + ends)).min(raw.len())
}

/// Decodes into `out`, which the patch of `base` must fill exactly.
pub fn decode(stored: &[u8], base: &[u8], out: &mut [u8]) -> Parsed<()> {
    thread_local! {
        static CONTEXT: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            none => none.insert(DCtx::try_create().ok_or("there is no memory to decompress it")?),
        };
        match context.decompress_using_dict(out, stored, base) {
            Ok(len) if len == out.len() => Ok(()),
            Ok(_) => Err("it has another length than was recorded"),
            Err(_) => Err("it does not decompress"),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn what_was_not_edited_takes_no_room() {
        let base = noise(1, 200_000);
        let mut raw = base.clone();
        raw.splice(90_000..90_500, noise(2, 1_000));
        raw[150_000] ^= 1;
        let mut coder = Coder::new().unwrap();
        let stored = coder.encode(&raw, &base, raw.len()).unwrap().to_vec();
        assert!(stored.len() < 1_200, "{}", stored.len());
        let mut out = vec![0; raw.len()];
        decode(&stored, &base, &mut out).unwrap();
        assert!(out == raw);
        assert_eq!(coder.encode(&raw, &base, stored.len() - 1), None);
        // The wrong base gives an error or other bytes, and never writes beyond what is there.
        if decode(&stored, &noise(3, 200_000), &mut out).is_ok() {
            assert!(out != raw);
        }
        assert!(decode(&stored, &base, &mut out[1..]).is_err());
    }

    #[test]
    fn what_begins_or_ends_alike_is_shared() {
        let base = noise(1, 1_000);
        let with = |at: usize| {
            let mut raw = base.clone();
            raw[at] ^= 1;
            raw
        };
        assert_eq!((shared(&with(0), &base), shared(&with(999), &base)), (960, 960));
        assert_eq!((shared(&with(500), &base), shared(&base, &base)), (448 + 448, 1_000));
        let mut neither = with(0);
        neither[999] ^= 1;
        assert_eq!(
            (shared(&neither, &base), shared(&base[..63], &base), shared(&base, b"")),
            (0, 0, 0)
        );
    }

    proptest! {
        #[test]
        fn any_pair_comes_back(
            base: Vec<u8>, raw: Vec<u8>, times in 1usize..50, magic: bool,
        ) {
            let mut base = base.repeat(times);
            if magic {
                // What zstd takes for a dictionary of its own.
                base.splice(0..0, 0xEC30_A437_u32.to_le_bytes());
            }
            let raw = [&base[base.len() / 3..], &raw, &base[base.len() / 2..]].concat();
            let mut coder = Coder::new().unwrap();
            let Some(stored) = coder.encode(&raw, &base, usize::MAX) else { return Ok(()) };
            let mut out = vec![1; raw.len()];
            prop_assert_eq!(decode(stored, &base, &mut out), Ok(()));
            prop_assert_eq!(out, raw);
        }

        #[test]
        fn no_bytes_make_it_panic(stored: Vec<u8>, base: Vec<u8>, len in 0usize..1000) {
            let _ = decode(&stored, &base, &mut vec![0; len]);
        }
    }
}
