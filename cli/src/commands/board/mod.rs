//! `lab board`

mod look;

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_replay::{Claim, Entry, Meant, Shared, entries, guard};
use lab_schema::{ObjectId, RunId};
use lab_statistics::{Interval, Summary};
use serde_json::{Value, json};

use self::look::{Leak, look};
use super::eval::leaks;
use super::{describe, eval};
use crate::context::Context;
use crate::failure::Outcome;
use crate::ui::{BAD, DIM, GOOD, NAME, count, pad, paint, plain, shortened};

/// The confidence of the intervals.
const LEVEL: f64 = 0.95;
/// Scores of which an interval is told.
const FEW: usize = 3;
/// Longest name in a row, in characters.
const WIDTH: usize = 28;
/// Doubts that are told of a row.
const TOLD: usize = 3;

/// Who went through an evaluation: a leaderboard whose rows all have the same data, code and environment
///
/// A row is a model, or the seeds of one method: their mean, its 95 % interval, and how strong a claim it is, from
/// reported to verified on other hardware. What looks like a leak stands under the row, which has a `?` and no rank
/// where the making of a model read what it is tested on.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// An evaluation, as `lab eval define` makes it
    #[arg(value_name = "EVAL")]
    evaluation: String,
    /// Compare what the models were trained on with what they are tested on, example by example, also where that is
    /// more than 4 MiB
    #[arg(long)]
    leaks: bool,
}

/// A method: one model, or one for each seed.
struct Row {
    label: String,
    entries: Vec<Entry>,
    summary: Summary,
    /// Test examples that are among the training examples, beyond what chance explains.
    leaks: Vec<Leak>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let pinned = eval::pinned(&registry.store, &args.evaluation)?;
    let evaluation = &pinned.evaluation;
    let all = entries(&registry.store, &lineage, evaluation)?;
    let mut rows = rows(&registry.store, &lineage, &pinned.label, all)?;
    let most = if args.leaks { u64::MAX } else { look::SMALL };
    let looked = look(&registry.store, &lineage, &pinned, &mut rows, most)?;
    if args.leaks && looked.pairs == 0 {
        context.ui.note("nothing that was trained on could be taken apart into examples such as those that are tested on");
    }
    let higher = evaluation.higher_is_better();
    let key = |row: &Row| row.summary.mean.unwrap_or(if higher { f64::MIN } else { f64::MAX });
    rows.sort_by(|a, b| {
        let order = key(a).total_cmp(&key(b));
        let order = if higher { order.reverse() } else { order };
        order.then_with(|| a.label.cmp(&b.label))
    });

    context.ui.line(format!(
        "{}  {}, {} is better   {}",
        paint(NAME, &pinned.label),
        plain(evaluation.metric()),
        if higher { "higher" } else { "lower" },
        paint(DIM, format!("protocol {}", pinned.protocol()))
    ));
    let width = rows.iter().map(|row| shown(row).chars().count()).max().unwrap_or(0);
    let mut answers = Vec::new();
    let (mut ranked, mut rank, mut before) = (0, 0, None);
    for row in &rows {
        // Who had a look at the test is in nobody's way.
        let has_rank = row.summary.mean.is_some() && !has_seen_the_test(row);
        if has_rank {
            ranked += 1;
            // Equal means share a rank.
            if before != Some(row.summary.mean) {
                (rank, before) = (ranked, Some(row.summary.mean));
            }
        }
        let rank = has_rank.then_some(rank);
        context.ui.line(line(rank, row, width));
        for doubt in doubts(row) {
            context.ui.line(format!("       {}", paint(BAD, doubt)));
        }
        answers.push(answer(rank, row));
    }
    if looked.left_out {
        context.ui.hint(format!(
            "`lab board {} --leaks` also compares what is large: training and test examples",
            pinned.label
        ));
    }
    if rows.iter().all(|row| row.entries.len() < 2) && rows.len() > 1 {
        context.ui.hint(
            "one model each tells of these models, not of methods: `lab run --seeds` makes more",
        );
    }
    if let Some(row) = rows.iter().find(|row| claim(row) == Claim::Recorded) {
        let first = row.entries.first().map(|entry| entry.run.short()).unwrap_or_default();
        context.ui.hint(format!(
            "`lab verify --deep {first}` makes the claim of {} stronger",
            shown(row)
        ));
    }
    context.ui.answer(&json!({
        "evaluation": pinned.label, "metric": evaluation.metric(), "higher_is_better": higher,
        "protocol": pinned.protocol(), "rows": answers,
    }));
    Ok(())
}

