//! Either end is not what it should be.
#![allow(clippy::unwrap_used)]

#[path = "../../remote/tests/common/mod.rs"]
mod common;
mod kit;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{POLITE, base, lineage, memory, name, pipeline, set, target};
use kit::{QUICK, Running, connect, opened, ours, page, path, plain, scripted};
use lab_objects::{Backend, Key, Memory, Room, Silent, Store, check, inventory};
use lab_remote::{pull, push};
use lab_web::{Web, WebError};

/// What a server answers to these bytes, by one connection, until it hangs up or is quiet.
fn answers(server: &Running, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    // It may hang up before everything is said.
    let _ = stream.write_all(said);
    let mut heard = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut part) {
        heard.extend_from_slice(&part[..n]);
    }
    String::from_utf8_lossy(&heard).into_owned()
}

fn status(heard: &str) -> u16 {
    heard.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A request with a token, and what is answered.
fn ask(
    server: &Running,
    token: &str,
    method: &str,
    path: &str,
    more: &str,
    body: &[u8],
) -> (u16, String) {
    let bearer = match token {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let length = match method {
        "PUT" if !more.contains("content-length") => format!("content-length: {}\r\n", body.len()),
        _ => String::new(),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\n{bearer}{length}{more}connection: close\r\n\r\n"
    );
    let heard = answers(server, &[head.as_bytes(), body].concat());
    (status(&heard), heard)
}

fn untouched(server: &Running, before: &str) {
    assert_eq!(inventory(&*server.backend).unwrap(), before);
    let store = Store::open(server.backend.clone()).unwrap();
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
}

#[test]
fn what_is_not_a_pack_is_not_taken_and_a_name_does_not_go_astray() {
    let server = Running::new("");
    let there = Store::create(server.backend.clone()).unwrap();
    let p = pipeline(&there);
    set(&there, "base", p.train);
    let before = inventory(&*server.backend).unwrap();
    let token = server.token.as_str();
    let put = |path: &str, more: &str, body: &[u8]| ask(&server, token, "PUT", path, more, body);

    let (key, good) = {
        let memory = Arc::new(Memory::new());
        let store = Store::create(memory.clone()).unwrap();
        common::blob(&store, "something else");
        let key = Key::Pack(store.packs().unwrap()[0]);
        (key.clone(), memory.read(&key).unwrap().unwrap())
    };
    let path = format!("/{}", key.path());
    for bit in (0..good.len() * 8).step_by(37) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(put(&path, "", &bad).0, 422, "bit {bit}");
    }
    for (path, more, body, expected) in [
        (path.as_str(), "", &b""[..], 422),
        (&path, "", &good[..good.len() - 1], 422),
        (&path, "content-length: 600000000\r\n", b"", 413),
        (&path, "content-length: -1\r\n", b"", 400),
        (
            &path,
            "transfer-encoding: chunked\r\ncontent-length\u{20}: 3\r\n",
            b"3\r\nabc\r\n0\r\n\r\n",
            400,
        ),
        (&path, "lab-after: 00\r\n", &good, 400),
        (&path, &format!("lab-after: {}\r\n", "00".repeat(32)), &good, 424),
        (&(path.clone() + "?mend&x"), "", &good, 400),
        ("/packs/x.pack", "", &good, 404),
        (
            &path.to_uppercase().replace("/PACKS", "/packs").replace(".PACK", ".pack"),
            "",
            &good,
            404,
        ),
        ("/packs/..%2f..%2fetc%2fpasswd", "", &good, 404),
        ("/names/..%2fformat", "if-none-match: *\r\n", b"x", 404),
        ("/names/a%00b", "if-none-match: *\r\n", b"x", 404),
        ("/names/base", "", b"x", 428),
        ("/names/base", "if-none-match: *\r\nif-match: \"00\"\r\n", b"x", 400),
        ("/names/base", "if-match: 00\r\n", b"x", 400),
        ("/names/base", "if-none-match: *\r\n", b"x", 412),
        ("/names/new", "if-none-match: *\r\n", b"x", 422),
        ("/names/new", "if-none-match: *\r\ncontent-length: 70000000\r\n", b"", 413),
        ("/format", "", b"lab store 9\n", 422),
        ("/inventory", "", b"x", 405),
        ("/condemned/00", "", b"x", 404),
        ("/locks/name-base", "", b"x", 404),
        ("/-/metrics", "", b"x", 405),
    ] {
        let (status, heard) = put(path, more, body);
        assert_eq!(status, expected, "{path} {more:?}: {heard}");
        untouched(&server, &before);
    }
    // A journal that is right by itself, and points at what is not there.
    let journal = {
        let backend = Arc::new(Memory::new());
        let other = Store::create(backend.clone()).unwrap();
        set(&other, "astray", common::blob(&other, "nowhere near"));
        backend.read(&Key::Name(name("astray"))).unwrap().unwrap()
    };
    assert_eq!(put("/names/astray", "if-none-match: *\r\n", &journal).0, 409);
    untouched(&server, &before);
    assert_eq!(put(&path, "", &good).0, 201);
    assert_eq!(put(&path, "", &good).0, 200);
}

#[test]
fn what_is_no_request_is_answered_or_hung_up_on() {
    let server = Running::new("[limits]\nsilence-seconds = 1\n");
    Store::create(server.backend.clone()).unwrap();
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000));
    let many = format!("GET /format HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(5000));
    let smuggled = format!(
        "GET /format HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\nauthorization: Bearer {}\r\n\r\n0\r\n\r\nG",
        server.token
    );
    for said in [
        &b"\0\0\0\0"[..],
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /format HTTP/1.1\r\nauthorization: \xff\xfe\r\n\r\n",
        b"GET /format HTTP/1.1\r\nauthorization: Basic !!!\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
        b"TRACE /format HTTP/1.1\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
        b"POST /ranges HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
    ] {
        let heard = answers(&server, said);
        let status = status(&heard);
        let fine = heard.is_empty() || (400..500).contains(&status) || status == 505;
        assert!(fine, "{:?}: {heard}", String::from_utf8_lossy(&said[..said.len().min(60)]));
    }
    // What could be one request or two is one.
    let heard = answers(&server, smuggled.as_bytes());
    assert_eq!(heard.matches("HTTP/1.1").count(), 1, "{heard}");
    // Who says nothing, or only the beginning of something, is hung up on.
    for said in [&b""[..], b"GET /for", b"PUT /names/a HTTP/1.1\r\ncontent-length: 5\r\n\r\nab"] {
        let start = Instant::now();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(said).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(start.elapsed() < Duration::from_secs(8), "{said:?}");
    }
    // It still serves.
    assert_eq!(ask(&server, &server.token, "GET", "/format", "", b"").0, 200);
}

