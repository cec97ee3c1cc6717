//! Parquet tables, row by row, for whoever compares two of them.
//!
//! A column is a list of pages, each compressed and encoded by itself; here every column is read forward
//! through its pages, and a row is put together from all of them. A cell is given as the text that CSV or
//! JSON would hold for it, so that a table can be compared with the same table in another format. Lists
//! and structures are given as JSON.
//!
//! The files are other people's: every number in them is held against what is there before memory is
//! taken for it, and a page, a row, and all pages that are open at once have a limit. What is not read
//! (the codecs LZ4, Brotli and LZO, encrypted files, columns in other files) is said.
//!
//! Source of the format: Apache Parquet, `parquet-format` 2.12 (`Encodings.md`, `LogicalTypes.md`,
//! `parquet.thrift`), and the compact protocol of Apache Thrift. The assembly of nested rows is that of
//! Melnik and others, "Dremel: Interactive Analysis of Web-Scale Datasets" (2010).
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod thrift;
mod schema;
mod footer;
mod bits;
mod values;
mod decode;
mod page;
mod cursor;
mod text;
mod nested;
mod rows;

pub use error::{ParquetError, Result};
pub use footer::{File, Source};
pub use rows::Rows;

/// Whether `start`, the first bytes of a file, are those of a Parquet file.
pub fn is_parquet(start: &[u8]) -> bool {
    start.starts_with(b"PAR1")
}
