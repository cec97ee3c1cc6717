//! Whatever goes wrong on the way to a bucket, once or for good: what is there afterwards is sound, and the
//! next attempt finishes.
#![allow(clippy::unwrap_used)]

mod faulty;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faulty::{Conditions, Fault, Faulty, Plan, QUICK, bucket_with};
use lab_objects::{
    Backend, Expected, Key, Move, NameKind, ObjectsError, PackId, Result, Room, Silent, Store,
    check,
};
use lab_schema::{BlobId, Name};
use lab_web::{Bucket, Limits};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

const FAULTS: [Fault; 4] = [Fault::Busy, Fault::Lost, Fault::Liar, Fault::Torn];

fn wait<F: Future>(what: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
}

fn put(store: &Faulty, path: &str, bytes: impl Into<PutPayload>) {
    wait(store.inner().put(&Path::from(path), bytes.into())).unwrap();
}

fn noise(len: usize, seed: u8) -> Vec<u8> {
    let block = |n: u64| *BlobId::of(&[&n.to_le_bytes()[..], &[seed]].concat()).digest().as_bytes();
    (0..len as u64 / 32 + 1).flat_map(block).take(len).collect()
}

/// Nobody else is there to be waited for, but who died.
fn bucket(store: &Arc<Faulty>) -> Bucket {
    let [wait, hold, dead] = [20_000, 100, 300].map(Duration::from_millis);
    bucket_with(store, QUICK, Limits { wait, hold, dead })
}

/// Two packs, and a name that points into the second.
fn session(store: &Arc<Faulty>) -> Result<()> {
    let store = Store::create(Arc::new(bucket(store)))?;
    for seed in [1, 2] {
        let mut writer = store.writer();
        writer.put_bytes(&noise(90_000, seed))?;
        writer.finish()?;
    }
    let id = BlobId::of(&noise(90_000, 2));
    let name = Name::new("n").unwrap();
    let (who, why) = ("ana".to_owned(), "a test".to_owned());
    let to = Move { target: Some(id.into()), kind: NameKind::Dataset, when_ms: 5, who, why };
    match store.names().get(&name)? {
        None => store.names().set(&name, Expected::Absent, to),
        Some(there) => {
            assert_eq!(there, to);
            Ok(())
        }
    }
}

fn look(store: &Arc<Faulty>) -> Result<()> {
    let store = Store::open(Arc::new(bucket(store)))?;
    let name = Name::new("n").unwrap();
    assert!(store.names().get(&name)?.is_some());
    for seed in [1, 2] {
        let bytes = noise(90_000, seed);
        assert!(store.read_blob(BlobId::of(&bytes), u64::MAX)? == bytes);
    }
    let report = check(&store, true, &Silent)?;
    assert_eq!((report.findings, report.packs), (vec![], 2));
    Ok(())
}

