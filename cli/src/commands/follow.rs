//! `lab verify --bisect`, `--sample`, `--steps`: some steps of a training again, and where they part
//! from the record. No verdict comes of it, and nothing is recorded.

use std::path::PathBuf;
use std::time::Instant;

use lab_process::Echo;
use lab_replay::{Bench, Divergence, Segment, Training, is_training, redo, sample};
use lab_schema::{Recipe, Run, RunId};
use serde_json::{Value, json};

use super::trace::{Trace, Traced};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{names_of, resolve};
use crate::ui::{self, BAD, DIM, GOOD, HASH, NAME, paint};
use crate::wiring::Registry;

/// Tensors that are named.
const NAMED: usize = 3;

#[derive(clap::Args, Debug)]
pub(super) struct StepByStep {
    /// Of a training: stop at the first step that differs from the record, and name it
    #[arg(long, help_heading = "Trainings step by step", conflicts_with_all = ["deep", "show_output", "sample", "steps"])]
    bisect: bool,
    /// Of a training that kept checkpoints: redo a share of the segments between them, drawn at
    /// random
    #[arg(long, value_name = "SHARE", value_parser = share, help_heading = "Trainings step by step", conflicts_with_all = ["deep", "show_output", "steps"])]
    sample: Option<f64>,
    /// Of a training: redo these steps, both included
    #[arg(long, value_name = "A..B", value_parser = steps, help_heading = "Trainings step by step", conflicts_with_all = ["deep", "show_output"])]
    steps: Option<Segment>,
    /// Write a line for each operation of these steps; if the file is there, compare with it and
    /// name the first operation that differs
    #[arg(long, value_name = "FILE", requires = "steps", help_heading = "Trainings step by step")]
    trace_ops: Option<PathBuf>,
}

impl StepByStep {
    pub(super) fn is_given(&self) -> bool {
        self.bisect || self.sample.is_some() || self.steps.is_some()
    }
}

/// `10%` or `0.1`.
fn share(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    match number {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("a share is meant, as 10% or 0.1".to_owned()),
    }
}

/// `101..200`, from 1, both included; or one step.
fn steps(text: &str) -> Result<Segment, String> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    match (number(from), number(to.trim_start_matches('='))) {
        (Some(from @ 1..), Some(to)) if from <= to => Ok(Segment { from: from - 1, to }),
        _ => Err("steps are meant, as 101..200; the first is 1".to_owned()),
    }
}

pub(super) fn run(
    context: &Context,
    registry: &Registry,
    references: &[String],
    args: &StepByStep,
) -> Outcome {
    if references.len() > 1 {
        return Err(Failure::usage("one training at a time is followed step by step"));
    }
    let lineage = registry.lineage()?;
    let scratch = registry.scratch()?;
    let (who, bars) = (registry.who(), Bars::new(context.ui));
    let bench = Bench {
        store: &registry.store,
        lineage: &lineage,
        scratch: &scratch,
        who: &who,
        progress: &bars,
        echo: Echo::Quiet,
        twice: false,
    };
    let asked = resolve(&registry.store, &references[0])?.run(&lineage)?;
    let id = training(&bench, asked)?;
    let training = Training::load(&bench, id)?;
    let follow = training.follow(&registry.store)?;
    let (all, steps) = (follow.segments(), follow.steps());
    let chosen = match (args.sample, args.steps) {
        (Some(_), _) if all.len() < 2 => {
            return Err(Failure::usage(format!("{} kept no checkpoints to begin at", id.short()))
                .hint("run it with `--set train.checkpoint_every=N`; `--bisect` begins at the first step"));
        }
        (Some(share), _) => sample(&all, share),
        (None, Some(asked)) if asked.to > steps => {
            return Err(Failure::usage(format!(
                "{} has {steps} steps, not {}",
                id.short(),
                asked.to
            )));
        }
        (None, Some(asked)) => vec![asked],
        (None, None) => vec![Segment { from: 0, to: steps }],
    };
    let clock = Instant::now();
    let mut trace = match (&args.trace_ops, args.steps) {
        (Some(path), Some(segment)) => Some(Trace::open(path, id, segment)?),
        _ => None,
    };
    let (done, found) = match &mut trace {
        Some(trace) => redo(&bench, &follow, &chosen, Some(&mut |line: &str| trace.take(line)))?,
        None => redo(&bench, &follow, &chosen, None)?,
    };
    let traced = trace.map(Trace::close).transpose()?;
    let operation = traced.as_ref().and_then(|traced| traced.differs.as_ref());
    let holds = found.is_none() && operation.is_none();
    let mut redone: u64 = chosen[..done].iter().map(|segment| segment.to - segment.from).sum();
    if let (Some(found), Some(last)) = (&found, chosen[..done].last()) {
        redone -= last.to.saturating_sub(found.noted.max(found.step));
    }
    let told = Told {
        id,
        names: names_of(&registry.store, id.into())?.iter().map(ToString::to_string).collect(),
        holds,
        steps,
        segments: all.len(),
        redone,
        done,
        took_ms: clock.elapsed().as_millis() as u64,
    };
    bars.suspend(|| tell(context, args, &told, found.as_ref(), traced.as_ref()));
    context.ui.answer(&json!({
        "run": id.to_string(),
        "follows": holds,
        "steps": steps,
        "redone": redone,
        "segments": chosen[..done].iter().map(|s| json!([s.from + 1, s.to])).collect::<Vec<_>>(),
        "first_step": found.as_ref().map(divergence_json),
        "operations": traced.as_ref().map(|traced| traced.lines),
        "first_operation": operation.map(|(theirs, here)| json!({ "file": theirs, "here": here })),
    }));
    if holds { Ok(()) } else { Err(Failure::no()) }
}

