//! The files of a project: `lab.toml`, which people write, and `lab.lock`, which we do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use lab_pipeline::{Lock, Pipeline, PipelineError};

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome, io_failure};
use crate::new_name::new_name;
use crate::resolve::closest;
use crate::wiring::Registry;

/// The name of the file that declares the steps.
const DECLARED: &str = "lab.toml";
/// The name of the file that pins their results.
const LOCKED: &str = "lab.lock";

/// Most bytes of either.
const MAX_BYTES: u64 = 16 << 20;

/// A project with steps.
pub(crate) struct Project {
    /// The folder that `lab.toml` lies in.
    pub folder: PathBuf,
    /// What it declares.
    pub pipeline: Pipeline,
    /// What `lab.lock` pins.
    pub lock: Lock,
}

impl Project {
    /// The project that the working directory lies in, of which steps are `wanted`: the nearest `lab.toml`, up to the folder that
    /// the registry lies in.
    pub(crate) fn find(
        context: &Context,
        registry: &Registry,
        wanted: &[String],
    ) -> Outcome<Project> {
        let folder = folder(context, registry, DECLARED).ok_or_else(|| {
            if !wanted.is_empty() {
                let words = wanted.join(" ");
                return Failure::not_found(format!("no lab.toml here that declares '{words}'"))
                    .hint(format!("a command comes after two dashes: `lab run -- {words} …`"));
            }
            Failure::usage("nothing to run: there is no lab.toml here")
                .hint(
                    "`lab run -- COMMAND` runs a command, `lab run PROGRAM.toml` a tensor program",
                )
                .hint("steps that are declared in a lab.toml are run by `lab run` alone")
        })?;
        let path = folder.join(DECLARED);
        let text = read(&path)?.unwrap_or_default();
        let pipeline = Pipeline::parse(&text).map_err(|error| wrong(&path, &error))?;
        for step in &pipeline.steps {
            new_name(&registry.store, step.name.as_str())?;
        }
        let lock = lock(&folder)?.unwrap_or_default();
        Ok(Project { folder, pipeline, lock })
    }

    /// Where `lab.lock` lies.
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.folder.join(LOCKED)
    }

    /// Writes `lab.lock`, in one step.
    pub(crate) fn write_lock(&self) -> Outcome {
        let (path, text) = (self.lock_path(), self.lock.to_text());
        let beside = self.folder.join(format!(".{LOCKED}.{}", std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(|error| {
            // What was begun is of no use; why it failed is what matters.
            let _ = fs::remove_file(&beside);
            io_failure("write", &path, &error)
        })
    }
}

/// The folder of the project that the working directory lies in: the nearest above it, or it, with a
/// `lab.toml` or `lab.lock`.
pub(crate) fn root(context: &Context) -> Option<PathBuf> {
    let is_one = |folder: &&Path| [DECLARED, LOCKED].iter().any(|f| folder.join(f).is_file());
    context.directory.ancestors().find(is_one).map(Path::to_owned)
}

/// The location of a remote that the `lab.toml` of the working directory names; and all that it names.
pub(crate) fn remotes(context: &Context) -> Outcome<BTreeMap<String, String>> {
    let Some(folder) = context.directory.ancestors().find(|f| f.join(DECLARED).is_file()) else {
        return Ok(BTreeMap::new());
    };
    let path = folder.join(DECLARED);
    let text = read(&path)?.unwrap_or_default();
    let declared = Pipeline::parse(&text).map_err(|error| wrong(&path, &error))?.remotes;
    let place =
        |(name, location): (String, String)| (name, context.location_from(folder, &location));
    Ok(declared.into_iter().map(place).collect())
}

/// What the `lab.lock` of the working directory pins; none if there is none.
pub(crate) fn locked(context: &Context, registry: &Registry) -> Outcome<Option<Lock>> {
    match folder(context, registry, LOCKED) {
        Some(folder) => lock(&folder),
        None => Ok(None),
    }
}

fn folder(context: &Context, registry: &Registry, name: &str) -> Option<PathBuf> {
    let top = registry.folder.parent();
    let mut folders = context.directory.ancestors();
    let mut last = false;
    let within = folders.by_ref().take_while(|folder| {
        let go_on = !last;
        last = Some(*folder) == top;
        go_on
    });
    within.map(Path::to_owned).find(|folder| folder.join(name).symlink_metadata().is_ok())
}

fn lock(folder: &Path) -> Outcome<Option<Lock>> {
    let path = folder.join(LOCKED);
    let Some(text) = read(&path)? else { return Ok(None) };
    match Lock::parse(&text) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) => Err(wrong(&path, &error)
            .hint("take it from git again, or remove it: `lab run` writes a new one")),
    }
}

fn read(path: &Path) -> Outcome<Option<String>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_BYTES => {
            let why = format!("{} is too large to be such a file", path.display());
            return Err(Failure::usage(why));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    fs::read_to_string(path).map(Some).map_err(|error| io_failure("read", path, &error))
}

/// A failure in a file of the project.
pub(crate) fn wrong(path: &Path, error: &PipelineError) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("{}: {error}", path.display()));
    if let PipelineError::Unknown { word, known, .. } = error
        && let Some(near) = closest(word, known.split(", "))
    {
        return failure.hint(format!("did you mean `{near}`?"));
    }
    failure
}
