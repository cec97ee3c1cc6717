//! Whatever the bytes: no panic, nothing asked for outside the file, no layout that lies. All of
//! that is checked by `find`.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::find;
use super::make::{self, Zip};

/// A well-formed file of each kind.
fn files() -> Vec<Vec<u8>> {
    let array = make::vector("'<f4'", 8, &[1; 32]);
    let arrays: [(&str, &[u8]); 2] = [("a.npy", &array), ("b.npy", &array)];
    let pickle = make::pickle(&[("FloatStorage", "0"), ("HalfStorage", "1")]);
    let pickle4 = make::pickle4(&[("FloatStorage", "0"), ("HalfStorage", "1")]);
    let storages: [(&str, &[u8]); 2] = [("0", &[1; 32]), ("1", &[2; 32])];
    let metadata = [
        make::entry("general.alignment", 4, &8u32.to_le_bytes()),
        make::entry(
            "tokens",
            9,
            &make::array(8, 2, &[make::string("a"), make::string("b")].concat()),
        ),
    ];
    let table: [make::Line; 3] = [("a", &[4], 0, 0), ("b", &[32], 8, 16), ("c", &[1], 99, 56)];
    let structured = make::vector("[('a', '<f4')]", 8, &[1; 32]);
    let files = vec![
        make::many(3),
        include_bytes!("fixtures/tensors.safetensors").to_vec(),
        include_bytes!("fixtures/tensors.gguf").to_vec(),
        array.clone(),
        structured,
        make::gguf_with(make::gguf(3, &metadata, &table), 8, &[3; 64]),
        Zip::default().of(&arrays),
        Zip { wide: true, comment: 3, align: 64, ..Zip::default() }.of(&arrays),
        make::checkpoint(&pickle, Some("little"), &storages),
        make::checkpoint(&pickle4, None, &storages),
    ];
    assert!(files.iter().all(|file| find(file).is_some_and(|found| !found.regions.is_empty())));
    files
}

/// What is done to a file.
#[derive(Clone, Debug)]
enum Damage {
    Byte(Index, u8),
    Bit(Index, u8),
    Number(Index, usize, u64),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let edges =
        vec![0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX / 2, u64::MAX];
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        4 => (place(), 0u8..8).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        4 => (place(), select(vec![1usize, 2, 4, 8]), select(edges))
            .prop_map(|(at, width, number)| Damage::Number(at, width, number)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), 1usize..40).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => (place(), 1usize..80).prop_map(|(at, len)| Damage::Repeat(at, len)),
    ]
}

fn apply(file: &mut Vec<u8>, damage: &Damage) {
    if file.is_empty() {
        return;
    }
    let size = file.len();
    match damage {
        Damage::Byte(at, byte) => file[at.index(size)] = *byte,
        Damage::Bit(at, bit) => file[at.index(size)] ^= 1 << bit,
        Damage::Number(at, width, number) => {
            let bytes = number.to_le_bytes();
            let at = at.index(size);
            let len = (*width).min(size - at);
            file[at..at + len].copy_from_slice(&bytes[..len]);
        }
        Damage::Cut(at) => file.truncate(at.index(size)),
        Damage::Remove(at, len) => {
            let at = at.index(size);
            file.drain(at..(at + len).min(size));
        }
        Damage::Repeat(at, len) => {
            let at = at.index(size);
            let piece = file[at..(at + len).min(size)].to_vec();
            file.splice(at..at, piece);
        }
    }
}

#[test]
fn every_byte_changed_and_every_length() {
    for file in files() {
        for at in 0..file.len() {
            find(&file[..at]);
            for byte in [0, 0xff, file[at] ^ 1, file[at] ^ 0x80, file[at].wrapping_add(1)] {
                let mut changed = file.clone();
                changed[at] = byte;
                find(&changed);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files(file in select(files()), damages in vec(damage(), 1..6)) {
        let mut file = file;
        damages.iter().for_each(|damage| apply(&mut file, damage));
        find(&file);
    }
}

proptest! {
    #[test]
    fn noise_behind_a_magic_word(
        magic in select(vec![&b""[..], b"\x93NUMPY\x01\0", b"GGUF\x03\0\0\0", b"PK\x03\x04", b"\x30\0\0\0\0\0\0\0{\""]),
        noise in vec(any::<u8>(), 0..400),
    ) {
        find(&[magic, &noise].concat());
    }

    #[test]
    fn noise_in_a_pickle(noise in vec(prop_oneof![any::<u8>(), select(b"(tQqhcX)}]uR.0".to_vec())], 0..300)) {
        let good = make::pickle(&[("FloatStorage", "0")]);
        let pickle = [&good[..good.len() - 2], &noise].concat();
        let found = find(&make::checkpoint(&pickle, None, &[("0", &[1; 16])]));
        prop_assert_eq!(found.unwrap().regions.len(), 1);
    }

    #[test]
    fn noise_in_a_dictionary(text in "[{}\\[\\]()', :<a-f0-9LTrue\"\\\\]{0,120}") {
        find(&make::npy(1, &format!("{{'descr': {text}"), &[0; 64]));
        find(&make::safetensors(&format!("{{{text}"), &[0; 64]));
    }

    /// What is written is found, whatever the names and lengths and their order.
    #[test]
    fn sound_safetensors(names in proptest::collection::hash_set("\\PC{0,12}", 0..20), lens in vec(0usize..50, 20)) {
        let mut header = serde_json::Map::new();
        let mut expected = Vec::new();
        let mut at = 0;
        for (name, len) in names.iter().filter(|n| *n != "__metadata__").zip(lens) {
            let tensor = serde_json::json!({"dtype": "F32", "shape": [len], "data_offsets": [at, at + 4 * len]});
            header.insert(name.clone(), tensor);
            if len > 0 {
                expected.push((name.clone(), 4 * len as u64));
            }
            at += 4 * len;
        }
        let header = serde_json::Value::from(header).to_string();
        let found = find(&make::safetensors(&header, &vec![0; at])).unwrap();
        let found: Vec<_> = found.regions.into_iter().map(|r| (r.name, r.end - r.start)).collect();
        prop_assert_eq!(found, expected);
    }
}
