//! The columns of a table: which there are, which of them are for what, and what stands in them.

use lab_data::{CsvForm, Role};
use lab_preparation::{Cells, Column, Table};
use lab_schema::Value;

use super::found::Written;
use crate::error::{Result, TensorError};
use crate::files::{Found, Inputs};
use crate::settings::Settings;
use crate::task::TABLE;

/// Which columns are for what, by name.
pub(super) struct Columns {
    pub(super) label: String,
    pub(super) features: Vec<(String, Role)>,
    pub(super) group: Option<String>,
    pub(super) key: Option<String>,
    /// What was found out about the table, if anything is worth saying.
    pub(super) found: Option<Found>,
}

/// The table, which of its columns are for what, and the line in which each row begins.
pub(super) fn read(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
) -> Result<(Table, Columns, Vec<u64>)> {
    let written = Written::of(inputs, settings)?;
    let source = inputs.open(TABLE)?;
    let mut columns = None;
    let header = written.header;
    let roles = |names: &[String]| -> Result<Vec<Role>> {
        if header && names.iter().all(|name| name.parse::<f64>().is_ok()) {
            return Err(TensorError::BadValue {
                key: "prepare.header".into(),
                value: "true".into(),
                line: None,
                expected: "false, since the first line has nothing but numbers,".into(),
            });
        }
        let found = find(settings, names, &written)?;
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
        _ => lab_data::csv(source, CsvForm { header, delimiter: written.delimiter }, roles)?,
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
    let lines = table.lines;
    let table = Table { columns: all, rows: table.rows };
    for (name, _) in columns.features.iter().filter(|(_, role)| *role == Role::Text) {
        if let Cells::Text { values, .. } = &table.column(name)?.cells {
            written.check_whole(name, values.len(), table.rows)?;
        }
    }
    Ok((table, columns, lines))
}

/// The columns that the settings name.
fn find(settings: &Settings<'_>, names: &[String], written: &Written) -> Result<Columns> {
    let one = |key: &'static str, value| column(key, value, names);
    let list = |key: &'static str, setting| -> Result<Vec<String>> {
        match settings.value(setting)? {
            Value::List(columns) => columns.iter().map(|value| one(key, value)).collect(),
            _ => Ok(Vec::new()),
        }
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
    let mut features = Vec::new();
    for (at, name) in names.iter().enumerate().filter(|(_, name)| used(name)) {
        let found = written.is_words(at);
        if found {
            written.check_start(at, name)?;
        }
        let words = found || words.contains(name);
        features.push((name.clone(), if words { Role::Text } else { Role::Number }));
    }
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
    let words = features.iter().filter(|(_, role)| *role == Role::Text);
    let found = written.found(words.map(|(name, _)| name.clone()).collect());
    Ok(Columns { label, features, group, key, found })
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
