//! `lab vary` names the one thing that a program depends on, and nothing that it does not.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![cfg(target_os = "linux")]

mod kit;

use std::fs;
use std::process::Command;

use kit::Place;
use serde_json::Value;

/// Writes what one thing is, by the name of the factor.
const PROGRAM: &str = r#"
import os, socket, sys, time
print({
    "hash-seed": lambda: list({"a", "b", "c", "d", "e", "f"}),
    "listing": lambda: os.listdir("data"),
    "threads": lambda: os.environ.get("OMP_NUM_THREADS"),
    "processors": lambda: len(os.sched_getaffinity(0)),
    "instructions": lambda: os.environ.get("ATEN_CPU_CAPABILITY"),
    "time-zone": lambda: time.localtime(0).tm_hour,
    "locale": lambda: os.environ.get("LC_ALL"),
    "host-name": lambda: socket.gethostname(),
    "user": lambda: os.getuid(),
    "home": lambda: os.path.expanduser("~"),
    "path": lambda: os.getcwd(),
    "addresses": lambda: any(" [stack]" in line and line.startswith("7ffffff") for line in open("/proc/self/maps")),
    "umask": lambda: os.umask(0),
    "entropy": lambda: os.urandom(8),
    "time": lambda: time.time_ns(),
    "day": lambda: time.strftime("%A"),
    "both": lambda: (os.urandom(8), time.time()),
    "race": lambda: __import__("subprocess").run("(sleep 0; echo a) & (sleep 0; echo b) & echo $$; stat -c %z /proc/self; wait", shell=True, capture_output=True),
    "nothing": lambda: sorted(os.listdir("data")),
}[sys.argv[1]](), file=open("out", "w"))
"#;

fn place() -> Option<Place> {
    if !kit::allows_boxes() {
        println!("skipped: this machine allows no sealed boxes");
        return None;
    }
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: no python3 here");
        return None;
    }
    let place = Place::registry();
    place.write("program.py", PROGRAM);
    for name in ["one", "two", "three"] {
        place.write(format!("data/{name}"), name);
    }
    Some(place)
}

fn record(place: &Place, what: &str) {
    place.lab(["run", "--name", what, "--", "python3", "program.py", what]).succeeds();
}

/// What each factor did, by its name.
fn effects(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
    let all = answer["varied"].as_array().unwrap();
    all.iter().map(|v| (text(&v["factor"]), text(&v["effect"]))).collect()
}

#[test]
fn each_factor_is_found_by_who_depends_on_it_alone() {
    let Some(place) = place() else { return };
    let factors = [
        "hash-seed",
        "listing",
        "threads",
        "processors",
        "instructions",
        "time-zone",
        "locale",
        "host-name",
        "user",
        "home",
        "path",
        "addresses",
        "umask",
        "entropy",
        "time",
    ];
    for (at, factor) in factors.iter().enumerate() {
        record(&place, factor);
        // With one that it does not depend on.
        let other = factors[(at + 5) % factors.len()];
        let only = format!("{factor},{other}");
        let said = place.lab(["vary", factor, "--only", &only, "--json"]);
        let answer = said.json();
        let mut effects = effects(&answer);
        // Pinned first, where chance is what it depends on.
        let chance = matches!(*factor, "entropy" | "time");
        assert_eq!(
            effects.iter().filter(|(name, _)| name == "nothing").count(),
            1 + usize::from(chance)
        );
        if chance {
            assert_eq!(effects.remove(0).1, "differs", "{answer}");
        }
        if effects.iter().any(|(name, effect)| name == factor && effect == "untried") {
            println!("{factor} cannot be changed here: {answer}");
            continue;
        }
        for (name, effect) in &effects {
            let expected = if name == factor { "differs" } else { "same" };
            if effect != "untried" {
                assert_eq!(effect, expected, "{factor}: {name}\n{answer}");
            }
        }
        said.exits(1);
    }
}

#[test]
fn who_depends_on_nothing_is_told_so() {
    let Some(place) = place() else { return };
    record(&place, "nothing");
    let said = place.lab(["vary", "nothing"]).succeeds().says("it depends on none of the");
    assert!(!said.out.contains("differs") && !said.out.contains("fails"), "{}", said.out);
    place
        .lab(["vary", "nothing", "--only", "umask"])
        .succeeds()
        .says("it does not depend on the one that was changed");
}

