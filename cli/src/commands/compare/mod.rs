//! `lab compare`

mod arms;
mod words;
mod models;
mod judge;
mod tell;

use lab_replay::{Difference, Guard};
use serde_json::{Value, json};

pub(super) use self::arms::{Arm, meant, meant_of, with_seeds};
pub(super) use self::judge::{Asked, Finding, Gathered, Judged, gather, judge};
pub(super) use self::models::Models;
pub(super) use self::words::{
    Ruling, beaten, difference, differing, estimated, gain, is_better_when_higher, looked, mean,
    named, ruling, short, summed, tested, values, within,
};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{BAD, NAME, pad, paint};

/// Tell whether a difference between two sets of runs is real: one thing differs, and chance does not explain it
///
/// First the guard: if anything differs but the factor and the seeds, it says what, and that is all. Then every run,
/// the difference of the means with its 95 % interval, an exact permutation test (of sign flips, where both sides had the
/// same seeds), and how large a difference had to be to be found. Apart from that, where runs left predictions for the
/// same examples: how often only one of two models is right, which speaks of these two and not of the methods.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// What to compare with: a run, NAME@seeds, a pattern such as 'base.seed*', or several with commas between them
    #[arg(value_name = "A")]
    base: String,
    /// What is compared with it, the same; of several, each
    #[arg(value_name = "B", required = true)]
    others: Vec<String>,
    #[command(flatten)]
    asked: Asked,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let typed: Vec<&str> =
        std::iter::once(&args.base).chain(&args.others).map(String::as_str).collect();
    let gathered = gather(&registry.store, &lineage, &typed, &args.asked)?;
    for note in &gathered.notes {
        context.ui.note(note);
    }
    let Gathered { arms, metric, .. } = &gathered;
    let (base, others) = arms.split_first().expect("one was typed");
    let judged = judge(&registry.store, &lineage, &gathered, &args.asked)?;
    let guards = &judged.guards;
    match &judged.finding {
        Finding::Confounded => Err(refuse(context, base, others, guards)),
        Finding::Dependent(dependent) => {
            context.ui.line(format!("{}  {}", paint(BAD, "not comparable"), dependent.words()));
            context.ui.answer(&json!({
                "comparable": false, "arm": dependent.label, "runs": dependent.runs,
                "independent": dependent.origins,
            }));
            Err(Failure::no())
        }
        Finding::Judged { options, comparisons, looks, models } => {
            let arms = (base, others);
            tell::text(context, metric, arms, guards, comparisons, options, *looks);
            tell::models(context, models, options);
            let mut answer = tell::answer(metric, arms, guards, comparisons, options, *looks);
            for (compared, models) in
                answer["compared"].as_array_mut().into_iter().flatten().zip(models)
            {
                compared["models"] = models.as_ref().map_or(Value::Null, Models::json);
            }
            context.ui.answer(&answer);
            Ok(())
        }
    }
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
            false => format!("besides {}, ", words::named(&guard.factors)),
        };
        for name in &guard.unclear {
            context.ui.line(format!(
                "{}  '{}' could be more than one of these: name the whole of it",
                paint(BAD, "not comparable"),
                crate::ui::plain(name)
            ));
        }
        for name in &guard.absent {
            context.ui.line(format!(
                "{}  '{}' does not differ between {} and {}",
                paint(BAD, "not comparable"),
                crate::ui::plain(name),
                base.shown(),
                other.shown()
            ));
        }
        if guard.confounders.is_empty() {
            continue;
        }
        context.ui.line(format!(
            "{}  {} and {}: {besides}these differ",
            paint(BAD, "not comparable"),
            base.shown(),
            other.shown()
        ));
        let width =
            guard.confounders.iter().map(|d| d.what.chars().count()).max().unwrap_or(0).min(40);
        for difference in &guard.confounders {
            context.ui.line(format!(
                "  {:<11}  {}  {}",
                difference.layer.word(),
                pad(NAME, &crate::ui::plain(&difference.what), width),
                words::values(difference)
            ));
        }
        allow = allow.or(guard.confounders.first().map(|difference| (other, difference)));
    }
    context.ui.answer(&json!({ "comparable": false, "arms": answers }));
    if let Some((other, difference)) = allow {
        let first = |arm: &Arm| arm.runs.first().map(|run| run.name.clone()).unwrap_or_default();
        context.ui.hint(format!("`lab diff {} {}` for all of it", first(base), first(other)));
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

/// The differences for programs.
fn json_of(all: &[Difference]) -> Vec<Value> {
    all.iter()
        .map(|d| json!({ "layer": d.layer.word(), "what": d.what, "values": d.values }))
        .collect()
}
