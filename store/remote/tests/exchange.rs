//! Push, pull and clone between two stores, one of which may be moved, damaged or gone.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{
    FORCED, Faulty, Mood, POLITE, base, blob, everything, lineage, memory, name, pipeline, set,
    store, target,
};
use lab_lineage::closure;
use lab_objects::{Expected, Folder, Move, NameKind, Progress, Silent, Store, check};
use lab_remote::{Exchange, RemoteError, Result, Side, plan_pull, plan_push, pull, push};
use lab_schema::{Base, BlobId, IdPrefix, ObjectId};

fn send(local: &Store, remote: &Store, what: &[&str]) -> Result<Exchange> {
    let what: Vec<Base> = what.iter().map(|text| base(text)).collect();
    push(local, &lineage(local), remote, &what, POLITE, &Silent)
}

fn fetch(local: &Store, remote: &Store, what: &[&str]) -> Result<Exchange> {
    let what: Vec<Base> = what.iter().map(|text| base(text)).collect();
    pull(local, remote, &what, POLITE, &Silent)
}

#[test]
fn what_is_pushed_can_be_pulled_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let (ada, grace) = (memory(), memory());
    let remote = store(Arc::new(Folder::create(&folder.path().join("remote")).unwrap()));
    let p = pipeline(&ada);
    set(&ada, "base", p.train);

    let pushed = send(&ada, &remote, &["base"]).unwrap();
    let exact = closure(&ada, &lineage(&ada), &[p.train.into()]).unwrap();
    assert_eq!(pushed.transfer.objects, exact.objects.len() as u64);
    assert_eq!((pushed.transfer.bytes, pushed.transfer.already_there), (exact.bytes, 0));
    assert_eq!(pushed.targets, [p.train.into()]);
    assert!(pushed.names[0].moves() && pushed.names[0].before.is_none());
    let there: BTreeSet<ObjectId> = everything(&remote).into_iter().collect();
    assert_eq!(there, exact.objects.iter().copied().collect());
    let moved = remote.names().get(&name("base")).unwrap().unwrap();
    assert_eq!((moved.who.as_str(), moved.why.as_str(), moved.when_ms), ("grace", "because", 99));
    assert_eq!(moved.kind, NameKind::Result);

    let pulled = fetch(&grace, &remote, &["base"]).unwrap();
    assert_eq!(pulled.transfer, pushed.transfer);
    assert_eq!(everything(&grace), everything(&remote));
    assert_eq!(target(&grace, "base"), Some(p.train.into()));
    assert!(check(&grace, true, &Silent).unwrap().findings.is_empty());

    // Again: nothing moves, in either direction.
    // What the name keeps is not asked for, but the earlier run is, with its data and what was attested of it.
    let asked_for = pushed.transfer.objects;
    let again =
        [(send(&ada, &remote, &["base"]), 11), (fetch(&grace, &remote, &["base"]), asked_for)];
    for (again, asked_for) in again {
        let again = again.unwrap();
        assert_eq!((again.transfer.objects, again.transfer.bytes), (0, 0));
        assert_eq!(again.transfer.already_there, asked_for);
        assert!(!again.names[0].moves());
    }
    assert_eq!(remote.names().journal(&name("base")).unwrap().len(), 1);
}

#[test]
fn only_what_is_lacking_is_copied() {
    let (local, remote) = (memory(), memory());
    let p = pipeline(&local);
    set(&local, "data", p.raw);
    set(&local, "base", p.train);
    let data = send(&local, &remote, &["data"]).unwrap();
    let all = send(&local, &remote, &["base"]).unwrap();
    assert_eq!(data.transfer.objects, 4);
    assert_eq!(all.transfer.already_there, 4);
}

