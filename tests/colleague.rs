//! Sharing: the exact closure, only what is lacking, verified before it is kept.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kit::{Place, files};

#[test]
fn a_colleague_gets_the_whole_baseline_and_nothing_else() {
    let place = Place::digits();
    place.write("unrelated", "not part of it");
    place.lab(["add", "unrelated", "--name", "unrelated"]).succeeds();
    place.lab(["run", "digits.toml", "--name", "base", "--set", "train.epochs=2"]).succeeds();
    place.lab(["remote", "add", "origin", "share"]).succeeds();
    let dry = place.lab(["push", "origin", "base", "--dry-run", "--json"]);
    assert_eq!(dry.code, 5, "there is no store yet: {dry:?}");
    place.lab(["push", "origin", "base"]).succeeds().says("new");
    place.lab(["push", "origin", "base"]).succeeds().says("already there");
    place.lab(["clone", "share", "--into", "colleague"]).succeeds();
    let names = place.lab_in("colleague", ["ls", "--json"]).succeeds().json();
    assert_eq!(names.as_array().unwrap().len(), 1);
    // What was trained on came along, although only the result was asked for.
    place.lab_in("colleague", ["verify", "base", "--deep"]).succeeds().says("identical");
    place.lab_in("colleague", ["check"]).succeeds();
    place.lab_in("colleague", ["show", &place.id("digits")]).succeeds();
    place.lab_in("colleague", ["show", &place.id("unrelated")]).exits(3);
    // A fix of hers goes back as a fast step; only what is new travels.
    place
        .lab_in("colleague", ["run", "--name", "mine", "-o", "x", "--", "sh", "-c", "echo 1 > x"])
        .succeeds();
    place.lab_in("colleague", ["push", "origin", "mine"]).succeeds();
    place.lab(["pull", "origin", "mine"]).succeeds().says("mine");
    place.lab(["verify", "mine"]).succeeds();
}

#[test]
fn sets_of_names_are_exchanged_and_verified() {
    let place = Place::registry();
    for name in ["base.seed1", "base.seed2", "base.seed10", "base.seedling", "other"] {
        place.write("in", name);
        place
            .lab(["run", "--name", name, "-i", "in", "-o", "out", "--", "sh", "-c", "cat in > out"])
            .succeeds();
    }
    let names = |folder: &str| -> Vec<String> {
        let listed = place.lab_in(folder, ["ls", "--json"]).succeeds().json();
        listed.as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap().to_owned()).collect()
    };
    place.lab(["push", "./share", "base@seeds"]).succeeds();
    assert_eq!(names("share"), ["base.seed1", "base.seed10", "base.seed2"]);
    place.lab(["push", "./share", "base*", "other"]).succeeds();
    assert_eq!(names("share").len(), 5);
    place.lab(["clone", "share", "base.seed1?", "--into", "b"]).succeeds();
    assert_eq!(names("b"), ["base.seed10"]);
    place.lab_in("b", ["pull", "origin", "base@seeds"]).succeeds();
    assert_eq!(names("b"), ["base.seed1", "base.seed10", "base.seed2"]);
    let verified = place.lab_in("b", ["verify", "base@seeds", "--json"]).succeeds().json();
    assert_eq!(verified.as_array().unwrap().len(), 3);
    // A run that has two names, or is meant twice, is done again once.
    place.lab_in("b", ["name", "also", "base.seed1"]).succeeds();
    let verified = place.lab_in("b", ["verify", "*", "base.seed1", "--json"]).succeeds().json();
    assert_eq!(verified.as_array().unwrap().len(), 3);
    // Nothing is half done for a set that nothing fits.
    place.lab(["push", "./share", "other", "none@seeds"]).exits(3).complains("'none@seeds'");
    place.lab(["pull", "./share", "none*"]).exits(3).complains("nothing is called 'none*'");
    place.lab(["clone", "share", "none*", "--into", "c"]).exits(3).complains("none*");
    assert!(!place.at("c").exists());
    place.lab(["verify", "none@seeds"]).exits(3).complains("no run is called");
    place.lab(["push", "./share", "a/b@seeds"]).exits(2);
}

#[test]
fn what_a_run_read_is_had_by_its_name_and_its_code_too() {
    let place = Place::registry();
    place.write("data.csv", "1\n");
    place.write("folder/part", "2\n");
    place.write("go.sh", "cat data.csv folder/part > sum.csv");
    place.lab(["run", "--name", "sum", "--", "sh", "go.sh"]).succeeds();
    fs::remove_file(place.at("data.csv")).unwrap();
    place.lab(["get", "sum:data.csv"]).succeeds();
    assert_eq!(place.read("data.csv"), b"1\n");
    assert_eq!(place.lab(["cat", "sum:folder/part"]).succeeds().out, "2\n");
    // It is an input, not something that the run made.
    place.lab(["why", "sum:data.csv"]).succeeds().says("was made by no recorded run");
    place.lab(["get", "sum", "--code", "code"]).succeeds();
    assert_eq!(place.read("code/go.sh"), b"cat data.csv folder/part > sum.csv");
    place.lab(["get", "sum:sum.csv", "--code", "again"]).succeeds();
    assert_eq!(place.read("again/go.sh"), place.read("code/go.sh"));
    place.lab(["get", "sum:dato.csv"]).exits(3).complains("did you mean `sum:data.csv`?");
    place.lab(["get", "sum:nothing-like-it"]).exits(3).complains("its outputs: sum.csv");
    place.lab(["add", "data.csv", "--name", "data"]).succeeds();
    place.lab(["get", "data", "--code"]).exits(3).complains("no recorded run made");
}

