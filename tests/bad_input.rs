//! Every input can be wrong: a clear error on standard error, the documented exit code, a hint,
//! and nothing lost or half done.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use kit::{Place, files, said};
use lab_objects::{Expected, Folder, Store};
use lab_schema::Name;

#[test]
fn references_that_mean_nothing_or_too_much() {
    let place = Place::registry();
    place.write("a", "abc");
    place.lab(["add", "a", "--name", "base"]).succeeds();
    place
        .lab(["show", "bsae"])
        .exits(3)
        .complains("no name or hash 'bsae'")
        .complains("did you mean `base`?");
    place.lab(["show", "0123456789abcdef"]).exits(3).complains("no name or hash");
    place.lab(["cat", &"0".repeat(64)]).exits(3).complains("no object has an id that starts with");
    place.lab(["show", "base@v9"]).exits(3).complains("no version 9").complains("v1 to v1");
    place.lab(["show", "base@3"]).exits(2).complains("base@v3");
    place.lab(["cat", "base/inside"]).exits(2).complains("not a directory");
    place.lab(["cat", "base:output"]).exits(2).complains("is a blob: only a run has outputs");
    place.lab(["ls", "base"]).exits(2).complains("nothing in it to list");
    place.lab(["verify", "base"]).exits(3).complains("no recorded run made");
    place.lab(["cat", "a b"]).exits(2);
    place.lab(["cat", "base", "--bytes", "2..99"]).exits(2).complains("not inside");
    place.lab(["cat", "base", "--bytes", "9..2"]).exits(2);
}

/// With 3,000 blobs some share four digits; the candidates are listed.
#[test]
fn an_ambiguous_prefix_lists_its_candidates() {
    let place = Place::registry();
    for i in 0..3000u32 {
        place.write(format!("many/{i}"), i.to_string());
    }
    place.lab(["add", "many", "--name", "many"]).succeeds();
    let listing = place.lab(["ls", "many", "--json"]).succeeds().json();
    let mut prefixes: Vec<String> = listing
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["id"].as_str().unwrap()[..4].to_owned())
        .collect();
    prefixes.sort();
    let shared = prefixes.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
    let shared = shared.expect("3,000 digests among 65,536 prefixes collide");
    let said = place
        .lab(["show", &shared])
        .exits(2)
        .complains("is the start of")
        .complains("type more digits");
    assert!(said.err.matches("blob").count() >= 2, "{}", said.err);
}

#[test]
fn names_that_cannot_be() {
    let place = Place::registry();
    place.write("a", "abc");
    for bad in ["a\nb", "", "../x", "a/b", "-x", "é", &"0".repeat(64), &"n".repeat(101)] {
        let said = place
            .lab(["add", "a", &format!("--name={bad}")])
            .exits(2)
            .complains("cannot be a name");
        assert!(!said.err.contains("a\nb"), "the control character was printed raw");
    }
    place.lab(["name", "a\tb", "abcd"]).exits(2);
    place.lab(["name", "--delete", "nothing"]).exits(3);
    assert_eq!(place.lab(["ls", "--json"]).succeeds().json(), serde_json::json!([]));
}

#[test]
fn a_name_that_reads_as_an_id_is_not_made_and_can_be_got_rid_of() {
    let place = Place::registry();
    place.write("a", "a");
    place.lab(["add", "a", "--name", "a"]).succeeds();
    let id = place.id("a");
    let hides = |said: kit::Said| drop(said.exits(2).complains("reads as the start of an id"));
    for name in [&id[..12], "deadbeef", "0E8A95902FC6"] {
        hides(place.lab(["name", name, "a"]));
        hides(place.lab(["add", "a", "--name", name]));
        hides(place.lab(["run", "--name", name, "--", "touch", "b"]));
        assert!(!place.at("b").exists());
    }
    place.write("lab.toml", "[[step]]\nname = 'deadbeef'\nrun = 'touch b'\n");
    hides(place.lab(["run"]));
    // Short words, and days.
    for name in ["cafe", "20261201", "deadbeef-1"] {
        place.lab(["name", name, "a"]).succeeds();
    }

    // One that is there already, or comes from elsewhere.
    let store = Store::open(Arc::new(Folder::open(&place.at(".lab")).unwrap())).unwrap();
    let moved = store.names().get(&Name::new("a").unwrap()).unwrap().unwrap();
    store.names().set(&Name::new("deadbeef").unwrap(), Expected::Absent, moved).unwrap();
    place.lab(["show", "deadbeef"]).succeeds().says(&id);
    place.lab(["push", "./share", "deadbeef"]).succeeds();
    place.lab(["clone", "share", "--into", "b"]).succeeds();
    place.lab_in("b", ["show", "deadbeef"]).succeeds().says(&id);
    place.lab_in("b", ["name", "--delete", "deadbeef"]).succeeds();
    place.write("c", "c");
    place.lab(["add", "c", "--name", "deadbeef"]).succeeds();
    place.lab(["name", "renamed", "deadbeef"]).succeeds();
    place.lab(["name", "--delete", "deadbeef"]).succeeds();
    place.lab(["name", "deadbeef", "deadbeef@v2"]).succeeds();
}

