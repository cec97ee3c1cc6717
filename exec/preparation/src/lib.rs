//! The preparation that every paper does anew, exact and without leakage.
//!
//! What is fitted (means, categories, vocabularies) is fitted on the training rows alone, is a
//! plain value that can be written as JSON, and gives the same bits when it is read and applied
//! again. Arithmetic is f64 in ascending row order or in integers, and is rounded to f32 once.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod state;
mod rng;
mod table;
mod classes;
pub mod split;
mod statistics;
pub mod transform;
pub mod numbers;
pub mod categories;
pub mod features;
pub mod target;
pub mod images;
pub mod resize;
pub mod augment;
mod letters;
mod lower;
mod pretokens;
pub mod byte_pairs;
mod pair_training;
pub mod words;
pub mod tokens;
pub mod windows;
pub mod skip_gram;

pub use error::{PreparationError, Result};
pub use rng::Draws;
pub use table::{Cells, Column, MAX_ROWS, MISSING, Table};
