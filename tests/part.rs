//! A part of a baseline, from outside: what is left out is told, kept apart from what is lost, and comes
//! when a command needs it; whoever pulls it is killed, the remote is gone, others work beside it.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::process::{Child, Stdio};

use kit::{Place, said};

/// Digits, trained on and pushed to `share`.
fn shared() -> Place {
    let place = Place::digits();
    place.lab(["run", "digits.toml", "--name", "base", "--set", "train.epochs=2"]).succeeds();
    place.lab(["push", "./share"]).succeeds();
    place
}

/// Files and bytes that a registry knows it lacks.
fn left_out(place: &Place, folder: &str) -> (u64, u64) {
    let checked = place.lab_in(folder, ["check", "--json"]).succeeds().json();
    assert_eq!(checked["sound"], true);
    let all = checked["left_out"].as_array().unwrap();
    let sum = |key| all.iter().map(|left| left[key].as_u64().unwrap()).sum();
    (sum("files"), sum("bytes"))
}

#[test]
fn a_clone_brings_what_is_asked_for_in_one_go() {
    let place = shared();
    let planned = place
        .lab(["clone", "share", "base", "--into", "b", "--only", "outputs", "--dry-run", "--json"])
        .succeeds()
        .json();
    assert!(!place.at("b").exists());
    let groups = planned["groups"].as_array().unwrap();
    let part = |name| groups.iter().find(|group| group["part"] == name).unwrap();
    assert_eq!(part("outputs")["objects"], 2);
    assert!(part("outputs")["stored"].as_u64().unwrap() > 1000);
    assert_eq!(groups.len(), 2, "{groups:?}");
    let done = place
        .lab(["clone", "share", "base", "--into", "b", "--only", "outputs", "--json"])
        .succeeds()
        .json();
    for same in ["objects", "bytes", "stored", "left"] {
        assert_eq!(done[same], planned[same], "{same}");
    }
    let (files, bytes) = left_out(&place, "b");
    assert_eq!(
        (done["left"]["objects"].as_u64(), done["left"]["bytes"].as_u64()),
        (Some(files), Some(bytes))
    );
    assert!(files >= 8);
    // Only what was named; all its record.
    place.lab_in("b", ["show", "digits"]).exits(3);
    place.lab_in("b", ["graph", "base"]).succeeds().says("table  6e6d08206f25");
    let here = place.lab_in("b", ["cat", "base:metrics.json"]).succeeds();
    assert_eq!((here.err.as_str(), here.out.contains("accuracy")), ("", true));
    for quiet in
        [&["ls", "base"][..], &["status"], &["log"], &["du"], &["why", "base:metrics.json"]]
    {
        let said = place.lab_in("b", quiet).succeeds();
        assert!(!said.err.contains("fetched"), "{said:?}");
    }
    for _ in 0..3 {
        place.lab_in("b", ["gc", "--grace", "0s", "--history", "0s"]).succeeds();
    }
    assert_eq!(left_out(&place, "b"), (files, bytes));
    // Done again: what that needs comes, and is told.
    place.lab_in("b", ["verify", "base"]).succeeds().says("identical").complains("fetched 4 files");
    assert_eq!(left_out(&place, "b").0, files - 4);
    place.lab_in("b", ["pull", "../share", "base"]).succeeds();
    assert_eq!(left_out(&place, "b"), (0, 0));
    place.lab_in("b", ["--offline", "verify", "base", "--deep"]).succeeds().says("identical");
}

#[test]
fn the_folder_of_a_clone_has_a_word_of_its_own() {
    let place = shared();
    fs::create_dir(place.at("deep")).unwrap();
    place
        .lab_in("deep", ["clone", "../share", "colleague"])
        .exits(3)
        .complains("nothing called 'colleague'")
        .complains("--into colleague");
    place.lab(["clone", "share", "base"]).exits(4).complains("share exists").complains("--into");
    place
        .lab_in("deep", ["clone", "../share", "./colleague"])
        .exits(2)
        .complains("--into ./colleague");
    assert_eq!(fs::read_dir(place.at("deep")).unwrap().count(), 0);
    place.lab(["clone", "share", "--only", "everything"]).exits(2).complains("record");
    place.lab(["clone", "share", "--depth", "-1"]).exits(2);
    place.lab(["pull", "./share", "--only", "code", "--repair"]).exits(2);
}

