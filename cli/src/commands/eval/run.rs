//! `lab eval run`

use lab_objects::{NameKind, Store};
use lab_process::Echo;
use lab_replay::{Bench, Evaluated, evaluate};
use lab_schema::{Completeness, ContentId, Name, ObjectId, Run, RunId, Signed};
use serde_json::json;

use super::{Files, Pinned, model, model_json, pinned};
use crate::bars::Bars;
use crate::commands::name::point;
use crate::commands::{compare, describe};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::new_name::new_name;
use crate::resolve::{Resolved, resolve};
use crate::trust;
use crate::ui::{self, BAD, DIM, HASH, NAME, duration, paint, plain};
use crate::wiring::Registry;

/// Put models through an evaluation
///
/// Each is done in a sealed box that holds what the evaluation pins, and the model. A model that went through
/// before is not done again.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// An evaluation
    #[arg(value_name = "EVAL")]
    evaluation: String,
    /// A model: a file or folder by name or hash, an output as RUN:OUTPUT, a run that left one, NAME@seeds, or a pattern
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
    /// What the result is called [default: EVAL.MODEL]
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// Show what the evaluation prints
    #[arg(long)]
    show_output: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry_to_write()?;
    let pinned = pinned(&registry.store, &args.evaluation)?;
    let models = meant(&registry, &args.models)?;
    if let (Some(name), 2..) = (&args.name, models.len()) {
        return Err(Failure::usage(format!(
            "'{name}' cannot be the name of {} results",
            models.len()
        )));
    }
    let mut todo: Vec<(Name, Files, Option<RunId>)> = Vec::new();
    for resolved in &models {
        let model = model(&registry.store, resolved, &pinned)?;
        let name = match &args.name {
            Some(name) => new_name(&registry.store, name)?,
            None => name_of(&pinned, resolved)?,
        };
        if let Some((name, ..)) = todo.iter().find(|(other, ..)| *other == name) {
            let what = format!("two of the results would be called {name}");
            return Err(Failure::usage(what)
                .hint("put one model through at a time, each with a `--name` of its own"));
        }
        // What a run read as a model it did not make.
        let maker = match resolved.id {
            ObjectId::Run(id) => made_by(&registry.store, id, &model)?,
            _ => resolved.said_maker(|| registry.lineage())?,
        };
        todo.push((name, model, maker));
    }
    let scratch = registry.scratch()?;
    let who = registry.who();
    let echo = if args.show_output && !context.ui.json { Echo::Through } else { Echo::Quiet };
    let (mut answers, mut all_well) = (Vec::new(), true);
    for (name, model, maker) in todo {
        let lineage = registry.lineage()?;
        let bars = Bars::new(context.ui);
        let bench = Bench {
            store: &registry.store,
            lineage: &lineage,
            scratch: &scratch,
            who: &who,
            progress: &bars,
            echo,
            twice: false,
        };
        let done = evaluate(&bench, &pinned.evaluation, &model, maker)?;
        drop(bars);
        let why = format!("lab eval run {} of {}", pinned.label, names_of(&model));
        point(context, &registry, &name, done.id.into(), NameKind::Result, &why)?;
        let signature = match done.was_there {
            true => json!(null),
            false => trust::sign_recorded(context, &registry, Signed::Run(done.id)),
        };
        all_well &= tell(context, &pinned, &name, &done);
        let mut answer = describe::run_json(done.id, &done.run);
        answer["name"] = json!(name);
        answer["model"] = model_json(&model);
        answer["was_there"] = json!(done.was_there);
        answer["signature"] = signature;
        answers.push(answer);
    }
    context.ui.answer(&json!(answers));
    if all_well { Ok(()) } else { Err(Failure::no()) }
}

/// The run, if all files of the model are among what it left.
fn made_by(store: &Store, id: RunId, model: &Files) -> Outcome<Option<RunId>> {
    let run: Run = store.load(id)?;
    let left: Vec<&ContentId> = run.outcome.outputs.values().collect();
    Ok(model.values().all(|file| left.contains(&file)).then_some(id))
}

/// The files of a model, by their hashes.
fn names_of(model: &Files) -> String {
    model.values().map(|content| content.short()).collect::<Vec<_>>().join(", ")
}

/// What was typed, one by one.
fn meant(registry: &Registry, typed: &[String]) -> Outcome<Vec<Resolved>> {
    let lineage = registry.lineage()?;
    let mut all = Vec::new();
    for typed in typed {
        for name in compare::meant(&registry.store.names(), &lineage, typed)? {
            let found = resolve(&registry.store, &name);
            all.push(found.map_err(|failure| {
                compare::with_seeds(&registry.store, &lineage, &name, failure)
            })?);
        }
    }
    Ok(all)
}

/// What a result is called if nobody says: after the evaluation and the model.
fn name_of(pinned: &Pinned, resolved: &Resolved) -> Outcome<Name> {
    let of = match (&resolved.name, resolved.id) {
        (Some(name), _) => name.to_string(),
        (None, id @ (ObjectId::Run(_) | ObjectId::Blob(_) | ObjectId::Tree(_))) => id.short(),
        (None, id) => {
            return Err(Failure::usage(format!("'{}' is {}", resolved.typed, ui::a(id.kind()))));
        }
    };
    Ok(Name::new(format!("{}.{of}", pinned.label))?)
}

/// Says what one model reached; whether it is a result.
fn tell(context: &Context, pinned: &Pinned, name: &Name, done: &Evaluated) -> bool {
    let outcome = &done.run.outcome;
    let metric = pinned.evaluation.metric();
    let score = outcome.metrics.get(metric).filter(|_| outcome.status.is_success());
    let reached = match score {
        Some(score) => format!("{} {}", plain(metric), describe::number(score.get())),
        None if outcome.status.is_success() => paint(BAD, format!("left no {}", plain(metric))),
        None => paint(BAD, describe::status(&outcome.status)),
    };
    let how = match done.was_there {
        true => "went through before".to_owned(),
        false => duration(outcome.duration_ms),
    };
    context.ui.line(format!(
        "{}  {}  {reached}   {}",
        paint(HASH, done.id.short()),
        paint(NAME, name),
        paint(DIM, how)
    ));
    if let Completeness::Incomplete(why) = &outcome.completeness {
        context.ui.line(format!("  {}  {}", paint(BAD, "incomplete"), plain(why)));
    }
    for note in &done.notes {
        context.ui.note(note.to_string());
    }
    score.is_some()
}
