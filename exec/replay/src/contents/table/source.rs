//! The rows of a table, however it is written.

use std::io;

use lab_data::{CsvForm, TableForm, TableRows, Written};
use lab_parquet::{File, Rows};
use serde::Serialize;

use crate::compare::source::Source;
use crate::contents::stream::{Failed, Stream, Told};

/// How a table is written.
#[derive(Clone, Copy)]
pub(crate) enum Form<'a> {
    /// In lines of text.
    Text(TableForm),
    /// As Parquet: this file, and the one that it is compared with, if that is one.
    Parquet(&'a File, Option<&'a File>),
}

impl Form<'_> {
    /// What the format is called.
    pub(crate) const fn format(&self) -> &'static str {
        match self {
            Form::Text(TableForm::Csv(_)) => "CSV",
            Form::Text(TableForm::Jsonl) => "JSON lines",
            Form::Parquet(..) => "Parquet",
        }
    }

    /// What its rows are counted by.
    pub(crate) const fn counted(&self) -> Counted {
        match self {
            Form::Text(_) => Counted::Lines,
            Form::Parquet(..) => Counted::Rows,
        }
    }

    /// Whether it names its columns.
    pub(crate) const fn is_named(&self) -> bool {
        !matches!(self, Form::Text(TableForm::Csv(CsvForm { header: false, .. })))
    }
}

/// What the rows of a file are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The lines of its text.
    Lines,
    /// Themselves.
    Rows,
}

/// The rows of a table, one after the other.
pub(crate) struct TableSource<'a> {
    rows: AnyRows<'a>,
    /// Whether a cell is what a field of a CSV file with the same text would be.
    fields: bool,
}

enum AnyRows<'a> {
    Text(TableRows<'a>),
    Parquet(Rows<'a>),
}

/// Bytes for a parser that reads in ranges; what goes wrong in the store is kept apart.
pub(crate) struct Ranges<'a> {
    source: &'a dyn Source,
    failed: &'a Failed,
}

impl<'a> Ranges<'a> {
    pub(crate) fn new(source: &'a dyn Source, failed: &'a Failed) -> Ranges<'a> {
        Ranges { source, failed }
    }
}

impl lab_parquet::Source for Ranges<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        self.source.read(offset, len).map_err(|error| {
            let told = io::Error::other(error.to_string());
            *self.failed.borrow_mut() = Some(error);
            told
        })
    }
}

impl<'a> TableSource<'a> {
    /// The cells of columns for which `only` does not hold may be missing.
    pub(crate) fn new(
        ranges: &'a Ranges<'a>,
        form: Form<'a>,
        fields: bool,
        only: &dyn Fn(&str) -> bool,
    ) -> Told<TableSource<'a>> {
        let rows = match form {
            Form::Text(form) => {
                let rows = TableRows::new(Stream::new(ranges.source, ranges.failed), form);
                AnyRows::Text(rows.map_err(|error| said(&error))?)
            }
            Form::Parquet(own, other) => {
                // Where one of them has floats of 64 bits, both are told apart as such.
                let wide = |name: &str| {
                    other.is_some_and(|other| own.is_single(name) != other.is_single(name))
                };
                AnyRows::Parquet(Rows::new(own, ranges, &wide).only(only))
            }
        };
        Ok(TableSource { rows, fields })
    }

    pub(crate) fn names(&self) -> &[String] {
        match &self.rows {
            AnyRows::Text(rows) => rows.names(),
            AnyRows::Parquet(rows) => rows.names(),
        }
    }

    /// Reads the next row: its line, or its number; none after the last.
    pub(crate) fn advance(&mut self) -> Told<Option<u64>> {
        match &mut self.rows {
            AnyRows::Text(rows) => rows.advance().map_err(|error| said(&error)),
            AnyRows::Parquet(rows) => rows.advance().map_err(|error| said(&error)),
        }
    }

    pub(crate) fn cell(&self, column: usize) -> Written<'_> {
        let cell = match &self.rows {
            AnyRows::Text(rows) => rows.cell(column),
            AnyRows::Parquet(rows) => rows.cell(column),
        };
        match self.fields {
            true => as_field(cell),
            false => cell,
        }
    }
}

/// What a cell would be in a CSV file: there nothing tells the word `7` from the number, nor what is
/// missing from an empty word; and blanks around it, and how a language writes truth, say nothing.
fn as_field(cell: Written<'_>) -> Written<'_> {
    let text = match cell {
        Written::Missing => return cell,
        Written::Number(text) | Written::Json(text) => text.as_bytes(),
        Written::Word(word) => word,
    };
    let text = text.trim_ascii();
    let truth = [b"true".as_slice(), b"false"];
    match truth.into_iter().find(|truth| text.eq_ignore_ascii_case(truth)) {
        Some(truth) => Written::Word(truth),
        None => Written::field(text),
    }
}

/// An error with what caused it.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
