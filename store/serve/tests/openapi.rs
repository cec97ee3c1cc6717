//! What is written down of the interface is what there is.
#![allow(clippy::unwrap_used)]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use kit::{Running, opened};
use lab_objects::{Memory, Store};
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn written() -> BTreeMap<String, BTreeMap<String, Value>> {
    let text = fs::read_to_string(top().join("docs/openapi.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        let known = METHODS.into_iter().filter_map(|m| Some((m.to_owned(), item.get(m)?.clone())));
        known.collect()
    };
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// The routes in the code: path and methods.
fn coded() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(top().join("store/serve/src/routes.rs")).unwrap();
    let mut routes = BTreeMap::new();
    for part in text.split(".route(\"").skip(1) {
        let (path, rest) = part.split_once('"').unwrap();
        let call: String = rest.split(".route(").next().unwrap().split(';').next().unwrap().into();
        let has = |m: &&str| call.contains(&format!("{m}("));
        let methods = METHODS.into_iter().filter(has).map(str::to_owned).collect();
        routes.insert(path.to_owned(), methods);
    }
    routes
}

#[test]
fn every_route_is_written_down_and_nothing_else() {
    let as_coded = |path: &str| {
        path.replace("/{store}", "").replace("{pack}.pack", "{file}").replace("{name}", "{file}")
    };
    let written: BTreeMap<String, BTreeSet<String>> = written()
        .into_iter()
        .map(|(path, methods)| (as_coded(&path), methods.into_keys().collect()))
        .collect();
    assert_eq!(written, coded());
    assert!(written.len() > 6);
}

#[test]
fn every_answer_has_a_status_that_is_written_down() {
    let memory = Arc::new(Memory::new());
    let behind = Arc::clone(&memory);
    let open = Box::new(move |_: &str, make: bool| opened(&behind, make));
    let server = Running::with(&memory, "", true, open);
    Store::create(memory).unwrap();
    let ask = |method: &str, path: &str, headers: &str, body: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "{} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            method.to_uppercase(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        String::from_utf8_lossy(&heard).split(' ').nth(1).unwrap().to_owned()
    };
    let mut seen = BTreeSet::new();
    for (path, methods) in written() {
        let real = path
            .replace("{store}", "one")
            .replace("{pack}", &"0a".repeat(32))
            .replace("{name}", "n");
        for (method, operation) in methods {
            for token in [Some(&server.token), Some(&server.reader), None] {
                let bearer =
                    token.map_or_else(String::new, |t| format!("authorization: Bearer {t}\r\n"));
                for more in
                    ["", "lab-session: a1\r\n", "if-none-match: *\r\n", "range: bytes=0-1\r\n"]
                {
                    for body in ["", "lab store 2\n", "names/n 0 1\n"] {
                        let status = ask(&method, &real, &format!("{bearer}{more}"), body);
                        assert!(
                            operation["responses"].get(&status).is_some(),
                            "{method} {path} answers {status}, of which nothing is said"
                        );
                        seen.insert(status);
                    }
                }
            }
        }
    }
    for status in ["200", "204", "400", "401", "403", "404", "422", "428"] {
        assert!(seen.contains(status), "{status} in {seen:?}");
    }
}
