//! What a comparison says, for people and for programs.

use lab_replay::Guard;
use lab_statistics::{Arrangements, Comparison, Interval, Options, Side, Statistic, Verdict, View};
use serde_json::{Value, json};

use super::arms::Arm;
use super::json_of;
use super::models::Models;
use super::words::{self, Ruling, beats, deviation, difference, gain, mean};
use crate::commands::describe::number;
use crate::commands::strip::strip;
use crate::context::Context;
use crate::ui::{DIM, GOOD, NAME, count, pad, paint, plain};

/// Scores that are written out on a line.
const ON_A_LINE: usize = 10;

pub(super) fn text(
    context: &Context,
    metric: &str,
    (base, others): (&Arm, &[Arm]),
    guards: &[Guard],
    found: &[Comparison],
    options: &Options,
    looks: Option<usize>,
) {
    let ui = context.ui;
    let better = if options.higher_is_better { "higher" } else { "lower" };
    ui.line(format!(
        "{}  {}",
        paint(NAME, plain(metric)),
        paint(DIM, format!("{better} is better"))
    ));
    let all: Vec<&Arm> = std::iter::once(base).chain(others).collect();
    let scores: Vec<f64> = all.iter().flat_map(|arm| arm.scores()).collect();
    let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = all.iter().map(|arm| arm.shown().chars().count()).max().unwrap_or(0);
    for arm in &all {
        show_arm(context, arm, width, (low, high));
    }
    for ((other, guard), comparison) in others.iter().zip(guards).zip(found) {
        if others.len() > 1 {
            ui.line(paint(NAME, other.shown()));
        }
        ui.line(format!("  {}", words::differing(guard, &comparison.pairing)));
        for (list, why) in [(&guard.allowed, "allowed"), (&guard.aside, "differs as well")] {
            for difference in list {
                let what = format!(
                    "{why}: {} {}  {}",
                    difference.layer.word(),
                    plain(&difference.what),
                    words::values(difference)
                );
                ui.line(format!("  {}", paint(DIM, what)));
            }
        }
        show_view(context, &comparison.completed, options, (base, other));
        if let Some(counted) = &comparison.counted {
            let (a, b) = comparison.crashed;
            let many = count((a + b) as u64, "crashed run");
            ui.line(format!("  with {many} counted as the worst score:"));
            show_view(context, counted, options, (base, other));
        }
        ui.line(format!("  {}", verdict(comparison, (base, other), others.len())));
    }
    if let Some(looks) = looks {
        ui.line(paint(DIM, format!("  {}", words::looked(looks, metric))));
    }
}

/// What is said of single models, apart from all that is said of the methods.
pub(super) fn models(context: &Context, all: &[Option<Models>], options: &Options) {
    for models in all.iter().flatten() {
        if let Some(note) = models.note() {
            context.ui.note(&note);
        }
        let Some((head, lines)) = models.words(options.level) else { continue };
        context.ui.line(format!("{}  {head}", paint(NAME, "two models")));
        for line in lines {
            context.ui.line(format!("  {line}"));
        }
    }
}

fn show_arm(context: &Context, arm: &Arm, width: usize, (low, high): (f64, f64)) {
    let scores = arm.scores();
    let crashed = arm.runs.len() - scores.len();
    let runs = count(arm.runs.len() as u64, "run");
    let mean = words::summed(&scores);
    let crashed = if crashed > 0 { format!(", {crashed} without a score") } else { String::new() };
    context.ui.line(format!(
        "  {}  {runs:<8} {mean:<20} {}{crashed}",
        pad(NAME, &arm.shown(), width),
        strip(&scores, low, high)
    ));
    for line in scores.chunks(ON_A_LINE) {
        let line: Vec<String> = line.iter().map(|score| format!("{:>7}", number(*score))).collect();
        context.ui.line(format!("  {}  {}", " ".repeat(width), paint(DIM, line.join(" "))));
    }
}

fn show_view(context: &Context, view: &View, options: &Options, arms: (&Arm, &Arm)) {
    let ui = context.ui;
    let parts = words::found(view, options);
    if !parts.is_empty() {
        ui.line(format!("  {}", parts.join(", ")));
    }
    if let Some(text) = words::beaten(view, arms) {
        ui.line(format!("  {}", paint(DIM, text)));
    }
    if let Some(text) = words::within(view, options) {
        ui.line(format!("  {text}"));
    }
}

/// The last line.
fn verdict(comparison: &Comparison, pair: (&Arm, &Arm), arms: usize) -> String {
    match words::ruling(comparison, pair, arms) {
        Ruling::Found(Some(who), what) => {
            format!("{}  {} {what}", paint(GOOD, "verdict"), paint(NAME, who))
        }
        Ruling::Found(None, what) => format!("{}  {what}", paint(GOOD, "verdict")),
        Ruling::None(why) => why,
    }
}

/// What the guard found, for programs.
pub(super) fn guard_json(label: &str, guard: &Guard) -> Value {
    json!({
        "arm": label, "factors": json_of(&guard.factors), "confounders": json_of(&guard.confounders),
        "allowed": json_of(&guard.allowed), "aside": json_of(&guard.aside), "absent": guard.absent,
        "unclear": guard.unclear,
    })
}

pub(super) fn answer(
    metric: &str,
    (base, others): (&Arm, &[Arm]),
    guards: &[Guard],
    found: &[Comparison],
    options: &Options,
    looks: Option<usize>,
) -> Value {
    let arm = |arm: &Arm| {
        let runs = arm
            .runs
            .iter()
            .map(|run| json!({ "id": run.id.to_string(), "name": run.name, "score": run.score }));
        json!({ "label": arm.label, "runs": runs.collect::<Vec<_>>(), "mean": mean(&arm.scores()), "deviation": deviation(&arm.scores()) })
    };
    let ends = |interval: Option<Interval>| interval.map(|at| [at.low, at.high]);
    let view = |view: &View| {
        json!({
            "difference": difference(view), "interval": ends(view.interval.map(gain)),
            "paired": view.paired, "p": view.p, "p_alone": view.test.map(|test| test.p),
            "exact": view.test.map(|test| matches!(test.arrangements, Arrangements::Every(_))),
            "studentised": view.test.map(|test| test.statistic == Statistic::Studentised),
            "beats": beats(view).map(|(p, _)| p), "beats_interval": ends(beats(view).map(|(_, at)| at)),
            "p_within_margin": view.equivalence, "detectable": view.detectable,
        })
    };
    let compared = others.iter().zip(guards).zip(found).map(|((other, guard), comparison)| {
        let better = comparison.verdict.better().map(|side| if side == Side::A { &base.label } else { &other.label });
        json!({
            "arm": arm(other), "guard": guard_json(&other.label, guard),
            "completed": view(&comparison.completed), "counting_crashed": comparison.counted.as_ref().map(view),
            "crashed": [comparison.crashed.0, comparison.crashed.1],
            "better": better, "verdict": word(comparison.verdict),
        })
    });
    json!({
        "comparable": true, "metric": metric, "higher_is_better": options.higher_is_better, "level": options.level,
        "margin": options.margin, "base": arm(base), "compared": compared.collect::<Vec<_>>(), "runs_on_this_data": looks,
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotPossible => "not possible",
        Verdict::Better(_) => "better",
        Verdict::BetterWithinMargin(_) => "better within margin",
        Verdict::WithinMargin => "within margin",
        Verdict::NotShown => "not shown",
        Verdict::DependsOnCrashes => "depends on crashes",
    }
}
