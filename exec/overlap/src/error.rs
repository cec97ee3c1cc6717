//! The ways in which two data sets cannot be compared.

/// What `lab-overlap` returns.
pub type Result<T> = std::result::Result<T, OverlapError>;

/// Files that hold no examples, and sets that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverlapError {
    /// The file cannot be read.
    #[error(transparent)]
    Data(#[from] lab_data::DataError),
    /// The Parquet file cannot be read.
    #[error(transparent)]
    Parquet(#[from] lab_parquet::ParquetError),
    /// The file is read, but its content cannot be compared.
    #[error("'{}' holds {what}: {needed}", .name.escape_debug())]
    NoExamples {
        /// What the caller calls the file.
        name: String,
        /// What is in it.
        what: String,
        /// What would be needed.
        needed: &'static str,
    },
    /// A column that was asked for is not there.
    #[error("there is no column '{}': there are {}", .name.escape_debug(), listed(.columns))]
    NoColumn {
        /// What was asked for.
        name: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// Two sets of different sorts.
    #[error("the training set holds {train}, the test set {test}: they cannot be compared")]
    Sorts {
        /// Of what sort the training examples are.
        train: String,
        /// Of what sort the test examples are.
        test: String,
    },
    /// A set without an example.
    #[error("there are no examples in {0}")]
    Empty(String),
    /// More than is accepted.
    #[error("{what}: the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
}

/// The names of columns, as far as a line has room for them.
fn listed(columns: &[String]) -> String {
    let shown: Vec<String> =
        columns.iter().take(20).map(|name| name.escape_debug().to_string()).collect();
    match columns.len() {
        0 => "none".to_owned(),
        count if count > shown.len() => {
            format!("{} and {} more", shown.join(", "), count - shown.len())
        }
        _ => shown.join(", "),
    }
}
