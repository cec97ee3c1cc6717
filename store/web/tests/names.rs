//! Names in a bucket move as if one after the other, whatever the bucket knows of conditions, and whoever
//! dies, is slow, or does not hear an answer.
#![allow(clippy::unwrap_used)]

mod faulty;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use faulty::{Conditions, Fault, Faulty, Plan, QUICK, SHORT, bucket, bucket_with};
use futures_util::StreamExt;
use lab_objects::{Backend, Key, ObjectsError};
use lab_schema::Name;
use lab_web::Limits;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

const ALL: [Conditions; 4] =
    [Conditions::Kept, Conditions::Ignored, Conditions::Half, Conditions::Refused];

fn name(text: &str) -> Key {
    Key::Name(Name::new(text).unwrap())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Waits for what an object store does outside of a bucket.
fn wait<F: Future>(what: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
}

/// The files of a bucket whose paths hold this.
fn files(store: &Faulty, part: &str) -> Vec<String> {
    let all: Vec<_> = wait(store.inner().list(None).collect());
    let paths = all.into_iter().map(|there| there.unwrap().location.to_string());
    paths.filter(|path| path.contains(part)).collect()
}

/// Numbers that look drawn.
fn draw(state: &AtomicU64, below: u64) -> u64 {
    let mut x = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % below
}

/// Every question and every answer takes its time; of a hundred, `bad` go wrong.
fn shaky(seed: u64, bad: u64) -> Plan {
    let state = AtomicU64::new(seed);
    Box::new(move |_, what, _| match draw(&state, 100) {
        n if n < bad => Some(Fault::Busy),
        n if n < 2 * bad => Some(Fault::Liar),
        // An answer that does not come costs a lock its time, so there are few.
        n if n == 99 && bad > 0 && what != "put" => Some(Fault::Lost),
        _ => Some(Fault::Slow(draw(&state, 4), draw(&state, 4))),
    })
}

/// Clients that each append their own words to one name, until each of them is in.
fn append(conditions: Conditions, bad: u64, clients: u64, words: u64) {
    let store = Faulty::new(conditions);
    let key = name("n");
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (store, key) = (&store, &key);
            scope.spawn(move || {
                let seed = client * 1_000 + bad;
                let bucket = bucket(&store.other(shaky(seed, bad)));
                for word in 0..words {
                    let word = format!("{client}.{word};").into_bytes();
                    loop {
                        // What goes wrong too often in a row is an error, and nothing is known then.
                        let Ok(there) = bucket.read(key) else { continue };
                        if there.as_ref().is_some_and(|there| holds(there, &word)) {
                            break;
                        }
                        let new = [there.clone().unwrap_or_default(), word.clone()].concat();
                        match bucket.swap(key, there.as_deref(), &new) {
                            Ok(true) => {
                                let now = loop {
                                    if let Ok(now) = bucket.read(key) {
                                        break now.unwrap();
                                    }
                                };
                                assert!(now.starts_with(&new), "it was moved, and is lost");
                                break;
                            }
                            Ok(false) => {}
                            Err(error) => assert!(bad > 0, "{error}"),
                        }
                    }
                }
            });
        }
    });
    let there = wait(async {
        let got = store.inner().get(&Path::from("lab/names/n")).await.unwrap();
        got.bytes().await.unwrap()
    });
    let text = String::from_utf8(there.to_vec()).unwrap();
    let mut words_there: Vec<&str> = text.split_terminator(';').collect();
    assert_eq!(words_there.len() as u64, clients * words, "{conditions:?}");
    words_there.sort_unstable();
    words_there.dedup();
    assert_eq!(words_there.len() as u64, clients * words, "{conditions:?}");
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|there| there == word)
}

#[test]
fn of_many_that_move_a_name_none_is_lost() {
    for conditions in ALL {
        append(conditions, 0, 8, 6);
    }
}

