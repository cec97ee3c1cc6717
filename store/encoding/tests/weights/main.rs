//! Where tensors lie: of files made by hand, of files from the formats' own tools, and of damaged
//! ones.
#![allow(clippy::unwrap_used, missing_docs)]

mod make;
mod tensors;
mod archives;
mod damage;

use std::io;

use lab_encoding::float::Element;
use lab_encoding::weights::{Layout, Region, layout, might_have_layout, safetensors};

/// The layout of a file in memory. Nothing outside of it may be asked for, and what is found
/// must be as promised.
fn find(bytes: &[u8]) -> Option<Layout> {
    let size = bytes.len() as u64;
    let mut source = |offset: u64, len: usize| {
        let end = offset.checked_add(len as u64).unwrap();
        assert!(end <= size, "{len} bytes at {offset} of a file of {size}");
        Ok(bytes[offset as usize..end as usize].to_vec())
    };
    let found = layout(size, &mut source).unwrap();
    if let Some(found) = &found {
        assert!(might_have_layout(&bytes[..bytes.len().min(16)], size));
        assert!(might_have_layout(bytes, size));
        let mut from = 0;
        for region in &found.regions {
            assert!(from <= region.start && region.start < region.end && region.end <= size);
            assert_eq!((region.end - region.start) % region.element.width() as u64, 0);
            from = region.end;
        }
    }
    // Described or not, the tensors lie in the same places.
    if let Some(described) = safetensors(size, &mut source).unwrap() {
        let mut regions: Vec<_> = described.into_iter().map(|tensor| tensor.region).collect();
        assert!(regions.iter().all(|region| region.start <= region.end && region.end <= size));
        regions.retain(|region| region.start < region.end);
        regions.sort_by_key(|region| region.start);
        let places = |regions: &[Region]| -> Vec<(String, u64, u64)> {
            regions.iter().map(|r| (r.name.clone(), r.start, r.end)).collect()
        };
        assert_eq!(places(&regions), places(&found.as_ref().unwrap().regions));
    }
    found
}

#[test]
fn a_tensor_is_described_in_the_words_of_its_file() {
    let header = br#"{"none":{"dtype":"I8","shape":[0,4],"data_offsets":[0,0]},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header, &[7; 12]].concat();
    find(&file).unwrap();
    let read = |bytes: &[u8]| {
        let mut source = |at: u64, len: usize| Ok(bytes[at as usize..at as usize + len].to_vec());
        safetensors(bytes.len() as u64, &mut source).unwrap()
    };
    let described = read(&file).unwrap();
    let told: Vec<_> = described
        .iter()
        .map(|t| {
            (t.region.name.as_str(), t.dtype.as_str(), &t.shape[..], t.region.end - t.region.start)
        })
        .collect();
    assert_eq!(told, [("none", "I8", &[0, 4][..], 0), ("w", "BF16", &[2, 3], 12)]);
    // Cut off, it is none; nor is anything else.
    for cut in 0..file.len() {
        assert!(read(&file[..cut]).is_none(), "{cut}");
    }
    assert!(read(b"PK\x03\x04 and so on, for long enough to be one").is_none());
}

/// Names, elements and bytes of the tensors of a file that is known.
fn tensors(bytes: &[u8]) -> Vec<(String, Element, &[u8])> {
    let regions = find(bytes).expect("a layout").regions;
    let data = |start: u64, end: u64| &bytes[start as usize..end as usize];
    regions.into_iter().map(|r| (r.name, r.element, data(r.start, r.end))).collect()
}

/// Names and elements alone.
fn elements(bytes: &[u8]) -> Vec<(String, Element)> {
    tensors(bytes).into_iter().map(|(name, element, _)| (name, element)).collect()
}

/// Numbers one after another, as their tensor holds them.
macro_rules! numbers {
    ($kind:ty, $range:expr) => {
        ($range).flat_map(|n| (n as $kind).to_le_bytes()).collect::<Vec<u8>>()
    };
}

