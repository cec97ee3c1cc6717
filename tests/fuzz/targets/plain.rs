//! Blocks that claim to be zstd frames.
#![no_main]

use lab_fuzz::Taken;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let mut out = vec![0; usize::from(input.u16())];
    let _ = lab_encoding::plain::decode(input.0, &mut out);
});
