//! On which hidden variables a result depends: the run is done again in a box with one thing changed
//! at a time.
//!
//! First it is done twice with nothing changed: what is not the same then hangs on chance, and no
//! change could be told from that. Then random bytes and the time of day are pinned, and all that
//! follows is done with these pinned, they themselves being changed like everything else. What is not the
//! same twice even so hangs on something that cannot be pinned, such as which thread is first.

mod factor;

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use lab_process::{Boxed, Execution, HOST_NAME};
use lab_schema::{Difference, Log, Outcome, Recipe, Run, RunId};

use crate::bench::{Bench, boxed as run_boxed, observations};
use crate::error::{ReplayError, Result};
use crate::verify::{cannot_start, differences, failure, obstacle, plain};
use factor::{Changed, change, pinned};

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
/// not the same twice even with chance pinned, what is told is that, and nothing else.
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

    let mut laid = None;
    let mut attempt = |changed: &Changed| -> Result<std::result::Result<Outcome, String>> {
        let boxed = Boxed {
            store: bench.store,
            recipe: &changed.recipe,
            observed: &changed.observed,
            scratch: bench.scratch,
            echo: bench.echo,
            host_name: changed.host_name,
            watched: false,
        };
        // Most changes leave all files where they are.
        let mut other = None;
        let laid = if changed.moves { &mut other } else { &mut laid };
        match run_boxed(&boxed, laid) {
            Ok(Execution { outcome, .. }) => Ok(Ok(outcome)),
            Err(error) => Ok(Err(cannot_start(error.into())?)),
        }
    };
    let unchanged = |recipe: &Recipe| Changed {
        recipe: recipe.clone(),
        observed: observed.clone(),
        host_name: HOST_NAME,
        moves: false,
        how: String::new(),
    };
    let (mut base, mut is_pinned) = (recipe, false);
    'steady: loop {
        let how = if is_pinned { PINNED } else { "done twice as recorded" };
        let first = match (attempt(&unchanged(&base))?, attempt(&unchanged(&base))?) {
            (Ok(first), Ok(second)) => match judge(bench, &base, &first, &second)? {
                Effect::None => first,
                effect => {
                    tell(Varied { factor: None, how: how.to_owned(), effect }, &mut all);
                    if is_pinned || !pin(&mut base) {
                        return Ok(all);
                    }
                    is_pinned = true;
                    continue;
                }
            },
            (Err(why), _) | (_, Err(why)) => {
                let effect = Effect::Fails(why);
                tell(Varied { factor: None, how: how.to_owned(), effect }, &mut all);
                return Ok(all);
            }
        };
        tell(Varied { factor: None, how: how.to_owned(), effect: Effect::None }, &mut all);
        for factor in factors.iter().collect::<BTreeSet<_>>() {
            let changed = change(*factor, &base, &observed);
            let factor = Some(*factor);
            let changed = match changed {
                Err(why) => {
                    let effect = Effect::Untried(why);
                    tell(Varied { factor, how: String::new(), effect }, &mut all);
                    continue;
                }
                Ok(changed) => changed,
            };
            let effect = match attempt(&changed)? {
                Ok(outcome) => judge(bench, &base, &first, &outcome)?,
                Err(why) => Effect::Fails(why),
            };
            if effect != Effect::None {
                // What differs now may do so without a change as well: a second has passed.
                let effect = match attempt(&unchanged(&base))? {
                    Ok(outcome) => judge(bench, &base, &first, &outcome)?,
                    Err(why) => Effect::Fails(why),
                };
                if effect != Effect::None {
                    let how = "done once more without a change".to_owned();
                    tell(Varied { factor: None, how, effect }, &mut all);
                    if is_pinned || !pin(&mut base) {
                        return Ok(all);
                    }
                    is_pinned = true;
                    continue 'steady;
                }
            }
            tell(Varied { factor, how: changed.how, effect }, &mut all);
        }
        return Ok(all);
    }
}

/// What is said of two runs with chance pinned.
const PINNED: &str = "done twice with random bytes and time pinned";

/// Pins random bytes and the time of day of a record; whether that could be done.
fn pin(recipe: &mut Recipe) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    pinned(recipe, now).map(|pinned| *recipe = pinned).is_some()
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
