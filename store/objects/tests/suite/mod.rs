//! One suite for every backend, wherever it is: the tests of another crate name this file by its path. What
//! is tried here and there is a line of `conforms!` at the end of a test file.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use std::sync::Arc;

use lab_objects::{
    Backend, Expected, Key, Memory, Move, NameKind, ObjectsError, PackId, Room, Silent, Store,
    check,
};
use lab_schema::{BlobId, Kind, Name};

fn name(text: &str) -> Key {
    Key::Name(Name::new(text).unwrap())
}

fn refused<T: std::fmt::Debug>(result: lab_objects::Result<T>) {
    assert!(matches!(result, Err(ObjectsError::RefusedKey { .. })), "{result:?}");
}

/// A real pack that holds this, made by a store in memory.
fn pack(content: &[u8]) -> (PackId, Vec<u8>) {
    let memory = Arc::new(Memory::new());
    let store = Store::create(memory.clone()).unwrap();
    let mut writer = store.writer();
    writer.put_bytes(content).unwrap();
    writer.finish().unwrap();
    let id = store.packs().unwrap()[0];
    (id, memory.read(&Key::Pack(id)).unwrap().unwrap())
}

// proves L-02
pub fn files_are_written_once(backend: &dyn Backend) {
    let (id, pack) = pack(b"some bytes");
    let key = Key::Pack(id);
    assert_eq!(backend.read(&key).unwrap(), None);
    assert_eq!(backend.read_range(&key, 0, 10).unwrap(), None);
    backend.publish(&Key::Format, b"lab store 2\n").unwrap();
    backend.publish(&key, &pack).unwrap();
    backend.publish(&key, &pack).unwrap();
    refused(backend.publish(&key, b"other"));
    backend.mend(&key, &pack).unwrap();
    refused(backend.mend(&Key::Format, b"lab store 3\n"));
    refused(backend.mend(&name("a"), b"x"));
    assert_eq!(backend.read(&key).unwrap().unwrap(), pack);
    assert_eq!(backend.read_range(&key, 3, 4).unwrap().unwrap(), pack[3..7]);
    assert_eq!(backend.read_range(&key, pack.len() as u64 - 2, 9).unwrap().unwrap().len(), 2);
    assert_eq!(backend.read_range(&key, u64::MAX / 2, 9).unwrap().unwrap(), b"");
    assert_eq!(backend.list(Room::Packs).unwrap(), [(key.clone(), pack.len() as u64)]);
    refused(backend.swap(&key, Some(&pack), b"x"));
    refused(backend.remove(&Key::Format));
    assert!(backend.remove(&key).unwrap());
    assert!(!backend.remove(&key).unwrap());
    assert_eq!(backend.list(Room::Packs).unwrap(), []);
}

pub fn what_is_read_once_is_what_is_there(backend: &dyn Backend) {
    let noise = |n: u64| *BlobId::of(&n.to_le_bytes()).digest().as_bytes();
    let (id, bytes) = pack(&(0..40_000).flat_map(noise).collect::<Vec<u8>>());
    let (key, len) = (Key::Pack(id), bytes.len());
    let mut memory = b"from before".to_vec();
    assert_eq!(backend.read_once(&key, 0, 1 << 20, &mut memory).unwrap(), None);
    backend.publish(&Key::Format, b"lab store 2\n").unwrap();
    backend.publish(&key, &bytes).unwrap();
    for offset in [0, 1, 511, 4095, 4096, 4097, 300_000, len - 300_000, len - 1, len, len + 1] {
        for many in [0, 1, 5_000, 256 << 10, (256 << 10) + 1, 1 << 20, len, len * 9] {
            let range = backend.read_once(&key, offset as u64, many as u64, &mut memory);
            let expected = &bytes[offset.min(len)..(offset + many).min(len)];
            assert!(memory[range.unwrap().unwrap()] == *expected, "{many} from {offset}");
        }
    }
    let beyond = backend.read_once(&key, u64::MAX - 9, u64::MAX, &mut memory).unwrap().unwrap();
    assert!(beyond.is_empty());
    assert!(memory.len() <= len + 8192, "{}", memory.len());
}

