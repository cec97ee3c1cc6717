//! Evaluations: whoever is on a board went through the very same, and what speaks against an entry is said.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod kit;

use kit::{Place, allows_boxes};
use serde_json::Value;

const TRAIN: &str = "cat train.csv >/dev/null
echo $((70 + $2 * 4 + $4 % 3)) >model.txt
";
const EVALUATE: &str = "q=$(cat model.txt)
[ \"$q\" = broken ] && exit 3
rows=$(wc -l <test.csv)
echo \"{\\\"accuracy\\\": 0.$q, \\\"rows\\\": $rows}\" >metrics.json
";

/// Models of two methods with three seeds each, and an evaluation that the first of them went through.
fn evaluated() -> Option<Place> {
    if !allows_boxes() {
        println!("skipped: no boxes here");
        return None;
    }
    let place = Place::registry();
    place.write("train.csv", "1\n2\n3\n");
    place.write("test.csv", "4\n5\n");
    place.write("train.sh", TRAIN);
    place.write("evaluate.sh", EVALUATE);
    for seed in 1..=3 {
        train(&place, "base", 1, seed);
        train(&place, "mine", 3, seed);
    }
    train(&place, "base", 1, 1);
    place.lab(["run", "--name", "first", "--", "bash", "evaluate.sh"]).succeeds();
    Some(place)
}

fn train(place: &Place, name: &str, level: u32, seed: u32) {
    let (name, seed, level) = (format!("{name}.seed{seed}"), seed.to_string(), level.to_string());
    let args =
        ["run", "--name", &name, "--", "bash", "train.sh", "--level", &level, "--seed", &seed];
    place.lab(args).succeeds();
}

fn define(place: &Place) {
    place
        .lab(["eval", "define", "test", "first", "--metric", "accuracy"])
        .succeeds()
        .says("read as model.txt: a higher accuracy is better")
        .says("test.csv")
        .says("protocol");
}

fn board(place: &Place) -> Value {
    place.lab(["board", "test", "--json"]).succeeds().json()
}

fn row<'a>(board: &'a Value, name: &str) -> &'a Value {
    let rows = board["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name} of {board}"))
}

#[test]
fn methods_are_ranked_by_one_evaluation() {
    let Some(place) = evaluated() else { return };
    define(&place);
    // The files of the example are not needed any more: all of it is in the store.
    for file in ["evaluate.sh", "test.csv", "model.txt", "metrics.json"] {
        std::fs::remove_file(place.at(file)).unwrap();
    }
    place
        .lab(["eval", "run", "test", "base@seeds", "mine@seeds"])
        .succeeds()
        .says("test.base.seed2")
        .says("accuracy 0.8300")
        .says("went through before");
    let told = place.lab(["board", "test"]).succeeds();
    let told = told.says("accuracy, higher is better").says("3 seeds").says("recorded");
    let lines: Vec<&str> = told.out.lines().collect();
    assert!(lines[1].contains("1   mine") && lines[2].contains("2   base"), "{}", told.out);

    let answer = board(&place);
    let mine = row(&answer, "mine");
    assert_eq!((mine["rank"].as_u64(), mine["runs"].as_u64()), (Some(1), Some(3)));
    assert!((mine["mean"].as_f64().unwrap() - 0.83).abs() < 1e-12);
    // Student's interval of 0.82, 0.83 and 0.84: 0.83 -+ 4.302653 * 0.01 / sqrt(3).
    assert!((mine["interval"][0].as_f64().unwrap() - (0.83 - 0.024_841_4)).abs() < 1e-6);
    assert_eq!(row(&answer, "base")["runs"], 3);
    // Nothing is done twice.
    let again = place.lab(["eval", "run", "test", "mine.seed2:model.txt", "--json"]).succeeds();
    assert_eq!(again.json()[0]["was_there"], true);
    // Each result can be done again by itself, as any run.
    place.lab(["verify", "test.mine.seed2"]).succeeds().says("identical");
}

