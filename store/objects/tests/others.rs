//! What other processes, hostile files and failing disks do to a store in use.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lab_objects::{
    Backend, Expected, Folder, Key, Memory, Move, NameKind, ObjectsError, PackId, Room, Silent,
    Store, check,
};
use lab_schema::tree::Node;
use lab_schema::{BlobId, Entry, FileName, Kind, Name, Tree};

fn create(root: &Path) -> Store {
    Store::create(Arc::new(Folder::create(root).unwrap())).unwrap()
}

fn open(root: &Path) -> Store {
    Store::open(Arc::new(Folder::open(root).unwrap())).unwrap()
}

fn put(store: &Store, texts: &[&[u8]]) -> Vec<BlobId> {
    let mut writer = store.writer();
    let ids = texts.iter().map(|text| writer.put_bytes(text).unwrap()).collect();
    writer.finish().unwrap();
    ids
}

fn path(root: &Path, pack: PackId, extension: &str) -> PathBuf {
    let id = pack.to_string();
    root.join("packs").join(format!("{id}.{extension}"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

type Hook = Box<dyn FnOnce() + Send>;

/// A backend in memory that fails once, or to which something happens during a listing.
#[derive(Default)]
struct Eventful {
    memory: Memory,
    full: Mutex<bool>,
    listed: Mutex<Option<Hook>>,
}

impl std::fmt::Debug for Eventful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Eventful")
    }
}

impl Backend for Eventful {
    fn location(&self) -> String {
        "eventful".into()
    }
    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        self.memory.read(key)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        self.memory.read_range(key, at, len)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        if std::mem::take(&mut *self.full.lock().unwrap()) {
            let source = ErrorKind::StorageFull.into();
            return Err(ObjectsError::Io { verb: "publish", path: key.to_string().into(), source });
        }
        self.memory.publish(key, bytes)
    }
    fn settle(&self) -> lab_objects::Result<()> {
        self.memory.settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.memory.mend(key, bytes)
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.memory.swap(key, old, new)
    }
    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        let listed = self.memory.list(room);
        let hook = self.listed.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        listed
    }
    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        self.memory.remove(key)
    }
}

#[test]
fn what_another_process_mends_is_read() {
    let root = tempfile::tempdir().unwrap();
    let store = create(root.path());
    let id = put(&store, &[b"a text"])[0];
    flip(&path(root.path(), store.packs().unwrap()[0], "pack"), 9);
    store.read_blob(id, 99).unwrap_err();

    let other = open(root.path());
    let mut writer = other.writer();
    writer.trust_nothing();
    writer.put_bytes(b"more").unwrap();
    writer.put_bytes(b"a text").unwrap();
    writer.finish().unwrap();
    assert_eq!(store.read_blob(id, 99).unwrap(), b"a text");
}

#[test]
fn what_is_published_during_a_listing_is_not_taken_for_gone() {
    let backend = Arc::new(Eventful::default());
    let store = Store::create(backend.clone()).unwrap();
    let mut writer = store.writer();
    let id = writer.put_bytes(b"just now").unwrap();
    *backend.listed.lock().unwrap() = Some(Box::new(move || writer.finish().unwrap()));
    assert_eq!(store.list(Kind::Blob).unwrap(), [id.into()]);
}

#[test]
fn a_reader_that_failed_does_not_go_on() {
    let root = tempfile::tempdir().unwrap();
    let store = create(root.path());
    let id = put(&store, &[&noise(2, 3 << 20)])[0];
    flip(&path(root.path(), store.packs().unwrap()[0], "pack"), 100);
    let mut reader = store.open_object(id).unwrap().unwrap();
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..40 {
        let error = reader.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}

/// Whoever dies between two packs must not leave a tree without its files.
#[test]
fn whatever_is_published_is_whole_at_any_time() {
    let backend = Arc::new(Stepwise::default());
    let store = Store::create(backend.clone()).unwrap();
    let mut writer = store.writer();
    for round in 0..4u8 {
        let id = writer.put_bytes(&[round; 100]).unwrap();
        let node = |_: &usize| Node::File { id, size: 100, executable: false };
        let entry = |n| Entry {
            name: FileName::new(format!("a file of round {round} with a long name {n}")).unwrap(),
            node: node(&n),
        };
        // Larger than a block, so that it is packed as soon as it may be.
        writer.put(&Tree::new((0..8000).map(entry).collect()).unwrap()).unwrap();
        writer.put_bytes(&noise(u64::from(round) + 1, 40 << 20)).unwrap();
    }
    writer.finish().unwrap();
    let packs = backend.memory.list(Room::Packs).unwrap().len();
    assert!(packs > 4 && *backend.looked.lock().unwrap() == packs, "{packs}");
}

/// Looks, after each pack, at what somebody would find if nothing followed.
#[derive(Debug, Default)]
struct Stepwise {
    memory: Arc<Memory>,
    looked: Mutex<usize>,
}

impl Backend for Stepwise {
    fn location(&self) -> String {
        "stepwise".into()
    }
    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        self.memory.read(key)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        self.memory.read_range(key, at, len)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.memory.publish(key, bytes)?;
        if matches!(key, Key::Pack(_)) {
            let found = check(&Store::open(self.memory.clone())?, false, &Silent)?.findings;
            assert_eq!(found, []);
            *self.looked.lock().unwrap() += 1;
        }
        Ok(())
    }
    fn settle(&self) -> lab_objects::Result<()> {
        self.memory.settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.memory.mend(key, bytes)
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.memory.swap(key, old, new)
    }
    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        self.memory.list(room)
    }
    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        self.memory.remove(key)
    }
}