#[test]
fn none_is_lost_either_when_much_goes_wrong() {
    for conditions in [Conditions::Kept, Conditions::Ignored] {
        append(conditions, 6, 5, 5);
    }
}

#[test]
fn whether_conditions_are_kept_is_tried_once_and_only_for_who_moves_a_name() {
    for conditions in ALL {
        let store = Faulty::new(conditions);
        let bucket = bucket(&store);
        assert_eq!(bucket.read(&name("n")).unwrap(), None);
        let probes = || store.log.lock().unwrap().iter().filter(|l| l.contains("probe")).count();
        assert_eq!(probes(), 0);
        assert!(bucket.swap(&name("n"), None, b"1").unwrap());
        let first = probes();
        assert!(first > 0);
        assert!(bucket.swap(&name("n"), Some(b"1"), b"2").unwrap());
        assert_eq!(probes(), first);
        let tickets = store.log.lock().unwrap().iter().filter(|l| l.contains("name-n")).count();
        assert_eq!(tickets > 0, conditions != Conditions::Kept, "{conditions:?}");
        assert_eq!(files(&store, "locks"), Vec::<String>::new(), "{conditions:?}");
    }
}

#[test]
fn what_goes_wrong_while_conditions_are_tried_changes_nothing() {
    for conditions in ALL {
        for fault in [Fault::Busy, Fault::Lost, Fault::Liar] {
            for at in 1..5 {
                let plan: Plan = Box::new(move |n, _, _| (n == at).then_some(fault));
                let store = Faulty::with(conditions, plan);
                let bucket = bucket(&store);
                assert_eq!(bucket.read(&name("n")).unwrap(), None);
                assert!(bucket.swap(&name("n"), None, b"1").unwrap());
                let locked = store.log.lock().unwrap().iter().any(|l| l.contains("name-n"));
                assert_eq!(locked, conditions != Conditions::Kept, "{conditions:?} {fault:?} {at}");
            }
        }
    }
}

#[test]
fn a_name_that_got_there_has_got_there_whatever_is_answered() {
    for conditions in ALL {
        for fault in [Fault::Busy, Fault::Lost, Fault::Liar] {
            let tries = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&tries);
            let plan: Plan = Box::new(move |_, what, path| {
                let ours = what == "put" && path.ends_with("names/n");
                (ours && counted.fetch_add(1, Ordering::SeqCst) == 0).then_some(fault)
            });
            let store = Faulty::with(conditions, plan);
            let bucket = bucket(&store);
            assert!(bucket.swap(&name("n"), None, b"1").unwrap(), "{conditions:?} {fault:?}");
            assert_eq!(bucket.read(&name("n")).unwrap().unwrap(), b"1");
            let puts = tries.load(Ordering::SeqCst);
            assert_eq!(puts, if fault == Fault::Busy { 2 } else { 1 }, "{conditions:?} {fault:?}");
        }
    }
}

const TICKET: &str = "lab/locks/name-n/00000000000000000000000000000000";

fn leave_ticket(store: &Faulty) {
    let text = "process 7 on elsewhere\n";
    wait(store.inner().put(&Path::from(TICKET), text.into())).unwrap();
}

#[test]
fn who_holds_a_name_is_said_and_who_died_does_not_hold_it_for_long() {
    let store = Faulty::new(Conditions::Ignored);
    leave_ticket(&store);
    let limits = Limits { wait: ms(100), dead: ms(1_500), hold: ms(600) };
    let impatient = bucket_with(&store, QUICK, limits);
    match impatient.swap(&name("n"), None, b"1") {
        Err(ObjectsError::Locked { path, holder }) => {
            assert_eq!(path.to_str().unwrap(), "s3://bucket/lab/locks/name-n");
            assert!(holder.starts_with("process 7 on elsewhere for 0 s"), "{holder}");
        }
        other => panic!("{other:?}"),
    }
    // It leaves nothing of its own.
    assert_eq!(files(&store, "locks/name-n"), [TICKET]);
    assert_eq!(files(&store, "names"), Vec::<String>::new());
    // Other names are free.
    assert!(impatient.swap(&name("m"), None, b"1").unwrap());
    let begun = Instant::now();
    let patient = bucket_with(&store, QUICK, Limits { wait: ms(20_000), ..limits });
    assert!(patient.swap(&name("n"), None, b"1").unwrap());
    assert!(begun.elapsed() > ms(1_000) && begun.elapsed() < ms(10_000), "{:?}", begun.elapsed());
    assert_eq!(files(&store, "locks"), Vec::<String>::new());
}

