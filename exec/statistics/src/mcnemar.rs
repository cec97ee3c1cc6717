//! Whether one of two models is right more often, on the same examples.
//!
//! This speaks of two trained models, not of the methods that made them: another seed may give a
//! model that is right elsewhere.

use crate::beta::{coin, coin_at_most};
use crate::checks;
use crate::error::{Result, StatisticsError};

/// Most examples on which the models differ.
const MAX_DISCORDANT: usize = (1 << 31) - 1;

/// McNemar's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// The exact two-sided p: of a fair coin for each example on which one model is right and the
    /// other wrong.
    pub exact: f64,
    /// The p with half the probability of what was observed (Fagerland, Lydersen, Laake, "The
    /// McNemar test for binary matched-pairs data: mid-p and asymptotic are better than exact
    /// conditional", 2013). It is less cautious: below the level about as often as it says, where
    /// the exact p is below it more rarely.
    pub mid: f64,
}

/// How often only A is right, and how often only B is, of two lists of what was right, in the
/// same order of examples.
///
/// # Errors
/// Lists of different lengths.
pub fn discordant(a: &[bool], b: &[bool]) -> Result<(u64, u64)> {
    if a.len() != b.len() {
        return Err(StatisticsError::Unpaired { a: a.len(), b: b.len() });
    }
    let only = |x: &[bool], y: &[bool]| x.iter().zip(y).filter(|(x, y)| **x && !**y).count() as u64;
    Ok((only(a, b), only(b, a)))
}

/// McNemar's test that A and B are right equally often, of the numbers of examples on which only A
/// and only B is right ([`discordant`]). Both are 1 if there are none.
///
/// # Errors
/// 2^31 such examples or more.
pub fn mcnemar(only_a: u64, only_b: u64) -> Result<McNemar> {
    let found = only_a.saturating_add(only_b);
    let number = usize::try_from(found).unwrap_or(usize::MAX);
    checks::count("McNemar's test", "discordant examples", number, (0, MAX_DISCORDANT))?;
    let fewer = only_a.min(only_b);
    let tails = 2.0 * coin_at_most(fewer, found);
    let exact = tails.min(1.0);
    Ok(McNemar { exact, mid: (tails - coin(fewer, found)).clamp(0.0, 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_of_them_counts() {
        let found = discordant(&[true, true, false, false], &[true, false, true, false]);
        assert_eq!(found, Ok((1, 1)));
        assert!(discordant(&[true], &[]).is_err());
    }

    #[test]
    fn by_hand() {
        assert_eq!(mcnemar(0, 0), Ok(McNemar { exact: 1.0, mid: 1.0 }));
        assert_eq!(mcnemar(3, 3), Ok(McNemar { exact: 1.0, mid: 1.0 }));
        let test = mcnemar(0, 5).unwrap();
        assert!((test.exact - 0.0625).abs() < 1e-15 && (test.mid - 0.03125).abs() < 1e-15);
        assert_eq!(mcnemar(5, 0), mcnemar(0, 5));
        let many = mcnemar(u64::MAX, 1).unwrap_err();
        assert!(many.to_string().ends_with("the limit is 2147483647"), "{many}");
    }
}
