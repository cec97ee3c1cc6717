//! Follows the record of a training run: redoes some of its steps, and says where they part.
//!
//! Unlike a verification this gives no verdict and leaves nothing in the store: what holds in parts
//! has not been shown to hold.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use lab_objects::Store;
use lab_schema::{Executor, Recipe, Run, RunId, Verdict};
use lab_tensor::{Divergence, Follow, Segment, Trace};

use crate::bench::Bench;
use crate::error::{ReplayError, Result};
use crate::verify::obstacle;

/// A training run whose record can be followed.
pub struct Training {
    run: Run,
    recipe: Recipe,
}

/// Whether a recipe is that of a training step by step.
pub fn is_training(recipe: &Recipe) -> bool {
    matches!(recipe.executor(), Executor::Tensor(_))
        && recipe.outputs().keys().any(|slot| slot.as_str() == lab_tensor::STEPS)
}

impl Training {
    /// The training run `id`; an error says why it cannot be followed.
    pub fn load(bench: &Bench<'_>, id: RunId) -> Result<Training> {
        let run: Run = bench.store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })?;
        let unfollowed = |why: String| ReplayError::NotFollowed { id, why };
        let recipe = match obstacle(bench, &run)? {
            Ok(recipe) => recipe,
            Err(Verdict::Failed(why) | Verdict::Unverifiable(why)) => return Err(unfollowed(why)),
            Err(verdict) => return Err(unfollowed(verdict.to_string())),
        };
        match is_training(&recipe) {
            true => Ok(Training { run, recipe }),
            false => Err(unfollowed("it is no training of a tensor program".to_owned())),
        }
    }

    /// Its record.
    pub fn follow<'a>(&'a self, store: &'a Store) -> Result<Follow<'a>> {
        Ok(Follow::new(store, &self.recipe, &self.run.outcome.outputs)?)
    }
}

/// Redoes segments one after the other until one parts from the record: how many were redone, and
/// where the last did.
pub fn redo(
    bench: &Bench<'_>,
    follow: &Follow<'_>,
    segments: &[Segment],
    mut trace: Option<Trace<'_>>,
) -> Result<(usize, Option<Divergence>)> {
    for (n, segment) in segments.iter().enumerate() {
        // Borrowed anew for each.
        let trace: Option<Trace<'_>> = match &mut trace {
            Some(trace) => Some(&mut **trace),
            None => None,
        };
        let found = follow.redo(*segment, bench.progress, trace)?;
        if found.is_some() {
            return Ok((n + 1, found));
        }
    }
    Ok((segments.len(), None))
}

/// A share of the segments, at least one, drawn by the system's randomness: whoever made the record
/// could not know which. In the order of the training.
pub fn sample(segments: &[Segment], share: f64) -> Vec<Segment> {
    let wanted = (share * segments.len() as f64).ceil().clamp(1.0, segments.len() as f64) as usize;
    let mut chosen = BTreeSet::new();
    while chosen.len() < wanted {
        // The standard library seeds each of these from the system's entropy.
        let draw = RandomState::new().build_hasher().finish();
        chosen.insert(((u128::from(draw) * segments.len() as u128) >> 64) as usize);
    }
    chosen.into_iter().map(|n| segments[n]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_as_large_as_asked_and_reach_every_segment() {
        let segments: Vec<Segment> = (0..7).map(|n| Segment { from: n, to: n + 1 }).collect();
        for (share, size) in [(0.0, 1), (0.01, 1), (0.2, 2), (0.5, 4), (1.0, 7), (3.0, 7)] {
            let chosen = sample(&segments, share);
            assert_eq!(chosen.len(), size, "{share}");
            assert!(chosen.windows(2).all(|pair| pair[0].from < pair[1].from));
        }
        let mut seen = BTreeSet::new();
        // Missing one in a thousand draws has a chance of 7 (6/7)^1000.
        seen.extend((0..1000).map(|_| sample(&segments, 0.01)[0].from));
        assert_eq!(seen.len(), 7);
    }
}