// proves L-20
pub fn names_move_by_compare_and_swap(backend: &dyn Backend) {
    backend.publish(&Key::Format, b"lab store 2\n").unwrap();
    refused(backend.publish(&name("a"), b"x"));
    assert!(!backend.swap(&name("a"), Some(b"x"), b"y").unwrap());
    assert!(backend.swap(&name("a"), None, b"1").unwrap());
    assert!(!backend.swap(&name("a"), None, b"2").unwrap());
    assert!(!backend.swap(&name("a"), Some(b"2"), b"3").unwrap());
    assert!(backend.swap(&name("a"), Some(b"1"), b"22").unwrap());
    assert!(backend.swap(&name("Z"), None, b"").unwrap());
    assert_eq!(backend.read(&name("a")).unwrap().unwrap(), b"22");
    assert_eq!(backend.list(Room::Names).unwrap(), [(name("Z"), 0), (name("a"), 2)]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    while let Some(n) = backend.read(&name("n")).unwrap().or(Some(vec![])) {
                        let expected = Some(n.as_slice()).filter(|n| !n.is_empty());
                        if backend.swap(&name("n"), expected, &[&n[..], b"."].concat()).unwrap() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(backend.read(&name("n")).unwrap().unwrap().len(), 160);
}

pub fn a_store_works_on_it(backend: Arc<dyn Backend>) {
    assert!(matches!(Store::open(backend.clone()), Err(ObjectsError::NotAStore { .. })));
    let store = Store::create(backend.clone()).unwrap();
    let large: Vec<u8> =
        (0..3_000_000u32).flat_map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()).collect();
    let mut writer = store.writer();
    let small = writer.put_bytes(b"").unwrap();
    let (id, size) = writer.put_blob(&mut large.as_slice()).unwrap();
    assert_eq!((id, size), (BlobId::of(&large), large.len() as u64));
    // proves L-03: nothing is visible before it is published.
    assert!(!store.has(id).unwrap());
    writer.finish().unwrap();
    let other = Store::open(backend.clone()).unwrap();
    for store in [&store, &other] {
        assert_eq!(store.read_blob(id, u64::MAX).unwrap(), large);
        assert_eq!(store.read_blob(small, 0).unwrap(), b"");
        assert_eq!(store.list(Kind::Blob).unwrap().len(), 2);
    }
    let names = store.names();
    let (who, why) = (String::from("ada"), String::from("a test"));
    let m = Move { target: Some(id.into()), kind: NameKind::Dataset, when_ms: 5, who, why };
    let n = Name::new("data").unwrap();
    names.set(&n, Expected::Absent, m.clone()).unwrap();
    assert_eq!(names.get(&n).unwrap(), Some(m.clone()));
    assert_eq!(other.names().list().unwrap(), [(n.clone(), m.clone())]);
    match names.set(&n, Expected::Target(small.into()), m.clone()) {
        Err(ObjectsError::NameMoved { now, by, when_ms, .. }) => {
            assert_eq!((now, by.as_str(), when_ms), (Some(id.into()), "ada", 5));
        }
        other => panic!("{other:?}"),
    }
    let gone = Move { target: None, when_ms: 6, ..m.clone() };
    names.set(&n, Expected::Target(id.into()), gone.clone()).unwrap();
    assert_eq!(names.get(&n).unwrap(), None);
    assert_eq!(names.version(&n, 1).unwrap(), Some(m.clone()));
    assert_eq!(names.version(&n, 2).unwrap(), Some(gone));
    assert_eq!(names.version(&n, 0).unwrap().or(names.version(&n, 3).unwrap()), None);
    assert!(names.list().unwrap().is_empty());
    let dangling = Move { target: Some(BlobId::of(b"absent").into()), ..m };
    let refused = names.set(&n, Expected::Absent, dangling);
    assert!(matches!(refused, Err(ObjectsError::Missing { .. })));
    let report = check(&other, true, &Silent).unwrap();
    assert_eq!((report.findings, report.packs, report.objects), (vec![], 1, 2));
}

/// Everything above on one backend.
#[macro_export]
macro_rules! conforms {
    ($name:ident, $folder:ident => $backend:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn files() {
                let $folder = tempfile::tempdir().unwrap();
                suite::files_are_written_once(&$backend);
            }

            #[test]
            fn parts() {
                let $folder = tempfile::tempdir().unwrap();
                suite::what_is_read_once_is_what_is_there(&$backend);
            }

            #[test]
            fn names() {
                let $folder = tempfile::tempdir().unwrap();
                suite::names_move_by_compare_and_swap(&$backend);
            }

            #[test]
            fn store() {
                let $folder = tempfile::tempdir().unwrap();
                suite::a_store_works_on_it(std::sync::Arc::new($backend));
            }
        }
    };
}
