//! Lists and nodes of any bytes, over a few chunks that are there.
#![no_main]

use lab_fuzz::{Taken, forge};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let chunks: [&[u8]; 4] = [b"a", b"bb", &[0; 300], &[7; 5000]];
    let mut known: Vec<_> =
        chunks.iter().map(|c| (forge::CHUNK, forge::digest(c), c.to_vec())).collect();
    let mut input = Taken(data);
    while !input.is_empty() && known.len() < 40 {
        let (is_list, size) = (input.u8() % 2 == 0, input.u64());
        let mut body = input.short().to_vec();
        // Where a digest begins with a number and a zero, the one that is meant takes its place.
        for entry in body.get_mut(1..).unwrap_or_default().chunks_exact_mut(40) {
            if entry[1] == 0 {
                let (_, digest, _) = &known[usize::from(entry[0]) % known.len()];
                entry[..32].copy_from_slice(digest.as_bytes());
            }
        }
        let blob = forge::digest(&size.to_le_bytes());
        let made = if is_list {
            (forge::LIST, blob, forge::list(blob, size, &body))
        } else {
            (forge::NODE, forge::node(&body), body)
        };
        if known.iter().all(|(kind, digest, _)| (*kind, *digest) != (made.0, made.1)) {
            known.push(made);
        }
    }
    let contents: Vec<_> =
        known.iter().map(|(kind, digest, bytes)| (*kind, *digest, &bytes[..])).collect();
    let (store, _) = forge::store([forge::plain_pack(&contents)]);
    lab_fuzz::exercise(&store);
});
