//! What nobody needs goes, after its time and not before; what somebody needs stays, whatever else
//! happens at the same time.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lab_objects::{
    Backend, Collector, Done, Expected, Fate, Folder, Key, Memory, Move, NameKind, ObjectsError,
    Plan, Room, Silent, Store, check,
};
use lab_schema::{BlobId, ContentId, Entry, FileName, Name, Object, ObjectId, Tree};

const STORE: &str = "LAB_TEST_STORE";

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Weights in the form of safetensors: one tensor of floats.
fn weights(seed: u64, change: f32) -> Vec<u8> {
    let count = 100_000;
    let head = format!(
        "{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{count}],\"data_offsets\":[0,{}]}}}}",
        count * 4
    );
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(head.as_bytes());
    let random = noise(seed, count * 2);
    for pair in random.chunks_exact(2) {
        let value = f32::from(u16::from_le_bytes([pair[0], pair[1]])) / 65536.0 - 0.5;
        bytes.extend_from_slice(&(value * (1.0 + change)).to_le_bytes());
    }
    bytes
}

fn put(store: &Store, contents: &[Vec<u8>]) -> Vec<ObjectId> {
    let mut writer = store.writer();
    let ids = contents.iter().map(|bytes| writer.put_bytes(bytes).unwrap().into()).collect();
    writer.finish().unwrap();
    ids
}

fn in_memory() -> (Arc<Memory>, Store) {
    let memory = Arc::new(Memory::new());
    let store = Store::create(memory.clone()).unwrap();
    (memory, store)
}

fn planned(store: &Store, keep: &[ObjectId]) -> (Collector, Plan) {
    let mut collector = Collector::begin(store, Duration::ZERO).unwrap();
    collector.keep(keep).unwrap();
    let plan = collector.plan().unwrap();
    (collector, plan)
}

fn collect(store: &Store, keep: &[ObjectId]) -> Done {
    let (collector, plan) = planned(store, keep);
    collector.carry_out(&plan, &Silent).unwrap()
}

fn fates(plan: &Plan, fate: &Fate) -> usize {
    plan.packs.iter().filter(|pack| pack.fate == *fate).count()
}

fn marks(backend: &dyn Backend) -> usize {
    backend.list(Room::Condemned).unwrap().len()
}

fn reads(store: &Store, id: ObjectId, bytes: &[u8]) {
    let ObjectId::Blob(blob) = id else { panic!("{id}") };
    assert!(store.read_blob(blob, 1 << 30).unwrap() == bytes, "{id}");
}

#[test]
fn a_dead_pack_is_marked_and_then_removed() {
    let (memory, store) = in_memory();
    let (kept, lost) = (noise(1, 300_000), noise(2, 300_000));
    let (a, b) =
        (put(&store, std::slice::from_ref(&kept))[0], put(&store, std::slice::from_ref(&lost))[0]);
    let done = collect(&store, &[a]);
    assert_eq!((done.condemned.0, done.removed.0), (1, 0));
    assert_eq!(marks(&*memory), 1);
    // Readers still have it; nobody relies on it.
    reads(&store, b, &lost);
    assert_eq!(store.lacking(&[a, b]).unwrap(), [b]);
    let done = collect(&store, &[a]);
    assert_eq!((done.condemned.0, done.removed.0), (0, 1));
    assert!(done.removed.1 > 300_000 && marks(&*memory) == 0);
    reads(&store, a, &kept);
    assert!(!store.has(b).unwrap());
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
    assert_eq!(collect(&store, &[a]), Done::default());
}

#[test]
fn chunks_that_are_shared_stay() {
    let (_, store) = in_memory();
    let start = noise(1, 1 << 20);
    let (one, two) =
        ([&start[..], &noise(2, 90_000)].concat(), [&start[..], &noise(3, 90_000)].concat());
    put(&store, &[one]);
    let two_id = put(&store, std::slice::from_ref(&two))[0];
    for _ in 0..4 {
        collect(&store, &[two_id]);
        reads(&store, two_id, &two);
    }
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
}

#[test]
fn what_a_difference_stands_on_stays_until_it_goes() {
    let (_, store) = in_memory();
    let (old, new) = (weights(5, 0.0), weights(5, 1e-4));
    let base = put(&store, std::slice::from_ref(&old))[0];
    let mut writer = store.writer();
    writer.set_bases(&[base.content().unwrap()]);
    let tuned: ObjectId = writer.put_bytes(&new).unwrap().into();
    writer.finish().unwrap();
    let (_, plan) = planned(&store, &[tuned]);
    assert!(plan.encodings[3].bytes > 100_000, "nothing is a difference: {:?}", plan.encodings);
    for _ in 0..4 {
        collect(&store, &[tuned]);
        reads(&store, tuned, &new);
    }
    assert_eq!(store.packs().unwrap().len(), 2);
    for _ in 0..2 {
        collect(&store, &[]);
    }
    assert_eq!(store.packs().unwrap(), []);
}