/// The training that is meant: the run itself, or the one that an evaluation's model came from.
fn training(bench: &Bench<'_>, asked: RunId) -> Outcome<RunId> {
    for id in bench.lineage.chain(asked)?.into_iter().rev() {
        let run: Option<Run> = bench.store.get(id)?;
        let recipe: Option<Recipe> = match run {
            Some(run) => bench.store.get(run.recipe)?,
            None => None,
        };
        if recipe.as_ref().is_some_and(is_training) {
            return Ok(id);
        }
    }
    Err(Failure::usage(format!("{} is no training, nor made by one", asked.short()))
        .hint("`lab verify` without these options does any run again as a whole"))
}

/// What came of following a record.
struct Told {
    id: RunId,
    names: Vec<String>,
    holds: bool,
    steps: u64,
    segments: usize,
    /// Steps redone, and segments.
    redone: u64,
    done: usize,
    took_ms: u64,
}

fn tell(
    context: &Context,
    args: &StepByStep,
    told: &Told,
    found: Option<&Divergence>,
    traced: Option<&Traced>,
) {
    let ui = &context.ui;
    let redone = told.redone;
    let part = match args.sample {
        Some(_) => format!(", {} of {} segments", told.done, told.segments),
        None => String::new(),
    };
    let word = if told.holds { paint(GOOD, "follows") } else { paint(BAD, "parts") };
    ui.line(format!(
        "{}  {}   {word}   redid {redone} of {}{part} in {}",
        paint(HASH, told.id.short()),
        paint(NAME, told.names.join(", ")),
        ui::count(told.steps, "step"),
        ui::duration(told.took_ms),
    ));
    if let Some(found) = found {
        ui.line(format!("  {}       {}", paint(DIM, "first"), divergence(found)));
    }
    if let Some(Traced { lines, path, differs, wrote }) = traced {
        let path = path.display();
        let operations = ui::count(*lines, "operation");
        let label = paint(DIM, "traced");
        match differs {
            None if *wrote => ui.line(format!("  {label}      {operations}, written to {path}")),
            None => ui.line(format!("  {label}      {operations}, all as in {path}")),
            Some((theirs, here)) => {
                ui.line(format!("  {label}      the first that differs, after {operations}:"));
                ui.line(format!("    {path}: {theirs}"));
                ui.line(format!("    here: {here}"));
            }
        }
    }
    match (found, args.sample) {
        (Some(found), _) if traced.is_none() => hint(context, &told.id.short(), Some(found)),
        (None, Some(_)) if told.done < told.segments => ui.note(format!(
            "a record with one wrong segment would have passed with a chance of {} in {}",
            told.segments - told.done,
            told.segments
        )),
        _ => {}
    }
    if told.holds && traced.is_none() {
        ui.note("nothing is recorded of this; `lab verify` does all of it and leaves a verdict");
    }
}

/// Where a training parts from its record.
pub(super) fn divergence(d: &Divergence) -> String {
    let tensors = match d.tensors.as_slice() {
        [] => String::new(),
        names if names.len() > NAMED => {
            let rest = ui::count((names.len() - NAMED) as u64, "more tensor");
            format!("; after step {} {} and {rest} differ", d.noted, names[..NAMED].join(", "))
        }
        [one] => format!("; after step {} {one} differs", d.noted),
        names => format!("; after step {} {} differ", d.noted, names.join(", ")),
    };
    format!("step {} of {}: {} {} → {}{tensors}", d.step, d.steps, d.what, d.expected, d.actual)
}

/// How to find the operation.
pub(super) fn hint(context: &Context, run: &str, found: Option<&Divergence>) {
    let Some(found) = found else { return };
    let steps = format!("{}..{}", found.since + 1, found.step);
    context.ui.hint(format!(
        "`lab verify {run} --steps {steps} --trace-ops FILE` writes down each operation; the same \
         with that FILE on the other machine names the first that differs"
    ));
}

pub(super) fn divergence_json(d: &Divergence) -> Value {
    json!({
        "step": d.step,
        "since": d.since,
        "steps": d.steps,
        "what": d.what,
        "expected": d.expected,
        "actual": d.actual,
        "tensors": d.tensors,
        "noted": d.noted,
    })
}
