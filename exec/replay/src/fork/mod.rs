//! Somebody's result with something changed: the run, and of what it came from all that the change reaches.
//!
//! A result is a chain of runs: data prepared, a model trained, the model measured. A change is made where it
//! belongs, in the run that has the parameter or reads the input; that run is done with it, and so is every later
//! one of the chain, with the new outputs in the place of the old. The others stand.

mod carry;
mod set;

use std::collections::{BTreeMap, BTreeSet};

use lab_objects::Store;
use lab_process::Note;
use lab_schema::{ContentId, Object, Recipe, Run, RunId, Slot};

use crate::bench::{Bench, Makers, Origin, record};
use crate::changed::do_changed;
use crate::error::{ReplayError, Result};
use crate::presence::cached;
use carry::{Redone, carried};
use set::set;

/// Most files of a directory that are followed into a later run.
const MAX_FILES: usize = 1 << 20;

/// Something that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A parameter, an option of the command line or an environment variable: `lr`, or `train.lr` of a stage; and
    /// its value, as one types it.
    Set {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// An input, by its name or the end of that.
    Input {
        /// The name.
        name: String,
        /// What is read instead.
        content: ContentId,
        /// The run that it was taken from, if it was said.
        maker: Option<RunId>,
    },
}

impl Change {
    fn name(&self) -> &str {
        match self {
            Change::Set { name, .. } | Change::Input { name, .. } => name,
        }
    }
}

/// A run of the chain that was done with something changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Forked {
    /// The run that it stands beside.
    pub parent: RunId,
    /// The new one.
    pub id: RunId,
    /// What came of it.
    pub run: Run,
    /// Whether somebody had done that already.
    pub was_there: bool,
    /// What a person should know of the execution.
    pub notes: Vec<Note>,
}

/// Forks a result. What is done is told as it is done, causes first; the last is the new result, unless one
/// before it failed, which is then the last. Nothing is done if nothing changes.
///
/// # Errors
///
/// [`ReplayError::NotForked`] for a change that belongs nowhere, or to several runs that do not agree; for a run that
/// cannot be done again; where it is not clear what a later run reads of what an earlier one leaves now.
pub fn fork(
    bench: &Bench<'_>,
    id: RunId,
    changes: &[Change],
    told: &mut dyn FnMut(&Forked),
) -> Result<Vec<Forked>> {
    let store = bench.store;
    let cannot = |why: String| ReplayError::NotForked { id, why };
    let mut runs = Vec::new();
    for id in bench.lineage.chain(id)? {
        let run: Run = load(store, id)?;
        let recipe: Recipe = load(store, run.recipe)?;
        runs.push((id, run, recipe));
    }
    let changed = placed(&runs, changes).map_err(cannot)?;
    let mut done: Vec<Forked> = Vec::new();
    let mut redone: BTreeMap<RunId, Redone> = BTreeMap::new();
    for ((parent, run, recipe), changed) in runs.into_iter().zip(changed) {
        let forked = match changed {
            Some(changed) => changed,
            None => recipe.clone(),
        };
        let (forked, mut makers) =
            carried(bench, (parent, &recipe), forked, &redone)?.map_err(cannot)?;
        if forked == recipe {
            continue;
        }
        for change in changes {
            if let Change::Input { name, maker: Some(maker), .. } = change
                && let Some(slot) = slot_of(&recipe, name).map_err(cannot)?
            {
                makers.insert(slot.to_string(), [*maker].into());
            }
        }
        let forked = step(bench, id, (parent, &run, &recipe), &forked, makers)?;
        told(&forked);
        let is_over = forked.run.outcome.status.is_success();
        let (old, now) = (run.outcome.outputs, forked.run.outcome.outputs.clone());
        redone.insert(parent, Redone { id: forked.id, old, now });
        done.push(forked);
        if !is_over {
            break;
        }
    }
    Ok(done)
}