#[test]
fn nobody_writes_differences_to_what_goes() {
    let (_, store) = in_memory();
    let (old, new) = (weights(5, 0.0), weights(5, 1e-4));
    let base = put(&store, &[old])[0];
    collect(&store, &[]);
    let mut writer = store.writer();
    writer.set_bases(&[base.content().unwrap()]);
    let tuned: ObjectId = writer.put_bytes(&new).unwrap().into();
    writer.finish().unwrap();
    collect(&store, &[tuned]);
    assert!(!store.has(base).unwrap());
    reads(&store, tuned, &new);
}

#[test]
fn of_a_pack_that_is_hardly_needed_the_rest_moves() {
    let (_, store) = in_memory();
    // Small files share blocks; only some of them are needed.
    let all: Vec<Vec<u8>> = (0..400u64).map(|n| noise(n, 3000)).collect();
    let large = weights(9, 0.0);
    let ids = put(&store, &[&all[..], std::slice::from_ref(&large)].concat());
    let keep: Vec<ObjectId> = ids
        .iter()
        .enumerate()
        .filter(|(n, _)| n % 9 == 0 || *n == 400)
        .map(|(_, id)| *id)
        .collect();
    let reader = store.clone();
    let mut begun = reader.open_object(ids[400]).unwrap().unwrap();
    let done = collect(&store, &keep);
    assert_eq!((done.condemned.0, done.made.0), (1, 1), "{done:?}");
    assert!(done.made.1 * 2 < done.condemned.1, "{done:?}");
    assert_eq!(collect(&store, &keep).removed.0, 1);
    // A reader that had begun goes on.
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut begun, &mut bytes).unwrap();
    assert!(bytes == large);
    for (n, id) in ids.iter().enumerate() {
        match keep.contains(id) {
            true if n == 400 => reads(&store, *id, &large),
            true => reads(&store, *id, &all[n]),
            false => assert!(!store.has(*id).unwrap(), "{n}"),
        }
    }
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
    assert_eq!(collect(&store, &keep), Done::default());
}

#[test]
fn many_small_packs_become_one() {
    let (_, store) = in_memory();
    let all: Vec<Vec<u8>> = (0..12u64).map(|n| noise(n, 3000)).collect();
    let ids: Vec<ObjectId> =
        all.iter().map(|bytes| put(&store, std::slice::from_ref(bytes))[0]).collect();
    let done = collect(&store, &ids);
    assert_eq!((done.made.0, done.condemned.0), (1, 12));
    assert_eq!(collect(&store, &ids).removed.0, 12);
    assert_eq!(store.packs().unwrap().len(), 1);
    ids.iter().zip(&all).for_each(|(id, bytes)| reads(&store, *id, bytes));
    assert_eq!(collect(&store, &ids), Done::default());
}

#[test]
fn a_damaged_pack_is_not_copied_and_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let store = Store::create(Arc::new(Folder::create(&root).unwrap())).unwrap();
    let ids = put(&store, &(0..100u64).map(|n| noise(n, 9000)).collect::<Vec<_>>());
    let pack = files(&root, "packs")[0].clone();
    let mut bytes = fs::read(&pack).unwrap();
    bytes[100] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let store = open(&root);
    let done = collect(&store, &ids[..20]);
    assert_eq!((done.damaged.len(), done.condemned.0), (1, 0), "{done:?}");
    assert!(pack.exists());
}

#[test]
fn nothing_is_removed_while_a_pack_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let store = Store::create(Arc::new(Folder::create(&root).unwrap())).unwrap();
    put(&store, &[noise(1, 9000)]);
    let pack = files(&root, "packs")[0].clone();
    File::options().write(true).open(&pack).unwrap().set_len(5000).unwrap();
    let begun = Collector::begin(&open(&root), Duration::ZERO);
    assert!(matches!(begun, Err(ObjectsError::Damaged { .. })), "{begun:?}");
}

