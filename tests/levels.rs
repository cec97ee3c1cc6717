//! What `lab run --level` takes out of a run comes out the same each time, and what it does not is
//! named; a command is told what its machine was.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![cfg(target_os = "linux")]

mod kit;

use std::process::Command;

use kit::{Place, said};

/// Draws from everything that the system has, in several processes.
const DRAWS: &str = "shuf -i 1-1000000 -n 4 >out; head -c 8 /dev/urandom | od >>out; mktemp -u XXXXXXXX >>out; \
                     head -c 8 </dev/random | od >>out; head -c 8 <>/dev/urandom | od >>out; \
                     cat /proc/sys/kernel/random/uuid >>out; cat /proc/sys/kernel/random/uuid >>out";

fn place() -> Option<Place> {
    if !kit::allows_boxes() {
        println!("skipped: this machine allows no sealed boxes");
        return None;
    }
    Some(Place::registry())
}

/// Records a script at a level, with one variable more around it; gives what it left in `out`.
fn record(place: &Place, level: &str, name: &str, script: &str, variable: (&str, &str)) -> String {
    let mut lab = place.command();
    lab.args(["run", "--level", level, "--name", name, "--", "sh", "-c", script]);
    said(lab.env(variable.0, variable.1)).succeeds();
    String::from_utf8(place.read("out")).unwrap()
}

const NOTHING: (&str, &str) = ("NOTHING", "");

#[test]
fn at_level_2_random_bytes_are_those_of_a_seed() {
    let Some(place) = place() else { return };
    let drawn = record(&place, "2", "a", DRAWS, NOTHING);
    assert_eq!(drawn, record(&place, "2", "again", DRAWS, NOTHING));
    assert_ne!(drawn, record(&place, "2", "other", DRAWS, ("LAB_ENTROPY", "7")));
    assert_ne!(drawn, record(&place, "1", "free", DRAWS, NOTHING));
    for name in ["a", "other"] {
        place.lab(["verify", name]).succeeds().says("identical").says("sealed");
    }
    place.lab(["show", "a"]).says("LAB_ENTROPY=0");
    place.lab(["show", "other"]).says("LAB_ENTROPY=7");
    place.lab(["diff", "a", "other"]).exits(1).says("LAB_ENTROPY");
    // What is not pinned is named, with what would pin it.
    place.lab(["verify", "free"]).exits(1).says("diverged").says("`lab run --level 2`");
    // A file of the system can be chance, too.
    record(&place, "1", "uuid", "cat /proc/sys/kernel/random/uuid >out", NOTHING);
    place.lab(["verify", "uuid"]).exits(1).says("random bytes were taken");
    place.lab(["vary", "uuid", "--only", "entropy,home"]).exits(1).says("it depends on entropy\n");
}

#[test]
fn in_a_folder_of_its_own_too() {
    let Some(place) = place() else { return };
    place.write("data", "1\n");
    let words = ["run", "--level", "2", "-i", "data", "--name", "a", "--", "sh", "-c", DRAWS];
    place.lab(words).succeeds();
    place.lab(["verify", "a"]).succeeds().says("identical");
}

#[test]
fn at_level_3_each_process_starts_at_one_time() {
    let Some(place) = place() else { return };
    let script = "date -u +%FT%T.%N >out; sh -c 'date -u +%F' >>out; echo $SOURCE_DATE_EPOCH >>out";
    let epoch = ("SOURCE_DATE_EPOCH", "1000000000");
    let out = record(&place, "3", "then", script, epoch);
    assert_eq!(out, "2001-09-09T01:46:40.000001000\n2001-09-09\n1000000000\n");
    place.lab(["verify", "then"]).succeeds().says("identical");
    // Without anything said it is the time of the recording, and stays that.
    record(&place, "3", "now", script, NOTHING);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    place.lab(["verify", "now"]).succeeds().says("identical");
    record(&place, "2", "free", script, NOTHING);
    let free = place.lab(["verify", "free"]).exits(1).says("`lab run --level 3`");
    assert!(!free.out.contains("random bytes"), "{}", free.out);
}

