//! Features of rows, checked once for every model that reads them.
//!
//! Row-major f32, as prepared data and safetensors hold them. Refuses NaN and infinities, so that
//! distances and densities are finite: the square of a difference of two f32 fits an f64.

use crate::error::{MetricsError, Result};

/// Most columns of a row; bounds what a model copies of it.
const MAX_COLUMNS: usize = 1 << 16;

/// A table of finite numbers that is not empty.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    values: &'a [f32],
    columns: usize,
}

impl<'a> Features<'a> {
    /// Reads `values` as rows of `columns` numbers.
    ///
    /// # Errors
    /// No rows or columns, more than 65,536 columns, a last row that is cut off, numbers that are
    /// not finite.
    pub fn new(values: &'a [f32], columns: usize) -> Result<Features<'a>> {
        if columns == 0 {
            return Err(MetricsError::Empty("columns"));
        }
        if columns > MAX_COLUMNS {
            let (found, limit) = (columns as u64, MAX_COLUMNS as u64);
            return Err(MetricsError::TooLarge { what: "columns", found, limit });
        }
        if values.is_empty() {
            return Err(MetricsError::Empty("rows of features"));
        }
        if !values.len().is_multiple_of(columns) {
            return Err(MetricsError::Ragged { found: values.len(), columns });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (at / columns, Some(at % columns));
            let value = f64::from(values[at]);
            return Err(MetricsError::NotFinite { what: "feature", row, column, value });
        }
        Ok(Features { values, columns })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// How many numbers a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The same rows, so many at a time.
    pub fn parts(&self, rows: usize) -> impl Iterator<Item = Features<'a>> + use<'a> {
        let columns = self.columns;
        let parts = self.values.chunks(rows.max(1).saturating_mul(columns));
        parts.map(move |values| Features { values, columns })
    }

    pub(crate) fn values(&self) -> &'a [f32] {
        self.values
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.columns)
    }

    /// Whether a model of rows with that many columns can read these.
    pub(crate) fn fit_for(&self, columns: usize) -> Result<()> {
        match self.columns == columns {
            true => Ok(()),
            false => Err(MetricsError::Columns { found: self.columns, needed: columns }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_rows_in_order() {
        let values: Vec<f32> = (0..10).map(|n| n as f32).collect();
        let features = Features::new(&values, 2).unwrap();
        for (rows, lengths) in [
            (1, vec![1; 5]),
            (2, vec![2, 2, 1]),
            (5, vec![5]),
            (usize::MAX, vec![5]),
            (0, vec![1; 5]),
        ] {
            let parts: Vec<_> = features.parts(rows).collect();
            assert_eq!(parts.iter().map(Features::rows).collect::<Vec<_>>(), lengths);
            let joined: Vec<f32> = parts.iter().flat_map(|part| part.values().to_vec()).collect();
            assert_eq!(joined, values);
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let error = |values: &[f32], columns| {
            Features::new(values, columns).err().map(|error| error.to_string())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(error(&[1.0; 6], 3), None);
        assert_eq!(error(&[1.0; 5], 3), some("5 features do not fill rows of 3 columns"));
        assert_eq!(error(&[], 3), some("there are no rows of features: at least one is needed"));
        assert_eq!(error(&[1.0], 0), some("there are no columns: at least one is needed"));
        assert_eq!(
            error(&[1.0; 70_000], 70_000),
            some("there are 70000 columns: the limit is 65536")
        );
        assert_eq!(
            error(&[1.0, 1.0, 1.0, 1.0, f32::NEG_INFINITY, 1.0], 3),
            some("the feature in row 1, column 1, is -inf: a finite number is needed")
        );
    }
}
