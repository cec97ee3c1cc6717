//! What others say to a store by a connection: any bytes, or messages under right numbers, among them packs
//! and journals that are right but for a byte. What was there stays, and nothing comes that is not sound.
#![no_main]

use std::sync::{Arc, LazyLock};

use lab_fuzz::served::{files, filled, pack_of};
use lab_fuzz::wire::{Kept, heard, key, message};
use lab_fuzz::{Taken, forge};
use lab_objects::{Backend, Key, Memory, Silent, Store, check, journal_digest};
use lab_remote::{Opened, answer};
use lab_schema::Name;

/// A pack of another store.
static PACK: LazyLock<(Key, Vec<u8>)> = LazyLock::new(|| {
    let other = filled("of another");
    let key = pack_of(&other);
    let bytes = other.read(&key).expect("there is memory").expect("it is there");
    (key, bytes)
});

/// The messages that these bytes describe.
fn messages(mut input: Taken<'_>, memory: &Memory) -> Vec<Vec<u8>> {
    let own = pack_of(memory);
    let mut all = vec![message(0, 1, 1, &[1, 0, input.u8() % 2])];
    while !input.is_empty() && all.len() < 60 {
        let (order, number) = (input.u8(), 2 + all.len() as u32 / 2);
        let mut say = |word: u8, body: &[u8]| {
            all.push(message(all.len() as u32, number, word, body));
        };
        let keys = [own.clone(), PACK.0.clone(), Key::Format, Key::Name(name(input.u8()))];
        let chosen = key(&keys[usize::from(order >> 4) % 4]);
        match order % 8 {
            0 => say(input.u8() % 12, input.short()),
            1 => {
                // As it is, or with a byte that is not.
                let (mut bytes, at) = (PACK.1.clone(), usize::from(input.u16()));
                if let Some(byte) = bytes.get_mut(at.wrapping_sub(1)) {
                    *byte ^= input.u8();
                }
                let len = (bytes.len() as u64).to_le_bytes();
                say(4, &[&key(&PACK.0)[..], &len, &[order >> 7]].concat());
                bytes.chunks(200).for_each(|part| say(5, part));
            }
            2 => {
                let bytes = input.short();
                let len = (bytes.len() as u64 + u64::from(input.u8() % 2)).to_le_bytes();
                say(4, &[&chosen[..], &len, &[order >> 7]].concat());
                say(5, bytes);
            }
            3 => {
                let name = name(input.u8() % 2);
                let now = memory.read(&Key::Name(name.clone())).expect("there is memory");
                let lines = String::from_utf8_lossy(input.short()).into_owned();
                let lines: Vec<&str> = lines.lines().collect();
                let mut new = forge::journal(name.as_str(), &lines).into_bytes();
                if order & 0x80 != 0 {
                    // It goes on from there.
                    let before = now.clone().unwrap_or_default();
                    let old = String::from_utf8_lossy(&before).into_owned();
                    let noted = old.lines().filter_map(|line| line.rsplit_once('\t'));
                    let all: Vec<&str> = noted.map(|(line, _)| line).chain(lines).collect();
                    new = forge::journal(name.as_str(), &all).into_bytes();
                }
                let expected = match (&now, order & 0x40) {
                    (Some(now), 0) => [&[1][..], journal_digest(now).as_bytes()].concat(),
                    _ => vec![0],
                };
                let len = (new.len() as u64).to_le_bytes();
                say(7, &[&key(&Key::Name(name))[..], &expected, &len].concat());
                say(5, &new);
            }
            4 => say(2, &chosen),
            5 => say(
                3,
                &[&chosen[..], &input.u64().to_le_bytes(), &input.u64().to_le_bytes()].concat(),
            ),
            6 => say(8, &[input.u8() % 5]),
            _ => say([6, 9][usize::from(order >> 7)], b""),
        }
    }
    all
}

fn name(n: u8) -> Name {
    let text = if n % 2 == 0 { "n".to_owned() } else { format!("m{n}") };
    Name::new(&text).expect("a name")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = data.split_first() else { return };
    let memory = filled("of one");
    let before = files(&memory);
    let said = match how {
        0 => data.to_vec(),
        _ => messages(Taken(data), &memory).concat(),
    };
    let kept = Kept::default();
    let open = |_| {
        let backend: Arc<dyn Backend> = memory.clone();
        let store = Store::open(backend.clone()).expect("a store");
        Ok(Opened { backend, store, made: false, guard: None })
    };
    // It may end in words.
    let _ = answer(&mut &said[..], kept.clone(), &open);
    for (_, word, _) in heard(&kept.bytes()) {
        assert!((1..=6).contains(&word), "word {word}");
    }
    let after = files(&memory);
    for (key, bytes) in &before {
        let now = &after.iter().find(|(known, _)| known == key).expect("it stays").1;
        let stays = if let Key::Name(_) = key { now.starts_with(bytes) } else { now == bytes };
        assert!(stays, "{key} has changed");
    }
    for (key, bytes) in &after {
        match key {
            _ if before.iter().any(|(known, _)| known == key) => {}
            Key::Pack(_) => assert!((key, bytes) == (&PACK.0, &PACK.1)),
            Key::Name(_) => {}
            _ => panic!("{key} has come"),
        }
    }
    let store = Store::open(memory.clone()).expect("a store");
    assert_eq!(check(&store, true, &Silent).expect("it can be looked through").findings, []);
    assert!(store.names().damaged().expect("they can be listed").is_empty());
});
