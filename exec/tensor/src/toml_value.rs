//! TOML as it is written, with line numbers, to parameter values.

use std::collections::BTreeMap;

use lab_schema::{Number, Value};
use toml::de::{DeTable, DeValue};

use crate::error::{Result, TensorError};

/// The longest program that is read, in bytes.
pub(crate) const MAX_PROGRAM_BYTES: usize = 1 << 20;

/// The value as JSON.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// What serialises as a value; none if a number in it is not finite.
pub(crate) fn from_json(value: &impl serde::Serialize) -> Option<Value> {
    serde_json::to_value(value).and_then(serde_json::from_value).ok()
}

/// A key of a program's top level, or of one of its sections.
pub(crate) struct Line {
    pub(crate) key: String,
    pub(crate) value: Value,
    /// From 1.
    pub(crate) line: usize,
}

/// A table, and what stands in it.
pub(crate) type Section = (Line, Vec<Line>);

/// The lines of a document: top-level values, and the tables with what stands in them.
pub(crate) fn document(text: &str) -> Result<(Vec<Line>, Vec<Section>)> {
    let (mut values, mut tables) = (Vec::new(), Vec::new());
    for (line, children) in lines(text, parse_table(text)?)? {
        match children {
            Some(children) => tables.push((line, children)),
            None => values.push(line),
        }
    }
    Ok((values, tables))
}

type Entry = (Line, Option<Vec<Line>>);

fn lines(text: &str, table: DeTable<'_>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (key, value) in table {
        let line = line_of(text, key.span().start);
        let key = key.into_inner().into_owned();
        let here = |value| Line { key: key.clone(), value, line };
        match value.into_inner() {
            DeValue::Table(children) => {
                let children = lines(text, children)?.into_iter().map(flatten).collect();
                entries.push((here(Value::Map(BTreeMap::new())), Some(children)));
            }
            other => entries.push((here(convert(&key, other, Some(line))?), None)),
        }
    }
    Ok(entries)
}

/// A table inside a section is a value, such as `scale = { divide = 16 }`.
fn flatten((mut line, children): Entry) -> Line {
    if let Some(children) = children {
        line.value = Value::Map(children.into_iter().map(|c| (c.key, c.value)).collect());
    }
    line
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

fn parse_table(text: &str) -> Result<DeTable<'_>> {
    if text.len() > MAX_PROGRAM_BYTES {
        let limit = MAX_PROGRAM_BYTES as u64;
        return Err(TensorError::TooLarge { what: "the program is too long", limit });
    }
    let table = DeTable::parse(text).map_err(|error| TensorError::Syntax {
        line: error.span().map(|span| line_of(text, span.start)),
        message: error.message().replace('\n', " "),
    })?;
    Ok(table.into_inner())
}

/// One value in TOML syntax; a plain word is text, so that a shell needs no second quotes.
pub(crate) fn parse(key: &str, text: &str) -> Result<Value> {
    let bad = || TensorError::BadValue {
        key: key.to_owned(),
        value: text.to_owned(),
        line: None,
        expected: "a value in TOML syntax".to_owned(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/@:".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !["true", "false", "inf", "nan"].contains(&text)
    {
        return Ok(Value::Text(text.to_owned()));
    }
    if text.contains(['\n', '\r']) || text.len() > MAX_PROGRAM_BYTES {
        return Err(bad());
    }
    let value = DeValue::parse(text).map_err(|_| bad())?;
    convert(key, value.into_inner(), None)
}

fn convert(key: &str, value: DeValue<'_>, line: Option<usize>) -> Result<Value> {
    let bad = |value: &str, expected: &str| TensorError::BadValue {
        key: key.to_owned(),
        value: value.to_owned(),
        line,
        expected: expected.to_owned(),
    };
    Ok(match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(n) => {
            let parsed = i64::from_str_radix(n.as_str(), n.radix());
            Value::Int(parsed.map_err(|_| bad(n.as_str(), "an integer of 64 bits"))?)
        }
        DeValue::Float(x) => {
            let parsed = x.as_str().parse().ok().and_then(|x| Number::new(x).ok());
            Value::Float(parsed.ok_or_else(|| bad(x.as_str(), "a finite number"))?)
        }
        DeValue::Array(items) => {
            let item = |item: toml::Spanned<DeValue<'_>>| convert(key, item.into_inner(), line);
            Value::List(items.into_iter().map(item).collect::<Result<_>>()?)
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<DeValue<'_>>)| {
                let key: std::borrow::Cow<'_, str> = key.into_inner();
                let value = convert(&key, value.into_inner(), line)?;
                Ok((key.into_owned(), value))
            };
            Value::Map(table.into_iter().map(entry).collect::<Result<_>>()?)
        }
        DeValue::Datetime(date) => {
            return Err(bad(&date.to_string(), "a value that is not a date"));
        }
    })
}
