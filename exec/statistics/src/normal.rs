//! The normal distribution, by the error function of `libm`.

use std::f64::consts::SQRT_2;

use crate::bisection::{beyond, last};

/// The chance of at most z.
pub(crate) fn below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// The z that is exceeded with a chance of `tail`, which is above 0 and at most 1/2.
pub(crate) fn exceeded_by(tail: f64) -> f64 {
    let more = |z: f64| below(-z) > tail;
    last(0.0, beyond(more), more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cases, close};

    #[test]
    fn as_scipy() {
        for case in cases("normal") {
            close(&case, "cdf", below(case["z"].as_f64().unwrap()), 1e-12);
        }
        for case in cases("normal_quantile") {
            close(&case, "z", exceeded_by(case["tail"].as_f64().unwrap()), 1e-12);
        }
        assert!(exceeded_by(0.5) < 1e-15);
    }
}
