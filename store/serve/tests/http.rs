//! A store behind a server: that it works, and that it breaks off anywhere on the way.
#![allow(clippy::unwrap_used)]

#[path = "../../remote/tests/common/mod.rs"]
mod common;
mod kit;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{POLITE, base, everything, lineage, memory, name, pipeline, set, target};
use kit::{Fate, Proxy, QUICK, Relay, Running, Way, connect, url};
use lab_objects::{Backend, Key, Memory, Silent, Store, check};
use lab_remote::{Exchange, RemoteError, pull, push};
use lab_schema::Base;
use lab_web::{Patience, Web, WebError};

fn send(local: &Store, remote: &Store, what: &[&str]) -> lab_remote::Result<Exchange> {
    let what: Vec<Base> = what.iter().map(|text| base(text)).collect();
    push(local, &lineage(local), remote, &what, POLITE, &Silent)
}

fn fetch(local: &Store, remote: &Store, what: &[&str]) -> lab_remote::Result<Exchange> {
    let what: Vec<Base> = what.iter().map(|text| base(text)).collect();
    pull(local, remote, &what, POLITE, &Silent)
}

fn sound(store: &Store) {
    assert_eq!(check(store, true, &Silent).unwrap().findings, []);
}

/// Bytes that no encoding makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn what_is_pushed_by_http_can_be_pulled_by_others() {
    for way in [Way::Clear, Way::Trickle] {
        let server = Running::new("");
        let (ada, grace) = (memory(), memory());
        let p = pipeline(&ada);
        set(&ada, "base", p.train);
        let mut writer = ada.writer();
        // More than one pack.
        let size = if matches!(way, Way::Clear) { 80 << 20 } else { 100_000 };
        let large = writer.put_bytes(&noise(size)).unwrap();
        writer.finish().unwrap();
        set(&ada, "large", large);

        let proxy = Proxy::to(server.address, way);
        let remote = server.store(proxy.address).unwrap();
        let lease = remote.lease().unwrap();
        let pushed = send(&ada, &remote, &["base", "large"]).unwrap();
        drop(lease);
        assert!(pushed.names.iter().all(|step| step.moves()));
        let there = Store::open(server.backend.clone()).unwrap();
        sound(&there);
        assert_eq!(target(&there, "base"), Some(p.train.into()));

        let remote = server.store(proxy.address).unwrap();
        let pulled = fetch(&grace, &remote, &["base", "large"]).unwrap();
        assert_eq!(pulled.transfer.objects, pushed.transfer.objects);
        assert_eq!(everything(&grace), everything(&there));
        assert!(grace.read_blob(large, u64::MAX).unwrap() == noise(size));
        sound(&grace);
        for again in [send(&ada, &remote, &["base"]), fetch(&grace, &remote, &["base"])] {
            assert_eq!(again.unwrap().transfer.objects, 0);
        }
    }
}

#[test]
fn a_store_is_made_for_who_asks_for_it() {
    let server = Running::new("");
    let come =
        |make| Web::connect(&server.url(), make, QUICK, Box::new(|_| {})).map(|(_, made)| made);
    assert!(matches!(come(false), Err(WebError::NotAStore)));
    assert!(come(true).unwrap());
    // It is there once it says what it is.
    assert!(matches!(come(false), Err(WebError::NotAStore)));
    Store::create(connect(&server.url()).unwrap().1).unwrap();
    assert!(!come(true).unwrap());
}

/// How many bytes go each way when nothing happens.
fn lengths(run: impl Fn(std::net::SocketAddr), server: &Running) -> [i64; 2] {
    let proxy = Proxy::to(server.address, Way::Clear);
    run(proxy.address);
    proxy.carried.each_ref().map(|sum| sum.load(Ordering::Relaxed))
}

fn cuts(most: i64) -> impl Iterator<Item = i64> {
    let every = std::env::var_os("LAB_EVERY_BYTE").is_some();
    (0..most).filter(move |n| every || *n % 97 == 0 || most - n < 20)
}

#[test]
fn a_push_that_breaks_off_at_any_byte_goes_on() {
    let local = memory();
    let p = pipeline(&local);
    set(&local, "base", p.train);
    let push_by = |address, server: &Running| -> Result<(), String> {
        let remote = server.store(address).map_err(|error| error.to_string())?;
        let lease = remote.lease().map_err(|error| error.to_string())?;
        send(&local, &remote, &["base"]).map_err(|error| error.to_string())?;
        drop(lease);
        Ok(())
    };
    let [there, back] = {
        let server = Running::new("");
        lengths(|address| push_by(address, &server).unwrap(), &server)
    };
    assert!(there > 2000 && back > 500, "{there}, {back}");
    let mut gave_up = 0;
    for (most, way) in [(there, Way::CutThere as fn(i64) -> Way), (back, Way::CutBack)] {
        for cut in cuts(most) {
            let server = Running::new("");
            let proxy = Proxy::to(server.address, way(cut));
            if let Err(error) = push_by(proxy.address, &server) {
                gave_up += 1;
                assert!(!error.contains(&server.token), "{error}");
                push_by(proxy.address, &server).unwrap();
            }
            let there = Store::open(server.backend.clone()).unwrap();
            assert_eq!(target(&there, "base"), Some(p.train.into()), "{:?}", way(cut));
            assert_eq!(there.names().journal(&name("base")).unwrap().len(), 1, "{:?}", way(cut));
            sound(&there);
        }
    }
    assert_eq!(gave_up, 0, "it asks again by itself");
}

