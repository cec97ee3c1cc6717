//! What is to be predicted: a class, or a number.
//!
//! Classes are words (text, or integers) of the rows that are fitted to, by value if all are
//! integers, else by bytes. Refuses rows without a label, a single class, labels that are too long
//! or too many, and a class that was not fitted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::classes::{MAX_WORDS, words};
use crate::error::{PreparationError, Result};
use crate::table::{Column, Table};

const MAX_LABEL_CHARS: usize = 256;

/// What is to be predicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TargetPlan {
    /// The word in a column.
    Class {
        /// Its name.
        column: String,
    },
    /// The number in a column.
    Number {
        /// Its name.
        column: String,
        /// Whether its natural logarithm is predicted instead; the inverse is exp.
        log: bool,
    },
}

/// A fitted [`TargetPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FittedTarget {
    /// The word in a column.
    Class {
        /// Its name.
        column: String,
        /// The classes, in order.
        classes: Vec<String>,
    },
    /// The number in a column.
    Number {
        /// Its name.
        column: String,
        /// Whether its natural logarithm is predicted.
        log: bool,
    },
}

/// What is to be predicted for rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Each row's class, an index into the classes.
    Classes(Vec<u32>),
    /// Each row's number.
    Numbers(Vec<f32>),
}

impl TargetPlan {
    /// Fits to `rows`: their classes are all there are.
    ///
    /// # Errors
    /// No rows; a row without a label, a label of more than 256 characters, more than 65,536
    /// classes, only one; a column that is not there, or not of numbers.
    pub fn fit(&self, table: &Table, rows: &[usize]) -> Result<FittedTarget> {
        table.check_rows(rows)?;
        match self {
            TargetPlan::Class { column } => {
                let found = table.column(column)?;
                for row in rows {
                    label(found, *row)?;
                }
                let classes = words(found, rows, MAX_WORDS)?.distinct;
                match &classes[..] {
                    [] => Err(PreparationError::NoValue { column: column.clone() }),
                    [class] => {
                        Err(PreparationError::OneClass { class: class.clone(), rows: rows.len() })
                    }
                    _ => Ok(FittedTarget::Class { column: column.clone(), classes }),
                }
            }
            TargetPlan::Number { column, log } => {
                let fitted = FittedTarget::Number { column: column.clone(), log: *log };
                match rows.is_empty() {
                    true => Err(PreparationError::NoValue { column: column.clone() }),
                    false => fitted.apply(table, rows).map(|_| fitted),
                }
            }
        }
    }
}

fn label(column: &Column, row: usize) -> Result<std::borrow::Cow<'_, str>> {
    match column.word(row)? {
        None => Err(column.cell(row, String::new(), "is no label")),
        Some(word) if word.chars().nth(MAX_LABEL_CHARS).is_some() => {
            Err(column.cell(row, word.into_owned(), "is too long for a label"))
        }
        Some(word) => Ok(word),
    }
}

impl FittedTarget {
    /// What is to be predicted for `rows`, in their order. A number is rounded to f32 once.
    ///
    /// # Errors
    /// A row without a label, with a class that was not fitted, or whose number has no logarithm
    /// or is not finite.
    pub fn apply(&self, table: &Table, rows: &[usize]) -> Result<Targets> {
        table.check_rows(rows)?;
        match self {
            FittedTarget::Class { column, classes } => {
                let places: BTreeMap<&str, usize> = classes
                    .iter()
                    .enumerate()
                    .map(|(place, class)| (class.as_str(), place))
                    .collect();
                if places.len() != classes.len() || classes.len() > MAX_WORDS {
                    let (what, why) = (format!("target {column}"), "classes are not distinct");
                    return Err(PreparationError::Fitted { what, why });
                }
                let column = table.column(column)?;
                let class = |row: &usize| {
                    let word = label(column, *row)?;
                    let unknown = "is none of the fitted classes";
                    let place = places.get(word.as_ref()).copied();
                    place
                        .map(|place| place as u32)
                        .ok_or_else(|| column.cell(*row, word.clone().into_owned(), unknown))
                };
                Ok(Targets::Classes(rows.iter().map(class).collect::<Result<_>>()?))
            }
            FittedTarget::Number { column, log } => {
                let column = table.column(column)?;
                let numbers = rows.iter().map(|row| number(column, *row, *log));
                Ok(Targets::Numbers(numbers.collect::<Result<_>>()?))
            }
        }
    }

