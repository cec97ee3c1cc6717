//! A table as a reader leaves it: columns of numbers, columns of text, and what is missing.
//!
//! Text is held once per distinct value, and each row points to it. Nothing is trusted: codes and
//! lengths are checked by [`Table::check`] before anything is computed from them, and a number
//! that is infinite is refused where it is used, with its row and column.

use std::borrow::Cow;

use crate::error::{PreparationError, Result};

/// Most rows of a table.
pub const MAX_ROWS: usize = 1 << 26;

/// The code of a text cell that is missing.
pub const MISSING: u32 = u32::MAX;

/// Integers up to here are exact in f64.
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Columns of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The columns, in the order of the file.
    pub columns: Vec<Column>,
    /// Cells in each column.
    pub rows: usize,
}

/// A column with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name; an index from 0 where the file has no names.
    pub name: String,
    /// The cells.
    pub cells: Cells,
}

/// The cells of a column, one per row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Numbers; NaN where missing.
    Numbers(Vec<f64>),
    /// Text.
    Text {
        /// The distinct values, in the order of their first appearance.
        values: Vec<String>,
        /// For each row an index into `values`; [`MISSING`] where missing.
        codes: Vec<u32>,
    },
    /// Not read.
    Skipped,
}

impl Table {
    /// Refuses columns that are not as long as the table, codes without a value, and more than
    /// [`MAX_ROWS`] rows.
    pub fn check(&self) -> Result<()> {
        if self.rows > MAX_ROWS {
            let (found, limit) = (self.rows as u64, MAX_ROWS as u64);
            return Err(PreparationError::TooLarge { what: "rows of the table", found, limit });
        }
        self.columns.iter().try_for_each(|column| column.check(self.rows))
    }

    /// Every row, ascending.
    pub fn all_rows(&self) -> Vec<usize> {
        (0..self.rows.min(MAX_ROWS)).collect()
    }

    /// The column with this name; the first, if there are several.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let names = self.columns.iter().map(|column| column.name.clone()).collect();
            PreparationError::NoColumn { column: name.to_owned(), names }
        })
    }

    /// Refuses rows that the table does not have.
    pub(crate) fn check_rows(&self, rows: &[usize]) -> Result<()> {
        self.check()?;
        match rows.iter().find(|row| **row >= self.rows) {
            Some(row) => Err(PreparationError::Rows { row: *row, why: "the table ends before it" }),
            None => Ok(()),
        }
    }
}

impl Column {
    fn check(&self, rows: usize) -> Result<()> {
        let found = match &self.cells {
            Cells::Numbers(numbers) => numbers.len(),
            Cells::Text { values, codes } => {
                let wrong = |code: &u32| *code != MISSING && *code as usize >= values.len();
                if let Some(row) = codes.iter().position(wrong) {
                    let text = codes[row].to_string();
                    return Err(self.cell(row, text, "is a code without a value"));
                }
                codes.len()
            }
            Cells::Skipped => rows,
        };
        match found == rows {
            true => Ok(()),
            false => Err(PreparationError::Ragged { column: self.name.clone(), found, rows }),
        }
    }

    /// What is wrong with a cell of this column.
    pub(crate) fn cell(&self, row: usize, text: String, why: &'static str) -> PreparationError {
        PreparationError::Cell { row, column: self.name.clone(), text, why }
    }

    fn kind(&self, found: &'static str, needed: &'static str) -> PreparationError {
        PreparationError::Kind { column: self.name.clone(), found, needed }
    }

    /// The numbers of the column, one per row.
    pub(crate) fn numbers(&self) -> Result<&[f64]> {
        match &self.cells {
            Cells::Numbers(numbers) => Ok(numbers),
            Cells::Text { .. } => Err(self.kind("text", "numbers")),
            Cells::Skipped => Err(self.kind("nothing, for it was skipped", "numbers")),
        }
    }

    /// Whether the row lacks a value. The row is below the column's length. A skipped column lacks
    /// none: it is refused when it is read, and must not drop every row before.
    pub(crate) fn is_missing(&self, row: usize) -> bool {
        match &self.cells {
            Cells::Numbers(numbers) => numbers[row].is_nan(),
            Cells::Text { codes, .. } => codes[row] == MISSING,
            Cells::Skipped => false,
        }
    }

    /// The number in a row, none if missing. The row is below the column's length.
    pub(crate) fn number(&self, row: usize) -> Result<Option<f64>> {
        let number = self.numbers()?[row];
        match () {
            () if number.is_nan() => Ok(None),
            () if number.is_infinite() => Err(self.cell(row, number.to_string(), "is not finite")),
            () => Ok(Some(number)),
        }
    }

    /// The word in a row, none if missing: text as it is, an integer in decimal. The row is below
    /// the column's length.
    pub(crate) fn word(&self, row: usize) -> Result<Option<Cow<'_, str>>> {
        match &self.cells {
            Cells::Text { values, codes } => Ok(match codes[row] {
                MISSING => None,
                code => Some(Cow::Borrowed(&values[code as usize])),
            }),
            Cells::Numbers(numbers) => match numbers[row] {
                number if number.is_nan() => Ok(None),
                number if number.abs() <= MAX_INTEGER && number == number.trunc() => {
                    Ok(Some(Cow::Owned((number as i64).to_string())))
                }
                number => {
                    Err(self.cell(row, number.to_string(), "is no integer, and no text either"))
                }
            },
            Cells::Skipped => Err(self.kind("nothing, for it was skipped", "text or integers")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(codes: Vec<u32>) -> Table {
        let cells = Cells::Text { values: vec!["a".into()], codes };
        Table { rows: 2, columns: vec![Column { name: "t".into(), cells }] }
    }

    #[test]
    fn hostile_tables_are_refused() {
        assert!(text(vec![0, MISSING]).check().is_ok());
        let error = text(vec![0, 1]).check().unwrap_err().to_string();
        assert_eq!(error, "row 1, column t: '1' is a code without a value");
        let error = text(vec![0]).check().unwrap_err().to_string();
        assert_eq!(error, "column t has 1 cells, but the table has 2 rows");
        let huge = Table { rows: usize::MAX, columns: Vec::new() };
        assert!(matches!(huge.check(), Err(PreparationError::TooLarge { .. })));
        assert!(text(vec![0, 0]).check_rows(&[2]).is_err());
        let error = text(vec![0, 0]).column("x").unwrap_err().to_string();
        assert_eq!(error, "there is no column x: the table has the columns t");
    }

    #[test]
    fn integers_are_words_and_other_numbers_are_not() {
        let cells = Cells::Numbers(vec![-0.0, 12.0, f64::NAN, 0.5, f64::INFINITY, 1e300]);
        let column = Column { name: "n".into(), cells };
        assert_eq!(column.word(0).unwrap().unwrap(), "0");
        assert_eq!(column.word(1).unwrap().unwrap(), "12");
        assert_eq!((column.word(2).unwrap(), column.number(2).unwrap()), (None, None));
        assert!(column.word(3).is_err() && column.word(4).is_err() && column.word(5).is_err());
        let error = column.number(4).unwrap_err().to_string();
        assert_eq!(error, "row 4, column n: 'inf' is not finite");
    }
}
