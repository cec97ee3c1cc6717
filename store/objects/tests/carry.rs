//! Objects carried from one store to another: as they are encoded, verified, and nothing besides.
#![allow(clippy::unwrap_used)]

mod forge;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lab_objects::{
    Backend, CarryError, Folder, Memory, ObjectsError, Progress, Room, Silent, Store, add, check,
};
use lab_schema::tree::{Entry, Node};
use lab_schema::{BlobId, ContentId, FileName, Kind, ObjectId, Tree, TreeId};

fn new() -> (Arc<Memory>, Store) {
    let backend = Arc::new(Memory::new());
    (backend.clone(), Store::create(backend).unwrap())
}

fn stored(backend: &dyn Backend) -> u64 {
    backend.list(Room::Packs).unwrap().iter().map(|(_, bytes)| bytes).sum()
}

/// Bytes that no encoding makes smaller.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A safetensors file of one F32 tensor whose numbers are about as weights are.
fn weights(seed: u64, moved: f32) -> Vec<u8> {
    let count = 600_000;
    let number = |bytes: &[u8]| (f32::from(bytes[0]) + f32::from(bytes[1]) - 255.0) / 5e3;
    let (base, step) = (noise(1, 2 * count), noise(seed, 2 * count));
    let pairs = base.chunks(2).zip(step.chunks(2));
    let data: Vec<u8> =
        pairs.flat_map(|(b, s)| (number(b) + moved * number(s)).to_le_bytes()).collect();
    let head = format!(
        "{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{count}],\"data_offsets\":[0,{}]}}}}",
        data.len()
    );
    [&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &data].concat()
}

/// Adds bytes as a file, with bases.
fn put(store: &Store, bytes: &[u8], bases: &[ContentId]) -> BlobId {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    let mut writer = store.writer();
    writer.set_bases(bases);
    add(&mut writer, &path, &Silent).unwrap();
    writer.finish().unwrap();
    BlobId::of(bytes)
}

fn folder_of(store: &Store, files: &[(String, Vec<u8>)]) -> (TreeId, Vec<BlobId>) {
    let mut writer = store.writer();
    let mut entries = Vec::new();
    for (name, bytes) in files {
        let id = writer.put_bytes(bytes).unwrap();
        let node = Node::File { id, size: bytes.len() as u64, executable: false };
        entries.push(Entry { name: FileName::new(name.as_str()).unwrap(), node });
    }
    let tree = writer.put(&Tree::new(entries).unwrap()).unwrap();
    writer.finish().unwrap();
    (tree, files.iter().map(|(_, bytes)| BlobId::of(bytes)).collect())
}

/// Carries, and looks at all that is there then.
fn carry(from: &Store, to: &Store, ids: &[ObjectId]) -> u64 {
    let mut writer = to.writer();
    let planned = to.would_carry(from, ids).unwrap();
    let carried = writer.carry(from, ids, &Silent).unwrap();
    writer.finish().unwrap();
    assert_eq!(planned, carried);
    assert_eq!(check(to, true, &Silent).unwrap().findings, []);
    carried.stored
}

fn everything(store: &Store) -> BTreeSet<ObjectId> {
    Kind::ALL.into_iter().flat_map(|kind| store.list(kind).unwrap()).collect()
}

#[test]
fn small_files_go_with_their_blocks_and_without_their_neighbours() {
    let (from_backend, from) = new();
    let files: Vec<(String, Vec<u8>)> = (0..400)
        .map(|n| (format!("{n:04}"), format!("{n},{}\n", n * n % 17).repeat(200).into_bytes()))
        .collect();
    let (tree, blobs) = folder_of(&from, &files);
    let all: Vec<ObjectId> =
        blobs.iter().map(|id| ObjectId::from(*id)).chain([tree.into()]).collect();

    // All of them: about what they took at the source, block by block.
    let (backend, to) = new();
    let moved = carry(&from, &to, &all);
    assert!(moved <= stored(&*from_backend));
    assert!(stored(&*backend) < stored(&*from_backend) * 11 / 10 + 1000);
    assert_eq!(everything(&to), all.iter().copied().collect());
    for ((_, bytes), id) in files.iter().zip(&blobs) {
        assert_eq!(&to.read_blob(*id, 1 << 20).unwrap(), bytes);
    }

    // Every third: what lay beside them stays behind.
    let (backend, to) = new();
    let third: Vec<ObjectId> = blobs.iter().step_by(3).map(|id| (*id).into()).collect();
    carry(&from, &to, &third);
    assert_eq!(everything(&to), third.iter().copied().collect());
    assert!(stored(&*backend) < stored(&*from_backend) / 2);

    // The rest then, of the same blocks.
    carry(&from, &to, &all.iter().filter(|id| !third.contains(id)).copied().collect::<Vec<_>>());
    assert_eq!(everything(&to), all.iter().copied().collect());
}

