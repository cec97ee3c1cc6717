//! What a test of arrangements answers, and which scores count as rounding.

use crate::sample::{exponent, scaled};

/// Most scores of both arms together, and most pairs, of which all arrangements are counted for a
/// mean difference, whatever their number: a second half of 2^20 sums is the most that is kept.
pub const MAX_POOLED: usize = 40;

/// What is computed of each arrangement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The difference of the means.
    MeanDifference,
    /// That difference in units of its own standard error: Welch's t.
    Studentised,
}

impl Statistic {
    /// The one for arms of n and m scores: studentised unless they are of one size.
    ///
    /// A plain permutation test asks whether the distributions are equal, and is wrong about the
    /// means where the smaller arm varies more. Studentised it stays exact for equal distributions
    /// and becomes right for unequal ones as arms grow (Neuhaus 1993; Janssen 1997; Neubert and
    /// Brunner 2007; Chung and Romano 2013). For arms of one size no choice by their spreads is
    /// needed: there Welch's t grows with the mean difference, whatever the arrangement, so both
    /// order the arrangements alike and the tests are one and the same.
    pub fn for_sizes(n: usize, m: usize) -> Self {
        if n == m { Self::MeanDifference } else { Self::Studentised }
    }
}

/// The arrangements that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangements {
    /// All, of that number: the p is exact.
    Every(u64),
    /// So many drawn at random: the p has a standard error of sqrt(p (1 - p) / draws).
    Drawn(u64),
}

/// A two-sided test by arrangements of the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// The share of arrangements at least as extreme as the one that was observed, itself among
    /// them; of drawn ones (1 + hits) / (1 + draws), which is never too small (Phipson and Smyth,
    /// "Permutation p-values should never be zero", 2010).
    pub p: f64,
    /// What was computed of each.
    pub statistic: Statistic,
    /// Which were looked at.
    pub arrangements: Arrangements,
    /// The least p that arms of these sizes can have.
    pub smallest: f64,
}

impl Test {
    pub(crate) fn exact(hits: u64, all: u64, statistic: Statistic, mirrored: bool) -> Self {
        let least = if mirrored { 2 } else { 1 };
        Self {
            p: hits as f64 / all as f64,
            statistic,
            arrangements: Arrangements::Every(all),
            smallest: least as f64 / all as f64,
        }
    }

    pub(crate) fn drawn(hits: u64, draws: u64, statistic: Statistic) -> Self {
        let smallest = 1.0 / (1 + draws) as f64;
        let arrangements = Arrangements::Drawn(draws);
        Self { p: (1 + hits) as f64 * smallest, statistic, arrangements, smallest }
    }

    /// The largest p up to that level that a test of these sizes can have: how often it really
    /// raises a false alarm if it is asked for the level. None if it cannot find anything there.
    pub fn attainable(&self, level: f64) -> Option<f64> {
        let attained = (level / self.smallest + 1e-9).floor() * self.smallest;
        (attained > 0.0).then_some(attained.min(level))
    }
}

/// How many arrangements are drawn where all are too many: 199,999, and fewer for arms of more
/// than 500 scores, so that it never takes more than a second.
pub(crate) fn draws(size: usize) -> u64 {
    match size {
        0..=500 => 199_999,
        501..=5_000 => 19_999,
        _ => 9_999,
    }
}

/// How far two means of `count` scores below 1 in size may be apart and be the same but for
/// rounding: sixteen units in the last place of the largest score, as 0.91 + 0.93 and 0.92 + 0.92
/// are one apart, and what adding up may lose.
pub(crate) fn rounding(count: usize) -> f64 {
    (32 + count) as f64 * (f64::EPSILON / 2.0)
}

/// Both arms sorted and below 1 in size, the smaller first, of equal sizes the one with the smaller
/// scores: so nothing depends on which came first.
pub(crate) fn in_order(a: &[f64], b: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let exponent = exponent(a.iter().chain(b));
    let [a, b] = [a, b].map(|arm| {
        let mut arm = scaled(arm, exponent);
        arm.sort_unstable_by(f64::total_cmp);
        arm
    });
    let later = (a.len(), &a).partial_cmp(&(b.len(), &b)).is_some_and(|order| order.is_gt());
    if later { (b, a) } else { (a, b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_that_four_runs_can_have() {
        let test = Test::exact(2, 70, Statistic::MeanDifference, true);
        assert_eq!(test.attainable(0.05), Some(2.0 / 70.0));
        assert_eq!(test.attainable(4.0 / 70.0), Some(4.0 / 70.0));
        assert_eq!(test.attainable(0.02), None);
        // 0.3 is a hair below three times 0.1.
        let test = Test::exact(2, 20, Statistic::MeanDifference, true);
        assert_eq!((test.attainable(0.3), test.attainable(0.29)), (Some(0.3), Some(0.2)));
        // Of drawn ones any, as good as.
        let drawn = Test::drawn(0, 199_999, Statistic::Studentised);
        assert_eq!(drawn.p, 1.0 / 200_000.0);
        assert_eq!(drawn.attainable(0.05), Some(0.05));
    }

    #[test]
    fn order_does_not_matter() {
        let (a, b) = ([3.0, -0.0, 1.0], [2.0, 4.0]);
        let ordered = in_order(&a, &b);
        assert_eq!(ordered, in_order(&b, &[1.0, 3.0, 0.0]));
        assert_eq!(ordered, (vec![0.25, 0.5], vec![0.0, 0.125, 0.375]));
        assert_eq!(in_order(&[2.0], &[1.0]), in_order(&[1.0], &[2.0]));
    }
}
