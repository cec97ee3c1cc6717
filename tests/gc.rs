//! Promise 2 while something is removed on purpose: what a name needs stays, what nobody needs goes,
//! in its time, and nobody has to stop working for it.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::path::Path;

use kit::{Place, Said};

const NOW: [&str; 4] = ["--grace", "0s", "--history", "0s"];

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn gc(place: &Place, more: &[&str]) -> Said {
    // The clock of files may be some milliseconds behind that by which names move: what was let go of just
    // now would seem to be needed still.
    std::thread::sleep(std::time::Duration::from_millis(12));
    place.lab(["gc"].iter().chain(&NOW).chain(more)).succeeds()
}

/// Bytes of all packs.
fn stored(place: &Place) -> u64 {
    fn sum(folder: &Path) -> u64 {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|e| if e.path().is_dir() { sum(&e.path()) } else { e.metadata().unwrap().len() })
            .sum()
    }
    sum(&place.at(".lab/packs"))
}

fn is_sound(place: &Place) {
    place.lab(["check"]).succeeds().says("sound");
}

fn add(place: &Place, name: &str, seed: u64) -> Vec<u8> {
    let bytes = noise(seed, 300_000);
    place.write(format!("{name}/data"), &bytes);
    place.write(format!("{name}/small"), name);
    place.lab(["add", name, "--name", name]).succeeds();
    bytes
}

fn holds(place: &Place, name: &str, bytes: &[u8]) {
    let reference = format!("{name}/data");
    place.lab(["get", &reference, "back", "--force"]).succeeds();
    assert!(place.read("back") == bytes, "{name}");
}

#[test]
fn what_was_deleted_goes_after_two_runs_and_the_rest_stays() {
    let place = Place::registry();
    let kept = add(&place, "kept", 1);
    add(&place, "lost", 2);
    let before = stored(&place);
    gc(&place, &[]).says("removed  0 packs");
    assert_eq!(stored(&place), before);
    place.lab(["name", "--delete", "lost"]).succeeds();
    // For a while it can be had back.
    place.lab(["gc", "--grace", "0s"]).succeeds().says("marked   0 packs");
    gc(&place, &[]).says("marked   1 pack,");
    is_sound(&place);
    gc(&place, &[]).says("removed  1 pack,");
    is_sound(&place);
    assert!(stored(&place) < before - 290_000, "{} of {before}", stored(&place));
    holds(&place, "kept", &kept);
    // Nothing is left to do, and nothing is done.
    gc(&place, &[]).says("removed  0 packs").says("marked   0 packs");
    place.lab(["name", "again", "lost@v1"]).exits(3);
}

