//! Golden vectors: the bytes and ids of one object of each kind, frozen. A failure here means
//! that every registry in the world has lost its ids; the fix is never to change the constant.
#![allow(clippy::unwrap_used, missing_docs)]

mod samples;

use lab_schema::hash::hex;
use lab_schema::{BlobId, Object, Tree};

/// (what, hex of the encoding, id)
fn vectors() -> Vec<(&'static str, String, String)> {
    fn row<O: Object>(what: &'static str, object: &O) -> (&'static str, String, String) {
        (what, hex(&object.encode()), object.id().to_string())
    }
    vec![
        row("empty tree", &Tree::default()),
        row("tree", &samples::tree()),
        row("smallest recipe", &samples::smallest_recipe()),
        row("recipe", &samples::recipe()),
        row("run", &samples::run()),
        row("placed recipe", &samples::placed_recipe()),
        row("watched run", &samples::watched_run()),
        row("forked run", &samples::forked_run()),
        row("told run", &samples::told_run()),
        row("attestation", &samples::attestation()),
        row("signature", &samples::signature()),
        row("aliases", &samples::aliases()),
        row("evaluation", &samples::evaluation()),
    ]
}

// proves F-02, F-03, F-30
#[test]
fn every_kind_has_the_frozen_bytes_and_id() {
    let frozen = include_str!("golden.txt");
    let current: String =
        vectors().iter().map(|(what, bytes, id)| format!("{what}\n  {bytes}\n  {id}\n")).collect();
    assert!(current == frozen, "the golden vectors changed; now:\n{current}");
}

// proves F-01
#[test]
fn blob_vectors_are_those_of_b3sum() {
    // From `b3sum`, run on files with these contents.
    for (bytes, id) in [
        (&b""[..], "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (b"abc", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
    ] {
        assert_eq!(BlobId::of(bytes).to_string(), id);
    }
}
