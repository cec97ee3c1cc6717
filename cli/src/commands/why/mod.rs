//! `lab why`

mod folders;
mod way;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lab_lineage::{Lineage, Origin, Role};
use lab_objects::Move;
use lab_schema::{ContentId, Executor, Name, ObjectId, Recipe, Run, RunId};
use serde_json::{Value, json};

use super::{describe, log, page};
use crate::at_hand::resolve_at_hand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::Resolved;
use crate::trust::Believed;
use crate::ui::{self, BAD, HASH, NAME, paint};
use crate::wiring::Registry;
use folders::Folders;
use way::Way;

/// Tell where something comes from: the run that made it, from what, by what code, and the way from the data
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A file, a directory, an output or a run; or the path of a file here
    #[arg(value_name = "REF")]
    reference: String,
}

/// What a story is told from.
struct Story<'a> {
    context: &'a Context,
    registry: &'a Registry,
    lineage: &'a Lineage,
    believed: Believed,
    /// Names by what they point at.
    names: BTreeMap<ObjectId, Vec<String>>,
    /// The first move to each object.
    entered: BTreeMap<ObjectId, Entered>,
}

/// A move of a name.
struct Entered {
    when_ms: u64,
    version: String,
    kind: String,
    who: String,
    why: String,
    is_deleted: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let resolved = resolve_at_hand(context, &registry, &args.reference)?;
    let is_run = matches!(resolved.id, ObjectId::Run(_));
    if !is_run && resolved.id.content().is_none() {
        return Err(Failure::usage(format!(
            "'{}' is {}",
            args.reference,
            ui::a(resolved.id.kind())
        ))
        .hint("`lab show REF` describes it"));
    }
    let made_by = resolved.maker(&lineage)?;
    let what = resolved.leaf.clone().unwrap_or_else(|| resolved.id.short());
    let mut names: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    let journals = registry.store.names().journals()?;
    for (name, journal) in &journals {
        if let Some(target) = journal.last().and_then(|last| last.target) {
            names.entry(target).or_default().push(name.to_string());
        }
    }
    let story = Story {
        context,
        registry: &registry,
        lineage: &lineage,
        believed: Believed::here(context, &registry),
        names,
        entered: first_moves(&journals, resolved.name.as_ref()),
    };
    match made_by {
        Some(run) => story.made(&what, run, resolved.id),
        None => story.root(&what, &resolved),
    }
}