/// Entries by method: what is called `NAME.seedN` is of one, if nothing but the seed differs.
fn rows(store: &Store, lineage: &Lineage, of_what: &str, all: Vec<Entry>) -> Outcome<Vec<Row>> {
    // What `lab eval run` calls a result.
    let prefix = format!("{of_what}.");
    let evaluated: BTreeSet<RunId> = all.iter().map(|entry| entry.run).collect();
    let mut names: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    let mut runs: BTreeMap<String, RunId> = BTreeMap::new();
    for (name, moved) in store.names().list()? {
        if let Some(target) = moved.target {
            names.entry(target).or_default().push(name.to_string());
            if let ObjectId::Run(run) = target {
                runs.insert(name.to_string(), run);
            }
        }
    }
    let of = |id: ObjectId| {
        let all = names.get(&id).into_iter().flatten();
        all.min_by_key(|name| (name.len(), (*name).clone())).cloned()
    };
    let label = |entry: &Entry| -> Outcome<String> {
        // Of several runs that left all of this model any may have the name.
        let mut makers: Option<Vec<RunId>> = None;
        for content in entry.model.values() {
            let left: Vec<RunId> =
                lineage.producers(*content)?.into_iter().map(|made| made.run).collect();
            makers = Some(match makers {
                None => left,
                Some(before) => before.into_iter().filter(|run| left.contains(run)).collect(),
            });
        }
        let others = makers.unwrap_or_default();
        let mut makers = entry.makers.iter().copied().filter(|run| others.contains(run));
        let mut makers = makers.by_ref().chain(others.iter().copied());
        let made = makers.find_map(|run| {
            of(run.into()).filter(|_| !evaluated.contains(&run)).map(|name| (run, name))
        });
        // A stage goes by the name of the whole.
        let made = match made {
            Some((run, name)) => {
                let whole = name.rsplit_once('.').map(|(whole, _)| whole.to_owned());
                let is_part = match whole.as_ref().and_then(|whole| runs.get(whole)) {
                    Some(last) => lineage.chain(*last)?.contains(&run),
                    None => false,
                };
                Some(whole.filter(|_| is_part).unwrap_or(name))
            }
            None => None,
        };
        let mut files = entry.model.values().map(|content| ObjectId::from(*content));
        let own = || {
            of(entry.run.into()).map(|name| name.strip_prefix(&prefix).unwrap_or(&name).to_owned())
        };
        let found = made.or_else(|| files.find_map(of)).or_else(own);
        Ok(found.unwrap_or_else(|| entry.run.short()))
    };
    let mut groups: BTreeMap<String, Vec<(String, Entry)>> = BTreeMap::new();
    for entry in all {
        let label = label(&entry)?;
        let method = method(&label).unwrap_or(&label).to_owned();
        groups.entry(method).or_default().push((label, entry));
    }
    let mut rows = Vec::new();
    for (method, members) in groups {
        // One model each, of one run each: several checkpoints of a run are no seeds.
        let makers: Vec<RunId> = members.iter().filter_map(|(_, entry)| one_maker(entry)).collect();
        let distinct: BTreeSet<&RunId> = makers.iter().collect();
        let are_seeds = members.iter().all(|(label, _)| self::method(label).is_some());
        if members.len() > 1
            && are_seeds
            && distinct.len() == members.len()
            && is_one(store, lineage, &makers)?
        {
            rows.push(row(method, members.into_iter().map(|(_, entry)| entry).collect()));
        } else {
            rows.extend(members.into_iter().map(|(label, entry)| row(label, vec![entry])));
        }
    }
    Ok(rows)
}

/// The one run that made all of a model.
fn one_maker(entry: &Entry) -> Option<RunId> {
    if let ([maker], true) = (&entry.makers[..], entry.is_made) { Some(*maker) } else { None }
}

fn row(label: String, entries: Vec<Entry>) -> Row {
    let scores: Vec<f64> = entries.iter().filter_map(|entry| entry.score).collect();
    Row { label, summary: Summary::of(&scores), entries, leaks: Vec::new() }
}

/// The method of a name that is one of its seeds.
fn method(label: &str) -> Option<&str> {
    let (method, seed) = label.rsplit_once(".seed")?;
    let digits = seed.split('.').next().unwrap_or_default();
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(method)
}

/// Whether runs differ in nothing but their seeds.
fn is_one(store: &Store, lineage: &Lineage, makers: &[RunId]) -> Outcome<bool> {
    let [first, rest @ ..] = makers else { return Ok(true) };
    let found = guard(store, lineage, [&[*first], rest], &Meant::default())?;
    Ok(found.holds() && found.factors.is_empty())
}

fn claim(row: &Row) -> Claim {
    row.entries.iter().map(|entry| entry.claim).min().unwrap_or(Claim::Reported)
}

fn shown(row: &Row) -> String {
    shortened(&plain(&row.label), WIDTH)
}

/// Whether what a model of it was made from has what it is tested on.
fn has_seen_the_test(row: &Row) -> bool {
    let has_read = |entry: &Entry| entry.shared.iter().any(|shared| shared.is_same);
    !row.leaks.is_empty() || row.entries.iter().any(has_read)
}

