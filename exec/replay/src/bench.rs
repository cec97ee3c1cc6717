//! What executing needs, and the two executors behind one door.
//!
//! A recipe says by itself who computes it, so a caller need not know: a command goes to
//! `lab-process`, a tensor program to `lab-tensor`. Executing and recording are two steps, because
//! a verification executes and records nothing but its verdict.

use std::path::Path;

use lab_lineage::Lineage;
use lab_objects::{Progress, Store};
use lab_process::{Echo, Execution, Job, Plain};
use lab_schema::{Executor, Git, Object, Outcome, Recipe, Run, RunId};

use crate::error::Result;

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
            Ok(lab_process::execute(&Job { store, recipe, scratch, echo, watcher: &Plain })?)
        }
        Executor::Tensor(_) => {
            let outcome = lab_tensor::execute(bench.store, recipe, bench.progress)?;
            Ok(Execution { outcome, undeclared: Vec::new(), notes: Vec::new() })
        }
    }
}

/// Writes down that `recipe` was executed by `who` on this machine with this outcome, and returns the
/// record. Recipe and run are durable when it returns.
pub fn record(
    store: &Store,
    who: &str,
    recipe: &Recipe,
    outcome: Outcome,
    git: Option<Git>,
) -> Result<(RunId, Run)> {
    let mut writer = store.writer();
    let run = Run {
        recipe: writer.put(recipe)?,
        outcome,
        host: lab_process::host(),
        git,
        who: who.to_owned(),
    };
    let id = writer.put(&run)?;
    debug_assert_eq!(id, run.id());
    writer.finish()?;
    Ok((id, run))
}
