//! `lab status`

use std::collections::BTreeMap;

use lab_lineage::Tally;
use lab_schema::Kind;
use serde_json::json;

use super::stale::stale;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{self, BAD, NAME, paint};

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
    let (stale, mut damage) = stale(&registry, &lineage)?;
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
        let by = match &item.by {
            Some(by) => format!("stands on {by}, which read"),
            None => "read".to_owned(),
        };
        ui.line(format!(
            "stale     {} {by} {}@v{}, which is at v{} now",
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
        "stale": stale.iter().map(|s| json!({ "name": s.name, "input": s.input, "read": s.read, "latest": s.latest, "by": s.by })).collect::<Vec<_>>(),
    }));
    match damage.len() {
        0 => Ok(()),
        many => Err(Failure::damaged(many)),
    }
}
