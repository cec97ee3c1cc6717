//! Differences over the folds of one cross-validation, which are not independent.

use crate::checks::{self, MAX_RUNS};
use crate::design::Design;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::sample::{Moments, exponent, scaled};

/// The mean of the differences A - B over the folds of a cross-validation, or over random splits,
/// with the standard error of Nadeau and Bengio ("Inference for the Generalization Error", 2003):
/// the variance of the mean is (1 / folds + test / train) times that of the differences, since
/// training sets overlap. `train` and `test` are the numbers of examples in each. At least 2
/// folds.
///
/// # Errors
/// Too few or too many folds, differences that are not finite or are all equal, no examples to
/// train with or to test on, a mean that overflows.
pub fn corrected_t(differences: &[f64], train: usize, test: usize) -> Result<Estimate> {
    let name = "the corrected t test";
    checks::count(name, "folds", differences.len(), (2, MAX_RUNS))?;
    checks::finite("differences", differences)?;
    for (what, examples) in [("examples to train with", train), ("examples to test on", test)] {
        checks::count(name, what, examples, (1, usize::MAX))?;
    }
    let power = exponent(differences);
    let moments = Moments::of(&scaled(differences, power));
    let share = 1.0 / moments.count + test as f64 / train as f64;
    let standard_error = (share * moments.variance).sqrt();
    let design = Design { standard_error, degrees: moments.count - 1.0 };
    Estimate::scaled(moments.mean, design, power, "differences of the folds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StatisticsError;

    #[test]
    fn what_is_no_cross_validation_is_refused() {
        let nothing = Err(StatisticsError::NoSpread("differences of the folds"));
        assert_eq!(corrected_t(&[0.1; 5], 80, 20), nothing);
        assert!(corrected_t(&[0.1], 80, 20).is_err());
        let error = corrected_t(&[0.1, 0.2], 80, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the corrected t test needs at least 1 examples to test on, not 0"
        );
        assert!(corrected_t(&[0.1, 0.2], 0, 20).is_err());
        assert!(corrected_t(&[0.1, f64::NAN], 80, 20).is_err());
    }
}
