//! `lab eval`

mod define;
pub(super) mod leaks;
mod run;

use std::collections::{BTreeMap, BTreeSet};

use clap::Subcommand;
use lab_objects::{Store, find_in_tree};
use lab_schema::{ContentId, Evaluation, Executor, FileName, Object, ObjectId, Recipe, Run, Slot};
use serde_json::{Value, json};

use super::describe;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{Resolved, resolve};
use crate::ui::{self, HASH, paint, plain, shortened};
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
    Leaks(leaks::Args),
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    match &args.what {
        What::Define(args) => define::run(context, args),
        What::Run(args) => run::run(context, args),
        What::Leaks(args) => leaks::run(context, args),
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
        let what = format!("'{typed}' is {}, not an evaluation", ui::a(resolved.id.kind()));
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
    /// What it reads beside the model.
    pub(super) fn tested(&self) -> impl Iterator<Item = (String, ContentId)> + '_ {
        let is_model =
            |slot: &str| self.evaluation.model().iter().any(|model| model.as_str() == slot);
        self.recipe.reads().filter(move |(slot, _)| !is_model(slot))
    }

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
    let model: Vec<&str> = evaluation.model().iter().map(Slot::as_str).collect();
    context.ui.line(format!(
        "  measures  a model, read as {}: a {direction} {} is better",
        shortened(&plain(&model.join(", ")), 100),
        plain(evaluation.metric())
    ));
    context.ui.line(format!("  by        {}", describe::action(&recipe)));
    let others = recipe.reads().filter(|(slot, _)| !model.contains(&slot.as_str()));
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
        "run": evaluation.run().to_string(), "model": model,
        "metric": evaluation.metric(), "higher_is_better": evaluation.higher_is_better(),
        "protocol": protocol.map(|id| id.to_string()),
    }))
}

/// A model, by the names that an evaluation has for its files.
pub(super) type Files = BTreeMap<Slot, ContentId>;

/// The model that was meant: a file or a folder; the outputs of a run that are called as the evaluation calls
/// its model; or what it read as such, if it did with it what the evaluation does, be it on other data.
fn model(store: &Store, resolved: &Resolved, pinned: &Pinned) -> Outcome<Files> {
    let slots = pinned.evaluation.model();
    let ObjectId::Run(id) = resolved.id else {
        return of_content(store, resolved, resolved.content()?, pinned);
    };
    let run: Run = store.load(id)?;
    let outputs = &run.outcome.outputs;
    let recipe: Recipe = store.load(run.recipe)?;
    let evaluates = match (recipe.executor(), pinned.recipe.executor()) {
        (Executor::Command(a), Executor::Command(b)) => a.argv == b.argv,
        (Executor::Tensor(a), Executor::Tensor(b)) => a == b,
        _ => false,
    };
    let found = match evaluates {
        true => pinned.evaluation.model_of(&recipe),
        false => called(outputs, slots),
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if let (1, [(_, content)]) = (slots.len(), &outputs.iter().collect::<Vec<_>>()[..]) {
        return of_content(store, resolved, **content, pinned);
    }
    let wanted: Vec<&str> = slots.iter().map(Slot::as_str).collect();
    let there: Vec<String> = outputs.keys().map(|slot| plain(slot.as_str())).collect();
    let what = format!("which of the outputs of '{}' is the model?", resolved.typed);
    Err(Failure::usage(what).hint(format!(
        "name it, as in `{}:OUTPUT`; the evaluation reads {}, the run left {}",
        resolved.typed,
        shortened(&wanted.join(", "), 100),
        if there.is_empty() { "nothing".to_owned() } else { shortened(&there.join(", "), 100) }
    )))
}

/// Those that have these names, or else files of that name somewhere, if each has one of its own.
fn called(there: &Files, slots: &BTreeSet<Slot>) -> Option<Files> {
    let file = |slot: &Slot| slot.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let (mut found, mut used) = (Files::new(), BTreeSet::new());
    for slot in slots {
        let mut same = there.keys().filter(|other| file(other) == file(slot));
        let from = match (there.get_key_value(slot), same.next(), same.next()) {
            (Some((from, _)), ..) | (None, Some(from), None) => from,
            _ => return None,
        };
        if !used.insert(from) {
            return None;
        }
        found.insert(slot.clone(), there[from]);
    }
    Some(found)
}

/// A file for an evaluation that reads one; a folder for one that reads several files of a folder.
fn of_content(
    store: &Store,
    resolved: &Resolved,
    content: ContentId,
    pinned: &Pinned,
) -> Outcome<Files> {
    let slots = pinned.evaluation.model();
    let all: Vec<&Slot> = slots.iter().collect();
    if let [slot] = all[..] {
        let example = pinned.recipe.inputs().get(slot);
        let is_folder = |content: &ContentId| matches!(content, ContentId::Tree(_));
        if example.is_some_and(|example| is_folder(example) != is_folder(&content)) {
            let (is, reads) = match is_folder(&content) {
                true => ("a folder", "a file"),
                false => ("a file", "a folder"),
            };
            let what = format!("'{}' is {is}, and the evaluation reads {reads}", resolved.typed);
            return Err(Failure::usage(what).hint(format!("it reads it as {slot}")));
        }
        return Ok([(slot.clone(), content)].into());
    }
    let ContentId::Tree(tree) = content else {
        let what =
            format!("'{}' is one file, and the evaluation reads {}", resolved.typed, slots.len());
        return Err(Failure::usage(what).hint("name the folder, or the run that left them"));
    };
    // What they have in common is where the folder goes.
    let first = all.first().map_or("", |slot| slot.as_str());
    let folder = first.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = std::iter::successors(Some(folder), |folder| {
        (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(above, _)| above))
    })
    .find(|folder| {
        folder.is_empty()
            || all.iter().all(|slot| {
                slot.as_str().strip_prefix(*folder).is_some_and(|rest| rest.starts_with('/'))
            })
    })
    .unwrap_or_default();
    let mut found = Files::new();
    for slot in slots {
        let path = slot.as_str()[folder.len()..].trim_start_matches('/');
        let mut parts = Vec::new();
        for part in path.split('/') {
            parts.push(FileName::new(part)?);
        }
        let node = find_in_tree(store, tree, &parts)?.and_then(|node| node.content());
        let content = node.ok_or_else(|| {
            Failure::not_found(format!("'{}' has no {path}", resolved.typed))
                .hint("it is one of the files of the model that the evaluation reads")
        })?;
        found.insert(slot.clone(), content);
    }
    Ok(found)
}

/// A model for programs.
pub(super) fn model_json(model: &Files) -> Value {
    let file =
        |(slot, content): (&Slot, &ContentId)| (slot.to_string(), describe::content_json(*content));
    Value::Object(model.iter().map(file).collect())
}