/// What shares a block with what is carried may be nobody's business.
#[test]
fn not_a_byte_of_a_neighbour_goes_along() {
    let (_, from) = new();
    // They lie in one block, as they are, since nothing makes them smaller.
    let files: Vec<(String, Vec<u8>)> =
        (0..20).map(|n| (format!("{n:02}"), noise(n + 100, 3000))).collect();
    let (_, blobs) = folder_of(&from, &files);
    let (backend, to) = new();
    carry(&from, &to, &[blobs[3].into(), blobs[4].into(), blobs[9].into()]);
    let packs = backend.list(Room::Packs).unwrap();
    let bytes: Vec<u8> =
        packs.iter().flat_map(|(key, _)| backend.read(key).unwrap().unwrap()).collect();
    let is_there = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    for (n, (_, file)) in files.iter().enumerate() {
        assert_eq!(is_there(&file[1000..1016]), [3, 4, 9].contains(&n), "file {n}");
    }
}

#[test]
fn large_files_bring_only_the_chunks_that_are_lacking() {
    let (_, from) = new();
    // Enough chunks for nodes of lists.
    let mut bytes = noise(3, 48 << 20);
    let first = put(&from, &bytes, &[]);
    let (_, to) = new();
    carry(&from, &to, &[first.into()]);
    assert!(to.read_blob(first, u64::MAX).unwrap() == bytes);

    bytes.splice(20 << 20..20 << 20, *b"a few bytes more");
    let second = put(&from, &bytes, &[first.into()]);
    let moved = carry(&from, &to, &[second.into()]);
    assert!(moved < 1 << 20, "{moved}");
    assert!(to.read_blob(second, u64::MAX).unwrap() == bytes);
}

#[test]
fn differences_go_as_they_are_if_what_they_stand_on_is_there() {
    let (source, from) = new();
    let plain = put(&from, &weights(2, 0.0), &[]);
    let mut chain = vec![plain];
    for round in 0..4 {
        let tuned = weights(10 + round, 0.01);
        chain.push(put(&from, &tuned, &[(*chain.last().unwrap()).into()]));
    }
    let size = |ids: &[BlobId]| {
        let (backend, to) = new();
        let ids: Vec<ObjectId> = ids.iter().map(|id| (*id).into()).collect();
        carry(&from, &to, &ids);
        (stored(&*backend), to)
    };
    let (alone, _) = size(&chain[..1]);
    let alone_each: u64 = chain.iter().map(|id| size(&[*id]).0).sum();
    // Whichever order they are named in.
    let reversed: Vec<BlobId> = chain.iter().rev().copied().collect();
    for order in [&chain, &reversed] {
        let (all, to) = size(order);
        // As they are, or they would take more: each alone does.
        let there = stored(&*source);
        assert!(all < there * 101 / 100 && all < alone_each, "{all} of {there}, {alone_each}");
        for (round, id) in (0..).zip(&chain[1..]) {
            assert!(to.read_blob(*id, u64::MAX).unwrap() == weights(10 + round, 0.01));
        }
    }
    // Without what it stands on it is written anew, as floats are.
    let (last, to) = size(&chain[4..]);
    let (fresh, other) = new();
    put(&other, &weights(13, 0.01), &[]);
    assert!(last < stored(&*fresh) * 101 / 100, "{last}, and {alone} for the first");
    assert_eq!(everything(&to), BTreeSet::from([chain[4].into()]));
    assert!(to.read_blob(chain[4], u64::MAX).unwrap() == weights(13, 0.01));
    // And where the target has it, by whatever way it came there.
    let (backend, to) = new();
    put(&to, &weights(2, 0.0), &[]);
    let before = stored(&*backend);
    carry(&from, &to, &[chain[1].into()]);
    let grown = stored(&*backend) - before;
    let (whole, _) = size(&chain[1..2]);
    assert!(grown < whole * 95 / 100, "{grown}, and {whole} without what it stands on");
    assert!(to.read_blob(chain[1], u64::MAX).unwrap() == weights(10, 0.01));
}

