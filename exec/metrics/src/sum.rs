//! Sums that are the same on every machine, and right.
//!
//! From the first number to the last, with the rounding errors summed beside it (Neumaier,
//! "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974): the error does
//! not grow with the count, where a plain sum of a million equal numbers is wrong from the eleventh
//! digit on. A sum that overflows is infinite or NaN; whoever asked for it refuses it.

/// A sum in the making.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += match self.sum.abs() >= value.abs() {
            true => (self.sum - sum) + value,
            false => (value - sum) + self.sum,
        };
        self.sum = sum;
    }

    pub(crate) fn value(self) -> f64 {
        self.sum + self.lost
    }
}

/// The sum of all; 0 of none.
pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.value()
}

/// The sum divided by the count.
pub(crate) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    sum(values) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_do_not_add_up() {
        let many = vec![0.1; 1_000_000];
        assert_eq!(mean(many.into_iter()), 0.1);
        assert_eq!(sum([1.0, 1e100, 1.0, -1e100].into_iter()), 2.0);
        assert_eq!(sum([1e100, 1.0, -1e100, 1.0].into_iter()), 2.0);
    }

    #[test]
    fn a_sum_of_nothing_has_no_sign() {
        assert!(mean([-0.0, -0.0].into_iter()).is_sign_positive());
        assert!(sum([].into_iter()).is_sign_positive());
    }

    #[test]
    fn an_overflow_is_no_number() {
        assert!(!sum([f64::MAX, f64::MAX].into_iter()).is_finite());
        assert!(!sum([f64::MAX, f64::MAX, f64::MIN].into_iter()).is_finite());
    }
}
