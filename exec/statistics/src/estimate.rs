//! How large a difference of means is, and how well that is known.

use crate::checks;
use crate::design::{Design, satterthwaite};
use crate::error::{Result, StatisticsError};
use crate::sample::{Moments, exponent, scaled};
use crate::student;

/// From where to where, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A difference of means, A - B, in the units of the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    difference: f64,
    design: Design,
}

impl Estimate {
    /// Of two arms of at least 2 scores each, whose spreads need not be equal (Welch, 1947, as
    /// SciPy's `ttest_ind(equal_var=False)`).
    ///
    /// # Errors
    /// Too few scores or too many, scores that are not finite, a difference that overflows, and
    /// [`StatisticsError::NoSpread`] if both arms are constant. SciPy then has NaN. An interval
    /// without width would claim that the next run gives the same again, which two equal runs do
    /// not show: more often nothing was varied between them.
    pub fn welch(a: &[f64], b: &[f64]) -> Result<Self> {
        checks::arms("Welch's interval", a, b, 2)?;
        let exponent = exponent(a.iter().chain(b));
        let [a, b] = [a, b].map(|arm| Moments::of(&scaled(arm, exponent)));
        let (of_a, of_b) = (a.of_mean(), b.of_mean());
        let degrees = satterthwaite(of_a, a.count, of_b, b.count);
        let design = Design { standard_error: (of_a + of_b).sqrt(), degrees };
        Self::scaled(a.mean - b.mean, design, exponent, "scores of each arm")
    }

    /// Of at least 2 pairs: the scores of A and of B under the same seed and split, in the same
    /// order. Student's t of the differences (as SciPy's `ttest_rel`).
    ///
    /// # Errors
    /// As [`Estimate::welch`], arms of different sizes, differences that are all equal.
    pub fn paired(a: &[f64], b: &[f64]) -> Result<Self> {
        let (differences, exponent) = differences("the paired interval", a, b, 2)?;
        let moments = Moments::of(&differences);
        let design =
            Design { standard_error: moments.of_mean().sqrt(), degrees: moments.count - 1.0 };
        Self::scaled(moments.mean, design, exponent, "differences of the pairs")
    }

    /// In the units of the scores, which were divided by two to that power; `of` names what should
    /// have varied. A standard error of 0 is also one that only the last bits of a float tell.
    pub(crate) fn scaled(
        difference: f64,
        design: Design,
        power: i32,
        of: &'static str,
    ) -> Result<Self> {
        let difference = libm::ldexp(difference, power);
        let standard_error = libm::ldexp(design.standard_error, power);
        checks::result("the difference of the means", difference)?;
        checks::result("the standard error", standard_error)?;
        if standard_error == 0.0 {
            return Err(StatisticsError::NoSpread(of));
        }
        Ok(Self { difference, design: Design { standard_error, ..design } })
    }

    /// The difference.
    pub fn difference(&self) -> f64 {
        self.difference
    }

    /// How far it would vary if all was done again.
    pub fn design(&self) -> Design {
        self.design
    }

    /// t of the difference: how many standard errors it is from 0.
    pub fn t(&self) -> f64 {
        self.difference / self.design.standard_error
    }

    /// The two-sided p of Student's or Welch's test that the true difference is 0.
    pub fn p(&self) -> f64 {
        student::two_sided(self.t(), self.design.degrees)
    }

    /// The interval that has the true difference in it in all but a share of `level` of the cases:
    /// 0.05 for 95 %.
    ///
    /// # Errors
    /// A level outside 0.0005 to 0.5, an end that overflows.
    pub fn interval(&self, level: f64) -> Result<Interval> {
        checks::level(level)?;
        let reach = student::exceeded_by(level / 2.0, self.design.degrees);
        let reach = reach * self.design.standard_error;
        Ok(Interval {
            low: checks::result("the lower end of the interval", self.difference - reach)?,
            high: checks::result("the upper end of the interval", self.difference + reach)?,
        })
    }

    /// The p of two one-sided tests that the true difference is at least as large as the margin, on
    /// one side or the other (Schuirmann, "A comparison of the two one-sided tests procedure and
    /// the power approach", 1987): a small one says that it lies within. At a level of 0.05 that is
    /// so if the 90 % interval lies within.
    ///
    /// # Errors
    /// A margin that is not positive and finite.
    pub fn equivalence(&self, margin: f64) -> Result<f64> {
        checks::range("margin", margin, (f64::MIN_POSITIVE, f64::MAX))?;
        // The side on which the difference lies is the one on which less room is left.
        let room = margin - self.difference.abs();
        Ok(student::above(room / self.design.standard_error, self.design.degrees))
    }
}

/// The differences A - B of pairs, divided by two to the power that is returned with them.
pub(crate) fn differences(
    test: &'static str,
    a: &[f64],
    b: &[f64],
    needed: usize,
) -> Result<(Vec<f64>, i32)> {
    checks::arms(test, a, b, needed)?;
    if a.len() != b.len() {
        return Err(StatisticsError::Unpaired { a: a.len(), b: b.len() });
    }
    let exponent = exponent(a.iter().chain(b));
    let (a, b) = (scaled(a, exponent), scaled(b, exponent));
    Ok((a.iter().zip(&b).map(|(a, b)| a - b).collect(), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_constant_arms_nothing_is_said() {
        let nothing = Err(StatisticsError::NoSpread("scores of each arm"));
        assert_eq!(Estimate::welch(&[0.1; 3], &[0.3; 4]), nothing);
        assert!(Estimate::paired(&[0.5, 0.75], &[0.25, 0.5]).is_err());
        // One of them: the other tells the spread, with its degrees of freedom.
        let one = Estimate::welch(&[0.5; 3], &[0.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((one.difference, one.design.degrees), (-1.0, 3.0));
    }

    #[test]
    fn what_overflows_is_refused() {
        let huge = [f64::MAX, f64::MAX / 2.0];
        let error = Estimate::welch(&huge, &[-f64::MAX, -f64::MAX / 2.0]).unwrap_err();
        assert!(matches!(error, StatisticsError::Overflow(_)), "{error}");
        let wide = Estimate::welch(&huge, &[0.0, 0.0]).unwrap();
        assert!(wide.interval(0.05).is_err());
    }

    #[test]
    fn nothing_is_equivalent_to_what_is_beyond_the_margin() {
        let estimate = Estimate::welch(&[1.0, 2.0, 3.0], &[0.0, 0.1, 0.2]).unwrap();
        assert!(estimate.equivalence(estimate.difference).unwrap() == 0.5);
        assert!(estimate.equivalence(estimate.difference / 2.0).unwrap() > 0.5);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(estimate.equivalence(bad).is_err(), "{bad}");
        }
    }
}
