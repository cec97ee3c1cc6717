//! Runs a command again, from its record, in a sealed box.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lab_objects::{Silent, Store, Writer, add};
use lab_schema::observed::{How, Observed};
use lab_schema::{Command, Executor, Log, Outcome, Output, Place, Recipe, Slot};
use lab_seal::{Seal, is_opaque, is_whiteout, leavings};

use crate::beyond::Beyond;
use crate::byproducts::is_byproduct;
use crate::child;
use crate::error::{At, ProcessError, Result};
use crate::execute::{Execution, millis, put_file, status};
use crate::git::is_private;
use crate::inherited;
use crate::launch::{Echo, GRACE, Launch, MAX_LOG_BYTES};
use crate::note::Note;
use crate::outputs::{Gathered, MAX_FILES, ancestors, read_metrics};
use crate::processors;
use crate::replica::Replica;
use crate::scratch::{Scratch, remove};
use crate::secrets::is_secret_file;
use crate::snapshot::hash;

/// The host name in a box, unless another is wanted.
pub const HOST_NAME: &str = "lab";

/// Most processes and threads of a command in a box.
const MAX_TASKS: u32 = 32_768;

/// Where a command in a box finds room for temporary files.
const TMP: &str = "/tmp";

/// What to run again, and how.
#[derive(Clone, Copy)]
pub struct Boxed<'a> {
    /// Holds what the recipe names, and receives outputs and logs.
    pub store: &'a Store,
    /// What to run: a command that has a place.
    pub recipe: &'a Recipe,
    /// What was observed when it was recorded.
    pub observed: &'a Observed,
    /// A folder of ours, on a local disk, in which the box gets a folder of its own.
    pub scratch: &'a Path,
    /// Whether the command's output is shown.
    pub echo: Echo,
    /// The name of the host that it finds itself on.
    pub host_name: &'a str,
    /// Whether it is watched, to learn what it looks for beyond its record. That takes a little time.
    pub watched: bool,
}

/// What a record names, laid out in a folder. Boxes are made over it, one at a time; what runs in them
/// leaves it as it is. Removed when it is dropped.
pub struct Laid {
    replica: Replica,
    scratch: Scratch,
}

/// Lays out what a recorded command finds in its box.
pub fn lay_out(job: &Boxed<'_>) -> Result<Laid> {
    let (command, place) = command_of(job.recipe)?;
    let scratch = Scratch::new(job.scratch)?;
    let base = scratch.work();
    let replica = Replica::new(job.store, job.recipe, command, place, job.observed, &base)?;
    Ok(Laid { replica, scratch })
}

fn command_of(recipe: &Recipe) -> Result<(&Command, &Place)> {
    match recipe.executor() {
        Executor::Command(command @ Command { place: Some(place), .. }) => Ok((command, place)),
        _ => Err(ProcessError::NotACommand),
    }
}

