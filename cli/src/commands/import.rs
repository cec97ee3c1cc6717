//! `lab import`

use std::path::{Path, PathBuf};

use lab_import::{Artifact, Fault, Found, Import, Made, Shape, Tool, find, recognise};
use lab_objects::{NameKind, StatCache};
use lab_schema::{Name, ObjectId};
use serde_json::{Value, json};

use super::{describe, name};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::ui::{self, BAD, HASH, NAME, paint};
use crate::wiring::Registry;

/// How many faults, and things left out, are told one by one.
const FEW: usize = 20;

/// Bring what DVC, git-lfs, Hugging Face or MLflow keep; the old hashes go on finding it
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The folder: a project, a repository, a cache, a folder of runs
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// What it is: dvc, lfs, hf or mlflow [default: what it looks like]
    #[arg(long, value_name = "TOOL")]
    from: Option<Tool>,
    /// Put PREFIX and a dot in front of every name
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<Name>,
    /// Also what a cache holds and no file of the work tree speaks of, such as earlier versions
    #[arg(long)]
    all: bool,
    /// Only say what would be imported
    #[arg(long)]
    dry_run: bool,
}

/// A name with what it is to point at.
struct Pointed {
    name: Name,
    id: ObjectId,
    kind: NameKind,
    why: String,
    /// Files, bytes and digests, as far as it has any.
    holds: Vec<String>,
    json: Value,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = match args.dry_run {
        true => context.registry()?,
        false => context.registry_to_write()?,
    };
    let top = context.path(&args.path);
    let tools = tools(args, &top)?;
    let mut faults: Vec<Fault> = Vec::new();
    let mut answers = Vec::new();
    let mut hints = Vec::new();
    for tool in tools {
        let found = find(&top, tool, args.all)?;
        if args.dry_run {
            answers.push(plan(context, args, &found)?);
            faults.extend(found.artifacts.iter().flat_map(|a| a.faults.iter().cloned()));
            faults.extend(found.records.iter().flat_map(|r| r.faults.iter().cloned()));
        } else {
            let made = bring(context, &registry, &found)?;
            answers.push(point(context, &registry, args, &found, &made)?);
            faults.extend(made.faults);
        }
        left_out(context, &found);
        if faults.iter().any(|fault| !fault.is_damage) {
            hints.extend(hint_for(tool));
        }
    }
    tell_faults(context, &faults);
    context.ui.answer(&json!({
        "path": top.to_string_lossy(), "planned": args.dry_run, "imports": answers,
        "faults": faults.iter().map(|f| json!({ "what": f.what, "why": f.why, "damaged": f.is_damage })).collect::<Vec<_>>(),
    }));
    if faults.is_empty() {
        return Ok(());
    }
    for hint in hints {
        context.ui.hint(hint);
    }
    Err(Failure::no())
}

/// What the folder is.
fn tools(args: &Args, top: &Path) -> Outcome<Vec<Tool>> {
    let shown = args.path.display();
    match top.metadata() {
        Err(error) => return Err(crate::failure::io_failure("read", top, &error)),
        Ok(meta) if !meta.is_dir() => {
            return Err(Failure::usage(format!("{shown} is not a folder"))
                .hint("name the folder of the project, repository, cache or run; `lab add` keeps a single file"));
        }
        Ok(_) => {}
    }
    if let Some(tool) = args.from {
        return Ok(vec![tool]);
    }
    let tools = recognise(top);
    if !tools.is_empty() {
        return Ok(tools);
    }
    let titles: Vec<&str> = Tool::ALL.iter().map(|tool| tool.title()).collect();
    let mut failure = Failure::not_found(format!("{shown} is none of: {}", titles.join(", ")));
    for inside in ["mlruns", "hub", "huggingface/hub"] {
        if !recognise(&top.join(inside)).is_empty() {
            let path = args.path.join(inside);
            return Err(failure.hint(format!("did you mean `lab import {}`?", path.display())));
        }
    }
    failure = failure.hint("`--from dvc`, `lfs`, `hf` or `mlflow` says what is missing to be one");
    Err(failure.hint("`lab add PATH` keeps any files"))
}

fn bring(context: &Context, registry: &Registry, found: &Found) -> Outcome<Made> {
    let bars = Bars::new(context.ui);
    let mut cache = registry.stat_cache();
    let import = Import {
        store: &registry.store,
        cache: &mut cache,
        lab: env!("CARGO_PKG_VERSION"),
        progress: &bars,
    };
    let made = import.bring(found)?;
    drop(bars);
    if let Err(error) = StatCache::save(cache) {
        // Nothing is lost: the files are read again next time.
        context.ui.note(format!("which files were read could not be noted: {error}"));
    }
    Ok(made)
}

/// A name as it is to be here.
fn named(args: &Args, suggested: &str) -> Outcome<Name> {
    Ok(match &args.prefix {
        Some(prefix) => Name::new(format!("{prefix}.{suggested}"))?,
        None => Name::new(suggested)?,
    })
}

fn kind_of(artifact: &Artifact) -> NameKind {
    match artifact.is_model {
        true => NameKind::Weights,
        false => describe::guess_kind(&artifact.origin),
    }
}

