//! The numbers of scikit-learn, on random and on edge cases (`fixtures/reference.py` makes them).
//!
//! Counts are equal; scores agree within 1e-12 of their size, log-probabilities of naive Bayes,
//! which add up thousands of terms, within 1e-9 of theirs.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{digits, numbers, reference, whole};
use lab_metrics::{
    Average, ClassCounts, Features, GaussianNaiveBayes, KnnClassifier, KnnRegressor,
    MultinomialNaiveBayes, bits_per_byte, bits_per_character, brier_score, confusion_matrix,
    expected_calibration_error, log_loss, mean_absolute_error, mean_squared_error,
    median_absolute_error, perplexity, r2, roc_auc, roc_auc_one_versus_rest,
    root_mean_squared_error, top_k_accuracy,
};
use serde_json::Value;

/// Asserts that a score is the one of the case, within 1e-12 of its size.
#[track_caller]
fn close(case: &Value, key: &str, found: f64) {
    let what = format!("{} of {}", key, case.get("name").unwrap_or(&Value::Null));
    let expected = case[key].as_f64().unwrap();
    // Relative to the score even if it is tiny, so that no case passes for being small.
    let error = (found - expected).abs();
    assert!(error <= 1e-12 * expected.abs(), "{what}: {found}, not {expected}");
}

/// Asserts that two numbers agree within a part of the size of the second, or of 1.
#[track_caller]
fn within(part: f64, found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= part * expected.abs().max(1.0), "{what}: {found}, not {expected}");
}

fn cases(kind: &str) -> Vec<Value> {
    let cases = reference()[kind].as_array().unwrap().clone();
    assert!(cases.len() >= 10, "{kind}");
    cases
}

#[test]
fn classification_agrees() {
    for case in cases("classification") {
        let (labels, predictions) = (whole(&case["labels"]), whole(&case["predictions"]));
        let classes = case["classes"].as_u64().unwrap() as usize;
        let matrix = confusion_matrix(&labels, &predictions, classes).unwrap();
        assert_eq!(serde_json::to_value(matrix).unwrap(), case["confusion"], "{}", case["name"]);
        let counts = ClassCounts::new(&labels, &predictions, classes).unwrap();
        close(&case, "accuracy", counts.accuracy());
        close(&case, "balanced_accuracy", counts.balanced_accuracy());
        for (average, name) in
            [(Average::Micro, "micro"), (Average::Macro, "macro"), (Average::Weighted, "weighted")]
        {
            close(&case, &format!("precision_{name}"), counts.precision(average));
            close(&case, &format!("recall_{name}"), counts.recall(average));
            close(&case, &format!("f1_{name}"), counts.f1(average));
        }
    }
}

#[test]
fn probabilities_agree() {
    let mut areas = 0;
    for case in cases("probabilities") {
        let (labels, p) = (whole(&case["labels"]), numbers(&case["probabilities"]));
        let classes = case["classes"].as_u64().unwrap() as usize;
        close(&case, "log_loss", log_loss(&labels, &p, classes).unwrap());
        close(&case, "brier_score", brier_score(&labels, &p, classes).unwrap());
        let error = expected_calibration_error(&labels, &p, classes).unwrap();
        close(&case, "calibration_error", error);
        for (k, share) in (1..).zip(numbers(&case["top_k"])) {
            let found = top_k_accuracy(&labels, &p, classes, k).unwrap();
            within(1e-12, found, share, &format!("{} top {k}", case["name"]));
        }
        let area = roc_auc_one_versus_rest(&labels, &p, classes);
        match case.get("one_versus_rest") {
            Some(_) => close(&case, "one_versus_rest", area.unwrap()),
            None => assert!(area.is_err(), "{}", case["name"]),
        }
        if case.get("roc_auc").is_some() {
            areas += 1;
            let scores: Vec<f64> = p.chunks(2).map(|p| p[1]).collect();
            close(&case, "roc_auc", roc_auc(&labels, &scores).unwrap());
        }
    }
    assert_eq!(areas, 3);
}

#[test]
fn regression_agrees() {
    for case in cases("regression") {
        let (targets, predictions) = (numbers(&case["targets"]), numbers(&case["predictions"]));
        let of = |score: fn(&[f64], &[f64]) -> lab_metrics::Result<f64>| {
            score(&targets, &predictions).unwrap()
        };
        close(&case, "mean_squared_error", of(mean_squared_error));
        close(&case, "root_mean_squared_error", of(root_mean_squared_error));
        close(&case, "mean_absolute_error", of(mean_absolute_error));
        close(&case, "median_absolute_error", of(median_absolute_error));
        match case.get("r2") {
            Some(_) => close(&case, "r2", of(r2)),
            None => assert!(r2(&targets, &predictions).is_err()),
        }
    }
}