#[test]
fn many_who_dawdle_do_not_keep_others_out() {
    let server = Running::new("[limits]\nsilence-seconds = 1\nconnections = 8\n");
    Store::create(server.backend.clone()).unwrap();
    let dawdlers: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(b"GET /format HT").unwrap();
            stream
        })
        .collect();
    let start = Instant::now();
    let (web, _) = Web::connect(
        &server.url(),
        false,
        lab_web::Patience { silence: Duration::from_secs(20), ..QUICK },
        Box::new(|_| {}),
    )
    .unwrap();
    web.list(Room::Packs).unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    drop(dawdlers);
}

#[test]
fn a_token_opens_its_own_store_and_nothing_else() {
    let stores: Arc<Mutex<BTreeMap<String, Arc<Memory>>>> = Arc::default();
    let behind = Arc::clone(&stores);
    let open = move |space: &str, make: bool| {
        let mut stores = behind.lock().unwrap();
        let memory = stores.entry(space.to_owned()).or_default();
        opened(&Arc::clone(memory), make)
    };
    let text = "[spaces.open]\nanonymous-read = true\n";
    let server = Running::with(&Arc::new(Memory::new()), text, true, Box::new(open));
    for space in ["one", "two", "open"] {
        let memory = Arc::clone(stores.lock().unwrap().entry(space.to_owned()).or_default());
        let store = Store::create(memory).unwrap();
        set(&store, "secret", common::blob(&store, space));
    }
    let (write, read) = (server.token.as_str(), server.reader.as_str());
    let wrong = &format!("{}0", &write[..write.len() - 1]);
    let wrong = if wrong == write { &format!("{}1", &write[..write.len() - 1]) } else { wrong };
    for (token, method, path, expected) in [
        (write, "GET", "/one/format", 200),
        (read, "GET", "/one/names/secret", 200),
        (read, "PUT", "/one/names/secret", 403),
        (read, "POST", "/one/leases", 403),
        ("", "GET", "/one/format", 401),
        ("", "GET", "/absent/format", 401),
        (wrong, "GET", "/one/format", 401),
        (wrong, "GET", "/open/format", 401),
        // What is not for this token cannot be told from what is not there.
        (write, "GET", "/two/format", 404),
        (write, "GET", "/absent/format", 404),
        (write, "PUT", "/two/format", 404),
        (write, "GET", "/one/../two/names/secret", 404),
        (write, "GET", "/one%2f..%2ftwo/format", 404),
        (write, "GET", "/one/names/..%2f..%2ftwo%2fnames%2fsecret", 404),
        (write, "GET", "/One/format", 404),
        (write, "GET", "//format", 404),
        ("", "GET", "/open/names/secret", 200),
        ("", "PUT", "/open/names/secret", 401),
        (write, "GET", "/open/names/secret", 200),
        (write, "PUT", "/open/names/secret", 404),
        ("", "GET", "/-/metrics", 401),
        (write, "GET", "/-/metrics", 403),
        ("", "GET", "/-/health", 200),
    ] {
        let more = if method == "PUT" { "if-none-match: *\r\n" } else { "" };
        let (status, heard) = ask(&server, token, method, path, more, b"");
        assert_eq!(status, expected, "{method} {path}: {heard}");
        assert!(!heard.contains(&write[13..]), "{heard}");
    }
    let two = ask(&server, write, "GET", "/two/format", "", b"").1;
    let absent = ask(&server, write, "GET", "/absent/format", "", b"").1;
    let body = |heard: &str| heard.split("\r\n\r\n").nth(1).unwrap().to_owned();
    assert_eq!(body(&two), body(&absent));
    // No secret is in the log; who did what is.
    let log = format!("{:?}", server.log.lock().unwrap());
    for token in [write, read] {
        assert!(!log.contains(&token[13..]) && log.contains(&token[4..12]));
    }
}

