//! What every metric asks of its inputs.
//!
//! All checks of size stand before the allocations that they bound. Nothing here guesses: rows
//! that do not belong together are refused, not cut to the shorter input.

use crate::error::{MetricsError, Result};

/// Most classes of a problem.
pub(crate) const MAX_CLASSES: usize = 1 << 16;
/// Most cells of a confusion matrix, and most numbers of each kind that a model learns.
pub(crate) const MAX_LEARNED: usize = 1 << 24;
/// Most numbers that a call returns.
pub(crate) const MAX_CELLS: usize = 1 << 27;

/// Whether `a * b` numbers may be made.
pub(crate) fn cells(what: &'static str, a: usize, b: usize, limit: usize) -> Result<usize> {
    let found = a as u128 * b as u128;
    match found <= limit as u128 {
        true => Ok(a * b),
        false => {
            let found = u64::try_from(found).unwrap_or(u64::MAX);
            Err(MetricsError::TooLarge { what, found, limit: limit as u64 })
        }
    }
}

/// Whether there are `per_row` of these for each of the `rows`, and rows at all.
pub(crate) fn lengths(
    (what, found): (&'static str, usize),
    (of, rows): (&'static str, usize),
    per_row: usize,
) -> Result<()> {
    if rows == 0 {
        return Err(MetricsError::Empty(of));
    }
    match rows.checked_mul(per_row) {
        Some(needed) if needed == found => Ok(()),
        needed => {
            let needed = needed.unwrap_or(usize::MAX);
            Err(MetricsError::Length { what, found, needed, rows, of })
        }
    }
}

/// Whether that is a number of classes.
pub(crate) fn classes(classes: usize) -> Result<()> {
    match classes {
        0 => Err(MetricsError::Empty("classes")),
        1..=MAX_CLASSES => Ok(()),
        _ => Err(MetricsError::TooLarge {
            what: "classes",
            found: classes as u64,
            limit: MAX_CLASSES as u64,
        }),
    }
}

/// Whether each of these is a class.
pub(crate) fn below(what: &'static str, values: &[u32], classes: usize) -> Result<()> {
    match values.iter().position(|value| *value as usize >= classes) {
        None => Ok(()),
        Some(row) => Err(MetricsError::Class { what, row, value: values[row], classes }),
    }
}

/// Whether none is NaN or infinite.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(row) => Err(MetricsError::NotFinite { what, row, column: None, value: values[row] }),
    }
}

/// The score, unless it overflowed.
pub(crate) fn score(what: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(MetricsError::Overflow(what)) }
}

/// The largest; of equal ones the first.
pub(crate) fn argmax(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_that_overflow_are_too_large() {
        assert_eq!(cells("cells", 3, 4, 12), Ok(12));
        assert!(cells("cells", 3, 4, 11).is_err());
        let error = cells("cells", usize::MAX, usize::MAX, MAX_CELLS).unwrap_err();
        assert!(matches!(error, MetricsError::TooLarge { found: u64::MAX, .. }), "{error}");
        assert!(lengths(("labels", 0), ("rows", usize::MAX), 2).is_err());
    }

    #[test]
    fn of_equal_values_the_first_is_taken() {
        assert_eq!(argmax(&[0.1, 0.4, 0.4, 0.1]), 1);
        assert_eq!(argmax(&[f64::NEG_INFINITY; 2]), 0);
        assert_eq!(argmax(&[]), 0);
    }
}