impl Story<'_> {
    /// What came out of a run.
    fn made(&self, what: &str, id: RunId, asked: ObjectId) -> Outcome {
        let ui = self.context.ui;
        let run: Run = self.registry.store.load(id)?;
        let recipe: Recipe = self.registry.store.load(run.recipe)?;
        let verified = log::verification(self.registry, self.lineage, &self.believed, id)?;
        let mut facts = self.names.get(&ObjectId::Run(id)).cloned().unwrap_or_default();
        facts.push(ui::ago(self.context.now_ms(), run.outcome.started_ms));
        if !run.outcome.status.is_success() {
            facts.push(paint(BAD, describe::status(&run.outcome.status)));
        }
        facts.push(if verified.text.is_empty() {
            "not verified yet".to_owned()
        } else {
            verified.text
        });
        let subject = if asked == ObjectId::Run(id) {
            "This is".to_owned()
        } else {
            format!("{} was made by", paint(NAME, what))
        };
        ui.line(format!("{subject} run {} ({})", paint(HASH, id.short()), facts.join(", ")));
        if let Some(others) = also_made(self.lineage, asked, id)? {
            ui.line(format!("  {others}"));
        }
        let way = Way::to(self, id)?;
        let read = way.read(id);
        let held = way.held(id, run.outcome.started_ms);
        let mut inputs = Vec::new();
        for Origin { role, content, makers } in read {
            let folder = held.get(content).map(|folder| folder.version.as_str());
            inputs.push(json!({
                "input": role.to_string(), "id": content.to_string(), "made_by": made_by(makers), "in": folder,
            }));
        }
        for line in self.inputs(read, &held)? {
            ui.line(format!("  from   {line}"));
        }
        ui.line(format!("  by     {}", describe::action(&recipe)));
        if let Executor::Command(_) = recipe.executor() {
            ui.line(format!("  code   {}", code(&recipe, &run)));
        }
        let params: Vec<String> =
            recipe.params().iter().map(|(key, value)| format!("{key} = {value}")).collect();
        for (first, line) in wrapped(&params).into_iter().enumerate() {
            ui.line(format!("  {:<6} {line}", if first == 0 { "with" } else { "" }));
        }
        ui.line(format!("  on     {}", machine(&run)));
        let sentences = way.sentences(self)?;
        if !sentences.is_empty() {
            ui.line("The way there:");
            if way.untold() > 0 {
                let earlier = ui::count(way.untold() as u64, "earlier step");
                ui.line(format!("  {earlier}: `lab graph` draws all"));
            }
            for sentence in sentences {
                ui.line(format!("  {sentence}"));
            }
        }
        let mut answer = describe::run_json(id, &run);
        answer["inputs"] = Value::Array(inputs);
        answer["action"] = json!(describe::action(&recipe));
        answer["attestations"] = Value::Array(verified.all);
        answer["way"] = Value::Array(way.json());
        ui.answer(&answer);
        Ok(())
    }

    /// What a run read, a line for each; of many that come from one place the first ones.
    fn inputs(&self, read: &[Origin], held: &HashMap<ContentId, &Entered>) -> Outcome<Vec<String>> {
        let mut places: Vec<(String, Vec<&Origin>)> = Vec::new();
        for origin in read {
            let place = match held.get(&origin.content) {
                Some(folder) => format!("in {}", self.said(folder)),
                None => self.origin(origin.content, &origin.makers)?,
            };
            match places.iter_mut().find(|(known, _)| *known == place) {
                Some((_, all)) => all.push(origin),
                None => places.push((place, vec![origin])),
            }
        }
        let mut lines = Vec::new();
        for (place, all) in places {
            let told = if all.len() > INPUTS + 1 { INPUTS } else { all.len() };
            for Origin { role, content, .. } in &all[..told] {
                let (id, role) = (paint(HASH, content.short()), paint(NAME, role));
                lines.push(format!("{id}  {role}  {place}"));
            }
            if told < all.len() {
                lines.push(format!("and {} more  {place}", all.len() - told));
            }
        }
        Ok(lines)
    }

    /// What no recorded run made.
    fn root(&self, what: &str, resolved: &Resolved) -> Outcome {
        let (ui, id) = (self.context.ui, resolved.id);
        let content = id.content().expect("only content has no run that made it");
        let entered = self.entered(id);
        ui.line(format!(
            "{} {}  was made by no recorded run",
            paint(HASH, id.short()),
            paint(NAME, what)
        ));
        let held = match &entered {
            Some(_) => None,
            None => self.held_in(content)?.map(|folder| format!("lies in {folder}")),
        };
        let came = entered.as_ref().or(held.as_ref());
        ui.line(format!("  {}", came.map_or("no name ever pointed at it", String::as_str)));
        let all = page::all_in(&self.registry.store, content)?;
        ui.line(format!("  read by {}", ui::count(self.lineage.count_readers(&all)?, "run")));
        if ui.json {
            let readers = self.lineage.readers(&all, None)?;
            let label = |role: &Role| match role {
                Role::Code => "code".to_owned(),
                role => role.to_string(),
            };
            let readers: Vec<Value> = readers
                .iter()
                .map(|c| json!({ "run": c.run.to_string(), "as": label(&c.role) }))
                .collect();
            ui.answer(&json!({
                "id": id.digest().to_string(), "made_by": null, "entered": entered, "in": held, "read_by": readers,
            }));
        }
        Ok(())
    }

    /// The folder that a name pointed at and in which a content lies, in words.
    fn held_in(&self, content: ContentId) -> Outcome<Option<String>> {
        let wanted = BTreeSet::from([content]);
        let folders = Folders::find(&self.registry.store, &self.entered, &wanted)?;
        let held = folders.of([content].into_iter(), self.context.now_ms());
        Ok(held.get(&content).map(|folder| self.said(folder)))
    }

    /// Where an input comes from, in a few words.
    fn origin(&self, content: ContentId, makers: &[RunId]) -> Outcome<String> {
        let [first, others @ ..] = makers else {
            let entered = self.entered(content.into());
            return Ok(entered.unwrap_or_else(|| "made by no recorded run".to_owned()));
        };
        let label = match self.names.get(&ObjectId::Run(*first)) {
            Some(names) => paint(NAME, names.join(", ")),
            None => match self.registry.store.get::<Run>(*first)? {
                Some(run) => {
                    let recipe: Option<Recipe> = self.registry.store.get(run.recipe)?;
                    recipe.map(|recipe| describe::action(&recipe)).unwrap_or_default()
                }
                None => String::new(),
            },
        };
        let beside = match others.len() {
            // One file can have been left by others as well; of a folder it is told who made its files.
            0 => also_made(self.lineage, content.into(), *first)?
                .map(|others| format!(" ({others})"))
                .unwrap_or_default(),
            1 => format!(", and by run {}", paint(HASH, others[0].short())),
            n => format!(", and by {n} other runs"),
        };
        Ok(format!("made by run {}  {label}{beside}", paint(HASH, first.short())))
    }

    /// The first move of a name to an object, in words.
    fn entered(&self, id: ObjectId) -> Option<String> {
        self.entered.get(&id).map(|entered| self.said(entered))
    }

    /// A move of a name, in words.
    fn said(&self, entered: &Entered) -> String {
        let Entered { when_ms, version, kind, who, why, is_deleted } = entered;
        let ago = ui::ago(self.context.now_ms(), *when_ms);
        let (who, why) = (ui::plain(who), ui::plain(why));
        let why = if why.is_empty() { why } else { format!(": {why}") };
        let gone = if *is_deleted { "; the name has been deleted since" } else { "" };
        format!("{version} ({kind}), {ago} by {who}{why}{gone}")
    }

    /// The first version of a name that an object was.
    fn version_of(&self, id: ObjectId) -> Option<&str> {
        self.entered.get(&id).map(|entered| entered.version.as_str())
    }
}

