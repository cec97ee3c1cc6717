//! Remotes in buckets, by the real binary and a small S3 on loopback. Real ones are tried by
//! `tests/remotes/garage`.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;
#[path = "kit/s3.rs"]
mod s3;

use std::process::Command;
use std::time::{Duration, Instant};

use kit::{Place, Said, said};
use s3::{Fault, S3};

const AT: &str = "s3://bucket/lab";

fn command(place: &Place, s3: &S3, folder: &str) -> Command {
    let mut command = place.command();
    command.current_dir(place.at(folder)).envs(s3.variables());
    command
}

fn lab(place: &Place, s3: &S3, args: &[&str]) -> Said {
    said(command(place, s3, ".").args(args))
}

fn lab_in(place: &Place, s3: &S3, folder: &str, args: &[&str]) -> Said {
    said(command(place, s3, folder).args(args))
}

/// A registry with a small file under a name.
fn small() -> Place {
    let place = Place::registry();
    place.write("x", "hello");
    place.lab(["add", "x", "--name", "x"]).succeeds();
    place
}

#[test]
fn a_baseline_goes_to_a_bucket_and_is_pulled_from_it() {
    for conditions in [true, false] {
        let (place, s3) = (Place::digits(), S3::start(conditions));
        place.lab(["run", "digits.toml", "--name", "base", "--set", "train.epochs=1"]).succeeds();
        lab(&place, &s3, &["remote", "add", "origin", AT])
            .succeeds()
            .says("the first push makes a store");
        lab(&place, &s3, &["push", "origin", "base"])
            .succeeds()
            .says("(new)")
            .complains("made a store in s3://bucket/lab");
        lab(&place, &s3, &["push", "origin", "base"]).succeeds().says("as it was");
        lab(&place, &s3, &["clone", AT, "--into", "copy"]).succeeds().says("base");
        lab_in(&place, &s3, "copy", &["verify", "base", "--deep"]).succeeds().says("identical");
        lab_in(&place, &s3, "copy", &["check"]).succeeds().says("sound");
        lab_in(&place, &s3, "copy", &["pull", AT]).succeeds().says("as it was");
        // Nothing but what belongs there is there.
        for key in s3.keys() {
            let known =
                key == "lab/format" || key.starts_with("lab/packs/") || key == "lab/names/base";
            assert!(known, "{key}");
        }
    }
}

#[test]
fn a_name_that_somebody_else_moved_is_not_overwritten() {
    for conditions in [true, false] {
        let (place, s3) = (small(), S3::start(conditions));
        lab(&place, &s3, &["push", AT, "x"]).succeeds();
        lab(&place, &s3, &["clone", AT, "--into", "other"]).succeeds();
        for (folder, text) in [("other", "theirs"), (".", "mine")] {
            place.write(format!("{folder}/x"), text);
            lab_in(&place, &s3, folder, &["add", "x", "--name", "x"]).succeeds();
        }
        lab_in(&place, &s3, "other", &["push", AT, "x"]).succeeds();
        lab(&place, &s3, &["push", AT, "x"]).exits(4).complains("was moved on the remote by ana");
        lab(&place, &s3, &["push", AT, "x", "--force"]).succeeds();
    }
}

/// Each request of a push and of a clone goes wrong in each way, once.
#[test]
fn what_goes_wrong_once_on_the_way_does_not_matter() {
    let faults = [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::NoAnswer,
        Fault::Cut,
        Fault::Torn,
        Fault::Slow,
    ];
    let place = small();
    let s3 = S3::start(true);
    lab(&place, &s3, &["push", AT, "x"]).succeeds();
    let pushed = s3.log().len();
    s3.plan(Box::new(|_, _| None));
    lab(&place, &s3, &["clone", AT, "--into", "copy"]).succeeds();
    let cloned = s3.log().len();
    for at in 1..pushed.max(cloned) {
        let fault = faults[at % faults.len()];
        s3.clear();
        s3.plan(Box::new(move |n, _| (n == at).then_some(fault)));
        lab(&place, &s3, &["push", AT, "x"]).succeeds();
        s3.plan(Box::new(move |n, _| (n == at).then_some(fault)));
        let copy = format!("copy{at}");
        lab(&place, &s3, &["clone", AT, "--into", &copy]).succeeds();
        lab_in(&place, &s3, &copy, &["check"]).succeeds().says("sound");
    }
    // It is said.
    s3.plan(Box::new(|n, _| (n == 2).then_some(Fault::Status(503))));
    lab(&place, &s3, &["push", AT, "x"])
        .succeeds()
        .complains("s3://bucket/lab: it answers 503 Trouble: on purpose; trying again");
}

/// What does not answer at all is most likely no store.
#[test]
fn the_first_question_is_not_asked_twice() {
    let (place, s3) = (small(), S3::start(true));
    s3.plan(Box::new(|_, _| Some(Fault::Cut)));
    lab(&place, &s3, &["push", AT, "x"]).exits(5).complains("cannot reach s3://bucket/lab");
    assert_eq!(s3.log().len(), 1);
    // One that answers may only be busy.
    s3.plan(Box::new(|n, _| (n < 2).then_some(Fault::Status(503))));
    lab(&place, &s3, &["push", AT, "x"]).succeeds().complains("trying again");
}

