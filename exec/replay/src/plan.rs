//! Which runs to do again, and in which order.
//!
//! The order is that of causes: by the time a run is judged, everything that its inputs came from
//! has been. A run that the lineage does not know has no ancestry here, so refresh it before.

use std::collections::BTreeSet;

use lab_lineage::Lineage;
use lab_schema::RunId;

use crate::error::Result;

/// The runs to redo so that `run` is checked: itself, or, if `deep`, also every run that its
/// inputs came from, causes before effects.
pub fn plan(lineage: &Lineage, run: RunId, deep: bool) -> Result<Vec<RunId>> {
    if deep { chain(lineage, run) } else { Ok(vec![run]) }
}

/// The run, and those that [it came from](Lineage::origins), causes before effects; code has none. Where
/// copies make the lineage circular, the circle is cut.
pub fn chain(lineage: &Lineage, run: RunId) -> Result<Vec<RunId>> {
    let (mut order, mut seen) = (Vec::new(), BTreeSet::from([run]));
    // Depth first, with a stack of its own: a chain of runs may be longer than a thread's stack.
    let mut open = vec![(run, causes(lineage, run)?)];
    while let Some((at, pending)) = open.last_mut() {
        match pending.pop() {
            Some(cause) if seen.insert(cause) => {
                let further = causes(lineage, cause)?;
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

/// The runs that made the inputs of a run, those of the last slot first.
fn causes(lineage: &Lineage, run: RunId) -> Result<Vec<RunId>> {
    let makers = lineage.origins(run)?.into_iter().rev().filter_map(|origin| origin.maker);
    Ok(makers.collect())
}