/// The first move of any name to each object: of the name that was typed, if that was one of them, and rather of
/// one that is still there.
fn first_moves(
    journals: &[(Name, Vec<Move>)],
    typed: Option<&Name>,
) -> BTreeMap<ObjectId, Entered> {
    let mut first: BTreeMap<ObjectId, ((bool, bool, u64), Entered)> = BTreeMap::new();
    for (name, journal) in journals {
        let is_deleted = journal.last().is_none_or(|last| last.target.is_none());
        for (index, moved) in journal.iter().enumerate() {
            let Some(target) = moved.target else { continue };
            let order = (typed != Some(name), is_deleted, moved.when_ms);
            if first.get(&target).is_some_and(|(known, _)| *known <= order) {
                continue;
            }
            let entered = Entered {
                when_ms: moved.when_ms,
                version: format!("{name}@v{}", index + 1),
                kind: moved.kind.to_string(),
                who: moved.who.clone(),
                why: moved.why.clone(),
                is_deleted,
            };
            first.insert(target, (order, entered));
        }
    }
    first.into_iter().map(|(id, (_, entered))| (id, entered)).collect()
}

/// Inputs from one place that are told.
const INPUTS: usize = 5;
/// Columns that facts take in a line.
const COLUMNS: usize = 88;

/// As many as fit into each line, with commas between.
fn wrapped(facts: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for fact in facts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + fact.chars().count() + 2 <= COLUMNS => {
                *line += &format!(", {fact}");
            }
            Some(line) => {
                line.push(',');
                lines.push(fact.clone());
            }
            None => lines.push(fact.clone()),
        }
    }
    lines
}

/// The maker, or the makers if there are several, for programs.
fn made_by(makers: &[RunId]) -> Value {
    match makers {
        [] => Value::Null,
        [one] => json!(one.to_string()),
        several => json!(several.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

/// How many other runs left the very same content, in words; none if no other did.
fn also_made(lineage: &Lineage, asked: ObjectId, run: RunId) -> Outcome<Option<String>> {
    let Some(content) = asked.content() else { return Ok(None) };
    let mut others: Vec<RunId> = lineage.producers(content)?.into_iter().map(|p| p.run).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|other| *other != run);
    Ok(match others.len() {
        0 => None,
        1 => {
            Some(format!("the same bytes were also left by run {}", paint(HASH, others[0].short())))
        }
        n => Some(format!("the same bytes were also left by {n} other runs")),
    })
}

/// The code of a command and its state in git.
fn code(recipe: &Recipe, run: &Run) -> String {
    let tree = recipe.code().map_or("none recorded".to_owned(), |id| paint(HASH, id.short()));
    let Some(git) = &run.git else { return tree };
    let commit = git.commit.as_deref().map_or("before the first commit".to_owned(), |c| {
        format!("commit {}", &c[..c.len().min(10)])
    });
    let branch = git.branch.as_deref().map(|b| format!(" on {b}")).unwrap_or_default();
    let dirty = match git.dirty.len() {
        0 => ", clean".to_owned(),
        n => format!(
            ", with {} not committed: {}",
            ui::count(n as u64, "file"),
            shortened(&git.dirty)
        ),
    };
    format!("{tree}  {commit}{branch}{dirty}")
}

fn shortened(paths: &[String]) -> String {
    let shown: Vec<String> = paths.iter().take(4).map(|p| p.escape_debug().to_string()).collect();
    let more =
        if paths.len() > 4 { format!(", and {} more", paths.len() - 4) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// The machine in a few words.
pub(super) fn machine(run: &Run) -> String {
    let host = &run.host;
    if host.os.is_empty() {
        return "unknown".to_owned();
    }
    let best = ["avx512f", "avx2", "neon", "asimd", "sse4_2"]
        .into_iter()
        .find(|f| host.cpu_features.iter().any(|g| g == f));
    let cpus = ui::count(host.cpus.into(), "core");
    let isa = best.map(|f| format!(", {f}")).unwrap_or_default();
    format!("{} {}, {cpus}{isa}, lab {}", host.os, host.arch, host.lab)
}
