//! Stages from outside: what they share, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;

use common::{DIGITS, DIGITS_CSV, put, run, store};
use lab_arithmetic::Kernels;
use lab_objects::{Silent, Store};
use lab_schema::{ContentId, Executor, Recipe, Slot, Tensor, Value};
use lab_tensor::{Program, execute};

fn slot(name: &str) -> Slot {
    Slot::new(name).unwrap()
}

fn program(changes: &[(&str, &str)]) -> Program {
    let mut program = Program::parse(DIGITS).unwrap();
    for (key, value) in changes {
        program.set(key, value).unwrap();
    }
    program
}

/// What goes wrong when the table is `csv`.
fn error(csv: &str, changes: &[(&str, &str)]) -> String {
    let store = store();
    let input = put(&store, csv.as_bytes());
    let all = [&[("train.epochs", "2"), ("train.hidden", "[4]")], changes].concat();
    run(&store, &program(&all), input, Kernels::detect()).unwrap_err().to_string()
}

fn rows(n: usize) -> String {
    (0..n).map(|i| format!("{i},{},{}\n", i * i % 7, i % 2)).collect()
}

fn prepare_recipe(input: ContentId) -> Recipe {
    let stage = program(&[]).stages().remove(0);
    stage.recipe([(slot("table"), input)].into()).unwrap()
}

/// The error of executing a recipe with something changed.
fn execute_changed(
    store: &Store,
    recipe: &Recipe,
    change: impl FnOnce(&mut lab_schema::recipe::Parts),
) -> String {
    let mut parts = recipe.to_parts();
    change(&mut parts);
    execute(store, &Recipe::new(parts).unwrap(), &Silent).unwrap_err().to_string()
}

#[test]
fn experiments_share_what_they_agree_on() {
    let store = store();
    let input = put(&store, DIGITS_CSV);
    let short = [("train.epochs", "1")];
    let with = |more: &[(&str, &str)]| {
        run(&store, &program(&[&short, more].concat()), input, Kernels::detect()).unwrap()
    };
    let base = with(&[]);
    let other = with(&[("train.lr", "0.01"), ("train.shuffle_seed", "2")]);
    assert_eq!(base["prepare"].0, other["prepare"].0);
    assert_eq!(base["prepare"].1.outputs, other["prepare"].1.outputs);
    assert_ne!(base["train"].0, other["train"].0);
    // Another way to write what is the default gives the same bytes all the way down.
    let same = with(&[("train.weight_decay", "0"), ("prepare.split_seed", "1")]);
    assert_eq!(base["evaluate"].0, same["evaluate"].0);
    assert_eq!(base["evaluate"].1.outputs, same["evaluate"].1.outputs);
}

#[test]
fn every_setting_changes_the_result() {
    let store = store();
    let input = put(&store, rows(60).as_bytes());
    let small = [("train.epochs", "3"), ("train.hidden", "[8]"), ("train.batch", "7")];
    let model = |more: &[(&str, &str)]| {
        let program = program(&[&small, more].concat());
        let runs = run(&store, &program, input, Kernels::detect()).unwrap();
        common::id(&runs, "train", "model.safetensors")
    };
    let base = model(&[]);
    for change in [
        ("prepare.test", "0.4"),
        ("prepare.scale", "standard"),
        ("prepare.scale", "{ divide = 8 }"),
        ("prepare.scale", "none"),
        ("prepare.split_seed", "5"),
        ("prepare.ignore", "[0]"),
        ("prepare.scale", "robust"),
        ("prepare.stratify", "false"),
        ("prepare.folds", "3"),
        ("prepare.validation", "0.2"),
        ("train.activation", "gelu"),
        ("train.activation", "silu"),
        ("train.activation", "tanh"),
        ("train.clip", "0.01"),
        ("train.dropout", "0.5"),
        ("train.model", "linear"),
        ("train.schedule", "cosine"),
        ("train.warmup", "0.5"),
        ("train.batch", "8"),
        ("train.beta1", "0.8"),
        ("train.beta2", "0.9"),
        ("train.epochs", "4"),
        ("train.eps", "0.1"),
        ("train.hidden", "[]"),
        ("train.hidden", "[8, 8]"),
        ("train.init_seed", "2"),
        ("train.lr", "0.1"),
        ("train.optimizer", "sgd"),
        ("train.schedule", "constant"),
        ("train.shuffle_seed", "2"),
        ("train.weight_decay", "0.5"),
    ] {
        assert_ne!(model(&[change]), base, "{change:?}");
    }
    let sgd = ("train.optimizer", "sgd");
    assert_ne!(model(&[sgd, ("train.momentum", "0.5")]), model(&[sgd]));
    assert_ne!(model(&[sgd, ("train.weight_decay", "0.5")]), model(&[sgd]));
}

// proves A-09
#[test]
fn weights_that_are_not_finite_are_not_left() {
    // The loss of the only step is finite, what it makes of the weights is not.
    let table: String = (0..60).map(|i| format!("{}e35,{},{}\n", i % 7, i % 5, i % 2)).collect();
    let once = [("train.epochs", "1"), ("train.batch", "1024"), ("prepare.scale", "none")];
    let far = [("train.optimizer", "sgd"), ("train.lr", "1e6")];
    let found = error(&table, &[&once[..], &far].concat());
    assert_eq!(
        found,
        "the loss is no longer finite at step 1 (epoch 1), nor is fc1.weight: a lower train.lr may help"
    );
}

