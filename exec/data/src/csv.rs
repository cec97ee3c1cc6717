//! CSV: rows of fields, plain or gzipped, read as a stream.
//!
//! Refuses what would become a silent change of the data: ragged rows, text in a column of
//! numbers, numbers that are not finite, two columns of one name, bytes that are not UTF-8 in a
//! column that is kept. Errors name the line and the column. Empty lines are passed over. Blanks
//! around a field do not count, inside its quotes neither.

use std::io::Read;

use crate::error::{DataError, Result};
use crate::fields::Fields;
use crate::lines::{Lines, without_end};
use crate::source::gunzipped;
use crate::table::{Builder, MAX_COLUMNS, Role, Table, cell, distinct};

/// What stands for a value that is not known.
const MISSING: [&str; 8] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"];

/// What is wrong with a row whose quote is open where the file ends.
pub(crate) const UNCLOSED: &str = "a quote is not closed";

/// Whether a field stands for a value that is not known.
pub(crate) fn is_missing(field: &str) -> bool {
    MISSING.contains(&field)
}

/// How a CSV file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvForm {
    /// The first row holds the names of the columns; without it they are named by index, from 0.
    pub header: bool,
    /// Between the fields; an ASCII character.
    pub delimiter: u8,
}

/// Reads a table; `roles` is asked once, with the names of all columns.
///
/// Missing are an empty field and NA, N/A, NaN, nan, null, NULL and ?.
///
/// # Errors
/// What `roles` says, and [`DataError`]: a row that is ragged, longer than 16 MiB or wrongly
/// quoted; a cell that is not of its column's role; an empty file; more than 2^16 columns, 2^26
/// rows, 2^27 cells, 2^16 distinct texts of a column.
pub fn csv<E: From<DataError>>(
    source: impl Read,
    form: CsvForm,
    roles: impl FnOnce(&[String]) -> std::result::Result<Vec<Role>, E>,
) -> std::result::Result<Table, E> {
    check_delimiter(form.delimiter)?;
    let mut rows = Rows::new(gunzipped(source), form.delimiter);
    let Some(first) = rows.next()? else { return Err(DataError::Empty("the table").into()) };
    let names = names(first, &rows.fields, form.header)?;
    distinct(&names)?;
    let roles = roles(&names)?;
    let mut builder = Builder::new(names, &roles)?;
    if !form.header {
        add(&mut builder, first, &rows.fields)?;
    }
    while let Some(line) = rows.next()? {
        add(&mut builder, line, &rows.fields)?;
    }
    Ok(builder.finish())
}

/// Gives each row to `row`: the names of all columns, and the cells as they are written, none where
/// missing. For those who compare cells and learn nothing from them: texts may be long, and all
/// different. The names come back.
///
/// # Errors
/// What `row` says, and [`DataError`] as [`csv`], but for numbers and counts of rows and texts.
pub fn csv_cells<E: From<DataError>>(
    source: impl Read,
    form: CsvForm,
    mut row: impl FnMut(&[String], &[Option<&str>]) -> std::result::Result<(), E>,
) -> std::result::Result<Vec<String>, E> {
    check_delimiter(form.delimiter)?;
    let mut rows = Rows::new(gunzipped(source), form.delimiter);
    let Some(first) = rows.next()? else { return Err(DataError::Empty("the table").into()) };
    let names = names(first, &rows.fields, form.header)?;
    distinct(&names)?;
    let mut next = if form.header { rows.next()? } else { Some(first) };
    while let Some(line) = next {
        let (expected, found) = (names.len() as u64, rows.fields.len() as u64);
        if expected != found {
            return Err(DataError::Ragged { line, expected, found }.into());
        }
        let text = |(column, name): (usize, &String)| {
            let bytes = rows.fields.get(column);
            let text = str::from_utf8(bytes).map_err(|_| {
                cell(line, name.clone(), &String::from_utf8_lossy(bytes), "not UTF-8")
            })?;
            Ok((!is_missing(text)).then_some(text))
        };
        let cells = names.iter().enumerate().map(text).collect::<Result<Vec<_>>>()?;
        row(&names, &cells)?;
        next = rows.next()?;
    }
    Ok(names)
}