    /// The number in the table's unit for a predicted one: exp if its logarithm was predicted.
    /// A class stays as it is.
    pub fn inverse(&self, predicted: f64) -> f64 {
        match self {
            FittedTarget::Number { log: true, .. } => libm::exp(predicted),
            _ => predicted,
        }
    }
}

fn number(column: &Column, row: usize, log: bool) -> Result<f32> {
    let Some(number) = column.number(row)? else {
        return Err(column.cell(row, String::new(), "is no label"));
    };
    if log && number <= 0.0 {
        let why = "has no logarithm: a number above 0 is needed";
        return Err(column.cell(row, number.to_string(), why));
    }
    let value = if log { libm::log(number) } else { number } as f32;
    match value.is_finite() {
        true => Ok(value),
        false => Err(column.cell(row, number.to_string(), "is not finite as f32")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Cells;

    fn table(numbers: &[f64]) -> Table {
        let cells = Cells::Numbers(numbers.to_vec());
        Table { rows: numbers.len(), columns: vec![Column { name: "y".into(), cells }] }
    }

    fn class() -> TargetPlan {
        TargetPlan::Class { column: "y".into() }
    }

    fn plain(log: bool) -> TargetPlan {
        TargetPlan::Number { column: "y".into(), log }
    }

    #[test]
    fn classes_are_those_of_the_fitted_rows() {
        let table = table(&[10.0, 9.0, 10.0, 11.0, f64::NAN]);
        let fitted = class().fit(&table, &[0, 1, 2]).unwrap();
        let text = serde_json::to_string(&fitted).unwrap();
        assert_eq!(text, r#"{"class":{"column":"y","classes":["9","10"]}}"#);
        assert_eq!(fitted.apply(&table, &[0, 1]).unwrap(), Targets::Classes(vec![1, 0]));
        let said = |result: Result<Targets>| result.unwrap_err().to_string();
        assert_eq!(
            said(fitted.apply(&table, &[3])),
            "row 3, column y: '11' is none of the fitted classes"
        );
        assert_eq!(said(fitted.apply(&table, &[4])), "row 4, column y: '' is no label");
        let one = class().fit(&table, &[0, 2]).unwrap_err().to_string();
        assert_eq!(one, "all 2 rows have the label '10'");
        assert!(class().fit(&table, &[]).is_err() && class().fit(&table, &[5]).is_err());
        let twice = FittedTarget::Class { column: "y".into(), classes: vec!["9".into(); 2] };
        assert!(twice.apply(&table, &[0]).is_err());
    }

    #[test]
    fn long_labels_are_refused() {
        let values = vec!["x".repeat(257), "y".repeat(256)];
        let cells = Cells::Text { values, codes: vec![0, 1] };
        let table = Table { rows: 2, columns: vec![Column { name: "y".into(), cells }] };
        let error = class().fit(&table, &[0, 1]).unwrap_err().to_string();
        assert!(error.ends_with("xxx' is too long for a label") && error.len() < 90, "{error}");
        assert!(matches!(class().fit(&table, &[1]), Err(PreparationError::OneClass { .. })));
    }

    #[test]
    fn numbers_may_be_logarithms() {
        let table = table(&[1.0, 8.0, 0.0, 1e39, f64::NAN]);
        let fitted = plain(true).fit(&table, &[0, 1]).unwrap();
        let ln8 = 2.0794415416798357f64;
        assert_eq!(fitted.apply(&table, &[1, 0]).unwrap(), Targets::Numbers(vec![ln8 as f32, 0.0]));
        assert!((fitted.inverse(ln8) - 8.0).abs() < 1e-14);
        let same = plain(false).fit(&table, &[1, 2]).unwrap();
        assert_eq!(same.apply(&table, &[2]).unwrap(), Targets::Numbers(vec![0.0]));
        assert_eq!(same.inverse(3.5), 3.5);
        let error = plain(true).fit(&table, &[2]).unwrap_err().to_string();
        assert_eq!(error, "row 2, column y: '0' has no logarithm: a number above 0 is needed");
        for (plan, row) in [(plain(true), 2), (plain(false), 3), (plain(false), 4)] {
            assert!(matches!(plan.fit(&table, &[row]), Err(PreparationError::Cell { .. })));
        }
    }
}
