//! Forking: one thing is changed, all that follows is done again, and everything else is what it was.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod kit;

use kit::{Place, allows_boxes};
use serde_json::Value;

fn differs(place: &Place, a: &str, b: &str) -> Vec<String> {
    let found = place.lab(["diff", a, b, "--json"]).exits(1).json();
    let causes = found["differs"].as_array().unwrap().iter().filter(|v| v["consequence"] == false);
    causes.map(|v| v["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_program_is_forked_where_the_setting_belongs() {
    let place = Place::digits();
    place.lab(["run", "digits.toml", "--name", "base", "--set", "train.epochs=1"]).succeeds();
    let told = place.lab(["fork", "base", "--set", "lr=0.01", "--name", "mine"]).succeeds();
    let told = told.says("mine.train").says("forked from base.train").says("accuracy").says(" → ");
    assert!(!told.out.contains("prepare"), "what the change does not reach stands: {}", told.out);
    assert_eq!(differs(&place, "base", "mine"), ["train.lr"]);
    place.lab(["show", "mine"]).succeeds().says("forked    from").says("base");
    // As if the program had been run so.
    place
        .lab([
            "run",
            "digits.toml",
            "--name",
            "same",
            "--set",
            "train.epochs=1",
            "--set",
            "train.lr=0.01",
        ])
        .succeeds()
        .says("as before");
    assert_eq!(place.id("same"), place.id("mine"));
    // The same again is not done again, and does not pretend to be.
    place
        .lab(["fork", "base", "--set", "train.lr=0.01", "--name", "again"])
        .succeeds()
        .says("as before");
    // What comes first moves all that follows.
    place.lab(["fork", "base", "--set", "prepare.scale=none", "--name", "raw"]).succeeds();
    assert_eq!(differs(&place, "base", "raw"), ["prepare.scale"]);
    let told = place.lab(["fork", "base", "--set", "split_seed=5", "--name", "split"]).succeeds();
    told.says("split.prepare").says("split.train");
    assert_eq!(differs(&place, "base", "split"), ["prepare.split_seed"]);
    place.lab(["verify", "mine", "--deep"]).succeeds().says("identical");
}

#[test]
fn seeds_are_forked_from_the_same_seeds() {
    let place = Place::digits();
    let run =
        ["run", "digits.toml", "--name", "base", "--seeds", "1..6", "--set", "train.epochs=1"];
    place.lab(run).succeeds();
    place
        .lab(["fork", "base", "--set", "epochs=4", "--name", "mine", "--seeds", "1..7"])
        .succeeds()
        .complains("lab compare base@seeds mine@seeds");
    for seed in 1..=6 {
        let seed = format!("seed{seed}");
        let what = differs(&place, &format!("base.{seed}"), &format!("mine.{seed}"));
        assert_eq!(what, ["train.epochs"], "{seed}");
    }
    // A seed that the base has not comes from its first, with its seed changed.
    let what = differs(&place, "mine.seed6", "mine.seed7");
    assert!(what.iter().all(|what| what.contains("seed")), "{what:?}");
    let only = "mine.seed1,mine.seed2,mine.seed3,mine.seed4,mine.seed5,mine.seed6";
    place
        .lab(["compare", "base@seeds", only, "-m", "accuracy"])
        .succeeds()
        .says("only epochs differs (1 → 4); seeds and splits are shared");
}

/// Data prepared, a number fitted, and that number measured: three commands.
#[cfg(target_os = "linux")]
fn commands() -> Option<Place> {
    if !allows_boxes() {
        println!("skipped: no boxes here");
        return None;
    }
    let place = Place::registry();
    place.write("raw.csv", "1\n2\n3\n");
    place.write("test.csv", "4\n");
    place.write("prepare.sh", "cat raw.csv >clean.csv\necho scale $2 >>clean.csv\n");
    place.write("train.sh", "n=$(wc -l <clean.csv)\n[ \"$LEVEL\" = 9 ] && exit 4\necho $((40 + n + ${1#lr=})) >model.txt\n");
    place.write(
        "evaluate.sh",
        "cat test.csv >/dev/null\necho \"{\\\"accuracy\\\": 0.$(cat model.txt)}\" >metrics.json\n",
    );
    let run = |args: &[&str]| place.lab([&["run"], args].concat()).succeeds();
    run(&["--name", "base.prepare", "--", "bash", "prepare.sh", "--scale", "2"]);
    run(&["--name", "base.train", "--env", "LEVEL=1", "--", "bash", "train.sh", "lr=3"]);
    run(&["--name", "base", "--", "bash", "evaluate.sh"]);
    Some(place)
}

#[test]
#[cfg(target_os = "linux")]
fn commands_are_forked_from_their_records_alone() {
    let Some(place) = commands() else { return };
    for file in ["raw.csv", "clean.csv", "model.txt", "metrics.json", "train.sh", "test.csv"] {
        std::fs::remove_file(place.at(file)).unwrap();
    }
    let told = place.lab(["fork", "base", "--set", "lr=5", "--name", "mine"]).succeeds();
    told.says("mine.train").says("0.4700 → 0.4900   (+0.02000)");
    // What has no dashes is told by its place.
    assert_eq!(differs(&place, "base", "mine"), ["argument 2"]);
    place.lab(["show", "mine.train"]).succeeds().says("lr=5").says("base.train");
    place.lab(["verify", "mine", "--deep"]).succeeds().says("identical");
    assert!(!place.at("model.txt").exists(), "the work tree is left alone");

    // An option with dashes, further back: all three.
    let told = place.lab(["fork", "base", "--set", "scale=7", "--name", "scaled"]).succeeds();
    told.says("scaled.prepare").says("scaled.train").says("made no difference");
    assert_eq!(place.id("scaled"), place.id("base"));
    // A variable; the run that fails is the last.
    place.lab(["fork", "base", "--set", "LEVEL=9", "--name", "bad"]).exits(1).says("exited with 4");
    place.lab(["show", "bad"]).exits(3);
    // Other data.
    place.write("more.csv", "1\n2\n3\n4\n5\n6\n7\n8\n");
    place.lab(["add", "more.csv", "--name", "more"]).succeeds();
    place
        .lab(["fork", "base", "--input", "raw.csv=more", "--name", "larger"])
        .succeeds()
        .says("0.4700 → 0.5200");
    assert_eq!(differs(&place, "base", "larger"), ["input raw.csv"]);
    // By the name that it was given by.
    place.lab(["name", "measured", "base.prepare:raw.csv"]).succeeds();
    place
        .lab(["fork", "base", "--input", "measured=more", "--name", "same"])
        .succeeds()
        .complains("it read 'measured' as its input 'raw.csv'");
    assert_eq!(place.id("same"), place.id("larger"));
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_changed_is_said() {
    let Some(place) = commands() else { return };
    let fork = |more: &[&str]| place.lab([&["fork", "base", "--name", "x"], more].concat());
    fork(&[]).exits(2).complains("--set KEY=VALUE");
    fork(&["--set", "lr"]).exits(2).complains("KEY=VALUE is meant");
    fork(&["--set", "rl=3"]).exits(2).complains("there are lr, scale");
    fork(&["--set", "lr=3"]).exits(2).complains("nothing of base changes");
    fork(&["--input", "raw=nothing"]).exits(3);
    fork(&["--input", "wrong.csv=base.train:model.txt"])
        .exits(2)
        .complains("base has no input 'wrong.csv'")
        .complains("its inputs: raw.csv");
    fork(&["--seeds", "1..2"]).exits(2).complains("no parameter 'seed'");
    fork(&["--seeds", "1..2", "--set", "seed=3"]).exits(2).complains("one of them");
    place.lab(["fork", "bsae", "--set", "lr=1", "--name", "x"]).exits(3).complains("base");
    // A record that is not complete is no ground to stand on.
    place.lab(["run", "--apart", "--name", "apart", "--", "sh", "-c", "echo 1 > out"]).succeeds();
    let _: Value = place.lab(["show", "apart", "--json"]).succeeds().json();
    place.lab(["show", "x"]).exits(3);
}

#[test]
#[cfg(target_os = "linux")]
fn a_fork_brings_what_it_was_forked_from() {
    let Some(place) = commands() else { return };
    place.lab(["push", "./share"]).succeeds();
    place.lab(["clone", "./share", "base", "--into", "copy"]).succeeds();
    place.lab_in("copy", ["fork", "base", "--set", "lr=5", "--name", "mine"]).succeeds();
    let parent = place.id("base.train");
    place.lab_in("copy", ["push", "../other", "mine"]).succeeds();
    place.lab(["clone", "./other", "mine", "--into", "third"]).succeeds();
    // The base is there without a name, with all that it needs.
    place.lab_in("third", ["verify", &parent]).succeeds().says("identical");
    place.lab_in("third", ["gc"]).succeeds();
    place.lab_in("third", ["show", &parent]).succeeds();
    place.lab_in("third", ["check"]).succeeds().says("sound");
}

#[test]
#[cfg(target_os = "linux")]
fn equal_bytes_are_told_apart_by_where_they_lie() {
    let Some(place) = commands() else { return };
    place.write("threshold.txt", "1\n");
    place.write("fit.sh", "echo $1 >model.txt\n");
    place.write(
        "measure.sh",
        "echo \"{\\\"accuracy\\\": $(cat model.txt)$(cat threshold.txt)}\" >metrics.json\n",
    );
    place.lab(["run", "--name", "m.fit", "--", "bash", "fit.sh", "lr=1"]).succeeds();
    place.write("fit.sh", "echo ${1#lr=} >model.txt\n");
    place.lab(["run", "--name", "m.fit", "--", "bash", "fit.sh", "lr=1"]).succeeds();
    place.lab(["run", "--name", "m", "--", "bash", "measure.sh"]).succeeds();
    // The threshold has the bytes that the model had, and is none of it.
    place.lab(["fork", "m", "--set", "lr=2", "--name", "f"]).succeeds().says("11 → 21");
    // What somebody put in the place of an output stays.
    place
        .lab(["fork", "m", "--set", "lr=2", "--input", "model.txt=m.fit:model.txt", "--name", "g"])
        .succeeds();
    place.lab(["show", "g"]).succeeds().says("11");

    // A file that is not left any more is not silently the old one.
    place.write("named.sh", "echo ${1#lr=} >\"out-${1#lr=}.txt\"\n");
    place.write("read.sh", "echo \"{\\\"accuracy\\\": $(cat out-*.txt)}\" >metrics.json\n");
    place.lab(["run", "--name", "n.fit", "--", "bash", "named.sh", "lr=1"]).succeeds();
    place.lab(["run", "--name", "n", "--", "bash", "read.sh"]).succeeds();
    place
        .lab(["fork", "n", "--set", "lr=2", "--name", "h"])
        .exits(2)
        .complains("out-1.txt, which is not left any more");
    place.lab(["show", "h"]).exits(3);
}

#[test]
fn seeds_that_are_there_already_are_named_as_well() {
    let place = Place::digits();
    let run = ["run", "digits.toml", "--name", "base", "--seed", "2", "--set", "train.epochs=1"];
    place.lab(run).succeeds();
    place
        .lab(["fork", "base", "--seeds", "1..3", "--name", "s"])
        .succeeds()
        .says("s.seed2  is base");
    assert_eq!(place.id("s.seed2"), place.id("base"));
    place
        .lab(["fork", "base", "--set", "seed=2", "--name", "t"])
        .exits(2)
        .complains("nothing of base changes");
}
