//! A bucket on a server that people really use, named by LAB_TEST_BUCKET and the variables that go with it;
//! `tests/remotes/buckets` starts one and runs this.
#![allow(clippy::unwrap_used)]

#[path = "../../objects/tests/suite/mod.rs"]
mod suite;

use std::sync::Arc;

use lab_objects::{Backend, Key, ObjectsError, PackId, Room, unique};
use lab_schema::{BlobId, Name};
use lab_web::{Bucket, connect};

/// A place in the bucket where nothing is yet.
fn place() -> String {
    let at = std::env::var("LAB_TEST_BUCKET").expect("LAB_TEST_BUCKET names a bucket");
    format!("{at}/{}", unique())
}

fn at(place: &str) -> Bucket {
    connect(place, Box::new(|_| {})).unwrap()
}

fn fresh() -> suite::Tried<'static> {
    let place = place();
    suite::own(move || Arc::new(at(&place)))
}

/// All but how names move, which takes its time where it takes a lock, and is below.
#[test]
#[ignore = "takes a bucket: tests/remotes/buckets"]
fn it_does_what_backends_do() {
    suite::files_are_written_once(&fresh());
    suite::what_is_damaged_is_put_right(&fresh());
    suite::what_is_read_in_parts_is_what_is_there(&fresh());
    suite::what_is_published_soon_is_there_once_it_is_settled(&fresh());
    suite::a_store_works_on_it(&fresh());
}

#[test]
#[ignore = "takes a bucket: tests/remotes/buckets"]
fn a_large_pack_goes_in_parts() {
    let bucket = at(&place());
    let block = |n: u64| *BlobId::of(&n.to_le_bytes()).digest().as_bytes();
    let large: Vec<u8> = (0..(70 << 20) / 32).flat_map(block).collect();
    let key = Key::Pack(PackId::from_digest(BlobId::of(b"large").digest()));
    bucket.publish(&key, &large).unwrap();
    bucket.publish(&key, &large).unwrap();
    assert_eq!(bucket.list(Room::Packs).unwrap(), [(key.clone(), large.len() as u64)]);
    assert!(bucket.read(&key).unwrap().unwrap() == large);
    let refused = bucket.publish(&key, &large[1..]);
    assert!(matches!(refused, Err(ObjectsError::RefusedKey { .. })), "{refused:?}");
}

#[test]
#[ignore = "takes a bucket: tests/remotes/buckets"]
fn of_those_who_move_a_name_none_is_lost() {
    let place = place();
    let key = Key::Name(Name::new("n").unwrap());
    std::thread::scope(|scope| {
        for client in 0..4u8 {
            let (place, key) = (&place, &key);
            scope.spawn(move || {
                let bucket = at(place);
                for _ in 0..5 {
                    loop {
                        let there = bucket.read(key).unwrap();
                        let new = [there.clone().unwrap_or_default(), vec![client]].concat();
                        match bucket.swap(key, there.as_deref(), &new) {
                            Ok(true) => break,
                            // Others go first.
                            Ok(false) | Err(ObjectsError::Locked { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    let mut there = at(&place).read(&key).unwrap().unwrap();
    there.sort_unstable();
    assert_eq!(there, [0, 1, 2, 3].map(|client| [client; 5]).concat());
}
