//! The rows of a table, however it is written.

use std::io;

use lab_data::{TableForm, TableRows, Written};
use lab_parquet::{File, Rows};

use crate::compare::source::Source;
use crate::contents::stream::{Failed, Stream, Told};

/// How a table is written.
#[derive(Clone, Copy)]
pub(crate) enum Form<'a> {
    /// In lines of text.
    Text(TableForm),
    /// As Parquet: this file, and the one that it is compared with.
    Parquet(&'a File, &'a File),
}

/// The rows of a table, one after the other.
pub(crate) enum TableSource<'a> {
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
    pub(crate) fn new(ranges: &'a Ranges<'a>, form: Form<'a>) -> Told<TableSource<'a>> {
        match form {
            Form::Text(form) => {
                let rows = TableRows::new(Stream::new(ranges.source, ranges.failed), form);
                rows.map(TableSource::Text).map_err(|error| said(&error))
            }
            Form::Parquet(own, other) => {
                // Where one of them has floats of 64 bits, both are told apart as such.
                let wide = |name: &str| own.is_single(name) != other.is_single(name);
                Ok(TableSource::Parquet(Rows::new(own, ranges, &wide)))
            }
        }
    }

    pub(crate) fn names(&self) -> &[String] {
        match self {
            TableSource::Text(rows) => rows.names(),
            TableSource::Parquet(rows) => rows.names(),
        }
    }

    /// Reads the next row: its line, or its number; none after the last.
    pub(crate) fn advance(&mut self) -> Told<Option<u64>> {
        match self {
            TableSource::Text(rows) => rows.advance().map_err(|error| said(&error)),
            TableSource::Parquet(rows) => rows.advance().map_err(|error| said(&error)),
        }
    }

    pub(crate) fn cell(&self, column: usize) -> Written<'_> {
        match self {
            TableSource::Text(rows) => rows.cell(column),
            TableSource::Parquet(rows) => rows.cell(column),
        }
    }
}

/// An error with what caused it.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
