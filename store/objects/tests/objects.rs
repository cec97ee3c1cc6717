//! What goes in comes out, once, from wherever it was put.
#![allow(clippy::unwrap_used)]

#[path = "../../../schema/tests/samples/mod.rs"]
mod samples;

use std::io::Read;
use std::sync::Arc;

use lab_objects::{Backend, Folder, Memory, ObjectsError, Room, Silent, Store, check};
use lab_schema::tree::Node;
use lab_schema::{BlobId, Entry, FileName, Kind, Object, ObjectId, Tree};
use proptest::prelude::*;

fn memory() -> (Arc<Memory>, Store) {
    let backend = Arc::new(Memory::new());
    let store = Store::create(backend.clone()).unwrap();
    (backend, store)
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..len).map(step).collect()
}

fn stored_bytes(backend: &dyn Backend) -> u64 {
    backend.list(Room::Packs).unwrap().iter().map(|(_, bytes)| bytes).sum()
}

fn put(store: &Store, bytes: &[u8]) -> BlobId {
    let mut writer = store.writer();
    let id = writer.put_bytes(bytes).unwrap();
    writer.finish().unwrap();
    id
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn blobs_and_their_ranges_come_back(seed: u64, len in 0usize..4 << 20, a in 0u64..5 << 20, b in 0u64..5 << 20) {
        let (_, store) = memory();
        let mut bytes = noise(seed, len);
        bytes[len / 2..].fill(0);
        let id = put(&store, &bytes);
        prop_assert_eq!(id, BlobId::of(&bytes));
        prop_assert_eq!(store.size(id).unwrap(), Some(len as u64));
        let mut read = Vec::new();
        store.open_object(id).unwrap().unwrap().read_to_end(&mut read).unwrap();
        prop_assert!(read == bytes);
        let (start, end) = (a.min(b), a.max(b));
        match store.read_range(id, start..end) {
            Ok(part) => prop_assert!(part == bytes[start as usize..end as usize]),
            Err(ObjectsError::OutOfRange { .. }) => prop_assert!(end > len as u64),
            Err(e) => return Err(TestCaseError::fail(e.to_string())),
        }
    }
}

// proves L-04
#[test]
fn what_is_stored_is_not_stored_again() {
    let (backend, store) = memory();
    let bytes = noise(1, 5 << 20);
    put(&store, &bytes);
    let before = stored_bytes(&*backend);
    put(&store, &bytes);
    put(&Store::open(backend.clone()).unwrap(), &bytes);
    assert_eq!(stored_bytes(&*backend), before);
    let mut edited = bytes.clone();
    edited.splice(1000..1000, *b"an insertion");
    let id = put(&store, &edited);
    assert!(stored_bytes(&*backend) - before < 1 << 20);
    assert_eq!(store.read_blob(id, u64::MAX).unwrap(), edited);
}

// proves L-15: a chunk of a large file is not an object of its own.
#[test]
fn chunks_are_not_objects() {
    let (_, store) = memory();
    let bytes = noise(3, 5 << 20);
    let id = put(&store, &bytes);
    assert_eq!(store.list(Kind::Blob).unwrap(), [ObjectId::from(id)]);
    // The chunker's own test pins the first cut of these bytes: a chunk, but not to be had.
    let chunk = BlobId::of(&bytes[..233_881]);
    assert!(!store.has(chunk).unwrap() && store.open_object(chunk).unwrap().is_none());
    let packs = store.packs().unwrap();
    assert_eq!(store.pack_objects(packs[0]).unwrap(), [ObjectId::from(id)]);
    // Once it is put as a file of its own, it is.
    assert_eq!(put(&store, &bytes[..233_881]), chunk);
    assert_eq!(store.size(chunk).unwrap(), Some(233_881));
}

#[test]
fn a_sparse_file_is_read_quickly_and_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let (backend, store) = memory();
    let mut writer = store.writer();
    let (id, size) = writer.put_blob(&mut std::fs::File::open(&path).unwrap()).unwrap();
    writer.finish().unwrap();
    assert_eq!(size, 1 << 30);
    assert!(stored_bytes(&*backend) < 100_000);
    assert_eq!(store.size(id).unwrap(), Some(1 << 30));
}

#[test]
fn many_megabytes_make_packs_of_bounded_size() {
    let (backend, store) = memory();
    let bytes = noise(3, 80 << 20);
    let id = put(&store, &bytes);
    let packs = backend.list(Room::Packs).unwrap();
    assert_eq!(packs.len(), 3);
    assert!(packs.iter().all(|(_, bytes)| *bytes < 36 << 20));
    assert_eq!(store.copy(id, &mut std::io::sink()).unwrap(), 80 << 20);
}

