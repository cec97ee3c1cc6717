//! Whether pairing pays: how much the scores of paired runs vary together.

use crate::checks;
use crate::error::{Result, StatisticsError};
use crate::estimate::Interval;
use crate::normal;
use crate::sample::{Moments, exponent, scaled};

/// Pearson's correlation of the scores of pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// -1 to 1.
    pub r: f64,
    /// Between which values the true one is, by Fisher's z; none of fewer than 4 pairs, and none
    /// if r is 1 or -1.
    pub interval: Option<Interval>,
}

/// Pearson's correlation of at least 3 pairs, with the interval that misses it in a share of
/// `level` of the cases. Sharing seeds and splits between arms makes small differences visible as
/// far as it correlates them, which has to be looked at and cannot be assumed.
///
/// # Errors
/// Arms of different sizes, too few or too many pairs, scores that are not finite, an arm whose
/// scores are all equal, a level outside 0.0005 to 0.5.
pub fn correlation(a: &[f64], b: &[f64], level: f64) -> Result<Correlation> {
    checks::arms("the correlation", a, b, 3)?;
    checks::level(level)?;
    if a.len() != b.len() {
        return Err(StatisticsError::Unpaired { a: a.len(), b: b.len() });
    }
    let n = a.len() as f64;
    // Each arm in a unit of its own, since r has none, and twice, since the distances from the mean
    // may be far smaller than the scores.
    let [a, b] = [a, b].map(|arm| {
        let arm = scaled(arm, exponent(arm));
        let mean = Moments::of(&arm).mean;
        let constant = arm.iter().all(|score| *score == arm[0]);
        let distances = arm.iter().map(|score| if constant { 0.0 } else { score - mean });
        let distances: Vec<f64> = distances.collect();
        scaled(&distances, exponent(&distances))
    });
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (of_a, of_b) = (product(&a, &a), product(&b, &b));
    if of_a == 0.0 || of_b == 0.0 {
        return Err(StatisticsError::NoSpread("scores of one arm"));
    }
    let r = (product(&a, &b) / (of_a.sqrt() * of_b.sqrt())).clamp(-1.0, 1.0);
    let interval = (n > 3.0 && r.abs() < 1.0).then(|| {
        let (z, reach) = (libm::atanh(r), normal::exceeded_by(level / 2.0) / (n - 3.0).sqrt());
        Interval { low: libm::tanh(z - reach), high: libm::tanh(z + reach) }
    });
    Ok(Correlation { r, interval })
}