#[test]
fn what_is_young_stays_and_a_mark_takes_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let store = Store::create(Arc::new(Folder::create(&root).unwrap())).unwrap();
    put(&store, &[noise(1, 9000)]);
    let grace = Duration::from_secs(3600);
    let collect = || {
        let collector = Collector::begin(&store, grace).unwrap();
        let plan = collector.plan().unwrap();
        let done = collector.carry_out(&plan, &Silent).unwrap();
        (done.condemned.0, done.removed.0, plan.packs.into_iter().next().map(|p| p.fate))
    };
    assert!(matches!(collect(), (0, 0, Some(Fate::Stays(_)))));
    let age = |path: &Path, by: u64| {
        let when = SystemTime::now() - Duration::from_secs(by);
        File::options().write(true).open(path).unwrap().set_modified(when).unwrap();
    };
    age(&files(&root, "packs")[0], 3700);
    assert_eq!(collect(), (1, 0, Some(Fate::Condemned)));
    assert!(matches!(collect(), (0, 0, Some(Fate::Stays(_)))));
    age(&files(&root, "condemned")[0], 3500);
    assert!(matches!(collect(), (0, 0, Some(Fate::Stays(_)))));
    age(&files(&root, "condemned")[0], 3700);
    assert_eq!(collect(), (0, 1, Some(Fate::Removed)));
    assert!(files(&root, "packs").is_empty() && files(&root, "condemned").is_empty());
}

// proves L-29
#[test]
fn a_living_lease_protects_what_was_marked_after_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let store = Store::create(Arc::new(Folder::create(&root).unwrap())).unwrap();
    put(&store, &[noise(1, 9000)]);
    let lease = store.lease().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(collect(&store, &[]).condemned.0, 1);
    for _ in 0..2 {
        assert_eq!(collect(&store, &[]).removed.0, 0);
    }
    // One that began after the mark does not.
    std::thread::sleep(Duration::from_millis(20));
    let later = store.lease().unwrap();
    drop(lease);
    assert_eq!(collect(&store, &[]).removed.0, 1);
    drop(later);
    // What a dead process left protects nothing, and goes.
    put(&store, &[noise(2, 9000)]);
    fs::write(root.join("locks/lease-1-0123456789abcdef"), "process 1 on a host").unwrap();
    fs::write(root.join("locks/other"), "").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    collect(&store, &[]);
    assert_eq!(collect(&store, &[]).removed.0, 1);
    let left = files(&root, "locks");
    let left: Vec<_> = left.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(left, ["collector", "other"]);
}

#[test]
fn there_is_one_collector_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let store = Store::create(Arc::new(Folder::create(&root).unwrap())).unwrap();
    let first = Collector::begin(&store, Duration::ZERO).unwrap();
    let looks = Collector::look(&store, Duration::ZERO).unwrap();
    let plan = looks.plan().unwrap();
    assert!(looks.carry_out(&plan, &Silent).is_err());
    let waits = std::thread::spawn(move || drop(first));
    Collector::begin(&store, Duration::ZERO).unwrap();
    waits.join().unwrap();
}

#[test]
fn what_is_needed_again_loses_its_mark() {
    let (memory, store) = in_memory();
    let bytes = noise(1, 200_000);
    let id = put(&store, std::slice::from_ref(&bytes))[0];
    collect(&store, &[]);
    assert_eq!(marks(&*memory), 1);
    let (collector, plan) = planned(&store, &[id]);
    assert_eq!(fates(&plan, &Fate::Spared), 1);
    assert_eq!(collector.carry_out(&plan, &Silent).unwrap().spared, 1);
    assert_eq!(marks(&*memory), 0);
    collect(&store, &[id]);
    reads(&store, id, &bytes);
}

/// The same bytes give the same pack, and the same name; the pack that goes must not take the new one
/// with it.
// proves L-28
#[test]
fn what_is_stored_again_while_it_goes_survives() {
    let (_, store) = in_memory();
    let contents = [noise(1, 200_000), noise(2, 50)];
    let ids = put(&store, &contents);
    collect(&store, &[]);
    let again = store.clone();
    assert_eq!(put(&again, &contents), ids);
    assert_eq!(store.packs().unwrap().len(), 2);
    // A collector that had read the marks before does not know of the new pack's use.
    let done = collect(&store, &ids);
    assert_eq!(done.removed.0, 1, "{done:?}");
    ids.iter().zip(&contents).for_each(|(id, bytes)| reads(&store, *id, bytes));
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
}

