//! `lab log`

mod given;
mod filter;

use lab_lineage::{Lineage, RunRow, Skipped, Unread};
use lab_schema::{Attestation, Name, ObjectId, Recipe, Run, RunId, Signed, Verdict};
use lab_trust::Judgement;
use serde_json::{Value, json};

use self::filter::{Filter, Found};
use super::{describe, pattern};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve;
use crate::trust::{self, Believed};
use crate::ui::{self, BAD, DIM, GOOD, HASH, NAME, pad, paint};
use crate::wiring::Registry;

/// Show who ran and verified what, or the history of a name
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A name, or names as in 'base*', to see where it pointed [default: all runs, the newest first]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    filter: Filter,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    match &args.name {
        Some(typed) => match pattern::names(&registry.store.names(), typed)? {
            Some(names) => histories(context, &registry, &names, args.limit),
            None => {
                let moves = moves(context, &registry, &Name::new(typed.as_str())?, args.limit)?;
                context.ui.answer(&json!(moves));
                Ok(())
            }
        },
        None => runs(context, &registry, args.limit, &args.filter),
    }
}

fn runs(context: &Context, registry: &Registry, limit: usize, filter: &Filter) -> Outcome {
    let (lineage, unread) = registry.lineage_and_unread()?;
    let found = match filter.is_given() {
        // Of a long history only the end is looked at.
        false => Found::all(lineage.latest(limit)?, lineage.count_runs()?),
        true => filter.find(registry, &lineage, context.now_ms(), limit)?,
    };
    let (all, number) = (&found.runs, found.number);
    let names = registry.store.names().list()?;
    let believed = Believed::here(context, registry);
    let mut answers = Vec::new();
    let mut damage: Vec<String> = Vec::new();
    for row in all {
        let name = names.iter().find(|(_, m)| m.target == Some(ObjectId::Run(row.id)));
        let name = name.map(|(n, _)| n.to_string()).unwrap_or_default();
        let (run, recipe) = match record(registry, row)? {
            Ok(record) => record,
            Err(why) => {
                let (short, padded) = (paint(HASH, row.id.short()), pad(NAME, &name, 14));
                context.ui.line(format!("{short}  {padded}  {}", paint(BAD, &why)));
                answers.push(json!({ "run": row.id.to_string(), "name": name, "damaged": why }));
                damage.push(why);
                continue;
            }
        };
        let ended = if row.success {
            describe::metrics(&run)
        } else {
            paint(BAD, describe::status(&run.outcome.status))
        };
        let verified = verification(registry, &lineage, &believed, row.id)?;
        let signatures = believed.of(registry, &lineage, Signed::Run(row.id))?;
        let signed = match signatures.is_empty() && !believed.cares {
            true => String::new(),
            false => format!("  {}", trust::summed(&signatures)),
        };
        context.ui.line(format!(
            "{}  {}  {:<14}  {:<8}  {:>8}  {}{}{}{signed}",
            paint(HASH, row.id.short()),
            pad(NAME, &name, 14),
            match row.started_ms {
                0 => "unknown when".to_owned(),
                ms => ui::ago(context.now_ms(), ms),
            },
            ui::plain(&run.who),
            ui::duration(run.outcome.duration_ms),
            ui::shortened(&describe::action(&recipe), 40),
            if ended.is_empty() { String::new() } else { format!("  {ended}") },
            if verified.text.is_empty() { String::new() } else { format!("  {}", verified.text) },
        ));
        let mut answer = describe::run_json(row.id, &run);
        answer["name"] = json!(name);
        answer["action"] = json!(describe::action(&recipe));
        answer["attestations"] = Value::Array(verified.all);
        answer["signatures"] = signatures.iter().map(trust::json_of).collect();
        answers.push(answer);
    }
    // What is not in the index is at no place in the history. Folders that runs left are not told here.
    let is_tree = |what: &Unread| matches!(what, Unread::Object(ObjectId::Tree(_)));
    for Skipped { what, why } in unread.iter().filter(|skipped| !is_tree(&skipped.what)) {
        if !damage.contains(why) {
            context.ui.line(format!("{}  {why}", pad(BAD, "damaged", 12)));
            answers.push(json!({ "what": what.to_string(), "damaged": why }));
            damage.push(why.clone());
        }
    }
    if !answers.is_empty() {
        filter.notes(&lineage, &found)?.iter().for_each(|note| context.ui.note(note));
    }
    if answers.is_empty() && filter.is_given() {
        context.ui.hint("no run fits; `lab log` shows all");
        filter.hints(&lineage)?.iter().for_each(|hint| context.ui.hint(hint));
    } else if all.is_empty() {
        context.ui.hint("no runs yet; `lab run -- COMMAND` makes one");
    } else if number > limit as u64 {
        let earlier = ui::count(number - limit as u64, "earlier run");
        context.ui.hint(format!("{earlier}; `-n {number}` shows all"));
    }
    context.ui.answer(&json!(answers));
    match damage.len() {
        0 => Ok(()),
        many => Err(Failure::damaged(many)),
    }
}