#[test]
fn a_claim_is_as_strong_as_who_did_it_again() {
    let Some(place) = evaluated() else { return };
    define(&place);
    place.lab(["eval", "run", "test", "mine.seed1"]).succeeds();
    let claim = |place: &Place| row(&board(place), "mine.seed1")["claim"].clone();
    assert_eq!(claim(&place), "recorded");
    // The evaluation alone does not make the model's making stronger.
    place.lab(["verify", "test.mine.seed1"]).succeeds();
    assert_eq!(claim(&place), "recorded");
    place.lab(["verify", "mine.seed1"]).succeeds();
    assert_eq!(claim(&place), "verified by its author");
    let verify = |reference: &str| {
        let mut command = place.command();
        command.args(["verify", reference]).env("LAB_USER", "grace");
        kit::said(&mut command).succeeds();
    };
    verify("test.mine.seed1");
    assert_eq!(claim(&place), "verified by its author");
    verify("mine.seed1");
    assert_eq!(claim(&place), "verified by another");
}

#[test]
fn what_speaks_against_an_entry_is_said() {
    let Some(place) = evaluated() else { return };
    define(&place);
    // Trained on what it is tested on.
    place.write("peek.sh", "cat train.csv test.csv >/dev/null\necho 99 >model.txt\n");
    place.lab(["run", "--name", "peek", "--", "bash", "peek.sh"]).succeeds();
    // By way of a file that another run made of it.
    place.write("copy.sh", "cat test.csv train.csv >both.csv\n");
    place.lab(["run", "--name", "copy", "--", "bash", "copy.sh"]).succeeds();
    place.write("sly.sh", "cat both.csv >/dev/null\necho 98 >model.txt\n");
    place.lab(["run", "--name", "sly", "--", "bash", "sly.sh"]).succeeds();
    // Brought along.
    place.write("found.txt", "97\n");
    place.lab(["add", "found.txt", "--name", "found"]).succeeds();
    // Not the same each time.
    place.write("draw.sh", "echo $((10 + $(od -An -N1 -tu1 /dev/urandom) % 80)) >model.txt\n");
    place.lab(["run", "--name", "draw", "--", "bash", "draw.sh"]).succeeds();
    let models = ["peek", "sly", "found", "draw", "mine.seed1"];
    place.lab([&["eval", "run", "test"], &models[..]].concat()).succeeds();
    for _ in 0..3 {
        let _ = place.lab(["verify", "draw"]);
    }

    let told = place.lab(["board", "test"]).succeeds();
    told.says("its making read test.csv, which it is tested on")
        .says("nobody recorded how the model was made")
        .says("came to something else");
    let answer = board(&place);
    let shared = |name: &str| row(&answer, name)["entries"][0]["shared"].clone();
    assert_eq!(shared("peek")[0]["read"], "test.csv");
    assert_eq!(shared("sly")[0]["tested"], "test.csv");
    // Who saw the test has no rank, and takes none from the others.
    assert_eq!(
        (&row(&answer, "peek")["rank"], &row(&answer, "sly")["rank"]),
        (&Value::Null, &Value::Null)
    );
    let ranks: Vec<u64> =
        answer["rows"].as_array().unwrap().iter().filter_map(|row| row["rank"].as_u64()).collect();
    assert_eq!(ranks, [1, 2, 3, 4]);
    for clean in ["found", "draw", "mine.seed1"] {
        assert_eq!(shared(clean), serde_json::json!([]), "{clean}");
    }
    assert_eq!(row(&answer, "mine.seed1")["entries"][0]["disputed"], serde_json::json!([]));
    assert_eq!(row(&answer, "draw")["entries"][0]["disputed"].as_array().unwrap().len(), 1);
}

