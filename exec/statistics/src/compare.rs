//! The comparison that is made by default.

use std::collections::BTreeMap;

use crate::arm::{Arm, PairKey};
use crate::checks;
use crate::correlation::{Correlation, correlation};
use crate::design::POWERS;
use crate::error::{Result, StatisticsError};
use crate::holm::holm;
use crate::verdict::{MIN_PAIRS, Verdict};
use crate::view::{Demands, View, possible};

/// What is asked of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Whether a higher score is a better one.
    pub higher_is_better: bool,
    /// Whether runs under the same seed and split are pairs: the same data in the same order from
    /// the same start, so that what is luck for the one is luck for the other.
    pub paired: bool,
    /// The difference below which it does not matter which arm is better, in the units of the
    /// scores. Without one, nothing is ever found to be within it.
    pub margin: Option<f64>,
    /// How often a difference may be found where there is none.
    pub level: f64,
    /// How often the minimum detectable effect would be found.
    pub power: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { higher_is_better: true, paired: false, margin: None, level: 0.05, power: 0.8 }
    }
}

/// Whether runs were taken as pairs, and if not, why.
#[derive(Clone, Debug, PartialEq)]
pub enum Pairing {
    /// They were not said to be.
    NotAsked,
    /// A run has no seed and split.
    NoKeys,
    /// Not every run has its counterpart: to pair the others would leave runs out.
    Unmatched {
        /// Runs of A without one in B.
        only_a: usize,
        /// Runs of B without one in A.
        only_b: usize,
    },
    /// There are fewer pairs than [`MIN_PAIRS`].
    TooFew {
        /// How many there are.
        pairs: usize,
    },
    /// They were. The correlation is that of the pairs in which no run crashed; none if there are
    /// fewer than 3, or an arm in which all are alike.
    Paired {
        /// How much the arms vary together, which is what pairing gains.
        correlation: Option<Correlation>,
    },
}

/// Two arms, compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// How many runs of A and of B crashed.
    pub crashed: (usize, usize),
    /// Whether runs were taken as pairs.
    pub pairing: Pairing,
    /// What the runs say that completed. If runs were paired and fewer than [`MIN_PAIRS`] pairs
    /// completed, they are not taken as pairs here.
    pub completed: View,
    /// What all runs say, if a crashed one counts as the worst score of either arm; none if none
    /// crashed, or none completed.
    ///
    /// A run that crashed has done no better than the worst that did not, and to leave it out would
    /// favour the method that crashes more. It is given that score and no lower one, since any
    /// other number would be made up and would decide the mean; the test stays exact, since the
    /// worst of both arms does not depend on who is in which (after Lachin, "Worst-rank score
    /// analysis with informatively missing observations in clinical trials", 1999).
    pub counted: Option<View>,
    /// What holds in both.
    pub verdict: Verdict,
}

/// Compares two arms: from 4 runs per arm by an exact permutation test of the difference of means,
/// from 6 pairs, if the runs are pairs, by sign flips; with fewer runs there is no verdict, and all
/// else is shown.
///
/// # Errors
/// Scores that are not finite, more than [`MAX_RUNS`](crate::MAX_RUNS) runs in an arm, options out
/// of range, two runs of an arm with one key where pairs are asked for, a result that overflows.
pub fn compare(a: &Arm, b: &Arm, options: &Options) -> Result<Comparison> {
    let demands = demands(options)?;
    for (what, arm) in [("runs of A", a), ("runs of B", b)] {
        checks::count("a comparison", what, arm.runs.len(), (0, checks::MAX_RUNS))?;
    }
    let (scores_a, scores_b) = (a.completed(), b.completed());
    let crashed = (a.crashed(), b.crashed());
    checks::finite("scores of A", &scores_a)?;
    checks::finite("scores of B", &scores_b)?;
    let (pairing, pairs) = pairs(a, b, options)?;
    let is_paired = matches!(pairing, Pairing::Paired { .. });
    let (paired_a, paired_b): (Vec<f64>, Vec<f64>) =
        pairs.iter().filter_map(|pair| pair.0.zip(pair.1)).unzip();
    let completed = match is_paired && paired_a.len() >= MIN_PAIRS {
        true => View::of(&paired_a, &paired_b, true, &demands)?,
        false => View::of(&scores_a, &scores_b, false, &demands)?,
    };
    let worst = scores_a.iter().chain(&scores_b).copied().reduce(|worst, score| {
        if options.higher_is_better { worst.min(score) } else { worst.max(score) }
    });
    let counted = match worst.filter(|_| crashed.0 + crashed.1 > 0) {
        None => None,
        Some(worst) if is_paired => {
            let scores = |pair: &Pair| (pair.0.unwrap_or(worst), pair.1.unwrap_or(worst));
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(scores).unzip();
            Some(View::of(&a, &b, true, &demands)?)
        }
        Some(worst) => {
            let (a, b) = (a.with_crashed_as(worst), b.with_crashed_as(worst));
            Some(View::of(&a, &b, false, &demands)?)
        }
    };
    let verdict = Verdict::NotPossible;
    let mut comparison = Comparison { crashed, pairing, completed, counted, verdict };
    comparison.conclude();
    Ok(comparison)
}

