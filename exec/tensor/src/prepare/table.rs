//! Tables: rows of features, and a class or a number to foretell.

use lab_data::{DataError, Role};
use lab_preparation::categories::{Encoding, MissingWord, Unknown, WordPlan};
use lab_preparation::features::{ColumnPlan, FeaturePlan, Form, Matrix};
use lab_preparation::numbers::{MissingNumber, NumberPlan};
use lab_preparation::split::{By, Folds, Parts, Shares, fold, split};
use lab_preparation::target::{FittedTarget, TargetPlan, Targets};
use lab_preparation::transform::Transform;
use lab_preparation::{Cells, Column, PreparationError, Table};
use lab_schema::Value;

use super::columns::{Columns, read};
use super::{counted, digest, product};
use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, Target, to_value};
use crate::settings::Settings;
use crate::tensors::{self, Data};

/// Runs the stage on a table.
pub(super) fn prepare(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Product> {
    let (table, columns, lines) = read(inputs, settings).map_err(|error| located(error, &[]))?;
    prepared(&table, &columns, settings).map_err(|error| located(error, &lines))
}

/// An error that speaks of a row, with the line of the file instead.
fn located(error: TensorError, lines: &[u64]) -> TensorError {
    match error {
        TensorError::Preparation(PreparationError::Cell { row, column, text, why }) => {
            let line = lines.get(row).copied().unwrap_or(0);
            TensorError::Cell { line, column, text, why }
        }
        TensorError::Data(DataError::Cell { line, column, text, why: "not a number" }) => {
            let why = "is not a number (columns of words: see prepare.categories, prepare.ignore)";
            TensorError::Cell { line, column, text, why }
        }
        error => error,
    }
}

fn prepared(table: &Table, columns: &Columns, settings: &Settings<'_>) -> Result<Product> {
    let plan = plan(settings, columns)?;
    let rows = whole(table, columns, settings)?;
    let dropped = table.rows - rows.len();
    let target = match settings.text("target")? {
        "number" => {
            TargetPlan::Number { column: columns.label.clone(), log: settings.bool("target_log")? }
        }
        _ => TargetPlan::Class { column: columns.label.clone() },
    };
    let target = target.fit(table, &rows)?;
    let parts = parts(table, &rows, settings, columns)?;
    let fitted = plan.fit(table, &parts.train)?;
    let scaling = Scaling::fit(&target, table, &parts.train)?;
    let names = fitted.names();
    let sizes = sizes(settings, names.len())?;
    let file = |part: &[usize]| -> Result<Vec<u8>> {
        let exact = numbers(&target, table, part)?;
        let y = target.apply(table, part)?;
        Ok(write(&fitted.apply(table, part)?, &sizes, &y, &exact, &scaling))
    };
    let files = [file(&parts.train)?, file(&parts.validation)?, file(&parts.test)?];
    let prepared = Prepared {
        sizes,
        target: scaling.target(target),
        features: names,
        found: columns.found.clone(),
        fitted: to_value(&fitted),
        rows: counted(&parts, dropped),
        split: digest(&parts.test),
    };
    Ok(product(files, &prepared))
}

/// How the columns become features.
fn plan(settings: &Settings<'_>, columns: &Columns) -> Result<FeaturePlan> {
    let (missing, words) = match settings.text("missing")? {
        "drop" => (MissingNumber::Drop, MissingWord::Drop),
        "mean" => (MissingNumber::Mean, MissingWord::Word("missing".into())),
        "median" => (MissingNumber::Median, MissingWord::Word("missing".into())),
        _ => (MissingNumber::Refuse, MissingWord::Refuse),
    };
    let transforms = match settings.value("scale")? {
        Value::Map(map) => match map.get("divide") {
            Some(Value::Float(by)) => vec![Transform::Divide { by: by.get() }],
            _ => Vec::new(),
        },
        Value::Text(word) => match word.as_str() {
            "minmax" => vec![Transform::Minmax],
            "standard" => vec![Transform::Standard],
            "robust" => vec![Transform::Robust],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let plan = |(name, role): &(String, Role)| ColumnPlan {
        column: name.clone(),
        form: match role {
            Role::Text => Form::Words(WordPlan {
                missing: words.clone(),
                encoding: Encoding::OneHot { unknown: Unknown::Accept },
            }),
            _ => Form::Numbers(NumberPlan {
                missing: missing.clone(),
                indicator: false,
                transforms: transforms.clone(),
            }),
        },
    };
    Ok(FeaturePlan { columns: columns.features.iter().map(plan).collect() })
}

/// All rows, or those without gaps.
fn whole(table: &Table, columns: &Columns, settings: &Settings<'_>) -> Result<Vec<usize>> {
    let all = table.all_rows();
    if settings.text("missing")? != "drop" {
        return Ok(all);
    }
    let mut needed = Vec::new();
    for name in columns.features.iter().map(|(name, _)| name).chain([&columns.label]) {
        needed.push(table.column(name)?);
    }
    let missing = |row: usize| {
        needed.iter().any(|column| match &column.cells {
            Cells::Numbers(numbers) => numbers[row].is_nan(),
            Cells::Text { codes, .. } => codes[row] == lab_preparation::MISSING,
            Cells::Skipped => false,
        })
    };
    Ok(all.into_iter().filter(|row| !missing(*row)).collect())
}

fn parts(
    table: &Table,
    rows: &[usize],
    settings: &Settings<'_>,
    columns: &Columns,
) -> Result<Parts> {
    let classes = settings.text("target")? == "class" && settings.bool("stratify")?;
    let by = match (&columns.group, &columns.key) {
        (Some(_), Some(_)) => {
            return Err(TensorError::Idle {
                key: "prepare.key".into(),
                other: "prepare.group".into(),
            });
        }
        (Some(group), None) => By::Groups(group.clone()),
        (None, Some(key)) => By::Key(key.clone()),
        (None, None) if classes => By::Classes(columns.label.clone()),
        (None, None) => By::Rows,
    };
    draw(table, rows, settings, by)
}

/// Draws the parts as the settings say: shares, or one of some folds.
pub(super) fn draw(
    table: &Table,
    rows: &[usize],
    settings: &Settings<'_>,
    by: By,
) -> Result<Parts> {
    let (validation, seed) = (settings.float("validation")?, settings.int("split_seed")?);
    let count = settings.int("folds")? as usize;
    let fold_number = settings.int("fold")? as usize;
    if count == 0 {
        if fold_number > 0 {
            return Err(TensorError::Idle {
                key: "prepare.fold".into(),
                other: "folds = 0".into(),
            });
        }
        let test = settings.float("test")?;
        return Ok(split(table, rows, &Shares { by, test, validation, seed })?);
    }
    Ok(fold(table, rows, &Folds { by, count, fold: fold_number, validation, seed })?)
}

/// The numbers to foretell as the table has them, or their logarithms; of classes none.
fn numbers(target: &FittedTarget, table: &Table, rows: &[usize]) -> Result<Vec<f64>> {
    let FittedTarget::Number { column, log } = target else { return Ok(Vec::new()) };
    let Cells::Numbers(all) = &table.column(column)?.cells else { return Ok(Vec::new()) };
    let number = |row: &usize| if *log { libm::log(all[*row]) } else { all[*row] };
    Ok(rows.iter().map(number).collect())
}

/// How a number to foretell is scaled: by the training part's mean and deviation.
struct Scaling {
    shift: f64,
    scale: f64,
}

impl Scaling {
    fn fit(target: &FittedTarget, table: &Table, train: &[usize]) -> Result<Scaling> {
        let y = numbers(target, table, train)?;
        if y.is_empty() {
            return Ok(Scaling { shift: 0.0, scale: 1.0 });
        }
        let count = y.len() as f64;
        let shift = y.iter().sum::<f64>() / count;
        let squares = y.iter().map(|y| (y - shift) * (y - shift)).sum::<f64>();
        let scale = (squares / count).sqrt();
        Ok(Scaling { shift, scale: if scale == 0.0 { 1.0 } else { scale } })
    }

    fn target(&self, fitted: FittedTarget) -> Target {
        match fitted {
            FittedTarget::Class { column, classes } => Target::Class { column, classes },
            FittedTarget::Number { column, log } => {
                Target::Number { column, log, shift: self.shift, scale: self.scale }
            }
        }
    }
}

/// The shape of a row: as many features as there are, or an image whose numbers they are.
fn sizes(settings: &Settings<'_>, features: usize) -> Result<Vec<usize>> {
    let size = |value: &Value| match value {
        Value::Int(n) => *n as usize,
        _ => 0,
    };
    let shape: Vec<usize> = settings.list("shape")?.iter().map(size).collect();
    match shape.as_slice() {
        [] => Ok(vec![features]),
        &[rows, cols, channels] if rows * cols * channels == features => Ok(shape),
        _ => Err(TensorError::BadValue {
            key: "prepare.shape".into(),
            value: format!("{shape:?}"),
            line: None,
            expected: format!(
                "rows, columns and channels whose product is {features}, as many as there are features,"
            ),
        }),
    }
}

/// The file of some rows: features `x`, what is to be foretold `y`, indices in the table `row`.
fn write(
    matrix: &Matrix,
    sizes: &[usize],
    targets: &Targets,
    exact: &[f64],
    scaling: &Scaling,
) -> Vec<u8> {
    let rows = matrix.rows.len();
    let x = [&[rows], sizes].concat();
    let origin: Vec<i64> = matrix.rows.iter().map(|row| *row as i64).collect();
    let origin = ("row", &[rows][..], Data::I64(&origin));
    match targets {
        Targets::Classes(y) => {
            let y: Vec<i64> = y.iter().map(|y| i64::from(*y)).collect();
            tensors::write(&[
                ("x", &x, Data::F32(&matrix.values)),
                ("y", &[rows], Data::I64(&y)),
                origin,
            ])
        }
        Targets::Numbers(_) => {
            let scaled = |y: &f64| ((y - scaling.shift) / scaling.scale) as f32;
            let y: Vec<f32> = exact.iter().map(scaled).collect();
            tensors::write(&[
                ("x", &x, Data::F32(&matrix.values)),
                ("y", &[rows], Data::F32(&y)),
                ("target", &[rows], Data::F64(exact)),
                origin,
            ])
        }
    }
}

/// A table of one column, for drawing parts of what is no table.
pub(super) fn of_labels(labels: &[u32], classes: &[String]) -> Table {
    let cells = Cells::Text { values: classes.to_vec(), codes: labels.to_vec() };
    Table { columns: vec![Column { name: "label".into(), cells }], rows: labels.len() }
}
