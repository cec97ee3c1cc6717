//! Stage `prepare`: other people's data becomes numbers for learning, for choosing and for judging.
//!
//! What preparation needs to know (means, categories, vocabularies) is taken from the training part
//! alone; the test part must not leak into what is learned. Reading is [`lab_data`]'s, fitting
//! [`lab_preparation`]'s; here the settings of a program are turned into their plans.

mod found;
mod columns;
mod table;
mod images;
mod text;

use lab_preparation::split::Parts;
use lab_schema::Digest;

use crate::error::Result;
use crate::files::{Inputs, Prepared, Product, Rows, to_json};
use crate::settings::Settings;
use crate::task::{PREPARED, TEST_ROWS, TRAIN_ROWS, VALIDATION_ROWS};

/// Runs the stage.
pub(crate) fn prepare(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Product> {
    match settings.text("form")? {
        "images" => images::prepare(inputs, settings),
        "text" => text::prepare(inputs, settings),
        _ => table::prepare(inputs, settings),
    }
}

/// The files of the stage: of each part its bytes.
fn product(parts: [Vec<u8>; 3], prepared: &Prepared) -> Product {
    let [train, validation, test] = parts;
    let mut product = Product::default();
    product.files.insert(TRAIN_ROWS, train);
    product.files.insert(VALIDATION_ROWS, validation);
    product.files.insert(TEST_ROWS, test);
    product.files.insert(PREPARED, to_json(prepared));
    product
}

/// How many rows each part has.
fn counted(parts: &Parts, dropped: usize) -> Rows {
    Rows {
        train: parts.train.len(),
        validation: parts.validation.len(),
        test: parts.test.len(),
        dropped: dropped as u64,
    }
}

/// A digest of which rows are for testing, by their index in the file.
fn digest(test: &[usize]) -> String {
    let bytes: Vec<u8> = test.iter().flat_map(|row| (*row as u64).to_le_bytes()).collect();
    Digest::derive("lab 2026-11-24 test rows", &bytes).to_string()
}
