//! Pairs of a token and one that stands beside it: what skip-gram learns from, and is judged by.
//!
//! Which tokens are left out by chance, and so which pairs there are, follows from the shuffle seed
//! and the epoch; a part is judged by the pairs of epoch 0, which learning never draws. Tokens that
//! the training part lacks are passed over.

use lab_preparation::skip_gram::{Frequencies, PairPlan, Pairs};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::settings::Settings;

/// How pairs are taken from a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pairing {
    /// Farthest neighbour on either side.
    window: usize,
    /// The share of a text above which tokens are left out by chance; 0: none is.
    subsample: f64,
    seed: u64,
    /// How often each token comes in the training part.
    counts: Frequencies,
}

impl Pairing {
    /// Fits what the settings ask for to the training part, whose tokens are of so many kinds; none
    /// if the model does not learn from pairs.
    pub(crate) fn fit(
        settings: &Settings<'_>,
        tokens: &[u32],
        kinds: usize,
    ) -> Result<Option<Pairing>> {
        if settings.text("model")? != "skip_gram" {
            return Ok(None);
        }
        Ok(Some(Pairing {
            window: settings.int("window")? as usize,
            subsample: settings.float("subsample")?,
            seed: settings.int("shuffle_seed")?,
            counts: Frequencies::fit(tokens, kinds)?,
        }))
    }

    /// How many kinds of tokens there are.
    pub(crate) fn kinds(&self) -> usize {
        self.counts.counts().len()
    }

    /// The tokens that pairs are taken from.
    pub(crate) fn known(&self, tokens: &[u32]) -> Vec<u32> {
        let known = |id: &u32| self.counts.counts().get(*id as usize).is_some_and(|n| *n > 0);
        tokens.iter().copied().filter(known).collect()
    }

    /// The pairs of these tokens, all known, in an epoch.
    pub(crate) fn pairs(&self, tokens: &[u32], epoch: u32) -> Result<Pairs> {
        Ok(self.plan().pairs(tokens, &self.counts, epoch)?)
    }

    /// How many pairs these tokens have in an epoch.
    pub(crate) fn count(&self, tokens: &[u32], epoch: u32) -> Result<u64> {
        Ok(self.plan().count(tokens, &self.counts, epoch)?)
    }

    /// The most pairs that an epoch can have.
    pub(crate) fn most(&self, tokens: &[u32]) -> usize {
        tokens.len().saturating_mul(2 * self.window.min(tokens.len()))
    }

    fn plan(&self) -> PairPlan {
        let subsample = (self.subsample != 0.0).then_some(self.subsample);
        PairPlan { window: self.window, subsample, negatives: 0, seed: self.seed }
    }
}
