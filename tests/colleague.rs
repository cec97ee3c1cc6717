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
