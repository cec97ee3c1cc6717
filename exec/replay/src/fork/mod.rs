//! Somebody's result with something changed: the run, and of what it came from all that the change reaches.
//!
//! A result is a chain of runs: data prepared, a model trained, the model measured. A change is made where it
//! belongs, in the run that has the parameter or reads the input; that run is done with it, and so is every later
//! one of the chain, with the new outputs in the place of the old. The others stand.

mod set;

use std::collections::{BTreeMap, BTreeSet};

use lab_objects::Store;
use lab_process::Note;
use lab_schema::{ContentId, Object, Recipe, Run, RunId, Slot, Tree};

use crate::bench::{Bench, Origin, record};
use crate::changed::do_changed;
use crate::error::{ReplayError, Result};
use crate::presence::cached;
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
        let forked = carried(bench, (parent, &recipe), forked, &redone)?.map_err(cannot)?;
        if forked == recipe {
            continue;
        }
        let forked = step(bench, id, (parent, &run, &recipe), &forked)?;
        told(&forked);
        let is_over = forked.run.outcome.status.is_success();
        let (old, now) = (run.outcome.outputs, forked.run.outcome.outputs.clone());
        redone.insert(parent, Redone { old, now });
        done.push(forked);
        if !is_over {
            break;
        }
    }
    Ok(done)
}

/// What a run left that was done with something changed, and what it leaves now.
struct Redone {
    old: BTreeMap<Slot, ContentId>,
    now: BTreeMap<Slot, ContentId>,
}

/// A recipe of the chain with what earlier runs leave now in the place of what they left. Which of several files
/// with the same bytes an input is, its path says.
fn carried(
    bench: &Bench<'_>,
    (id, before): (RunId, &Recipe),
    forked: Recipe,
    redone: &BTreeMap<RunId, Redone>,
) -> Result<std::result::Result<Recipe, String>> {
    if redone.is_empty() {
        return Ok(Ok(forked));
    }
    let store = bench.store;
    let short = id.short();
    let slots: Vec<(&Slot, ContentId)> =
        before.inputs().iter().map(|(slot, content)| (slot, *content)).collect();
    let contents: Vec<(String, ContentId)> =
        slots.iter().map(|(slot, content)| (slot.to_string(), *content)).collect();
    let mut parts = forked.to_parts();
    for ((slot, content), maker) in slots.iter().zip(bench.lineage.makers(&contents, Some(id))?) {
        let Some(redone) = maker.and_then(|maker| redone.get(&maker)) else { continue };
        // What somebody has put in its place stays.
        if parts.inputs.get(*slot) != Some(content) {
            continue;
        }
        let places = places(store, &redone.old, *content)?;
        let own = places.iter().find(|place| place.as_str() == slot.as_str());
        // Another input with the same bytes may be the one that was left there.
        let others: Vec<&String> = places
            .iter()
            .filter(|place| slots.iter().all(|(other, _)| other.as_str() != place.as_str()))
            .collect();
        let place = match (own, &others[..]) {
            (Some(place), _) => place,
            (None, []) => continue,
            (None, [one]) => *one,
            (None, [first, rest @ ..]) => {
                let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                let mut same = others.iter().filter(|place| name(place) == name(slot.as_str()));
                match (same.next(), same.next()) {
                    (Some(one), None) => *one,
                    _ => {
                        let now = at(store, &redone.now, first)?;
                        for place in rest {
                            if at(store, &redone.now, place)? != now {
                                return Ok(Err(format!(
                                    "it is not clear which file {short} read as {slot}"
                                )));
                            }
                        }
                        *first
                    }
                }
            }
        };
        match at(store, &redone.now, place)? {
            Some(now) => drop(parts.inputs.insert((*slot).clone(), now)),
            None => return Ok(Err(format!("{short} read {place}, which is not left any more"))),
        }
    }
    // What is read by another way than as an input cannot be replaced.
    for Redone { old, now } in redone.values() {
        for (slot, content) in old.iter().filter(|(slot, content)| now.get(*slot) != Some(*content))
        {
            if before.outside().values().any(|read| read == content) {
                return Ok(Err(format!("{short} read {slot} from outside of its project")));
            }
            let Some(code) = before.code() else { continue };
            if at_path(store, ContentId::Tree(code), slot.as_str())? == Some(*content) {
                return Ok(Err(format!("{short} read {slot} as code")));
            }
        }
    }
    Ok(Recipe::new(parts).map_err(|error| error.to_string()))
}

/// Where among outputs, and in the folders among them, a content lies.
fn places(
    store: &Store,
    outputs: &BTreeMap<Slot, ContentId>,
    wanted: ContentId,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut todo: Vec<(String, ContentId)> =
        outputs.iter().map(|(slot, content)| (slot.to_string(), *content)).collect();
    let mut looked = 0;
    while let Some((path, content)) = todo.pop() {
        looked += 1;
        if content == wanted {
            found.push(path);
        } else if let ContentId::Tree(tree) = content
            && looked < MAX_FILES
        {
            let tree: Tree = load(store, tree)?;
            todo.extend(tree.entries().iter().filter_map(|entry| {
                Some((format!("{path}/{}", entry.name), entry.node.content()?))
            }));
        }
    }
    found.sort();
    Ok(found)
}

/// What lies at this path among outputs.
fn at(store: &Store, outputs: &BTreeMap<Slot, ContentId>, path: &str) -> Result<Option<ContentId>> {
    for (slot, content) in outputs {
        match path.strip_prefix(slot.as_str()) {
            Some("") => return Ok(Some(*content)),
            Some(rest) if rest.starts_with('/') => return at_path(store, *content, &rest[1..]),
            _ => {}
        }
    }
    Ok(None)
}

/// What lies at a path in a folder.
fn at_path(store: &Store, mut content: ContentId, path: &str) -> Result<Option<ContentId>> {
    for part in path.split('/') {
        let ContentId::Tree(tree) = content else { return Ok(None) };
        let tree: Tree = load(store, tree)?;
        let entry = tree.entries().iter().find(|entry| entry.name.to_string() == part);
        match entry.and_then(|entry| entry.node.content()) {
            Some(inside) => content = inside,
            None => return Ok(None),
        }
    }
    Ok(Some(content))
}

/// Does one run with its changed recipe.
fn step(
    bench: &Bench<'_>,
    of: RunId,
    (parent, run, recipe): (RunId, &Run, &Recipe),
    forked: &Recipe,
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
    let origin = Origin { git: run.git.clone(), parent: Some(parent) };
    let (id, run) = record(store, bench.who, forked, outcome, origin)?;
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
                Change::Input { name, content } => with_input(recipe, name, *content)?,
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
            return Err(format!(
                "it has no {what} '{}'; there are {}",
                change.name(),
                all.join(", ")
            ));
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

/// A recipe with this input, and what it had; none if it has none of that name.
fn with_input(
    recipe: &Recipe,
    name: &str,
    content: ContentId,
) -> std::result::Result<Option<(Recipe, Option<String>)>, String> {
    let end = format!("/{name}");
    let is_it = |slot: &&Slot| slot.as_str() == name || slot.as_str().ends_with(&end);
    let whole = recipe.inputs().keys().find(|slot| slot.as_str() == name);
    let slots: Vec<&Slot> = recipe.inputs().keys().filter(is_it).collect();
    let slot = match (whole, &slots[..]) {
        (Some(slot), _) => slot,
        (None, []) => return Ok(None),
        (None, [slot]) => *slot,
        _ => return Err(format!("several inputs are called '{name}': name the whole of it")),
    };
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
