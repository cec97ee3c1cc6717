//! Probabilities of classes, checked once for every metric that reads them.
//!
//! Row-major, one row per label, one column per class. Refuses what is no distribution: numbers
//! outside 0 to 1, rows whose sum is further than 1e-6 from 1. Nothing is normalised: a score of
//! other numbers than those given would be a silent change.

use crate::checks;
use crate::error::{MetricsError, Result};

/// How far from 1 the sum of a row may be: what is left of a softmax in f32.
const ROW_SUM_TOLERANCE: f64 = 1e-6;

/// Checked rows of probabilities with a label each.
#[derive(Clone, Copy)]
pub(crate) struct Probabilities<'a> {
    labels: &'a [u32],
    values: &'a [f64],
    pub(crate) classes: usize,
}

impl<'a> Probabilities<'a> {
    pub(crate) fn check(labels: &'a [u32], values: &'a [f64], classes: usize) -> Result<Self> {
        checks::classes(classes)?;
        checks::lengths(("probabilities", values.len()), ("labels", labels.len()), classes)?;
        checks::below("label", labels, classes)?;
        for (row, values) in values.chunks_exact(classes).enumerate() {
            distribution(row, values)?;
        }
        Ok(Probabilities { labels, values, classes })
    }

    /// Label and probabilities of each row.
    pub(crate) fn rows(self) -> impl ExactSizeIterator<Item = (usize, &'a [f64])> {
        let labels = self.labels.iter().map(|label| *label as usize);
        labels.zip(self.values.chunks_exact(self.classes))
    }
}

fn distribution(row: usize, values: &[f64]) -> Result<()> {
    let mut sum = 0.0;
    for (class, value) in values.iter().copied().enumerate() {
        if !value.is_finite() {
            return Err(MetricsError::NotFinite {
                what: "probability",
                row,
                column: Some(class),
                value,
            });
        }
        if !(0.0..=1.0).contains(&value) {
            return Err(MetricsError::Probability { row, class, value });
        }
        sum += value;
    }
    match (sum - 1.0).abs() <= ROW_SUM_TOLERANCE {
        true => Ok(()),
        false => Err(MetricsError::RowSum { row, sum }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_distribution_is_refused() {
        let error = |values: &[f64]| {
            Probabilities::check(&[0, 1], values, 2).err().map(|error| error.to_string())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(error(&[0.5, 0.5, 1.0, -0.0]), None);
        assert_eq!(error(&[0.5, 0.500_000_9, 1.0, 0.0]), None);
        assert_eq!(
            error(&[0.5, 0.5, 0.5, 0.531_25]),
            some("the probabilities of row 1 sum to 1.03125: 1 is needed, within 1e-6")
        );
        assert_eq!(
            error(&[0.5, 0.5, 0.499, 0.5]),
            some("the probabilities of row 1 sum to 0.999: 1 is needed, within 1e-6")
        );
        assert_eq!(
            error(&[0.5, 0.5, 0.5, f64::NAN]),
            some("the probability in row 1, column 1, is NaN: a finite number is needed")
        );
        assert!(error(&[0.5, 0.500_001_1, 1.0, 0.0]).is_some());
        assert!(error(&[0.5, 0.499_998_9, 1.0, 0.0]).is_some());
        assert_eq!(
            error(&[1.5, -0.5, 0.5, 0.5]),
            some("the probability of class 0 in row 0 is 1.5: 0 to 1 is needed")
        );
        assert_eq!(
            error(&[0.5, 0.5, 0.5]),
            some("there are 3 probabilities, but 4 are needed for the 2 labels")
        );
        assert!(Probabilities::check(&[], &[], 2).is_err());
        assert!(Probabilities::check(&[2], &[0.5, 0.5], 2).is_err());
        assert!(Probabilities::check(&[0], &[], 0).is_err());
    }
}