/// Runs a recorded command in a box that holds what was recorded and nothing else: what is `laid` out,
/// for this job or for one that finds the same files. See [`execute`](crate::execute) for
/// interruptions.
///
/// # Errors
///
/// [`ProcessError::NoBox`] if the machine allows none.
pub fn execute_boxed(job: &Boxed<'_>, laid: &mut Laid) -> Result<Execution> {
    let (command, place) = command_of(job.recipe)?;
    let scratch = Scratch::new(job.scratch)?;
    let base = laid.scratch.work();
    for folder in leavings(&base) {
        match remove(&folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).at("remove", &folder),
            _ => {}
        }
    }
    let replica = &laid.replica;
    let (listings, unordered) = replica.listings(job.observed)?;
    let variables = variables(command);
    let word = command.argv.first().map_or("", String::as_str);
    let seal = Seal {
        base: &base,
        user: (place.user, place.group),
        host_name: job.host_name,
        directory: &replica.directory,
        over: &replica.system,
        devices: &[],
        listings: &listings,
        tasks: MAX_TASKS,
    };
    let ended = child::run_in(
        &Launch {
            // Searched in the box, by its PATH.
            program: Path::new(word),
            argv: &command.argv,
            directory: &replica.directory,
            variables: &variables,
            limits: job.recipe.limits(),
            grace: GRACE,
            echo: job.echo,
            spool: &scratch.spool(),
            stdout: &scratch.stdout(),
            stderr: &scratch.stderr(),
            max_log_bytes: MAX_LOG_BYTES,
            scratch: scratch.path(),
            guardian: None,
        },
        &seal,
        place,
        &inherited::recorded(job.observed),
        job.watched,
    )?;

    let mut writer = job.store.writer();
    let below = replica.directory.strip_prefix("/").unwrap_or(&replica.directory);
    let left = Left {
        observed: job.observed,
        tops: (replica.root.clone(), seal.upper()),
        directory: &replica.directory,
        lower: replica.root.join(below),
        upper: seal.upper().join(below),
        project: seal.upper().join(place.project.trim_start_matches('/')),
    };
    let gathered = left.gather(&mut writer, job.recipe)?;
    let logs = BTreeMap::from([
        (Log::Stdout, put_file(&mut writer, &scratch.stdout())?),
        (Log::Stderr, put_file(&mut writer, &scratch.stderr())?),
    ]);
    writer.finish()?;
    let status = status(ended.exit, &gathered, job.recipe);
    let mut notes = ended.notes;
    notes.extend(short_of(place));
    let trace = ended.trace.unwrap_or_default();
    let beyond = Beyond::new(&trace, job.observed, Path::new(&place.project), command);
    if !job.watched {
        notes.extend(trace.gaps.into_iter().map(Note::Unanswered));
    }
    let lower = inherited::lower(job.observed).into_iter();
    notes.extend(lower.map(|(name, recorded, here)| Note::LimitLower { name, recorded, here }));
    notes.extend(unordered.map(Note::ListingOrder));
    notes.extend(gathered.notes);
    notes.extend(scratch.remove_or_note());
    let outcome = Outcome {
        status,
        outputs: gathered.outputs,
        metrics: gathered.metrics,
        logs,
        completeness: lab_schema::Completeness::Complete,
        params: BTreeMap::new(),
        observed: None,
        unrecorded_variables: Vec::new(),
        started_ms: ended.started_ms,
        duration_ms: millis(ended.duration),
        peak_memory_bytes: ended.peak_memory_bytes,
    };
    Ok(Execution { outcome, undeclared: gathered.undeclared, notes, seen: None, beyond })
}

/// The recorded variables, and the folder for temporary files, which no recipe holds.
fn variables(command: &Command) -> BTreeMap<OsString, OsString> {
    let recorded = command.variables.iter().map(|(name, value)| (name.into(), value.into()));
    let mut variables: BTreeMap<OsString, OsString> = recorded.collect();
    variables.entry("TMPDIR".into()).or_insert_with(|| TMP.into());
    variables
}

/// A note if this machine has fewer processors than the command had.
fn short_of(place: &Place) -> Option<Note> {
    let (recorded, here) = (place.cpus, processors::count());
    let told = lab_trace::can_answer().is_ok();
    (here < recorded).then_some(Note::FewerProcessors { recorded, here, told })
}

/// What a command left in the overlay of its box.
struct Left<'a> {
    observed: &'a Observed,
    /// The tops of what was there before, and of what it changed.
    tops: (PathBuf, PathBuf),
    /// The folder in which it started.
    directory: &'a Path,
    /// That folder, as it was.
    lower: PathBuf,
    /// What it changed there.
    upper: PathBuf,
    /// What it changed in the project.
    project: PathBuf,
}

