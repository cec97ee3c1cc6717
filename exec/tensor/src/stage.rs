//! A stage of a program: what it reads, and the recipe that it is.

use std::collections::BTreeMap;

use lab_schema::recipe::Parts;
use lab_schema::{ContentId, Executor, Limits, Output, Recipe, Slot, Tensor, Value};

use crate::error::Result;
use crate::settings::{Told, with_defaults};
use crate::task::{ENGINE, Task, slot};

/// A stage of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub(crate) task: Task,
    pub(crate) seed: u64,
    pub(crate) reads: BTreeMap<&'static str, Slot>,
    pub(crate) given: BTreeMap<String, Value>,
}

/// What a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// Its name in the recipe.
    pub slot: Slot,
    /// Where it comes from.
    pub from: Source,
}

/// Where a stage's input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An entry of [`crate::Program::inputs`].
    Program(Slot),
    /// An output of an earlier stage.
    Stage {
        /// The stage's name.
        stage: &'static str,
        /// The output's name.
        output: Slot,
    },
}

impl Stage {
    /// `prepare`, `train` or `evaluate`.
    pub fn name(&self) -> &'static str {
        self.task.name()
    }

    /// What it reads.
    pub fn inputs(&self) -> Vec<StageInput> {
        let earlier = |(slot, task): (Slot, Task)| {
            let from = Source::Stage { stage: task.name(), output: slot.clone() };
            StageInput { slot, from }
        };
        let given = |(key, input): (&&str, &Slot)| StageInput {
            slot: slot(key),
            from: Source::Program(input.clone()),
        };
        let earlier = self.task.inputs().into_iter().map(earlier);
        earlier.chain(self.reads.iter().map(given)).collect()
    }

    /// The entries of [`crate::Program::inputs`] that it reads.
    pub fn sources(&self) -> Vec<Slot> {
        self.reads.values().cloned().collect()
    }

    /// The recipe on these inputs, which are those of [`Stage::inputs`] by slot.
    pub fn recipe(&self, inputs: BTreeMap<Slot, ContentId>) -> Result<Recipe> {
        self.task.check_inputs(&self.form()?, &inputs)?;
        let tensor = Tensor { engine: ENGINE.to_owned(), stage: self.name().to_owned() };
        let params = self.params()?;
        let outputs = self.task.outputs(&params).into_iter().map(|slot| (slot, Output::default()));
        Ok(Recipe::new(Parts {
            executor: Executor::Tensor(tensor),
            inputs,
            outside: BTreeMap::new(),
            code: None,
            environment: None,
            outputs: outputs.collect(),
            params,
            // Each purpose has a seed of its own among the parameters.
            seed: None,
            limits: Limits::default(),
        })?)
    }

    /// The form of the data that it prepares; of other stages nothing.
    pub(crate) fn form(&self) -> Result<String> {
        match self.params()?.get("form") {
            Some(Value::Text(form)) => Ok(form.clone()),
            _ => Ok(String::new()),
        }
    }

    pub(crate) fn params(&self) -> Result<BTreeMap<String, Value>> {
        let inputs: Vec<&str> = self.reads.keys().copied().collect();
        let told = Told { settings: &self.given, inputs: &inputs };
        with_defaults(self.name(), self.task.settings(), told, self.seed)
    }
}
