//! `lab show`

use std::collections::{BTreeMap, BTreeSet};

use lab_objects::ObjectsError;
use lab_replay::observations;
use lab_schema::observed::Seeded;
use lab_schema::{
    Aliases, Attestation, Completeness, Executor, ObjectId, Recipe, RecipeId, Run, RunId,
    Signature, Signed, Tree,
};
use lab_trust::Judgement;
use serde_json::{Value, json};

use super::{curve, describe, eval, log, why};
use crate::at_hand::resolve_at_hand;
use crate::context::Context;
use crate::failure::Outcome;
use crate::resolve::names_of;
use crate::trust::{self, Believed};
use crate::ui::{self, BAD, DIM, HASH, NAME, paint};
use crate::wiring::Registry;

/// Describe an object: a run with all that its record says, a recipe, a file, a directory
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What to describe
    #[arg(value_name = "REF")]
    reference: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let resolved = resolve_at_hand(context, &registry, &args.reference)?;
    let names: Vec<String> =
        names_of(&registry.store, resolved.id)?.iter().map(ToString::to_string).collect();
    let head = format!("{} {}", resolved.id.kind(), paint(HASH, resolved.id.digest()));
    context.ui.line(if names.is_empty() {
        head
    } else {
        format!("{head}  {}", paint(NAME, names.join(", ")))
    });
    let mut answer = match resolved.id {
        ObjectId::Blob(id) => {
            let size = registry.store.size(id)?.ok_or(ObjectsError::Missing { id: id.into() })?;
            context.ui.line(format!("  size      {} ({size} bytes)", ui::bytes(size)));
            json!({ "size": size })
        }
        ObjectId::Tree(id) => {
            let tree: Tree = registry.store.load(id)?;
            let (entries, size) = (tree.entries().len() as u64, tree.total_bytes());
            context.ui.line(format!(
                "  holds     {}, {} in all",
                ui::count(entries, "direct entry").replace("entrys", "entries"),
                ui::bytes(size)
            ));
            json!({ "entries": entries, "size": size })
        }
        ObjectId::Recipe(id) => show_recipe(context, &registry, id)?,
        ObjectId::Run(id) => show_run(context, &registry, id)?,
        ObjectId::Attestation(id) => {
            let mut answer = show_attestation(context, &registry.store.load(id)?);
            let lineage = registry.lineage()?;
            let believed = Believed::here(context, &registry);
            let all = believed.of(&registry, &lineage, Signed::Attestation(id))?;
            answer["signatures"] = signed(context, &all);
            answer
        }
        ObjectId::Signature(id) => show_signature(context, &registry, &registry.store.load(id)?),
        ObjectId::Evaluation(id) => eval::tell(context, &registry, &registry.store.load(id)?)?,
        ObjectId::Aliases(id) => show_aliases(context, &registry, &registry.store.load(id)?)?,
    };
    answer["imported"] = imported(context, &registry, resolved.id)?;
    if resolved.id.content().is_some() {
        context.ui.hint(format!("`lab why {}` tells where it comes from", args.reference));
    }
    answer["id"] = json!(resolved.id.digest().to_string());
    answer["object"] = json!(resolved.id.kind().as_str());
    answer["names"] = json!(names);
    context.ui.answer(&answer);
    Ok(())
}

/// How many seeds of a generator are shown.
const FEW: usize = 8;

