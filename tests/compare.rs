//! Comparing: only what was meant to differ does, and chance does not explain it.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::Place;
use serde_json::Value;

/// Two methods with the same seeds, of which the second is trained for longer.
fn trained(seeds: &str) -> Place {
    trained_by(seeds, "2")
}

/// The same, so many at once.
fn trained_by(seeds: &str, jobs: &str) -> Place {
    let place = Place::digits();
    for (name, epochs) in [("base", "train.epochs=1"), ("mine", "train.epochs=4")] {
        let run = ["run", "digits.toml", "--name", name, "--seeds", seeds, "--set", epochs];
        place.lab([&run[..], &["--jobs", jobs]].concat()).succeeds();
    }
    place
}

fn json(place: &Place, args: &[&str]) -> Value {
    let said = place.lab([&["compare", "--json"], args].concat());
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn a_gain_is_told_with_its_sign_and_its_chance() {
    let place = trained("1..6");
    let told =
        place.lab(["compare", "base@seeds", "mine@seeds", "--metric", "accuracy"]).succeeds();
    let told = told
        .says("only epochs differs (1 → 4); seeds and splits are shared")
        .says("difference +0.")
        .says("exact sign-flip test p = 0.031")
        .says("mine is better")
        .says("12 recorded runs have looked at this data");
    assert!(!told.out.contains("equal"), "{}", told.out);
    place
        .lab(["compare", "mine@seeds", "base@seeds", "-m", "accuracy"])
        .succeeds()
        .says("difference −0.")
        .says("mine is better");
    // A loss is better when it is lower.
    place
        .lab(["compare", "base@seeds", "mine@seeds", "-m", "loss"])
        .succeeds()
        .says("lower is better")
        .says("difference −")
        .says("mine is better");
    place
        .lab(["compare", "base@seeds", "mine@seeds", "-m", "loss", "--higher-is-better"])
        .succeeds()
        .says("base is better");

    let answer = json(&place, &["base@seeds", "mine@seeds", "-m", "accuracy"]);
    let one = &answer["compared"][0];
    assert_eq!((one["better"].as_str(), one["verdict"].as_str()), (Some("mine"), Some("better")));
    let view = &one["completed"];
    let at = |value: &Value| value.as_f64().unwrap();
    let mean = |arm: &Value| at(&arm["mean"]);
    assert!((at(&view["difference"]) - (mean(&one["arm"]) - mean(&answer["base"]))).abs() < 1e-12);
    assert!(
        at(&view["interval"][0]) < at(&view["difference"])
            && at(&view["difference"]) < at(&view["interval"][1])
    );
    assert_eq!(
        (at(&view["p"]), at(&view["beats"]), view["paired"].as_bool()),
        (0.031_25, 1.0, Some(true))
    );
    assert_eq!(one["guard"]["factors"][0]["what"], "train.epochs");
    assert_eq!(answer["runs_on_this_data"], 12);

    // Other seeds: no pairs. A method with itself.
    place
        .lab(["compare", "base.seed1,base.seed2", "mine.seed3,mine.seed4", "-m", "accuracy"])
        .succeeds()
        .says("no verdict possible with 2 runs each");
    let itself = place.lab([
        "compare",
        "base.seed1,base.seed2,base.seed3",
        "base.seed4,base.seed5,base.seed6",
        "-m",
        "accuracy",
    ]);
    itself
        .succeeds()
        .says("nothing differs but the seeds")
        .says("no verdict possible with 3 runs each: at least 4");
}

#[test]
fn what_else_differs_refuses_a_comparison() {
    let place = trained("1..4");
    for (name, set) in [("scaled", "prepare.scale=\"none\""), ("both", "train.lr=0.01")] {
        let args = [
            "run",
            "digits.toml",
            "--name",
            name,
            "--seeds",
            "1..4",
            "--set",
            "train.epochs=4",
            "--set",
            set,
        ];
        place.lab(args).succeeds();
    }
    let compare = |more: &[&str]| place.lab([&["compare", "-m", "accuracy"], more].concat());
    // Other preprocessing is another task, unless it is what is asked about.
    let refused = compare(&["mine@seeds", "scaled@seeds"]).exits(1);
    assert!(
        refused
            .says("not comparable")
            .says("scale")
            .err
            .contains("--allow parameter:prepare.scale")
    );
    compare(&["mine@seeds", "scaled@seeds", "--factor", "scale"])
        .succeeds()
        .says("only scale differs");
    compare(&["mine@seeds", "scaled@seeds", "--allow", "parameter:scale"])
        .succeeds()
        .says("allowed: parameter prepare.scale");
    // Two things at once.
    let refused = compare(&["base@seeds", "both@seeds"]).exits(1);
    refused.says("epochs").says("lr").says("0.003 → 0.01");
    compare(&["base@seeds", "both@seeds", "--factor", "lr"])
        .exits(1)
        .says("besides lr, these differ");
    compare(&["base@seeds", "both@seeds", "-f", "lr", "-f", "epochs"])
        .succeeds()
        .says("only epochs and lr differ");
    compare(&["base@seeds", "both@seeds", "-f", "lr", "--allow", "parameter"]).succeeds();
    // A factor that differs in nothing, and an arm that is not of one method.
    compare(&["base@seeds", "mine@seeds", "--factor", "lr"]).exits(1).says("'lr' does not differ");
    let mixed =
        compare(&["base@seeds", "mine.seed1,mine.seed2,both.seed3,both.seed4", "-f", "epochs"])
            .exits(1);
    mixed.says("lr").says("not the same within one of them");
    // What the seed of the split does to one arm is no chance to the other.
    for split in ["1", "2"] {
        let set = format!("prepare.split_seed={split}");
        let name = format!("split{split}");
        place
            .lab([
                "run",
                "digits.toml",
                "--name",
                &name,
                "--seeds",
                "1..4",
                "--set",
                &set,
                "--set",
                "train.epochs=1",
            ])
            .succeeds();
    }
    compare(&["split1@seeds", "split2@seeds"]).exits(1).says("split_seed");
    // Several arms at once share what chance allows.
    compare(&["mine@seeds", "base@seeds", "both@seeds"]).succeeds().says("epochs").says("lr");
    let answer = json(&place, &["mine@seeds", "scaled@seeds", "-m", "accuracy"]);
    assert_eq!(answer["comparable"], false);
    assert_eq!(answer["arms"][0]["confounders"][0]["what"], "prepare.scale");
}

#[test]
#[cfg(target_os = "linux")]
fn commands_are_guarded_by_what_they_were_seen_to_use() {
    let place = Place::registry();
    place.write("data.csv", "1\n2\n");
    let script = "cat data.csv >copy\n[ \"$2\" = 9 ] && exit 1\necho \"{\\\"accuracy\\\": 0.$((50 + $4 * 10 + $2 % 4))}\" >metrics.json\n";
    place.write("train.sh", script);
    let run = |arm: &str, seed: u32, level: u32, env: &[&str]| {
        let (name, seed, level) =
            (format!("{arm}.seed{seed}"), seed.to_string(), level.to_string());
        let command =
            ["--name", &name, "--", "bash", "train.sh", "--seed", &seed, "--level", &level];
        place.lab([&["run"], env, &command[..]].concat())
    };
    for seed in 1..=4 {
        run("a", seed, 1, &[]).succeeds();
        run("b", seed, 3, &[]).succeeds();
        run("t", seed, 3, &["--env", "OMP_NUM_THREADS=2"]).succeeds();
    }
    let compare = |more: &[&str]| place.lab([&["compare", "-m", "accuracy"], more].concat());
    compare(&["a@seeds", "b@seeds"])
        .succeeds()
        .says("--level")
        .says("b is better")
        .says("p = 0.029");
    compare(&["b@seeds", "t@seeds"])
        .exits(1)
        .says("threads")
        .says("OMP_NUM_THREADS")
        .says("absent → 2");
    compare(&["a@seeds", "t@seeds", "-f", "level"])
        .exits(1)
        .says("besides")
        .says("OMP_NUM_THREADS");
    compare(&["a@seeds", "t@seeds", "-f", "level", "--allow", "threads"])
        .succeeds()
        .says("allowed: threads OMP_NUM_THREADS");

    // A seed that crashed is counted, once, and for its own arm.
    for _ in 0..2 {
        run("b", 9, 3, &[]).exits(1);
    }
    let told = compare(&["a@seeds", "b@seeds"]).succeeds();
    told.says("5 runs")
        .says("1 without a score")
        .says("with 1 crashed run counted as the worst score");
    let answer = json(&place, &["a@seeds", "b@seeds", "-m", "accuracy"]);
    assert_eq!(answer["compared"][0]["crashed"], serde_json::json!([0, 1]));

    // What was done again counts once, and seeds that change nothing are no seeds.
    for n in 1..=4 {
        let again = [
            "run",
            "--name",
            &format!("again.seed{n}"),
            "--",
            "bash",
            "train.sh",
            "--seed",
            "5",
            "--level",
            "3",
        ]
        .map(str::to_owned);
        place.lab(again).succeeds();
        place.write("same.sh", "echo '{\"accuracy\": 0.9}' >metrics.json\n");
        let same = [
            "run",
            "--name",
            &format!("same.seed{n}"),
            "--",
            "bash",
            "same.sh",
            "--seed",
            &n.to_string(),
        ]
        .map(str::to_owned);
        place.lab(same).succeeds();
    }
    compare(&["a@seeds", "again@seeds"])
        .succeeds()
        .says("no verdict possible")
        .complains("only 1 can be counted");
    compare(&[
        "a.seed1",
        "same@seeds",
        "--allow",
        "argument",
        "--allow",
        "code",
        "--allow",
        "data",
        "--allow",
        "found",
        "--allow",
        "system",
    ])
    .succeeds()
    .says("no verdict possible")
    .complains("only 1 can be counted");
    // An exact repeat is no second run, and no run in common either.
    let repeat = compare(&["again.seed1", "again.seed2"]).exits(2);
    let repeat = repeat.complains("again.seed2 (").complains("is again.seed1 (");
    let repeat = repeat.complains("done again: the same recipe left the same outputs");
    let repeat = repeat.complains("`lab diff again.seed1 again.seed2`");
    assert!(!repeat.err.contains("in common") && !repeat.err.contains("both"), "{}", repeat.err);

    // An edit of the code, and other data.
    place.write("train.sh", script.replace("50", "60"));
    (1..=4).for_each(|seed| drop(run("edited", seed, 3, &[]).succeeds()));
    compare(&["b@seeds", "edited@seeds"]).exits(1).says("code").says("train.sh");
    place.write("train.sh", script);
    place.write("data.csv", "1\n3\n");
    (1..=4).for_each(|seed| drop(run("other", seed, 3, &[]).succeeds()));
    compare(&["b@seeds", "other@seeds"]).exits(1).says("data").says("data.csv");
}

#[test]
fn a_grid_runs_every_setting_with_every_other() {
    let place = Place::digits();
    let grid = [
        "run",
        "digits.toml",
        "--name",
        "g",
        "--grid",
        "train.lr=0.003,0.01 x train.epochs=1,2",
        "--seeds",
        "1,2",
    ];
    let told = place.lab(grid).succeeds();
    let told = told.says("g.lr0.003.epochs1\n").says("g.lr0.01.epochs2\n").says("2 runs");
    assert_eq!(told.out.matches("   2 runs").count(), 8, "{}", told.out);
    place.lab(["show", "g.lr0.01.epochs2.seed2"]).succeeds();
    let arms = ["g.lr0.003.epochs2@seeds", "g.lr0.01.epochs2@seeds"];
    place
        .lab(["compare", arms[0], arms[1], "-m", "accuracy"])
        .succeeds()
        .says("only lr differs (0.003 → 0.01)");
    // What is there is not done again.
    let again = place.lab([&grid[..], &["--json"]].concat()).succeeds().json();
    assert!(again.as_array().unwrap().iter().all(|run| run["reused"] == true));
    let run = |more: &[&str]| place.lab([&["run", "digits.toml"], more].concat()).exits(2);
    run(&["--grid", "train.lr=0.1", "--set", "train.lr=0.2"])
        .complains("--grid sets train.lr, and so does --set");
    run(&["--grid", "train.lr=0.1", "--grid", "train.lr=0.2"]).complains("twice");
    run(&["--grid", "train.lr"]).complains("no row of values");
    run(&["--grid", "train.nothing=1,2"]).complains("nothing");
}

#[test]
fn the_log_can_be_asked_for_what_was_reached_when_and_by_whom() {
    let place = trained_by("1..3", "1");
    let log = |more: &[&str]| {
        let said = place.lab([&["log", "--json"], more].concat()).succeeds().json();
        said.as_array()
            .unwrap()
            .iter()
            .map(|run| run["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = log(&["--metric", "accuracy>0"]);
    assert_eq!(all.len(), 6);
    assert_eq!(log(&["--metric", "accuracy>0", "-n", "2"]), all[..2]);
    let good = log(&["--metric", "accuracy>=0.9", "--metric", "loss<0.2"]);
    assert!(!good.is_empty() && good.iter().all(|name| name.starts_with("mine")), "{good:?}");
    // Who reached it stands on who was given it.
    let first = log(&["--metric", "accuracy>0", "--param", "seed=1"]);
    assert_eq!(first, ["mine.seed1", "base.seed1"]);
    let four = ["mine.seed3", "mine.seed2", "mine.seed1"];
    assert_eq!(log(&["--metric", "accuracy>0", "--param", "epochs=4"]), four);
    assert_eq!(log(&["--metric", "accuracy>0", "--param", "epochs=4", "-n", "1"]), four[..1]);
    assert_eq!(log(&["--metric", "accuracy>2", "--param", "epochs=4"]), [""; 0]);
    place
        .lab(["log", "--metric", "accuracy>0", "--param", "epochs=4"])
        .succeeds()
        .complains("stands on a run with these parameters");
    // A parameter is found by the words in which it was given, in the stage that has it.
    let trained = ["mine.seed3.train", "mine.seed2.train", "mine.seed1.train"];
    assert_eq!(log(&["--param", "train.epochs=4"]), trained);
    assert_eq!(log(&["--param", "epochs=4"]), trained);
    assert_eq!(log(&["--param", "train.epochs=4", "-n", "1"]), trained[..1]);
    assert_eq!(log(&["--param", "train.epochs=4", "--param", "seed=2"]), trained[1..2]);
    assert_eq!(log(&["--param", "seed=2", "--param", "train.lr=0.003"]).len(), 2);
    assert_eq!(log(&["--param", "prepare.epochs=4"]), Vec::<String>::new());
    assert_eq!(log(&["--param", "train.epochs=5"]), Vec::<String>::new());
    let misspelt = |flag: &str, typed: &str| place.lab(["log", flag, typed]).succeeds();
    misspelt("--param", "epoch=4").complains("called 'epoch': did you mean `epochs`?");
    misspelt("--param", "train.epoch=4").complains("did you mean `epochs`?");
    misspelt("--param", "nothing=4").complains("there are activation, batch, ");
    misspelt("--metric", "acuracy>0").complains("called 'acuracy': did you mean `accuracy`?");
    misspelt("--metric", "x>0").complains("there are accuracy, loss, train_accuracy, train_loss");
    let known = misspelt("--param", "epochs=5");
    assert!(!known.err.contains("called"), "{}", known.err);
    assert_eq!(log(&["--metric", "accuracy>0", "--by", "ana", "--since", "1h"]), all);
    assert_eq!(log(&["--by", "ben"]), Vec::<String>::new());
    assert_eq!(log(&["--since", "2999-01-01"]), Vec::<String>::new());
    place.lab(["log", "--metric", "accuracy"]).exits(2).complains("is no bound");
    place.lab(["log", "--since", "yesterday"]).exits(2).complains("2026-11-30");
    place.lab(["log", "mine.seed1", "--by", "ana"]).exits(2);
    place.lab(["log", "--by", "ben"]).succeeds().complains("no run fits");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let place = trained("1,2");
    let compare = |more: &[&str]| place.lab([&["compare"], more].concat());
    compare(&["base@seeds", "mine@seeds"])
        .exits(2)
        .complains("which number?")
        .complains("accuracy");
    compare(&["base@seeds", "mine@seeds", "-m", "acuracy"])
        .exits(3)
        .complains("'acuracy'")
        .complains("accuracy, loss");
    compare(&["base@seeds", "mien@seeds", "-m", "loss"])
        .exits(3)
        .complains("'mien@seeds'")
        .complains("--seeds 1..10");
    compare(&["base@seeds", "x*", "-m", "loss"]).exits(3).complains("'x*'");
    compare(&["base@seeds", "base.seed1", "-m", "loss"])
        .exits(2)
        .complains("both hold the run")
        .complains("leave it out of one of the two");
    compare(&["base@seeds", "digits", "-m", "loss"]).exits(3).complains("no recorded run made");
    compare(&["base@seeds"]).exits(2);
    compare(&["base@seeds", "mine@seeds", "-m", "loss", "--margin", "-1"])
        .exits(2)
        .complains("margin");
    compare(&["base@seeds", "../x", "-m", "loss"]).exits(2);
    compare(&["base", "mine@seeds", "-m", "loss"]).exits(3).complains("`base@seeds` are 2 runs");
    // A star finds runs, and not the stages that they consist of.
    compare(&["base.*", "mine.*", "-m", "loss"]).succeeds().says("2 runs");
    let verify = |more: &[&str]| place.lab([&["verify", "--json"], more].concat()).succeeds();
    let verified = verify(&["base.*"]);
    assert_eq!(verified.json().as_array().unwrap().len(), 2);
    let left_out = "left out, as stages of what is verified: base.seed1.prepare, base.seed1.train, \
                    base.seed2.prepare and 1 more; `--deep`";
    place.lab(["verify", "base.*"]).succeeds().complains(left_out);
    // Both stand on the same data, which is prepared again once.
    let deep = place.lab(["verify", "--deep", "base.*", "mine.*", "base.seed1", "--json"]);
    let deep = deep.succeeds();
    assert!(!deep.err.contains("left out"), "{}", deep.err);
    assert_eq!(deep.json().as_array().unwrap().len(), 10);
}

/// Several at once come to the same as one after the other, and what they share is done once.
#[test]
fn seeds_run_at_once_and_share_what_they_share() {
    let runs = |jobs: &str| {
        let place = Place::digits();
        let line =
            ["run", "digits.toml", "-n", "base", "--seeds", "1..6", "--set", "train.epochs=2"];
        let split = ["--set", "prepare.split_seed=3", "--jobs", jobs];
        let told = place.lab([&line[..], &split].concat()).succeeds();
        assert_eq!(told.out.matches("   6 runs").count(), 2, "{}", told.out);
        let again = place.lab([&line[..], &split, &["--json"]].concat()).succeeds().json();
        let again = again.as_array().unwrap();
        assert!(again.len() == 18 && again.iter().all(|run| run["reused"] == true));
        // In the order of the seeds, whatever came first.
        let names = again.iter().map(|run| run["name"].as_str().unwrap().to_owned());
        let evaluated: Vec<String> =
            names.filter(|name| name.ends_with(|c: char| c.is_ascii_digit())).collect();
        assert_eq!(evaluated, (1..=6).map(|seed| format!("base.seed{seed}")).collect::<Vec<_>>());
        let all = place.lab(["log", "-n", "100"]).succeeds();
        assert_eq!(all.out.lines().count(), 13, "{}", all.out);
        let outputs: Vec<serde_json::Value> =
            again.iter().map(|run| run["outputs"].clone()).collect();
        outputs
    };
    assert_eq!(runs("6"), runs("1"));
    let place = Place::digits();
    place
        .lab(["run", "--jobs", "2", "--", "ls"])
        .exits(2)
        .complains("--jobs is for a tensor program");
    place.lab(["run", "digits.toml", "--seeds", "1", "--jobs", "0"]).exits(2);
}
