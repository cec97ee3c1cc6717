//! `lab ls`

use lab_objects::Move;
use lab_schema::tree::Node;
use lab_schema::{Name, ObjectId, Recipe, Run, RunId, Tree, TreeId};
use serde_json::json;

use super::describe;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{self, resolve};
use crate::ui::{self, BAD, DIM, HASH, NAME, pad, paint};
use crate::wiring::Registry;

/// List names, the entries of a directory, or the outputs of a run
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A directory or a run [default: all names]
    #[arg(value_name = "REF")]
    reference: Option<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let Some(typed) = &args.reference else { return names(context, &registry) };
    let resolved = resolve(&registry.store, typed)?;
    match resolved.id {
        ObjectId::Tree(id) => entries(context, &registry, id),
        ObjectId::Run(id) => outputs(context, &registry, id),
        ObjectId::Recipe(id) => {
            let recipe: Recipe = registry.store.load(id)?;
            for (slot, content) in recipe.reads() {
                context.ui.line(format!("{}  {slot}", paint(HASH, content.short())));
            }
            Ok(())
        }
        other => Err(Failure::usage(format!(
            "'{typed}' is {}: there is nothing in it to list",
            ui::a(other.kind())
        ))
        .hint(format!("`lab show {typed}` describes it"))),
    }
}

/// All names and what they point at.
pub(super) fn names(context: &Context, registry: &Registry) -> Outcome {
    let all = registry.store.names().list()?;
    let width = all.iter().map(|(name, _)| name.as_str().len()).max().unwrap_or(0);
    let mut answers = Vec::new();
    for (name, moved) in &all {
        let Some(target) = moved.target else { continue };
        let what = what_it_is(registry, target);
        context.ui.line(row(context, name, moved, target, &what, width));
        answers.push(json!({
            "name": name, "id": target.digest().to_string(), "object": target.kind().as_str(),
            "kind": moved.kind.to_string(), "who": moved.who, "when": ui::iso(moved.when_ms), "why": moved.why,
        }));
    }
    let damaged = registry.store.names().damaged()?;
    for (name, _) in &damaged {
        context.ui.line(format!("{}  {}", pad(BAD, "damaged", 12), paint(NAME, name)));
        answers.push(json!({ "name": name, "damaged": true }));
    }
    if let Some((name, _)) = damaged.first() {
        context.ui.hint(format!(
            "`lab name {name} REF` sets it again; the sound part of its history is kept"
        ));
    }
    if all.is_empty() && damaged.is_empty() {
        context.ui.hint("no names yet; `lab add PATH --name NAME` makes one");
    }
    context.ui.answer(&json!(answers));
    Ok(())
}

fn row(
    context: &Context,
    name: &Name,
    moved: &Move,
    target: ObjectId,
    what: &str,
    width: usize,
) -> String {
    format!(
        "{}  {}  {:<11}  {:<28}  {}",
        paint(HASH, target.short()),
        pad(NAME, name.as_str(), width),
        moved.kind.to_string(),
        what,
        paint(DIM, ui::ago(context.now_ms(), moved.when_ms))
    )
}

/// A size, or the metrics of a run; what is missing or damaged is said, and hides nothing else.
fn what_it_is(registry: &Registry, target: ObjectId) -> String {
    let told = match target {
        ObjectId::Run(id) => registry.store.load::<Run>(id).map_err(Failure::from).map(|run| {
            if run.outcome.status.is_success() {
                describe::metrics(&run)
            } else {
                describe::status(&run.outcome.status)
            }
        }),
        _ => match target.content() {
            Some(content) => match describe::size(&registry.store, content) {
                Ok(Some(size)) => Ok(ui::bytes(size)),
                _ => Err(Failure::no()),
            },
            None => Ok(target.kind().to_string()),
        },
    };
    told.unwrap_or_else(|_| paint(BAD, "missing or damaged: see `lab check`"))
}

fn entries(context: &Context, registry: &Registry, id: TreeId) -> Outcome {
    let tree: Tree = registry.store.load(id)?;
    let mut answers = Vec::new();
    for entry in tree.entries() {
        let (kind, content) = resolve::describe(&entry.node);
        let hash = content.map(|c| c.short()).unwrap_or_default();
        let target = match &entry.node {
            Node::Link { target } => Some(String::from_utf8_lossy(target).into_owned()),
            _ => None,
        };
        let tail = match (&target, kind) {
            (Some(target), _) => format!(" → {}", target.escape_debug()),
            (None, "dir") => "/".to_owned(),
            _ => String::new(),
        };
        let size = if target.is_some() { String::new() } else { ui::bytes(entry.node.size()) };
        context.ui.line(format!(
            "{}  {kind:<4}  {size:>8}  {}{tail}",
            pad(HASH, &hash, 12),
            entry.name
        ));
        answers.push(json!({
            "name": entry.name.to_string(), "kind": kind, "size": entry.node.size(),
            "id": content.map(|c| c.to_string()), "target": target,
        }));
    }
    context.ui.answer(&json!(answers));
    Ok(())
}

fn outputs(context: &Context, registry: &Registry, id: RunId) -> Outcome {
    let run: Run = registry.store.load(id)?;
    let mut answers = Vec::new();
    for (slot, content) in &run.outcome.outputs {
        let size = describe::sized(&registry.store, *content)?;
        let tail = if matches!(content, lab_schema::ContentId::Tree(_)) { "/" } else { "" };
        context.ui.line(format!("{}  {size:>8}  {slot}{tail}", paint(HASH, content.short()),));
        let size = describe::readable(describe::size(&registry.store, *content))?.ok().flatten();
        answers.push(json!({ "output": slot, "id": content.to_string(), "size": size }));
    }
    if run.outcome.outputs.is_empty() {
        context.ui.hint("the run left no outputs");
    }
    context.ui.answer(&json!(answers));
    Ok(())
}
