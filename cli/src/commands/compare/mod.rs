//! `lab compare`

mod arms;
mod tell;

use lab_replay::{Difference, Guard, Meant, guard};
use lab_schema::RunId;
use lab_statistics::{Options, PairKey, compare_several};
use serde_json::{Value, json};

use self::arms::Arm;
pub(super) use self::arms::{meant, with_seeds};
pub(super) use self::tell::is_better_when_higher;
use super::diff;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{BAD, DIM, NAME, count, pad, paint};
use crate::wiring::Registry;

/// Tell whether a difference between two sets of runs is real: one thing differs, and chance does not explain it
///
/// First the guard: if anything differs but the factor and the seeds, it says what, and that is all. Then every run,
/// the difference of the means with its 95 % interval, an exact permutation test (of sign flips, where both sides had the
/// same seeds), and how large a difference had to be to be found.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What to compare with: a run, NAME@seeds, a pattern such as 'base.seed*', or several with commas between them
    #[arg(value_name = "A")]
    base: String,
    /// What is compared with it, the same; of several, each
    #[arg(value_name = "B", required = true)]
    others: Vec<String>,
    /// The number to compare, such as accuracy [default: the only one that all have]
    #[arg(short, long, value_name = "NAME")]
    metric: Option<String>,
    /// What is meant to differ, such as lr [default: the one parameter that does]
    #[arg(short, long = "factor", value_name = "NAME")]
    factors: Vec<String>,
    /// What else may differ, such as package:numpy or hardware; it is told beside the result
    #[arg(long = "allow", value_name = "LAYER[:NAME]")]
    allowed: Vec<String>,
    /// A lower number is better [default: for losses, errors, perplexities and times]
    #[arg(long, conflicts_with = "higher_is_better")]
    lower_is_better: bool,
    /// A higher number is better
    #[arg(long)]
    higher_is_better: bool,
    /// How large a difference would matter: then it can also be shown that there is none as large
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    margin: Option<f64>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    if let Some(margin) = args.margin.filter(|margin| !(*margin > 0.0 && margin.is_finite())) {
        return Err(Failure::usage(format!(
            "a margin of {margin} is none: how large a difference would matter is meant"
        )));
    }
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let store = &registry.store;
    let mut all = Vec::new();
    for typed in std::iter::once(&args.base).chain(&args.others) {
        all.push(arms::arm(store, &lineage, typed)?);
    }
    let metric = match &args.metric {
        Some(metric) => metric.clone(),
        None => arms::only_metric(store, &all)?,
    };
    for arm in &mut all {
        arms::score(store, arm, &metric)?;
    }
    if all.iter().all(|arm| arm.scores().is_empty()) {
        return Err(arms::no_such_metric(store, &all, &metric)?);
    }
    arms::all_have(&all, &metric)?;
    disjoint(&all)?;
    for note in arms::count_once(&mut all) {
        context.ui.note(note);
    }
    arms::add_crashed(store, &lineage, &mut all)?;

    let meant = Meant { factors: args.factors.clone(), allowed: args.allowed.clone() };
    let (base, others) = all.split_first().expect("one was typed");
    let mut guards = Vec::new();
    for other in others {
        let compared = [&completed(base)[..], &completed(other)[..]];
        guards.push(guard(store, &lineage, compared, &meant)?);
    }
    if !guards.iter().all(Guard::holds) {
        return Err(refuse(context, base, others, &guards));
    }
    for (other, guard) in others.iter().zip(&guards) {
        stand_alone(context, [base, other], guard)?;
    }

    let direction = match (args.higher_is_better, args.lower_is_better) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => tell::is_better_when_higher(&metric),
    };
    let higher_is_better = direction.ok_or_else(|| {
        Failure::usage(format!("is a higher or a lower '{metric}' better?"))
            .hint("say so: `--higher-is-better` or `--lower-is-better`")
    })?;
    let paired = guards.iter().all(can_be_paired);
    let options = Options { higher_is_better, paired, margin: args.margin, ..Options::default() };
    let keys = guards.first().map(|guard| guard.keys[0].clone()).unwrap_or_default();
    let first = statistic(base, paired.then_some(&keys));
    let mut found = Vec::new();
    let arms: Vec<_> = others
        .iter()
        .zip(&guards)
        .map(|(arm, guard)| statistic(arm, paired.then_some(&guard.keys[1])))
        .collect();
    for comparison in compare_several(&first, &arms, &options)
        .map_err(|error| Failure::usage(error.to_string()))?
    {
        found.push(comparison);
    }
    let looks = looks(&registry, base, others, &metric)?;
    tell::text(context, &metric, (base, others), &guards, &found, &options, looks);
    context.ui.answer(&tell::answer(&metric, (base, others), &guards, &found, &options, looks));
    Ok(())
}

fn looks(registry: &Registry, base: &Arm, others: &[Arm], metric: &str) -> Outcome<Option<usize>> {
    let lineage = registry.lineage()?;
    let pair = base.runs.first().zip(others.first().and_then(|arm| arm.runs.first()));
    match pair {
        Some((a, b)) => arms::looks(&lineage, [a.id, b.id], metric),
        None => Ok(None),
    }
}

/// The runs of an arm that came to an end: what the others differ in may be the crash itself.
fn completed(arm: &Arm) -> Vec<RunId> {
    arm.runs.iter().filter(|run| run.score.is_some()).map(|run| run.id).collect()
}

