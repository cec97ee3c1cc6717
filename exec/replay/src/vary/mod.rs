//! On which hidden variables a result depends: the run is done again in a box with one thing changed
//! at a time.
//!
//! First it is done twice with nothing changed: what is not the same then hangs on chance, and no
//! change could be told from that. The clock cannot be changed here: it is read without asking the
//! kernel, and no namespace moves the time of day.

mod factor;

use std::collections::BTreeSet;

use lab_process::{Boxed, Execution, HOST_NAME, execute_boxed};
use lab_schema::{Difference, Log, Outcome, Recipe, Run, RunId};

use crate::bench::{Bench, observations};
use crate::error::{ReplayError, Result};
use crate::verify::{cannot_start, differences, failure, obstacle, plain};
use factor::{Changed, change};

pub use factor::Factor;

/// What came of one change.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The results are the same, to the last bit.
    None,
    /// They differ, here first.
    Differs(Vec<Difference>),
    /// It fails.
    Fails(String),
    /// It cannot be changed here.
    Untried(String),
}

/// A factor, what was done to it, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Varied {
    /// The factor; none: nothing was changed.
    pub factor: Option<Factor>,
    /// What was changed, in a few words.
    pub how: String,
    /// What came of it.
    pub effect: Effect,
}

impl Varied {
    /// Whether the result depends on it.
    pub fn matters(&self) -> bool {
        matches!(self.effect, Effect::Differs(_) | Effect::Fails(_))
    }
}

/// Does a run again with each of the factors changed, and tells of each as it is done. If the run is
/// not even the same twice, what is told is that, and nothing else.
///
/// # Errors
///
/// [`ReplayError::Fixed`] if there is nothing to be varied: a tensor program, or a run whose record is
/// not complete.
pub fn vary(
    bench: &Bench<'_>,
    id: RunId,
    factors: &[Factor],
    told: &mut dyn FnMut(&Varied),
) -> Result<Vec<Varied>> {
    let run: Run = bench.store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })?;
    let fixed = |why: String| ReplayError::Fixed { id, why };
    let recipe = obstacle(bench, &run)?.map_err(|verdict| fixed(verdict.to_string()))?;
    let Some(observed) = run.outcome.observed else {
        return Err(fixed("it is no command that was watched".to_owned()));
    };
    let observed = observations(bench.store, observed)?;
    let mut all = Vec::new();
    let mut tell = |varied: Varied, all: &mut Vec<Varied>| {
        told(&varied);
        all.push(varied);
    };

    let attempt = |changed: &Changed| -> Result<std::result::Result<Outcome, String>> {
        let boxed = Boxed {
            store: bench.store,
            recipe: &changed.recipe,
            observed: &changed.observed,
            scratch: bench.scratch,
            echo: bench.echo,
            host_name: changed.host_name,
        };
        match execute_boxed(&boxed) {
            Ok(Execution { outcome, .. }) => Ok(Ok(outcome)),
            Err(error) => Ok(Err(cannot_start(error.into())?)),
        }
    };
    let unchanged = || Changed {
        recipe: recipe.clone(),
        observed: observed.clone(),
        host_name: HOST_NAME,
        how: String::new(),
    };
    let (first, second) = match (attempt(&unchanged())?, attempt(&unchanged())?) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(why), _) | (_, Err(why)) => {
            tell(nothing(Effect::Fails(why)), &mut all);
            return Ok(all);
        }
    };
    let effect = judge(bench, &recipe, &first, &second)?;
    let is_steady = effect == Effect::None;
    tell(nothing(effect), &mut all);
    if !is_steady {
        return Ok(all);
    }
    let processors = lab_process::host().cpus;
    for factor in factors.iter().collect::<BTreeSet<_>>() {
        let varied = match change(*factor, &recipe, &observed, processors) {
            Err(why) => {
                Varied { factor: Some(*factor), how: String::new(), effect: Effect::Untried(why) }
            }
            Ok(changed) => {
                let effect = match attempt(&changed)? {
                    Ok(outcome) => judge(bench, &recipe, &first, &outcome)?,
                    Err(why) => Effect::Fails(why),
                };
                Varied { factor: Some(*factor), how: changed.how, effect }
            }
        };
        tell(varied, &mut all);
    }
    Ok(all)
}

fn nothing(effect: Effect) -> Varied {
    Varied { factor: None, how: "done twice as recorded".to_owned(), effect }
}

/// How an outcome compares with that of the unchanged run.
fn judge(bench: &Bench<'_>, recipe: &Recipe, before: &Outcome, after: &Outcome) -> Result<Effect> {
    if before.status != after.status && !after.status.is_success() {
        return Ok(Effect::Fails(failure(bench, after)?));
    }
    let mut found = differences(bench, recipe, before, after)?;
    // Where nothing is left behind, what is printed is the result.
    let printed = |outcome: &Outcome| outcome.logs.get(&Log::Stdout).copied();
    if before.outputs.is_empty() && after.outputs.is_empty() && printed(before) != printed(after) {
        let slot = lab_schema::Slot::new("standard output").expect("it is a plain name");
        let show = |outcome: &Outcome| printed(outcome).map(|id| id.short()).unwrap_or_default();
        found.push(plain(slot, show(before), show(after)));
    }
    Ok(if found.is_empty() { Effect::None } else { Effect::Differs(found) })
}
