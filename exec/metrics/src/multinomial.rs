//! Multinomial naive Bayes: each class a die that was thrown for every count of a row.
//!
//! The baseline for counts, of words above all. Refuses features below 0, which are no counts;
//! fractions are taken as they are, as scikit-learn does.

use crate::arrays::{Accepted, Array, Reader};
use crate::checks::{self, MAX_LEARNED};
use crate::error::{MetricsError, Result};
use crate::features::Features;
use crate::posterior::{self, Joint};

const FEATURE_COUNTS: &str = "feature_counts";
const CLASS_ROWS: &str = "class_rows";
const SMOOTHING: &str = "smoothing";
/// Inside these every logarithm is finite.
const SMOOTHINGS: std::ops::RangeInclusive<f64> = 1e-10..=1e10;
/// More than 2^64 of the largest f32.
const FEATURE_SUMS: Accepted = Accepted::Numbers(0.0, 1e60);
/// Integers of which an f64 holds every one.
const COUNTS: Accepted = Accepted::Integers(0.0, 9_007_199_254_740_992.0);

/// A fitted model. Per class c and feature j it has the sum n of the training rows; with the
/// smoothing a a row x then has
/// ln p(c, x) = ln(rows of c / rows) + sum_j x_j ln((n_cj + a) / sum_i (n_ci + a)),
/// less a term that is the same for all classes.
///
/// Source: Manning, Raghavan and Schuetze, "Introduction to Information Retrieval" (2008), section
/// 13.2; scikit-learn user guide, "Multinomial Naive Bayes". A class that no training row has is
/// never predicted, and has the log-probability minus infinity.
#[derive(Clone, Debug, PartialEq)]
pub struct MultinomialNaiveBayes {
    columns: usize,
    smoothing: f64,
    /// Rows of each class.
    class_rows: Vec<f64>,
    /// Classes x columns.
    feature_counts: Vec<f64>,
    log_prior: Vec<f64>,
    /// Classes x columns.
    log_feature: Vec<f64>,
}