#[test]
fn language_agrees() {
    let case = &reference()["language"];
    let losses = numbers(&case["losses"]);
    let units = case["units"].as_u64().unwrap();
    close(case, "perplexity", perplexity(&losses).unwrap());
    close(case, "bits_per_unit", bits_per_character(&losses, units).unwrap());
    close(case, "bits_per_unit", bits_per_byte(&losses, units).unwrap());
}

#[test]
fn small_models_agree() {
    let case = &reference()["models"];
    let columns = case["columns"].as_u64().unwrap() as usize;
    let values =
        |key: &str| -> Vec<f32> { numbers(&case[key]).iter().map(|x| *x as f32).collect() };
    let (train, test, labels) = (values("train"), values("test"), whole(&case["labels"]));
    let table = |values| Features::new(values, columns).unwrap();
    let gaussian = GaussianNaiveBayes::fit(table(&train), &labels, 4).unwrap();
    let log = gaussian.predict_log_probabilities(table(&test)).unwrap();
    check_present(&log, case, "gaussian");

    let counts = |values: &[f32]| -> Vec<f32> { values.iter().map(|x| x.abs().floor()).collect() };
    let (train_counts, test_counts) = (counts(&train), counts(&test));
    for (name, smoothing) in [("laplace", 1.0), ("lidstone", 0.1)] {
        let train = table(&train_counts);
        let model = MultinomialNaiveBayes::fit(train, &labels, 4, smoothing).unwrap();
        let log = model.predict_log_probabilities(table(&test_counts)).unwrap();
        check_present(&log, case, name);
    }

    let model = KnnRegressor::fit(table(&train), &numbers(&case["targets"]), 7).unwrap();
    let found = model.predict(table(&test)).unwrap();
    let expected = numbers(&case["regression"]);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        within(1e-12, *found, expected, "regression");
    }
}

/// scikit-learn knows only the classes that occur; the others have no probability here.
fn check_present(log: &[f64], case: &Value, name: &str) {
    let present = whole(&case["present"]);
    let of_present = |row: &[f64]| -> Vec<f64> {
        assert!((0..4).all(|c| present.contains(&c) || row[c as usize] == f64::NEG_INFINITY));
        present.iter().map(|class| row[*class as usize]).collect()
    };
    let found: Vec<f64> = log.chunks(4).flat_map(of_present).collect();
    let expected = numbers(&case[name]);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        within(1e-9, *found, expected, name);
    }
}

/// The classes that a string of digits names.
fn classes(text: &Value) -> Vec<u32> {
    text.as_str().unwrap().bytes().map(|byte| u32::from(byte - b'0')).collect()
}

#[test]
fn nearest_digits_agree() {
    let data = digits();
    let cases = reference()["digits"]["knn"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let k = case["k"].as_u64().unwrap() as usize;
        let model = KnnClassifier::fit(data.train(), &data.train_labels, 10, k).unwrap();
        let model = KnnClassifier::from_arrays(model.to_arrays()).unwrap();
        let found = model.predict(data.test()).unwrap();
        assert_eq!(found, classes(&case["by_rules"]), "k = {k}");
        // scikit-learn chooses otherwise only among rows that are equally far.
        let tied = whole(&case["tied"]);
        let differ = found.iter().zip(classes(&case["scikit_learn"])).enumerate();
        for (row, (found, theirs)) in differ {
            assert!(*found == theirs || tied.contains(&(row as u32)), "k = {k}, row {row}");
        }
        let log = model.predict_log_probabilities(data.test()).unwrap();
        for (row, found) in log.chunks(10).zip(found) {
            let best = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(row.iter().position(|x| *x == best), Some(found as usize));
        }
    }
}

#[test]
fn naive_bayes_of_digits_agrees() {
    let data = digits();
    let gaussian = GaussianNaiveBayes::fit(data.train(), &data.train_labels, 10).unwrap();
    let gaussian = GaussianNaiveBayes::from_arrays(gaussian.to_arrays()).unwrap();
    let log = gaussian.predict_log_probabilities(data.test()).unwrap();
    check_digits("gaussian", &gaussian.predict(data.test()).unwrap(), &log);
    let multinomial = MultinomialNaiveBayes::fit(data.train(), &data.train_labels, 10, 1.0);
    let multinomial = MultinomialNaiveBayes::from_arrays(multinomial.unwrap().to_arrays()).unwrap();
    let log = multinomial.predict_log_probabilities(data.test()).unwrap();
    check_digits("multinomial", &multinomial.predict(data.test()).unwrap(), &log);
}

fn check_digits(name: &str, predictions: &[u32], log: &[f64]) {
    let (case, every) = (&reference()["digits"][name], &reference()["digits"]["every"]);
    assert_eq!(predictions, classes(&case["predictions"]), "{name}");
    let some = log.chunks(10).step_by(every.as_u64().unwrap() as usize).flatten();
    let expected = numbers(&case["log_probabilities"]);
    assert_eq!(some.clone().count(), expected.len());
    for (found, expected) in some.zip(expected) {
        within(1e-9, *found, expected, name);
    }
}