/// Does one run with its changed recipe.
fn step(
    bench: &Bench<'_>,
    of: RunId,
    (parent, run, recipe): (RunId, &Run, &Recipe),
    forked: &Recipe,
    makers: Makers,
) -> Result<Forked> {
    let store = bench.store;
    if let Some(id) = cached(store, bench.lineage, forked.id())? {
        let run = load(store, id)?;
        return Ok(Forked { parent, id, run, was_there: true, notes: Vec::new() });
    }
    let is_new =
        |(slot, content): &(&Slot, &ContentId)| recipe.inputs().get(*slot) != Some(*content);
    let replaced = forked.inputs().iter().filter(is_new);
    let replaced = replaced.map(|(slot, content)| (slot.clone(), *content)).collect();
    let (mut outcome, notes) = do_changed(bench, run, forked, &replaced)?.map_err(|verdict| {
        let why = format!("run {} cannot be done again: {verdict}", parent.short());
        ReplayError::NotForked { id: of, why }
    })?;
    set::told(&mut outcome.params, recipe, forked);
    let origin = Origin { git: run.git.clone(), parent: Some(parent), makers };
    let (id, run) = record(store, bench.lineage, bench.who, forked, outcome, origin)?;
    Ok(Forked { parent, id, run, was_there: false, notes })
}

/// The recipes of a chain with the changes made where they belong; none where nothing changes.
fn placed(
    chain: &[(RunId, Run, Recipe)],
    changes: &[Change],
) -> std::result::Result<Vec<Option<Recipe>>, String> {
    let mut changed: Vec<Option<Recipe>> = vec![None; chain.len()];
    for change in changes {
        let mut found = Vec::new();
        for (n, (_, _, recipe)) in chain.iter().enumerate() {
            let recipe = changed[n].as_ref().unwrap_or(recipe);
            let with = match change {
                Change::Set { name, value } => set(recipe, name, value)?,
                Change::Input { name, content, .. } => with_input(recipe, name, *content)?,
            };
            found.extend(with.map(|with| (n, with)));
        }
        let before: BTreeSet<String> =
            found.iter().filter_map(|(_, (_, before))| before.clone()).collect();
        if found.is_empty() {
            let all: BTreeSet<String> =
                chain.iter().flat_map(|(_, _, r)| names(r, change)).collect();
            let all: Vec<String> = all.into_iter().take(40).collect();
            let what = if matches!(change, Change::Set { .. }) { "parameter" } else { "input" };
            let there = match all.len() {
                0 => format!("there is no {what} at all"),
                _ => format!("there are {}", all.join(", ")),
            };
            return Err(format!("it has no {what} '{}'; {there}", change.name()));
        }
        // One thing under one name in several runs is changed in all of them.
        if before.len() > 1 && !change.name().ends_with("seed") {
            let values: Vec<String> = before.into_iter().collect();
            return Err(format!(
                "several runs have '{}', with different values ({}): name the stage in front of it, or fork the run by itself",
                change.name(),
                values.join(", ")
            ));
        }
        for (n, (recipe, _)) in found {
            changed[n] = Some(recipe);
        }
    }
    Ok(changed)
}

/// The input that was meant by its name or the end of that, if there is one.
fn slot_of<'r>(recipe: &'r Recipe, name: &str) -> std::result::Result<Option<&'r Slot>, String> {
    let end = format!("/{name}");
    let is_it = |slot: &&Slot| slot.as_str() == name || slot.as_str().ends_with(&end);
    let whole = recipe.inputs().keys().find(|slot| slot.as_str() == name);
    let slots: Vec<&Slot> = recipe.inputs().keys().filter(is_it).collect();
    match (whole, &slots[..]) {
        (Some(slot), _) => Ok(Some(slot)),
        (None, []) => Ok(None),
        (None, [slot]) => Ok(Some(*slot)),
        _ => Err(format!("several inputs are called '{name}': name the whole of it")),
    }
}

/// A recipe with this input, and what it had; none if it has none of that name.
fn with_input(
    recipe: &Recipe,
    name: &str,
    content: ContentId,
) -> std::result::Result<Option<(Recipe, Option<String>)>, String> {
    let Some(slot) = slot_of(recipe, name)? else { return Ok(None) };
    let mut parts = recipe.to_parts();
    let before = parts.inputs.insert(slot.clone(), content);
    let recipe = Recipe::new(parts).map_err(|error| error.to_string())?;
    Ok(Some((recipe, before.map(|before| before.to_string()))))
}

/// What could have been meant.
fn names(recipe: &Recipe, change: &Change) -> Vec<String> {
    match change {
        Change::Set { .. } => set::names(recipe),
        Change::Input { .. } => recipe.inputs().keys().map(ToString::to_string).collect(),
    }
}

fn load<O: Object>(store: &Store, id: O::Id) -> Result<O> {
    store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })
}
