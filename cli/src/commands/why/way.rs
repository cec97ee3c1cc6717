//! The way from the data to a run, a sentence for each step.

use std::collections::{BTreeSet, HashMap};

use lab_lineage::{Origin, Role};
use lab_schema::{ContentId, ObjectId, Run, RunId};
use serde_json::{Value, json};

use super::Story;
use crate::commands::log;
use crate::failure::Outcome;
use crate::ui::{HASH, NAME, paint};

/// Steps that are told; of a longer way the last ones.
const STEPS: usize = 12;
/// Things of one kind that are named in a sentence.
const NAMED: usize = 3;

/// How a run came about, if other runs lie behind it.
pub(super) struct Way {
    /// The sentences, earliest first.
    pub(super) sentences: Vec<String>,
    /// Steps before those that are told.
    pub(super) untold: usize,
    /// All of it for programs.
    pub(super) json: Vec<Value>,
}

/// The way to a run.
pub(super) fn way(story: &Story<'_>, id: RunId) -> Outcome<Way> {
    let runs = story.lineage.chain(id)?;
    let untold = runs.len().saturating_sub(STEPS);
    let mut origins: Vec<(RunId, Vec<Origin>)> = Vec::new();
    // What a later step had from a run: that is worth naming of what it left.
    let mut wanted: HashMap<RunId, BTreeSet<ContentId>> = HashMap::new();
    for run in &runs {
        let mut read = story.lineage.origins(*run)?;
        read.retain(|origin| origin.role != Role::Code);
        for origin in &read {
            for maker in &origin.makers {
                wanted.entry(*maker).or_default().insert(origin.content);
            }
        }
        origins.push((*run, read));
    }
    let mut json = Vec::new();
    let mut sentences = Vec::new();
    for (place, (run, read)) in origins.iter().enumerate() {
        let makers: BTreeSet<String> =
            read.iter().flat_map(|origin| &origin.makers).map(ToString::to_string).collect();
        json.push(json!({ "run": run.to_string(), "after": makers }));
        if place >= untold && runs.len() > 1 {
            let wanted = wanted.get(run).cloned().unwrap_or_default();
            sentences.push(sentence(story, *run, read, &wanted)?);
        }
    }
    Ok(Way { sentences, untold, json })
}

/// `prepare read digits.csv.gz (digits@v1), and left train.csv and 2 more; verified once`
fn sentence(
    story: &Story<'_>,
    id: RunId,
    read: &[Origin],
    wanted: &BTreeSet<ContentId>,
) -> Outcome<String> {
    let run: Run = story.registry.store.load(id)?;
    let outcome = &run.outcome;
    let mut told = format!("{} read {}", story.title(id), inputs(story, read));
    if outcome.status.is_success() {
        let names =
            |all: &mut dyn Iterator<Item = (&lab_schema::Slot, &ContentId)>| -> Vec<String> {
                all.map(|(slot, _)| paint(NAME, slot.as_str())).collect()
            };
        let used = names(&mut outcome.outputs.iter().filter(|(_, c)| wanted.contains(*c)));
        let rest = names(&mut outcome.outputs.iter().filter(|(_, c)| !wanted.contains(*c)));
        let left = if outcome.outputs.is_empty() {
            "no file".to_owned()
        } else {
            listed(used.into_iter().chain(rest).collect())
        };
        told += &format!(" and left {left}");
    } else {
        told += &format!(" and failed: {}", super::describe::status(&outcome.status));
    }
    let verified = log::verification(story.registry, story.lineage, &story.believed, id)?;
    let verified =
        if verified.text.is_empty() { "not verified yet".to_owned() } else { verified.text };
    Ok(format!("{told}; {verified}"))
}

/// What a run read, by who made it, in the order in which it is read.
fn inputs(story: &Story<'_>, read: &[Origin]) -> String {
    let mut made: Vec<(&[RunId], Vec<String>)> = Vec::new();
    let mut given = Vec::new();
    for origin in read {
        let slot = paint(NAME, origin.role.to_string());
        if origin.makers.is_empty() {
            given.push(match story.version_of(origin.content.into()) {
                Some(version) => format!("{slot} ({version})"),
                None => slot,
            });
            continue;
        }
        match made.iter_mut().find(|(others, _)| *others == origin.makers) {
            Some((_, slots)) => slots.push(slot),
            None => made.push((&origin.makers, vec![slot])),
        }
    }
    let mut parts = Vec::new();
    for (makers, slots) in made {
        let makers = makers.iter().map(|maker| story.title(*maker)).collect();
        parts.push(format!("{} of {}", listed(slots), listed(makers)));
    }
    if !given.is_empty() {
        parts.push(listed(given));
    }
    if parts.is_empty() { "no data".to_owned() } else { parts.join(", and ") }
}

/// `a, b and c`, or `a, b, c and 4 more`.
fn listed(mut all: Vec<String>) -> String {
    if all.len() > NAMED + 1 {
        let more = all.len() - NAMED;
        all.truncate(NAMED);
        all.push(format!("{more} more"));
    }
    match all.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

impl Story<'_> {
    /// What a run is called: its name and hash, or its hash.
    fn title(&self, id: RunId) -> String {
        match self.names.get(&ObjectId::Run(id)) {
            Some(names) => paint(NAME, names.join(", ")),
            None => format!("run {}", paint(HASH, id.short())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_a_sentence() {
        let told = |n: usize| listed((0..n).map(|i| format!("f{i}")).collect());
        assert_eq!(told(0), "");
        assert_eq!(told(1), "f0");
        assert_eq!(told(2), "f0 and f1");
        assert_eq!(told(4), "f0, f1, f2 and f3");
        assert_eq!(told(5), "f0, f1, f2 and 2 more");
    }
}
