//! Running a tensor program: each stage is a run of its own, and one whose recipe has been run
//! before is not run again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use lab_objects::{NameKind, Silent};
use lab_process::Echo;
use lab_replay::{Bench, Origin, cached, execute_resuming, record};
use lab_schema::{ContentId, Name, Object, ObjectId, Recipe, Run, RunId, Signed, Slot};
use lab_tensor::{Program, Source, Stage};
use serde_json::{Value, json};

use super::super::{baselines, curve, describe, name};
use super::at_once::{Turns, at_once, lock};
use super::seeds::Variant;
use super::{Args, inputs, key_value, seeds};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome, io_failure};
use crate::trust;
use crate::ui::{self, DIM, HASH, NAME, pad, paint};
use crate::wiring::Registry;

/// What stands before the name of a baseline.
pub(super) const BASELINE: &str = "baseline:";

pub(super) fn run(context: &Context, args: &Args, path: &Path, name: Option<Name>) -> Outcome {
    let registry = context.registry_to_write()?;
    let mut program = read(context, args, path)?;
    let bars = Bars::new(context.ui);
    let sources = sources(context, &registry, path, &mut program, &bars)?;
    // What is named by its hash may be about to be removed.
    let given: Vec<ObjectId> = sources.values().map(|(content, _)| (*content).into()).collect();
    registry.store.rescue(&given)?;
    let variants = seeds::variants(&args.axes(), args.seeds.as_ref(), args.folds)?;
    let jobs = args.jobs().min(variants.len());
    let running = Running {
        context,
        args,
        path,
        registry: &registry,
        bars: &bars,
        sources,
        turns: Turns::default(),
        shown: Mutex::new(()),
        asks: Mutex::new(()),
    };
    let mut answers = Vec::new();
    if variants.is_empty() {
        drop(
            running
                .stages(&program, name.as_ref(), &mut answers, &mut |line| running.say(&line))?,
        );
    } else {
        let set = |settings: &[(String, String)]| -> Outcome<Program> {
            let mut program = program.clone();
            let set: Vec<(&str, &str)> =
                settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            program.set_all(&set)?;
            Ok(program)
        };
        // What cannot be set is found before anything runs.
        variants.iter().try_for_each(|variant| set(&variant.settings).map(drop))?;
        let one = |at: usize| {
            let Variant { settings, suffix, fold, .. } = &variants[at];
            let program = set(settings)?;
            let name =
                name.as_ref().map(|base| Name::new(format!("{base}{suffix}"))).transpose()?;
            let (mut answers, mut lines) = (Vec::new(), Vec::new());
            // Lines of several are not mixed.
            let mut say = |line: String| match jobs {
                1 => running.say(&line),
                _ => lines.push(line),
            };
            if let Some((fold, of)) = fold {
                say(paint(DIM, format!("fold {fold} of {of}")));
            }
            let last = running.stages(&program, name.as_ref(), &mut answers, &mut say)?;
            if let Some((fold, _)) = fold {
                answers.iter_mut().for_each(|answer| answer["fold"] = json!(fold));
            }
            Ok((last, answers, lines))
        };
        let tell =
            |(.., lines): &(_, _, Vec<String>)| lines.iter().for_each(|line| running.say(line));
        let mut runs = Vec::new();
        for ((last, told, _), variant) in
            at_once(variants.len(), jobs, one, tell)?.into_iter().zip(&variants)
        {
            answers.extend(told);
            runs.extend(last.map(|(id, run)| (variant.cell.clone(), id, run)));
        }
        seeds::grid(context, &runs, name.as_ref().map(Name::as_str));
    }
    context.ui.answer(&json!(answers));
    if let (Some(name), false) = (&name, args.are_many()) {
        context.ui.hint(format!("`lab verify {name} --deep` does it all again, `lab graph {name}` shows where it comes from"));
    }
    Ok(())
}

/// A program that is being run.
struct Running<'a> {
    context: &'a Context,
    args: &'a Args,
    path: &'a Path,
    registry: &'a Registry,
    bars: &'a Bars,
    sources: BTreeMap<Slot, Given>,
    /// Who does which recipe, if several go on at once.
    turns: Turns,
    /// Held by the one whose progress is shown: bars of several would be drawn over each other.
    shown: Mutex<()>,
    /// Held by the one who may be asked for a passphrase.
    asks: Mutex<()>,
}

/// A content, and the run that it was taken from, if that was said.
type Given = (ContentId, Option<RunId>);

