//! The order of steps: causes before effects, and else as they are written.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::Name;

use crate::error::{PipelineError, Result};
use crate::file::Pipeline;
use crate::step::Step;

/// The steps in an order in which each comes after those that it is declared to come `after`, and
/// after those that, by `known`, make what it reads: pairs of a cause and its effect.
pub fn in_order<'a>(
    pipeline: &'a Pipeline,
    known: &BTreeSet<(Name, Name)>,
) -> Result<Vec<&'a Step>> {
    let mut before: BTreeMap<&Name, BTreeSet<&Name>> =
        pipeline.steps.iter().map(|step| (&step.name, step.after.iter().collect())).collect();
    for (cause, effect) in known {
        if let Some(causes) = before.get_mut(effect)
            && pipeline.get(cause).is_some()
        {
            causes.insert(cause);
        }
    }
    let mut done: BTreeSet<&Name> = BTreeSet::new();
    let mut order = Vec::new();
    while order.len() < pipeline.steps.len() {
        let ready = |step: &&Step| {
            !done.contains(&step.name)
                && before[&step.name].iter().all(|cause| done.contains(cause))
        };
        let Some(next) = pipeline.steps.iter().find(ready) else {
            let waiting = pipeline.steps.iter().map(|step| &step.name);
            let waiting = waiting.filter(|name| !done.contains(name)).map(Name::as_str);
            return Err(PipelineError::Circle(waiting.collect::<Vec<_>>().join(", ")));
        };
        done.insert(&next.name);
        order.push(next);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, known: &[(&str, &str)]) -> Result<Vec<String>> {
        let pipeline = Pipeline::parse(text).unwrap();
        let name = |text: &str| Name::new(text).unwrap();
        let known = known.iter().map(|(a, b)| (name(a), name(b))).collect();
        Ok(in_order(&pipeline, &known)?.iter().map(|step| step.name.to_string()).collect())
    }

    #[test]
    fn causes_come_first_and_else_nothing_moves() {
        let text = "[[step]]\nname = 'c'\nrun = 'x'\n[[step]]\nname = 'b'\nrun = 'x'\n\
                    [[step]]\nname = 'a'\nrun = 'x'\nafter = ['b']";
        assert_eq!(names(text, &[]).unwrap(), ["c", "b", "a"]);
        assert_eq!(names(text, &[("a", "c")]).unwrap(), ["b", "a", "c"]);
        assert_eq!(names(text, &[("gone", "c")]).unwrap(), ["c", "b", "a"]);
        let error = names(text, &[("a", "b")]).unwrap_err().to_string();
        assert!(error.contains("b, a"), "{error}");
    }
}
