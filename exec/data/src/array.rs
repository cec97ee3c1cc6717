//! Arrays: a shape and values in row-major order.
//!
//! Five types of values are enough for what follows; the others of the formats widen into them
//! without loss. How many values a shape has is counted here, with the limits, before memory is
//! taken for them.

use crate::error::{DataError, Result};

/// The most values of one array: 2 GiB as f64.
pub(crate) const MAX_VALUES: u64 = 1 << 28;
/// The most bytes of one array or of all arrays of one file.
pub(crate) const MAX_ARRAY_BYTES: u64 = 8 * MAX_VALUES;
/// As many as numpy accepts.
pub(crate) const MAX_DIMENSIONS: usize = 64;

/// The NaN that stands for a missing number: quiet, positive, without payload.
pub const MISSING_F32: f32 = f32::from_bits(0x7fc0_0000);

/// Numbers with a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Lengths of the dimensions, the slowest first; empty for a single number.
    pub shape: Vec<usize>,
    /// In row-major order (the last dimension is the fastest), as many as the shape's product.
    pub values: Values,
}

/// The values of an array. Floats are finite, or NaN where missing.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Bytes, and booleans as 0 and 1.
    U8(Vec<u8>),
    /// Integers that need at most 32 bits with a sign.
    I32(Vec<i32>),
    /// Other integers.
    I64(Vec<i64>),
    /// Floats of 16 and 32 bits; [`MISSING_F32`] where missing.
    F32(Vec<f32>),
    /// Floats of 64 bits; [`crate::MISSING_F64`] where missing.
    F64(Vec<f64>),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::U8(values) => values.len(),
            Values::I32(values) => values.len(),
            Values::I64(values) => values.len(),
            Values::F32(values) => values.len(),
            Values::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the first missing number, in row-major order.
    pub fn first_missing(&self) -> Option<usize> {
        match self {
            Values::U8(_) | Values::I32(_) | Values::I64(_) => None,
            Values::F32(values) => values.iter().position(|x| x.is_nan()),
            Values::F64(values) => values.iter().position(|x| x.is_nan()),
        }
    }

    /// The values of a column-major array of this shape, in row-major order.
    pub(crate) fn into_row_major(self, shape: &[usize]) -> Values {
        match self {
            Values::U8(values) => Values::U8(row_major(values, shape)),
            Values::I32(values) => Values::I32(row_major(values, shape)),
            Values::I64(values) => Values::I64(row_major(values, shape)),
            Values::F32(values) => Values::F32(row_major(values, shape)),
            Values::F64(values) => Values::F64(row_major(values, shape)),
        }
    }
}

/// `values` are as many as the product of `shape`.
fn row_major<T: Copy>(values: Vec<T>, shape: &[usize]) -> Vec<T> {
    if shape.len() < 2 || values.is_empty() {
        return values;
    }
    // Distance in `values` of neighbours along each dimension.
    let mut strides = vec![1; shape.len()];
    for dimension in 1..shape.len() {
        strides[dimension] = strides[dimension - 1] * shape[dimension - 1];
    }
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    let mut sorted = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        sorted.push(values[at]);
        for dimension in (0..shape.len()).rev() {
            index[dimension] += 1;
            at += strides[dimension];
            if index[dimension] < shape[dimension] {
                break;
            }
            at -= strides[dimension] * shape[dimension];
            index[dimension] = 0;
        }
    }
    sorted
}

/// How many values a shape has; `what` is what the error calls it.
pub(crate) fn count(shape: &[u64], file: &str) -> Result<u64> {
    if shape.len() > MAX_DIMENSIONS {
        let limit = MAX_DIMENSIONS as u64;
        return Err(DataError::TooLarge { what: "dimensions of an array", limit });
    }
    // Without the zeros: an empty array must not hide a length that would overflow elsewhere.
    let lengths = shape.iter().filter(|length| **length != 0);
    let product = lengths.copied().try_fold(1u64, u64::checked_mul);
    match product {
        Some(product) if product <= MAX_VALUES && shape.contains(&0) => Ok(0),
        Some(product) if product <= MAX_VALUES => Ok(product),
        _ => {
            let why = format!("the shape {shape:?} has more than {MAX_VALUES} values");
            Err(DataError::Malformed { file: file.to_owned(), why })
        }
    }
}

/// The shape as indices; [`count`] has accepted it.
pub(crate) fn lengths(shape: &[u64]) -> Vec<usize> {
    shape.iter().map(|length| *length as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_counted_without_overflow() {
        assert_eq!(count(&[], "x").unwrap(), 1);
        assert_eq!(count(&[2, 3, 4], "x").unwrap(), 24);
        assert_eq!(count(&[0, 5], "x").unwrap(), 0);
        assert_eq!(count(&[MAX_VALUES], "x").unwrap(), MAX_VALUES);
        for shape in [
            &[MAX_VALUES + 1][..],
            &[1 << 32, 1 << 32],
            &[1 << 63, 4, 0],
            &[1 << 40, 0],
            &[u64::MAX; 3],
        ] {
            assert!(count(shape, "x").is_err(), "{shape:?}");
        }
        assert!(count(&[1; 65], "x").is_err());
    }

    #[test]
    fn column_major_becomes_row_major() {
        // The values count up in column-major order: value = i + 2 j + 6 k.
        let values = Values::I32((0..24).collect()).into_row_major(&[2, 3, 4]);
        let mut expected = Vec::new();
        for i in 0..2 {
            for j in 0..3 {
                (0..4).for_each(|k| expected.push(i + 2 * j + 6 * k));
            }
        }
        assert_eq!(values, Values::I32(expected));
        assert_eq!(row_major(vec![1, 2, 3], &[3]), [1, 2, 3]);
        assert!(row_major(Vec::<u8>::new(), &[3, 0, 2]).is_empty());
    }
}
