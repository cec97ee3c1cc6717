//! Whether the labels within pairs matter: the sign-flip test.
//!
//! Runs of both arms under the same seed and split are a pair. If nothing distinguishes the arms,
//! each difference was as likely with the other sign (Fisher, "The Design of Experiments", 1935,
//! section 21).

use crate::arrangements::{MAX_POOLED, Statistic, Test, draws, rounding};
use crate::error::Result;
use crate::estimate::differences;
use crate::generator::Generator;
use crate::subsets;

/// The two-sided sign-flip test that the mean difference of pairs is 0. At least 2 pairs; below 6
/// it can find nothing at a level of 5 % (5 pairs have 32 arrangements, in pairs). Student's t of
/// the differences orders arrangements as their mean does, so there is nothing to studentise.
///
/// Exact up to 40 pairs; above, signs are drawn. Pairs without a difference take part and change
/// nothing.
///
/// # Errors
/// Arms of different sizes, too few or too many pairs, scores that are not finite.
pub fn sign_flip(a: &[f64], b: &[f64]) -> Result<Test> {
    let statistic = Statistic::MeanDifference;
    let (mut differences, _) = differences("the sign-flip test", a, b, 2)?;
    let count = differences.len();
    // By size and not as they came, so that neither the order of pairs nor that of arms matters.
    differences.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let sum =
        |of: fn(f64) -> f64| differences.iter().map(|difference| of(*difference)).sum::<f64>();
    let observed = (sum(|x| x.max(0.0)) - sum(|x| (-x).max(0.0))).abs();
    let reach = observed - count as f64 * rounding(count);
    if count <= MAX_POOLED {
        let all = 1 << count;
        let hits = match reach > 0.0 {
            // With a plus for a subset, the sum is twice the subset's less the whole.
            true => {
                let whole = sizes.iter().sum::<f64>();
                subsets::any_size(&sizes, (whole - reach) / 2.0, (whole + reach) / 2.0)
            }
            false => all,
        };
        return Ok(Test::exact(hits, all, statistic, true));
    }
    let draws = draws(count);
    let mut generator = Generator::seeded_by(&sizes);
    let mut hits = 0;
    for _ in 0..draws {
        let mut sum = 0.0;
        for part in sizes.chunks(64) {
            let mut signs = generator.next();
            for size in part {
                sum += f64::from_bits(size.to_bits() | signs << 63);
                signs >>= 1;
            }
        }
        hits += u64::from(sum.abs() >= reach);
    }
    Ok(Test::drawn(hits, draws, statistic))
}
