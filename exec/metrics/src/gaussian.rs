//! Gaussian naive Bayes: each feature of each class a normal distribution of its own.
//!
//! The baseline for measured features. Nothing is searched: means and variances are sums over the
//! training rows in ascending order. Refuses rows that are all equal, whose densities would be
//! infinite.

use std::f64::consts::PI;

use crate::arrays::{Accepted, Array, Reader};
use crate::checks::{self, MAX_LEARNED};
use crate::error::{MetricsError, Result};
use crate::features::Features;
use crate::posterior::{self, Joint};

/// What is added to every variance, as a share of the largest.
const SMOOTHING: f64 = 1e-9;
const MEAN: &str = "mean";
const VARIANCE: &str = "variance";
const CLASS_ROWS: &str = "class_rows";
/// What features in f32 can leave, with a margin; inside it every log-likelihood is finite.
const MEANS: Accepted = Accepted::Numbers(f32::MIN as f64, f32::MAX as f64);
const VARIANCES: Accepted = Accepted::Numbers(1e-130, 1e80);
/// Integers of which an f64 holds every one.
const COUNTS: Accepted = Accepted::Integers(0.0, 9_007_199_254_740_992.0);

/// A fitted model. Per class c and feature j it has the mean m and the variance v of the training
/// rows (divided by their number), plus 1e-9 times the largest variance of a feature over all
/// rows; a row x then has
/// ln p(c, x) = ln(rows of c / rows) - 1/2 sum_j ln(2 pi v_cj) - 1/2 sum_j (x_j - m_cj)^2 / v_cj.
///
/// Source: scikit-learn user guide, "Gaussian Naive Bayes" (`var_smoothing` = 1e-9). A class that
/// no training row has is never predicted, and has the log-probability minus infinity.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianNaiveBayes {
    columns: usize,
    /// Rows of each class.
    class_rows: Vec<f64>,
    /// Classes x columns.
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// Per class what does not depend on the row.
    constant: Vec<f64>,
}

impl GaussianNaiveBayes {
    /// Learns from the rows of `features` with their `labels`, each below `classes`.
    ///
    /// # Errors
    /// Lengths that differ, labels out of range, more than 2^24 classes x columns, rows that are
    /// all equal.
    pub fn fit(
        features: Features<'_>,
        labels: &[u32],
        classes: usize,
    ) -> Result<GaussianNaiveBayes> {
        checks::classes(classes)?;
        checks::lengths(("labels", labels.len()), ("rows of features", features.rows()), 1)?;
        checks::below("label", labels, classes)?;
        checks::cells("means", classes, features.columns(), MAX_LEARNED)?;
        let (_, _, overall) = moments(features, |_| 0, 1);
        let largest = overall.into_iter().fold(0.0, f64::max);
        if largest == 0.0 {
            return Err(MetricsError::NoVariance { rows: features.rows() });
        }
        let (class_rows, mean, mut variance) =
            moments(features, |row| labels[row] as usize, classes);
        variance.iter_mut().for_each(|v| *v += SMOOTHING * largest);
        Ok(Self::new(class_rows, mean, variance))
    }

    fn new(class_rows: Vec<f64>, mean: Vec<f64>, variance: Vec<f64>) -> GaussianNaiveBayes {
        let columns = mean.len() / class_rows.len();
        let rows = class_rows.iter().fold(0.0, |sum, rows| sum + rows);
        let constant = |(of_class, variance): (&f64, &[f64])| {
            let logarithms = variance.iter().fold(0.0, |sum, v| sum + libm::log(2.0 * PI * v));
            libm::log(of_class / rows) - 0.5 * logarithms
        };
        let constant =
            class_rows.iter().zip(variance.chunks_exact(columns)).map(constant).collect();
        GaussianNaiveBayes { columns, class_rows, mean, variance, constant }
    }

    /// The class of each row: the most probable one, of equally probable ones the lowest.
    ///
    /// # Errors
    /// Rows with other columns than those learned from.
    pub fn predict(&self, features: Features<'_>) -> Result<Vec<u32>> {
        posterior::predict(self, features)
    }

