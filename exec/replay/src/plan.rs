//! Which runs to do again, and in which order.
//!
//! The order is that of causes: by the time a run is judged, everything that its inputs came from
//! has been. A run that the lineage does not know has no ancestry here, so refresh it before.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::{Lineage, Role};
use lab_schema::{ContentId, RunId};

use crate::error::Result;

/// Most runs that left the same content of which one is chosen.
const MANY: usize = 1000;

/// The runs to redo so that `run` is checked: itself, or, if `deep`, also every run that its
/// inputs came from, causes before effects. An input's run is the one that the lineage follows;
/// code has none. Where copies make the lineage circular, the circle is cut.
pub fn plan(lineage: &Lineage, run: RunId, deep: bool) -> Result<Vec<RunId>> {
    if !deep {
        return Ok(vec![run]);
    }
    before(run, &|run| causes(lineage, run))
}

/// A run and all before it, causes first; circles are cut.
fn before(run: RunId, causes: &dyn Fn(RunId) -> Result<Vec<RunId>>) -> Result<Vec<RunId>> {
    let (mut order, mut seen) = (Vec::new(), BTreeSet::from([run]));
    // Depth first, with a stack of its own: a chain of runs may be longer than a thread's stack.
    let mut open = vec![(run, causes(run)?)];
    while let Some((at, pending)) = open.last_mut() {
        match pending.pop() {
            Some(cause) if seen.insert(cause) => {
                let further = causes(cause)?;
                open.push((cause, further));
            }
            Some(_) => {}
            None => {
                order.push(*at);
                open.pop();
            }
        }
    }
    Ok(order)
}

/// The run, and those that it came from, causes before effects, as somebody would name them who was there: where
/// several runs left one and the same file, such as a description of a model that all trainings share, it came
/// from the one that left most of what lay beside it.
pub fn chain(lineage: &Lineage, run: RunId) -> Result<Vec<RunId>> {
    before(run, &|run| makers(lineage, run))
}

/// The runs that made the inputs of a run, each once, by what they made of it.
fn makers(lineage: &Lineage, run: RunId) -> Result<Vec<RunId>> {
    let mut inputs = Vec::new();
    for (role, content) in lineage.run_inputs(run)? {
        match role {
            Role::Input(slot) => inputs.push((slot.to_string(), content)),
            Role::Outside(slot) => inputs.push((format!("/{slot}"), content)),
            Role::Code => {}
        }
    }
    let mut found: Vec<RunId> = Vec::new();
    for maker in made_by(lineage, &inputs)?.into_iter().flatten().filter(|maker| *maker != run) {
        if !found.contains(&maker) {
            found.push(maker);
        }
    }
    Ok(found)
}

/// Who made each of these contents, which lay beside each other under these names: of several the one that made
/// most of them, more so under the same names, and else [the one that counts](Lineage::producer_for).
pub(crate) fn made_by(
    lineage: &Lineage,
    contents: &[(String, ContentId)],
) -> Result<Vec<Option<RunId>>> {
    let (mut all, mut most) = (Vec::new(), BTreeMap::<RunId, usize>::new());
    for (name, content) in contents {
        let usual = lineage.producer_for(*content)?;
        let mut makers: BTreeMap<RunId, usize> = BTreeMap::new();
        if usual.is_some() {
            for made in lineage.producers(*content)?.into_iter().take(MANY) {
                let worth = 1 + usize::from(made.output.as_str() == name);
                let before = makers.entry(made.run).or_default();
                *before = worth.max(*before);
            }
        }
        for (maker, worth) in &makers {
            *most.entry(*maker).or_default() += worth;
        }
        all.push((usual, makers));
    }
    let best = |(usual, makers): (Option<RunId>, BTreeMap<RunId, usize>)| {
        let count = |maker: &RunId| most.get(maker).copied().unwrap_or(0);
        let best = makers.keys().map(count).max().unwrap_or(0);
        let usual = usual.filter(|usual| count(usual) == best);
        usual.or_else(|| makers.into_keys().find(|maker| count(maker) == best))
    };
    Ok(all.into_iter().map(best).collect())
}

/// The runs that made the inputs of a run, those of the last slot first.
fn causes(lineage: &Lineage, run: RunId) -> Result<Vec<RunId>> {
    let mut causes = Vec::new();
    for (role, content) in lineage.run_inputs(run)?.into_iter().rev() {
        if matches!(role, Role::Input(_) | Role::Outside(_)) {
            causes.extend(lineage.producer_for(content)?.filter(|cause| *cause != run));
        }
    }
    Ok(causes)
}
