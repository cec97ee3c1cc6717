//! A pinned evaluation: a recipe with a hole, where the model goes.

use serde::{Deserialize, Serialize};

use crate::content::ContentId;
use crate::error::SchemaError;
use crate::hash::{BlobId, RunId};
use crate::kind::Kind;
use crate::name::Slot;
use crate::recipe::Recipe;

/// Longest name of a metric, in bytes.
const MAX_METRIC: usize = 200;

/// What everybody's model is measured by: all that a run read, by hash, except for the one input that is the
/// model's, and which number of what comes out counts.
///
/// The run is the example: it shows how the command finds what it reads. Two evaluations are the same if
/// their [protocols](Evaluation::protocol) are, whichever examples they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Evaluation {
    run: RunId,
    hole: Slot,
    metric: String,
    higher_is_better: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    run: RunId,
    hole: Slot,
    metric: String,
    higher_is_better: bool,
}

impl Evaluation {
    /// The evaluation that `run` made of the model that it read as `hole`, by `metric`.
    pub fn new(
        run: RunId,
        hole: Slot,
        metric: String,
        higher_is_better: bool,
    ) -> Result<Evaluation, SchemaError> {
        Wire { run, hole, metric, higher_is_better }.try_into()
    }

    /// The example.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The input that is the model's.
    pub fn hole(&self) -> &Slot {
        &self.hole
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
    /// the hole. None if this one has no such input.
    pub fn protocol(&self, recipe: &Recipe) -> Option<Recipe> {
        self.filled(recipe, BlobId::of(b"").into())
    }

    /// A recipe with this in the hole. None if it has no such input, or that cannot be there.
    pub fn filled(&self, recipe: &Recipe, model: ContentId) -> Option<Recipe> {
        let mut parts = recipe.to_parts();
        *parts.inputs.get_mut(&self.hole)? = model;
        Recipe::new(parts).ok()
    }
}

impl TryFrom<Wire> for Evaluation {
    type Error = SchemaError;

    fn try_from(wire: Wire) -> Result<Evaluation, SchemaError> {
        let Wire { run, hole, metric, higher_is_better } = wire;
        let invalid = |why| Err(SchemaError::Invalid { kind: Kind::Evaluation, why });
        if metric.is_empty() || metric.len() > MAX_METRIC {
            return invalid("the name of its metric has not 1 to 200 bytes");
        }
        if metric.chars().any(char::is_control) {
            return invalid("the name of its metric holds a control character");
        }
        Ok(Evaluation { run, hole, metric, higher_is_better })
    }
}

impl From<Evaluation> for Wire {
    fn from(evaluation: Evaluation) -> Wire {
        let Evaluation { run, hole, metric, higher_is_better } = evaluation;
        Wire { run, hole, metric, higher_is_better }
    }
}