#[test]
fn kinds_of_chance_are_told_apart() {
    let Some(place) = place() else { return };
    record(&place, "both");
    let said = place.lab(["vary", "both", "--only", "entropy,time,home"]).exits(1);
    said.says("done twice with random bytes and time pinned").says("it depends on entropy, time");
    record(&place, "day");
    let said = place.lab(["vary", "day", "--only", "time"]).exits(1);
    assert!(!said.out.contains("pinned"), "{}", said.out);
    said.says("2001-02-03").says("it depends on time");
}

#[test]
fn a_second_that_passes_is_no_effect_of_a_change() {
    let Some(place) = place() else { return };
    // Steady for a second at a time, and slow enough that one passes.
    let script = "sleep 0.15; date +%s > out";
    place.lab(["run", "--name", "a", "--", "sh", "-c", script]).succeeds();
    let said =
        place.lab(["vary", "a", "--only", "umask,locale,host-name,user,time,hash-seed"]).exits(1);
    said.says("it depends on time\n");
}

#[test]
fn what_cannot_be_pinned_is_chance() {
    let Some(place) = place() else { return };
    record(&place, "race");
    let said = place.lab(["vary", "race"]).exits(1);
    let said = said.says("done twice as recorded").says("it depends on chance");
    assert!(!said.out.contains("hash-seed"), "{}", said.out);
    said.complains("race");
}

#[test]
fn what_is_pinned_in_the_record_is_changed_too() {
    let Some(place) = place() else { return };
    let run = ["run", "--level", "3", "--name", "both", "--", "python3", "program.py", "both"];
    place.lab(run).succeeds();
    let said = place.lab(["vary", "both", "--only", "entropy,time,umask"]).exits(1);
    let said = said.says("LAB_ENTROPY: 0 → 1").says("as pinned → 2001").says("entropy, time");
    assert!(!said.out.contains("umask  differs"), "{}", said.out);
}

#[test]
fn the_run_is_done_from_its_record_and_nothing_here_is_touched() {
    let Some(place) = place() else { return };
    record(&place, "listing");
    let before = place.read("out");
    fs::remove_dir_all(place.at("data")).unwrap();
    fs::remove_file(place.at("program.py")).unwrap();
    place.lab(["vary", "listing", "--only", "listing,home"]).exits(1).says("it depends on listing");
    assert_eq!(place.read("out"), before);
    assert!(!place.at("data").exists());
}

#[test]
fn what_one_attempt_leaves_the_next_does_not_find() {
    let Some(place) = place() else { return };
    // A folder that is an output as a whole, of which most was there before, read and unread; and what
    // is changed, removed and left behind outside of it.
    for (name, text) in [("old", "1\n"), ("sub/deep/unread", "2\n"), ("gone", "3\n")] {
        place.write(format!("out/{name}"), text);
    }
    std::os::unix::fs::symlink("old", place.at("out/link")).unwrap();
    let script = "ls -R out; cat out/old data/one; rm out/gone data/one; echo new >out/new; echo $HOME >>out/new
                  [ ! -e left ] || echo again >>out/new; echo x >left; echo two >>data/two; mkdir -m 500 closed";
    place.lab(["run", "--name", "a", "-o", "out", "--", "sh", "-c", script]).succeeds();
    place.lab(["verify", "a"]).succeeds().says("identical");
    place
        .lab(["vary", "a", "--only", "umask,time,listing"])
        .succeeds()
        .says("depends on none of the 3");
    place.lab(["vary", "a", "--only", "home,time"]).exits(1).says("it depends on home");
    // Done twice because it diverged, it is the same again.
    place
        .lab(["run", "--name", "b", "-o", "out", "--", "sh", "-c", "date +%N >out/new"])
        .succeeds();
    place.lab(["verify", "b"]).exits(1).says("out").says("another result each time");
}

#[test]
fn what_cannot_be_varied_is_said() {
    let Some(place) = place() else { return };
    record(&place, "nothing");
    place.lab(["vary", "nothing", "--only", "hashseed"]).exits(2).complains("hash-seed");
    place.lab(["vary", "nthing"]).exits(3).complains("did you mean `nothing`?");
    let digits = Place::digits();
    digits.lab(["run", "digits.toml", "--name", "base"]).succeeds();
    digits.lab(["vary", "base"]).exits(2).complains("cannot be varied");
}