/// The target has the chunk that a difference stands on, but as a longer chain than the difference
/// allows for.
#[test]
fn a_base_that_takes_too_many_differences_itself_is_none() {
    let (_, from) = new();
    let (a, b) = (weights(2, 0.0), weights(3, 0.01));
    let first = put(&from, &a, &[]);
    let second = put(&from, &b, &[first.into()]);
    // There `a` is a difference to something else.
    let (_, to) = new();
    let other = put(&to, &weights(4, 0.01), &[]);
    put(&to, &a, &[other.into()]);
    carry(&from, &to, &[second.into()]);
    assert!(to.read_blob(second, u64::MAX).unwrap() == b);
}

#[test]
fn what_is_damaged_in_one_place_is_taken_from_another() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Arc::new(Folder::create(&folder.path().join("store")).unwrap());
    let from = Store::create(backend.clone()).unwrap();
    let bytes = noise(5, 100_000);
    let id = put(&from, &bytes, &[]);
    let path = |n: usize| {
        let mut packs: Vec<_> = fs::read_dir(folder.path().join("store/packs")).unwrap().collect();
        packs.sort_by_key(|pack| pack.as_ref().unwrap().metadata().unwrap().modified().unwrap());
        packs.swap_remove(n).unwrap().path()
    };
    let first = path(0);
    // The same blob a second time, beside another, in another pack.
    let hidden = first.with_extension("hidden");
    fs::rename(&first, &hidden).unwrap();
    let second = Store::open(backend.clone()).unwrap();
    folder_of(&second, &[("a".into(), bytes.clone()), ("b".into(), noise(6, 1000))]);
    fs::rename(&hidden, &first).unwrap();
    let mut whole = fs::read(&first).unwrap();
    whole[5000] ^= 1;
    fs::write(&first, &whole).unwrap();

    let from = Store::open(backend.clone()).unwrap();
    from.has(id).unwrap();
    let (_, to) = new();
    carry(&from, &to, &[id.into()]);
    assert!(to.read_blob(id, u64::MAX).unwrap() == bytes);

    // Damaged everywhere: said, and nothing is kept.
    for pack in fs::read_dir(folder.path().join("store/packs")).unwrap() {
        let pack = pack.unwrap().path();
        let mut whole = fs::read(&pack).unwrap();
        whole[6000] ^= 1;
        fs::write(&pack, &whole).unwrap();
    }
    let from = Store::open(backend).unwrap();
    from.has(id).unwrap();
    let (_, to) = new();
    let mut writer = to.writer();
    match writer.carry(&from, &[id.into()], &Silent) {
        Err(CarryError::From { id: named, source }) => {
            assert!(matches!(*source, ObjectsError::Damaged { .. }), "{source:?}");
            assert_eq!(named, id.into());
        }
        other => panic!("{other:?}"),
    }
    writer.finish().unwrap();
    assert!(everything(&to).is_empty());
}

/// A source whose tables are right and whose bytes are not those that they name.
#[test]
fn bytes_under_a_wrong_name_are_not_kept() {
    let good = b"what it says".to_vec();
    let id = BlobId::of(&good);
    let (forged, _) =
        forge::store([forge::plain_pack(&[(forge::BLOB, id.digest(), b"something else")])]);
    assert!(forged.has(id).unwrap());
    let (_, to) = new();
    let mut writer = to.writer();
    let carried = writer.carry(&forged, &[id.into()], &Silent);
    assert!(matches!(carried, Err(CarryError::From { .. })), "{carried:?}");
    writer.finish().unwrap();
    assert!(everything(&to).is_empty());
}

#[test]
fn progress_tells_every_stored_byte() {
    #[derive(Default)]
    struct Count([AtomicU64; 2]);
    impl Progress for Count {
        fn begin(&self, _: &str, total: Option<u64>) {
            self.0[0].fetch_add(total.unwrap(), Ordering::Relaxed);
        }
        fn advance(&self, bytes: u64) {
            self.0[1].fetch_add(bytes, Ordering::Relaxed);
        }
    }
    let (_, from) = new();
    let id = put(&from, &noise(9, 30 << 20), &[]);
    let (_, to) = new();
    let count = Count::default();
    let mut writer = to.writer();
    let carried = writer.carry(&from, &[id.into()], &count).unwrap();
    writer.finish().unwrap();
    let [total, done] = count.0.map(AtomicU64::into_inner);
    assert!(total >= 30 << 20 && total == done && total == carried.stored, "{total}, {done}");
}
