//! Tables: columns of numbers and of text, built row by row.
//!
//! The readers of the formats say what a cell is; here it is checked and kept. Text becomes
//! codes, since what is learned from are few distinct words. Refused are two columns of one name,
//! numbers that are not finite (also as f32, which is what they become later), and more than the
//! limits allow.

use std::collections::{BTreeMap, HashMap};

use crate::error::{DataError, Result};

/// The most columns of a table.
pub(crate) const MAX_COLUMNS: u64 = 1 << 16;
const MAX_ROWS: u64 = 1 << 26;
const MAX_CELLS: u64 = 1 << 27;
const MAX_TEXTS: usize = 1 << 16;
const MAX_TEXT_CHARS: usize = 256;
/// Of all distinct texts of all columns together.
const MAX_TEXT_BYTES: usize = 1 << 28;

/// The NaN that stands for a missing number: quiet, positive, without payload.
pub const MISSING_F64: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// What a column is read as; decided by the caller once the names are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Finite numbers; NaN where missing.
    Number,
    /// At most 65,536 distinct texts, each of at most 256 characters.
    Text,
    /// Not kept, nor looked at.
    Skip,
}

/// What a file of rows holds.
#[derive(Clone, Debug)]
pub struct Table {
    /// In the order of the file, the skipped ones too; their names differ.
    pub columns: Vec<Column>,
    /// How many rows, the header not counted.
    pub rows: usize,
    /// For each row the line of the file, from 1, where it begins.
    pub lines: Vec<u64>,
}

impl Table {
    /// The code of a missing text.
    pub const MISSING: u32 = u32::MAX;
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// As in the file; the index from 0 where the file has no names.
    pub name: String,
    /// As many as the table has rows.
    pub cells: Cells,
}

/// The cells of a column.
#[derive(Clone, Debug)]
pub enum Cells {
    /// Finite, or [`MISSING_F64`].
    Numbers(Vec<f64>),
    /// Words and which of them each row has.
    Text {
        /// Distinct, in the order in which they first appear.
        values: Vec<String>,
        /// Index into `values` per row; [`Table::MISSING`] where missing.
        codes: Vec<u32>,
    },
    /// The caller did not want them.
    Skipped,
}

/// A table that grows.
pub(crate) struct Builder {
    names: Vec<String>,
    cells: Vec<Growing>,
    kept: u64,
    lines: Vec<u64>,
    text_bytes: usize,
}

enum Growing {
    Numbers(Vec<f64>),
    /// Only looked up in, so that no order of the map enters.
    Text(HashMap<String, u32>, Vec<u32>),
    Skipped,
}