    /// ln p(class | row), row-major, one row of `classes` per row of `features`.
    ///
    /// # Errors
    /// As [`GaussianNaiveBayes::predict`], and more than 2^27 numbers.
    pub fn predict_log_probabilities(&self, features: Features<'_>) -> Result<Vec<f64>> {
        posterior::log_probabilities(self, features)
    }

    /// The model as the f64 arrays `mean` and `variance` (classes x columns; the variance with
    /// what was added) and `class_rows` (classes).
    pub fn to_arrays(&self) -> Vec<Array> {
        let shape = [self.class_rows.len(), self.columns];
        vec![
            Array::f64(MEAN, &shape, self.mean.clone()),
            Array::f64(VARIANCE, &shape, self.variance.clone()),
            Array::f64(CLASS_ROWS, &shape[..1], self.class_rows.clone()),
        ]
    }

    /// The model of which these are the arrays.
    ///
    /// # Errors
    /// Arrays that are missing, unknown or of another form, numbers that no fit leaves.
    pub fn from_arrays(arrays: Vec<Array>) -> Result<GaussianNaiveBayes> {
        let mut reader = Reader::new(arrays)?;
        let (_, class_rows) = reader.f64(CLASS_ROWS, &[None], &COUNTS)?;
        checks::classes(class_rows.len())?;
        let (shape, mean) = reader.f64(MEAN, &[Some(class_rows.len()), None], &MEANS)?;
        let same = [Some(shape[0]), Some(shape[1])];
        let (_, variance) = reader.f64(VARIANCE, &same, &VARIANCES)?;
        reader.finish()?;
        if mean.is_empty() {
            return Err(MetricsError::Empty("columns"));
        }
        if class_rows.iter().all(|rows| *rows == 0.0) {
            return Err(MetricsError::Empty("rows of any class"));
        }
        Ok(Self::new(class_rows, mean, variance))
    }
}

