//! The ways in which data, or what is asked of it, can be wrong.
//!
//! An error says what is wrong, where (row from 0, column, value) and what would be needed. Text
//! from the data is escaped and cut, so that no cell can forge or flood a message.

/// What `lab-preparation` returns.
pub type Result<T> = std::result::Result<T, PreparationError>;

/// Data that cannot be prepared as asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreparationError {
    /// A column is not as long as the table.
    #[error("column {} has {found} cells, but the table has {rows} rows", shown(.column))]
    Ragged {
        /// The column's name.
        column: String,
        /// Its cells.
        found: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// A column that the table does not have, or has not read.
    #[error("there is no column {}: the table has {}", shown(.column), listed(.names))]
    NoColumn {
        /// What was asked for.
        column: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// A column is of another kind than what is to be done with it.
    #[error("column {} holds {found}, but {needed} are needed", shown(.column))]
    Kind {
        /// The column's name.
        column: String,
        /// What it holds.
        found: &'static str,
        /// What would do.
        needed: &'static str,
    },
    /// A cell cannot be used.
    #[error("row {row}, column {}: '{}' {why}", shown(.column), shown(.text))]
    Cell {
        /// The row, from 0.
        row: usize,
        /// The column's name.
        column: String,
        /// The cell; empty if missing.
        text: String,
        /// What is wrong with it, and what is needed.
        why: &'static str,
    },
    /// A list of rows that does not fit the table.
    #[error("row {row} is named, but {why}")]
    Rows {
        /// The row, from 0.
        row: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An option that means nothing.
    #[error("{option} is {}: {needed} is needed", shown(.value))]
    Option {
        /// Which.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is accepted.
        needed: &'static str,
    },
    /// A part of a split would have no row.
    #[error("{rows} rows leave none for {part}: more rows, or another share, are needed")]
    EmptyPart {
        /// `training`, `validation` or `test`.
        part: &'static str,
        /// Rows that were to be split.
        rows: usize,
    },
    /// A class that cannot be in every part.
    #[error(
        "column {}: too few rows of class '{}': {rows}, where {needed} are needed (see prepare.stratify)",
        shown(.column), shown(.class)
    )]
    SmallClass {
        /// The column's name.
        column: String,
        /// The class.
        class: String,
        /// Its rows.
        rows: usize,
        /// Parts or folds.
        needed: usize,
    },
    /// More folds than can be filled.
    #[error("{folds} folds need as many {what}, but there are {found}")]
    TooManyFolds {
        /// What was asked for.
        folds: usize,
        /// `rows` or `groups`.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// Something is larger than is accepted.
    #[error("{what}: {found} are too many, the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How many.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// Nothing to fit to.
    #[error("column {} has no value in the training rows", shown(.column))]
    NoValue {
        /// The column's name.
        column: String,
    },
    /// What was fitted is beyond the numbers there are.
    #[error("column {}: {what} of the training rows is not finite", shown(.column))]
    NotFinite {
        /// The column's name.
        column: String,
        /// What was computed.
        what: &'static str,
    },
    /// Nothing to learn.
    #[error("all {rows} rows have the label '{}'", shown(.class))]
    OneClass {
        /// The only label.
        class: String,
        /// How many rows.
        rows: usize,
    },
    /// A fitted state, read from elsewhere, that no fit could have left.
    #[error("the fitted state of {} is not whole: {why}", shown(.what))]
    Fitted {
        /// Which.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Text that is no fitted state.
    #[error("the fitted state cannot be read: {0}")]
    Json(String),
    /// Numbers do not fill the shape that they are said to have.
    #[error("{what}: {found} values are there, {needed} are needed")]
    Shape {
        /// What.
        what: &'static str,
        /// Values that there are.
        found: usize,
        /// Values that the shape needs.
        needed: u64,
    },
    /// Text with a byte that is none of UTF-8.
    #[error("byte {position} of the text is not UTF-8")]
    NotUtf8 {
        /// Where, in bytes from 0.
        position: usize,
    },
    /// A character that the training text does not have.
    #[error(
        "character {position}, '{}', is not in the training text (see prepare.unknown)",
        .character.escape_debug()
    )]
    UnknownCharacter {
        /// Where, in characters from 0.
        position: usize,
        /// The character.
        character: char,
    },
    /// An id beyond the vocabulary.
    #[error("token {position} is {id}, but the vocabulary has {tokens} tokens")]
    UnknownToken {
        /// Where, from 0.
        position: usize,
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        tokens: usize,
    },
    /// A line of a merges file that is none.
    #[error("line {line} of the merges: {why}")]
    Merges {
        /// Where, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Too little text for a vocabulary.
    #[error(
        "the text yields {found} tokens, not {wanted}: more text, or a smaller vocabulary, is needed"
    )]
    Exhausted {
        /// Tokens that were found.
        found: usize,
        /// Tokens that were asked for.
        wanted: usize,
    },
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no columns".into(),
        names if names.len() > 12 => {
            let (first, last) = (&names[0], &names[names.len() - 1]);
            format!("{} columns, from {} to {}", names.len(), shown(first), shown(last))
        }
        names => {
            let names: Vec<String> = names.iter().map(|name| shown(name)).collect();
            format!("the columns {}", names.join(", "))
        }
    }
}