#[test]
fn only_runs_of_the_same_evaluation_share_a_board() {
    let Some(place) = evaluated() else { return };
    define(&place);
    let rows = |place: &Place| board(place)["rows"].as_array().unwrap().len();
    assert_eq!(rows(&place), 1);
    // The same command on other data, by other code, in other surroundings.
    place.write("test.csv", "4\n");
    place.lab(["run", "--name", "other-data", "--", "bash", "evaluate.sh"]).succeeds();
    place.write("test.csv", "4\n5\n");
    place.write("evaluate.sh", EVALUATE.replace("0.$q", "0.9$q"));
    place.lab(["run", "--name", "other-code", "--", "bash", "evaluate.sh"]).succeeds();
    place.write("evaluate.sh", EVALUATE);
    let args = ["run", "--name", "other-place", "--env", "OMP_NUM_THREADS=2", "--"];
    place.lab([&args[..], &["bash", "evaluate.sh"]].concat()).succeeds();
    assert_eq!(rows(&place), 1);
    // By hand, and yet the very same.
    place.write("model.txt", "96\n");
    place.lab(["run", "--name", "by-hand", "--", "bash", "evaluate.sh"]).succeeds();
    assert_eq!(rows(&place), 2);
    // Made of another example, it is the same evaluation.
    place
        .lab(["eval", "define", "again", "by-hand", "-m", "accuracy", "--model", "model.txt"])
        .succeeds();
    let again = place.lab(["board", "again", "--json"]).succeeds().json();
    assert_eq!(again["rows"].as_array().unwrap().len(), 2);
    assert_eq!(again["protocol"], board(&place)["protocol"]);
}

#[test]
fn a_board_travels() {
    let Some(place) = evaluated() else { return };
    define(&place);
    place.lab(["eval", "run", "test", "mine@seeds"]).succeeds();
    place.lab(["push", "./share"]).succeeds();
    place.lab(["clone", "./share", "--into", "copy"]).succeeds();
    let there = place.lab_in("copy", ["board", "test", "--json"]).succeeds().json();
    assert_eq!(there["rows"], board(&place)["rows"]);
    // A colleague's model through the same evaluation.
    place.write("copy/better.txt", "95\n");
    place.lab_in("copy", ["add", "better.txt", "--name", "better"]).succeeds();
    place.lab_in("copy", ["eval", "run", "test", "better"]).succeeds().says("accuracy 0.9500");
    place.lab_in("copy", ["push", "../share"]).succeeds();
    place.lab(["pull", "./share"]).succeeds();
    assert_eq!(row(&board(&place), "better")["rank"], 1);
    // The evaluation by itself brings what it needs.
    place.lab(["clone", "./share", "test", "--into", "alone"]).succeeds();
    place.write("alone/better.txt", "94\n");
    place.lab_in("alone", ["add", "better.txt", "--name", "next"]).succeeds();
    place.lab_in("alone", ["eval", "run", "test", "next"]).succeeds().says("accuracy 0.9400");
    place.lab_in("alone", ["gc"]).succeeds();
    place.lab_in("alone", ["check"]).succeeds();
    place.lab_in("alone", ["show", "test"]).succeeds().says("evaluation").says("model.txt");
    place
        .lab_in("alone", ["cat", "test"])
        .exits(2)
        .complains("'test' is an evaluation, not a file");
}