impl Left<'_> {
    fn gather(&self, writer: &mut Writer, recipe: &Recipe) -> Result<Gathered> {
        let mut gathered = Gathered::default();
        let declared = recipe.outputs();
        let mut left = self.changed(declared, &mut gathered.notes)?;
        for slot in declared.keys() {
            let changed = left.iter().any(|file| slot.overlaps(file));
            let path = self.upper.join(slot.as_str());
            let above = path.parent().unwrap_or(&path);
            match path.symlink_metadata() {
                Ok(meta) if changed && is_real(&self.tops.1, above) && !is_whiteout(&meta) => {
                    if meta.is_dir() {
                        complete(&path, self.before(&path, slot))?;
                    }
                    let added = add(writer, &path, &Silent)?;
                    gathered.outputs.insert(slot.clone(), added.content);
                }
                _ => gathered.missing.push(slot.clone()),
            }
        }
        left.retain(|slot| !declared.keys().any(|d| d.overlaps(slot)));
        left.truncate(MAX_FILES);
        if declared.is_empty() {
            for slot in left {
                let added = add(writer, &self.upper.join(slot.as_str()), &Silent)?;
                gathered.outputs.insert(slot, added.content);
            }
        } else {
            gathered.undeclared = left;
        }
        read_metrics(&self.upper, &mut gathered);
        Ok(gathered)
    }

    /// What a folder that was changed had in it before, if any of that can show through.
    fn before(&self, path: &Path, slot: &Slot) -> Option<PathBuf> {
        let lower = self.lower.join(slot.as_str());
        let above = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.tops.1));
        let is_hidden = above.into_iter().any(is_opaque);
        (!is_hidden && is_real(&self.tops.0, &lower)).then_some(lower)
    }

    /// The files with new content, as outputs are named, sorted.
    fn changed(
        &self,
        declared: &BTreeMap<Slot, Output>,
        notes: &mut Vec<Note>,
    ) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        if !is_real(&self.tops.1, &self.project) {
            return Ok(slots);
        }
        for path in files(&self.project)? {
            let inside = path.strip_prefix(&self.project).unwrap_or(&path);
            if is_byproduct(inside) || inside.iter().any(is_private) {
                continue;
            }
            let Ok(below) = path.strip_prefix(&self.upper) else {
                let why = "it lies outside the folder in which the command was started";
                notes.push(Note::NotAnOutput { path: inside.into(), why });
                continue;
            };
            // A file that was opened to be written to is copied up, changed or not.
            let before = self.directory.join(below);
            let seen = self.observed.things.get(before.as_os_str().as_bytes());
            let was_read = seen.is_some_and(|seen| seen.how >= How::Read);
            let old = self.lower.join(below);
            if was_read && old.is_file() && hash(&old)? == hash(&path)? {
                continue;
            }
            // Named by the same rules as when it was recorded.
            let whole = ancestors(below).find(|slot| declared.contains_key(slot));
            let named = || below.to_str().and_then(|text| Slot::new(text).ok());
            let may_be = |slot: &Slot| declared.contains_key(slot) || !is_secret_file(inside);
            slots.extend(whole.or_else(|| named().filter(may_be)));
        }
        slots.sort();
        Ok(slots)
    }
}

/// The regular files in an upper folder.
fn files(top: &Path) -> Result<Vec<PathBuf>> {
    let (mut all, mut folders) = (Vec::new(), vec![top.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && folder == top => break,
            entries => entries.at("list", &folder)?,
        };
        for entry in entries {
            let entry = entry.at("list", &folder)?;
            let kind = entry.file_type().at("inspect", &entry.path())?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                all.push(entry.path());
            }
        }
    }
    Ok(all)
}

/// Whether `folder` is one in `top`: neither it nor one on the way is a link, which here would lead
/// to something of this machine's and not of the box.
fn is_real(top: &Path, folder: &Path) -> bool {
    let Ok(inside) = folder.strip_prefix(top) else { return false };
    let mut at = top.to_owned();
    inside.iter().all(|name| {
        at.push(name);
        is_folder(&at)
    })
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Brings what was in a folder before, and is still, into its upper folder.
fn complete(upper: &Path, lower: Option<PathBuf>) -> Result<()> {
    let mut folders = vec![(upper.to_owned(), lower)];
    while let Some((upper, lower)) = folders.pop() {
        // What is hidden in a folder is hidden in those below as well.
        let lower = lower.filter(|lower| is_folder(lower) && !is_opaque(&upper));
        let mut there = Vec::new();
        for entry in fs::read_dir(&upper).at("list", &upper)? {
            let entry = entry.at("list", &upper)?;
            let path = entry.path();
            let meta = path.symlink_metadata().at("inspect", &path)?;
            there.push(entry.file_name());
            if is_whiteout(&meta) {
                fs::remove_file(&path).at("remove", &path)?;
            } else if meta.is_dir() {
                folders.push((path, lower.as_ref().map(|lower| lower.join(entry.file_name()))));
            }
        }
        let Some(lower) = lower else { continue };
        for entry in fs::read_dir(&lower).at("list", &lower)? {
            let entry = entry.at("list", &lower)?;
            if !there.contains(&entry.file_name()) {
                share(&entry.path(), &upper.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

/// Gives what is at a path, which stays as it is, a second place.
fn share(from: &Path, to: &Path) -> Result<()> {
    let meta = from.symlink_metadata().at("inspect", from)?;
    if meta.is_symlink() {
        let target = from.read_link().at("read the link", from)?;
        return std::os::unix::fs::symlink(target, to).at("link", to);
    }
    if !meta.is_dir() {
        return fs::hard_link(from, to).at("link", to);
    }
    fs::create_dir(to).at("create the folder", to)?;
    for entry in fs::read_dir(from).at("list", from)? {
        let entry = entry.at("list", from)?;
        share(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
