//! Do it again and compare.
//!
//! [`verify()`] re-executes a recorded run from its recorded inputs and answers with a verdict and
//! its evidence, down to the first tensor and element that differ; [`suspects()`] says what may be
//! behind a difference, [`variables()`] what differs between two runs that were meant to be
//! comparable, and [`inside()`] what differs inside two contents. A run that could not be repeated is a verdict, not an error.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod compare;
mod trees;
mod contents;
mod predictions;
mod bench;
mod presence;
mod stands;
mod suspects;
mod verify;
mod changed;
mod evaluate;
mod tested;
mod board;
mod fork;
mod follow;
mod vary;
mod variables;
mod guard;

pub use bench::{
    Again, Bench, Makers, Origin, again, execute, execute_resuming, observations, record,
};
pub use board::{Claim, Entry, entries};
pub use compare::compare;
pub use contents::{
    Beside, BytesChange, ColumnCells, ColumnsChange, Counted, Example, ExampleCell, FileChange,
    Files, FolderChange, Hunk, ImageChange, ImagesChange, Inside, Moved, Paired, Retyped,
    RowsChange, TableChange, TensorChange, TextChange, Values, WeightsChange, inside,
};
pub use error::{ReplayError, Result};
pub use evaluate::{Evaluated, evaluate};
pub use follow::{Training, is_training, redo, sample};
pub use fork::{Change, Forked, fork};
pub use guard::{Difference, Guard, Meant, guard};
pub use lab_tensor::{Divergence, Segment};
pub use predictions::{Outcomes, Predictions, Sought, Unfit, predictions};
pub use presence::cached;
pub use stands::{Stands, stands};
pub use suspects::{Sort, Suspect, suspects};
pub use tested::Shared;
pub use variables::{Layer, Variable, variables};
pub use vary::{Effect, Factor, Varied, vary};
pub use verify::{Repeat, Verification, verify, verify_deep};
