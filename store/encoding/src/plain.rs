//! Bytes of no known structure, as one zstd frame.

use std::cell::RefCell;
use std::io;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_error_name};

use crate::Parsed;

/// Compresses; keeps its memory between blocks.
pub struct Coder {
    context: CCtx<'static>,
    scratch: Vec<u8>,
}

impl Coder {
    /// A coder with the parameters that tables and text were found to do best with: level 1 with a
    /// table of hashes that is twice as long and of shorter matches takes 4 % less room in the same
    /// time (`docs/decisions/008-encodings.md`).
    pub fn new() -> io::Result<Coder> {
        let mut context = CCtx::try_create()
            .ok_or_else(|| io::Error::new(io::ErrorKind::OutOfMemory, "no memory to compress"))?;
        // The length is recorded beside the frame, and so is a checksum.
        for parameter in [
            CParameter::CompressionLevel(1),
            CParameter::HashLog(15),
            CParameter::MinMatch(6),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            context.set_parameter(parameter).map_err(failed)?;
        }
        Ok(Coder { context, scratch: Vec::new() })
    }

    /// The compressed bytes; none if they would take at least as much room as `raw`.
    pub fn encode(&mut self, raw: &[u8]) -> io::Result<Option<&[u8]>> {
        self.scratch.clear();
        self.scratch.reserve(compress_bound(raw.len()));
        self.context.compress2(&mut self.scratch, raw).map_err(failed)?;
        Ok((self.scratch.len() < raw.len()).then_some(&self.scratch))
    }
}

impl std::fmt::Debug for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("plain::Coder")
    }
}

fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

/// Decodes into `out`, which the frame must fill exactly.
pub fn decode(stored: &[u8], out: &mut [u8]) -> Parsed<()> {
    thread_local! {
        static CONTEXT: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            none => none.insert(DCtx::try_create().ok_or("there is no memory to decompress it")?),
        };
        match context.decompress(out, stored) {
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

    #[test]
    fn a_bomb_is_not_inflated() {
        let stored = Coder::new().unwrap().encode(&vec![0; 1 << 20]).unwrap().unwrap().to_vec();
        assert!(stored.len() < 200);
        assert!(decode(&stored, &mut [0; 1000]).is_err());
        assert!(decode(&stored, &mut vec![0; (1 << 20) + 1]).is_err());
        assert!(decode(&stored[..20], &mut vec![0; 1 << 20]).is_err());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(pattern: Vec<u8>, times in 1usize..200) {
            let raw = pattern.repeat(times);
            let mut coder = Coder::new().unwrap();
            if let Some(stored) = coder.encode(&raw).unwrap() {
                prop_assert!(stored.len() < raw.len());
                let mut out = vec![1; raw.len()];
                prop_assert_eq!(decode(stored, &mut out), Ok(()));
                prop_assert_eq!(out, raw);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(stored: Vec<u8>, len in 0usize..1000) {
            let _ = decode(&stored, &mut vec![0; len]);
        }
    }
}
