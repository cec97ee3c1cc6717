//! What programs do beyond tables of classes: texts, images, numbers, stopping early.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;

use common::{Runs, data, put, run_on, store};
use lab_arithmetic::Kernels;
use lab_objects::Store;
use lab_schema::ContentId;
use lab_tensor::{Baseline, Program, Result};

fn program(baseline: &str, changes: &[(&str, &str)]) -> Program {
    let mut program = Program::parse(Baseline::find(baseline).unwrap().text).unwrap();
    for (key, value) in changes {
        program.set(key, value).unwrap();
    }
    program
}

fn on(store: &Store, program: &Program, files: &[(&str, &[u8])]) -> Result<Runs> {
    let inputs: BTreeMap<String, ContentId> =
        files.iter().map(|(slot, bytes)| ((*slot).to_owned(), put(store, bytes))).collect();
    run_on(store, program, &inputs, Kernels::detect())
}

fn bytes(store: &Store, runs: &Runs, stage: &str, output: &str) -> Vec<u8> {
    let ContentId::Blob(id) = runs[stage].1.outputs[&output.parse().unwrap()] else { panic!() };
    store.read_blob(id, 1 << 26).unwrap()
}

const SMALL: [(&str, &str); 4] = [
    ("train.width", "8"),
    ("train.epochs", "1"),
    ("train.context", "16"),
    ("prepare.unknown", "reserve"),
];

// proves A-82
#[test]
fn every_token_of_the_test_part_is_judged_once_and_in_order() {
    let text: String = (0..700u32).map(|i| char::from(b'a' + (i * i % 7) as u8)).collect();
    for baseline in ["char-lstm", "char-transformer"] {
        let mut changes = SMALL.to_vec();
        if baseline == "char-transformer" {
            changes.push(("train.heads", "2"));
        }
        let store = store();
        let runs = on(&store, &program(baseline, &changes), &[("text", text.as_bytes())]).unwrap();
        let table = String::from_utf8(bytes(&store, &runs, "evaluate", "predictions.csv")).unwrap();
        let labels: String = table.lines().skip(1).map(|l| l.split(',').nth(1).unwrap()).collect();
        // The last tenth, less its first token, which nothing foretells.
        assert_eq!(labels, text[631..], "{baseline}");
    }
}

// proves A-80
#[test]
fn a_text_shorter_than_a_window_is_refused() {
    let changes = [SMALL[0], SMALL[1], ("train.context", "200")];
    let error = on(&store(), &program("char-lstm", &changes), &[("text", &[b'a'; 120])]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "too few rows: the training part has 108 tokens, and train.context = 200 needs one more than that"
    );
}

#[test]
fn training_does_not_see_the_test_part_and_stops_early() {
    // The label is noise: what is learned of it does not hold for the validation part.
    let rows: String = (0..400u64)
        .map(|i| {
            format!("{},{},{}\n", i * 37 % 101, i * 53 % 89, i.wrapping_mul(0x9E37_79B9) >> 7 & 1)
        })
        .collect();
    let changes = [
        ("prepare.header", "false"),
        ("prepare.validation", "0.3"),
        ("train.patience", "2"),
        ("train.lr", "0.02"),
        ("train.epochs", "200"),
    ];
    let store = store();
    let runs = on(&store, &program("mlp", &changes), &[("data", rows.as_bytes())]).unwrap();
    let inputs: Vec<String> = runs["train"].0.inputs().keys().map(ToString::to_string).collect();
    assert_eq!(inputs, ["prepare.json", "train.safetensors", "validation.safetensors"]);
    let history: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "train", "history.json")).unwrap();
    let epochs = history["epochs"].as_array().unwrap();
    let best = history["best"].as_u64().unwrap();
    assert!(epochs.len() < 100 && epochs.len() as u64 == best + 2, "{} and {best}", epochs.len());
    let loss = |epoch: &serde_json::Value| epoch["validation"].as_f64().unwrap();
    let least = epochs.iter().map(loss).fold(f64::INFINITY, f64::min);
    assert_eq!(loss(&epochs[best as usize - 1]), least);
    assert_eq!(runs["train"].1.metrics["validation_loss"].get(), least);
}

#[test]
fn folds_are_disjoint_and_cover_all_rows() {
    let penguins = data("penguins.csv");
    let mut seen = Vec::new();
    for fold in 0..4 {
        let fold = fold.to_string();
        let changes = [
            ("prepare.label", "species"),
            ("prepare.categories", "['island', 'sex']"),
            ("prepare.folds", "4"),
            ("prepare.fold", fold.as_str()),
            ("train.epochs", "1"),
        ];
        let store = store();
        let runs = on(&store, &program("linear", &changes), &[("data", &penguins)]).unwrap();
        let table = String::from_utf8(bytes(&store, &runs, "evaluate", "predictions.csv")).unwrap();
        seen.extend(
            table.lines().skip(1).map(|l| l.split(',').next().unwrap().parse::<usize>().unwrap()),
        );
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..344).collect::<Vec<_>>());
}

