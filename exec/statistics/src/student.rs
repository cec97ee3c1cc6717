//! Student's t distribution, by the incomplete beta function (DLMF 8.17; Johnson, Kotz,
//! Balakrishnan, "Continuous Univariate Distributions", volume 2, chapter 28).

use crate::beta::incomplete;
use crate::bisection::{beyond, last};

/// The chance that t of that many degrees of freedom is exceeded.
pub(crate) fn above(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 0.0 } else { 1.0 };
    }
    // Divided by the larger, so that no square overflows.
    let ratio = t * t / degrees;
    let (x, y) = match ratio <= 1.0 {
        true => (1.0 / (1.0 + ratio), ratio / (1.0 + ratio)),
        false => ((1.0 / ratio) / (1.0 + 1.0 / ratio), 1.0 / (1.0 + 1.0 / ratio)),
    };
    let (tails, middle) = incomplete(degrees / 2.0, 0.5, x, y);
    if t >= 0.0 { tails / 2.0 } else { 0.5 + middle / 2.0 }
}

/// The chance of a t at least as far from 0, on either side.
pub(crate) fn two_sided(t: f64, degrees: f64) -> f64 {
    2.0 * above(t.abs(), degrees)
}

/// The t that is exceeded with a chance of `tail`, which is above 0 and at most 1/2.
pub(crate) fn exceeded_by(tail: f64, degrees: f64) -> f64 {
    let more = |t: f64| above(t, degrees) > tail;
    last(0.0, beyond(more), more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cases, close};

    #[test]
    fn as_scipy() {
        for case in cases("student") {
            let [t, degrees] = ["t", "degrees"].map(|key| case[key].as_f64().unwrap());
            close(&case, "above", above(t, degrees), 1e-12);
        }
        for case in cases("student_quantile") {
            let [tail, degrees] = ["tail", "degrees"].map(|key| case[key].as_f64().unwrap());
            close(&case, "t", exceeded_by(tail, degrees), 1e-12);
        }
    }

    #[test]
    fn near_the_middle_no_digit_is_lost() {
        // With one degree of freedom it is Cauchy's distribution. SciPy 1.17 has 0.4999996816759652
        // for the second.
        for t in [1e-12, 1e-6, 1e-3, 0.7, -0.7, 1e6] {
            let expected = 0.5 - libm::atan(t) / std::f64::consts::PI;
            let error = (above(t, 1.0) - expected).abs();
            assert!(error < 1e-15, "{t}: {} {expected}", above(t, 1.0));
        }
    }

    #[test]
    fn the_ends() {
        assert_eq!(above(0.0, 3.0), 0.5);
        assert_eq!(above(f64::INFINITY, 3.0), 0.0);
        assert_eq!(above(f64::NEG_INFINITY, 3.0), 1.0);
        assert_eq!(two_sided(f64::NEG_INFINITY, 3.0), 0.0);
        assert_eq!(above(1e200, 3.0), 0.0);
        assert_eq!(above(-1e200, 3.0), 1.0);
    }
}
