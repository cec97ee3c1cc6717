//! `predictions.csv`: probabilities of classes, and losses of tokens, from which the metrics come
//! out again.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{DIGITS, DIGITS_CSV, Runs, data, id, put, run, store};
use lab_arithmetic::Kernels;
use lab_objects::Store;
use lab_schema::ContentId;
use lab_tensor::{Baseline, Program};

/// The header and the records of what the stage `evaluate` leaves, and its metrics.
fn table(
    text: &str,
    bytes: &[u8],
    changes: &[(&str, &str)],
) -> (Vec<String>, Vec<Vec<String>>, Runs) {
    let store = store();
    let mut program = Program::parse(text).unwrap();
    program.set_all(changes).unwrap();
    let runs = run(&store, &program, put(&store, bytes), Kernels::detect()).unwrap();
    let (names, rows) = read(&store, &runs);
    (names, rows, runs)
}

fn read(store: &Store, runs: &Runs) -> (Vec<String>, Vec<Vec<String>>) {
    let slot = "predictions.csv".parse().unwrap();
    let ContentId::Blob(id) = runs["evaluate"].1.outputs[&slot] else { panic!() };
    let bytes = store.read_blob(id, 1 << 26).unwrap();
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let fields = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let names = fields(reader.headers().unwrap());
    (names, reader.records().map(|record| fields(&record.unwrap())).collect())
}

fn number(field: &str) -> f64 {
    field.parse().unwrap()
}

const METRICS: (&str, &str) = ("evaluate.metrics", "['accuracy', 'log_loss', 'brier']");

#[test]
fn probabilities_are_those_that_the_metrics_are_made_of() {
    for changes in [
        &[METRICS, ("train.epochs", "3")][..],
        &[METRICS, ("train.model", "neighbours")],
        &[METRICS, ("train.model", "bayes"), ("prepare.scale", "none")],
    ] {
        let (names, rows, runs) = table(DIGITS, DIGITS_CSV, changes);
        let classes: Vec<String> = (0..10).map(|class| format!("p_{class}")).collect();
        assert_eq!(names[..3], ["row", "label", "predicted"]);
        assert_eq!(names[3..], classes);
        let (mut right, mut log_loss, mut brier) = (0.0, 0.0, 0.0);
        for row in &rows {
            let p: Vec<f64> = row[3..].iter().map(|p| number(p)).collect();
            let (label, predicted) = (number(&row[1]) as usize, number(&row[2]) as usize);
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
            assert!(p.iter().enumerate().all(|(n, q)| match n < predicted {
                true => *q < p[predicted],
                false => *q <= p[predicted],
            }));
            right += f64::from(u8::from(label == predicted));
            log_loss -= p[label].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln();
            let square = |(n, q): (usize, &f64)| (q - f64::from(u8::from(n == label))).powi(2);
            brier += p.iter().enumerate().map(square).sum::<f64>();
        }
        let metrics = &runs["evaluate"].1.metrics;
        for (name, sum) in [("accuracy", right), ("log_loss", log_loss), ("brier", brier)] {
            let off = metrics[name].get() - sum / rows.len() as f64;
            assert!(off.abs() < 1e-12, "{name} {off}");
        }
    }
}

/// A table of so many classes, whose names need quotes.
fn many(classes: usize) -> String {
    let rows = (0..4 * classes).map(|i| {
        let class = i % classes;
        format!("{},{},\"no. {class}, \"\"it\"\"\"\n", class * 3 % 17, class + i % 2)
    });
    rows.collect()
}

#[test]
fn of_many_classes_only_two_probabilities_are_written_down() {
    let changes = [("train.epochs", "2"), ("prepare.test", "0.5")];
    let (names, rows, _) = table(DIGITS, many(100).as_bytes(), &changes);
    assert_eq!((names.len(), rows.len()), (103, 200));
    assert_eq!(names[3], "p_no. 0, \"it\"");
    let (names, rows, _) = table(DIGITS, many(101).as_bytes(), &changes);
    assert_eq!(names, ["row", "label", "predicted", "p_label", "p_predicted"]);
    assert!(rows.iter().any(|row| row[1] != row[2]));
    for row in &rows {
        let (label, predicted) = (number(&row[3]), number(&row[4]));
        assert!(0.0 < label && label <= predicted && predicted < 1.0, "{row:?}");
        assert_eq!(label == predicted, row[1] == row[2]);
    }
}

#[test]
fn numbers_stay_as_they_were() {
    let table: Vec<String> = (0..40).map(|i| format!("{i},{}\n", 3 * i)).collect();
    let changes = [("prepare.target", "number"), ("train.epochs", "1")];
    let (names, rows, _) = self::table(DIGITS, table.concat().as_bytes(), &changes);
    assert_eq!(names, ["row", "label", "predicted"]);
    assert!(rows.iter().all(|row| number(&row[1]) == 3.0 * number(&row[0])));
}

#[test]
fn each_token_has_its_loss() {
    let text = data("names.txt.gz");
    for (baseline, changes, expected) in [
        (
            "char-gru",
            &[("train.width", "8"), ("train.epochs", "1"), ("prepare.unknown", "reserve")][..],
            &["row", "label", "predicted", "loss"][..],
        ),
        (
            "skip-gram",
            &[("train.width", "8"), ("train.epochs", "1"), ("prepare.vocabulary", "256")],
            &["row", "label", "predicted", "loss", "beside"],
        ),
    ] {
        let text_of = Baseline::find(baseline).unwrap().text;
        let (names, rows, runs) = table(text_of, &text, changes);
        assert_eq!(names, expected);
        let sum = rows.iter().fold(0.0, |sum, row| sum + number(&row[3]));
        assert_eq!(sum / rows.len() as f64, runs["evaluate"].1.metrics["loss"].get());
        let right = rows.iter().filter(|row| row[1] == row[2]).count() as f64;
        let accuracy = runs["evaluate"].1.metrics["accuracy"].get();
        assert_eq!(right / rows.len() as f64, accuracy);
        assert!(rows.iter().zip(1..).all(|(row, n)| number(&row[0]) == f64::from(n)));
    }
}

/// What neighbours and bayes say of the digits. A hash that changes is another engine.
#[test]
fn fitted_models_say_this_for_ever() {
    let plain = ("prepare.scale", "none");
    for (changes, expected) in [
        (
            &[plain, ("train.model", "neighbours")][..],
            "1343b425f39a18fb456b5d833dfa11bfe096b790dddc7dae9ab79d62f7e21711",
        ),
        (
            &[plain, ("train.model", "bayes")],
            "5bef9cd8e74fff163653b96c8345fc8bcc50cf209a6f1f8d6e286601097e1196",
        ),
        (
            &[plain, ("train.model", "bayes"), ("train.likelihood", "multinomial")],
            "0a61397540184a1abbbdc72ec5b45b9d33253e59a01a90cd9396e8e8af18872c",
        ),
    ] {
        let (_, _, runs) = table(DIGITS, DIGITS_CSV, changes);
        assert_eq!(id(&runs, "evaluate", "predictions.csv"), expected, "{changes:?}");
    }
}
