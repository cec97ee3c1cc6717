//! The names of a store that is far away are read together, and are what they are one by one.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lab_objects::{
    Backend, Expected, Key, Memory, Move, NameKind, ObjectsError, Result, Room, Store,
};
use lab_schema::{BlobId, Name};

/// Counts how names are read.
#[derive(Debug, Default)]
struct Far {
    inner: Memory,
    together: AtomicUsize,
    alone: AtomicUsize,
}

impl Backend for Far {
    fn location(&self) -> String {
        "far".to_owned()
    }

    fn is_far(&self) -> bool {
        true
    }

    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.alone.fetch_add(usize::from(key.room() == Room::Names), Ordering::Relaxed);
        self.inner.read(key)
    }

    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        self.inner.read_range(key, offset, len)
    }

    fn read_ranges(&self, ranges: &[(Key, u64, u64)]) -> Result<Vec<Option<Vec<u8>>>> {
        self.together.fetch_add(1, Ordering::Relaxed);
        self.inner.read_ranges(ranges)
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.inner.publish(key, bytes)
    }

    fn settle(&self) -> Result<()> {
        self.inner.settle()
    }

    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.inner.mend(key, bytes)
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        self.inner.swap(key, expected, new)
    }

    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        self.inner.list(room)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.inner.remove(key)
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn store(far: Far) -> (Arc<Far>, Store, BlobId) {
    let far = Arc::new(far);
    let store = Store::create(far.clone()).unwrap();
    let mut writer = store.writer();
    let id = writer.put_bytes(b"x").unwrap();
    writer.finish().unwrap();
    (far, store, id)
}

fn move_to(target: Option<BlobId>, when_ms: u64, why: &str) -> Move {
    let (who, why) = ("ana".to_owned(), why.to_owned());
    Move { target: target.map(Into::into), kind: NameKind::Dataset, when_ms, who, why }
}

#[test]
fn they_are_read_together_and_come_out_the_same() {
    let (far, store, id) = store(Far::default());
    let names = store.names();
    for n in 0..12 {
        names.set(&name(&format!("n{n:02}")), Expected::Absent, move_to(Some(id), n, "")).unwrap();
    }
    names.set(&name("gone"), Expected::Absent, move_to(Some(id), 1, "")).unwrap();
    names.set(&name("gone"), Expected::Anything, move_to(None, 2, "")).unwrap();
    // More than is read together.
    let why = "y".repeat(1_000);
    for n in 0..80 {
        names.set(&name("long"), Expected::Anything, move_to(Some(id), n, &why)).unwrap();
    }
    far.inner.swap(&Key::Name(name("torn")), None, b"no journal\n").unwrap();

    far.alone.store(0, Ordering::Relaxed);
    let listed = names.list().unwrap();
    assert_eq!(listed.len(), 13);
    assert_eq!(listed[0], (name("long"), move_to(Some(id), 79, &why)));
    assert!((0..12).all(|n| listed[n + 1].1.when_ms == n as u64));
    let alone = far.alone.load(Ordering::Relaxed);
    assert_eq!(alone, 1);
    assert_eq!(far.together.load(Ordering::Relaxed), 1);
    assert!(names.known().unwrap().contains(&name("gone")));
    let damaged = names.damaged().unwrap();
    assert!(matches!(&damaged[..], [(n, ObjectsError::Damaged { .. })] if *n == name("torn")));
}
