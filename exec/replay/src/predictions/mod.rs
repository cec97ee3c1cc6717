//! What two models said of the same examples, from what their runs left.
//!
//! A file among the outputs counts if it has columns of predictions and labels, by the names that the field gives
//! them: a table, or two arrays of numpy beside each other. Unasked, only one place that both runs have will do;
//! a caller can name it. Examples are joined by an id, or by their order, and their labels must be equal. Whatever
//! is wrong with the files is told in words, and no error: nothing else depends on them.

mod cells;
mod columns;
mod outputs;
mod pair;
mod read;
mod search;
#[cfg(test)]
mod tests;

use lab_objects::Store;
use lab_schema::{Run, RunId};

use self::search::Search;
use crate::error::{ReplayError, Result};

/// What two models said of the same examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Where it stands among the outputs of both: a path, or two with a comma between them.
    pub output: String,
    /// The column of what the first model said, and that of what was right; of an array its index.
    pub columns: [String; 2],
    /// The column by whose values the examples were joined; none if by their order.
    pub id: Option<String>,
    /// What came of it.
    pub outcomes: Outcomes,
}

/// How each example came out, for both models, in the same order.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcomes {
    /// Labels are classes: whether what the model said is the label.
    Classes([Vec<bool>; 2]),
    /// Labels are quantities: what the model said less the label, in its units.
    Numbers([Vec<f64>; 2]),
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Sought {
    /// Nothing looks like predictions.
    Nowhere,
    /// Something does, and cannot be used.
    Unfit(Unfit),
    /// Examples, beside each other.
    Found(Predictions),
}

/// Why predictions cannot be put beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Where they stand, as far as that is known.
    pub output: String,
    /// In words.
    pub why: String,
    /// Whether what was asked for is not there.
    pub is_absent: bool,
}

/// What both runs' models said of the same examples: in the outputs that `asked` names, as `PATH`,
/// `PATH:PREDICTION,LABEL` or `PREDICTIONS.npy,LABELS.npy`, or in the one place that looks like it. At most
/// `most` examples are read. Unasked, nothing is fetched that a pull left out.
///
/// # Errors
/// What keeps the runs, or what is asked for, from being read in the store.
pub fn predictions(
    store: &Store,
    runs: [RunId; 2],
    asked: Option<&str>,
    most: usize,
) -> Result<Sought> {
    let load = |id: RunId| store.get::<Run>(id)?.ok_or(ReplayError::Missing { id: id.into() });
    let search = Search { store, runs: [load(runs[0])?, load(runs[1])?], most };
    match asked {
        Some(asked) => search.asked(asked),
        None => search.unasked(),
    }
}
