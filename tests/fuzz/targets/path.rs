//! Paths, as others ask for them. Nothing is answered but the files of the store that the token is for.
#![no_main]

use lab_fuzz::served::{SERVED, pack_of};
use lab_objects::{Backend, Key, inventory};
use lab_schema::Name;

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"];

/// Each `%` and two digits as the byte that they are; the question mark and what follows it is left.
fn plain(path: &[u8]) -> Vec<u8> {
    let path = path.split(|byte| b"?#".contains(byte)).next().unwrap_or_default();
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(byte) = path.get(at) {
        let digits = path.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(meant) if *byte == b'%' => {
                all.push(meant);
                at += 3;
            }
            _ => {
                all.push(*byte);
                at += 1;
            }
        }
    }
    all
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((method, path)) = data.split_first() else { return };
    let method = METHODS[usize::from(*method) % METHODS.len()];
    let path = [b"/", &SERVED.spelled(path)[..]].concat();
    let heard = SERVED.ask(method, &path, &[], b"");
    SERVED.is_as_before(&heard);
    let path = String::from_utf8_lossy(&plain(&path)).into_owned();
    let one = |key: &Key| SERVED.one.read(key).expect("there is memory");
    let pack = pack_of(&SERVED.one);
    let name = Key::Name(Name::new("n").expect("a name"));
    match (method, heard.status) {
        ("GET" | "HEAD", 200) => {
            let file = match path.strip_prefix("/one/") {
                _ if path == "/-/health" => Some(b"ok\n".to_vec()),
                Some("format") => one(&Key::Format),
                Some("inventory") => inventory(&*SERVED.one).ok().map(String::into_bytes),
                Some(file) if file == pack.path() => one(&pack),
                Some("names/n") => one(&name),
                _ => panic!("{path} is answered"),
            };
            let file = file.expect("it is there");
            assert!(method == "HEAD" || heard.body == file, "{path} is something else");
        }
        // A list of no ranges; the end of a lease that nobody has.
        ("POST", 200) => assert!(path == "/one/ranges" && heard.body.is_empty(), "{path}"),
        ("DELETE", 204) => assert_eq!(path, "/one/leases"),
        (_, 400..500) => {}
        (_, other) => panic!("{method} {path}: {other}"),
    }
});