#[test]
fn progress_counts_every_byte() {
    #[derive(Default)]
    struct Count(AtomicU64, AtomicU64);
    impl Progress for Count {
        fn begin(&self, _: &str, total: Option<u64>) {
            self.0.fetch_add(total.unwrap_or(0), Ordering::Relaxed);
        }
        fn advance(&self, bytes: u64) {
            self.1.fetch_add(bytes, Ordering::Relaxed);
        }
    }
    let (local, remote, count) = (memory(), memory(), Count::default());
    set(&local, "base", pipeline(&local).train);
    let done = push(&local, &lineage(&local), &remote, &[base("base")], POLITE, &count).unwrap();
    assert!(done.transfer.stored > 0);
    assert_eq!(count.0.into_inner(), done.transfer.stored);
    assert_eq!(count.1.into_inner(), done.transfer.stored);
}

#[test]
fn a_plan_tells_what_would_happen_and_does_nothing() {
    let (local, remote) = (memory(), memory());
    set(&local, "base", pipeline(&local).train);
    let known = lineage(&local);
    let plan = plan_push(&local, &known, &remote, &[base("base")], POLITE).unwrap();
    assert!(everything(&remote).is_empty() && target(&remote, "base").is_none());
    // By what it is, that is told of plans only.
    let told = |plan: Exchange| Exchange { groups: Vec::new(), ..plan };
    assert_eq!(send(&local, &remote, &["base"]).unwrap(), told(plan));

    let other = memory();
    let plan = plan_pull(&other, &remote, &[base("base")], POLITE, &Silent).unwrap();
    assert!(everything(&other).is_empty() && target(&other, "base").is_none());
    assert_eq!(fetch(&other, &remote, &["base"]).unwrap(), told(plan));

    // A plan is refused where the deed would be.
    set(&remote, "base", blob(&remote, "else"));
    let refused = plan_push(&local, &known, &remote, &[base("base")], POLITE);
    assert!(matches!(refused, Err(RemoteError::NameMoved { .. })));
}

#[test]
fn a_name_that_somebody_moved_is_not_overwritten() {
    let (ada, grace, remote) = (memory(), memory(), memory());
    set(&ada, "base", blob(&ada, "one"));
    send(&ada, &remote, &["base"]).unwrap();
    fetch(&grace, &remote, &["base"]).unwrap();
    let two = blob(&grace, "two");
    set(&grace, "base", two);
    send(&grace, &remote, &["base"]).unwrap();

    let three = blob(&ada, "three");
    set(&ada, "base", three);
    match send(&ada, &remote, &["base"]) {
        Err(RemoteError::NameMoved { name: n, remote_target, who, when_ms }) => {
            assert_eq!((n, remote_target), (name("base"), Some(two.into())));
            assert_eq!((who.as_str(), when_ms), ("grace", 99));
        }
        other => panic!("{other:?}"),
    }
    assert!(!remote.has(three).unwrap(), "refused before anything is copied");

    let known = lineage(&ada);
    let forced = push(&ada, &known, &remote, &[base("base")], FORCED, &Silent).unwrap();
    assert_eq!(forced.names[0].before, Some(two.into()));
    assert_eq!(target(&remote, "base"), Some(three.into()));
    assert_eq!(remote.names().journal(&name("base")).unwrap().len(), 3, "nothing is forgotten");
}

#[test]
fn a_name_goes_forward_from_wherever_it_was_known_to_be() {
    let (local, remote) = (memory(), memory());
    for text in ["one", "two", "three"] {
        set(&local, "base", blob(&local, text));
        if text != "two" {
            send(&local, &remote, &["base"]).unwrap();
        }
    }
    assert_eq!(target(&remote, "base"), Some(BlobId::of(b"three").into()));
}

