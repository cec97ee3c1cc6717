//! What push, pull and clone have in common: what they say when they are done.

use lab_lineage::{Choice, Only};
use lab_objects::{Names, Store, set_pace};
use lab_remote::{Exchange, Gate, Options, Told};
use lab_schema::Base;
use serde_json::json;

use super::pattern;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::project;
use crate::times::rate;
use crate::ui::{self, NAME, paint};
use crate::wiring::Registry;

/// The remote that is meant when none is named.
pub(super) const DEFAULT: &str = "origin";

/// What can be fetched alone.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Alone {
    /// What the runs left
    Outputs,
    /// Weights among what they left and read
    Weights,
    /// Their code
    Code,
    /// The record: runs, recipes, attestations, directories, logs
    Record,
}

/// How fast it goes.
#[derive(clap::Args, Debug)]
pub(super) struct Pace {
    /// Send and fetch no more than so many bytes a second, as in 500k or 2M; for folders it says nothing
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_rate: Option<u64>,
}

impl Pace {
    /// From now on.
    pub(super) fn keep(&self) {
        if let Some(rate) = self.limit_rate {
            set_pace(rate);
        }
    }
}

/// What of something is fetched.
#[derive(clap::Args, Debug)]
pub(super) struct Parts {
    /// Fetch the contents of these files alone, of the runs that are named; their whole record comes in any
    /// case, and the rest when it is needed
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Alone>,
    /// Leave the files of environments where they are: programs and libraries
    #[arg(long)]
    no_env: bool,
    /// Fetch contents of so many generations of ancestors: 0 is the runs that are named with their inputs,
    /// 1 also the runs that made these [default: all; with --only 0]
    #[arg(long, value_name = "N")]
    depth: Option<u32>,
}

impl Parts {
    /// The same for the rooms below.
    pub(super) fn choice(&self) -> Choice {
        let only = |alone: &Alone| match alone {
            Alone::Outputs => Only::Outputs,
            Alone::Weights => Only::Weights,
            Alone::Code => Only::Code,
            Alone::Record => Only::Record,
        };
        let only = self.only.iter().map(only).collect();
        Choice { only, no_environment: self.no_env, depth: self.depth }
    }
}

/// The location of a remote: one of the registry's own, one that the project's lab.toml names, or a path or
/// URL itself.
pub(super) fn location(context: &Context, registry: &Registry, name: &str) -> Outcome<String> {
    if let Some(location) = registry.config.remotes.get(name) {
        return Ok(location.clone());
    }
    if let Some(location) = project::remotes(context)?.remove(name) {
        return Ok(location);
    }
    let origin = registry.config.remotes.keys().find(|remote| *remote == "origin");
    let first = origin.or(registry.config.remotes.keys().next());
    let known = |failure: Failure| match first {
        Some(first) => failure.hint(format!(
            "what is to be exchanged comes after the remote, as in `{first} {name}`"
        )),
        None => failure,
    };
    // It is noted with what is left there, and has to hold from every other folder too.
    let location =
        registry.remote(name).map_err(known).map_err(|failure| match project::root(context) {
            Some(_) => failure.hint(format!(
                "`[remotes] {name} = \"LOCATION\"` in lab.toml names it for everybody"
            )),
            None => failure,
        })?;
    Ok(context.location(&location))
}

/// Says what happens to a connection.
pub(super) fn told(context: &Context) -> Told {
    let ui = context.ui;
    Box::new(move |text| ui.note(text))
}

/// Starting points as they are typed; sets are of these names.
pub(super) fn bases(names: &Names<'_>, typed: &[String]) -> Outcome<Vec<Base>> {
    let mut bases = Vec::new();
    for text in typed {
        match pattern::names(names, text)? {
            Some(all) => bases.extend(all.into_iter().map(Base::Name)),
            None => bases.push(text.parse::<Base>().map_err(|error| {
                Failure::from(error).hint(
                    "whole things are exchanged: a name, NAME@vN, NAME@seeds, a pattern or a hash, without :OUTPUT or /PATH",
                )
            })?),
        }
    }
    Ok(bases)
}