impl Running<'_> {
    /// Prints a line without tearing a bar.
    fn say(&self, line: &str) {
        self.bars.suspend(|| self.context.ui.line(line));
    }

    /// The run of a recipe: one that is there, unless all are to be done again, or a new one; and which it is.
    fn done(&self, recipe: &Recipe, origin: Origin) -> Outcome<(RunId, Run, bool)> {
        let turn = self.turns.of(recipe.id());
        let _held = lock(&turn);
        let registry = self.registry;
        let lineage = registry.lineage()?;
        if !self.args.again
            && let Some(id) = cached(&registry.store, &lineage, recipe.id())?
        {
            return Ok((id, registry.store.load(id)?, true));
        }
        let (scratch, who) = (registry.scratch()?, registry.who());
        let shown = self.shown.try_lock().ok();
        let bench = Bench {
            store: &registry.store,
            lineage: &lineage,
            scratch: &scratch,
            who: &who,
            progress: if shown.is_some() { self.bars } else { &Silent },
            echo: Echo::Quiet,
            twice: false,
        };
        let outcome = execute_resuming(&bench, recipe)?.outcome;
        let (id, run) = record(&registry.store, &lineage, &who, recipe, outcome, origin)?;
        Ok((id, run, false))
    }

    /// Runs the stages that have to be run; the last one.
    fn stages(
        &self,
        program: &Program,
        name: Option<&Name>,
        answers: &mut Vec<Value>,
        say: &mut dyn FnMut(String),
    ) -> Outcome<Option<(RunId, Run)>> {
        let registry = self.registry;
        let stages = program.stages();
        let width = stages.iter().map(|s| s.name().len()).max().unwrap_or(0)
            + name.map_or(0, |n| n.as_str().len() + 1);
        let mut made: BTreeMap<&str, (RunId, Run)> = BTreeMap::new();
        let mut last = None;
        for (place, stage) in stages.iter().enumerate() {
            let given = gather(stage, &self.sources, &made)?;
            let said = given
                .iter()
                .filter_map(|(slot, (_, maker))| Some((slot.to_string(), [(*maker)?].into())));
            let origin = Origin { makers: said.collect(), ..Origin::default() };
            let inputs = given.into_iter().map(|(slot, (content, _))| (slot, content)).collect();
            let recipe = stage.recipe(inputs)?;
            let (id, run, reused) = self.done(&recipe, origin)?;
            let signature = match reused {
                true => Value::Null,
                // ssh-keygen may ask for something.
                false => {
                    let _asks = lock(&self.asks);
                    self.bars
                        .suspend(|| trust::sign_recorded(self.context, registry, Signed::Run(id)))
                }
            };
            let is_last = place + 1 == stages.len();
            let stage_name = name.map(|name| stage_name(name, stage, is_last)).transpose()?;
            if let Some(stage_name) = &stage_name {
                let why = format!("lab run {}", self.path.display());
                name::point(self.context, registry, stage_name, id.into(), NameKind::Result, &why)?;
            }
            let label = stage_name.as_ref().map_or(stage.name(), Name::as_str);
            say(line(id, &run, label, width, reused));
            if !reused && !self.args.are_many() {
                for (title, curve) in curve::curves(&registry.store, &run) {
                    say(format!("  {title:<9} {curve}"));
                }
            }
            let mut answer = describe::run_json(id, &run);
            answer["stage"] = json!(stage.name());
            answer["name"] = json!(stage_name);
            answer["signature"] = signature;
            answer["reused"] = Value::Bool(reused);
            answers.push(answer);
            last = Some((id, run.clone()));
            made.insert(stage.name(), (id, run));
        }
        Ok(last)
    }
}

/// Reads the program and changes the settings and inputs that the command line names.
fn read(context: &Context, args: &Args, path: &Path) -> Outcome<Program> {
    let mut program = match path.to_str().and_then(|word| word.strip_prefix(BASELINE)) {
        Some(name) => Program::parse(baselines::find(name)?.text)?,
        None => read_file(context, path)?,
    };
    let seed = args.seed.map(|seed| seed.to_string());
    let mut settings: Vec<(&str, &str)> =
        args.settings.iter().map(|setting| key_value(setting)).collect::<Outcome<_>>()?;
    settings.extend(seed.as_deref().map(|seed| ("seed", seed)));
    let set = ["prepare.folds", "prepare.fold"];
    if let Some((key, _)) =
        settings.iter().find(|(key, _)| args.folds.is_some() && set.contains(key))
    {
        return Err(Failure::usage(format!("--folds sets {key}, and so does --set"))
            .hint("`--folds 5` alone runs all five folds, one after the other"));
    }
    settings.iter().try_for_each(|(key, _)| args.refuse_twice(key))?;
    program.set_all(&settings)?;
    let mut typed = BTreeSet::new();
    for input in &args.inputs {
        let only = program.inputs().keys().next().filter(|_| program.inputs().len() == 1);
        let (slot, reference) = match (input.split_once('='), only) {
            (Some((slot, reference)), _) => (slot.to_owned(), reference),
            (None, Some(slot)) => (slot.to_string(), input.as_str()),
            (None, None) => {
                let names: Vec<&str> = program.inputs().keys().map(Slot::as_str).collect();
                let names = names.join(", ");
                return Err(Failure::usage(format!("which input of the program is '{input}'?"))
                    .hint(format!("say so, as in `-i NAME={input}`; they are {names}")));
            }
        };
        program.read_from(&slot, reference)?;
        if !typed.insert(slot.clone()) {
            return Err(Failure::usage(format!("input {slot} is given twice")));
        }
    }
    Ok(program)
}