#[test]
fn whoever_runs_it_sees_what_is_done() {
    let server = Running::new("");
    let store = server.store(server.address).unwrap();
    set(&store, "n", common::blob(&store, "x"));
    let tokens = lab_serve::Tokens::at(&server.folder.path().join("tokens.toml"));
    let watcher = tokens.add("*", lab_serve::Access::Read, "", None).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    let (status, text) = ask(&server, &watcher, "GET", "/-/metrics", "", b"");
    assert_eq!(status, 200);
    assert!(text.contains("lab_packs_taken_total 1\n"), "{text}");
    assert!(text.contains("lab_requests_total{method=\"PUT\",status=\"201\"}"), "{text}");
    assert!(text.contains("lab_request_seconds_count"), "{text}");
}

#[test]
fn too_many_requests_are_put_off_and_come_through() {
    let server = Running::new("[limits]\nrequests-per-second = 2\n");
    Store::create(server.backend.clone()).unwrap();
    let statuses: Vec<u16> =
        (0..14).map(|_| ask(&server, &server.token, "GET", "/format", "", b"").0).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    // Others are not held up.
    assert_eq!(ask(&server, &server.reader, "GET", "/format", "", b"").0, 200);
    // A client waits as long as it is told to.
    let start = Instant::now();
    connect(&server.url()).unwrap();
    assert!(start.elapsed() > Duration::from_millis(100));
}

#[test]
fn it_stops_when_those_who_are_at_it_have_finished() {
    let mut server = Running::new("[limits]\nstop-seconds = 5\n");
    let local = memory();
    let mut writer = local.writer();
    let large: Vec<u8> =
        (0..6_000_000u32).flat_map(|n| (n.wrapping_mul(n) >> 5).to_le_bytes()).collect();
    let id = writer.put_bytes(&large).unwrap();
    writer.finish().unwrap();
    set(&local, "large", id);
    let remote = server.store(server.address).unwrap();
    let stopper = server.stopper();
    let stopped = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(60));
        stopper.stop();
    });
    // It may come before or after the end; what was answered is there in any case.
    let pushed = push(&local, &lineage(&local), &remote, &[base("large")], POLITE, &Silent);
    stopped.join().unwrap();
    assert!(server.stop());
    let there = Store::open(server.backend.clone()).unwrap();
    assert_eq!(check(&there, true, &Silent).unwrap().findings, []);
    if pushed.is_ok() {
        assert_eq!(target(&there, "large"), Some(id.into()));
    }
    assert!(TcpStream::connect(server.address).is_err());
}

