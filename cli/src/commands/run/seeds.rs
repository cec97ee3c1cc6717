//! Many runs of one program, by seeds and by folds: which, and what came of them.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::{Run, RunId};

use super::super::describe;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{DIM, NAME, count, pad, paint};

/// Most seeds at once.
const MANY: usize = 10_000;

/// Distinct seeds, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seeds(pub(super) Vec<u64>);

/// `1..10` (both included), `1,2,5`, or both: `1..3,7`.
pub(super) fn seeds(text: &str) -> Result<Seeds, String> {
    let number = |text: &str| {
        text.trim()
            .parse::<u64>()
            .ok()
            .filter(|n| i64::try_from(*n).is_ok())
            .ok_or_else(|| format!("'{text}' is no seed: 1..10 or 1,2,5 is meant"))
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = match part.split_once("..") {
            Some((from, to)) => (number(from)?, number(to.trim_start_matches('='))?),
            None => (number(part)?, number(part)?),
        };
        if from > to {
            return Err(format!("'{part}' is empty: {from} comes after {to}"));
        }
        if to - from >= MANY as u64 {
            return Err(format!("'{part}' is more than {MANY} seeds"));
        }
        all.extend(from..=to);
    }
    if all.len() > MANY {
        Err(format!("more than {MANY} seeds"))
    } else {
        Ok(Seeds(all.into_iter().collect()))
    }
}

/// One of many runs of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variant {
    /// What is set for it, in TOML.
    pub(super) settings: Vec<(&'static str, String)>,
    /// What its name ends in.
    pub(super) suffix: String,
    /// Its fold, from 0, and how many there are.
    pub(super) fold: Option<(u32, u32)>,
}

/// Each seed with each fold; none if neither is asked for.
///
/// # Errors
/// More than 10,000 of them.
pub(super) fn variants(seeds: Option<&Seeds>, folds: Option<u32>) -> Outcome<Vec<Variant>> {
    let mut all = vec![Variant::default()];
    if let Some(Seeds(seeds)) = seeds {
        all = Vec::new();
        for seed in seeds {
            let settings = vec![("seed", seed.to_string())];
            all.push(Variant { settings, suffix: format!(".seed{seed}"), fold: None });
        }
    }
    let Some(count) = folds else {
        all.retain(|variant| !variant.settings.is_empty());
        return Ok(all);
    };
    if all.len().saturating_mul(count as usize) > MANY {
        let many = format!("{} seeds with {count} folds each", all.len());
        return Err(Failure::usage(format!("{many} are more than {MANY} runs")));
    }
    let folded = |variant: Variant| {
        (0..count).map(move |fold| {
            let mut one = variant.clone();
            one.settings.push(("prepare.folds", count.to_string()));
            one.settings.push(("prepare.fold", fold.to_string()));
            one.suffix.push_str(&format!(".fold{fold}"));
            Variant { fold: Some((fold, count)), ..one }
        })
    };
    Ok(all.into_iter().flat_map(folded).collect())
}

/// A table of what came of all runs, and how far results lie apart.
pub(super) fn table<T>(context: &Context, runs: &[(T, RunId, Run)]) {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (_, _, run) in runs {
        for (name, value) in &run.outcome.metrics {
            values.entry(name).or_default().push(value.get());
        }
    }
    if values.is_empty() {
        return;
    }
    let width = values.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, values) in &values {
        let all = values.len();
        let text = match spread(values) {
            Some((mean, deviation)) => {
                format!("{} ± {}", describe::number(mean), describe::number(deviation))
            }
            None => describe::number(values[0]),
        };
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = format!("{} … {}", describe::number(low), describe::number(high));
        let lacking = match runs.len() - all {
            0 => String::new(),
            n => format!(", {n} without it"),
        };
        context.ui.line(format!(
            "  {}  {text}   {}",
            pad(NAME, name, width),
            paint(DIM, format!("{range}, {}{lacking}", count(all as u64, "run")))
        ));
    }
}

/// Mean and sample standard deviation; none below two values.
pub(super) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    // Counts of runs are small.
    #[allow(clippy::cast_precision_loss)]
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Some((mean, (squares / (n - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_ranges_and_lists() {
        assert_eq!(seeds("1..3,7"), Ok(Seeds(vec![1, 2, 3, 7])));
        assert_eq!(seeds("5"), Ok(Seeds(vec![5])));
        assert_eq!(seeds("2,1,2"), Ok(Seeds(vec![1, 2])));
        for bad in ["", "a", "3..1", "1..", "..3", "0..10000", "-1", "9223372036854775808"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_seed_meets_every_fold() {
        assert_eq!(variants(None, None).unwrap(), []);
        let suffixes = |seeds: Option<&Seeds>, folds| -> Vec<String> {
            variants(seeds, folds).unwrap().into_iter().map(|v| v.suffix).collect()
        };
        let two = Seeds(vec![3, 7]);
        assert_eq!(suffixes(Some(&two), None), [".seed3", ".seed7"]);
        assert_eq!(suffixes(None, Some(3)), [".fold0", ".fold1", ".fold2"]);
        let all = [".seed3.fold0", ".seed3.fold1", ".seed7.fold0", ".seed7.fold1"];
        assert_eq!(suffixes(Some(&two), Some(2)), all);
        let last = variants(Some(&two), Some(2)).unwrap().pop().unwrap();
        let set = [("seed", "7"), ("prepare.folds", "2"), ("prepare.fold", "1")];
        assert_eq!(last.settings, set.map(|(key, value)| (key, value.to_owned())));
        assert_eq!(last.fold, Some((1, 2)));
        assert!(variants(Some(&Seeds((0..5001).collect())), Some(2)).is_err());
    }

    #[test]
    fn spread_is_the_sample_deviation() {
        let (mean, deviation) = spread(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((mean - 2.5).abs() < 1e-12 && (deviation - 1.290_994_448_735_805_6).abs() < 1e-12);
        assert_eq!(spread(&[1.0]), None);
    }
}
