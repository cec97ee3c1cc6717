//! Many runs of one program, by settings, seeds and folds: which, and what came of them.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::{Run, RunId};

use super::super::describe;
use super::super::strip::strip;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{DIM, NAME, count, pad, paint};

/// Most seeds at once.
const MANY: usize = 10_000;

/// Distinct seeds, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Seeds(pub(in crate::commands) Vec<u64>);

/// `1..10` (both included), `1,2,5`, or both: `1..3,7`.
pub(in crate::commands) fn seeds(text: &str) -> Result<Seeds, String> {
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

/// Values of one setting that are tried one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) key: String,
    values: Vec<String>,
}

/// `train.lr=0.1,0.3`, or several with ` x ` between them; values are TOML, or words that need no quotes.
pub(super) fn axes(text: &str) -> Result<Vec<Axis>, String> {
    let mut all: Vec<Axis> = Vec::new();
    for part in apart(text, " x ") {
        let bad = || format!("'{part}' is no row of values: train.lr=0.1,0.3 is meant");
        let (key, values) = part.split_once('=').ok_or_else(bad)?;
        let values = apart(values, ",");
        if key.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(bad());
        }
        all.push(Axis { key: key.trim().to_owned(), values });
    }
    Ok(all)
}

/// The parts of a text between separators that do not lie in quotes or brackets.
fn apart(text: &str, separator: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quote, mut from) = (Vec::new(), 0usize, None, 0);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            _ if depth == 0 && at >= from && text[at..].starts_with(separator) => {
                parts.push(text[from..at].trim().to_owned());
                from = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim().to_owned());
    parts
}

/// What the names of runs with this value end in: `.lr0.1`.
fn ending(key: &str, value: &str) -> String {
    let short = key.rsplit('.').next().unwrap_or(key);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let value: String = value.trim_matches('"').chars().map(plain).collect();
    format!(".{short}{value}")
}

/// One of many runs of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variant {
    /// What is set for it, in TOML.
    pub(super) settings: Vec<(String, String)>,
    /// What its name ends in.
    pub(super) suffix: String,
    /// The part of that which tells its settings: runs that differ in seeds and folds alone share it.
    pub(super) cell: String,
    /// Its fold, from 0, and how many there are.
    pub(super) fold: Option<(u32, u32)>,
}

/// Each value of each axis with each seed and each fold; none if none of them is asked for.
///
/// # Errors
/// More than 10,000 of them.
pub(super) fn variants(
    axes: &[Axis],
    seeds: Option<&Seeds>,
    folds: Option<u32>,
) -> Outcome<Vec<Variant>> {
    let seeds = seeds.map(|Seeds(seeds)| seeds.as_slice());
    let sizes = axes.iter().map(|axis| axis.values.len()).chain(seeds.map(<[u64]>::len));
    let all = sizes.chain(folds.map(|n| n as usize)).try_fold(1usize, usize::checked_mul);
    if all.is_none_or(|all| all > MANY) {
        return Err(Failure::usage(format!("that would be more than {MANY} runs")));
    }
    let own = ["seed", "prepare.folds", "prepare.fold"];
    for (n, Axis { key, .. }) in axes.iter().enumerate() {
        let elsewhere = own.contains(&key.as_str()) && (seeds.is_some() || folds.is_some());
        if elsewhere || axes[..n].iter().any(|other| other.key == *key) {
            return Err(Failure::usage(format!("--grid sets {key}, which is set twice")));
        }
    }
    if axes.is_empty() && seeds.is_none() && folds.is_none() {
        return Ok(Vec::new());
    }
    let mut all = vec![Variant::default()];
    for Axis { key, values } in axes {
        all = times(all, values, |one, value| {
            one.settings.push((key.clone(), value.clone()));
            one.suffix.push_str(&ending(key, value));
            one.cell.clone_from(&one.suffix);
        });
    }
    if let Some(seeds) = seeds {
        all = times(all, seeds, |one, seed| {
            one.settings.push(("seed".to_owned(), seed.to_string()));
            one.suffix.push_str(&format!(".seed{seed}"));
        });
    }
    if let Some(count) = folds {
        all = times(all, &(0..count).collect::<Vec<_>>(), |one, fold| {
            one.settings.push(("prepare.folds".to_owned(), count.to_string()));
            one.settings.push(("prepare.fold".to_owned(), fold.to_string()));
            one.suffix.push_str(&format!(".fold{fold}"));
            one.fold = Some((*fold, count));
        });
    }
    let mut names = BTreeSet::new();
    if let Some(one) = all.iter().find(|one| !names.insert(one.suffix.clone())) {
        return Err(Failure::usage(format!("two settings would both be called '{}'", one.suffix))
            .hint("run them apart, each with a `--name`"));
    }
    Ok(all)
}

/// Each of these with each value.
fn times<T>(all: Vec<Variant>, values: &[T], set: impl Fn(&mut Variant, &T)) -> Vec<Variant> {
    let each = |variant: Variant| {
        values
            .iter()
            .map(|value| {
                let mut one = variant.clone();
                set(&mut one, value);
                one
            })
            .collect::<Vec<_>>()
    };
    all.into_iter().flat_map(each).collect()
}

