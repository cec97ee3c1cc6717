//! Bringing the steps of a `lab.toml` up to date.
//!
//! A step that would find everything as a recorded run found it is not run again: its outputs are put
//! back where they are missing. Any other runs, and it is said what is not as it was.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use lab_lineage::Lineage;
use lab_objects::NameKind;
use lab_pipeline::{Pinned, Step, in_order};
use lab_process::{
    Change, Echo, Here, Intent, Standing, can_watch, execute_here, plan_here,
    with_portable_variables,
};
use lab_replay::{Stands, record, stands};
use lab_schema::{Completeness, Name, Run, RunId, Signed, Slot};
use serde_json::{Value, json};

use super::super::pattern;
use super::super::{describe, name};
use super::command::{recorded, shortened, summed};
use super::lasts::{Lasts, directory};
use super::put_back::put_back;
use super::wanted::wanted;
use super::{Args, key_value, seeds, variants};
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::project::{Project, wrong};
use crate::trust;
use crate::ui::{self, DIM, HASH, NAME, pad, paint};
use crate::wiring::Registry;

/// The parameter that `--seed` sets.
const SEED: &str = "seed";

/// Runs the steps that are `named`, and those that they need; all if none is named.
pub(super) fn run(context: &Context, args: &Args, named: &[String], to: Option<Name>) -> Outcome {
    refuse_unwatched()?;
    let registry = context.registry_to_write()?;
    let mut project = Project::find(context, &registry, named)?;
    let declared = project.folder.join("lab.toml");
    let set = |project: &mut Project, key: &str, value: &str| {
        project.pipeline.set(key, value).map_err(|e| wrong(&declared, &e))
    };
    for setting in &args.settings {
        let (key, value) = key_value(setting)?;
        args.refuse_twice(key)?;
        set(&mut project, key, value)?;
    }
    if let Some(seed) = args.seed {
        set(&mut project, SEED, &seed.to_string())?;
    }
    if project.pipeline.steps.is_empty() {
        return Err(Failure::usage(format!("{} declares no step", declared.display()))
            .hint("a step is: [[step]] name = \"train\" run = \"python train.py\""));
    }
    let variants = seeds::variants(&args.axes(), args.seeds.as_ref(), None)?;
    let mut pass = Pass::new(context, args, &registry, Sort::Step)?;
    if !variants.is_empty() {
        return variants::steps(&mut pass, &mut project, named, &variants, to.as_ref());
    }
    let is_variant = !args.settings.is_empty() || args.seed.is_some();
    pass.moves = (!is_variant).then_some(Moves::Names).or(to.clone().map(Moves::Last));
    let last = pass.all(&mut project, named)?;
    if let (Some(name), Some((_, id, _))) = (&to, last.last())
        && matches!(pass.moves, Some(Moves::Names))
    {
        pass.point(name, *id)?;
    }
    context.ui.answer(&json!(pass.answers));
    if args.dry_run && pass.stale { Err(Failure::no()) } else { Ok(()) }
}

/// Refuses to run steps where what they read cannot be watched.
pub(super) fn refuse_unwatched() -> Outcome {
    can_watch().map_err(|why| {
        Failure::new(Exit::Refused, format!("steps cannot be watched here: {why}"))
            .hint("`lab run -- COMMAND` runs a single command, and records what it is given")
    })
}

/// Steps and the runs that they stand for, in the order in which they were brought up to date.
pub(super) type Done = Vec<(Name, RunId, Run)>;

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Steps that are declared in a lab.toml.
    Step,
    /// A command that was typed.
    Command,
}

/// Which names move.
enum Moves {
    /// That of each step, and its place in `lab.lock`.
    Names,
    /// This one, to the result of the last step: it is no result of what is declared.
    Last(Name),
}

