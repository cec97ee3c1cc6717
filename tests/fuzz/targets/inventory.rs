//! Inventories, as others hand them out. What is read is written again and read as the same.
#![no_main]

use std::fmt::Write;

use lab_objects::{TOLD, parse_inventory};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = match data.split_first() {
        Some((0, _)) | None => data.to_vec(),
        Some((_, rest)) => [b"lab inventory 1\n", rest].concat(),
    };
    let Ok(files) = parse_inventory(&text) else { return };
    assert!(files.windows(2).all(|two| two[0].0 < two[1].0), "they are in order, each once");
    assert!(files.iter().all(|(key, _)| TOLD.contains(&key.room())));
    let mut again = "lab inventory 1\n".to_owned();
    let text = String::from_utf8(text).expect("it was read");
    for (key, bytes) in &files {
        assert!(text.contains(&format!("\n{} ", key.path())), "{key} is not in it");
        writeln!(again, "{} {bytes}", key.path()).expect("a text grows");
    }
    assert_eq!(parse_inventory(again.as_bytes()).expect("it was just written"), files);
    assert!(files.len() < text.lines().count(), "more files than lines");
});
