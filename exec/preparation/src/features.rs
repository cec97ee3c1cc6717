//! Columns of a table become a matrix of features.
//!
//! [`FeaturePlan::fit`] sees the training rows and no others; what it leaves, [`Fitted`], can be
//! written as JSON and is applied to any rows, to the same bits. Refuses missing and unknown
//! values unless the plan says what to do with them. Errors name row, column and value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::categories::{FittedWords, MissingWord, WordPlan};
use crate::error::{PreparationError, Result};
use crate::numbers::{Filling, FittedNumbers, MissingNumber, NumberPlan};
use crate::table::{Column, Table};

/// Most columns that are selected, and most features.
const MAX_FEATURES: usize = 1 << 20;
/// Most cells of a matrix.
const MAX_CELLS: u64 = 1 << 28;

/// Which columns become features, in this order, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeaturePlan {
    /// The columns.
    pub columns: Vec<ColumnPlan>,
}

/// How a column becomes features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnPlan {
    /// The column's name.
    pub column: String,
    /// How.
    pub form: Form,
}

/// As what a column is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Numbers.
    Numbers(NumberPlan),
    /// Words: text, or integers.
    Words(WordPlan),
}

/// A fitted [`FeaturePlan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// The columns, in order.
    pub columns: Vec<FittedColumn>,
}

/// A fitted [`ColumnPlan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedColumn {
    /// The column's name.
    pub column: String,
    /// How.
    pub form: FittedForm,
}

/// A fitted [`Form`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FittedForm {
    /// Numbers.
    Numbers(FittedNumbers),
    /// Words.
    Words(FittedWords),
}

/// Features of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Row after row: [`rows`](Matrix::rows) times [`names`](Matrix::names).
    pub values: Vec<f32>,
    /// The row of the table that each row here is; some may have been left out.
    pub rows: Vec<usize>,
    /// The name of each feature: a column's, or `COLUMN=CATEGORY`.
    pub names: Vec<String>,
}

impl FeaturePlan {
    /// Fits to `rows`, the training rows, in ascending order, whatever order they come in. A row
    /// that is dropped for one column is dropped for all.
    ///
    /// # Errors
    /// No column, an unknown one, one of the wrong kind or without a value; a missing value that
    /// is refused; options that mean nothing.
    pub fn fit(&self, table: &Table, rows: &[usize]) -> Result<Fitted> {
        table.check_rows(rows)?;
        check_count("columns", self.columns.len(), MAX_FEATURES as u64)?;
        let mut dropping = Vec::new();
        for plan in &self.columns {
            let column = table.column(&plan.column)?;
            if plan.form.check()? {
                dropping.push(column);
            }
        }
        let mut rows = kept(&dropping, rows);
        rows.sort_unstable();
        let fit = |plan: &ColumnPlan| {
            let column = table.column(&plan.column)?;
            let form = match &plan.form {
                Form::Numbers(numbers) => FittedForm::Numbers(numbers.fit(column, &rows)?),
                Form::Words(words) => FittedForm::Words(words.fit(column, &rows)?),
            };
            Ok(FittedColumn { column: plan.column.clone(), form })
        };
        Ok(Fitted { columns: self.columns.iter().map(fit).collect::<Result<_>>()? })
    }
}

impl Form {
    /// Refuses options that mean nothing; says whether rows are dropped.
    fn check(&self) -> Result<bool> {
        match self {
            Form::Numbers(numbers) => {
                numbers.check()?;
                Ok(numbers.missing == MissingNumber::Drop)
            }
            Form::Words(words) => Ok(words.missing == MissingWord::Drop),
        }
    }
}

/// The rows in which none of the columns lacks a value.
fn kept(columns: &[&Column], rows: &[usize]) -> Vec<usize> {
    let whole = |row: &usize| !columns.iter().any(|column| column.is_missing(*row));
    rows.iter().copied().filter(whole).collect()
}

fn check_count(what: &'static str, found: usize, limit: u64) -> Result<()> {
    match found as u64 {
        0 => {
            Err(PreparationError::Option { option: what, value: "0".into(), needed: "at least 1" })
        }
        found if found > limit => Err(PreparationError::TooLarge { what, found, limit }),
        _ => Ok(()),
    }
}

/// What is needed to write one column's features.
struct Writer<'a> {
    column: &'a Column,
    form: &'a FittedForm,
    places: BTreeMap<&'a str, usize>,
    width: usize,
}

impl Fitted {
    /// The names of the features.
    pub fn names(&self) -> Vec<String> {
        let names = |column: &FittedColumn| match &column.form {
            FittedForm::Numbers(numbers) => numbers.names(&column.column),
            FittedForm::Words(words) => words.names(&column.column),
        };
        self.columns.iter().flat_map(names).collect()
    }

    /// Those of `rows` that are not dropped, in their order.
    pub fn kept(&self, table: &Table, rows: &[usize]) -> Result<Vec<usize>> {
        table.check_rows(rows)?;
        let mut dropping = Vec::new();
        for fitted in &self.columns {
            let column = table.column(&fitted.column)?;
            let drops = match &fitted.form {
                FittedForm::Numbers(numbers) => numbers.missing == Filling::Drop,
                FittedForm::Words(words) => words.missing == MissingWord::Drop,
            };
            if drops {
                dropping.push(column);
            }
        }
        Ok(kept(&dropping, rows))
    }

    /// The features of `rows`, in their order, without those that are dropped. Computed in f64,
    /// rounded once.
    ///
    /// # Errors
    /// A column that is not there, a missing or unknown value that is refused, a number that has
    /// no logarithm or is not finite; more than 2^28 cells.
    pub fn apply(&self, table: &Table, rows: &[usize]) -> Result<Matrix> {
        let rows = self.kept(table, rows)?;
        let writers = self.writers(table)?;
        let width = writers.iter().map(|writer| writer.width).sum::<usize>();
        check_count("features", width, MAX_FEATURES as u64)?;
        let cells = rows.len() as u64 * width as u64;
        if cells > MAX_CELLS {
            let (what, limit) = ("cells of the matrix", MAX_CELLS);
            return Err(PreparationError::TooLarge { what, found: cells, limit });
        }
        let mut values = vec![0.0; cells as usize];
        for (row, features) in rows.iter().zip(values.chunks_exact_mut(width)) {
            let mut features = features;
            for writer in &writers {
                let (own, others) = features.split_at_mut(writer.width);
                match writer.form {
                    FittedForm::Numbers(numbers) => numbers.write(writer.column, *row, own)?,
                    FittedForm::Words(words) => {
                        words.write(&writer.places, writer.column, *row, own)?;
                    }
                }
                features = others;
            }
        }
        Ok(Matrix { values, rows, names: self.names() })
    }

    fn writers<'a>(&'a self, table: &'a Table) -> Result<Vec<Writer<'a>>> {
        let writer = |fitted: &'a FittedColumn| {
            let column = table.column(&fitted.column)?;
            let (places, width) = match &fitted.form {
                FittedForm::Numbers(numbers) => {
                    column.numbers()?;
                    (BTreeMap::new(), 1 + usize::from(numbers.indicator))
                }
                FittedForm::Words(words) => {
                    let places = words.places(&fitted.column)?;
                    let width = if words.one_hot { places.len() } else { 1 };
                    (places, width)
                }
            };
            Ok(Writer { column, form: &fitted.form, places, width })
        };
        self.columns.iter().map(writer).collect()
    }
}

#[cfg(test)]
mod tests;