/// What the fixtures hold (fixtures/README.md).
fn contents(name: &str) -> (Element, Vec<u8>) {
    match name {
        "" | "weight" => (Element::F32, numbers!(f32, 0..24)),
        // 100 to 109 in half precision: 64 * 1.5625 and so on.
        "half" | "last" => {
            let half = |n: u16| (0x5400 | ((n - 64) << 4)).to_le_bytes();
            (Element::F16, (100..110).flat_map(half).collect())
        }
        "double" => (Element::F64, numbers!(f64, 0..7)),
        "ints" => (Element::Other, numbers!(i64, 0..5)),
        "a.scalar" => (Element::F32, 2.5f32.to_le_bytes().to_vec()),
        "big" => (Element::Other, (0..6).flat_map(|n| (n as f32).to_be_bytes()).collect()),
        "structured" => (Element::Other, vec![0; 24]),
        "bf" => (
            Element::BF16,
            (0..16)
                .flat_map(|n| ((n as f32).to_bits() >> 16).to_le_bytes()[..2].to_vec())
                .collect(),
        ),
        _ => panic!("{name} is no tensor of the fixtures"),
    }
}

#[test]
fn files_of_the_formats_own_tools() {
    let files: [(&[u8], &str, &[&str]); 4] = [
        (include_bytes!("fixtures/array.npy"), "", &[""]),
        (
            include_bytes!("fixtures/arrays.npz"),
            ".npy",
            &["weight", "half", "double", "ints", "big", "structured"],
        ),
        (
            include_bytes!("fixtures/tensors.safetensors"),
            "",
            &["ints", "double", "a.scalar", "weight", "half"],
        ),
        (
            include_bytes!("fixtures/tensors.gguf"),
            "",
            &["weight", "half", "double", "quant", "bf", "last"],
        ),
    ];
    for (file, suffix, names) in files {
        let found = tensors(file);
        assert_eq!(found.len(), names.len());
        for ((name, element, data), expected) in found.into_iter().zip(names) {
            assert_eq!(name, format!("{expected}{suffix}"));
            if *expected == "quant" {
                // 8 blocks of a scale in half precision and 32 bytes; each ends near its largest.
                assert_eq!((element, data.len()), (Element::Other, 8 * 34));
                assert!(data.chunks(34).all(|block| block[33] == 127));
                continue;
            }
            // Fortran's order, as array.npy was written in it, holds the same numbers otherwise.
            let (wanted, mut bytes) = contents(expected);
            let mut data = data.to_vec();
            if name.is_empty() {
                data.sort_unstable();
                bytes.sort_unstable();
            }
            assert_eq!((element, data), (wanted, bytes), "{name}");
        }
    }
}

#[test]
fn other_files_are_not_even_looked_at() {
    for bytes in [&b""[..], b"{", b"PK", b"GGUE", b"hello, world, hello", &[0; 64], &[0xff; 64]] {
        assert!(!might_have_layout(bytes, bytes.len() as u64));
        assert_eq!(find(bytes), None);
    }
    // A header longer than the file, or than any header may be.
    let head = |len: u64| [&len.to_le_bytes()[..], b"{\"a\":{}}"].concat();
    assert!(might_have_layout(&head(8), 16));
    assert!(!might_have_layout(&head(9), 16));
    assert!(might_have_layout(&head(100_000_000), u64::MAX));
    assert!(!might_have_layout(&head(100_000_001), u64::MAX));
    assert!(!might_have_layout(&head(u64::MAX), u64::MAX));
}

#[test]
fn a_source_that_fails_is_an_error_and_one_cut_short_is_not() {
    let file = include_bytes!("fixtures/arrays.npz");
    let size = file.len() as u64;
    let mut reads = 0usize;
    let mut good = |offset: u64, len: usize| {
        reads += 1;
        Ok(file[offset as usize..offset as usize + len].to_vec())
    };
    assert!(layout(size, &mut good).unwrap().is_some());
    for failing in 0..reads {
        let mut left = failing;
        let mut source = |offset: u64, len: usize| {
            let there = file[offset as usize..offset as usize + len].to_vec();
            let fails = left == 0;
            left = left.saturating_sub(1);
            if fails { Err(io::Error::other("gone")) } else { Ok(there) }
        };
        assert_eq!(layout(size, &mut source).unwrap_err().to_string(), "gone");
    }
    let mut empty = |_: u64, _: usize| Ok(Vec::new());
    assert_eq!(layout(size, &mut empty).unwrap(), None);
}