fn store_page(head: &str) -> Option<Vec<u8>> {
    (path(head) == "/format").then(|| page("200 OK", &ours(head), b"lab store 2\n"))
}

#[test]
fn a_server_that_is_no_store_is_told_as_such() {
    for (answer, words) in [
        (page("200 OK", "", b"<html>hello</html>"), "there is no store"),
        (page("200 OK", "", &[b'x'; 100_000]), "there is no store"),
        (page("404 Not Found", "", b""), "there is no store"),
        (page("301 Moved", "location: /format\r\n", b""), "301"),
        (page("302 Found", "location: file:///etc/passwd\r\n", b""), ""),
        (page("418 I'm a teapot", "", b""), "418"),
        (page("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b"), "there is no store"),
    ] {
        let url = scripted(move |_| answer.clone());
        let start = Instant::now();
        let error = connect(&url).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("lab_0_0"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert!(matches!(connect(&scripted(|_| b"endless".to_vec())), Err(WebError::NotAStore)));
}

#[test]
fn what_a_server_invents_is_not_believed() {
    let source = Arc::new(Memory::new());
    let there = Store::create(source.clone()).unwrap();
    let p = pipeline(&there);
    set(&there, "base", p.train);
    let told = inventory(&*source).unwrap();
    let name_file = source.read(&Key::Name(name("base"))).unwrap().unwrap();
    let many: String = format!("lab inventory 1\n{}", "names/a 1\n".repeat(10_000_000));
    let absurd = format!("lab inventory 1\npacks/{}.pack {}\n", "0a".repeat(32), u64::MAX);
    let truncated = told[..told.len() - 7].to_owned();
    type Bend = Box<dyn Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync>;
    let inventory_is = |text: String| -> Bend {
        Box::new(move |path, good| match path {
            "/inventory" => page("200 OK", "", text.as_bytes()),
            _ => good,
        })
    };
    let ranges_are = |bytes: Vec<u8>| -> Bend {
        Box::new(
            move |path, good| if path == "/ranges" { page("200 OK", "", &bytes) } else { good },
        )
    };
    let name_is = |bytes: Vec<u8>| -> Bend {
        Box::new(
            move |path, good| if path == "/names/base" { page("200 OK", "", &bytes) } else { good },
        )
    };
    let mut flipped = name_file.clone();
    flipped[10] ^= 1;
    for (what, bend) in [
        ("more names than there can be", inventory_is(many)),
        ("a pack of absurd size", inventory_is(absurd)),
        ("an inventory that is cut off", inventory_is(truncated)),
        ("an inventory that is none", inventory_is("<html>".to_owned())),
        ("no ranges", ranges_are(vec![])),
        ("ranges of nothing", ranges_are(vec![0; 64])),
        (
            "ranges that are longer than asked for",
            ranges_are([&u64::from(u32::MAX).to_le_bytes()[..], &[7; 4096]].concat()),
        ),
        ("ranges without end", ranges_are(vec![0xfe; 1 << 20])),
        ("a journal with a flipped bit", name_is(flipped)),
        ("a journal that is none", name_is(b"hello\n".to_vec())),
    ] {
        let honest = Arc::clone(&source);
        let url = scripted(move |head| {
            let path = path(head);
            let good = store_page(head).unwrap_or_else(|| match path {
                "/inventory" => page("200 OK", "", inventory(&*honest).unwrap().as_bytes()),
                "/names/base" => {
                    let bytes = honest.read(&Key::Name(name("base"))).unwrap().unwrap();
                    page("200 OK", "", &bytes)
                }
                _ => page("404 Not Found", "", b""),
            });
            bend(path, good)
        });
        let local = memory();
        let start = Instant::now();
        let remote = connect(&url).unwrap().0;
        let pulled = pull(&local, &remote, &[base("base")], POLITE, &Silent);
        assert!(pulled.is_err(), "{what}");
        assert_eq!(target(&local, "base"), None, "{what}");
        assert_eq!(check(&local, true, &Silent).unwrap().findings, [], "{what}");
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", start.elapsed());
    }
    let endless = scripted(|head| store_page(head).unwrap_or_else(|| b"endless".to_vec()));
    let remote = connect(&endless).unwrap().0;
    let error = remote.names().get(&name("base")).unwrap_err().to_string();
    assert!(error.contains("more came than was asked for"), "{error}");
}

/// A web server that only hands out files, more or less well.
#[test]
fn a_plain_web_server_can_be_pulled_from_and_not_pushed_to() {
    let source = Arc::new(Memory::new());
    let there = Store::create(source.clone()).unwrap();
    let p = pipeline(&there);
    set(&there, "base", p.train);
    let url = plain(&source, false);
    let local = memory();
    let (remote, _) = connect(&url).unwrap();
    pull(&local, &remote, &[base("base")], POLITE, &Silent).unwrap();
    assert_eq!(target(&local, "base"), Some(p.train.into()));
    assert_eq!(check(&local, true, &Silent).unwrap().findings, []);
    let error = remote.lease().unwrap_err().to_string();
    assert!(error.contains("hands out files and takes none"), "{error}");
}

/// A store that takes its time to be looked at.
#[derive(Debug)]
struct Slow(Arc<Memory>);

impl Backend for Slow {
    fn location(&self) -> String {
        "slow".into()
    }
    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        self.0.read(key)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        self.0.read_range(key, at, len)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        std::thread::sleep(Duration::from_secs(3));
        self.0.publish(key, bytes)
    }
    fn settle(&self) -> lab_objects::Result<()> {
        self.0.settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.0.mend(key, bytes)
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.0.swap(key, old, new)
    }
    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        self.0.list(room)
    }
    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        self.0.remove(key)
    }
}

