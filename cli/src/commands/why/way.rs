//! The way from the data to a run, a sentence for each step.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lab_lineage::{Origin, Role};
use lab_schema::{ContentId, ObjectId, Run, RunId};
use serde_json::{Value, json};

use super::folders::Folders;
use super::{Entered, Story, describe};
use crate::commands::log;
use crate::failure::Outcome;
use crate::ui::{HASH, NAME, paint};

/// Steps that are told; of a longer way the last ones.
const STEPS: usize = 12;
/// Things of one kind that are named in a sentence.
const NAMED: usize = 3;

/// How a run came about.
pub(super) struct Way<'a> {
    /// It and those behind it, causes before effects, with what each read, code aside.
    steps: Vec<(RunId, Vec<Origin>)>,
    /// Where lies what has neither a maker nor a name.
    folders: Folders<'a>,
}

impl<'a> Way<'a> {
    /// The way to a run.
    pub(super) fn to(story: &'a Story<'_>, id: RunId) -> Outcome<Way<'a>> {
        let mut steps = Vec::new();
        for run in story.lineage.chain(id)? {
            let mut read = story.lineage.origins(run)?;
            read.retain(|origin| origin.role != Role::Code);
            steps.push((run, read));
        }
        let told = &steps[steps.len().saturating_sub(STEPS)..];
        let given = told.iter().flat_map(|(_, read)| read).filter(|o| o.makers.is_empty());
        let given = given.map(|origin| origin.content);
        let nameless = given.filter(|content| story.version_of((*content).into()).is_none());
        let nameless = nameless.collect();
        let folders = Folders::find(&story.registry.store, &story.entered, &nameless)?;
        Ok(Way { steps, folders })
    }

    /// What a run on the way read.
    pub(super) fn read(&self, id: RunId) -> &[Origin] {
        self.steps.iter().find(|(run, _)| *run == id).map_or(&[], |(_, read)| read)
    }

    /// Where what a run read lies that has neither a maker nor a name, if a folder that has one holds it.
    pub(super) fn held(&self, id: RunId, started_ms: u64) -> HashMap<ContentId, &'a Entered> {
        let given = self.read(id).iter().filter(|origin| origin.makers.is_empty());
        self.folders.of(given.map(|origin| origin.content), started_ms)
    }

    /// Steps before those that are told.
    pub(super) fn untold(&self) -> usize {
        self.steps.len().saturating_sub(STEPS)
    }

    /// All steps, for programs.
    pub(super) fn json(&self) -> Vec<Value> {
        let step = |(run, read): &(RunId, Vec<Origin>)| {
            let makers: BTreeSet<String> =
                read.iter().flat_map(|origin| &origin.makers).map(ToString::to_string).collect();
            json!({ "run": run.to_string(), "after": makers })
        };
        self.steps.iter().map(step).collect()
    }

    /// A sentence for each step, the earliest first; none if there is but one.
    pub(super) fn sentences(&self, story: &Story<'_>) -> Outcome<Vec<String>> {
        if self.steps.len() < 2 {
            return Ok(Vec::new());
        }
        // What a later step had from a run: that is worth naming of what it left.
        let mut wanted: HashMap<RunId, BTreeSet<ContentId>> = HashMap::new();
        for origin in self.steps.iter().flat_map(|(_, read)| read) {
            for maker in &origin.makers {
                wanted.entry(*maker).or_default().insert(origin.content);
            }
        }
        let sentence = |(run, _): &(RunId, Vec<Origin>)| {
            self.sentence(story, *run, &wanted.remove(run).unwrap_or_default())
        };
        self.steps[self.untold()..].iter().map(sentence).collect()
    }

    /// `prepare read digits.csv.gz (digits@v1), and left train.csv and 2 more; verified once`
    fn sentence(
        &self,
        story: &Story<'_>,
        id: RunId,
        wanted: &BTreeSet<ContentId>,
    ) -> Outcome<String> {
        let run: Run = story.registry.store.load(id)?;
        let outcome = &run.outcome;
        let mut told =
            format!("{} read {}", story.title(id), self.inputs(story, id, outcome.started_ms));
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
            told += &format!(" and failed: {}", describe::status(&outcome.status));
        }
        let verified = log::verification(story.registry, story.lineage, &story.believed, id)?;
        let verified =
            if verified.text.is_empty() { "not verified yet".to_owned() } else { verified.text };
        Ok(format!("{told}; {verified}"))
    }

    /// What a run read, by who made it, in the order in which it is read.
    fn inputs(&self, story: &Story<'_>, id: RunId, started_ms: u64) -> String {
        let held = self.held(id, started_ms);
        let mut made: Vec<(&[RunId], Vec<String>)> = Vec::new();
        let (mut given, mut inside) = (Vec::new(), BTreeMap::<&str, Vec<String>>::new());
        for origin in self.read(id) {
            let slot = paint(NAME, origin.role.to_string());
            if origin.makers.is_empty() {
                let folder = held.get(&origin.content).map(|folder| folder.version.as_str());
                match (story.version_of(origin.content.into()), folder) {
                    (Some(version), _) => given.push(format!("{slot} ({version})")),
                    (None, Some(folder)) => inside.entry(folder).or_default().push(slot),
                    (None, None) => given.push(slot),
                }
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
        for (folder, slots) in inside {
            parts.push(format!("{} of {folder}", listed(slots)));
        }
        if !given.is_empty() {
            parts.push(listed(given));
        }
        if parts.is_empty() { "no data".to_owned() } else { parts.join(", and ") }
    }
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
