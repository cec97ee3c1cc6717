//! `lab check`

mod whereabouts;
mod worktree;
mod rerun;
mod repair;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab_objects::{CheckLog, CheckOptions, Report, check_with, shown};
use serde_json::{Value, json};

use self::repair::Repair;
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::times::duration;
use crate::ui::{self, BAD, GOOD, HASH, paint};
use crate::wiring::Registry;

/// Read everything back and see whether it is what was stored
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Only structure, links and names, not every byte
    #[arg(long, visible_alias = "quick")]
    fast: bool,
    /// Stop reading after this long, as in 90s, 10m or 2h, and go on there the next time: each pack is
    /// read once in a round, those first that were not read for longest
    #[arg(long = "for", value_name = "TIME", conflicts_with = "fast", value_parser = duration)]
    time: Option<Duration>,
    /// Put right what is damaged or missing: from files in the work tree, from the remotes, or by
    /// doing a run again that has been verified
    #[arg(long)]
    repair: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = match args.repair {
        true => context.registry_to_write()?,
        false => context.registry()?,
    };
    let mut log = CheckLog::open(&registry.folder.join("cache").join("check"));
    let bars = Bars::new(context.ui);
    let until = args.time.and_then(|time| Instant::now().checked_add(time));
    let options = CheckOptions { full: !args.fast, until, log: Some(&mut log) };
    let report = check_with(&registry.store, options, &bars)?;
    drop(bars);
    let lost = lost_lines(&registry, &report)?;
    for blob in &report.unhashed {
        let hint = format!(
            "{} repeats so much of itself that it was not put together; every part of it can be read",
            blob.short()
        );
        context.ui.hint(hint);
    }
    for finding in &report.findings {
        context.ui.line(format!("{}  {finding}", paint(BAD, "damaged")));
    }
    for (line, _) in &lost {
        context.ui.line(line);
    }
    if let Some(error) = log.failure() {
        context.ui.note(format!("what was read could not be noted for the next time: {error}"));
    }
    let promised = promised(&registry, &report)?;
    for (from, (files, bytes)) in &promised {
        context.ui.line(format!(
            "left out  {}, {}, to be had from {from} (whether it still has them was not asked)",
            ui::count(*files, "file"),
            ui::bytes(*bytes)
        ));
    }
    for path in registry.promises.damaged()? {
        context.ui.note(format!(
            "{} is damaged, so that what it says was left out counts as lost until it is pulled again",
            path.display()
        ));
    }
    let depth = depth(context, args, &report, &log);
    let size = format!(
        "{} in {}, {}",
        ui::count(report.objects, "object"),
        ui::count(report.packs, "pack"),
        ui::bytes(report.bytes)
    );
    let damaged = !report.findings.is_empty() || !report.damaged_packs.is_empty();
    let repair = match args.repair && damaged {
        true => Some(repair::repair(context, &registry, &report)?),
        false => None,
    };
    let sound = repair.as_ref().map_or(report.findings.is_empty(), |repair| repair.sound);
    let mut answer = answer(args, &report, lost, repair.as_ref(), sound);
    let left = |(from, (files, bytes)): (String, (u64, u64))| json!({ "from": from, "files": files, "bytes": bytes });
    answer["left_out"] = promised.into_iter().map(left).collect();
    context.ui.answer(&answer);
    if sound {
        context.ui.line(format!("{}  {size}; {depth}", paint(GOOD, "sound")));
        if !args.repair && damaged {
            context.ui.note(format!(
                "{} with damaged bytes that are stored elsewhere too; `lab check --repair` removes what is of no use",
                ui::count(report.damaged_packs.len() as u64, "pack")
            ));
        }
        return Ok(());
    }
    let before = ui::count(report.findings.len() as u64, "finding");
    let findings = match &repair {
        None => before,
        Some(repair) => format!("{} left of {before}", repair.left.len()),
    };
    context.ui.line(format!("{}  {findings}; {size}; {depth}", paint(BAD, "not sound")));
    context.ui.hint(match &repair {
        None => "`lab check --repair` puts right what the work tree, a remote or a verified run still has",
        Some(_) => "what is left can be put right from a place that has it: `lab remote add NAME PATH`, then `lab check --repair` again",
    });
    if report.findings.iter().any(|f| matches!(f, lab_objects::Finding::Name { .. })) {
        context.ui.hint("a name that cannot be read is set again with `lab name NAME REF`; what it pointed at is still here");
    }
    Err(Failure::no())
}

/// What was read, in words.
fn depth(context: &Context, args: &Args, report: &Report, log: &CheckLog) -> String {
    let read = format!("read {} of {}", report.read, ui::count(report.packs, "pack"));
    match (args.fast, args.time, report.unread) {
        (true, ..) => "structure read, not every byte".to_owned(),
        (_, None, _) => "every byte read".to_owned(),
        (_, _, 0) => format!(
            "{read}; every byte was read in the round that began {}",
            ui::ago(context.now_ms(), log.round_ms())
        ),
        (_, _, left) if left + report.read == report.packs => {
            format!("{read}; the rest next time")
        }
        (_, _, left) => format!("{read}; {left} left in this round, for next time"),
    }
}

/// What was left out and is needed: files and bytes, by who has them.
fn promised(registry: &Registry, report: &Report) -> Outcome<BTreeMap<String, (u64, u64)>> {
    let mut by: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (id, bytes) in &report.promised {
        let places = registry.store.promised_by(*id)?;
        let first = places.first().map_or_else(String::new, |place| shown(place));
        let sum = by.entry(first).or_default();
        *sum = (sum.0 + 1, sum.1.saturating_add(*bytes));
    }
    Ok(by)
}

/// A line for each object that is lost and can be reached from a name, and all as JSON.
fn lost_lines(registry: &Registry, report: &Report) -> Outcome<Vec<(String, Value)>> {
    let mut places = whereabouts::whereabouts(&registry.store, &report.lost)?;
    let mut lines = Vec::new();
    for id in &report.lost {
        let names = places.remove(id).unwrap_or_default();
        let json =
            json!({ "id": id.digest().to_string(), "kind": id.kind().to_string(), "at": names });
        let line = format!(
            "{}     {} {}   {}",
            paint(BAD, "lost"),
            id.kind(),
            paint(HASH, id.short()),
            if names.is_empty() { "(no name leads to it)".to_owned() } else { names.join(", ") }
        );
        lines.push((line, json));
    }
    Ok(lines)
}

fn answer(
    args: &Args,
    report: &Report,
    lost: Vec<(String, Value)>,
    repair: Option<&Repair>,
    sound: bool,
) -> Value {
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let mut answer = json!({
        "sound": sound, "packs": report.packs, "objects": report.objects, "bytes": report.bytes,
        "every_byte": !args.fast && report.unread == 0, "findings": findings,
        "unhashed": report.unhashed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "read": report.read, "unread": report.unread,
        "lost": lost.into_iter().map(|(_, json)| json).collect::<Vec<_>>(),
        "damaged_packs": report.damaged_packs.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    if let Some(repair) = repair {
        answer["repair"] = repair.to_json();
    }
    answer
}
