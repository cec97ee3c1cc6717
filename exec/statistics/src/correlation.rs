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
    // Each arm in a unit of its own, since r has none.
    let [a, b] = [a, b].map(|arm| {
        let arm = scaled(arm, exponent(arm));
        let mean = Moments::of(&arm).mean;
        arm.iter().map(|score| score - mean).collect::<Vec<f64>>()
    });
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (of_a, of_b) = (product(&a, &a), product(&b, &b));
    if of_a == 0.0 || of_b == 0.0 {
        return Err(StatisticsError::NoSpread("scores of one arm"));
    }
    let r = (product(&a, &b) / (of_a * of_b).sqrt()).clamp(-1.0, 1.0);
    let interval = (n > 3.0 && r.abs() < 1.0).then(|| {
        let (z, reach) = (libm::atanh(r), normal::exceeded_by(level / 2.0) / (n - 3.0).sqrt());
        Interval { low: libm::tanh(z - reach), high: libm::tanh(z + reach) }
    });
    Ok(Correlation { r, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_vary_is_not_correlated() {
        for value in [0.1, 1.0 / 3.0, 1e300] {
            let error = correlation(&[value; 5], &[1.0, 2.0, 3.0, 4.0, 6.0], 0.05).unwrap_err();
            assert_eq!(error, StatisticsError::NoSpread("scores of one arm"));
        }
    }

    #[test]
    fn neither_unit_nor_size_matters() {
        let (a, b) = ([1.0, 2.0, 4.0, 3.0], [0.25, 0.5, 0.5, 1.0]);
        let plain = correlation(&a, &b, 0.05).unwrap();
        let tiny = a.map(|score| score * 2_f64.powi(-1000));
        assert_eq!(correlation(&tiny, &b.map(|score| score * 2_f64.powi(1000)), 0.05), Ok(plain));
        assert_eq!(correlation(&a, &a.map(|score| -score), 0.05).unwrap().r, -1.0);
        assert_eq!(correlation(&a, &a, 0.05), Ok(Correlation { r: 1.0, interval: None }));
        assert_eq!(correlation(&a[1..], &b[1..], 0.05).unwrap().interval, None);
        assert!(correlation(&a, &b[1..], 0.05).is_err());
    }
}