/// Compares several arms with one: as [`compare`] does each, with [`holm`]'s adjustment over all
/// that have runs enough for a verdict, so that the level is the chance of a single false alarm
/// among them. The p of equivalence are adjusted likewise, among themselves.
///
/// # Errors
/// As [`compare`], and more than 10,000 arms.
pub fn compare_several(base: &Arm, arms: &[Arm], options: &Options) -> Result<Vec<Comparison>> {
    checks::count("a comparison", "arms", arms.len(), (0, checks::MAX_RUNS))?;
    let demands = demands(options)?;
    let mut all: Vec<Comparison> =
        arms.iter().map(|arm| compare(base, arm, options)).collect::<Result<_>>()?;
    let completed: Vec<&View> = all.iter().map(|one| &one.completed).collect();
    let completed = adjusted(&completed)?;
    // Where no run crashed, counting the crashed changes nothing, so every arm takes part in both.
    let counted: Vec<&View> = all.iter().map(Comparison::all_runs).collect();
    let counted = adjusted(&counted)?;
    for ((one, completed), counted) in all.iter_mut().zip(completed).zip(counted) {
        one.completed.adjust(completed, &demands);
        if let Some(view) = &mut one.counted {
            view.adjust(counted, &demands);
        }
        one.conclude();
    }
    Ok(all)
}

/// The p of the test and of equivalence of each view, adjusted; of a view that cannot have a
/// verdict they are left as they are, and count for nothing.
fn adjusted(views: &[&View]) -> Result<Vec<(Option<f64>, Option<f64>)>> {
    let family = |of: fn(&View) -> Option<f64>| -> Result<Vec<Option<f64>>> {
        let p: Vec<Option<f64>> =
            views.iter().map(|view| of(view).filter(|_| view.decidable())).collect();
        let mut after = holm(&p.iter().copied().flatten().collect::<Vec<f64>>())?.into_iter();
        let one = |(p, view): (Option<f64>, &&View)| p.and_then(|_| after.next()).or(of(view));
        Ok(p.into_iter().zip(views).map(one).collect())
    };
    Ok(family(|view| view.p)?.into_iter().zip(family(|view| view.equivalence)?).collect())
}

impl Comparison {
    /// What all runs say: with crashed ones counted, if there are any.
    fn all_runs(&self) -> &View {
        self.counted.as_ref().unwrap_or(&self.completed)
    }

    fn conclude(&mut self) {
        self.verdict = self.completed.verdict.and(self.all_runs().verdict);
    }
}

fn demands(options: &Options) -> Result<Demands> {
    let Options { higher_is_better, margin, level, power, .. } = *options;
    checks::level(level)?;
    checks::range("power", power, POWERS)?;
    if let Some(margin) = margin {
        checks::range("margin", margin, (f64::MIN_POSITIVE, f64::MAX))?;
    }
    Ok(Demands { higher_is_better, level, power, margin })
}

/// The scores of two runs under one key, of A and of B.
type Pair = (Option<f64>, Option<f64>);

/// The runs by their keys; none if one has no key.
fn by_key<'a>(
    name: &'static str,
    arm: &'a Arm,
) -> Result<Option<BTreeMap<&'a PairKey, Option<f64>>>> {
    let mut runs = BTreeMap::new();
    for run in &arm.runs {
        let Some(key) = &run.key else { return Ok(None) };
        if runs.insert(key, run.score).is_some() {
            let PairKey { seed, split } = key.clone();
            return Err(StatisticsError::DuplicateKey { arm: name, seed, split });
        }
    }
    Ok(Some(runs))
}

/// The pairs, in the order of their keys, if the runs are to be taken as pairs.
fn pairs(a: &Arm, b: &Arm, options: &Options) -> Result<(Pairing, Vec<Pair>)> {
    if !options.paired {
        return Ok((Pairing::NotAsked, Vec::new()));
    }
    let (Some(of_a), Some(of_b)) = (by_key("A", a)?, by_key("B", b)?) else {
        return Ok((Pairing::NoKeys, Vec::new()));
    };
    let lacks = |one: &BTreeMap<&PairKey, _>, other: &BTreeMap<&PairKey, _>| {
        one.keys().filter(|key| !other.contains_key(*key)).count()
    };
    let (only_a, only_b) = (lacks(&of_a, &of_b), lacks(&of_b, &of_a));
    if only_a + only_b > 0 {
        return Ok((Pairing::Unmatched { only_a, only_b }, Vec::new()));
    }
    if of_a.len() < MIN_PAIRS {
        return Ok((Pairing::TooFew { pairs: of_a.len() }, Vec::new()));
    }
    let pairs: Vec<Pair> = of_a.into_values().zip(of_b.into_values()).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().filter_map(|pair| pair.0.zip(pair.1)).unzip();
    let correlation = possible(correlation(&x, &y, options.level))?;
    Ok((Pairing::Paired { correlation }, pairs))
}
