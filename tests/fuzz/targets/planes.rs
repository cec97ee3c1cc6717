//! Blocks that claim to be planes of floats. What decodes, decodes to the same twice.
#![no_main]

use lab_encoding::planes::decode;
use lab_fuzz::Taken;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let len = usize::from(input.u16());
    let (mut out, mut again) = (vec![0; len], vec![255; len]);
    let decoded = decode(input.0, &mut out);
    assert_eq!(decode(input.0, &mut again), decoded);
    assert!(decoded.is_err() || out == again, "something was left as it was");
});