#[test]
fn what_does_not_fit_is_said() {
    let Some(place) = evaluated() else { return };
    let lab = |args: &[&str]| place.lab(args.iter().copied());
    lab(&["eval", "define", "test", "first"]).exits(2).complains("which number");
    lab(&["eval", "define", "test", "first", "-m", "acuracy"]).exits(3).complains("accuracy");
    lab(&["eval", "define", "test", "first", "-m", "rows"]).exits(2).complains("higher or a lower");
    lab(&["eval", "define", "test", "first", "-m", "accuracy", "--model", "modle.txt"])
        .exits(3)
        .complains("did you mean `model.txt`");
    lab(&["eval", "define", "test", "nothing"]).exits(3);
    define(&place);
    lab(&["eval", "run", "first", "mine.seed1"]).exits(2).complains("lab eval define NAME first");
    lab(&["board", "first"]).exits(2).complains("not an evaluation");
    lab(&["eval", "run", "test", "mine"]).exits(3).complains("mine@seeds");
    lab(&["eval", "run", "test", "mine@seeds", "--name", "x"]).exits(2);
    lab(&["eval", "run", "test", "test"]).exits(2);
    // A model that it cannot do with is a failure, which is recorded and counted.
    place.write("bad.txt", "broken\n");
    lab(&["add", "bad.txt", "--name", "bad"]).succeeds();
    lab(&["eval", "run", "test", "bad"]).exits(1).says("exited with 3");
    lab(&["board", "test"]).succeeds().says("failed");
    // A folder where a file goes.
    place.write("folder/a.txt", "1\n");
    lab(&["add", "folder", "--name", "folder"]).succeeds();
    lab(&["eval", "run", "test", "folder"]).exits(2).complains("is a folder");
    // What it was not shown to need, it cannot have: the record says that it looked for it.
    place.write("more.sh", "m=$(cat model.txt)\n[ -e \"$m\" ] && cat \"$m\" >/dev/null\necho '{\"accuracy\": 0.5}' >metrics.json\n");
    place.write("model.txt", "none\n");
    lab(&["run", "--name", "looks", "--", "bash", "more.sh"]).succeeds();
    lab(&["eval", "define", "more", "looks", "--model", "model.txt"]).succeeds();
    place.write("points.txt", "train.csv\n");
    lab(&["add", "points.txt", "--name", "points"]).succeeds();
    lab(&["eval", "run", "more", "points"]).succeeds().says("incomplete").says("train.csv");
}

#[test]
fn a_model_of_several_files_and_another_split_of_the_same_data() {
    let place = Place::digits();
    for (name, seed, epochs) in [("a", "1", "1"), ("b", "1", "3"), ("c", "2", "3")] {
        let epochs = format!("train.epochs={epochs}");
        let args = ["run", "digits.toml", "--name", name, "--seed", seed, "--set", &epochs];
        place.lab(args).succeeds();
    }
    place
        .lab(["eval", "define", "test", "a", "-m", "accuracy"])
        .succeeds()
        .says("read as model.json, model.safetensors");
    // A run that evaluated a model stands for it, and so does the one that made it.
    place.lab(["eval", "run", "test", "b", "c.train"]).succeeds();
    let answer = board(&place);
    let shared = |name: &str| row(&answer, name)["entries"][0]["shared"].clone();
    assert_eq!(shared("a"), serde_json::json!([]));
    assert_eq!(shared("b"), serde_json::json!([]));
    assert_eq!(shared("c")[0]["tested"], "prepare.json");
    assert_eq!(shared("c")[0]["same"], false);
    place.lab(["board", "test"]).succeeds().says("they may share rows");
    place.lab(["eval", "run", "test", "c:model.json"]).exits(2).complains("one file");
    place.lab(["eval", "run", "test", "c.prepare"]).exits(2).complains("which of the outputs");
    place.lab(["eval", "run", "test", "c.train:model.json"]).exits(2).complains("one file");
    place.lab(["eval", "run", "test", "digits"]).exits(2);

    // In a folder.
    let model = place.at("model");
    std::fs::create_dir(&model).unwrap();
    for file in ["model.json", "model.safetensors"] {
        let to = format!("model/{file}");
        place.lab(["get", &format!("b.train:{file}"), &to]).succeeds();
    }
    place.lab(["add", "model", "--name", "folder"]).succeeds();
    let again = place.lab(["eval", "run", "test", "folder", "--json"]).succeeds().json();
    assert_eq!(again[0]["was_there"], true);
    std::fs::remove_file(model.join("model.json")).unwrap();
    place.lab(["add", "model", "--name", "half"]).succeeds();
    place.lab(["eval", "run", "test", "half"]).exits(3).complains("has no model.json");
}

