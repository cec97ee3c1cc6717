//! The three stages: what each is called, reads, leaves and can be told.

use std::collections::BTreeMap;

use lab_schema::{ContentId, Slot};

use crate::error::{Result, TensorError};
use crate::settings::{EVALUATE, PREPARE, Setting, TRAIN};

/// The arithmetic and the files that the stages leave. A change of one bit in either is another
/// engine.
pub const ENGINE: &str = "lab-f32-1";

/// The table that is prepared.
pub(crate) const TABLE: &str = "table";
/// Rows to learn from.
pub(crate) const TRAIN_ROWS: &str = "train.safetensors";
/// Rows to judge by.
pub(crate) const TEST_ROWS: &str = "test.safetensors";
/// What the rows mean.
pub(crate) const PREPARED: &str = "prepare.json";
/// Weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// What the weights mean.
pub(crate) const MODEL: &str = "model.json";
/// Loss and accuracy per epoch.
pub(crate) const HISTORY: &str = "history.json";
/// Numbers.
pub(crate) const METRICS: &str = "metrics.json";
/// Label and prediction of each test row.
pub(crate) const PREDICTIONS: &str = "predictions.csv";

/// A stage; in the order of execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    Prepare,
    Train,
    Evaluate,
}

impl Task {
    pub(crate) fn from_name(name: &str) -> Option<Task> {
        [Task::Prepare, Task::Train, Task::Evaluate].into_iter().find(|task| task.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Task::Prepare => "prepare",
            Task::Train => "train",
            Task::Evaluate => "evaluate",
        }
    }

    pub(crate) fn settings(self) -> &'static [Setting] {
        match self {
            Task::Prepare => &PREPARE,
            Task::Train => &TRAIN,
            Task::Evaluate => &EVALUATE,
        }
    }

    /// Names of inputs, with the stage that leaves them; none: the program's input.
    pub(crate) fn inputs(self) -> Vec<(Slot, Option<Task>)> {
        let inputs: &[(&str, Option<Task>)] = match self {
            Task::Prepare => &[(TABLE, None)],
            Task::Train => &[(PREPARED, Some(Task::Prepare)), (TRAIN_ROWS, Some(Task::Prepare))],
            Task::Evaluate => &[
                (MODEL, Some(Task::Train)),
                (WEIGHTS, Some(Task::Train)),
                (PREPARED, Some(Task::Prepare)),
                (TEST_ROWS, Some(Task::Prepare)),
            ],
        };
        inputs.iter().map(|(name, task)| (slot(name), *task)).collect()
    }

    pub(crate) fn outputs(self) -> Vec<Slot> {
        let names: &[&str] = match self {
            Task::Prepare => &[PREPARED, TEST_ROWS, TRAIN_ROWS],
            Task::Train => &[HISTORY, MODEL, WEIGHTS],
            Task::Evaluate => &[METRICS, PREDICTIONS],
        };
        names.iter().map(|name| slot(name)).collect()
    }

    /// Refuses inputs that are not exactly those of the stage.
    pub(crate) fn check_inputs(self, given: &BTreeMap<Slot, ContentId>) -> Result<()> {
        let mut expected: Vec<Slot> = self.inputs().into_iter().map(|(slot, _)| slot).collect();
        expected.sort();
        if given.keys().eq(&expected) {
            return Ok(());
        }
        let list = |slots: Vec<String>| match slots.len() {
            0 => "none".to_owned(),
            _ => slots.join(", "),
        };
        Err(TensorError::Inputs {
            stage: self.name(),
            expected: list(expected.iter().map(Slot::to_string).collect()),
            found: list(given.keys().map(Slot::to_string).collect()),
        })
    }
}

/// The slot of one of the names above.
pub(crate) fn slot(name: &str) -> Slot {
    Slot::new(name).expect("the stages' names are plain file names")
}