/// Says what would be imported.
fn plan(context: &Context, args: &Args, found: &Found) -> Outcome<Value> {
    let tool = found.tool;
    let mut names = Vec::new();
    for artifact in &found.artifacts {
        let files = match &artifact.shape {
            Shape::File(_) => ui::count(1, "file"),
            Shape::Folder(files) => ui::count(files.len() as u64, "file"),
            Shape::AsItIs(_) => continue,
        };
        let lacking = match artifact.faults.len() as u64 {
            0 => String::new(),
            n => {
                format!("  {}", paint(BAD, format!("{} missing or damaged", ui::count(n, "file"))))
            }
        };
        for suggested in &artifact.names {
            let name = named(args, suggested)?;
            context.ui.line(format!(
                "{}  {}  {files}{lacking}",
                paint(NAME, &name),
                kind_of(artifact)
            ));
            names.push(json!({ "name": name, "origin": artifact.origin, "lacking": artifact.faults.len() }));
        }
    }
    for record in &found.records {
        let name = named(args, &record.name)?;
        context.ui.line(format!("{}  run, {}", paint(NAME, &name), record.origin.escape_debug()));
        names
            .push(json!({ "name": name, "origin": record.origin, "lacking": record.faults.len() }));
    }
    let (files, bytes) = (found.sources.len() as u64, found.bytes());
    context.ui.line(format!(
        "a {}: would import {}, {}",
        tool.title(),
        ui::count(files, "file"),
        ui::bytes(bytes)
    ));
    Ok(json!({ "from": tool.as_str(), "names": names, "files": files, "bytes": bytes }))
}

/// Points names at what was made, if they are free or were made by importing the same, and says so.
fn point(
    context: &Context,
    registry: &Registry,
    args: &Args,
    found: &Found,
    made: &Made,
) -> Outcome<Value> {
    let all = pointed(args, found, made)?;
    let names = registry.store.names();
    for Pointed { name, id, why, .. } in &all {
        let now = names.get(name)?.filter(|m| m.target.is_some());
        if now.as_ref().is_some_and(|m| m.target != Some(*id) && m.why != *why) {
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "name '{name}' points at something else here, which was not imported from there"
                ),
            )
            .hint("`--prefix PREFIX` gives all names another start; no name was moved")
            .hint(format!("`lab show {name}` tells what it is")));
        }
    }
    let mut answers = Vec::new();
    for Pointed { name, id, kind, why, holds, json } in all {
        name::point(context, registry, &name, id, kind, &why)?;
        let mut parts = vec![paint(HASH, id.short()), paint(NAME, &name), kind.to_string()];
        parts.extend(holds);
        context.ui.line(parts.join("  "));
        answers.push(json);
    }
    if answers.is_empty() && made.faults.is_empty() {
        context.ui.line(format!("a {} with nothing to import", found.tool.title()));
    } else if made.read == 0 && made.faults.is_empty() {
        context.ui.note("everything was here already");
    }
    Ok(
        json!({ "from": found.tool.as_str(), "names": answers, "read": made.read, "left_out": found.left_out }),
    )
}

fn pointed(args: &Args, found: &Found, made: &Made) -> Outcome<Vec<Pointed>> {
    let mut all = Vec::new();
    let why = |origin: &str| format!("lab import, {}: {origin}", found.tool);
    for (artifact, brought) in found.artifacts.iter().zip(&made.artifacts) {
        let Some(brought) = brought else { continue };
        for suggested in &artifact.names {
            let (name, id) = (named(args, suggested)?, ObjectId::from(brought.content));
            let mut holds = vec![ui::bytes(brought.bytes)];
            if let ObjectId::Tree(_) = id {
                holds.insert(0, ui::count(brought.files, "file"));
            }
            holds.push(ui::count(brought.digests, "digest"));
            let json = json!({
                "name": name, "id": id.digest().to_string(), "object": id.kind().as_str(), "origin": artifact.origin,
                "files": brought.files, "bytes": brought.bytes, "digests": brought.digests,
            });
            let (kind, why) = (kind_of(artifact), why(&artifact.origin));
            all.push(Pointed { name, id, kind, why, holds, json });
        }
    }
    for (record, run) in found.records.iter().zip(&made.runs) {
        let Some(run) = run else { continue };
        let (name, id) = (named(args, &record.name)?, ObjectId::from(*run));
        let holds = vec![format!("run, {}", record.origin.escape_debug())];
        let json = json!({
            "name": name, "id": id.digest().to_string(), "object": id.kind().as_str(), "origin": record.origin,
        });
        let (kind, why) = (NameKind::Result, why(&record.origin));
        all.push(Pointed { name, id, kind, why, holds, json });
    }
    Ok(all)
}

fn left_out(context: &Context, found: &Found) {
    for what in found.left_out.iter().take(FEW) {
        context.ui.note(format!("left out: {what}"));
    }
    if found.left_out.len() > FEW {
        context.ui.note(format!("left out: {} more", found.left_out.len() - FEW));
    }
}

fn tell_faults(context: &Context, faults: &[Fault]) {
    for Fault { what, why, .. } in faults.iter().take(FEW) {
        context.ui.line(format!("{}  {}: {why}", paint(BAD, "not imported"), what.escape_debug()));
    }
    if faults.len() > FEW {
        context.ui.line(format!("… and {} more", faults.len() - FEW));
    }
}

/// How to get what is missing.
fn hint_for(tool: Tool) -> Option<&'static str> {
    match tool {
        Tool::Dvc => Some(
            "`dvc pull` (earlier versions: `dvc fetch --all-commits`) brings what is missing; then import again",
        ),
        Tool::Lfs => Some("`git lfs fetch --all` brings what is missing; then import again"),
        Tool::HuggingFace => Some("`hf download` brings what is missing; then import again"),
        Tool::Mlflow => None,
    }
}
