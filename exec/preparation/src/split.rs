//! Which rows are for learning, which for choosing (validation) and which for judging (test).
//!
//! Four ways: by rows alone, with each class in its share, with no group in two parts, by a digest
//! of a key. Each by shares or in folds. Drawn from the seed alone: the test rows come first, so
//! neither the share of validation nor any other draw moves them. Refuses empty parts, classes
//! that cannot be in every part, rows without the key that is needed.

mod draw;
mod folds;
mod hashed;

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};
use crate::rng::Draws;
use crate::table::Table;
use draw::Units;

/// What a row's part depends on, besides the seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Nothing: each row is drawn for itself.
    Rows,
    /// Its class, the word in this column: each class has its share of every part.
    Classes(String),
    /// Its group, the word in this column: a group is in one part as a whole.
    Groups(String),
    /// A digest of its key, the word in this column: see [`split`].
    Key(String),
}

/// A split by shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// What a row's part depends on.
    pub by: By,
    /// Share of all rows for the test, above 0 and below 1.
    pub test: f64,
    /// Share of all rows for validation; 0 for no such part.
    pub validation: f64,
    /// The seed.
    pub seed: u64,
}

/// A split in folds, one of which is the test part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folds {
    /// What a row's fold depends on; a key is refused.
    pub by: By,
    /// How many folds, at least 2.
    pub count: usize,
    /// The one that is the test part, from 0.
    pub fold: usize,
    /// Share of all rows for validation, drawn from the other folds; 0 for no such part.
    pub validation: f64,
    /// The seed.
    pub seed: u64,
}

/// Row indices, each ascending, no row in two of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// For fitting and learning.
    pub train: Vec<usize>,
    /// For choosing; may be empty.
    pub validation: Vec<usize>,
    /// For judging.
    pub test: Vec<usize>,
}

/// Splits `rows`, which are ascending, by shares.
///
/// By rows or classes: a part wants its share of the rows, rounded. Each class (in the order of
/// [`crate::target`]; all rows are one class if there is none) is shuffled by the purpose `split`
/// with the class's number as the lane; its first rows are the test part: its share rounded down,
/// then one more for the classes with the largest remainders, the first of equals. Validation is
/// drawn alike from what is left, by the purpose `split/validation`. Every class keeps a row.
///
/// By groups: the groups are shuffled by the same purposes in lane 0, and are taken in that order
/// until the part has the rows it wants; it may have more, by less than its last group.
///
/// By key: u is the first 8 bytes, little end first, of BLAKE3 in key-derivation mode (context
/// `lab 2026-11-30 split by key`) of the seed (8 bytes, little end first) and the key's text. The
/// row is in the test part if u < test * 2^64, else in validation if u < (test + validation) *
/// 2^64. Rows that come later move none; rows of one key stay together.
///
/// # Errors
/// A share out of range, a part without rows, a class with fewer rows than there are parts, a row
/// without its class, group or key.
pub fn split(table: &Table, rows: &[usize], shares: &Shares) -> Result<Parts> {
    check(table, rows)?;
    check_shares(shares.test, shares.validation)?;
    if let By::Key(column) = &shares.by {
        return hashed::split(table.column(column)?, rows, shares)?.checked(shares.validation);
    }
    let units = Units::of(table, rows, &shares.by, 2 + usize::from(shares.validation > 0.0))?;
    let wanted = wanted(shares.test, rows.len(), rows.len(), "test")?;
    let (test, left) = units.take(shares.test, wanted, &Draws::new(shares.seed, "split"));
    rest(left, test, rows.len(), shares.validation, shares.seed)
}

/// Splits `rows`, which are ascending, in folds, and takes one of them as the test part.
///
/// By rows or classes: shuffled as in [`split`], by the purpose `split/folds`, then dealt to the
/// folds one by one, each class where the one before it ended; fold sizes differ by at most 1. By
/// groups: shuffled, then the largest first, each to the fold with the fewest rows, the first of
/// equals. Validation is drawn from the other folds as in [`split`].
///
/// # Errors
/// As [`split`]; more folds than rows or groups; a class with fewer rows than folds.
pub fn fold(table: &Table, rows: &[usize], folds: &Folds) -> Result<Parts> {
    check(table, rows)?;
    check_validation(folds.validation)?;
    folds::check(folds, rows.len())?;
    let units = Units::of(table, rows, &folds.by, folds.count)?;
    let draws = Draws::new(folds.seed, "split/folds");
    let (test, left) = folds::deal(units, folds, &draws)?;
    rest(left, test, rows.len(), folds.validation, folds.seed)
}

/// Draws the validation part from what the test part leaves of `rows` rows.
fn rest(left: Units, test: Vec<usize>, rows: usize, share: f64, seed: u64) -> Result<Parts> {
    let remaining = rows - test.len();
    let (validation, left) = match share > 0.0 {
        true => {
            let wanted = wanted(share, rows, remaining, "validation")?;
            let share = wanted as f64 / remaining as f64;
            left.take(share, wanted, &Draws::new(seed, "split/validation"))
        }
        false => (Vec::new(), left),
    };
    Parts { train: left.into_rows(), validation, test }.checked(share)
}

/// Rows of a part; what it leaves of `remaining` must not be empty either.
fn wanted(share: f64, rows: usize, remaining: usize, part: &'static str) -> Result<usize> {
    match (share * rows as f64).round() as usize {
        0 => Err(PreparationError::EmptyPart { part, rows }),
        wanted if wanted >= remaining => {
            Err(PreparationError::EmptyPart { part: "training", rows })
        }
        wanted => Ok(wanted),
    }
}

fn check(table: &Table, rows: &[usize]) -> Result<()> {
    table.check_rows(rows)?;
    match rows.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => {
            Err(PreparationError::Rows { row: pair[1], why: "rows to be split are ascending" })
        }
        None => Ok(()),
    }
}

fn check_shares(test: f64, validation: f64) -> Result<()> {
    if !(test > 0.0 && test < 1.0) {
        return Err(bad_share("test", test, "a share above 0 and below 1"));
    }
    check_validation(validation)?;
    match test + validation < 1.0 {
        true => Ok(()),
        false => Err(bad_share("validation", validation, "a share that leaves rows for training")),
    }
}

fn check_validation(share: f64) -> Result<()> {
    match (0.0..1.0).contains(&share) {
        true => Ok(()),
        false => Err(bad_share("validation", share, "a share from 0 to below 1")),
    }
}

fn bad_share(option: &'static str, value: f64, needed: &'static str) -> PreparationError {
    PreparationError::Option { option, value: value.to_string(), needed }
}

impl Parts {
    /// Sorts the parts, and refuses empty ones.
    fn checked(mut self, validation: f64) -> Result<Parts> {
        let rows = self.train.len() + self.validation.len() + self.test.len();
        for (part, found, needed) in [
            ("training", &mut self.train, true),
            ("validation", &mut self.validation, validation > 0.0),
            ("test", &mut self.test, true),
        ] {
            found.sort_unstable();
            if needed && found.is_empty() {
                return Err(PreparationError::EmptyPart { part, rows });
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
