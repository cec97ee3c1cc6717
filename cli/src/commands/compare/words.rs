//! What a comparison says, in words: numbers with as many digits as are known, and sentences.

use lab_replay::{Difference, Guard};
use lab_statistics::{
    Arrangements, Comparison, Interval, MEANINGFUL, Options, Pairing, Side, Statistic, Verdict,
    View,
};

use super::arms::Arm;
use crate::commands::{describe::number, diff};
use crate::ui::{DIM, count, paint, plain};

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
pub(in crate::commands) fn gain(interval: Interval) -> Interval {
    Interval { low: 0.0 - interval.high, high: 0.0 - interval.low }
}

/// How often a run of what is compared beats one of the base, and between what.
pub(in crate::commands) fn beats(view: &View) -> Option<(f64, Interval)> {
    let of_base = view.superiority?;
    let at = of_base.interval;
    Some((1.0 - of_base.probability, Interval { low: 1.0 - at.high, high: 1.0 - at.low }))
}

/// The difference of the means, as a gain of what is compared.
pub(in crate::commands) fn difference(view: &View) -> Option<f64> {
    let (base, other) = view.a.mean.zip(view.b.mean)?;
    Some(view.estimate.map_or(other - base, |estimate| 0.0 - estimate.difference()))
}

/// The names of what differs, without what stands before their last dot where that is clear.
pub(in crate::commands) fn named(all: &[Difference]) -> String {
    fn short(d: &Difference) -> &str {
        d.what.rsplit('.').next().unwrap_or(&d.what)
    }
    let name = |d: &Difference| {
        let is_clear = all.iter().filter(|other| short(other) == short(d)).count() == 1;
        plain(if is_clear { short(d) } else { &d.what })
    };
    all.iter().map(name).collect::<Vec<_>>().join(" and ")
}