#[test]
fn structured_objects_come_back_and_are_found() {
    let (_, store) = memory();
    let mut writer = store.writer();
    let blob = writer.put_bytes(b"abc").unwrap();
    let node = Node::File { id: blob, size: 3, executable: true };
    let tree = Tree::new(vec![Entry { name: FileName::new("f").unwrap(), node }]).unwrap();
    let id = writer.put(&tree).unwrap();
    writer.finish().unwrap();
    assert_eq!(id, tree.id());
    assert_eq!(store.load::<Tree>(id).unwrap(), tree);
    assert_eq!(store.get::<Tree>(Tree::default().id()).unwrap(), None);
    assert!(matches!(store.load::<Tree>(Tree::default().id()), Err(ObjectsError::Missing { .. })));
    for object in [ObjectId::from(blob), ObjectId::from(id)] {
        let prefix = object.digest().to_string()[..10].parse().unwrap();
        assert_eq!(store.find(&prefix).unwrap(), [object]);
    }
    let absent = BlobId::of(b"absent").into();
    assert_eq!(store.lacking(&[id.into(), absent, blob.into()]).unwrap(), [absent]);
}

#[test]
fn bytes_that_are_not_the_object_are_refused() {
    let (_, store) = memory();
    let mut writer = store.writer();
    let large = noise(5, 3 << 20);
    let corrupt = |result| assert!(matches!(result, Err(ObjectsError::Corrupt { .. })));
    corrupt(writer.put_verified(BlobId::of(b"x").into(), &mut &b"y"[..]));
    corrupt(writer.put_verified(BlobId::of(b"x").into(), &mut large.as_slice()));
    corrupt(writer.put_verified(Tree::default().id().into(), &mut &b"y"[..]));
    let odd = ObjectId::new(Kind::Tree, Kind::Tree.digest(b"not a tree"));
    let refused = writer.put_verified(odd, &mut &b"not a tree"[..]);
    assert!(matches!(refused, Err(ObjectsError::Schema(_))));
    assert_eq!(
        writer.put_verified(BlobId::of(&large).into(), &mut large.as_slice()).unwrap(),
        3 << 20
    );
    writer.finish().unwrap();
    assert_eq!(store.list(Kind::Blob).unwrap(), [BlobId::of(&large).into()]);
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
}

#[test]
fn what_could_not_be_read_again_is_not_stored() {
    let (_, store) = memory();
    let mut run = samples::run();
    let mut writer = store.writer();
    for (variables, fits) in [(8_000_000, true), (8 << 20, false)] {
        run.outcome.unrecorded_variables.resize(variables, String::new());
        match writer.put(&run) {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && matches!(error, ObjectsError::Schema(_)), "{error}"),
        }
    }
    run.outcome.unrecorded_variables.truncate(8_000_000);
    writer.finish().unwrap();
    assert!(store.load::<lab_schema::Run>(run.id()).unwrap() == run);
}

#[test]
fn a_limit_is_kept_before_reading() {
    let (_, store) = memory();
    let id = put(&store, &noise(1, 3 << 20));
    let refused = store.read_blob(id, (3 << 20) - 1);
    assert!(matches!(refused, Err(ObjectsError::TooLarge { bytes: 3_145_728, .. })));
    let absent = store.read_blob(BlobId::of(b"absent"), 1);
    assert!(matches!(absent, Err(ObjectsError::Missing { .. })));
}

#[test]
fn a_source_that_fails_is_an_error_and_not_a_shorter_blob() {
    struct Failing(u32);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 20 {
                Err(std::io::ErrorKind::TimedOut.into())
            } else {
                Ok(buffer.len().min(100_000))
            }
        }
    }
    let (_, store) = memory();
    let failed = store.writer().put_blob(&mut Failing(0));
    assert!(matches!(failed, Err(ObjectsError::Stream { .. })));
    assert_eq!(store.list(Kind::Blob).unwrap(), []);
}

// proves L-06
#[test]
fn other_formats_and_other_folders_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(matches!(Folder::open(path), Err(ObjectsError::NotAStore { .. })));
    assert!(matches!(Folder::open(&path.join("absent")), Err(ObjectsError::NotAStore { .. })));
    let backend = Arc::new(Folder::create(path).unwrap());
    Store::create(backend.clone()).unwrap();
    Store::create(backend.clone()).unwrap();
    std::fs::write(path.join("format"), "lab store 3\n").unwrap();
    match Store::open(backend.clone()) {
        Err(ObjectsError::Newer { version: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    std::fs::write(path.join("format"), "lab store 1\n").unwrap();
    assert!(matches!(Store::open(backend.clone()), Err(ObjectsError::Older { .. })));
    std::fs::write(path.join("format"), "something else").unwrap();
    assert!(matches!(Store::open(backend), Err(ObjectsError::NotAStore { .. })));
}

#[test]
fn packs_that_come_and_go_are_noticed() {
    let backend = Arc::new(Memory::new());
    let (one, two) =
        (Store::create(backend.clone()).unwrap(), Store::open(backend.clone()).unwrap());
    let id = BlobId::of(b"x");
    assert!(!two.has(id).unwrap());
    put(&one, b"x");
    assert!(two.has(id).unwrap());
    for (key, _) in backend.list(Room::Packs).unwrap() {
        backend.remove(&key).unwrap();
    }
    assert!(two.open_object(id).unwrap().is_none());
    assert!(!two.has(id).unwrap());
    assert_eq!(two.packs().unwrap(), []);
    put(&two, b"x");
    assert_eq!(one.read_blob(id, 1).unwrap(), b"x");
}