#[test]
fn who_is_worked_for_need_not_say_anything_meanwhile() {
    let memory_there = Arc::new(Memory::new());
    Store::create(memory_there.clone()).unwrap();
    let slow = Arc::new(Slow(Arc::clone(&memory_there)));
    let open = Box::new(move |_: &str, _: bool| {
        let store = Store::open(slow.clone()).unwrap();
        Ok(lab_remote::Opened { backend: slow.clone(), store, made: false, guard: None })
    });
    let text = "[limits]\nsilence-seconds = 1\n";
    let server = Running::with(&memory_there, text, false, open);
    let local = memory();
    set(&local, "n", common::blob(&local, "x"));
    // It waits longer than the server lets a client be silent.
    let patient = lab_web::Patience { silence: Duration::from_secs(20), ..QUICK };
    let (web, _) = Web::connect(&server.url(), false, patient, Box::new(|_| {})).unwrap();
    let remote = Store::open(Arc::new(web)).unwrap();
    push(&local, &lineage(&local), &remote, &[base("n")], POLITE, &Silent).unwrap();
    let asked = server.log.lock().unwrap();
    assert_eq!(
        asked.iter().filter(|s| s.method == "PUT" && s.path.starts_with("/packs")).count(),
        1
    );
}

#[test]
fn a_quota_holds_for_those_who_come_at_once() {
    let server = Running::new("[default]\nquota-bytes = 1000000\n");
    Store::create(server.backend.clone()).unwrap();
    let packs: Vec<(String, Vec<u8>)> = (0..8u8)
        .map(|n| {
            let memory = Arc::new(Memory::new());
            let store = Store::create(memory.clone()).unwrap();
            let mut writer = store.writer();
            let mut state = u64::from(n) + 1;
            let noise = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            });
            writer.put_bytes(&noise.take(300_000).collect::<Vec<u8>>()).unwrap();
            writer.finish().unwrap();
            let key = Key::Pack(store.packs().unwrap()[0]);
            (key.path(), memory.read(&key).unwrap().unwrap())
        })
        .collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = packs
            .iter()
            .map(|(path, bytes)| {
                let server = &server;
                scope.spawn(move || {
                    ask(server, &server.token, "PUT", &format!("/{path}"), "", bytes).0
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    // What is there may be mended all the same, and comes after no other than itself.
    let (there, bytes) = packs.iter().zip(&statuses).find(|(_, status)| **status == 201).unwrap().0;
    assert_eq!(ask(&server, &server.token, "PUT", &format!("/{there}?mend"), "", bytes).0, 200);
    let id = there.strip_prefix("packs/").unwrap().strip_suffix(".pack").unwrap();
    let after = format!("lab-after: {id}\r\n");
    assert_eq!(ask(&server, &server.token, "PUT", &format!("/{there}"), &after, bytes).0, 400);
}
