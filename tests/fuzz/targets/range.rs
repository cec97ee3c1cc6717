//! `Range` headers, as others send them. What comes is the part that was asked for, or the whole.
#![no_main]

use lab_fuzz::served::{SERVED, pack_of};
use lab_objects::Backend;

/// First and last byte, where the header says so plainly.
fn plain(header: &str) -> Option<(u64, u64)> {
    let (from, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(from) || !is_number(last) {
        return None;
    }
    let (from, last) = (from.parse().ok()?, last.parse().unwrap_or(u64::MAX));
    (from <= last).then_some((from, last))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let key = pack_of(&SERVED.one);
    let whole = SERVED.one.read(&key).expect("there is memory").expect("it is there");
    let path = format!("/one/{}", key.path());
    let heard = SERVED.ask("GET", path.as_bytes(), &[("range", data)], b"");
    let asked = std::str::from_utf8(data).ok().and_then(plain);
    match heard.status {
        200 => assert!(heard.body == whole, "other bytes came"),
        206 => {
            let (from, last) = asked.expect("a part was asked for");
            let told = heard.header("content-range").expect("it says which part");
            let (a, b) = told.strip_prefix("bytes ").expect("bytes").split_once('-').expect("two");
            let b: usize = b.split_once('/').expect("a length").0.parse().expect("a number");
            let a: usize = a.parse().expect("a number");
            assert!(a as u64 == from && b as u64 <= last, "{told}");
            assert!(heard.body == whole[a..=b], "other bytes came");
            assert!(b as u64 == last || b + 1 == whole.len(), "fewer than there are: {told}");
        }
        416 => assert!(asked.is_some_and(|(from, _)| from >= whole.len() as u64)),
        400 => assert!(data.iter().any(|byte| !(b' '..127).contains(byte) && *byte != b'\t')),
        other => panic!("{other}"),
    }
    SERVED.is_as_before(&heard);
});