/// A letter or digit as delimiter would cut words and numbers apart.
pub(crate) fn check_delimiter(delimiter: u8) -> Result<()> {
    let bad = !delimiter.is_ascii() || delimiter.is_ascii_alphanumeric();
    match bad || matches!(delimiter, b'"' | b'\n' | b'\r' | b'.' | b'+' | b'-') {
        true => Err(DataError::Delimiter { delimiter: delimiter.into() }),
        false => Ok(()),
    }
}

/// The rows of a plain file, one after the other.
pub(crate) struct Rows<R> {
    lines: Lines<R>,
    line: Vec<u8>,
    pub(crate) fields: Fields,
}

impl<R: Read> Rows<R> {
    pub(crate) fn new(source: R, delimiter: u8) -> Self {
        Rows { lines: Lines::new(source), line: Vec::new(), fields: Fields::new(delimiter) }
    }

    /// The same, with the blanks around fields.
    pub(crate) fn exact(source: R, delimiter: u8) -> Self {
        Rows { fields: Fields::exact(delimiter), ..Rows::new(source, delimiter) }
    }

    /// Reads the next row into the fields; the line where it begins.
    pub(crate) fn next(&mut self) -> Result<Option<u64>> {
        self.fields.clear();
        self.line.clear();
        let mut start = None;
        let mut taken = 0;
        while self.lines.append(&mut self.line)? {
            let line = &self.line[taken..];
            let text = without_end(line);
            if start.is_none() && text.is_empty() {
                self.line.clear();
                continue;
            }
            let begin = *start.get_or_insert(self.lines.number());
            let whole = self.fields.take(text, &line[text.len()..]);
            let row = |why: &str| DataError::Row { line: begin, why: why.into() };
            match whole.map_err(|flaw| row(flaw.why()))? {
                true => return Ok(Some(begin)),
                false => taken = self.line.len(),
            }
        }
        match start {
            None => Ok(None),
            Some(line) => Err(DataError::Row { line, why: UNCLOSED.into() }),
        }
    }
}

pub(crate) fn names(line: u64, fields: &Fields, header: bool) -> Result<Vec<String>> {
    if fields.len() as u64 > MAX_COLUMNS {
        return Err(DataError::TooLarge { what: "columns of the table", limit: MAX_COLUMNS });
    }
    let name = |index: usize| match (header, str::from_utf8(fields.get(index))) {
        (false, _) => Ok(index.to_string()),
        (true, Ok(name)) => Ok(name.to_owned()),
        (true, Err(_)) => {
            let text = String::from_utf8_lossy(fields.get(index));
            Err(cell(line, index.to_string(), &text, "not UTF-8"))
        }
    };
    (0..fields.len()).map(name).collect()
}

fn add(builder: &mut Builder, line: u64, fields: &Fields) -> Result<()> {
    let expected = builder.names().len();
    if fields.len() != expected {
        let (expected, found) = (expected as u64, fields.len() as u64);
        return Err(DataError::Ragged { line, expected, found });
    }
    builder.row(line)?;
    for column in 0..expected {
        let role = builder.role(column);
        if role == Role::Skip {
            continue;
        }
        let Ok(text) = str::from_utf8(fields.get(column)) else {
            let text = String::from_utf8_lossy(fields.get(column));
            return Err(builder.refuse(column, &text, "not UTF-8"));
        };
        let known = !is_missing(text);
        match role {
            Role::Number if known => {
                let number = text.parse();
                let number = number.map_err(|_| builder.refuse(column, text, "not a number"))?;
                builder.number(column, text, Some(number))?;
            }
            Role::Number => builder.number(column, text, None)?,
            _ => builder.text(column, known.then_some(text))?,
        }
    }
    Ok(())
}
