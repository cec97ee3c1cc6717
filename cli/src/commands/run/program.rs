//! Running a tensor program: each stage is a run of its own, and one whose recipe has been run
//! before is not run again.

use std::collections::BTreeMap;
use std::path::Path;

use lab_objects::NameKind;
use lab_process::Echo;
use lab_replay::{Bench, cached, execute, record};
use lab_schema::{ContentId, Name, Object, Run, RunId, Slot};
use lab_tensor::{Program, Source, Stage};
use serde_json::{Value, json};

use super::super::{describe, name};
use super::{Args, inputs, key_value};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome, io_failure};
use crate::ui::{self, DIM, HASH, NAME, pad, paint};
use crate::wiring::Registry;

pub(super) fn run(context: &Context, args: &Args, path: &Path, name: Option<Name>) -> Outcome {
    let registry = context.registry_to_write()?;
    let program = read(context, args, path)?;
    let bars = Bars::new(context.ui);
    let sources = sources(context, &registry, path, &program, &bars)?;
    // What is named by its hash may be about to be removed.
    registry.store.rescue(&sources.values().map(|id| (*id).into()).collect::<Vec<_>>())?;
    let lineage = registry.lineage()?;
    let scratch = registry.scratch()?;
    let who = registry.who();
    let bench = Bench {
        store: &registry.store,
        lineage: &lineage,
        scratch: &scratch,
        who: &who,
        progress: &bars,
        echo: Echo::Quiet,
        twice: false,
    };
    let stages = program.stages();
    let width = stages.iter().map(|s| s.name().len()).max().unwrap_or(0)
        + name.as_ref().map_or(0, |n| n.as_str().len() + 1);
    let mut made: BTreeMap<&str, Run> = BTreeMap::new();
    let mut answers = Vec::new();
    for (place, stage) in stages.iter().enumerate() {
        let recipe = stage.recipe(gather(stage, &sources, &made)?)?;
        let reusable =
            if args.again { None } else { cached(&registry.store, &lineage, recipe.id())? };
        let (id, run, reused) = match reusable {
            Some(id) => (id, registry.store.load::<Run>(id)?, true),
            None => {
                let execution = execute(&bench, &recipe)?;
                let (id, run) = record(&registry.store, &who, &recipe, execution.outcome, None)?;
                (id, run, false)
            }
        };
        let stage_name = name
            .as_ref()
            .map(|name| stage_name(name, stage, place + 1 == stages.len()))
            .transpose()?;
        if let Some(stage_name) = &stage_name {
            let why = format!("lab run {}", path.display());
            name::point(context, &registry, stage_name, id.into(), NameKind::Result, &why)?;
        }
        bars.suspend(|| {
            tell(
                context,
                id,
                &run,
                stage_name.as_ref().map_or(stage.name(), Name::as_str),
                width,
                reused,
            )
        });
        let mut answer = describe::run_json(id, &run);
        answer["stage"] = json!(stage.name());
        answer["name"] = json!(stage_name);
        answer["reused"] = Value::Bool(reused);
        answers.push(answer);
        made.insert(stage.name(), run);
    }
    context.ui.answer(&json!(answers));
    if let Some(name) = &name {
        context.ui.hint(format!("`lab verify {name} --deep` does it all again, `lab graph {name}` shows where it comes from"));
    }
    Ok(())
}

/// Reads the program and changes the settings that the command line names.
fn read(context: &Context, args: &Args, path: &Path) -> Outcome<Program> {
    let at = context.path(path);
    let text = std::fs::read_to_string(&at).map_err(|error| {
        let failure = io_failure("read", path, &error);
        if path.extension().is_some_and(|e| e == "toml") {
            failure
        } else {
            failure.hint(format!(
                "a command comes after two dashes: `lab run -- {} …`",
                path.display()
            ))
        }
    })?;
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let mut program = Program::parse(&text).map_err(|error| {
        let failure = Failure::from(error);
        if is_toml {
            failure
        } else {
            failure.hint(format!("to run it as a command: `lab run -- ./{}`", path.display()))
        }
    })?;
    for setting in &args.settings {
        let (key, value) = key_value(setting)?;
        program.set(key, value)?;
    }
    if let Some(seed) = args.seed {
        program.set("seed", &seed.to_string())?;
    }
    Ok(program)
}

/// Finds the program's inputs: names and hashes, or paths beside the program.
fn sources(
    context: &Context,
    registry: &Registry,
    path: &Path,
    program: &Program,
    bars: &Bars,
) -> Outcome<BTreeMap<Slot, ContentId>> {
    let at = context.path(path);
    let folder = at.parent().unwrap_or(&context.directory);
    let mut sources = BTreeMap::new();
    for (slot, reference) in program.inputs() {
        let found = inputs::find(registry, folder, &format!("{slot}={reference}"), bars)?;
        if let Some(note) = &found.note {
            context.ui.note(note);
        }
        sources.insert(slot.clone(), found.content);
    }
    Ok(sources)
}

/// The inputs of a stage: of the program's, and of what earlier stages made.
fn gather(
    stage: &Stage,
    sources: &BTreeMap<Slot, ContentId>,
    made: &BTreeMap<&str, Run>,
) -> Outcome<BTreeMap<Slot, ContentId>> {
    let mut inputs = BTreeMap::new();
    for input in stage.inputs() {
        let content = match &input.from {
            Source::Program(slot) => sources.get(slot),
            Source::Stage { stage, output } => {
                made.get(stage).and_then(|run| run.outcome.outputs.get(output))
            }
        };
        let content = content.ok_or_else(|| {
            Failure::usage(format!(
                "stage {} needs '{}', which nothing provides",
                stage.name(),
                input.slot
            ))
        })?;
        inputs.insert(input.slot, *content);
    }
    Ok(inputs)
}

/// `base` for the last stage, `base.train` for an earlier one.
fn stage_name(name: &Name, stage: &Stage, last: bool) -> Outcome<Name> {
    if last { Ok(name.clone()) } else { Ok(Name::new(format!("{name}.{}", stage.name()))?) }
}

fn tell(context: &Context, id: RunId, run: &Run, label: &str, width: usize, reused: bool) {
    let time = if reused { "as before".to_owned() } else { ui::duration(run.outcome.duration_ms) };
    let outputs: Vec<&str> = run.outcome.outputs.keys().map(Slot::as_str).collect();
    let metrics = describe::metrics(run);
    let gap = if metrics.is_empty() { "" } else { "   " };
    context.ui.line(format!(
        "{}  {}  {}  {metrics}{gap}{}",
        paint(HASH, id.short()),
        pad(NAME, label, width),
        pad(DIM, &time, 9),
        paint(DIM, outputs.join(", ")),
    ));
}
