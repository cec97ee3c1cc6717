//! Promise 2 under SIGKILL: whatever the moment, the store is sound and what was reported stays.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::process::Stdio;
use std::time::Duration;

use kit::{Place, said};

/// `lab add` dies right after every atomic step there is.
#[test]
fn an_add_killed_at_every_step_leaves_a_sound_store() {
    let mut killed = 0;
    for step in 1.. {
        // A new store each time: what one attempt has published, the next need not do.
        let place = Place::registry();
        place.write("before", "kept");
        place.lab(["add", "before", "--name", "before"]).succeeds();
        for i in 0..40 {
            place.write(format!("data/{i}"), format!("{i} ").repeat(3000));
        }
        let mut command = place.command();
        command.args(["add", "data", "--name", "data"]).env("LAB_CRASH_AT", step.to_string());
        let said = said(&mut command);
        place.lab(["check"]).succeeds().says("sound");
        assert_eq!(place.lab(["cat", "before"]).succeeds().out, "kept");
        // Either the name is there and everything under it too, or it is not.
        let named = place.lab(["show", "data"]).code == 0;
        if named {
            place.lab(["get", "data", "copy"]).succeeds().says("40 files");
        }
        // And the next attempt goes through.
        place.lab(["add", "data", "--name", "data"]).succeeds();
        place.lab(["get", "data", "copy"]).succeeds().says("40 ");
        if said.code == 0 {
            assert!(named);
            break;
        }
        killed += 1;
        assert!(step < 200, "the steps do not end");
    }
    assert!(killed >= 12, "only {killed} steps could be hit: is the hook still there?");
}

/// The same with a real SIGKILL at arbitrary moments.
#[test]
fn an_add_killed_at_any_moment_leaves_a_sound_store() {
    let place = Place::registry();
    place.write("before", "kept");
    place.lab(["add", "before", "--name", "before"]).succeeds();
    for i in 0..300u32 {
        let bytes: Vec<u8> = (0..20_000u32)
            .map(|j| (i.wrapping_mul(j).wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        place.write(format!("data/{i}"), bytes);
    }
    for round in 0..25u64 {
        let mut command = place.command();
        command.args(["add", "data", "--name", "data"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(1500 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        place.lab(["check"]).succeeds().says("sound");
        assert_eq!(place.lab(["cat", "before"]).succeeds().out, "kept");
        if place.lab(["show", "data"]).code == 0 {
            place.lab(["name", "--delete", "data"]).succeeds();
        }
    }
    place.lab(["add", "data", "--name", "data"]).succeeds();
    place.lab(["get", "data", "copy"]).succeeds().says("300 files");
}

/// A run of a command that dies with `lab` leaves nothing in its place but a sound store.
#[test]
fn a_run_killed_in_the_middle_leaves_a_sound_store() {
    let place = Place::registry();
    let mut command = place.command();
    command.args(["run", "-o", "x", "--", "sh", "-c", "echo start > x; sleep 30"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    child.kill().unwrap();
    child.wait().unwrap();
    place.lab(["check"]).succeeds().says("sound");
    assert_eq!(place.lab(["log", "--json"]).succeeds().json(), serde_json::json!([]));
}
