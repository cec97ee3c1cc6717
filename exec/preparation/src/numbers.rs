//! A column of numbers as features: missing ones filled, then transformed step by step.
//!
//! Fillings are fitted to the numbers that training rows have, transforms to what the rows are
//! after filling (as in a pipeline of scikit-learn). Refuses what is not finite after all steps.

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};
use crate::statistics::{mean, quantile, sorted};
use crate::table::{Column, Table};
use crate::transform::{Step, Transform};

/// What to do where a number is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingNumber {
    /// Nothing may be missing.
    Refuse,
    /// The row is left out.
    Drop,
    /// The mean of the training rows stands for it.
    Mean,
    /// The median of the training rows stands for it.
    Median,
    /// This number stands for it.
    Constant(f64),
}

/// How a column of numbers becomes features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberPlan {
    /// What to do where a number is missing.
    pub missing: MissingNumber,
    /// Whether a second feature says what was missing: `COLUMN=missing`, 1 where it was, else 0.
    pub indicator: bool,
    /// In the order in which they are applied; each is fitted to what the one before it leaves.
    pub transforms: Vec<Transform>,
}

/// What stands for a missing number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filling {
    /// Nothing may be missing.
    Refuse,
    /// The row is left out.
    Drop,
    /// This number.
    Value(f64),
}

/// A fitted [`NumberPlan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedNumbers {
    /// What stands for a missing number.
    pub missing: Filling,
    /// Whether a second feature says what was missing.
    pub indicator: bool,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

const MAX_STEPS: usize = 16;

impl NumberPlan {
    /// Refuses constants that mean nothing.
    pub(crate) fn check(&self) -> Result<()> {
        if let MissingNumber::Constant(by) = self.missing
            && !by.is_finite()
        {
            let (option, value) = ("missing", by.to_string());
            return Err(PreparationError::Option { option, value, needed: "a finite number" });
        }
        if self.transforms.len() > MAX_STEPS {
            let (found, limit) = (self.transforms.len() as u64, MAX_STEPS as u64);
            return Err(PreparationError::TooLarge { what: "transforms", found, limit });
        }
        self.transforms.iter().try_for_each(Transform::check)
    }

    /// Fits to the column's numbers in these rows, in their order.
    pub(crate) fn fit(&self, column: &Column, rows: &[usize]) -> Result<FittedNumbers> {
        let name = || column.name.clone();
        let numbers = rows.iter().map(|row| column.number(*row)).collect::<Result<Vec<_>>>()?;
        let known: Vec<f64> = numbers.iter().flatten().copied().collect();
        if known.is_empty() {
            return Err(PreparationError::NoValue { column: name() });
        }
        let missing = match self.missing {
            MissingNumber::Refuse => Filling::Refuse,
            MissingNumber::Drop => Filling::Drop,
            MissingNumber::Mean => Filling::Value(mean(&known)),
            MissingNumber::Median => Filling::Value(quantile(&sorted(&known), 0.5)),
            MissingNumber::Constant(by) => Filling::Value(by),
        };
        if matches!(missing, Filling::Value(by) if !by.is_finite()) {
            return Err(PreparationError::NotFinite { column: name(), what: "the filling" });
        }
        let mut fitted = FittedNumbers { missing, indicator: self.indicator, steps: Vec::new() };
        let mut values = Vec::with_capacity(rows.len());
        for (row, number) in rows.iter().zip(numbers) {
            values.push(fitted.filled(column, *row, number)?);
        }
        for transform in &self.transforms {
            let step = transform.fit(&column.name, &values)?;
            for (value, row) in values.iter_mut().zip(rows) {
                *value = stepped(&step, *value, column, *row)?;
            }
            fitted.steps.push(step);
        }
        Ok(fitted)
    }
}

impl FittedNumbers {
    /// The names of the features.
    pub(crate) fn names(&self, column: &str) -> Vec<String> {
        let mut names = vec![column.to_owned()];
        if self.indicator {
            names.push(format!("{column}=missing"));
        }
        names
    }

    fn filled(&self, column: &Column, row: usize, number: Option<f64>) -> Result<f64> {
        match (number, &self.missing) {
            (Some(number), _) => Ok(number),
            (None, Filling::Value(by)) => Ok(*by),
            (None, _) => Err(column.cell(row, String::new(), "is missing (see prepare.missing)")),
        }
    }

    /// The numbers of a column in `rows` after all steps, in f64, before they are rounded.
    ///
    /// # Errors
    /// A row or a column that is not there; what cannot be transformed.
    pub fn values(&self, table: &Table, column: &str, rows: &[usize]) -> Result<Vec<f64>> {
        table.check_rows(rows)?;
        let column = table.column(column)?;
        rows.iter().map(|row| self.value(column, *row)).collect()
    }

    /// The number of a row after all steps, in f64.
    fn value(&self, column: &Column, row: usize) -> Result<f64> {
        let mut value = self.filled(column, row, column.number(row)?)?;
        for step in &self.steps {
            value = stepped(step, value, column, row)?;
        }
        Ok(value)
    }

    /// Writes the features of a row, as many as there are names; rounds to f32.
    pub(crate) fn write(&self, column: &Column, row: usize, features: &mut [f32]) -> Result<()> {
        let value = self.value(column, row)? as f32;
        if !value.is_finite() {
            let text = cell_text(column, row)?;
            return Err(column.cell(row, text, "is not finite after scaling"));
        }
        features[0] = value;
        if let Some(indicator) = features.get_mut(1) {
            *indicator = if column.number(row)?.is_none() { 1.0 } else { 0.0 };
        }
        Ok(())
    }
}

fn stepped(step: &Step, value: f64, column: &Column, row: usize) -> Result<f64> {
    match step.apply(value) {
        Ok(value) => Ok(value),
        Err(why) => Err(column.cell(row, cell_text(column, row)?, why)),
    }
}

fn cell_text(column: &Column, row: usize) -> Result<String> {
    Ok(column.number(row)?.map(|number| number.to_string()).unwrap_or_default())
}
