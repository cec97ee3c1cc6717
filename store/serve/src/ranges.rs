//! Parts of many files in one answer.

use axum::http::StatusCode;
use lab_objects::{Backend, Key, Room};

use crate::reply::{Answer, Trouble};

/// Most ranges in a list.
const MANY: usize = 256;
/// Most bytes of an answer.
const BYTES: u64 = 8 << 20;
/// In the place of the length of what lies in a range: the file is absent.
const ABSENT: u64 = u64::MAX;

/// A list of ranges: on each line a path, where to begin, and how many bytes.
pub(crate) fn parse(text: &[u8]) -> Answer<Vec<(Key, u64, u64)>> {
    let wrong = |detail: &str| Trouble::new(StatusCode::BAD_REQUEST, detail);
    let text = std::str::from_utf8(text).map_err(|_| wrong("a list of ranges is text"))?;
    let range = |line: &str| {
        let mut words = line.split(' ');
        let (path, from, len) = (words.next()?, words.next()?, words.next()?);
        let key = match path.split_once('/') {
            Some(("packs", file)) => Room::Packs.file(file)?,
            Some(("names", file)) => Room::Names.file(file)?,
            Some(_) => return None,
            None => Room::Root.file(path)?,
        };
        words.next().is_none().then_some((key, from.parse().ok()?, len.parse().ok()?))
    };
    let list: Option<Vec<(Key, u64, u64)>> = text.lines().take(MANY + 1).map(range).collect();
    let list = list.ok_or_else(|| wrong("each line is a path, a start and a length"))?;
    let sum = list.iter().fold(0u64, |sum, (_, _, len)| sum.saturating_add(*len));
    if list.len() > MANY || sum > BYTES {
        let detail = format!("more than {MANY} ranges, or {BYTES} bytes");
        return Err(Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(list)
}

/// The length of what lies in each range (u64, little-endian), and its bytes.
pub(crate) fn read(backend: &dyn Backend, list: &[(Key, u64, u64)]) -> Answer<Vec<u8>> {
    let mut all = Vec::new();
    for found in backend.read_ranges(list)? {
        let len = found.as_ref().map_or(ABSENT, |bytes| bytes.len() as u64);
        all.extend(len.to_le_bytes());
        all.extend(found.unwrap_or_default());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_strictly() {
        let pack = format!("packs/{}.pack", "0a".repeat(32));
        let good = format!("{pack} 0 8388594\nnames/a 7 0\nformat 0 14\n");
        assert_eq!(parse(good.as_bytes()).unwrap().len(), 3);
        assert_eq!(parse(b"").unwrap().len(), 0);
        for bad in [
            format!("{pack} 0 8388609\n"),
            format!("{pack} 0 {}\n{pack} 0 1\n", u64::MAX),
            format!("{pack} 0\n"),
            format!("{pack} 0 1 2\n"),
            format!("{pack} -1 2\n"),
            "inventory 0 5\n".to_owned(),
            "condemned/a 0 5\n".to_owned(),
            "names/../a 0 5\n".to_owned(),
            "packs/x 0 5\n".to_owned(),
            "\n".to_owned(),
            "names/a 0 1\n".repeat(257),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"names/\xff 0 1\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(format|names/[a-z.]{0,3}|packs/[0-9a-f]{0,66}(.pack)?|\\PC{0,9})( [0-9-]{0,21}){0,4}\n?") {
            if let Ok(list) = parse(text.as_bytes()) {
                // What is understood says the same when it is written again.
                let again: String = list
                    .iter()
                    .map(|(key, from, len)| format!("{} {from} {len}\n", key.path()))
                    .collect();
                proptest::prop_assert_eq!(parse(again.as_bytes()).unwrap(), list);
            }
        }
    }
}
