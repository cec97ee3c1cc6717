//! `lab status`

use std::collections::BTreeMap;

use lab_lineage::Tally;
use lab_schema::{ContentId, Kind, Name, ObjectId, Run};
use serde_json::json;

use super::describe;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{self, BAD, NAME, paint};
use crate::wiring::Registry;

/// Sum up the registry: names, runs, what was verified, and what has gone stale
#[derive(clap::Args, Debug)]
pub(super) struct Args {}

pub(super) fn run(context: &Context, _args: &Args) -> Outcome {
    let registry = context.registry()?;
    let (lineage, unread) = registry.lineage_and_unread()?;
    let names = registry.store.names().list()?;
    let Tally { runs, verified, failed } = lineage.tally()?;
    let objects: BTreeMap<Kind, usize> = Kind::ALL
        .into_iter()
        .map(|kind| Ok((kind, registry.store.list(kind)?.len())))
        .collect::<Outcome<_>>()?;
    let (stale, mut damage) = stale(&registry)?;
    for skipped in unread {
        // A name may have led to it already.
        if !damage.iter().any(|told| told.ends_with(&skipped.why)) {
            damage.push(skipped.why);
        }
    }
    let ui = context.ui;
    ui.line(format!("registry  {}", registry.folder.display()));
    ui.line(format!("names     {}", names.len()));
    ui.line(format!("runs      {runs}, {verified} verified, {failed} failed"));
    ui.line(format!(
        "objects   {}, {}, {}",
        ui::count(objects[&Kind::Blob] as u64, "blob"),
        ui::count(objects[&Kind::Tree] as u64, "tree"),
        ui::count(objects[&Kind::Recipe] as u64, "recipe")
    ));
    let remotes: Vec<String> =
        registry.config.remotes.iter().map(|(name, at)| format!("{name} ({at})")).collect();
    ui.line(format!(
        "remotes   {}",
        if remotes.is_empty() { "none".to_owned() } else { remotes.join(", ") }
    ));
    for item in &stale {
        ui.line(format!(
            "stale     {} read {}@v{}, which is at v{} now",
            paint(NAME, &item.name),
            item.input,
            item.read,
            item.latest
        ));
    }
    for what in &damage {
        ui.line(format!("{}   {what}", paint(BAD, "damaged")));
    }
    ui.answer(&json!({
        "registry": registry.folder.to_string_lossy(), "names": names.len(), "remotes": registry.config.remotes,
        "runs": { "all": runs, "verified": verified, "failed": failed },
        "objects": objects.iter().map(|(kind, n)| (kind.as_str(), *n)).collect::<BTreeMap<_, _>>(),
        "damaged": damage,
        "stale": stale.iter().map(|s| json!({ "name": s.name, "input": s.input, "read": s.read, "latest": s.latest })).collect::<Vec<_>>(),
    }));
    match damage.len() {
        0 => Ok(()),
        many => Err(Failure::damaged(many)),
    }
}

/// A named run that read something whose name has moved on.
struct Stale {
    name: Name,
    input: Name,
    read: usize,
    latest: usize,
}

/// These; and named runs that cannot be read, and why.
fn stale(registry: &Registry) -> Outcome<(Vec<Stale>, Vec<String>)> {
    let names = registry.store.names();
    let mut versions: BTreeMap<ContentId, Vec<(Name, usize)>> = BTreeMap::new();
    let mut latest: BTreeMap<Name, (usize, Option<ObjectId>)> = BTreeMap::new();
    let all = names.list()?;
    for (name, _) in &all {
        let journal = names.journal(name)?;
        for (index, moved) in journal.iter().enumerate() {
            if let Some(content) = moved.target.and_then(|t| t.content()) {
                versions.entry(content).or_default().push((name.clone(), index + 1));
            }
        }
        latest.insert(name.clone(), (journal.len(), journal.last().and_then(|m| m.target)));
    }
    let (mut found, mut damage) = (Vec::new(), Vec::new());
    for (name, moved) in &all {
        let Some(ObjectId::Run(id)) = moved.target else { continue };
        let recipe = registry
            .store
            .load::<Run>(id)
            .and_then(|run| registry.store.load::<lab_schema::Recipe>(run.recipe));
        let recipe = match describe::readable(recipe)? {
            Ok(recipe) => recipe,
            Err(why) => {
                damage.push(format!("{name}: {why}"));
                continue;
            }
        };
        for (_, content) in recipe.reads() {
            let known = versions.get(&content).map(Vec::as_slice).unwrap_or_default();
            // A name that is (still, or again) at what was read makes the run fresh.
            if known.iter().any(|(input, _)| latest[input].1 == Some(content.into())) {
                continue;
            }
            if let Some((input, read)) = known.last() {
                found.push(Stale {
                    name: name.clone(),
                    input: input.clone(),
                    read: *read,
                    latest: latest[input].0,
                });
            }
        }
    }
    Ok((found, damage))
}
