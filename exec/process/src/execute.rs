//! Runs the command of a recipe, from the objects it reads to the objects it leaves.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use lab_objects::{Store, Writer};
use lab_schema::{BlobId, Command, Executor, Log, Outcome, Recipe, Slot, Status};

use crate::error::{At, ProcessError, Result};
use crate::launch::{Echo, Ended, Exit, GRACE, Launch, MAX_LOG_BYTES, Watcher};
use crate::layout::Layout;
use crate::note::Note;
use crate::outputs::{self, Gathered};
use crate::params::params_of_arguments;
use crate::program;
use crate::scratch::Scratch;
use crate::snapshot::Snapshot;
use crate::variables::PASSED_THROUGH;

/// What to run, and how.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Holds the code and inputs, and receives the outputs and logs.
    pub store: &'a Store,
    /// What to run; must be that of a command.
    pub recipe: &'a Recipe,
    /// A folder of ours in which the run gets a folder of its own; made if it is absent. Best on
    /// a local disk.
    pub scratch: &'a Path,
    /// Whether the command's output is shown.
    pub echo: Echo,
    /// Who starts and observes it.
    pub watcher: &'a dyn Watcher,
}

/// What came of a job. All that it names is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// For the record.
    pub outcome: Outcome,
    /// Files that the command left beside its declared outputs; not kept. Sorted.
    pub undeclared: Vec<Slot>,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Runs a command to its end. A command that fails is an outcome, not an error.
///
/// While it runs, the signals that ask this process to end are caught; they stop the command and
/// give [`ProcessError::Interrupted`]. The calling thread must not end before.
pub fn execute(job: &Job<'_>) -> Result<Execution> {
    let Executor::Command(command) = job.recipe.executor() else {
        return Err(ProcessError::NotACommand);
    };
    let scratch = Scratch::new(job.scratch)?;
    let layout = Layout::new(job.store, job.recipe, command, &scratch.work())?;
    let before = Snapshot::take(&layout.work)?;
    let surroundings = Surroundings::new(command, std::env::vars_os(), &scratch.tmp());
    let ended = launch(job, command, &layout, &surroundings, &scratch)?;

    let mut writer = job.store.writer();
    // Weights that go in and come out changed are stored as the difference.
    writer.set_bases(&job.recipe.inputs().values().copied().collect::<Vec<_>>());
    let gathered = outputs::gather(&mut writer, &layout, &before, job.recipe.outputs())?;
    let logs = BTreeMap::from([
        (Log::Stdout, put_file(&mut writer, &scratch.stdout())?),
        (Log::Stderr, put_file(&mut writer, &scratch.stderr())?),
    ]);
    writer.finish()?;

    let left = scratch.remove_or_note();
    let completeness = job.watcher.completeness(&ended);
    let status = status(ended.exit, &gathered, job.recipe);
    let Gathered { outputs, metrics, undeclared, notes, .. } = gathered;
    let notes = ended.notes.into_iter().chain(notes).chain(left).collect();
    let outcome = Outcome {
        status,
        outputs,
        metrics,
        logs,
        completeness,
        params: params_of_arguments(&command.argv),
        observed: None,
        unrecorded_variables: surroundings.unrecorded,
        started_ms: ended.started_ms,
        duration_ms: millis(ended.duration),
        peak_memory_bytes: ended.peak_memory_bytes,
    };
    Ok(Execution { outcome, undeclared, notes })
}

fn launch(
    job: &Job<'_>,
    command: &Command,
    layout: &Layout<'_>,
    surroundings: &Surroundings,
    scratch: &Scratch,
) -> Result<Ended> {
    let directory = layout.directory();
    let word = command.argv.first().map_or("", String::as_str);
    let program = program::find(word, &directory, surroundings.get("PATH"))?;
    job.watcher.launch(&Launch {
        program: &program,
        argv: &command.argv,
        directory: &directory,
        variables: &surroundings.variables,
        limits: job.recipe.limits(),
        grace: GRACE,
        echo: job.echo,
        spool: &scratch.spool(),
        stdout: &scratch.stdout(),
        stderr: &scratch.stderr(),
        max_log_bytes: MAX_LOG_BYTES,
        scratch: scratch.path(),
    })
}

pub(crate) fn put_file(writer: &mut Writer, path: &Path) -> Result<BlobId> {
    let mut file = File::open(path).at("open", path)?;
    Ok(writer.put_blob(&mut file)?.0)
}

pub(crate) fn status(exit: Exit, gathered: &Gathered, recipe: &Recipe) -> Status {
    match exit {
        Exit::Code(0) if !gathered.missing.is_empty() => Status::Missing(gathered.missing.clone()),
        Exit::Code(code) => Status::Exited(code),
        Exit::Signal(signal) => Status::Signalled(signal),
        Exit::TimedOut => Status::TimedOut(recipe.limits().wall_ms.unwrap_or(0)),
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The environment of a command.
pub(crate) struct Surroundings {
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// Names of those whose values the recipe does not hold, sorted.
    pub(crate) unrecorded: Vec<String>,
}

impl Surroundings {
    /// The recipe's variables, those of `ours` that are passed through, and `TMPDIR`.
    pub(crate) fn new(
        command: &Command,
        ours: impl Iterator<Item = (OsString, OsString)>,
        tmp: &Path,
    ) -> Surroundings {
        let passed = ours.filter(|(name, _)| PASSED_THROUGH.iter().any(|p| name == *p));
        let mut variables: BTreeMap<OsString, OsString> = passed.collect();
        variables.insert("TMPDIR".into(), tmp.into());
        variables.retain(|name, _| !command.variables.keys().any(|key| name == key.as_str()));
        let names = variables.keys().map(|name| name.to_string_lossy().into_owned());
        let unrecorded = names.collect();
        let recorded = command.variables.iter().map(|(name, value)| (name.into(), value.into()));
        variables.extend(recorded);
        Surroundings { variables, unrecorded }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}
