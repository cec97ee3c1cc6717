//! `lab fork`

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::Lineage;
use lab_objects::NameKind;
use lab_process::Echo;
use lab_replay::{Bench, Change, Forked, fork};
use lab_schema::{Completeness, ContentId, Name, Number, Recipe, RunId, Signed};
use serde_json::{Value, json};

use super::name::point;
use super::run::Seeds;
use super::{compare, describe};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::new_name::new_name;
use crate::resolve::{names_of, resolve};
use crate::trust;
use crate::ui::{BAD, DIM, HASH, NAME, duration, paint, plain};
use crate::wiring::Registry;

/// Take somebody's result and change one thing: everything else comes from its record
///
/// The change is made where it belongs, in the run that has the parameter or reads the input, and all that came of that is
/// done again, in sealed boxes; the rest stands. The new runs know what they were forked from.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A run, or NAME of which there is a NAME.seedN for each seed
    #[arg(value_name = "REF")]
    reference: String,
    /// Change a parameter, an option of a command line or a variable, as in lr=0.3 or train.lr=0.3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Read something else as this input, as in data=REF
    #[arg(short, long = "input", value_name = "INPUT=REF")]
    inputs: Vec<String>,
    /// What the result is called
    #[arg(short, long, value_name = "NAME")]
    name: String,
    /// Once for each of these seeds, as in 1..10: from the run with that seed, or from the first with its seed changed
    #[arg(long, value_name = "SEEDS", value_parser = super::run::seeds)]
    seeds: Option<Seeds>,
    /// Show what commands print
    #[arg(long)]
    show_output: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry_to_write()?;
    let name = new_name(&registry.store, &args.name)?;
    let changes = changes(&registry, args)?;
    let mut todo = Vec::new();
    match &args.seeds {
        None => {
            let base = base(&registry, &args.reference, None)?;
            todo.push((base, name.clone(), changes.clone()));
        }
        Some(Seeds(seeds)) => {
            for seed in seeds {
                let name = Name::new(format!("{name}.seed{seed}"))?;
                let seeded = format!("{}.seed{seed}", args.reference);
                let (base, mut changes) =
                    (base(&registry, &args.reference, Some(seed))?, changes.clone());
                if base.name != seeded {
                    changes.push(Change::Set { name: "seed".to_owned(), value: seed.to_string() });
                }
                todo.push((base, name, changes));
            }
        }
    }
    let sets_seed = |change: &Change| matches!(change, Change::Set { name, .. } if name == "seed");
    if args.seeds.is_some() && changes.iter().any(sets_seed) {
        return Err(Failure::usage(
            "`--seeds` sets the seed, and so does `--set seed`: one of them",
        ));
    }
    if changes.is_empty() && args.seeds.is_none() {
        return Err(Failure::usage("what is to be changed?")
            .hint("`--set KEY=VALUE` changes a parameter, `--input NAME=REF` what is read, `--seeds 1..10` the seed"));
    }
    let (mut answers, mut all_well) = (Vec::new(), true);
    let many = todo.len() > 1;
    for (base, name, changes) in todo {
        let done = one(context, &registry, args, &base, &name, &changes)?;
        let last = done.last().map(|forked| &forked.run);
        let is_well = last.is_none_or(|run| run.outcome.status.is_success());
        all_well &= is_well;
        let is_new = done.last().is_some_and(|forked| forked.parent == base.id);
        if let (false, true, true, Some(last)) = (many, is_well, is_new, last) {
            beside(context, &registry, base.id, &last.outcome.metrics)?;
        }
        answers.extend(done.iter().map(answer));
    }
    context.ui.answer(&json!(answers));
    if many {
        let (a, b) = (seeds_of(&registry, &args.reference)?, format!("{name}@seeds"));
        match a {
            Some(a) => context.ui.hint(format!("`lab compare {a} {b}` tells whether it makes a difference")),
            None => context.ui.hint(format!(
                "`lab fork {} --set seed=N --name BASE --seeds ...` gives the other side its seeds too; then `lab compare` tells",
                args.reference
            )),
        }
    }
    if all_well { Ok(()) } else { Err(Failure::no()) }
}

/// What is forked.
struct Base {
    id: RunId,
    /// As it was found.
    name: String,
}

