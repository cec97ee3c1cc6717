//! Headers of weights: safetensors, npy, npz, GGUF and PyTorch. Nothing outside of the file is asked
//! for, and what is found is as promised. A file may be much longer than what is known of it.
#![no_main]

use std::collections::HashSet;

use lab_encoding::weights::{layout, might_have_layout};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((longer, bytes)) = data.split_first() else { return };
    let size = bytes.len() as u64 + if *longer < 128 { 0 } else { 1u64 << (longer % 50) };
    let mut source = |offset: u64, len: usize| {
        let end = offset.checked_add(len as u64).expect("no overflow");
        assert!(end <= size, "{len} bytes at {offset} of a file of {size}");
        // Zeros follow, as in a file with a hole.
        let there = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let mut found = there[..len.min(there.len())].to_vec();
        found.resize(len, 0);
        Ok(found)
    };
    let found = layout(size, &mut source).expect("the source does not fail");
    let Some(found) = found else { return };
    let mut head = bytes[..bytes.len().min(16)].to_vec();
    head.resize(size.min(16) as usize, 0);
    assert!(might_have_layout(&head, size));
    let (mut from, mut names) = (0, HashSet::new());
    for region in &found.regions {
        assert!(from <= region.start && region.start < region.end && region.end <= size);
        assert_eq!((region.end - region.start) % region.element.width() as u64, 0);
        assert!(names.insert(&region.name));
        from = region.end;
    }
});
