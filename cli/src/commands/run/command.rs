//! Running a command.

use std::collections::BTreeMap;
use std::path::Path;

use lab_objects::NameKind;
use lab_process::{
    Echo, Execution, Here, Job, Plain, Seen, Summary, Traced, Watched, can_watch, capture_code,
    execute, execute_here, is_secret, recorded_variables, unrecordable_variables,
    with_own_variables,
};
use lab_replay::{Makers, Origin, record};
use lab_schema::recipe::Parts;
use lab_schema::{Command, Completeness, Executor, Name, Output, Recipe, Run, RunId, Signed, Slot};
use serde_json::{Value, json};

use super::super::{describe, name, verify};
use super::{Args, inputs};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::trust;
use crate::ui::{self, BAD, HASH, NAME, paint};
use crate::wiring::Registry;

/// A command that names its inputs runs in a folder of its own; any other runs here, watched.
pub(super) fn run(context: &Context, args: &Args, name: Option<Name>) -> Outcome {
    let watched = can_watch();
    if let Err(why) = &watched {
        context.ui.note(format!(
            "what the command reads cannot be watched here ({why}): only its code and inputs are recorded, and it runs in a folder of its own"
        ));
    }
    match watched.is_ok() && args.inputs.is_empty() && !args.apart {
        true => here(context, args, name),
        false => apart(context, args, name, watched.is_ok()),
    }
}

/// Runs the command where it lies, and writes down what it touches.
fn here(context: &Context, args: &Args, name: Option<Name>) -> Outcome {
    let registry = context.registry_to_write()?;
    let scratch = registry.scratch()?;
    // With --json standard output belongs to the answer.
    let echo = if context.ui.json { Echo::Quiet } else { Echo::Through };
    let (program, probe) = (registry.program(), registry.probe());
    let done = execute_here(Here {
        store: &registry.store,
        cache: registry.stat_cache(),
        argv: &args.command,
        directory: &context.directory,
        top: registry.folder.parent().unwrap_or(&context.directory),
        registry: &registry.folder,
        ours: &[],
        variables: args.pinned(recorded(context, &args.variables)?),
        params: BTreeMap::new(),
        seed: None,
        outputs: outputs(args)?,
        limits: args.limits(),
        level: args.level(),
        scratch: &scratch,
        echo,
        probe: (!args.no_probe).then_some(probe.as_path()),
        guardian: program.as_deref(),
    })?;
    let Watched { recipe, execution: Execution { outcome, undeclared, notes, .. }, git, summary } =
        done;
    let (id, run) =
        record(&registry.store, &registry.lineage()?, &registry.who(), &recipe, outcome, git)?;
    for note in &notes {
        context.ui.note(note);
    }
    let read = summed(&summary, &run, context);
    tell(
        context,
        &registry,
        &recipe,
        id,
        &run,
        Told { read, here: true, undeclared: &undeclared, check: args.check },
        name,
    )
}

/// What was read, in a line.
pub(super) fn summed(summary: &Summary, run: &Run, context: &Context) -> String {
    let mut parts = Vec::new();
    let files = summary.data + summary.outside.len() as u64;
    if files > 0 {
        let mut data = ui::count(files, "data file");
        let outside: Vec<String> = summary.outside.iter().map(|path| context.shown(path)).collect();
        if !outside.is_empty() {
            let names: Vec<&str> = outside.iter().map(String::as_str).collect();
            let count = outside.len();
            data.push_str(&format!(
                " ({count} outside the project: {})",
                shortened(&names).escape_debug()
            ));
        }
        parts.push(data);
    }
    if !summary.code.is_empty() {
        let mut code = ui::count(summary.code.len() as u64, "code file");
        // Of what is not committed, only that which was used can matter.
        let used = |path: &&str| summary.code.iter().any(|code| code == Path::new(path));
        let dirty = run.git.iter().flat_map(|git| git.dirty.iter().map(String::as_str));
        let dirty: Vec<&str> = dirty.filter(used).collect();
        if !dirty.is_empty() {
            code.push_str(&format!(" (not committed: {})", shortened(&dirty).escape_debug()));
        }
        parts.push(code);
    }
    parts.push(format!("environment of {}", ui::count(summary.environment, "file")));
    parts.join(", ")
}