#[test]
fn what_cannot_be_had_says_what_where_and_how() {
    let place = shared();
    place.lab(["clone", "share", "base", "--into", "b", "--only", "record"]).succeeds();
    let share = place.at("share").to_str().unwrap().to_owned();
    let cat = |args: &[&str]| {
        let all = args.iter().chain(&["cat", "base:predictions.csv"]);
        place.lab_in("b", all)
    };
    cat(&["--offline"])
        .exits(3)
        .complains("was left out here")
        .complains(&share)
        .complains("switched off")
        .complains(&format!("lab pull {share}"));
    let mut command = place.command();
    command.current_dir(place.at("b")).env("LAB_OFFLINE", "1");
    let offline = said(command.args(["get", "base", "out"])).exits(3);
    offline.complains("LAB_OFFLINE");
    assert!(!place.at("b/out/predictions.csv").exists());
    fs::rename(place.at("share"), place.at("away")).unwrap();
    cat(&[]).exits(5).complains("there is no store at").complains("lab pull");
    // Another store in its place, which does not have it.
    place.lab(["push", "./share", "digits"]).succeeds();
    cat(&[]).exits(3).complains("not there any more");
    place.lab_in("b", ["verify", "base"]).exits(3).complains("not there any more");
    fs::remove_dir_all(place.at("share")).unwrap();
    fs::rename(place.at("away"), place.at("share")).unwrap();
    cat(&[]).succeeds().complains("fetched 1 file");
    cat(&["--offline"]).succeeds();
    let notes = place.lab_in("b", ["get", "base", "out", "--quiet"]).succeeds();
    assert_eq!(notes.err, "");
    // A relative path to the remote holds from everywhere.
    fs::create_dir_all(place.at("e/deep")).unwrap();
    place.lab_in("e", ["init"]).succeeds();
    place.lab_in("e", ["pull", "../share", "base", "--only", "code"]).succeeds();
    place.lab_in("e/deep", ["cat", "base:metrics.json"]).succeeds().complains("fetched");
}

#[test]
fn a_part_that_is_pushed_on_is_whole_there() {
    let place = shared();
    place.lab(["clone", "share", "base", "--into", "b", "--only", "record"]).succeeds();
    place.lab_in("b", ["--offline", "push", "../third"]).exits(3).complains("was left out here");
    assert_eq!(
        place.lab_in("third", ["ls", "--json"]).succeeds().json().as_array().unwrap().len(),
        0
    );
    place.lab_in("b", ["push", "../third", "--dry-run"]).succeeds().says("only promised here");
    place.lab_in("b", ["push", "../third"]).succeeds().complains("fetched");
    place.lab_in("third", ["check"]).succeeds();
    fs::remove_dir_all(place.at("share")).unwrap();
    place.lab(["clone", "third", "--into", "c"]).succeeds();
    place.lab_in("c", ["verify", "base", "--deep"]).succeeds().says("identical");
}

/// Killed after each of its steps on disk.
#[test]
fn a_pull_of_a_part_that_is_killed_leaves_nothing_that_looks_lost() {
    let place = shared();
    let (mut step, mut killed) = (0, 0);
    loop {
        step += 1;
        let folder = format!("b{step}");
        fs::create_dir(place.at(&folder)).unwrap();
        place.lab_in(&folder, ["init"]).succeeds();
        let mut command = place.command();
        command.current_dir(place.at(&folder)).env("LAB_CRASH_AT", step.to_string());
        let pulled =
            said(command.args(["pull", "../share", "base", "base.train", "--only", "code"]));
        left_out(&place, &folder);
        place.lab_in(&folder, ["gc", "--grace", "0s"]).succeeds();
        place
            .lab_in(&folder, ["pull", "../share", "base", "base.train", "--only", "code"])
            .succeeds();
        assert!(left_out(&place, &folder).0 > 0);
        // And one that fetches, later.
        let mut command = place.command();
        command.current_dir(place.at(&folder)).env("LAB_CRASH_AT", step.to_string());
        let read = said(command.args(["cat", "base.train:model.json"]));
        left_out(&place, &folder);
        place.lab_in(&folder, ["cat", "base.train:model.json"]).succeeds();
        fs::remove_dir_all(place.at(&folder)).unwrap();
        if pulled.code == 0 && read.code == 0 {
            break;
        }
        killed += 1;
    }
    assert!(killed > 10, "{killed}");
}

