//! What a number of runs can find, before they are made or after nothing was found.
//!
//! For the t test, by the noncentral t distribution (Cohen, "Statistical Power Analysis for the
//! Behavioral Sciences", 1988, chapter 2; as statsmodels' `TTestIndPower`). A permutation test of
//! the same mean difference finds about as much, once there are levels enough between which to
//! choose; with four runs per arm there are few, and `crate::view` asks for one of those.

use crate::bisection::{beyond, last};
use crate::checks::{self, MAX_RUNS, range};
use crate::error::{Result, StatisticsError};
use crate::{noncentral, student};

/// The powers that are accepted.
pub(crate) const POWERS: (f64, f64) = (0.5, 0.999);
/// An effect, in standard errors, that is always found.
const FAR: f64 = 1e6;

/// How far a difference of means would vary if all was done again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Design {
    pub(crate) standard_error: f64,
    pub(crate) degrees: f64,
}

impl Design {
    /// Arms of n and m runs whose scores have one standard deviation.
    ///
    /// # Errors
    /// Fewer than 2 runs in an arm or too many, a deviation that is not positive and finite.
    pub fn pooled(n: usize, m: usize, deviation: f64) -> Result<Self> {
        sizes(&[n, m])?;
        deviations(&[deviation])?;
        let (n, m) = (n as f64, m as f64);
        let standard_error = deviation * (1.0 / n + 1.0 / m).sqrt();
        Self { standard_error, degrees: n + m - 2.0 }.checked()
    }

    /// Arms of n and m runs with standard deviations of their own; the degrees of freedom are
    /// those of Welch and Satterthwaite (Welch, "The generalization of 'Student's' problem", 1947).
    ///
    /// # Errors
    /// As [`Design::pooled`]; one of the deviations may be 0.
    pub fn welch((n, of_a): (usize, f64), (m, of_b): (usize, f64)) -> Result<Self> {
        sizes(&[n, m])?;
        if of_a == 0.0 || of_b == 0.0 {
            deviations(&[of_a.max(of_b)])?;
        } else {
            deviations(&[of_a, of_b])?;
        }
        // Squares of the ratio to the larger neither overflow nor vanish together.
        let largest = of_a.max(of_b);
        let (n, m) = (n as f64, m as f64);
        let (a, b) = ((of_a / largest).powi(2) / n, (of_b / largest).powi(2) / m);
        let standard_error = largest * (a + b).sqrt();
        Self { standard_error, degrees: satterthwaite(a, n, b, m) }.checked()
    }

    /// Pairs of runs whose differences have that standard deviation.
    ///
    /// # Errors
    /// Fewer than 2 pairs or too many, a deviation that is not positive and finite.
    pub fn paired(pairs: usize, deviation: f64) -> Result<Self> {
        sizes(&[pairs])?;
        deviations(&[deviation])?;
        let n = pairs as f64;
        Self { standard_error: deviation / n.sqrt(), degrees: n - 1.0 }.checked()
    }

    fn checked(self) -> Result<Self> {
        checks::result("the standard error", self.standard_error)?;
        Ok(self)
    }

    /// The standard deviation of the difference, in the units of the scores. Never 0.
    pub fn standard_error(&self) -> f64 {
        self.standard_error
    }

    /// The degrees of freedom with which that is known; at least 1.
    pub fn degrees(&self) -> f64 {
        self.degrees
    }

    /// How often a true difference of that size, on either side, is found at that level: 0 to 1.
    /// The level is the chance of finding one where there is none.
    ///
    /// # Errors
    /// A level outside 0.0005 to 0.5, an effect that is no finite number.
    pub fn power(&self, effect: f64, level: f64) -> Result<f64> {
        checks::level(level)?;
        checks::finite("effects", &[effect])?;
        let shift = effect.abs() / self.standard_error;
        let critical = student::exceeded_by(level / 2.0, self.degrees);
        Ok(power(shift.min(FAR), self.degrees, critical))
    }

    /// The least true difference that is found with that probability at that level, in the units of
    /// the scores.
    ///
    /// # Errors
    /// A level outside 0.0005 to 0.5, a power outside 0.5 to 0.999, a result that overflows.
    pub fn minimum_detectable(&self, level: f64, wanted: f64) -> Result<f64> {
        checks::level(level)?;
        range("power", wanted, POWERS)?;
        let critical = student::exceeded_by(level / 2.0, self.degrees);
        let missed = |shift: f64| power(shift, self.degrees, critical) < wanted;
        let shift = last(0.0, beyond(missed), missed);
        checks::result("the minimum detectable effect", shift * self.standard_error)
    }
}

fn sizes(runs: &[usize]) -> Result<()> {
    runs.iter().try_for_each(|n| checks::count("a design", "runs", *n, (2, MAX_RUNS)))
}

fn deviations(of: &[f64]) -> Result<()> {
    of.iter().try_for_each(|deviation| {
        range("standard deviation", *deviation, (f64::MIN_POSITIVE, f64::MAX))
    })
}

/// The degrees of freedom of a difference of means whose variances are a and b.
pub(crate) fn satterthwaite(a: f64, n: f64, b: f64, m: f64) -> f64 {
    // By their shares, since the squares of small variances vanish.
    let (a, b) = (a / (a + b), b / (a + b));
    1.0 / (a * a / (n - 1.0) + b * b / (m - 1.0))
}

/// The chance of a t beyond the critical one, on either side.
fn power(shift: f64, degrees: f64, critical: f64) -> f64 {
    let inside_or_above = noncentral::above(-critical, degrees, -shift);
    let far_below = noncentral::above(critical, degrees, -shift);
    (1.0 - inside_or_above + far_below).clamp(0.0, 1.0)
}

/// How many runs per arm find a true difference of that size with that probability, for scores
/// with these standard deviations. At least 2.
///
/// # Errors
/// An effect or a deviation that is not positive and finite, a level outside 0.0005 to 0.5, a power
/// outside 0.5 to 0.999; [`StatisticsError::OutOfReach`] if [`MAX_RUNS`] are not enough.
pub fn runs_per_arm(effect: f64, deviations: (f64, f64), level: f64, wanted: f64) -> Result<usize> {
    range("effect", effect, (f64::MIN_POSITIVE, f64::MAX))?;
    range("power", wanted, POWERS)?;
    let finds = |n: usize| {
        let design = Design::welch((n, deviations.0), (n, deviations.1))?;
        Ok(design.power(effect, level)? >= wanted)
    };
    let (mut too_few, mut enough) = (1, 2);
    while !finds(enough)? {
        if enough == MAX_RUNS {
            return Err(StatisticsError::OutOfReach { effect, limit: MAX_RUNS as u64 });
        }
        (too_few, enough) = (enough, (enough * 2).min(MAX_RUNS));
    }
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if finds(middle)? {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Ok(enough)
}