#[test]
fn a_pull_that_breaks_off_at_any_byte_goes_on() {
    let server = Running::new("");
    let there = Store::create(server.backend.clone()).unwrap();
    let p = pipeline(&there);
    set(&there, "base", p.train);
    let pull_by = |address| {
        let local = memory();
        let remote = server.store(address).unwrap();
        fetch(&local, &remote, &["base"]).unwrap();
        assert_eq!(target(&local, "base"), Some(p.train.into()));
        sound(&local);
    };
    let [up, back] = lengths(pull_by, &server);
    for (most, way) in [(up, Way::CutThere as fn(i64) -> Way), (back, Way::CutBack)] {
        for cut in cuts(most) {
            pull_by(Proxy::to(server.address, way(cut)).address);
        }
    }
}

#[test]
fn whoever_goes_silent_or_answers_something_else_is_asked_again() {
    let server = Running::new("");
    let there = Store::create(server.backend.clone()).unwrap();
    let p = pipeline(&there);
    set(&there, "base", p.train);
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    let often = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    let broken = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 10\r\n\r\nshort";
    let junk = "SSH-2.0-OpenSSH_9.9\r\n";
    for way in [
        Way::Silent(100),
        Way::Silent(3000),
        Way::Twice,
        Way::Said(0, busy),
        Way::Said(0, often),
        Way::Said(1, often),
        Way::Said(0, broken),
        Way::Said(0, junk),
        Way::Said(1, ""),
    ] {
        let start = Instant::now();
        let local = memory();
        let proxy = Proxy::to(server.address, way);
        let remote = server.store(proxy.address).unwrap();
        fetch(&local, &remote, &["base"]).unwrap();
        assert_eq!(target(&local, "base"), Some(p.train.into()), "{way:?}");
        sound(&local);
        assert!(start.elapsed() < Duration::from_secs(20), "{way:?}");
    }
}

#[test]
fn whatever_happens_to_answers_what_is_pushed_and_pulled_comes_through() {
    for fate in [Fate::Broken(3), Fate::Lost(6), Fate::Doubled(2), Fate::Late(15), Fate::Crossed(2)]
    {
        let server = Running::new("");
        let relay = Relay::to(server.address, fate);
        let patience = Patience {
            silence: Duration::from_millis(400),
            thought: Duration::from_secs(1),
            tries: 8,
            ..QUICK
        };
        let come = || {
            let url = url(relay.address, &server.token);
            let (web, made) = Web::connect(&url, true, patience, Box::new(|_| {})).unwrap();
            let open = if made { Store::create } else { Store::open };
            open(Arc::new(web)).unwrap()
        };
        come();
        std::thread::scope(|scope| {
            for n in 0..6 {
                let come = &come;
                scope.spawn(move || {
                    let (here, name) = (memory(), format!("name-{n}"));
                    let p = pipeline(&here);
                    let data = common::blob(&here, &format!("data of {n}")).into();
                    let run = common::run(&here, &name, data, p.clean.into());
                    set(&here, &name, run);
                    send(&here, &come(), &[&name]).unwrap();
                    let elsewhere = memory();
                    fetch(&elsewhere, &come(), &[&name]).unwrap();
                    assert_eq!(target(&elsewhere, &name), Some(run.into()));
                    sound(&elsewhere);
                });
            }
        });
        let there = Store::open(server.backend.clone()).unwrap();
        sound(&there);
        for n in 0..6 {
            let moves = there.names().journal(&name(&format!("name-{n}"))).unwrap();
            assert_eq!(moves.len(), 1, "{fate:?}");
        }
        let bent = relay.seen.bent.load(Ordering::Relaxed);
        assert!(bent > 5, "{fate:?}: {bent}");
    }
}

