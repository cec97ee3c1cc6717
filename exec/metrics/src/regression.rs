//! Errors of predicted numbers.
//!
//! All take one prediction per target, both finite, and refuse a score that overflows. Source of
//! all: scikit-learn user guide, "Regression metrics".

use crate::checks;
use crate::error::{MetricsError, Result};
use crate::sum::{mean, sum};

/// Mean squared error: the mean of (target - prediction)^2, in squared units of the target.
///
/// # Errors
/// No rows, lengths that differ, numbers that are not finite, a score that overflows.
pub fn mean_squared_error(targets: &[f64], predictions: &[f64]) -> Result<f64> {
    check(targets, predictions)?;
    let squares = errors(targets, predictions).map(|error| error * error);
    checks::score("the mean squared error", mean(squares))
}

/// Root mean squared error: the square root of [`mean_squared_error`], in units of the target.
///
/// # Errors
/// As [`mean_squared_error`].
pub fn root_mean_squared_error(targets: &[f64], predictions: &[f64]) -> Result<f64> {
    mean_squared_error(targets, predictions).map(f64::sqrt)
}

/// Mean absolute error: the mean of |target - prediction|, in units of the target.
///
/// # Errors
/// As [`mean_squared_error`].
pub fn mean_absolute_error(targets: &[f64], predictions: &[f64]) -> Result<f64> {
    check(targets, predictions)?;
    let absolute = errors(targets, predictions).map(f64::abs);
    checks::score("the mean absolute error", mean(absolute))
}

/// Median absolute error: the median of |target - prediction|, in units of the target; of an even
/// number of rows the mean of the two in the middle.
///
/// # Errors
/// As [`mean_squared_error`].
pub fn median_absolute_error(targets: &[f64], predictions: &[f64]) -> Result<f64> {
    check(targets, predictions)?;
    let mut absolute: Vec<f64> = errors(targets, predictions).map(f64::abs).collect();
    absolute.sort_unstable_by(f64::total_cmp);
    let middle = absolute.len() / 2;
    let median = match absolute.len() % 2 {
        0 => (absolute[middle - 1] + absolute[middle]) / 2.0,
        _ => absolute[middle],
    };
    checks::score("the median absolute error", median)
}

/// R^2, the coefficient of determination: 1 - sum (target - prediction)^2 / sum (target - mean of
/// the targets)^2. At most 1; 0 for predicting the mean, below 0 for worse.
///
/// With targets that are all equal it is 1 if every prediction is right and else 0, as in
/// scikit-learn (`force_finite`). Equal is meant exactly here: the rounded mean of equal targets
/// may differ from them, from which scikit-learn sometimes makes a huge negative number.
///
/// # Errors
/// As [`mean_squared_error`], and fewer than two rows, for which scikit-learn returns NaN.
pub fn r2(targets: &[f64], predictions: &[f64]) -> Result<f64> {
    check(targets, predictions)?;
    if targets.len() < 2 {
        return Err(MetricsError::TooFewRows { what: "R^2", found: targets.len(), needed: 2 });
    }
    let unexplained = sum_of_squares(errors(targets, predictions));
    if unexplained == 0.0 {
        return Ok(1.0);
    }
    if targets.iter().all(|target| *target == targets[0]) {
        return Ok(0.0);
    }
    let center = checks::score("the mean of the targets", mean(targets.iter().copied()))?;
    let total = sum_of_squares(targets.iter().map(|target| target - center));
    // An infinite total would make 1 of anything.
    checks::score("the variance of the targets", total)?;
    match total == 0.0 {
        true => Ok(0.0),
        false => checks::score("R^2", 1.0 - unexplained / total),
    }
}

fn sum_of_squares(values: impl Iterator<Item = f64>) -> f64 {
    sum(values.map(|value| value * value))
}

fn check(targets: &[f64], predictions: &[f64]) -> Result<()> {
    checks::lengths(("predictions", predictions.len()), ("targets", targets.len()), 1)?;
    checks::finite("target", targets)?;
    checks::finite("prediction", predictions)
}

fn errors(targets: &[f64], predictions: &[f64]) -> impl ExactSizeIterator<Item = f64> {
    targets.iter().zip(predictions).map(|(target, prediction)| target - prediction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let (targets, predictions) = ([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]);
        assert_eq!(mean_squared_error(&targets, &predictions), Ok(0.375));
        assert_eq!(root_mean_squared_error(&targets, &predictions), Ok(0.375f64.sqrt()));
        assert_eq!(mean_absolute_error(&targets, &predictions), Ok(0.5));
        assert_eq!(median_absolute_error(&targets, &predictions), Ok(0.5));
        assert_eq!(median_absolute_error(&[0.0; 3], &[5.0, -1.0, 2.0]), Ok(2.0));
        assert_eq!(r2(&targets, &predictions), Ok(1.0 - 1.5 / 29.1875));
    }

    #[test]
    fn equal_targets_are_equal_whatever_their_mean_rounds_to() {
        for count in [2, 3, 10, 1000] {
            let targets = vec![0.1; count];
            assert_eq!(r2(&targets, &targets), Ok(1.0));
            let mut predictions = targets.clone();
            predictions[1] = 0.2;
            assert_eq!(r2(&targets, &predictions), Ok(0.0), "{count}");
        }
    }

    #[test]
    fn too_little_and_too_much_are_refused() {
        assert_eq!(r2(&[1.0], &[1.0]).unwrap_err().to_string(), "R^2 needs at least 2 rows, not 1");
        let huge = [f64::MAX, -f64::MAX];
        let overflow = |score: Result<f64>| matches!(score, Err(MetricsError::Overflow(_)));
        assert!(overflow(mean_squared_error(&huge, &[0.0; 2])));
        assert!(overflow(mean_absolute_error(&huge, &[-f64::MAX, f64::MAX])));
        assert!(overflow(median_absolute_error(&huge, &[0.0; 2])));
        assert!(overflow(r2(&huge, &[0.0; 2])));
        assert!(overflow(r2(&[f64::MAX, f64::MAX / 2.0], &[0.0; 2])));
        // The errors are small, the targets are not: no score, least of all 1.
        assert_eq!(
            r2(&[1e160, -1e160], &[1e160 + 1e146, -1e160]),
            Err(MetricsError::Overflow("the variance of the targets"))
        );
        for score in [mean_squared_error, mean_absolute_error, median_absolute_error, r2] {
            assert_eq!(score(&[], &[]), Err(MetricsError::Empty("targets")));
            assert!(matches!(score(&[1.0, 2.0], &[1.0]), Err(MetricsError::Length { .. })));
            let error = score(&[1.0, f64::NAN], &[1.0, 2.0]).unwrap_err().to_string();
            assert!(error.starts_with("the target in row 1 is NaN"), "{error}");
            let error = score(&[1.0, 2.0], &[f64::INFINITY, 2.0]).unwrap_err().to_string();
            assert!(error.starts_with("the prediction in row 0 is inf"), "{error}");
        }
    }
}
