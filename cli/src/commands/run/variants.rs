//! Steps, or a command, once for each seed and each value of a setting.

use std::collections::{BTreeMap, BTreeSet};

use lab_pipeline::{Lock, Pipeline, Step};
use lab_schema::{Name, RunId};
use serde_json::json;

use super::seeds::{self, Variant};
use super::steps::{Pass, Sort, refuse_unwatched};
use super::{Args, command};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::project::{Project, wrong};
use crate::ui::{BAD, DIM, paint};

/// What a command is called while it runs, if its results get no name.
const NAMELESS: &str = "command";

/// Runs a command for each variant: `{seed}` in its words stands for the seed.
pub(super) fn command(context: &Context, args: &Args, to: Option<Name>) -> Outcome {
    args.refuse_for_many()?;
    refuse_unwatched()?;
    let variants = seeds::variants(&args.axes(), args.seeds.as_ref(), None)?;
    let registry = context.registry_to_write()?;
    let mut step = Step {
        name: to.clone().map_or_else(|| Name::new(NAMELESS), Ok)?,
        words: args.command.clone(),
        directory: None,
        params: BTreeMap::new(),
        outputs: command::outputs(args)?,
        variables: BTreeMap::new(),
        after: BTreeSet::new(),
        limits: args.limits(),
        ignore: Vec::new(),
    };
    for (key, value) in variants.iter().flat_map(|variant| &variant.settings) {
        give(&mut step, key, value)?;
    }
    if let Some(key) = step.params.keys().find(|key| !step.uses(key)) {
        return Err(Failure::usage(format!("the command says nowhere where {key} belongs")).hint(
            format!("write {{{key}}} in its words, as in `-- python train.py --{key} {{{key}}}`"),
        ));
    }
    let pipeline = Pipeline {
        steps: vec![step],
        portable: args.portable,
        level: args.level,
        probe: !args.no_probe,
        remotes: BTreeMap::new(),
    };
    let mut project =
        Project { folder: context.directory.clone(), pipeline, lock: Lock::default() };
    let mut pass = Pass::new(context, args, &registry, Sort::Command)?;
    let set = |pipeline: &mut Pipeline, key: &str, value: &str| {
        pipeline.steps.iter_mut().try_for_each(|step| give(step, key, value))
    };
    each(&mut pass, &mut project, &[], &variants, &set, |_| to.clone())
}

fn give(step: &mut Step, key: &str, value: &str) -> Outcome {
    step.give(key, value).map_err(|error| Failure::usage(error.to_string()))
}

/// Brings steps up to date for each variant.
pub(super) fn steps(
    pass: &mut Pass<'_>,
    project: &mut Project,
    named: &[String],
    variants: &[Variant],
    to: Option<&Name>,
) -> Outcome {
    let declared = project.folder.join("lab.toml");
    let set = |pipeline: &mut Pipeline, key: &str, value: &str| {
        pipeline.set(key, value).map_err(|error| wrong(&declared, &error))
    };
    // What cannot be set is found before anything runs.
    let mut trial = project.pipeline.clone();
    for (key, value) in variants.iter().flat_map(|variant| &variant.settings) {
        set(&mut trial, key, value)?;
    }
    each(pass, project, named, variants, &set, |step| Some(to.unwrap_or(step).clone()))
}

/// Goes through the variants; one that fails is told and counted, and the others go on.
fn each(
    pass: &mut Pass<'_>,
    project: &mut Project,
    named: &[String],
    variants: &[Variant],
    set: &dyn Fn(&mut Pipeline, &str, &str) -> Outcome,
    base: impl Fn(&Name) -> Option<Name>,
) -> Outcome {
    let context = pass.context();
    let mut runs: Vec<(String, RunId, _)> = Vec::new();
    let (mut failed, mut called) = (0, None);
    for Variant { settings, suffix, cell, .. } in variants {
        let mut told = Vec::new();
        for (key, value) in settings {
            set(&mut project.pipeline, key, value)?;
            told.push(format!("{key} {value}"));
        }
        context.ui.line(paint(DIM, told.join(", ")));
        let done = match pass.all(project, named) {
            Err(failure) if failure.is_no() => {
                let why = failure.message().unwrap_or("it failed");
                context.ui.line(format!("  {}", paint(BAD, why)));
                failed += 1;
                continue;
            }
            done => done.map_err(|failure| match runs.is_empty() {
                true => failure,
                false => failure.hint("what was done stays: the same command goes on from there"),
            })?,
        };
        let Some((step, id, run)) = done.into_iter().last() else { continue };
        called = base(&step);
        if let Some(base) = &called {
            pass.point(&Name::new(format!("{base}{suffix}"))?, id)?;
        }
        runs.push((cell.clone(), id, run));
    }
    seeds::grid(context, &runs, called.as_ref().map(Name::as_str));
    context.ui.answer(&json!(pass.answers()));
    match failed {
        0 => Ok(()),
        some => {
            let all = variants.len();
            Err(Failure::new(Exit::No, format!("{some} of {all} runs failed"))
                .hint("they are recorded, and `lab compare` counts them as runs without a score"))
        }
    }
}
