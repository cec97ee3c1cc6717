//! Mean and variance of scores, of any size.
//!
//! Scores are first divided by a power of two, which is exact, so that no square overflows and
//! none of a whole sample vanishes.

/// The power of two by which the largest of these is less than 1 in size, and at least 1/2; 0 if
/// all are 0.
pub(crate) fn exponent<'a>(values: impl IntoIterator<Item = &'a f64>) -> i32 {
    let largest = values.into_iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    libm::frexp(largest).1
}

/// The values divided by two to that power.
pub(crate) fn scaled(values: &[f64], exponent: i32) -> Vec<f64> {
    values.iter().map(|value| libm::ldexp(*value, -exponent)).collect()
}

/// What is needed of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moments {
    pub(crate) count: f64,
    pub(crate) mean: f64,
    /// The sum of the squared distances from the mean, divided by the count less one; 0 if there is
    /// one value only. It is 0 exactly if all values are equal, or as good as.
    pub(crate) variance: f64,
}

impl Moments {
    /// Of at least one value. Sums run over distances from the first value, so that equal values
    /// have no variance, whatever their binary fractions are.
    pub(crate) fn of(values: &[f64]) -> Self {
        let (count, first) = (values.len() as f64, values[0]);
        let shift = values.iter().map(|value| value - first).sum::<f64>() / count;
        let distances = values.iter().map(|value| (value - first) - shift);
        let squares: f64 = distances.map(|distance| distance * distance).sum();
        Self { count, mean: first + shift, variance: squares / (count - 1.0).max(1.0) }
    }

    /// The variance of the mean.
    pub(crate) fn of_mean(&self) -> f64 {
        self.variance / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_no_variance() {
        for value in [0.1, 1.0 / 3.0, 1e-300, -7e300] {
            let moments = Moments::of(&[value; 7]);
            assert_eq!((moments.mean, moments.variance), (value, 0.0));
        }
        assert_eq!(Moments::of(&[3.0]).variance, 0.0);
    }

    #[test]
    fn far_from_zero_nothing_is_lost() {
        let moments = Moments::of(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 4.0]);
        assert!((moments.variance - 7.0 / 3.0).abs() < 1e-14);
        assert_eq!(Moments::of(&[1.0, 2.0, 4.0]).of_mean(), 7.0 / 9.0);
    }

    #[test]
    fn scaling_is_exact() {
        let values = [3e-320, -1.5e-310, 0.0];
        let exponent = exponent(&values);
        let small = scaled(&values, exponent);
        assert!(small[1].abs() >= 0.5 && small[1].abs() < 1.0);
        let back: Vec<f64> = small.iter().map(|x| libm::ldexp(*x, exponent)).collect();
        assert_eq!(back, values);
        assert_eq!(super::exponent(&[0.0]), 0);
        let largest = super::exponent(&[f64::MAX]);
        assert!(scaled(&[f64::MAX], largest)[0] < 1.0);
    }
}
