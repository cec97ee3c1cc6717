//! All that is said of two lists of scores.

use crate::arrangements::Test;
use crate::error::{Result, StatisticsError};
use crate::estimate::{Estimate, Interval};
use crate::permutation::permutation;
use crate::sample::{Moments, exponent, scaled};
use crate::sign_flip::sign_flip;
use crate::student::exceeded_by;
use crate::superiority::{Superiority, superiority};
use crate::verdict::{MIN_RUNS, Side, Verdict};

/// The scores of one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many.
    pub runs: usize,
    /// Their mean; none of no scores.
    pub mean: Option<f64>,
    /// Their standard deviation, of a sample; none of fewer than 2.
    pub deviation: Option<f64>,
}

impl Summary {
    /// Of finite scores.
    pub fn of(scores: &[f64]) -> Self {
        let runs = scores.len();
        if runs == 0 {
            return Self { runs, mean: None, deviation: None };
        }
        let power = exponent(scores);
        let moments = Moments::of(&scaled(scores, power));
        let deviation = libm::ldexp(moments.variance.sqrt(), power);
        Self {
            runs,
            mean: Some(libm::ldexp(moments.mean, power)),
            deviation: (runs > 1).then_some(deviation),
        }
    }

    /// Where the mean of all runs that could be made lies, with this confidence, if the scores are spread
    /// normally: Student's interval. None below two scores, or for a level that is not between 0 and 1.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let (mean, deviation) = (self.mean?, self.deviation?);
        if !(level > 0.0 && level < 1.0) {
            return None;
        }
        let runs = self.runs as f64;
        let half = exceeded_by((1.0 - level) / 2.0, runs - 1.0) * deviation / runs.sqrt();
        Some(Interval { low: mean - half, high: mean + half })
    }
}

/// What is asked of the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Demands {
    pub(crate) higher_is_better: bool,
    pub(crate) level: f64,
    pub(crate) power: f64,
    pub(crate) margin: Option<f64>,
}

/// All that is said of two lists of scores. What their number or lack of spread does not allow is
/// none.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The scores of A.
    pub a: Summary,
    /// The scores of B.
    pub b: Summary,
    /// Whether they were taken as pairs.
    pub paired: bool,
    /// The difference of the means, A - B, with its standard error: Welch's, or that of the
    /// differences of pairs.
    pub estimate: Option<Estimate>,
    /// The interval of that difference, at the level of the comparison.
    pub interval: Option<Interval>,
    /// How often a run of A beats one of B: scores higher, or lower if lower is better.
    pub superiority: Option<Superiority>,
    /// The permutation test, or the sign-flip test of pairs.
    pub test: Option<Test>,
    /// The p that decided: that of the test, adjusted if several arms were compared.
    pub p: Option<f64>,
    /// The p of the two one-sided tests with the margin, likewise; none without a margin.
    pub equivalence: Option<f64>,
    /// The least true difference that runs as many and as spread as these would have shown, with
    /// the power of the comparison. It is asked at the level that the test can really have.
    pub detectable: Option<f64>,
    /// What follows from these scores alone.
    pub verdict: Verdict,
}

/// None where there are too few scores, or none that vary.
pub(crate) fn possible<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StatisticsError::TooFew { .. } | StatisticsError::NoSpread(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl View {
    /// Of scores, which stand in the order of their pairs if they are paired.
    pub(crate) fn of(a: &[f64], b: &[f64], paired: bool, demands: &Demands) -> Result<Self> {
        let estimate = match paired {
            true => possible(Estimate::paired(a, b))?,
            false => possible(Estimate::welch(a, b))?,
        };
        let test = possible(if paired { sign_flip(a, b) } else { permutation(a, b) })?;
        let (winning, losing) = if demands.higher_is_better { (a, b) } else { (b, a) };
        let attainable = test.and_then(|test| test.attainable(demands.level));
        let detectable = estimate
            .zip(attainable)
            .map(|(estimate, level)| estimate.design().minimum_detectable(level, demands.power));
        let margin = estimate.zip(demands.margin);
        let equivalence = margin.map(|(estimate, margin)| estimate.equivalence(margin));
        let mut view = Self {
            a: Summary::of(a),
            b: Summary::of(b),
            paired,
            estimate,
            interval: estimate.map(|estimate| estimate.interval(demands.level)).transpose()?,
            superiority: possible(superiority(winning, losing, demands.level))?,
            test,
            p: test.map(|test| test.p),
            equivalence: equivalence.transpose()?,
            detectable: detectable.transpose()?,
            verdict: Verdict::NotPossible,
        };
        view.decide(demands);
        Ok(view)
    }

    /// Whether there are runs enough for a verdict.
    pub(crate) fn decidable(&self) -> bool {
        self.a.runs >= MIN_RUNS && self.b.runs >= MIN_RUNS
    }

    /// Takes these p, of the test and of equivalence, for its own.
    pub(crate) fn adjust(
        &mut self,
        (p, equivalence): (Option<f64>, Option<f64>),
        demands: &Demands,
    ) {
        (self.p, self.equivalence) = (p, equivalence);
        self.decide(demands);
    }

    /// The verdict from the p as they are now.
    fn decide(&mut self, demands: &Demands) {
        if !self.decidable() {
            return;
        }
        let found = |p: Option<f64>| p.is_some_and(|p| p <= demands.level);
        let a_is_better = (self.a.mean > self.b.mean) == demands.higher_is_better;
        let side = if a_is_better { Side::A } else { Side::B };
        self.verdict = Verdict::of(found(self.p).then_some(side), found(self.equivalence));
    }
}
