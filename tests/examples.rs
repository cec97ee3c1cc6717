//! Two single models on the same examples, beside the comparison of the methods that made them.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fmt::Write as _;

use kit::Place;
use serde_json::{Value, json};

/// Two runs, `a` and `b`, that left these files as outputs, and an accuracy.
fn left(files: [&[(&str, &[u8])]; 2]) -> Place {
    let place = Place::registry();
    for (arm, files) in ["a", "b"].into_iter().zip(files) {
        record(&place, arm, files);
    }
    place
}

/// A run of this name that copies these files out of its input.
fn record(place: &Place, name: &str, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let from = format!("from/{name}/{path}");
        std::fs::create_dir_all(place.at(&from).parent().unwrap()).unwrap();
        place.write(&from, bytes);
    }
    place.write(format!("from/{name}/metrics.json"), "{\"accuracy\": 0.5}");
    let source = format!("from/{name}");
    place.lab(["add", &source, "--name", &format!("{name}-made")]).succeeds();
    let input = format!("made={name}-made");
    let command = "mkdir out && cp -r made/. out/ && cp made/metrics.json metrics.json";
    let run = ["run", "--name", name, "-i", &input, "-o", "out", "-o", "metrics.json"];
    place.lab([&run[..], &["--", "sh", "-c", command]].concat()).succeeds();
}

fn compare(place: &Place, more: &[&str]) -> kit::Said {
    place.lab([&["compare", "a", "b", "-m", "accuracy", "--allow", "data"], more].concat())
}

fn models(place: &Place, more: &[&str]) -> Value {
    let said = compare(place, &[&["--json"], more].concat()).succeeds().json();
    said["compared"][0]["models"].clone()
}

/// Labels of three classes, and predictions of which the first `right` are right.
fn table(examples: usize, right: usize) -> String {
    let mut text = "id,label,pred\n".to_owned();
    for row in 0..examples {
        let label = row % 3;
        let pred = if row < right { label } else { (label + 1) % 3 };
        let _ = writeln!(text, "{row},{label},{pred}");
    }
    text
}

/// The rows of a table in the opposite order.
fn turned(table: &str) -> String {
    let (head, rows) = table.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().rev().collect();
    format!("{head}\n{}\n", rows.join("\n"))
}

