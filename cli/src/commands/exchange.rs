//! What push, pull and clone have in common: what they say when they are done.

use lab_objects::Store;
use lab_remote::{Exchange, Options, Told};
use lab_schema::Base;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{self, NAME, paint};

/// The remote that is meant when none is named.
pub(super) const DEFAULT: &str = "origin";

/// Says what happens to a connection.
pub(super) fn told(context: &Context) -> Told {
    let ui = context.ui;
    Box::new(move |text| ui.note(text))
}

/// Starting points as they are typed.
pub(super) fn bases(typed: &[String]) -> Outcome<Vec<Base>> {
    let parse = |text: &String| {
        text.parse::<Base>().map_err(|error| {
            Failure::from(error).hint(
                "whole things are exchanged: a name, NAME@vN or a hash, without :OUTPUT or /PATH",
            )
        })
    };
    typed.iter().map(parse).collect()
}

/// Options for an exchange now.
pub(super) fn options<'a>(
    context: &Context,
    who: &'a str,
    force: bool,
    repair: bool,
) -> Options<'a> {
    Options { force, repair, who, when_ms: context.now_ms() }
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
    let (transfer, location) = (&done.transfer, lab_remote::shown(location));
    let there = match transfer.already_there {
        0 => String::new(),
        n => format!(" ({} already there)", ui::count(n, "object")),
    };
    let verb = if planned { "would move" } else { "new" };
    context.ui.line(format!(
        "{direction} {location}   {}, {} {verb}{there}{}",
        ui::count(transfer.objects, "object"),
        ui::bytes(transfer.bytes),
        if planned { String::new() } else { format!("   {}", ui::duration(ms)) },
    ));
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
        "already_there": transfer.already_there,
        "targets": done.targets.iter().map(|id| id.digest().to_string()).collect::<Vec<_>>(),
        "names": done.names.iter().map(|s| json!({
            "name": s.name, "before": s.before.map(|id| id.digest().to_string()), "after": s.after.digest().to_string(),
        })).collect::<Vec<_>>(),
        "skipped": done.skipped.iter().map(|s| s.what.to_string()).collect::<Vec<_>>(),
    }));
}
