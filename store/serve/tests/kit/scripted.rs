//! Servers that say what they are told to.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use lab_objects::{Backend, Memory, Room, inventory};

use super::url;

/// A server that answers every request with what is made of its head.
pub fn scripted(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    if !matches!(stream.read(&mut byte), Ok(1)) {
                        return;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                match answer(&head) {
                    said if said == b"endless" => {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                        while stream.write_all(&[b'x'; 4096]).is_ok() {}
                    }
                    said => drop(stream.write_all(&said)),
                }
            });
        }
    });
    url(address, "lab_0_0")
}

/// What an answer of `lab serve` has in its head: that it is one, and to which question.
pub fn ours(head: &str) -> String {
    let question = head.lines().find_map(|line| line.strip_prefix("lab-question: "));
    format!("lab-serve: 1\r\nlab-question: {}\r\n", question.unwrap_or_default())
}

/// What is asked for.
pub fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

pub fn page(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A web server that only hands out files, of a store in `.lab`; it may know of ranges.
pub fn plain(source: &Arc<Memory>, knows_ranges: bool) -> String {
    let source = Arc::clone(source);
    scripted(move |head| {
        let Some(path) = path(head).strip_prefix("/.lab/") else {
            return page("404 Not Found", "", b"<html>");
        };
        let (folder, file) = path.split_once('/').unwrap_or(("", path));
        let room =
            [Room::Root, Room::Packs, Room::Names].into_iter().find(|room| room.folder() == folder);
        let key = room.and_then(|room| room.file(file));
        let bytes = match key.and_then(|key| source.read(&key).unwrap()) {
            None if path == "inventory" => inventory(&*source).unwrap().into_bytes(),
            None => return page("404 Not Found", "", b"<html>"),
            Some(bytes) => bytes,
        };
        let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
        let Some((from, last)) = range.and_then(|range| range.split_once('-')) else {
            return page("200 OK", "", &bytes);
        };
        let (from, last): (usize, usize) = (from.parse().unwrap(), last.parse().unwrap());
        let end = last.saturating_add(1).min(bytes.len());
        match (knows_ranges, from < end) {
            (false, _) => page("200 OK", "", &bytes),
            (true, false) => page("416 Range Not Satisfiable", "", b"<html>"),
            (true, true) => {
                let range = format!("content-range: bytes {from}-{}/{}\r\n", end - 1, bytes.len());
                page("206 Partial Content", &range, &bytes[from..end])
            }
        }
    })
}