#[test]
fn two_models_are_told_apart_from_the_methods() {
    let place = Place::digits();
    for (name, epochs) in [("base", "train.epochs=1"), ("mine", "train.epochs=4")] {
        let run = ["run", "digits.toml", "--name", name, "--seeds", "1..4", "--set", epochs];
        place.lab(run).succeeds();
    }
    let compare = |more: &[&str]| place.lab([&["compare", "-m", "accuracy"], more].concat());
    let said = compare(&["base@seeds", "mine@seeds"]).succeeds();
    let said = said
        .says("two models  base.seed1 and mine.seed1 on the same 359 examples of predictions.csv")
        .says("joined by 'row'")
        .says("this speaks of these two models, not of the methods")
        .says("exact McNemar's test p ");
    // It stands behind all that is said of the methods, and changes none of it.
    let (methods, models) = said.out.split_once("two models  ").unwrap();
    assert!(methods.contains("no verdict") || methods.contains("verdict"), "{methods}");
    assert!(!models.contains("verdict"), "{models}");
    // The pair has one seed, also if the arms begin with others.
    let said = compare(&["base@seeds", "mine.seed4,mine.seed1,mine.seed3,mine.seed2"]).succeeds();
    said.says("two models  base.seed1 and mine.seed1 on");
    // Of other seeds the test parts have other rows.
    let said = compare(&["base.seed1", "mine.seed2"]).succeeds();
    assert!(!said.out.contains("two models"), "{}", said.out);
    said.complains("nothing is said of the examples of base.seed1 and mine.seed2: predictions.csv: the example");

    let json = compare(&["base@seeds", "mine@seeds", "--json"]).succeeds().json();
    let two = &json["compared"][0]["models"];
    let number = |key: &str| two[key].as_u64().unwrap();
    let [both, base, other, none] =
        ["both_right", "only_base_right", "only_other_right", "both_wrong"].map(number);
    assert_eq!((both + base + other + none, number("examples")), (359, 359));
    // The accuracy is the one that the runs recorded, and the table says the same.
    let score = |arm: &Value| arm["runs"][0]["score"].as_f64().unwrap();
    let told = |key: &str| two["accuracy"][key].as_f64().unwrap();
    assert!((told("base") - score(&json["base"])).abs() < 1e-12);
    assert!((told("other") - score(&json["compared"][0]["arm"])).abs() < 1e-12);
    let right = |run: &str| {
        let table = place.lab(["cat", &format!("{run}:predictions.csv")]).succeeds().out;
        let is_right = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            cells[1] == cells[2]
        };
        let rows = table.lines().skip(1);
        rows.map(|line| (line.split(',').next().unwrap().to_owned(), is_right(line)))
            .collect::<Vec<_>>()
    };
    let only = |a: &[(String, bool)], b: &[(String, bool)]| {
        a.iter().zip(b).filter(|((i, a), (k, b))| i == k && *a && !b).count() as u64
    };
    let (ours, theirs) = (right("base.seed1"), right("mine.seed1"));
    assert_eq!((only(&ours, &theirs), only(&theirs, &ours)), (base, other));
    // The other way round is the same, with the signs turned.
    let turned = compare(&["mine@seeds", "base@seeds", "--json"]).succeeds().json();
    let turned = &turned["compared"][0]["models"];
    assert_eq!(turned["mcnemar"], two["mcnemar"]);
    assert_eq!(turned["only_base_right"], two["only_other_right"]);
    let difference = |two: &Value| two["accuracy"]["difference"].as_f64().unwrap();
    assert!((difference(turned) + difference(two)).abs() < 1e-15);
    // And so is the next time: no draw comes from anywhere else.
    let again = compare(&["base@seeds", "mine@seeds", "--json"]).succeeds().json();
    assert_eq!(again, json);

    // A page has a section on it, and the command that says it again; no guard, no examples.
    let report = |more: &[&str]| place.lab([&["report", "-m", "accuracy"], more].concat());
    report(&["base@seeds", "mine@seeds", "--examples", "predictions.csv", "-o", "page.html"])
        .succeeds();
    let page = String::from_utf8(place.read("page.html")).unwrap();
    assert!(page.contains("Two models, example by example"));
    assert!(page.contains("not of the methods") && page.contains("--examples predictions.csv"));
    let scaled = ["--set", "train.epochs=4", "--set", "train.lr=0.01"];
    place
        .lab([&["run", "digits.toml", "--name", "scaled", "--seeds", "1..4"], &scaled[..]].concat())
        .succeeds();
    let refused =
        compare(&["base@seeds", "scaled@seeds", "--examples", "predictions.csv"]).exits(1);
    assert!(!refused.out.contains("two models"), "{}", refused.out);
}

