//! A training that is killed at any step and goes on leaves the same bytes.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{DIGITS_CSV, Killer, data, program, put, store, training};
use lab_objects::{Silent, Store};
use lab_schema::{Digest, Object, Outcome, Recipe};
use lab_tensor::{Program, Resuming, execute, execute_resuming};

fn killed_and_resumed(store: &Store, recipe: &Recipe, kills: &[u64]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let resuming = Resuming { folder: folder.path(), every: Duration::ZERO };
    for after in kills {
        let killer = Killer { after: *after };
        let run = || execute_resuming(store, recipe, &killer, resuming);
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "it went on beyond step {after}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let outcome = execute_resuming(store, recipe, &Silent, resuming).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "done: nothing is kept");
    outcome
}

fn check(program: &Program, bytes: &[u8], kills: &[u64]) {
    let store = store();
    let input = put(&store, bytes);
    let recipe = training(&store, program, input);
    let whole = execute(&store, &recipe, &Silent).unwrap();
    let pieces = killed_and_resumed(&store, &recipe, kills);
    assert_eq!(pieces.outputs, whole.outputs);
    assert_eq!(pieces.metrics, whole.metrics);
}

#[test]
fn rows_with_dropout_early_stopping_and_moments() {
    let changes = [
        ("prepare.header", "false"),
        ("prepare.validation", "0.2"),
        ("train.hidden", "[24]"),
        ("train.dropout", "0.3"),
        ("train.patience", "2"),
        ("train.epochs", "6"),
        ("train.warmup", "0.2"),
        ("train.state_every", "10"),
        ("train.checkpoint_every", "33"),
    ];
    // 34 steps an epoch: inside the first, at the start of the third, twice at one place.
    check(&program("mlp", &changes), DIGITS_CSV, &[5, 68, 69, 69, 100, 150]);
}

#[test]
fn images_that_are_cropped_and_mirrored() {
    let text = r#"
[inputs]
images = "images"
[prepare]
form = "images"
images = "images"
stratify = false
[train]
model = "linear"
crop = 2
flip = true
batch = 1
epochs = 6
state_every = 1
"#;
    // Five images of 4 x 4, of which four are learned from: 24 steps.
    let images = include_bytes!("../../data/tests/fixtures/deflated.npz");
    check(&Program::parse(text).unwrap(), images, &[1, 4, 5, 13, 23]);
}

/// A whole file with this recipe's name inside, but of tensors that are not this model's.
#[test]
fn what_is_of_another_model_counts_for_nothing_and_failures_leave_nothing() {
    let store = store();
    let changes = [("prepare.header", "false"), ("train.hidden", "[4]"), ("train.epochs", "2")];
    let input = put(&store, DIGITS_CSV);
    let recipe = training(&store, &program("mlp", &changes), input);
    let folder = tempfile::tempdir().unwrap();
    let resuming = Resuming { folder: folder.path(), every: Duration::ZERO };
    let other = training(
        &store,
        &program("mlp", &[changes[0], ("train.hidden", "[5]"), changes[2]]),
        input,
    );
    let killer = Killer { after: 9 };
    let run = || execute_resuming(&store, &other, &killer, resuming);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    // The same with this recipe's name in it, and its digest made anew.
    let (from, to) = (other.id().to_string(), recipe.id().to_string());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 32);
    let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    let digest = Digest::derive("lab 2026-11-30 interrupted training", &bytes);
    bytes.extend(digest.as_bytes());
    std::fs::remove_file(file).unwrap();
    std::fs::write(folder.path().join(format!("{to}.training")), bytes).unwrap();
    let whole = execute(&store, &recipe, &Silent).unwrap();
    let resumed = execute_resuming(&store, &recipe, &Silent, resuming).unwrap();
    assert_eq!(resumed.outputs, whole.outputs);

    let diverging = [changes[0], changes[1], ("train.lr", "1e6"), ("train.weight_decay", "1e6")];
    let recipe = training(&store, &program("mlp", &diverging), input);
    assert!(execute_resuming(&store, &recipe, &Silent, resuming).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn texts_and_momentum() {
    let changes = [
        ("train.width", "8"),
        ("train.context", "16"),
        ("train.epochs", "2"),
        ("train.optimizer", "sgd"),
        ("prepare.test", "0.95"),
        ("prepare.unknown", "reserve"),
    ];
    check(&program("char-gru", &changes), &data("names.txt.gz"), &[3, 20, 30]);
}

#[test]
fn pairs_of_words_that_are_drawn_anew_each_epoch() {
    let changes = [
        ("train.width", "8"),
        ("train.epochs", "3"),
        ("train.batch", "512"),
        ("prepare.test", "0.9"),
        ("prepare.validation", "0.05"),
        ("train.patience", "2"),
        ("prepare.vocabulary", "256"),
    ];
    // Some 35 steps an epoch.
    check(&program("skip-gram", &changes), &data("tinyshakespeare.txt.gz"), &[3, 20, 50, 50, 90]);
}