#[test]
fn a_number_is_foretold_in_its_own_unit() {
    let rows: String = (0..500).map(|i| format!("{},{}\n", i % 50, 1000 + 20 * (i % 50))).collect();
    let changes = [
        ("prepare.header", "false"),
        ("train.epochs", "60"),
        ("train.batch", "16"),
        ("train.hidden", "[16]"),
    ];
    let store = store();
    let runs =
        on(&store, &program("mlp-regression", &changes), &[("data", rows.as_bytes())]).unwrap();
    let metrics = &runs["evaluate"].1.metrics;
    assert!(metrics["r2"].get() > 0.999 && metrics["mae"].get() < 10.0, "{metrics:?}");
    let table = String::from_utf8(bytes(&store, &runs, "evaluate", "predictions.csv")).unwrap();
    let line = table.lines().nth(1).unwrap();
    let label: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
    assert!((1000.0..=1980.0).contains(&label.round()), "{line}");
}

#[test]
fn numbers_are_judged_by_what_the_table_says() {
    // As f32, scaled, none of these comes back.
    let rows: String = (0..100u64).map(|i| format!("{},{}\n", i % 10, 20_000_000 + i)).collect();
    let store = store();
    let changes = [("prepare.header", "false"), ("train.epochs", "1"), ("train.hidden", "[4]")];
    let runs =
        on(&store, &program("mlp-regression", &changes), &[("data", rows.as_bytes())]).unwrap();
    let table = String::from_utf8(bytes(&store, &runs, "evaluate", "predictions.csv")).unwrap();
    for line in table.lines().skip(1) {
        let mut fields = line.split(',');
        let row: u64 = fields.next().unwrap().parse().unwrap();
        assert_eq!(fields.next().unwrap(), (20_000_000 + row).to_string());
    }
}

#[test]
fn the_validation_loss_is_that_of_the_weights_that_are_kept() {
    let changes = [
        ("prepare.header", "false"),
        ("prepare.validation", "0.3"),
        ("train.hidden", "[16]"),
        ("train.lr", "0.05"),
    ];
    let store = store();
    let runs = on(&store, &program("mlp", &changes), &[("data", common::DIGITS_CSV)]).unwrap();
    let history: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "train", "history.json")).unwrap();
    let last = history["epochs"].as_array().unwrap().last().unwrap()["validation"].as_f64();
    assert_eq!(Some(runs["train"].1.metrics["validation_loss"].get()), last);
}

#[test]
fn settings_that_hang_together_are_checked_together() {
    let mut program = program("linear", &[]);
    for settings in [
        [("prepare.target", "number"), ("evaluate.metrics", "['r2']")],
        [("evaluate.metrics", "['r2']"), ("prepare.target", "number")],
        [("train.patience", "2"), ("prepare.validation", "0.2")],
        [("train.momentum", "0.5"), ("train.optimizer", "sgd")],
    ] {
        program.clone().set_all(&settings).unwrap();
    }
    // What the program has said of another model goes with it; what is typed does not.
    let mut mlp = Program::parse(Baseline::find("mlp").unwrap().text).unwrap();
    mlp.set("train.model", "linear").unwrap();
    let error = mlp.set_all(&[("train.model", "linear"), ("train.hidden", "[3]")]).unwrap_err();
    assert_eq!(error.to_string(), "train.hidden has no meaning with model = \"linear\"");
    program.set("prepare.target", "number").unwrap();
}

#[test]
fn what_the_machine_has_no_memory_for_is_refused_at_once() {
    let rows: String = (0..3000).map(|i| format!("{},{}\n", i % 17, i % 2)).collect();
    let wide = format!("[{}]", ["65536, 1"; 30].join(", "));
    let changes =
        [("prepare.header", "false"), ("train.hidden", wide.as_str()), ("train.batch", "1048576")];
    let error = on(&store(), &program("mlp", &changes), &[("data", rows.as_bytes())]).unwrap_err();
    assert!(error.to_string().contains("MiB are available"), "{error}");
}

