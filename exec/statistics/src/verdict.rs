//! What may be said of two arms, and nothing more.

use std::fmt;

/// Fewest runs per arm of which anything is said: with 3 and 3 the least p is 0.1.
pub const MIN_RUNS: usize = 4;
/// Fewest pairs for the sign-flip test: with 5 the least p is 0.0625.
pub const MIN_PAIRS: usize = 6;

/// One of the arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Side::A { "A" } else { "B" })
    }
}

/// What follows from the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Fewer than [`MIN_RUNS`] in an arm.
    NotPossible,
    /// The test finds a difference of the means, in favour of this arm.
    Better(Side),
    /// It finds one, and the equivalence test finds that it is smaller than the margin.
    BetterWithinMargin(Side),
    /// The difference is smaller than the margin that was stated. Never said without a margin.
    WithinMargin,
    /// Neither: there may be a difference, and there may be none.
    NotShown,
    /// With crashed runs counted as worst something else follows than without them.
    DependsOnCrashes,
}

impl Verdict {
    /// From whether a difference was found, in favour of which arm, and whether it was found to be
    /// within the margin.
    pub(crate) fn of(better: Option<Side>, within: bool) -> Self {
        match (better, within) {
            (Some(side), true) => Self::BetterWithinMargin(side),
            (Some(side), false) => Self::Better(side),
            (None, true) => Self::WithinMargin,
            (None, false) => Self::NotShown,
        }
    }

    /// The arm that was found to be better.
    pub fn better(&self) -> Option<Side> {
        match self {
            Self::Better(side) | Self::BetterWithinMargin(side) => Some(*side),
            _ => None,
        }
    }

    /// What remains if one of two ways to count crashed runs leads here and the other there.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self.better(), other.better()) {
            _ if self == other => self,
            (Some(a), Some(b)) if a == b => Self::Better(a),
            _ => Self::DependsOnCrashes,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPossible => {
                write!(f, "no verdict possible: at least {MIN_RUNS} runs per arm are needed")
            }
            Self::Better(side) => write!(f, "{side} is better"),
            Self::BetterWithinMargin(side) => {
                write!(f, "{side} is better, by less than the margin")
            }
            Self::WithinMargin => f.write_str("the difference is smaller than the margin"),
            Self::NotShown => f.write_str("no difference is shown"),
            Self::DependsOnCrashes => {
                f.write_str("no difference is shown that holds with and without the crashed runs")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_called_equal() {
        let all = [
            Verdict::NotPossible,
            Verdict::Better(Side::A),
            Verdict::BetterWithinMargin(Side::B),
            Verdict::WithinMargin,
            Verdict::NotShown,
            Verdict::DependsOnCrashes,
        ];
        for verdict in all {
            let words = verdict.to_string();
            for word in ["equal", "equivalent", "same", "identical", "no difference between"] {
                assert!(!words.contains(word), "{words}");
            }
        }
    }

    #[test]
    fn both_ways_of_counting_have_to_agree() {
        let [a, b] = [Side::A, Side::B].map(Verdict::Better);
        let within = Verdict::BetterWithinMargin(Side::A);
        assert_eq!(a.and(a), a);
        assert_eq!(a.and(within), a);
        assert_eq!(within.and(within), within);
        for (one, other) in [(a, b), (a, Verdict::NotShown), (Verdict::NotPossible, b)] {
            assert_eq!(one.and(other), Verdict::DependsOnCrashes);
            assert_eq!(other.and(one), Verdict::DependsOnCrashes);
        }
        assert_eq!(Verdict::NotShown.and(Verdict::NotShown), Verdict::NotShown);
    }
}
