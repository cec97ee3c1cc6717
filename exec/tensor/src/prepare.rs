//! Stage `prepare`: a table becomes scaled numbers for training and for testing.
//!
//! What scaling needs to know (extremes, means) is taken from the training part alone; the test
//! part must not leak into what is learned. Arithmetic here is f64, row after row, rounded to f32
//! once at the end.

use lab_schema::{Digest, Value};

use crate::error::{Result, TensorError};
use crate::files::{Column, Inputs, Prepared, Product, Rows, to_json};
use crate::settings::Settings;
use crate::split::split;
use crate::table::{Form, Missing, Table};
use crate::task::{PREPARED, TABLE, TEST_ROWS, TRAIN_ROWS, slot};
use crate::tensors::{self, Data};

/// Runs the stage.
pub(crate) fn prepare(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Product> {
    let table = read(inputs, settings)?;
    let (share, stratify) = (settings.float("test")?, settings.bool("stratify")?);
    let seed = settings.int("split_seed")?;
    let parts = split(&table.labels, &table.classes, share, stratify, seed)?;
    let columns = fit(&table, &parts.train, settings.value("scale")?)?;
    let digest: Vec<u8> =
        parts.test.iter().flat_map(|row| table.origins[*row].to_le_bytes()).collect();
    let prepared = Prepared {
        rows: Rows { train: parts.train.len(), test: parts.test.len(), dropped: table.dropped },
        split: Digest::derive("lab 2026-11-24 test rows", &digest).to_string(),
        label: table.label_column.clone(),
        classes: table.classes.clone(),
        columns,
    };
    let mut product = Product::default();
    product.files.insert(TRAIN_ROWS, part(&table, &parts.train, &prepared.columns));
    product.files.insert(TEST_ROWS, part(&table, &parts.test, &prepared.columns));
    product.files.insert(PREPARED, to_json(&prepared));
    Ok(product)
}

fn read(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Table> {
    let id = inputs.blob(TABLE)?;
    let form = Form {
        header: settings.bool("header")?,
        label: settings.value("label")?,
        ignore: settings.list("ignore")?,
        missing: match settings.text("missing")? {
            "drop" => Missing::Drop,
            "mean" => Missing::Mark,
            _ => Missing::Refuse,
        },
    };
    let Some(source) = inputs.store.open_object(id)? else {
        return Err(lab_objects::ObjectsError::Missing { id: id.into() }.into());
    };
    Table::read(&slot(TABLE), source, &form)
}

/// How each column is shifted and scaled, from the training rows.
fn fit(table: &Table, rows: &[usize], scale: &Value) -> Result<Vec<Column>> {
    let column = |(index, name): (usize, &String)| {
        let width = table.columns.len();
        let values = || rows.iter().map(move |row| table.values[row * width + index]);
        let known = || values().filter(|x| !x.is_nan());
        let count = known().count() as f64;
        if count == 0.0 {
            let why = format!("column {name} has no value in the training part");
            return Err(TensorError::TooFewRows(why));
        }
        let mean = known().sum::<f64>() / count;
        let (shift, scale) = match scale {
            Value::Map(map) => match map.get("divide") {
                Some(Value::Float(by)) => (0.0, by.get()),
                _ => (0.0, 1.0),
            },
            Value::Text(word) if word == "minmax" => {
                let least = known().fold(f64::INFINITY, |a, b| if b < a { b } else { a });
                let greatest = known().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
                (least, greatest - least)
            }
            Value::Text(word) if word == "standard" => {
                let squares = known().map(|x| (x - mean) * (x - mean)).sum::<f64>();
                (mean, (squares / count).sqrt())
            }
            _ => (0.0, 1.0),
        };
        // A column that never changes is shifted to 0 and not scaled.
        let scale = if scale == 0.0 { 1.0 } else { scale };
        let missing = table.values.iter().skip(index).step_by(width).any(|x| x.is_nan());
        Ok(Column { name: name.clone(), shift, scale, missing: missing.then_some(mean) })
    };
    table.columns.iter().enumerate().map(column).collect()
}

/// The file of some rows: features `x`, class numbers `y`, indices in the table `row`.
fn part(table: &Table, rows: &[usize], columns: &[Column]) -> Vec<u8> {
    let width = columns.len();
    let mut x = Vec::with_capacity(rows.len() * width);
    for row in rows {
        for (value, column) in table.values[row * width..][..width].iter().zip(columns) {
            let known = if value.is_nan() { column.missing.unwrap_or(0.0) } else { *value };
            x.push(((known - column.shift) / column.scale) as f32);
        }
    }
    let y: Vec<i64> = rows.iter().map(|row| i64::from(table.labels[*row])).collect();
    let origin: Vec<i64> = rows.iter().map(|row| table.origins[*row] as i64).collect();
    tensors::write(&[
        ("x", &[rows.len(), width], Data::F32(&x)),
        ("y", &[rows.len()], Data::I64(&y)),
        ("row", &[rows.len()], Data::I64(&origin)),
    ])
}