/// The run that was meant: that of the seed, if there is one; the first of its seeds, if it has but these.
fn base(registry: &Registry, typed: &str, seed: Option<&u64>) -> Outcome<Base> {
    let store = &registry.store;
    let lineage = registry.lineage()?;
    if let Some(seed) = seed {
        let name = format!("{typed}.seed{seed}");
        if let Ok(found) = resolve(store, &name) {
            return Ok(Base { id: found.run(&lineage)?, name });
        }
    }
    match resolve(store, typed) {
        Ok(found) => Ok(Base { id: found.run(&lineage)?, name: typed.to_owned() }),
        Err(failure) => {
            let failure = compare::with_seeds(store, &lineage, typed, failure);
            let seeds = compare::meant(&store.names(), &lineage, &format!("{typed}@seeds"));
            match (seed, seeds.ok().and_then(|seeds| seeds.into_iter().next())) {
                (Some(_), Some(name)) => {
                    Ok(Base { id: resolve(store, &name)?.run(&lineage)?, name })
                }
                _ => Err(failure),
            }
        }
    }
}

/// The seeds of what was forked, if it has some.
fn seeds_of(registry: &Registry, typed: &str) -> Outcome<Option<String>> {
    let (lineage, seeds) = (registry.lineage()?, format!("{typed}@seeds"));
    Ok(compare::meant(&registry.store.names(), &lineage, &seeds).ok().map(|_| seeds))
}

fn changes(registry: &Registry, args: &Args) -> Outcome<Vec<Change>> {
    let pair = |text: &str, what: &str| {
        let split = text
            .split_once('=')
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        split
            .filter(|(key, value)| !key.is_empty() && !value.is_empty())
            .ok_or_else(|| Failure::usage(format!("'{}' is no {what}", plain(text))))
    };
    let mut all = Vec::new();
    for text in &args.settings {
        let (name, value) = pair(text, "setting: KEY=VALUE is meant, as in lr=0.3")?;
        all.push(Change::Set { name, value });
    }
    for text in &args.inputs {
        let (name, reference) = pair(text, "input: NAME=REF is meant, as in data=digits@v2")?;
        let given = resolve(&registry.store, &reference)?;
        let (content, maker) = (given.content()?, given.said_maker(|| registry.lineage())?);
        all.push(Change::Input { name, content, maker });
    }
    Ok(all)
}

/// The same changes, with an input by the name that it has in the records: a program that was given the registry's
/// `data` may read it as its `table`.
fn as_recorded(
    context: &Context,
    registry: &Registry,
    lineage: &Lineage,
    base: &Base,
    changes: &[Change],
) -> Outcome<Vec<Change>> {
    let mut changes = changes.to_vec();
    if !changes.iter().any(|change| matches!(change, Change::Input { .. })) {
        return Ok(changes);
    }
    let mut read: BTreeSet<(String, ContentId)> = BTreeSet::new();
    let mut made: BTreeSet<ContentId> = BTreeSet::new();
    for id in lineage.chain(base.id)? {
        let run: lab_schema::Run = registry.store.load(id)?;
        made.extend(run.outcome.outputs.values());
        let recipe: Recipe = registry.store.load(run.recipe)?;
        read.extend(recipe.inputs().iter().map(|(slot, content)| (slot.to_string(), *content)));
    }
    if read.is_empty() {
        let what = format!("{} reads no input that `--input` could change", base.name);
        return Err(Failure::usage(what));
    }
    for change in &mut changes {
        let Change::Input { name, .. } = change else { continue };
        let end = format!("/{name}");
        if read.iter().any(|(own, _)| own == name || own.ends_with(&end)) {
            continue;
        }
        let journal = match Name::new(name.as_str()) {
            Ok(given) => registry.store.names().journal(&given)?,
            Err(_) => Vec::new(),
        };
        let was = |content: ContentId| journal.iter().any(|m| m.target == Some(content.into()));
        let mut own: Vec<&String> =
            read.iter().filter(|(_, content)| was(*content)).map(|(own, _)| own).collect();
        own.dedup();
        let [own] = own[..] else {
            // What came from elsewhere goes before what it made on the way.
            let (inner, outer): (Vec<_>, Vec<_>) =
                read.iter().partition(|(_, content)| made.contains(content));
            let known: Vec<String> =
                outer.into_iter().chain(inner).map(|(own, _)| plain(own)).take(20).collect();
            return Err(Failure::usage(format!("{} has no input '{}'", base.name, plain(name)))
                .hint(format!("its inputs: {}", known.join(", "))));
        };
        context.ui.note(format!("it read '{name}' as its input '{}'", plain(own)));
        own.clone_into(name);
    }
    Ok(changes)
}

