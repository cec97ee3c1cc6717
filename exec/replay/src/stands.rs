//! Which recorded run stands for a command that is about to run, and else what is not as it was.

use std::collections::BTreeSet;

use lab_lineage::Lineage;
use lab_objects::{StatCache, Store};
use lab_process::{Change, Intent, Standing, standing};
use lab_schema::observed::{MAX_OBSERVED_BYTES, Observed};
use lab_schema::{Completeness, Executor, Recipe, Run, RunId};

use crate::error::{ReplayError, Result};
use crate::presence::absent;

/// Most runs of the same command that are looked at, the latest first.
const MANY: usize = 64;

/// Most changes that are told of a run that does not stand.
const TOLD: usize = 4;

/// What is known of a command that is about to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It would find what this run found.
    Yes {
        /// The run.
        run: RunId,
        /// What was looked at.
        standing: Standing,
    },
    /// It has to run.
    No {
        /// What is not as it was in the last run, at least one; it may be that there is none.
        changes: Vec<Change>,
    },
}

/// The run whose result stands for a command that is about to run: one that succeeded, whose record
/// is complete, whose outputs are in the store, and which would find everything as it was. `last`
/// is looked at first, and is what changes are told of; then all that ran the same command.
pub fn stands(
    store: &Store,
    lineage: &Lineage,
    cache: &mut StatCache,
    intent: &Intent<'_>,
    last: Option<RunId>,
) -> Result<Stands> {
    let mut changes = vec![Change::new("no recorded run", "of it succeeded")];
    if let Some(last) = last {
        match judge(store, cache, intent, last, TOLD)? {
            Ok(standing) => return Ok(Stands::Yes { run: last, standing }),
            Err(found) => changes = found,
        }
    }
    for run in same(store, lineage, intent, last)? {
        if let Ok(standing) = judge(store, cache, intent, run, 1)? {
            return Ok(Stands::Yes { run, standing });
        }
    }
    Ok(Stands::No { changes })
}

/// How a run stands; or why it does not.
fn judge(
    store: &Store,
    cache: &mut StatCache,
    intent: &Intent<'_>,
    id: RunId,
    limit: usize,
) -> Result<Result<Standing, Vec<Change>>> {
    let no = |what: &str, how: String| Ok(Err(vec![Change::new(what, how)]));
    let Some(run) = store.get::<Run>(id)? else {
        return no("its last run", format!("({}) is not in this registry", id.short()));
    };
    if !run.outcome.status.is_success() {
        return no("its last run", "failed".to_owned());
    }
    match &run.outcome.completeness {
        Completeness::Complete => {}
        Completeness::Declared => {
            return no("its last run", "was not watched".to_owned());
        }
        Completeness::Incomplete(why) => {
            return no("the record of its last run", format!("is incomplete: {why}"));
        }
    }
    let recipe: Recipe =
        store.get(run.recipe)?.ok_or(ReplayError::Missing { id: run.recipe.into() })?;
    let Some(observed) = run.outcome.observed else {
        return no("its last run", "has no record of what it looked at".to_owned());
    };
    let needed = run.outcome.outputs.values().copied();
    for content in needed.chain([observed.into()]) {
        if let Some(id) = absent(store, content, 1)?.first() {
            return no("what its last run left", format!("is not all in this registry ({id})"));
        }
    }
    let bytes = store.read_blob(observed, MAX_OBSERVED_BYTES)?;
    let Ok(observed) = Observed::from_bytes(&bytes) else {
        return no("the record of its last run", "cannot be read".to_owned());
    };
    let standing = standing(store, cache, intent, (&run, &recipe, &observed), limit)?;
    Ok(if standing.changes.is_empty() { Ok(standing) } else { Err(standing.changes) })
}

/// Runs of the same command with the same parameters, the latest first.
fn same(
    store: &Store,
    lineage: &Lineage,
    intent: &Intent<'_>,
    but: Option<RunId>,
) -> Result<Vec<RunId>> {
    let (mut others, mut found) = (BTreeSet::new(), Vec::new());
    for row in lineage.runs()?.into_iter().rev() {
        if found.len() == MANY {
            break;
        }
        if !row.success || !row.complete || Some(row.id) == but || others.contains(&row.recipe) {
            continue;
        }
        let is_same = store.get::<Recipe>(row.recipe)?.is_some_and(|recipe| {
            let same = |command: &lab_schema::Command| command.argv == intent.command.argv;
            recipe.params() == intent.declared.params()
                && matches!(recipe.executor(), Executor::Command(command) if same(command))
        });
        if is_same {
            found.push(row.id);
        } else {
            others.insert(row.recipe);
        }
    }
    Ok(found)
}