#[test]
fn a_dry_run_says_what_goes_and_changes_nothing() {
    let place = Place::registry();
    add(&place, "kept", 1);
    add(&place, "lost", 2);
    place.lab(["name", "--delete", "lost"]).succeeds();
    let list = |folder: &str| {
        let mut names: Vec<_> = fs::read_dir(place.at(folder))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = (list(".lab/packs"), list(".lab/locks"), list(".lab/condemned"));
    let said = gc(&place, &["--dry-run"]).says("would mark    1 pack,").says("keeps  kept  ");
    assert!(!said.out.contains("keeps  lost"), "{}", said.out);
    let waits = place.lab(["gc", "--dry-run"]).succeeds();
    assert!(waits.out.contains("young, looked at from 2"), "{}", waits.out);
    assert!(waits.out.contains("keeps  lost@v1  "), "{}", waits.out);
    let json = gc(&place, &["--dry-run", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["planned"], true);
    assert!(json["keeps"][0]["alone"].as_u64().unwrap() > 290_000, "{json}");
    assert_eq!((list(".lab/packs"), list(".lab/locks"), list(".lab/condemned")), before);
}

#[test]
fn what_is_added_again_while_it_goes_stays() {
    let place = Place::registry();
    let bytes = add(&place, "one", 1);
    place.lab(["name", "--delete", "one"]).succeeds();
    gc(&place, &[]).says("marked   1 pack,");
    assert_eq!(add(&place, "one", 1), bytes);
    for _ in 0..3 {
        gc(&place, &[]);
        is_sound(&place);
        holds(&place, "one", &bytes);
    }
    // By its version alone, without its files.
    place.lab(["name", "--delete", "one"]).succeeds();
    gc(&place, &[]).says("marked   1 pack,");
    place.lab(["name", "two", "one@v1"]).succeeds();
    for _ in 0..3 {
        gc(&place, &[]);
        is_sound(&place);
        holds(&place, "two", &bytes);
    }
}

#[test]
fn nothing_goes_while_something_needed_is_missing_or_a_name_is_illegible() {
    let place = Place::registry();
    add(&place, "one", 1);
    add(&place, "two", 2);
    place.lab(["name", "--delete", "two"]).succeeds();
    fs::write(place.at(".lab/names/bad"), "nonsense\n").unwrap();
    let before = stored(&place);
    let said = place.lab(["gc"].iter().chain(&NOW)).exits(1);
    assert!(said.err.contains("name bad") && said.err.contains("lab check"), "{}", said.err);
    assert!(!place.at(".lab/condemned").exists());
    fs::remove_file(place.at(".lab/names/bad")).unwrap();
    gc(&place, &[]).says("marked   1 pack,");
    assert_eq!(stored(&place), before);
    place.lab(["gc", "--grace", "soon"]).exits(2);
}

#[test]
fn two_add_while_a_third_collects() {
    let place = Place::registry();
    std::thread::scope(|scope| {
        let place = &place;
        let adders: Vec<_> = (0..2u64)
            .map(|who| {
                scope.spawn(move || {
                    for round in 0..12u64 {
                        let name = format!("n-{who}-{round}");
                        // Much of it is what the other one adds too, and has deleted.
                        let mut bytes = noise(round % 3, 200_000);
                        bytes.extend(noise(100 + who * 100 + round, 20_000));
                        place.write(format!("{name}/data"), &bytes);
                        place.lab(["add", &name, "--name", &name]).succeeds();
                        if round % 2 == 0 {
                            place.lab(["name", "--delete", &name]).succeeds();
                        }
                    }
                })
            })
            .collect();
        while adders.iter().any(|adder| !adder.is_finished()) {
            gc(place, &["--quiet"]);
        }
    });
    for _ in 0..2 {
        gc(&place, &[]);
    }
    is_sound(&place);
    for who in 0..2u64 {
        for round in (1..12u64).step_by(2) {
            let mut bytes = noise(round % 3, 200_000);
            bytes.extend(noise(100 + who * 100 + round, 20_000));
            holds(&place, &format!("n-{who}-{round}"), &bytes);
        }
    }
    assert!(stored(&place) < 1_200_000, "{}", stored(&place));
}

#[test]
fn du_tells_apart_what_is_shared() {
    let place = Place::registry();
    add(&place, "one", 1);
    place.write("two/data", noise(1, 300_000));
    place.write("two/more", noise(3, 200_000));
    place.lab(["add", "two", "--name", "two"]).succeeds();
    let json = place.lab(["du", "--json"]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let number = |name: usize, what: &str| json["names"][name][what].as_u64().unwrap();
    assert!(number(0, "shared").abs_diff(300_000) < 3000, "{json}");
    assert!(number(0, "alone") < 3000, "{json}");
    assert!(number(1, "alone").abs_diff(200_000) < 3000, "{json}");
    assert!(json["unneeded"].as_u64().unwrap() < 3000, "{json}");
    assert!(json["encodings"]["raw"]["bytes"].as_u64().unwrap() > 490_000, "{json}");
    place.lab(["name", "--delete", "two"]).succeeds();
    place.lab(["du"]).succeeds().says("one").says("unneeded  2");
    place.lab(["du", "three"]).exits(3);
    let one = place.lab(["du", "one"]).succeeds();
    assert!(!one.out.contains("packs"), "{}", one.out);
}
