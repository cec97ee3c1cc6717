//! The three stages: what each is called, reads, leaves and can be told.

use std::collections::BTreeMap;

use lab_schema::{ContentId, Slot, Value};

use crate::error::{Result, TensorError};
use crate::settings::Setting;
use crate::stage_settings::{EVALUATE, PREPARE, TRAIN, is_fitted};

pub(crate) use crate::stage_settings::MERGES;

/// The arithmetic and the files that the stages leave. A change of one bit in either is another
/// engine.
pub const ENGINE: &str = lab_arithmetic::VERSION;

/// The table that is prepared.
pub(crate) const TABLE: &str = "table";
/// Images: a file of them all, or a folder.
pub(crate) const IMAGES: &str = "images";
/// The classes of images in a file.
pub(crate) const LABELS: &str = "labels";
/// The text that is prepared.
pub(crate) const TEXT: &str = "text";
/// Rows to learn from.
pub(crate) const TRAIN_ROWS: &str = "train.safetensors";
/// Rows by which training decides when to stop.
pub(crate) const VALIDATION_ROWS: &str = "validation.safetensors";
/// Rows to judge by.
pub(crate) const TEST_ROWS: &str = "test.safetensors";
/// What the rows mean.
pub(crate) const PREPARED: &str = "prepare.json";
/// Weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// What the weights mean.
pub(crate) const MODEL: &str = "model.json";
/// Loss and accuracy per epoch, and digests of the weights.
pub(crate) const HISTORY: &str = "history.json";
/// The output of a training that has the loss and the rate of each step.
pub const STEPS: &str = "steps.csv";
/// What steps depended on, now and then.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
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

    /// Names of inputs that earlier stages leave.
    pub(crate) fn inputs(self) -> Vec<(Slot, Task)> {
        let inputs: &[(&str, Task)] = match self {
            Task::Prepare => &[],
            Task::Train => &[
                (PREPARED, Task::Prepare),
                (TRAIN_ROWS, Task::Prepare),
                (VALIDATION_ROWS, Task::Prepare),
            ],
            Task::Evaluate => &[
                (MODEL, Task::Train),
                (WEIGHTS, Task::Train),
                (PREPARED, Task::Prepare),
                (TEST_ROWS, Task::Prepare),
            ],
        };
        inputs.iter().map(|(name, task)| (slot(name), *task)).collect()
    }

    /// What this stage reads of the program's inputs, if its settings have this form: those that
    /// it needs, and those that it can do without.
    pub(crate) fn reads(self, form: &str) -> (&'static [&'static str], &'static [&'static str]) {
        match (self, form) {
            (Task::Prepare, "images") => (&[IMAGES], &[LABELS]),
            (Task::Prepare, "text") => (&[TEXT], &[MERGES]),
            (Task::Prepare, _) => (&[TABLE], &[]),
            _ => (&[], &[]),
        }
    }

    /// What it leaves, with these settings.
    pub(crate) fn outputs(self, params: &BTreeMap<String, Value>) -> Vec<Slot> {
        let fitted = matches!(params.get("model"), Some(Value::Text(model)) if is_fitted(model));
        let keeps = params.get("checkpoint_every").is_some_and(|every| *every != Value::Int(0));
        let names: &[&str] = match self {
            Task::Prepare => &[PREPARED, TEST_ROWS, TRAIN_ROWS, VALIDATION_ROWS],
            Task::Train if fitted => &[HISTORY, MODEL, WEIGHTS],
            Task::Train if keeps => &[CHECKPOINTS, HISTORY, MODEL, STEPS, WEIGHTS],
            Task::Train => &[HISTORY, MODEL, STEPS, WEIGHTS],
            Task::Evaluate => &[METRICS, PREDICTIONS],
        };
        names.iter().map(|name| slot(name)).collect()
    }

    /// Refuses inputs that are not those of the stage with settings of this form.
    pub(crate) fn check_inputs(self, form: &str, given: &BTreeMap<Slot, ContentId>) -> Result<()> {
        let (needed, allowed) = self.reads(form);
        let mut expected: Vec<Slot> = self.inputs().into_iter().map(|(slot, _)| slot).collect();
        expected.extend(needed.iter().map(|name| slot(name)));
        expected.extend(allowed.iter().map(|n| slot(n)).filter(|s| given.contains_key(s)));
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
