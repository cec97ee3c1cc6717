//! Lists of ranges, as others send them. What comes back is what lies there, or the list was none.
#![no_main]

use lab_fuzz::served::SERVED;
use lab_objects::{Backend, Key, Room};

/// Most ranges, and most bytes.
const LIMITS: (usize, u64) = (256, 8 << 20);

fn range(line: &str) -> Option<(Key, u64, u64)> {
    let [path, from, len] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let key = if path == "format" {
        Key::Format
    } else if let Some(file) = path.strip_prefix("packs/") {
        Room::Packs.file(file)?
    } else {
        Room::Names.file(path.strip_prefix("names/")?)?
    };
    assert_eq!(key.path(), path);
    Some((key, from.parse().ok()?, len.parse().ok()?))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let body = SERVED.spelled(data);
    let heard = SERVED.ask("POST", b"/one/ranges", &[], &body);
    let text = std::str::from_utf8(&body).ok();
    let list: Option<Vec<_>> =
        text.and_then(|text| text.lines().take(LIMITS.0 + 1).map(range).collect());
    let expected = match &list {
        None => 400,
        Some(list) => {
            let bytes = list.iter().fold(0u64, |sum, (_, _, len)| sum.saturating_add(*len));
            if list.len() > LIMITS.0 || bytes > LIMITS.1 { 413 } else { 200 }
        }
    };
    assert_eq!(heard.status, expected);
    if let (200, Some(list)) = (expected, list) {
        let mut all = Vec::new();
        for (key, from, len) in list {
            let found = SERVED.one.read_range(&key, from, len).expect("there is memory");
            let bytes = found.as_ref().map_or(u64::MAX, |found| found.len() as u64);
            all.extend(bytes.to_le_bytes());
            all.extend(found.unwrap_or_default());
        }
        assert!(heard.body == all, "other bytes came");
    }
    SERVED.is_as_before(&heard);
});
