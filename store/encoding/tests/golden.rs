//! The bytes of our own encodings, pinned: what was written once must decode for ever, so a change
//! of one bit here is a new encoding with a new number, beside the old one.
#![allow(clippy::unwrap_used)]

use lab_encoding::float::Element;
use lab_encoding::{delta, patch, plain, planes};
use lab_schema::Digest;

/// Numbers about as weights have them, and a step from each.
fn floats(count: usize) -> Vec<(f64, f64)> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    let mut bell = || (next() + next() + next() + next()) * 0.02;
    (0..count).map(|_| (bell(), bell())).map(|(w, s)| (w, w + s * 0.01)).collect()
}

fn bytes(values: impl Iterator<Item = f64>, element: Element) -> Vec<u8> {
    let write = |value: f64| match element {
        Element::F64 => value.to_le_bytes().to_vec(),
        Element::F32 => (value as f32).to_le_bytes().to_vec(),
        // Cut, not rounded: a pattern is all that is wanted.
        Element::BF16 => (((value as f32).to_bits() >> 16) as u16).to_le_bytes().to_vec(),
        Element::F16 => {
            let bits = (value as f32).to_bits();
            let exponent = (bits >> 23 & 0xff).saturating_sub(112).min(31) as u16;
            let half = (bits >> 16 & 0x8000) as u16 | exponent << 10 | (bits >> 13 & 0x3ff) as u16;
            half.to_le_bytes().to_vec()
        }
        Element::Other => vec![(value * 1000.0) as i8 as u8],
    };
    let mut all: Vec<u8> = values.flat_map(write).collect();
    // What fills no word.
    all.push(7);
    all
}

const ELEMENTS: [Element; 4] = [Element::F16, Element::BF16, Element::F32, Element::F64];

// proves L-26
#[test]
fn the_bytes_of_planes_and_deltas_are_frozen() {
    let (mut coder, values) = (planes::Coder::new().unwrap(), floats(20_000));
    let mut found = Vec::new();
    for element in ELEMENTS {
        let base = bytes(values.iter().map(|v| v.0), element);
        let tuned = bytes(values.iter().map(|v| v.1), element);
        let (mut alone, mut step) = (Vec::new(), Vec::new());
        assert!(coder.encode(&base, element, &mut alone));
        assert!(coder.encode_delta(&tuned, &base, element, &mut step), "{element:?}");
        let mut back = vec![0; base.len()];
        planes::decode(&alone, &mut back).unwrap();
        assert!(back == base);
        delta::decode(&step, &base, &mut back).unwrap();
        assert!(back == tuned);
        let short = |bytes: &[u8]| Digest::derive("test", bytes).short();
        found.push((alone.len(), short(&alone), step.len(), short(&step)));
    }
    let frozen = [
        (33647, "3d60379ec480", 17901, "8750b2e0033b"),
        (26374, "722fd71b2a27", 10427, "c225d2caa0a3"),
        (65396, "fa0d874122df", 50724, "12c64c7e5a57"),
        (112123, "f4bc264093d8", 123202, "3561866a2a75"),
    ];
    let frozen = frozen.map(|(a, b, c, d)| (a, b.to_owned(), c, d.to_owned()));
    assert_eq!(found, frozen);
}

/// Twenty lines, and the same after an edit.
fn lines() -> (Vec<u8>, Vec<u8>) {
    let line = |n: usize| format!("{n},{},{}\n", n * n * 7919 % 10_007, ["cat", "dog"][n % 2]);
    let before: Vec<String> = (0..20).map(line).collect();
    let mut after = before.clone();
    after[7] = "7,another line,fox\n".into();
    after.remove(12);
    (before.concat().into(), after.concat().into())
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

// proves L-26: what zstd wrote once is read for ever; what it writes may change.
#[test]
fn frames_that_zstd_wrote_are_read() {
    let (before, after) = lines();
    let frame = bytes_of(concat!(
        "28b52ffd000005040022091713a02539066816e49faa8ab2a40889dcffba39028194b161e26bb8b5ce2e9e737a",
        "e3d07d5b6236a195d7d9ed6475f94c5acd620229e3d97d110dd7c3cc53556d24d3fc08710ba48c8968ae100800",
        "dfe14c8194f1cee613020160b1080e003bc3dc380ae347099941c028601430cace31c12dd00a9002ae8056fc30",
        "5506",
    ));
    let patch =
        bytes_of("28b52ffd20dded000080616e6f74686572206c696e652c666f780310070f4601d8d126190502");
    let mut back = vec![0; before.len()];
    plain::decode(&frame, &mut back).unwrap();
    assert!(back == before);
    let mut back = vec![0; after.len()];
    patch::decode(&patch, &before, &mut back).unwrap();
    assert!(back == after);
}
