//! `lab check` with the real binary: what it says of damage, how it goes on where it was, and what it
//! puts right.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::path::PathBuf;

use kit::Place;

/// Every pack of the registry in a folder, the largest first.
fn packs(place: &Place, store: &str) -> Vec<PathBuf> {
    let mut found = kit::files(&place.at(store).join("packs"), &[".pack"]);
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    found
}

fn flip(path: &PathBuf, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Bytes that no encoding makes much of.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn damage_largest(place: &Place) {
    let pack = packs(place, ".lab").remove(0);
    let middle = fs::metadata(&pack).unwrap().len() / 2;
    flip(&pack, middle);
}

#[test]
fn damage_is_named_and_put_right_from_the_work_tree() {
    let place = Place::registry();
    place.write("data/large.bin", noise(1, 600_000));
    place.write("data/small.txt", "small");
    place.lab(["add", "data", "--name", "data"]).succeeds();
    place.lab(["check", "--repair"]).succeeds().says("sound");
    damage_largest(&place);
    place.lab(["check", "--quick"]).succeeds();
    let said = place.lab(["check"]).exits(1).says("not sound").says("data/large.bin");
    assert!(said.err.contains("lab check --repair"), "{}", said.err);
    let json = place.lab(["check", "--json"]).exits(1).json();
    assert_eq!(json["sound"], false);
    assert_eq!(json["lost"].as_array().unwrap().len(), 1);
    assert_eq!(json["lost"][0]["at"][0], "data/large.bin");

    // The file has another name now, and there is one of the same size beside it.
    fs::rename(place.at("data/large.bin"), place.at("moved.bin")).unwrap();
    place.write("data/decoy.bin", noise(2, 600_000));
    let before = packs(&place, ".lab").remove(0);
    place
        .lab(["check", "--repair"])
        .succeeds()
        .says("repaired")
        .says("from moved.bin")
        .says("cleared")
        .says("sound");
    assert!(!before.exists());
    place.lab(["check"]).succeeds().says("sound");
    place.lab(["get", "data", "back"]).succeeds();
    assert!(place.read("back/large.bin") == noise(1, 600_000));
}

#[test]
fn each_damage_is_told_once_and_what_is_left_after_a_repair() {
    let place = Place::registry();
    for (name, seed) in [("a", 1), ("b", 2)] {
        place.write(name, noise(seed, 3000));
        let before = packs(&place, ".lab");
        place.lab(["add", name, "--name", name]).succeeds();
        let mut new = packs(&place, ".lab");
        new.retain(|pack| !before.contains(pack));
        flip(&new[0], fs::metadata(&new[0]).unwrap().len() / 3);
    }
    let said = place.lab(["check"]).exits(1).says("not sound  2 findings; ");
    let lines = |word: &str| said.out.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!((lines("damaged"), lines("lost")), (2, 2), "{}", said.out);
    assert!(!said.out.contains("needed by"), "{}", said.out);

    fs::remove_file(place.at("b")).unwrap();
    let said = place.lab(["check", "--repair"]).exits(1).says("repaired  blob");
    said.says("not sound  1 left of 2 findings; ");
    let json = place.lab(["check", "--repair", "--json"]).exits(1).json();
    assert_eq!(json["repair"]["left"].as_array().unwrap().len(), 1);
    place.write("b", noise(2, 3000));
    place.lab(["check", "--repair"]).succeeds().says("sound");
}

/// A folder that cannot be read keeps nobody from being told of what else there is.
#[test]
fn a_damaged_folder_hides_nothing_else() {
    let place = Place::registry();
    let run = |name: &str, script: &str| {
        place.lab(["run", "--name", name, "--", "sh", "-c", script]).succeeds();
    };
    let add = |name: &str| {
        let before = packs(&place, ".lab");
        place.lab(["add", name, "--name", name]).succeeds();
        let mut new = packs(&place, ".lab");
        new.retain(|pack| !before.contains(pack));
        new
    };
    for (folder, file) in [("data", "a"), ("data", "b"), ("other", "c")] {
        place.write(format!("{folder}/{file}.txt"), format!("{file}\n"));
    }
    let first = add("data");
    add("other");
    run("one", "cat data/a.txt other/c.txt > one.txt");
    place.write("data/b.txt", "another");
    place.write("other/c.txt", "another");
    add("data");
    add("other");
    place.lab(["status"]).succeeds().says("stale     one read other@v1");
    let whole: Vec<Vec<u8>> = first.iter().map(|pack| fs::read(pack).unwrap()).collect();
    // Wherever the first version of the folder lies; every flip hits the pack of its tree or of its files.
    let mut hit = 0;
    for (pack, whole) in first.iter().zip(&whole) {
        for at in (0..whole.len() as u64).step_by(7) {
            flip(pack, at);
            let status = place.lab(["status"]);
            if status.out.contains("damaged   data: ") {
                hit += 1;
                let status = status.exits(1).says("stale     one read other@v1").says("registry");
                status.complains("all else could be told");
                place.lab(["why", "one"]).succeeds().says("other/c.txt  in other@v1");
                fs::write(pack, whole).unwrap();
                break;
            }
            fs::write(pack, whole).unwrap();
        }
    }
    assert!(hit > 0, "no flip hit the folder");
}

#[test]
fn what_is_damaged_hides_nothing_else() {
    let place = Place::registry();
    let run = |name: &str| {
        let before = packs(&place, ".lab");
        let script = format!("echo {name} > small; head -c 400000 /dev/urandom > large");
        place.lab(["run", "--name", name, "--", "sh", "-c", &script]).succeeds();
        let mut new = packs(&place, ".lab");
        new.retain(|pack| !before.contains(pack));
        new
    };
    run("a");
    let second = run("b");
    run("c");
    let all = place.lab(["log"]).succeeds().out;
    let index = place.read(".lab/index.db");

    // Its record, which is in the smallest pack that it left.
    let record = second.last().unwrap();
    let whole = fs::read(record).unwrap();
    flip(record, whole.len() as u64 / 3);
    let log = place.lab(["log"]).exits(1).says("is damaged").complains("all else could be told");
    assert_eq!(log.out.lines().count(), 3, "{}", log.out);
    let lines = log.out.lines().zip(all.lines());
    assert_eq!(lines.filter(|(one, other)| one[..20] == other[..20]).count(), 3, "{}", log.out);
    assert_eq!(place.lab(["log", "--by", "ana"]).exits(1).out, log.out);
    let json = place.lab(["log", "--json"]).exits(1).json();
    assert_eq!(json[1]["name"], "b");
    assert!(json[1]["damaged"].as_str().unwrap().contains("is damaged"), "{json}");
    place.lab(["status"]).exits(1).says("registry").says("remotes").says("damaged   b: run ");
    // An index that is made now does not know it.
    fs::remove_file(place.at(".lab/index.db")).unwrap();
    let log = place.lab(["log"]).exits(1).says("damaged       run ");
    assert!(log.out.contains("  a  ") && log.out.contains("  c  "), "{}", log.out);
    place.lab(["status"]).exits(1).says("damaged   b: run ");

    // What it left.
    fs::write(record, whole).unwrap();
    place.write(".lab/index.db", index);
    place.lab(["log"]).succeeds();
    place.lab(["status"]).succeeds();
    second.iter().filter(|pack| *pack != record).for_each(|pack| fs::remove_file(pack).unwrap());
    place.lab(["show", "b"]).succeeds().says("large  missing").says("small  missing");
    place.lab(["ls", "b"]).succeeds().says("   missing  large");
    assert_eq!(
        place.lab(["ls", "b", "--json"]).succeeds().json()[0]["size"],
        serde_json::Value::Null
    );
    place.lab(["show", "b:small"]).exits(3).complains("is not in the store");
    place.lab(["log"]).succeeds();
}

#[test]
fn what_nobody_has_is_named_and_a_remote_that_has_it_is_enough() {
    let place = Place::registry();
    place.write("in/large.bin", noise(3, 600_000));
    place.write("in/sub/small.txt", "small");
    place.lab(["add", "in", "--name", "data"]).succeeds();
    place.lab(["remote", "add", "share", &place.at("share").to_string_lossy()]).succeeds();
    place.lab(["push", "share", "data"]).succeeds();
    place.lab(["remote", "remove", "share"]).succeeds();
    fs::remove_dir_all(place.at("in")).unwrap();
    let others = packs(&place, ".lab");
    damage_largest(&place);
    let said = place.lab(["check", "--repair"]).exits(1).says("not repaired").says("kept");
    let said = said.says("no file in the work tree has it").says("there is no remote");
    assert!(said.out.contains("not sound"), "{}", said.out);
    // Nothing was made worse.
    assert_eq!(packs(&place, ".lab"), others);
    place.lab(["cat", "data/sub/small.txt"]).succeeds().says("small");

    // All packs, so that the directories are lost too.
    for pack in packs(&place, ".lab") {
        let bytes = fs::metadata(&pack).unwrap().len();
        flip(&pack, bytes - 30);
    }
    place.lab(["remote", "add", "nowhere", &place.at("nowhere").to_string_lossy()]).succeeds();
    place.lab(["check", "--repair"]).exits(1).says("remote nowhere");
    place.lab(["remote", "add", "share", &place.at("share").to_string_lossy()]).succeeds();
    place.lab(["check", "--repair"]).succeeds().says("from remote share").says("sound");
    place.lab(["check"]).succeeds();
    place.lab(["get", "data", "back"]).succeeds();
    assert!(place.read("back/large.bin") == noise(3, 600_000));
}

const MAKE: &str = "i=0; x=1; while [ $i -lt 60000 ]; do x=$(( (x * 1103515245 + 12345) % 2147483648 )); \
                    echo $x; i=$((i+1)); done > out.txt";

/// Damages a result that is in no file of the work tree, and not the record of its run.
fn lose(place: &Place, reference: &str) {
    let run = reference.split(':').next().unwrap();
    for pack in packs(place, ".lab") {
        let right = fs::read(&pack).unwrap();
        // Beside the result lies the environment in which it was made.
        for part in 1..64 {
            flip(&pack, right.len() as u64 * part / 64);
            let lost = place.lab(["cat", reference]).code != 0;
            if lost && place.lab(["show", run]).code == 0 {
                return;
            }
            fs::write(&pack, &right).unwrap();
        }
    }
    panic!("{reference} lies nowhere");
}

#[test]
fn a_result_that_was_never_verified_is_not_made_again() {
    let place = Place::registry();
    place
        .lab(["run", "--apart", "--name", "made", "-o", "out.txt", "--", "sh", "-c", MAKE])
        .succeeds();
    let _ = fs::remove_file(place.at("out.txt"));
    lose(&place, "made:out.txt");
    let said = place.lab(["check", "--repair"]).exits(1).says("made:out.txt");
    said.says("has never been verified");
}

#[test]
fn a_result_of_a_verified_command_is_made_again() {
    let place = Place::registry();
    place
        .lab(["run", "--apart", "--name", "made", "-o", "out.txt", "--", "sh", "-c", MAKE])
        .succeeds();
    let right = place.lab(["cat", "made:out.txt"]).succeeds().out;
    place.lab(["verify", "made"]).succeeds();
    let _ = fs::remove_file(place.at("out.txt"));
    lose(&place, "made:out.txt");
    let said = place.lab(["check", "--repair"]).succeeds();
    said.says("by doing run").says("sound");
    assert!(place.lab(["cat", "made:out.txt"]).succeeds().out == right);
    place.lab(["check"]).succeeds();
}

#[test]
fn a_trained_model_is_made_again() {
    let place = Place::digits();
    let run = ["run", "digits.toml", "--name", "base", "--set", "train.epochs=1"];
    place.lab(run).succeeds();
    place.lab(["verify", "base.train"]).succeeds();
    let right = place.lab(["cat", "base.train:model.safetensors"]).succeeds().out;
    lose(&place, "base.train:model.safetensors");
    place.lab(["check", "--repair"]).succeeds().says("by doing run").says("sound");
    assert!(place.lab(["cat", "base.train:model.safetensors"]).succeeds().out == right);
}

#[test]
fn a_check_with_little_time_says_how_much_is_left() {
    let place = Place::registry();
    for n in 0..3 {
        place.write("x.bin", noise(n, 20_000));
        place.lab(["add", "x.bin", "--name", "x"]).succeeds();
    }
    let count = packs(&place, ".lab").len();
    assert!(count >= 3);
    place
        .lab(["check", "--for", "0s"])
        .succeeds()
        .says(&format!("read 1 of {count} packs; the rest next time"));
    for n in 2..count {
        let left = format!("read 1 of {count} packs; {} left in this round", count - n);
        place.lab(["check", "--for", "0s"]).succeeds().says(&left);
    }
    place.lab(["check", "--for", "0s"]).succeeds().says("every byte was read in the round");
    let json = place.lab(["check", "--for", "1h", "--json"]).succeeds().json();
    assert_eq!(
        (json["read"].as_u64(), json["every_byte"].as_bool()),
        (Some(count as u64), Some(true))
    );
    place.lab(["check", "--for", "soon"]).exits(2);
    place.lab(["check", "--for", "1m", "--fast"]).exits(2);
    // A cache that is damaged is an empty one.
    place.write(".lab/cache/check", "nonsense");
    place.lab(["check", "--for", "0s"]).succeeds().says("the rest next time");
}
