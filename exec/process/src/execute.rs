//! Runs the command of a recipe, from the objects it reads to the objects it leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use lab_objects::{StatCache, Store, Writer};
use lab_schema::observed::Seeded;
use lab_schema::{
    BlobId, Command, ContentId, Executor, Log, Outcome, Place, Recipe, Slot, Status, TreeId,
};
use lab_trace::Trace;

use crate::beyond::Beyond;
use crate::error::{At, ProcessError, Result};
use crate::launch::{Echo, Ended, Exit, GRACE, Launch, MAX_LOG_BYTES, Watcher};
use crate::layout::Layout;
use crate::note::Note;
use crate::outputs::{self, Gathered};
use crate::params::params_of_arguments;
use crate::probe;
use crate::program;
use crate::reads::{self, Reads, Summary};
use crate::scratch::Scratch;
use crate::snapshot::Snapshot;
use crate::surroundings::{Surroundings, lacking, place};

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
    /// Where it is noted what the files of this machine were when they were last read: for those
    /// that a watched command uses.
    pub cache: Option<&'a Path>,
    /// Our own program, to end the run if we are killed: see [`Launch::guardian`].
    pub guardian: Option<&'a Path>,
    /// A folder of ours in which a watched Python program finds a hook that writes down its seeds; made if it is
    /// absent. None: no hook.
    pub probe: Option<&'a Path>,
}

/// Where a command that ran in a folder of its own finds itself when it is done again in a box: the
/// folder that it had is gone, and its path was nobody's choice.
pub const APART: &str = "/project";

/// What came of a job. All that it names is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// For the record.
    pub outcome: Outcome,
    /// Files that the command left beside its declared outputs; not kept. Sorted.
    pub undeclared: Vec<Slot>,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// What a watched command used beside what its recipe names.
    pub seen: Option<Seen>,
    /// What a command that was watched in a box looked for beyond its record.
    pub beyond: Beyond,
}

/// What a watched command used beside what its recipe names: it completes the recipe, so that it can
/// be done again in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Programs, libraries and system files.
    pub environment: Option<TreeId>,
    /// Data, by absolute path without the first `/`.
    pub outside: BTreeMap<Slot, ContentId>,
    /// Who it was.
    pub place: Option<Place>,
    /// How much was read.
    pub summary: Summary,
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
    let mut variables = surroundings.variables.clone();
    if let Some(folder) = job.probe {
        probe::install(folder, &scratch.probe(), &mut variables)?;
    }
    let ended = launch(job, (command, &variables), &layout, &surroundings, &scratch)?;
    let told = probe::told(&scratch.probe())?;

    let mut writer = job.store.writer();
    let watched = match &ended.trace {
        Some(trace) => Some(seen(job, &mut writer, (trace, told), &layout, &surroundings)?),
        None => None,
    };
    // Weights that go in and come out changed are stored as the difference.
    writer.set_bases(&job.recipe.inputs().values().copied().collect::<Vec<_>>());
    let gathered = outputs::gather(&mut writer, &layout, &before, job.recipe.outputs())?;
    let logs = BTreeMap::from([
        (Log::Stdout, put_file(&mut writer, &scratch.stdout())?),
        (Log::Stderr, put_file(&mut writer, &scratch.stderr())?),
    ]);
    writer.finish()?;

    let left = scratch.remove_or_note();
    let mut completeness = job.watcher.completeness(&ended);
    let (mut observed, mut seen, mut more) = (None, None, Vec::new());
    if let Some((found, reads)) = watched {
        completeness = lacking(completeness, &reads.gaps);
        (observed, seen, more) = (Some(reads.observed), Some(found), reads.notes);
    }
    let status = status(ended.exit, &gathered, job.recipe);
    let Gathered { outputs, metrics, undeclared, notes, .. } = gathered;
    let notes = ended.notes.into_iter().chain(more).chain(notes).chain(left).collect();
    let outcome = Outcome {
        status,
        outputs,
        metrics,
        logs,
        completeness,
        params: params_of_arguments(&command.argv),
        observed,
        unrecorded_variables: surroundings.unrecorded,
        started_ms: ended.started_ms,
        duration_ms: millis(ended.duration),
        peak_memory_bytes: ended.peak_memory_bytes,
    };
    Ok(Execution { outcome, undeclared, notes, seen, beyond: Beyond::default() })
}

/// Stores what a watched command used outside its folder.
fn seen(
    job: &Job<'_>,
    writer: &mut Writer,
    (trace, told): (&Trace, BTreeSet<Seeded>),
    layout: &Layout<'_>,
    surroundings: &Surroundings,
) -> Result<(Seen, Reads)> {
    let scratch = job.scratch.canonicalize().at("find", job.scratch)?;
    let probe = job.probe.and_then(|folder| folder.canonicalize().ok());
    let ours: Vec<&Path> = [scratch.as_path()].into_iter().chain(probe.as_deref()).collect();
    let sorter = surroundings.sorter(&layout.work, &ours, trace);
    let mut cache = StatCache::open(job.cache.unwrap_or(Path::new("")));
    let reads = reads::store(writer, &mut cache, trace, &sorter, &layout.directory(), told)?;
    if job.cache.is_some() {
        cache.save()?;
    }
    let (environment, outside) = (reads.environment, reads.outside.clone());
    let (place, summary) = (place(Path::new(APART)), reads.summary.clone());
    Ok((Seen { environment, outside, place, summary }, reads))
}

fn launch(
    job: &Job<'_>,
    (command, variables): (&Command, &BTreeMap<OsString, OsString>),
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
        variables,
        limits: job.recipe.limits(),
        grace: GRACE,
        echo: job.echo,
        spool: &scratch.spool(),
        stdout: &scratch.stdout(),
        stderr: &scratch.stderr(),
        max_log_bytes: MAX_LOG_BYTES,
        scratch: scratch.path(),
        guardian: job.guardian,
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
