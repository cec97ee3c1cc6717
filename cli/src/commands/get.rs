//! `lab get`

use std::path::{Path, PathBuf};

use lab_objects::{GetOptions, ObjectsError, get};
use lab_schema::{ObjectId, Run};
use serde_json::json;

use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome, io_failure};
use crate::resolve::resolve;
use crate::ui::{self, HASH, paint};

/// Write files back: a file, a directory, or all outputs of a run
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What to get
    #[arg(value_name = "REF")]
    reference: String,
    /// Where to [default: its own name, here]
    #[arg(value_name = "PATH")]
    to: Option<PathBuf>,
    /// Replace files that differ
    #[arg(short, long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let resolved = resolve(&registry.store, &args.reference)?;
    let shown = match &args.to {
        Some(path) => path.clone(),
        None => PathBuf::from(resolved.leaf.clone().unwrap_or_else(|| resolved.id.short())),
    };
    let to = context.path(&shown);
    let bars = Bars::new(context.ui);
    let options = GetOptions { force: args.force };
    let fetch = |content, to: &Path| {
        get(&registry.store, content, to, &options, &bars)
            .map_err(|error| refused(error, &args.reference))
    };
    let (mut files, mut bytes, mut unchanged) = (0, 0, 0);
    if let ObjectId::Run(id) = resolved.id {
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
    if resolved.executable {
        make_executable(&to)?;
    }
    drop(bars);
    let kept = if unchanged > 0 { format!(", {unchanged} already there") } else { String::new() };
    context.ui.line(format!(
        "{}  {}  {}{kept}, {}, every byte verified",
        paint(HASH, resolved.id.short()),
        shown.display(),
        ui::count(files, "file"),
        ui::bytes(bytes)
    ));
    context.ui.answer(&json!({
        "id": resolved.id.digest().to_string(), "path": to, "files": files, "bytes": bytes, "unchanged": unchanged,
    }));
    Ok(())
}

/// A file taken out of a directory keeps being executable.
fn make_executable(path: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let failure = |error| io_failure("make executable", path, &error);
    let mut permissions = path.metadata().map_err(failure)?.permissions();
    permissions.set_mode(permissions.mode() | 0o111);
    std::fs::set_permissions(path, permissions).map_err(failure)
}

fn refused(error: ObjectsError, reference: &str) -> Failure {
    match error {
        ObjectsError::Refused { path } => {
            Failure::new(Exit::Refused, format!("{} is there already and differs", path.display()))
                .hint(format!(
                    "`lab get {reference} ELSEWHERE` leaves it alone, `--force` replaces it"
                ))
        }
        other => other.into(),
    }
}