fn line(rank: Option<usize>, row: &Row, width: usize) -> String {
    let rank = match rank {
        Some(rank) => rank.to_string(),
        None if row.summary.mean.is_none() => String::new(),
        None => "?".to_owned(),
    };
    let mean = row.summary.mean.map_or_else(|| "failed".to_owned(), describe::number);
    let interval = interval(row).map(|interval| {
        format!("{} … {}", describe::number(interval.low), describe::number(interval.high))
    });
    let claim = claim(row);
    let style = match claim {
        Claim::Reported => BAD,
        Claim::Recorded => DIM,
        _ => GOOD,
    };
    let failed = row.entries.len() - row.summary.runs;
    let seeds = match (row.entries.len(), failed) {
        (1, _) => "1 model".to_owned(),
        (n, 0) => count(n as u64, "seed"),
        (n, failed) => format!("{}, {failed} failed", count(n as u64, "seed")),
    };
    format!(
        "  {rank:>2}   {}  {mean:>9}  {:<19}  {seeds:<9}  {}",
        pad(NAME, &shown(row), width),
        interval.unwrap_or_default(),
        paint(style, claim.as_str())
    )
}

/// Where the mean of all seeds lies; of two scores it could be anywhere.
fn interval(row: &Row) -> Option<Interval> {
    row.summary.interval(LEVEL).filter(|_| row.summary.runs >= FEW)
}

/// What speaks against a row.
fn doubts(row: &Row) -> Vec<String> {
    // By weight: what is cut is never a leak.
    let mut found: BTreeSet<(u8, String)> = BTreeSet::new();
    let mut split: BTreeMap<(&str, BTreeSet<&str>), Vec<RunId>> = BTreeMap::new();
    for entry in &row.entries {
        let apart = entry.shared.iter().filter(|shared| !shared.is_same);
        if let Some(first) = apart.clone().next() {
            let tested = apart.map(|shared| shared.tested.as_str()).collect();
            split.entry((&first.read, tested)).or_default().push(first.by);
        }
        for Shared { tested, by, read, .. } in entry.shared.iter().filter(|shared| shared.is_same) {
            let as_what =
                if tested == read { String::new() } else { format!(" as {}", plain(read)) };
            found.insert((
                1,
                format!(
                    "its making read {}{as_what}, which it is tested on (run {})",
                    plain(tested),
                    by.short()
                ),
            ));
        }
        for run in &entry.disputed {
            found.insert((2, format!("done again, run {} came to something else", run.short())));
        }
    }
    for ((read, tested), by) in split {
        let tested: Vec<String> = tested.into_iter().map(plain).collect();
        let (n, all) = (by.len(), row.entries.len());
        let whose =
            if all == 1 { "its making".to_owned() } else { format!("the making of {n} of {all}") };
        let first = by.first().map(|run| run.short()).unwrap_or_default();
        found.insert((3, format!(
            "{whose} started from {} as well, of which another run split off {}: they may share rows (run {first})",
            plain(read),
            tested.join(", ")
        )));
    }
    for Leak { by, read, tested, found: overlap } in &row.leaks {
        found.insert((
            0,
            format!(
                "leak from {} into {}: {} (run {})",
                plain(tested),
                plain(read),
                leaks::sentence(overlap),
                by.short()
            ),
        ));
    }
    if row.entries.iter().any(|entry| !entry.is_made) {
        found.insert((4, "nobody recorded how the model was made, or all of it".to_owned()));
    }
    let leaks = found.iter().filter(|(weight, _)| *weight == 0).count();
    let shown = TOLD.max(leaks);
    let more = found.len().saturating_sub(shown);
    let mut told: Vec<String> = found.into_iter().take(shown).map(|(_, doubt)| doubt).collect();
    if more > 0 {
        told.push(format!("and {more} more: `--json` has all"));
    }
    told
}

fn answer(rank: Option<usize>, row: &Row) -> Value {
    let interval = interval(row);
    json!({
        "rank": rank, "name": row.label, "mean": row.summary.mean, "deviation": row.summary.deviation,
        "interval": interval.map(|interval| [interval.low, interval.high]),
        "runs": row.entries.len(), "failed": row.entries.len() - row.summary.runs,
        "claim": claim(row).as_str(),
        "leaks": row.leaks.iter().map(|leak| json!({
            "by": leak.by.to_string(), "read": leak.read, "tested": leak.tested, "found": leaks::answer(&leak.found),
        })).collect::<Vec<_>>(),
        "entries": row.entries.iter().map(|entry| json!({
            "run": entry.run.to_string(), "score": entry.score, "model": eval::model_json(&entry.model),
            "makers": entry.makers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "is_made": entry.is_made, "claim": entry.claim.as_str(),
            "disputed": entry.disputed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "shared": entry.shared.iter().map(|shared| json!({
                "tested": shared.tested, "by": shared.by.to_string(), "read": shared.read, "same": shared.is_same,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_of_one_method() {
        assert_eq!(method("base.seed1"), Some("base"));
        assert_eq!(method("base.seed12.train"), Some("base"));
        for single in ["base", "base.seed", "base.seedling", ".seedx"] {
            assert_eq!(method(single), None, "{single}");
        }
    }
}
