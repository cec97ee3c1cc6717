//! Pictures of what the runs reached.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::Node;
use lab_page::{Arm, Block, Curve, Drawing, Figure, Gap, Inline};
use lab_schema::{Run, RunId};
use lab_statistics::Estimate;

use super::{Subject, Told, WIDTHS};
use crate::commands::compare::{Finding, difference, estimated, gain, mean, summed};
use crate::commands::curve;
use crate::failure::Outcome;
use crate::ui::{count, plain};

/// Most numbers that are drawn over the steps.
const CURVES: usize = 3;
/// Most runs behind one that are looked through for its training.
const BEHIND: usize = 200;

impl Subject<'_> {
    /// The differences of the means, against zero and the margin; none where there is no verdict.
    pub(super) fn differences(&self) -> Option<Block> {
        let Finding::Judged { options, comparisons, .. } = &self.judged.as_ref()?.finding else {
            return None;
        };
        let mut gaps = Vec::new();
        for (n, ((_, other), _, comparison)) in self.each(comparisons).enumerate() {
            let view = &comparison.completed;
            let Some(difference) = difference(view) else { continue };
            let words = estimated(view).map(|(difference, interval)| match interval {
                Some(at) => format!("{difference}  ({at})"),
                None => difference,
            });
            gaps.push(Gap {
                name: other.shown(),
                words: words.unwrap_or_default(),
                difference,
                interval: view.interval.map(gain).map(|at| [at.low, at.high]),
                arm: n + 1,
            });
        }
        if gaps.is_empty() {
            return None;
        }
        let base = self.gathered.arms.first().map(|arm| arm.shown()).unwrap_or_default();
        let others = match self.gathered.arms.as_slice() {
            [_, one] => one.shown(),
            _ => "the other".to_owned(),
        };
        let (ours, theirs) = (format!("{base} is better"), format!("{others} is better"));
        let sides = match options.higher_is_better {
            true => [ours.as_str(), theirs.as_str()],
            false => [theirs.as_str(), ours.as_str()],
        };
        let name = format!("difference in {}", self.metric());
        let wide = |width| lab_page::differences(&gaps, &name, sides, options.margin, width);
        let caption = "The difference of the means, with its 95\u{a0}% interval, against zero.";
        Some(figure(WIDTHS.map(wide), caption.to_owned()))
    }

    /// Every run a point.
    pub(super) fn strips(&self) -> Block {
        let arm = |arm: &crate::commands::compare::Arm| {
            let scores = arm.scores();
            let crashed = arm.runs.len() - scores.len();
            let without =
                if crashed > 0 { format!(", {crashed} without a score") } else { String::new() };
            let runs = count(arm.runs.len() as u64, "run");
            Arm {
                name: arm.shown(),
                words: format!("{runs}{without} · {}", summed(&scores)),
                mean: mean(&scores),
                interval: interval(&scores),
                scores,
            }
        };
        let arms: Vec<Arm> = self.gathered.arms.iter().map(arm).collect();
        let metric = self.metric();
        let caption = "Every run, a point each. Below: the mean and its 95\u{a0}% interval; beside: the mean and the standard \
                       deviation.";
        let wide = |width| lab_page::strips(&arms, &metric, width);
        figure(WIDTHS.map(wide), caption.to_owned())
    }

    /// Numbers over the steps, where the runs, or the trainings behind them, have any.
    pub(super) fn curves(&self, told: &[Told]) -> Outcome<Vec<Block>> {
        let mut all: BTreeMap<String, Vec<Curve>> = BTreeMap::new();
        let (mut drawn, mut steps) = (BTreeSet::new(), "step");
        for run in told {
            let Some((id, (by, series))) = self.series(run)? else { continue };
            steps = by;
            // Evaluations of one training have one curve.
            if !drawn.insert((run.arm, id)) {
                continue;
            }
            for (name, points) in series {
                all.entry(name).or_default().push(Curve { arm: run.arm, points });
            }
        }
        let metric = &self.gathered.metric;
        let rank = |name: &str| (name != metric.as_str(), name != "loss", name != "validation");
        let mut names: Vec<String> = all.keys().cloned().collect();
        names.sort_by(|a, b| {
            let many = |name: &String| all.get(name).map_or(0, Vec::len);
            (rank(a), many(b), a).cmp(&(rank(b), many(a), b))
        });
        let arms: Vec<String> = self.gathered.arms.iter().map(|arm| arm.shown()).collect();
        let mut blocks = Vec::new();
        for name in names {
            let Some(curves) = all.get(&name).filter(|_| blocks.len() < CURVES) else { continue };
            // Of single numbers there is nothing to see.
            if curves.iter().all(|curve| curve.points.len() < 2) {
                continue;
            }
            let shown = plain(&name);
            let wide = |width| lab_page::curves(curves, &arms, [steps, &shown], width);
            let caption = format!("While training: {shown}, a thin line for each run.");
            blocks.push(figure(WIDTHS.map(wide), caption));
        }
        Ok(blocks)
    }

    /// The numbers over the steps of a run, or of the nearest run behind it that has any.
    fn series(&self, told: &Told) -> Outcome<Option<(RunId, (&'static str, curve::Series))>> {
        let own = curve::series(&self.registry.store, &told.run);
        if !own.1.is_empty() {
            return Ok(Some((told.id, own)));
        }
        let behind = self.lineage.ancestors(Node::Run(told.id))?;
        let runs = behind.into_iter().rev().filter_map(|node| match node {
            Node::Run(run) => Some(run),
            Node::Content(_) => None,
        });
        for id in runs.take(BEHIND) {
            let Some(run) = self.registry.store.get::<Run>(id)? else { continue };
            let found = curve::series(&self.registry.store, &run);
            if !found.1.is_empty() {
                return Ok(Some((id, found)));
            }
        }
        Ok(None)
    }
}

/// Between what the true mean is, in all but 5 % of the cases, by Student's t: the differences to 0 are paired.
fn interval(scores: &[f64]) -> Option<[f64; 2]> {
    let estimate = Estimate::paired(scores, &vec![0.0; scores.len()]).ok()?;
    let at = estimate.interval(0.05).ok()?;
    Some([at.low, at.high])
}

fn figure([wide, narrow]: [Drawing; 2], caption: String) -> Block {
    Block::Figure(Figure { wide, narrow: Some(narrow), caption: vec![Inline::text(caption)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_the_interval_of_students_t() {
        // 2.776 of 4 degrees of freedom, times the standard error of 1 to 5.
        let [low, high] = interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let reach = 2.776_445 * (2.5_f64 / 5.0).sqrt();
        assert!((low - (3.0 - reach)).abs() < 1e-5 && (high - (3.0 + reach)).abs() < 1e-5);
        assert_eq!(interval(&[1.0]), None);
        assert_eq!(interval(&[1.0, 1.0]), None);
        assert_eq!(interval(&[f64::NAN, 1.0]), None);
    }
}
