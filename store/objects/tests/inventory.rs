//! A folder with an inventory keeps it up to date; one without has none.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lab_objects::{
    Backend, Expected, Folder, INVENTORY, Key, Move, NameKind, Room, Store, TOLD, parse_inventory,
};
use lab_schema::Name;

fn put(store: &Store, name: &str, bytes: &[u8]) {
    let mut writer = store.writer();
    let id = writer.put_bytes(bytes).unwrap();
    writer.finish().unwrap();
    let m = Move {
        target: Some(id.into()),
        kind: NameKind::Dataset,
        when_ms: 1,
        who: "ana".to_owned(),
        why: String::new(),
    };
    store.names().set(&Name::new(name).unwrap(), Expected::Anything, m).unwrap();
}

fn told(path: &Path) -> Vec<(Key, u64)> {
    parse_inventory(&fs::read(path.join(INVENTORY)).unwrap()).unwrap()
}

fn there(folder: &Folder) -> Vec<(Key, u64)> {
    TOLD.into_iter().flat_map(|room| folder.list(room).unwrap()).collect()
}

fn sorted(mut files: Vec<(Key, u64)>) -> Vec<(Key, u64)> {
    files.sort();
    files
}

// proves L-36
#[test]
fn whoever_publishes_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Arc::new(Folder::create(dir.path()).unwrap());
    let store = Store::create(folder.clone()).unwrap();
    put(&store, "before", b"1");
    assert!(!dir.path().join(INVENTORY).exists(), "nobody asked for one");
    folder.keep_inventory().unwrap();
    assert_eq!(told(dir.path()), sorted(there(&folder)));
    // Another process, which has not been told.
    let other = Store::open(Arc::new(Folder::open(dir.path()).unwrap())).unwrap();
    put(&other, "after", b"2");
    assert_eq!(told(dir.path()), sorted(there(&folder)));
    assert_eq!(told(dir.path()).len(), 4);
    // Without a name.
    let mut writer = other.writer();
    writer.put_bytes(b"3").unwrap();
    writer.finish().unwrap();
    folder.settle().unwrap();
    let packs = folder.list(Room::Packs).unwrap();
    assert_eq!(packs.len(), 3);
    let untold = told(dir.path()).iter().filter(|(key, _)| key.room() == Room::Packs).count();
    assert!(untold >= 2, "a writer that moves no name may leave it to the next who does");
    put(&other, "last", b"4");
    assert_eq!(told(dir.path()), sorted(there(&folder)));
    // What is gone is not told of.
    assert!(folder.remove(&packs[0].0).unwrap());
    folder.settle().unwrap();
    assert_eq!(told(dir.path()), sorted(there(&folder)));
}

#[test]
fn of_many_who_publish_at_once_none_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path()).unwrap();
    Store::create(Arc::new(Folder::create(dir.path()).unwrap())).unwrap();
    folder.keep_inventory().unwrap();
    let at = dir.path();
    std::thread::scope(|scope| {
        for n in 0..6u8 {
            scope.spawn(move || {
                let store = Store::open(Arc::new(Folder::open(at).unwrap())).unwrap();
                for m in 0..5u8 {
                    put(&store, &format!("n{n}-{m}"), &[n, m]);
                }
            });
        }
    });
    assert_eq!(told(dir.path()), sorted(there(&folder)));
    assert_eq!(told(dir.path()).len(), 60);
}

#[test]
fn a_name_does_not_move_if_it_cannot_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Arc::new(Folder::create(dir.path()).unwrap());
    let store = Store::create(folder.clone()).unwrap();
    folder.keep_inventory().unwrap();
    let lock = dir.path().join("locks/inventory");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let name = Key::Name(Name::new("a").unwrap());
    assert!(folder.swap(&name, None, b"x").is_err());
    assert_eq!(folder.read(&name).unwrap(), None);
    drop(store);
}
