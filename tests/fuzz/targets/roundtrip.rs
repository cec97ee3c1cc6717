//! Whatever is encoded is decoded again, in every encoding.
#![no_main]

use std::cell::RefCell;

use lab_encoding::float::Element;
use lab_encoding::{delta, patch, plain, planes};
use lab_fuzz::Taken;

thread_local! {
    static CODERS: RefCell<(plain::Coder, planes::Coder, patch::Coder)> = RefCell::new((
        plain::Coder::new().expect("there is memory"),
        planes::Coder::new().expect("there is memory"),
        patch::Coder::new().expect("there is memory"),
    ));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let element = [Element::F16, Element::BF16, Element::F32, Element::F64, Element::Other]
        [usize::from(input.u8() % 5)];
    // Few bytes of input make many of output, since short ones are never worth encoding.
    let (times, step, noise) = (1 + usize::from(input.u8()), input.u8(), input.u16());
    let mut raw = input.0.repeat(times);
    raw.truncate(1 << 18);
    for (n, byte) in raw.iter_mut().enumerate() {
        *byte = byte.wrapping_add((n / 256) as u8 & step);
    }
    let mut base = raw.clone();
    for n in (0..base.len()).step_by(1 + usize::from(noise)) {
        base[n] = base[n].wrapping_add(step | 1);
    }
    CODERS.with_borrow_mut(|(plain, planes, patches)| {
        let mut back = vec![1; raw.len()];
        if let Some(stored) = plain.encode(&raw).expect("there is memory") {
            assert!(stored.len() < raw.len());
            plain::decode(stored, &mut back).expect("it was just encoded");
            assert!(back == raw, "plain");
        }
        let mut stored = b"before".to_vec();
        if planes.encode(&raw, element, &mut stored) {
            assert!(stored.len() - 6 < raw.len());
            back.fill(2);
            planes::decode(&stored[6..], &mut back).expect("it was just encoded");
            assert!(back == raw, "planes");
        } else {
            assert_eq!(stored, b"before");
        }
        let mut stored = b"before".to_vec();
        if planes.encode_delta(&raw, &base, element, &mut stored) {
            assert!(stored.len() - 6 < raw.len());
            back.fill(3);
            delta::decode(&stored[6..], &base, &mut back).expect("it was just encoded");
            assert!(back == raw, "delta");
        } else {
            assert_eq!(stored, b"before");
        }
        if let Some(stored) = patches.encode(&raw, &base, usize::MAX) {
            back.fill(4);
            patch::decode(stored, &base, &mut back).expect("it was just encoded");
            assert!(back == raw, "patch");
        }
    });
});
