//! Tables of contents: any bytes, as they are, or under a right checksum.
#![no_main]

use lab_fuzz::{Taken, forge};
use lab_objects::PackId;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let (how, body) = (input.u8(), usize::from(input.u16() % 2048));
    let counts = [input.u8(), input.u8(), input.u8()].map(u32::from);
    let pack = if how == 0 {
        (PackId::from_digest(forge::digest(b"")), input.0.to_vec())
    } else {
        let header = [&b"LABPACK\x02"[..], &vec![how; body]].concat();
        let counts = if how == 1 { [0; 3].map(|_| input.u32()) } else { counts };
        forge::seal(header, input.0.to_vec(), counts)
    };
    let (store, _) = forge::store([pack]);
    lab_fuzz::exercise(&store);
});