#[test]
fn what_was_deleted_is_said_to_be_and_not_mistaken() {
    let place = Place::registry();
    place.write("a", "abc");
    place.lab(["add", "a", "--name", "base"]).succeeds();
    place.lab(["name", "bases", "base"]).succeeds();
    place.lab(["name", "--delete", "base"]).succeeds();
    let said = place.lab(["show", "base"]).exits(3).complains("'base' was deleted by ana");
    let said = said.complains("`lab name base base@v1` brings it back");
    assert!(!said.err.contains("did you mean"), "{}", said.err);
    // Nor is it meant by another.
    let said = place.lab(["show", "baze"]).exits(3);
    assert!(!said.err.contains("`base`"), "{}", said.err);
    place.lab(["name", "base", "base@v1"]).succeeds();
    place.lab(["show", "base"]).succeeds();
}

#[test]
fn the_history_of_several_names_can_be_asked_for() {
    let place = Place::registry();
    for name in ["line", "linear", "other"] {
        place.write("a", name);
        place.lab(["add", "a", "--name", name]).succeeds();
    }
    let told = place.lab(["log", "lin*"]).succeeds().says("line\nv1 ").says("linear\nv1 ");
    assert!(!told.out.contains("other"), "{}", told.out);
    let told = place.lab(["log", "lin*", "--json"]).succeeds().json();
    let names: Vec<&str> =
        told.as_array().unwrap().iter().map(|moved| moved["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["line", "linear"]);
    place.lab(["log", "x*"]).exits(3).complains("nothing is called 'x*'");
}

#[test]
fn code_is_no_input_and_where_to_find_it_is_said() {
    let place = Place::registry();
    place.write("train.sh", "echo 1 > out");
    place.lab(["run", "--name", "r", "--", "sh", "train.sh"]).succeeds();
    let said = place.lab(["cat", "r:train.sh"]).exits(3).complains("`lab get r DIR --code`");
    let cat = said.err.split('`').find_map(|part| part.strip_prefix("lab cat ")).unwrap();
    place.lab(["cat", cat]).succeeds().says("echo 1 > out");
    place.lab(["get", "r", "code", "--code"]).succeeds();
    place.write("code/train.sh", "echo 2 > out");
    place
        .lab(["get", "r", "code", "--code"])
        .exits(4)
        .complains("`lab get r ELSEWHERE --code` leaves it alone");
    let out = place.lab(["get", "r:out", "code/train.sh"]).exits(4);
    let out = out.complains("`lab get r:out ELSEWHERE` leaves it alone");
    assert!(!out.err.contains("--code"), "{}", out.err);
}

#[test]
fn nothing_is_made_elsewhere_for_what_is_not_here() {
    let place = Place::registry();
    place.write("a", "abc");
    place.lab(["add", "a", "--name", "base"]).succeeds();
    place.lab(["push", "./share", "bsae"]).exits(3).complains("did you mean `base`?");
    place.lab(["push", "./share", "base", "0123456789abcdef"]).exits(3);
    assert!(!place.at("share").exists());
    place.lab(["push", "./share", "base"]).succeeds();
    // A folder in second place, as git has it; a set of names is none.
    fs::create_dir(place.at("sub")).unwrap();
    place
        .lab_in("sub", ["clone", "../share", "there"])
        .exits(3)
        .complains("if 'there' is the folder to make: `lab clone ../share --into there`");
    let said = place.lab(["clone", "share", "x*", "--into", "b"]).exits(3);
    assert!(!said.err.contains("--into"), "{}", said.err);
    let said = place.lab(["clone", "share", "there", "--into", "b"]).exits(3);
    assert!(!said.err.contains("--into"), "{}", said.err);
}

#[test]
fn outside_of_a_registry() {
    let place = Place::empty();
    for command in [
        &["ls"][..],
        &["add", "x"],
        &["status"],
        &["check"],
        &["verify", "x"],
        &["run", "--", "true"],
    ] {
        place.lab(command).exits(3).complains("not in a registry").complains("lab init");
    }
    place.lab(["-C", "nowhere", "ls"]).exits(3).complains("nowhere");
}

#[test]
fn paths_that_are_not_there_or_lead_outside() {
    let place = Place::registry();
    place.write("digits.csv", "1,2\n");
    place
        .lab(["add", "digit.csv"])
        .exits(3)
        .complains("no file or folder")
        .complains("did you mean `digits.csv`?");
    symlink("nowhere", place.at("dangling")).unwrap();
    place.lab(["add", "dangling"]).exits(3).complains("symbolic link to nothing");
    place.lab(["add", "digits.csv", "dangling", "--name", "two"]).exits(2);
    place
        .lab(["run", "-o", "../escape", "--", "true"])
        .exits(2)
        .complains("cannot name an input or output");
    place.lab(["run", "-o", "/tmp/x", "--", "true"]).exits(2).complains("relative");
    place.lab(["run", "-i", "../../x=digits.csv", "--", "true"]).exits(2);
    place
        .lab(["run", "-i", "nothing.csv", "--", "true"])
        .exits(3)
        .complains("no file or folder 'nothing.csv' either");
    let fifo = place.at("fifo");
    assert!(said(std::process::Command::new("mkfifo").arg(&fifo)).code == 0);
    place.lab(["add", "fifo"]).exits(4).complains("cannot be stored");
    fs::create_dir(place.at("folder")).unwrap();
    fs::rename(&fifo, place.at("folder/fifo")).unwrap();
    place.lab(["add", "folder", "--name", "folder"]).exits(4).complains("folder/fifo");
    place.lab(["show", "folder"]).exits(3);
}

#[test]
fn misspelt_commands_and_options() {
    let place = Place::registry();
    place.lab(["vrify"]).exits(2).complains("verify");
    place.lab(["add"]).exits(2).complains("PATH");
    place.lab(["run"]).exits(2);
    place.lab(["run", "x.toml", "--", "true"]).exits(2);
    place.lab(["run", "--time-limit", "soon", "--", "true"]).exits(2).complains("90s");
    place.lab(["run", "absent.toml"]).exits(3).complains("absent.toml");
    place.lab(["run", "python"]).exits(3).complains("lab run -- python");
    place.lab::<&str>([]).exits(2);
    place.lab(["--version"]).succeeds().says("lab ");
}

/// Nobody but the store writes into the store.
#[test]
fn get_into_the_registry_is_refused() {
    let place = Place::registry();
    place.write("a", "abc");
    place.lab(["add", "a", "--name", "a"]).succeeds();
    symlink(".lab/names", place.at("by-a-link")).unwrap();
    for target in [".lab/format", ".lab", ".lab/names/b", "by-a-link/b", "x/../.lab/new/deep"] {
        place.lab(["get", "a", target, "--force"]).exits(4).complains("registry itself");
    }
    place.lab(["check"]).succeeds();
    place.lab(["init", ".lab"]).exits(4);
}

#[test]
fn paths_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::registry();
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff");
    fs::write(place.path().join(odd), "odd").unwrap();
    let args = |words: [&std::ffi::OsStr; 3]| words.map(std::ffi::OsStr::to_owned);
    place.lab(args(["add".as_ref(), "--json".as_ref(), odd])).succeeds();
    place.lab(["name", "a", "6437b3ac"]).exits(3);
    place.write("a", "abc");
    place.lab(["add", "a", "--name", "a"]).succeeds();
    place
        .lab(args(["get".as_ref(), "a".as_ref(), std::ffi::OsStr::from_bytes(b"to-\xfe")]))
        .succeeds();
    place
        .lab(args(["init".as_ref(), "--json".as_ref(), std::ffi::OsStr::from_bytes(b"in-\xfe")]))
        .succeeds();
}

#[test]
fn usage_errors_are_json_when_asked_and_a_forgotten_dash_is_named() {
    let place = Place::registry();
    let said = place.lab(["add", "--json"]).exits(2);
    let error: serde_json::Value = serde_json::from_str(said.err.trim_end()).unwrap();
    assert_eq!(error["exit"], 2);
    place
        .lab(["run", "python3", "train.py", "--lr", "1"])
        .exits(2)
        .complains("lab run -- python3 train.py --lr 1");
    place.write("train.py", "print(1)\n");
    place.lab(["run", "train.py"]).exits(2).complains("lab run -- ./train.py");
}

#[test]
fn remotes_that_are_none() {
    let place = Place::digits();
    place.lab(["push"]).exits(3).complains("no remote 'origin'").complains("lab remote add");
    place.lab(["pull", "./nothing"]).exits(5).complains("there is no store at");
    place.lab(["clone", "nothing"]).exits(5).complains("there is no store at");
    place.write("other/file", "x");
    place.lab(["push", "./other"]).exits(4).complains("not a store");
    place.lab(["pull", "./other"]).exits(5);
    place.lab(["remote", "add", "origin", "ftp://host/x"]).exits(2).complains("not supported");
    place.lab(["remote", "add", "bad name", "x"]).exits(2);
    place.lab(["remote", "remove", "orign"]).exits(3);
    place.lab(["clone", ".", "--into", "."]).exits(4).complains("not an empty folder");
    assert_eq!(fs::read_dir(place.at("other")).unwrap().count(), 1);
}

#[test]
fn errors_are_one_line_of_json_when_asked() {
    let place = Place::registry();
    let said = place.lab(["show", "nothing", "--json"]).exits(3);
    assert_eq!(said.out, "");
    let error: serde_json::Value = serde_json::from_str(said.err.trim_end()).unwrap();
    assert_eq!(error["exit"], 3);
    assert_eq!(error["error"], "no name or hash 'nothing'");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::registry();
    for i in 0..2000 {
        place.write(format!("many/{i}"), "x");
    }
    place.lab(["add", "many", "--name", "many"]).succeeds();
    let script = format!("'{}' ls many | head -1; exit ${{PIPESTATUS[0]}}", kit::lab());
    let mut command = std::process::Command::new("bash");
    said(command.current_dir(place.path()).args(["-c", &script])).succeeds();
}

#[test]
fn damaged_packs_are_named_and_give_no_wrong_bytes() {
    for damage in ["truncated", "flipped", "deleted"] {
        let place = Place::registry();
        // Does not compress to nothing: every byte of the pack matters.
        let noise = |i: u64| format!("{:x} ", i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let text: String = (0..60_000).map(noise).collect();
        place.write("big", &text);
        place.lab(["add", "big", "--name", "big"]).succeeds();
        for pack in files(&place.at(".lab/packs"), &[".pack"]) {
            let mut permissions = pack.metadata().unwrap().permissions();
            permissions.set_mode(0o644);
            fs::set_permissions(&pack, permissions).unwrap();
            let mut bytes = fs::read(&pack).unwrap();
            match damage {
                "truncated" => bytes.truncate(bytes.len() / 2),
                "flipped" => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                }
                _ => {
                    fs::remove_file(&pack).unwrap();
                    continue;
                }
            }
            fs::write(&pack, bytes).unwrap();
        }
        let check = place.lab(["check"]).exits(1).says("not sound");
        assert!(check.out.contains("damaged"), "{damage}: {}", check.out);
        let read = place.lab(["cat", "big"]);
        assert!(read.code == 1 || read.code == 3, "{damage}: {read:?}");
        assert!(text.starts_with(&read.out), "{damage}: wrong bytes came out");
        let got = place.lab(["get", "big", "copy"]);
        assert!(got.code == 1 || got.code == 3, "{damage}: {got:?}");
        assert!(!place.at("copy").exists(), "{damage}: half a file was left");
        // The work tree still has the bytes: adding them again repairs the store.
        place.lab(["add", "big", "--name", "big", "--repair"]).succeeds();
        place.lab(["get", "big", "copy"]).succeeds();
        assert_eq!(place.read("copy"), text.as_bytes());
        if damage == "flipped" {
            // The damaged copy is still in its pack, and nothing depends on it any more.
            place.lab(["check"]).succeeds().says("sound");
        }
    }
}

/// One damaged journal does not stand in the way of the other names, and can be mended.
#[test]
fn a_damaged_name_is_named_and_hides_no_other() {
    let place = Place::registry();
    for name in ["good", "bad"] {
        place.write(name, name);
        place.lab(["add", name, "--name", name]).succeeds();
    }
    place.write("bad2", "bad again");
    place.lab(["add", "bad2", "--name", "bad"]).succeeds();
    for damage in ["garbage", ""] {
        let path = place.at(".lab/names/bad");
        let journal = fs::read_to_string(&path).unwrap();
        fs::write(&path, if damage.is_empty() { String::new() } else { journal.clone() + damage })
            .unwrap();
        place.lab(["ls"]).succeeds().says("good").says("damaged");
        place.lab(["cat", "good"]).succeeds().says("good");
        place.lab(["status"]).succeeds();
        place.lab(["log"]).succeeds();
        place.lab(["push", "./share"]).succeeds().complains("left out 'bad'");
        place.lab(["cat", "bad"]).exits(1).complains("damaged");
        place.lab(["check"]).exits(1).says("name bad");
        place.lab(["name", "bad", "good"]).succeeds();
        place.lab(["check"]).succeeds();
        // Two moves before, and this one; of an empty file nothing could be kept.
        let moves = place.lab(["log", "bad", "--json"]).succeeds().json().as_array().unwrap().len();
        assert_eq!(moves, if damage.is_empty() { 1 } else { 3 });
    }
}

/// Root may write anywhere, so the store is made read-only by its file system where that can be
/// done, and by permissions where not.
#[test]
fn a_read_only_store_can_be_read_and_refuses_writes() {
    let place = Place::registry();
    place.write("a", "abc");
    place.lab(["add", "a", "--name", "a"]).succeeds();
    let lab = place.at(".lab");
    let quoted = lab.display().to_string();
    let script = format!(
        "mount --bind '{quoted}' '{quoted}' && mount -o remount,ro,bind '{quoted}' && exec \"$@\""
    );
    let read_only = |args: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command
            .args(["--mount", "--map-root-user", "sh", "-c", &script, "sh", kit::lab()])
            .args(args);
        said(command.current_dir(place.path()))
    };
    let probe = read_only(&["cat", "a"]);
    if probe.err.contains("unshare") || probe.err.contains("mount") {
        // No namespaces here: permissions bind everybody but root.
        return read_only_by_permissions(&place);
    }
    assert_eq!(probe.succeeds().out, "abc");
    read_only(&["ls"]).succeeds();
    read_only(&["check"]).succeeds();
    read_only(&["log"]).succeeds();
    place.write("b", "something new");
    read_only(&["add", "b"]).exits(4).complains("read-only");
    read_only(&["name", "c", "a"]).exits(4);
    place.lab(["check"]).succeeds();
    place.lab(["show", "c"]).exits(3);
}

