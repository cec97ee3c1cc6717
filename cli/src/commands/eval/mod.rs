//! `lab eval`

mod define;
mod run;

use clap::Subcommand;
use lab_lineage::Lineage;
use lab_objects::Store;
use lab_schema::{ContentId, Evaluation, Object, ObjectId, Recipe, Run, Slot};
use serde_json::{Value, json};

use super::describe;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{Resolved, resolve};
use crate::ui::{HASH, paint, plain};
use crate::wiring::Registry;

/// Pin an evaluation, data, code and environment by hash, and put any model through it
///
/// An evaluation is made from a run that measured one model: all of that run but the model is what others are
/// measured by. `lab board` shows who went through it.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Define(define::Args),
    Run(run::Args),
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    match &args.what {
        What::Define(args) => define::run(context, args),
        What::Run(args) => run::run(context, args),
    }
}

/// An evaluation, and the run that it was made from.
pub(super) struct Pinned {
    pub(super) evaluation: Evaluation,
    pub(super) recipe: Recipe,
    /// What it is called, or its hash.
    pub(super) label: String,
}

/// The evaluation that was typed.
pub(super) fn pinned(store: &Store, typed: &str) -> Outcome<Pinned> {
    let resolved = resolve(store, typed)?;
    let ObjectId::Evaluation(id) = resolved.id else {
        let what = format!("'{typed}' is a {}, not an evaluation", resolved.id.kind());
        return Err(Failure::usage(what).hint(match resolved.id {
            ObjectId::Run(_) => {
                format!("`lab eval define NAME {typed}` pins what this run measured its model by")
            }
            _ => {
                "`lab eval define NAME RUN` makes one, from a run that measured a model".to_owned()
            }
        }));
    };
    let evaluation: Evaluation = store.load(id)?;
    let run: Run = store.load(evaluation.run())?;
    let recipe: Recipe = store.load(run.recipe)?;
    let label = resolved.name.map_or_else(|| id.short(), |name| name.to_string());
    Ok(Pinned { evaluation, recipe, label })
}

impl Pinned {
    /// The first digits of what all its runs have in common.
    pub(super) fn protocol(&self) -> String {
        self.evaluation.protocol(&self.recipe).map(|recipe| recipe.id().short()).unwrap_or_default()
    }
}

/// Says what an evaluation holds fixed.
pub(super) fn tell(
    context: &Context,
    registry: &Registry,
    evaluation: &Evaluation,
) -> Outcome<Value> {
    let run: Run = registry.store.load(evaluation.run())?;
    let recipe: Recipe = registry.store.load(run.recipe)?;
    let direction = if evaluation.higher_is_better() { "higher" } else { "lower" };
    let protocol = evaluation.protocol(&recipe).map(|recipe| recipe.id());
    context.ui.line(format!(
        "  measures  {}, read as {}: a {direction} {} is better",
        "a model",
        evaluation.hole(),
        plain(evaluation.metric())
    ));
    context.ui.line(format!("  by        {}", describe::action(&recipe)));
    let others = recipe.reads().filter(|(slot, _)| slot != evaluation.hole().as_str());
    for (slot, content) in others {
        context.ui.line(format!("  reads     {}  {}", paint(HASH, content.short()), plain(&slot)));
    }
    if let Some(code) = recipe.code() {
        context.ui.line(format!("  code      {}", paint(HASH, code.short())));
    }
    if let Some(environment) = recipe.environment() {
        context.ui.line(format!("  in        {}", paint(HASH, environment.short())));
    }
    if let Some(protocol) = protocol {
        context.ui.line(format!("  protocol  {}", paint(HASH, protocol.short())));
    }
    Ok(json!({
        "run": evaluation.run().to_string(), "model": evaluation.hole().as_str(),
        "metric": evaluation.metric(), "higher_is_better": evaluation.higher_is_better(),
        "protocol": protocol.map(|id| id.to_string()),
    }))
}

/// The model that was meant: a content, or that output of a run which fits.
fn model(
    store: &Store,
    resolved: &Resolved,
    hole: &Slot,
    example: ContentId,
) -> Outcome<ContentId> {
    let ObjectId::Run(id) = resolved.id else { return resolved.content() };
    let run: Run = store.load(id)?;
    let file = |slot: &Slot| slot.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let is_like = |content: &ContentId| {
        matches!(
            (content, &example),
            (ContentId::Blob(_), ContentId::Blob(_)) | (ContentId::Tree(_), ContentId::Tree(_))
        )
    };
    let outputs = &run.outcome.outputs;
    if outputs.is_empty() {
        return Err(Failure::usage(format!("the run '{}' left nothing", resolved.typed)));
    }
    let mut same = outputs.iter().filter(|(slot, _)| file(slot) == file(hole));
    if let (Some((_, content)), None) = (same.next(), same.next()) {
        return Ok(*content);
    }
    let mut like = outputs.iter().filter(|(_, content)| is_like(content));
    match (like.next(), like.next()) {
        (Some((_, content)), None) => Ok(*content),
        _ => {
            let slots: Vec<String> = outputs.keys().map(|slot| plain(slot.as_str())).collect();
            let what = format!("which of the outputs of '{}' is the model?", resolved.typed);
            Err(Failure::usage(what).hint(format!(
                "name it, as in `{}:{}`; there are {}",
                resolved.typed,
                slots[0],
                slots.join(", ")
            )))
        }
    }
}

/// The inputs of a recipe that some other run made.
fn made(lineage: &Lineage, run: lab_schema::RunId, recipe: &Recipe) -> Outcome<Vec<Slot>> {
    let mut found = Vec::new();
    for (slot, content) in recipe.inputs() {
        if lineage.producer_for(*content)?.is_some_and(|maker| maker != run) {
            found.push(slot.clone());
        }
    }
    Ok(found)
}
