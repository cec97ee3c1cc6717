//! Steps of a `lab.toml`: one is run again if anything is not as it was, and only then; every hit says
//! why it is safe, every miss names what changed; nothing that somebody made by hand is lost.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![cfg(target_os = "linux")]

mod kit;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use kit::{Place, Said, said};
use serde_json::Value;

/// A step that touches the world in every way that a record knows: reads, imports, executes, follows
/// a link, lists, looks for what is not there, looks at what it does not read, sees a variable.
const STEP: &str = r#"
[params]
lr = 0.1

[[step]]
name = "all"
run = """
. ./lib.sh
./tool
cat data.csv current/x "$OUTSIDE"
for f in parts/*; do echo "$f"; done
test -e optional.conf && cat optional.conf
test -s examined.bin && echo there
echo {lr} > out.txt
"""
env = { OUTSIDE = "OUTSIDE_PATH" }
"#;

/// A project with that step, and a folder beside it with data.
fn project() -> (Place, Place) {
    let (place, other) = (Place::registry(), Place::empty());
    other.write("far.csv", "far");
    let outside = other.at("far.csv");
    place.write("lab.toml", STEP.replace("OUTSIDE_PATH", outside.to_str().unwrap()));
    place.write("lib.sh", "a=1\n");
    place.write("tool", "#!/bin/sh\necho tool\n");
    fs::set_permissions(place.at("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    place.write("data.csv", "1,2\n");
    place.write("v1/x", "one");
    place.write("v2/x", "one");
    symlink("v1", place.at("current")).unwrap();
    place.write("parts/a", "");
    place.write("parts/b", "");
    place.write("examined.bin", vec![0; 2 << 20]);
    (place, other)
}

/// What each step did and why, as `--json` has it.
fn steps(said: &Said) -> Vec<(String, Option<bool>, String)> {
    let all = said.json();
    let row = |step: &Value| {
        let why: Vec<&str> =
            step["why"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        (step["step"].as_str().unwrap().to_owned(), step["reused"].as_bool(), why.join("; "))
    };
    all.as_array().unwrap().iter().map(row).collect()
}

/// Runs all steps.
fn run(place: &Place, args: &[&str]) -> Vec<(String, Option<bool>, String)> {
    let words = ["run", "--json"].into_iter().chain(args.iter().copied());
    steps(&place.lab(words).succeeds())
}

/// What would be done with the only step; checks that the exit code says the same.
fn would(place: &Place) -> (bool, String) {
    let said = place.lab(["run", "--dry-run", "--json"]);
    let all = steps(&said);
    let [(_, reused, why)] = &all[..] else { panic!("{all:?}") };
    let reused = reused.unwrap();
    said.exits(i32::from(!reused));
    (reused, why.clone())
}

/// Whether each step, in order, was reused.
fn reused(all: &[(String, Option<bool>, String)]) -> Vec<(&str, bool)> {
    all.iter().map(|(step, reused, _)| (step.as_str(), reused.unwrap())).collect()
}

#[test]
fn whatever_changes_is_seen_and_named() {
    let (place, other) = project();
    assert_eq!(reused(&run(&place, &[])), [("all", false)]);
    let (holds, why) = would(&place);
    assert!(holds && why.contains("files as they were") && why.contains("still nowhere"), "{why}");

    let swap = |from: &str, to: &str| fs::rename(place.at(from), place.at(to)).unwrap();
    let relink = |to: &str| {
        fs::remove_file(place.at("current")).unwrap();
        symlink(to, place.at("current")).unwrap();
    };
    let mode = |bits| {
        fs::set_permissions(place.at("tool"), fs::Permissions::from_mode(bits)).unwrap();
    };
    let lr = |from: &str, to: &str| {
        let text = String::from_utf8(place.read("lab.toml")).unwrap();
        place.write("lab.toml", text.replace(from, to));
    };
    let touch = |seconds: u64| {
        let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = fs::File::options().write(true).open(place.at("examined.bin")).unwrap();
        file.set_modified(time).unwrap();
    };
    let modified = place.at("examined.bin").metadata().unwrap().modified().unwrap();
    // A change, what has to be said of it, and how it is undone.
    let far = other.at("far.csv");
    type Act<'a> = Box<dyn Fn() + 'a>;
    let cases: Vec<(Act<'_>, &str, Act<'_>)> = vec![
        (
            Box::new(|| place.write("data.csv", "1,3\n")),
            "'data.csv' changed",
            Box::new(|| place.write("data.csv", "1,2\n")),
        ),
        (
            Box::new(|| place.write("lib.sh", "a=2\n")),
            "'lib.sh' changed",
            Box::new(|| place.write("lib.sh", "a=1\n")),
        ),
        (
            Box::new(|| swap("lib.sh", "lib.bak")),
            "'lib.sh' is gone",
            Box::new(|| swap("lib.bak", "lib.sh")),
        ),
        (
            Box::new(|| place.write("tool", "#!/bin/sh\necho toil\n")),
            "'tool' changed",
            Box::new(|| place.write("tool", "#!/bin/sh\necho tool\n")),
        ),
        (Box::new(|| mode(0o644)), "'tool' has other permissions", Box::new(|| mode(0o755))),
        (
            Box::new(|| fs::write(&far, "near").unwrap()),
            "far.csv' changed",
            Box::new(|| fs::write(&far, "far").unwrap()),
        ),
        // The same bytes by another way: the link itself was read.
        (
            Box::new(|| relink("v2")),
            "'current' is a link to something else",
            Box::new(|| relink("v1")),
        ),
        (
            Box::new(|| place.write("parts/c", "")),
            "'parts' now also holds 'c'",
            Box::new(|| fs::remove_file(place.at("parts/c")).unwrap()),
        ),
        (
            Box::new(|| swap("parts/b", "kept")),
            "'parts' no longer holds 'b'",
            Box::new(|| swap("kept", "parts/b")),
        ),
        (
            Box::new(|| place.write("optional.conf", "x")),
            "'optional.conf' is there now, and was not",
            Box::new(|| fs::remove_file(place.at("optional.conf")).unwrap()),
        ),
        (
            Box::new(|| touch(1_000_000_000)),
            "'examined.bin' was written to since",
            Box::new(|| {
                let file = fs::File::options().write(true).open(place.at("examined.bin")).unwrap();
                file.set_modified(modified).unwrap();
            }),
        ),
        (
            Box::new(|| lr("lr = 0.1", "lr = 0.2")),
            "parameter lr was 0.1 and is 0.2",
            Box::new(|| lr("lr = 0.2", "lr = 0.1")),
        ),
        (
            Box::new(|| lr("env = { ", "env = { OMP_NUM_THREADS = \"3\", ")),
            "variable OMP_NUM_THREADS was unset and is 3",
            Box::new(|| lr("OMP_NUM_THREADS = \"3\", ", "")),
        ),
        (
            Box::new(|| lr("echo tool", "echo tool; true")),
            "",
            Box::new(|| lr("echo tool; true", "echo tool")),
        ),
    ];
    for (change, named, undo) in cases {
        change();
        let (holds, why) = would(&place);
        assert_eq!(!holds, !named.is_empty(), "{named}: {why}");
        assert!(holds || why.contains(named), "{named}: {why}");
        undo();
        let (holds, why) = would(&place);
        assert!(holds, "after '{named}' was undone: {why}");
    }
    // What it never looked at does not matter.
    place.write("v1/y", "");
    place.write("unread.csv", "x");
    let (holds, why) = would(&place);
    assert!(holds, "{why}");
}

#[test]
fn what_ran_before_is_found_again_when_it_fits_again() {
    let (place, _other) = project();
    let first = run(&place, &[]);
    assert_eq!(reused(&first), [("all", false)]);
    let id = place.id("all");
    place.write("data.csv", "other\n");
    assert_eq!(reused(&run(&place, &[])), [("all", false)]);
    assert_ne!(place.id("all"), id);
    place.write("data.csv", "1,2\n");
    assert_eq!(reused(&run(&place, &[])), [("all", true)]);
    assert_eq!(place.id("all"), id);
    assert_eq!(reused(&run(&place, &["--again"])), [("all", false)]);
}

#[test]
fn outputs_are_put_back_and_what_was_made_by_hand_is_kept() {
    let (place, _other) = project();
    run(&place, &[]);
    fs::remove_file(place.at("out.txt")).unwrap();
    place.lab(["run"]).succeeds().says("put back out.txt");
    assert_eq!(place.read("out.txt"), b"0.1\n");
    place.write("out.txt", "by hand");
    let said = place.lab(["run"]).succeeds().says("put back out.txt");
    let hash = said.err.split("kept as ").nth(1).unwrap().trim().to_owned();
    assert_eq!(place.read("out.txt"), b"0.1\n");
    place.lab(["cat", &hash]).succeeds().says("by hand");
    // A plan changes nothing.
    fs::remove_file(place.at("out.txt")).unwrap();
    assert!(would(&place).0);
    assert!(!place.at("out.txt").exists());
}

const CHAIN: &str = r#"
[params]
seed = 1
lr = 0.5

[[step]]
name = "score"
run = "cat model > score.txt; echo '{\"loss\": '$(cat model)'}' > metrics.json"

[[step]]
name = "train"
run = "cat clean > /dev/null; echo {lr}{seed} > model"

[[step]]
name = "clean"
run = "sort raw > clean"
"#;

#[test]
fn steps_are_brought_up_to_date_causes_first() {
    let place = Place::registry();
    place.write("raw", "b\na\n");
    place.write("lab.toml", CHAIN);
    // Nobody has said what reads what, and the first reads what is not there yet.
    place.lab(["run"]).exits(1).complains("step 'score' exited with 1").says("runs");
    place.write(
        "lab.toml",
        CHAIN.replace("name = \"score\"", "name = \"score\"\nafter = [\"train\"]"),
    );
    place.lab(["run"]).exits(1).complains("step 'train' exited with");
    // With what an earlier pass left, the order shows itself.
    place.write("clean", "old\n");
    place.lab(["run"]).succeeds().complains("once more, in that order");
    assert_eq!(place.read("score.txt"), b"0.51\n");
    let all = run(&place, &[]);
    assert_eq!(reused(&all), [("clean", true), ("train", true), ("score", true)]);
    // The same sorted file comes of another one: what reads it need not run.
    place.write("raw", "a\nb\n");
    let all = run(&place, &[]);
    assert_eq!(reused(&all), [("clean", false), ("train", true), ("score", true)]);
    place.write("raw", "a\nb\nc\n");
    let said = place.lab(["run", "--dry-run"]).exits(1);
    let said = said.says("clean  would run").says("'raw' changed");
    said.says("depends on what clean leaves");
    // One step, and what it needs, and no more.
    let all = run(&place, &["train"]);
    assert_eq!(reused(&all), [("clean", false), ("train", false)]);
}

#[test]
fn a_variant_moves_no_name_but_its_own() {
    let place = Place::registry();
    place.write("raw", "b\na\n");
    place.write("clean", "");
    place.write("model", "");
    place.write("lab.toml", CHAIN);
    run(&place, &[]);
    let (base, lock) = (place.id("score"), place.read("lab.lock"));
    run(&place, &["--set", "lr=0.7", "-n", "bold"]);
    assert_eq!(place.read("score.txt"), b"0.71\n");
    assert_eq!(place.id("score"), base);
    assert_ne!(place.id("bold"), base);
    assert_eq!(place.read("lab.lock"), lock);
    place.lab(["diff", "train", "train"]).succeeds();
    let all = run(&place, &[]);
    assert_eq!(reused(&all), [("clean", true), ("train", true), ("score", true)]);
    assert_eq!(place.read("score.txt"), b"0.51\n");
    place.lab(["show", "bold"]).succeeds().says("0.71");

    let said = place.lab(["run", "--seeds", "1..2,5", "-n", "s"]).succeeds();
    said.says("loss").says("3 runs").says("0.5100 │█").says("█│ 0.5500");
    assert_eq!(place.id("s.seed1"), base);
    for seed in ["2", "5"] {
        place.lab(["show", &format!("s.seed{seed}")]).succeeds().says(&format!("0.5{seed}"));
    }
    assert_eq!(place.read("lab.lock"), lock);
    // Cached, and resumable: nothing of it runs again.
    let all = run(&place, &["--seeds", "1..2,5"]);
    assert!(all.iter().all(|(_, reused, _)| *reused == Some(true)), "{all:?}");
}

#[test]
fn runs_are_found_by_their_parameters() {
    let place = Place::registry();
    place.write(
        "lab.toml",
        "[[step]]\nname = 'a'\nrun = 'echo {lr} {seed} > out'\nparams = { lr = 0.1, seed = 1 }\n",
    );
    place.lab(["run", "--seeds", "1..3"]).succeeds();
    place.lab(["run", "--set", "lr=0.5"]).succeeds();
    place.write("train.sh", "echo $2 > other\n");
    place.lab(["run", "--", "sh", "train.sh", "--lr", "0.5"]).succeeds();
    let count = |words: &[&str]| {
        let said = place.lab(["log"].iter().chain(words)).succeeds();
        said.out.lines().count()
    };
    assert_eq!(count(&[]), 5);
    assert_eq!(count(&["--param", "lr=0.1"]), 3);
    assert_eq!(count(&["--param", "lr=0.5"]), 2);
    assert_eq!(count(&["--param", "lr=0.1", "--param", "seed=2"]), 1);
    assert_eq!(count(&["--param", "lr=0.1", "--param", "seed=9"]), 0);
    // As it was given to a step; a record does not say of which one it is.
    assert_eq!(count(&["--param", "a.lr=0.1"]), 3);
    place.lab(["log", "--param", "a.lr=0.5"]).succeeds().complains("shown is who has `lr`");
    place.lab(["log", "--param", "lr"]).exits(2).complains("KEY=VALUE");
    place.lab(["log", "--param", "lt=1"]).succeeds().complains("no run fits");
}

#[test]
fn a_step_may_have_limits() {
    let place = Place::registry();
    let step = "[[step]]\nname = 'a'\nrun = 'sleep 0.3; echo 1 > out'\n";
    place.write("lab.toml", format!("{step}time_limit = '100ms'\n"));
    place.lab(["run"]).exits(1).complains("its limit of 0.10 s");
    place.write("lab.toml", format!("{step}time_limit = '20s'\nmemory_limit = '4G'\n"));
    place.lab(["run"]).succeeds();
    place.lab(["show", "a"]).says("limit     20").says("limit     4");
    place.lab(["run"]).succeeds().says("as before");
    // Under other limits it may come out otherwise.
    place.write("lab.toml", format!("{step}time_limit = '30s'\nmemory_limit = '4G'\n"));
    place.lab(["run"]).succeeds().says("its limits");
    place.lab(["run", "--time-limit", "3s"]).exits(2).complains("time_limit = ");
}

#[test]
fn what_failed_is_not_reused_and_stops_the_rest() {
    let place = Place::registry();
    let text = "[[step]]\nname = 'a'\nrun = 'cat in > a; exit 3'\n[[step]]\nname = 'b'\nrun = 'echo b > b'";
    place.write("in", "x");
    place.write("lab.toml", text);
    for _ in 0..2 {
        place.lab(["run"]).exits(1).complains("step 'a' exited with 3").complains("lab show");
        assert!(!place.at("b").exists() && !place.at("lab.lock").exists());
    }
    place.lab(["show", "a@v1"]).exits(3).complains("no version 1");
}

#[test]
fn an_incomplete_record_never_stands() {
    let place = Place::registry();
    // What comes out of a pipe with a name is nowhere kept.
    place.write("lab.toml", "[[step]]\nname = 'a'\nrun = 'cat pipe > out'");
    nix_fifo(&place);
    for _ in 0..2 {
        let path = place.at("pipe");
        let feed = thread::spawn(move || fs::write(path, "words").unwrap());
        let all = run(&place, &[]);
        feed.join().unwrap();
        assert_eq!(reused(&all), [("a", false)]);
    }
    let (holds, why) = would(&place);
    assert!(!holds && why.contains("is incomplete"), "{why}");
}

fn nix_fifo(place: &Place) {
    let made = std::process::Command::new("mkfifo").arg(place.at("pipe")).status().unwrap();
    assert!(made.success());
}

#[test]
fn what_came_over_the_network_never_stands() {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        println!("skipped: no bash here, which can open a connection");
        return;
    }
    let place = Place::registry();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"news\n").unwrap();
        }
    });
    let command = format!("run = ['bash', '-c', 'cat < /dev/tcp/127.0.0.1/{port} > out']");
    place.write("lab.toml", format!("[[step]]\nname = 'a'\n{command}"));
    assert_eq!(reused(&run(&place, &[])), [("a", false)]);
    assert_eq!(place.read("out"), b"news\n");
    let (holds, why) = would(&place);
    assert!(!holds && why.contains("it reached for 127.0.0.1"), "{why}");
}

