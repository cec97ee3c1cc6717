//! The ways in which numbers can be no input for a metric or a model.
//!
//! Rows, columns, classes and indices count from 0.

/// What `lab-metrics` returns.
pub type Result<T> = std::result::Result<T, MetricsError>;

/// An input that has no score, or from which no model can be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Nothing to judge or to learn from.
    #[error("there are no {0}: at least one is needed")]
    Empty(&'static str),
    /// Two inputs do not belong together.
    #[error("there are {found} {what}, but {needed} are needed for the {rows} {of}")]
    Length {
        /// What there is too much or too little of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        needed: usize,
        /// How many of the others there are.
        rows: usize,
        /// What decides how many there should be.
        of: &'static str,
    },
    /// Too little for what was asked.
    #[error("{what} needs at least {needed} rows, not {found}")]
    TooFewRows {
        /// What was asked.
        what: &'static str,
        /// How many rows there are.
        found: usize,
        /// How many there should be.
        needed: usize,
    },
    /// Something is larger than is accepted.
    #[error("there are {found} {what}: the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// A class that does not exist.
    #[error("the {what} of row {row} is {value}: a class below {classes} is needed")]
    Class {
        /// Which input: a label or a prediction.
        what: &'static str,
        /// Where.
        row: usize,
        /// The class.
        value: u32,
        /// How many classes there are.
        classes: usize,
    },
    /// NaN or an infinity.
    #[error("the {what} in row {row}{} is {value}: a finite number is needed", in_column(*.column))]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Where.
        row: usize,
        /// Where in the row; none if a row is one number.
        column: Option<usize>,
        /// The number.
        value: f64,
    },
    /// A number that is no probability.
    #[error("the probability of class {class} in row {row} is {value}: 0 to 1 is needed")]
    Probability {
        /// Where.
        row: usize,
        /// Of which class.
        class: usize,
        /// The number.
        value: f64,
    },
    /// Probabilities that are no distribution.
    #[error("the probabilities of row {row} sum to {sum}: 1 is needed, within 1e-6")]
    RowSum {
        /// Where.
        row: usize,
        /// Their sum.
        sum: f64,
    },
    /// Ranks that cannot be compared, because one side is empty.
    #[error(
        "{found} of {rows} rows have class {class}: ROC AUC needs rows with it and rows without it"
    )]
    OneSided {
        /// The class.
        class: u32,
        /// How many rows have it.
        found: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// Not a number of guesses.
    #[error("k = {k}: a number from 1 to the {classes} classes is needed")]
    TopK {
        /// The number.
        k: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// The numbers are finite, the result is not.
    #[error("{0} is too large for a 64-bit float")]
    Overflow(&'static str),
    /// Not a table.
    #[error("{found} features do not fill rows of {columns} columns")]
    Ragged {
        /// How many features there are.
        found: usize,
        /// How many make a row.
        columns: usize,
    },
    /// Rows unlike those from which the model was made.
    #[error("the rows have {found} columns, those that the model has learned from {needed}")]
    Columns {
        /// Columns of the rows.
        found: usize,
        /// Columns of the model.
        needed: usize,
    },
    /// A count below zero.
    #[error(
        "the feature in row {row}, column {column}, is {value}: multinomial naive Bayes needs \
         counts, 0 or more"
    )]
    Negative {
        /// Where.
        row: usize,
        /// Where in the row.
        column: usize,
        /// The feature.
        value: f32,
    },
    /// Not a number of neighbours.
    #[error("k = {k}: a number from 1 to {limit} is needed ({rows} rows to learn from)")]
    Neighbours {
        /// The number.
        k: usize,
        /// The most that is accepted.
        limit: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// A smoothing that would leave logarithms without bounds.
    #[error("the smoothing is {0}: a number from 1e-10 to 1e10 is needed")]
    Smoothing(f64),
    /// Features that say nothing.
    #[error("all {rows} rows are equal: Gaussian naive Bayes needs a column that varies")]
    NoVariance {
        /// How many rows there are.
        rows: usize,
    },
    /// A stored model lacks one of its arrays.
    #[error("the model lacks the array '{0}'")]
    MissingArray(&'static str),
    /// A stored model has an array that it should not have, or has it twice.
    #[error("the model has the array '{}', which is {why}", .name.escape_debug())]
    ExtraArray {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An array of another type or shape.
    #[error("the array '{name}' is {found}: {needed} is needed")]
    ArrayForm {
        /// Its name.
        name: &'static str,
        /// Its type and shape.
        found: String,
        /// Those that are accepted.
        needed: String,
    },
    /// A number in an array that no fitted model could hold.
    #[error("number {index} of the array '{name}' is {value}: {needed} is needed")]
    ArrayNumber {
        /// Its name.
        name: &'static str,
        /// Where in it.
        index: usize,
        /// The number.
        value: f64,
        /// What is accepted.
        needed: String,
    },
}

fn in_column(column: Option<usize>) -> String {
    column.map(|column| format!(", column {column},")).unwrap_or_default()
}
