//! What a server hands out when many ranges are asked for at once. Either it is taken apart as it was put
//! together, or it is refused.
#![no_main]

use std::sync::LazyLock;

use lab_fuzz::said::{Answer, Said};
use lab_fuzz::{Taken, forge};
use lab_objects::{Backend, Key, PackId};

static SAID: LazyLock<Said> = LazyLock::new(|| Said::new(true));

/// What these bytes hand out of so many bytes each.
fn taken(mut rest: &[u8], most: &[u64]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut found = Vec::new();
    for most in most {
        let (len, after) = rest.split_first_chunk::<8>()?;
        let len = u64::from_le_bytes(*len);
        rest = after;
        if len == u64::MAX {
            found.push(None);
        } else if len <= *most && len <= rest.len() as u64 {
            let (bytes, after) = rest.split_at(len as usize);
            found.push(Some(bytes.to_vec()));
            rest = after;
        } else {
            return None;
        }
    }
    rest.is_empty().then_some(found)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let most: Vec<u64> = (0..2 + input.u8() % 4).map(|_| input.u8().into()).collect();
    let key = |n: usize| Key::Pack(PackId::from_digest(forge::digest(&[n as u8])));
    let ranges: Vec<_> = most.iter().enumerate().map(|(n, most)| (key(n), 7, *most)).collect();
    SAID.answers(Answer { status: "200 OK".into(), header: None, body: input.0.to_vec() });
    let found = SAID.web.read_ranges(&ranges);
    assert_eq!(found.ok(), taken(input.0, &most));
    assert_eq!(SAID.asked(), 1);
});