#[test]
fn names_in_a_listed_folder_can_be_ignored() {
    let place = Place::registry();
    let text = "[[step]]\nname = 'a'\nrun = 'ls parts > out'\n";
    place.write("lab.toml", text);
    place.write("parts/a", "");
    run(&place, &[]);
    place.write("parts/notes.md", "");
    let said = place.lab(["run", "--dry-run"]).exits(1);
    said.says("now also holds 'notes.md'").complains("ignore = [\"notes.md\"]");
    place.write("lab.toml", format!("{text}ignore = ['*.md']\n"));
    assert!(would(&place).0);
    place.write("parts/b", "");
    assert!(!would(&place).0);
}

#[test]
fn a_program_that_comes_first_now_is_another_one() {
    let place = Place::registry();
    let program = |path: &str, says: &str| {
        place.write(path, format!("#!/bin/sh\necho {says} > out\n"));
        fs::set_permissions(place.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("late/frob", "late");
    fs::create_dir(place.at("early")).unwrap();
    place.write("lab.toml", "[[step]]\nname = 'a'\nrun = ['frob']");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", place.at("early").display(), place.at("late").display());
    let lab = |args: &[&str]| said(place.command().env("PATH", &path).args(args));
    lab(&["run"]).succeeds();
    lab(&["run"]).succeeds().says("as before");
    program("early/frob", "early");
    lab(&["run", "--dry-run"]).exits(1).says("the program 'frob' is another one now");
    lab(&["run"]).succeeds();
    assert_eq!(place.read("out"), b"early\n");
}

#[test]
fn two_steps_that_leave_one_file_are_named() {
    let place = Place::registry();
    let text =
        "[[step]]\nname = 'a'\nrun = 'echo 1 > out'\n[[step]]\nname = 'b'\nrun = 'echo 2 > out'";
    place.write("lab.toml", text);
    place.lab(["run"]).succeeds().complains("both 'a' and 'b' leave 'out'");
    place.lab(["run"]).succeeds().says("as before");
    assert_eq!(place.read("out"), b"2\n");
}

#[test]
fn a_lock_is_all_that_a_colleague_needs() {
    let place = Place::registry();
    place.write("raw", "b\na\n");
    place.write("clean", "");
    place.write("model", "");
    place.write("lab.toml", CHAIN);
    run(&place, &[]);
    place.lab(["run", "-n", "other", "--", "sh", "-c", "echo other > other"]).succeeds();
    let remote = Place::empty();
    let url = remote.at("hub").to_str().unwrap().to_owned();
    place.lab(["remote", "add", "origin", &url]).succeeds();
    place.lab(["push"]).succeeds();

    let colleague = Place::registry();
    colleague.write("lab.toml", CHAIN);
    colleague.write("lab.lock", place.read("lab.lock"));
    colleague.lab(["remote", "add", "origin", &url]).succeeds();
    colleague.lab(["pull", "--dry-run"]).succeeds();
    colleague.lab(["ls", "--json"]).succeeds();
    colleague.lab(["pull"]).succeeds();
    for step in ["clean", "train", "score"] {
        assert_eq!(colleague.id(step), place.id(step));
    }
    colleague.lab(["show", "other"]).exits(3).complains("no name");
    if kit::allows_boxes() {
        colleague.lab(["verify", "score"]).succeeds().says("identical").says(", sealed");
    } else {
        println!("not done again: no boxes here");
    }
    // Here it would be another run: another folder, to begin with.
    let said = colleague.lab(["run", "--dry-run"]).exits(1);
    said.says("the project's folder was");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_touched() {
    let place = Place::registry();
    place.lab(["run"]).exits(2).complains("no lab.toml").complains("lab run -- COMMAND");
    place.lab(["run", "train"]).exits(3).complains("declares 'train'").complains("run -- train");
    place.write("lab.toml", "");
    place.lab(["run"]).exits(2).complains("declares no step");
    place.write("lab.toml", "[[step]]\nname = 'train'\nrum = 'x'");
    place.lab(["run"]).exits(2).complains("lab.toml").complains("rum");
    place.write("lab.toml", "[[step]]\nname = 'train'\nrun = 'echo {lr} > x'\nparams = { lr = 1 }");
    place.lab(["run", "trian"]).exits(2).complains("did you mean `train`?");
    place.lab(["run", "--set", "lt=2"]).exits(2).complains("did you mean `lr`?");
    place.lab(["run", "--set", "lr"]).exits(2).complains("KEY=VALUE");
    place.lab(["run", "--seeds", "1..2"]).exits(2).complains("'seed'");
    place.lab(["run", "--seeds", "2..1"]).exits(2).complains("empty");
    place.lab(["run", "lab.toml"]).exits(2).complains("`lab run` alone");
    place.lab(["run", "-o", "x"]).exits(2).complains("outputs = ");
    place.write("lab.lock", "<<<<<<< HEAD\n");
    place.lab(["run"]).exits(2).complains("lab.lock").complains("take it from git");
    place.lab(["pull", "nowhere"]).exits(3).complains("no remote");
    assert!(!place.at("x").exists());
    assert_eq!(place.read("lab.lock"), b"<<<<<<< HEAD\n");
    fs::remove_file(place.at("lab.lock")).unwrap();
    place.write("lab.toml", "[[step]]\nname = 'a'\nrun = 'true'\ndirectory = 'gone'");
    place.lab(["run"]).exits(3).complains("gone");
}

#[test]
fn an_interruption_leaves_what_was_done() {
    let place = Place::registry();
    let text = "[[step]]\nname = 'a'\nrun = 'echo a > a'\n[[step]]\nname = 'b'\nrun = 'cat a; touch begun; sleep 60'";
    place.write("lab.toml", text);
    let mut command = place.command();
    command.arg("run").stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let start = Instant::now();
    while !place.at("begun").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "the second step did not begin");
        sleep(Duration::from_millis(20));
    }
    let pid = i32::try_from(child.id()).unwrap();
    let sent =
        std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
    assert!(sent.success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(143), "{}", String::from_utf8_lossy(&ended.stderr));
    let lock = String::from_utf8(place.read("lab.lock")).unwrap();
    assert!(lock.contains("[step.a]") && !lock.contains("[step.b]"), "{lock}");
    place.write("lab.toml", text.replace("sleep 60", "echo b > b"));
    let all = run(&place, &[]);
    assert_eq!(reused(&all), [("a", true), ("b", false)]);
    let _ = said(place.command().arg("ls")).succeeds();
}

/// Leaves an accuracy that hangs on both of its options.
const TRAIN: &str = "while [ $# -gt 0 ]; do case $1 in --lr) lr=$2;; --seed) seed=$2;; esac; shift 2; done\n\
    [ $seed = 13 ] && exit 4\nprintf '{\"accuracy\": 0.%s%s}' $lr $seed > metrics.json\n";

fn names(place: &Place) -> Vec<String> {
    let all = place.lab(["ls", "--json"]).succeeds().json();
    let all = all.as_array().unwrap().iter();
    all.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// A command that somebody would type, for many seeds and settings: once each, and compared by what was varied.
#[test]
fn a_command_is_run_for_each_seed_and_setting() {
    let place = Place::registry();
    place.write("train.sh", TRAIN);
    let run = |name: &str, options: &[&str], command: &str| {
        let command: Vec<&str> = command.split(' ').collect();
        place.lab([&["run", "--name", name], options, &["--"], &command].concat())
    };
    let base = "sh train.sh --lr 1 --seed {seed}";
    let first = run("base", &["--seeds", "1..4"], base).succeeds();
    first.says("accuracy").says("4 runs").says("seed 4");
    assert_eq!(names(&place), ["base.seed1", "base.seed2", "base.seed3", "base.seed4"]);
    let more = run("base", &["--seeds", "1..5"], base).succeeds();
    assert_eq!(more.out.matches("as before").count(), 4, "{}", more.out);
    let again = run("base", &["--seeds", "1..2", "--again"], base).succeeds();
    assert_eq!(again.out.matches("as before").count(), 0, "{}", again.out);

    run("g", &["--grid", "lr=1,2", "--seeds", "1..4"], "sh train.sh --lr {lr} --seed {seed}")
        .succeeds()
        .says("g.lr1\n")
        .says("g.lr2\n");
    assert!(names(&place).contains(&"g.lr2.seed4".to_owned()));
    // What was typed and what was filled in are one thing, and what is filled in differs once.
    place.lab(["diff", "base.seed1", "g.lr1.seed1"]).succeeds().says("nothing recorded");
    let differs = place.lab(["diff", "base.seed3", "g.lr2.seed3", "--json"]).exits(1).json();
    let causes = differs["differs"].as_array().unwrap().iter();
    let causes: Vec<&str> = causes
        .filter(|one| one["consequence"] == false)
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(causes, ["lr"]);
    let compared = place.lab(["compare", "base@seeds", "g.lr2@seeds", "-m", "accuracy"]);
    compared.succeeds().says("only lr differs (1 → 2)");
    // Another seed does not explain an option that happens to have the same values.
    let other = run("other", &["--seeds", "2"], "sh train.sh --lr 2 --seed {seed}");
    other.succeeds();
    place.lab(["diff", "base.seed1", "other.seed2"]).exits(1).says("--lr").says("1 → 2");

    // One that fails is counted, and the others go on.
    run("bad", &["--seeds", "12..14"], base).exits(1).complains("1 of 3 runs failed");
    assert!(names(&place).contains(&"bad.seed14".to_owned()));
    assert!(!names(&place).contains(&"bad.seed13".to_owned()));
    let bad = place.lab(["compare", "bad@seeds", "g.lr2@seeds", "-m", "accuracy"]);
    bad.says("3 runs").says("1 without a score");

    run("x", &["--seeds", "1..2"], "sh train.sh").exits(2).complains("nowhere where seed belongs");
    run("x", &["--seeds", "1", "-i", "base"], base).exits(2).complains("-i does not go together");
    run("x", &["--again"], base).exits(2).complains("without --again");
    run("x", &["--folds", "3"], base).exits(2).complains("--folds");
    // Without a name none is made.
    let before = names(&place);
    place
        .lab(["run", "--seeds", "7", "--", "sh", "train.sh", "--lr", "1", "--seed", "{seed}"])
        .succeeds();
    assert_eq!(names(&place), before);
}

#[test]
fn steps_are_run_for_each_setting() {
    let place = Place::registry();
    place.write("train.sh", TRAIN);
    place.write(
        "lab.toml",
        "[params]\nlr = 1\nseed = 1\n[[step]]\nname = \"train\"\n\
         run = \"sh train.sh --lr {lr} --seed {seed}\"\n",
    );
    place.lab(["run", "--grid", "lr=1,2", "--seeds", "1..4"]).succeeds().says("train.lr2\n");
    let all = names(&place);
    assert!(all.contains(&"train.lr1.seed4".to_owned()) && all.len() == 8, "{all:?}");
    let compared = place.lab(["compare", "train.lr1@seeds", "train.lr2@seeds", "-m", "accuracy"]);
    compared.succeeds().says("only lr differs (1 → 2)");
    place.lab(["run", "--grid", "rate=1,2"]).exits(2).complains("rate");
    place.lab(["run", "--grid", "lr=1,fast"]).exits(2).complains("no number");
    place
        .lab(["run", "--grid", "lr=1,2", "--set", "lr=3"])
        .exits(2)
        .complains("--grid sets lr, and so does --set");
    place.lab(["run", "--grid", "lr=1,2", "--dry-run"]).exits(2).complains("--dry-run");
}
