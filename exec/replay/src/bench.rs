//! What executing needs, and the two executors behind one door.
//!
//! A recipe says by itself who computes it, so a caller need not know: a command goes to
//! `lab-process`, a tensor program to `lab-tensor`. Executing and recording are two steps, because
//! a verification executes and records nothing but its verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use lab_lineage::Lineage;
use lab_objects::{Progress, Store};
use lab_process::{
    Beyond, Boxed, Echo, Execution, HOST_NAME, Job, Laid, Plain, ProcessError, execute_boxed,
    lay_out,
};
use lab_schema::observed::{MAX_OBSERVED_BYTES, Observed};
use lab_schema::{BlobId, Command, Executor, Git, Object, ObjectId, Outcome, Recipe, Run, RunId};

use lab_tensor::Resuming;

use crate::error::{ReplayError, Result};

/// Time between two notes of how far a training is.
const EVERY: Duration = Duration::from_secs(15);

/// What executing needs.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// Holds what is read, and receives what is made.
    pub store: &'a Store,
    /// Its lineage, refreshed.
    pub lineage: &'a Lineage,
    /// A folder in which commands get folders of their own.
    pub scratch: &'a Path,
    /// Who does it, for the record.
    pub who: &'a str,
    /// Told how far a tensor program is.
    pub progress: &'a dyn Progress,
    /// Whether a command's output is shown.
    pub echo: Echo,
    /// Whether a command that diverged is executed once more, to tell a recipe that gives
    /// another result each time from a machine that has changed.
    pub twice: bool,
}

/// Executes a recipe, whichever its executor. A computation that fails is an outcome, not an
/// error; its outputs and logs are in the store.
pub fn execute(bench: &Bench<'_>, recipe: &Recipe) -> Result<Execution> {
    match recipe.executor() {
        Executor::Command(_) => {
            let Bench { store, scratch, echo, .. } = *bench;
            Ok(lab_process::execute(&Job {
                store,
                recipe,
                scratch,
                echo,
                watcher: &Plain,
                cache: None,
                guardian: None,
                probe: None,
            })?)
        }
        Executor::Tensor(_) => {
            let outcome = lab_tensor::execute(bench.store, recipe, bench.progress)?;
            let (undeclared, notes, beyond) = (Vec::new(), Vec::new(), Beyond::default());
            Ok(Execution { outcome, undeclared, notes, seen: None, beyond })
        }
    }
}

/// Like [`execute()`]; a training that was interrupted goes on where it was.
pub fn execute_resuming(bench: &Bench<'_>, recipe: &Recipe) -> Result<Execution> {
    let Executor::Tensor(_) = recipe.executor() else { return execute(bench, recipe) };
    let Bench { store, progress, scratch, .. } = *bench;
    let resuming = Resuming { folder: scratch, every: EVERY };
    let outcome = lab_tensor::execute_resuming(store, recipe, progress, resuming)?;
    let (undeclared, notes, beyond) = (Vec::new(), Vec::new(), Beyond::default());
    Ok(Execution { outcome, undeclared, notes, seen: None, beyond })
}

/// A run that was done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// What came of it.
    pub execution: Execution,
    /// Whether nothing but what is recorded could enter.
    pub sealed: bool,
    /// Why it was not sealed although its record would have allowed it: what stood in the way, and
    /// what can be done about it.
    pub unsealed: Option<(String, String)>,
}

/// Does a run again from its record: in a sealed box if the record names all that the command
/// needs, and the machine allows boxes. What was `laid` out for the box is used for the next time. `watched`: it is noted what it looks for beyond
/// its record.
pub fn again(
    bench: &Bench<'_>,
    run: &Run,
    recipe: &Recipe,
    laid: &mut Option<Laid>,
    watched: bool,
) -> Result<Again> {
    let mut unsealed = None;
    if let (Executor::Command(Command { place: Some(_), .. }), Some(observed)) =
        (recipe.executor(), run.outcome.observed)
    {
        let observed = observations(bench.store, observed)?;
        let Bench { store, scratch, echo, .. } = *bench;
        let observed = &observed;
        let job = Boxed { store, recipe, observed, scratch, echo, host_name: HOST_NAME, watched };
        match boxed(&job, laid) {
            Ok(execution) => return Ok(Again { execution, sealed: true, unsealed }),
            Err(ProcessError::NoBox(obstacle)) => {
                unsealed = Some((obstacle.to_string(), obstacle.hint().to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let execution = execute(bench, recipe)?;
    Ok(Again { execution, sealed: matches!(recipe.executor(), Executor::Tensor(_)), unsealed })
}

/// Runs a command in a box over what is laid out; lays it out if it is not.
pub(crate) fn boxed(
    job: &Boxed<'_>,
    laid: &mut Option<Laid>,
) -> std::result::Result<Execution, ProcessError> {
    let mut ready = match laid.take() {
        Some(ready) => ready,
        None => lay_out(job)?,
    };
    let done = execute_boxed(job, &mut ready);
    *laid = Some(ready);
    done
}

/// What a run was seen to touch, by the id that its record has for it.
pub fn observations(store: &Store, id: BlobId) -> Result<Observed> {
    let bad = |why| ReplayError::Observations { id, why };
    let size = store.size(id)?.ok_or(ReplayError::Missing { id: id.into() })?;
    if size > MAX_OBSERVED_BYTES {
        return Err(bad("it is too large".to_owned()));
    }
    Observed::from_bytes(&store.read_range(id, 0..size)?).map_err(bad)
}

/// Where a run comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The state of the project's git repository.
    pub git: Option<Git>,
    /// The run that it was forked from.
    pub parent: Option<RunId>,
    /// Who made what it read, where that was said and need not be found: by the name under which it was read.
    pub makers: Makers,
}

/// Runs that made what another one read, by the name under which it read it.
pub type Makers = BTreeMap<String, BTreeSet<RunId>>;

impl From<Option<Git>> for Origin {
    fn from(git: Option<Git>) -> Origin {
        Origin { git, ..Origin::default() }
    }
}

/// Writes down that `recipe` was executed by `who` on this machine with this outcome, and who made what it read;
/// returns the record. Recipe and run are durable when it returns. `lineage` is that of the store, and knows what
/// was recorded before.
pub fn record(
    store: &Store,
    lineage: &Lineage,
    who: &str,
    recipe: &Recipe,
    outcome: Outcome,
    origin: impl Into<Origin>,
) -> Result<(RunId, Run)> {
    let Origin { git, parent, makers: said } = origin.into();
    let mut makers = lineage.makers_now(store, recipe, outcome.started_ms)?;
    makers.extend(said);
    // They may be about to be removed.
    let all: BTreeSet<RunId> = makers.values().flatten().copied().collect();
    store.rescue(&all.into_iter().map(ObjectId::from).collect::<Vec<_>>())?;
    let mut writer = store.writer();
    let run = Run {
        recipe: writer.put(recipe)?,
        outcome,
        host: lab_process::host(),
        git,
        parent,
        makers,
        who: who.to_owned(),
    };
    let id = writer.put(&run)?;
    debug_assert_eq!(id, run.id());
    writer.finish()?;
    Ok((id, run))
}
