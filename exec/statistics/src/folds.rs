//! Differences over the folds of one cross-validation, which are not independent.

use crate::checks::{self, MAX_RUNS};
use crate::design::Design;
use crate::error::{Result, StatisticsError};
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
    if moments.variance == 0.0 {
        return Err(StatisticsError::NoSpread("differences of the folds"));
    }
    let share = 1.0 / moments.count + test as f64 / train as f64;
    let error = libm::ldexp((share * moments.variance).sqrt(), power);
    let difference = checks::result("the mean difference", libm::ldexp(moments.mean, power))?;
    let standard_error = checks::result("its standard error", error)?;
    if standard_error == 0.0 {
        return Err(StatisticsError::NoSpread("differences of the folds"));
    }
    Ok(Estimate { difference, design: Design { standard_error, degrees: moments.count - 1.0 } })
}
