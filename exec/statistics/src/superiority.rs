//! How often a run of one arm scores above a run of the other.

use crate::bisection::last;
use crate::checks;
use crate::error::Result;
use crate::estimate::Interval;
use crate::student;

/// The probability above which Bouthillier et al. call an improvement meaningful ("Accounting for
/// Variance in Machine Learning Benchmarks", 2021, section 5).
pub const MEANINGFUL: f64 = 0.75;

/// P(A > B), the common-language effect size (McGraw and Wong 1992).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Superiority {
    /// The share of all pairs of a score of A and one of B in which that of A is higher, ties half.
    pub probability: f64,
    /// Between which probabilities the true one is.
    pub interval: Interval,
}

/// P(A > B) of arms of at least 2 scores, with the interval that misses it in a share of `level` of
/// the cases.
///
/// The interval is Newcombe's pseudo-score interval ("Confidence intervals for an effect size
/// measure based on the Mann-Whitney statistic. Part 2", 2006, method 5, after Hanley and McNeil),
/// with Student's t of n + m - 2 degrees of freedom in place of z. It needs no estimate of the
/// variance, which of four runs that all lie above the others would be 0: the Brunner-Munzel
/// interval holds the true probability in a sixth of such cases, this one in more than nine tenths
/// (docs/decisions/023-statistics.md has the figures). For paired arms, which vary together, it is
/// too wide.
///
/// # Errors
/// Too few or too many scores, scores that are not finite, a level outside 0.0005 to 0.5.
pub fn superiority(a: &[f64], b: &[f64], level: f64) -> Result<Superiority> {
    checks::arms("P(A > B)", a, b, 2)?;
    checks::level(level)?;
    let mut sorted = b.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let halves: u64 = a
        .iter()
        .map(|score| {
            let below = sorted.partition_point(|other| other < score);
            (below + sorted.partition_point(|other| other <= score)) as u64
        })
        .sum();
    let (n, m) = (a.len() as f64, b.len() as f64);
    let probability = halves as f64 / (2.0 * n * m);
    let reach = student::exceeded_by(level / 2.0, n + m - 2.0);
    // By symmetry, one end of the one is the other end of the other.
    let low = lower(probability, n, m, reach);
    let high = 1.0 - lower(1.0 - probability, n, m, reach);
    Ok(Superiority { probability, interval: Interval { low, high } })
}

/// The lowest probability from which the observed one is no more than `reach` standard deviations.
fn lower(observed: f64, n: f64, m: f64, reach: f64) -> f64 {
    let variance = |p: f64| {
        let common = (n + m) / 2.0 - 1.0;
        p * (1.0 - p) * (1.0 + common * ((1.0 - p) / (2.0 - p) + p / (1.0 + p))) / (n * m)
    };
    let too_far = |p: f64| (observed - p) * (observed - p) > reach * reach * variance(p);
    last(0.0, observed, too_far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        let of = |a: &[f64], b: &[f64]| superiority(a, b, 0.05).unwrap();
        assert_eq!(of(&[1.0, 2.0], &[1.0, 2.0]).probability, 0.5);
        assert_eq!(of(&[1.0, 2.0, 3.0], &[2.0, 2.0]).probability, 0.5);
        assert_eq!(of(&[1.0, 3.0], &[0.0, -0.0, 1.0]).probability, 5.5 / 6.0);
        assert_eq!(of(&[-0.0, 0.0], &[0.0, -0.0]).probability, 0.5);
    }

    #[test]
    fn arms_that_are_apart_have_an_interval() {
        let above = superiority(&[5.0, 6.0, 7.0, 8.0], &[1.0, 2.0, 3.0, 4.0], 0.05).unwrap();
        assert_eq!((above.probability, above.interval.high), (1.0, 1.0));
        // By hand, for an observed 1: (1 - p) n m = reach^2 p (1 + 3 ((1 - p) / (2 - p) + p / (1 + p))).
        let p = above.interval.low;
        let reach = student::exceeded_by(0.025, 6.0);
        let right = reach * reach * p * (1.0 + 3.0 * ((1.0 - p) / (2.0 - p) + p / (1.0 + p)));
        assert!(((1.0 - p) * 16.0 - right).abs() < 1e-9, "{p}");
        assert!(p > 0.4 && p < 0.5, "{p}");
        let below = superiority(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0], 0.05).unwrap();
        assert_eq!((below.probability, below.interval.low), (0.0, 0.0));
        assert!((below.interval.high - (1.0 - p)).abs() < 1e-15);
    }
}
