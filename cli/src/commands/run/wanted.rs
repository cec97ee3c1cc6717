//! Which steps are gone through.

use std::collections::BTreeSet;
use std::path::Path;

use lab_pipeline::{Pipeline, Step};
use lab_schema::Name;

use crate::failure::Outcome;
use crate::project::wrong;

/// Of steps in `order` those that are `named` and those that they need, by what is `known` of who reads what whom
/// made; all if none is named.
pub(super) fn wanted<'a>(
    (pipeline, declared): (&Pipeline, &Path),
    order: Vec<&'a Step>,
    known: &BTreeSet<(Name, Name)>,
    named: &[String],
) -> Outcome<Vec<&'a Step>> {
    let mut wanted: BTreeSet<Name> = BTreeSet::new();
    for text in named {
        let name = Name::new(text.as_str())?;
        if pipeline.get(&name).is_none() {
            return Err(wrong(declared, &pipeline.unknown("the command line", &name)));
        }
        wanted.insert(name);
    }
    if named.is_empty() {
        return Ok(order);
    }
    for step in order.iter().rev() {
        if wanted.contains(&step.name) {
            wanted.extend(step.after.iter().cloned());
            let causes = known.iter().filter(|(_, effect)| *effect == step.name);
            wanted.extend(causes.map(|(cause, _)| cause.clone()));
        }
    }
    Ok(order.into_iter().filter(|step| wanted.contains(&step.name)).collect())
}
