//! Blocks that claim to be a difference. What decodes, decodes to the same twice.
#![no_main]

use lab_encoding::delta::decode;
use lab_fuzz::{Taken, earlier};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let (len, seed, stored) = (input.u16(), input.u8(), input.short());
    let stored = [stored, input.0].concat();
    let base = earlier(len, seed);
    let (mut out, mut again) = (vec![0; base.len()], vec![255; base.len()]);
    let decoded = decode(&stored, &base, &mut out);
    assert_eq!(decode(&stored, &base, &mut again), decoded);
    assert!(decoded.is_err() || out == again, "something was left as it was");
});