#[test]
fn what_is_wrong_under_a_right_name_is_not_kept() {
    let (place, s3) = (small(), S3::start(true));
    lab(&place, &s3, &["push", AT, "x"]).succeeds();
    // All that is read of packs; and all but what says what is in them.
    for (sound, said_of, code) in [(0, "the remote lacks", 3), (1, "damaged", 1)] {
        let mut read = 0;
        s3.plan(Box::new(move |_, what| {
            let ours = what.starts_with("GET bucket/lab/packs/");
            read += usize::from(ours);
            (ours && read > sound).then_some(Fault::Wrong)
        }));
        lab(&place, &s3, &["clone", AT, "--into", "copy"]).exits(code).complains(said_of);
        assert!(!place.at("copy/.lab/names/x").exists());
    }
    // Answers that make no sense are no names.
    s3.plan(Box::new(|_, what| what.contains("names").then_some(Fault::Wrong)));
    lab(&place, &s3, &["clone", AT, "--into", "copy"]).exits(5).complains("cannot be understood");
}

#[test]
fn what_is_wrong_is_said_at_once_and_without_secrets() {
    let (place, s3) = (small(), S3::start(true));
    lab(&place, &s3, &["push", AT, "x"]).succeeds();
    let with = |location: &str, vars: &[(&str, &str)], code: i32, said_of: &str| {
        let mut command = command(&place, &s3, ".");
        for (name, value) in vars {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        s3.plan(Box::new(|_, _| None));
        let begun = Instant::now();
        let answer = said(command.args(["pull", location])).exits(code).complains(said_of);
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert!(s3.log().len() < 2, "{:?}", s3.log());
        assert!(!answer.err.contains("s3cret") && !answer.out.contains("s3cret"), "{}", answer.err);
    };
    let id = "AWS_ACCESS_KEY_ID";
    with("s3://buckett/lab", &[], 5, "cannot reach s3://buckett/lab: there is no such bucket");
    with("s3://bucket/la", &[], 5, "there is no store at s3://bucket/la");
    with(
        AT,
        &[(id, "OTHER")],
        5,
        "the access key is not known there; the keys are those in AWS_ACCESS_KEY_ID",
    );
    with(AT, &[("AWS_REGION", "mars-1")], 5, "another region: set AWS_REGION to test-1");
    with(
        AT,
        &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")],
        5,
        "cannot reach s3://bucket/lab: Connection refused",
    );
    with(
        AT,
        &[("AWS_ENDPOINT_URL", "http://no.such.host.invalid")],
        5,
        "cannot reach s3://bucket/lab:",
    );
    with(AT, &[("AWS_ENDPOINT_URL", "127.0.0.1:9")], 2, "AWS_ENDPOINT_URL is no URL");
    with(AT, &[(id, "")], 2, "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID");
    with(
        AT,
        &[(id, ""), ("AWS_SECRET_ACCESS_KEY", "")],
        5,
        "there are no keys: not in AWS_ACCESS_KEY_ID",
    );
    with(AT, &[("AWS_PROFILE", "nobody")], 2, "names profile 'nobody'");
    with("s3://KEY:s3cret@bucket/lab", &[], 2, "do not stand in a location");
    with("s3://", &[], 2, "it names no bucket");
    with("gs://bucket/../x", &[], 2, "no '..'");
    with("az://bucket/lab", &[], 2, "AZURE_STORAGE_ACCOUNT_NAME is not set");
}

#[test]
fn keys_and_endpoint_can_stand_in_a_profile() {
    let (place, s3) = (small(), S3::start(true));
    place.write(
        ".aws/credentials",
        format!("[lab]\naws_access_key_id = {}\naws_secret_access_key = s3cret\n", s3::KEY),
    );
    place.write(
        ".aws/config",
        format!("[profile lab]\nregion = {}\nendpoint_url = http://{}\n", s3::REGION, s3.address),
    );
    let lab = |args: &[&str]| said(place.command().env("AWS_PROFILE", "lab").args(args));
    lab(&["remote", "add", "origin", AT]).succeeds();
    lab(&["push", "origin", "x"]).succeeds().says("(new)");
    lab(&["clone", AT, "--into", "copy"]).succeeds();
    let config = String::from_utf8(place.read(".lab/config.toml")).unwrap();
    assert!(config.contains(AT) && !config.contains("s3cret"), "{config}");
    place.write(".aws/config", "[profile lab]\nsso_session = us\n");
    lab(&["push", "origin", "x"]).exits(2).complains("sso_session").complains("export-credentials");
}

#[test]
fn a_store_is_not_made_between_the_things_of_others() {
    let (place, s3) = (small(), S3::start(true));
    lab(&place, &s3, &["push", AT, "x"]).succeeds();
    lab(&place, &s3, &["push", "s3://bucket", "x"])
        .exits(4)
        .complains("s3://bucket holds other things and is not a store")
        .complains("name a prefix");
    lab(&place, &s3, &["push", "s3://bucket/la", "x"]).succeeds();
}

/// How many requests it takes, and how many times the way. What stands in docs/benchmarks.md is counted here.
#[test]
fn requests_are_few() {
    for conditions in [true, false] {
        let (place, s3) = (Place::digits(), S3::start(conditions));
        place.lab(["run", "digits.toml", "--name", "base", "--set", "train.epochs=1"]).succeeds();
        s3.latency(Duration::from_millis(30));
        let ask = |args: &[&str], requests: usize, trips: usize| {
            s3.plan(Box::new(|_, _| None));
            lab(&place, &s3, args).succeeds();
            assert_eq!(s3.log().len(), requests, "{args:?}: {:#?}", s3.log());
            assert!(s3.trips() <= trips, "{args:?}: {} {:#?}", s3.trips(), s3.log());
        };
        let push = if conditions { 18 } else { 20 };
        ask(&["push", AT, "base"], push, push);
        ask(&["push", AT, "base"], 5, 5);
        ask(&["clone", AT, "--into", "copy"], 16, 11);
    }
}