impl Builder {
    pub(crate) fn new(names: Vec<String>, roles: &[Role]) -> Result<Builder> {
        if names.len() != roles.len() {
            return Err(DataError::Roles { expected: names.len(), found: roles.len() });
        }
        let growing = |role: &Role| match role {
            Role::Number => Growing::Numbers(Vec::new()),
            Role::Text => Growing::Text(HashMap::new(), Vec::new()),
            Role::Skip => Growing::Skipped,
        };
        let kept = roles.iter().filter(|role| **role != Role::Skip).count() as u64;
        let cells = roles.iter().map(growing).collect();
        Ok(Builder { names, cells, kept, lines: Vec::new(), text_bytes: 0 })
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn role(&self, column: usize) -> Role {
        match self.cells[column] {
            Growing::Numbers(_) => Role::Number,
            Growing::Text(..) => Role::Text,
            Growing::Skipped => Role::Skip,
        }
    }

    /// Begins a row; a cell for each column that is kept must follow.
    pub(crate) fn row(&mut self, line: u64) -> Result<()> {
        let rows = self.lines.len() as u64 + 1;
        if rows > MAX_ROWS {
            return Err(DataError::TooLarge { what: "rows of the table", limit: MAX_ROWS });
        }
        if rows * self.kept > MAX_CELLS {
            return Err(DataError::TooLarge { what: "cells of the table", limit: MAX_CELLS });
        }
        self.lines.push(line);
        Ok(())
    }

    /// The row's cell in a column of numbers; `text` is how the file says it.
    pub(crate) fn number(&mut self, column: usize, text: &str, number: Option<f64>) -> Result<()> {
        let finite = |x: f64| x.is_finite() && (x as f32).is_finite();
        if number.is_some_and(|x| !finite(x)) {
            return Err(self.refuse(column, text, "not finite"));
        }
        if let Growing::Numbers(numbers) = &mut self.cells[column] {
            numbers.push(number.unwrap_or(MISSING_F64));
        }
        Ok(())
    }

    /// The row's cell in a column of text.
    pub(crate) fn text(&mut self, column: usize, text: Option<&str>) -> Result<()> {
        let Growing::Text(known, codes) = &mut self.cells[column] else { return Ok(()) };
        let Some(text) = text else {
            codes.push(Table::MISSING);
            return Ok(());
        };
        if let Some(code) = known.get(text) {
            codes.push(*code);
            return Ok(());
        }
        if text.chars().count() > MAX_TEXT_CHARS {
            return Err(self.refuse(column, text, "too long for a label"));
        }
        self.text_bytes += text.len();
        if self.text_bytes > MAX_TEXT_BYTES {
            let limit = MAX_TEXT_BYTES as u64;
            return Err(DataError::TooLarge { what: "bytes of distinct labels", limit });
        }
        if known.len() == MAX_TEXTS {
            let limit = MAX_TEXTS as u64;
            return Err(DataError::TooLarge { what: "distinct labels of a column", limit });
        }
        let code = known.len() as u32;
        known.insert(text.to_owned(), code);
        codes.push(code);
        Ok(())
    }

    /// Says why a cell of the row that was begun last cannot be used.
    pub(crate) fn refuse(&self, column: usize, text: &str, why: &'static str) -> DataError {
        let line = self.lines.last().copied().unwrap_or(0);
        cell(line, self.names[column].clone(), text, why)
    }

    pub(crate) fn finish(self) -> Table {
        let cells = self.cells.into_iter().map(Growing::finish);
        let columns = self.names.into_iter().zip(cells);
        let columns = columns.map(|(name, cells)| Column { name, cells }).collect();
        Table { columns, rows: self.lines.len(), lines: self.lines }
    }
}

impl Growing {
    fn finish(self) -> Cells {
        match self {
            Growing::Numbers(numbers) => Cells::Numbers(numbers),
            Growing::Text(known, codes) => {
                let mut values = vec![String::new(); known.len()];
                known.into_iter().for_each(|(text, code)| values[code as usize] = text);
                Cells::Text { values, codes }
            }
            Growing::Skipped => Cells::Skipped,
        }
    }
}

/// A cell that cannot be used.
pub(crate) fn cell(line: u64, column: String, text: &str, why: &'static str) -> DataError {
    DataError::Cell { line, column, text: text.chars().take(40).collect(), why }
}

/// Makes sure that a column can be named.
pub(crate) fn distinct(names: &[String]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (second, name) in names.iter().enumerate() {
        if let Some(first) = seen.insert(name, second) {
            return Err(DataError::SameName { name: name.clone(), first, second });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_cells_are_limited() {
        let names = |count: usize| (0..count).map(|i| i.to_string()).collect();
        let mut wide = Builder::new(names(1 << 16), &[Role::Number; 1 << 16]).unwrap();
        let rows = (1..).take_while(|line| wide.row(*line).is_ok()).count();
        assert_eq!(rows as u64 * (1 << 16), MAX_CELLS);
        assert_eq!(
            wide.row(0).unwrap_err().to_string(),
            "cells of the table: the limit is 134217728"
        );
        let mut skipped = Builder::new(names(2), &[Role::Skip; 2]).unwrap();
        let rows = (1..).take_while(|line| skipped.row(*line).is_ok()).count();
        assert_eq!(rows as u64, MAX_ROWS);
    }

    #[test]
    fn cells_keep_their_order() {
        let names = vec!["n".to_owned(), "t".to_owned()];
        let mut builder = Builder::new(names, &[Role::Number, Role::Text]).unwrap();
        for (line, (number, text)) in
            [(Some(1.0), Some("b")), (None, None), (Some(-0.0), Some("a"))].into_iter().enumerate()
        {
            builder.row(line as u64 + 5).unwrap();
            builder.number(0, "", number).unwrap();
            builder.text(1, text).unwrap();
        }
        let error = builder.number(0, "1e39", Some(1e39)).unwrap_err().to_string();
        assert_eq!(error, "line 7 of the table, column n: '1e39' is not finite");
        let table = builder.finish();
        let Cells::Text { values, codes } = &table.columns[1].cells else { panic!() };
        assert_eq!((values.join(""), codes.as_slice()), ("ba".into(), &[0, Table::MISSING, 1][..]));
        assert_eq!((table.rows, table.lines), (3, vec![5, 6, 7]));
    }
}
