//! Other people's data files, read into numbers, strictly.
//!
//! Tables (CSV, JSON lines), arrays (IDX, npy, npz, safetensors) and folders of images (PNG, JPEG)
//! come from a content-addressed store as bytes; nothing here opens a file. What would silently
//! change the data is refused, and so is what a hostile file could do: counts are checked before
//! memory is taken for them. The same bytes give the same numbers on every machine.
//!
//! A missing number is NaN ([`MISSING_F64`]), in tables and in arrays; infinities are refused.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod source;
mod bytes;
mod json;
mod table;
mod lines;
mod fields;
mod csv;
mod jsonl;
mod rows;
mod start;
mod array;
mod elements;
mod idx;
mod npy_header;
mod npy;
mod archive;
mod npz;
mod safetensors;
mod picture;
mod png_file;
mod jpeg_segments;
mod jpeg_file;
mod images;

pub use array::{Array, MISSING_F32, Values};
pub use csv::{CsvForm, csv, csv_cells};
pub use error::{DataError, Result};
pub use idx::idx;
pub use images::{Images, images, images_resized};
pub use jsonl::{jsonl, jsonl_cells};
pub use npy::npy;
pub use npz::npz;
pub use rows::{TableForm, TableRows, Written};
pub use safetensors::safetensors;
pub use source::gunzipped;
pub use start::{Glance, Look, Seen, Start};
pub use table::{Cells, Column, MISSING_F64, Role, Table};
