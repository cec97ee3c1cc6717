//! Tables: rows of features, and a class or a number to foretell.

use lab_data::{CsvForm, DataError, Role};
use lab_preparation::categories::{Encoding, MissingWord, Unknown, WordPlan};
use lab_preparation::features::{ColumnPlan, FeaturePlan, Form, Matrix};
use lab_preparation::numbers::{MissingNumber, NumberPlan};
use lab_preparation::split::{By, Folds, Parts, Shares, fold, split};
use lab_preparation::target::{FittedTarget, TargetPlan, Targets};
use lab_preparation::transform::Transform;
use lab_preparation::{Cells, Column, PreparationError, Table};
use lab_schema::Value;

use super::{counted, digest, product};
use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, Target, to_value};
use crate::settings::Settings;
use crate::task::TABLE;
use crate::tensors::{self, Data};

/// Which columns are for what, by name.
struct Columns {
    label: String,
    features: Vec<(String, Role)>,
    group: Option<String>,
    key: Option<String>,
}

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
        fitted: to_value(&fitted),
        rows: counted(&parts, dropped),
        split: digest(&parts.test),
    };
    Ok(product(files, &prepared))
}

fn read(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<(Table, Columns, Vec<u64>)> {
    let source = inputs.open(TABLE)?;
    let mut columns = None;
    let header = settings.bool("header")?;
    let roles = |names: &[String]| -> Result<Vec<Role>> {
        if header && names.iter().all(|name| name.parse::<f64>().is_ok()) {
            return Err(TensorError::BadValue {
                key: "prepare.header".into(),
                value: "true".into(),
                line: None,
                expected: "false, since the first line has nothing but numbers,".into(),
            });
        }
        let found = find(settings, names)?;
        let role = |name: &String| match found.features.iter().find(|(n, _)| n == name) {
            Some((_, role)) => *role,
            None if Some(name) == found.group.as_ref() || Some(name) == found.key.as_ref() => {
                Role::Text
            }
            None if *name == found.label
                && settings.text("target").is_ok_and(|t| t == "number") =>
            {
                Role::Number
            }
            None if *name == found.label => Role::Text,
            None => Role::Skip,
        };
        let roles = names.iter().map(role).collect();
        columns = Some(found);
        Ok(roles)
    };
    let table = match settings.text("format")? {
        "jsonl" => lab_data::jsonl(source, roles)?,
        _ => {
            let delimiter = settings.text("delimiter")?.bytes().next().unwrap_or(b',');
            lab_data::csv(source, CsvForm { header: settings.bool("header")?, delimiter }, roles)?
        }
    };
    let columns = columns.ok_or_else(|| TensorError::TooFewRows("the table is empty".into()))?;
    let column = |column: lab_data::Column| Column {
        name: column.name,
        cells: match column.cells {
            lab_data::Cells::Numbers(numbers) => Cells::Numbers(numbers),
            lab_data::Cells::Text { values, codes } => Cells::Text { values, codes },
            lab_data::Cells::Skipped => Cells::Skipped,
        },
    };
    let all = table.columns.into_iter().map(column).collect();
    Ok((Table { columns: all, rows: table.rows }, columns, table.lines))
}

/// The columns that the settings name.
fn find(settings: &Settings<'_>, names: &[String]) -> Result<Columns> {
    let one = |key: &'static str, value| column(key, value, names);
    let list = |key: &'static str, setting| -> Result<Vec<String>> {
        settings.list(setting)?.iter().map(|value| one(key, value)).collect()
    };
    let maybe = |key: &'static str, setting| match settings.value(setting)? {
        Value::Text(text) if text.is_empty() => Ok(None),
        value => one(key, value).map(Some),
    };
    let label = one("prepare.label", settings.value("label")?)?;
    let ignored = list("prepare.ignore", "ignore")?;
    let words = list("prepare.categories", "categories")?;
    let (group, key) = (maybe("prepare.group", "group")?, maybe("prepare.key", "key")?);
    let used = |name: &&String| {
        **name != label
            && !ignored.contains(name)
            && Some(*name) != group.as_ref()
            && Some(*name) != key.as_ref()
    };
    let role = |name: &String| if words.contains(name) { Role::Text } else { Role::Number };
    let features: Vec<_> =
        names.iter().filter(used).map(|name| (name.clone(), role(name))).collect();
    if let ([only], ",") = (names, settings.text("delimiter")?) {
        return Err(TensorError::BadValue {
            key: "prepare.delimiter".into(),
            value: "\",\"".into(),
            line: None,
            expected: format!("another one for '{}'", only.chars().take(40).collect::<String>()),
        });
    }
    if features.is_empty() {
        let names = names.to_vec();
        return Err(TensorError::NoColumn {
            key: "prepare.label",
            column: "all that is left".into(),
            names,
        });
    }
    Ok(Columns { label, features, group, key })
}

/// By name, or by index; negative ones count from the end.
fn column(key: &'static str, value: &Value, names: &[String]) -> Result<String> {
    let found = match value {
        Value::Int(index) if *index < 0 => {
            names.len().checked_sub(index.unsigned_abs() as usize).and_then(|i| names.get(i))
        }
        Value::Int(index) => names.get(*index as usize),
        Value::Text(name) => names.iter().find(|n| *n == name),
        _ => None,
    };
    let column = value.to_string();
    found.cloned().ok_or_else(|| TensorError::NoColumn { key, column, names: names.to_vec() })
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