#[test]
fn who_does_not_answer_is_given_up_in_words() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let error = connect(&url(silent.local_addr().unwrap(), "x")).unwrap_err();
    assert!(error.to_string().contains("nothing moved for 2 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30));
    let closed = silent.local_addr().unwrap();
    drop(silent);
    let start = Instant::now();
    let error = connect(&url(closed, "x")).unwrap_err();
    assert!(matches!(error, WebError::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2), "it is not tried twice");
}

#[test]
fn a_pull_takes_a_handful_of_ways_and_a_push_of_nothing_fewer() {
    let counts = |others: usize| {
        let server = Running::new("");
        let there = Store::create(server.backend.clone()).unwrap();
        for n in 0..others {
            common::run(
                &there,
                &format!("other {n}"),
                common::blob(&there, &format!("data {n}")).into(),
                common::blob(&there, &format!("result {n}")).into(),
            );
        }
        let p = pipeline(&there);
        set(&there, "base", p.train);
        let late = Duration::from_millis(25);
        let proxy = Proxy::to(server.address, Way::Late(late));
        let local = memory();
        let start = Instant::now();
        let remote = server.store(proxy.address).unwrap();
        fetch(&local, &remote, &["base"]).unwrap();
        sound(&local);
        let pulled = start.elapsed().as_secs_f64() / 0.05;
        let ends = tempfile::tempdir().unwrap();
        remote.keep_ends(ends.path());
        let again = || {
            let start = Instant::now();
            let remote = server.store(proxy.address).unwrap();
            remote.keep_ends(ends.path());
            let lease = remote.lease().unwrap();
            assert_eq!(send(&local, &remote, &["base"]).unwrap().transfer.objects, 0);
            drop(lease);
            start.elapsed().as_secs_f64() / 0.05
        };
        again();
        (pulled, again())
    };
    let (few, many) = (counts(1), counts(40));
    assert!(few.0 < 16.0 && many.0 < 24.0, "{few:?}, {many:?}");
    assert!(few.1 < 9.0 && many.1 < 9.0, "{few:?}, {many:?}");
}

#[test]
fn of_packs_that_are_sent_together_none_is_seen_without_the_one_before() {
    // A quota that lets the first pack in and not the second: the third must not be there either.
    let server = Running::new("[default]\nquota-bytes = 40000000\n");
    let local = memory();
    let mut writer = local.writer();
    let large = writer.put_bytes(&noise(120 << 20)).unwrap();
    writer.finish().unwrap();
    set(&local, "large", large);
    let remote = server.store(server.address).unwrap();
    let error = send(&local, &remote, &["large"]).unwrap_err();
    assert!(matches!(error, RemoteError::Store { .. }), "{error:?}");
    assert!(error.to_string().contains("quota"), "{error}");
    let there = Store::open(server.backend.clone()).unwrap();
    assert_eq!(there.packs().unwrap().len(), 1);
    assert!(!there.has(large).unwrap());
    assert_eq!(target(&there, "large"), None);
    let report = check(&there, true, &Silent).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn a_name_does_not_go_to_what_was_collected_meanwhile() {
    let server = Running::new("");
    let remote = server.store(server.address).unwrap();
    let id = common::blob(&remote, "gone");
    set(&remote, "a", common::blob(&remote, "stays"));
    // A journal that is right; and then, behind the server's back, what it points at goes.
    let backend = Arc::new(Memory::new());
    let other = Store::create(backend.clone()).unwrap();
    set(&other, "b", common::blob(&other, "gone"));
    let journal = backend.read(&Key::Name(name("b"))).unwrap().unwrap();
    let store = Store::open(server.backend.clone()).unwrap();
    let holds = |pack: &_| store.pack_objects(*pack).unwrap().contains(&id.into());
    let pack = store.packs().unwrap().into_iter().find(|pack| holds(pack)).unwrap();
    assert!(server.backend.remove(&Key::Pack(pack)).unwrap());
    let (web, _) = Web::connect(&server.url(), false, QUICK, Box::new(|_| {})).unwrap();
    assert!(web.swap(&Key::Name(name("b")), None, &journal).is_err());
    assert_eq!(server.backend.read(&Key::Name(name("b"))).unwrap(), None);
}

#[test]
fn a_name_does_not_go_to_what_lacks_a_part() {
    let server = Running::new("");
    let (local, remote) = (memory(), server.store(server.address).unwrap());
    let file = common::blob(&local, "a file");
    let tree = common::tree(&local, &[("file", file.into())]);
    set(&local, "tree", tree);
    let journal = local.names().journal(&name("tree")).unwrap();
    // A client that sends the directory and not the file in it.
    let mut writer = remote.writer();
    let found: lab_schema::Tree = local.load(tree).unwrap();
    writer.put(&found).unwrap();
    writer.finish().unwrap();
    let moved =
        remote.names().set(&name("tree"), lab_objects::Expected::Absent, journal[0].clone());
    let error = moved.unwrap_err().to_string();
    assert!(error.contains("is not in the store"), "{error}");
    let there = Store::open(server.backend.clone()).unwrap();
    assert_eq!(target(&there, "tree"), None);
    common::blob(&remote, "a file");
    remote.names().set(&name("tree"), lab_objects::Expected::Absent, journal[0].clone()).unwrap();
    assert_eq!(target(&there, "tree"), Some(tree.into()));
}