/// What is needed to go through the steps.
pub(super) struct Pass<'a> {
    context: &'a Context,
    args: &'a Args,
    registry: &'a Registry,
    lineage: Lineage,
    lasts: Lasts,
    moves: Option<Moves>,
    answers: Vec<Value>,
    /// Whether something would have had to run.
    stale: bool,
    sort: Sort,
}

impl<'a> Pass<'a> {
    /// Moves no name.
    pub(super) fn new(
        context: &'a Context,
        args: &'a Args,
        registry: &'a Registry,
        sort: Sort,
    ) -> Outcome<Pass<'a>> {
        let (lineage, lasts) = (registry.lineage()?, Lasts::default());
        let (answers, stale, moves) = (Vec::new(), false, None);
        Ok(Pass { context, args, registry, lineage, lasts, moves, answers, stale, sort })
    }

    pub(super) fn context(&self) -> &'a Context {
        self.context
    }

    /// What was done so far, for programs.
    pub(super) fn answers(&self) -> &[Value] {
        &self.answers
    }

    /// Brings the named steps and what they need up to date, and says what each stands for.
    pub(super) fn all(&mut self, project: &mut Project, named: &[String]) -> Outcome<Done> {
        let mut done = self.once(project, named)?;
        // Only a run tells what a step reads. If one read what a later one has made since, the order
        // is known now.
        for _ in 0..project.pipeline.steps.len() {
            let known = self.lasts.edges(project);
            let at = |name: &Name| done.iter().position(|(step, ..)| step == name);
            if known.iter().all(|(cause, effect)| at(effect).is_none() || at(cause) < at(effect)) {
                break;
            }
            self.context.ui.note("a step read what a later one made: once more, in that order");
            done = self.once(project, named)?;
        }
        if let (Some(Moves::Last(name)), Some((_, id, _))) = (&self.moves, done.last()) {
            self.point(name, *id)?;
        }
        if let Some((path, one, other)) = self.lasts.shared(project) {
            let path = path.display();
            self.context.ui.note(format!(
                "both '{one}' and '{other}' leave '{path}': it is that of whichever came last"
            ));
        }
        Ok(done)
    }

    /// Goes through the steps once, in the order that is known so far.
    fn once(&mut self, project: &mut Project, named: &[String]) -> Outcome<Done> {
        let pipeline = project.pipeline.clone();
        let declared = project.folder.join("lab.toml");
        for step in &pipeline.steps {
            self.lasts.remember(&self.registry.store, project, step)?;
        }
        let known = self.lasts.edges(project);
        let order = in_order(&pipeline, &known).map_err(|error| {
            wrong(&declared, &error)
                .hint("each reads what another makes: join them, or let one write elsewhere")
        })?;
        let order = wanted((&pipeline, &declared), order, &known, named)?;
        let width = order.iter().map(|step| step.name.as_str().len()).max().unwrap_or(0);
        let mut done = Vec::new();
        // Steps that would have run, and so perhaps those after them.
        let mut open: BTreeSet<Name> = BTreeSet::new();
        for (at, step) in order.iter().enumerate() {
            let later = order[at + 1..].iter().flat_map(|later| self.lasts.made(project, later));
            let later: BTreeSet<PathBuf> = later.collect();
            let before = known.iter().filter(|(_, effect)| *effect == step.name);
            let waits = before.map(|(cause, _)| cause).find(|cause| open.contains(*cause));
            match self.one(project, step, &later, width, waits)? {
                Some((id, run)) => done.push((step.name.clone(), id, run)),
                None => {
                    open.insert(step.name.clone());
                }
            }
        }
        Ok(done)
    }

    /// One step; none if it would have to run, and nothing is to run.
    fn one(
        &mut self,
        project: &mut Project,
        step: &Step,
        later: &BTreeSet<PathBuf>,
        width: usize,
        waits: Option<&Name>,
    ) -> Outcome<Option<(RunId, Run)>> {
        let (context, registry) = (self.context, self.registry);
        let directory = directory(project, step);
        if !directory.is_dir() {
            let what = format!("step '{}' starts in {}", step.name, directory.display());
            return Err(Failure::not_found(format!("{what}, which is no folder")));
        }
        let ours = [project.lock_path()];
        let argv = step.argv();
        let scratch = registry.scratch()?;
        let mut variables = recorded(context, &self.args.variables)?;
        variables.extend(step.variables.clone());
        let portable = self.args.portable || project.pipeline.portable;
        let variables = if portable { with_portable_variables(variables) } else { variables };
        let (program, probe) = (registry.program(), registry.probe());
        let here = Here {
            store: &registry.store,
            cache: registry.stat_cache(),
            argv: &argv,
            directory: &directory,
            top: registry.folder.parent().unwrap_or(&project.folder),
            registry: &registry.folder,
            ours: &ours,
            variables,
            params: step.params.clone(),
            seed: step.seed(),
            outputs: step.outputs.clone(),
            limits: step.limits,
            level: super::level(project.pipeline.level),
            scratch: &scratch,
            echo: if context.ui.json { Echo::Quiet } else { Echo::Through },
            probe: project.pipeline.probe.then_some(probe.as_path()),
            guardian: program.as_deref(),
        };
        let title = pad(NAME, step.name.as_str(), width);
        if let Some(cause) = waits {
            let why = format!("depends on what {cause} leaves");
            context.ui.line(format!("{title}  may run   {}", paint(DIM, &why)));
            self.answers.push(json!({ "step": step.name, "reused": null, "why": [why] }));
            return Ok(None);
        }
        let known = self.known(&here, step, later)?;
        let changes = match known {
            Stands::Yes { run: id, standing } if !self.args.again => {
                let run: Run = registry.store.load(id)?;
                let back = match self.args.dry_run {
                    true => Vec::new(),
                    false => put_back(context, registry, &directory, &run)?,
                };
                self.stands(&title, id, &run, &standing, &back);
                let mut answer = describe::run_json(id, &run);
                answer["step"] = json!(step.name);
                answer["reused"] = Value::Bool(true);
                answer["why"] = json!([describe::standing(&standing)]);
                self.answers.push(answer);
                self.done(project, step, id, &run)?;
                return Ok(Some((id, run)));
            }
            Stands::Yes { .. } => {
                vec![Change::new("nothing", "changed, and --again was given")]
            }
            Stands::No { changes } => changes,
        };
        let why: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let shown = paint(DIM, why.join("; "));
        let listed = changes.iter().find_map(|change| change.entry.as_ref());
        if self.args.dry_run {
            context.ui.line(format!("{title}  would run   {shown}"));
            self.answers.push(json!({ "step": step.name, "reused": false, "why": why }));
            self.stale = true;
            self.suggest(step, listed);
            return Ok(None);
        }
        context.ui.line(format!("{title}  runs   {shown}"));
        self.suggest(step, listed);
        let watched = execute_here(here)?;
        let (outcome, git) = (watched.execution.outcome, watched.git);
        let (id, run) =
            record(&registry.store, &self.lineage, &registry.who(), &watched.recipe, outcome, git)?;
        let signature = trust::sign_recorded(context, registry, Signed::Run(id));
        for note in &watched.execution.notes {
            context.ui.note(note);
        }
        let success = run.outcome.status.is_success();
        let result = match success {
            true => describe::metrics(&run),
            false => describe::status(&run.outcome.status),
        };
        let mut parts = vec![paint(HASH, id.short()), paint(NAME, &step.name)];
        parts.push(ui::duration(run.outcome.duration_ms));
        parts.extend((!result.is_empty()).then_some(result));
        context.ui.line(parts.join("   "));
        context.ui.line(format!("  read     {}", summed(&watched.summary, &run, context)));
        let wrote: Vec<&str> = run.outcome.outputs.keys().map(Slot::as_str).collect();
        let wrote = if wrote.is_empty() { "nothing".to_owned() } else { shortened(&wrote) };
        context.ui.line(format!("  wrote    {wrote}"));
        let mut answer = describe::run_json(id, &run);
        answer["step"] = json!(step.name);
        answer["signature"] = signature;
        answer["reused"] = Value::Bool(false);
        answer["why"] = json!(why);
        self.answers.push(answer);
        if let Completeness::Incomplete(why) = &run.outcome.completeness {
            context.ui.note(format!("the record is incomplete, so that it runs each time: {why}"));
        }
        if !success {
            let status = describe::status(&run.outcome.status);
            if self.sort == Sort::Command {
                return Err(Failure::new(Exit::No, format!("the command {status}")));
            }
            return Err(Failure::new(Exit::No, format!("step '{}' {status}", step.name))
                .hint(format!("the run is kept: `lab show {}`", id.short()))
                .hint("steps after it did not run; `lab run` goes on from here"));
        }
        self.lasts.insert(step.name.clone(), (id, run.clone(), watched.recipe));
        self.lineage.refresh(&registry.store)?;
        self.done(project, step, id, &run)?;
        Ok(Some((id, run)))
    }

    /// What to do if a file that came or went does not matter.
    fn suggest(&self, step: &Step, listed: Option<&String>) {
        let Some(listed) = listed.filter(|_| self.sort == Sort::Step) else { return };
        self.context.ui.hint(format!(
            "if '{listed}' does not matter to '{}': `ignore = [{listed:?}]` in lab.toml, or a pattern",
            step.name
        ));
    }

    /// Whether a recorded run stands for the step.
    fn known(&self, here: &Here<'_>, step: &Step, later: &BTreeSet<PathBuf>) -> Outcome<Stands> {
        let planned = plan_here(here)?;
        let mut ours = here.ours.to_vec();
        ours.push(here.registry.to_owned());
        let patterns = &step.ignore;
        let ignored = |name: &OsStr| {
            let name = name.to_string_lossy();
            patterns.iter().any(|p| pattern::matches(p, &name))
        };
        let intent = Intent {
            command: planned.command(),
            declared: &planned.declared,
            directory: &planned.directory,
            ours: &ours,
            made: later,
            ignored: &ignored,
        };
        let mut cache = self.registry.stat_cache();
        let last = self.lasts.id(&step.name);
        let found = stands(&self.registry.store, &self.lineage, &mut cache, &intent, last)?;
        cache.save()?;
        Ok(found)
    }

    fn stands(&self, title: &str, id: RunId, run: &Run, standing: &Standing, back: &[String]) {
        let metrics = describe::metrics(run);
        let gap = if metrics.is_empty() { "" } else { "   " };
        let mut why = describe::standing(standing);
        if !back.is_empty() {
            let names: Vec<&str> = back.iter().map(String::as_str).collect();
            why.push_str(&format!("; put back {}", shortened(&names)));
        }
        self.context.ui.line(format!(
            "{}  {title}  as before   {metrics}{gap}{}",
            paint(HASH, id.short()),
            paint(DIM, why)
        ));
    }

    /// Moves a step's name and its place in `lab.lock`, if it ran as it is declared.
    fn done(&mut self, project: &mut Project, step: &Step, id: RunId, run: &Run) -> Outcome {
        if !matches!(self.moves, Some(Moves::Names)) || self.args.dry_run {
            return Ok(());
        }
        self.point(&step.name, id)?;
        let pinned = Pinned { run: id, outputs: run.outcome.outputs.clone() };
        let mut steps = project.lock.steps.clone();
        steps.insert(step.name.clone(), pinned);
        steps.retain(|name, _| project.pipeline.get(name).is_some());
        if steps != project.lock.steps {
            project.lock.steps = steps;
            project.write_lock()?;
        }
        Ok(())
    }

    pub(super) fn point(&self, name: &Name, id: RunId) -> Outcome {
        if self.args.dry_run {
            return Ok(());
        }
        name::point(self.context, self.registry, name, id.into(), NameKind::Result, "lab run")
    }
}