impl Joint for GaussianNaiveBayes {
    fn classes(&self) -> usize {
        self.class_rows.len()
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn joint(&self, class: usize, row: &[f32]) -> f64 {
        let mean = &self.mean[class * self.columns..][..self.columns];
        let variance = &self.variance[class * self.columns..][..self.columns];
        let each = row.iter().zip(mean).zip(variance);
        let sum = each.fold(0.0, |sum, ((x, mean), variance)| {
            let difference = f64::from(*x) - mean;
            sum + difference * difference / variance
        });
        self.constant[class] - 0.5 * sum
    }
}

/// Rows of each group, and per group and column mean and variance; zeros for an empty group.
fn moments(
    features: Features<'_>,
    group: impl Fn(usize) -> usize,
    groups: usize,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let columns = features.columns();
    let mut rows = vec![0.0; groups];
    let mut mean = vec![0.0; groups * columns];
    for (row, values) in features.iter().enumerate() {
        rows[group(row)] += 1.0;
        let sums = &mut mean[group(row) * columns..][..columns];
        sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    divide(&mut mean, &rows, columns);
    // A second pass: the mean of the squares less the square of the mean would cancel.
    let mut variance = vec![0.0; groups * columns];
    for (row, values) in features.iter().enumerate() {
        let start = group(row) * columns;
        let sums = variance[start..][..columns].iter_mut().zip(&mean[start..][..columns]);
        for ((sum, mean), x) in sums.zip(values) {
            let difference = f64::from(*x) - mean;
            *sum += difference * difference;
        }
    }
    divide(&mut variance, &rows, columns);
    (rows, mean, variance)
}

fn divide(sums: &mut [f64], rows: &[f64], columns: usize) {
    for (sums, rows) in sums.chunks_exact_mut(columns).zip(rows).filter(|(_, rows)| **rows > 0.0) {
        sums.iter_mut().for_each(|sum| *sum /= rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[f32]) -> Features<'_> {
        Features::new(values, 1).unwrap()
    }

    #[test]
    fn two_normal_distributions_by_hand() {
        let model = GaussianNaiveBayes::fit(table(&[0.0, 2.0, 9.0, 11.0]), &[0, 0, 1, 1], 2);
        let model = model.unwrap();
        assert_eq!(model.mean, [1.0, 10.0]);
        // 1, plus 1e-9 of the variance over all rows, 21.25.
        assert_eq!(model.variance, [1.0 + 21.25 * 1e-9; 2]);
        // In the middle both are equally probable, and the lower class wins.
        assert_eq!(model.predict(table(&[0.0, 5.5, 5.6])).unwrap(), [0, 0, 1]);
        let log = model.predict_log_probabilities(table(&[5.5, 5.6])).unwrap();
        assert_eq!(log[0], log[1]);
        assert!((log[0] - libm::log(0.5)).abs() < 1e-15, "{}", log[0]);
        // The log-odds are 9 (x - 5.5) / v.
        let odds = log[3] - log[2];
        assert!((odds - 0.9).abs() < 1e-6, "{odds}");
    }

    #[test]
    fn a_class_without_rows_is_never_predicted() {
        let model = GaussianNaiveBayes::fit(table(&[1.0, 2.0, 3.0]), &[1, 1, 3], 5).unwrap();
        assert_eq!(model.predict(table(&[0.0, 3.0, -1e30])).unwrap(), [1, 3, 1]);
        let log = model.predict_log_probabilities(table(&[0.0])).unwrap();
        assert!(log.iter().all(|x| !x.is_nan()));
        assert_eq!(
            (log[0], log[2], log[4]),
            (f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY)
        );
        assert_eq!(GaussianNaiveBayes::from_arrays(model.to_arrays()), Ok(model));
    }

    #[test]
    fn extremes_stay_numbers() {
        let tiny = f32::from_bits(1);
        for train in [[0.0, tiny], [f32::MIN, f32::MAX]] {
            let model = GaussianNaiveBayes::fit(table(&train), &[0, 1], 2).unwrap();
            let query = [f32::MIN, f32::MAX, 0.0, tiny];
            let log = model.predict_log_probabilities(table(&query)).unwrap();
            assert!(log.iter().all(|x| !x.is_nan()), "{log:?}");
            assert_eq!(GaussianNaiveBayes::from_arrays(model.to_arrays()), Ok(model));
        }
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() {
        let fit = |values: &[f32], labels: &[u32], classes| {
            GaussianNaiveBayes::fit(table(values), labels, classes).unwrap_err().to_string()
        };
        assert_eq!(
            fit(&[3.0, 3.0], &[0, 1], 2),
            "all 2 rows are equal: Gaussian naive Bayes needs a column that varies"
        );
        assert_eq!(
            fit(&[3.0, 4.0], &[0], 2),
            "there are 1 labels, but 2 are needed for the 2 rows of features"
        );
        assert!(fit(&[3.0, 4.0], &[0, 2], 2).contains("label of row 1 is 2"));
        let wide = vec![0.0; 1 << 16];
        let wide = Features::new(&wide, 1 << 16).unwrap();
        let error = GaussianNaiveBayes::fit(wide, &[0], 1 << 16).unwrap_err();
        assert!(matches!(error, MetricsError::TooLarge { what: "means", .. }), "{error}");
    }

    #[test]
    fn broken_arrays_are_refused() {
        let model = GaussianNaiveBayes::fit(table(&[0.0, 2.0]), &[0, 1], 2).unwrap();
        let broken = |at: usize, shape: &[usize], numbers: &[f64]| {
            let mut arrays = model.to_arrays();
            arrays[at] = Array::f64(&arrays[at].name, shape, numbers.to_vec());
            GaussianNaiveBayes::from_arrays(arrays).unwrap_err().to_string()
        };
        assert_eq!(
            broken(1, &[2, 1], &[1.0, 0.0]),
            "number 1 of the array 'variance' is 0: a number from 1e-130 to 1e80 is needed"
        );
        assert!(broken(0, &[2, 1], &[1.0, 1e300]).contains("'mean' is 1"));
        assert!(broken(0, &[2, 0], &[]).contains("'variance'"));
        assert!(broken(0, &[1, 2], &[0.0; 2]).contains("'mean'"));
        assert!(broken(2, &[2], &[0.0; 2]).contains("no rows of any class"));
        assert!(broken(2, &[2], &[0.5; 2]).contains("an integer"));
        assert!(broken(2, &[0], &[]).contains("no classes"));
        assert!(broken(2, &[70_000], &vec![1.0; 70_000]).contains("limit is 65536"));
    }
}