/// A table of what came of the runs of each cell, with plots on one scale.
pub(super) fn grid(context: &Context, runs: &[(String, RunId, Run)], base: Option<&str>) {
    let mut cells: Vec<&str> = runs.iter().map(|(cell, ..)| cell.as_str()).collect();
    cells.dedup();
    let ranges = ranges(runs);
    for cell in cells {
        let label = base.map_or_else(
            || cell.trim_start_matches('.').to_owned(),
            |base| format!("{base}{cell}"),
        );
        if !label.is_empty() {
            context.ui.line(paint(NAME, label));
        }
        let own: Vec<&Run> =
            runs.iter().filter(|(other, ..)| other == cell).map(|(.., run)| run).collect();
        table(context, &own, &ranges);
    }
}

/// What runs measured, by the names of the metrics.
fn measured<'a>(runs: impl Iterator<Item = &'a Run>) -> BTreeMap<&'a str, Vec<f64>> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for run in runs {
        for (name, value) in &run.outcome.metrics {
            values.entry(name).or_default().push(value.get());
        }
    }
    values
}

/// The lowest and the highest value of each metric.
fn ranges(runs: &[(String, RunId, Run)]) -> BTreeMap<&str, (f64, f64)> {
    let range = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        (low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    };
    let all = measured(runs.iter().map(|(.., run)| run)).into_iter();
    all.map(|(name, values)| (name, range(&values))).collect()
}

/// A table of what came of some runs, and how far results lie apart.
fn table(context: &Context, runs: &[&Run], ranges: &BTreeMap<&str, (f64, f64)>) {
    let values = measured(runs.iter().copied());
    let width = values.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, values) in &values {
        let all = values.len();
        let text = match spread(values) {
            Some((mean, deviation)) => {
                format!("{} ± {}", describe::number(mean), describe::number(deviation))
            }
            None => describe::number(values[0]),
        };
        let Some((low, high)) = ranges.get(name).copied() else { continue };
        let plot = match high > low {
            true => {
                let (low, high) = (describe::number(low), describe::number(high));
                format!("{low} │{}│ {high}", strip(values, ranges[name].0, ranges[name].1))
            }
            false => "all the same".to_owned(),
        };
        let lacking = match runs.len() - all {
            0 => String::new(),
            n => format!(", {n} without it"),
        };
        context.ui.line(format!(
            "  {}  {text:<20}  {plot}   {}",
            pad(NAME, name, width),
            paint(DIM, format!("{}{lacking}", count(all as u64, "run")))
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
        assert_eq!(variants(&[], None, None).unwrap(), []);
        let suffixes = |seeds: Option<&Seeds>, folds| -> Vec<String> {
            variants(&[], seeds, folds).unwrap().into_iter().map(|v| v.suffix).collect()
        };
        let two = Seeds(vec![3, 7]);
        assert_eq!(suffixes(Some(&two), None), [".seed3", ".seed7"]);
        assert_eq!(suffixes(None, Some(3)), [".fold0", ".fold1", ".fold2"]);
        let all = [".seed3.fold0", ".seed3.fold1", ".seed7.fold0", ".seed7.fold1"];
        assert_eq!(suffixes(Some(&two), Some(2)), all);
        let last = variants(&[], Some(&two), Some(2)).unwrap().pop().unwrap();
        let set = [("seed", "7"), ("prepare.folds", "2"), ("prepare.fold", "1")];
        assert_eq!(last.settings, set.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(last.fold, Some((1, 2)));
        assert!(variants(&[], Some(&Seeds((0..5001).collect())), Some(2)).is_err());
    }

    #[test]
    fn every_value_meets_every_other_and_every_seed() {
        let grid = axes("train.lr=0.1,0.3 x prepare.scale=none,\"minmax\"").unwrap();
        let all = variants(&grid, Some(&Seeds(vec![7])), None).unwrap();
        let suffixes: Vec<&str> = all.iter().map(|one| one.suffix.as_str()).collect();
        let ends =
            [".lr0.1.scalenone", ".lr0.1.scaleminmax", ".lr0.3.scalenone", ".lr0.3.scaleminmax"];
        assert_eq!(suffixes, ends.map(|end| format!("{end}.seed7")));
        assert!(all.iter().all(|one| one.suffix == format!("{}.seed7", one.cell)));
        let set = [("train.lr", "0.3"), ("prepare.scale", "none"), ("seed", "7")];
        assert_eq!(all[2].settings, set.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for bad in ["", "lr", "lr=", "=1", "lr=1,,2", "lr=1 x ", "lr=1 x wd"] {
            assert!(axes(bad).is_err(), "{bad}");
        }
        let wide = axes(&format!(
            "a={0} x b={0}",
            (0..101).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
        ))
        .unwrap();
        assert!(variants(&wide, None, None).is_err());
        for twice in ["lr=1,1", "lr=1 x lr=2", "lr=1e-3,1e+3", "lr=a/b,a-b"] {
            assert!(variants(&axes(twice).unwrap(), None, None).is_err(), "{twice}");
        }
        assert!(variants(&axes("seed=1,2").unwrap(), Some(&Seeds(vec![3])), None).is_err());
        let lists = axes("hidden=[64],[32, 16] x name=\"a x b\",c").unwrap();
        assert_eq!(lists[0].values, ["[64]", "[32, 16]"]);
        assert_eq!(lists[1].values, ["\"a x b\"", "c"]);
    }

    #[test]
    fn spread_is_the_sample_deviation() {
        let (mean, deviation) = spread(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((mean - 2.5).abs() < 1e-12 && (deviation - 1.290_994_448_735_805_6).abs() < 1e-12);
        assert_eq!(spread(&[1.0]), None);
    }
}
