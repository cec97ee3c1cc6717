//! Whether the labels of two arms matter: the permutation test.
//!
//! If nothing distinguishes the arms, each way of dealing the scores to them was as likely as the
//! one that was observed. The share of ways that are at least as extreme is then a p that is right
//! for any number of scores of any distribution (Fisher 1935; Pitman 1937).

use crate::arrangements::{MAX_POOLED, Statistic, Test, draws, in_order, rounding};
use crate::checks;
use crate::error::Result;
use crate::pooled::Pooled;
use crate::subsets;

/// Most arrangements that are gone through one by one.
pub const MAX_ENUMERATED: u64 = 5_000_000;

/// The two-sided permutation test of a difference of means, with the statistic for arms of these
/// sizes ([`Statistic::for_sizes`]). At least 2 scores per arm; below 4 it can find nothing at a
/// level of 5 % (20 arrangements of 3 and 3, in pairs).
///
/// Exact up to 40 scores if the arms are of one size, and else up to [`MAX_ENUMERATED`]
/// arrangements; above, arrangements are drawn. A difference that is rounding at most counts as
/// none, so equal scores are ties whatever their binary fractions are.
///
/// # Errors
/// Too few or too many scores, scores that are not finite.
pub fn permutation(a: &[f64], b: &[f64]) -> Result<Test> {
    permutation_of(a, b, Statistic::for_sizes(a.len(), b.len()))
}

/// [`permutation`] with the statistic that is asked for.
///
/// # Errors
/// As [`permutation`].
pub fn permutation_of(a: &[f64], b: &[f64], statistic: Statistic) -> Result<Test> {
    checks::arms("the permutation test", a, b, 2)?;
    let (small, large) = in_order(a, b);
    let (count, size) = (small.len() + large.len(), small.len());
    let pooled = Pooled::new(&small, &large, rounding(count));
    let mirrored = small.len() == large.len();
    let number = |limit| subsets::number(count, size, limit);
    if statistic == Statistic::Studentised && !mirrored {
        let extreme = pooled.studentised();
        return Ok(match number(MAX_ENUMERATED) {
            Some(all) => Test::exact(pooled.every(&extreme), all, statistic, mirrored),
            None => {
                let draws = draws(size);
                Test::drawn(pooled.drawn(draws, &extreme), draws, statistic)
            }
        });
    }
    let bounds = pooled.mean_bounds();
    let extreme =
        |sums: (f64, f64)| bounds.is_none_or(|(low, high)| sums.0 <= low || sums.0 >= high);
    if count <= MAX_POOLED
        && let Some(all) = number(u64::MAX)
    {
        let hits = match bounds {
            Some((low, high)) => subsets::of_size(&pooled.values, size, low, high),
            None => all,
        };
        return Ok(Test::exact(hits, all, statistic, mirrored));
    }
    Ok(match number(MAX_ENUMERATED) {
        Some(all) => Test::exact(pooled.every(&extreme), all, statistic, mirrored),
        None => {
            let draws = draws(size);
            Test::drawn(pooled.drawn(draws, &extreme), draws, statistic)
        }
    })
}
