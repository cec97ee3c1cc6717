//! Blocks that claim to be a patch. What decodes, decodes to the same twice.
#![no_main]

use lab_encoding::patch::decode;
use lab_fuzz::{Taken, earlier};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let (len, bytes, seed) = (input.u16(), input.u16(), input.u8());
    let base = earlier(len, seed);
    let (mut out, mut again) = (vec![0; usize::from(bytes)], vec![255; usize::from(bytes)]);
    let decoded = decode(input.0, &base, &mut out);
    assert_eq!(decode(input.0, &base, &mut again), decoded);
    assert!(decoded.is_err() || out == again, "something was left as it was");
});
