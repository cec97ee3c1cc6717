//! What a server answers to who asks for a part of a file: a `lab serve`, or any other. Nothing is taken for
//! that part but what is said to begin where it does, and no more of it than was asked for.
#![no_main]

use std::sync::LazyLock;

use lab_fuzz::said::{Answer, Said};
use lab_fuzz::{Taken, forge};
use lab_objects::{Backend, Key, PackId};

static SERVERS: LazyLock<[Said; 2]> = LazyLock::new(|| [Said::new(true), Said::new(false)]);

const STATUSES: [&str; 10] = [
    "200 OK",
    "206 Partial Content",
    "404 Not Found",
    "410 Gone",
    "416 Range Not Satisfiable",
    "403 Forbidden",
    "503 Service Unavailable",
    "500 Internal Server Error",
    "304 Not Modified",
    "418 I'm a teapot",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Taken(data);
    let server = &SERVERS[usize::from(input.u8() % 2)];
    let status = STATUSES[usize::from(input.u8()) % STATUSES.len()];
    let (from, len) = (u64::from(input.u8()), u64::from(input.u16() % 512));
    let visible = |byte: &u8| if (b' '..127).contains(byte) { char::from(*byte) } else { '?' };
    let range: String = input.short().iter().map(visible).collect();
    let (range, body) = (range.trim().to_owned(), input.0);
    let header = Some(("content-range", range.clone()));
    let body = if status.starts_with("304") { b"" } else { body };
    server.answers(Answer { status: status.into(), header, body: body.to_vec() });
    let key = Key::Pack(PackId::from_digest(forge::digest(b"")));
    let found = server.web.read_range(&key, from, len).ok();
    // Of a range of no bytes one is asked for.
    let most = len.max(1) as usize;
    let part = |bytes: &[u8]| Some(Some(bytes[..bytes.len().min(len as usize)].to_vec()));
    let starts = || range.strip_prefix("bytes ")?.split_once('-')?.0.parse::<u64>().ok();
    let expected = match &status[..3] {
        "200" => part(body.get(from as usize..).unwrap_or_default()),
        "206" if starts() == Some(from) && body.len() <= most => part(body),
        "404" | "410" => Some(None),
        "416" => part(b""),
        _ => None,
    };
    assert_eq!(found, expected, "{status} {range}");
    assert_eq!(server.asked(), 1);
});
