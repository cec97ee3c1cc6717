//! From the joint log-likelihoods of the classes to predictions and log-probabilities.
//!
//! Shared by the naive Bayes models, which differ in the likelihood alone: a class is predicted
//! where prior and likelihood are largest, and Bayes' rule divides by their sum over the classes.

use crate::checks::{self, MAX_CELLS, argmax};
use crate::error::Result;
use crate::features::Features;

/// ln of prior times likelihood, per class.
pub(crate) trait Joint {
    /// How many classes there are.
    fn classes(&self) -> usize;

    /// How many features a row has.
    fn columns(&self) -> usize;

    /// ln(prior * likelihood) of the class for the row: minus infinity for a class that no
    /// training row has, else finite.
    fn joint(&self, class: usize, row: &[f32]) -> f64;
}

/// The most probable class of each row; of equally probable ones the lowest.
pub(crate) fn predict(model: &impl Joint, features: Features<'_>) -> Result<Vec<u32>> {
    features.fit_for(model.columns())?;
    let mut joint = vec![0.0; model.classes()];
    let class = |row| {
        fill(model, row, &mut joint);
        argmax(&joint) as u32
    };
    Ok(features.iter().map(class).collect())
}

/// ln p(class | row), row-major.
pub(crate) fn log_probabilities(model: &impl Joint, features: Features<'_>) -> Result<Vec<f64>> {
    features.fit_for(model.columns())?;
    let (rows, classes) = (features.rows(), model.classes());
    let mut all = vec![0.0; checks::cells("log-probabilities", rows, classes, MAX_CELLS)?];
    for (row, joint) in features.iter().zip(all.chunks_exact_mut(classes)) {
        fill(model, row, joint);
        normalize(joint);
    }
    Ok(all)
}

fn fill(model: &impl Joint, row: &[f32], joint: &mut [f64]) {
    for (class, joint) in joint.iter_mut().enumerate() {
        *joint = model.joint(class, row);
    }
}

/// Subtracts ln of the sum of the exponentials, the largest taken out so that none overflows.
fn normalize(joint: &mut [f64]) {
    let largest = joint[argmax(joint)];
    let sum = joint.iter().fold(0.0, |sum, x| sum + libm::exp(x - largest));
    let total = largest + libm::log(sum);
    joint.iter_mut().for_each(|x| *x -= total);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_however_small_the_likelihoods() {
        for far in [0.0, -1e3, -1e6] {
            let mut joint = [far, f64::NEG_INFINITY, far + 1.0, far - 2.0];
            normalize(&mut joint);
            let sum: f64 = joint.iter().map(|x| libm::exp(*x)).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
            assert_eq!(joint[1], f64::NEG_INFINITY);
        }
    }
}
