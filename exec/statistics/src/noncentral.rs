//! The noncentral t distribution: what t does when there is a difference.
//!
//! T = (Z + shift) / U, with Z normal and U the root of a chi-square divided by its degrees of
//! freedom, so P(T > t) is the mean of P(Z > t U - shift) over U. It is integrated over ln U by the
//! trapezoidal rule, which converges faster than any power of the step for functions like these,
//! analytic and vanishing at both ends (Trefethen, Weideman, "The Exponentially Convergent
//! Trapezoidal Rule", 2014). The usual series (Lenth, AS 243, 1989) underflows for large shifts.

use std::f64::consts::{LN_2, PI};

use crate::beta::stirling_error;
use crate::normal;

/// Where the density of ln U, as a logarithm, is no longer worth adding up.
const NEGLIGIBLE: f64 = -42.0;

/// The chance that the noncentral t of these degrees of freedom, at least 1, exceeds t. Absolute
/// errors are below 1e-12. It takes some hundred steps; more as |shift| goes beyond 10, in proportion,
/// and most where t and shift are far above 0 together: whoever needs that asks for the other side.
pub(crate) fn above(t: f64, degrees: f64, shift: f64) -> f64 {
    let half = degrees / 2.0;
    let height = LN_2 + 0.5 * libm::log(half / (2.0 * PI)) - stirling_error(half);
    let log_density = |x: f64| height + degrees * (x - libm::expm1(2.0 * x) / 2.0);
    let width = 1.0 / (2.0 * degrees).sqrt();
    let edge = |direction: f64| {
        let mut steps = 1.0;
        while log_density(direction * steps * width) > NEGLIGIBLE {
            steps += 1.0;
        }
        direction * steps * width
    };
    let (mut low, mut high) = (edge(-1.0), edge(1.0));
    // What is left out is where P(Z > t U - shift) is below P(Z > 10), 1e-23.
    let farthest = shift + 10.0;
    if t > 0.0 && farthest <= 0.0 {
        return 0.0;
    } else if t > 0.0 {
        high = high.min(libm::log(farthest / t));
    } else if t < 0.0 && farthest < 0.0 {
        low = low.max(libm::log(farthest / t));
    }
    if low >= high {
        return 0.0;
    }
    // The density narrows with the degrees; the other factor changes over 1 / (t U), which is
    // 1 / shift in its middle; and neither is analytic beyond a quarter of pi off the real line.
    let step = (width / 2.0).min(1.0 / (3.0 * shift.abs())).min(0.125);
    let steps = ((high - low) / step).ceil();
    let step = (high - low) / steps;
    let mut sum = 0.0;
    for k in 0..=steps as u32 {
        let x = low + f64::from(k) * step;
        sum += normal::below(shift - t * libm::exp(x)) * libm::exp(log_density(x));
    }
    (sum * step).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cases, close};
    use crate::student;

    #[test]
    fn as_scipy() {
        for case in cases("noncentral") {
            let [t, degrees, shift] =
                ["t", "degrees", "shift"].map(|key| case[key].as_f64().unwrap());
            close(&case, "above", above(t, degrees, shift), 1e-10);
        }
    }

    #[test]
    fn without_a_shift_it_is_students() {
        for degrees in [1.0, 1.7, 3.0, 18.0, 400.0, 20_000.0] {
            for t in [-30.0, -2.0, 0.0, 0.5, 2.0, 30.0] {
                let (found, expected) = (above(t, degrees, 0.0), student::above(t, degrees));
                assert!((found - expected).abs() < 1e-12, "{t} {degrees}: {found} {expected}");
            }
        }
    }

    #[test]
    fn both_sides_make_one() {
        for (t, degrees, shift) in [(2.0, 3.0, 1.5), (-2.0, 7.5, 4.0), (12.7, 1.0, 30.0)] {
            let sum = above(t, degrees, shift) + above(-t, degrees, -shift);
            assert!((sum - 1.0).abs() < 1e-12, "{t} {degrees} {shift}: {sum}");
        }
    }
}
