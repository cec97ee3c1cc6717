//! `lab eval define`

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::{Lineage, Role};
use lab_objects::NameKind;
use lab_schema::{Completeness, Evaluation, Recipe, Run, RunId, Slot};
use serde_json::json;

use super::tell;
use crate::commands::compare::is_better_when_higher;
use crate::commands::name::point;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::new_name::new_name;
use crate::resolve::{closest, resolve};
use crate::ui::{HASH, NAME, paint, plain, shortened};

/// Pin what a run measured its model by, under a name
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What it is called
    #[arg(value_name = "NAME")]
    name: String,
    /// A run that read a model and left a number
    #[arg(value_name = "RUN")]
    run: String,
    /// The inputs that are the model, or a folder of them [default: what the last run before made]
    #[arg(long, value_name = "INPUT", value_delimiter = ',')]
    model: Vec<String>,
    /// The number that counts [default: the only one]
    #[arg(short, long, value_name = "NAME")]
    metric: Option<String>,
    /// A lower number is better [default: for losses, errors, perplexities and times]
    #[arg(long, conflicts_with = "higher_is_better")]
    lower_is_better: bool,
    /// A higher number is better
    #[arg(long)]
    higher_is_better: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry_to_write()?;
    let name = new_name(&registry.store, &args.name)?;
    let lineage = registry.lineage()?;
    let id = resolve(&registry.store, &args.run)?.run(&lineage)?;
    let run: Run = registry.store.load(id)?;
    let recipe: Recipe = registry.store.load(run.recipe)?;
    can_be_done_again(&args.run, &run)?;
    let mut model = BTreeSet::new();
    for typed in &args.model {
        model.extend(named(&recipe, typed)?);
    }
    if model.is_empty() {
        model = guessed(&registry.lineage()?, id, &recipe)?;
        if model.len() > 1 {
            context.ui.note(format!(
                "taken for the model, since one run made them: {}; `--model` says otherwise",
                listed(model.iter())
            ));
        }
    }
    let metric = metric(args, &run)?;
    let direction = match (args.higher_is_better, args.lower_is_better) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => is_better_when_higher(&metric),
    };
    let higher_is_better = direction.ok_or_else(|| {
        Failure::usage(format!("is a higher or a lower '{metric}' better?"))
            .hint("say so: `--higher-is-better` or `--lower-is-better`")
    })?;
    let evaluation = Evaluation::new(id, model, metric, higher_is_better)?;
    let mut writer = registry.store.writer();
    let id = writer.put(&evaluation)?;
    writer.finish()?;
    let why = format!("lab eval define {name} {}", args.run);
    point(context, &registry, &name, id.into(), NameKind::Result, &why)?;
    context.ui.line(format!("{}  {}  evaluation", paint(HASH, id.short()), paint(NAME, &name)));
    let mut answer = tell(context, &registry, &evaluation)?;
    context.ui.hint(format!(
        "`lab eval run {name} MODEL` puts a model through it, `lab board {name}` shows all that went"
    ));
    answer["id"] = json!(id.to_string());
    answer["name"] = json!(name);
    context.ui.answer(&answer);
    Ok(())
}

/// What is no full record of what was read cannot be what others are measured by.
fn can_be_done_again(typed: &str, run: &Run) -> Outcome {
    if !run.outcome.status.is_success() {
        return Err(Failure::usage(format!("the run '{typed}' did not succeed")));
    }
    let why = match &run.outcome.completeness {
        Completeness::Complete => return Ok(()),
        Completeness::Declared => "it was not watched".to_owned(),
        Completeness::Incomplete(why) => why.clone(),
    };
    Err(Failure::new(Exit::Refused, format!("the record of '{typed}' is not complete: {why}"))
        .hint("what others are measured by has to be all known: record it with `lab run`, without what makes it incomplete"))
}

/// The inputs that were meant: one by its name or the end of it, or those in a folder.
fn named(recipe: &Recipe, typed: &str) -> Outcome<Vec<Slot>> {
    let slots = || recipe.inputs().keys();
    if let Some(slot) = slots().find(|slot| slot.as_str() == typed) {
        return Ok(vec![slot.clone()]);
    }
    let folder = format!("{}/", typed.trim_end_matches('/'));
    let inside: Vec<Slot> =
        slots().filter(|slot| slot.as_str().starts_with(&folder)).cloned().collect();
    if !inside.is_empty() {
        return Ok(inside);
    }
    let end = format!("/{typed}");
    let ends: Vec<Slot> = slots().filter(|slot| slot.as_str().ends_with(&end)).cloned().collect();
    if ends.len() == 1 {
        return Ok(ends);
    }
    let failure = Failure::not_found(format!("the run read nothing as '{typed}'"));
    Err(match closest(typed, slots().map(Slot::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("it read {}", listed(slots()))),
    })
}

/// What was made last of what the run read: by a run that stands on those that made the rest.
fn guessed(lineage: &Lineage, id: RunId, recipe: &Recipe) -> Outcome<BTreeSet<Slot>> {
    let mut made: BTreeMap<RunId, BTreeSet<Slot>> = BTreeMap::new();
    for origin in lineage.origins(id)? {
        if let Role::Input(slot) = origin.role {
            for maker in origin.makers {
                made.entry(maker).or_default().insert(slot.clone());
            }
        }
    }
    let mut last = Vec::new();
    for (maker, slots) in &made {
        let before = lineage.chain(*maker)?;
        if made.keys().all(|other| before.contains(other)) {
            last.push(slots.clone());
        }
    }
    if let [slots] = &last[..] {
        return Ok(slots.clone());
    }
    let Some(first) = recipe.inputs().keys().next() else {
        return Err(Failure::usage("the run read no model: nothing but code"));
    };
    Err(Failure::usage("which of what the run read is the model?").hint(format!(
        "say so, as in `--model {first}`; it read {}",
        listed(recipe.inputs().keys())
    )))
}

fn listed<'a>(slots: impl Iterator<Item = &'a Slot>) -> String {
    shortened(&plain(&slots.map(Slot::as_str).collect::<Vec<_>>().join(", ")), 200)
}

fn metric(args: &Args, run: &Run) -> Outcome<String> {
    let there: Vec<&str> = run.outcome.metrics.keys().map(String::as_str).collect();
    match (&args.metric, &there[..]) {
        (Some(metric), _) if there.contains(&metric.as_str()) => Ok(metric.clone()),
        (None, [one]) => Ok((*one).to_owned()),
        (_, []) => Err(Failure::usage(format!("the run '{}' left no number", args.run)).hint(
            "a number is what it writes to metrics.json, or prints as `name: value` at the end",
        )),
        (Some(metric), _) => {
            let what = format!("the run has no number called '{metric}'");
            Err(Failure::not_found(what).hint(format!("it has {}", there.join(", "))))
        }
        (None, _) => Err(Failure::usage(format!("which number? The run has {}", there.join(", ")))
            .hint(format!("name one, as in `--metric {}`", there[0]))),
    }
}