#[test]
fn a_name_that_is_given_to_what_goes_stores_it_again() {
    let (_, store) = in_memory();
    let (small, large, tensors) = (noise(1, 50), noise(2, 400_000), weights(3, 0.0));
    let ids = put(&store, &[small.clone(), large.clone(), tensors.clone()]);
    let entry = |name: &str, id: &ObjectId, size: usize| Entry {
        name: FileName::new(name.as_bytes().to_vec()).unwrap(),
        node: lab_schema::tree::Node::File {
            id: BlobId::from_digest(id.digest()),
            size: size as u64,
            executable: false,
        },
    };
    let entries = vec![
        entry("a", &ids[0], small.len()),
        entry("b", &ids[1], large.len()),
        entry("c", &ids[2], tensors.len()),
    ];
    let tree = Tree::new(entries).unwrap();
    let mut writer = store.writer();
    writer.put(&tree).unwrap();
    writer.finish().unwrap();
    let tree: ObjectId = ContentId::Tree(tree.id()).into();
    // Only the parts go: the tree is kept, for once.
    collect(&store, &[tree]);
    let _lease = store.lease().unwrap();
    let moved = Move {
        target: Some(tree),
        kind: NameKind::Dataset,
        when_ms: 1,
        who: "ada".into(),
        why: String::new(),
    };
    store.names().set(&Name::new("n").unwrap(), Expected::Absent, moved).unwrap();
    // The lease is younger than the mark, so it does not protect the old pack.
    collect(&store, &[&ids[..], &[tree]].concat());
    let contents = [&small, &large, &tensors];
    ids.iter().zip(contents).for_each(|(id, bytes)| reads(&store, *id, bytes));
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
}

fn open(root: &Path) -> Store {
    Store::open(Arc::new(Folder::open(root).unwrap())).unwrap()
}

/// The files below a folder, sorted.
fn files(root: &Path, below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.join(below)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn contents() -> Vec<Vec<u8>> {
    (0..31u64).map(|n| noise(n, 3000)).chain([noise(99, 200_000)]).collect()
}

fn kept() -> Vec<ObjectId> {
    let contents = contents();
    let kept = contents.iter().enumerate().filter(|(n, _)| n % 5 == 0);
    kept.map(|(_, bytes)| BlobId::of(bytes).into()).collect()
}

/// The process that dies: collects twice, with a pack to remove, one to spare and one to repack.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn child() {
    let Some(root) = std::env::var_os(STORE) else { return };
    let store = open(Path::new(&root));
    for _ in 0..2 {
        collect(&store, &kept());
    }
    println!("done");
}

#[test]
fn a_collector_may_die_at_any_step() {
    let contents = contents();
    for step in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let store = Store::create(Arc::new(Folder::create(&root).unwrap())).unwrap();
        put(&store, &[noise(77, 5000)]);
        let spared = put(&store, &contents[5..6]);
        collect(&store, &[]);
        put(&store, &contents);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(STORE, &root)
            .env("LAB_CRASH_AT", step.to_string())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let ended = String::from_utf8(output.stdout).unwrap().contains("done");
        let store = open(&root);
        for (n, bytes) in contents.iter().enumerate().filter(|(n, _)| n % 5 == 0) {
            assert!(store.has(BlobId::of(bytes)).unwrap(), "step {step}, {n}");
            reads(&store, BlobId::of(bytes).into(), bytes);
        }
        assert!(store.has(spared[0]).unwrap());
        assert_eq!(check(&store, true, &Silent).unwrap().findings, [], "step {step}");
        // The next one ends what this one began.
        for _ in 0..3 {
            collect(&store, &kept());
        }
        assert_eq!(collect(&store, &kept()), Done::default(), "step {step}");
        let left = files(&root, "packs");
        assert!(left.iter().map(|p| p.metadata().unwrap().len()).sum::<u64>() < 60_000);
        assert!(files(&root, "condemned").is_empty());
        kept().iter().for_each(|id| assert!(store.has(*id).unwrap()));
        if ended {
            assert!(step > 15, "only {step} steps were tried");
            return;
        }
    }
}

#[test]
fn what_each_needs_alone_is_told_apart() {
    let (memory, store) = in_memory();
    let (a, b, both) = (noise(1, 90_000), noise(2, 50_000), noise(3, 30_000));
    let ids = put(&store, &[a, b, both]);
    let mut collector = Collector::look(&store, Duration::ZERO).unwrap();
    collector.keep(&[ids[0], ids[2]]).unwrap();
    collector.keep(&[ids[1], ids[2]]).unwrap();
    let plan = collector.plan().unwrap();
    let [one, two] = plan.shares[..] else { panic!("{plan:?}") };
    let about = |n: u64, wanted: u64| assert!(n.abs_diff(wanted) < 2000, "{n} is not {wanted}");
    about(one.stored, 120_000);
    about(one.alone, 90_000);
    about(two.stored, 80_000);
    about(two.alone, 50_000);
    assert_eq!(memory.list(Room::Condemned).unwrap(), []);
    let missing = BlobId::of(b"nowhere");
    assert!(matches!(collector.keep(&[missing.into()]), Err(ObjectsError::Missing { .. })));
    assert!(memory.publish(&Key::Condemned(plan.packs[0].pack), b"").is_ok());
}
