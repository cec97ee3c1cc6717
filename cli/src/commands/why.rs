//! `lab why`

use lab_lineage::{Lineage, Role};
use lab_schema::{ContentId, Executor, ObjectId, Recipe, Run, RunId};
use serde_json::{Value, json};

use super::{describe, log};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{names_of, resolve};
use crate::trust::Believed;
use crate::ui::{self, HASH, NAME, paint};
use crate::wiring::Registry;

/// Tell where something comes from: the run that made it, from what, by what code
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A file, a directory, an output or a run
    #[arg(value_name = "REF")]
    reference: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let resolved = resolve(&registry.store, &args.reference)?;
    let is_run = matches!(resolved.id, ObjectId::Run(_));
    if !is_run && resolved.id.content().is_none() {
        return Err(Failure::usage(format!("'{}' is a {}", args.reference, resolved.id.kind()))
            .hint("`lab show REF` describes it"));
    }
    let made_by = resolved.maker(&lineage)?;
    let what = resolved.leaf.clone().unwrap_or_else(|| resolved.id.short());
    match made_by {
        Some(run) => made(context, &registry, &lineage, &what, run, resolved.id),
        None => root(context, &registry, &lineage, &what, resolved.id),
    }
}

/// What came out of a run.
fn made(
    context: &Context,
    registry: &Registry,
    lineage: &Lineage,
    what: &str,
    id: RunId,
    asked: ObjectId,
) -> Outcome {
    let run: Run = registry.store.load(id)?;
    let recipe: Recipe = registry.store.load(run.recipe)?;
    let believed = Believed::here(context, registry);
    let verified = log::verification(registry, lineage, &believed, id)?;
    let mut facts: Vec<String> =
        names_of(&registry.store, id.into())?.iter().map(ToString::to_string).collect();
    facts.push(ui::ago(context.now_ms(), run.outcome.started_ms));
    facts.push(if verified.text.is_empty() {
        "not verified yet".to_owned()
    } else {
        verified.text
    });
    let subject = if asked == ObjectId::Run(id) {
        "This is".to_owned()
    } else {
        format!("{} was made by", paint(NAME, what))
    };
    context.ui.line(format!("{subject} run {} ({})", paint(HASH, id.short()), facts.join(", ")));
    if let Some(others) = also_made(lineage, asked, id)? {
        context.ui.line(format!("  {others}"));
    }
    let mut inputs = Vec::new();
    for (slot, content) in recipe.reads() {
        let origin = origin(context, registry, lineage, content)?;
        context.ui.line(format!(
            "  from   {}  {}  {origin}",
            paint(HASH, content.short()),
            paint(NAME, &slot)
        ));
        inputs.push(json!({ "input": slot, "id": content.to_string(), "made_by": lineage.producer_for(content)?.map(|r| r.to_string()) }));
    }
    context.ui.line(format!("  by     {}", describe::action(&recipe)));
    if let Executor::Command(_) = recipe.executor() {
        context.ui.line(format!("  code   {}", code(&recipe, &run)));
    }
    for (key, value) in recipe.params() {
        context.ui.line(format!("  with   {key} = {value}"));
    }
    context.ui.line(format!("  on     {}", machine(&run)));
    let mut answer = describe::run_json(id, &run);
    answer["inputs"] = Value::Array(inputs);
    answer["action"] = json!(describe::action(&recipe));
    answer["attestations"] = Value::Array(verified.all);
    context.ui.answer(&answer);
    Ok(())
}

/// What no recorded run made.
fn root(
    context: &Context,
    registry: &Registry,
    lineage: &Lineage,
    what: &str,
    id: ObjectId,
) -> Outcome {
    let content = id.content().expect("only content has no run that made it");
    let entered = entered(context, registry, id)?;
    context.ui.line(format!(
        "{} {}  was made by no recorded run",
        paint(HASH, id.short()),
        paint(NAME, what)
    ));
    context.ui.line(format!("  {}", entered.as_deref().unwrap_or("no name ever pointed at it")));
    let consumers = lineage.consumers(content)?;
    let readers: Vec<Value> = consumers
        .iter()
        .map(|c| {
            let role = match &c.role {
                Role::Input(slot) => slot.to_string(),
                Role::Outside(path) => format!("/{path}"),
                Role::Code => "code".to_owned(),
            };
            json!({ "run": c.run.to_string(), "as": role })
        })
        .collect();
    context.ui.line(format!("  read by {}", ui::count(consumers.len() as u64, "run")));
    context.ui.answer(&json!({ "id": id.digest().to_string(), "made_by": null, "entered": entered, "read_by": readers }));
    Ok(())
}