/// Few bytes are packed in the thread that puts them, many by others.
#[test]
fn after_a_failure_nothing_is_reported_as_stored() {
    for megabytes in [1, 80] {
        let backend = Arc::new(Eventful::default());
        let store = Store::create(backend.clone()).unwrap();
        let mut writer = store.writer();
        writer.put_bytes(b"early").unwrap();
        *backend.full.lock().unwrap() = true;
        let put = writer.put_bytes(&noise(1, (megabytes << 20) as usize));
        let full = match put {
            Ok(_) => writer.finish().unwrap_err(),
            Err(error) => {
                writer.put_bytes(b"late").and_then(|_| writer.finish()).unwrap_err();
                error
            }
        };
        assert!(matches!(full, ObjectsError::Io { verb: "publish", .. }), "{full}");
        let id = put_again(&store, megabytes);
        assert_eq!(store.size(id).unwrap(), Some(megabytes << 20));
    }
}

fn put_again(store: &Store, megabytes: u64) -> BlobId {
    put(store, &[&noise(1, (megabytes << 20) as usize)])[0]
}

// proves L-01
#[test]
fn a_pack_in_a_wrong_place_is_ignored() {
    let root = tempfile::tempdir().unwrap();
    let store = create(root.path());
    let id = put(&store, &[b"a text"])[0];
    let pack = store.packs().unwrap()[0];
    let wrong = root.path().join("packs/af");
    fs::create_dir(&wrong).unwrap();
    fs::write(wrong.join(format!("{pack}.pack")), "").unwrap();
    let other = open(root.path());
    assert_eq!(other.read_blob(id, 99).unwrap(), b"a text");
    let report = check(&other, true, &Silent).unwrap();
    assert_eq!((report.findings, report.packs), (vec![], 1));
}

/// Mending a pack in its place must not lose what is sound in it, if the disk is full.
#[test]
fn a_pack_that_cannot_be_mended_stays() {
    let root = tempfile::tempdir().unwrap();
    let store = create(root.path());
    put(&store, &[b"there"]);
    let mut writer = store.writer();
    writer.put_bytes(b"there").unwrap();
    let other = open(root.path());
    // The last one lies in a block of its own.
    let texts = [1, 2, 3].map(|seed| noise(seed, 128 << 10));
    let last = put(&other, &[&texts[0], &texts[1], &texts[2]])[2];
    let pack = other.packs().unwrap().into_iter();
    let pack = pack.max_by_key(|p| other.pack_objects(*p).unwrap().len()).unwrap();
    flip(&path(root.path(), pack, "pack"), 8);

    for text in &texts {
        writer.put_bytes(text).unwrap();
    }
    let temporary = root.path().join("tmp");
    fs::remove_dir_all(&temporary).unwrap();
    fs::write(&temporary, "in the way").unwrap();
    writer.finish().unwrap_err();
    assert_eq!(open(root.path()).read_blob(last, 1 << 20).unwrap(), texts[2]);

    fs::remove_file(&temporary).unwrap();
    let mut writer = open(root.path()).writer();
    writer.trust_nothing();
    for text in &texts {
        writer.put_bytes(text).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(open(root.path()).read_blob(BlobId::of(&texts[0]), 1 << 20).unwrap(), texts[0]);
}

/// A file of 8 TiB, as anybody can make it out of nothing.
fn inflate(path: &Path) {
    fs::File::options().write(true).open(path).unwrap().set_len(8 << 40).unwrap();
}

// proves L-25
#[test]
fn files_of_impossible_size_are_not_read() {
    let root = tempfile::tempdir().unwrap();
    let store = create(root.path());
    let id = put(&store, &[b"a text"])[0];
    let name = Name::new("n").unwrap();
    let (who, why, kind) = ("ada".into(), String::new(), NameKind::Dataset);
    let m = Move { target: Some(id.into()), kind, when_ms: 1, who, why };
    store.names().set(&name, Expected::Absent, m).unwrap();

    let other = put(&store, &[b"another text"])[0];
    let packs = store.packs().unwrap().into_iter();
    let mut pack = packs.filter(|pack| store.pack_objects(*pack).unwrap() == [other.into()]);
    inflate(&path(root.path(), pack.next_back().unwrap(), "pack"));
    let other = open(root.path());
    assert_eq!(other.read_blob(id, 99).unwrap(), b"a text");
    assert_eq!(check(&other, true, &Silent).unwrap().findings.len(), 1);

    inflate(&root.path().join("names/n"));
    assert!(matches!(other.names().get(&name), Err(ObjectsError::Damaged { .. })));
    assert_eq!(check(&other, false, &Silent).unwrap().findings.len(), 2);

    inflate(&root.path().join("format"));
    assert!(Store::open(Arc::new(Folder::open(root.path()).unwrap())).is_err());
}
