//! `lab gc`

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_lineage::{Collected, Policy, Reason, Root, collect, plan_collect};
use lab_objects::{Fate, Stay};
use serde_json::{Value, json};

use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::times::duration;
use crate::ui::{self, DIM, NAME, pad, paint};

/// Remove what no name needs; other commands may go on meanwhile
///
/// Kept is what the names point at, what they pointed at in the last 90 days, and all that it came
/// from. Everything else is marked first, and removed by a later `lab gc` once it has been marked for
/// the time of grace.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only say what would go, and why the rest stays
    #[arg(long)]
    dry_run: bool,
    /// How long something has to be stored before it is marked, and marked before it is removed
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = duration)]
    grace: Duration,
    /// How long what a name pointed at before is kept
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = duration)]
    history: Duration,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let mut lineage = registry.lineage()?;
    let policy = Policy { grace: args.grace, history: args.history };
    let bars = Bars::new(context.ui);
    let act = if args.dry_run { plan_collect } else { collect };
    let done = act(&registry.store, &mut lineage, policy, &bars)?;
    drop(bars);
    if args.dry_run {
        tell_plan(context, &done)
    } else {
        tell(context, &done)
    }
    context.ui.answer(&answer(&done, args.dry_run));
    if done.lacking > 0 {
        let gone = ui::count(done.lacking, "object");
        context.ui.note(format!("of earlier versions of names {gone} had gone before"));
    }
    if done.done.damaged.is_empty() {
        return Ok(());
    }
    let packs = ui::count(done.done.damaged.len() as u64, "pack");
    Err(Failure::new(crate::failure::Exit::No, format!("{packs} left alone: damaged"))
        .hint("`lab check --repair` puts right what can be"))
}

/// Packs and their bytes.
fn packs((n, bytes): (u64, u64)) -> String {
    format!("{}, {}", ui::count(n, "pack"), ui::bytes(bytes))
}

fn tell(context: &Context, found: &Collected) {
    let (ui, done) = (context.ui, &found.done);
    ui.line(format!("removed  {}", packs(done.removed)));
    ui.line(format!("marked   {}", packs(done.condemned)));
    if done.made.0 > 0 {
        ui.line(format!("copied   {} still needed of those", packs(done.made)));
    }
    if done.spared > 0 {
        ui.line(format!("spared   {}, needed again", ui::count(done.spared, "pack")));
    }
    waiting(context, found);
}

/// What waits for its time.
fn waiting(context: &Context, found: &Collected) {
    let (mut until, mut holders) = (BTreeMap::new(), Vec::new());
    for pack in &found.plan.packs {
        let (what, when) = match &pack.fate {
            Fate::Stays(Stay::Grace { until }) => ("marked, removed from", *until),
            Fate::Stays(Stay::Young { until }) => ("young, looked at from", *until),
            Fate::Stays(Stay::Leased { holder }) => {
                holders.push((holder, pack.bytes));
                continue;
            }
            _ => continue,
        };
        let sum: &mut (u64, u64, SystemTime) = until.entry(what).or_insert((0, 0, when));
        *sum = (sum.0 + 1, sum.1 + pack.bytes, sum.2.min(when));
    }
    for (what, (n, bytes, when)) in until {
        context.ui.line(format!("waiting  {}  {what} {}", packs((n, bytes)), ui::iso(ms(when))));
    }
    for (holder, bytes) in holders {
        context.ui.line(format!("waiting  {}  for {holder}", ui::bytes(bytes)));
    }
}

fn tell_plan(context: &Context, found: &Collected) {
    let ui = context.ui;
    ui.line(format!("would remove  {}", packs(found.plan.sum(|f| *f == Fate::Removed))));
    ui.line(format!("would mark    {}", packs(found.plan.sum(|f| *f == Fate::Condemned))));
    let repacked: Vec<_> = found.plan.packs.iter().filter(|p| p.fate == Fate::Repacked).collect();
    if !repacked.is_empty() {
        let needed = ui::bytes(repacked.iter().map(|pack| pack.needed).sum());
        let sum = packs(found.plan.sum(|f| *f == Fate::Repacked));
        ui.line(format!("would copy    {needed} out of {sum}, and mark these"));
    }
    let spared = found.plan.sum(|f| *f == Fate::Spared);
    if spared.0 > 0 {
        ui.line(format!("would spare   {}, needed again", packs(spared)));
    }
    ui.line(format!(
        "in use        {}",
        packs(found.plan.sum(|f| *f == Fate::Stays(Stay::Needed)))
    ));
    waiting(context, found);
    let width = found.roots.iter().map(|r| label(r).chars().count()).max().unwrap_or(0);
    for (root, share) in found.roots.iter().zip(&found.plan.shares) {
        ui.line(format!(
            "keeps  {}  {} alone, {} in all",
            pad(NAME, &label(root), width),
            ui::bytes(share.alone),
            ui::bytes(share.stored)
        ));
    }
    for holder in &found.at_work {
        ui.line(format!("at work  {}", paint(DIM, holder)));
    }
}

/// A name, or an earlier version of one.
fn label(root: &Root) -> String {
    match root.reason {
        Reason::Now => root.name.to_string(),
        Reason::Earlier(version) => format!("{}@v{version}", root.name),
    }
}

fn answer(found: &Collected, planned: bool) -> Value {
    let fate = |fate: &Fate| match fate {
        Fate::Stays(Stay::Needed) => json!({ "fate": "needed" }),
        Fate::Stays(Stay::Young { until }) => {
            json!({ "fate": "young", "until": ui::iso(ms(*until)) })
        }
        Fate::Stays(Stay::Grace { until }) => {
            json!({ "fate": "grace", "until": ui::iso(ms(*until)) })
        }
        Fate::Stays(Stay::Leased { holder }) => json!({ "fate": "leased", "holder": holder }),
        Fate::Condemned => json!({ "fate": "marked" }),
        Fate::Repacked => json!({ "fate": "copied" }),
        Fate::Removed => json!({ "fate": "removed" }),
        Fate::Spared => json!({ "fate": "spared" }),
        _ => json!({ "fate": "other" }),
    };
    let packs = found.plan.packs.iter().map(|pack| {
        let mut value = fate(&pack.fate);
        value["pack"] = json!(pack.pack.to_string());
        value["bytes"] = json!(pack.bytes);
        value["needed"] = json!(pack.needed);
        value
    });
    let sum = |(packs, bytes): (u64, u64)| json!({ "packs": packs, "bytes": bytes });
    let keeps = found.roots.iter().zip(&found.plan.shares).map(|(root, share)| {
        json!({
            "name": root.name, "version": match root.reason { Reason::Now => None, Reason::Earlier(n) => Some(n) },
            "id": root.target.digest().to_string(), "alone": share.alone, "stored": share.stored,
        })
    });
    let done = &found.done;
    json!({
        "planned": planned, "removed": sum(done.removed), "marked": sum(done.condemned), "made": sum(done.made),
        "spared": done.spared, "packs": packs.collect::<Vec<_>>(), "at_work": found.at_work,
        "keeps": if planned { Some(keeps.collect::<Vec<_>>()) } else { None },
        "damaged": done.damaged.iter().map(ToString::to_string).collect::<Vec<_>>(), "lacking": found.lacking,
    })
}

/// A time for [`ui::iso`].
fn ms(when: SystemTime) -> u64 {
    let since = when.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
