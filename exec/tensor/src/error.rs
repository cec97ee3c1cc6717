//! The ways in which a tensor program, its data or its execution can be wrong.

use lab_objects::ObjectsError;
use lab_schema::{SchemaError, Slot};

/// What `lab-tensor` returns.
pub type Result<T> = std::result::Result<T, TensorError>;

/// A program that cannot be read, or a stage that cannot be executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The text is not TOML.
    #[error("the program is not valid TOML{}: {message}", at_line(*.line))]
    Syntax {
        /// Where, from 1.
        line: Option<usize>,
        /// What the parser says.
        message: String,
    },
    /// A key that means nothing.
    #[error("unknown key '{}'{}{}", .key.escape_debug(), at_line(*.line), meant(.nearest))]
    UnknownKey {
        /// The key, with its section.
        key: String,
        /// Where, from 1; none if it was set from outside.
        line: Option<usize>,
        /// The known key that is closest to it.
        nearest: Option<String>,
    },
    /// A value that the key does not take.
    #[error("{key} = {value}{}: {expected} is needed", at_line(*.line))]
    BadValue {
        /// The key, with its section.
        key: String,
        /// The refused value.
        value: String,
        /// Where, from 1; none if it was set from outside.
        line: Option<usize>,
        /// What is accepted.
        expected: String,
    },
    /// A key or section without which the program means nothing.
    #[error("the program lacks {0}")]
    MissingKey(String),
    /// A setting that does nothing beside another one.
    #[error("{key} has no meaning with {other}")]
    Idle {
        /// The setting.
        key: String,
        /// The one that makes it idle.
        other: String,
    },
    /// The recipe asks for something that the engine does not do, and must not pass over.
    #[error("the tensor engine of this version has no {0}")]
    Unsupported(&'static str),
    /// What a stage is to read is none of the inputs.
    #[error("prepare.{key} is '{name}', but [inputs] has no such entry")]
    NoSuchInput {
        /// The key.
        key: &'static str,
        /// What it says.
        name: Slot,
    },
    /// A program has no such input.
    #[error("the program has no input '{}'; it has {known}", .name.escape_debug())]
    NoInput {
        /// What was named.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The recipe is not for the tensor engine.
    #[error("the recipe is a command, not a tensor program")]
    NotATensorProgram,
    /// The recipe asks for other arithmetic.
    #[error("made by another lab: its tensor engine is '{theirs}', this one has '{ours}'")]
    Engine {
        /// What the recipe asks for.
        theirs: String,
        /// What this library computes.
        ours: &'static str,
    },
    /// The recipe asks for a stage that does not exist.
    #[error("a tensor program has no stage '{}'", .0.escape_debug())]
    UnknownStage(String),
    /// The inputs of a stage are not those that it takes.
    #[error("stage {stage} takes the inputs {expected}, not {found}")]
    Inputs {
        /// The stage.
        stage: &'static str,
        /// Their names.
        expected: String,
        /// What was given.
        found: String,
    },
    /// An input is a directory.
    #[error("input '{slot}' is a directory: name a file inside it")]
    Directory {
        /// The input.
        slot: Slot,
    },
    /// The bytes of an input could not be read to their end.
    #[error("cannot read input '{slot}'")]
    Read {
        /// The input.
        slot: Slot,
        /// Why.
        source: std::io::Error,
    },
    /// A column that the table does not have.
    #[error("{key} is {column}, but the table has {}", columns(.names))]
    NoColumn {
        /// The setting that names it.
        key: &'static str,
        /// The column.
        column: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// A setting that was left open, and that the table does not decide.
    #[error("{key} cannot be told from the table: {why}")]
    Unclear {
        /// The setting.
        key: &'static str,
        /// What stands against it, and what to do.
        why: String,
    },
    /// Something is larger than is accepted.
    #[error("{what}: the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// There is too little data for what was asked.
    #[error("too few rows: {0}")]
    TooFewRows(String),
    /// An input is not such an array as is needed.
    #[error("'{slot}': {why}")]
    BadArray {
        /// The input.
        slot: Slot,
        /// What is wrong.
        why: String,
    },
    /// A cell of a table cannot be used.
    #[error("line {line} of the table, column {column}: '{}' {why}", .text.escape_debug())]
    Cell {
        /// Line of the file, from 1.
        line: u64,
        /// The column's name, or its index from 0.
        column: String,
        /// The cell.
        text: String,
        /// What is wrong with it, and what is needed.
        why: &'static str,
    },
    /// A file of data cannot be read.
    #[error(transparent)]
    Data(#[from] lab_data::DataError),
    /// Data cannot be prepared as was asked.
    #[error(transparent)]
    Preparation(#[from] lab_preparation::PreparationError),
    /// A file of an earlier stage does not hold what that stage leaves.
    #[error("'{slot}' is not what an earlier stage leaves: {why}")]
    BadInput {
        /// The input.
        slot: Slot,
        /// What is wrong.
        why: String,
    },
    /// The layers of a model do not go together.
    #[error("{0}")]
    BadModel(String),
    /// The machine is too small.
    #[error(
        "this training takes some {needed_mib} MiB, and {available_mib} MiB are available: a smaller train.batch takes less"
    )]
    Memory {
        /// What it takes, at least.
        needed_mib: u64,
        /// What the system says is available.
        available_mib: u64,
    },
    /// Training ran away.
    #[error(
        "the loss is no longer finite at step {step} (epoch {epoch}), nor is {tensor}: a lower train.lr may help"
    )]
    NotFinite {
        /// Epoch, from 1.
        epoch: u64,
        /// Step since the start of training, from 1.
        step: u64,
        /// The first tensor that is not, on the way from the weights to the loss.
        tensor: String,
    },
    /// The processor is in a mode with other arithmetic.
    #[error(
        "this process flushes subnormal numbers to zero, so results would differ from other machines'"
    )]
    FlushesToZero,
    /// The known answers did not come out.
    #[error(
        "this machine computes {family} otherwise than {} says (on its {path} path), so its results would not be those of others",
        lab_arithmetic::VERSION
    )]
    OtherArithmetic {
        /// The first family of kernels whose answer differs.
        family: &'static str,
        /// The compiled form that was asked.
        path: &'static str,
    },
    /// An operation refused its arguments.
    #[error("cannot compute {what}")]
    Operation {
        /// What was being computed.
        what: &'static str,
        /// Why.
        source: Box<candle_core::Error>,
    },
    /// Rows from which a model cannot be fitted, or of which it can say nothing.
    #[error("the model does not take these rows")]
    Rows(#[source] lab_metrics::MetricsError),
    /// A metric cannot be computed from what the model says.
    #[error("cannot measure the model")]
    Metric(#[source] lab_metrics::MetricsError),
    /// The object model refused a value.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The store failed, or lacks an object.
    #[error(transparent)]
    Objects(Box<ObjectsError>),
}

impl From<ObjectsError> for TensorError {
    fn from(error: ObjectsError) -> Self {
        TensorError::Objects(Box::new(error))
    }
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" in line {line}")).unwrap_or_default()
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|key| format!("; did you mean '{key}'?")).unwrap_or_default()
}

fn columns(names: &[String]) -> String {
    match names {
        [] => "no columns".into(),
        names if names.len() > 12 => {
            let (first, last) = (&names[0], &names[names.len() - 1]);
            format!("{} columns, from {first} to {last}", names.len())
        }
        names => format!("the columns {}", names.join(", ")),
    }
}
