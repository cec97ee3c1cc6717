//! Who left a content.

use std::collections::HashSet;

use lab_schema::{ContentId, RunId, Slot};

use crate::error::{Answer, Fault};
use crate::links::{self, Way};
use crate::number;
use crate::question::{Asking, Found, Production};

/// That a run left something, in the order in which it is told.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Making {
    /// Whether it lay inside an output.
    pub(crate) inside: bool,
    pub(crate) started_ms: u64,
    pub(crate) run: RunId,
    pub(crate) output: Slot,
    /// Whether the run read it too, as such or inside a folder.
    pub(crate) had_it: bool,
    pub(crate) success: bool,
    /// The number of the name of who ran it.
    pub(crate) who: i64,
}

impl Asking<'_> {
    pub(crate) fn producers(&self, content: ContentId) -> Answer<Vec<Production>> {
        let all = self.makings(content)?.into_iter();
        Ok(all.map(|m| Production { run: m.run, output: m.output, inside: m.inside }).collect())
    }

    pub(crate) fn producer_for(&self, content: ContentId) -> Answer<Option<RunId>> {
        let mut all = self.makings(content)?;
        all.retain(|made| !made.had_it);
        let best = all.iter().min_by_key(|m| (!m.success, m.inside, m.started_ms, m.run));
        Ok(best.map(|made| made.run))
    }

    /// The runs that left a content, in the order of [`Asking::producers`].
    pub(crate) fn makings(&self, content: ContentId) -> Answer<Vec<Making>> {
        let exact = self.left(content)?;
        let mut inside = Vec::new();
        let mut had = self.above(content)?;
        for tree in &had {
            inside.extend(self.left(*tree)?);
        }
        had.push(content);
        let mut found = Vec::new();
        for (all, inside) in [(exact, false), (inside, true)] {
            for (Found { run, recipe, started_ms, success, who }, word) in all {
                let read = self.named(recipe)?;
                let had_it = had.iter().any(|content| read.contains(content));
                let output = self.slot(word)?;
                found.push(Making { inside, started_ms, run, output, had_it, success, who });
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Whether a run, by its number, left a content, or something that lies in it.
    pub(crate) fn did_leave(&self, run: i64, content: ContentId) -> Answer<bool> {
        let left = self.named(run)?;
        let (mut open, mut seen) = (vec![content], HashSet::new());
        while let Some(content) = open.pop() {
            if left.contains(&content)
                || self.above(content)?.iter().any(|tree| left.contains(tree))
            {
                return Ok(true);
            }
            open.extend(self.within(content)?.into_iter().filter(|inner| seen.insert(*inner)));
        }
        Ok(false)
    }

    /// The runs that left a content itself, and as what.
    fn left(&self, content: ContentId) -> Answer<Vec<(Found, i64)>> {
        let mut found = Vec::new();
        for (run, word) in links::back(self.db, Way::Makes, content)? {
            found.push((self.found(run)?, word));
        }
        Ok(found)
    }

    /// The trees that hold a content, and those that hold these.
    pub(crate) fn above(&self, content: ContentId) -> Answer<Vec<ContentId>> {
        let (mut all, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![content]);
        while let Some(content) = open.pop() {
            for (tree, _) in links::back(self.db, Way::Holds, content)? {
                if seen.insert(tree) {
                    let tree = number::object(self.db, tree)?.content();
                    let tree = tree.ok_or(Fault::Impossible("tree"))?;
                    all.push(tree);
                    open.push(tree);
                }
            }
        }
        Ok(all)
    }

    /// These contents, what lies in them, and the trees that hold any of that.
    pub(crate) fn around(&self, contents: &[ContentId]) -> Answer<HashSet<ContentId>> {
        let (mut all, mut open) = (HashSet::new(), contents.to_vec());
        let mut above = HashSet::new();
        while let Some(content) = open.pop() {
            if all.insert(content) {
                above.extend(self.above(content)?);
                open.extend(self.within(content)?);
            }
        }
        all.extend(above);
        Ok(all)
    }

    /// What lies directly in a content, if that is a tree which a run left or read as data.
    pub(crate) fn within(&self, content: ContentId) -> Answer<Vec<ContentId>> {
        if matches!(content, ContentId::Blob(_)) {
            return Ok(Vec::new());
        }
        match number::taken(self.db, content.into())? {
            Some(number) => {
                Ok(links::of(self.db, number)?.into_iter().map(|link| link.content).collect())
            }
            None => Ok(Vec::new()),
        }
    }
}