#[test]
fn pull_does_not_lose_work_under_the_same_name() {
    let (local, remote) = (memory(), memory());
    set(&remote, "base", blob(&remote, "one"));
    fetch(&local, &remote, &["base"]).unwrap();
    set(&remote, "base", blob(&remote, "two"));
    fetch(&local, &remote, &["base"]).unwrap();
    assert_eq!(target(&local, "base"), Some(BlobId::of(b"two").into()));

    let mine = blob(&local, "mine");
    set(&local, "base", mine);
    match fetch(&local, &remote, &["base"]) {
        Err(RemoteError::NameDiffers { local_target, remote_target, .. }) => {
            assert_eq!(local_target, Some(mine.into()));
            assert_eq!(remote_target, BlobId::of(b"two").into());
        }
        other => panic!("{other:?}"),
    }
    pull(&local, &remote, &[base("base")], FORCED, &Silent).unwrap();
    assert_eq!(target(&local, "base"), Some(BlobId::of(b"two").into()));
}

#[test]
fn hashes_and_versions_move_no_name() {
    let (local, remote) = (memory(), memory());
    let (one, two) = (blob(&local, "one"), blob(&local, "two"));
    set(&local, "base", one);
    set(&local, "base", two);
    let sent = send(&local, &remote, &["base@v1", &two.to_string()[..10]]).unwrap();
    assert_eq!((sent.targets, sent.names), (vec![one.into(), two.into()], vec![]));
    assert!(remote.names().list().unwrap().is_empty());
    let other = memory();
    let got = fetch(&other, &remote, &[&one.to_string()]).unwrap();
    assert_eq!((got.transfer.objects, got.names), (1, vec![]));
}