/// Where an input comes from, in a few words.
fn origin(
    context: &Context,
    registry: &Registry,
    lineage: &Lineage,
    content: ContentId,
) -> Outcome<String> {
    if let Some(run) = lineage.producer_for(content)? {
        let recipe: Option<Recipe> = match registry.store.get::<Run>(run)? {
            Some(run) => registry.store.get(run.recipe)?,
            None => None,
        };
        let action = recipe.map(|r| describe::action(&r)).unwrap_or_default();
        let names: Vec<String> =
            names_of(&registry.store, run.into())?.iter().map(|n| paint(NAME, n)).collect();
        let label = if names.is_empty() { action } else { names.join(", ") };
        let also =
            also_made(lineage, content.into(), run)?.map(|o| format!(" ({o})")).unwrap_or_default();
        return Ok(format!("made by run {}  {label}{also}", paint(HASH, run.short())));
    }
    Ok(entered(context, registry, content.into())?
        .unwrap_or_else(|| "made by no recorded run".to_owned()))
}

/// How many other runs left the very same content, in words; none if no other did.
fn also_made(lineage: &Lineage, asked: ObjectId, run: RunId) -> Outcome<Option<String>> {
    let Some(content) = asked.content() else { return Ok(None) };
    let mut others: Vec<RunId> = lineage.producers(content)?.into_iter().map(|p| p.run).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|other| *other != run);
    Ok(match others.len() {
        0 => None,
        1 => {
            Some(format!("the same bytes were also left by run {}", paint(HASH, others[0].short())))
        }
        n => Some(format!("the same bytes were also left by {n} other runs")),
    })
}

/// The first move of any name to the object, in words.
fn entered(context: &Context, registry: &Registry, id: ObjectId) -> Outcome<Option<String>> {
    let names = registry.store.names();
    let mut first: Option<(u64, String)> = None;
    for (name, _) in names.list()? {
        for (index, moved) in names.journal(&name)?.into_iter().enumerate() {
            if moved.target == Some(id)
                && first.as_ref().is_none_or(|(when, _)| moved.when_ms < *when)
            {
                let ago = ui::ago(context.now_ms(), moved.when_ms);
                let text = format!(
                    "{name}@v{} ({}), {ago} by {}: {}",
                    index + 1,
                    moved.kind,
                    moved.who,
                    moved.why
                );
                first = Some((moved.when_ms, text));
            }
        }
    }
    Ok(first.map(|(_, text)| text))
}

/// The code of a command and its state in git.
fn code(recipe: &Recipe, run: &Run) -> String {
    let tree = recipe.code().map_or("none recorded".to_owned(), |id| paint(HASH, id.short()));
    let Some(git) = &run.git else { return tree };
    let commit = git.commit.as_deref().map_or("before the first commit".to_owned(), |c| {
        format!("commit {}", &c[..c.len().min(10)])
    });
    let branch = git.branch.as_deref().map(|b| format!(" on {b}")).unwrap_or_default();
    let dirty = match git.dirty.len() {
        0 => ", clean".to_owned(),
        n => format!(
            ", with {} not committed: {}",
            ui::count(n as u64, "file"),
            shortened(&git.dirty)
        ),
    };
    format!("{tree}  {commit}{branch}{dirty}")
}

fn shortened(paths: &[String]) -> String {
    let shown: Vec<String> = paths.iter().take(4).map(|p| p.escape_debug().to_string()).collect();
    let more =
        if paths.len() > 4 { format!(", and {} more", paths.len() - 4) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// The machine in a few words.
pub(super) fn machine(run: &Run) -> String {
    let host = &run.host;
    if host.os.is_empty() {
        return "unknown".to_owned();
    }
    let best = ["avx512f", "avx2", "neon", "asimd", "sse4_2"]
        .into_iter()
        .find(|f| host.cpu_features.iter().any(|g| g == f));
    let cpus = ui::count(host.cpus.into(), "core");
    let isa = best.map(|f| format!(", {f}")).unwrap_or_default();
    format!("{} {}, {cpus}{isa}, lab {}", host.os, host.arch, host.lab)
}