/// Runs the command in a folder of its own that holds the code and the named inputs.
fn apart(context: &Context, args: &Args, name: Option<Name>, watched: bool) -> Outcome {
    let registry = context.registry_to_write()?;
    let bars = Bars::new(context.ui);
    let (mut found, mut makers) = (BTreeMap::new(), Makers::new());
    for typed in &args.inputs {
        let input = inputs::find(&registry, &context.directory, typed, &bars)?;
        if let Some(note) = &input.note {
            context.ui.note(note);
        }
        if let Some(maker) = input.maker {
            makers.insert(input.slot.to_string(), [maker].into());
        }
        if found.insert(input.slot.clone(), input.content).is_some() {
            return Err(Failure::usage(format!("two inputs would lie at '{}'", input.slot))
                .hint("say where each shall lie, as in `-i a=REF -i b=REF`"));
        }
    }
    // What is named by its hash may be about to be removed.
    registry.store.rescue(&found.values().map(|id| (*id).into()).collect::<Vec<_>>())?;
    let mut writer = registry.store.writer();
    let captured = capture_code(&mut writer, &context.directory, &args.command)?;
    for note in &captured.notes {
        context.ui.note(note);
    }
    let recipe = Recipe::new(Parts {
        executor: Executor::Command(Command {
            argv: args.command.clone(),
            directory: captured.directory.clone(),
            variables: with_own_variables(
                args.pinned(recorded(context, &args.variables)?),
                args.level(),
                std::env::vars_os(),
            ),
            place: None,
        }),
        inputs: found,
        outside: BTreeMap::new(),
        code: captured.tree,
        environment: None,
        params: BTreeMap::new(),
        seed: None,
        outputs: outputs(args)?,
        limits: args.limits(),
    })?;
    writer.finish()?;
    drop(bars);

    let scratch = registry.scratch()?;
    // With --json standard output belongs to the answer.
    let echo = if context.ui.json { Echo::Quiet } else { Echo::Through };
    let cache = registry.stat_cache_path();
    let (program, probe) = (registry.program(), registry.probe());
    let job = Job {
        store: &registry.store,
        recipe: &recipe,
        scratch: &scratch,
        echo,
        watcher: if watched { &Traced } else { &Plain },
        cache: Some(&cache),
        guardian: program.as_deref(),
        probe: (watched && !args.no_probe).then_some(probe.as_path()),
    };
    let Execution { outcome, undeclared, notes, seen, .. } = execute(&job)?;
    let environment = seen.as_ref().map(|seen| seen.summary.environment);
    let recipe = match seen {
        Some(seen) => completed(&recipe, seen)?,
        None => recipe,
    };
    let origin = Origin { git: captured.git, parent: None, makers };
    let lineage = registry.lineage()?;
    let (id, run) = record(&registry.store, &lineage, &registry.who(), &recipe, outcome, origin)?;
    for note in &notes {
        context.ui.note(note);
    }
    let code = match (&run.git, recipe.code()) {
        (_, None) => "no code recorded".to_owned(),
        (None, Some(_)) => "code without git".to_owned(),
        (Some(git), Some(_)) if git.dirty.is_empty() => "code at a clean commit".to_owned(),
        (Some(git), Some(_)) => {
            let dirty: Vec<&str> = git.dirty.iter().map(String::as_str).collect();
            let count = ui::count(dirty.len() as u64, "file");
            format!("code with {count} not committed ({})", shortened(&dirty).escape_debug())
        }
    };
    let mut read = format!("{}, {code}", ui::count(recipe.inputs().len() as u64, "named input"));
    if !recipe.outside().is_empty() {
        let names: Vec<String> = recipe.outside().keys().map(|slot| format!("/{slot}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        read.push_str(&format!(", and data that nobody named: {}", shortened(&names)));
    }
    if let Some(files) = environment {
        read.push_str(&format!(", environment of {}", ui::count(files, "file")));
    }
    tell(
        context,
        &registry,
        &recipe,
        id,
        &run,
        Told { read, here: false, undeclared: &undeclared, check: args.check },
        name,
    )
}

/// The recipe with what the command was seen to use.
fn completed(recipe: &Recipe, seen: Seen) -> Outcome<Recipe> {
    let mut parts = recipe.to_parts();
    if let Executor::Command(command) = &mut parts.executor {
        command.place = seen.place;
    }
    (parts.environment, parts.outside) = (seen.environment, seen.outside);
    Ok(Recipe::new(parts)?)
}

/// What a person is told beside the record.
struct Told<'a> {
    /// What was read.
    read: String,
    /// Whether the command ran where its files lie, and the outputs are there.
    here: bool,
    undeclared: &'a [Slot],
    /// Whether it is done again at once.
    check: bool,
}

/// Names the run and says what came of it.
fn tell(
    context: &Context,
    registry: &Registry,
    recipe: &Recipe,
    id: RunId,
    run: &Run,
    told: Told<'_>,
    name: Option<Name>,
) -> Outcome {
    let success = run.outcome.status.is_success();
    let argv = describe::action(recipe);
    let signature = trust::sign_recorded(context, registry, Signed::Run(id));
    // A failed run keeps its record, and the name keeps pointing at what worked.
    let wanted = name.clone();
    let name = name.filter(|_| success);
    if let Some(name) = &name {
        name::point(
            context,
            registry,
            name,
            id.into(),
            NameKind::Result,
            &format!("lab run -- {argv}"),
        )?;
    }
    let mut parts = vec![paint(HASH, id.short())];
    parts.extend(name.as_ref().map(|n| paint(NAME, n)));
    parts.push(ui::duration(run.outcome.duration_ms));
    parts.push(if success {
        describe::metrics(run)
    } else {
        paint(BAD, describe::status(&run.outcome.status))
    });
    parts.retain(|part| !part.is_empty());
    context.ui.line(parts.join("   "));
    context.ui.line(format!("  read     {}", told.read));
    let wrote: Vec<&str> = run.outcome.outputs.keys().map(Slot::as_str).collect();
    context.ui.line(format!(
        "  wrote    {}",
        if wrote.is_empty() { "nothing".to_owned() } else { shortened(&wrote) }
    ));
    if let Some(key) = signature["key"].as_str() {
        context.ui.line(format!("  signed   with {key}"));
    }
    if !told.undeclared.is_empty() {
        let names: Vec<&str> = told.undeclared.iter().map(Slot::as_str).collect();
        context.ui.note(format!(
            "also left, and not kept, since -o does not name it: {}",
            shortened(&names)
        ));
    }
    if let Completeness::Incomplete(why) = &run.outcome.completeness {
        context.ui.note(format!("the record is incomplete, so that it cannot be verified: {why}"));
    }
    let mut answer = describe::run_json(id, run);
    answer["name"] = json!(name);
    answer["signature"] = signature;
    answer["undeclared"] = json!(told.undeclared);
    answer["reused"] = Value::Bool(false);
    if success && told.check {
        let checked = verify::verified(context, registry, &[id], false, Echo::Quiet);
        let (holds, verified) =
            checked.map_err(|failure| failure.after("the run is recorded, and was not checked"))?;
        answer["verified"] = json!(verified);
        context.ui.answer(&answer);
        return if holds { Ok(()) } else { Err(Failure::no()) };
    }
    context.ui.answer(&answer);
    if success {
        let reference = name.map_or_else(|| id.short(), |n| n.to_string());
        let again = format!("`lab verify {reference}` does it again");
        if matches!(run.outcome.completeness, Completeness::Incomplete(_)) {
            return Ok(());
        }
        context.ui.hint(match told.here {
            true => format!("{again} from the record alone, in a sealed box"),
            false => format!("`lab get {reference}` writes the outputs here, {again}"),
        });
        return Ok(());
    }
    let failure =
        Failure::new(Exit::No, format!("the command {}", describe::status(&run.outcome.status)));
    let failure = match wanted {
        Some(name) => {
            failure.hint(format!("'{name}' was not moved: a name keeps pointing at what worked"))
        }
        None => failure,
    };
    Err(failure.hint(format!("the run is kept: `lab show {}`", id.short())))
}

pub(super) fn shortened(names: &[&str]) -> String {
    let mut shown = names.iter().take(6).copied().collect::<Vec<_>>().join(", ");
    if names.len() > 6 {
        shown.push_str(&format!(", and {} more", names.len() - 6));
    }
    shown
}

/// The declared outputs with their tolerances.
pub(super) fn outputs(args: &Args) -> Outcome<BTreeMap<Slot, Output>> {
    let mut outputs = BTreeMap::new();
    for typed in &args.outputs {
        let slot = Slot::new(typed.trim_end_matches('/')).map_err(|error| {
            Failure::from(error).hint(
                "outputs are relative to the folder that the command runs in, and stay inside it",
            )
        })?;
        outputs.insert(slot, Output::default());
    }
    for (slot, tolerance) in &args.tolerances {
        match outputs.get_mut(slot) {
            Some(output) => output.tolerance = Some(*tolerance),
            None => {
                return Err(Failure::usage(format!(
                    "--tolerance for '{slot}', which is not an output"
                ))
                .hint(format!("declare it: `-o {slot}`")));
            }
        }
    }
    Ok(outputs)
}

/// The environment variables whose values the recipe records.
pub(super) fn recorded(context: &Context, typed: &[String]) -> Outcome<BTreeMap<String, String>> {
    let mut variables = recorded_variables(std::env::vars_os());
    for typed in typed {
        let (name, value) = match typed.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (typed.as_str(), None),
        };
        if is_secret(name) {
            return Err(Failure::new(
                Exit::Refused,
                format!("'{name}' looks like a secret, and records are made to be shared"),
            )
            .hint("let the command read it from a file that is not an input"));
        }
        let value = match value {
            Some(value) => value,
            None => std::env::var(name).map_err(|_| {
                Failure::usage(format!("the environment variable '{name}' is not set"))
                    .hint(format!("`--env {name}=VALUE` sets it"))
            })?,
        };
        variables.insert(name.to_owned(), value);
    }
    let dropped = unrecordable_variables(std::env::vars_os());
    if !dropped.is_empty() {
        context.ui.note(format!(
            "not passed on, since their values cannot be recorded: {}",
            dropped.join(", ")
        ));
    }
    Ok(variables)
}
