//! A pinned evaluation: a recipe with a hole, where the model goes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::content::ContentId;
use crate::error::SchemaError;
use crate::hash::{BlobId, RunId};
use crate::kind::Kind;
use crate::name::Slot;
use crate::recipe::Recipe;

/// Longest name of a metric, in bytes.
const MAX_METRIC: usize = 200;
/// Most files of a model.
const MAX_FILES: usize = 10_000;

/// What everybody's model is measured by: all that a run read, by hash, except for the inputs that are the
/// model's, and which number of what comes out counts.
///
/// The run is the example: it shows how the command finds what it reads. Two evaluations are the same if
/// their [protocols](Evaluation::protocol) are, whichever examples they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Evaluation {
    run: RunId,
    model: BTreeSet<Slot>,
    metric: String,
    higher_is_better: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    run: RunId,
    model: Vec<Slot>,
    metric: String,
    higher_is_better: bool,
}

impl Evaluation {
    /// The evaluation that `run` made of the model that it read as these inputs, by `metric`.
    pub fn new(
        run: RunId,
        model: BTreeSet<Slot>,
        metric: String,
        higher_is_better: bool,
    ) -> Result<Evaluation, SchemaError> {
        let model = model.into_iter().collect();
        Wire { run, model, metric, higher_is_better }.try_into()
    }

    /// The example.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The inputs that are the model's: at least one.
    pub fn model(&self) -> &BTreeSet<Slot> {
        &self.model
    }

    /// The number that counts.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Whether more of it is better.
    pub fn higher_is_better(&self) -> bool {
        self.higher_is_better
    }

    /// What the recipes of all runs of one evaluation have in common, its protocol: the recipe with the empty blob in
    /// the place of each file of the model. None if this one has no such inputs.
    pub fn protocol(&self, recipe: &Recipe) -> Option<Recipe> {
        let nothing = ContentId::from(BlobId::of(b""));
        self.filled(recipe, &self.model.iter().map(|slot| (slot.clone(), nothing)).collect())
    }

    /// A recipe with this model. None if it has no such inputs, the model lacks a file, or they cannot be there.
    pub fn filled(&self, recipe: &Recipe, model: &BTreeMap<Slot, ContentId>) -> Option<Recipe> {
        let mut parts = recipe.to_parts();
        for slot in &self.model {
            *parts.inputs.get_mut(slot)? = *model.get(slot)?;
        }
        Recipe::new(parts).ok()
    }

    /// The model that a recipe of this evaluation reads. None if it has no such inputs.
    pub fn model_of(&self, recipe: &Recipe) -> Option<BTreeMap<Slot, ContentId>> {
        let read = |slot: &Slot| Some((slot.clone(), *recipe.inputs().get(slot)?));
        self.model.iter().map(read).collect()
    }
}

impl TryFrom<Wire> for Evaluation {
    type Error = SchemaError;

    fn try_from(wire: Wire) -> Result<Evaluation, SchemaError> {
        let Wire { run, model, metric, higher_is_better } = wire;
        let invalid = |why| Err(SchemaError::Invalid { kind: Kind::Evaluation, why });
        if metric.is_empty() || metric.len() > MAX_METRIC {
            return invalid("the name of its metric has not 1 to 200 bytes");
        }
        if model.is_empty() || model.len() > MAX_FILES {
            return invalid("its model has not 1 to 10000 files");
        }
        if model.windows(2).any(|pair| pair[0] >= pair[1]) {
            return invalid("the files of its model are not in order");
        }
        if metric.chars().any(char::is_control) {
            return invalid("the name of its metric holds a control character");
        }
        let model = model.into_iter().collect();
        Ok(Evaluation { run, model, metric, higher_is_better })
    }
}

impl From<Evaluation> for Wire {
    fn from(evaluation: Evaluation) -> Wire {
        let Evaluation { run, model, metric, higher_is_better } = evaluation;
        let model = model.into_iter().collect();
        Wire { run, model, metric, higher_is_better }
    }
}
