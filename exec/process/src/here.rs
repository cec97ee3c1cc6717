//! Runs a command where its files lie, and writes down what it touched.
//!
//! Nothing has to be declared: the recipe is written after the run, from what was read. The files
//! that the command leaves stay where it left them, as if `lab` had not been there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lab_objects::{StatCache, Store};
use lab_schema::recipe::Parts;
use lab_schema::{Command, Executor, Git, Limits, Log, Outcome, Output, Recipe, Slot, Value};

use crate::beyond::Beyond;
use crate::error::{At, ProcessError, Result};
use crate::execute::{Execution, millis, put_file, status};
use crate::git;
use crate::launch::{Echo, Ended, GRACE, Launch, MAX_LOG_BYTES, Watcher};
use crate::params::params_of_arguments;
use crate::probe;
use crate::program;
use crate::reads::{self, Summary};
use crate::scratch::Scratch;
use crate::surroundings::{Level, Surroundings, lacking, place, with_own_variables};
use crate::traced::Traced;
use crate::wrote;

/// What to run where it lies, and how.
pub struct Here<'a> {
    /// Receives all that is read and made.
    pub store: &'a Store,
    /// What the files of this machine were when they were last read.
    pub cache: StatCache,
    /// Program and arguments.
    pub argv: &'a [String],
    /// Where the command starts; absolute.
    pub directory: &'a Path,
    /// The top of the project, if git does not know of one: `directory` lies in it.
    pub top: &'a Path,
    /// The folder of the registry, which is no part of the project.
    pub registry: &'a Path,
    /// What else is no part of the project: files that we write.
    pub ours: &'a [PathBuf],
    /// The variables whose values are recorded.
    pub variables: BTreeMap<String, String>,
    /// The parameters that it was given.
    pub params: BTreeMap<String, Value>,
    /// The seed that it was given.
    pub seed: Option<u64>,
    /// What it must leave; empty: whatever it makes.
    pub outputs: BTreeMap<Slot, Output>,
    /// Bounds.
    pub limits: Limits,
    /// How much chance is taken out.
    pub level: Level,
    /// A folder in which the run gets a folder for what is not to stay.
    pub scratch: &'a Path,
    /// Whether the command's output is shown.
    pub echo: Echo,
    /// A folder of ours from which a Python program takes a hook that tells which seeds it gives to its
    /// generators; none: it tells nothing.
    pub probe: Option<&'a Path>,
    /// Our own program, to end the run if we are killed: see [`Launch::guardian`].
    pub guardian: Option<&'a Path>,
}

/// A run that has been watched.
#[derive(Debug)]
pub struct Watched {
    /// What was run, from what it was seen to read.
    pub recipe: Recipe,
    /// What came of it.
    pub execution: Execution,
    /// The state of the repository, if there is one.
    pub git: Option<Git>,
    /// How much was read.
    pub summary: Summary,
}

/// What a command that is about to run would be recorded as.
pub struct Planned {
    /// The recipe as far as it is known before anything is read.
    pub declared: Recipe,
    /// Where it is started, links followed.
    pub directory: PathBuf,
    /// The top of the project.
    pub top: PathBuf,
    project: Option<git::Project>,
}

impl Planned {
    /// The command, with its place.
    pub fn command(&self) -> &Command {
        match self.declared.executor() {
            Executor::Command(command) => command,
            Executor::Tensor(_) => unreachable!("it was made of a command"),
        }
    }
}

/// What would be run. Nothing is started or read.
pub fn plan_here(here: &Here<'_>) -> Result<Planned> {
    let directory = here.directory.canonicalize().at("find", here.directory)?;
    let (top, project) = match git::find(&directory)? {
        Ok(project) => (project.top.clone(), Some(project)),
        Err(_) => (here.top.canonicalize().at("find", here.top)?, None),
    };
    let below = directory.strip_prefix(&top).unwrap_or(Path::new(""));
    let top = directory.ancestors().find(|a| a.join(below) == directory).unwrap_or(&top).to_owned();
    let bad = |path: &Path| ProcessError::UnspeakablePath(path.to_owned());
    let slot_of = |path: &Path| Slot::new(path.to_str().unwrap_or_default());
    let folder = match below.as_os_str().is_empty() {
        true => None,
        false => Some(slot_of(below).map_err(|_| bad(&directory))?),
    };
    let place = place(&top).ok_or_else(|| bad(&top))?;
    let command = Command {
        argv: here.argv.to_vec(),
        directory: folder,
        variables: with_own_variables(here.variables.clone(), here.level, std::env::vars_os()),
        place: Some(place),
    };
    let declared = Recipe::new(Parts {
        executor: Executor::Command(command),
        inputs: BTreeMap::new(),
        outside: BTreeMap::new(),
        code: None,
        environment: None,
        params: here.params.clone(),
        seed: here.seed,
        outputs: here.outputs.clone(),
        limits: here.limits,
    })
    .map_err(ProcessError::Recipe)?;
    Ok(Planned { declared, directory, top, project })
}