/// As root and without namespaces nothing is read-only, and only the restoring is tried.
fn read_only_by_permissions(place: &Place) {
    let all: Vec<_> = walk(&place.at(".lab"));
    for folder in &all {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let is_root = fs::write(place.at(".lab/probe"), "").is_ok();
    if !is_root {
        assert_eq!(place.lab(["cat", "a"]).succeeds().out, "abc");
        place.write("b", "something new");
        place.lab(["add", "b"]).exits(4).complains("ermission");
    }
    for folder in &all {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        }
    }
    found
}

#[test]
fn a_program_with_a_mistake_is_told_where() {
    let place = Place::digits();
    let good = String::from_utf8(place.read("digits.toml")).unwrap();
    place.write("bad.toml", good.replace("hidden     =", "hiden      ="));
    place.lab(["run", "bad.toml"]).exits(2).complains("hiden").complains("did you mean");
    place.write("bad.toml", good.replace("[train]", "[train"));
    place.lab(["run", "bad.toml"]).exits(2).complains("TOML");
    place.lab(["run", "digits.toml", "--set", "train.lr=fast"]).exits(2).complains("train.lr");
    place.lab(["run", "digits.toml", "--set", "train.lr"]).exits(2).complains("KEY=VALUE");
    place.write("bad.csv", "1,2,3\n4,x,6\n7,8,9\n");
    place.lab(["add", "bad.csv", "--name", "bad"]).succeeds();
    place.write("bad.toml", good.replace("digits = \"digits\"", "digits = \"bad\""));
    place.lab(["run", "bad.toml"]).exits(2).complains("line 2").complains("x");
}