/// The mean of scores; none of none.
pub(in crate::commands) fn mean(scores: &[f64]) -> Option<f64> {
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

/// Their standard deviation; none of fewer than 2.
pub(in crate::commands) fn deviation(scores: &[f64]) -> Option<f64> {
    let mean = mean(scores).filter(|_| scores.len() > 1)?;
    let squares: f64 = scores.iter().map(|score| (score - mean) * (score - mean)).sum();
    Some((squares / (scores.len() - 1) as f64).sqrt())
}

/// The scores of an arm in short: `0.9512 ± 0.0043`, or `0.95`, or `no score`.
pub(in crate::commands) fn summed(scores: &[f64]) -> String {
    match (mean(scores), deviation(scores)) {
        (Some(mean), Some(deviation)) => {
            format!("{mean:.*} ± {}", decimals(deviation), short(deviation))
        }
        (Some(mean), None) => number(mean),
        _ => "no score".to_owned(),
    }
}

/// The values of both arms: `0.1 → 0.3`, or `1, 2 → 1` where they change within an arm.
pub(in crate::commands) fn values(difference: &Difference) -> String {
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

/// In one line: what differs, and whether runs are pairs.
pub(in crate::commands) fn differing(guard: &Guard, pairing: &Pairing) -> String {
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
pub(in crate::commands) fn decimals(spread: f64) -> usize {
    match spread.abs().log10() {
        magnitude if magnitude.is_finite() => (1.0 - magnitude.floor()).clamp(0.0, 12.0) as usize,
        _ => 4,
    }
}

/// A number by its first two digits.
pub(in crate::commands) fn short(value: f64) -> String {
    format!("{value:.*}", decimals(value))
}

/// A number with its sign.
pub(in crate::commands) fn signed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    if value < 0.0 { format!("−{text}") } else { format!("+{text}") }
}

/// What a view says of the difference: how large it is, its interval, the test; each a part of a sentence.
pub(in crate::commands) fn found(view: &View, options: &Options) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some((difference, interval)) = estimated(view) {
        parts.push(format!("difference {difference}"));
        if let Some(interval) = interval {
            let level = number(100.0 * (1.0 - options.level));
            parts.push(format!("{level} % interval {interval}"));
        }
    }
    parts.extend(tested(view));
    parts
}

/// The difference, and between what it is, with as many digits as are known.
pub(in crate::commands) fn estimated(view: &View) -> Option<(String, Option<String>)> {
    let difference = difference(view)?;
    let reach = view.interval.map_or(difference, |at| (at.high - at.low) / 2.0);
    let digits = decimals(reach);
    let interval = view.interval.map(gain);
    let interval =
        interval.map(|at| format!("{} … {}", signed(at.low, digits), signed(at.high, digits)));
    Some((signed(difference, digits), interval))
}

/// Which test, and its p.
pub(in crate::commands) fn tested(view: &View) -> Option<String> {
    let test = view.test?;
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
    Some(format!("{how}{kind} p = {}{adjusted}", short(p)))
}

/// How often a run of the better one beats one of the other.
pub(in crate::commands) fn beaten(view: &View, (base, other): (&Arm, &Arm)) -> Option<String> {
    let (p, at) = beats(view)?;
    let turned = Interval { low: 1.0 - at.high, high: 1.0 - at.low };
    let (p, at, of, than) = match p >= 0.5 {
        true => (p, at, other.shown(), base.shown()),
        false => (1.0 - p, turned, base.shown(), other.shown()),
    };
    let meaningful = if p >= MEANINGFUL { "at least" } else { "less than" };
    Some(format!(
        "a run of {of} beats one of {than} with probability {p:.2} ({:.2} … {:.2}): {meaningful} the {MEANINGFUL} that counts as meaningful",
        at.low, at.high
    ))
}

/// Whether the difference is within the margin that was stated.
pub(in crate::commands) fn within(view: &View, options: &Options) -> Option<String> {
    let (p, margin) = view.equivalence.zip(options.margin)?;
    Some(format!("within the margin of {margin}: two one-sided tests p = {}", short(p)))
}

/// What follows.
pub(in crate::commands) enum Ruling {
    /// Something does: of whom, if it is of one of them, and what.
    Found(Option<String>, &'static str),
    /// Nothing does, and why.
    None(String),
}

/// The verdict; `arms` are compared with the base.
pub(in crate::commands) fn ruling(
    comparison: &Comparison,
    (base, other): (&Arm, &Arm),
    arms: usize,
) -> Ruling {
    let view = &comparison.completed;
    let (few, many) = (view.a.runs.min(view.b.runs), view.a.runs.max(view.b.runs));
    let runs = if few == many {
        format!("{} each", count(few as u64, "run"))
    } else {
        format!("{few} and {many} runs")
    };
    let name = |side: Side| Some(if side == Side::A { base.shown() } else { other.shown() });
    Ruling::None(match comparison.verdict {
        Verdict::Better(side) => return Ruling::Found(name(side), "is better"),
        Verdict::BetterWithinMargin(side) => {
            return Ruling::Found(name(side), "is better, by less than the margin");
        }
        Verdict::WithinMargin => return Ruling::Found(None, "they differ by less than the margin"),
        // Of several arms each has to show more.
        Verdict::NotShown => match view.detectable.filter(|_| arms == 1) {
            Some(least) => format!("no verdict: with {runs} a difference below {} would be missed more often than in one case of five", short(least)),
            None => format!("no verdict: no difference is shown by {runs}"),
        },
        Verdict::NotPossible => format!("no verdict possible with {runs}: at least {} per side are needed", lab_statistics::MIN_RUNS),
        Verdict::DependsOnCrashes => "no verdict: with the crashed runs counted as the worst something else follows than without them".to_owned(),
    })
}

/// How often somebody looked at the same data for such a number.
pub(in crate::commands) fn looked(looks: usize, metric: &str) -> String {
    let runs = if looks == 1 { "run has" } else { "runs have" };
    format!(
        "{looks} recorded {runs} looked at this data for {}: each look is one more chance to be lucky",
        plain(metric)
    )
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
}