#[test]
#[cfg(target_os = "linux")]
fn examples_are_joined_and_what_is_lacking_is_said() {
    let (a, b) = (table(60, 40), turned(&table(60, 50)));
    let place = left([&[("p.csv", a.as_bytes())], &[("p.csv", b.as_bytes())]]);
    let two = models(&place, &[]);
    let told =
        ["output", "prediction", "label", "joined_by", "examples"].map(|key| two[key].clone());
    assert_eq!(told, [json!("out/p.csv"), json!("pred"), json!("label"), json!("id"), json!(60)]);
    let counts = ["both_right", "only_base_right", "only_other_right", "both_wrong"];
    assert_eq!(counts.map(|key| two[key].as_u64().unwrap()), [40, 0, 10, 10]);
    // Of a fair coin, ten heads.
    assert_eq!(two["mcnemar"]["p"].as_f64().unwrap(), 2.0 / 1024.0);
    compare(&place, &[]).says("both right 40, only a 0, only b 10, both wrong 10");
    assert_eq!(models(&place, &["--examples", "out/p.csv:pred,label"]), two);

    // What is asked for has to be there; the exit code says what is wrong.
    let asked = |at: &str| compare(&place, &["--examples", at]);
    asked("out/q.csv").exits(3).complains("neither run has such an output").complains("out/p.csv");
    asked("out").exits(3).complains("neither run");
    asked("out/p.csv:pred,lable").exits(3).complains("'lable'").complains("'id', 'label', 'pred'");
    asked("out/p.csv:pred").exits(2).complains("two columns");
    asked("out/metrics.json").exits(2).complains("no table");
    asked("").exits(3);
    asked("../p.csv:\u{1b}[31m,x").exits(3);

    // Other rows, other labels, nothing at all: the comparison stands, and says why it says no more.
    for (n, (other, why)) in [
        (table(59, 50), "the first has 60 examples, the second 59"),
        (a.replace("3,0,0", "3,1,0"), "the label is 0 in the first, 1 in the second"),
        (a.replace("id,label,pred", "id,label,y,pred").replace(",0", ",0,0"), "fields"),
        (a.replace("7,1,1", "7,1,nan"), "the prediction of the second is 'nan'"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("b{n}");
        record(&place, &name, &[("p.csv", other.as_bytes())]);
        let compare = |more: &[&str]| {
            place
                .lab([&["compare", "a", &name, "-m", "accuracy", "--allow", "data"], more].concat())
        };
        let said = compare(&[]).succeeds();
        assert!(!said.out.contains("two models"), "{}", said.out);
        if n != 2 {
            said.complains("nothing is said of the examples").complains(why);
            compare(&["--examples", "out/p.csv"]).exits(2).complains(why);
        }
        compare(&["-q"]).succeeds();
    }
    record(&place, "none", &[("notes.csv", b"a,b\n1,2\n")]);
    let said = place.lab(["compare", "a", "none", "-m", "accuracy", "--allow", "data"]).succeeds();
    assert!(!said.err.contains("examples"), "{}", said.err);
}

#[test]
#[cfg(target_os = "linux")]
fn quantities_arrays_and_several_places() {
    let (mut a, mut b) = (String::new(), String::new());
    for row in 0..40 {
        let label = f64::from(row) / 4.0 + 0.125;
        let _ = writeln!(a, "{{\"target\":{label},\"prediction\":{}}}", label + 0.5);
        let _ = writeln!(b, "{{\"prediction\":{},\"target\":{label}}}", label - 0.25);
    }
    let place = left([&[("p.jsonl", a.as_bytes())], &[("p.jsonl", b.as_bytes())]]);
    let two = models(&place, &[]);
    let at = |key: &str, which: &str| two[key][which].as_f64().unwrap();
    assert_eq!((at("absolute_error", "base"), at("absolute_error", "other")), (0.5, 0.25));
    assert_eq!((at("squared_error", "difference"), two.get("mcnemar")), (-0.1875, None));
    compare(&place, &[])
        .says("mean absolute error 0.5000 → 0.2500: difference −0.25")
        .says("joined by their order");

    // Two places are none, until one is named.
    let [one, other] =
        [&a, &b].map(|text| ["p.jsonl", "deep/q.jsonl"].map(|path| (path, text.as_bytes())));
    let place = left([&one, &other]);
    compare(&place, &[]).complains("2 places with predictions and labels");
    assert_eq!(models(&place, &["--examples", "out/deep/q.jsonl"])["examples"], 40);

    // Arrays beside each other, by their names or by their indices.
    let npy = |shape: &str, values: &[u8]| {
        let head = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
        let length = (head.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], head.as_bytes(), values].concat()
    };
    let (labels, ours, theirs) = ([1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 1, 1], [1, 2, 2, 2, 2, 3]);
    let files = |said: &[u8]| {
        let grid: Vec<u8> =
            labels.iter().zip(said).flat_map(|(label, said)| [*label, *said]).collect();
        [
            ("y_true.npy", npy("(6,)", &labels)),
            ("preds.npy", npy("(6,)", said)),
            ("both.npy", npy("(6, 2)", &grid)),
        ]
    };
    let (one, other) = (files(&ours), files(&theirs));
    let [one, other] =
        [&one, &other].map(|files| files.each_ref().map(|(path, bytes)| (*path, bytes.as_slice())));
    let place = left([&one, &other]);
    let two = models(&place, &[]);
    assert_eq!(two["output"], "out/preds.npy,out/y_true.npy");
    let counts = ["both_right", "only_base_right", "only_other_right", "both_wrong"];
    assert_eq!(counts.map(|key| two[key].as_u64().unwrap()), [2, 2, 2, 0]);
    let indexed = models(&place, &["--examples", "out/both.npy:1,0"]);
    assert_eq!(counts.map(|key| indexed[key].as_u64().unwrap()), [2, 2, 2, 0]);
    compare(&place, &["--examples", "out/both.npy"]).exits(2).complains("an array has no names");
    compare(&place, &["--examples", "out/both.npy:0,2"]).exits(2).complains("they are 0 to 1");
    let error = compare(&place, &["--examples", "out/both.npy,out/y_true.npy"]).exits(2);
    error.complains("2 columns, where one number per example is needed");
}
