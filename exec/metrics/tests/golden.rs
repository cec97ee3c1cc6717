//! The same numbers give the same bits, on every machine: a digest of all scores and of all
//! predictions for the digits. If one of these changes, so has the arithmetic.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{digits, numbers, reference, whole};
use lab_metrics::{
    Average, ClassCounts, GaussianNaiveBayes, KnnClassifier, KnnRegressor, MultinomialNaiveBayes,
    bits_per_byte, brier_score, expected_calibration_error, log_loss, mean_absolute_error,
    mean_squared_error, median_absolute_error, perplexity, r2, roc_auc_one_versus_rest,
    root_mean_squared_error, top_k_accuracy,
};

/// FNV-1a, 64 bits, of the bits of each number.
fn digest(numbers: impl IntoIterator<Item = f64>) -> u64 {
    let bytes = numbers.into_iter().flat_map(|number| number.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn scores() -> Vec<f64> {
    let mut all = Vec::new();
    for case in reference()["classification"].as_array().unwrap() {
        let (labels, predictions) = (whole(&case["labels"]), whole(&case["predictions"]));
        let classes = case["classes"].as_u64().unwrap() as usize;
        let counts = ClassCounts::new(&labels, &predictions, classes).unwrap();
        all.extend([counts.accuracy(), counts.balanced_accuracy()]);
        for average in [Average::Micro, Average::Macro, Average::Weighted] {
            all.extend([counts.precision(average), counts.recall(average), counts.f1(average)]);
        }
    }
    for case in reference()["probabilities"].as_array().unwrap() {
        let (labels, p) = (whole(&case["labels"]), numbers(&case["probabilities"]));
        let classes = case["classes"].as_u64().unwrap() as usize;
        for score in [log_loss, brier_score, expected_calibration_error] {
            all.push(score(&labels, &p, classes).unwrap());
        }
        all.push(top_k_accuracy(&labels, &p, classes, 2).unwrap());
        all.extend(roc_auc_one_versus_rest(&labels, &p, classes));
    }
    for case in reference()["regression"].as_array().unwrap() {
        let (targets, predictions) = (numbers(&case["targets"]), numbers(&case["predictions"]));
        for score in [
            mean_squared_error,
            root_mean_squared_error,
            mean_absolute_error,
            median_absolute_error,
            r2,
        ] {
            all.extend(score(&targets, &predictions));
        }
    }
    let losses = numbers(&reference()["language"]["losses"]);
    all.extend([perplexity(&losses).unwrap(), bits_per_byte(&losses, 731).unwrap()]);
    all
}

#[test]
fn scores_have_these_bits_for_ever() {
    let scores = scores();
    assert_eq!(scores.len(), GOLDEN_SCORES.0);
    let found = digest(scores);
    assert_eq!(found, GOLDEN_SCORES.1, "{found:#018x}");
}

const GOLDEN_SCORES: (usize, u64) = (214, 0xbcd2_c0e8_a3c1_6ad4);

#[test]
fn baselines_have_these_bits_for_ever() {
    let data = digits();
    let knn = KnnClassifier::fit(data.train(), &data.train_labels, 10, 15).unwrap();
    let targets: Vec<f64> = data.train_labels.iter().map(|label| f64::from(*label) / 7.0).collect();
    let regressor = KnnRegressor::fit(data.train(), &targets, 15).unwrap();
    let gaussian = GaussianNaiveBayes::fit(data.train(), &data.train_labels, 10).unwrap();
    let multinomial = MultinomialNaiveBayes::fit(data.train(), &data.train_labels, 10, 1.0);
    let found = [
        digest(knn.predict_log_probabilities(data.test()).unwrap()),
        digest(regressor.predict(data.test()).unwrap()),
        digest(gaussian.predict_log_probabilities(data.test()).unwrap()),
        digest(multinomial.unwrap().predict_log_probabilities(data.test()).unwrap()),
    ];
    assert_eq!(found, GOLDEN_BASELINES, "{found:#018x?}");
}

const GOLDEN_BASELINES: [u64; 4] =
    [0xe21c_09f5_56eb_f66e, 0x56bf_8fc2_4c54_c670, 0xb0c7_f412_18ce_6cf6, 0x6182_95ee_9f85_1f48];
