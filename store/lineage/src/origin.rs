//! Which run made what another run read.
//!
//! Small files are often the same: a description of a model that all trainings share, an empty list.
//! Seen alone, such a file has many makers, and the earliest of them is as good as any. Seen beside
//! what else a run read, most of its files come from few runs, and those made the small ones too.

use std::collections::{BTreeMap, HashSet};

use lab_schema::{ContentId, RunId};

use crate::error::Answer;
use crate::question::{Asking, Role};

/// Most runs that left the same content of which one is chosen.
const MANY: usize = 1000;

/// Something that a run read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// As what the run read it.
    pub role: Role,
    /// What it read.
    pub content: ContentId,
    /// Who made it; none if no recorded run did, or this one alone.
    pub maker: Option<RunId>,
}

/// A run that may have made something.
struct Candidate {
    run: RunId,
    /// How well it fits by itself: two if it called the content so, else one.
    fits: usize,
}

impl Asking<'_> {
    /// What a run read and who made each, by role.
    pub(crate) fn origins(&self, run: RunId) -> Answer<Vec<Origin>> {
        let inputs = self.run_inputs(run)?;
        let is_code = |role: &Role| *role == Role::Code;
        let contents: Vec<(String, ContentId)> = inputs
            .iter()
            .filter(|(role, _)| !is_code(role))
            .map(|(role, content)| (role.to_string(), *content))
            .collect();
        let mut makers = self.makers(&contents, Some(run))?.into_iter();
        let origin = |(role, content)| {
            let maker = if is_code(&role) { None } else { makers.next().flatten() };
            Origin { role, content, maker }
        };
        Ok(inputs.into_iter().map(origin).collect())
    }

    /// The run, and those that [it came from](Asking::origins), causes before effects; code has none. Where
    /// copies make the lineage circular, the circle is cut.
    pub(crate) fn chain(&self, run: RunId) -> Answer<Vec<RunId>> {
        let (mut order, mut seen) = (Vec::new(), HashSet::from([run]));
        // Depth first, with a stack of its own: a chain of runs may be longer than a thread's stack.
        let mut open = vec![(run, self.causes(run)?)];
        while let Some((at, pending)) = open.last_mut() {
            match pending.pop() {
                Some(cause) if seen.insert(cause) => open.push((cause, self.causes(cause)?)),
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
    fn causes(&self, run: RunId) -> Answer<Vec<RunId>> {
        Ok(self.origins(run)?.into_iter().rev().filter_map(|origin| origin.maker).collect())
    }

    pub(crate) fn makers(
        &self,
        contents: &[(String, ContentId)],
        reader: Option<RunId>,
    ) -> Answer<Vec<Option<RunId>>> {
        let before = match reader {
            Some(reader) => self.start_of(reader)?.map(|started_ms| (started_ms, reader)),
            None => None,
        };
        let (mut all, mut most) = (Vec::new(), BTreeMap::<RunId, usize>::new());
        for (name, content) in contents {
            let usual = self.producer_for(*content)?.filter(|usual| Some(*usual) != reader);
            let candidates = match usual {
                Some(_) => self.candidates((name, *content), reader, before)?,
                None => Vec::new(),
            };
            for Candidate { run, fits } in &candidates {
                *most.entry(*run).or_default() += fits;
            }
            all.push((usual, candidates));
        }
        let best = |(usual, candidates): (Option<RunId>, Vec<Candidate>)| {
            let count = |run: &RunId| most.get(run).copied().unwrap_or(0);
            let best = candidates.iter().map(|c| count(&c.run)).max().unwrap_or(0);
            let usual = usual.filter(|usual| count(usual) == best);
            usual.or_else(|| candidates.into_iter().map(|c| c.run).find(|run| count(run) == best))
        };
        Ok(all.into_iter().map(best).collect())
    }

    /// Who may have made something for the `reader`. A run that had the content itself passed it on, and
    /// counts if it began before the reader: so a way back over such runs ends with one that made it.
    fn candidates(
        &self,
        (name, content): (&str, ContentId),
        reader: Option<RunId>,
        before: Option<(u64, RunId)>,
    ) -> Answer<Vec<Candidate>> {
        let mut found: BTreeMap<RunId, usize> = BTreeMap::new();
        for left in self.makings(content)?.into_iter().take(MANY) {
            let is_early = before.is_some_and(|before| (left.started_ms, left.run) < before);
            if Some(left.run) == reader || (!is_early && left.had_it) {
                continue;
            }
            let fits = 1 + usize::from(left.output.as_str() == name);
            let known = found.entry(left.run).or_default();
            *known = fits.max(*known);
        }
        Ok(found.into_iter().map(|(run, fits)| Candidate { run, fits }).collect())
    }
}