#[test]
fn who_is_slow_does_not_undo_what_others_did_meanwhile() {
    let store = Faulty::new(Conditions::Ignored);
    let limits = Limits { wait: ms(20_000), hold: ms(300), dead: ms(900) };
    let slow_once = Arc::new(AtomicU64::new(0));
    let plan: Plan = Box::new(move |_, what, path| {
        // It is alone inside, and has read the name; then it is stopped for a while.
        let read = what == "get" && path.ends_with("names/n");
        let first = read && slow_once.fetch_add(1, Ordering::SeqCst) == 0;
        first.then_some(Fault::Slow(0, 2_500))
    });
    let slow = bucket_with(&store.other(plan), QUICK, limits);
    let quick = bucket_with(&store, QUICK, limits);
    std::thread::scope(|scope| {
        let slow = scope.spawn(move || slow.swap(&name("n"), None, b"slow").unwrap());
        while files(&store, "locks/name-n").is_empty() {
            std::thread::sleep(ms(5));
        }
        assert!(quick.swap(&name("n"), None, b"quick").unwrap());
        assert!(!slow.is_finished(), "the test is too slow to show anything");
        assert!(!slow.join().unwrap());
    });
    assert_eq!(quick.read(&name("n")).unwrap().unwrap(), b"quick");
}

/// A request that was not answered may be carried out later: nobody else may be inside until then.
#[test]
fn after_a_lost_answer_the_ticket_stays() {
    let store = Faulty::new(Conditions::Ignored);
    let plan: Plan = Box::new(|_, what, path| {
        (what == "put" && path.ends_with("names/n")).then_some(Fault::Lost)
    });
    let limits = Limits { wait: ms(100), ..SHORT };
    let deaf = bucket_with(&store.other(plan), QUICK, limits);
    assert!(deaf.swap(&name("n"), None, b"1").unwrap());
    assert_eq!(files(&store, "locks/name-n").len(), 1);
    let other = bucket_with(&store, QUICK, limits);
    let kept_out = other.swap(&name("n"), Some(b"1"), b"2");
    assert!(matches!(kept_out, Err(ObjectsError::Locked { .. })), "{kept_out:?}");
}

#[test]
fn clients_that_die_inside_keep_nobody_out_for_good() {
    let store = Faulty::new(Conditions::Ignored);
    let limits = Limits { wait: ms(30_000), hold: ms(400), dead: ms(1_000) };
    std::thread::scope(|scope| {
        for client in 0..6u64 {
            let store = &store;
            scope.spawn(move || {
                // The first of them lose all connections for good once they are inside.
                let plan: Plan = Box::new(move |_, what, path| {
                    let dies = client < 3 && (what == "delete" || path.ends_with("names/n"));
                    dies.then_some(Fault::Busy)
                });
                let bucket = bucket_with(&store.other(plan), QUICK, limits);
                if client < 3 {
                    assert!(bucket.swap(&name("n"), None, b"x").is_err());
                    return;
                }
                loop {
                    let there = bucket.read(&name("n")).unwrap();
                    let new =
                        [there.clone().unwrap_or_default(), vec![b'0' + client as u8]].concat();
                    if bucket.swap(&name("n"), there.as_deref(), &new).unwrap() {
                        break;
                    }
                }
            });
        }
    });
    let mut there = bucket(&store).read(&name("n")).unwrap().unwrap();
    there.sort_unstable();
    assert_eq!(there, b"345");
}
