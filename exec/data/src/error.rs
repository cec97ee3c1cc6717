//! The ways in which a data file can be wrong.
//!
//! An error says what is wrong, where (line and column, index, pixel, path) and what would be
//! needed. Sources have no names here: `file` says what kind of file it is, with the path or the
//! name of the member where there is one.

/// What `lab-data` returns.
pub type Result<T> = std::result::Result<T, DataError>;

/// A file that cannot be read into numbers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The bytes could not be read to their end, or are damaged gzip data.
    #[error("cannot read {file}")]
    Read {
        /// What was being read.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a table is not a row of it.
    #[error("line {line} of the table has {found} fields, the lines before it {expected}")]
    Ragged {
        /// Line of the file, from 1.
        line: u64,
        /// Fields of the first row.
        expected: u64,
        /// Fields of this one.
        found: u64,
    },
    /// A cell cannot be used.
    #[error("line {line} of the table, column {column}: '{}' is {why}", .text.escape_debug())]
    Cell {
        /// Line of the file, from 1.
        line: u64,
        /// The column's name, or its index from 0.
        column: String,
        /// The cell, at most its first 40 characters.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A row that cannot be told apart into cells.
    #[error("line {line} of the table: {why}")]
    Row {
        /// Line of the file, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A row that does not end.
    #[error("line {line} of the table: a row of the table is longer than {limit} bytes")]
    LongRow {
        /// Line of the file where it begins, from 1.
        line: u64,
        /// The most bytes that are accepted.
        limit: u64,
    },
    /// Two columns that cannot be told apart.
    #[error("the table has two columns named '{}': {first} and {second}, from 0", .name.escape_debug())]
    SameName {
        /// Their name.
        name: String,
        /// Index of the first, from 0.
        first: usize,
        /// Index of the second.
        second: usize,
    },
    /// A key that the first object does not have.
    #[error("line {line} of the table: the first object has no key '{}'", .key.escape_debug())]
    UnknownKey {
        /// Line of the file, from 1.
        line: u64,
        /// The key.
        key: String,
    },
    /// The caller gave more or fewer roles than there are columns.
    #[error("{found} roles for {expected} columns of the table")]
    Roles {
        /// Columns.
        expected: usize,
        /// Roles.
        found: usize,
    },
    /// A byte that cannot be a delimiter.
    #[error(
        "{delimiter:?} cannot be a delimiter: an ASCII character that is no quote, no letter, no digit and no end of line is needed"
    )]
    Delimiter {
        /// The byte, as a character.
        delimiter: char,
    },
    /// There is nothing.
    #[error("too few rows: {0} is empty")]
    Empty(&'static str),
    /// Something is larger than is accepted.
    #[error("{what}: the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// The file ends too early.
    #[error("{file} is cut off: {what} needs {needs} bytes, there are {found}")]
    CutOff {
        /// The file.
        file: String,
        /// The part of it that is not whole.
        what: String,
        /// Its length, in bytes.
        needs: u64,
        /// What there is of it, in bytes.
        found: u64,
    },
    /// The file goes on after its end.
    #[error("{file} has bytes after its end (at byte {end})")]
    Trailing {
        /// The file.
        file: String,
        /// Where it should end, in bytes from its start.
        end: u64,
    },
    /// The file is not what it should be.
    #[error("{file}: {why}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The file is valid, but of a kind that is not read.
    #[error("{file} has {what}: {needed} is needed")]
    Unsupported {
        /// The file.
        file: String,
        /// What it has.
        what: String,
        /// What is read instead.
        needed: &'static str,
    },
    /// A number of an array that cannot be used.
    #[error("{file}: value {index}, from 0 in the file, is {found}: {needed} is needed")]
    Value {
        /// The file.
        file: String,
        /// Which value, from 0, in the order of the file.
        index: u64,
        /// The number.
        found: String,
        /// What is accepted.
        needed: &'static str,
    },
    /// Two images of different sizes.
    #[error("image '{}' is {} x {}, but {other} {} x {} (height x width): all must have the same size", .path.escape_debug(), .size.0, .size.1, .others.0, .others.1)]
    Size {
        /// The image.
        path: String,
        /// Its height and width.
        size: (usize, usize),
        /// What it differs from: another image, or what was asked for.
        other: String,
        /// Height and width of that.
        others: (usize, usize),
    },
    /// A pixel that is not opaque.
    #[error("image '{}' is not opaque at row {row}, column {column}: put it on a background first", .path.escape_debug())]
    Transparent {
        /// The image.
        path: String,
        /// From 0, from the top.
        row: usize,
        /// From 0, from the left.
        column: usize,
    },
    /// A path that says no class, or says it twice.
    #[error("image '{}': {why}", .path.escape_debug())]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}
