//! JSON lines: one object a line, plain or gzipped, read as a stream.
//!
//! The columns are the keys of the first object, in its order. A key that it lacks is an error,
//! since a reader that passes over it loses data; an absent key and `null` are missing. A column
//! of numbers takes numbers and booleans (1 and 0), not text that looks like a number; a column
//! of text takes strings as they are, numbers as they are written (`3.0` is not `3`) and booleans
//! as `true` and `false`. Lists and objects are refused unless their column is skipped.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

use crate::error::{DataError, Result};
use crate::json::Object;
use crate::lines::{Lines, without_end};
use crate::source::gunzipped;
use crate::table::{Builder, Role, Table};

/// Reads a table; `roles` is asked once, with the keys of the first object.
///
/// # Errors
/// What `roles` says, and [`DataError`]: a line that is not an object or is longer than 16 MiB; a
/// key twice, or unknown to the first object; a value that is not of its column's role; an empty
/// file; more rows or cells than [`crate::csv`] accepts.
pub fn jsonl<E: From<DataError>>(
    source: impl Read,
    roles: impl FnOnce(&[String]) -> std::result::Result<Vec<Role>, E>,
) -> std::result::Result<Table, E> {
    let mut lines = Lines::new(gunzipped(source));
    let mut line = Vec::new();
    if !next(&mut lines, &mut line)? {
        return Err(DataError::Empty("the table").into());
    }
    let first = object(&line, lines.number())?;
    let names: Vec<String> = first.0.iter().map(|(key, _)| key.clone()).collect();
    if names.is_empty() {
        let why = "the first object has no keys".into();
        return Err(DataError::Row { line: lines.number(), why }.into());
    }
    let places = names.iter().enumerate().map(|(place, key)| (key.clone(), place));
    let places: HashMap<String, usize> = places.collect();
    let roles = roles(&names)?;
    let mut builder = Builder::new(names, &roles)?;
    add(&mut builder, &places, lines.number(), &first)?;
    while next(&mut lines, &mut line)? {
        let object = object(&line, lines.number())?;
        add(&mut builder, &places, lines.number(), &object)?;
    }
    Ok(builder.finish())
}

/// Gives each object to `row`: the keys of the first one, and the values, none where missing.
/// Strings are given as they are, all else, also lists and objects, as it is written. For those who
/// compare values and learn nothing from them. The keys come back.
///
/// # Errors
/// What `row` says, and [`DataError`] as [`jsonl`], but for what a role demands.
pub fn jsonl_cells<E: From<DataError>>(
    source: impl Read,
    mut row: impl FnMut(&[String], &[Option<&str>]) -> std::result::Result<(), E>,
) -> std::result::Result<Vec<String>, E> {
    let mut lines = Lines::new(gunzipped(source));
    let mut line = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut places = HashMap::new();
    while next(&mut lines, &mut line)? {
        let number = lines.number();
        let entries = object(&line, number)?.0;
        if names.is_empty() {
            names = entries.iter().map(|(key, _)| key.clone()).collect();
            places = names.iter().cloned().zip(0..).collect::<HashMap<String, usize>>();
        }
        if names.is_empty() {
            let why = "the first object has no keys".into();
            return Err(DataError::Row { line: number, why }.into());
        }
        let mut values = vec![None; names.len()];
        for (key, value) in entries {
            let Some(place) = places.get(&key) else {
                return Err(DataError::UnknownKey { line: number, key }.into());
            };
            values[*place] = value_text(value.get(), number)?;
        }
        let cells: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        row(&names, &cells)?;
    }
    match names.is_empty() {
        true => Err(DataError::Empty("the table").into()),
        false => Ok(names),
    }
}

/// What a value with this JSON text says; nothing if it is null.
fn value_text(json: &str, line: u64) -> Result<Option<Cow<'_, str>>> {
    match json.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => {
            let text: String = serde_json::from_str(json)
                .map_err(|_| DataError::Row { line, why: "a string is not Unicode".into() })?;
            Ok(Some(Cow::Owned(text)))
        }
        _ => Ok(Some(Cow::Borrowed(json))),
    }
}

/// Reads the next line that is not empty.
pub(crate) fn next(lines: &mut Lines<impl Read>, line: &mut Vec<u8>) -> Result<bool> {
    loop {
        line.clear();
        if !lines.append(line)? {
            return Ok(false);
        }
        if !without_end(line).is_empty() {
            return Ok(true);
        }
    }
}

pub(crate) fn object(line: &[u8], number: u64) -> Result<Object<'_>> {
    let row = |why| DataError::Row { line: number, why };
    let text = str::from_utf8(line).map_err(|_| row("not UTF-8".into()))?;
    serde_json::from_str(text).map_err(|error| row(format!("not a JSON object: {error}")))
}

fn add(
    builder: &mut Builder,
    places: &HashMap<String, usize>,
    line: u64,
    object: &Object<'_>,
) -> Result<()> {
    builder.row(line)?;
    let mut given = vec![false; builder.names().len()];
    for (at, (key, value)) in object.0.iter().enumerate() {
        // Most objects have the keys of the first one in the same order.
        let same = builder.names().get(at).is_some_and(|name| name == key);
        let place = if same { Some(at) } else { places.get(key).copied() };
        let Some(column) = place else {
            return Err(DataError::UnknownKey { line, key: key.clone() });
        };
        given[column] = true;
        cell(builder, column, value.get())?;
    }
    let absent = (0..given.len()).filter(|column| !given[*column]);
    absent.into_iter().try_for_each(|column| cell(builder, column, "null"))
}

/// Puts the value with this JSON text, which is known to be valid, into a column.
fn cell(builder: &mut Builder, column: usize, json: &str) -> Result<()> {
    let role = builder.role(column);
    match (role, json.as_bytes().first()) {
        (Role::Skip, _) => Ok(()),
        (Role::Number, Some(b'n')) => builder.number(column, json, None),
        (Role::Number, Some(b't')) => builder.number(column, json, Some(1.0)),
        (Role::Number, Some(b'f')) => builder.number(column, json, Some(0.0)),
        (Role::Number, _) => {
            // The standard library rounds to nearest; what JSON cannot say it is not asked.
            let number = json.parse().map_err(|_| builder.refuse(column, json, "not a number"))?;
            builder.number(column, json, Some(number))
        }
        (Role::Text, Some(b'n')) => builder.text(column, None),
        (Role::Text, Some(b'"')) => {
            let text: String = serde_json::from_str(json)
                .map_err(|_| builder.refuse(column, json, "not a string"))?;
            builder.text(column, Some(&text))
        }
        (Role::Text, Some(b'[' | b'{')) => Err(builder.refuse(column, json, "not a string")),
        (Role::Text, _) => builder.text(column, Some(json)),
    }
}