/// Options for an exchange now.
pub(super) fn options<'a>(
    context: &Context,
    who: &'a str,
    gate: Option<&'a dyn Gate>,
    force: bool,
    repair: bool,
) -> Options<'a> {
    Options { force, repair, gate, who, when_ms: context.now_ms() }
}

/// Names that cannot be exchanged, since nobody can tell where they point.
pub(super) fn warn_of_damaged(context: &Context, store: &Store) -> Outcome {
    for (name, why) in store.names().damaged()? {
        context.ui.note(format!("left out '{name}': {why}"));
    }
    Ok(())
}

/// Says what was done, or would be.
pub(super) fn tell(
    context: &Context,
    direction: &str,
    location: &str,
    done: &Exchange,
    planned: bool,
    ms: u64,
) {
    let transfer = &done.transfer;
    let location = &lab_remote::shown(location);
    let what = match (transfer.objects, transfer.already_there) {
        // How many those are is not known: what a name keeps there is not gone through.
        (0, _) => "nothing new: what was asked for is already there".to_owned(),
        (objects, there) => format!(
            "{}, {} {}{}",
            ui::count(objects, "object"),
            ui::bytes(transfer.bytes),
            if planned { "would move" } else { "new" },
            match there {
                0 => String::new(),
                n => format!(" ({} already there)", ui::count(n, "object")),
            }
        ),
    };
    let took = if planned { String::new() } else { format!("   {}", ui::duration(ms)) };
    context.ui.line(format!("{direction} {location}   {what}{took}"));
    tell_parts(context, done);
    for step in &done.names {
        let name = paint(NAME, &step.name);
        let after = step.after.short();
        context.ui.line(match (&step.before, step.moves()) {
            (_, false) => format!("  {name}  {after}  (as it was)"),
            (Some(before), true) => format!("  {name}  {} → {after}", before.short()),
            (None, true) => format!("  {name}  {after}  (new)"),
        });
    }
    for skipped in &done.skipped {
        context
            .ui
            .note(format!("unreadable there, and left out: {} ({})", skipped.what, skipped.why));
    }
    context.ui.answer(&json!({
        "location": location, "planned": planned, "objects": transfer.objects, "bytes": transfer.bytes,
        "already_there": transfer.already_there, "stored": transfer.stored,
        "groups": done.groups.iter().map(|group| json!({
            "part": group.part.as_str(), "objects": group.objects, "bytes": group.bytes, "stored": group.stored,
        })).collect::<Vec<_>>(),
        "left": { "objects": done.left.objects, "bytes": done.left.bytes },
        "first": { "objects": done.first.objects, "bytes": done.first.bytes },
        "targets": done.targets.iter().map(|id| id.digest().to_string()).collect::<Vec<_>>(),
        "names": done.names.iter().map(|s| json!({
            "name": s.name, "before": s.before.map(|id| id.digest().to_string()), "after": s.after.digest().to_string(),
        })).collect::<Vec<_>>(),
        "skipped": done.skipped.iter().map(|s| s.what.to_string()).collect::<Vec<_>>(),
    }));
}

/// What would go over, by what it is, and what stays where it is.
fn tell_parts(context: &Context, done: &Exchange) {
    for group in &done.groups {
        context.ui.line(format!(
            "  {:<12} {:>14}  {:>8}  {:>8} on the way",
            group.part.as_str(),
            ui::count(group.objects, "object"),
            ui::bytes(group.bytes),
            ui::bytes(group.stored)
        ));
    }
    let lines = [
        ("left there", done.left, "fetched when it is needed"),
        ("first", done.first, "only promised here, and fetched from where it is"),
    ];
    for (what, left, why) in lines.into_iter().filter(|(_, left, _)| left.objects > 0) {
        let (files, bytes) = (ui::count(left.objects, "object"), ui::bytes(left.bytes));
        context.ui.line(format!("  {what:<12} {files:>14}  {bytes:>8}  {why}"));
    }
}
