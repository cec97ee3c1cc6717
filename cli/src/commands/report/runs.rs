//! Every run, with what it reached and whether somebody did it again.

use lab_page::{Column, Inline, Table};
use lab_schema::{Recipe, Run, RunId};

use super::Subject;
use crate::commands::page::{Standing, standing};
use crate::commands::{compare, describe};
use crate::failure::Outcome;
use crate::ui::{duration, plain};

/// A run, with all that is told of it.
pub(super) struct Told {
    pub(super) id: RunId,
    pub(super) run: Run,
    pub(super) recipe: Recipe,
    /// Which arm it belongs to, counted from 0.
    pub(super) arm: usize,
    pub(super) name: String,
    pub(super) score: Option<f64>,
    pub(super) standing: Standing,
    /// Its seeds, if it came to its end and they differ.
    seed: String,
}

impl Subject<'_> {
    /// Reads all runs of all arms.
    pub(super) fn read(&self) -> Outcome<Vec<Told>> {
        let store = &self.registry.store;
        let mut all = Vec::new();
        for (arm, members) in self.gathered.arms.iter().enumerate() {
            let mut seeds = self.seeds(arm).into_iter();
            for member in &members.runs {
                let run: Run = store.load(member.id)?;
                let recipe: Recipe = store.load(run.recipe)?;
                let ended = member.score.is_some();
                let seed = if ended { seeds.next().unwrap_or_default() } else { String::new() };
                let about = (member.id, &run);
                let standing = standing(self.registry, self.lineage, &self.believed, about)?;
                let (id, name, score) = (member.id, member.name.clone(), member.score);
                all.push(Told { id, run, recipe, arm, name, score, standing, seed });
            }
        }
        Ok(all)
    }

    /// The seeds of the runs of an arm, in their order: of those that came to an end, if it is compared.
    fn seeds(&self, arm: usize) -> Vec<String> {
        let guards = self.judged.as_ref().map(|judged| judged.guards.as_slice());
        let (guard, side) = match (guards, &self.within) {
            (Some(guards), _) if arm == 0 => (guards.first(), 0),
            (Some(guards), _) => (guards.get(arm - 1), 1),
            (None, within) => (within.as_ref(), 0),
        };
        let keys = guard.map(|guard| guard.keys[side].clone()).unwrap_or_default();
        keys.iter().map(|key| seed(key)).collect()
    }

    pub(super) fn table(&self, told: &[Told]) -> Table {
        let seeded = told.iter().any(|run| !run.seed.is_empty());
        let seed = seeded.then(|| Column::words("seed"));
        let columns = std::iter::once(Column::words("run"))
            .chain(seed)
            .chain([
                Column::numbers(&self.metric()),
                Column::numbers("time"),
                Column::words("hash"),
                Column::words("done again"),
            ])
            .collect();
        let row = |run: &Told| {
            let score = match run.score {
                Some(score) => Inline::text(describe::number(score)),
                None => Inline::dim(describe::status(&run.run.outcome.status)),
            };
            let seed = seeded.then(|| vec![Inline::text(run.seed.clone())]);
            std::iter::once(vec![Inline::Arm(run.arm, plain(&run.name))])
                .chain(seed)
                .chain([
                    vec![score],
                    vec![Inline::text(duration(run.run.outcome.duration_ms))],
                    vec![Inline::code(run.id.short())],
                    vec![Inline::Mark(run.standing.tone, run.standing.words.clone())],
                ])
                .collect()
        };
        let arms = self.gathered.arms.iter();
        let caption: Vec<String> =
            arms.map(|arm| format!("{} {}", arm.shown(), compare::summed(&arm.scores()))).collect();
        Table { caption: caption.join("; "), columns, rows: told.iter().map(row).collect() }
    }
}

/// Of `prepare.seed=3 train.seed=3` the 3; all of it where they differ.
fn seed(key: &str) -> String {
    let mut values: Vec<&str> =
        key.split(' ').filter_map(|part| Some(part.split_once('=')?.1)).collect();
    values.dedup();
    match values.as_slice() {
        [one] => plain(one),
        _ => plain(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_that_are_one_are_shown_once() {
        assert_eq!(seed("prepare.seed=3 train.seed=3"), "3");
        assert_eq!(seed("--seed=7"), "7");
        assert_eq!(seed("a=1 b=2"), "a=1 b=2");
        assert_eq!(seed(""), "");
    }
}
