//! A store at the other end of a connection: that it works, that it breaks off at any byte, and that
//! either end is not what it should be.
#![allow(clippy::unwrap_used)]

mod common;
mod wire;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{POLITE, base, everything, lineage, memory, name, pipeline, set, target};
use lab_objects::{Backend, Key, Memory, PackId, Room, Silent, Store, check};
use lab_remote::{Dial, Ends, Exchange, Far, Patience, RemoteError, Result, Side, pull, push};
use lab_schema::{Base, Digest};
use wire::{QUICK, Way, Wire, ends};

fn send(local: &Store, remote: &Store, what: &[&str]) -> Result<Exchange> {
    let what: Vec<Base> = what.iter().map(|text| base(text)).collect();
    push(local, &lineage(local), remote, &what, POLITE, &Silent)
}

fn fetch(local: &Store, remote: &Store, what: &[&str]) -> Result<Exchange> {
    let what: Vec<Base> = what.iter().map(|text| base(text)).collect();
    pull(local, remote, &what, POLITE, &Silent)
}

fn sound(store: &Store) {
    let report = check(store, true, &Silent).unwrap();
    assert_eq!(report.findings, []);
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
fn what_is_pushed_over_a_connection_can_be_pulled_over_another() {
    for way in [Way::Clear, Way::Trickle] {
        let backend = Arc::new(Memory::new());
        let (ada, grace) = (memory(), memory());
        let p = pipeline(&ada);
        set(&ada, "base", p.train);
        // More than one message, and more than one pack.
        let mut writer = ada.writer();
        let size = if matches!(way, Way::Clear) { 40 << 20 } else { 300_000 };
        let large = writer.put_bytes(&noise(size)).unwrap();
        writer.finish().unwrap();
        set(&ada, "large", large);

        let remote = Wire::new(&backend, &[way]).store().unwrap();
        let _lease = remote.lease().unwrap();
        let pushed = send(&ada, &remote, &["base", "large"]).unwrap();
        assert!(pushed.names.iter().all(|step| step.moves()));
        let there = Store::open(backend.clone()).unwrap();
        sound(&there);
        assert_eq!(target(&there, "base"), Some(p.train.into()));

        let remote = Wire::new(&backend, &[way]).store().unwrap();
        let pulled = fetch(&grace, &remote, &["base", "large"]).unwrap();
        assert_eq!(pulled.transfer.objects, pushed.transfer.objects);
        assert_eq!(everything(&grace), everything(&there));
        assert!(grace.read_blob(large, u64::MAX).unwrap() == noise(size));
        sound(&grace);
        // Again: nothing moves.
        for again in [send(&ada, &remote, &["base"]), fetch(&grace, &remote, &["base"])] {
            assert_eq!(again.unwrap().transfer.objects, 0);
        }
    }
}

/// How many bytes go each way when nothing happens.
fn lengths(run: &dyn Fn(Wire) -> Result<Exchange>, backend: &dyn Fn() -> Arc<Memory>) -> [i64; 2] {
    // Found by cutting ever later until a single connection is enough.
    let enough = |cut: &dyn Fn(i64) -> Way| {
        let (mut low, mut high) = (0, 1 << 22);
        while low < high {
            let middle = (low + high) / 2;
            let wire = Wire::new(&backend(), &[cut(middle)]);
            let dialled = Arc::clone(&wire.dialled);
            let done = run(wire);
            if done.is_ok() && dialled.load(Ordering::Relaxed) == 1 {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    };
    [enough(&Way::CutThere), enough(&Way::CutBack)]
}

/// Cuts the first connection after every so many bytes, in both directions.
fn cut_everywhere(
    run: &dyn Fn(Wire) -> Result<Exchange>,
    backend: &dyn Fn() -> Arc<Memory>,
    look: &dyn Fn(&Arc<Memory>),
) {
    let [there, back] = lengths(run, backend);
    assert!(there > 500 && back > 100, "{there}, {back}");
    let (mut failed, mut went_on) = (0, 0);
    // In a test of its own time, all of them.
    let every = std::env::var_os("LAB_EVERY_BYTE").is_some();
    for (most, cut) in [(there, Way::CutThere as fn(i64) -> Way), (back, Way::CutBack)] {
        // Every byte of the first messages, and then often enough to meet every message.
        for bytes in (0..most).filter(|n| every || *n < 150 || n % 31 == 0 || most - n < 60) {
            let memory = backend();
            let wire = Wire::new(&memory, &[cut(bytes)]);
            let dialled = Arc::clone(&wire.dialled);
            match run(wire) {
                Ok(_) => went_on += u32::from(dialled.load(Ordering::Relaxed) > 1),
                // Only before the greeting is over: then nobody tries again by itself.
                Err(error) => {
                    failed += 1;
                    assert!(matches!(error, RemoteError::Unreachable { .. }), "{error:?}");
                    assert_eq!(dialled.load(Ordering::Relaxed), 1, "{bytes}: {error}");
                    run(Wire::new(&memory, &[])).unwrap();
                }
            }
            look(&memory);
        }
    }
    assert!(failed > 5 && went_on > 50, "{failed} failed, {went_on} went on");
}

#[test]
fn a_push_that_breaks_off_at_any_byte_goes_on() {
    let local = memory();
    let p = pipeline(&local);
    set(&local, "base", p.train);
    cut_everywhere(
        &|wire| send(&local, &wire.store()?, &["base"]),
        &|| Arc::new(Memory::new()),
        &|backend| {
            let there = Store::open(backend.clone()).unwrap();
            assert_eq!(target(&there, "base"), Some(p.train.into()));
            // Asked twice or not, the name has moved once.
            assert_eq!(there.names().journal(&name("base")).unwrap().len(), 1);
            sound(&there);
        },
    );
}

#[test]
fn a_pull_that_breaks_off_at_any_byte_goes_on() {
    let source = Arc::new(Memory::new());
    let remote = Store::create(source.clone()).unwrap();
    let p = pipeline(&remote);
    set(&remote, "base", p.train);
    let local = Mutex::new(memory());
    cut_everywhere(
        &|wire| {
            let fresh = memory();
            let done = wire.store().and_then(|remote| fetch(&fresh, &remote, &["base"]));
            *local.lock().unwrap() = fresh;
            done
        },
        &|| Arc::clone(&source),
        &|_| {
            let local = local.lock().unwrap();
            assert_eq!(target(&local, "base"), Some(p.train.into()));
            sound(&local);
        },
    );
}

/// Lets each message that comes back by the first connection be lost, come twice, and come too late.
fn mangle_everywhere(
    run: &dyn Fn(Wire) -> Result<Exchange>,
    backend: &dyn Fn() -> Arc<Memory>,
    look: &dyn Fn(&Arc<Memory>),
) {
    // Whether it was done, and with how many connections.
    let mangle = |way: Way| {
        let memory = backend();
        let mut wire = Wire::new(&memory, &[way]);
        wire.patience.silence = Duration::from_millis(250);
        let dialled = Arc::clone(&wire.dialled);
        let done = run(wire);
        if let Err(error) = &done {
            assert!(matches!(error, RemoteError::Unreachable { .. }), "{way:?}: {error:?}");
            run(Wire::new(&memory, &[])).unwrap();
        }
        look(&memory);
        (done.is_ok(), dialled.load(Ordering::Relaxed))
    };
    // The first connection is not tried twice.
    assert_eq!(mangle(Way::Lost(0)), (false, 1));
    let messages = (1..).find(|n| mangle(Way::Lost(*n)) == (true, 1)).unwrap();
    assert!(messages > 10, "{messages}");
    let mut overtaken = 0;
    for n in 0..messages {
        let (done, dialled) = mangle(Way::Doubled(n));
        assert!(done && (dialled == 2 || n == messages - 1), "the {n}th twice: {dialled}");
        let (done, dialled) = mangle(Way::Overtaken(n));
        assert!(done, "the {n}th too late");
        overtaken += u32::from(dialled == 2);
    }
    assert!(overtaken > 1, "{overtaken}");
}

#[test]
fn a_push_whose_answers_are_mangled_goes_on() {
    let local = memory();
    let p = pipeline(&local);
    set(&local, "base", p.train);
    mangle_everywhere(
        &|wire| send(&local, &wire.store()?, &["base"]),
        &|| Arc::new(Memory::new()),
        &|backend| {
            let there = Store::open(backend.clone()).unwrap();
            assert_eq!(target(&there, "base"), Some(p.train.into()));
            // Asked twice or not, the name has moved once.
            assert_eq!(there.names().journal(&name("base")).unwrap().len(), 1);
            sound(&there);
        },
    );
}

#[test]
fn a_pull_whose_answers_are_mangled_goes_on() {
    let source = Arc::new(Memory::new());
    let remote = Store::create(source.clone()).unwrap();
    let p = pipeline(&remote);
    set(&remote, "base", p.train);
    let local = Mutex::new(memory());
    mangle_everywhere(
        &|wire| {
            let fresh = memory();
            let done = wire.store().and_then(|remote| fetch(&fresh, &remote, &["base"]));
            *local.lock().unwrap() = fresh;
            done
        },
        &|| Arc::clone(&source),
        &|_| {
            let local = local.lock().unwrap();
            assert_eq!(target(&local, "base"), Some(p.train.into()));
            sound(&local);
        },
    );
}

#[test]
fn what_breaks_every_time_is_given_up_in_words() {
    let backend = Arc::new(Memory::new());
    let local = memory();
    set(&local, "base", pipeline(&local).train);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let wire = Wire::new(&backend, &[Way::CutBack(45); 9]);
    let dialled = Arc::clone(&wire.dialled);
    let (far, made) = Far::connect(
        Box::new(wire),
        QUICK,
        true,
        Box::new(move |text| heard.lock().unwrap().push(text.to_owned())),
    )
    .unwrap();
    assert!(made);
    let remote = Store::open(Arc::new(far));
    let done = remote.map(|remote| send(&local, &remote, &["base"]).map(drop));
    assert!(!matches!(done, Ok(Ok(()))), "{done:?}");
    assert_eq!(dialled.load(Ordering::Relaxed), 4);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0], "wire: it broke off; trying again");
    // Nothing is half done.
    let there = Store::open(backend).unwrap();
    assert_eq!(target(&there, "base"), None);
    sound(&there);
    send(&local, &there, &["base"]).unwrap();
}

#[test]
fn a_connection_that_goes_silent_is_noticed() {
    let silence = Duration::from_millis(150);
    let patience = Patience { silence, tries: 1, pause: Duration::from_millis(1) };
    for ways in [&[Way::Silent(45), Way::Silent(45)][..], &[Way::Stuck]] {
        let wire = Wire::new(&Arc::new(Memory::new()), ways);
        let start = Instant::now();
        let connected = Far::connect(Box::new(wire), patience, true, Box::new(|_| {}));
        let error = match connected {
            Ok((far, _)) => Store::open(Arc::new(far)).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("nothing came for 0.15 s"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}

/// What is written into a connection that nobody reads from is not waited for for ever.
#[test]
fn an_upload_that_nobody_takes_is_noticed() {
    #[derive(Debug)]
    struct Deaf(Mutex<Vec<UnixStream>>);
    impl Dial for Deaf {
        fn dial(&self) -> io::Result<Ends> {
            let (near, mut far) = UnixStream::pair()?;
            let kept = far.try_clone()?;
            std::thread::spawn(move || {
                // It greets, and then neither reads nor answers.
                far.read_exact(&mut [0; 16]).unwrap();
                far.write_all(&message(0, 1, 6, &[1, 0, 1, 0, b'x', 0, 0])).unwrap();
            });
            self.0.lock().unwrap().push(kept);
            Ok(ends(near, Way::Clear))
        }
        fn location(&self) -> String {
            "deaf".into()
        }
    }
    let silence = Duration::from_millis(150);
    let patience = Patience { silence, tries: 0, pause: Duration::ZERO };
    let deaf = Box::new(Deaf(Mutex::default()));
    let (far, _) = Far::connect(deaf, patience, false, Box::new(|_| {})).unwrap();
    let key = Key::Pack(PackId::from_digest(Digest::from_bytes([1; 32])));
    let start = Instant::now();
    far.publish(&key, &noise(8 << 20)).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Sends bytes to a server, and gives what comes back and how it ended.
fn told(backend: &Arc<Memory>, bytes: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let wire = Wire::new(backend, &[]);
    let Ends { mut from, mut to, held } = wire.dial().unwrap();
    // It may have hung up already.
    let _ = to.write_all(bytes);
    let _ = to.flush();
    drop(to);
    // Half of it: the other half is still read from.
    let mut back = Vec::new();
    let server = wire.servers.lock().unwrap().pop().unwrap();
    let reader = std::thread::spawn(move || {
        let _ = from.read_to_end(&mut back);
        back
    });
    std::thread::sleep(Duration::from_millis(20));
    drop(held);
    (reader.join().unwrap(), server.join().unwrap())
}

/// The n-th message of who says it.
fn message(n: u32, number: u32, word: u8, body: &[u8]) -> Vec<u8> {
    let length = (9 + body.len()) as u32;
    let head = [length, n, number].map(u32::to_le_bytes).concat();
    [&head[..], &[word], body].concat()
}

#[test]
fn a_hostile_client_leaves_nothing() {
    let hello = message(0, 1, 1, &[1, 0, 1]);
    let pack = [&[1][..], &[7; 32]].concat();
    let publish = |bytes: u64| message(1, 2, 4, &[&pack[..], &bytes.to_le_bytes(), &[0]].concat());
    let swap = |name: &[u8], bytes: u64| {
        let length = (name.len() as u16).to_le_bytes();
        message(1, 2, 7, &[&[2][..], &length, name, &[0], &bytes.to_le_bytes()].concat())
    };
    let with_hello = |rest: &[u8]| [&hello[..], rest].concat();
    let cases: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![255; 4096],
        vec![0; 4096],
        message(0, 1, 6, &[]),
        with_hello(&message(1, 2, 5, b"a part of nothing")),
        with_hello(&[publish(4), message(2, 2, 5, b"12345")].concat()),
        with_hello(&[publish(4), message(2, 3, 5, b"1234")].concat()),
        with_hello(&[publish(4), message(2, 3, 6, &[])].concat()),
        // Not what it says.
        with_hello(&[publish(4), message(2, 2, 5, b"1234")].concat()),
        with_hello(&publish(0)),
        // More than there may be: nothing is allocated for it.
        with_hello(&[publish(u64::MAX), message(2, 2, 5, &[0; 9000])].concat()),
        // A format, a mark, a name that leads out, and journals that are none.
        with_hello(&message(1, 2, 4, &[&[0][..], &4u64.to_le_bytes(), &[0]].concat())),
        with_hello(&[swap(b"a/../../b", 1), message(2, 2, 5, b"x")].concat()),
        with_hello(&[swap(b"a", 1), message(2, 2, 5, b"x")].concat()),
        with_hello(&swap(b"a", 0)),
        with_hello(&message(1, 2, 99, &[])),
        with_hello(&message(1, 2, 2, &[1, 2, 3])),
        with_hello(&message(1, 2, 8, &[9])),
    ];
    for (n, case) in cases.iter().enumerate() {
        let backend = Arc::new(Memory::new());
        let (_, ended) = told(&backend, case);
        let store = Store::create(backend.clone()).unwrap();
        assert!(everything(&store).is_empty(), "case {n}");
        assert_eq!(backend.list(Room::Names).unwrap(), [], "case {n}");
        assert_eq!(backend.list(Room::Condemned).unwrap(), [], "case {n}");
        // It ended; whether as an error depends on what was said.
        drop(ended);
    }
}

/// Packs are sent without waiting for each other: what comes after one that could not be stored may
/// hold what is made of it, and must not be seen without it.
#[test]
fn nothing_is_stored_after_a_pack_that_could_not_be() {
    let source = Arc::new(Memory::new());
    pipeline(&Store::create(source.clone()).unwrap());
    let packs = source.list(Room::Packs).unwrap();
    let publish = |n: u32, number: u32, key: &Key, bytes: &[u8]| {
        let Key::Pack(id) = key else { panic!("a pack") };
        let digest = *id.digest().as_bytes();
        let length = (bytes.len() as u64).to_le_bytes();
        let head = [&[1][..], &digest, &length, &[0]].concat();
        [message(n, number, 4, &head), message(n + 1, number, 5, bytes)].concat()
    };
    let hello = message(0, 1, 1, &[1, 0, 1]);
    let whole = |n: usize| source.read(&packs[n].0).unwrap().unwrap();
    let good = [hello.clone(), publish(1, 2, &packs[0].0, &whole(0))].concat();
    let mut wrong = whole(1);
    wrong[20] ^= 1;
    let bad =
        [hello, publish(1, 2, &packs[1].0, &wrong), publish(3, 3, &packs[0].0, &whole(0))].concat();
    for (said, stored) in [(good, 1), (bad, 0)] {
        let backend = Arc::new(Memory::new());
        told(&backend, &said).1.unwrap();
        assert_eq!(backend.list(Room::Packs).unwrap().len(), stored);
    }
}

/// Takes a question, and the part that follows if it announces one.
fn question(from: &mut UnixStream) -> io::Result<()> {
    loop {
        let mut head = [0; 13];
        from.read_exact(&mut head)?;
        let bytes = u32::from_le_bytes(head[..4].try_into().unwrap()) - 9;
        from.read_exact(&mut vec![0; bytes as usize])?;
        if ![4, 7].contains(&head[12]) {
            return Ok(());
        }
    }
}

/// Talks to a server that says these bytes, one piece for each time that it is asked something, and then
/// this without an end.
fn hostile(said: Vec<Vec<u8>>, endless: Option<fn(u32) -> Vec<u8>>) -> Result<Far> {
    #[derive(Debug)]
    struct Says(Vec<Vec<u8>>, Option<fn(u32) -> Vec<u8>>);
    impl Dial for Says {
        fn dial(&self) -> io::Result<Ends> {
            let (near, mut far) = UnixStream::pair()?;
            let (said, endless) = (self.0.clone(), self.1);
            std::thread::spawn(move || {
                for piece in &said {
                    if question(&mut far).and_then(|()| far.write_all(piece)).is_err() {
                        return;
                    }
                }
                if let Some(more) = endless {
                    (said.len() as u32..).try_for_each(|n| far.write_all(&more(n))).unwrap_err();
                }
                // What it is asked further is taken.
                let _ = io::copy(&mut far, &mut io::sink());
            });
            Ok(ends(near, Way::Clear))
        }
        fn location(&self) -> String {
            "hostile".into()
        }
    }
    let silence = Duration::from_secs(2);
    let patience = Patience { silence, tries: 0, pause: Duration::ZERO };
    let says = Box::new(Says(said, endless));
    Far::connect(says, patience, false, Box::new(|_| {})).map(|(far, _)| far)
}

fn opened(far: Far) -> Result<Store> {
    Store::open(Arc::new(far))
        .map_err(|source| RemoteError::Store { side: Side::Remote, source: Box::new(source) })
}

#[test]
fn a_hostile_server_is_refused_in_words() {
    let welcome = message(0, 1, 6, &[1, 0, 1, 0, b'x', 0, 0]);
    let with_welcome = |rest: &[u8]| vec![welcome.clone(), rest.to_vec()];
    let cases = [
        (
            vec![b"SSH-2.0-OpenSSH_9.2 and more than four bytes of it".to_vec()],
            "longer than any may be",
        ),
        (vec![message(0, 1, 1, b"data")], "does not greet"),
        (vec![message(0, 1, 6, &[9, 0, 0, 0, 0, 0])], "does not greet"),
        (vec![message(0, 1, 4, &[3, 0, 5, 0, b'n', b'e', b'w', b'e', b'r'])], "newer"),
        (with_welcome(&message(1, 2, 9, &[])), "unknown answer"),
        (with_welcome(&message(1, 2, 2, &[7])), "neither yes nor no"),
        (with_welcome(&message(1, 2, 1, &[b'x'; 2000])), "more came than was asked for"),
        (
            with_welcome(&[message(1, 2, 1, b"lab shop 2\n"), message(2, 2, 2, &[0])].concat()),
            "not a store",
        ),
        (with_welcome(&message(1, 2, 3, &[])), "not a store"),
        (with_welcome(&[]), "nothing came"),
        (with_welcome(&welcome), "comes twice"),
        (with_welcome(&message(2, 2, 3, &[])), "a message is lost"),
    ];
    for (said, expected) in cases {
        let error = hostile(said, None).and_then(opened).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, not {expected}");
    }
    // Without an end.
    let more = |n| message(n, 2, 1, &[b'x'; 900]);
    let far = hostile(with_welcome(&more(1)), Some(more));
    let error = far.and_then(opened).unwrap_err().to_string();
    assert!(error.contains("more came than was asked for"), "{error}");
}

#[test]
fn what_is_not_said_to_be_done_is_not_done() {
    let key = Key::Pack(PackId::from_digest(Digest::from_bytes([1; 32])));
    let asked: [fn(&Far, &Key) -> lab_objects::Result<()>; 5] = [
        |far, key| far.publish(key, b"a pack"),
        |far, key| far.mend(key, b"a pack"),
        |far, key| far.publish_soon(key, b"a pack").and_then(|()| far.settle()),
        |far, _| far.settle(),
        |far, _| far.lease().map(drop),
    ];
    let answer = |word, body: &[u8]| [message(1, 2, word, body), message(2, 3, word, body)];
    for (answers, done) in
        [(answer(2, &[0]), true), (answer(2, &[1]), false), (answer(3, &[]), false)]
    {
        for ask in asked {
            let mut said = vec![message(0, 1, 6, &[1, 0, 1, 0, b'x', 0, 0])];
            said.extend(answers.clone());
            let far = hostile(said, None).unwrap();
            assert_eq!(ask(&far, &key).is_ok(), done, "{answers:?}");
        }
    }
}

/// A list of more files than anybody has is not taken in.
#[test]
fn an_endless_list_ends() {
    let welcome = message(0, 1, 6, &[1, 0, 1, 0, b'x', 0, 0]);
    let format = [message(1, 2, 1, b"lab store 2\n"), message(2, 2, 2, &[0])].concat();
    let entry = [&[1][..], &[7; 32], &100u64.to_le_bytes()].concat();
    // Whatever is asked third: a list.
    let list = (3..63).flat_map(|n| message(n, 3, 1, &entry.repeat(20_000))).collect();
    let said = vec![welcome, format, list];
    let store = hostile(said, None).and_then(opened).unwrap();
    let error = store.packs().unwrap_err().to_string();
    assert!(error.contains("more than 1048576 files"), "{error}");
}

/// Counts how often the way is taken: questions that go together take it once.
#[derive(Debug)]
struct Counted(Arc<Memory>, AtomicU32);

impl Counted {
    fn taken(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl Backend for Counted {
    fn location(&self) -> String {
        "counted".into()
    }
    fn is_far(&self) -> bool {
        true
    }
    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        self.taken();
        self.0.read(key)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        self.taken();
        self.0.read_range(key, at, len)
    }
    fn read_ranges(&self, all: &[(Key, u64, u64)]) -> lab_objects::Result<Vec<Option<Vec<u8>>>> {
        self.taken();
        self.0.read_ranges(all)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.taken();
        self.0.publish(key, bytes)
    }
    fn settle(&self) -> lab_objects::Result<()> {
        self.taken();
        self.0.settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.0.mend(key, bytes)
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.taken();
        self.0.swap(key, old, new)
    }
    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        self.taken();
        self.0.list(room)
    }
    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        self.0.remove(key)
    }
}

/// However many packs the far store has, and however many runs lie in them.
#[test]
fn a_pull_does_not_take_the_way_once_for_each_object() {
    let ways = |others: usize| {
        let memory_there = Arc::new(Memory::new());
        let there = Store::create(memory_there.clone()).unwrap();
        // Each of these makes packs of its own.
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
        let counted = Arc::new(Counted(memory_there, AtomicU32::new(0)));
        let remote = Store::open(counted.clone()).unwrap();
        let local = memory();
        fetch(&local, &remote, &["base"]).unwrap();
        sound(&local);
        let pulled = counted.1.swap(0, Ordering::Relaxed);
        // Nothing new: the other way.
        send(&local, &remote, &["base"]).unwrap();
        (pulled, counted.1.load(Ordering::Relaxed))
    };
    let (few, many) = (ways(1), ways(40));
    assert!(many.0 <= few.0 + 12, "{few:?}, {many:?}");
    assert!(many.1 <= few.1, "{few:?}, {many:?}");
}