/// A run and its recipe, or what is wrong with them.
fn record(registry: &Registry, row: &RunRow) -> Outcome<Result<(Run, Recipe), String>> {
    let both =
        registry.store.load(row.id).and_then(|run| Ok((run, registry.store.load(row.recipe)?)));
    describe::readable(both)
}

/// The histories of the names that fit a pattern.
fn histories(context: &Context, registry: &Registry, names: &[Name], limit: usize) -> Outcome {
    let mut answers = Vec::new();
    for name in names {
        context.ui.line(paint(NAME, name));
        for mut moved in moves(context, registry, name, limit)? {
            moved["name"] = json!(name);
            answers.push(moved);
        }
    }
    context.ui.answer(&json!(answers));
    Ok(())
}

/// Tells where a name pointed; the same for programs.
fn moves(context: &Context, registry: &Registry, name: &Name, limit: usize) -> Outcome<Vec<Value>> {
    let journal = registry.store.names().journal(name)?;
    if journal.is_empty() {
        // Resolving says what is wrong, and what may have been meant.
        let resolved = resolve::resolve(&registry.store, name.as_str())?;
        return Err(Failure::usage(format!(
            "'{}' is {}, not a name: only names have a history",
            resolved.typed,
            ui::a(resolved.id.kind())
        ))
        .hint(format!("`lab show {name}` describes it")));
    }
    let mut answers = Vec::new();
    for (index, moved) in journal.iter().enumerate().rev().take(limit) {
        let version = format!("v{}", index + 1);
        let target = match moved.target {
            Some(target) => paint(HASH, target.short()),
            None => pad(BAD, "deleted", 12),
        };
        context.ui.line(format!(
            "{version:<4} {target}  {:<11}  {:<14}  {:<8}  {}",
            moved.kind.to_string(),
            ui::ago(context.now_ms(), moved.when_ms),
            ui::plain(&moved.who),
            paint(DIM, ui::shortened(&ui::plain(&moved.why), 100))
        ));
        answers.push(json!({
            "version": index + 1, "id": moved.target.map(|t| t.digest().to_string()),
            "object": moved.target.map(|t| t.kind().as_str()), "kind": moved.kind.to_string(),
            "when": ui::iso(moved.when_ms), "who": moved.who, "why": moved.why,
        }));
    }
    Ok(answers)
}

/// What was attested of a run.
pub(super) struct Verification {
    /// For people: `verified twice`, `verified once, diverged once`; empty if nobody tried.
    pub(super) text: String,
    /// The same of each attestation: `by grace, identical, signed by ...`.
    pub(super) lines: Vec<String>,
    /// For programs.
    pub(super) all: Vec<Value>,
}

/// Sums up what was attested of a run.
pub(super) fn verification(
    registry: &Registry,
    lineage: &Lineage,
    believed: &Believed,
    run: RunId,
) -> Outcome<Verification> {
    let (mut held, mut other) = (0u64, Vec::new());
    let (mut all, mut lines, mut who) = (Vec::new(), Vec::new(), Vec::new());
    for id in lineage.attestations_of(run)? {
        let attestation = match describe::readable(registry.store.load::<Attestation>(id))? {
            Ok(attestation) => attestation,
            Err(why) => {
                lines.push(paint(BAD, &why));
                all.push(json!({ "id": id.to_string(), "damaged": why }));
                continue;
            }
        };
        match &attestation.verdict {
            verdict if verdict.holds() => held += 1,
            verdict => other.push(verdict.clone()),
        }
        let signatures = believed.of(registry, lineage, Signed::Attestation(id))?;
        if attestation.verdict.holds() {
            who.extend(signatures.iter().flat_map(Judgement::principals));
        }
        let signed = match signatures.is_empty() {
            true => paint(DIM, "not signed"),
            false => signatures.iter().map(trust::painted).collect::<Vec<_>>().join(", "),
        };
        lines.push(format!(
            "by {}, {}, {signed}",
            ui::plain(&attestation.who),
            attestation.verdict
        ));
        all.push(json!({
            "id": id.to_string(), "verdict": attestation.verdict.word(), "who": attestation.who,
            "when": ui::iso(attestation.started_ms), "sealed": attestation.sealed,
            "signatures": signatures.iter().map(trust::json_of).collect::<Vec<_>>(),
        }));
    }
    let times = |n: u64| match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    };
    let mut parts = Vec::new();
    if held > 0 {
        who.sort();
        who.dedup();
        let by = match who.is_empty() {
            true => String::new(),
            false => format!(" (signed by {})", who.join(" and ")),
        };
        parts.push(paint(GOOD, format!("verified {}{by}", times(held))));
    }
    for (verdict, word) in
        [(Verdict::Diverged, "diverged"), (Verdict::Failed(String::new()), "failed")]
    {
        let n = other.iter().filter(|v| v.word() == verdict.word()).count() as u64;
        if n > 0 {
            parts.push(paint(BAD, format!("{word} {}", times(n))));
        }
    }
    Ok(Verification { text: parts.join(", "), lines, all })
}