#[test]
fn what_is_no_level_or_seed_is_said() {
    let Some(place) = place() else { return };
    place.lab(["run", "--level", "4", "--", "true"]).exits(2).complains("0..=3");
    for (name, level) in [("LAB_ENTROPY", "2"), ("LAB_TIME", "3"), ("SOURCE_DATE_EPOCH", "3")] {
        let mut lab = place.command();
        lab.args(["run", "--level", level, "--", "true"]).env(name, "soon");
        let said = said(&mut lab).exits(2);
        said.complains(&format!("{name} has to be a whole number, and is 'soon'"));
    }
    assert_eq!(place.lab(["ls"]).out, "");
}

#[test]
fn a_command_is_told_that_it_has_the_processors_that_it_had() {
    let Some(place) = place() else { return };
    let script =
        "nproc >out; grep -c ^processor /proc/cpuinfo >>out; getconf _NPROCESSORS_ONLN >>out";
    let words = ["run", "--name", "many", "--", "sh", "-c", script];
    place.lab(words).succeeds();
    let count: u32 =
        String::from_utf8(place.read("out")).unwrap().lines().next().unwrap().parse().unwrap();
    if count < 2 || Command::new("taskset").arg("--version").output().is_err() {
        return println!("skipped: one processor, or no taskset");
    }
    let on_one = |words: &[&str]| {
        let lab = place.command();
        let mut taskset = Command::new("taskset");
        taskset.args(["-c", "0"]).arg(lab.get_program()).args(words);
        taskset.envs(lab.get_envs().filter_map(|(k, v)| Some((k, v?))));
        said(taskset.current_dir(place.path()))
    };
    on_one(&["verify", "many"])
        .succeeds()
        .says("identical")
        .complains("it was told that there are");
    // And who had one has one.
    on_one(&["run", "--name", "one", "--", "sh", "-c", script]).succeeds();
    assert!(place.read("out").starts_with(b"1\n"));
    place.lab(["verify", "one"]).succeeds().says("identical");
}

#[test]
fn what_is_checked_at_once_is_done_twice() {
    let Some(place) = place() else { return };
    let run = |script: &str, more: &[&str]| {
        let words = ["run", "--check", "--name", "a"].iter().chain(more);
        place.lab(words.chain(&["--", "sh", "-c", script]))
    };
    run("echo 1 >out", &[]).succeeds().says("wrote    out").says("identical");
    run("date +%N >out", &[]).exits(1).says("diverged").says("`lab run --level 3`");
    run("date +%N >out", &["--level", "3"]).succeeds().says("identical");
    // What is wrong already is not tried again.
    let said = run("exit 3", &[]).exits(1).complains("exited with 3");
    assert!(!said.out.contains("identical") && !said.out.contains("diverged"), "{}", said.out);
    let said = run("echo 1 >out", &["--json"]).succeeds();
    assert_eq!(said.json()["verified"][0]["verdict"], "identical");
    place.write("lab.toml", "[[step]]\nname = 'a'\nrun = 'true'\n");
    place.lab(["run", "--check"]).exits(2).complains("lab verify");
}

#[test]
fn steps_have_the_level_of_their_file() {
    let Some(place) = place() else { return };
    let steps = "[[step]]\nname = 'draw'\nrun = 'shuf -i 1-1000000 -n 4 > out'\n";
    place.write("lab.toml", format!("level = 2\n{steps}"));
    place.lab(["run"]).succeeds();
    let drawn = place.read("out");
    place.lab(["run"]).succeeds().says("as before");
    place.lab(["run", "--again"]).succeeds();
    assert_eq!(place.read("out"), drawn);
    place.lab(["verify", "draw"]).succeeds().says("identical");
    // Another level is another run.
    place.write("lab.toml", steps);
    place.lab(["run"]).succeeds().says("LAB_ENTROPY");
    assert_ne!(place.read("out"), drawn);
    place.lab(["run", "--level", "2"]).exits(2).complains("`level = 2` at the top of lab.toml");
}