#[test]
fn copied_test_rows_are_found_by_content_whatever_the_files_are_called() {
    let Some(place) = evaluated() else { return };
    let table = std::fs::read_to_string(kit::top().join("tests/data/penguins.csv")).unwrap();
    let mut lines = table.lines();
    let head = lines.next().unwrap();
    // Every fifth is tested on, in an order of which the table knows nothing.
    let mut rows: Vec<&str> = lines.collect();
    rows.sort_by_key(|row| lab_schema::BlobId::of(row.as_bytes()));
    let (mut train, mut test) = (vec![head], vec![head]);
    for (n, row) in rows.iter().enumerate() {
        if n % 5 == 0 { test.push(row) } else { train.push(row) }
    }
    let text = |rows: &[&str]| rows.join("\n") + "\n";
    place.write("test.csv", text(&test));
    place.write("clean.csv", text(&train));
    // A dozen test rows among the training rows, at the end and with other ends of lines.
    let planted = text(&[&train[..], &test[1..13]].concat()).replace('\n', "\r\n");
    place.write("planted.csv", planted);
    for name in ["test", "clean", "planted"] {
        place.lab(["add", &format!("{name}.csv"), "--name", name]).succeeds();
    }
    place.lab(["eval", "leaks", "clean", "test"]).succeeds().says("apart");
    let told = place.lab(["eval", "leaks", "planted", "test"]).exits(1);
    told.says("leak").says("12 of 69 test examples").says("equal: number 1 of test is number 276");
    let found = place.lab(["eval", "leaks", "planted", "test", "--json"]).exits(1).json();
    assert_eq!(
        (found["equal"]["count"].as_u64(), found["verdict"].as_str()),
        (Some(12), Some("leak"))
    );
    place.lab(["eval", "leaks", "planted", "first"]).exits(2);
    place
        .lab(["eval", "leaks", "planted", "base.seed1:model.txt"])
        .exits(2)
        .complains("cannot be compared");
    place
        .lab(["eval", "leaks", "planted", "test", "--leave-out", "spcies"])
        .exits(2)
        .complains("species");

    // By way of a board: no run read the test file, one read its rows.
    place.lab(["run", "--name", "penguins", "--", "bash", "evaluate.sh"]).succeeds();
    place.lab(["eval", "define", "penguin-test", "penguins", "-m", "accuracy"]).succeeds();
    for name in ["clean", "planted"] {
        place.write(
            "fit.sh",
            format!("cat {name}.csv >/dev/null\necho 9{} >model.txt\n", name.len()),
        );
        place.lab(["run", "--name", &format!("{name}-model"), "--", "bash", "fit.sh"]).succeeds();
    }
    place.lab(["eval", "run", "penguin-test", "clean-model", "planted-model"]).succeeds();
    let leak = "leak from test.csv into planted.csv: 12 of 69 test examples";
    let told = place.lab(["board", "penguin-test"]).succeeds().says(leak);
    assert!(!told.out.contains("into clean.csv"), "{}", told.out);
    assert!(!told.err.contains("--leaks"), "{}", told.err);
    // What is large is looked at only for who asks.
    let rows = String::from_utf8(place.read("planted.csv")).unwrap();
    let more = |n: usize| {
        let rows = rows.lines().skip(1).map(move |row| format!("x{n}{row}\n"));
        rows.collect::<String>()
    };
    // Where other rows recur a great deal, chance would put more on both sides than were found.
    place.write("twice.csv", format!("{rows}{}", more(0).repeat(200)));
    place.lab(["add", "twice.csv", "--name", "twice"]).succeeds();
    let told = place.lab(["eval", "leaks", "twice", "test"]).exits(1);
    told.says("of 12 that are there 2 times 12 lie on both sides");
    let more: String = (0..400).map(more).collect();
    place.write("large.csv", format!("{rows}{more}"));
    place.write("fit.sh", "cat large.csv >/dev/null\necho 9 >model.txt\n");
    place.lab(["run", "--name", "large-model", "--", "bash", "fit.sh"]).succeeds();
    place.lab(["eval", "run", "penguin-test", "large-model"]).succeeds();
    let told = place.lab(["board", "penguin-test"]).succeeds().says(leak);
    assert!(!told.out.contains("large.csv"), "{}", told.out);
    told.complains("`lab board penguin-test --leaks` also compares what is large");
    let told = place.lab(["board", "penguin-test", "--leaks"]).succeeds().says(leak);
    told.says("leak from test.csv into large.csv");
}

