//! What every function asks of its inputs.
//!
//! All checks stand before the work and the allocations that they bound.

use crate::error::{Result, StatisticsError};

/// Most scores of an arm.
pub const MAX_RUNS: usize = 10_000;
/// The levels that are accepted, as shares of false alarms: below the lowest, a minimum detectable
/// effect with one degree of freedom would take seconds.
pub(crate) const LEVELS: (f64, f64) = (0.0005, 0.5);

/// Whether none is NaN or infinite.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(StatisticsError::NotFinite { what, index, value: values[index] }),
    }
}

/// Whether there are that many.
pub(crate) fn count(
    test: &'static str,
    what: &'static str,
    found: usize,
    (needed, limit): (usize, usize),
) -> Result<()> {
    let (found, needed, limit) = (found as u64, needed as u64, limit as u64);
    if found < needed {
        return Err(StatisticsError::TooFew { test, what, found, needed });
    }
    match found <= limit {
        true => Ok(()),
        false => Err(StatisticsError::TooMany { what, found, limit }),
    }
}

/// Whether these are two arms of finite scores, at least `needed` each.
pub(crate) fn arms(test: &'static str, a: &[f64], b: &[f64], needed: usize) -> Result<()> {
    for (what, arm) in [("scores of A", a), ("scores of B", b)] {
        count(test, what, arm.len(), (needed, MAX_RUNS))?;
        finite(what, arm)?;
    }
    Ok(())
}

/// Whether the demand lies in its range; NaN does not.
pub(crate) fn range(what: &'static str, value: f64, (low, high): (f64, f64)) -> Result<()> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(StatisticsError::Range { what, value, low, high }),
    }
}

/// Whether a level of false alarms is one that is accepted.
pub(crate) fn level(level: f64) -> Result<()> {
    range("level", level, LEVELS)
}

/// The result, unless it overflowed.
pub(crate) fn result(what: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(StatisticsError::Overflow(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_score_is_named() {
        let error = arms("x", &[1.0, f64::NAN], &[1.0, 2.0], 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "number 1 of the scores of A is NaN: a finite number is needed"
        );
        let error = arms("x", &[1.0, 2.0], &[f64::INFINITY, 2.0], 2).unwrap_err();
        assert!(error.to_string().starts_with("number 0 of the scores of B is inf"), "{error}");
        let error = arms("the test", &[1.0, 2.0], &[1.0], 2).unwrap_err();
        assert_eq!(error.to_string(), "the test needs at least 2 scores of B, not 1");
        let many = vec![0.0; MAX_RUNS + 1];
        let error = arms("x", &many, &[1.0, 2.0], 2).unwrap_err();
        assert_eq!(error.to_string(), "there are 10001 scores of A: the limit is 10000");
        assert_eq!(arms("x", &many[1..], &many[1..], 2), Ok(()));
    }

    #[test]
    fn no_number_is_in_no_range() {
        assert_eq!(level(0.05), Ok(()));
        for bad in [0.0, -0.1, 0.51, 1.0, f64::NAN, f64::INFINITY] {
            assert!(level(bad).is_err(), "{bad}");
        }
    }
}
