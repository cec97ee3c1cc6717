//! Calibration: whether a model is right as often as it says.
//!
//! The bins are fixed, so that two models' numbers can be compared; their bounds are the f64
//! nearest to m/15, compared and never computed from a probability, so no rounding moves a row.

use crate::checks::argmax;
use crate::error::Result;
use crate::probabilities::Probabilities;
use crate::sum::{Sum, sum};

/// Bins of [`expected_calibration_error`].
pub const CALIBRATION_BINS: usize = 15;

#[derive(Clone, Copy, Default)]
struct Bin {
    hits: u64,
    confidence: Sum,
}

/// Expected calibration error: the sum over bins of |accuracy - mean confidence|, each weighted
/// by its share of the rows.
///
/// `probabilities` are row-major, `labels.len()` rows of `classes`. The confidence of a row is its
/// largest probability; the prediction is the class that has it, the lowest of equal ones. Bin m
/// of 15, from 1, holds the confidences in ((m - 1)/15, m/15]. Source: Guo et al., "On Calibration
/// of Modern Neural Networks" (2017), section 2, with the 15 bins of its experiments.
///
/// # Errors
/// No rows, lengths that differ, labels out of range, rows that are no distribution.
pub fn expected_calibration_error(
    labels: &[u32],
    probabilities: &[f64],
    classes: usize,
) -> Result<f64> {
    let mut bins = [Bin::default(); CALIBRATION_BINS];
    for (label, p) in Probabilities::check(labels, probabilities, classes)?.rows() {
        let prediction = argmax(p);
        let bin = &mut bins[bin_of(p[prediction])];
        bin.hits += u64::from(prediction == label);
        bin.confidence.add(p[prediction]);
    }
    // Count / rows * |hits / count - confidence / count|, with the count cancelled.
    let gaps = bins.iter().map(|bin| (bin.hits as f64 - bin.confidence.value()).abs());
    Ok(sum(gaps) / labels.len() as f64)
}

fn bin_of(confidence: f64) -> usize {
    let upper = |bin: usize| (bin + 1) as f64 / CALIBRATION_BINS as f64;
    (0..CALIBRATION_BINS - 1).find(|bin| confidence <= upper(*bin)).unwrap_or(CALIBRATION_BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bin_below_it() {
        for bin in 0..CALIBRATION_BINS {
            let upper = (bin + 1) as f64 / 15.0;
            assert_eq!(bin_of(upper), bin);
            assert_eq!(bin_of(upper.next_up()), (bin + 1).min(14));
        }
    }

    #[test]
    fn bins_do_not_cancel_each_other() {
        // 0.75 and always wrong, 1.0 and always right: (0.75 + 0) / 2.
        let found = expected_calibration_error(&[1, 0], &[0.75, 0.25, 1.0, 0.0], 2);
        assert_eq!(found, Ok(0.375));
        // In one bin: one right, one wrong, both with 0.5.
        assert_eq!(expected_calibration_error(&[0, 1], &[0.5; 4], 2), Ok(0.0));
    }
}