/// Forks one run, names what comes of it, and tells.
fn one(
    context: &Context,
    registry: &Registry,
    args: &Args,
    base: &Base,
    name: &Name,
    changes: &[Change],
) -> Outcome<Vec<Forked>> {
    let lineage: Lineage = registry.lineage()?;
    let (scratch, who) = (registry.scratch()?, registry.who());
    let bars = Bars::new(context.ui);
    let echo = if args.show_output && !context.ui.json { Echo::Through } else { Echo::Quiet };
    let bench = Bench {
        store: &registry.store,
        lineage: &lineage,
        scratch: &scratch,
        who: &who,
        progress: &bars,
        echo,
        twice: false,
    };
    let mut failed = None;
    let changes = &as_recorded(context, registry, &lineage, base, changes)?;
    let done = fork(&bench, base.id, changes, &mut |forked| {
        bars.suspend(|| {
            let told = tell(context, registry, base, name, forked);
            failed = failed.take().or(told.err());
        });
    })?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    if done.is_empty() && args.seeds.is_none() {
        return Err(Failure::usage(format!("nothing of {} changes: it is so already", base.name)));
    }
    let is_over = done.iter().all(|forked| forked.run.outcome.status.is_success());
    if is_over && done.iter().all(|forked| forked.parent != base.id) {
        let why = format!("lab fork {} --name {name}", base.name);
        point(context, registry, name, base.id.into(), NameKind::Result, &why)?;
        context.ui.line(format!(
            "{}  {}  is {}: {}",
            paint(HASH, base.id.short()),
            paint(NAME, name),
            paint(NAME, &base.name),
            match done.is_empty() {
                true => "nothing of it changes",
                false => "the change made no difference to what it reads",
            }
        ));
    }
    Ok(done)
}

/// Names a run that was done, signs it, and tells of it.
fn tell(
    context: &Context,
    registry: &Registry,
    base: &Base,
    name: &Name,
    forked: &Forked,
) -> Outcome {
    let of = called(registry, base, forked.parent)?;
    let name = match forked.parent == base.id {
        true => Some(name.clone()),
        // `base.train` becomes `mine.train`.
        false => of
            .strip_prefix(&format!("{}.", base.name))
            .map(|stage| Name::new(format!("{name}.{stage}")))
            .transpose()?,
    };
    if let Some(name) = &name {
        let why = format!("lab fork {} --name {name}", base.name);
        point(context, registry, name, forked.id.into(), NameKind::Result, &why)?;
    }
    if !forked.was_there {
        trust::sign_recorded(context, registry, Signed::Run(forked.id));
    }
    let outcome = &forked.run.outcome;
    let reached = match outcome.status.is_success() {
        true => describe::metrics(&forked.run),
        false => paint(BAD, describe::status(&outcome.status)),
    };
    let how = match forked.was_there {
        true => "as before".to_owned(),
        false => duration(outcome.duration_ms),
    };
    context.ui.line(format!(
        "{}  {}  {reached}   {}",
        paint(HASH, forked.id.short()),
        paint(NAME, name.map_or_else(|| format!("{of}, changed"), |name| name.to_string())),
        paint(DIM, format!("{how}, forked from {of}"))
    ));
    if let Completeness::Incomplete(why) = &outcome.completeness {
        context.ui.line(format!("  {}  {}", paint(BAD, "incomplete"), plain(why)));
    }
    for note in &forked.notes {
        context.ui.note(note.to_string());
    }
    Ok(())
}

/// What a run of the base is called: by the base's own name, if it has one of these.
fn called(registry: &Registry, base: &Base, run: RunId) -> Outcome<String> {
    if run == base.id {
        return Ok(base.name.clone());
    }
    let names = names_of(&registry.store, run.into())?;
    let start = format!("{}.", base.name);
    let own = names.iter().find(|name| name.as_str().starts_with(&start));
    Ok(own.or(names.first()).map_or_else(|| run.short(), ToString::to_string))
}

/// What the base reached, beside what the fork did.
fn beside(
    context: &Context,
    registry: &Registry,
    base: RunId,
    metrics: &BTreeMap<String, Number>,
) -> Outcome {
    let run: lab_schema::Run = registry.store.load(base)?;
    for (metric, now) in metrics {
        let Some(before) = run.outcome.metrics.get(metric) else { continue };
        let gain = now.get() - before.get();
        context.ui.line(format!(
            "  {}  {} → {}   ({}{})",
            paint(DIM, plain(metric)),
            describe::number(before.get()),
            describe::number(now.get()),
            if gain > 0.0 { "+" } else { "" },
            describe::number(gain)
        ));
    }
    if !metrics.is_empty() {
        context
            .ui
            .hint("one run each tells nothing of chance: `--seeds 1..10`, and then `lab compare`");
    }
    Ok(())
}

fn answer(forked: &Forked) -> Value {
    let mut answer = describe::run_json(forked.id, &forked.run);
    answer["parent"] = json!(forked.parent.to_string());
    answer["was_there"] = json!(forked.was_there);
    answer
}