impl MultinomialNaiveBayes {
    /// Learns from the rows of `features`, all at least 0, with their `labels`, each below
    /// `classes`. `smoothing` is added to every count: 1 is Laplace's.
    ///
    /// # Errors
    /// Lengths that differ, labels out of range, negative features, more than 2^24 classes x
    /// columns, a smoothing outside 1e-10 to 1e10.
    pub fn fit(
        features: Features<'_>,
        labels: &[u32],
        classes: usize,
        smoothing: f64,
    ) -> Result<MultinomialNaiveBayes> {
        checks::classes(classes)?;
        checks::lengths(("labels", labels.len()), ("rows of features", features.rows()), 1)?;
        checks::below("label", labels, classes)?;
        counts_only(features)?;
        if !SMOOTHINGS.contains(&smoothing) {
            return Err(MetricsError::Smoothing(smoothing));
        }
        let columns = features.columns();
        let cells = checks::cells("counts of features", classes, columns, MAX_LEARNED)?;
        let mut class_rows = vec![0.0; classes];
        let mut counts = vec![0.0; cells];
        for (label, row) in labels.iter().zip(features.iter()) {
            class_rows[*label as usize] += 1.0;
            let sums = &mut counts[*label as usize * columns..][..columns];
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        Ok(Self::new(class_rows, counts, smoothing))
    }

    fn new(class_rows: Vec<f64>, feature_counts: Vec<f64>, smoothing: f64) -> Self {
        let columns = feature_counts.len() / class_rows.len();
        let rows = class_rows.iter().fold(0.0, |sum, rows| sum + rows);
        let log_rows = libm::log(rows);
        let log_prior = class_rows.iter().map(|rows| libm::log(*rows) - log_rows).collect();
        let mut log_feature = Vec::with_capacity(feature_counts.len());
        for counts in feature_counts.chunks_exact(columns) {
            let log_total = libm::log(counts.iter().fold(0.0, |sum, n| sum + (n + smoothing)));
            log_feature.extend(counts.iter().map(|n| libm::log(n + smoothing) - log_total));
        }
        Self { columns, smoothing, class_rows, feature_counts, log_prior, log_feature }
    }

    /// The class of each row: the most probable one, of equally probable ones the lowest.
    ///
    /// # Errors
    /// Rows with other columns than those learned from, negative features.
    pub fn predict(&self, features: Features<'_>) -> Result<Vec<u32>> {
        counts_only(features)?;
        posterior::predict(self, features)
    }

    /// ln p(class | row), row-major, one row of `classes` per row of `features`.
    ///
    /// # Errors
    /// As [`MultinomialNaiveBayes::predict`], and more than 2^27 numbers.
    pub fn predict_log_probabilities(&self, features: Features<'_>) -> Result<Vec<f64>> {
        counts_only(features)?;
        posterior::log_probabilities(self, features)
    }

    /// The model as the f64 arrays `feature_counts` (classes x columns), `class_rows` (classes)
    /// and `smoothing` (one number).
    pub fn to_arrays(&self) -> Vec<Array> {
        let shape = [self.class_rows.len(), self.columns];
        vec![
            Array::f64(FEATURE_COUNTS, &shape, self.feature_counts.clone()),
            Array::f64(CLASS_ROWS, &shape[..1], self.class_rows.clone()),
            Array::f64(SMOOTHING, &[1], vec![self.smoothing]),
        ]
    }

    /// The model of which these are the arrays.
    ///
    /// # Errors
    /// Arrays that are missing, unknown or of another form, numbers that no fit leaves.
    pub fn from_arrays(arrays: Vec<Array>) -> Result<MultinomialNaiveBayes> {
        let mut reader = Reader::new(arrays)?;
        let (_, class_rows) = reader.f64(CLASS_ROWS, &[None], &COUNTS)?;
        checks::classes(class_rows.len())?;
        let shape = [Some(class_rows.len()), None];
        let (_, counts) = reader.f64(FEATURE_COUNTS, &shape, &FEATURE_SUMS)?;
        let accepted = Accepted::Numbers(*SMOOTHINGS.start(), *SMOOTHINGS.end());
        let smoothing = reader.number(SMOOTHING, &accepted)?;
        reader.finish()?;
        if counts.is_empty() {
            return Err(MetricsError::Empty("columns"));
        }
        if class_rows.iter().all(|rows| *rows == 0.0) {
            return Err(MetricsError::Empty("rows of any class"));
        }
        Ok(Self::new(class_rows, counts, smoothing))
    }
}

impl Joint for MultinomialNaiveBayes {
    fn classes(&self) -> usize {
        self.class_rows.len()
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn joint(&self, class: usize, row: &[f32]) -> f64 {
        let logarithms = &self.log_feature[class * self.columns..][..self.columns];
        let each = row.iter().zip(logarithms);
        self.log_prior[class] + each.fold(0.0, |sum, (x, log)| sum + f64::from(*x) * log)
    }
}

fn counts_only(features: Features<'_>) -> Result<()> {
    let columns = features.columns();
    match features.values().iter().position(|value| *value < 0.0) {
        None => Ok(()),
        Some(at) => {
            let (row, column, value) = (at / columns, at % columns, features.values()[at]);
            Err(MetricsError::Negative { row, column, value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[f32]) -> Features<'_> {
        Features::new(values, 2).unwrap()
    }

    #[test]
    fn two_dice_by_hand() {
        // Class 0 threw (3, 1), class 1 threw (0, 2); with one added each: 4/6, 2/6 and 1/4, 3/4.
        let train = [1.0, 1.0, 2.0, 0.0, 0.0, 2.0];
        let model = MultinomialNaiveBayes::fit(table(&train), &[0, 0, 1], 2, 1.0).unwrap();
        let log = model.predict_log_probabilities(table(&[1.0, 1.0, 0.0, 0.0])).unwrap();
        let (zero, one) = (2.0 / 3.0 * (4.0 / 6.0) * (2.0 / 6.0), 1.0 / 3.0 * 0.25 * 0.75);
        assert!((libm::exp(log[0]) - zero / (zero + one)).abs() < 1e-15);
        // Without counts only the priors speak.
        assert!((libm::exp(log[3]) - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(model.predict(table(&[1.0, 1.0, 0.0, 3.0])).unwrap(), [0, 1]);
        assert_eq!(MultinomialNaiveBayes::from_arrays(model.to_arrays()), Ok(model));
    }

    #[test]
    fn a_class_without_rows_is_never_predicted() {
        let model = MultinomialNaiveBayes::fit(table(&[1.0, 0.0, 0.0, 1.0]), &[3, 1], 4, 0.5);
        let model = model.unwrap();
        let rows = [1.0, 0.0, 0.0, f32::MAX];
        assert_eq!(model.predict(table(&rows)).unwrap(), [3, 1]);
        let log = model.predict_log_probabilities(table(&rows)).unwrap();
        assert!(log.iter().all(|x| !x.is_nan()), "{log:?}");
        assert_eq!((log[0], log[6]), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        assert_eq!(MultinomialNaiveBayes::from_arrays(model.to_arrays()), Ok(model));
    }

    #[test]
    fn what_are_no_counts_is_refused() {
        let fit = |values: &[f32], smoothing| {
            MultinomialNaiveBayes::fit(table(values), &[0, 1], 2, smoothing)
        };
        assert_eq!(
            fit(&[0.0, 1.0, 2.0, -0.5], 1.0).unwrap_err().to_string(),
            "the feature in row 1, column 1, is -0.5: multinomial naive Bayes needs counts, 0 or \
             more"
        );
        for smoothing in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-11] {
            let error = fit(&[0.0; 4], smoothing).unwrap_err();
            assert!(matches!(error, MetricsError::Smoothing(_)), "{error}");
        }
        let model = fit(&[0.0; 4], 1.0).unwrap();
        let negative = table(&[1.0, -1.0]);
        assert!(matches!(model.predict(negative), Err(MetricsError::Negative { .. })));
        assert!(model.predict_log_probabilities(negative).is_err());
        assert!(model.predict(Features::new(&[1.0], 1).unwrap()).is_err());
        let short = MultinomialNaiveBayes::fit(table(&[0.0; 4]), &[0], 2, 1.0);
        assert!(matches!(short, Err(MetricsError::Length { .. })));
    }

    #[test]
    fn broken_arrays_are_refused() {
        let model = MultinomialNaiveBayes::fit(table(&[1.0; 4]), &[0, 1], 2, 1.0).unwrap();
        let broken = |at: usize, shape: &[usize], numbers: &[f64]| {
            let mut arrays = model.to_arrays();
            arrays[at] = Array::f64(&arrays[at].name, shape, numbers.to_vec());
            MultinomialNaiveBayes::from_arrays(arrays).unwrap_err().to_string()
        };
        assert_eq!(
            broken(0, &[2, 2], &[1.0, 1.0, 1.0, -1.0]),
            "number 3 of the array 'feature_counts' is -1: a number from 0e0 to 1e60 is needed"
        );
        assert!(broken(0, &[2, 0], &[]).contains("no columns"));
        assert!(broken(1, &[2], &[0.0; 2]).contains("no rows of any class"));
        assert!(broken(2, &[1], &[0.0]).contains("1e-10"));
    }
}
