//! The incomplete beta function, from which the t and binomial distributions follow.
//!
//! By its continued fraction (DLMF 8.17.22), evaluated with Lentz's method as modified by Thompson
//! and Barnett (1986). The factor before it is a binomial probability, computed from its deviance
//! (Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000): with logarithms of
//! gamma functions, as is usual, half of the digits would be lost where both parameters are large.

use std::f64::consts::PI;

/// More steps than the fraction takes for parameters below 2^31: it takes about the square root.
const MAX_STEPS: u32 = 200_000;

/// What Stirling's formula lacks of ln(n!), for any n above 0 (Loader, section 2).
pub(crate) fn stirling_error(n: f64) -> f64 {
    if n > 15.0 {
        let s = 1.0 / (n * n);
        let tail = 1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0);
        return (1.0 / 12.0 - s * (1.0 / 360.0 - s * tail)) / n;
    }
    libm::lgamma(n + 1.0) - (n + 0.5) * libm::log(n) + n - 0.5 * libm::log(2.0 * PI)
}

/// x ln(x / m) + m - x, without cancellation where they are close (Loader, section 2).
fn deviance(x: f64, m: f64) -> f64 {
    let difference = x - m;
    if difference.abs() >= 0.1 * (x + m) {
        return x * libm::log(x / m) - difference;
    }
    let v = difference / (x + m);
    let (mut sum, mut term) = (difference * v, 2.0 * x * v);
    for j in 1..1000 {
        term *= v * v;
        let next = sum + term / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// x^a y^b / B(a, b), with y = 1 - x.
fn factor(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let errors = stirling_error(n) - stirling_error(a) - stirling_error(b);
    let exponent = errors - deviance(a, n * x) - deviance(b, n * y);
    (a / n * b / (2.0 * PI)).sqrt() * libm::exp(exponent)
}

/// The continued fraction, which converges fast for x below (a + 1) / (a + b + 2).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let never_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut d = 1.0 / never_zero(1.0 - (a + b) * x / (a + 1.0));
    let (mut c, mut product) = (1.0, d);
    for step in 1..MAX_STEPS {
        let m = f64::from(step);
        let k = a + 2.0 * m;
        for numerator in
            [m * (b - m) / (k - 1.0) * (x / k), -(a + m) / k * ((a + b + m) / (k + 1.0)) * x]
        {
            d = 1.0 / never_zero(1.0 + numerator * d);
            c = never_zero(1.0 + numerator / c);
            product *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    product
}

/// The regularised incomplete beta function I_x(a, b) and what it lacks to 1, both with all their
/// digits. a and b above 0 and below 2^31, x in [0, 1], y = 1 - x with all its digits.
pub(crate) fn incomplete(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    if x <= (a + 1.0) / (a + b + 2.0) {
        let lower = (factor(a, b, x, y) * fraction(a, b, x) / a).min(1.0);
        (lower, 1.0 - lower)
    } else {
        let upper = (factor(b, a, y, x) * fraction(b, a, y) / b).min(1.0);
        (1.0 - upper, upper)
    }
}

/// The chance of at most k heads in n throws of a fair coin.
pub(crate) fn coin_at_most(k: u64, n: u64) -> f64 {
    if k >= n {
        return 1.0;
    }
    incomplete((n - k) as f64, k as f64 + 1.0, 0.5, 0.5).0
}

/// The chance of exactly k heads in n throws of a fair coin.
pub(crate) fn coin(k: u64, n: u64) -> f64 {
    if k == 0 || k >= n {
        return if k > n { 0.0 } else { libm::exp2(-(n as f64)) };
    }
    let (a, b) = (k as f64, (n - k) as f64);
    // The binomial probability is the factor with n / (a b) in place of the beta function's a b / n.
    factor(a, b, 0.5, 0.5) * (n as f64 / a / b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{cases, close};

    #[test]
    fn as_scipy() {
        for case in cases("beta") {
            let [a, b, x, y] = ["a", "b", "x", "y"].map(|key| case[key].as_f64().unwrap());
            let (lower, upper) = incomplete(a, b, x, y);
            close(&case, "lower", lower, 1e-11);
            close(&case, "upper", upper, 1e-11);
        }
        for case in cases("coin") {
            let [k, n] = ["k", "n"].map(|key| case[key].as_u64().unwrap());
            close(&case, "cdf", coin_at_most(k, n), 1e-11);
            close(&case, "pmf", coin(k, n), 1e-11);
        }
    }

    #[test]
    fn half_of_a_symmetric_one_is_below_the_middle() {
        for n in [1.0, 10.0, 1e3, 1e5, 1e7, 1e9] {
            let (lower, upper) = incomplete(n, n, 0.5, 0.5);
            assert!((lower - 0.5).abs() < 1e-11 && (upper - 0.5).abs() < 1e-11, "{n}: {lower}");
        }
    }

    #[test]
    fn the_ends() {
        assert_eq!(incomplete(2.0, 3.0, 0.0, 1.0), (0.0, 1.0));
        assert_eq!(incomplete(2.0, 3.0, 1.0, 0.0), (1.0, 0.0));
        assert_eq!(coin_at_most(3, 3), 1.0);
        assert_eq!(coin_at_most(0, 3), 0.125);
        assert_eq!((coin(0, 3), coin(3, 3), coin(4, 3)), (0.125, 0.125, 0.0));
    }
}
