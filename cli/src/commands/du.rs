//! `lab du`

use lab_lineage::{NameUsage, usage};
use lab_schema::Name;
use serde_json::json;

use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{self, BAD, NAME, pad, paint};

/// How the bytes in a pack can be written.
const ENCODINGS: [&str; 5] = ["raw", "zstd", "planes", "delta", "patch"];

/// Sum up what each name takes, what only it takes, and how it is stored
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only these names
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let wanted: Vec<Name> =
        args.names.iter().map(|name| Name::new(name.as_str())).collect::<Result<_, _>>()?;
    for name in &wanted {
        if registry.store.names().get(name)?.is_none() {
            return Err(
                Failure::not_found(format!("no name '{name}'")).hint("`lab ls` lists the names")
            );
        }
    }
    let lineage = registry.lineage()?;
    let bars = Bars::new(context.ui);
    // What a name takes alone depends on all others.
    let all = usage(&registry.store, &lineage, &bars)?;
    drop(bars);
    let is_wanted = |name: &&NameUsage| wanted.is_empty() || wanted.contains(&name.name);
    let names: Vec<&NameUsage> = all.names.iter().filter(is_wanted).collect();
    let ui = context.ui;
    let width = names.iter().map(|n| n.name.as_str().chars().count()).max().unwrap_or(0).max(4);
    if !names.is_empty() {
        ui.line(format!(
            "{:width$}  {:>8}  {:>8}  {:>8}  {:>8}",
            "name", "bytes", "stored", "alone", "shared"
        ));
    }
    for name in &names {
        let shared = name.share.stored - name.share.alone;
        let shown = pad(NAME, name.name.as_str(), width);
        ui.line(match &name.unreadable {
            Some(why) => format!("{shown}  {}  {why}", paint(BAD, "damaged")),
            None => format!(
                "{shown}  {:>8}  {:>8}  {:>8}  {:>8}",
                ui::bytes(name.bytes),
                ui::bytes(name.share.stored),
                ui::bytes(name.share.alone),
                ui::bytes(shared)
            ),
        });
    }
    if wanted.is_empty() {
        for (name, sum) in ENCODINGS.iter().zip(&all.encodings) {
            if sum.bytes > 0 {
                ui.line(format!("{name:8}  {} as {}", ui::bytes(sum.bytes), ui::bytes(sum.stored)));
            }
        }
        ui.line(format!("packs     {}, {}", ui::count(all.packs, "pack"), ui::bytes(all.stored)));
        ui.line(format!("unneeded  {}", ui::bytes(all.garbage)));
        if all.garbage > 0 {
            ui.hint("no name points at it now: `lab gc --dry-run` says what would go, and when");
        }
    }
    let names = names.iter().map(|name| {
        json!({
            "name": name.name, "id": name.target.digest().to_string(), "bytes": name.bytes,
            "stored": name.share.stored, "alone": name.share.alone,
            "shared": name.share.stored - name.share.alone, "unreadable": name.unreadable,
        })
    });
    let encodings = ENCODINGS
        .iter()
        .zip(&all.encodings)
        .map(|(name, sum)| (name.to_string(), json!({ "bytes": sum.bytes, "stored": sum.stored })));
    ui.answer(&json!({
        "names": names.collect::<Vec<_>>(), "packs": all.packs, "stored": all.stored,
        "unneeded": all.garbage, "encodings": encodings.collect::<serde_json::Map<_, _>>(),
    }));
    Ok(())
}