/// Runs a command where it lies. See [`execute`](crate::execute) for interruptions.
pub fn execute_here(here: Here<'_>) -> Result<Watched> {
    let planned = plan_here(&here)?;
    let git = planned.project.as_ref().map(git::Project::state).transpose()?;
    let command = planned.command();
    let (directory, top) = (planned.directory.as_path(), planned.top.as_path());

    let scratch = Scratch::new(here.scratch)?;
    let surroundings = Surroundings::new(command, std::env::vars_os(), &scratch.tmp());
    let mut variables = surroundings.variables.clone();
    if let Some(folder) = here.probe {
        probe::install(folder, &scratch.probe(), &mut variables)?;
    }
    let word = command.argv.first().map_or("", String::as_str);
    let ended = Traced.launch(&Launch {
        program: &program::find(word, directory, surroundings.get("PATH"))?,
        argv: &command.argv,
        directory,
        variables: &variables,
        limits: here.limits,
        grace: GRACE,
        echo: here.echo,
        spool: &scratch.spool(),
        stdout: &scratch.stdout(),
        stderr: &scratch.stderr(),
        max_log_bytes: MAX_LOG_BYTES,
        scratch: scratch.path(),
        guardian: here.guardian,
    })?;
    let completeness = Traced.completeness(&ended);
    let Ended { exit, started_ms, duration, peak_memory_bytes, mut notes, trace } = ended;
    let mut trace = trace.unwrap_or_default();
    wrote::count_what_stayed(&mut trace, directory, &here.outputs)?;

    let registry = here.registry.canonicalize().at("find", here.registry)?;
    let also = here.ours.iter().map(PathBuf::as_path);
    let ours: Vec<&Path> = [registry.as_path(), scratch.path()].into_iter().chain(also).collect();
    let sorter = surroundings.sorter(top, &ours, &trace);
    let mut cache = here.cache;
    let seeds = probe::told(&scratch.probe())?;
    let mut writer = here.store.writer();
    let read = reads::store(&mut writer, &mut cache, &trace, &sorter, directory, seeds)?;
    // Weights that went in and came out changed are stored as the difference.
    let bases: Vec<_> = read.inputs.values().chain(read.outside.values()).copied().collect();
    writer.set_bases(&bases);
    let gathered = wrote::gather(&mut writer, &trace, &sorter, directory, &here.outputs)?;
    let logs = BTreeMap::from([
        (Log::Stdout, put_file(&mut writer, &scratch.stdout())?),
        (Log::Stderr, put_file(&mut writer, &scratch.stderr())?),
    ]);
    writer.finish()?;
    cache.save()?;

    let recipe = Recipe::new(Parts {
        inputs: read.inputs,
        outside: read.outside,
        code: read.code,
        environment: read.environment,
        ..planned.declared.to_parts()
    })
    .map_err(ProcessError::Recipe)?;
    let mut params = read.params;
    params.extend(params_of_arguments(here.argv));
    let status = status(exit, &gathered, &recipe);
    notes.extend(read.notes);
    notes.extend(gathered.notes);
    notes.extend(scratch.remove_or_note());
    let outcome = Outcome {
        status,
        outputs: gathered.outputs,
        metrics: gathered.metrics,
        logs,
        completeness: lacking(completeness, &read.gaps),
        params,
        observed: Some(read.observed),
        unrecorded_variables: surroundings.unrecorded,
        started_ms,
        duration_ms: millis(duration),
        peak_memory_bytes,
    };
    let undeclared = gathered.undeclared;
    let beyond = Beyond::default();
    let execution = Execution { outcome, undeclared, notes, seen: None, beyond };
    Ok(Watched { recipe, execution, git, summary: read.summary })
}
