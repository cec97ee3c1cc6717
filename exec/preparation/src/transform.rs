//! What is done to the known numbers of a column: logarithms, limits, shifts and scales.
//!
//! A [`Transform`] is what is asked for; a [`Step`] is what was fitted to the training rows and is
//! applied to any. Logarithms are those of libm's port, so that machines agree. Refuses logarithms
//! of what has none.

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};
use crate::statistics::{deviation, extremes, mean, quantile, sorted};

/// What to do to a number x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// ln x; x is above 0.
    Log,
    /// ln (1 + x); x is above -1.
    Log1p,
    /// The nearest number from `low` to `high`.
    Clip {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// x / `by`.
    Divide {
        /// Not 0.
        by: f64,
    },
    /// (x - least) / (greatest - least).
    Minmax,
    /// (x - mean) / standard deviation of the population.
    Standard,
    /// (x - median) / (upper quartile - lower quartile), with numpy's linear interpolation.
    Robust,
}

/// A fitted transform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// ln x.
    Log,
    /// ln (1 + x).
    Log1p,
    /// The nearest number from `low` to `high`.
    Clip {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// (x - `shift`) / `divisor`.
    Scale {
        /// What is subtracted.
        shift: f64,
        /// What is divided by; 1 for a column that never changes.
        divisor: f64,
    },
}

impl Transform {
    /// Refuses constants that mean nothing.
    pub(crate) fn check(&self) -> Result<()> {
        let bad =
            |option, value: String, needed| Err(PreparationError::Option { option, value, needed });
        match self {
            Transform::Divide { by } if !by.is_finite() || *by == 0.0 => {
                bad("divide", by.to_string(), "a finite number other than 0")
            }
            Transform::Clip { low, high }
                if !(low.is_finite() && high.is_finite() && low <= high) =>
            {
                bad("clip", format!("{low} to {high}"), "two finite numbers, the lower one first")
            }
            _ => Ok(()),
        }
    }

    /// Fits to the values of training rows, of which there is at least one. A constant column has
    /// the divisor 1.
    pub(crate) fn fit(&self, column: &str, values: &[f64]) -> Result<Step> {
        let scale = |shift: f64, divisor: f64| {
            let divisor = if divisor == 0.0 { 1.0 } else { divisor };
            Step::Scale { shift, divisor }
        };
        let step = match self {
            Transform::Log => Step::Log,
            Transform::Log1p => Step::Log1p,
            Transform::Clip { low, high } => Step::Clip { low: *low, high: *high },
            Transform::Divide { by } => Step::Scale { shift: 0.0, divisor: *by },
            Transform::Minmax => {
                let (least, greatest) = extremes(values);
                scale(least, greatest - least)
            }
            // Its mean can be one rounding off, and the deviation then is not quite 0.
            Transform::Standard if is_constant(values) => scale(values[0], 0.0),
            Transform::Standard => {
                let mean = mean(values);
                scale(mean, deviation(values, mean))
            }
            Transform::Robust => {
                let sorted = sorted(values);
                let [lower, median, upper] = [0.25, 0.5, 0.75].map(|at| quantile(&sorted, at));
                scale(median, upper - lower)
            }
        };
        match step {
            Step::Scale { shift, divisor } if !(shift.is_finite() && divisor.is_finite()) => {
                Err(PreparationError::NotFinite { column: column.to_owned(), what: "the scale" })
            }
            step => Ok(step),
        }
    }
}

fn is_constant(values: &[f64]) -> bool {
    let (least, greatest) = extremes(values);
    least == greatest
}

impl Step {
    /// The number after this step, or what is wrong with it.
    pub(crate) fn apply(&self, x: f64) -> std::result::Result<f64, &'static str> {
        match self {
            Step::Log if x > 0.0 => Ok(libm::log(x)),
            Step::Log => Err("has no logarithm: a number above 0 is needed"),
            Step::Log1p if x > -1.0 => Ok(libm::log1p(x)),
            Step::Log1p => Err("has no log1p: a number above -1 is needed"),
            Step::Clip { low, .. } if x < *low => Ok(*low),
            Step::Clip { high, .. } if x > *high => Ok(*high),
            Step::Clip { .. } => Ok(x),
            Step::Scale { shift, divisor } => Ok((x - shift) / divisor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(transform: Transform, values: &[f64]) -> (f64, f64) {
        match transform.fit("c", values).unwrap() {
            Step::Scale { shift, divisor } => (shift, divisor),
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn scales_by_hand() {
        let values = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(fitted(Transform::Minmax, &values), (1.0, 5.0));
        assert_eq!(fitted(Transform::Standard, &values), (3.0, 3.5f64.sqrt()));
        assert_eq!(fitted(Transform::Robust, &values), (2.5, 3.75 - 1.75));
        assert_eq!(fitted(Transform::Divide { by: 4.0 }, &values), (0.0, 4.0));
    }

    #[test]
    fn a_constant_column_is_not_scaled() {
        // Seven times 0.1 has a mean that is not 0.1.
        let values = [0.1; 7];
        assert_ne!(mean(&values), 0.1);
        for transform in [Transform::Minmax, Transform::Standard, Transform::Robust] {
            assert_eq!(fitted(transform, &values), (0.1, 1.0));
        }
    }

    #[test]
    fn what_has_no_result_is_refused() {
        assert!(Step::Log.apply(0.0).is_err() && Step::Log1p.apply(-1.0).is_err());
        // x - x^2 / 2 for a small x; ln of 1 + x would have lost most of it.
        let small = Step::Log1p.apply(1e-10).unwrap();
        assert!((small - 9.9999999995e-11).abs() < 1e-25, "{small:e}");
        assert!(Transform::Divide { by: 0.0 }.check().is_err());
        assert!(Transform::Clip { low: 2.0, high: 1.0 }.check().is_err());
        assert!(Transform::Clip { low: f64::NAN, high: 1.0 }.check().is_err());
        let error = Transform::Minmax.fit("c", &[-1e308, 1e308]).unwrap_err().to_string();
        assert_eq!(error, "column c: the scale of the training rows is not finite");
        let clip = Step::Clip { low: -1.0, high: 1.0 };
        assert_eq!([-2.0, 0.5, 2.0].map(|x| clip.apply(x).unwrap()), [-1.0, 0.5, 1.0]);
    }
}
