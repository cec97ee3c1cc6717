//! A model measured by a pinned evaluation: the example is done again, with another model in its hole.
//!
//! Nothing else can change: code, data and environment come from the example's record, in a box that holds
//! nothing beyond it. So the run has the recipe of the example but for one input, and can be verified as any
//! other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use lab_objects::Store;
use lab_process::{Beyond, Boxed, Execution, HOST_NAME, Note, can_watch_in_box};
use lab_schema::observed::Observed;
use lab_schema::{
    BlobId, Command, Completeness, ContentId, Evaluation, Executor, Object, Recipe, Run, RunId,
    Slot,
};

use crate::bench::{Bench, boxed, execute, observations, record};
use crate::error::{ReplayError, Result};
use crate::presence::cached;
use crate::verify::obstacle;

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
/// evaluated again. That the evaluation fails is an outcome, which is recorded as such, and no error.
///
/// # Errors
///
/// [`ReplayError::NotEvaluated`] if the model cannot be put in the hole, or the example cannot be done again;
/// whatever keeps a command from starting.
pub fn evaluate(
    bench: &Bench<'_>,
    evaluation: &Evaluation,
    model: &BTreeMap<Slot, ContentId>,
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

    let mut writer = store.writer();
    let of_this_model = Run { recipe: writer.put(&filled)?, ..example.clone() };
    writer.finish()?;
    let filled = obstacle(bench, &of_this_model)?.map_err(|verdict| cannot(verdict.to_string()))?;
    let (execution, observed) = match (filled.executor(), example.outcome.observed) {
        (Executor::Command(Command { place: Some(place), directory, .. }), Some(observed)) => {
            let started = directory.as_ref().map_or("", Slot::as_str);
            let at = Path::new(&place.project).join(started);
            let mut observed = observations(store, observed)?;
            for (slot, content) in
                model.iter().filter(|(slot, _)| evaluation.model().contains(slot))
            {
                with_file(store, &mut observed, &at.join(slot.as_str()), *content)?;
            }
            (in_box(bench, &filled, &observed)?, Some(keep(store, &observed)?))
        }
        _ => (execute(bench, &filled)?, None),
    };
    let Execution { mut outcome, notes, beyond, .. } = execution;
    outcome.observed = outcome.observed.or(observed);
    outcome.params = example.outcome.params;
    if let Some(why) = beyond_the_record(&beyond) {
        outcome.completeness = Completeness::Incomplete(why);
    }
    let (id, run) = record(store, bench.who, &filled, outcome, example.git)?;
    Ok(Evaluated { id, run, was_there: false, notes })
}

/// Watched, where the machine allows it: a program may look for what it did not need for the example.
fn in_box(bench: &Bench<'_>, recipe: &Recipe, observed: &Observed) -> Result<Execution> {
    let Bench { store, scratch, echo, .. } = *bench;
    let watched = can_watch_in_box().is_ok();
    let job = Boxed { store, recipe, observed, scratch, echo, host_name: HOST_NAME, watched };
    Ok(boxed(&job, &mut None)?)
}

fn keep(store: &Store, observed: &Observed) -> Result<BlobId> {
    let mut writer = store.writer();
    let id = writer.put_bytes(&observed.to_bytes())?;
    writer.finish()?;
    Ok(id)
}

/// What was seen of the example, with what is known of the file of the model that lies `at` this path in the
/// place of what was seen of the other.
fn with_file(store: &Store, observed: &mut Observed, at: &Path, content: ContentId) -> Result<()> {
    let below = |path: &Vec<u8>| {
        let path = Path::new(OsStr::from_bytes(path));
        path.starts_with(at) && path != at
    };
    observed.things.retain(|path, _| !below(path));
    observed.links.retain(|path, _| !below(path));
    observed.absent.retain(|path| !below(path));
    observed.listed.retain(|path, _| !below(path));
    match content {
        ContentId::Blob(blob) => {
            let size = store.size(blob)?.ok_or(ReplayError::Missing { id: blob.into() })?;
            if let Some(seen) = observed.things.get_mut(at.as_os_str().as_bytes()) {
                seen.size = size;
            }
        }
        // Its entries come in the order of the tree, and not as some other folder was listed.
        ContentId::Tree(_) => drop(observed.listed.remove(at.as_os_str().as_bytes())),
    }
    Ok(())
}

/// What keeps a record from being complete: the evaluation has not all that this model needed.
fn beyond_the_record(beyond: &Beyond) -> Option<String> {
    let first = beyond.opened.iter().chain(&beyond.missed).next()?;
    let more = beyond.opened.len() + beyond.missed.len() - 1;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("it looked for {}{more}, of which the evaluation says nothing", first.display()))
}
