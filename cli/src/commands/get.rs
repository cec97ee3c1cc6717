//! `lab get`

use std::io;
use std::path::{Path, PathBuf};

use lab_objects::{GetOptions, ObjectsError, get};
use lab_schema::{ObjectId, Recipe, Run, TreeId};
use serde_json::json;

use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome, io_failure};
use crate::resolve::{Resolved, resolve};
use crate::ui::{self, HASH, paint};
use crate::wiring::Registry;

/// Write files back: a file, a directory, all outputs of a run, or its code
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What to get
    #[arg(value_name = "REF")]
    reference: String,
    /// Where to [default: its own name, here]
    #[arg(value_name = "PATH")]
    to: Option<PathBuf>,
    /// Write the code that it was made by instead
    #[arg(short, long)]
    code: bool,
    /// Replace files that differ
    #[arg(short, long)]
    force: bool,
    /// Make read-only hard links of one copy in the registry, not copies
    #[arg(short, long)]
    link: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let resolved = resolve(&registry.store, &args.reference)?;
    let shown = match &args.to {
        Some(path) => path.clone(),
        None => PathBuf::from(resolved.leaf.clone().unwrap_or_else(|| resolved.id.short())),
    };
    let to = context.path(&shown);
    refuse_registry(&registry, &to)?;
    let bars = Bars::new(context.ui);
    let raw = registry.raw_cache(args.link);
    let options = GetOptions { force: args.force, raw: Some(&raw) };
    let fetch = |content, to: &Path| {
        get(&registry.store, content, to, &options, &bars).map_err(|error| refused(error, args))
    };
    let (mut files, mut bytes, mut unchanged) = (0, 0, 0);
    if args.code {
        let got = fetch(code(&registry, &resolved)?.into(), &to)?;
        (files, bytes, unchanged) = (got.files, got.bytes, got.unchanged);
    } else if let ObjectId::Run(id) = resolved.id {
        let run: Run = registry.store.load(id)?;
        for (slot, content) in &run.outcome.outputs {
            let got = fetch(*content, &to.join(slot.as_str()))?;
            (files, bytes, unchanged) =
                (files + got.files, bytes + got.bytes, unchanged + got.unchanged);
        }
    } else {
        let got = fetch(resolved.content()?, &to)?;
        (files, bytes, unchanged) = (got.files, got.bytes, got.unchanged);
    }
    if resolved.executable && !args.code {
        make_executable(&to)?;
    }
    drop(bars);
    raw.trim()?;
    let kept = if unchanged > 0 { format!(", {unchanged} already there") } else { String::new() };
    context.ui.line(format!(
        "{}  {}  {}{kept}, {}, every byte verified",
        paint(HASH, resolved.id.short()),
        shown.display(),
        ui::count(files, "file"),
        ui::bytes(bytes)
    ));
    context.ui.answer(&json!({
        "id": resolved.id.digest().to_string(), "path": to.to_string_lossy(), "files": files, "bytes": bytes, "unchanged": unchanged,
    }));
    Ok(())
}

/// The store is written by nobody but the store. Links on the way are followed, also where the
/// last folders do not exist yet.
pub(super) fn refuse_registry(registry: &Registry, to: &Path) -> Outcome {
    let existing = to.ancestors().find_map(|folder| folder.canonicalize().ok());
    let inside = match (existing, registry.folder.canonicalize()) {
        (Some(existing), Ok(store)) => existing.starts_with(store),
        _ => false,
    };
    if inside || to.iter().any(|component| component == ".lab") {
        return Err(Failure::new(
            Exit::Refused,
            format!("{} belongs to the registry itself", to.display()),
        )
        .hint("write it elsewhere"));
    }
    Ok(())
}

/// The code of the run that was meant, or that made what was meant.
fn code(registry: &Registry, resolved: &Resolved) -> Outcome<TreeId> {
    let run: Run = registry.store.load(resolved.run(&registry.lineage()?)?)?;
    let recipe: Recipe = registry.store.load(run.recipe)?;
    recipe.code().ok_or_else(|| {
        Failure::not_found(format!("no code is recorded of what made '{}'", resolved.typed))
            .hint("`lab show REF` shows what is")
    })
}

/// A file taken out of a directory keeps being executable.
fn make_executable(path: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let failure = |error| io_failure("make executable", path, &error);
    let mut permissions = path.metadata().map_err(failure)?.permissions();
    permissions.set_mode(permissions.mode() | 0o111);
    std::fs::set_permissions(path, permissions).map_err(failure)
}

fn refused(error: ObjectsError, args: &Args) -> Failure {
    let (reference, code) = (&args.reference, if args.code { " --code" } else { "" });
    match error {
        ObjectsError::Refused { path } => {
            Failure::new(Exit::Refused, format!("{} is there already and differs", path.display()))
                .hint(format!(
                    "`lab get {reference} ELSEWHERE{code}` leaves it alone, `--force` replaces it"
                ))
        }
        ObjectsError::Io { ref path, ref source, .. }
            if matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            let hint = begun(path).map(|begun| {
                format!(
                    "the same command goes on from what is in {}; remove that if you do not want it",
                    begun.display()
                )
            });
            hint.into_iter().fold(error.into(), Failure::hint)
        }
        other => other.into(),
    }
}

/// What a get that failed at `path` has left, to be gone on with.
fn begun(path: &Path) -> Option<&Path> {
    let hidden = |part: &&Path| {
        part.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".lab-"))
    };
    path.ancestors().filter(hidden).filter(|part| part.exists()).last()
}