#[test]
fn commands_that_fetch_at_once_do_not_disturb_each_other() {
    let place = shared();
    place.lab(["clone", "share", "--into", "b", "--only", "record"]).succeeds();
    let start = |args: &[&str]| -> Child {
        let mut command = place.command();
        command.current_dir(place.at("b")).args(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut all = Vec::new();
    for n in 0..4 {
        all.push(start(&["get", "base", &format!("out{n}")]));
        all.push(start(&["cat", "base.train:model.safetensors"]));
        all.push(start(&["gc", "--grace", "0s", "--history", "0s"]));
    }
    for child in all {
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{err}");
    }
    left_out(&place, "b");
    place.lab_in("b", ["verify", "base", "--deep"]).succeeds();
}

/// A safetensors file with these tensors of bytes.
fn safetensors(tensors: &[(&str, &str, &[u64], &[u8])]) -> Vec<u8> {
    let (mut at, mut entries, mut data) = (0, Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let end = at + bytes.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{at},{end}]}}"#
        ));
        data.extend_from_slice(bytes);
        at = end;
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn one_tensor_is_read_alone_here_and_from_afar() {
    let place = Place::registry();
    let (a, b) = (noise(1, 4 << 20), noise(2, 6000));
    let file = safetensors(&[
        ("a", "F32", &[1024, 1024], &a),
        ("layer.b", "BF16", &[30, 100], &b),
        ("none", "F32", &[0, 7], &[]),
    ]);
    place.write("model.safetensors", &file);
    place.lab(["add", "model.safetensors", "--name", "model"]).succeeds();
    place.lab(["push", "./share"]).succeeds();
    place.lab(["clone", "share", "--into", "b", "--only", "record"]).succeeds();
    let raw = |folder: &str, args: &[&str]| {
        let mut command = place.command();
        let output = command.current_dir(place.at(folder)).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for folder in [".", "b"] {
        let (out, err) = raw(folder, &["cat", "model", "--tensor", "layer.b"]);
        assert!(out == b && err.contains("BF16 [30, 100]"), "{err}");
        let (out, _) = raw(folder, &["cat", "model", "--tensor", "a"]);
        assert!(out == a);
        let (out, err) = raw(folder, &["cat", "model", "--tensor", "none", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&err).unwrap();
        assert!(out.is_empty());
        assert_eq!((&told["dtype"], &told["shape"]), (&"F32".into(), &[0, 7][..].into()));
        place
            .lab_in(folder, ["cat", "model", "--tensor", "layer.c"])
            .exits(3)
            .complains("did you mean `layer.b`");
        place
            .lab_in(folder, ["cat", "model", "--tensor", "zzzzzzzz"])
            .exits(3)
            .complains("3 tensors");
        let (out, _) = raw(folder, &["cat", "model", "--bytes", "100..2000100"]);
        assert!(out == file[100..2_000_100]);
        place.lab_in(folder, ["cat", "model", "--bytes", "0..99999999"]).exits(2);
        place.lab_in(folder, ["cat", "model", "--bytes", "99999998..99999999"]).exits(2);
    }
    // Told once, and nothing of it is kept.
    let (_, err) = raw("b", &["cat", "model", "--bytes", "0..10"]);
    assert!(err.contains("10 B") && err.contains("not kept"), "{err}");
    assert_eq!(left_out(&place, "b").0, 1);
    place.lab_in("b", ["--offline", "cat", "model", "--bytes", "0..10"]).exits(3);
    place.write("plain", "no weights");
    place.lab(["add", "plain", "--name", "plain"]).succeeds();
    place.lab(["cat", "plain", "--tensor", "a"]).exits(2).complains("no safetensors file");
    place.lab(["cat", "model", "--tensor", "a", "--bytes", "0..1"]).exits(2);
    let (out, _) = raw("b", &["cat", "model"]);
    assert!(out == file);
    assert_eq!(left_out(&place, "b").0, 0);
}

#[test]
fn weights_alone_are_found_by_their_contents() {
    let place = shared();
    place.lab(["clone", "share", "base.train", "--into", "b", "--only", "weights"]).succeeds();
    let cat = |what: &str| place.lab_in("b", ["--offline", "cat", what, "--bytes", "0..8"]).code;
    assert_eq!(cat("base.train:model.safetensors"), 0);
    assert_eq!(cat("base.train:history.json"), 3);
    assert_eq!(cat("base.train:steps.csv"), 3);
}

const STEPS: &str = "[[step]]\nname = \"upper\"\nrun = \"tr a-z A-Z < raw > big\"\n";

#[test]
fn a_fresh_copy_of_a_project_needs_only_a_pull() {
    let place = Place::empty();
    place.write("project/raw", "a few words\n");
    place.write("project/lab.toml", format!("[remotes]\norigin = \"../hub\"\n\n{STEPS}"));
    place.lab_in("project", ["init"]).succeeds();
    place.lab_in("project", ["run"]).succeeds();
    place.lab_in("project", ["push"]).succeeds().says("hub");
    place.lab_in("project", ["remote"]).succeeds().says("lab.toml");
    // What git would bring.
    for file in ["raw", "lab.toml", "lab.lock"] {
        place.write(format!("copy/{file}"), place.read(format!("project/{file}")));
    }
    fs::create_dir(place.at("copy/deep")).unwrap();
    place.lab_in("copy/deep", ["pull", "--dry-run"]).succeeds().says("would move");
    place.lab_in("copy/deep", ["ls"]).exits(3).complains("`lab pull` does both");
    assert!(!place.at("copy/.lab").exists());
    place.lab_in("copy/deep", ["pull", "--only", "record"]).succeeds().complains("made a registry");
    assert!(place.at("copy/.lab/format").exists() && !place.at("copy/deep/.lab").exists());
    place.lab_in("copy", ["get", "upper:big"]).succeeds().complains("fetched");
    assert_eq!(place.read("copy/big"), b"A FEW WORDS\n");
    place.lab_in("copy", ["pull"]).succeeds();
    assert_eq!(left_out(&place, "copy"), (0, 0));
}

#[test]
fn a_project_whose_remote_is_none_gets_no_registry() {
    let place = Place::empty();
    let pull = |text: &str| {
        place.write("copy/lab.toml", text);
        let said = place.lab_in("copy", ["pull"]);
        assert!(!place.at("copy/.lab").exists(), "{said:?}");
        said
    };
    pull(STEPS).exits(3).complains("no remote 'origin'").complains("in lab.toml");
    pull("[remotes]\norigin = \"../nowhere\"\n").exits(5).complains("there is no store at");
    pull("[remotes]\norigin = \"https://ana:pass@host/x\"\n").exits(2).complains("before the '@'");
    let said = pull("[remotes]\norigin = \"https://host/x?token=hunter2\"\n").exits(2);
    assert!(!said.err.contains("hunter2"), "{}", said.err);
    pull("[remotes]\norigin = 7\n").exits(2).complains("lab.toml");
    pull("remotes = \"../hub\"\n").exits(2);
    place.lab(["init"]).succeeds();
    place.write("raw", "x");
    place.lab(["add", "raw", "--name", "raw"]).succeeds();
    place.lab(["push", "./hub"]).succeeds();
    // A project that names none: where it was pulled from is its remote from then on.
    let bare = Place::empty();
    bare.write("lab.toml", STEPS);
    let hub = place.at("hub").to_str().unwrap().to_owned();
    bare.lab(["pull", &hub]).succeeds().complains("made a registry");
    bare.lab(["pull"]).succeeds().says("raw");
    // No project: nothing is made.
    let other = Place::empty();
    other.lab(["pull", &hub]).exits(3).complains("not in a registry");
    assert!(!other.at(".lab").exists());
    // One's own word for a remote goes before the project's.
    place.write("lab.toml", "[remotes]\norigin = \"./nowhere\"\n");
    place.lab(["pull"]).exits(5);
    place.lab(["remote", "add", "origin", "hub"]).succeeds();
    place.lab(["pull"]).succeeds().says("raw");
}