/// What is there is sound, as far as anything is.
fn is_sound(store: &Arc<Faulty>) {
    let bucket = bucket(&store.other(Box::new(|_, _, _| None)));
    if bucket.read(&Key::Format).unwrap().is_none() {
        assert_eq!(bucket.list(Room::Packs).unwrap(), []);
        return;
    }
    let report = check(&Store::open(Arc::new(bucket)).unwrap(), true, &Silent).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn what_goes_wrong_once_is_done_again() {
    for conditions in [Conditions::Kept, Conditions::Ignored] {
        let counted = Faulty::new(conditions);
        session(&counted).unwrap();
        let questions = counted.asked();
        assert!(questions > 10, "{questions}");
        for fault in FAULTS {
            // Who does not answer the first question is not asked again.
            let first = u64::from(fault == Fault::Lost);
            for at in first..questions {
                let store =
                    Faulty::with(conditions, Box::new(move |n, _, _| (n == at).then_some(fault)));
                session(&store).unwrap_or_else(|e| panic!("{fault:?} at {at}: {e}"));
                let clear = store.other(Box::new(|_, _, _| None));
                look(&clear).unwrap();
                for at in first..clear.asked() {
                    let shaky = store.other(Box::new(move |n, _, _| (n == at).then_some(fault)));
                    if fault == FAULTS[at as usize % 4] {
                        look(&shaky).unwrap_or_else(|e| panic!("{fault:?} at {at}: {e}"));
                    }
                }
            }
        }
    }
}

#[test]
fn what_goes_wrong_for_good_leaves_nothing_wrong_and_can_be_finished() {
    for conditions in [Conditions::Kept, Conditions::Ignored] {
        let counted = Faulty::new(conditions);
        session(&counted).unwrap();
        for fault in [Fault::Busy, Fault::Torn, Fault::Liar] {
            for from in 0..counted.asked() {
                let plan: Plan = Box::new(move |n, _, _| (n >= from).then_some(fault));
                let store = Faulty::with(conditions, plan);
                let done = session(&store);
                assert!(fault != Fault::Busy || done.is_err() || from + 2 > counted.asked());
                is_sound(&store);
                // Another client, without waiting for tickets that were left behind.
                let clear = store.other(Box::new(|_, _, _| None));
                session(&clear).unwrap_or_else(|e| panic!("{fault:?} from {from}: {e}"));
                look(&clear).unwrap();
            }
        }
    }
}

#[test]
fn after_a_pack_that_could_not_be_stored_the_next_is_not_either() {
    let pack = |n: u8| Key::Pack(PackId::from_digest(BlobId::of(&[n]).digest()));
    let first = pack(1).path();
    let plan: Plan = Box::new(move |_, _, path| path.ends_with(&first).then_some(Fault::Busy));
    let store = Faulty::with(Conditions::Kept, plan);
    let bucket = bucket(&store);
    bucket.publish_soon(&pack(1), b"one").unwrap();
    bucket.publish_soon(&pack(2), b"made of one").unwrap();
    let third = bucket.publish_soon(&pack(3), &noise(9 << 20, 3));
    let error = third.and_then(|()| bucket.settle()).unwrap_err().to_string();
    assert!(error.contains("busy") && error.contains(&pack(1).path()), "{error}");
    bucket.settle().unwrap();
    assert_eq!(bucket.list(Room::Packs).unwrap(), []);

    // And what becomes of the last is told by who settles.
    bucket.publish_soon(&pack(2), b"two").unwrap();
    bucket.settle().unwrap();
    bucket.publish_soon(&pack(1), b"one").unwrap();
    bucket.settle().unwrap_err();
    bucket.settle().unwrap();
    assert_eq!(bucket.list(Room::Packs).unwrap(), [(pack(2), 3)]);
    bucket.publish_soon(&pack(2), b"other").unwrap();
    assert!(matches!(bucket.settle(), Err(ObjectsError::RefusedKey { .. })));
}

#[test]
fn packs_go_together_and_none_is_there_before_the_one_before_it() {
    let pack = |n: u8| Key::Pack(PackId::from_digest(BlobId::of(&[n]).digest()));
    let first = pack(1).path();
    let slow = move |_, what: &str, path: &str| {
        (what == "put" && path.ends_with(&first)).then_some(Fault::Slow(400, 0))
    };
    let store = Faulty::with(Conditions::Kept, Box::new(slow));
    let bucket = bucket(&store);
    let there = || bucket.list(Room::Packs).unwrap().into_iter().map(|(key, _)| key);
    bucket.publish_soon(&pack(1), b"one").unwrap();
    bucket.publish_soon(&pack(2), &noise(9 << 20, 2)).unwrap();
    let parts_of_second = || {
        let log = store.log.lock().unwrap();
        log.iter().any(|asked| asked.starts_with("multipart") && asked.ends_with(&pack(2).path()))
    };
    while !parts_of_second() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(there().count(), 0, "the second is on its way while the first is");
    // A third waits for the first.
    bucket.publish_soon(&pack(3), b"three").unwrap();
    assert!(there().any(|key| key == pack(1)));
    bucket.settle().unwrap();
    assert_eq!(there().count(), 3);
    assert!(bucket.read(&pack(2)).unwrap().unwrap() == noise(9 << 20, 2));

    // What stood behind one that fails is thrown away.
    let first = pack(4).path();
    let fifth = noise(9 << 20, 5);
    store.plan(Box::new(move |_, what, path| {
        let fails = what == "put" && path.ends_with(&first);
        fails.then(|| std::thread::sleep(Duration::from_millis(200))).map(|()| Fault::Busy)
    }));
    bucket.publish_soon(&pack(4), b"four").unwrap();
    bucket.publish_soon(&pack(5), &fifth).unwrap();
    let error = bucket.settle().unwrap_err().to_string();
    assert!(error.contains(&pack(4).path()), "{error}");
    bucket.look_again();
    assert_eq!((there().count(), store.aborted.load(Ordering::SeqCst)), (3, 1));
}

#[test]
fn a_large_pack_goes_in_parts_and_what_was_sent_of_one_that_failed_is_thrown_away() {
    let key = Key::Pack(PackId::from_digest(BlobId::of(b"large").digest()));
    let large = noise((64 << 20) + 12_345, 3);
    let plan: Plan = Box::new(|_, what, _| (what == "multipart").then_some(Fault::Lost));
    let store = Faulty::with(Conditions::Kept, plan);
    let bucket = bucket(&store);
    bucket.publish_soon(&key, &large).unwrap();
    bucket.settle().unwrap_err();
    assert_eq!(store.aborted.load(Ordering::SeqCst), 5);
    assert_eq!(bucket.list(Room::Packs).unwrap(), []);
    store.plan(Box::new(|n, what, _| (what == "multipart" && n < 2).then_some(Fault::Lost)));
    bucket.publish(&key, &large).unwrap();
    assert!(bucket.read(&key).unwrap().unwrap() == large);
    assert_eq!(store.aborted.load(Ordering::SeqCst), 6);
}

#[test]
fn files_of_others_are_ignored_and_what_is_too_large_is_not_read() {
    let store = Faulty::new(Conditions::Kept);
    let bucket = bucket(&store);
    bucket.publish(&Key::Format, b"lab store 2\n").unwrap();
    let id = BlobId::of(b"").digest();
    for path in [
        "lab/packs/README".to_owned(),
        format!("lab/packs/{id}.pack.tmp"),
        format!("lab/packs/below/{id}.pack"),
        format!("lab/packs/{id}.pack/x"),
        format!("labs/packs/{id}.pack"),
        format!("packs/{id}.pack"),
        "lab/names/with space".to_owned(),
        "lab/x".to_owned(),
    ] {
        put(&store, &path, "x");
    }
    assert_eq!(bucket.list(Room::Packs).unwrap(), []);
    assert_eq!(bucket.list(Room::Names).unwrap(), []);
    assert_eq!(bucket.list(Room::Root).unwrap(), [(Key::Format, 12)]);
    put(&store, "lab/format", vec![b'x'; 1025]);
    match bucket.read(&Key::Format) {
        Err(ObjectsError::Damaged { what, .. }) => assert_eq!(what, "s3://bucket/lab/format"),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.log.lock().unwrap().iter().filter(|l| l.starts_with("get")).count(), 1);
}

#[test]
fn nothing_else_may_be_where_a_store_is_made() {
    let store = Faulty::new(Conditions::Kept);
    put(&store, "labs/x", "x");
    assert!(bucket(&store).is_vacant().unwrap());
    put(&store, "lab/deep/below/x", "x");
    assert!(!bucket(&store).is_vacant().unwrap());
}
