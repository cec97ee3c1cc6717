//! What a far side says to who asks it something: any messages. What is made of them is what they say, and
//! no more than was asked for; what says nothing is an error.
#![no_main]

use std::time::Duration;

use lab_fuzz::wire::{Says, message};
use lab_fuzz::{Taken, forge};
use lab_objects::{Backend, Key, PackId, Room};
use lab_remote::{Far, Patience};
use lab_schema::{Digest, Name};

/// What a question comes to.
#[derive(Debug, PartialEq)]
enum Reply {
    Bytes(Vec<u8>),
    No,
    Absent,
}

/// What these messages answer to question 2, of which the first has this place.
fn reply(said: &[(u32, u32, u8, Vec<u8>)], limit: u64) -> Option<Reply> {
    let (mut at, mut all) = (1, Vec::new());
    for (n, number, word, body) in said {
        if *n != at {
            return None;
        }
        at += 1;
        if *number != 2 {
            continue;
        }
        match (word, &body[..]) {
            (1, part) if all.len() as u64 + part.len() as u64 <= limit => all.extend(part),
            (2, [0]) => return Some(Reply::Bytes(all)),
            (2, [1]) => return Some(Reply::No),
            (3, []) => return Some(Reply::Absent),
            (5, []) => {}
            _ => return None,
        }
    }
    None
}

/// The same for a list.
fn list(said: &[(u32, u32, u8, Vec<u8>)]) -> Option<Vec<(Key, u64)>> {
    let mut all = Vec::new();
    for (at, (n, number, word, body)) in (1..).zip(said) {
        if *n != at {
            return None;
        }
        match (number, word, &body[..]) {
            (2, 1, part) => all.extend(listed(part)?),
            (2, 2, [0 | 1]) => {
                all.sort();
                return Some(all);
            }
            (2, 5, []) => {}
            (2, ..) => return None,
            _ => {}
        }
    }
    None
}

/// The files that a part of a list names.
fn listed(mut rest: &[u8]) -> Option<Vec<(Key, u64)>> {
    fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
        let (taken, left) = rest.split_at_checked(len)?;
        *rest = left;
        Some(taken)
    }
    fn pack(rest: &mut &[u8]) -> Option<PackId> {
        let digest = take(rest, 32)?.try_into().ok()?;
        Some(PackId::from_digest(Digest::from_bytes(digest)))
    }
    let mut all = Vec::new();
    while let Some(kind) = take(&mut rest, 1) {
        let key = match kind[0] {
            0 => Key::Format,
            1 => Key::Pack(pack(&mut rest)?),
            2 => {
                let len = u16::from_le_bytes(take(&mut rest, 2)?.try_into().ok()?);
                let text = std::str::from_utf8(take(&mut rest, len.into())?).ok()?;
                Key::Name(Name::new(text).ok()?)
            }
            3 => Key::Condemned(pack(&mut rest)?),
            _ => return None,
        };
        all.push((key, u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?)));
    }
    Some(all)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let (asked, len) = (input.u8() % 6, u64::from(input.u8()));
    let mut said = Vec::new();
    while !input.is_empty() && said.len() < 30 {
        let (how, word) = (input.u8(), input.u8() % 8);
        // Most are in their place, and answer what was asked.
        let n = 1 + said.len() as u32 + u32::from(how == 255);
        let number = 2 + u32::from(how == 254);
        said.push((n, number, word, input.short().to_vec()));
    }
    let welcome = message(0, 1, 6, &[1, 0, 1, 0, b'x', 0, 0]);
    let piece = said.iter().flat_map(|(n, number, word, body)| message(*n, *number, *word, body));
    let says = Box::new(Says::new(vec![welcome, piece.collect()]));
    let patience = Patience { silence: Duration::from_secs(1), tries: 0, pause: Duration::ZERO };
    let (far, _) = Far::connect(says, patience, false, Box::new(|_| {})).expect("it greets");
    let pack = Key::Pack(PackId::from_digest(forge::digest(b"")));
    let read = |found: lab_objects::Result<Option<Vec<u8>>>, limit: u64| {
        let expected = reply(&said, limit).map(|reply| match reply {
            Reply::Bytes(bytes) => Some(bytes),
            Reply::No | Reply::Absent => None,
        });
        assert_eq!(found.ok(), expected);
    };
    let done = |done: lab_objects::Result<()>| {
        let expected = matches!(reply(&said, 0), Some(Reply::Bytes(_)));
        assert_eq!(done.is_ok(), expected, "{done:?}");
    };
    match asked {
        0 => read(far.read(&Key::Format), Key::Format.max_bytes()),
        1 => read(far.read_range(&pack, 3, len), len),
        2 => done(far.publish(&pack, b"bytes")),
        3 => done(far.settle()),
        4 => done(far.lease().map(drop)),
        _ => {
            let found = far.list(Room::Names);
            let expected =
                list(&said).filter(|files| files.iter().all(|(key, _)| key.room() == Room::Names));
            assert_eq!(found.ok(), expected);
        }
    }
});
