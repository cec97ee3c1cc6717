//! Where something changes from true to false.
//!
//! Halving takes more steps than Newton's method, and needs nothing but an answer at each.

/// The last place of [`low`, `high`] at which `holds`, which is true up to there and false behind
/// it, to the last digit or to 2^-200 of the whole; `low` if it holds nowhere.
pub(crate) fn last(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// A number beyond which nothing `holds`: the first power of two from 1, at most 2^1000.
pub(crate) fn beyond(holds: impl Fn(f64) -> bool) -> f64 {
    let mut bound = 1.0;
    for _ in 0..1000 {
        if !holds(bound) {
            break;
        }
        bound *= 2.0;
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_to_the_last_digit() {
        let root = last(0.0, beyond(|x| x * x < 10.0), |x| x * x <= 2.0);
        assert_eq!(root, std::f64::consts::SQRT_2.next_down());
        assert_eq!(beyond(|x| x * x < 10.0), 4.0);
    }

    #[test]
    fn it_ends() {
        assert!(last(0.0, 1.0, |_| false) < 1e-50);
        assert_eq!(last(0.0, 1.0, |_| true), 1.0_f64.next_down());
        assert!(beyond(|_| true).is_finite());
    }
}