/// What the program told and in which lines, by kind (none: a seed) and name.
type Seeds = BTreeMap<(&'static str, String), Vec<(String, String)>>;

fn seeds(context: &Context, registry: &Registry, run: &Run) -> Seeds {
    let mut all = Seeds::new();
    let Some(id) = run.outcome.observed else { return all };
    let observed = match observations(&registry.store, id) {
        Ok(observed) => observed,
        // All else of the record can be shown.
        Err(error) => {
            context.ui.note(error);
            return all;
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
    for told in &observed.seeds {
        let (kind, what) = Seeded::kind(told);
        let key = (kind.unwrap_or_default(), text(what));
        all.entry(key).or_default().push((text(&told.value), text(&told.place)));
    }
    for seeds in all.values_mut() {
        // As numbers, where they are.
        seeds.sort_by_key(|(value, _)| (value.parse::<u128>().unwrap_or(u128::MAX), value.clone()));
    }
    all
}

fn show_run(context: &Context, registry: &Registry, id: RunId) -> Outcome<Value> {
    let run: Run = registry.store.load(id)?;
    let outcome = &run.outcome;
    let lineage = registry.lineage()?;
    let believed = Believed::here(context, registry);
    let verified = log::verification(registry, &lineage, &believed, id)?;
    let ended = describe::status(&outcome.status);
    let ended = if outcome.status.is_success() { ended } else { paint(BAD, ended) };
    context.ui.line(match outcome.started_ms {
        0 => format!("  ran       at an unknown time: {ended}"),
        ms => format!(
            "  ran       {} by {}: {ended} after {}",
            ui::iso(ms),
            ui::plain(&run.who),
            ui::duration(outcome.duration_ms)
        ),
    });
    context.ui.line(format!(
        "  attested  {}",
        if verified.text.is_empty() { "not yet" } else { &verified.text }
    ));
    for line in &verified.lines {
        context.ui.line(format!("            {line}"));
    }
    let signatures = signed(context, &believed.of(registry, &lineage, Signed::Run(id))?);
    context.ui.line(format!(
        "  record    {}",
        match &outcome.completeness {
            Completeness::Complete => "complete: names everything that was read".to_owned(),
            Completeness::Declared =>
                "what was declared; nobody watched what else was read".to_owned(),
            Completeness::Incomplete(why) => paint(BAD, format!("incomplete: {why}")),
        }
    ));
    if let Some(parent) = run.parent {
        let name = names_of(&registry.store, parent.into())?.first().map(ToString::to_string);
        let name = paint(NAME, name.unwrap_or_default());
        context.ui.line(format!("  forked    from {}  {name}", paint(HASH, parent.short())));
    }
    for (slot, content) in &outcome.outputs {
        let size = describe::sized(&registry.store, *content)?;
        let short = paint(HASH, content.short());
        context.ui.line(format!("  output    {short}  {slot}  {size}"));
    }
    for (key, value) in &outcome.metrics {
        context.ui.line(format!("  metric    {key} = {}", value.get()));
    }
    for (title, curve) in curve::curves(&registry.store, &run) {
        context.ui.line(format!("  {title:<9} {curve}"));
    }
    if let Some(observed) = outcome.observed {
        let size = describe::sized(&registry.store, observed.into())?;
        context.ui.line(format!(
            "  touched   {}  modes, times, links, absences, listings, programs, chance  {size}",
            paint(HASH, observed.short()),
        ));
    }
    let seeds = seeds(context, registry, &run);
    for ((kind, what), all) in &seeds {
        let values: Vec<&str> = all.iter().map(|(value, _)| value.as_str()).take(FEW).collect();
        let more = all.len() - values.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let places: BTreeSet<&str> = all.iter().map(|(_, place)| place.as_str()).collect();
        let place = places.into_iter().take(3).collect::<Vec<_>>().join(", ");
        let word = if kind.is_empty() { "seeded    " } else { "told      " };
        let text = format!("{kind} {what}: {}{more}", values.join(", "));
        context.ui.line(format!("  {word}{}  {}", text.trim_start(), paint(DIM, place)));
    }
    for (log, blob) in &outcome.logs {
        let (size, name) =
            (describe::sized(&registry.store, (*blob).into())?, format!("{log:?}").to_lowercase());
        if size != ui::bytes(0) {
            context.ui.line(format!("  log       {}  {name}  {size}", paint(HASH, blob.short())));
        }
    }
    if let Some(peak) = outcome.peak_memory_bytes {
        context.ui.line(format!("  memory    {} at most", ui::bytes(peak)));
    }
    if !outcome.unrecorded_variables.is_empty() {
        context.ui.line(format!(
            "  saw       {} (values not recorded)",
            outcome.unrecorded_variables.join(", ")
        ));
    }
    context.ui.line(format!(
        "  machine   {}{}",
        why::machine(&run),
        if run.host.cpu.is_empty() { String::new() } else { format!(" ({})", run.host.cpu) }
    ));
    for (key, value) in &run.outcome.params {
        context.ui.line(format!("  param     {key} = {value}"));
    }
    if let Some(git) = &run.git {
        let commit = git.commit.as_deref().unwrap_or("none yet");
        let dirty = if git.dirty.is_empty() {
            "clean".to_owned()
        } else {
            format!("{} not committed", ui::count(git.dirty.len() as u64, "file"))
        };
        context.ui.line(format!(
            "  git       {commit} {}, {dirty}",
            git.branch.as_deref().unwrap_or("(no branch)")
        ));
    }
    context.ui.line(format!("recipe {}", paint(HASH, run.recipe)));
    let recipe = show_recipe(context, registry, run.recipe)?;
    let mut answer = describe::run_json(id, &run);
    let (mut given, mut told) = (Vec::new(), Vec::new());
    for ((kind, what), all) in &seeds {
        let list = if kind.is_empty() { &mut given } else { &mut told };
        list.extend(all.iter().map(
            |(value, place)| json!({ "kind": kind, "what": what, "value": value, "place": place }),
        ));
    }
    answer["seeds"] = Value::Array(given);
    answer["told"] = Value::Array(told);
    answer["recipe_body"] = recipe;
    answer["attestations"] = Value::Array(verified.all);
    answer["signatures"] = signatures;
    Ok(answer)
}

/// Says who signed something, a line each; for programs the same.
fn signed(context: &Context, all: &[Judgement]) -> Value {
    if all.is_empty() {
        context.ui.line("  trust     not signed");
    }
    for judgement in all {
        context.ui.line(format!("  trust     {}", trust::painted(judgement)));
    }
    all.iter().map(trust::json_of).collect()
}

fn show_signature(context: &Context, registry: &Registry, signature: &Signature) -> Value {
    let of = ObjectId::from(signature.of());
    let judgement = Believed::here(context, registry).judge(signature);
    context.ui.line(format!("  of        {} {}", of.kind(), paint(HASH, of.digest())));
    context.ui.line(format!("  when      {}, as it says", ui::iso(signature.signed_ms())));
    context.ui.line(format!("  key       {} {}", judgement.kind, judgement.fingerprint));
    context.ui.line(format!("  trust     {}", trust::painted(&judgement)));
    let (namespace, message) = (signature.of().namespace(), signature.message());
    context.ui.hint(format!(
        "OpenSSH checks it: `lab cat {} > sig; echo '{}' | ssh-keygen -Y verify -f ALLOWED -I WHO -n {namespace} -s sig`",
        judgement.id.short(),
        message.trim_end(),
    ));
    let mut answer = trust::json_of(&judgement);
    answer["of"] = json!({ "object": of.kind().as_str(), "id": of.digest().to_string() });
    answer["message"] = json!(message);
    answer["namespace"] = json!(namespace);
    answer
}

fn show_recipe(context: &Context, registry: &Registry, id: RecipeId) -> Outcome<Value> {
    let recipe: Recipe = registry.store.load(id)?;
    let mut answer = json!({});
    match recipe.executor() {
        Executor::Command(command) => {
            context.ui.line(format!("  command   {}", describe::command_line(&command.argv)));
            if let Some(directory) = &command.directory {
                context.ui.line(format!("  in        {directory}/"));
            }
            for (name, value) in &command.variables {
                context.ui.line(format!("  variable  {name}={}", value.escape_debug()));
            }
            answer["argv"] = json!(command.argv);
            if let Some(place) = &command.place {
                context.ui.line(format!(
                    "  place     {}, user {}, {}",
                    place.project,
                    place.user,
                    ui::count(place.cpus.into(), "processor")
                ));
                answer["place"] = json!(place.project);
            }
            answer["directory"] = json!(command.directory);
            answer["variables"] = json!(command.variables);
        }
        Executor::Tensor(tensor) => {
            context.ui.line(format!("  stage     {} on engine {}", tensor.stage, tensor.engine));
            answer["stage"] = json!(tensor.stage);
            answer["engine"] = json!(tensor.engine);
        }
    }
    if let Some(code) = recipe.code() {
        context.ui.line(format!("  code      {}", paint(HASH, code.short())));
        answer["code"] = json!(code.to_string());
    }
    if let Some(environment) = recipe.environment() {
        context.ui.line(format!("  system    {}", paint(HASH, environment.short())));
        answer["environment"] = json!(environment.to_string());
    }
    for (slot, content) in recipe.reads() {
        context.ui.line(format!("  input     {}  {slot}", paint(HASH, content.short())));
    }
    for (key, value) in recipe.params() {
        context.ui.line(format!("  param     {key} = {value}"));
    }
    if let Some(seed) = recipe.seed() {
        context.ui.line(format!("  seed      {seed}"));
    }
    let limits = recipe.limits();
    if let Some(ms) = limits.wall_ms {
        context.ui.line(format!("  limit     {} of time", ui::duration(ms)));
    }
    if let Some(bytes) = limits.memory_bytes {
        context.ui.line(format!("  limit     {} of memory", ui::bytes(bytes)));
    }
    let inputs: serde_json::Map<String, Value> =
        recipe.reads().map(|(slot, content)| (slot, describe::content_json(content))).collect();
    answer["inputs"] = Value::Object(inputs);
    answer["params"] = json!(recipe.params());
    answer["seed"] = json!(recipe.seed());
    answer["outputs"] = json!(recipe.outputs().keys().collect::<Vec<_>>());
    answer["limits"] = json!({ "wall_ms": limits.wall_ms, "memory_bytes": limits.memory_bytes });
    Ok(answer)
}

fn show_attestation(context: &Context, attestation: &Attestation) -> Value {
    context.ui.line(format!("  of run    {}", paint(HASH, attestation.run)));
    context.ui.line(format!("  verdict   {}", attestation.verdict));
    context.ui.line(format!(
        "  by        {} at {}, {}, {}",
        ui::plain(&attestation.who),
        ui::iso(attestation.started_ms),
        ui::duration(attestation.duration_ms),
        if attestation.sealed { "sealed" } else { "not sealed" }
    ));
    for d in &attestation.differences {
        let at = d.at.as_deref().unwrap_or("");
        context.ui.line(format!("  differs   {}  {at}  {} → {}", d.output, d.expected, d.actual));
    }
    json!({
        "run": attestation.run.to_string(), "verdict": attestation.verdict.word(), "who": attestation.who,
        "started": ui::iso(attestation.started_ms), "duration_ms": attestation.duration_ms, "sealed": attestation.sealed,
        "differences": attestation.differences.iter().map(describe::difference_json).collect::<Vec<_>>(),
    })
}

/// From where something was imported, and by how many digests it and what is in it are found.
fn imported(context: &Context, registry: &Registry, id: ObjectId) -> Outcome<Value> {
    let mut all = Vec::new();
    for (_, aliases) in registry.store.aliases()? {
        if ObjectId::from(aliases.of) == id {
            let known_as = registry.store.read_aliases(aliases.table)?;
            let whole = known_as.iter().filter(|(_, of)| *of == aliases.of);
            let whole: Vec<String> = whole.map(|(alias, _)| alias.to_string()).collect();
            context.ui.line(format!(
                "  imported  from {} ({}), with {}",
                aliases.from.escape_debug(),
                aliases.origin.escape_debug(),
                ui::count(known_as.len() as u64, "digest")
            ));
            for alias in &whole {
                context.ui.line(format!("  known as  {}", paint(HASH, alias)));
            }
            let (from, origin) = (aliases.from, aliases.origin);
            all.push(json!({ "from": from, "origin": origin, "digests": known_as.len(), "known_as": whole }));
        }
    }
    Ok(Value::Array(all))
}

fn show_aliases(context: &Context, registry: &Registry, aliases: &Aliases) -> Outcome<Value> {
    let digests = registry.store.read_aliases(aliases.table)?.len();
    context.ui.line(format!("  of        {}", aliases.of));
    context.ui.line(format!(
        "  from      {} ({})",
        aliases.from.escape_debug(),
        aliases.origin.escape_debug()
    ));
    context.ui.line(format!(
        "  table     {}  {}",
        paint(HASH, aliases.table.short()),
        ui::count(digests as u64, "digest")
    ));
    Ok(json!({
        "of": aliases.of.digest().to_string(), "from": aliases.from, "origin": aliases.origin,
        "table": aliases.table.to_string(), "digests": digests,
    }))
}
