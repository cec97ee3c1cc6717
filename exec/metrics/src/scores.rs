//! Scores of probabilities row by row: log-loss, Brier score, top-k accuracy.
//!
//! Each is a mean over rows. Which classes there are is given, not guessed from the labels, so a
//! class that no test row has changes nothing.

use crate::error::{MetricsError, Result};
use crate::probabilities::Probabilities;
use crate::sum::{mean, sum};

/// Log-loss (cross-entropy) in nats: the mean of -ln p(label).
///
/// `probabilities` are row-major, `labels.len()` rows of `classes`. Each p is clipped to
/// [2^-52, 1 - 2^-52], as scikit-learn 1.9 does for f64, so that one certain mistake costs 36.04
/// nats and not infinity; rows are not normalised. Source: scikit-learn user guide, "Log loss".
///
/// # Errors
/// No rows, lengths that differ, labels out of range, rows that are no distribution.
pub fn log_loss(labels: &[u32], probabilities: &[f64], classes: usize) -> Result<f64> {
    let rows = Probabilities::check(labels, probabilities, classes)?.rows();
    let clipped = |p: f64| p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    Ok(mean(rows.map(|(label, p)| -libm::log(clipped(p[label])))))
}

/// Brier score: the mean of the squared distances between the probabilities and the vector that
/// is 1 at the label and 0 elsewhere.
///
/// `probabilities` are row-major, `labels.len()` rows of `classes`. With three classes or more it
/// is 0 to 2, as in Brier, "Verification of forecasts expressed in terms of probability" (1950).
/// With fewer it is half of that, (1 - p(label))^2, as scikit-learn 1.9 has it (user guide, "Brier
/// score loss", `scale_by_half='auto'`).
///
/// # Errors
/// As [`log_loss`].
pub fn brier_score(labels: &[u32], probabilities: &[f64], classes: usize) -> Result<f64> {
    let rows = Probabilities::check(labels, probabilities, classes)?.rows();
    let distance = mean(rows.map(|(label, p)| distance_to_label(label, p)));
    Ok(if classes < 3 { 0.5 * distance } else { distance })
}

fn distance_to_label(label: usize, probabilities: &[f64]) -> f64 {
    let squares = probabilities.iter().enumerate().map(|(class, p)| {
        let error = if class == label { 1.0 - p } else { *p };
        error * error
    });
    sum(squares)
}

/// Top-k accuracy: the share of rows whose label is among the `k` most probable classes.
///
/// `probabilities` are row-major, `labels.len()` rows of `classes`; of equally probable classes
/// the one with the lowest index comes first, so that k = 1 is the accuracy of the arg max.
/// (scikit-learn's `top_k_accuracy_score` takes the highest index first, and with two classes
/// looks at p > 0.5.) Source: scikit-learn user guide, "Top-k accuracy score".
///
/// # Errors
/// As [`log_loss`], and a `k` that is 0 or above `classes`.
pub fn top_k_accuracy(
    labels: &[u32],
    probabilities: &[f64],
    classes: usize,
    k: usize,
) -> Result<f64> {
    let rows = Probabilities::check(labels, probabilities, classes)?.rows();
    if k == 0 || k > classes {
        return Err(MetricsError::TopK { k, classes });
    }
    let hits = rows.filter(|(label, p)| ahead(*label, p) < k).count();
    Ok(hits as f64 / labels.len() as f64)
}

/// Classes that come before the label.
fn ahead(label: usize, probabilities: &[f64]) -> usize {
    let p = probabilities[label];
    let before = |(class, q): (usize, &f64)| *q > p || (*q == p && class < label);
    probabilities.iter().enumerate().filter(|each| before(*each)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_mistakes_are_clipped() {
        let worst = log_loss(&[0], &[0.0, 1.0], 2).unwrap();
        assert_eq!(worst, 52.0 * libm::log(2.0));
        let best = log_loss(&[1], &[0.0, 1.0], 2).unwrap();
        assert!(best > 0.0 && best < 3e-16, "{best}");
        assert_eq!(log_loss(&[1, 0], &[0.5; 4], 2).unwrap(), libm::log(2.0));
    }

    #[test]
    fn the_brier_score_is_halved_for_two_classes() {
        assert_eq!(brier_score(&[0], &[0.0, 1.0], 2), Ok(1.0));
        assert_eq!(brier_score(&[0], &[0.0, 1.0, 0.0], 3), Ok(2.0));
        assert_eq!(brier_score(&[0], &[0.5, 0.5, 0.0], 3), Ok(0.5));
        assert_eq!(brier_score(&[0], &[1.0], 1), Ok(0.0));
    }

    #[test]
    fn of_equal_classes_the_lowest_comes_first() {
        let p = [0.25, 0.25, 0.25, 0.25];
        for (label, least) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
            for k in 1..=4 {
                let hit = f64::from(u8::from(k >= least));
                assert_eq!(top_k_accuracy(&[label], &p, 4, k), Ok(hit), "{label} {k}");
            }
        }
        assert_eq!(top_k_accuracy(&[0], &p, 4, 0), Err(MetricsError::TopK { k: 0, classes: 4 }));
        let error = top_k_accuracy(&[0], &p, 4, 5).unwrap_err();
        assert_eq!(error.to_string(), "k = 5: a number from 1 to the 4 classes is needed");
    }
}
