//! A table row by row, as it is written, for whoever compares two of them.
//!
//! Nothing is read as numbers or labels, so neither ragged types nor many distinct words are refused;
//! what would make cells belong to the wrong columns is, as by the readers that learn from tables. A
//! column of JSON lines may come late: it is missing in the rows before. No more than one row is in
//! memory.

use std::collections::HashMap;
use std::io::Read;

use crate::csv::{CsvForm, Rows, check_delimiter, is_missing, names};
use crate::error::{DataError, Result};
use crate::jsonl;
use crate::lines::Lines;
use crate::source::gunzipped;
use crate::table::{MAX_COLUMNS, distinct};

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableForm {
    /// Fields between delimiters.
    Csv(CsvForm),
    /// An object a line.
    Jsonl,
}

/// A cell, before anybody has said how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written<'a> {
    /// It stands for a value that is not known.
    Missing,
    /// A finite number, as it is written.
    Number(&'a str),
    /// Text.
    Word(&'a [u8]),
    /// A boolean, a list or an object of JSON, as it is written.
    Json(&'a str),
}

impl<'a> Written<'a> {
    /// What a field of a CSV file stands for.
    pub fn field(bytes: &'a [u8]) -> Written<'a> {
        match str::from_utf8(bytes) {
            Ok(text) if is_missing(text) => Written::Missing,
            Ok(text) if text.parse().is_ok_and(f64::is_finite) => Written::Number(text),
            _ => Written::Word(bytes),
        }
    }
}

/// The rows of a table, one after the other.
pub struct TableRows<'a> {
    inner: Inner<'a>,
    names: Vec<String>,
    /// Of JSON lines the texts of the row that was read last.
    text: Vec<u8>,
    /// And for each column its sort, and where its text lies; none where it is missing.
    cells: Vec<Option<Cell>>,
    /// Those that are not: a row may have few of many columns.
    given: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Cell {
    sort: Sort,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy)]
enum Sort {
    Number,
    Word,
    Json,
}

type Plain<'a> = Box<dyn Read + 'a>;

enum Inner<'a> {
    /// With the line of a first row that has been read and not given.
    Csv(Rows<Plain<'a>>, Option<u64>),
    Jsonl(Lines<Plain<'a>>, Vec<u8>, HashMap<String, usize>),
}

impl<'a> TableRows<'a> {
    /// The rows of `source`, which is plain or gzipped.
    ///
    /// # Errors
    /// [`DataError`]: an empty file; of a CSV file a delimiter that is none, and two columns of one
    /// name.
    pub fn new(source: impl Read + 'a, form: TableForm) -> Result<TableRows<'a>> {
        TableRows::open(source, form, false)
    }

    /// The same, with the blanks around the fields of a CSV file: of tokens, ` the` and `the` are two.
    ///
    /// # Errors
    /// As [`TableRows::new`].
    pub fn exact(source: impl Read + 'a, form: TableForm) -> Result<TableRows<'a>> {
        TableRows::open(source, form, true)
    }

    fn open(source: impl Read + 'a, form: TableForm, exact: bool) -> Result<TableRows<'a>> {
        let source: Plain<'a> = Box::new(gunzipped(source));
        let (inner, names) = match form {
            TableForm::Jsonl => {
                let inner = Inner::Jsonl(Lines::new(source), Vec::new(), HashMap::new());
                (inner, Vec::new())
            }
            TableForm::Csv(CsvForm { header, delimiter }) => {
                check_delimiter(delimiter)?;
                let mut rows = match exact {
                    true => Rows::exact(source, delimiter),
                    false => Rows::new(source, delimiter),
                };
                let Some(first) = rows.next()? else { return Err(DataError::Empty("the table")) };
                let names = names(first, &rows.fields, header)?;
                distinct(&names)?;
                (Inner::Csv(rows, (!header).then_some(first)), names)
            }
        };
        Ok(TableRows { inner, names, text: Vec::new(), cells: Vec::new(), given: Vec::new() })
    }

    /// The names of the columns, as far as they have come: those of JSON lines grow.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads the next row; its line, from 1, or none after the last.
    ///
    /// # Errors
    /// [`DataError`]: a row that is ragged, longer than 16 MiB or wrongly quoted; a line that is no
    /// object, or has a key twice; more than 65,536 columns; damaged gzip data.
    pub fn advance(&mut self) -> Result<Option<u64>> {
        self.text.clear();
        for column in self.given.drain(..) {
            self.cells[column] = None;
        }
        match &mut self.inner {
            Inner::Csv(rows, pending) => {
                let Some(line) = pending.take().map_or_else(|| rows.next(), |at| Ok(Some(at)))?
                else {
                    return Ok(None);
                };
                if rows.fields.len() != self.names.len() {
                    let (expected, found) = (self.names.len() as u64, rows.fields.len() as u64);
                    return Err(DataError::Ragged { line, expected, found });
                }
                Ok(Some(line))
            }
            Inner::Jsonl(lines, line, places) => {
                if !jsonl::next(lines, line)? {
                    return Ok(None);
                }
                let number = lines.number();
                for (at, (key, value)) in jsonl::object(line, number)?.0.into_iter().enumerate() {
                    let same = self.names.get(at).is_some_and(|name| *name == key);
                    let column = match if same { Some(at) } else { places.get(&key).copied() } {
                        Some(column) => column,
                        None if self.names.len() as u64 == MAX_COLUMNS => {
                            let (what, limit) = ("columns of the table", MAX_COLUMNS);
                            return Err(DataError::TooLarge { what, limit });
                        }
                        None => {
                            places.insert(key.clone(), self.names.len());
                            self.names.push(key);
                            self.cells.push(None);
                            self.cells.len() - 1
                        }
                    };
                    let json = value.get();
                    let start = self.text.len();
                    let sort = match json.as_bytes().first() {
                        Some(b'n') => continue,
                        Some(b'"') => {
                            let why = |error| format!("not a JSON string: {error}");
                            let word: String = serde_json::from_str(json)
                                .map_err(|e| DataError::Row { line: number, why: why(e) })?;
                            self.text.extend_from_slice(word.as_bytes());
                            Sort::Word
                        }
                        Some(b't' | b'f' | b'[' | b'{') => Sort::Json,
                        _ => Sort::Number,
                    };
                    if !matches!(sort, Sort::Word) {
                        self.text.extend_from_slice(json.as_bytes());
                    }
                    self.given.push(column);
                    self.cells[column] = Some(Cell { sort, start, end: self.text.len() });
                }
                Ok(Some(number))
            }
        }
    }

    /// The cell of a CSV file that [`TableRows::cell`] tells, as it is written, though it may stand for a
    /// value that is not known: where cells are words, `NA` and `?` may be some. None of JSON lines.
    pub fn field(&self, column: usize) -> Option<&[u8]> {
        match &self.inner {
            Inner::Csv(rows, _) if column < rows.fields.len() => Some(rows.fields.get(column)),
            _ => None,
        }
    }

    /// The cell of the row that was read last in a column, by its index.
    pub fn cell(&self, column: usize) -> Written<'_> {
        if let Inner::Csv(rows, _) = &self.inner {
            return match column < rows.fields.len() {
                true => Written::field(rows.fields.get(column)),
                false => Written::Missing,
            };
        }
        let Some(Cell { sort, start, end }) = self.cells.get(column).copied().flatten() else {
            return Written::Missing;
        };
        let bytes = self.text.get(start..end).unwrap_or_default();
        match (sort, str::from_utf8(bytes)) {
            (Sort::Number, Ok(text)) => Written::Number(text),
            (Sort::Json, Ok(text)) => Written::Json(text),
            _ => Written::Word(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, form: TableForm) -> Result<Vec<String>> {
        let mut rows = TableRows::new(text.as_bytes(), form)?;
        let mut all = Vec::new();
        while let Some(line) = rows.advance()? {
            let cells: Vec<String> = (0..rows.names().len())
                .map(|column| match rows.cell(column) {
                    Written::Missing => "-".to_owned(),
                    Written::Number(text) => format!("#{text}"),
                    Written::Word(text) => String::from_utf8_lossy(text).into_owned(),
                    Written::Json(text) => format!("json {text}"),
                })
                .collect();
            all.push(format!("{line}: {}", cells.join(" | ")));
        }
        all.push(rows.names().join(" "));
        Ok(all)
    }

    fn csv(header: bool) -> TableForm {
        TableForm::Csv(CsvForm { header, delimiter: b',' })
    }

    #[test]
    fn cells_are_told_as_they_are_written() {
        let text = "a,b,c\n1.50,\"x,\ny\",NA\n\n007,inf,\n";
        let expected = ["2: #1.50 | x,\ny | -", "5: #007 | inf | -", "a b c"];
        assert_eq!(read(text, csv(true)).unwrap(), expected);
        assert_eq!(read("1,2\n3,4\n", csv(false)).unwrap(), ["1: #1 | #2", "2: #3 | #4", "0 1"]);
        let text = "{\"a\":1.50,\"b\":\"1\"}\n{\"b\":null,\"c\":[1, 2],\"a\":true}\n";
        let expected = ["1: #1.50 | 1", "2: json true | - | json [1, 2]", "a b c"];
        assert_eq!(read(text, TableForm::Jsonl).unwrap(), expected);
    }

    #[test]
    fn tokens_are_told_apart_by_their_blanks() {
        let text = "row,label\n1, \n2, the\n3,\"\n\"\n4,?\n";
        let mut rows = TableRows::exact(text.as_bytes(), csv(true)).unwrap();
        let mut all = Vec::new();
        while rows.advance().unwrap().is_some() {
            all.push((rows.field(1).unwrap().to_vec(), rows.cell(1) == Written::Missing));
        }
        let expected = [(" ", false), (" the", false), ("\n", false), ("?", true)];
        assert_eq!(all, expected.map(|(text, missing)| (text.as_bytes().to_vec(), missing)));
        assert_eq!((rows.field(2), rows.cell(2)), (None, Written::Missing));
        let mut objects = TableRows::new("{\"a\":null}\n".as_bytes(), TableForm::Jsonl).unwrap();
        objects.advance().unwrap();
        assert_eq!((objects.field(0), objects.cell(0)), (None, Written::Missing));
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for text in ["", "a,b\n1\n", "a,a\n1,2\n", "a,b\n\"1,2\n"] {
            assert!(read(text, csv(true)).is_err(), "{text}");
        }
        for text in ["{\"a\":1,\"a\":2}\n", "[1]\n", "{\"a\":1}\n{\"a\":}\n"] {
            assert!(read(text, TableForm::Jsonl).is_err(), "{text}");
        }
        let many = (0..=MAX_COLUMNS).map(|at| format!("{{\"{at}\":1}}\n")).collect::<String>();
        let mut rows = TableRows::new(many.as_bytes(), TableForm::Jsonl).unwrap();
        let error = loop {
            if let Err(error) = rows.advance() {
                break error.to_string();
            }
        };
        assert_eq!(error, "columns of the table: the limit is 65536");
    }
}