#[test]
fn a_name_that_somebody_moved_is_not_run_over() {
    let place = Place::registry();
    let add = |folder: &str, text: &str| {
        place.write(format!("{folder}/file"), text);
        place.lab_in(folder, ["add", "file", "--name", "data"]).succeeds();
    };
    fs::create_dir(place.at("a")).unwrap();
    place.lab_in("a", ["init"]).succeeds();
    add("a", "one");
    place.lab_in("a", ["push", "../share", "data"]).succeeds();
    place.lab(["clone", "share", "--into", "b"]).succeeds();
    add("b", "two, by ben");
    place.lab_in("b", ["push"]).succeeds();
    add("a", "three, by ana");
    place
        .lab_in("a", ["push", "../share", "data"])
        .exits(4)
        .complains("was moved")
        .complains("--force");
    assert_eq!(place.lab_in("share", ["cat", "data"]).succeeds().out, "two, by ben");
    place.lab_in("a", ["pull", "../share", "data"]).exits(4);
    assert_eq!(place.lab_in("a", ["cat", "data"]).succeeds().out, "three, by ana");
    place.lab_in("a", ["push", "../share", "data", "--force"]).succeeds();
    assert_eq!(place.lab_in("share", ["cat", "data"]).succeeds().out, "three, by ana");
    assert_eq!(place.lab_in("share", ["cat", "data@v2"]).succeeds().out, "two, by ben");
}

#[test]
fn damage_on_the_remote_is_named_and_not_fetched() {
    let place = Place::registry();
    place.write("big", "some text that is kept ".repeat(50_000));
    place.lab(["add", "big", "--name", "big"]).succeeds();
    place.lab(["push", "./share"]).succeeds();
    for pack in files(&place.at("share/packs"), &[".pack"]) {
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(&pack).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 0x40;
        fs::write(&pack, bytes).unwrap();
    }
    let failed = place.lab(["clone", "share", "--into", "copy"]);
    assert!([1, 3].contains(&failed.code), "{failed:?}");
    assert!(failed.err.contains("damaged") || failed.err.contains("lacks"), "{}", failed.err);
    assert!(!place.at("copy").exists(), "half a clone was left");
}

/// A byte flipped here is mended from the remote.
#[test]
fn a_pull_can_repair() {
    let place = Place::registry();
    let noise = |i: u64| format!("{:x} ", i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    place.write("big", (0..40_000).map(noise).collect::<String>());
    place.lab(["add", "big", "--name", "big"]).succeeds();
    place.lab(["push", "./share"]).succeeds();
    for pack in files(&place.at(".lab/packs"), &[".pack"]) {
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(&pack).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 0x40;
        fs::write(&pack, bytes).unwrap();
    }
    place.lab(["cat", "big"]).exits(1);
    place.lab(["pull", "./share"]).succeeds();
    place.lab(["cat", "big"]).exits(1);
    place.lab(["pull", "./share", "--repair"]).succeeds();
    place.lab(["cat", "big"]).succeeds();
    place.lab(["check"]).succeeds();
}

#[test]
fn what_came_of_a_clone_that_broke_off_is_kept() {
    let place = Place::empty();
    let noise = |from: u64| -> Vec<u8> {
        let word = |n: u64| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ n << 13).to_le_bytes();
        (from..from + 500).flat_map(word).collect()
    };
    // The packs of each push, and what they hold.
    let mut pushed: Vec<Vec<(std::path::PathBuf, Vec<u8>)>> = Vec::new();
    for (n, name) in ["first", "second"].into_iter().enumerate() {
        place.lab(["init", name]).succeeds();
        place.write(format!("{name}/file"), noise(n as u64 * 1_000_000));
        place.lab_in(name, ["add", "file", "--name", name]).succeeds();
        place.lab_in(name, ["push", "../share"]).succeeds();
        let mut new = files(&place.at("share/packs"), &[".pack"]);
        new.retain(|path| pushed.iter().flatten().all(|(known, _)| known != path));
        pushed.push(new.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect());
    }
    let damage = |packs: &[(std::path::PathBuf, Vec<u8>)]| {
        for (path, sound) in packs {
            let mut bytes = sound.clone();
            let middle = bytes.len() / 3;
            bytes[middle] ^= 0x40;
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(path, bytes).unwrap();
        }
    };
    let mend = |packs: &[(std::path::PathBuf, Vec<u8>)]| {
        packs.iter().for_each(|(path, sound)| fs::write(path, sound).unwrap());
    };
    // Where nothing can be had, nothing stays; where something can, that does.
    pushed.iter().for_each(|packs| damage(packs));
    place.lab(["clone", "share", "--into", "copy"]).exits(1).complains("damaged");
    assert!(!place.at("copy").exists());
    mend(&pushed[0]);
    let kept = place.lab(["clone", "share", "--into", "copy"]).exits(1).complains("damaged");
    assert!(kept.err.contains("what came is kept: `lab -C copy pull`"), "{}", kept.err);
    place.lab_in("copy", ["check"]).succeeds().says("sound");
    mend(&pushed[1]);
    place
        .lab(["-C", "copy", "pull"])
        .succeeds()
        .says("(1 object already there)")
        .says("first")
        .says("second");
    place.lab_in("copy", ["check"]).succeeds().says("sound");
}
