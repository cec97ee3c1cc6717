//! What a comparison says, for people and for programs.

use lab_replay::{Difference, Guard};
use lab_statistics::{
    Arrangements, Comparison, Interval, MEANINGFUL, Options, Pairing, Side, Statistic, Verdict,
    View,
};
use serde_json::{Value, json};

use super::arms::Arm;
use super::{json_of, values};
use crate::commands::describe::number;
use crate::context::Context;
use crate::ui::{DIM, GOOD, NAME, count, pad, paint, plain};

/// Cells of the strip on which the scores of an arm are drawn.
const STRIP: usize = 24;
/// Scores that are written out on a line.
const ON_A_LINE: usize = 10;

/// Words of names of metrics that should be low, and ends of such words; the same of those that should be high.
const LOW: [&str; 17] = [
    "perplexity",
    "ppl",
    "mae",
    "mape",
    "nll",
    "bpc",
    "bpb",
    "seconds",
    "time",
    "latency",
    "duration",
    "distance",
    "wer",
    "cer",
    "brier",
    "ece",
    "fid",
];
const LOW_ENDS: [&str; 5] = ["loss", "error", "err", "mse", "entropy"];
const HIGH: [&str; 18] = [
    "acc",
    "precision",
    "recall",
    "score",
    "reward",
    "return",
    "bleu",
    "rouge",
    "iou",
    "dice",
    "psnr",
    "ssim",
    "kappa",
    "mcc",
    "r2",
    "map",
    "ndcg",
    "mrr",
];
const HIGH_ENDS: [&str; 4] = ["accuracy", "auc", "auroc", "f1"];

/// Whether a metric of this name should be high, or low; none if its name does not tell.
pub(in crate::commands) fn is_better_when_higher(metric: &str) -> Option<bool> {
    let metric = metric.to_ascii_lowercase();
    let is = |word: &str, whole: &[&str], ends: &[&str]| {
        whole.contains(&word) || ends.iter().any(|end| word.ends_with(end))
    };
    let words = metric.split(|c: char| !c.is_ascii_alphanumeric());
    let mut found: Vec<bool> = words
        .filter_map(|word| match (is(word, &LOW, &LOW_ENDS), is(word, &HIGH, &HIGH_ENDS)) {
            (true, false) => Some(false),
            (false, true) => Some(true),
            _ => None,
        })
        .collect();
    // `error_score` could be either.
    found.dedup();
    if let [one] = found[..] { Some(one) } else { None }
}

/// The difference as a gain of what is compared: the statistics have A - B, of which A is what is compared with.
fn gain(interval: Interval) -> Interval {
    Interval { low: 0.0 - interval.high, high: 0.0 - interval.low }
}

/// How often a run of what is compared beats one of the base, and between what.
fn beats(view: &View) -> Option<(f64, Interval)> {
    let of_base = view.superiority?;
    let at = of_base.interval;
    Some((1.0 - of_base.probability, Interval { low: 1.0 - at.high, high: 1.0 - at.low }))
}

fn difference(view: &View) -> Option<f64> {
    let (base, other) = view.a.mean.zip(view.b.mean)?;
    Some(view.estimate.map_or(other - base, |estimate| 0.0 - estimate.difference()))
}

