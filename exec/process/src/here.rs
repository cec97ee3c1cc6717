//! Runs a command where its files lie, and writes down what it touched.
//!
//! Nothing has to be declared: the recipe is written after the run, from what was read. The files
//! that the command leaves stay where it left them, as if `lab` had not been there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use lab_objects::{StatCache, Store};
use lab_schema::recipe::Parts;
use lab_schema::{
    Command, Completeness, Executor, Git, Limits, Log, Outcome, Output, Place, Recipe, Slot,
};

use crate::error::{At, ProcessError, Result};
use crate::execute::{Execution, Surroundings, millis, put_file, status};
use crate::git;
use crate::launch::{Echo, Ended, GRACE, Launch, MAX_LOG_BYTES, Watcher};
use crate::params::params_of_arguments;
use crate::program;
use crate::reads::{self, Summary};
use crate::scratch::Scratch;
use crate::sorts::Sorter;
use crate::traced::Traced;
use crate::wrote;

/// Variables that say who and where a person is. A command that runs where its files lie finds
/// them by these, so that here their values belong to the recipe.
const OWN: [&str; 8] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// Variables that name the folder of an installation.
const INSTALLATION: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];

/// What is pinned from level 1 on, unless the person set it: seeds of hashes that nobody means to
/// be random, and a workspace with which cuBLAS gives the same bits each time.
const PINS: [(&str, &str); 2] = [("PYTHONHASHSEED", "0"), ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")];

/// The permissions that new files do not get: the same for everybody.
const UMASK: u32 = 0o022;

/// How much chance is taken out of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// None: it is only recorded.
    Record,
    /// Seeds of hash functions and workspaces of libraries are pinned.
    #[default]
    Pin,
}

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
    /// The variables whose values are recorded.
    pub variables: BTreeMap<String, String>,
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

/// Runs a command where it lies. See [`execute`](crate::execute) for interruptions.
pub fn execute_here(here: Here<'_>) -> Result<Watched> {
    let directory = here.directory.canonicalize().at("find", here.directory)?;
    let (top, git) = match git::find(&directory)? {
        Ok(project) => (project.top.clone(), Some(project.state()?)),
        Err(_) => (here.top.canonicalize().at("find", here.top)?, None),
    };
    let below = directory.strip_prefix(&top).unwrap_or(Path::new(""));
    let top = directory.ancestors().find(|a| a.join(below) == directory).unwrap_or(&top);
    let bad = |path: &Path| ProcessError::UnspeakablePath(path.to_owned());
    let slot_of = |path: &Path| Slot::new(path.to_str().unwrap_or_default());
    let folder = match below.as_os_str().is_empty() {
        true => None,
        false => Some(slot_of(below).map_err(|_| bad(&directory))?),
    };
    let place = place(top).ok_or_else(|| bad(top))?;
    let command = Command {
        argv: here.argv.to_vec(),
        directory: folder,
        variables: variables(here.variables, here.level, std::env::vars_os()),
        place: Some(place),
    };

    let scratch = Scratch::new(here.scratch)?;
    let surroundings = Surroundings::new(&command, std::env::vars_os(), &scratch.tmp());
    let word = command.argv.first().map_or("", String::as_str);
    let ended = Traced.launch(&Launch {
        program: &program::find(word, &directory, surroundings.get("PATH"))?,
        argv: &command.argv,
        directory: &directory,
        variables: &surroundings.variables,
        limits: here.limits,
        grace: GRACE,
        echo: here.echo,
        spool: &scratch.spool(),
        stdout: &scratch.stdout(),
        stderr: &scratch.stderr(),
        max_log_bytes: MAX_LOG_BYTES,
        scratch: scratch.path(),
    })?;
    let completeness = Traced.completeness(&ended);
    let Ended { exit, started_ms, duration, peak_memory_bytes, mut notes, trace } = ended;
    let trace = trace.unwrap_or_default();

    let registry = here.registry.canonicalize().at("find", here.registry)?;
    let ours = [registry.as_path(), scratch.path()];
    let variable = |name: &&str| surroundings.get(name);
    let environments: Vec<&OsStr> = INSTALLATION.iter().filter_map(variable).collect();
    let sorter = Sorter::new(top, &ours, &trace, surroundings.get("HOME"), &environments);
    let mut cache = here.cache;
    let mut writer = here.store.writer();
    let read = reads::store(&mut writer, &mut cache, &trace, &sorter, &directory)?;
    // Weights that went in and came out changed are stored as the difference.
    let bases: Vec<_> = read.inputs.values().chain(read.outside.values()).copied().collect();
    writer.set_bases(&bases);
    let gathered = wrote::gather(&mut writer, &trace, &sorter, &directory, &here.outputs)?;
    let logs = BTreeMap::from([
        (Log::Stdout, put_file(&mut writer, &scratch.stdout())?),
        (Log::Stderr, put_file(&mut writer, &scratch.stderr())?),
    ]);
    writer.finish()?;
    cache.save()?;

    let recipe = Recipe::new(Parts {
        executor: Executor::Command(command),
        inputs: read.inputs,
        outside: read.outside,
        code: read.code,
        environment: read.environment,
        params: BTreeMap::new(),
        seed: None,
        outputs: here.outputs,
        limits: here.limits,
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
    let execution = Execution { outcome, undeclared: gathered.undeclared, notes };
    Ok(Watched { recipe, execution, git, summary: read.summary })
}

/// The recorded variables, with those that say where a person is, and the pins.
fn variables(
    mut variables: BTreeMap<String, String>,
    level: Level,
    ours: impl Iterator<Item = (OsString, OsString)>,
) -> BTreeMap<String, String> {
    for (name, value) in ours {
        let Some(name) = name.to_str().filter(|name| OWN.contains(name)) else { continue };
        if let Some(value) = value.to_str() {
            variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    if level >= Level::Pin {
        for (name, value) in PINS {
            variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    variables
}

/// What is found missing when reads are stored counts like what was missed while it ran.
fn lacking(completeness: Completeness, gaps: &[String]) -> Completeness {
    let Some(first) = gaps.first() else { return completeness };
    let mut text = match completeness {
        Completeness::Incomplete(why) => format!("{why}; {first}"),
        _ => first.clone(),
    };
    if gaps.len() > 1 {
        text.push_str(&format!("; and {} more", gaps.len() - 1));
    }
    Completeness::Incomplete(text)
}

/// Who we are and on how many processors; none if the project's path is not text.
fn place(project: &Path) -> Option<Place> {
    let project = project.to_str()?.to_owned();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let id = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        // Real, effective, saved, file system: what it may do goes by the second.
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    Some(Place {
        project,
        user: id("Uid:")?,
        group: id("Gid:")?,
        umask: UMASK,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
    })
}