// proves A-09
#[test]
fn unusable_data_is_refused_in_words() {
    let cases = [
        (error("", &[]), "too few rows: the table is empty"),
        (error("1,2,0\n3,4,0\n", &[]), "all 2 rows have the label '0'"),
        (
            error("1,2,0\n3,4,1\n", &[]),
            "column 2: too few rows of class '0': 1, where 2 are needed (see prepare.stratify)",
        ),
        (
            error(&(rows(20) + ",4,1\n"), &[]),
            "line 21 of the table, column 0: '' is missing (see prepare.missing)",
        ),
        (
            error(&(rows(20) + "x,4,1\n"), &[]),
            "line 21 of the table, column 0: 'x' is not a number (columns of words: see \
             prepare.categories, prepare.ignore)",
        ),
        (
            error(&(rows(20) + "1,2,rare\n"), &[]),
            "column 2: too few rows of class 'rare': 1, where 2 are needed (see prepare.stratify)",
        ),
        (
            error(&rows(20), &[("prepare.label", "kind")]),
            "prepare.label is \"kind\", but the table has the columns 0, 1, 2",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    // Steps of 1e38 leave the range of f32 within a few batches.
    let found = error(&rows(200), &[("train.lr", "1e6"), ("train.weight_decay", "1e6")]);
    assert!(found.starts_with("the loss is no longer finite at step "), "{found}");
    // The weights are; the way from them to the loss leaves the range.
    assert!(found.contains(", nor is forward "), "{found}");
}

#[test]
fn missing_values_can_be_filled_or_dropped() {
    let store = store();
    let table = "5,NA,0\n".to_owned() + &rows(40);
    let input = put(&store, table.as_bytes());
    for (missing, total) in [("mean", 41), ("drop", 40)] {
        let program = program(&[("prepare.missing", missing), ("train.epochs", "1")]);
        let runs = run(&store, &program, input, Kernels::detect()).unwrap();
        let ContentId::Blob(id) = runs["prepare"].1.outputs[&slot("prepare.json")] else {
            panic!()
        };
        let json: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&store.read_blob(id, 1 << 20).unwrap()).unwrap();
        let count = |part: &str| json["rows"][part].as_u64().unwrap();
        assert_eq!(count("train") + count("test"), total);
        assert_eq!(count("dropped"), 41 - total);
    }
}

// proves A-92
#[test]
fn recipes_from_strangers_are_checked() {
    let store = store();
    let input = put(&store, DIGITS_CSV);
    let recipe = prepare_recipe(input);
    let engine = |engine: &str, stage: &str| {
        Executor::Tensor(Tensor { engine: engine.to_owned(), stage: stage.to_owned() })
    };
    let change = |f: &dyn Fn(&mut lab_schema::recipe::Parts)| execute_changed(&store, &recipe, f);
    assert_eq!(
        change(&|p| p.executor = engine("lab-f32-9", "prepare")),
        "made by another lab: its tensor engine is 'lab-f32-9', this one has 'det-1'"
    );
    assert_eq!(
        change(&|p| p.executor = engine("det-1", "deploy")),
        "a tensor program has no stage 'deploy'"
    );
    assert_eq!(
        change(&|p| {
            p.inputs.insert(slot("more"), input);
        }),
        "stage prepare takes the inputs table, not more, table"
    );
    assert_eq!(change(&|p| drop(p.params.remove("test"))), "the program lacks prepare.test");
    assert_eq!(
        change(&|p| drop(p.params.insert("x".into(), Value::Int(1)))),
        "unknown key 'prepare.x'"
    );
    assert_eq!(
        change(&|p| p.limits.wall_ms = Some(1)),
        "the tensor engine of this version has no limits on time or memory"
    );
    assert!(change(&|p| p.seed = Some(1)).contains("no seed besides"));
    let two = Value::Int(2);
    assert_eq!(
        change(&|p| drop(p.params.insert("test".into(), two.clone()))),
        "prepare.test = 2: a number from 0.001 to 0.999 is needed"
    );
    assert!(change(&|p| p.inputs = [(slot("table"), other_blob())].into()).contains("ffff"));
    let tree = ContentId::Tree(lab_schema::TreeId::from_digest(other_blob().digest()));
    assert_eq!(
        change(&|p| p.inputs = [(slot("table"), tree)].into()),
        "input 'table' is a directory: name a file inside it"
    );
}

fn other_blob() -> ContentId {
    lab_schema::BlobId::from_digest(lab_schema::Digest::from_bytes([0xff; 32])).into()
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let store = store();
    let digits = put(&store, DIGITS_CSV);
    let short = [("train.epochs", "1"), ("train.hidden", "[4]")];
    let runs = run(&store, &program(&short), digits, Kernels::detect()).unwrap();
    let small = put(&store, rows(40).as_bytes());
    let other = run(&store, &program(&short), small, Kernels::detect()).unwrap();
    let evaluate = &runs["evaluate"].0;
    let foreign = |name: &str, stage: &str| {
        let content = other[stage].1.outputs[&slot(name)];
        execute_changed(&store, evaluate, |p| {
            p.inputs.insert(slot(name), content);
        })
    };
    for (name, stage) in [
        ("model.json", "train"),
        ("model.safetensors", "train"),
        ("test.safetensors", "prepare"),
        ("prepare.json", "prepare"),
    ] {
        let found = foreign(name, stage);
        assert!(found.contains("is not what an earlier stage leaves"), "{name}: {found}");
    }
    let noise = put(&store, b"noise");
    for name in ["model.json", "model.safetensors", "test.safetensors", "prepare.json"] {
        let found = execute_changed(&store, evaluate, |p| {
            p.inputs.insert(slot(name), noise);
        });
        assert!(found.contains("is not what an earlier stage leaves"), "{name}: {found}");
    }
}