#[test]
fn a_model_put_together_is_as_strong_as_its_weakest_part() {
    if !allows_boxes() {
        return println!("skipped: no boxes here");
    }
    let place = Place::registry();
    place.write("test.txt", "1\n");
    place.write("train.sh", "mkdir -p m\necho c >m/config.txt\necho $1 >m/w.txt\n");
    place.write(
        "evaluate.sh",
        "cat m/config.txt test.txt >/dev/null\necho \"{\\\"accuracy\\\": 0.$(cat m/w.txt)}\" >metrics.json\n",
    );
    let run = |name: &str, args: &[&str]| {
        place.lab([&["run", "--name", name, "--", "bash"], args].concat()).succeeds()
    };
    run("base", &["train.sh", "50"]);
    run("first", &["evaluate.sh"]);
    place
        .lab(["eval", "define", "test", "first", "-m", "accuracy"])
        .succeeds()
        .complains("m/config.txt, m/w.txt");
    // One file of somebody's model, and one of nobody's.
    place.write("cheat/config.txt", "c\n");
    place.write("cheat/w.txt", "99\n");
    place.lab(["add", "cheat", "--name", "cheat"]).succeeds();
    place.lab(["eval", "run", "test", "cheat"]).succeeds().says("0.99");
    for done in ["base", "first", "test.cheat"] {
        place.lab(["verify", done]).succeeds();
    }
    let answer = board(&place);
    assert_eq!(row(&answer, "base")["claim"], "verified by its author");
    let cheat = row(&answer, "cheat");
    assert_eq!((cheat["claim"].as_str(), cheat["runs"].as_u64()), (Some("recorded"), Some(1)));
    assert_eq!(cheat["entries"][0]["is_made"], false);
    place.lab(["board", "test"]).succeeds().says("nobody recorded how the model was made");

    // Checkpoints of one run are no seeds, and another file of the same name is no model of it.
    place.write(
        "epochs.sh",
        "for n in 1 2 3; do mkdir -p e$n; echo c >e$n/config.txt; echo 6$n >e$n/w.txt; done\n",
    );
    run("epochs", &["epochs.sh"]);
    for n in ["1", "2", "3"] {
        let args =
            ["run", "--name", &format!("pick{n}"), "--", "bash", "-c", &format!("cp -r e{n}/. m/")];
        place.lab(args).succeeds();
        place
            .lab(["eval", "run", "test", &format!("pick{n}"), "--name", &format!("test.e{n}")])
            .succeeds();
    }
    place.lab(["eval", "run", "test", "epochs"]).exits(2).complains("which of the outputs");
    let rows = board(&place)["rows"].as_array().unwrap().clone();
    assert!(rows.iter().all(|row| row["runs"] == 1), "{rows:?}");
}

#[test]
fn an_evaluation_that_reads_nothing_but_the_model_has_a_board_too() {
    if !allows_boxes() {
        return println!("skipped: no boxes here");
    }
    let place = Place::registry();
    place.write("w.txt", "5\n");
    let script = "echo \"{\\\"accuracy\\\": 0.$(cat w.txt)}\" > metrics.json";
    place.lab(["run", "--name", "e", "--", "sh", "-c", script]).succeeds();
    place.lab(["eval", "define", "test", "e", "--model", "w.txt"]).succeeds();
    for (name, text) in [("v2", "6\n"), ("v3", "7\n")] {
        place.write("w.txt", text);
        place.lab(["add", "w.txt", "--name", name]).succeeds();
        place.lab(["eval", "run", "test", name]).succeeds();
    }
    assert_eq!(board(&place)["rows"].as_array().unwrap().len(), 3);
    // A run that read a model and made another is not taken for the one that it read.
    place.write("tune.sh", "cat w.txt >/dev/null\necho 9 >tuned.txt\n");
    place.lab(["run", "--name", "tuned", "--", "bash", "tune.sh"]).succeeds();
    place.lab(["eval", "run", "test", "tuned"]).succeeds().says("accuracy 0.9000");
}
