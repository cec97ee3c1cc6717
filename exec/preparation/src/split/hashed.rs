//! A row's part by a digest of its key, whatever other rows there are.
//!
//! For tables that grow: what was a test row once is never learned from later. The shares are met
//! by chance alone, the better the more keys there are. Refuses rows without a key.

use lab_schema::Digest;

use super::{Parts, Shares};
use crate::error::Result;
use crate::table::Column;

/// Exact, as is its product with any share.
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// Not sorted, not checked: parts may be empty.
pub(super) fn split(column: &Column, rows: &[usize], shares: &Shares) -> Result<Parts> {
    let bound = |share: f64| (share * TWO_TO_64) as u128;
    let (test, validation) = (bound(shares.test), bound(shares.test + shares.validation));
    let mut parts = Parts { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
    for row in rows {
        let Some(key) = column.word(*row)? else {
            return Err(column.cell(*row, String::new(), "is missing, and every row needs one"));
        };
        match u128::from(place(shares.seed, &key)) {
            place if place < test => parts.test.push(*row),
            place if place < validation => parts.validation.push(*row),
            _ => parts.train.push(*row),
        }
    }
    Ok(parts)
}

fn place(seed: u64, key: &str) -> u64 {
    let bytes = [&seed.to_le_bytes(), key.as_bytes()].concat();
    let digest = Digest::derive("lab 2026-11-30 split by key", &bytes);
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