#[test]
fn what_is_not_there_or_not_clear_is_said() {
    let (local, remote) = (memory(), memory());
    set(&remote, "here", blob(&remote, "x"));
    for what in ["absent", "here@v9", "abad1dea"] {
        match fetch(&local, &remote, &[what]) {
            Err(RemoteError::NotFound { side: Side::Remote, what: named }) => {
                assert_eq!(named, what);
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    // Among some hundred blobs two start with the same two bytes.
    let mut writer = remote.writer();
    let mut ids: Vec<BlobId> =
        (0..1000).map(|n| writer.put_bytes(format!("{n}").as_bytes()).unwrap()).collect();
    writer.finish().unwrap();
    ids.sort();
    let same = |pair: &&[BlobId]| pair[0].to_string()[..4] == pair[1].to_string()[..4];
    let pair = ids.windows(2).find(same).unwrap();
    let prefix: IdPrefix = pair[0].to_string()[..4].parse().unwrap();
    match pull(&local, &remote, &[Base::Prefix(prefix)], POLITE, &Silent) {
        Err(RemoteError::Ambiguous { candidates, .. }) => {
            assert!(candidates.contains(&pair[0].into()) && candidates.contains(&pair[1].into()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clone_has_every_name() {
    let (local, remote) = (memory(), memory());
    let p = pipeline(&remote);
    set(&remote, "base", p.train);
    set(&remote, "mnist", p.raw);
    set(&remote, "gone", p.model);
    let gone =
        Move { target: None, kind: NameKind::Result, when_ms: 8, who: "".into(), why: "".into() };
    remote.names().set(&name("gone"), Expected::Anything, gone).unwrap();
    let all: Vec<Base> =
        remote.names().list().unwrap().into_iter().map(|(n, _)| Base::Name(n)).collect();
    let cloned = pull(&local, &remote, &all, POLITE, &Silent).unwrap();
    assert_eq!(cloned.names.len(), 2);
    let names: Vec<_> = local.names().list().unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, [name("base"), name("mnist")]);
    assert_eq!(target(&local, "base"), Some(p.train.into()));
    assert!(!local.has(p.bystander).unwrap());
    assert_eq!(pull(&memory(), &memory(), &[], POLITE, &Silent).unwrap(), Exchange::default());
}

/// Several push different things under one name at once: one wins, the others are told by whom.
fn race(remote: &Store, round: usize) {
    let results: Vec<Result<Exchange>> = std::thread::scope(|scope| {
        let push_one = |who: usize| {
            move || {
                let local = memory();
                set(&local, "base", blob(&local, &format!("{round} by {who}")));
                send(&local, remote, &["base"])
            }
        };
        let threads: Vec<_> = (0..4).map(|who| scope.spawn(push_one(who))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let won: Vec<_> = results.iter().flatten().collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert_eq!(target(remote, "base"), Some(won[0].targets[0]));
    for lost in results.iter().filter_map(|r| r.as_ref().err()) {
        assert!(
            matches!(lost, RemoteError::NameMoved { remote_target: Some(target), who, .. }
                if *target == won[0].targets[0] && who == "grace"),
            "{lost:?}"
        );
    }
}

#[test]
fn of_several_pushes_at_once_one_wins() {
    for round in 0..20 {
        race(&memory(), round);
    }
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let path = folder.path().join(round.to_string());
        race(&store(Arc::new(Folder::create(&path).unwrap())), round);
    }
}

/// Pushing the same thing twice at once is not a conflict.
#[test]
fn pushes_that_agree_both_succeed() {
    for _ in 0..20 {
        let remote = memory();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let local = memory();
                    set(&local, "base", blob(&local, "the same"));
                    send(&local, &remote, &["base"]).unwrap();
                });
            }
        });
        assert_eq!(remote.names().journal(&name("base")).unwrap().len(), 1);
    }
}

#[test]
fn a_read_only_remote_says_so() {
    let (local, backend) = (memory(), Faulty::new());
    let remote = store(backend.clone());
    set(&local, "base", pipeline(&local).train);
    backend.becomes(Mood::ReadOnly);
    let error = send(&local, &remote, &["base"]).unwrap_err();
    assert!(matches!(error, RemoteError::Store { side: Side::Remote, .. }), "{error:?}");
    assert!(error.to_string().starts_with("the remote: cannot publish"), "{error}");
    // Reading from it is no problem.
    backend.becomes(Mood::Well);
    send(&local, &remote, &["base"]).unwrap();
    backend.becomes(Mood::ReadOnly);
    fetch(&memory(), &remote, &["base"]).unwrap();
}

/// Names come last: where they fail, all objects are there, and no name points at half of them.
#[test]
fn names_come_last() {
    let (local, backend) = (memory(), Faulty::new());
    let remote = store(backend.clone());
    let p = pipeline(&local);
    set(&local, "base", p.train);
    backend.becomes(Mood::NamesReadOnly);
    send(&local, &remote, &["base"]).unwrap_err();
    assert!(remote.has(p.train).unwrap() && target(&remote, "base").is_none());
    backend.becomes(Mood::Well);
    let rest = send(&local, &remote, &["base"]).unwrap();
    assert_eq!((rest.transfer.objects, rest.names[0].moves()), (0, true));
}

/// The remote vanishes after every possible number of calls. Whatever was reached by then, a name
/// never points at what is not whole, and the next attempt completes it.
#[test]
fn a_remote_that_vanishes_leaves_nothing_half_done() {
    let local = memory();
    let p = pipeline(&local);
    set(&local, "base", p.train);
    let mut calls = 0;
    loop {
        let backend = Faulty::new();
        let remote = store(backend.clone());
        backend.becomes(Mood::GoneAfter(calls));
        let first = send(&local, &remote, &["base"]);
        backend.becomes(Mood::Well);
        let remote = Store::open(backend).unwrap();
        if target(&remote, "base").is_some() {
            closure(&remote, &lineage(&remote), &[p.train.into()]).unwrap();
        }
        if first.is_ok() {
            break;
        }
        let error = first.unwrap_err();
        assert!(matches!(error, RemoteError::Store { side: Side::Remote, .. }), "{error:?}");
        send(&local, &remote, &["base"]).unwrap();
        assert_eq!(target(&remote, "base"), Some(p.train.into()));
        calls += 1;
    }
    assert!(calls > 3);
}

#[test]
fn a_damaged_remote_is_named_and_nothing_wrong_is_kept() {
    let whole = memory();
    let p = pipeline(&whole);
    for victim in closure(&whole, &lineage(&whole), &[p.train.into()]).unwrap().objects {
        let (backend, local) = (Faulty::new(), memory());
        let remote = store(backend.clone());
        assert_eq!(pipeline(&remote).train, p.train);
        set(&remote, "base", p.train);
        backend.damages(victim, &remote);
        match fetch(&local, &remote, &["base"]) {
            Err(RemoteError::Damaged { side: Side::Remote, id, .. }) => assert_eq!(id, victim),
            // What only the history needs cannot be followed, and that is said.
            Ok(pulled) => {
                assert!(
                    [p.prepare.into(), p.attested.into()].contains(&victim)
                        || matches!(victim, ObjectId::Tree(_))
                );
                assert_eq!(pulled.skipped.len(), 1);
                assert_eq!(pulled.skipped[0].what, lab_lineage::Unread::Object(victim));
            }
            other => panic!("{victim}: {other:?}"),
        }
        assert!(!local.has(victim).unwrap());
        let report = check(&local, true, &Silent).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

/// Bytes that no encoding makes smaller, the same every time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A large file turns out to be damaged in its middle, when part of it has gone over.
#[test]
fn a_file_that_is_damaged_in_the_middle_is_not_kept() {
    let (backend, local) = (Faulty::new(), memory());
    let remote = store(backend.clone());
    let small = blob(&remote, "small");
    let mut writer = remote.writer();
    let large = writer.put_bytes(&noise(6 << 20)).unwrap();
    writer.finish().unwrap();
    let what = |id: BlobId| id.to_string();
    backend.damages_range(1 << 20..2 << 20);
    match fetch(&local, &remote, &[&what(small), &what(large)]) {
        Err(RemoteError::Damaged { side: Side::Remote, id, .. }) => assert_eq!(id, large.into()),
        other => panic!("{other:?}"),
    }
    assert!(!local.has(large).unwrap());
    assert!(local.has(small).unwrap(), "what went before it stays");
    assert!(check(&local, true, &Silent).unwrap().findings.is_empty());

    backend.damages_range(0..0);
    let rest = fetch(&local, &remote, &[&what(small), &what(large)]).unwrap();
    assert_eq!((rest.transfer.objects, rest.transfer.already_there), (1, 1));
    assert_eq!(local.read_blob(large, u64::MAX).unwrap(), noise(6 << 20));
}

/// What is recorded and damaged counts as there; repairing looks at it, and stores it again.
#[test]
fn repairing_mends_what_is_damaged_on_the_receiving_side() {
    const REPAIR: lab_remote::Options<'_> = lab_remote::Options { repair: true, ..POLITE };
    for pulls in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(Arc::new(Folder::open(folder.path()).unwrap())).unwrap();
        let (sound, bad) = (memory(), store(Arc::new(Folder::create(folder.path()).unwrap())));
        let mut writer = sound.writer();
        let large = writer.put_bytes(&noise(6 << 20)).unwrap();
        writer.finish().unwrap();
        let what = [base(&large.to_string())];
        let exchange = |taker: &Store, options| match pulls {
            true => pull(taker, &sound, &what, options, &Silent),
            false => push(&sound, &lineage(&sound), taker, &what, options, &Silent),
        };
        exchange(&bad, POLITE).unwrap();
        let pack = bad.packs().unwrap()[0].to_string();
        let path = folder.path().join(format!("packs/{pack}.pack"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3 << 20] ^= 1;
        std::fs::write(&path, bytes).unwrap();

        assert_eq!(exchange(&open(), POLITE).unwrap().transfer.objects, 0);
        open().read_blob(large, u64::MAX).unwrap_err();
        let repaired = exchange(&open(), REPAIR).unwrap().transfer;
        assert_eq!((repaired.objects, repaired.bytes), (1, 6 << 20));
        assert_eq!(open().read_blob(large, u64::MAX).unwrap(), noise(6 << 20));
        // Only the frame that was damaged was stored again.
        assert_eq!(open().packs().unwrap().len(), 2);
        // And what is sound is not stored a third time.
        exchange(&open(), REPAIR).unwrap();
        assert_eq!(open().packs().unwrap().len(), 2);
    }
}