#[test]
fn metrics_that_cannot_be_measured_cost_no_others() {
    // The test part has one row, and so one class.
    let rows: String = (0..5).map(|i| format!("{i},{}\n", i % 2)).collect();
    let store = store();
    let changes = [
        ("prepare.header", "false"),
        ("evaluate.metrics", "['auc', 'accuracy']"),
        ("train.epochs", "1"),
    ];
    let runs = on(&store, &program("linear", &changes), &[("data", rows.as_bytes())]).unwrap();
    let metrics: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "evaluate", "metrics.json")).unwrap();
    assert!(metrics["auc"].is_null() && metrics["accuracy"].is_number(), "{metrics}");
    assert!(metrics["unavailable"]["auc"].as_str().unwrap().contains("class"), "{metrics}");
}

#[test]
fn rows_of_a_table_can_be_images() {
    let changes = [
        ("prepare.shape", "[8, 8, 1]"),
        ("train.epochs", "1"),
        ("train.hidden", "[8]"),
        ("prepare.header", "false"),
    ];
    let store = store();
    let runs = on(&store, &program("mlp", &changes), &[("data", common::DIGITS_CSV)]).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "train", "model.json")).unwrap();
    assert_eq!((&json["form"], &json["input"]), (&"image".into(), &serde_json::json!([8, 8, 1])));
    let wrong = [("prepare.shape", "[8, 9, 1]"), changes[1], changes[2], changes[3]];
    let error = on(&store, &program("mlp", &wrong), &[("data", common::DIGITS_CSV)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "prepare.shape = [8, 9, 1]: rows, columns and channels whose product is 64, as many as \
         there are features, is needed"
    );
}

/// An npz file that numpy has written: five images of 4 x 4, labels, weights.
const NPZ: &[u8] = include_bytes!("../../data/tests/fixtures/deflated.npz");

#[test]
fn images_and_labels_can_lie_in_one_file() {
    let text = r#"
[inputs]
images = "images"
[prepare]
form = "images"
images = "images"
stratify = false
[train]
model = "linear"
epochs = 1
"#;
    let store = store();
    let program = Program::parse(text).unwrap();
    let runs = on(&store, &program, &[("images", NPZ)]).unwrap();
    let prepared: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "prepare", "prepare.json")).unwrap();
    assert_eq!(prepared["target"]["classes"], serde_json::json!(["1", "3", "4", "5"]));
    assert_eq!(prepared["sizes"], serde_json::json!([4, 4, 1]));
    // The same by another format gives the same examples.
    let same = include_bytes!("../../data/tests/fixtures/numpy.safetensors");
    let others = on(&store, &program, &[("images", same)]).unwrap();
    assert_eq!(others["prepare"].1.outputs, runs["prepare"].1.outputs);
    let lacking = include_bytes!("../../data/tests/fixtures/bfloat.safetensors");
    let error = on(&store, &program, &[("images", lacking)]).unwrap_err().to_string();
    assert!(error.starts_with("'images': it has neither 'images' nor 'x', but "), "{error}");
    let mnist = data("mnist-t10k-images-idx3-ubyte.gz");
    let error = on(&store, &program, &[("images", &mnist)]).unwrap_err().to_string();
    assert_eq!(error, "the program lacks prepare.labels, the classes of these images");
}

#[test]
fn bad_data_is_refused_before_anything_is_learned() {
    let error = |baseline, changes: &[(&str, &str)], files: &[(&str, &[u8])]| {
        on(&store(), &program(baseline, changes), files).unwrap_err().to_string()
    };
    let penguins = data("penguins.csv");
    let numbers = [("prepare.label", "species"), ("prepare.categories", "[]")];
    assert_eq!(
        error("linear", &numbers, &[("data", &penguins)]),
        "line 2 of the table, column island: 'Torgersen' is not a number (columns of words: see \
         prepare.categories, prepare.ignore)"
    );
    let images = data("mnist-t10k-images-idx3-ubyte.gz");
    let labels = data("mnist-t10k-labels-idx1-ubyte.gz");
    let cut = error("lenet", &[], &[("images", &images[..1 << 20]), ("labels", &labels)]);
    assert!(cut.contains("images") && cut.contains("cannot read"), "{cut}");
    let swapped = error("lenet", &[], &[("images", &labels), ("labels", &images)]);
    assert_eq!(swapped, "'images': [10000] are no images");
    let text = Baseline::find("lenet").unwrap().text;
    let text = text.replace(
        "model    = \"lenet\"",
        "model = \"layers\"\nlayers = [{ layer = \"linear\", width = 4 }]",
    );
    let text: Vec<&str> =
        text.lines().filter(|l| !l.starts_with("width") && !l.starts_with("dropout")).collect();
    let program = Program::parse(&text.join("\n")).unwrap();
    let wrong = on(&store(), &program, &[("images", &images), ("labels", &labels)]).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "layer fc1 takes features or sequences of vectors (flatten images, embed tokens), \
         but images of 28x28x1 reach it"
    );
}