/// Runs that stand on one training tell of one training, however many they are.
fn stand_alone(context: &Context, arms: [&Arm; 2], guard: &Guard) -> Outcome {
    for (arm, origins) in arms.into_iter().zip(guard.origins) {
        let runs = completed(arm).len();
        let Some(origins) = origins.filter(|origins| *origins < runs) else { continue };
        context.ui.line(format!(
            "{}  the {} of {} stand on {} in which {} entered: they are not independent",
            paint(BAD, "not comparable"),
            count(runs as u64, "run"),
            arm.shown(),
            count(origins as u64, "run"),
            tell::named(&guard.factors)
        ));
        context.ui.answer(
            &json!({ "comparable": false, "arm": arm.label, "runs": runs, "independent": origins }),
        );
        return Err(Failure::no());
    }
    Ok(())
}

/// A run that is in two arms would be compared with itself.
fn disjoint(all: &[Arm]) -> Outcome {
    for (n, arm) in all.iter().enumerate() {
        for other in &all[n + 1..] {
            if let Some(run) =
                arm.runs.iter().find(|run| other.runs.iter().any(|there| run.is_one_with(there)))
            {
                let both = format!("'{}' and '{}'", arm.label, other.label);
                return Err(Failure::usage(format!(
                    "{both} both hold the run {} ({})",
                    run.id.short(),
                    run.name
                ))
                .hint("the arms of a comparison have no run in common"));
            }
        }
    }
    Ok(())
}

/// Whether each run has another seed, and the other arm has the same ones.
fn can_be_paired(guard: &Guard) -> bool {
    let [mut one, mut other] = guard.keys.clone();
    one.sort();
    other.sort();
    one == other && one.windows(2).all(|pair| pair[0] != pair[1])
}

/// An arm for the statistics. Keys are those of the runs that came to an end; where some crashed there are no pairs.
fn statistic(arm: &Arm, keys: Option<&Vec<String>>) -> lab_statistics::Arm {
    let mut keys = keys.into_iter().flatten();
    let runs = arm.runs.iter().map(|run| {
        let key = run.score.and_then(|_| keys.next());
        let key = key.map(|seed| PairKey { seed: seed.clone(), split: String::new() });
        lab_statistics::Run { key, score: run.score }
    });
    lab_statistics::Arm { runs: runs.collect() }
}

/// Says what else differs.
fn refuse(context: &Context, base: &Arm, others: &[Arm], guards: &[Guard]) -> Failure {
    let mut answers = Vec::new();
    let mut allow = None;
    for (other, guard) in others.iter().zip(guards) {
        answers.push(tell::guard_json(&other.label, guard));
        if guard.holds() {
            continue;
        }
        let besides = match guard.factors.is_empty() {
            true => String::new(),
            false => format!("besides {}, ", tell::named(&guard.factors)),
        };
        for name in &guard.unclear {
            context.ui.line(format!(
                "{}  '{name}' could be more than one of these: name the whole of it",
                paint(BAD, "not comparable")
            ));
        }
        for name in &guard.absent {
            context.ui.line(format!(
                "{}  '{name}' does not differ between {} and {}",
                paint(BAD, "not comparable"),
                base.label,
                other.label
            ));
        }
        if guard.confounders.is_empty() {
            continue;
        }
        context.ui.line(format!(
            "{}  {} and {}: {besides}these differ",
            paint(BAD, "not comparable"),
            base.label,
            other.label
        ));
        let width =
            guard.confounders.iter().map(|d| d.what.chars().count()).max().unwrap_or(0).min(40);
        for difference in &guard.confounders {
            context.ui.line(format!(
                "  {:<11}  {}  {}",
                difference.layer.word(),
                pad(NAME, &crate::ui::plain(&difference.what), width),
                values(difference)
            ));
        }
        allow = allow.or(guard.confounders.first());
    }
    context.ui.answer(&json!({ "comparable": false, "arms": answers }));
    if let Some(difference) = allow {
        let first = |arm: &Arm| arm.runs.first().map(|run| run.name.clone()).unwrap_or_default();
        context.ui.hint(format!(
            "`lab diff {} {}` for all of it",
            first(base),
            others.first().map(first).unwrap_or_default()
        ));
        let (layer, name) = (difference.layer.word(), crate::ui::plain(difference.name()));
        let quoted = |text: String| if text.contains(' ') { format!("'{text}'") } else { text };
        let factor = format!("`--factor {}` if that is what you compare", quoted(name.clone()));
        let allowed = quoted(format!("{layer}:{name}"));
        match difference.is_between() {
            true => context.ui.hint(format!(
                "{factor}; `--allow {allowed}` if you can argue that it does not matter"
            )),
            false => context.ui.hint("within an arm nothing may differ but the seeds"),
        }
    }
    Failure::no()
}

/// The values of both arms: `0.1 → 0.3`, or `1, 2 → 1` where they change within an arm.
fn values(difference: &Difference) -> String {
    let [before, after] = difference.values.each_ref().map(|values| {
        let shown: Vec<String> = values
            .iter()
            .take(3)
            .map(|value| match value {
                Some(value) => diff::value(value, difference.layer),
                None => paint(DIM, "absent"),
            })
            .collect();
        let more = if values.len() > 3 {
            format!(" and {} more", values.len() - 3)
        } else {
            String::new()
        };
        format!("{}{more}", shown.join(", "))
    });
    match difference.is_between() {
        true => format!("{before} → {after}"),
        false => format!("{before} → {after}   {}", paint(DIM, "not the same within one of them")),
    }
}

/// The differences for programs.
fn json_of(all: &[Difference]) -> Vec<Value> {
    all.iter()
        .map(|d| json!({ "layer": d.layer.word(), "what": d.what, "values": d.values }))
        .collect()
}