/// The names of what differs, without what stands before their last dot.
pub(super) fn named(all: &[Difference]) -> String {
    let short = |d: &Difference| plain(d.what.rsplit('.').next().unwrap_or(&d.what));
    all.iter().map(short).collect::<Vec<_>>().join(" and ")
}

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
        ui.line(format!("  {}", differing(guard, &comparison.pairing)));
        for (list, why) in [(&guard.allowed, "allowed"), (&guard.aside, "differs as well")] {
            for difference in list {
                let what = format!(
                    "{why}: {} {}  {}",
                    difference.layer.word(),
                    plain(&difference.what),
                    values(difference)
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
        let runs = if looks == 1 { "run has".to_owned() } else { format!("{} have", "runs") };
        ui.line(paint(DIM, format!("  {looks} recorded {runs} looked at this data for {}: each look is one more chance to be lucky", plain(metric))));
    }
}

fn show_arm(context: &Context, arm: &Arm, width: usize, (low, high): (f64, f64)) {
    let scores = arm.scores();
    let crashed = arm.runs.len() - scores.len();
    let runs = count(arm.runs.len() as u64, "run");
    let mean = match (mean(&scores), deviation(&scores)) {
        (Some(mean), Some(deviation)) => {
            format!("{mean:.*} ± {}", decimals(deviation), short(deviation))
        }
        (Some(mean), None) => number(mean),
        _ => "no score".to_owned(),
    };
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

/// Where the scores lie between the lowest and the highest of all arms: the more in a cell, the higher.
fn strip(scores: &[f64], low: f64, high: f64) -> String {
    let mut cells = [0usize; STRIP];
    for score in scores {
        let part = if high > low { (score - low) / (high - low) } else { 0.5 };
        cells[((part * STRIP as f64) as usize).min(STRIP - 1)] += 1;
    }
    let most = cells.iter().copied().max().unwrap_or(0).max(1);
    let bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |n: usize| if n == 0 { ' ' } else { bars[(n * bars.len()).div_ceil(most) - 1] };
    cells.map(bar).iter().collect()
}

fn mean(scores: &[f64]) -> Option<f64> {
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

fn deviation(scores: &[f64]) -> Option<f64> {
    let mean = mean(scores).filter(|_| scores.len() > 1)?;
    let squares: f64 = scores.iter().map(|score| (score - mean) * (score - mean)).sum();
    Some((squares / (scores.len() - 1) as f64).sqrt())
}

/// In one line: what differs, and whether runs are pairs.
fn differing(guard: &Guard, pairing: &Pairing) -> String {
    let what = match guard.factors.as_slice() {
        [] => "nothing differs but the seeds: this compares a method with itself".to_owned(),
        [one] => format!("only {} differs ({})", named(std::slice::from_ref(one)), values(one)),
        many => format!(
            "only {} differ ({})",
            named(many),
            many.iter().map(values).collect::<Vec<_>>().join("; ")
        ),
    };
    let paired = match pairing {
        Pairing::Paired { correlation: Some(correlation) } => {
            format!("seeds and splits are shared (correlation {:.2})", correlation.r)
        }
        Pairing::Paired { correlation: None } => "seeds and splits are shared".to_owned(),
        Pairing::TooFew { pairs } => {
            format!(
                "seeds are shared, but {} too few to be taken as such",
                if *pairs == 1 { "one pair is".to_owned() } else { format!("{pairs} pairs are") }
            )
        }
        _ => return what,
    };
    format!("{what}; {paired}")
}

/// Decimals that show two digits of how far a number may be off: more would claim more than is known.
fn decimals(spread: f64) -> usize {
    match spread.abs().log10() {
        magnitude if magnitude.is_finite() => (1.0 - magnitude.floor()).clamp(0.0, 12.0) as usize,
        _ => 4,
    }
}

/// A number by its first two digits.
fn short(value: f64) -> String {
    format!("{value:.*}", decimals(value))
}

fn signed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    if value < 0.0 { format!("−{text}") } else { format!("+{text}") }
}

fn show_view(context: &Context, view: &View, options: &Options, (base, other): (&Arm, &Arm)) {
    let ui = context.ui;
    let mut parts = Vec::new();
    if let Some(difference) = difference(view) {
        let reach = view.interval.map_or(difference, |at| (at.high - at.low) / 2.0);
        let digits = decimals(reach);
        parts.push(format!("difference {}", signed(difference, digits)));
        if let Some(at) = view.interval.map(gain) {
            let (low, high) = (signed(at.low, digits), signed(at.high, digits));
            let level = number(100.0 * (1.0 - options.level));
            parts.push(format!("{level} % interval {low} … {high}"));
        }
    }
    if let Some(test) = view.test {
        let how = match test.arrangements {
            Arrangements::Every(_) => "exact ",
            Arrangements::Drawn(_) => "",
        };
        let kind = match (view.paired, test.statistic) {
            (true, _) => "sign-flip test",
            (false, Statistic::MeanDifference) => "permutation test",
            (false, Statistic::Studentised) => "studentised permutation test",
        };
        let p = view.p.unwrap_or(test.p);
        let adjusted = if p == test.p { "" } else { " (Holm's, over all arms)" };
        parts.push(format!("{how}{kind} p = {}{adjusted}", short(p)));
    }
    if !parts.is_empty() {
        ui.line(format!("  {}", parts.join(", ")));
    }
    if let Some((p, at)) = beats(view) {
        let turned = Interval { low: 1.0 - at.high, high: 1.0 - at.low };
        let (p, at, of, than) = match p >= 0.5 {
            true => (p, at, other.shown(), base.shown()),
            false => (1.0 - p, turned, base.shown(), other.shown()),
        };
        let meaningful = if p >= MEANINGFUL { "at least" } else { "less than" };
        let text = format!(
            "a run of {of} beats one of {than} with probability {p:.2} ({:.2} … {:.2}): {meaningful} the {MEANINGFUL} that counts as meaningful",
            at.low, at.high
        );
        ui.line(format!("  {}", paint(DIM, text)));
    }
    if let (Some(p), Some(margin)) = (view.equivalence, options.margin) {
        ui.line(format!("  within the margin of {}: two one-sided tests p = {}", margin, short(p)));
    }
}

/// The last line.
fn verdict(comparison: &Comparison, (base, other): (&Arm, &Arm), arms: usize) -> String {
    let view = &comparison.completed;
    let (few, many) = (view.a.runs.min(view.b.runs), view.a.runs.max(view.b.runs));
    let runs = if few == many {
        format!("{} each", count(few as u64, "run"))
    } else {
        format!("{few} and {many} runs")
    };
    let name = |side: Side| if side == Side::A { base.shown() } else { other.shown() };
    match comparison.verdict {
        Verdict::Better(side) => format!("{}  {} is better", paint(GOOD, "verdict"), paint(NAME, name(side))),
        Verdict::BetterWithinMargin(side) => {
            format!("{}  {} is better, by less than the margin", paint(GOOD, "verdict"), paint(NAME, name(side)))
        }
        Verdict::WithinMargin => format!("{}  they differ by less than the margin", paint(GOOD, "verdict")),
        // Of several arms each has to show more.
        Verdict::NotShown => match view.detectable.filter(|_| arms == 1) {
            Some(least) => format!("no verdict: with {runs} a difference below {} would be missed more often than in one case of five", short(least)),
            None => format!("no verdict: no difference is shown by {runs}"),
        },
        Verdict::NotPossible => format!("no verdict possible with {runs}: at least {} per side are needed", lab_statistics::MIN_RUNS),
        Verdict::DependsOnCrashes => "no verdict: with the crashed runs counted as the worst something else follows than without them".to_owned(),
    }
}

/// What the guard found, for programs.
pub(super) fn guard_json(label: &str, guard: &Guard) -> Value {
    json!({
        "arm": label, "factors": json_of(&guard.factors), "confounders": json_of(&guard.confounders),
        "allowed": json_of(&guard.allowed), "aside": json_of(&guard.aside), "absent": guard.absent,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_should_be_low_and_of_what_nobody_knows_nothing_is_said() {
        let low = [
            "loss",
            "test_loss",
            "logloss",
            "valLoss",
            "eval.error",
            "val-rmse",
            "train_time",
            "cross_entropy",
        ];
        for low in low {
            assert_eq!(is_better_when_higher(low), Some(false), "{low}");
        }
        for high in ["accuracy", "test_accuracy", "f1", "auc", "macro_f1", "val/acc"] {
            assert_eq!(is_better_when_higher(high), Some(true), "{high}");
        }
        for unknown in ["runtimes", "glossary", "x", "", "error_score"] {
            assert_eq!(is_better_when_higher(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn no_more_digits_are_shown_than_are_known() {
        assert_eq!(
            (short(0.0312), short(0.57812), short(12.3)),
            ("0.031".into(), "0.58".into(), "12".into())
        );
        assert_eq!((decimals(0.0043), decimals(0.0), decimals(f64::NAN)), (4, 4, 4));
        assert_eq!((signed(-0.001_393, 4), signed(0.5, 1)), ("−0.0014".into(), "+0.5".into()));
    }

    #[test]
    fn strips_show_where_scores_lie() {
        let one = strip(&[0.0, 0.0, 1.0], 0.0, 1.0);
        assert!(
            one.starts_with('█') && one.ends_with('▄') && one.chars().count() == STRIP,
            "{one}"
        );
        assert_eq!(strip(&[], 0.0, 1.0).trim(), "");
        assert_eq!(strip(&[5.0], 5.0, 5.0).trim(), "█");
    }
}
