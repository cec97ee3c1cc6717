//! A model measured by a pinned evaluation: the example is done again, with another model in its hole.
//!
//! Nothing else can change: code, data and environment come from the example's record, in a box that holds
//! nothing beyond it. So the run has the recipe of the example but for its model, and can be verified as any
//! other.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::Role;
use lab_process::Note;
use lab_schema::{ContentId, Evaluation, Object, Recipe, Run, RunId, Slot};

use crate::bench::{Bench, Makers, Origin, record};
use crate::changed::do_changed;
use crate::error::{ReplayError, Result};
use crate::presence::cached;

/// A model's run in an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Its id.
    pub id: RunId,
    /// What came of it.
    pub run: Run,
    /// Whether it was there already.
    pub was_there: bool,
    /// What a person should know of the execution.
    pub notes: Vec<Note>,
}

/// Evaluates a model, and records that. A model that was evaluated before, with a complete record, is not
/// evaluated again. That the evaluation fails is an outcome, which is recorded as such, and no error. `maker` is
/// the run that the model was taken from, if that was said.
///
/// # Errors
///
/// [`ReplayError::NotEvaluated`] if the model cannot be put in the hole, or the example cannot be done again;
/// whatever keeps a command from starting.
pub fn evaluate(
    bench: &Bench<'_>,
    evaluation: &Evaluation,
    model: &BTreeMap<Slot, ContentId>,
    maker: Option<RunId>,
) -> Result<Evaluated> {
    let cannot = |why: String| ReplayError::NotEvaluated { id: evaluation.run(), why };
    let store = bench.store;
    let example: Run =
        store.get(evaluation.run())?.ok_or(ReplayError::Missing { id: evaluation.run().into() })?;
    let recipe: Recipe =
        store.get(example.recipe)?.ok_or(ReplayError::Missing { id: example.recipe.into() })?;
    let Some(filled) = evaluation.filled(&recipe, model) else {
        let lacks =
            |slot: &&Slot| !(model.contains_key(*slot) && recipe.inputs().contains_key(*slot));
        let slot = evaluation.model().iter().find(lacks).map_or("the model", Slot::as_str);
        return Err(cannot(format!("there is nothing to be read as '{slot}'")));
    };
    if let Some(id) = cached(store, bench.lineage, filled.id())? {
        let run = store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })?;
        return Ok(Evaluated { id, run, was_there: true, notes: Vec::new() });
    }

    let of_model = |slot: &Slot| evaluation.model().contains(slot);
    let replaced = model.iter().filter(|(slot, _)| of_model(slot));
    let replaced = replaced.map(|(slot, content)| (slot.clone(), *content)).collect();
    let (outcome, notes) = do_changed(bench, &example, &filled, &replaced)?
        .map_err(|verdict| cannot(verdict.to_string()))?;
    let mut makers = Makers::new();
    for origin in bench.lineage.origins(evaluation.run())? {
        let of_model = matches!(&origin.role, Role::Input(slot) if of_model(slot));
        let all: BTreeSet<RunId> = match of_model {
            true => maker.into_iter().collect(),
            false => origin.makers.into_iter().collect(),
        };
        if !all.is_empty() {
            makers.insert(origin.role.to_string(), all);
        }
    }
    let origin = Origin { git: example.git, parent: None, makers };
    let (id, run) = record(store, bench.lineage, bench.who, &filled, outcome, origin)?;
    Ok(Evaluated { id, run, was_there: false, notes })
}