fn read_file(context: &Context, path: &Path) -> Outcome<Program> {
    let at = context.path(path);
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let text = std::fs::read_to_string(&at).map_err(|error| {
        let failure = io_failure("read", path, &error);
        if is_toml {
            failure
        } else {
            failure.hint(format!(
                "a command comes after two dashes: `lab run -- {} …`",
                path.display()
            ))
        }
    })?;
    Program::parse(&text).map_err(|error| {
        let failure = Failure::from(error);
        if is_toml {
            failure
        } else {
            failure.hint(format!("to run it as a command: `lab run -- ./{}`", path.display()))
        }
    })
}

/// Finds the program's inputs: names and hashes, or paths beside the program.
fn sources(
    context: &Context,
    registry: &Registry,
    path: &Path,
    program: &mut Program,
    bars: &Bars,
) -> Outcome<BTreeMap<Slot, Given>> {
    let at = context.path(path);
    let beside = match path.to_str().is_some_and(|word| word.starts_with(BASELINE)) {
        true => None,
        false => at.parent(),
    };
    if beside.is_none() {
        // A baseline names all that it could read; what it can do without is read if it was typed.
        let inputs: Vec<Slot> = program.inputs().keys().cloned().collect();
        for slot in inputs.iter().filter(|slot| !program.is_typed(slot)).collect::<Vec<_>>() {
            program.forget(slot);
        }
    }
    let mut sources = BTreeMap::new();
    let read: BTreeSet<Slot> = program.stages().iter().flat_map(Stage::sources).collect();
    for (slot, reference) in program.inputs().iter().filter(|(slot, _)| read.contains(*slot)) {
        // What was typed is meant from where it was typed.
        let folder = match program.is_typed(slot) {
            true => &*context.directory,
            false => beside.unwrap_or(&context.directory),
        };
        let found = inputs::find(registry, folder, &format!("{slot}={reference}"), bars)?;
        if let Some(note) = &found.note {
            context.ui.note(note);
        }
        sources.insert(slot.clone(), (found.content, found.maker));
    }
    Ok(sources)
}

/// The inputs of a stage: of the program's, and of what earlier stages made.
fn gather(
    stage: &Stage,
    sources: &BTreeMap<Slot, Given>,
    made: &BTreeMap<&str, (RunId, Run)>,
) -> Outcome<BTreeMap<Slot, Given>> {
    let mut inputs = BTreeMap::new();
    for input in stage.inputs() {
        let content = match &input.from {
            Source::Program(slot) => sources.get(slot).copied(),
            Source::Stage { stage, output } => made
                .get(stage)
                .and_then(|(id, run)| Some((*run.outcome.outputs.get(output)?, Some(*id)))),
        };
        let content = content.ok_or_else(|| {
            Failure::usage(format!(
                "stage {} needs '{}', which nothing provides",
                stage.name(),
                input.slot
            ))
        })?;
        inputs.insert(input.slot, content);
    }
    Ok(inputs)
}

/// `base` for the last stage, `base.train` for an earlier one.
fn stage_name(name: &Name, stage: &Stage, last: bool) -> Outcome<Name> {
    if last { Ok(name.clone()) } else { Ok(Name::new(format!("{name}.{}", stage.name()))?) }
}

fn line(id: RunId, run: &Run, label: &str, width: usize, reused: bool) -> String {
    let time = if reused { "as before".to_owned() } else { ui::duration(run.outcome.duration_ms) };
    let outputs: Vec<&str> = run.outcome.outputs.keys().map(Slot::as_str).collect();
    let metrics = describe::metrics(run);
    let gap = if metrics.is_empty() { "" } else { "   " };
    format!(
        "{}  {}  {}  {metrics}{gap}{}",
        paint(HASH, id.short()),
        pad(NAME, label, width),
        pad(DIM, &time, 9),
        paint(DIM, outputs.join(", ")),
    )
}
