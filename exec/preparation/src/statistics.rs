//! Means, deviations and quantiles in f64, in one order of operations.
//!
//! Sums run in the order of the values. Medians and quartiles are those of numpy's `percentile`
//! with linear interpolation. No function here is called without values.

/// The sum in order, divided once.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of the population: the divisor is the count, not one less.
pub(crate) fn deviation(values: &[f64], mean: f64) -> f64 {
    let squares = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
    (squares / values.len() as f64).sqrt()
}

/// The least and the greatest value.
pub(crate) fn extremes(values: &[f64]) -> (f64, f64) {
    let least = values.iter().fold(f64::INFINITY, |a, b| if *b < a { *b } else { a });
    let greatest = values.iter().fold(f64::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
    (least, greatest)
}

/// The values in ascending order, for [`quantile`].
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Between the two values around place `share` * (n - 1), linearly; `share` is from 0 to 1.
/// As numpy computes it, from the nearer of the two.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    let place = share * last as f64;
    let below = (place.floor() as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let part = place - below as f64;
    match part < 0.5 {
        true => low + (high - low) * part,
        false => high - (high - low) * (1.0 - part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_by_hand() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!((mean(&values), deviation(&values, 2.5)), (2.5, 1.25f64.sqrt()));
        assert_eq!(extremes(&values), (1.0, 4.0));
        let sorted = sorted(&values);
        let quantiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&sorted, share));
        assert_eq!(quantiles, [1.0, 1.75, 2.5, 3.25, 4.0]);
        assert_eq!(quantile(&[7.0], 0.75), 7.0);
        // numpy's bits, where the other side of the place would give others.
        assert_eq!(quantile(&[1.3, 2.6, 7.0, 7.6], 0.25), 2.275);
        assert_eq!(quantile(&[0.8, 2.6, 3.1, 7.5], 0.75), 4.2);
    }
}
